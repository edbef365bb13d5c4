"""What a reflector may ask for, what its answers may lead to, and how patient it is: values, nothing else. Pure."""

import enum
from typing import TypeAlias

import attrs

from reconcile.core.backoff import Backoff
from reconcile.core.clock import Seconds


@attrs.frozen
class ReflectorSettings:
    """How patiently to ask. Times in seconds."""

    page_limit: int = 500
    """Objects a page of a list."""
    watch_seconds: tuple[int, int] = (240, 480)
    """A watch ends by the server's clock after a time between these, so that not all of them end at once."""
    idle: Seconds = 75.0
    """A watch that is silent for longer is taken for dead; servers send a bookmark about every minute."""
    overdue: Seconds = 15.0
    """How long after its time a watch may end."""
    short: Seconds = 5.0
    """A watch that lived shorter counts as a failure, even if it was ended in order."""
    watch_list: bool = True
    """Whether to try to get lists as a stream."""
    initial_idle: Seconds = 10.0
    """A stream that should bring a list may be silent for so long before pages are asked for instead."""
    initial_limit: Seconds = 60.0
    """And may take so long as a whole."""
    backoff: Backoff = attrs.field(factory=lambda: Backoff(base=0.8, factor=2.0, cap=30.0))
    healthy: Seconds = 120.0
    """Failures further apart than this do not make the pauses grow."""
    version_patience: Seconds = 30.0
    """How long a server may say that the version asked for is yet to come."""
    stuck: int = 3
    """So many failures in a row without an event between them, and another way is tried: a list, or pages."""
    retry_after_limit: Seconds = 120.0
    """A server that asks for a longer pause is asked again after this."""


@attrs.frozen
class List:
    """Ask for a page. With a version: not older than it."""

    resource_version: str = ""
    continue_: str = ""
    limit: int = 0


@attrs.frozen
class Watch:
    """Follow the collection. ``lists``: what is there comes first, as events, up to a bookmark that says so."""

    resource_version: str
    timeout_seconds: int
    idle: Seconds
    limit: Seconds
    """The client's own limit on all of it, or, while it ``lists``, on that."""
    lists: bool = False


@attrs.frozen
class AskKind:
    """Ask discovery whether the server has the kind."""


@attrs.frozen
class Pause:
    """Wait, then go on."""

    seconds: Seconds
    then: "List | Watch | AskKind"


Request: TypeAlias = List | Watch | AskKind
Step: TypeAlias = Request | Pause


class Effect(enum.Enum):
    """What to do with what came."""

    NOTHING = enum.auto()
    STAGE = enum.auto()
    """It belongs to a list that is not whole yet."""
    TAKE = enum.auto()
    """The list is whole: it takes the place of the copy (``version``, ``is_reset``)."""
    COMMIT = enum.auto()
    """It happened after the list."""
    STOP = enum.auto()
    """The stream is of no more use: close it and do ``step``. What came with it does not count."""
    EMPTY = enum.auto()
    """The kind is gone, and with it every object."""


class State(enum.StrEnum):
    """How the copy is doing."""

    SYNCING = "syncing"
    LIVE = "live"
    WAITING_FOR_KIND = "waiting-for-kind"
    GONE = "gone"
    """The kind was there and has been removed."""
    FORBIDDEN = "forbidden"
    UNAUTHORIZED = "unauthorized"
    UNREACHABLE = "unreachable"
    """No answer, or one that is of no use."""
