"""YAML, as the real server's library reads it: what a plain word stands for, what is wrong, and which keys come twice.

The first document of a text counts. Words like ``yes`` are flags and ``010`` is eight, but a time of day is text; keys
become text as they do on the way to JSON. Pure. Needs PyYAML, which is loaded on use. Source of the rules: yaml.v2.
"""

import math
import re
from typing import Any, Final

_PLAIN: Final = "!plain"
_TRUE: Final = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE: Final = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_INFINITE: Final = {
    sign + word: number
    for word in (".inf", ".Inf", ".INF")
    for sign, number in (("", math.inf), ("+", math.inf), ("-", -math.inf))
}
_INTEGER: Final = re.compile(r"([-+]?)(0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class BadYaml(ValueError):
    """A text that is no YAML, or none that JSON can say; the text is Go's."""


def load(raw: bytes) -> tuple[Any, list[str]]:
    """The value of the first document, and a text for each key that a map sets twice.

    Raises:
        BadYaml: it cannot be read.
    """
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Tells words that stand plain from those in quotes or with a type."""

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is yaml.ScalarNode:
                return _PLAIN if implicit[0] else "tag:yaml.org,2002:str"
            return super().resolve(kind, value, implicit)

    try:
        loader = Loader(raw)
        try:
            node = loader.get_node() if loader.check_node() else None
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise BadYaml(f"yaml: {_complaint(error, raw)}") from error
    twice: list[str] = []
    try:
        return (_value(node, twice) if node is not None else None), twice
    except RecursionError as error:
        raise BadYaml("yaml: exceeded max depth of 10000") from error


def _complaint(error: Any, raw: bytes) -> str:
    problem = getattr(error, "problem", None) or str(error)
    at = getattr(error, "problem_mark", None)
    if "undefined alias" in problem and at is not None:
        name = re.match(r"\*([\w-]+)", raw.decode(errors="replace").splitlines()[at.line][at.column :])
        return f"unknown anchor '{name[1] if name is not None else ''}' referenced"
    of_scanner = type(error).__name__ == "ScannerError"
    for mark in (getattr(error, "context_mark", None), at):
        if mark is not None and mark.line:
            return f"line {mark.line + of_scanner}: {problem}"
    return str(problem)


def _value(node: Any, twice: list[str]) -> Any:
    if node.id == "sequence":
        return [_value(one, twice) for one in node.value]
    if node.id == "mapping":
        return _map(node, twice)
    if node.tag == _PLAIN:
        return _finite(plain(node.value))
    return _finite(_typed(node.tag.rpartition(":")[2], node.value))


def _map(node: Any, twice: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    merged: list[dict[str, Any]] = []
    for key_node, value_node in node.value:
        value = _value(value_node, twice)
        if key_node.id == "scalar" and key_node.tag == _PLAIN and key_node.value == "<<":
            merged += value if isinstance(value, list) else [value]
            continue
        key = _key(_value(key_node, twice))
        if key in found:
            twice.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
        found[key] = value
    for other in merged:
        if not isinstance(other, dict):
            raise BadYaml("yaml: map merge requires map or sequence of maps as the value")
        found = {**other, **found}
    return dict(sorted(found.items()))


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        kind = "map[interface {}]interface {}" if isinstance(value, dict) else "[]interface {}"
        raise BadYaml(f"yaml: invalid map key: {kind}{{}}")
    return str(value)


def plain(text: str) -> Any:
    """What a word stands for that is neither quoted nor typed."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _INFINITE or text in (".nan", ".NaN", ".NAN"):
        return _INFINITE.get(text, math.nan)
    digits = text.replace("_", "")
    if (found := _INTEGER.fullmatch(digits)) is not None:
        return _integer(found[1], found[2])
    if _FLOAT.fullmatch(digits) is not None:
        number = float(digits)
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return text


def _integer(sign: str, digits: str) -> int:
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2], 8 if digits[0] == "0" else 10)
    number = int(digits[2:] if digits[1:2] in ("b", "o", "x") else digits, base)
    return -number if sign == "-" else number


def _typed(kind: str, text: str) -> Any:
    """A word whose type is said, by quotes or by a tag."""
    if kind in ("int", "float", "bool", "null"):
        return plain(text)
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        said = "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
        raise BadYaml(f"json: unsupported value: {said}")
    return value
