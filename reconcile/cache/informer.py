"""Keeps the copy of one declared kind current, and tells handlers what changed.

A handler is called in the same step in which the store changes, so it must not wait: it marks what is to be done. One
that raises is named in the log and stops neither the others nor the informer. Who comes late is first told what is
there. Several namespaces are followed one by one and are one store.

The informer never gives up: a server that is down, a kind that is missing, a right that was taken away show in
``state``, ``last_error`` and ``staleness``, and end when they end. Only a start can fail, with its reason.
"""

import asyncio
import logging
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, TypeAlias, TypeVar

import anyio
import attrs
from anyio.abc import TaskStatus

from reconcile.cache.change import Change
from reconcile.cache.entry import Entry
from reconcile.cache.faults import Faults
from reconcile.cache.follower import REFUSED, Follower, FollowerSettings
from reconcile.cache.reflector import Reflector, ReflectorSettings, State
from reconcile.cache.store import Store
from reconcile.cache.watched import Watched
from reconcile.core.clock import Seconds, now
from reconcile.kube.client import Client
from reconcile.kube.objects import ObjectMeta

logger = logging.getLogger(__name__)
T = TypeVar("T")
Handler: TypeAlias = Callable[[Change[T]], None]


class NotSynced(Exception):
    """The copy could not be made: which kind, and why."""


@attrs.frozen
class InformerSettings:
    """Limits of one informer. Times in seconds."""

    reflector: ReflectorSettings = attrs.field(factory=ReflectorSettings)
    follower: FollowerSettings = attrs.field(factory=FollowerSettings)
    typed_limit: int = 1024
    """How many typed objects are remembered."""
    overlay_ttl: Seconds = 30.0
    """How long own writes are held against older events."""
    refusals: int = 4
    """How often in a row a start may be forbidden before it fails: some seconds."""
    sync_timeout: Seconds | None = None
    """How long a start may take; ``None``: it tries on, and readiness tells why it is not done."""


@attrs.define(eq=False)
class Subscription(Generic[T]):
    """One handler's place in line."""

    handler: Handler[T]
    name: str
    _remove: Callable[["Subscription[T]"], None] = attrs.field(repr=False)
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
        self._remove(self)


@attrs.define(eq=False)
class _Waiter(Generic[T]):
    predicate: Callable[[Store[T]], bool]
    met: asyncio.Future[None]


class Informer(Generic[T]):
    """A service; ``store`` is what it keeps current. ``without_watch_list``: what is known of the server, shared."""

    def __init__(
        self,
        client: Client,
        watched: Watched[T],
        *,
        cluster: str = "",
        settings: InformerSettings = InformerSettings(),
        rng: random.Random | None = None,
        without_watch_list: set[str] | None = None,
    ) -> None:
        self.watched = watched
        self.cluster = cluster
        self.settings = settings
        self.name = f"{cluster}/{watched.resource.name}" if cluster else watched.resource.name
        self.reader = watched.reader(client.field_manager)
        self.store: Store[T] = Store(
            watched.resource,
            cluster=cluster,
            namespaces=watched.scopes,
            indexes=watched.indexes,
            in_scope=watched.scope.has,
            typed_limit=settings.typed_limit,
            overlay_ttl=settings.overlay_ttl,
        )
        self.faults = Faults()
        """How often each handler failed."""
        known = set() if without_watch_list is None else without_watch_list
        rng = rng or random.Random()
        self._followers = [
            Follower(
                client,
                watched,
                namespace,
                Reflector(settings.reflector, rng, watched.resource.group, known),
                self.reader,
                self.store,
                settings.follower,
                self._deliver,
                self._moved,
            )
            for namespace in watched.scopes
        ]
        self._subscriptions: list[Subscription[T]] = []
        self._late: deque[Subscription[T]] = deque()
        self._waiters: list[_Waiter[T]] = []
        self._something_moved = asyncio.Event()
        self._came_late = asyncio.Event()
        self._wrote = asyncio.Event()

    # running

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Follow the collection for ever; started once it is synced.

        Raises:
            NotSynced: the start was refused, or took longer than ``sync_timeout``.
        """
        with plainly(NotSynced):
            async with anyio.create_task_group() as tasks:
                for follower in self._followers:
                    tasks.start_soon(follower.run, name=f"follow {self.name} {follower.namespace or '*'}")
                tasks.start_soon(self._replay, name=f"tell late handlers of {self.name}")
                tasks.start_soon(self._doubt, name=f"hold own writes of {self.name}")
                await self.synced(self.settings.sync_timeout)
                task_status.started()

    async def synced(self, timeout: Seconds | None = None) -> None:
        """Wait until there is a whole copy, and the handlers have been told of it.

        Raises:
            NotSynced: not in time, or the server will not let us see it.
        """
        with anyio.move_on_after(timeout):
            while not self.has_synced:
                if any(follower.refusals >= self.settings.refusals for follower in self._followers):
                    raise NotSynced(f"{self.name} cannot be watched: {self.last_error}")
                await self._something_moved.wait()
            return
        raise NotSynced(f"{self.name} was not synced within {timeout:g} s: {self.last_error or self.state}")

    async def until(self, predicate: Callable[[Store[T]], bool], timeout: Seconds) -> None:
        """Wait until the store is as it should be. Asked again at every change, not in between.

        Raises:
            TimeoutError: it was not, in time.
            Exception: whatever the predicate raises.
        """
        if predicate(self.store):
            return
        waiter = _Waiter(predicate, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            with anyio.move_on_after(timeout) as limit:
                await waiter.met
            if limit.cancelled_caught:
                raise TimeoutError(f"{self.name} was not as expected within {timeout:g} s (it is {self.state})")
        finally:
            self._waiters.remove(waiter)

    # who wants to know

    def add_handler(self, handler: Handler[T], *, name: str = "") -> Subscription[T]:
        """Call ``handler`` at every change from now on. What is there already is told first or meanwhile, as initial.

        ``name`` is for the log; the function's own by default.
        """
        function = getattr(handler, "func", handler)  # of a partial
        name = name or getattr(function, "__qualname__", type(handler).__qualname__)
        subscription = Subscription(handler, name, self._remove)
        self._subscriptions.append(subscription)
        if len(self.store):
            self._late.append(subscription)
            self._came_late.set()
        else:
            subscription._told.set()
        return subscription

    def own(self, entry: Entry) -> None:
        """The answer to a write of ours: into the store, and to the handlers."""
        self._deliver(self.store.own(entry, now()))
        self._wrote.set()

    def own_delete(self, last: ObjectMeta) -> None:
        """What we deleted is gone."""
        self._deliver(self.store.own_delete(last, now()))
        self._wrote.set()

    # how it goes

    @property
    def has_synced(self) -> bool:
        """Whether the copy was whole once, and its handlers were told; an optional kind that is missing counts too."""
        return all(map(self._has_synced, self._followers))

    @property
    def state(self) -> State:
        """Of the part that is doing worst."""
        return min((follower.reflector.state for follower in self._followers), key=_FROM_BAD_TO_GOOD.index)

    @property
    def last_error(self) -> str:
        """Why it is not live; "" if it is. Of a refusal it says what to do."""
        return next((problem for follower in self._followers if (problem := follower.problem)), "")

    def staleness(self, at: Seconds) -> Seconds:
        """How long ago, at that time, the server last showed that the copy was current; infinite before the first list.

        A quiet server with bookmarks shows it about every minute.
        """
        heard = (f.heard_at if self._has_synced(f) else -math.inf for f in self._followers)
        return at - min(heard)

    @property
    def relists(self) -> Counter[str]:
        """Lists begun, by reason."""
        return _sum(follower.reflector.relists for follower in self._followers)

    @property
    def restarts(self) -> Counter[str]:
        """Watches begun again, by reason."""
        return _sum(follower.reflector.restarts for follower in self._followers)

    @property
    def bad(self) -> Counter[str]:
        """What could not be read: answer, cut, object."""
        return _sum(follower.bad for follower in self._followers)

    @property
    def resets(self) -> int:
        """How often the server's history turned out to be another one."""
        return sum(follower.reflector.resets for follower in self._followers)

    @property
    def events(self) -> int:
        """How many events were read."""
        return sum(follower.events for follower in self._followers)

    def _has_synced(self, follower: Follower[T]) -> bool:
        is_missing = follower.reflector.state is State.WAITING_FOR_KIND
        return follower.is_synced or (self.watched.optional and is_missing)

    # telling

    def _deliver(self, changes: Iterable[Change[T]]) -> None:
        """Tell every handler, and whoever waits for the store."""
        told = False
        for change in changes:
            told = True
            for subscription in self._subscriptions:
                self._tell(subscription, change)
        if told and self._waiters:
            self._look()

    def _tell(self, subscription: Subscription[T], change: Change[T]) -> None:
        try:
            subscription.handler(change)
        except Exception as error:
            facts = {"cluster": self.cluster, "resource": self.watched.resource.name, "object": change.key}
            self.faults.note(logger, "a handler failed at a change", subscription.name, error, **facts)

    def _look(self) -> None:
        for waiter in self._waiters:
            if waiter.met.done():
                continue
            try:
                if waiter.predicate(self.store):
                    waiter.met.set_result(None)
            except Exception as error:
                waiter.met.set_exception(error)

    def _moved(self) -> None:
        moved, self._something_moved = self._something_moved, asyncio.Event()
        moved.set()

    def _remove(self, subscription: Subscription[T]) -> None:
        if subscription in self._subscriptions:
            self._subscriptions = [one for one in self._subscriptions if one is not subscription]

    # beside the following

    async def _replay(self) -> None:
        """Tell late handlers what is there, in slices."""
        while True:
            await self._came_late.wait()
            self._came_late.clear()
            while self._late:
                subscription = self._late.popleft()
                for number, key in enumerate(self.store.keys(), 1):
                    if (entry := self.store.entry(key)) is not None and subscription in self._subscriptions:
                        resource, structure = self.watched.resource, self.store.structure
                        change = Change(self.cluster, resource, None, entry, initial=True, structure=structure)
                        self._tell(subscription, change)
                    if number % self.settings.follower.slice_changes == 0:
                        await asyncio.sleep(0)
                subscription._told.set()

    async def _doubt(self) -> None:
        """List again when the watch has not shown in time what we wrote."""
        while True:
            await self._wrote.wait()
            self._wrote.clear()
            while (until := self.store.next_expiry()) is not None:
                await asyncio.sleep(until - now())
                if (lost := self.store.expire(now())) is None:
                    continue
                logger.warning(
                    "the watch has not shown own writes in time, so all are listed: informer=%s writes=%d seconds=%g",
                    self.name,
                    lost.notes,
                    self.settings.overlay_ttl,
                )
                for follower in self._followers:
                    follower.relist("unconfirmed", lost.version)


_FROM_BAD_TO_GOOD: Final = (
    *REFUSED,
    State.UNREACHABLE,
    State.WAITING_FOR_KIND,
    State.GONE,
    State.SYNCING,
    State.LIVE,
)


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total


@contextmanager
def plainly(expected: type[Exception]) -> Iterator[None]:
    """Raise an expected error as it is, not wrapped in the groups of the tasks it came through."""
    try:
        yield
    except BaseExceptionGroup as group:
        found: BaseException | None = group.subgroup(expected)
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        if found is None:
            raise
        raise found from None
