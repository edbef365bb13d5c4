"""Keeps one api-net Network per source Network, and reports its ID back.

Reads as its decision table: gone, deleting, not ours, mapped. It asks what is true now, never which event came; each
pass does all the writes it can, and a pass on a mapped world does none.
"""

import logging
from random import Random
from typing import Any

from attrs import frozen

from apinetlet.api import apinet, networking
from apinetlet.api.networking import NetworkState
from apinetlet.controllers.bridge import Bridge, Mapped
from apinetlet.controllers.guarded import guarded
from apinetlet.controllers.owned import without
from apinetlet.controllers.peering import Peerings, peer_sources
from apinetlet.controllers.refusals import is_refusal
from apinetlet.translate import network as translate
from apinetlet.translate.network import Standing, View
from reconcile import (
    DONE,
    ApiError,
    Controller,
    ControllerSettings,
    For,
    KubeError,
    Request,
    Result,
    Watches,
)

log = logging.getLogger(__name__)


@frozen
class NetworkReconciler:
    """Brings one source Network and its counterpart to agree."""

    bridge: Bridge
    mapped: Mapped[networking.Network]
    peerings: Peerings

    async def reconcile(self, request: Request) -> Result:
        network = self.bridge.source.store(self.mapped.source).get(request.key)
        if network is None:
            return await self.bridge.delete_dangling(self.mapped, request.key)
        if network.metadata.is_deleting:
            return await self.bridge.finalize(self.mapped, network)
        if not self.bridge.maps(self.mapped, network):
            return DONE
        return await self._map(network)

    async def _map(self, network: networking.Network) -> Result:
        bridge = self.bridge
        network = await bridge.hold(self.mapped, network)
        waiting = await bridge.delete_stale(self.mapped, network)
        target = await self._apply(network)
        network = await bridge.source.patch(network, translate.network_spec(View(network, target, bridge.generation)))
        await self._report(View(network, target, bridge.generation))
        return Result(requeue_after=bridge.deletion_poll) if self.peerings.waits(network) else waiting

    async def _apply(self, network: networking.Network) -> apinet.Network:
        """The counterpart as the server answered it: the only place where its ID is sure to be the current one."""
        bridge = self.bridge
        body = translate.network(
            network,
            resource=bridge.kinds.apinet_network,
            namespace=bridge.namespace,
            origins=bridge.origins("Network"),
            peerings=self.peerings.wanted(network),
        )
        try:
            target: apinet.Network = await bridge.apply(body)
            if target.spec.peerings and "spec" not in body:  # none of ours
                target = await without(bridge, target, ("spec", "peerings"))
            return target
        except KubeError as error:
            if isinstance(error, ApiError) and translate.is_exhausted(error.code, error.message):
                bridge.warn(network, "NetworkIDExhausted", "the api-net cluster has no network ID left")
            elif is_refusal(error):
                bridge.warn(network, "ApplyFailed", f"Network {network.metadata.uid}: {error}")
            await self._report_pending(network)
            raise

    async def _report(self, view: View) -> None:
        peerings = self.peerings.statuses(view.target)
        match view.standing:
            case Standing.UNKNOWN:  # the server's allocation comes with an event of the counterpart
                patch = translate.pending(view.source, peerings)
            case Standing.MISMATCHED:
                patch = translate.network_status(view.source, NetworkState.ERROR, peerings)
                self.bridge.warn(
                    view.source,
                    "ProviderIDMismatch",
                    f"provider ID {view.source.spec.provider_id} does not name the live counterpart {view.provider_id}",
                )
            case Standing.UNSET | Standing.MATCHING:
                patch = translate.network_status(view.source, NetworkState.AVAILABLE, peerings)
        await self.bridge.report(view.source, patch)

    async def _report_pending(self, network: networking.Network) -> None:
        """Best effort: the error that led here matters more than one that keeps us from telling."""
        try:
            await self.bridge.report(network, translate.pending(network))
        except KubeError as error:
            log.info("Could not report a pending network key=%s error=%s", network.metadata.key, error)


def network_controller(
    bridge: Bridge, settings: ControllerSettings, *, reports_peerings: bool = True, rng: Random | None = None
) -> Controller:
    """The controller and its table of watches."""
    kinds = bridge.kinds
    sources: list[For[Any] | Watches[Any]] = [
        For(bridge.source, kinds.network),
        Watches(bridge.apinet, kinds.apinet_network, bridge.to_source("Network")),
    ]
    return guarded(
        bridge,
        "network",
        NetworkReconciler(
            bridge, Mapped(kinds.network, (kinds.apinet_network,)), Peerings(bridge, are_reported=reports_peerings)
        ),
        sources,
        settings,
        rng,
        beside=peer_sources(bridge) if bridge.generation.has_peerings else (),
    )
