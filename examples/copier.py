"""Keeps a copy of every ConfigMap labelled ``copy=yes``; the garbage collector takes it away with its original."""

import anyio

from reconcile import Cluster, Controller, For, Manager, Owns, Request, Watched, connect
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.objects import ObjectKey
from reconcile.kube.owners import reference


def copier(cluster: Cluster) -> Controller:
    async def reconcile(request: Request) -> None:
        original = cluster.store(CONFIG_MAP).get(request.key)
        if original is not None and original.metadata.labels.get("copy") == "yes":
            key = ObjectKey(request.namespace, f"{request.name}-copy")
            metadata = {**key._asdict(), "ownerReferences": [reference(key, original, CONFIG_MAP)]}
            await cluster.apply(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": original.get("data", {})}
            )

    return Controller("copier", reconcile, [For(cluster, CONFIG_MAP), Owns(cluster, CONFIG_MAP)])


async def main() -> None:
    async with connect(field_manager="copier") as client:
        cluster = Cluster("main", client, [Watched(CONFIG_MAP)])
        async with Manager([cluster], [copier(cluster)]) as manager:
            await manager.run(signals=True)


if __name__ == "__main__":
    anyio.run(main)
