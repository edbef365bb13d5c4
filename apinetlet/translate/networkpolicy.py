"""A source NetworkPolicy to its two objects in the api-net cluster: a copy in its words, and a rule in addresses.

The rule is what is enforced. Its lists have one order and no entry twice, so what did not change is not written. Nobody
is let through for want of an address: a peer that means nobody leaves nothing, and only a list of peers that is empty
in the source stands for everybody. Pure.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from attrs import frozen

from apinetlet.api import Generation, PolicyKinds, apinet, networking
from apinetlet.origin import Origins
from apinetlet.translate.body import body, filled
from apinetlet.translate.loadbalancer import address_of
from apinetlet.translate.policyrules import PROTOCOLS, VIRTUAL_IP, Block, Objects, Peer, Policy, Rule
from reconcile.kube.objects import OwnerReference
from reconcile.kube.selector import LabelSelector

PRIORITY: Final = 1000
"""Of every policy. Source: the Go daemon."""
EVERYBODY: Final = ("0.0.0.0/0", "::/0")

Find: TypeAlias = Callable[[str, LabelSelector], Iterable[str]]
"""The addresses of the objects of a kind that a selector means, in any order; one may come twice, or be none."""


@frozen
class Reachable:
    """An interface of the data plane that traffic can reach."""

    name: str
    uid: str
    ips: tuple[str, ...]


@frozen
class View:
    """One source NetworkPolicy beside what decides about its counterparts."""

    source: networking.NetworkPolicy
    policy: Policy
    """What it says."""
    network: str
    """The name of the api-net Network that it belongs to."""
    target: apinet.NetworkPolicy | None
    """The counterpart as it is now."""
    namespace: str
    kinds: PolicyKinds
    generation: Generation
    find: Find
    expands: bool = True
    """Whether an empty list of peers or ports is written out. Those who enforce the rule take it for nobody."""

    @property
    def origins(self) -> Origins:
        return Origins(self.generation, "NetworkPolicy")


def network_policy(view: View) -> dict[str, Any]:
    """The api-net NetworkPolicy for ``view``."""
    policy = view.policy
    spec: dict[str, Any] = {
        "networkRef": {"name": view.network},
        "networkInterfaceSelector": dict(policy.said),
        "priority": PRIORITY,
        "policyTypes": list(policy.types),
        **filled({"ingress": _copied("from", policy.ingress, view), "egress": _copied("to", policy.egress, view)}),
    }
    return body(view.kinds.target, view.source.metadata, namespace=view.namespace, origins=view.origins, spec=spec)


def differences(view: View) -> tuple[str, ...]:
    """The fields in which the counterpart differs and that no server lets change: it has to be made anew."""
    differs = view.target is not None and view.target.spec.network_ref.name != view.network
    return ("networkRef",) if differs else ()


def network_policy_rule(
    view: View, network: apinet.Network, regulated: Iterable[Reachable], owner: OwnerReference
) -> dict[str, Any]:
    """The api-net NetworkPolicyRule for ``view``, which belongs to the policy ``owner``."""
    return body(
        view.kinds.rule,
        view.source.metadata,
        namespace=view.namespace,
        origins=view.origins,
        owners=[owner],
        networkRef={"name": network.metadata.name, "uid": network.metadata.uid},
        priority=PRIORITY,
        targets=_targets(regulated),
        ingressRule=[_resolved(rule, view) for rule in view.policy.ingress],
        egressRule=[_resolved(rule, view) for rule in view.policy.egress],
    )


# -- the copy ----------------------------------------------------------------------------------------------------------


def _copied(side: str, rules: Sequence[Rule], view: View) -> list[dict[str, Any]]:
    found = []
    for rule in rules:
        peers = [copy for peer in rule.peers for copy in _peers(peer, view)]
        if peers or rule.is_for_all:
            found.append(filled({side: peers, "ports": [dict(port) for port in rule.ports]}))
    return found


def _peers(peer: Peer, view: View) -> Iterator[dict[str, Any]]:
    """The peer in words of the other side, which knows no virtual IPs: they are blocks there."""
    match peer:
        case Block():
            yield {"ipBlock": peer.body}
        case Objects(kind=kind) if kind == VIRTUAL_IP:
            yield from ({"ipBlock": {"cidr": one.prefix}} for one in _addresses(peer, view))
        case Objects():
            yield {"objectSelector": dict(peer.said)}


# -- the rule ----------------------------------------------------------------------------------------------------------


def _targets(regulated: Iterable[Reachable]) -> list[dict[str, Any]]:
    found = {}
    for one in regulated:
        for text in one.ips:
            if (address := _read(text)) is not None:
                entry = {"ip": text, "targetRef": {"uid": one.uid, "name": one.name}}
                found[address.version, address.number, one.uid] = entry
    return [found[key] for key in sorted(found)]


def _resolved(rule: Rule, view: View) -> dict[str, Any]:
    blocks = [one.body for one in rule.peers if isinstance(one, Block)]
    addresses = {one for peer in rule.peers if isinstance(peer, Objects) for one in _addresses(peer, view)}
    ports = [{"protocol": PROTOCOLS[0], **port} for port in rule.ports]
    if view.expands:
        blocks += [{"cidr": cidr} for cidr in EVERYBODY if rule.is_for_all]
        ports = ports or [{"protocol": protocol} for protocol in PROTOCOLS]
    ips = [{"ipFamily": f"IPv{one.version}", "prefix": one.prefix} for one in sorted(addresses)]
    return filled({"networkPolicyPorts": ports, "ipBlock": _distinct(blocks), "ips": ips})


def _addresses(peer: Objects, view: View) -> list["_Address"]:
    """Each once, in order."""
    return sorted({address for text in view.find(peer.kind, peer.selector) if (address := _read(text)) is not None})


class _Address(NamedTuple):
    """An address and what stands for it alone; by their order, addresses have theirs."""

    version: int
    number: int
    prefix: str


@lru_cache(maxsize=1 << 14)
def _read(text: str) -> _Address | None:
    """What a text means, remembered: a rule has thousands, and nearly all of them are those it had before."""
    address = address_of(text)
    return None if address is None else _Address(address.version, int(address), f"{address}/{address.max_prefixlen}")


def _distinct(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for place, one in enumerate(blocks) if one not in blocks[:place]]
