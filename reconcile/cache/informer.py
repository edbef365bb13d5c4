"""Keeps the copy of one declared kind current, and tells handlers what changed.

A handler must not wait: it marks what is to be done (``audience.py``). Several namespaces are followed one by one
(``follower.py``) and are one store. An own write that the watch does not show in time makes all be listed.

The informer never gives up: a server that is down, a kind that is missing, a right that was taken away show in
``state``, ``last_error`` and ``staleness``, and end when they end. Only a start can fail, with its reason.
"""

import asyncio
import contextvars
import logging
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

import anyio
import attrs
from anyio.abc import TaskGroup, TaskStatus

from reconcile.cache.audience import Audience, Handler, Subscription
from reconcile.cache.change import Change
from reconcile.cache.entry import Entry
from reconcile.cache.faults import Faults
from reconcile.cache.follower import REFUSED, Follower, FollowerSettings
from reconcile.cache.reflector import Reflector
from reconcile.cache.steps import ReflectorSettings, State
from reconcile.cache.store import Store
from reconcile.cache.watched import Watched
from reconcile.core.clock import Clock, Seconds
from reconcile.kube.client import Client
from reconcile.kube.errors import KubeError
from reconcile.kube.objects import ObjectMeta

__all__ = ["Bell", "Handler", "Informer", "InformerSettings", "NotSynced", "Subscription", "all_synced", "plainly"]

logger = logging.getLogger(__name__)
T = TypeVar("T")


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


class Bell:
    """Wakes all who wait for it at that moment."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake them."""
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    async def wait(self) -> None:
        """Until it rings next."""
        await self._rung.wait()


class Informer(Generic[T]):
    """A service; ``store`` is what it keeps current.

    ``without_watch_list``: what is known of the server, ``moved``: rings when a copy of it has come further; both may
    be shared.
    """

    def __init__(
        self,
        client: Client,
        watched: Watched[T],
        *,
        cluster: str = "",
        settings: InformerSettings = InformerSettings(),
        rng: random.Random | None = None,
        without_watch_list: set[str] | None = None,
        moved: Bell | None = None,
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
        self._audience = Audience(self.store, settings.follower.slice_changes)
        self.moved = moved or Bell()
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
                self._audience.tell,
                self.moved.ring,
            )
            for namespace in watched.scopes
        ]
        self._is_following = False
        self._alarm: asyncio.TimerHandle | None = None
        """When the next own write will have been held long enough."""
        self._clock = Clock()

    # running

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Follow the collection for ever; started once it is synced.

        Raises:
            NotSynced: the start was refused, or took longer than ``sync_timeout``.
        """
        with plainly(NotSynced):
            async with anyio.create_task_group() as tasks:
                with self.following(tasks):
                    await self.synced(self.settings.sync_timeout)
                    task_status.started()
                    await anyio.sleep_forever()

    @contextmanager
    def following(self, tasks: TaskGroup) -> Iterator[None]:
        """Follow the collection in these tasks, which have to end with the block."""
        for follower in self._followers:
            tasks.start_soon(follower.run, name=f"follow {self.name} {follower.namespace or '*'}")
        self._audience.attend(tasks)
        self._is_following = True
        self._hold()
        try:
            yield
        finally:
            self._is_following = False
            self._audience.attend(None)
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None

    async def synced(self, timeout: Seconds | None = None) -> None:
        """Wait until there is a whole copy, and the handlers have been told of it.

        Raises:
            NotSynced: not in time, or the server will not let us see it.
        """
        await all_synced((self,), self.moved, timeout)

    def check_allowed(self) -> None:
        """Raises ``NotSynced`` where the server will not let us see it."""
        if any(follower.refusals >= self.settings.refusals for follower in self._followers):
            raise NotSynced(f"{self.name} cannot be watched: {self.last_error}") from self._error

    def not_synced(self, timeout: Seconds) -> NotSynced:
        """What to raise after so long."""
        late = NotSynced(f"{self.name} was not synced within {timeout:g} s: {self.last_error or self.state}")
        late.__cause__ = self._error
        return late

    async def until(self, predicate: Callable[[Store[T]], bool], timeout: Seconds) -> None:
        """Wait until the store is as it should be. Asked again at every change, not in between.

        Raises:
            TimeoutError: it was not, in time.
            Exception: whatever the predicate raises.
        """
        if not await self._audience.until(predicate, timeout):
            raise TimeoutError(f"{self.name} was not as expected within {timeout:g} s (it is {self.state})")

    # who wants to know

    def add_handler(self, handler: Handler[T], *, name: str = "") -> Subscription[T]:
        """Call ``handler`` at every change from now on. What is there already is told first or meanwhile, as initial.

        ``name`` is for the log; the function's own by default.
        """
        return self._audience.add(handler, name)

    def own(self, entry: Entry) -> None:
        """The answer to a write of ours: into the store, and to the handlers."""
        self._tell(self.store.own(entry, self._clock.now()))

    def saw(self, entry: Entry) -> None:
        """What a live read has shown: like ``own``, but somebody else may have written it."""
        self._tell(self.store.own(entry, self._clock.now(), is_own=False))

    def own_delete(self, last: ObjectMeta) -> None:
        """What we deleted is gone."""
        self._tell(self.store.own_delete(last, self._clock.now()))

    def _tell(self, changes: Sequence[Change[T]]) -> None:
        self._audience.tell(changes)
        self._hold()

    # how it goes

    @property
    def has_synced(self) -> bool:
        """Whether the copy was whole once, and its handlers were told; an optional kind that is missing counts too."""
        return all(map(self._has_synced, self._followers))

    @property
    def has_copy(self) -> bool:
        """Whether what is not in the store is not there: a list has said so, and the kind has not gone since.

        A kind that comes (back) has none before its list is whole, however long that takes.
        """
        return all(follower.has_copy for follower in self._followers)

    @property
    def state(self) -> State:
        """Of the part that is doing worst."""
        return min((follower.reflector.state for follower in self._followers), key=_FROM_BAD_TO_GOOD.index)

    @property
    def last_error(self) -> str:
        """Why it is not live; "" if it is. Of a refusal it says what to do."""
        return next((problem for follower in self._followers if (problem := follower.problem)), "")

    @property
    def _error(self) -> KubeError | None:
        return next((error for follower in self._followers if (error := follower.reflector.error)), None)

    def staleness(self, at: Seconds) -> Seconds:
        """How long ago, at that time, the server last showed that the copy was current; infinite before the first list.

        A quiet server with bookmarks shows it about every minute.
        """
        heard = (f.heard_at if self._has_synced(f) else -math.inf for f in self._followers)
        return at - min(heard)

    @property
    def faults(self) -> Faults:
        """How often each handler failed, by name."""
        return self._audience.faults

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

    def _hold(self) -> None:
        """Come back to what we wrote when the watch should have shown it."""
        if self._alarm is None and self._is_following and (until := self.store.next_expiry()) is not None:
            # whoever wrote has its own context, and that must not live on
            self._alarm = asyncio.get_running_loop().call_at(until, self._doubt, context=contextvars.Context())

    def _doubt(self) -> None:
        """List again when the watch has not shown in time what we wrote."""
        self._alarm = None
        if (lost := self.store.expire(self._clock.now())) is not None:
            logger.warning(
                "the watch has not shown own writes in time, so all are listed: informer=%s writes=%d seconds=%g",
                self.name,
                lost.notes,
                self.settings.overlay_ttl,
            )
            for follower in self._followers:
                follower.relist("unconfirmed", lost.version)
        self._hold()


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


async def all_synced(informers: Sequence[Informer[Any]], moved: Bell, timeout: Seconds | None = None) -> None:
    """Wait until each has a whole copy, and its handlers have been told. ``moved`` rings whenever one gets further.

    Raises:
        NotSynced: one has not, in time, or the server will not let us see it.
    """
    if all(one.has_synced for one in informers):
        return
    with anyio.move_on_after(timeout):
        while not all(one.has_synced for one in informers):
            for one in informers:
                one.check_allowed()
            await moved.wait()
        return
    assert timeout is not None
    raise next(one for one in informers if not one.has_synced).not_synced(timeout)


@contextmanager
def plainly(expected: type[Exception]) -> Iterator[None]:
    """Raise an expected error as it is, with its cause, and not wrapped in the groups of the tasks it came through."""
    try:
        yield
    except BaseExceptionGroup as group:
        found: BaseException | None = group.subgroup(expected)
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        if found is None:
            raise
        raise found from found.__cause__
