"""What the Go daemon writes to both clusters, so that a test can leave it behind.

It applies whole typed objects, so its field set has empty parts, too, and it patches sources. Releases for ``ironcore``
up to 0.3 wrote the whole origin as labels.
"""

from typing import Any

import pytest
from attrs import frozen

from apinetlet.api import IRONCORE, ONMETAL, Generation
from apinetlet.api.generation import NameIn
from apinetlet.demo.world import TARGET_NAMESPACE, World
from apinetlet.origin import Origins
from reconcile import Client, ObjectKey, ObjectMeta, Resource
from reconcile.kube import MergePatch

LAYOUTS = [
    pytest.param(ONMETAL, False, id="onmetal"),
    pytest.param(IRONCORE, False, id="ironcore"),
    pytest.param(IRONCORE, True, id="ironcore-former-layout"),
]
"""The generations, and whether the origin is laid out as by a former release."""


def origin(generation: Generation, kind: str, source: ObjectMeta, *, former: bool) -> dict[str, Any]:
    """The metadata by which it says whose a counterpart is."""
    placed = {where: dict(values) for where, values in Origins(generation, kind).metadata(source).items()}
    if former:
        assert generation.name_in is NameIn.ANNOTATION
        return {"labels": {**placed["labels"], **placed["annotations"]}}
    return placed


@frozen
class GoDaemon:
    """Its two clients, and how it writes with them."""

    generation: Generation
    here: Client
    there: Client
    former: bool

    @classmethod
    def between(cls, world: World, *, former: bool) -> "GoDaemon":
        manager = world.generation.field_manager
        here, there = (one.client(field_manager=manager, user_agent="go") for one in (world.source, world.apinet))
        return cls(world.generation, here, there, former)

    async def apply(self, resource: Resource[Any], kind: str, source: ObjectMeta, **parts: Any) -> Any:
        """The counterpart of a source of that kind, whole; ``owners`` among its ``parts`` go to its head."""
        metadata = {"name": source.uid, "namespace": TARGET_NAMESPACE, **self.origin(kind, source)}
        if owners := parts.pop("owners", None):
            metadata["ownerReferences"] = owners
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        return await self.there.apply(resource, {**head, "metadata": metadata, **parts})

    async def keep(
        self, resource: Resource[Any], key: ObjectKey, *, status: dict[str, Any], spec: dict[str, Any] | None = None
    ) -> None:
        """Its finalizer on a source, what it writes into the spec, and what it reports."""
        head = {"finalizers": [self.generation.finalizer(resource.kind)]}
        await self.here.patch(resource, key, MergePatch({"metadata": head, "spec": spec or {}}))
        await self.here.patch(resource, key, MergePatch({"status": status}), subresource="status")

    def origin(self, kind: str, source: ObjectMeta) -> dict[str, Any]:
        return origin(self.generation, kind, source, former=self.former)
