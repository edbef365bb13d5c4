"""The values of the language: those of JSON, and what it has besides.

Integers, floating point numbers, texts, bytes, lists and maps are Python's; a time is a ``datetime``, a duration a
``timedelta``. Pure. Source of the rules: cel-go, ``common/types``.
"""

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

LEAST, MOST, MOST_UNSIGNED = -(2**63), 2**63 - 1, 2**64 - 1


class CelError(Exception):
    """What goes wrong while an expression runs; the text is the real library's."""


class UInt(int):
    """A number that is never negative; not the same type as any other."""

    __slots__ = ()


@attrs.frozen
class TypeOf:
    """A type, as a value."""

    name: str


class Missing:
    """No value, in an optional."""


@attrs.frozen(eq=False)
class Optional:
    """Something, or nothing."""

    value: Any = Missing

    @property
    def is_some(self) -> bool:
        """Whether there is something."""
        return self.value is not Missing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Optional) and (
            equal(self.value, other.value) if self.is_some and other.is_some else self.is_some == other.is_some
        )

    def __hash__(self) -> int:
        return hash(self.is_some)


NONE: Final = Optional()


class SetList(list[Any]):
    """A list whose order does not matter."""


class MapList(list[Any]):
    """A list of maps that are told apart by their keys; the order does not matter."""

    keys: tuple[str, ...] = ()


def type_name(value: Any) -> str:
    """The name of a value's type."""
    for form, name in _NAMES:
        if isinstance(value, form):
            return name
    return getattr(value, "TYPE", type(value).__name__)


_NAMES: Final[tuple[tuple[Any, str], ...]] = (
    (bool, "bool"),
    (UInt, "uint"),
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (list, "list"),
    (dict, "map"),
    (type(None), "null_type"),
    (dt.datetime, "google.protobuf.Timestamp"),
    (dt.timedelta, "google.protobuf.Duration"),
    (Optional, "optional_type"),
    (TypeOf, "type"),
)


def is_number(value: Any) -> bool:
    """Whether a value is an integer or a floating point number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """Whether two values are the same: numbers by their value, others only within a type."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and len(left) == len(right)
            and all(name in right and equal(value, right[name]) for name, value in left.items())
        )
    if isinstance(left, list):
        if not isinstance(right, list) or len(left) != len(right):
            return False
        if isinstance(left, SetList):
            return all(any(equal(one, other) for other in right) for one in left)
        if isinstance(left, MapList):
            others = {_key(left.keys, one): one for one in right}
            return all(equal(one, others.get(_key(left.keys, one), Missing)) for one in left)
        return all(map(equal, left, right))
    return type_name(left) == type_name(right) and bool(left == right)


def _key(keys: tuple[str, ...], item: Any) -> tuple[Any, ...]:
    return tuple(item.get(name) for name in keys) if isinstance(item, dict) else ()


def joined(left: list[Any], right: list[Any]) -> list[Any]:
    """Two lists as one: a set takes what it lacks, a list-map what it lacks or has another version of."""
    if isinstance(left, SetList):
        return SetList([*left, *(one for one in right if not any(equal(one, other) for other in left))])
    if isinstance(left, MapList):
        found = {_key(left.keys, one): one for one in left}
        found |= {_key(left.keys, one): one for one in right}
        result = MapList(found.values())
        result.keys = left.keys
        return result
    return [*left, *right]


# -- times ---------------------------------------------------------------------------------------------------------

_UNITS: Final[Mapping[str, Decimal]] = {
    "ns": Decimal("0.001"),
    "us": Decimal(1),
    "µs": Decimal(1),
    "μs": Decimal(1),
    "ms": Decimal(1000),
    "s": Decimal(1_000_000),
    "m": Decimal(60_000_000),
    "h": Decimal(3_600_000_000),
}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def duration(text: str) -> dt.timedelta:
    """Read ``1h30m``, as Go does. Raises ``CelError``."""
    rest = text.lstrip("+-") if text[:1] in "+-" else text
    if rest == "0":
        return dt.timedelta()
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise CelError("type conversion error from 'string' to 'google.protobuf.Duration'")
    micros = sum((Decimal(number) * _UNITS[unit] for number, unit in parts), Decimal())
    return dt.timedelta(microseconds=int(-micros if text.startswith("-") else micros))


def duration_text(value: dt.timedelta) -> str:
    """A duration as the language writes it: seconds."""
    seconds = value / dt.timedelta(seconds=1)
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{seconds:.9f}".rstrip("0") + "s"


def timestamp(text: str) -> dt.datetime:
    """Read RFC 3339. Raises ``CelError``."""
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text):
            raise ValueError
        return dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        raise CelError("type conversion error from 'string' to 'google.protobuf.Timestamp'") from None


def timestamp_text(value: dt.datetime) -> str:
    """A time as RFC 3339."""
    text = value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
    return f"{text}{fraction}Z"
