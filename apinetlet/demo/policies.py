"""What a network policy should come to in addresses, and what its rule has come to. Pure.

The first is read off what users see, and in a plain way: nothing of the daemon has a part in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from reconcile import Object
from reconcile.kube.selector import BadSelector, labels_from

_PLURALS = {"NetworkInterface": "networkinterfaces", "LoadBalancer": "loadbalancers", "VirtualIP": "virtualips"}
"""What selectors select."""

Place: TypeAlias = tuple[str, str, str]
"""Plural, namespace, and the network; virtual IPs are in none."""


@frozen
class Effect:
    """Addresses of objects; ranges go without saying."""

    targets: frozenset[str]
    """Those that a policy is for."""
    let_through: tuple[frozenset[str], ...]
    """Those that each of its rules lets through, in and then out."""


@frozen
class Selectable:
    """What policies can select."""

    by_place: Mapping[Place, Sequence[Object]]

    @classmethod
    def of(cls, sources: Mapping[str, Sequence[Object]]) -> "Selectable":
        """From source objects by plural."""
        found: dict[Place, list[Object]] = {}
        for plural in _PLURALS.values():
            for one in sources.get(plural, ()):
                network = (one["spec"].get("networkRef") or {}).get("name") or ""
                found.setdefault((plural, one.metadata.namespace, network), []).append(one)
        return cls(found)

    def addresses(self, plural: str, selector: Mapping[str, Any], *, namespace: str, network: str) -> Iterator[str]:
        """What the objects in one place show that a selector selects."""
        selected = labels_from(selector)
        for one in self.by_place.get((plural, namespace, "" if plural == "virtualips" else network), ()):
            if selected.matches(one.metadata.labels):
                yield from _shown(one)


def meant(policy: Object, objects: Selectable) -> Effect | None:
    """What a source policy should come to; ``None``: it has a selector that is none."""
    spec = policy["spec"]
    place = {"namespace": policy.metadata.namespace, "network": spec["networkRef"]["name"]}
    selectors = [[one.get("objectSelector") for one in peers or ()] for peers in _peers(spec)]
    try:
        return Effect(
            frozenset(objects.addresses("networkinterfaces", spec.get("networkInterfaceSelector") or {}, **place)),
            tuple(
                frozenset(
                    ip for one in some if one for ip in objects.addresses(_PLURALS.get(one["kind"], ""), one, **place)
                )
                for some in selectors
            ),
        )
    except BadSelector:
        return None


def enforced(rule: Object) -> Effect:
    """What the rule of a policy has come to."""
    rules = [*(rule.get("ingressRule") or ()), *(rule.get("egressRule") or ())]
    return Effect(
        frozenset(one["ip"] for one in rule.get("targets") or ()),
        tuple(frozenset(one["prefix"].partition("/")[0] for one in each.get("ips") or ()) for each in rules),
    )


def wording(policy: Object) -> str:
    """In a few words: whom a policy lets through to whom."""
    spec = policy["spec"]
    peers = [one.get("objectSelector") for peers in _peers(spec) for one in peers or ()]
    said = dict.fromkeys("ranges" if one is None else _labels(one) for one in peers)
    return f"{' or '.join(said) or 'nobody'} to {_labels(spec.get('networkInterfaceSelector') or {})}"


def _peers(spec: Mapping[str, Any]) -> Iterator[Any]:
    """The peers of each rule, in and then out."""
    for field, side in (("ingress", "from"), ("egress", "to")):
        yield from (one.get(side) for one in spec.get(field) or ())


def _labels(selector: Mapping[str, Any]) -> str:
    try:
        return str(labels_from(selector)) or "all"
    except BadSelector:
        return "?"


def _shown(one: Object) -> list[str]:
    """The addresses under which an object can be reached."""
    status = one.get("status") or {}
    if status.get("state", "Available") != "Available":  # only interfaces have one
        return []
    return [ip for ip in (*(status.get("ips") or ()), status.get("ip")) if ip]
