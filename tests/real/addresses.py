"""The api-net server's part in the life of addresses, played by a controller: CRDs allocate and claim nothing.

Every IP gets an address, and the interface that lists it as its claimer; every interface comes up. All of it happens
after the write that calls for it, where the real server does it inside: the daemon has to wait for the events.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from attrs import field, frozen

from apinetlet.api import Kinds, apinet
from reconcile import (
    Change,
    Cluster,
    Controller,
    ControllerSettings,
    For,
    Index,
    Manager,
    ManagerSettings,
    Request,
    Watched,
    Watches,
    connect,
)
from reconcile.kube import MergePatch
from reconcile.testing.envtest import ControlPlane

LISTING = "listing"
"""The index over interfaces: by the addresses that each lists."""


@frozen
class Addresses:
    """Gives addresses, and writes down who uses them."""

    cluster: Cluster
    kinds: Kinds
    free: "count[int]" = field(factory=lambda: count(1))

    async def reconcile(self, request: Request) -> None:
        ip = self.cluster.store(self.kinds.apinet_ip).get(request.key)
        if ip is None:
            return
        if not ip.spec.ip:
            number = next(self.free)
            ip = await self.cluster.patch(ip, MergePatch({"spec": {"ip": f"198.18.{number // 256}.{number % 256}"}}))
        users = self.cluster.store(self.kinds.apinet_network_interface).by(LISTING, ip.spec.ip)
        if not users:
            await self.cluster.patch(ip, MergePatch({"spec": {"claimRef": None}}))
        elif ip.spec.claim_ref is None:
            resource, meta = self.kinds.apinet_network_interface, users[0].metadata
            named = {"group": resource.group, "resource": resource.plural, "name": meta.name, "uid": meta.uid}
            await self.cluster.patch(ip, MergePatch({"spec": {"claimRef": named}}))


@frozen
class Machines:
    """Brings interfaces up, with the addresses that they list."""

    cluster: Cluster
    kinds: Kinds

    async def reconcile(self, request: Request) -> None:
        found = self.cluster.store(self.kinds.apinet_network_interface).get(request.key)
        if found is not None:
            status = {"state": "Ready", "publicIPs": [one.ip for one in found.spec.public_ips] or None}
            await self.cluster.patch_status(found, MergePatch({"status": status}))


def listed(found: apinet.NetworkInterface) -> list[str]:
    return [one.ip for one in found.spec.public_ips if one.ip]


@asynccontextmanager
async def data_plane(plane: ControlPlane, kinds: Kinds, namespace: str) -> AsyncIterator[None]:
    """Both of them, while the block is open."""
    async with connect(plane.kubeconfig(), field_manager="data-plane", user_agent="data-plane") as client:
        cluster = Cluster(
            "apinet",
            client,
            [
                Watched(
                    kinds.apinet_ip, namespaces=(namespace,), indexes=(Index("ip", lambda ip: ip.spec.ip or None),)
                ),
                Watched(kinds.apinet_network_interface, namespaces=(namespace,), indexes=(Index(LISTING, listed),)),
            ],
        )
        ips, nics = kinds.apinet_ip, kinds.apinet_network_interface

        def users(change: Change[apinet.NetworkInterface]) -> list[Request]:
            sides = (change.old_object, change.new_object)
            found = {ip for side in sides if side is not None for ip in listed(side)}
            return [Request("apinet", *key) for ip in sorted(found) for key in cluster.store(ips).keys_by("ip", ip)]

        settings = ControllerSettings(workers=4)
        controllers = [
            Controller(
                "addresses", Addresses(cluster, kinds), [For(cluster, ips), Watches(cluster, nics, users)], settings
            ),
            Controller("machines", Machines(cluster, kinds), [For(cluster, nics)], settings),
        ]
        async with Manager([cluster], controllers, settings=ManagerSettings(preflight="off")) as manager:
            await manager.ready()
            yield
