"""What a pass over a Network knows of its peerings, and which changes elsewhere concern them.

What cannot be known now (an object that cannot be read, a kind that nobody serves or that is not listed yet) takes no
peering away: the counterpart keeps those that it has.
"""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from apinetlet.api import apinet, ipam, networking
from apinetlet.controllers.bridge import Bridge
from apinetlet.controllers.missing import is_unknown
from apinetlet.translate import peering as translate
from reconcile import Change, Index, ObjectKey, Request, Watches
from reconcile.controller.predicate import Exactly, Rule, exactly
from reconcile.kube.objects import BadObject

CLAIMED, PEERING_PREFIX = "claimed", "peering prefix"
"""The indexes over source Networks: by the uids of those that want a peering, and by the keys of the Prefixes shown."""


@frozen
class Peerings:
    """Reads both sides for it. ``are_reported``: whether states go back to the source."""

    bridge: Bridge
    are_reported: bool = True

    def wanted(self, network: networking.Network) -> list[dict[str, Any]]:
        """``spec.peerings`` of the counterpart of ``network``; none in a generation without them."""
        if not self.bridge.generation.has_peerings or not network.spec.peerings:
            return []
        for fault in translate.faults(network):
            self.bridge.warn(network, "PeeringClaimWithoutUID", fault)
        try:
            return self._wanted(network)
        except BadObject as error:
            self.bridge.warn(network, "Unreadable", str(error))
            return self._present(network)

    def waits(self, network: networking.Network) -> bool:
        """Whether it shows Prefixes of which nothing is known. That there are none in the end, no watch would tell."""
        bridge = self.bridge
        shows = bridge.generation.has_peerings and any(translate.prefix_names(network))
        return shows and is_unknown(bridge.source, bridge.kinds.prefix)

    def statuses(self, target: apinet.Network) -> tuple[networking.PeeringStatus, ...] | None:
        """What the data plane says; ``None``: nothing that is ours to report."""
        return translate.statuses(target) if self.are_reported and self.bridge.generation.has_peerings else None

    def _wanted(self, network: networking.Network) -> list[dict[str, Any]]:
        kinds, source = self.bridge.kinds, self.bridge.source
        if self.waits(network):
            return self._present(network)
        targets, prefixes = self.bridge.apinet.store(kinds.apinet_network), source.store(kinds.prefix)

        def counterpart(uid: str) -> apinet.Network | None:
            return targets.get(ObjectKey(self.bridge.namespace, uid))

        def prefix(name: str) -> ipam.Prefix | None:
            return prefixes.get(ObjectKey(network.metadata.namespace, name))

        return translate.peerings(network, counterpart, prefix)

    def _present(self, network: networking.Network) -> list[dict[str, Any]]:
        """Those that the counterpart has."""
        key = ObjectKey(self.bridge.namespace, network.metadata.uid)
        target = self.bridge.apinet.store(self.bridge.kinds.apinet_network).get(key)
        return [] if target is None else translate.present(target)


# -- watches -----------------------------------------------------------------------------------------------------------


def by_peers() -> tuple[Index, ...]:
    """Those indexes."""

    def prefixes(network: networking.Network) -> list[ObjectKey]:
        return [ObjectKey(network.metadata.namespace, name) for name in translate.prefix_names(network)]

    return Index(CLAIMED, translate.claimed), Index(PEERING_PREFIX, prefixes)


def peer_sources(bridge: Bridge) -> list[Watches[Any]]:
    """What else concerns a Network for the sake of its peerings."""
    networks = bridge.source.store(bridge.kinds.network)

    def by(index: str, value: Callable[[ObjectKey], Any]) -> Callable[[Change[Any]], list[Request]]:
        return lambda change: [Request(bridge.source.name, *key) for key in networks.keys_by(index, value(change.key))]

    return [
        Watches(bridge.apinet, bridge.kinds.apinet_network, by(CLAIMED, lambda key: key.name), _is_another_id()),
        Watches(bridge.source, bridge.kinds.prefix, by(PEERING_PREFIX, lambda key: key)),
    ]


def _is_another_id() -> Exactly:
    """Passes what gives peers of an api-net Network another ID to name, or none."""

    def of(network: apinet.Network | None) -> str:
        return "" if network is None else network.spec.id

    return exactly(Rule("is_another_id", lambda change: of(change.old_object) != of(change.new_object)))
