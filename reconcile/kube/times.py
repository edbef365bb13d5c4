"""Points in time as the API writes them.

``metav1.Time`` has whole seconds and ``metav1.MicroTime`` (of a Lease, of an Event) always six digits; Go's readers of
the latter insist on them. Both are RFC 3339 and are written in UTC with a ``Z``. Pure: the time is passed in.
"""

import datetime as dt
import re
from typing import Final

_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def parse_time(text: str) -> dt.datetime:
    """Read RFC 3339 with any offset; what is finer than a microsecond is cut off. The answer is aware.

    Raises:
        ValueError: another format, no offset, or no such time.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text!r} is no RFC 3339 time")
    return dt.datetime.fromisoformat(text)


def format_time(time: dt.datetime) -> str:
    """``2006-01-02T15:04:05Z``; a fraction is kept in six digits if there is one.

    Raises:
        ValueError: the time is naive, so nobody knows when it was.
    """
    return _utc(time).isoformat().replace("+00:00", "Z")


def format_micro_time(time: dt.datetime) -> str:
    """``2006-01-02T15:04:05.000000Z``: for the fields that are a ``MicroTime``.

    Raises:
        ValueError: the time is naive.
    """
    return _utc(time).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _utc(time: dt.datetime) -> dt.datetime:
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone")
    return time.astimezone(dt.UTC)
