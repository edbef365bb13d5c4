"""The api-net server's part in the life of load balancers and NAT gateways, played by controllers.

CRDs allocate nothing and nobody scales: here every entry gets an address and every gateway an entry, both after the
write that calls for it, where the real server allocates inside: the daemon has to wait for the events.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import orjson
from attrs import field, frozen

from apinetlet.api import Kinds
from reconcile import (
    Cluster,
    Controller,
    ControllerSettings,
    For,
    Manager,
    ManagerSettings,
    Request,
    Resource,
    Watched,
    connect,
)
from reconcile.kube import MergePatch
from reconcile.testing.envtest import ControlPlane


@frozen
class Addresses:
    """Gives every entry an address; a gateway without entries gets one, as the autoscaler has it."""

    cluster: Cluster
    resource: Resource[Any]
    free: "count[int]"
    entries: tuple[dict[str, str], ...] = field(default=())

    async def reconcile(self, request: Request) -> None:
        found = self.cluster.store(self.resource).get(request.key)
        if found is None or found.metadata.is_deleting:
            return
        spec = orjson.loads(found.metadata.raw)["spec"]
        wanted = spec.get("ips") or [dict(one) for one in self.entries]
        if spec.get("type") == "Internal" or all(one.get("ip") for one in wanted):
            return
        for one in wanted:
            if not one.get("ip"):
                number = next(self.free)
                one["ip"] = f"198.18.{number // 256}.{number % 256}"
        guard = {"resourceVersion": found.metadata.resource_version}
        await self.cluster.patch(found, MergePatch({"metadata": guard, "spec": {"ips": wanted}}))


@asynccontextmanager
async def data_plane(plane: ControlPlane, kinds: Kinds, namespace: str) -> AsyncIterator[None]:
    """All of it, while the block is open."""
    async with connect(plane.kubeconfig(), field_manager="data-plane", user_agent="data-plane") as client:
        served: dict[str, tuple[Resource[Any], tuple[dict[str, str], ...]]] = {
            "balancers": (kinds.apinet_load_balancer, ()),
            "gateways": (kinds.apinet_nat_gateway, ({"name": "first"},)),
        }
        watched = [Watched(resource, namespaces=(namespace,)) for resource, _ in served.values()]
        cluster, free = Cluster("apinet", client, watched), count(1)
        controllers = [
            Controller(
                name,
                Addresses(cluster, resource, free, entries),
                [For(cluster, resource)],
                ControllerSettings(workers=4),
            )
            for name, (resource, entries) in served.items()
        ]
        async with Manager([cluster], controllers, settings=ManagerSettings(preflight="off")) as manager:
            await manager.ready()
            yield
