"""What every pass over a key stands in, whatever the kind.

A reconciler is asked only while every kind that it looks at is served and has been listed. A server that lacks a kind
looks like one without such objects, and nothing may be concluded from that: no destination is cleared because an old
server has no routings, and nothing is dangling because its kind was not installed yet. Such keys come again by
themselves, as no watch could call them, and their users are told; those that need an object that cannot be read wait
for a change. Of a kind that only some objects need, the others do not wait. How each pass ended is noted.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, TypeAlias

from attrs import define, field

from apinetlet.controllers.bridge import Bridge
from apinetlet.controllers.missing import is_gone, is_missing, is_unknown
from apinetlet.controllers.refusals import failure_of
from apinetlet.standings import Stand
from reconcile import (
    Cluster,
    Controller,
    ControllerSettings,
    For,
    ObjectKey,
    Reconciler,
    Request,
    Resource,
    Result,
    TerminalError,
    Watches,
)
from reconcile.core.clock import now
from reconcile.kube.objects import BadObject

log = logging.getLogger(__name__)

NOT_SERVED = "KindNotServed"
"""The reason of the Event that tells of a wait for a kind."""

Need: TypeAlias = Callable[[Any], bool]
"""Whether an object needs any object of another kind."""


def guarded(
    bridge: Bridge,
    name: str,
    reconciler: Reconciler,
    sources: Sequence[For[Any] | Watches[Any]],
    settings: ControllerSettings,
    rng: Random | None,
    *,
    beside: Sequence[Watches[Any]] = (),
    needed_by: Mapping[Resource[Any], Need] | None = None,
) -> Controller:
    """A controller whose ``reconciler`` is asked only while there is something to look at.

    It hears of ``beside``, too, and knows itself what it means that nobody serves those. ``needed_by``: of kinds of the
    source cluster without which some objects can do, who cannot.
    """
    [primary] = [one for one in sources if isinstance(one, For)]
    guard = Guarded(bridge, reconciler, sources, primary.cluster.resource(primary.type), needed_by or {})
    return Controller(name, guard, [*sources, *beside], settings, rng=rng)


@define(eq=False)
class Guarded:
    """``reconciler``, which looks at ``sources`` on behalf of the objects of ``kind``."""

    bridge: Bridge
    reconciler: Reconciler
    sources: Sequence[For[Any] | Watches[Any]]
    kind: Resource[Any]
    needed_by: Mapping[Resource[Any], Need]
    _missing: tuple[str, ...] = field(default=(), init=False)
    _told: set[ObjectKey] = field(factory=set, init=False)
    """Whose users know of ``_missing``."""

    async def reconcile(self, request: Request) -> Result | None:
        if missing := self._missing_for(request.key):
            self._tell_missing(request, missing)
            self._note(request)
            return Result(requeue_after=self.bridge.deletion_poll)
        try:
            result = await self.reconciler.reconcile(request)
        except BadObject as error:
            self._tell(request, error)
            self._note(request, error)
            raise TerminalError(str(error)) from error
        except Exception as error:
            self._note(request, error)
            raise
        self._note(request)
        return result

    def _missing_for(self, key: ObjectKey) -> tuple[str, ...]:
        """The kinds of which nothing is known and without which a pass over ``key`` would conclude from nothing.

        A deletion waits only for kinds of the other side that were served before, or are now. One that never was has
        nothing of ours; should it come with something all the same, that has lost its source by then, and is ended for
        it.
        """
        missing = tuple(self._names(is_unknown))
        if missing != self._missing:
            self._missing = missing
            self._told.clear()
            log.warning("Waits for kinds that nobody serves missing=%s", list(missing))
        if not missing:
            return ()
        meta = self.bridge.source.store(self.kind).meta(key)
        if meta is None or not meta.is_deleting or is_missing(self.bridge.source, self.kind):
            unneeded = set(self._unneeded(key))
            return tuple(name for name in missing if name not in unneeded)
        return tuple(self._names(is_gone, only=self.bridge.apinet))

    def _unneeded(self, key: ObjectKey) -> Iterator[str]:
        """Of the kinds that not all need, those without which a pass over ``key`` can do."""
        source = self.bridge.source
        try:
            found = source.store(self.kind).get(key)
        except BadObject:
            found = None  # the pass says so itself
        for resource, is_needed in self.needed_by.items():
            if found is None or not is_needed(found):
                yield f"{source.name} {resource.name}"

    def _names(self, holds: Callable[[Cluster, Resource[Any]], bool], *, only: Cluster | None = None) -> Iterator[str]:
        for one in self.sources:
            if only in (None, one.cluster) and holds(one.cluster, resource := one.cluster.resource(one.type)):
                yield f"{one.cluster.name} {resource.name}"

    def _tell_missing(self, request: Request, missing: tuple[str, ...]) -> None:
        """Once an object, as long as the same kinds are missing."""
        bridge, key = self.bridge, request.key
        meta = bridge.source.store(self.kind).meta(key)
        if meta is None:
            return
        bridge.standings.tell(self.kind.type(meta), NOT_SERVED)
        if key not in self._told and bridge.eligibility.admits(meta):
            self._told.add(key)
            bridge.warn(self.kind.type(meta), NOT_SERVED, f"waits for kinds that nobody serves: {', '.join(missing)}")

    def _tell(self, request: Request, error: BadObject) -> None:
        """An object that the pass needs cannot be read: nothing will change before somebody mends it."""
        meta = self.bridge.source.store(self.kind).meta(request.key)
        if meta is not None:
            self.bridge.warn(self.kind.type(meta), "Unreadable", str(error))

    def _note(self, request: Request, error: Exception | None = None) -> None:
        """How the object stands after the pass."""
        bridge, key = self.bridge, request.key
        meta, told = bridge.source.store(self.kind).meta(key), bridge.standings.told(self.kind.type, key)
        stand, reason = Stand.MAPPED, ""
        bridge.standings.refused(self.kind.kind, key, "" if error is None else failure_of(error), now())
        if meta is None:
            bridge.standings.note(self.kind.kind, key, None)
            return
        if error is not None:
            stand, reason = Stand.FAILING, told or type(error).__name__
        elif meta.is_deleting:
            stand, reason = Stand.DELETING, told
        elif not bridge.eligibility.admits(meta):
            stand = Stand.IGNORED
        elif told:
            stand, reason = Stand.WAITING, told
        bridge.standings.note(self.kind.kind, key, stand, reason)
