"""One API server: stores to read, a client to write, and nothing in between that could disagree.

What is read was declared: a store of anything else is refused, for it would cost what nobody asked for. What is written
goes through here, so that the answer is in the store before the write returns: the next reconcile of any key of this
process reads it or something newer (``writing.py``). A write that surely changes nothing is not sent.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, TypeVar, cast, overload

import anyio
import attrs
import orjson
from anyio.abc import TaskStatus

from reconcile.cache import proof
from reconcile.cache.informer import Bell, Informer, InformerSettings, NotSynced, all_synced, plainly
from reconcile.cache.overlay import is_newer
from reconcile.cache.store import Store
from reconcile.cache.watched import Watched
from reconcile.cache.writing import Writing
from reconcile.core.clock import Seconds
from reconcile.kube import request as requests
from reconcile.kube.client import Client
from reconcile.kube.errors import AlreadyExists, NotFound
from reconcile.kube.journal import Outcome
from reconcile.kube.objects import Object, ObjectKey, ObjectMeta, structure_meta
from reconcile.kube.patch import Patch, merge
from reconcile.kube.request import Propagation
from reconcile.kube.resource import Resource

T = TypeVar("T")


class UndeclaredKind(LookupError):
    """A kind that was not declared for this cluster."""


@attrs.frozen
class ClusterSettings:
    """Limits of one cluster. Times in seconds."""

    informer: InformerSettings = attrs.field(factory=InformerSettings)
    settle_timeout: Seconds = 5.0
    """For the live read after a write whose outcome is not known."""


class Cluster:
    """A service: runs an informer for each kind in ``watched``. ``kinds`` are only written, or read live."""

    def __init__(
        self,
        name: str,
        client: Client,
        watched: Iterable[Watched[Any] | Resource[Any]] = (),
        *,
        kinds: Iterable[Resource[Any]] = (),
        settings: ClusterSettings = ClusterSettings(),
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.client = client
        self.settings = settings
        self._informers: dict[Resource[Any], Informer[Any]] = {}
        self._kinds: dict[tuple[str, str], Resource[Any]] = {}
        rng = rng or random.Random()
        without_watch_list: set[str] = set()
        self._moved = Bell()
        for declared in watched:
            one = Watched.of(declared)
            if one.resource in self._informers:
                raise ValueError(f"cluster {name} watches {one.resource.name} twice")
            self._informers[one.resource] = Informer(
                client,
                one,
                cluster=name,
                settings=settings.informer,
                rng=rng,
                without_watch_list=without_watch_list,
                moved=self._moved,
            )
        self._writing = Writing(name, client, self._informers, settings.settle_timeout)
        for resource in (*self._informers, *kinds):
            if self._kinds.setdefault((resource.api_version, resource.kind), resource) != resource:
                raise ValueError(f"cluster {name} has two declarations of {resource.kind} in {resource.api_version}")

    # running

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the stores current; started once all of them are synced.

        Raises:
            NotSynced: one cannot be watched, and why.
        """
        with plainly(NotSynced):
            async with anyio.create_task_group() as tasks:
                with ExitStack() as followed:
                    for informer in self.informers:
                        followed.enter_context(informer.following(tasks))
                    await all_synced(self.informers, self._moved, self.settings.informer.sync_timeout)
                    task_status.started()
                    await anyio.sleep_forever()  # also where nothing is watched: a service that ends is a failure

    @property
    def informers(self) -> tuple[Informer[Any], ...]:
        """In the order of their declaration."""
        return tuple(self._informers.values())

    @property
    def has_synced(self) -> bool:
        """Whether every store was whole once."""
        return all(informer.has_synced for informer in self.informers)

    # what was declared

    def resource(self, kind: type[T] | Resource[T]) -> Resource[T]:
        """The declared resource of a class; of a resource, itself.

        Raises:
            UndeclaredKind: it was not declared, or several kinds are read as that class.
        """
        if isinstance(kind, Resource):
            if kind in self._kinds.values():
                return kind
            raise self._undeclared(kind.name)
        found = [resource for resource in self._kinds.values() if resource.type is kind]
        if len(found) > 1:
            names = ", ".join(resource.name for resource in found)
            raise UndeclaredKind(
                f"cluster {self.name} reads several kinds as {kind.__name__}: {names}; name one of them"
            )
        if not found:
            raise self._undeclared(kind.__name__)
        return found[0]

    def informer(self, kind: type[T] | Resource[T]) -> Informer[T]:
        """What keeps the store of a kind current.

        Raises:
            UndeclaredKind: it is not watched.
        """
        resource = self.resource(kind)
        if resource not in self._informers:
            raise self._undeclared(resource.name)
        return self._informers[resource]

    def store(self, kind: type[T] | Resource[T]) -> Store[T]:
        """The local copy of a kind.

        Raises:
            UndeclaredKind: it is not watched.
        """
        return self.informer(kind).store

    def _undeclared(self, name: str) -> UndeclaredKind:
        watched = ", ".join(resource.name for resource in self._informers) or "nothing"
        others = ", ".join(resource.name for resource in self._kinds.values() if resource not in self._informers)
        more = f", and declares without watching: {others}" if others else ""
        return UndeclaredKind(f"cluster {self.name} does not declare {name} for this; it watches: {watched}{more}")

    def _of(self, obj: Any) -> Resource[Any]:
        """The declared resource of an object, typed or not."""
        if not isinstance(obj, Mapping):
            return self.resource(type(obj))
        kind = str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")
        if (found := self._kinds.get(kind)) is None:
            raise self._undeclared(" ".join(part for part in kind if part) or "an object that does not say its kind")
        return found

    def _manager(self, resource: Resource[Any]) -> str:
        """The field manager of what is written of a kind."""
        informer = self._informers.get(resource)
        manager = self.client.field_manager
        return manager if informer is None else informer.watched.manager_or(manager)

    # reading live

    async def get(self, kind: type[T] | Resource[T], key: ObjectKey) -> T:
        """The object as it is on the server now.

        From then on the store knows of it, too, so whoever acts on what was read also hears of its end. The watch alone
        might show neither: a list after a break tells nothing of what came and went before it.
        """
        resource = self.resource(kind)
        found = await self.client.get(resource, key)
        self._writing.saw(resource, _meta(found))
        return found

    # writing

    @property
    def writes(self) -> Counter[tuple[str, Outcome]]:
        """How many, by verb and outcome; those that were not sent too."""
        return self._writing.counts

    @overload
    async def apply(self, body: dict[str, Any], *, subresource: str = "", force: bool = True) -> Any: ...
    @overload
    async def apply(self, body: T, *, subresource: str = "", force: bool = True) -> T: ...
    async def apply(self, body: Any, *, subresource: str = "", force: bool = True) -> Any:
        """Server-side apply: the body is all that we want of the object. Not sent if it surely changes nothing.

        The object as it is then, from the answer or from the store.
        """
        resource, key = self._of(body), _key(body)
        sendable = resource.codec.dumps(body)
        known = self._writing.known(resource, key)
        if known is not None and proof.is_applied(known, orjson.loads(sendable), subresource):
            self._writing.note("apply", resource, key, "suppressed", subresource, known.meta.resource_version)
            return self._informers[resource].store.structure(known)
        manager = self._manager(resource)
        request = requests.apply(resource, key, sendable, field_manager=manager, force=force, subresource=subresource)
        return await self._writing.send("apply", resource, key, request, subresource)

    @overload
    async def apply_status(self, body: dict[str, Any], *, force: bool = True) -> Any: ...
    @overload
    async def apply_status(self, body: T, *, force: bool = True) -> T: ...
    async def apply_status(self, body: Any, *, force: bool = True) -> Any:
        """``apply`` to the status."""
        return await self.apply(body, subresource="status", force=force)

    async def patch(self, obj: T, patch: Patch | None, *, subresource: str = "") -> T:
        """Change part of an object. Nothing is sent if there is no patch, or the object already is as it wants.

        Raises:
            Conflict: another object has its name now, or the patch is guarded by a version that is no more.
        """
        resource, meta = self._of(obj), _meta(obj)
        if patch is None:
            return obj
        key = meta.key
        known = self._writing.known(resource, key)
        newest = known.meta if known is not None and is_newer(known.meta, meta) else meta
        if newest.uid == meta.uid:
            is_partial = self._writing.is_partial(resource, key)
            if proof.is_met(_document(obj, newest), patch, is_partial=is_partial):
                self._writing.note("patch", resource, key, "suppressed", subresource, meta.resource_version)
                return obj
        request = requests.patch(
            resource,
            key,
            proof.meant_for(patch, meta.uid),
            field_manager=self._manager(resource),
            subresource=subresource,
        )
        return cast(T, await self._writing.send("patch", resource, key, request, subresource, meta, patch))

    async def patch_status(self, obj: T, patch: Patch | None) -> T:
        """``patch`` of the status."""
        return await self.patch(obj, patch, subresource="status")

    @overload
    async def create(self, body: dict[str, Any]) -> Any: ...
    @overload
    async def create(self, body: T) -> T: ...
    async def create(self, body: Any) -> Any:
        """Create an object.

        Raises:
            AlreadyExists: there is one of that name.
        """
        resource, key = self._of(body), _key(body)
        manager = self._manager(resource)
        request = requests.create(resource, resource.codec.dumps(body), namespace=key.namespace, field_manager=manager)
        return await self._writing.send("create", resource, key, request)

    @overload
    async def create_if_absent(self, body: dict[str, Any]) -> Any: ...
    @overload
    async def create_if_absent(self, body: T) -> T: ...
    async def create_if_absent(self, body: Any) -> Any:
        """The object of that name, created if there is none. One that is there is left as it is."""
        resource, key = self._of(body), _key(body)
        if (known := self._writing.known(resource, key)) is not None:
            self._writing.note("create", resource, key, "suppressed", version=known.meta.resource_version)
            return self._informers[resource].store.structure(known)
        try:
            return await self.create(body)
        except AlreadyExists:
            return await self.get(resource, key)

    @overload
    async def update(self, obj: dict[str, Any], *, subresource: str = "") -> Any: ...
    @overload
    async def update(self, obj: T, *, subresource: str = "") -> T: ...
    async def update(self, obj: Any, *, subresource: str = "") -> Any:
        """Replace an object that was read, unless nothing about it was changed.

        If the store keeps only parts of it, a whole replacement would lose the rest: then what was changed is sent, as
        a patch that is refused like an update when somebody wrote in between.

        Raises:
            Conflict: somebody did.
        """
        resource = self._of(obj)
        document = resource.codec.document(obj)
        key, version = _key(document), str((document.get("metadata") or {}).get("resourceVersion") or "")
        known, raw = self._writing.known(resource, key), b"" if isinstance(obj, dict) else _meta(obj).raw
        if not raw and known is not None and version in ("", known.meta.resource_version):
            raw = known.raw
        change = merge(orjson.loads(raw), document) if raw else None
        if raw and change is None:
            self._writing.note("update", resource, key, "suppressed", subresource, version)
            return obj
        manager = self._manager(resource)
        if change is not None and self._writing.is_partial(resource, key):
            patch = proof.guarded(change, version)
            request = requests.patch(resource, key, patch, field_manager=manager, subresource=subresource)
        else:
            request = requests.update(resource, key, document, field_manager=manager, subresource=subresource)
        return await self._writing.send("update", resource, key, request, subresource, patch=change)

    async def delete(
        self,
        target: Any,
        key: ObjectKey | None = None,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: Propagation | None = None,
        grace_period_seconds: int | None = None,
    ) -> None:
        """Delete an object, given itself, or its kind and key. That it is gone already is fine.

        An object is only deleted if it still is the same one (its uid); of a kind and key that is ``uid``'s choice.
        With ``resource_version`` only if nobody wrote to it since. What is being deleted is not deleted again.

        Raises:
            Conflict: another object has its name now, or it has changed since that version.
        """
        if key is None:
            resource, last = self._of(target), _meta(target)
            key, uid = last.key, uid or last.uid
        else:
            resource, last = self.resource(target), ObjectMeta(namespace=key.namespace, name=key.name, uid=uid)
        known = self._writing.known(resource, key)
        if (
            known is not None
            and known.meta.is_deleting
            and uid in ("", known.meta.uid)
            and grace_period_seconds is None
        ):
            self._writing.note("delete", resource, key, "suppressed", version=known.meta.resource_version)
            return
        request = requests.delete(
            resource,
            key,
            uid=uid,
            resource_version=resource_version,
            propagation=propagation,
            grace_period_seconds=grace_period_seconds,
        )
        with suppress(NotFound):
            await self._writing.send("delete", resource, key, request, last=last)


def _meta(obj: Any) -> ObjectMeta:
    meta = getattr(obj, "metadata", None)
    return meta if isinstance(meta, ObjectMeta) else structure_meta(obj.get("metadata") or {})


def _document(obj: Any, newest: ObjectMeta) -> Mapping[str, Any] | None:
    """What is known of the newest state: of an untyped object that is it, the document parsed already."""
    if isinstance(obj, Object) and obj.metadata is newest:
        return obj.inside
    return cast(Mapping[str, Any], orjson.loads(newest.raw)) if newest.raw else None


def _key(body: Any) -> ObjectKey:
    """Which object a body is about, typed or not."""
    meta = getattr(body, "metadata", None)
    if isinstance(meta, ObjectMeta):
        return meta.key
    head = (body.get("metadata") if isinstance(body, Mapping) else None) or {}
    return ObjectKey(str(head.get("namespace") or ""), str(head.get("name") or ""))
