"""Waits for what a ``Schedule`` decides.

Handlers add keys without waiting, workers wait in ``get`` and call ``done`` after each key. Which key is next, and
when, is the schedule's decision; how long a failed key waits is ``Backoff``'s. Here is only the waiting: one future for
each idle worker, and one timer for the next key that falls due. It belongs to one event loop and takes no locks.

A wake-up is never lost: a worker that is cancelled after it was woken wakes another one instead, and no await stands
between taking a key and handing it out.
"""

import asyncio
import math
import random
from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, Protocol, TypeVar

from attrs import define, field, frozen

from reconcile.core.backoff import Backoff, TokenBucket
from reconcile.core.clock import Clock, Seconds
from reconcile.core.schedule import NORMAL, Schedule, Scheduled

K = TypeVar("K", bound=Hashable)

TURNS_IN_A_ROW: Final = 8
"""How many keys ``get`` hands out without letting others run: a worker that finds nothing to await must not hold up
the rest of the program."""


class QueueClosed(Exception):
    """The queue hands out no more keys: it is draining or closed."""


class QueueObserver(Protocol):
    """What a queue tells its metrics. Called in the middle of a step: must be quick and must not raise."""

    def added(self, priority: int) -> None:
        """A key was added that was not waiting already."""

    def taken(self, priority: int, waited: Seconds) -> None:
        """A key was handed out that had been due for so long."""

    def done(self, worked: Seconds) -> None:
        """A key was in work for so long."""

    def retried(self, delay: Seconds) -> None:
        """A key failed and comes back after a delay."""


@frozen
class QueueSnapshot(Generic[K]):
    """A queue at one moment. All times are on the clock of ``at``."""

    name: str
    at: Seconds
    is_closed: bool
    idle_workers: int
    keys: tuple[Scheduled[K], ...]
    failures: dict[K, int]
    """In a row, of each key that failed last."""


@define(eq=False)
class WorkQueue(Generic[K]):
    """Keys to work on, each with one worker at a time. ``bucket`` bounds the retries of all keys together."""

    name: str = "queue"
    schedule: Schedule[K] = field(factory=Schedule, kw_only=True)
    backoff: Backoff = field(factory=Backoff, kw_only=True)
    bucket: TokenBucket | None = field(default=None, kw_only=True)
    rng: random.Random = field(factory=random.Random, kw_only=True)
    observer: QueueObserver | None = field(default=None, kw_only=True)
    clock: Clock = field(factory=Clock, kw_only=True, repr=False)
    _failures: dict[K, int] = field(factory=dict, init=False)
    _is_closed: bool = field(default=False, init=False)
    _idle: deque[asyncio.Future[None]] = field(factory=deque, init=False)
    _woken: int = field(default=0, init=False)
    """Workers that were woken and have not yet looked."""
    _turns: int = field(default=0, init=False)
    _alarm: asyncio.Handle | None = field(default=None, init=False)
    _alarm_at: Seconds = field(default=math.inf, init=False)
    """What it is set to: not every loop gives back a handle that knows its time (uvloop, for times that have come)."""
    _draining: list[asyncio.Future[None]] = field(factory=list, init=False)

    def add(self, key: K, *, after: Seconds = 0.0, priority: int = NORMAL) -> None:
        """Let a worker look at a key, now or later. Nothing happens any more once the queue is closed."""
        if self._is_closed:
            return
        is_new = self.schedule.add(key, self.clock.now(), after=after, priority=priority)
        if is_new and self.observer is not None:
            self.observer.added(priority)
        if self._idle:
            self._rouse()

    def set_timer(self, key: K, after: Seconds | None, *, priority: int = NORMAL) -> None:
        """Look at a key after so long, whatever is added before; replaces the key's last timer, ``None`` drops it."""
        if self._is_closed:
            return
        self.schedule.set_timer(key, self.clock.now(), after, priority=priority)
        if self._idle:
            self._rouse()

    def retry(self, key: K) -> Seconds:
        """Count a failure of a key in work and add it again, later and at the priority it had. Returns the delay."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = self.backoff.delay(failures, self.rng)
        if self.bucket is not None:
            delay = max(delay, self.bucket.reserve(self.clock.now()))
        work = self.schedule.work(key)
        self.add(key, after=delay, priority=NORMAL if work is None else work.priority)
        if self.observer is not None:
            self.observer.retried(delay)
        return delay

    def failures(self, key: K) -> int:
        """How often the key failed in a row."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """Forget the failures of a key; what is planned for it stays."""
        self._failures.pop(key, None)

    def discard(self, key: K) -> None:
        """Forget all about a key but the work that goes on."""
        self._failures.pop(key, None)
        self.schedule.discard(key)

    async def get(self) -> K:
        """Wait for a key that is due and take it into work. Cancelling loses nothing.

        Raises:
            QueueClosed: there is nothing more to do here.
        """
        self._turns += 1
        if self._turns >= TURNS_IN_A_ROW:
            self._turns = 0
            await asyncio.sleep(0)
        while not self._is_closed:
            moment = self.clock.now()
            key = self.schedule.take(moment)
            if key is not None:
                self._handed_out(key)
                return key
            await self._wait()
        raise QueueClosed(self.name)

    def done(self, key: K) -> None:
        """Give a key back. It leaves the queue, or comes again for what was added or failed meanwhile.

        Raises:
            KeyError: the key is not in work.
        """
        moment = self.clock.now()
        work = self.schedule.done(key, moment)
        if self.observer is not None:
            self.observer.done(moment - work.since)
        if self._idle:
            self._rouse()
        if self._draining and not self.schedule.in_work:
            for waiter in self._draining:
                if not waiter.done():
                    waiter.set_result(None)

    def close(self) -> None:
        """Hand out nothing more and take nothing more in; waiting workers get ``QueueClosed``. What waits is given up:
        it is found again by whoever looks at the state of the world next."""
        self._is_closed = True
        self._set_alarm(math.inf)
        while self._idle:
            self._wake()

    async def drain(self) -> None:
        """Close, and wait until no key is in work. For as long as that takes; the bound is the caller's."""
        self.close()
        if self.schedule.in_work:
            waiter = asyncio.get_running_loop().create_future()
            self._draining.append(waiter)
            try:
                await waiter
            finally:
                self._draining.remove(waiter)

    def snapshot(self) -> QueueSnapshot[K]:
        """All that is planned, waits and is in work; costs a step for each key."""
        return QueueSnapshot(
            self.name, self.clock.now(), self._is_closed, len(self._idle), tuple(self.schedule), dict(self._failures)
        )

    def __len__(self) -> int:
        """How many due keys wait for a worker."""
        return len(self.schedule)

    def _handed_out(self, key: K) -> None:
        if self.observer is not None and (work := self.schedule.work(key)) is not None:
            self.observer.taken(work.priority, work.waited)
        if self._idle:
            self._rouse()

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._idle.append(waiter)
        self._rouse()
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._woken -= 1
                self._rouse()
            elif waiter in self._idle:
                self._idle.remove(waiter)
            raise
        self._woken -= 1
        self._turns = 0

    def _rouse(self) -> None:
        """Have a worker awake for each due key, and the alarm set when a worker has to wait for the next."""
        while self._idle and self._woken < len(self.schedule):
            self._wake()
        # with a key still waiting, the worker that is awake for it comes by here again
        if self._idle and not len(self.schedule):
            self._set_alarm(self.schedule.next_due())

    def _wake(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():  # else cancelled, and about to notice
                waiter.set_result(None)
                self._woken += 1
                return

    def _set_alarm(self, at: Seconds) -> None:
        if self._alarm is not None:
            if self._alarm_at == at:
                return
            self._alarm.cancel()
            self._alarm = None
        if at < math.inf:
            self._alarm_at = at
            self._alarm = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._wake()
