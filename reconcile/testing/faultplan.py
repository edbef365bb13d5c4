"""Which fault strikes which request, how likely, how often and when.

A fault is a value; a ``FaultPlan`` is rules over them, written down or drawn from a seed. Pure: ``faults.py`` plays it.
"""

import random
from typing import Final, TypeAlias

import attrs

from reconcile.core.clock import Seconds

WRITES: Final = ("create", "update", "patch", "delete", "deletecollection")


# -- faults of a call ----------------------------------------------------------------------------------------------


@attrs.frozen
class Latency:
    """The answer comes later, by a time between these (seconds); for a watch, its head."""

    least: Seconds = 0.0
    most: Seconds = 1.0


@attrs.frozen
class Refused:
    """No connection: the server never sees the request, and the client knows."""


@attrs.frozen
class LostRequest:
    """The request is lost on its way: the server never sees it, and the client cannot know."""


@attrs.frozen
class LostReply:
    """The server does what was asked and the answer is lost: the client cannot know."""


@attrs.frozen
class NoReply:
    """The request is lost without a sign: the client waits until its timeout."""


@attrs.frozen
class Status:
    """The answer is an error that no object caused; 409, 410, 429, 500, 503 or 504. The server does nothing."""

    code: int = 500
    retry_after: int | None = None
    """Seconds, sent as the header Retry-After."""


@attrs.frozen
class StaleList:
    """A list shows an older state, as a replica that lags behind answers: only where the request allows that.

    ``consistent_too`` strikes consistent reads as well, which no healthy server would do: a restored backup does.
    """

    consistent_too: bool = False


# -- faults of a watch ---------------------------------------------------------------------------------------------


@attrs.frozen
class Cut:
    """The connection breaks in the middle of a line, after so many whole ones."""

    after_lines: int = 1


@attrs.frozen
class Silent:
    """After so many lines nothing comes any more, no end either: a half-open connection."""

    after_lines: int = 1


@attrs.frozen
class Delayed:
    """Every line arrives later, by a time between these (seconds); the order stays."""

    least: Seconds = 0.0
    most: Seconds = 5.0


@attrs.frozen
class NoBookmarks:
    """Bookmarks are withheld, but for the one that ends the initial events."""


@attrs.frozen
class Replayed:
    """The watch starts from an older version than it was asked for: what was seen is told again, as after a restart."""


Fault: TypeAlias = (
    Latency
    | Refused
    | LostRequest
    | LostReply
    | NoReply
    | Status
    | StaleList
    | Cut
    | Silent
    | Delayed
    | NoBookmarks
    | Replayed
)
OF_WATCHES: Final = (Cut, Silent, Delayed, NoBookmarks, Replayed)


def name_of(fault: Fault) -> str:
    """The name it is counted under: ``LostReply``, ``Status 429``."""
    return f"Status {fault.code}" if isinstance(fault, Status) else type(fault).__name__


# -- when they strike ----------------------------------------------------------------------------------------------


@attrs.frozen
class Rule:
    """One fault and the requests it may strike. Empty ``verbs`` or ``resources`` mean any."""

    fault: Fault
    verbs: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    """Plurals."""
    probability: float = 1.0
    times: int | None = None
    """At most so many strikes."""
    start: Seconds = 0.0
    """On the loop's clock."""
    end: Seconds = float("inf")

    def concerns(self, verb: str, plural: str, moment: Seconds) -> bool:
        """Whether it may strike such a request now."""
        if isinstance(self.fault, OF_WATCHES) and verb != "watch":
            return False
        if isinstance(self.fault, StaleList) and verb != "list":
            return False
        return (
            self.start <= moment < self.end
            and (not self.verbs or verb in self.verbs)
            and (not self.resources or plural in self.resources)
        )


def lost_lease(start: Seconds = 0.0, end: Seconds = float("inf")) -> Rule:
    """Writes to leases fail for a while, so that a leader cannot stay one."""
    return Rule(Status(500), verbs=WRITES, resources=("leases",), start=start, end=end)


@attrs.frozen
class FaultPlan:
    """Rules, asked in order; several may strike one request."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, *faults: Fault, probability: float = 1.0, times: int | None = None) -> "FaultPlan":
        """Each of these faults, wherever it applies."""
        return cls(tuple(Rule(fault, probability=probability, times=times) for fault in faults))

    @classmethod
    def draw(cls, rng: random.Random, *, until: Seconds = float("inf"), strength: float = 0.2) -> "FaultPlan":
        """A plan at random: some of all faults, none likelier than ``strength``, over at the time ``until``."""
        chosen = rng.sample(_EVERYTHING, rng.randint(1, len(_EVERYTHING)))
        return cls(
            tuple(Rule(fault, verbs=verbs, probability=rng.uniform(0, strength), end=until) for fault, verbs in chosen)
        )


_EVERYTHING: Final[list[tuple[Fault, tuple[str, ...]]]] = [
    (Latency(0.0, 2.0), ()),
    (Refused(), ()),
    (LostRequest(), ()),
    (LostReply(), WRITES),
    (NoReply(), ()),
    (Status(409), ("update", "patch")),
    (Status(410), ("list",)),
    (Status(429, retry_after=1), ()),
    (Status(500), ()),
    (Status(503), ()),
    (Status(504), ()),
    (StaleList(), ()),
    (Cut(0), ()),
    (Cut(3), ()),
    (Silent(2), ()),
    (Delayed(0.0, 5.0), ()),
    (NoBookmarks(), ()),
    (Replayed(), ()),
]
