"""Keeps one api-net Network per source Network, and reports its ID back.

Reads as its decision table: gone, deleting, not ours, mapped. It asks what is true now, never which event came; each
pass does all the writes it can, and a pass on a mapped world does none.
"""

import logging
from collections.abc import Callable
from random import Random

from attrs import frozen

from apinetlet.api import apinet, networking
from apinetlet.api.networking import NetworkState
from apinetlet.controllers.bridge import Bridge
from apinetlet.translate import network as translate
from apinetlet.translate.network import Standing, View
from reconcile import (
    DONE,
    ApiError,
    Change,
    Controller,
    ControllerSettings,
    For,
    KubeError,
    NotFound,
    Request,
    Result,
    Watches,
)
from reconcile.kube import MergePatch, finalizers

log = logging.getLogger(__name__)


@frozen
class NetworkReconciler:
    """Brings one source Network and its counterpart to agree."""

    bridge: Bridge

    async def reconcile(self, request: Request) -> Result:
        network = self.bridge.source.store(self.bridge.kinds.network).get(request.key)
        if network is None:
            return await self.bridge.delete_dangling(
                self.bridge.kinds.network, self.bridge.kinds.apinet_network, request.key
            )
        if network.metadata.is_deleting:
            return await self.bridge.finalize(
                network, kind=self.bridge.kinds.network, target=self.bridge.kinds.apinet_network
            )
        if not self.bridge.eligibility.admits(network.metadata):
            return DONE
        if not self.bridge.origins("Network").fits(network.metadata):
            self._warn(network, "NameNotMappable", "the name is no valid label value: no api-net Network can record it")
            return DONE
        return await self._map(network)

    async def _map(self, network: networking.Network) -> Result:
        bridge = self.bridge
        network = await bridge.source.patch(network, finalizers.add(network, bridge.generation.finalizer("Network")))
        waiting = await bridge.delete_stale(bridge.kinds.network, bridge.kinds.apinet_network, network)
        target = await self._apply(network)
        network = await bridge.source.patch(network, translate.network_spec(View(network, target, bridge.generation)))
        await self._report(View(network, target, bridge.generation))
        return waiting

    async def _apply(self, network: networking.Network) -> apinet.Network:
        """The counterpart as the server answered it: the only place where its ID is sure to be the current one."""
        bridge = self.bridge
        body = translate.network(
            network, resource=bridge.kinds.apinet_network, namespace=bridge.namespace, origins=bridge.origins("Network")
        )
        try:
            target: apinet.Network = await bridge.apinet.apply(body)
            return target
        except KubeError as error:
            if isinstance(error, ApiError) and translate.is_exhausted(error.code, error.message):
                self._warn(network, "NetworkIDExhausted", "the api-net cluster has no network ID left")
            await self._report_pending(network)
            raise

    async def _report(self, view: View) -> None:
        match view.standing:
            case Standing.UNKNOWN:  # the server's allocation comes with an event of the counterpart
                patch = translate.pending(view.source)
            case Standing.MISMATCHED:
                patch = translate.network_status(view.source, NetworkState.ERROR)
                self._warn(
                    view.source,
                    "ProviderIDMismatch",
                    f"provider ID {view.source.spec.provider_id} does not name the live counterpart {view.provider_id}",
                )
            case Standing.UNSET | Standing.MATCHING:
                patch = translate.network_status(view.source, NetworkState.AVAILABLE)
        await self._patch_status(view.source, patch)

    async def _report_pending(self, network: networking.Network) -> None:
        """Best effort: the error that led here matters more than one that keeps us from telling."""
        try:
            await self._patch_status(network, translate.pending(network))
        except KubeError as error:
            log.info("Could not report a pending network key=%s error=%s", network.metadata.key, error)

    async def _patch_status(self, network: networking.Network, patch: MergePatch | None) -> None:
        try:
            await self.bridge.source.patch_status(network, patch)
        except NotFound:
            log.info("Network was deleted meanwhile key=%s", network.metadata.key)

    def _warn(self, network: networking.Network, reason: str, message: str) -> None:
        self.bridge.events.event(network, "Warning", reason, message)


def network_controller(bridge: Bridge, settings: ControllerSettings, *, rng: Random | None = None) -> Controller:
    """The controller and its table of watches."""
    return Controller(
        "network",
        NetworkReconciler(bridge),
        sources=[
            For(bridge.source, bridge.kinds.network),
            Watches(bridge.apinet, bridge.kinds.apinet_network, to_source(bridge, "Network")),
        ],
        settings=settings,
        rng=rng,
    )


def to_source(bridge: Bridge, kind: str) -> Callable[[Change[apinet.Network]], list[Request]]:
    """Maps a change of a target to the sources recorded on it, before and after: stripped metadata is noticed, too."""
    origins = bridge.origins(kind)

    def requests(change: Change[apinet.Network]) -> list[Request]:
        keys = {key for entry in (change.old, change.new) if entry is not None for key in origins.keys(entry.meta)}
        return [Request(bridge.source.name, *key) for key in sorted(keys) if bridge.eligibility.watches(key.namespace)]

    return requests
