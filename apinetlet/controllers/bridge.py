"""The two clusters, and the moves that every mapped kind makes between them.

A reconciler holds one ``Bridge`` and tells its own story with it. The rules: nothing is believed gone on the word of a
cache, everything is deleted by uid, and a finalizer goes only once the other side answered 404.
"""

import logging
from collections.abc import Sequence
from typing import TypeVar

from attrs import frozen

from apinetlet.api import Generation, Kinds
from apinetlet.origin import Origins
from apinetlet.predicates import Eligibility
from reconcile import DONE, Cluster, Conflict, EventRecorder, NotFound, ObjectKey, Resource, Result, Seconds
from reconcile.kube import KubeObject, finalizers

log = logging.getLogger(__name__)

ORIGIN = "origin"
"""The index over target objects: by the key of the source that each was made for."""

Source = TypeVar("Source", bound=KubeObject)
Target = TypeVar("Target", bound=KubeObject)


@frozen
class Bridge:
    """Both sides, and what is the same for every kind."""

    source: Cluster
    apinet: Cluster
    generation: Generation
    kinds: Kinds
    namespace: str
    """Receives every api-net object."""
    eligibility: Eligibility
    events: EventRecorder
    deletion_poll: Seconds = 30.0
    """How long a deletion waits for the watch event of its target before it looks itself."""

    def origins(self, kind: str) -> Origins:
        return Origins(self.generation, kind)

    async def is_gone(self, resource: Resource[Source], key: ObjectKey) -> bool:
        """Whether the source cluster itself says that there is no such object; ``False`` where nobody watches."""
        if not self.eligibility.watches(key.namespace):
            return False
        try:
            await self.source.get(resource, key)
        except NotFound:
            return True
        return False

    async def delete_dangling(self, kind: Resource[Source], target: Resource[Target], key: ObjectKey) -> Result:
        """The source ``key`` is not in the cache: end the targets made for it, if it is really gone."""
        targets = self.apinet.store(target).by(ORIGIN, key)
        if not targets or not await self.is_gone(kind, key):
            return DONE
        return await self._delete_all(target, targets)

    async def delete_stale(self, kind: Resource[Source], target: Resource[Target], source: Source) -> Result:
        """End the targets that were made for a source of the same key but another uid: it was deleted and made anew.

        Which of the two uids lives is asked of the server: a cache that is behind holds the dead one.
        """
        origins = self.origins(kind.kind)
        recorded = [
            (one, origins.of(one.metadata)) for one in self.apinet.store(target).by(ORIGIN, source.metadata.key)
        ]
        stale = [(one, origin.uid) for one, origin in recorded if origin and origin.uid != source.metadata.uid]
        if not stale:
            return DONE
        try:
            live = (await self.source.get(kind, source.metadata.key)).metadata.uid
        except NotFound:
            live = ""
        return await self._delete_all(target, [one for one, uid in stale if uid != live])

    async def delete(self, resource: Resource[Target], target: Target) -> bool:
        """Ask for the end of ``target``. ``True`` once the API server says that there is no such object any more.

        Deletes what was seen, by uid. An object of the same name that came since is not "gone": its own pass looks.
        """
        key = target.metadata.key
        if not target.metadata.is_deleting:
            try:
                await self.apinet.delete(target)
            except Conflict:
                return False
            log.info("Deleted api-net object kind=%s name=%s", resource.kind, key.name)
            if self.apinet.store(resource).get(key) is not None:
                return False  # somebody's finalizer holds it, and its end is an event
        return await self._is_absent(resource, key)

    async def finalize(self, source: Source, *, kind: Resource[Source], target: Resource[Target]) -> Result:
        """The deletion flow: the target goes first, then our finalizer.

        While somebody else's finalizer holds the target, its watch event ends the wait; the poll is for a lost one.
        """
        finalizer = self.generation.finalizer(kind.kind)
        if not finalizers.has(source, finalizer):
            return DONE
        found = self.apinet.store(target).get(ObjectKey(self.namespace, source.metadata.uid))
        gone = (
            await self._is_absent(target, ObjectKey(self.namespace, source.metadata.uid))
            if found is None
            else await self.delete(target, found)
        )
        if not gone:
            return Result(requeue_after=self.deletion_poll)
        try:
            await self.source.patch(source, finalizers.remove(source, finalizer))
        except NotFound:
            log.info("Source was gone before its finalizer kind=%s key=%s", kind.kind, source.metadata.key)
        return DONE

    async def _delete_all(self, resource: Resource[Target], targets: Sequence[Target]) -> Result:
        gone = [await self.delete(resource, target) for target in targets]
        return DONE if all(gone) else Result(requeue_after=self.deletion_poll)

    async def _is_absent(self, resource: Resource[Target], key: ObjectKey) -> bool:
        try:
            await self.apinet.get(resource, key)
        except NotFound:
            return True
        return False
