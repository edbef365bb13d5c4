"""Both sides beside each other, as a table with an arrow for each pair that belongs together. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from apinetlet.api import Generation
from apinetlet.demo.policies import Effect, Selectable, enforced, meant, wording
from apinetlet.origin import Origins
from reconcile import Object

MAPPED: Mapping[str, tuple[str, str]] = {
    "networks": ("Network", "networks"),
    "virtualips": ("VirtualIP", "ips"),
    "networkinterfaces": ("NetworkInterface", "networkinterfaces"),
    "loadbalancers": ("LoadBalancer", "loadbalancers"),
    "natgateways": ("NATGateway", "natgateways"),
}
"""The kinds that are mapped, by the plural at the source: the kind, and the plural in the api-net cluster."""
POLICIES: Mapping[str, tuple[str, str]] = {"networkpolicies": ("NetworkPolicy", "networkpolicies")}
"""Likewise, where the api-net cluster knows policies."""
ROWS = 24
"""So many pairs are shown one by one; of more, how many there are."""
_LABELS = {"networkinterfaces": "Interface", "networkpolicies": "Policy"}
"""What is too long for its column."""
_COLOURS = {"Available": "green", "Pending": "yellow", "Error": "red"}
_DIM = "bright_black"


def mapped(generation: Generation) -> Mapping[str, tuple[str, str]]:
    """All kinds that are mapped in a generation, as in ``MAPPED``."""
    return {**MAPPED, **POLICIES} if generation.rule_manager else MAPPED


@frozen
class Pair:
    """A source object and its counterpart; one of them may be missing."""

    plural: str
    """At the source."""
    source: Object | None
    target: Object | None
    meant: Effect | None = None
    """What a policy should come to."""
    enforced: Effect | None = None
    """What it has come to."""

    @property
    def agrees(self) -> bool:
        """Whether the source shows what its counterpart has."""
        if self.source is None or self.target is None or self.source.metadata.is_deleting:
            return False
        match self.plural:
            case "networks":
                is_named = str(_at(self.source, "spec", "providerID") or "").endswith(self.target.metadata.uid)
                has_peers = _peers(self.source) == {one["name"] for one in _at(self.target, "spec", "peerings") or ()}
                return is_named and has_peers and connected(self.source) == _reported(self.target)
            case "virtualips":
                return bool(_at(self.source, "status", "ip") == _at(self.target, "spec", "ip"))
            case "networkinterfaces":
                is_ready = _at(self.target, "status", "state") == "Ready"
                return is_ready is (_at(self.source, "status", "state") == "Available")
            case "networkpolicies":
                return self.meant is not None and self.meant == self.enforced
        return _ips(self.source, "status") == _entries(self.target)


@frozen
class Scene:
    """Everything that a picture shows of both clusters."""

    generation: Generation
    sources: Mapping[str, Sequence[Object]]
    """By plural, as in ``mapped``."""
    targets: Mapping[str, Sequence[Object]]
    routings: Sequence[Object] = ()
    """Of the api-net cluster."""
    rules: Sequence[Object] = ()
    """Of its policies."""

    def pairs(self) -> list[Pair]:
        """Who belongs to whom, kind by kind in the order of the sources; what has no source comes last in its kind."""
        found: list[Pair] = []
        for plural, (kind, target_plural) in mapped(self.generation).items():
            origins = Origins(self.generation, kind)
            by_uid: dict[str, Object] = {}
            others: list[Object] = []
            for target in self.targets.get(target_plural, ()):
                if origin := origins.of(target.metadata):
                    by_uid[origin.uid] = target
                elif target_plural != "ips":  # those of other objects go without saying
                    others.append(target)
            found += [Pair(plural, one, by_uid.pop(one.metadata.uid, None)) for one in self.sources.get(plural, ())]
            found += [Pair(plural, None, target) for target in (*by_uid.values(), *others)]
        return self._resolved(found) if self.sources.get("networkpolicies") else found

    def _resolved(self, found: Sequence[Pair]) -> list[Pair]:
        """The same, and of each policy what it comes to."""
        objects, rules = Selectable.of(self.sources), {one.metadata.key: one for one in self.rules}

        def resolved(pair: Pair) -> Pair:
            if pair.plural != "networkpolicies" or pair.source is None or pair.target is None:
                return pair
            rule = rules.get(pair.target.metadata.key)
            return evolve(pair, meant=meant(pair.source, objects), enforced=None if rule is None else enforced(rule))

        return [resolved(pair) for pair in found]


def picture(
    scene: Scene, *, title: str, steps: Sequence[str] = (), writes: int, hints: Sequence[str] = ()
) -> RenderableType:
    """The table under the step that is shown, with the steps before it below."""
    found = scene.pairs()
    done = Text("\n").join(Text(f"✓ {step}", style=_DIM) for step in steps)
    below = Text("\n").join(Text(hint, style="cyan") for hint in hints)
    subtitle = f"{scene.generation.name} · {writes} writes by apinetlet"
    return Group(
        Panel(Text(title, style="bold"), border_style="cyan", subtitle=subtitle, subtitle_align="right"),
        _rows(scene, found) if len(found) <= ROWS else _counts(scene, found),
        *([done] if steps else []),
        *([below] if hints else []),
    )


def _rows(scene: Scene, found: Sequence[Pair]) -> Table:
    table = Table(expand=True, box=box.SIMPLE_HEAD, border_style=_DIM, header_style="bold", padding=(0, 1, 0, 0))
    for heading, width, ratio in (
        ("kind", 12, None),
        ("source", 8, None),
        ("shows", None, 5),
        ("", 1, None),
        ("api-net", 7, None),
        ("has", None, 4),
    ):
        table.add_column(heading, width=width, ratio=ratio, no_wrap=True, overflow="ellipsis")
    before = ""
    for pair in found:
        kind = _LABELS.get(pair.plural, mapped(scene.generation)[pair.plural][0]) if pair.plural != before else ""
        table.add_row(kind, *_source_cells(pair), _arrow(pair), *_target_cells(pair, scene.routings))
        before = pair.plural
    if not found:
        table.add_row("", f"[{_DIM}]nothing", "", "", f"[{_DIM}]nothing", "")
    return table


def _counts(scene: Scene, found: Sequence[Pair]) -> Table:
    table = Table(expand=True, box=box.SIMPLE_HEAD, border_style=_DIM, header_style="bold")
    for heading in ("kind", "source cluster", "agree", "api-net"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for plural, (kind, _) in mapped(scene.generation).items():
        pairs = [pair for pair in found if pair.plural == plural]
        here, agree, there = (
            sum(pair.source is not None for pair in pairs),
            sum(pair.agrees for pair in pairs),
            sum(pair.target is not None for pair in pairs),
        )
        table.add_row(kind, str(here), f"[{'green' if agree == here else 'yellow'}]{agree}[/]", str(there))
    return table


def _source_cells(pair: Pair) -> tuple[str, str]:
    source = pair.source
    if source is None:
        return "", ""
    name, state = source.metadata.name, str(_at(source, "status", "state") or "")
    if source.metadata.is_deleting:
        return f"[strike]{name}[/]", "[magenta]deleting[/]"
    if not state:
        return name, _shows(pair.plural, source)
    return name, f"[{_COLOURS.get(state, 'white')}]{state}[/] {_shows(pair.plural, source)}"


def _shows(plural: str, source: Object) -> str:
    match plural:
        case "networks":
            return " with ".join([_network_id(str(_at(source, "spec", "providerID") or "")), *connected(source)])
        case "virtualips":
            return str(_at(source, "status", "ip") or "-")
        case "networkinterfaces":
            public = _at(source, "status", "virtualIP")
            return " ".join([*_ips(source, "status"), *([f"as {public}"] if public else [])])
        case "networkpolicies":
            return wording(source)
    return " ".join(_ips(source, "status")) or "-"


def _network_id(provider_id: str) -> str:
    """What people know of a provider ID."""
    parts = provider_id.split("/")
    return f"VNI {parts[-2]}" if len(parts) > 2 else ""


def _target_cells(pair: Pair, routings: Sequence[Object]) -> tuple[str, str]:
    target = pair.target
    if target is None:
        return "", ""
    name = target.metadata.name.removeprefix("machine-")[:7]
    return f"[strike]{name}[/]" if target.metadata.is_deleting else name, _has(pair, target, routings)


def _has(pair: Pair, target: Object, routings: Sequence[Object]) -> str:
    match pair.plural:
        case "networks":
            peers = [one["id"] for one in _at(target, "spec", "peerings") or ()]
            return " with ".join([f"VNI {_at(target, 'spec', 'id') or '-'}", *peers])
        case "virtualips":
            claimed = _at(target, "spec", "claimRef", "resource")
            return f"{_at(target, 'spec', 'ip')}" + (" in use" if claimed else " free")
        case "networkinterfaces":
            nat = list(_at(target, "status", "natIPs") or ())
            public = [one.get("ip") for one in _at(target, "spec", "publicIPs") or ()]
            ways = [f"as {ip}" for ip in public] + [f"NAT {ip}" for ip in nat if not public]
            return " ".join([str(_at(target, "status", "state") or "new"), *ways])
        case "loadbalancers":
            count = sum(
                len(one.get("destinations") or ()) for one in routings if one.metadata.key == target.metadata.key
            )
            return f"{' '.join(_entries(target)) or '-'} to {_counted(count, 'target')}"
        case "networkpolicies":
            if pair.enforced is None:
                return "no rule"
            let_through = frozenset[str]().union(*pair.enforced.let_through)
            return f"{_counted(len(pair.enforced.targets), 'target')}, {len(let_through)} let through"
    used, wanted = (_at(target, "status", name) or 0 for name in ("usedNATIPs", "requestedNATIPs"))
    return f"{' '.join(_entries(target)) or '-'} for {used}/{wanted}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _arrow(pair: Pair) -> str:
    if pair.source is None or pair.target is None:
        return ""
    if pair.agrees:
        return "[green]⇄[/]"
    return "[red]✗[/]" if _at(pair.source, "status", "state") == "Error" else "[yellow]⇢[/]"


def _at(found: Object, *path: str) -> Any:
    value: Any = found
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _peers(network: Object) -> set[str]:
    """The peerings of a source network that its peers want, too, by name."""
    own = network.metadata.namespace
    wanting = {(one["namespace"], one["name"]) for one in _at(network, "spec", "incomingPeerings") or ()}
    peerings = ((one["name"], one["networkRef"]) for one in _at(network, "spec", "peerings") or ())
    return {name for name, ref in peerings if (ref.get("namespace") or own, ref["name"]) in wanting}


def connected(network: Object) -> list[str]:
    """The peerings that a source network shows as ready, by name."""
    return [one["name"] for one in _at(network, "status", "peerings") or () if one.get("state") == "Ready"]


def _reported(network: Object) -> list[str]:
    """The peerings that every partition which speaks of them says are ready, by name."""
    states: dict[str, set[str]] = {}
    for reports in (_at(network, "status", "peerings") or {}).values():
        for one in reports or ():
            states.setdefault(str(one["id"]), set()).add(one["state"])
    peerings = _at(network, "spec", "peerings") or ()
    return [one["name"] for one in peerings if states.get(one["id"]) == {"Ready"}]


def _ips(found: Object, part: str) -> list[str]:
    return [str(ip) for ip in _at(found, part, "ips") or () if ip]


def _entries(target: Object) -> list[str]:
    return [str(one["ip"]) for one in _at(target, "spec", "ips") or () if one.get("ip")]
