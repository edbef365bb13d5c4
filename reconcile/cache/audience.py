"""Who wants to know what changes in a store: handlers, and whoever waits for it to be as expected.

A handler is called in the same step in which the store changes, so it must not wait: it marks what is to be done. One
that raises is named in the log and keeps nothing from the others. Who comes late is told what is there, as initial
changes, in slices between which others have their turn; what happens meanwhile reaches it at once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeAlias, TypeVar

import anyio
import attrs
from anyio.abc import TaskGroup

from reconcile.cache.change import Change
from reconcile.cache.faults import Faults
from reconcile.cache.store import Store
from reconcile.core.clock import Seconds

logger = logging.getLogger(__name__)
T = TypeVar("T")
Handler: TypeAlias = Callable[[Change[T]], None]


@attrs.define(eq=False)
class Subscription(Generic[T]):
    """One handler's place in line."""

    handler: Handler[T]
    name: str
    _leave: Callable[["Subscription[T]"], None] = attrs.field(repr=False)
    _told: asyncio.Event = attrs.field(init=False, factory=asyncio.Event, repr=False)

    @property
    def is_current(self) -> bool:
        """Whether it has been told all that was there when it came."""
        return self._told.is_set()

    async def current(self) -> None:
        """Wait until it has."""
        await self._told.wait()

    def cancel(self) -> None:
        """Hear no more."""
        self._leave(self)


@attrs.define(eq=False)
class _Waiter(Generic[T]):
    predicate: Callable[[Store[T]], bool]
    met: asyncio.Future[None]


@attrs.define(eq=False)
class Audience(Generic[T]):
    """``slice_changes``: how many changes a late handler is told at a time."""

    store: Store[T]
    slice_changes: int
    faults: Faults = attrs.field(init=False, factory=Faults)
    """How often each handler failed."""
    _subscriptions: list[Subscription[T]] = attrs.field(init=False, factory=list)
    _late: deque[Subscription[T]] = attrs.field(init=False, factory=deque)
    _tasks: TaskGroup | None = attrs.field(init=False, default=None)
    """Where those who come late are told."""
    _is_telling: bool = attrs.field(init=False, default=False)
    _waiters: list[_Waiter[T]] = attrs.field(init=False, factory=list)

    def add(self, handler: Handler[T], name: str = "") -> Subscription[T]:
        """Call ``handler`` at every change from now on; tell it first or meanwhile what is there."""
        function = getattr(handler, "func", handler)  # of a partial
        name = name or getattr(function, "__qualname__", type(handler).__qualname__)
        subscription = Subscription(handler, name, self._remove)
        self._subscriptions.append(subscription)
        if len(self.store):
            self._late.append(subscription)
            self._tell_late()
        else:
            subscription._told.set()
        return subscription

    def tell(self, changes: Iterable[Change[T]]) -> None:
        """Tell everybody. Never waits, never raises."""
        told = False
        for change in changes:
            told = True
            for subscription in self._subscriptions:
                self._tell(subscription, change)
        if told:
            for waiter in self._waiters:
                self._look(waiter)

    async def until(self, predicate: Callable[[Store[T]], bool], timeout: Seconds) -> bool:
        """Wait until the store is as it should be; False if it was not, in time. Asked at every change, not in between.

        Raises:
            Exception: whatever the predicate raises.
        """
        if predicate(self.store):
            return True
        waiter = _Waiter(predicate, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            with anyio.move_on_after(timeout) as limit:
                await waiter.met
            return not limit.cancelled_caught
        finally:
            self._waiters.remove(waiter)

    def attend(self, tasks: TaskGroup | None) -> None:
        """From now on tell those who come late, in these tasks; ``None``: in none."""
        self._tasks = tasks
        self._tell_late()

    def _tell_late(self) -> None:
        if self._late and self._tasks is not None and not self._is_telling:
            self._is_telling = True
            self._tasks.start_soon(self._replay_all, name=f"tell late handlers of {self.store.resource.name}")

    async def _replay_all(self) -> None:
        try:
            while self._late:
                await self._replay(self._late.popleft())
        finally:
            self._is_telling = False

    async def _replay(self, subscription: Subscription[T]) -> None:
        for number, key in enumerate(self.store.keys(), 1):
            if subscription not in self._subscriptions:
                return
            if (entry := self.store.entry(key)) is not None:
                self._tell(subscription, self.store.change(None, entry, initial=True))
            if number % self.slice_changes == 0:
                await asyncio.sleep(0)
        subscription._told.set()

    def _tell(self, subscription: Subscription[T], change: Change[T]) -> None:
        try:
            subscription.handler(change)
        except Exception as error:
            facts = {"cluster": change.cluster, "resource": change.resource.name, "object": change.key}
            self.faults.note(logger, "a handler failed at a change", subscription.name, error, **facts)

    def _look(self, waiter: _Waiter[T]) -> None:
        if waiter.met.done():
            return
        try:
            if waiter.predicate(self.store):
                waiter.met.set_result(None)
        except Exception as error:
            waiter.met.set_exception(error)

    def _remove(self, subscription: Subscription[T]) -> None:
        self._subscriptions = [one for one in self._subscriptions if one is not subscription]
