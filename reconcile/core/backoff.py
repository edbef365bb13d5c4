"""How long to wait before trying again.

``Backoff`` answers for one key that failed, ``TokenBucket`` for a whole queue that may only do so much. Both return a
delay and leave the waiting to others. Pure: the time and the source of randomness are arguments.
"""

import math
import random

from attrs import define, field, frozen
from attrs.validators import ge, gt

from reconcile.core.clock import Seconds


@frozen
class Backoff:
    """Exponential delays with full jitter: anything from zero to a ceiling that grows with each failure in a row.

    Full jitter spreads those that failed together over the whole time, which costs the failing side least (Marc
    Brooker, "Exponential Backoff And Jitter"). The cap is a minute: a repair is soon noticed even without an event.
    """

    base: Seconds = field(default=0.2, validator=gt(0))
    factor: float = field(default=2.0, validator=ge(1))
    cap: Seconds = field(default=60.0, validator=gt(0))

    def ceiling(self, failures: int) -> Seconds:
        """The longest delay after this many failures in a row, counted from 1; no delay after none."""
        if failures < 1:
            return 0.0
        try:
            return min(self.cap, self.base * self.factor ** (failures - 1))
        except OverflowError:
            return self.cap

    def delay(self, failures: int, rng: random.Random) -> Seconds:
        """A delay between zero and the ceiling, each as likely as another."""
        return rng.uniform(0.0, self.ceiling(failures))


@define
class TokenBucket:
    """At most ``burst`` at once and ``rate`` a second in the long run."""

    rate: float = field(validator=gt(0))
    burst: int = field(default=1, validator=ge(1))
    _full_at: Seconds = field(default=-math.inf, init=False)

    def reserve(self, now: Seconds) -> Seconds:
        """Take a token that may not be there yet, and tell how long it is until it is. There is no giving back."""
        # the bucket as one number: when it would be full again; each token taken moves that by 1 / rate
        self._full_at = max(self._full_at, now) + 1 / self.rate
        return max(0.0, self._full_at - self.burst / self.rate - now)
