"""Tells what blocks the event loop.

A thread knocks on the loop again and again. An answer that takes long is lag; one that takes longer than the limit
means that some code holds the loop, and the thread logs where the loop's thread stands, while it stands there: once
when the limit is passed, and once more with the duration when the loop is free again.

Code that holds the interpreter's lock holds up this thread too. It is then reported late, at the first line after it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

import anyio
from anyio.abc import TaskStatus
from attrs import define, field
from attrs.validators import gt

from reconcile.core.clock import Seconds
from reconcile.core.stacks import thread_stack

logger = logging.getLogger(__name__)

KNOCKS_PER_LIMIT: Final = 4


@define(eq=False)
class LoopWatchdog:
    """A service that measures the lag of the loop it runs on, in real seconds.

    A block is sure to be noticed when it lasts a quarter longer than ``limit``. ``on_lag`` is told each lag, on the
    loop. On a loop with clocks of its own (see ``clock.py``) real seconds mean nothing, and nothing is measured.
    """

    limit: Seconds = field(default=0.25, validator=gt(0))
    on_lag: Callable[[Seconds], None] | None = None
    name: str = "watchdog"
    lag: Seconds = field(default=0.0, init=False)
    """Of the last knock that was answered."""
    worst_lag: Seconds = field(default=0.0, init=False)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch the running loop until cancelled."""
        loop = asyncio.get_running_loop()
        if hasattr(loop, "boottime"):
            task_status.started()
            await anyio.sleep_forever()
        stop, ended = threading.Event(), asyncio.Event()
        watch = _Watch(self, loop, threading.get_ident(), stop, ended)
        threading.Thread(target=watch.run, name=self.name, daemon=True).start()
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            stop.set()
            # not a join: the thread may be waiting for an answer of this very loop
            with anyio.CancelScope(shield=True):
                await ended.wait()

    def note(self, lag: Seconds) -> None:
        """Take a measurement. Called on the loop."""
        self.lag = lag
        self.worst_lag = max(self.worst_lag, lag)
        if self.on_lag is not None:
            self.on_lag(lag)


@define(eq=False)
class _Watch:
    """What the thread does."""

    dog: LoopWatchdog
    loop: asyncio.AbstractEventLoop
    loop_thread: int
    stop: threading.Event
    ended: asyncio.Event

    def run(self) -> None:
        try:
            while not self.stop.wait(self.dog.limit / KNOCKS_PER_LIMIT):
                self._knock()
            self.loop.call_soon_threadsafe(self.ended.set)
        except RuntimeError:
            # the loop is closed, and nobody waits for this thread any more
            logger.debug("Loop is closed", exc_info=True)

    def _knock(self) -> None:
        answered = threading.Event()
        began = time.monotonic()

        def answer() -> None:
            answered.set()
            self.dog.note(time.monotonic() - began)

        self.loop.call_soon_threadsafe(answer)
        if answered.wait(self.dog.limit):
            return
        logger.warning("Loop is blocked limit=%.3f stack=%s", self.dog.limit, thread_stack(self.loop_thread))
        while not answered.wait(self.dog.limit):
            if self.loop.is_closed():
                return
        logger.warning("Loop is free again seconds=%.3f", time.monotonic() - began)
