"""Keeps one api-net LoadBalancer and its routing per source LoadBalancer, and reports the addresses back.

Reads as its decision table: gone, deleting, not ours, without a network, refused, to be made anew, mapped. A public
address is never asked for twice: what would give one back is not done on the word of a cache.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from attrs import frozen

from apinetlet.api import apinet, networking
from apinetlet.controllers.bridge import Bridge, Mapped
from apinetlet.controllers.guarded import guarded
from apinetlet.controllers.owned import apply, apply_owned, make_room, ownership, without
from apinetlet.controllers.reference import is_another, network_of, referring
from apinetlet.translate import loadbalancer as translate
from apinetlet.translate.addresses import addresses, lost, status
from apinetlet.translate.loadbalancer import View
from apinetlet.translate.refused import Refused
from apinetlet.translate.surplus import surplus
from reconcile import DONE, Change, Controller, ControllerSettings, For, Index, ObjectKey, Request, Result, Watches
from reconcile.controller.handler import enqueue_self

PREFIX = "prefix"
"""The index over source load balancers: by the keys of the Prefixes that hold their addresses."""


@frozen
class LoadBalancerReconciler:
    """Brings one source LoadBalancer and its two counterparts to agree."""

    bridge: Bridge
    mapped: Mapped[networking.LoadBalancer]
    follows_nodes: bool
    """Whether it may only run on the nodes of its destinations."""

    async def reconcile(self, request: Request) -> Result:
        balancer = self.bridge.source.store(self.mapped.source).get(request.key)
        if balancer is None:
            return await self.bridge.delete_dangling(self.mapped, request.key)
        if balancer.metadata.is_deleting:
            return await self.bridge.finalize(self.mapped, balancer)
        if not self.bridge.maps(self.mapped, balancer):
            return DONE
        return await self._map(balancer)

    async def _map(self, balancer: networking.LoadBalancer) -> Result:
        bridge = self.bridge
        balancer = await bridge.hold(self.mapped, balancer)
        waiting = await bridge.delete_stale(self.mapped, balancer)
        if not (network := network_of(bridge, balancer)):
            return waiting
        destinations = self._destinations(balancer)
        view = self._view(balancer, network, destinations)
        try:
            body = translate.load_balancer(view)
        except Refused as refused:
            bridge.warn(balancer, refused.reason, str(refused))
            return waiting
        if not await self._has_room(view, body):
            return Result(requeue_after=bridge.deletion_poll)
        target: apinet.LoadBalancer = await apply(bridge, balancer, body)
        target = await bridge.apinet.patch(target, surplus(target, body))
        await self._route(view, destinations, target)
        await bridge.report(balancer, status(balancer, addresses(target.spec.ips)))
        return waiting

    async def _has_room(self, view: View, body: dict[str, Any]) -> bool:
        live = () if view.target is None else view.target.spec.ips
        return await make_room(
            self.bridge,
            self.mapped,
            view.source,
            network=view.network,
            differing=translate.differences(view),
            gives_back=lost(live, (entry["name"] for entry in body["spec"].get("ips", ()))),
        )

    async def _route(
        self, view: View, destinations: Sequence[networking.Destination], target: apinet.LoadBalancer
    ) -> None:
        for fault in translate.faults(destinations):
            self.bridge.warn(view.source, "InvalidDestination", f"LoadBalancerRouting: {fault}")
        resource = self.bridge.kinds.apinet_load_balancer_routing
        balancers = self.bridge.kinds.apinet_load_balancer
        body = translate.routing(view, destinations, ownership(balancers, target))
        made: apinet.LoadBalancerRouting = await apply_owned(
            self.bridge, view.source, resource, body, owner=target, owned_by=balancers
        )
        if made.destinations and "destinations" not in body:
            await without(self.bridge, made, ("destinations",))

    def _destinations(self, balancer: networking.LoadBalancer) -> Sequence[networking.Destination]:
        """None while there is no routing: deleting it clears them."""
        routing = self.bridge.source.store(self.bridge.kinds.load_balancer_routing).get(balancer.metadata.key)
        return () if routing is None else routing.destinations

    def _view(
        self, balancer: networking.LoadBalancer, network: str, destinations: Sequence[networking.Destination]
    ) -> View:
        bridge = self.bridge
        prefixes = bridge.source.store(bridge.kinds.prefix)
        keys = [ObjectKey(balancer.metadata.namespace, name) for name in translate.prefix_names(balancer)]
        counterpart = ObjectKey(bridge.namespace, balancer.metadata.uid)
        return View(
            balancer,
            network=network,
            prefixes={key.name: found for key in keys if (found := prefixes.get(key)) is not None},
            nodes=translate.nodes(destinations, bridge.generation) if self.follows_nodes else (),
            target=bridge.apinet.store(bridge.kinds.apinet_load_balancer).get(counterpart),
            namespace=bridge.namespace,
            kinds=bridge.kinds,
            generation=bridge.generation,
        )


def by_prefix() -> Index:
    """The index over source load balancers that answers a change of a Prefix, whoever owns it by then."""

    def keys(balancer: networking.LoadBalancer) -> list[ObjectKey]:
        return [ObjectKey(balancer.metadata.namespace, name) for name in translate.prefix_names(balancer)]

    return Index(PREFIX, keys)


def load_balancer_controller(
    bridge: Bridge, settings: ControllerSettings, *, follows_nodes: bool = False, rng: Random | None = None
) -> Controller:
    """The controller and its table of watches."""
    kinds = bridge.kinds
    mapped = Mapped(kinds.load_balancer, (kinds.apinet_load_balancer, kinds.apinet_load_balancer_routing))
    renamed = is_another(bridge.generation, bridge.namespace)
    sources: list[For[Any] | Watches[Any]] = [
        For(bridge.source, kinds.load_balancer),
        Watches(bridge.source, kinds.load_balancer_routing, enqueue_self),  # of the same name
        Watches(bridge.source, kinds.prefix, _addressed_by_it(bridge)),
        Watches(bridge.source, kinds.network, referring(bridge, kinds.load_balancer), renamed),
        Watches(bridge.apinet, kinds.apinet_load_balancer, bridge.to_source("LoadBalancer")),
        Watches(bridge.apinet, kinds.apinet_load_balancer_routing, bridge.to_source("LoadBalancer")),
    ]
    return guarded(
        bridge,
        "loadbalancer",
        LoadBalancerReconciler(bridge, mapped, follows_nodes),
        sources,
        settings,
        rng,
        needed_by={kinds.prefix: lambda balancer: bool(translate.prefix_names(balancer))},
    )


def _addressed_by_it(bridge: Bridge) -> Callable[[Change[Any]], list[Request]]:
    def requests(change: Change[Any]) -> list[Request]:
        keys = bridge.source.store(bridge.kinds.load_balancer).keys_by(PREFIX, change.key)
        return [Request(bridge.source.name, *key) for key in keys]

    return requests
