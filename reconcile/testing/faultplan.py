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


@attrs.frozen
class Reset:
    """The server does what was asked, and the connection breaks after so many bytes of the body of the answer."""

    after_bytes: int = 0


@attrs.frozen
class Full:
    """Its storage has no room: writes fail, reads go on."""


@attrs.frozen
class ReadOnly:
    """Its storage has no leader: writes fail, reads go on."""


# -- faults of a server, played by an embedded one only ----------------------------------------------------------------


@attrs.frozen
class Compacted:
    """All history is forgotten: whoever asks for a past version is told 410."""


@attrs.frozen
class Restored:
    """A backup is brought back that is so many versions old: versions go back, watches end."""

    versions: int = 5


@attrs.frozen
class Skewed:
    """The wall clock is wrong by so much, from now on; by a time between these if they differ."""

    least: Seconds = -60.0
    most: Seconds = 60.0


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
    | Reset
    | Full
    | ReadOnly
    | Compacted
    | Restored
    | Skewed
    | Cut
    | Silent
    | Delayed
    | NoBookmarks
    | Replayed
)
OF_WATCHES: Final = (Cut, Silent, Delayed, NoBookmarks, Replayed)
OF_STORAGE: Final = (Full, ReadOnly)
OF_SERVERS: Final = (Compacted, Restored, Skewed)


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
        if isinstance(self.fault, OF_STORAGE) and verb not in WRITES:
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
    def named(cls, text: str, *, probability: float = 0.1) -> "FaultPlan":
        """Faults by their names with commas in between: ``Latency,LostReply,Status 429``; ``all``: everything.

        Raises:
            ValueError: there is no fault of a name; the message lists those that there are.
        """
        named = {name_of(fault): Rule(fault, verbs=verbs, probability=probability) for fault, verbs in _NAMED}
        names = list(named) if text == "all" else [name.strip() for name in text.split(",")]
        unknown = [name for name in names if name not in named]
        if unknown:
            raise ValueError(f"there is no fault {unknown[0]!r}; there are {', '.join(named)}")
        return cls(tuple(named[name] for name in names))

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
_NAMED: Final[list[tuple[Fault, tuple[str, ...]]]] = [
    *_EVERYTHING,
    (Reset(40), ()),
    (Full(), ()),
    (ReadOnly(), ()),
    (Compacted(), WRITES),
    (Restored(), WRITES),
    (Skewed(), WRITES),
]
"""What can be asked for by name; those of one name count once, the last one."""
