"""Cuts off what takes too long, call after call of one task, with one timer for all of them.

A call that is over its time is cancelled, as ``asyncio.timeout`` would do it; unlike in a cancelled scope, its clean-up
in ``finally`` may await. One that goes on all the same is reported with its stack and cancelled again, in growing
intervals, until it ends. The timer is not set anew for each call: when it rings for one that ended long ago, it is set
for the one that goes on.
"""

import asyncio
import logging
from typing import Any, Final

from reconcile.controller.history import Pass
from reconcile.core.clock import Clock, Seconds
from reconcile.core.stacks import task_stack

logger = logging.getLogger(__name__)

LONGEST_GRACE: Final[Seconds] = 60.0


class Deadline:
    """``after`` seconds from ``start`` the current task is cancelled, unless ``stop`` comes first.

    ``has_expired`` tells whether it was, until the next ``start``. ``grace`` seconds later it ``is_stuck``.
    """

    def __init__(self, after: Seconds, *, grace: Seconds, clock: Clock | None = None) -> None:
        self.has_expired = False
        self.is_stuck = False
        self.about: Pass[Any] | None = None
        """The call going on; ``None`` in between."""
        self._after, self._first_grace, self._grace = after, grace, grace
        self.task: asyncio.Task[Any] | None = None
        """The one that is in it."""
        self._cancels = 0
        self._ends: Seconds = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._clock = clock or Clock()

    def start(self, about: Pass[Any], task: "asyncio.Task[Any]") -> None:
        """A call of ``task`` begins: that is the current one."""
        self.has_expired = self.is_stuck = False
        self.about = about
        self.task = task
        self._ends = self._clock.now() + self._after
        if self._timer is None:
            self._set(self._ends)

    def stop(self) -> None:
        """The call has ended. Cancellations of ours are taken back, those of others stay."""
        if self.task is not None and self._cancels:
            for _ in range(self._cancels):
                self.task.uncancel()
            if self.is_stuck and self.about is not None:
                logger.warning("a reconcile that ignored its cancellation has ended: %s", self.about.name)
            self._cancels, self._grace, self.is_stuck = 0, self._first_grace, False
        self.about = self.task = None

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, at: Seconds) -> None:
        self._timer = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self.task is None or self.about is None:
            return
        if self._ends <= self._clock.now():
            self._cut_off(self.task, self.about)
        self._set(self._ends)

    def _cut_off(self, task: "asyncio.Task[Any]", about: Pass[Any]) -> None:
        if self.has_expired:
            self.is_stuck = True
            self._grace = min(2 * self._grace, LONGEST_GRACE)
            logger.error("a reconcile ignores its cancellation: %s\n%s", about.name, task_stack(task))
        self.has_expired = True
        self._ends = self._clock.now() + self._grace
        self._cancels += 1
        task.cancel()
