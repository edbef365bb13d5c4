"""What time it is: the one reader of clocks.

Everything else asks here, so that a test which owns the loop owns the time. A loop may bring its own ``utc()`` and
``boottime()`` (the virtual-time loop of ``reconcile.testing`` does); any other loop gets the machine's.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from typing import TypeAlias

Seconds: TypeAlias = float
"""A duration or a point on the loop's clock, in seconds."""


def now() -> Seconds:
    """The running loop's monotonic time. For timers, deadlines and ages within this process."""
    return asyncio.get_running_loop().time()


class Clock:
    """``now()`` for what lives on one loop: that of whoever asks first.

    Asking which loop runs is a system call on Python 3.11, and the hot path asks for the time again and again.
    """

    __slots__ = ("now",)
    now: Callable[[], Seconds]
    """The loop's monotonic time."""

    def __init__(self) -> None:
        self.now = self._first

    def _first(self) -> Seconds:
        self.now = asyncio.get_running_loop().time
        return self.now()


def utc() -> dt.datetime:
    """The wall clock, aware, in UTC. For timestamps that others read; never for a deadline of our own."""
    loop = asyncio.get_running_loop()
    own = getattr(loop, "utc", None)
    return own() if own is not None else dt.datetime.now(dt.UTC)


def boottime() -> Seconds:
    """Monotonic time that also runs on while the machine is suspended. For a lease: others count that time too."""
    loop = asyncio.get_running_loop()
    own = getattr(loop, "boottime", None)
    if own is not None:
        return float(own())
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
