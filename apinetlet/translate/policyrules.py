"""What a source NetworkPolicy says, read once and checked: whom it is for, and whom each of its rules lets through.

Everything made of a policy is made of this. What no valid policy says is refused by its field; what the other side has
no word for is left out and told. A rule that is left with nobody is left out, too: one that names nobody would let
everybody through. Pure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import chain
from typing import Any, Final, TypeAlias

from attrs import frozen

from apinetlet.api import networking
from apinetlet.translate.body import filled
from apinetlet.translate.refused import invalid
from reconcile.kube.selector import BadSelector, LabelSelector, labels_from

INTERFACE: Final = "NetworkInterface"
BALANCER: Final = "LoadBalancer"
VIRTUAL_IP: Final = "VirtualIP"
KINDS: Final = (INTERFACE, BALANCER, VIRTUAL_IP)
PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
TYPES: Final = ("Ingress", "Egress")
_MOST: Final = 65535


@frozen
class Objects:
    """A peer: the objects of a kind that have certain labels."""

    kind: str
    selector: LabelSelector
    said: Mapping[str, Any]
    """The selector as the policy spells it."""


@frozen
class Block:
    """A peer: a range of addresses, without parts of it."""

    cidr: str
    excepted: tuple[str, ...] = ()

    @property
    def body(self) -> dict[str, Any]:
        return {"cidr": self.cidr, **filled({"except": list(self.excepted)})}


Peer: TypeAlias = Objects | Block


@frozen
class Rule:
    """One rule. ``is_for_all``: it names no peers, and that means everybody."""

    ports: tuple[Mapping[str, Any], ...]
    peers: tuple[Peer, ...]
    is_for_all: bool


@frozen
class Policy:
    """A whole policy."""

    regulated: LabelSelector
    """The network interfaces that it is for."""
    said: Mapping[str, Any]
    """That selector as the policy spells it."""
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]
    types: tuple[str, ...]
    unsupported: tuple[str, ...]
    """What was left out: field and reason, of each peer."""

    @property
    def isolations(self) -> tuple[str, ...]:
        """The directions in which nothing may pass."""
        ruled = {"Ingress": self.ingress, "Egress": self.egress}
        return tuple(one for one in self.types if not ruled[one])

    def selectors(self) -> Iterator[tuple[str, LabelSelector]]:
        """Every selector with the kind of what it selects."""
        yield INTERFACE, self.regulated
        for rule in chain(self.ingress, self.egress):
            for peer in rule.peers:
                if isinstance(peer, Objects):
                    yield peer.kind, peer.selector


def read(source: networking.NetworkPolicy) -> Policy:
    """What ``source`` says.

    Raises:
        Refused: a field that no valid policy has; names it.
    """
    spec, left_out = source.spec, list[str]()
    selector, said = _selector("spec.networkInterfaceSelector", spec.network_interface_selector)
    return Policy(
        regulated=selector,
        said=said,
        ingress=_rules("spec.ingress", "from", spec.ingress, left_out.append),
        egress=_rules("spec.egress", "to", spec.egress, left_out.append),
        types=_types(spec.policy_types),
        unsupported=tuple(left_out),
    )


def _types(types: tuple[str, ...]) -> tuple[str, ...]:
    if not types:
        raise invalid("spec.policyTypes", "is empty: a policy is for Ingress, Egress or both")
    for place, one in enumerate(types):
        if one not in TYPES:
            raise invalid(f"spec.policyTypes[{place}]", f"is {one!r}, neither Ingress nor Egress")
        if one in types[:place]:
            raise invalid(f"spec.policyTypes[{place}]", f"is {one} a second time")
    return types


def _rules(
    field: str,
    side: str,
    rules: Iterable[networking.IngressRule | networking.EgressRule],
    leave_out: Callable[[str], None],
) -> tuple[Rule, ...]:
    """The rules of one direction, without those of which nothing is left."""
    found = []
    for place, rule in enumerate(rules):
        ports = tuple(_port(f"{field}[{place}].ports[{at}]", port) for at, port in enumerate(rule.ports))
        peers = [_peer(f"{field}[{place}].{side}[{at}]", one, leave_out) for at, one in enumerate(rule.peers)]
        known = tuple(one for one in peers if one is not None)
        if known or not peers:
            found.append(Rule(ports, known, is_for_all=not peers))
    return tuple(found)


def _peer(field: str, peer: networking.PolicyPeer, leave_out: Callable[[str], None]) -> Peer | None:
    """``None``: one that is left out."""
    chosen, block = peer.object_selector, peer.ip_block
    if chosen is not None and block is not None:
        raise invalid(field, "says both objectSelector and ipBlock")
    if block is not None:
        return _block(f"{field}.ipBlock", block)
    if chosen is None:
        leave_out(f"{field} says neither objectSelector nor ipBlock")
        return None
    if chosen.kind not in KINDS:
        leave_out(f"{field}.objectSelector.kind is {chosen.kind!r}, none of {', '.join(KINDS)}")
        return None
    selector, said = _selector(f"{field}.objectSelector", chosen)
    return Objects(chosen.kind, selector, {"kind": chosen.kind, **said})


def _selector(field: str, selector: networking.Selector) -> tuple[LabelSelector, Mapping[str, Any]]:
    """The selector, and how it is spelled."""
    expressions = [
        {"key": one.key, "operator": one.operator, **filled({"values": list(one.values)})}
        for one in selector.match_expressions
    ]
    said = filled({"matchLabels": dict(selector.match_labels), "matchExpressions": expressions})
    try:
        return labels_from(said), said
    except BadSelector as error:
        raise invalid(field, f"is no label selector: {error.what}") from error


def _block(field: str, block: networking.IPBlock) -> Block:
    whole = _range(f"{field}.cidr", block.cidr)
    for place, text in enumerate(block.excepted):
        part = _range(f"{field}.except[{place}]", text)
        if not _contains(whole, part):
            raise invalid(f"{field}.except[{place}]", f"is {text}, which is no part of {block.cidr}")
    return Block(block.cidr, block.excepted)


def _range(field: str, text: str) -> IPv4Network | IPv6Network:
    try:
        if not text.partition("/")[2].isdecimal():  # a mask would be understood, too
            raise ValueError
        return ip_network(text, strict=False)
    except ValueError:
        raise invalid(field, f"is {text!r}, no address with a number of bits") from None


def _contains(whole: IPv4Network | IPv6Network, part: IPv4Network | IPv6Network) -> bool:
    if isinstance(whole, IPv4Network):
        return isinstance(part, IPv4Network) and part.subnet_of(whole)
    return isinstance(part, IPv6Network) and part.subnet_of(whole)


def _port(field: str, port: networking.PolicyPort) -> dict[str, Any]:
    if port.protocol not in ("", *PROTOCOLS):
        raise invalid(f"{field}.protocol", f"is {port.protocol!r}, none of {', '.join(PROTOCOLS)}")
    first, last = port.port or 0, port.end_port or 0
    if not 0 <= first <= _MOST:
        raise invalid(f"{field}.port", f"is {first}, no port")
    if last and not first:
        raise invalid(f"{field}.endPort", f"is {last}, and no port is said where it begins")
    if last and not first <= last <= _MOST:
        raise invalid(f"{field}.endPort", f"is {last}, not from {first} to {_MOST}")
    return filled({"protocol": port.protocol, "port": first or None, "endPort": last or None})
