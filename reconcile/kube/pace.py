"""How fast a server wants to be asked, learned from its answers.

Nothing is limited until it says 429. Then everybody waits as long as it asked for, and goes on at a slow pace that
doubles its gaps with each further refusal and loses them bit by bit with each success. Many requests that were under
way and are refused together count as one refusal. Pure: times are arguments, ``client.py`` does the waiting.
"""

import math
from typing import Final

from attrs import define, field

from reconcile.core.clock import Seconds

PAUSE: Final[Seconds] = 1.0
"""When a server says 429 and not for how long."""
FIRST_GAP: Final[Seconds] = 0.01
WIDEST_GAP: Final[Seconds] = 1.0
NARROWEST_GAP: Final[Seconds] = 0.001
RECOVERY: Final = 0.95
"""What a success leaves of the gap: a hundred of them bring the widest one down to the first."""


@define
class Pace:
    """The pace towards one server."""

    gap: Seconds = field(default=0.0, init=False)
    """Between two requests; 0 is no limit."""
    _next: Seconds = field(default=-math.inf, init=False)
    _paused_until: Seconds = field(default=-math.inf, init=False)

    def refused(self, now: Seconds, retry_after: Seconds | None) -> Seconds:
        """The server said 429. The length of the pause that begins with it; 0 if it only confirms one."""
        until = now + (PAUSE if retry_after is None else retry_after)
        if now < self._paused_until:
            self._next = max(self._next, until)
            self._paused_until = max(self._paused_until, until)
            return 0.0
        self.gap = min(WIDEST_GAP, max(FIRST_GAP, 2 * self.gap))
        self._paused_until = until
        self._next = max(self._next, until)
        return until - now

    def succeeded(self) -> None:
        """The server answered anything else."""
        if self.gap:
            self.gap *= RECOVERY
            if self.gap < NARROWEST_GAP:
                self.gap = 0.0

    def reserve(self, now: Seconds) -> Seconds:
        """Take the next turn, and tell how long it is until then; 0 is at once."""
        if now >= self._next and not self.gap:
            return 0.0
        turn = max(now, self._next)
        self._next = turn + self.gap
        return turn - now
