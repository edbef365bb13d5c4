"""The words of the scenarios of all kinds: what people do to either cluster, and what is there then.

A ``Desk`` is a ``Lab`` that speaks of any kind: the kind says which cluster is meant. Documents are read as they are
stored, so that a test sees every field, also those that nobody here knows.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from attrs import evolve

from apinetlet.api import Generation
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.origin import Origins
from reconcile import Manager, ObjectKey, ObjectMeta, Resource
from reconcile.kube import MergePatch
from reconcile.kube.kinds import EVENT
from reconcile.testing.apiserver import ApiServer
from tests.scenarios.daemon import Lab

HOME = "default"


class Desk(Lab):
    """Two servers and a daemon, at which tests of every kind sit."""

    def server(self, resource: Resource[Any]) -> ApiServer:
        """Where a kind is served."""
        return self.world.apinet if resource.group == self.generation.apinet else self.world.source

    # -- what people do --------------------------------------------------------------------------------------------

    async def create(
        self, resource: Resource[Any], name: str, *, namespace: str = "", metadata: Any = (), **parts: Any
    ) -> ObjectMeta:
        """Create an object; ``parts`` are its top-level fields. Its head as the server answered it."""
        home = TARGET_NAMESPACE if resource.group == self.generation.apinet else HOME
        body = {"metadata": {"name": name, **dict(metadata)}, **parts}
        made = await self.server(resource).client().create(resource, body, namespace=namespace or home)
        head: ObjectMeta = made.metadata
        return head

    async def change(self, resource: Resource[Any], meta: ObjectMeta, patch: Any, *, subresource: str = "") -> None:
        """Patch an object as somebody else."""
        await self.server(resource).client().patch(resource, meta.key, MergePatch(patch), subresource=subresource)

    async def delete(self, resource: Resource[Any], meta: ObjectMeta) -> None:
        """Delete an object as somebody else; it stays while it has finalizers."""
        await self.server(resource).client().delete(resource, meta.key)

    async def delete_by_force(self, resource: Resource[Any], meta: ObjectMeta) -> None:
        """Delete an object and strip its finalizers."""
        await self.delete(resource, meta)
        await self.change(resource, meta, {"metadata": {"finalizers": None}})

    async def quiet(self, daemon: Manager, controller: str) -> None:
        """Looked at a hundred times, everything stays as it is."""
        before = self.everything()
        for number in range(100):
            daemon.controller(controller).enqueue_all(f"pass {number}")
            await self.rest(1)
        assert self.everything() == before

    async def quiet_after_a_restart(self) -> None:
        """Another life of the daemon writes nothing, and reads no object by itself."""
        gets, writes = [len(self.requests(side, "get")) for side in ("source", "apinet")], self.world.writes
        before = self.everything()
        async with self.daemon():
            await self.rest()
        assert self.everything() == before
        assert self.world.writes == writes
        assert [len(self.requests(side, "get")) for side in ("source", "apinet")] == gets

    async def declare_network(self, name: str = "blue", **metadata: Any) -> ObjectMeta:
        """A user declares a network."""
        return await self.create(self.world.kinds.network, name, metadata=metadata, spec={})

    def origin(self, kind: str, meta: ObjectMeta) -> dict[str, Any]:
        """The origin metadata that a counterpart of ``meta`` carries."""
        return {where: dict(values) for where, values in Origins(self.generation, kind).metadata(meta).items()}

    # -- what is there ---------------------------------------------------------------------------------------------

    def all(self, resource: Resource[Any]) -> list[dict[str, Any]]:
        """The stored objects of a kind, whole."""
        return [orjson.loads(one.metadata.raw) for one in self.server(resource).objects(resource)]

    def find(self, resource: Resource[Any], key: ObjectKey) -> dict[str, Any] | None:
        """One of them; ``None`` if there is none."""
        found = [
            one
            for one in self.all(resource)
            if (one["metadata"].get("namespace", ""), one["metadata"]["name"]) == tuple(key)
        ]
        return found[0] if found else None

    def live(self, resource: Resource[Any], meta: ObjectMeta) -> dict[str, Any]:
        """A source object as it is now; fails if it is not there."""
        found = self.find(resource, meta.key)
        assert found is not None, f"no {resource.kind} {meta.key}"
        return found

    def made_for(self, resource: Resource[Any], meta: ObjectMeta) -> dict[str, Any]:
        """The counterpart of a source object; fails if it is not there."""
        found = self.find(resource, ObjectKey(TARGET_NAMESPACE, meta.uid))
        assert found is not None, f"no {resource.kind} for {meta.key}"
        return found

    def told(self, reason: str = "") -> list[str]:
        """The messages of the Events of that reason."""
        return [str(one["message"]) for one in self.world.source.objects(EVENT) if reason in ("", one["reason"])]

    def everything(self) -> dict[str, str]:
        """The resource version of every object on both sides, Events and Leases apart."""
        return dict(self._versions())

    def _versions(self) -> Iterator[tuple[str, str]]:
        for side, server in (("source", self.world.source), ("apinet", self.world.apinet)):
            for table, content in server.storage.tables.items():
                if not table.startswith(("events", "leases")):
                    for stored in content.objects.values():
                        yield f"{side} {table} {stored.key}", orjson.loads(stored.raw)["metadata"]["resourceVersion"]

    def requests(self, side: str, verb: str) -> list[str]:
        """The resources that the daemon asked one side for in that way, oldest first."""
        server = self.world.source if side == "source" else self.world.apinet
        return [one.resource for one in server.audit if one.user_agent == DAEMON and one.verb == verb]


@asynccontextmanager
async def desk(generation: Generation, *, collects: bool = True, **world: Any) -> AsyncIterator[Desk]:
    """An empty pair of clusters; ``collects``: whether they collect what has lost its owners."""
    both = World(generation, **world)
    for server in (both.source, both.apinet):
        server.settings = evolve(server.settings, garbage_collection=collects)
    async with both:
        yield Desk(both)
