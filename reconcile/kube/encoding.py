"""From values to JSON, and back onto the document they were read from.

``encode`` writes an attrs object as the API spells it. A field equal to its default is left out when that default is
empty (null, zero, "", [] or {}), for its absence reads the same. ``carry`` moves a change of the fields we know into a
document that has more, so what we do not know survives. Pure; reading is ``decoding.py``'s.
"""

import datetime as dt
import enum
import functools
from collections.abc import Callable, Mapping
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, Final

import attrs
import msgspec

from reconcile.kube.patch import LISTS, same
from reconcile.kube.times import format_time
from reconcile.kube.views import ListView, thaw

ADDRESSES: Final = (IPv4Address, IPv6Address, IPv4Interface, IPv6Interface, IPv4Network, IPv6Network)
"""The standard library's addresses; interfaces keep the bits of the host. All are strings on the wire."""


def wire(name: str) -> dict[str, str]:
    """Field metadata for a name that is not just camel case: ``field(metadata=wire("providerID"))``."""
    return {"wire": name}


def wire_name(field: "attrs.Attribute[Any]") -> str:
    """How a field is called in JSON: what ``wire`` says, else camel case; an underscore at the end is dropped."""
    first, *others = field.name.rstrip("_").split("_")
    return str(field.metadata.get("wire") or first + "".join(part[:1].upper() + part[1:] for part in others))


def encode(value: Any) -> Any:
    """Plain data out of any value that has a JSON form.

    Raises:
        TypeError: it has none.
    """
    return _encoder(type(value))(value)  # type: ignore[arg-type]  # a type is hashable


def carry(document: Any, before: Any, after: Any) -> Any:
    """``document`` with the change from ``before`` to ``after``, which both show only the part of it that is known.

    ``before`` is how ``document`` reads: its lists have as many items.
    Items of a list are matched with what they were: first equal ones, then by the field that names them. An item that
    was matched keeps what is not known of it. Nothing passed in is changed; the answer may share parts with it.
    """
    if same(before, after):
        return document
    if isinstance(document, Mapping) and isinstance(before, Mapping) and isinstance(after, Mapping):
        result = {key: value for key, value in document.items() if key not in before or key in after}
        for key, value in after.items():
            if key in before and key in document:
                result[key] = carry(document[key], before[key], value)
            elif key not in before or not same(before[key], value):
                result[key] = value
        return result
    if isinstance(document, LISTS) and isinstance(before, LISTS) and isinstance(after, LISTS):
        matched = _matched(before, after)
        return [
            carry(document[matched[index]], before[matched[index]], item) if index in matched else item
            for index, item in enumerate(after)
        ]
    return after


def _matched(before: Any, after: Any) -> dict[int, int]:
    """Which item of ``before`` each item of ``after`` was, by index."""
    left = dict(enumerate(before))
    matched: dict[int, int] = {}
    for alike in (same, _named_alike):
        for index, item in enumerate(after):
            if index not in matched:
                found = next((place for place, old in left.items() if alike(old, item)), None)
                if found is not None:
                    matched[index] = found
                    del left[found]
    return matched


def _named_alike(old: Any, new: Any) -> bool:
    """Whether two items have the same first field of those that usually name one."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in ("uid", "name", "key", "type", "id", "ip"):
            if name in old or name in new:
                return same(old.get(name), new.get(name))
    return False


@functools.cache
def _encoder(kind: type) -> Callable[[Any], Any]:
    if kind in (str, int, float, bool, type(None)):
        return _as_is
    if issubclass(kind, enum.Enum):
        return lambda value: value.value
    if attrs.has(kind):
        return functools.partial(_encode_fields, _fields(kind))
    if issubclass(kind, msgspec.Struct):
        return lambda value: thaw(msgspec.to_builtins(value, enc_hook=dict))
    if issubclass(kind, dt.datetime):
        return format_time
    if issubclass(kind, (str, Decimal, *ADDRESSES)):
        return str
    if issubclass(kind, Mapping):
        return lambda value: {str(key): encode(item) for key, item in value.items()}
    if issubclass(kind, (list, tuple, ListView)):
        return lambda value: [encode(item) for item in value]
    if issubclass(kind, (set, frozenset)):
        return lambda value: sorted(encode(item) for item in value)
    raise TypeError(f"{kind.__name__} has no JSON form")


def _as_is(value: Any) -> Any:
    return value


_ABSENT: Final = object()


def _fields(kind: type) -> tuple[tuple[str, str, Any], ...]:
    """Name, wire name and the default that may be left out (``_ABSENT`` if none may), of each field."""
    return tuple((field.name, wire_name(field), _empty_default(field)) for field in attrs.fields(kind))


def _empty_default(field: "attrs.Attribute[Any]") -> Any:
    default = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time, a function to the checker
        default = attrs.NOTHING if default.takes_self else default.factory()  # type: ignore[union-attr]
    return _ABSENT if default is attrs.NOTHING or encode(default) else default


def _encode_fields(fields: tuple[tuple[str, str, Any], ...], value: Any) -> dict[str, Any]:
    result = {}
    for name, wired, default in fields:
        item = getattr(value, name)
        if item is None or (default is not _ABSENT and item == default):
            continue
        result[wired] = encode(item)
    return result
