"""Mirrors labelled ConfigMaps of one cluster into a namespace of another, and takes back what has no source.

The mirror carries the key of its source in annotations, and an index over them answers "whose mirror is this?": a
change on either side leads to the same key. Deleting needs no finalizer here, because a mirror whose source is gone is
found when either side changes, and at every start.
"""

import sys

import anyio
from attrs import frozen

from reconcile import (
    Change,
    Cluster,
    Controller,
    For,
    Index,
    Manager,
    NotFound,
    Object,
    ObjectKey,
    ObjectMeta,
    Request,
    Watched,
    Watches,
    connect,
)
from reconcile.kube.kinds import CONFIG_MAP

SOURCE_NAMESPACE, SOURCE_NAME = "mirror.example/namespace", "mirror.example/name"
SOURCE = "source"


def source_of(mirror: ObjectMeta) -> list[ObjectKey]:
    """The key that a mirror was made for: one, or none if it is not ours."""
    namespace, name = (mirror.annotations.get(key) for key in (SOURCE_NAMESPACE, SOURCE_NAME))
    return [ObjectKey(namespace, name)] if namespace and name else []


@frozen
class Mirror:
    """Brings the mirror of one ConfigMap up to date."""

    here: Cluster
    there: Cluster
    namespace: str

    async def reconcile(self, request: Request) -> None:
        source = self.here.store(CONFIG_MAP).get(request.key)
        if source is not None:
            await self.there.apply(self.mirror(source))
            return
        for mirror in self.there.store(CONFIG_MAP).by(SOURCE, request.key):
            if await self.is_gone(request.key):  # a cache may be behind: ask before deleting
                await self.there.delete(mirror)

    async def is_gone(self, key: ObjectKey) -> bool:
        try:
            await self.here.get(CONFIG_MAP, key)
        except NotFound:
            return True
        return False

    def mirror(self, source: Object) -> dict[str, object]:
        meta = source.metadata
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "namespace": self.namespace,
                "name": meta.uid,
                "annotations": {SOURCE_NAMESPACE: meta.namespace, SOURCE_NAME: meta.name},
            },
            "data": dict(source.get("data", {})),
        }


def mirror_controller(here: Cluster, there: Cluster, namespace: str) -> Controller:
    def to_source(change: Change[Object]) -> list[Request]:
        keys = {key for entry in (change.old, change.new) if entry for key in source_of(entry.meta)}
        return [Request(here.name, *key) for key in keys]

    return Controller(
        "mirror",
        Mirror(here, there, namespace),
        [For(here, CONFIG_MAP), Watches(there, CONFIG_MAP, to_source)],
    )


async def main(kubeconfig_here: str, kubeconfig_there: str, namespace: str) -> None:
    async with connect(kubeconfig_here) as client, connect(kubeconfig_there, field_manager="mirror") as other:
        here = Cluster("here", client, [Watched(CONFIG_MAP, labels="mirror=yes")])
        mirrors = Watched(CONFIG_MAP, namespaces=(namespace,), indexes=(Index(SOURCE, source_of, needs="meta"),))
        there = Cluster("there", other, [mirrors])
        async with Manager([here, there], [mirror_controller(here, there, namespace)]) as manager:
            await manager.run(signals=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3])
