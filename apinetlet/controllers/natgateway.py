"""Keeps one api-net NATGateway and its autoscaler per source NATGateway, and reports the addresses back.

Reads as its decision table: gone, deleting, not ours, without a network, refused, to be made anew, mapped. The entries
of the gateway are the autoscaler's; whatever becomes of that, the addresses there are, are reported.
"""

from random import Random
from typing import Any

from attrs import frozen

from apinetlet.api import apinet, networking
from apinetlet.controllers.bridge import Bridge, Mapped
from apinetlet.controllers.guarded import guarded
from apinetlet.controllers.owned import apply, apply_owned, make_room, ownership
from apinetlet.controllers.reference import is_another, network_of, referring
from apinetlet.translate import natgateway as translate
from apinetlet.translate.addresses import addresses, status
from apinetlet.translate.natgateway import Scale, View
from apinetlet.translate.refused import Refused
from reconcile import DONE, Controller, ControllerSettings, For, KubeError, ObjectKey, Request, Result, Watches


@frozen
class NATGatewayReconciler:
    """Brings one source NATGateway and its two counterparts to agree."""

    bridge: Bridge
    mapped: Mapped[networking.NATGateway]
    scale: Scale

    async def reconcile(self, request: Request) -> Result:
        gateway = self.bridge.source.store(self.mapped.source).get(request.key)
        if gateway is None:
            return await self.bridge.delete_dangling(self.mapped, request.key)
        if gateway.metadata.is_deleting:
            return await self.bridge.finalize(self.mapped, gateway)
        if not self.bridge.maps(self.mapped, gateway):
            return DONE
        return await self._map(gateway)

    async def _map(self, gateway: networking.NATGateway) -> Result:
        bridge = self.bridge
        gateway = await bridge.hold(self.mapped, gateway)
        waiting = await bridge.delete_stale(self.mapped, gateway)
        if not (network := network_of(bridge, gateway)):
            return waiting
        view = self._view(gateway, network)
        try:
            body = translate.nat_gateway(view)
        except Refused as refused:
            bridge.warn(gateway, refused.reason, str(refused))
            return waiting
        differing = translate.differences(view)
        if not await make_room(bridge, self.mapped, gateway, network=network, differing=differing):
            return Result(requeue_after=bridge.deletion_poll)
        target: apinet.NATGateway = await apply(bridge, gateway, body)
        failure = await self._scale(view, target)
        await bridge.report(gateway, status(gateway, addresses(target.spec.ips)))
        if failure is not None:
            raise failure
        return waiting

    async def _scale(self, view: View, target: apinet.NATGateway) -> KubeError | None:
        """Apply the autoscaler. Why that failed, if it did: the addresses are reported all the same."""
        kinds = self.bridge.kinds
        gateways, resource = kinds.apinet_nat_gateway, kinds.apinet_nat_gateway_autoscaler
        body = translate.autoscaler(view, self.scale, ownership(gateways, target))
        try:
            await apply_owned(self.bridge, view.source, resource, body, owner=target, owned_by=gateways)
        except KubeError as error:
            return error
        return None

    def _view(self, gateway: networking.NATGateway, network: str) -> View:
        bridge = self.bridge
        counterpart = ObjectKey(bridge.namespace, gateway.metadata.uid)
        return View(
            gateway,
            network=network,
            target=bridge.apinet.store(bridge.kinds.apinet_nat_gateway).get(counterpart),
            namespace=bridge.namespace,
            kinds=bridge.kinds,
            generation=bridge.generation,
        )


def nat_gateway_controller(
    bridge: Bridge, settings: ControllerSettings, *, scale: Scale, rng: Random | None = None
) -> Controller:
    """The controller and its table of watches."""
    kinds = bridge.kinds
    mapped = Mapped(kinds.nat_gateway, (kinds.apinet_nat_gateway, kinds.apinet_nat_gateway_autoscaler))
    renamed = is_another(bridge.generation, bridge.namespace)
    sources: list[For[Any] | Watches[Any]] = [
        For(bridge.source, kinds.nat_gateway),
        Watches(bridge.source, kinds.network, referring(bridge, kinds.nat_gateway), renamed),
        Watches(bridge.apinet, kinds.apinet_nat_gateway, bridge.to_source("NATGateway")),
        Watches(bridge.apinet, kinds.apinet_nat_gateway_autoscaler, bridge.to_source("NATGateway")),
    ]
    return guarded(bridge, "natgateway", NATGatewayReconciler(bridge, mapped, scale), sources, settings, rng)
