"""Sends writes, and puts their answers where the next reader looks.

The answer is in the store before the write returns. Every write, sent or not, is counted and told to the journal.

When the outcome of a write is not known, for the connection broke after it was sent, the object is read live before the
error is raised: the store then shows what the write did. Where that fails too, or the call was cancelled, the store
shows what it showed before, and the event of the write, if it happened, follows as any other does. So a reconcile that
is run again decides on the truth or on a past of it, never on a mixture. A create with ``generateName`` is the one
write that may happen twice.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import anyio
import attrs

from reconcile.cache.change import differing_paths
from reconcile.cache.entry import Entry
from reconcile.cache.informer import Informer
from reconcile.core.clock import Seconds
from reconcile.kube.client import Client, is_gone
from reconcile.kube.errors import AlreadyExists, BadAnswer, Conflict, ConnectionFailed, Invalid, KubeError, NotFound
from reconcile.kube.journal import Outcome, Write, record
from reconcile.kube.objects import BadObject, ObjectKey, ObjectMeta
from reconcile.kube.patch import Patch
from reconcile.kube.request import HttpRequest
from reconcile.kube.resource import Resource

_Paths: TypeAlias = tuple[str, ...] | Callable[[], tuple[str, ...]]


@attrs.define(eq=False)
class Writing:
    """The writes of one cluster. ``settle_timeout``: for the live read after a write with unknown outcome."""

    cluster: str
    client: Client
    informers: Mapping[Resource[Any], Informer[Any]]
    settle_timeout: Seconds
    counts: Counter[tuple[str, Outcome]] = attrs.field(init=False, factory=Counter)
    """How many, by verb and outcome."""

    async def send(
        self,
        verb: str,
        resource: Resource[Any],
        key: ObjectKey,
        request: HttpRequest,
        subresource: str = "",
        last: ObjectMeta | None = None,
        patch: Patch | None = None,
    ) -> Any:
        """The object that answers ``request``, ``None`` if a deletion left nothing of it.

        ``last``: the state it was decided on; ``patch``: what it is to change, if that is known.
        """
        informer = self.informers.get(resource)
        known = None if informer is None else informer.store.entry(key)
        try:
            body = (await self.client.request(request)).body
        except (KubeError, asyncio.CancelledError) as error:
            if (conflict := _conflict_in(error)) is not None:
                self.note(verb, resource, key, "conflict", subresource)
                raise conflict from error
            outcome: Outcome = "conflict" if isinstance(error, (Conflict, AlreadyExists)) else "failed"
            if verb == "delete" and isinstance(error, NotFound):
                self._own_delete(resource, last or _only(key))
                outcome = "noop"
            self.note(verb, resource, key, outcome, subresource)
            if isinstance(error, ConnectionFailed) and error.sent and key.name:
                await self._settle(resource, key)
            raise
        if verb == "delete" and is_gone(resource, body):
            self._own_delete(resource, last or _only(key))
            self.note(verb, resource, key, "changed", subresource)
            return None
        entry: Entry | None = None
        try:
            # other subresources answer with objects of other kinds
            if informer is not None and subresource in ("", "status"):
                entry = informer.reader.read(body)
                informer.own(entry)
            if informer is None or entry is None or entry.is_partial:
                answer = resource.codec.decode(body)
            else:
                answer = informer.store.structure(entry)
        except BadObject as error:
            raise BadAnswer(str(error), about=resource.name) from error
        meta: ObjectMeta = answer.metadata if entry is None else entry.meta
        before = known.meta if known is not None else last
        if before is not None and before.resource_version == meta.resource_version and before.uid == meta.uid:
            self.note(verb, resource, meta.key, "noop", subresource, meta.resource_version)
            return answer
        paths: _Paths = ()
        kept_bytes = 0
        if patch is not None:
            paths, kept_bytes = partial(_paths, patch), len(request.body)
        elif known is not None and entry is not None:
            paths, kept_bytes = partial(differing_paths, known.raw, entry.raw), len(known.raw)
        self.note(verb, resource, meta.key, "changed", subresource, meta.resource_version, paths, kept_bytes)
        return answer

    def known(self, resource: Resource[Any], key: ObjectKey) -> Entry | None:
        """What the store has of an object; ``None`` too if the kind is not watched."""
        informer = self.informers.get(resource)
        return None if informer is None else informer.store.entry(key)

    def is_partial(self, resource: Resource[Any], key: ObjectKey) -> bool:
        """Whether what the store keeps of an object, or would keep, lacks anything that the server has."""
        informer, known = self.informers.get(resource), self.known(resource, key)
        return (informer is not None and not informer.watched.is_whole) or (known is not None and known.is_partial)

    def saw(self, resource: Resource[Any], meta: ObjectMeta) -> None:
        """Put what a live read has shown into the store, if its kind is watched."""
        if (informer := self.informers.get(resource)) is not None:
            informer.saw(informer.reader.read(meta.raw))

    def note(
        self,
        verb: str,
        resource: Resource[Any],
        key: ObjectKey,
        outcome: Outcome,
        subresource: str = "",
        version: str = "",
        paths: _Paths = (),
        kept_bytes: int = 0,
    ) -> None:
        """Count it, and tell the journal."""
        self.counts[verb, outcome] += 1
        record(Write(self.cluster, verb, resource, key, outcome, subresource, paths, version, kept_bytes))

    def _own_delete(self, resource: Resource[Any], last: ObjectMeta) -> None:
        if (informer := self.informers.get(resource)) is not None:
            informer.own_delete(last)

    async def _settle(self, resource: Resource[Any], key: ObjectKey) -> None:
        """See for ourselves, once."""
        if resource not in self.informers:
            return
        with anyio.move_on_after(self.settle_timeout):
            try:
                self.saw(resource, (await self.client.get(resource, key)).metadata)
            except NotFound:
                self._own_delete(resource, _only(key))
            except KubeError:
                pass  # its event follows, if it happened


def _paths(patch: Patch) -> tuple[str, ...]:
    return patch.paths


def _only(key: ObjectKey) -> ObjectMeta:
    """All that is known of an object of which nobody has seen anything."""
    return ObjectMeta(namespace=key.namespace, name=key.name)


def _conflict_in(error: BaseException) -> Conflict | None:
    """A patch meant for another object than the one that has the name is a conflict, though servers call it invalid."""
    if not isinstance(error, Invalid) or all(cause.field != "metadata.uid" for cause in error.details.causes):
        return None
    return Conflict(
        error.message, code=409, reason="Conflict", details=error.details, method=error.method, path=error.path
    )
