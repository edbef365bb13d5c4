"""YAML, as the real server's library reads it: what a plain word stands for, what is wrong, and which keys come twice.

The first document of a text counts. Words like ``yes`` are flags and ``010`` is eight, but a time of day is text; keys
become text as they do on the way to JSON. Pure. Needs PyYAML, which is loaded on use. Source of the rules: yaml.v2.
"""

import math
import re
from typing import Any, Final

import attrs

from reconcile.testing.apiserver.settings import DEPTH_LIMIT

_PLAIN: Final = "!plain"
_TOO_DEEP: Final = f"yaml: exceeded max depth of {DEPTH_LIMIT}"
_FORMS: Final = {"Alias": "alias", "Scalar": "scalar", "SequenceStart": "sequence", "MappingStart": "mapping"}
_LONGEST: Final = 66
"""Characters of a number of 64 bits."""
_FEW: Final = 400_000
_MANY: Final = 4_000_000
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
        BadYaml: it cannot be read, is nested too deep, or repeats itself beyond measure.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(raw)
    try:
        node = _first_document(loader)
    except yaml.YAMLError as error:
        raise BadYaml(f"yaml: {_complaint(error)}") from error
    finally:
        loader.dispose()
    reading = _Reading()
    try:
        return (reading.value(node) if node is not None else None), reading.twice
    except RecursionError as error:
        raise BadYaml(_TOO_DEEP) from error


@attrs.define(eq=False)
class _Node:
    """A part of a document. Of an alias, ``tag`` is the name and ``parts`` is what it stands for."""

    form: str
    tag: str
    line: int
    text: str = ""
    parts: "list[_Node]" = attrs.field(factory=list)
    """Of a map, keys and values in turn."""


def _first_document(loader: Any) -> _Node | None:
    """Put a document together from what is read of it, bit by bit: the library's own way there is a recursion in C,
    which a text that is nested deep enough lets run out of the stack."""
    anchors: dict[str, _Node] = {}
    around = [_Node("document", "", 0)]
    while loader.check_event():
        event = loader.get_event()
        form = type(event).__name__.removesuffix("Event")
        if form in ("SequenceEnd", "MappingEnd"):
            around.pop()
        elif form == "DocumentEnd":
            return around[0].parts[0]
        elif form in _FORMS:
            node = _node(form, event, anchors)
            around[-1].parts.append(node)
            if form in ("SequenceStart", "MappingStart"):
                around.append(node)
                if len(around) > DEPTH_LIMIT + 1:
                    raise BadYaml(_TOO_DEEP)
    return None


def _node(form: str, event: Any, anchors: dict[str, _Node]) -> _Node:
    line = event.start_mark.line
    if form == "Alias":
        if event.anchor not in anchors:
            raise BadYaml(f"yaml: unknown anchor '{event.anchor}' referenced")
        return _Node("alias", event.anchor, line, parts=[anchors[event.anchor]])
    if form == "Scalar":
        tag = event.tag if event.tag not in (None, "!") else _PLAIN if event.implicit[0] else "str"
        node = _Node("scalar", tag, line, event.value)
    else:
        node = _Node(_FORMS[form], "", line)
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _complaint(error: Any) -> str:
    problem = getattr(error, "problem", None) or str(error)
    of_scanner = type(error).__name__ == "ScannerError"
    for mark in (getattr(error, "context_mark", None), getattr(error, "problem_mark", None)):
        if mark is not None and mark.line:
            return f"line {mark.line + of_scanner}: {problem}"
    return str(problem)


@attrs.define(eq=False)
class _Reading:
    """What is made of the nodes of one document. A few bytes of aliases could stand for more than there is room for:
    past some size, most of a document has to be written out."""

    twice: list[str] = attrs.field(factory=list)
    _read: int = 1
    _repeated: int = 0
    _aliases: list[_Node] = attrs.field(factory=list)
    """Those that are being followed."""

    def value(self, node: _Node) -> Any:
        """Raises ``BadYaml``, ``RecursionError``."""
        self._read += 1
        self._repeated += bool(self._aliases)
        if self._repeated > 100 and self._read > 1000 and self._repeated > self._read * self._allowed():
            raise BadYaml("yaml: document contains excessive aliasing")
        if node.form == "alias":
            return self._followed(node)
        if node.form == "sequence":
            return [self.value(one) for one in node.parts]
        if node.form == "mapping":
            return self._map(node)
        return _finite(plain(node.text) if node.tag == _PLAIN else _typed(node.tag.rpartition(":")[2], node.text))

    def _allowed(self) -> float:
        """The share of aliases that a document of this size may have."""
        return 0.99 - 0.89 * min(1.0, max(0.0, (self._read - _FEW) / (_MANY - _FEW)))

    def _followed(self, alias: _Node) -> Any:
        if alias in self._aliases:
            raise BadYaml(f"yaml: anchor '{alias.tag}' value contains itself")
        self._aliases.append(alias)
        found = self.value(alias.parts[0])
        self._aliases.pop()
        return found

    def _map(self, node: _Node) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        for key_node, value_node in zip(node.parts[::2], node.parts[1::2], strict=True):
            value = self.value(value_node)
            if key_node.form == "scalar" and key_node.tag == _PLAIN and key_node.text == "<<":
                merged += value if isinstance(value, list) else [value]
                continue
            key = _key(self.value(key_node))
            if key in found:
                self.twice.append(f'line {key_node.line + 1}: key "{key}" already set in map')
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
    if (found := _INTEGER.fullmatch(digits)) is not None and (number := _integer(found[1], found[2])) is not None:
        return number
    if _FLOAT.fullmatch(digits) is not None and math.isfinite(measure := float(digits)):
        return int(measure) if measure.is_integer() and abs(measure) < 2**53 else measure
    return text


def _integer(sign: str, digits: str) -> int | None:
    """A number of at most 64 bits."""
    if len(digits) > _LONGEST:
        return None
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2], 8 if digits[0] == "0" else 10)
    number = int(digits[2:] if digits[1:2] in ("b", "o", "x") else digits, base)
    return (-number if sign == "-" else number) if number < (2**63 if sign == "-" else 2**64) else None


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
