"""The two clusters, and the moves that every mapped kind makes between them.

A reconciler holds one ``Bridge`` and tells its own story with it. The rules: nothing is believed gone on the word of a
cache, everything is deleted by uid, and a finalizer goes only once the other side answered 404.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import field, frozen

from apinetlet.api import Generation, Kinds
from apinetlet.brake import Brake, Limits
from apinetlet.controllers.indexes import UID
from apinetlet.controllers.missing import is_missing
from apinetlet.controllers.refusals import Exhausted, is_about
from apinetlet.home import Home
from apinetlet.origin import ORIGIN, Origins
from apinetlet.predicates import Eligibility
from apinetlet.standings import Standings
from apinetlet.translate.body import holding
from reconcile import (
    DONE,
    Change,
    Cluster,
    Conflict,
    EventRecorder,
    NotFound,
    ObjectKey,
    ObjectMeta,
    Request,
    Resource,
    Result,
    Seconds,
    TerminalError,
)
from reconcile.kube import KubeObject, MergePatch, finalizers

log = logging.getLogger(__name__)

Source = TypeVar("Source", bound=KubeObject)
Target = TypeVar("Target", bound=KubeObject)
End: TypeAlias = Callable[[Resource[Any], Any], Awaitable[bool]]
"""Asks for the end of one target; ``True`` once the API server says that there is no such object any more."""


@frozen
class Mapped(Generic[Source]):
    """A source kind, and the kinds of what is made for each of its objects, named after its uid."""

    source: Resource[Source]
    targets: tuple[Resource[Any], ...]
    """In the order in which they end."""


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
    brake: Brake = field(factory=lambda: Brake(Limits()))
    home: Home = field(factory=Home)
    standings: Standings = field(factory=Standings)

    def origins(self, kind: str) -> Origins:
        return Origins(self.generation, kind)

    # -- the source ------------------------------------------------------------------------------------------------

    def maps(self, mapped: Mapped[Source], source: Source) -> bool:
        """Whether ``source``, which is not being deleted, is ours to map. Tells where only its name is in the way."""
        if not self.eligibility.admits(source.metadata):
            return False
        if self.origins(mapped.source.kind).fits(source.metadata):
            return True
        self.warn(source, "NameNotMappable", "the name is no valid label value: no api-net object can record it")
        return False

    async def hold(self, mapped: Mapped[Source], source: Source) -> Source:
        """``source`` with our finalizer, before the first write elsewhere."""
        return await self.source.patch(source, finalizers.add(source, self.generation.finalizer(mapped.source.kind)))

    async def let_go(self, mapped: Mapped[Source], source: Source) -> None:
        """Take our finalizer away: nothing of ours is left on the other side."""
        try:
            await self.source.patch(source, finalizers.remove(source, self.generation.finalizer(mapped.source.kind)))
        except NotFound:
            log.info("Source was gone before its finalizer kind=%s key=%s", mapped.source.kind, source.metadata.key)

    async def report(self, source: Source, patch: MergePatch | None) -> None:
        """Patch the status. That nobody is there any more to read it is fine.

        Raises:
            TerminalError: the server has the object, but no status of it that could be written.
        """
        try:
            await self.source.patch_status(source, patch)
        except NotFound:
            kind, meta = self.source.resource(type(source)), source.metadata
            if await self.live_uid(kind, meta.key) == meta.uid:
                told = f"the source cluster serves no status of {kind.name}, so it cannot be reported"
                self.warn(source, "StatusNotServed", told)
                raise TerminalError(told) from None
            log.info("Source was deleted meanwhile key=%s", meta.key)

    def warn(self, source: Source, reason: str, message: str) -> None:
        """Tell the user of a wait or a refusal."""
        self.standings.tell(source, reason)
        self.events.event(source, "Warning", reason, message)

    async def live_uid(self, kind: Resource[Source], key: ObjectKey) -> str:
        """The uid of the source of that key, as its server says now; "" if there is none.

        Raises:
            NotFound: nobody serves the kind; that tells nothing about the object.
        """
        try:
            return (await self.source.get(kind, key)).metadata.uid
        except NotFound as error:
            if not is_about(error, key):
                raise
            return ""

    async def is_gone(self, kind: Resource[Source], key: ObjectKey) -> bool:
        """Whether the source cluster itself says that there is no such object, and its counterparts may go.

        ``False`` where nobody watches, and while too many would go: then somebody has to look first.
        """
        if not self.eligibility.watches(key.namespace) or self._is_held(kind, key):
            return False
        return not await self.live_uid(kind, key)

    def _is_held(self, kind: Resource[Any], key: ObjectKey) -> bool:
        """Whether the brake holds the clean-up of a kind; the first time it is told."""
        was_held = self.brake.is_held(kind.kind)
        if not self.brake.holds(kind.kind):
            return False
        if not was_held:
            lost = kind.type(ObjectMeta(namespace=key.namespace, name=key.name))
            self.events.event(lost, "Warning", "CleanUpHeld", self.brake.why(kind.kind), resource=kind)
        return True

    # -- the target ------------------------------------------------------------------------------------------------

    async def apply(self, body: dict[str, Any]) -> Any:
        """The target as the server answered it, with what it allocated: server-side apply, unless surely a no-op.

        Raises:
            Exhausted: 409. An apply that forces loses no race: the server is out of addresses.
        """
        try:
            target = await self.apinet.apply(holding(body, self._applied(body)))
        except Conflict as error:
            raise Exhausted(str(error)) from error
        except NotFound as error:
            if error.details.kind == "namespaces":
                self.home.missed(str(error))
            raise
        self.home.found()
        return target

    def _applied(self, body: dict[str, Any]) -> Iterator[bytes]:
        """The sets of fields that were applied to the object of ``body`` under our name; looked for when asked for."""
        kind, meta = (body["apiVersion"], body["kind"]), body["metadata"]
        for informer in self.apinet.informers:
            if ((resource := informer.watched.resource).api_version, resource.kind) == kind:
                known = self.apinet.store(resource).entry(ObjectKey(meta["namespace"], meta["name"]))
                yield from () if known is None else (applied.fields for applied in known.applied)

    async def recreate(
        self, source: Source, resource: Resource[Target], target: Target, field: str, *, end: End | None = None
    ) -> bool:
        """End a target whose immutable ``field`` is not as ``source`` wants it. ``True`` once it can be made anew."""
        self.warn(source, "Recreating", f"{field} of {resource.kind} {target.metadata.name} cannot be changed")
        return await (end or self.delete)(resource, target)

    async def delete(self, resource: Resource[Target], target: Target, *, unchanged: bool = False) -> bool:
        """Ask for the end of ``target``. ``True`` once the API server says that there is no such object any more.

        Deletes what was seen, by uid; with ``unchanged`` only if nobody wrote to it since. An object of the same name
        that came since is not "gone": its own pass looks.

        Raises:
            Conflict: it has changed, and ``unchanged`` was asked for.
        """
        key = target.metadata.key
        if not target.metadata.is_deleting:
            try:
                await self.apinet.delete(target, resource_version=target.metadata.resource_version if unchanged else "")
            except Conflict:
                if unchanged:
                    raise
                return False
            log.info("Deleted api-net object kind=%s name=%s", resource.kind, key.name)
            if self.apinet.store(resource).get(key) is not None:
                return False  # somebody's finalizer holds it, and its end is an event
        return await self._is_absent(resource, key)

    # -- ends ------------------------------------------------------------------------------------------------------

    async def delete_dangling(self, mapped: Mapped[Source], key: ObjectKey, *, end: End | None = None) -> Result:
        """The source ``key`` is not in the cache: end the targets made for it, if it is really gone.

        What is named after a source that lives was made for that one, whatever somebody wrote on it: it is repaired.
        """
        living = self.source.store(mapped.source)
        made = [
            (resource, target)
            for resource in mapped.targets
            for target in self.made_for(resource, key)
            if not living.keys_by(UID, target.metadata.name)
        ]
        if not made or not await self.is_gone(mapped.source, key):
            return DONE
        return await self._end_all(made, end)

    async def delete_stale(self, mapped: Mapped[Source], source: Source, *, end: End | None = None) -> Result:
        """End the targets that were made for a source of the same key but another uid: it was deleted and made anew.

        Which of the two uids lives is asked of the server: a cache that is behind holds the dead one.
        """
        origins, key = self.origins(mapped.source.kind), source.metadata.key
        recorded = [
            (resource, target, origin.uid)
            for resource in mapped.targets
            for target in self.made_for(resource, key)
            if (origin := origins.of(target.metadata)) and origin.uid != source.metadata.uid
            if target.metadata.name != source.metadata.uid  # what somebody wrote on our own target is repaired
        ]
        if not recorded:
            return DONE
        if self._is_held(mapped.source, key):
            return DONE
        live = await self.live_uid(mapped.source, key)
        return await self._end_all(((resource, target) for resource, target, uid in recorded if uid != live), end)

    async def finalize(self, mapped: Mapped[Source], source: Source, *, end: End | None = None) -> Result:
        """The deletion flow: the targets go first, then our finalizer.

        While somebody else's finalizer holds one, its watch event ends the wait; the poll is for a lost one.
        """
        if not finalizers.has(source, self.generation.finalizer(mapped.source.kind)):
            return DONE
        key = ObjectKey(self.namespace, source.metadata.uid)
        gone = []
        for resource in mapped.targets:
            found = self.apinet.store(resource).get(key)
            gone.append(
                await self._is_absent(resource, key) if found is None else await (end or self.delete)(resource, found)
            )
        if not all(gone):
            return Result(requeue_after=self.deletion_poll)
        await self.let_go(mapped, source)
        return DONE

    def made_for(self, resource: Resource[Target], key: ObjectKey) -> list[Target]:
        """The targets that record the source ``key``, whatever its uid."""
        return self.apinet.store(resource).by(ORIGIN, key)

    async def _end_all(self, targets: Iterable[tuple[Resource[Any], Any]], end: End | None) -> Result:
        gone = [await (end or self.delete)(resource, target) for resource, target in targets]
        return DONE if all(gone) else Result(requeue_after=self.deletion_poll)

    async def _is_absent(self, resource: Resource[Any], key: ObjectKey) -> bool:
        try:
            await self.apinet.get(resource, key)
        except NotFound as error:
            # a kind that nobody serves has no objects, but only discovery can say that it is none
            if is_about(error, key) or is_missing(self.apinet, resource):
                return True
            raise
        return False

    # -- watches ---------------------------------------------------------------------------------------------------

    def to_source(self, kind: str) -> Callable[[Change[Any]], list[Request]]:
        """Maps a change of a target to the sources recorded on it, before and after: stripped metadata counts, too."""
        origins = self.origins(kind)

        def requests(change: Change[Any]) -> list[Request]:
            keys = {key for entry in (change.old, change.new) if entry is not None for key in origins.keys(entry.meta)}
            return [Request(self.source.name, *key) for key in sorted(keys) if self.eligibility.watches(key.namespace)]

        return requests
