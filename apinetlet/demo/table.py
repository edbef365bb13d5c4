"""Both sides beside each other, as a table with an arrow for each pair that belongs together. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from apinetlet.api import Generation
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
ROWS = 24
"""So many pairs are shown one by one; of more, how many there are."""
_LABELS = {"networkinterfaces": "Interface"}
"""What is too long for its column."""
_COLOURS = {"Available": "green", "Pending": "yellow", "Error": "red"}
_DIM = "bright_black"


@frozen
class Pair:
    """A source object and its counterpart; one of them may be missing."""

    plural: str
    """At the source."""
    source: Object | None
    target: Object | None

    @property
    def agrees(self) -> bool:
        """Whether the source shows what its counterpart has."""
        if self.source is None or self.target is None or self.source.metadata.is_deleting:
            return False
        match self.plural:
            case "networks":
                return str(_at(self.source, "spec", "providerID") or "").endswith(self.target.metadata.uid)
            case "virtualips":
                return bool(_at(self.source, "status", "ip") == _at(self.target, "spec", "ip"))
            case "networkinterfaces":
                is_ready = _at(self.target, "status", "state") == "Ready"
                return is_ready is (_at(self.source, "status", "state") == "Available")
        return _ips(self.source, "status") == _entries(self.target)


@frozen
class Scene:
    """Everything that a picture shows of both clusters."""

    generation: Generation
    sources: Mapping[str, Sequence[Object]]
    """By plural, as in ``MAPPED``."""
    targets: Mapping[str, Sequence[Object]]
    routings: Sequence[Object] = ()
    """Of the api-net cluster."""

    def pairs(self) -> list[Pair]:
        """Who belongs to whom, kind by kind in the order of the sources; what has no source comes last in its kind."""
        found: list[Pair] = []
        for plural, (kind, target_plural) in MAPPED.items():
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
        return found


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
        _rows(scene, found) if len(found) <= ROWS else _counts(found),
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
        kind = _LABELS.get(pair.plural, MAPPED[pair.plural][0]) if pair.plural != before else ""
        table.add_row(kind, *_source_cells(pair), _arrow(pair), *_target_cells(pair, scene.routings))
        before = pair.plural
    if not found:
        table.add_row("", f"[{_DIM}]nothing", "", "", f"[{_DIM}]nothing", "")
    return table


def _counts(found: Sequence[Pair]) -> Table:
    table = Table(expand=True, box=box.SIMPLE_HEAD, border_style=_DIM, header_style="bold")
    for heading in ("kind", "source cluster", "agree", "api-net"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for plural, (kind, _) in MAPPED.items():
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
            return _network_id(str(_at(source, "spec", "providerID") or ""))
        case "virtualips":
            return str(_at(source, "status", "ip") or "-")
        case "networkinterfaces":
            public = _at(source, "status", "virtualIP")
            return " ".join([*_ips(source, "status"), *([f"as {public}"] if public else [])])
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
    return f"[strike]{name}[/]" if target.metadata.is_deleting else name, _has(pair.plural, target, routings)


def _has(plural: str, target: Object, routings: Sequence[Object]) -> str:
    match plural:
        case "networks":
            return f"VNI {_at(target, 'spec', 'id') or '-'}"
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
            return f"{' '.join(_entries(target)) or '-'} to {count} target{'' if count == 1 else 's'}"
    used, wanted = (_at(target, "status", name) or 0 for name in ("usedNATIPs", "requestedNATIPs"))
    return f"{' '.join(_entries(target)) or '-'} for {used}/{wanted}"


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


def _ips(found: Object, part: str) -> list[str]:
    return [str(ip) for ip in _at(found, part, "ips") or () if ip]


def _entries(target: Object) -> list[str]:
    return [str(one["ip"]) for one in _at(target, "spec", "ips") or () if one.get("ip")]
