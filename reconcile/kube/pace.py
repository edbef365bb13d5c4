"""How fast a server wants to be asked, learned from its answers.

Nothing is limited until it says 429. Then everybody waits as long as it asked for, and goes on somewhat slower than it
has just been serving: one turn after another, with a gap in between that halves every few seconds until it is nothing.
Many requests that were under way and are refused together count as one refusal. Pure: times are arguments,
``caller.py`` does the waiting.
"""

import math
from typing import Final

from attrs import define, field

from reconcile.core.clock import Seconds

PAUSE: Final[Seconds] = 1.0
"""When a server says 429 and not for how long."""
SHARE: Final = 0.7
"""Of the rate it has served, asked for after a refusal."""
WINDOW: Final[Seconds] = 1.0
"""Over which that rate is counted."""
HALVING: Final[Seconds] = 15.0
"""Without a refusal, until requests may come twice as fast."""
WIDEST_GAP: Final[Seconds] = 1.0
"""After a refusal by a server that serves nothing."""
NARROWEST_GAP: Final[Seconds] = 0.001
"""Below it nobody waits any more."""


@define
class Pace:
    """The pace towards one server."""

    gap: Seconds = field(default=0.0, init=False)
    """Between two requests; 0 is no limit."""
    _next: Seconds = field(default=-math.inf, init=False)
    _paused_until: Seconds = field(default=-math.inf, init=False)
    _widened: Seconds = field(default=-math.inf, init=False)
    """When ``gap`` was what it was last set to."""
    _window: Seconds = field(default=-math.inf, init=False)
    """When the running count of successes began."""
    _served: int = field(default=0, init=False)
    _before: int = field(default=0, init=False)
    """Served in the window before."""

    def refused(self, now: Seconds, retry_after: Seconds | None) -> Seconds:
        """The server said 429. The length of the pause that begins with it; 0 if it only confirms one."""
        until = now + (PAUSE if retry_after is None else retry_after)
        if now < self._paused_until:
            self._next = max(self._next, until)
            self._paused_until = max(self._paused_until, until)
            return 0.0
        rate = SHARE * self._rate(now)
        self.gap = min(WIDEST_GAP, max(self._gap(now), 1 / rate if rate else WIDEST_GAP, NARROWEST_GAP))
        self._widened = self._paused_until = until
        self._next = max(self._next, until)
        return until - now

    def succeeded(self, now: Seconds) -> None:
        """The server answered anything else."""
        if now - self._window >= WINDOW:
            self._roll(now)
        self._served += 1

    def reserve(self, now: Seconds) -> Seconds:
        """Take the next turn, and tell how long it is until then; 0 is at once."""
        if self.gap:
            self.gap, self._widened = self._gap(now), max(now, self._widened)
        elif now >= self._next:
            return 0.0
        turn = max(now, self._next)
        self._next = turn + self.gap
        return turn - now

    def _gap(self, now: Seconds) -> Seconds:
        """What the quiet time since the last refusal has left of it."""
        left: Seconds = self.gap * 0.5 ** (max(0.0, now - self._widened) / HALVING)
        return left if left >= NARROWEST_GAP else 0.0

    def _rate(self, now: Seconds) -> float:
        """Successes a second, of late."""
        if now - self._window >= WINDOW:
            self._roll(now)
        return max(self._served, self._before) / WINDOW

    def _roll(self, now: Seconds) -> None:
        self._before = self._served if now - self._window < 2 * WINDOW else 0
        self._served, self._window = 0, now
