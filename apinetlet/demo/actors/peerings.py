"""Networks that want to be peers, from both sides: each is told that the other one wants it, too.

Plays the controllers for peerings and for their release. A network lists as incoming those of its peers that are there,
are available and want it; what is no longer so is listed no more.
Source: the controllers for peerings of networks of the Go source clusters.
"""

from typing import Any

from attrs import frozen

from apinetlet.demo.actors.desk import PEER, SOURCE, Desk, look, peers_of, requests, sees, wishes
from reconcile import DONE, Controller, For, Object, Request, Result, Watches, enqueue_by
from reconcile.controller.source import AnySource
from reconcile.kube import MergePatch


@frozen
class Peerings:
    """Fills in the incoming peerings of a network."""

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        desk = self.desk
        network = desk.of("networks", request.key)
        if network is None or network.metadata.is_deleting:
            return DONE
        peers = [peer for key in peers_of(network) if (peer := desk.of("networks", key)) is not None]
        wanted = [_claim(peer) for peer in peers if _is_available(peer) and request.key in peers_of(peer)]
        if (look(network, "spec", "incomingPeerings") or []) != wanted:
            await desk.source.patch(network, MergePatch({"spec": {"incomingPeerings": wanted or None}}))
        return DONE


def _is_available(network: Object) -> bool:
    return bool(look(network, "status", "state") == "Available")


def _claim(peer: Object) -> dict[str, str]:
    return {"namespace": peer.metadata.namespace, "name": peer.metadata.name, "uid": peer.metadata.uid}


def _offered(network: Object) -> tuple[Any, ...]:
    """What those see of a network that want to be its peers."""
    return network.metadata.uid, _is_available(network), peers_of(network)


def controllers(desk: Desk) -> list[Controller]:
    """The one for all networks; none where the data plane knows no peerings, for nobody would look."""
    if not desk.generation.has_peerings:
        return []
    networks = desk.at_source["networks"]

    def wanting(network: Object) -> list[Request]:
        return requests(SOURCE, desk.source.store(networks).keys_by(PEER, network.metadata.key))

    sources: list[AnySource] = [
        For(desk.source, networks, sees(wishes("peerings", "incomingPeerings"))),
        Watches(desk.source, networks, enqueue_by(wanting), sees(_offered)),
    ]
    return [desk.controller("network-peerings", Peerings(desk), sources)]
