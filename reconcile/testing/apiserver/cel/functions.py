"""The functions of the language itself, and of its libraries of texts, lists, sets, optionals.

Each takes plain values and answers one, or raises ``CelError`` in the words of the real library. Kubernetes' own are in
``kubernetes.py``. Pure. Source of the rules: cel-go, ``common/types``, ``common/stdlib`` and ``ext``.
"""

import datetime as dt
import functools
import itertools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from reconcile.testing.apiserver import regexps
from reconcile.testing.apiserver.cel import kubernetes
from reconcile.testing.apiserver.cel.values import (
    LEAST,
    MOST,
    MOST_UNSIGNED,
    NONE,
    CelError,
    Optional,
    TypeOf,
    UInt,
    duration,
    duration_text,
    equal,
    is_number,
    joined,
    timestamp,
    timestamp_text,
    type_name,
)

OWN_TYPES: Final = kubernetes.TYPES
_NO_OVERLOAD: Final = "no such overload"


def _checked(value: int, unsigned: bool) -> int:
    if unsigned:
        if not 0 <= value <= MOST_UNSIGNED:
            raise CelError("unsigned integer overflow")
        return UInt(value)
    if not LEAST <= value <= MOST:
        raise CelError("integer overflow")
    return value


def _arithmetic(whole: Callable[[Any, Any], int], broken: Callable[[Any, Any], float] | None) -> Callable[..., Any]:
    def compute(left: Any, right: Any) -> Any:
        if not (is_number(left) and is_number(right)) or type_name(left) != type_name(right):
            raise CelError(_NO_OVERLOAD)
        if isinstance(left, float):
            if broken is None:
                raise CelError(_NO_OVERLOAD)
            return broken(left, right)
        return _checked(whole(int(left), int(right)), isinstance(left, UInt))

    return compute


def _whole_division(left: int, right: int) -> int:
    if right == 0:
        raise CelError("division by zero")
    found = abs(left) // abs(right)
    return found if (left < 0) == (right < 0) else -found


def _remainder(left: int, right: int) -> int:
    if right == 0:
        raise CelError("modulus by zero")
    return int(math.fmod(left, right)) if abs(left) < 2**53 else left - right * _whole_division(left, right)


def _broken_division(left: float, right: float) -> float:
    if right == 0:
        return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)
    return left / right


_sum: Final = _arithmetic(lambda a, b: a + b, lambda a, b: a + b)
_difference: Final = _arithmetic(lambda a, b: a - b, lambda a, b: a - b)


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str | bytes) and type(left) is type(right):
        return left + right  # type: ignore[operator]
    if isinstance(left, list) and isinstance(right, list):
        return joined(left, right)
    if isinstance(left, dt.timedelta | dt.datetime) and isinstance(right, dt.timedelta | dt.datetime):
        return left + right  # type: ignore[operator]
    return _sum(left, right)


def _subtract(left: Any, right: Any) -> Any:
    if isinstance(left, dt.timedelta | dt.datetime) and isinstance(right, dt.timedelta | dt.datetime):
        return left - right  # type: ignore[operator]
    return _difference(left, right)


def _negate(value: Any) -> Any:
    if isinstance(value, dt.timedelta | float):
        return -value
    if type_name(value) != "int":
        raise CelError(_NO_OVERLOAD)
    return _checked(-value, unsigned=False)


def _not(value: Any) -> bool:
    if not isinstance(value, bool):
        raise CelError(_NO_OVERLOAD)
    return not value


def _compared(left: Any, right: Any) -> int:
    same = type_name(left) == type_name(right) and isinstance(left, str | bytes | bool | dt.datetime | dt.timedelta)
    if not same and not (is_number(left) and is_number(right)):
        raise CelError(_NO_OVERLOAD)
    return int(left > right) - int(left < right)


def _in(item: Any, whole: Any) -> bool:
    if isinstance(whole, dict):
        return item in whole
    if isinstance(whole, list):
        return any(equal(item, one) for one in whole)
    raise CelError(_NO_OVERLOAD)


def _size(value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise CelError(_NO_OVERLOAD)


# -- conversions ---------------------------------------------------------------------------------------------------


def _unconvertible(to: str) -> CelError:
    return CelError(f"type conversion error from 'string' to '{to}'")


def _int(value: Any) -> int:
    match value:
        case bool():
            raise CelError(_NO_OVERLOAD)
        case int():
            return _checked(int(value), unsigned=False)
        case float():
            if not math.isfinite(value) or not -(2.0**63) < value < 2.0**63:
                raise CelError("integer overflow")
            return int(value)
        case str():
            if not re.fullmatch(r"[+-]?\d+", value, re.ASCII) or not LEAST <= int(value) <= MOST:
                raise _unconvertible("int")
            return int(value)
        case dt.datetime():
            return int(value.timestamp())
        case dt.timedelta():
            return int(value / dt.timedelta(microseconds=1)) * 1000
    raise CelError(_NO_OVERLOAD)


def _uint(value: Any) -> UInt:
    if isinstance(value, str):
        if not re.fullmatch(r"\d+", value, re.ASCII):
            raise _unconvertible("uint")
        value = int(value)
    if not is_number(value):
        raise CelError(_NO_OVERLOAD)
    return UInt(_checked(int(value), unsigned=True))


def _double(value: Any) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise _unconvertible("double") from None
    if not is_number(value):
        raise CelError(_NO_OVERLOAD)
    return float(value)


def go_float(value: float) -> str:
    """A floating point number as Go writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value).removesuffix(".0")
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        sign = exponent[0] if exponent[0] in "+-" else "+"
        return f"{mantissa}e{sign}{exponent.lstrip('+-').rjust(2, '0')}"
    return text


def _string(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(int(value))
        case float():
            return go_float(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise CelError("invalid UTF-8 in bytes, cannot convert to string") from None
        case dt.datetime():
            return timestamp_text(value)
        case dt.timedelta():
            return duration_text(value)
    if hasattr(value, "TYPE"):
        return str(value)
    raise CelError(_NO_OVERLOAD)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise _unconvertible("bool")


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _timestamp(value: Any) -> dt.datetime:
    if isinstance(value, str):
        return timestamp(value)
    return value if isinstance(value, dt.datetime) else dt.datetime.fromtimestamp(value, dt.UTC)


def _duration(value: Any) -> dt.timedelta:
    return duration(value) if isinstance(value, str) else value


def _part_of_time(name: str) -> Callable[..., int]:
    def part(value: Any, zone: str = "UTC") -> Any:
        if isinstance(value, dt.timedelta):
            per = {"getHours": 3600, "getMinutes": 60, "getSeconds": 1}.get(name)
            return int(value / dt.timedelta(seconds=per)) if per else int(value.microseconds / 1000)
        moment = value.astimezone(_zone(zone))
        return {
            "getFullYear": moment.year,
            "getMonth": moment.month - 1,
            "getDate": moment.day,
            "getDayOfMonth": moment.day - 1,
            "getDayOfWeek": (moment.weekday() + 1) % 7,
            "getDayOfYear": moment.timetuple().tm_yday - 1,
            "getHours": moment.hour,
            "getMinutes": moment.minute,
            "getSeconds": moment.second,
            "getMilliseconds": moment.microsecond // 1000,
        }[name]

    return part


def _zone(name: str) -> dt.tzinfo:
    if found := re.fullmatch(r"([+-]?)(\d\d):(\d\d)", name):
        offset = dt.timedelta(hours=int(found[2]), minutes=int(found[3]))
        return dt.timezone(-offset if found[1] == "-" else offset)
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise CelError(f"unknown time zone {name}") from None


# -- texts ---------------------------------------------------------------------------------------------------------


def pattern_matches(text: str, pattern: str) -> bool:
    """Whether a regular expression, as Go reads it, is in a text. Raises ``CelError``."""
    try:
        return regexps.matches(pattern, text)
    except regexps.BadPattern as error:
        raise CelError(str(error)) from None


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise CelError(f"index out of range: {index}")
    return text[index : index + 1]


def _index_of(text: Any, part: Any, start: int = 0) -> Any:
    if isinstance(text, list):
        return next((index for index, one in enumerate(text) if equal(one, part)), -1)
    if not 0 <= start <= len(text):
        raise CelError(f"index out of range: {start}")
    return text.find(part, start)


def _last_index_of(text: Any, part: Any, start: int | None = None) -> Any:
    if isinstance(text, list):
        return next((index for index in range(len(text) - 1, -1, -1) if equal(text[index], part)), -1)
    if start is None:
        return text.rfind(part)
    if not 0 <= start < len(text):
        raise CelError(f"index out of range: {start}")
    return text.rfind(part, 0, start + len(part))


def _substring(text: str, start: int, end: int | None = None) -> str:
    last = len(text) if end is None else end
    for index in (start, last):
        if not 0 <= index <= len(text):
            raise CelError(f"index out of range: {index}")
    if start > last:
        raise CelError(f"invalid substring range. start: {start}, end: {last}")
    return text[start:last]


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not separator:
        parts = list(text)
        return parts if limit < 0 or limit >= len(parts) else [*parts[: limit - 1], "".join(parts[limit - 1 :])]
    return text.split(separator, limit - 1 if limit > 0 else -1)


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    return text.replace(old, new, limit)


def _ascii(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: "".join(change(sign) if sign.isascii() else sign for sign in text)


_VERB: Final = re.compile(r"%(?:%|(\.\d+)?([a-zA-Z]))")


def _format(text: str, arguments: list[Any]) -> str:
    rest = iter(enumerate(arguments))

    def one(found: re.Match[str]) -> str:
        if found.group() == "%%":
            return "%"
        index, value = next(rest, (len(arguments), None))
        if index >= len(arguments):
            raise CelError(f"index {index} out of range")
        return _formatted(found[2], int(found[1][1:]) if found[1] else None, value)

    return _VERB.sub(one, text)


def _formatted(verb: str, precision: int | None, value: Any) -> str:
    match verb:
        case "s":
            return shown(value)
        case "d" if is_number(value) and not isinstance(value, float):
            return str(int(value))
        case "f" if is_number(value):
            return f"{value:.{6 if precision is None else precision}f}"
        case "e" if is_number(value):
            return f"{value:.{6 if precision is None else precision}e}"
        case "b" if isinstance(value, int):
            return f"{int(value):b}"
        case "o" if isinstance(value, int):
            return f"{value:o}"
        case "x" | "X":
            text = value.encode().hex() if isinstance(value, str) else value.hex() if isinstance(value, bytes) else ""
            text = text or f"{value:x}"
            return text.upper() if verb == "X" else text
    names = {"d": "decimal", "f": "fixed-point", "e": "scientific", "b": "binary", "o": "octal"}
    what = names.get(verb)
    if what is None:
        raise CelError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')
    raise CelError(f"error during formatting: {what} clause can only be used on numbers, was given {type_name(value)}")


def shown(value: Any) -> str:
    """A value as ``%s`` shows it."""
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(name)}: {shown(value[name])}" for name in sorted(value, key=str)) + "}"
    if isinstance(value, TypeOf):
        return value.name
    return "null" if value is None else _string(value)


def _quote(text: str) -> str:
    escapes = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
    escapes |= {"\\": r"\\", '"': r"\""}
    return '"' + "".join(escapes.get(sign, sign) for sign in text) + '"'


# -- lists ---------------------------------------------------------------------------------------------------------


def _sorted(items: list[Any]) -> list[Any]:
    return sorted(items, key=functools.cmp_to_key(_compared))


def _sorted_by(items: list[Any], keys: list[Any]) -> list[Any]:
    def order(left: tuple[Any, Any], right: tuple[Any, Any]) -> int:
        return _compared(left[0], right[0])

    return [item for _, item in sorted(zip(keys, items, strict=True), key=functools.cmp_to_key(order))]


def _distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not any(equal(item, one) for one in found):
            found.append(item)
    return found


def _flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise CelError("level must be non-negative")
    found: list[Any] = []
    for item in items:
        found += _flatten(item, depth - 1) if isinstance(item, list) and depth > 0 else [item]
    return found


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise CelError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise CelError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(items):
        raise CelError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return items[start:end]


def _total(items: list[Any]) -> Any:
    result: Any = None
    for item in items:
        result = item if result is None else _add(result, item)
    return 0 if result is None else result


def _extreme(sign: int, name: str) -> Callable[[list[Any]], Any]:
    def find(items: list[Any]) -> Any:
        if not items:
            raise CelError(f"{name} called on empty list")
        best = items[0]
        for item in items[1:]:
            if _compared(item, best) * sign > 0:
                best = item
        return best

    return find


def _contains_all(whole: list[Any], parts: list[Any]) -> bool:
    return all(any(equal(part, one) for one in whole) for part in parts)


def _map_insert(whole: dict[Any, Any], key: Any, *value: Any) -> dict[Any, Any]:
    added = {key: value[0]} if value else key
    for name in added:
        if name in whole:
            raise CelError(f"insert failed: key {shown(name)} already exists")
    return {**whole, **added}


def _some(value: Any) -> Optional:
    return Optional(value)


def _value(optional: Optional) -> Any:
    if not optional.is_some:
        raise CelError("optional.none() dereference")
    return optional.value


def _non_zero(value: Any) -> Optional:
    return NONE if not value and not isinstance(value, dt.datetime) else Optional(value)


_TIMES: Final = (
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
)
FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "_+_": _add,
    "_-_": _subtract,
    "_*_": _arithmetic(lambda a, b: a * b, lambda a, b: a * b),
    "_/_": _arithmetic(_whole_division, _broken_division),
    "_%_": _arithmetic(_remainder, None),
    "-_": _negate,
    "!_": _not,
    "_<_": lambda a, b: _compared(a, b) < 0,
    "_<=_": lambda a, b: _compared(a, b) <= 0,
    "_>_": lambda a, b: _compared(a, b) > 0,
    "_>=_": lambda a, b: _compared(a, b) >= 0,
    "@in": _in,
    "size": _size,
    "int": _int,
    "uint": _uint,
    "double": _double,
    "string": _string,
    "bool": _bool,
    "bytes": _bytes,
    "dyn": lambda value: value,
    "type": lambda value: TypeOf(type_name(value)),
    "timestamp": _timestamp,
    "duration": _duration,
    **{name: _part_of_time(name) for name in _TIMES},
    "contains": lambda text, part: part in text,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
    "matches": pattern_matches,
    "charAt": _char_at,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "substring": _substring,
    "split": _split,
    "join": lambda parts, separator="": separator.join(parts),
    "replace": _replace,
    "trim": lambda text: text.strip(),
    "lowerAscii": _ascii(str.lower),
    "upperAscii": _ascii(str.upper),
    "format": _format,
    "strings.quote": _quote,
    "sort": _sorted,
    "@sortByAssociatedKeys": _sorted_by,
    "distinct": _distinct,
    "flatten": _flatten,
    "slice": _slice,
    "reverse": lambda items: list(reversed(items)),
    "first": lambda items: Optional(items[0]) if items else NONE,
    "last": lambda items: Optional(items[-1]) if items else NONE,
    "lists.range": lambda count: list(range(count)),
    "isSorted": lambda items: all(_compared(a, b) <= 0 for a, b in itertools.pairwise(items)),
    "sum": _total,
    "min": _extreme(-1, "min"),
    "max": _extreme(1, "max"),
    "sets.contains": _contains_all,
    "sets.equivalent": lambda a, b: _contains_all(a, b) and _contains_all(b, a),
    "sets.intersects": lambda a, b: any(equal(one, other) for one in a for other in b),
    "cel.@mapInsert": _map_insert,
    "optional.of": _some,
    "optional.none": lambda: NONE,
    "optional.ofNonZeroValue": _non_zero,
    "optional.unwrap": lambda items: [one.value for one in items if one.is_some],
    "unwrapOpt": lambda items: [one.value for one in items if one.is_some],
    "value": _value,
    "hasValue": lambda optional: optional.is_some,
    **kubernetes.FUNCTIONS,
}
_LINEAR: Final = frozenset(
    {"contains", "startsWith", "endsWith", "matches", "_==_", "_!=_", "_+_", "@in", "split", "join", "replace", "find"}
    | {"findAll", "quantity", "ip", "cidr", "url", "isURL", "isIP", "isCIDR", "isQuantity", "format", "indexOf"}
    | {"sum", "min", "max", "isSorted", "sort", "distinct", "string", "bytes", "trim", "lowerAscii", "upperAscii"}
)


def cost(name: str, arguments: list[Any]) -> float:
    """What a call costs: 1, and for those that look through what they are given, a tenth of its size more."""
    if name not in _LINEAR:
        return 1
    sizes = [len(one) for one in arguments if isinstance(one, str | bytes | list | dict)]
    return max(1.0, math.ceil(sum(sizes) * 0.1)) if sizes else 1
