"""Times as Go reads and writes them: RFC 3339, and the same with exactly six digits after the second.

Pure. Source of forms and texts: apimachinery, ``apis/meta/v1`` (Time, MicroTime), and Go's ``time.Parse``.
"""

import datetime as dt
import re
from typing import Final

TIME: Final = "date-time"
MICRO_TIME: Final = "micro-time"
_LAYOUTS: Final = {TIME: "2006-01-02T15:04:05Z07:00", MICRO_TIME: "2006-01-02T15:04:05.000000Z07:00"}
_DATE: Final = (("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T"))
_CLOCK: Final = (("15", r"\d\d"), (":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d"))
_ZONE: Final = (("Z07:00", r"Z|[+-]\d\d:\d\d"),)
_PIECES: Final = {
    TIME: (*_DATE, *_CLOCK, ("", r"([.,]\d+)?"), *_ZONE),
    MICRO_TIME: (*_DATE, *_CLOCK, (".000000", r"[.,]\d{6}"), *_ZONE),
}


def problem(form: str, text: str) -> str:
    """What Go's decoder says of a text that should be a time; "" if it takes it."""
    rest = text
    for piece, pattern in _PIECES[form]:
        found = re.match(pattern, rest)
        if found is None:
            return f'parsing time "{text}" as "{_LAYOUTS[form]}": cannot parse "{rest}" as "{piece}"'
        rest = rest[found.end() :]
    if rest:
        return f'parsing time "{text}": extra text: "{rest}"'
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return f'parsing time "{text}": day out of range'
    return ""


def canonical(form: str, text: str) -> str:
    """The same moment as Go writes it: in UTC, with six digits or none."""
    moment = dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if form == MICRO_TIME else "%Y-%m-%dT%H:%M:%SZ")
