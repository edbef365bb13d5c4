"""A loop whose clock jumps instead of waiting.

When every callback has run and a timer is next, time moves to that timer at once: a day of backoff costs nothing, and
two runs of one program see the same times. The clocks of ``reconcile.core.clock`` read this loop.

What is outside the loop is waited for, never jumped over:

* thread jobs (``to_thread``, ``run_in_executor``, anyio's under its default limiter): time stands still while they run,
  for at most ``PATIENCE`` real seconds without news, since a job may itself wait for a timer of this loop;
* real sockets and pipes: while one is watched, waiting takes as long as on the wall, for nobody can know whether an
  answer is under way.

Nothing ready, no timer and nothing outside is a ``Deadlock``, and callbacks that keep each other busy for ever, so that
time never moves, are a ``Livelock``: raised from the loop, with every waiting task named.

A thread that calls ``call_soon_threadsafe`` of its own accord is not seen coming; such tests belong on a real loop.
"""

import asyncio
import datetime as dt
import math
import random
import selectors
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeAlias, TypeVar, TypeVarTuple

import anyio.to_thread

from reconcile.core.clock import Seconds
from reconcile.core.stacks import task_line

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Events: TypeAlias = list[tuple[selectors.SelectorKey, int]]

EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""The wall clock of a new loop, unless told otherwise."""
BOOTED = 10_000.0
"""The boot clock of a new loop, in seconds: far from its ``time()``, so that mixing the two up shows."""
PATIENCE: Seconds = 5.0
"""Real time without news after which virtual time goes on beside running thread jobs."""
STALL: Seconds = 60.0
"""Real time without news from sockets, with no timer set, that counts as a deadlock."""
GRACE: Seconds = 0.02
"""Real time in which bytes on their way through the kernel, or from an unknown thread, may still arrive."""

LIMIT_TURNS = 500_000
"""How many turns a loop may take without ever having to wait."""


class Deadlock(RuntimeError):
    """Every task waits for another one; ``tasks`` has a line for each: name, coroutine, place."""

    def __init__(self, tasks: list[str]) -> None:
        super().__init__("nothing can happen any more; waiting are:\n  " + "\n  ".join(tasks or ["(no task)"]))
        self.tasks = tasks


class Livelock(RuntimeError):
    """Something was ready ``LIMIT_TURNS`` times in a row, and so no time has passed; ``tasks`` as in ``Deadlock``."""

    def __init__(self, tasks: list[str]) -> None:
        super().__init__("the loop is busy without end; the tasks are:\n  " + "\n  ".join(tasks or ["(no task)"]))
        self.tasks = tasks


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Virtual ``time()``, ``utc()`` and ``boottime()``. With a ``seed``, ready tasks run in an order drawn from it.

    Only tasks change places, among themselves: plain callbacks keep the order that ``call_soon`` promises.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _clock_resolution: Seconds

    def __init__(self, *, seed: int | None = None, utc: dt.datetime = EPOCH) -> None:
        self._now: Seconds = 0.0
        self._utc_at_zero = utc
        self._suspended: Seconds = 0.0
        self._jobs = 0
        self._thread_limiter: anyio.CapacityLimiter | None = None
        self._settling: deque[asyncio.Future[None]] = deque()
        self._random = None if seed is None else random.Random(seed)
        self._turns = 0
        super().__init__(_Selector(self._poll, self._wait))

    def time(self) -> Seconds:
        """Seconds since the loop was made."""
        return self._now

    def utc(self) -> dt.datetime:
        """The wall clock."""
        return self._utc_at_zero + dt.timedelta(seconds=self._now + self._suspended)

    def boottime(self) -> Seconds:
        """Seconds since a made-up boot, time in suspend included."""
        return BOOTED + self._now + self._suspended

    def advance_utc(self, seconds: Seconds) -> None:
        """Set the wall clock forward, or back with a negative number; the other clocks do not notice."""
        self._utc_at_zero += dt.timedelta(seconds=seconds)

    def suspend(self, seconds: Seconds) -> None:
        """Close the lid: the wall and boot clocks run on, ``time()`` and its timers do not."""
        self._suspended += seconds

    async def settled(self) -> None:
        """Wait until all other tasks wait. Concurrent callers go on one at a time, each in a settled world."""
        waiter = self.create_future()
        self._settling.append(waiter)
        await waiter

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        future.add_done_callback(self._job_done)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        # it waits for a thread that the loop did not start as a job
        self._jobs += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._jobs -= 1

    def _job_done(self, _future: asyncio.Future[Any]) -> None:
        self._jobs -= 1

    def _run_once(self) -> None:
        if self._random is not None and len(self._ready) > 1:
            self._permute_tasks(self._random)
        super()._run_once()  # type: ignore[misc]

    def _permute_tasks(self, rng: random.Random) -> None:
        handles = list(self._ready)
        places = [place for place, handle in enumerate(handles) if _is_task_step(handle)]
        if len(places) < 2:  # nothing to draw: a stray wake-up from a thread must not use up the seed
            return
        for place, source in zip(places, rng.sample(places, len(places)), strict=True):
            self._ready[place] = handles[source]

    def _poll(self) -> None:
        """Something is ready."""
        self._turns += 1
        if self._turns > LIMIT_TURNS:
            self._turns = 0
            raise Livelock(self._task_lines())

    def _wait(self, select: Callable[[Seconds | None], Events], watched: int, timeout: Seconds | None) -> Events:
        """Nothing is ready: wait for the outside, wake one that waits for calm, or jump to the next timer."""
        self._turns = 0
        if events := select(0):
            return events
        if self._has_thread_jobs() and (events := select(PATIENCE)):
            return events
        while self._settling:
            if watched and (events := select(GRACE)):
                return events
            waiter = self._settling.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return []
        if watched:
            return self._wait_for_real(select, timeout)
        if timeout is None:
            if events := select(GRACE):
                return events
            raise Deadlock(self._task_lines())
        self._now = max(self._now, self._scheduled[0].when())
        # after some months a nanosecond is too small to be added to the time, and the timer would never be due
        self._clock_resolution = max(1e-9, math.ulp(self._now))
        return []

    def _wait_for_real(self, select: Callable[[Seconds | None], Events], timeout: Seconds | None) -> Events:
        began = time.monotonic()
        events = select(STALL if timeout is None else timeout)
        elapsed = time.monotonic() - began
        if not events and timeout is None:
            raise Deadlock(self._task_lines())
        self._now += elapsed if events or timeout is None else max(elapsed, timeout)
        return events

    def _has_thread_jobs(self) -> bool:
        if self._thread_limiter is None:
            self._thread_limiter = _thread_limiter()
        return self._jobs > 0 or self._thread_limiter.borrowed_tokens > 0

    def _task_lines(self) -> list[str]:
        return sorted(task_line(task) for task in asyncio.all_tasks(self))


class _Selector(selectors.DefaultSelector):
    """Asks the loop how to wait. The loop's own wake-up pipe is not counted as watched."""

    def __init__(
        self,
        poll: Callable[[], None],
        wait: Callable[[Callable[[Seconds | None], Events], int, Seconds | None], Events],
    ) -> None:
        super().__init__()
        self._poll = poll
        self._wait = wait

    def select(self, timeout: Seconds | None = None) -> Events:
        if timeout is not None and timeout <= 0:
            self._poll()
            return super().select(0)
        return self._wait(super().select, len(self.get_map()) - 1, timeout)


def _thread_limiter() -> anyio.CapacityLimiter:
    """That of anyio for the running loop. It asks sniffio, if there is one, which knows nothing outside of a task."""
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is None:
        return anyio.to_thread.current_default_thread_limiter()
    known, sniffio.thread_local.name = sniffio.thread_local.name, "asyncio"
    try:
        return anyio.to_thread.current_default_thread_limiter()
    finally:
        sniffio.thread_local.name = known


def _is_task_step(handle: asyncio.Handle) -> bool:
    callback = getattr(handle, "_callback", None)  # None once the handle is cancelled
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)


def new_loop(seed: int | None = None, utc: dt.datetime = EPOCH) -> VirtualTimeLoop:
    """A loop for ``asyncio.Runner`` or for anyio's ``loop_factory``; whoever asked closes it."""
    return VirtualTimeLoop(seed=seed, utc=utc)


def virtual() -> VirtualTimeLoop:
    """The running loop, which must be a virtual one.

    Raises:
        RuntimeError: it is a loop on real time.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise RuntimeError(f"this needs the virtual-time loop, not {type(loop).__name__}")
    return loop


async def settled() -> None:
    """Wait until every other task waits; no time passes. Thread jobs are waited for.

    Raises:
        RuntimeError: the running loop is not a virtual one.
    """
    await virtual().settled()


def run(main: Coroutine[Any, Any, T], *, seed: int | None = None, utc: dt.datetime = EPOCH) -> T:
    """Run ``main`` on a new virtual-time loop, cancel what it leaves behind, and return its result."""
    with asyncio.Runner(loop_factory=lambda: new_loop(seed, utc)) as runner:
        return runner.run(main)
