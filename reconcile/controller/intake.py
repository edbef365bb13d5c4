"""Turns what happens into keys: changes by predicates and handlers, iterators by reading them, time by resyncs.

From a change to the queue is one step without an await, inside of the informer's own. A function of the user's that
raises there is logged and counted, and costs nothing else: a predicate that raises has passed, and a handler that
raises is asked again later, about all that happened to the object meanwhile. So no change is lost, and no other waits.
"""

import asyncio
import logging
import math
import zlib
from collections import deque
from collections.abc import AsyncGenerator, Hashable, Sequence
from functools import partial
from typing import Any, Final, NoReturn, TypeAlias

import anyio
import attrs
import msgspec
from anyio.abc import TaskGroup, TaskStatus

from reconcile.cache.change import Change
from reconcile.cache.faults import Faults
from reconcile.cache.informer import Informer, Subscription
from reconcile.controller.backlog import Backlog
from reconcile.controller.observer import Fault
from reconcile.controller.source import Source, Wire, name_of
from reconcile.core.clock import now
from reconcile.core.queue import WorkQueue
from reconcile.core.schedule import LOW
from reconcile.kube.objects import ObjectKey

logger = logging.getLogger(__name__)

SLICE: Final = 128
"""So many objects are gone through before others get a turn."""
SLOTS: Final = 16
"""A resync goes through the stores so many times in its interval, for another part of the keys each time."""


_Place: TypeAlias = tuple[int, ObjectKey]
"""Which wire, by its number, and which object."""


@attrs.define
class _Failed:
    """A change whose handler raised. ``is_merged``: states in between are not known any more."""

    change: Change[Any]
    is_merged: bool = False


@attrs.define(eq=False)
class Intake:
    """A service that feeds one backlog. It is started once everything that the controller may read is there."""

    backlog: Backlog[Any]
    wires: list[Wire]
    sources: list[Source]
    troubles: dict[str, str] = attrs.field(init=False, factory=dict)
    """Sources that failed and have not recovered, with their errors."""
    faults: Faults = attrs.field(init=False, factory=Faults)
    """How often each predicate, handler and source raised."""
    _failed: dict[_Place, _Failed] = attrs.field(init=False, factory=dict)
    _to_mend: WorkQueue[_Place] = attrs.field(init=False)
    _sweeps: deque[str] = attrs.field(init=False, factory=deque)
    _tasks: TaskGroup | None = attrs.field(init=False, default=None)
    """Where it works while it runs."""
    _is_sweeping: bool = attrs.field(init=False, default=False)
    _is_mending: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        backlog = self.backlog
        self._to_mend = WorkQueue(f"{backlog.name}-mend", backoff=backlog.settings.source_backoff, rng=backlog.rng)

    @property
    def name(self) -> str:
        """As a service."""
        return f"intake of {self.backlog.name}"

    @property
    def informers(self) -> tuple[Informer[Any], ...]:
        """All of the clusters it hears of: a reconciler may read what it does not watch."""
        clusters = dict.fromkeys(wire.cluster for wire in self.wires)
        return tuple(informer for cluster in clusters for informer in cluster.informers)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen, read and resync until cancelled.

        Raises:
            NotSynced: a store cannot be had, or not within ``sync_timeout``, and why.
        """
        subscriptions = [
            wire.informer.add_handler(partial(self._changed, place), name=f"{self.backlog.name} for {wire}")
            for place, wire in enumerate(self.wires)
        ]
        try:
            await self._synced(subscriptions)
            async with anyio.create_task_group() as tasks:
                for source in self.sources:
                    tasks.start_soon(self._drink, source, name=f"{self.backlog.name} source {name_of(source)}")
                tasks.start_soon(self._resync, name=f"{self.backlog.name} resync")
                self._tasks = tasks
                self._begin()
                task_status.started()
                await anyio.sleep_forever()
        finally:
            self._tasks, self._is_mending = None, False
            for subscription in subscriptions:
                subscription.cancel()

    async def _synced(self, subscriptions: Sequence[Subscription[Any]]) -> None:
        timeout = self.backlog.settings.sync_timeout
        ends = math.inf if timeout is None else now() + timeout
        for informer in self.informers:
            await informer.synced(None if timeout is None else max(0.0, ends - now()))
        for subscription in subscriptions:
            await subscription.current()

    # changes

    def _changed(self, place: int, change: Change[Any]) -> None:
        wire = self.wires[place]
        try:
            passes = wire.rule(change)
        except Exception as error:
            passes = self._passed(wire, change, error)
        if passes:
            try:
                self._enqueue(wire, change)
            except Exception as error:
                self._remember(place, change, error)

    def _passes(self, wire: Wire, change: Change[Any]) -> bool:
        try:
            return wire.rule(change)
        except Exception as error:
            return self._passed(wire, change, error)

    def _passed(self, wire: Wire, change: Change[Any], error: Exception) -> bool:
        self._report("predicate", wire.rule.name, error, object=f"{wire} {change.key}")
        return True

    def _enqueue(self, wire: Wire, change: Change[Any]) -> None:
        for key in wire.handler(change):
            self.backlog.changed(key, change, wire.priority)

    def _remember(self, place: int, change: Change[Any], error: Exception) -> None:
        """The handler is asked again later; once for all that happened to the object until then."""
        wire, where = self.wires[place], (place, change.key)
        self._report("handler", name_of(wire.handler), error, object=f"{wire} {change.key}")
        known = self._failed.get(where)
        if known is not None and (known.change.old is not None or change.new is not None):
            change = msgspec.structs.replace(change, old=known.change.old)
        self._failed[where] = _Failed(change, is_merged=known is not None)
        self._to_mend.retry(where)
        self._begin()

    def _begin(self) -> None:
        """Work on what there is, each kind of it in a task that most controllers never need."""
        if self._tasks is None:
            return
        if self._sweeps and not self._is_sweeping:
            self._is_sweeping = True
            self._tasks.start_soon(self._sweep, name=f"{self.backlog.name} sweep")
        if self._failed and not self._is_mending:
            self._is_mending = True
            self._tasks.start_soon(self._mend, name=f"{self.backlog.name} mend")

    async def _mend(self) -> NoReturn:
        while True:
            where = await self._to_mend.get()
            self._ask_again(where)
            self._to_mend.done(where)

    def _ask_again(self, where: _Place) -> None:
        failed, wire = self._failed[where], self.wires[where[0]]
        try:
            self._enqueue(wire, failed.change)
        except Exception as error:
            self._report("handler", name_of(wire.handler), error, object=f"{wire} {failed.change.key}")
            self._to_mend.retry(where)
            return
        del self._failed[where]
        self._to_mend.forget(where)
        if failed.is_merged:
            self.sweep(f"{name_of(wire.handler)} was not asked about all states of {wire} {failed.change.key}")

    def _report(self, fault: Fault, name: str, error: Exception, **facts: object) -> None:
        self.faults.note(logger, f"a {fault} raised", name, error, controller=self.backlog.name, **facts)
        self.backlog.observer.failed(self.backlog.name, fault, name)

    # everything

    def sweep(self, reason: str) -> None:
        """Ask for every key there is, at low priority."""
        self._sweeps.append(reason)
        self._begin()

    async def _sweep(self) -> None:
        try:
            while self._sweeps:
                reason = self._sweeps.popleft()
                for key in await self._all_keys():
                    self.backlog.ask(key, "requested", reason, LOW)
        finally:
            self._is_sweeping = False

    async def _resync(self) -> None:
        """Each key once an interval. Which part of it is a key's own; within that part chance decides."""
        interval, slot = self.backlog.settings.resync, 0
        if interval is None:
            return
        await anyio.sleep(interval / SLOTS)  # at the start all of them have just been asked for
        while True:
            began = now()
            keys = [key for key in await self._all_keys() if zlib.crc32(str(key).encode()) % SLOTS == slot]
            self.backlog.rng.shuffle(keys)
            for place, key in enumerate(keys):
                await anyio.sleep_until(began + interval / SLOTS * (place + 0.5) / len(keys))
                self.backlog.ask(key, "resync", f"every {interval:g} s", LOW)
            await anyio.sleep_until(began + interval / SLOTS)
            slot = (slot + 1) % SLOTS

    async def _all_keys(self) -> list[Hashable]:
        """What the handlers tell of everything the stores hold, each key once."""
        found: dict[Hashable, None] = {}
        count = 0
        for place, wire in enumerate(self.wires):
            store = wire.informer.store
            for entry in list(store.entries()):
                change = Change(wire.cluster.name, wire.resource, None, entry, initial=True, structure=store.structure)
                if self._passes(wire, change):
                    try:
                        found.update(dict.fromkeys(wire.handler(change)))
                    except Exception as error:
                        self._remember(place, change, error)
                count += 1
                if count % SLICE == 0:
                    await asyncio.sleep(0)
        return list(found)

    # iterators

    async def _drink(self, source: Source) -> None:
        """Read a source until it ends by itself; one that raises is started again."""
        name, failures = name_of(source), 0
        settings = self.backlog.settings
        while True:
            began = now()
            try:
                await self._read(source, name)
            except Exception as error:
                failures = 1 if now() - began > settings.source_backoff.cap else failures + 1
                delay = settings.source_backoff.delay(failures, self.backlog.rng)
                self.troubles[name] = f"source {name} failed: {type(error).__name__}: {error}"
                self._report("source", name, error, again_in=f"{delay:.1f}")
                await anyio.sleep(delay)
            else:
                self.troubles.pop(name, None)
                logger.info("a source has ended: controller=%s name=%s", self.backlog.name, name)
                return

    async def _read(self, source: Source, name: str) -> None:
        keys = source()
        try:
            count = 0
            async for key in keys:
                self.troubles.pop(name, None)
                self.backlog.ask(key, "source", name)
                count += 1
                if count % SLICE == 0:
                    await asyncio.sleep(0)
        finally:
            if isinstance(keys, AsyncGenerator):
                await keys.aclose()
