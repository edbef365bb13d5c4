"""Which objects are meant: label and field selectors, parsed, printed and matched as the API server does.

``str(parse_labels(text))`` means the same as ``text`` and parses to an equal value. Pure.

Source: k8s.io/apimachinery, packages ``labels`` and ``fields``; a ``LabelSelector`` object is metav1's.
"""

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs


class BadSelector(ValueError):
    """A selector that cannot be read: ``text``, ``position`` in it (from 0) and ``what`` is wrong."""

    def __init__(self, what: str, *, text: str, position: int = 0) -> None:
        super().__init__(what, text, position)
        self.what = what
        self.text = text
        self.position = position

    def __str__(self) -> str:
        return f"selector {self.text!r}: {self.what} at {self.position}"


class Operator(enum.Enum):
    """How a label is compared, spelled as in a ``LabelSelector`` object. Equality is ``IN`` with one value."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER = "Gt"
    LESS = "Lt"


_IN: Final = Operator.IN


@attrs.frozen
class Requirement:
    """What one label must be. An object without the label passes ``NOT_IN`` and ``DOES_NOT_EXIST`` only."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels pass."""
        value = labels.get(self.key)
        if self.operator is _IN:  # nearly all of them are
            return value in self.values
        match self.operator:
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
            case _:
                return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        [bound] = self.values
        if not _INTEGER.fullmatch(value):
            return False
        return int(value) > int(bound) if self.operator is Operator.GREATER else int(value) < int(bound)

    def __str__(self) -> str:
        values = sorted(self.values)
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.GREATER | Operator.LESS:
                return f"{self.key}{'>' if self.operator is Operator.GREATER else '<'}{values[0]}"
            case _ if len(values) == 1:
                return f"{self.key}{'=' if self.operator is Operator.IN else '!='}{values[0]}"
            case _:
                return f"{self.key} {'in' if self.operator is Operator.IN else 'notin'} ({','.join(values)})"


@attrs.frozen
class LabelSelector:
    """All requirements must hold; without any, everything is meant. ``nothing`` is what an absent selector means."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is meant."""
        if self.nothing:
            return False
        for requirement in self.requirements:  # noqa: SIM110 - a generator costs more than what it asks
            if not requirement.matches(labels):
                return False
        return True

    def __str__(self) -> str:
        """As in a query.

        Raises:
            ValueError: "nothing" cannot be said in a query.
        """
        if self.nothing:
            raise ValueError("a selector of nothing has no text: do not send the request")
        return ",".join(map(str, self.requirements))


def parse_labels(text: str) -> LabelSelector:
    """Read ``a=b,c!=d,e in (f,g),h notin (i),j,!k,l>5``; "" means everything.

    Raises:
        BadSelector: the grammar, a key, a value or a number is wrong.
    """
    tokens = _Tokens(text)
    requirements: list[Requirement] = []
    while tokens.next:
        requirements.append(_requirement(tokens))
        if tokens.next and tokens.take() != ",":
            raise tokens.error("expected a comma")
        if tokens.last == "," and not tokens.next:
            raise tokens.error("nothing after the comma")
    return LabelSelector(tuple(requirements))


def labels_from(selector: Mapping[str, Any] | None) -> LabelSelector:
    """Read a ``LabelSelector`` object (``matchLabels``, ``matchExpressions``). ``None`` means nothing, {} everything.

    Raises:
        BadSelector: an unknown operator, values where none belong or the other way round, a wrong key or value.
    """
    if selector is None:
        return LabelSelector(nothing=True)
    text = repr(selector)
    found = [
        _checked(key, Operator.IN, (value,), text) for key, value in sorted((selector.get("matchLabels") or {}).items())
    ]
    for expression in selector.get("matchExpressions") or ():
        try:
            operator = Operator(expression.get("operator"))
        except ValueError:
            operator = Operator.GREATER
        if operator in (Operator.GREATER, Operator.LESS):
            raise BadSelector(f"unknown operator {expression.get('operator')!r}", text=text)
        found.append(_checked(expression.get("key", ""), operator, tuple(expression.get("values") or ()), text))
    return LabelSelector(tuple(found))


Getter: TypeAlias = Callable[[Mapping[str, Any]], str]
"""The value of a field of an object; "" if it has none."""


def _metadata(name: str) -> Getter:
    return lambda value: str((value.get("metadata") or {}).get(name) or "")


FIELDS: Final[Mapping[str, Getter]] = {
    "metadata.name": _metadata("name"),
    "metadata.namespace": _metadata("namespace"),
}
"""What every kind can be selected by. Built-in kinds add to it; custom resources by their ``selectableFields``."""


@attrs.frozen
class FieldTerm:
    """One field that must, or must not, have one value."""

    path: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        value = re.sub(r"([\\,=])", r"\\\1", self.value)
        return f"{self.path}{'!=' if self.negated else '='}{value}"


@attrs.frozen
class FieldSelector:
    """All terms must hold; without any, everything is meant."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, value: Mapping[str, Any], getters: Mapping[str, Getter] = FIELDS) -> bool:
        """Whether an object is meant.

        Raises:
            BadSelector: a field that ``getters`` does not know; the API server answers 400 then.
        """
        for term in self.terms:
            if term.path not in getters:
                raise BadSelector(f"field label not supported: {term.path}", text=str(self))
            if (getters[term.path](value) == term.value) is term.negated:
                return False
        return True

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


def parse_fields(text: str) -> FieldSelector:
    r"""Read ``metadata.name=a,status.phase!=Failed``; in values ``\``, ``,`` and ``=`` are escaped by ``\``.

    Raises:
        BadSelector: a term without operator, or a wrong escape.
    """
    terms: list[FieldTerm] = []
    for found in _TERM.finditer(text):
        term = found[0]
        if not term:
            continue
        parts = re.fullmatch(r"((?:(?!!=)[^=])*)(!=|==|=)((?:\\[\\,=]|[^\\,=])*)", term, re.DOTALL)
        if parts is None:
            raise BadSelector(f"expected field=value or field!=value, not {term!r}", text=text, position=found.start())
        terms.append(FieldTerm(parts[1], re.sub(r"\\(.)", r"\1", parts[3]), negated=parts[2] == "!="))
    return FieldSelector(tuple(terms))


_TERM: Final = re.compile(r"(?:\\.|[^\\,]|\\$)*", re.DOTALL)
_TOKEN: Final = re.compile(r"\s*(==|!=|[=!()<>,]|[^\s=!()<>,]+)")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_SUBDOMAIN: Final = r"(?=[^/]{1,253}/)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_KEY: Final = re.compile(rf"(?:{_SUBDOMAIN}/)?{_NAME}")
_VALUE: Final = re.compile(rf"(?:{_NAME})?")


class _Tokens:
    """The words of a label selector with one word of look-ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.last = ""
        self.position = 0
        self._words: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        self._upcoming = next(self._words, None)

    @property
    def next(self) -> str:
        return self._upcoming[1] if self._upcoming else ""

    def take(self) -> str:
        self.last = self.next
        self.position = self._upcoming.start(1) if self._upcoming else len(self.text)
        self._upcoming = next(self._words, None)
        return self.last

    def error(self, what: str) -> BadSelector:
        return BadSelector(what, text=self.text, position=self.position)


def _requirement(tokens: _Tokens) -> Requirement:
    if tokens.next == "!":
        tokens.take()
        return _checked(tokens.take(), Operator.DOES_NOT_EXIST, (), tokens.text, tokens.position)
    key, position = tokens.take(), tokens.position
    values: tuple[str, ...]
    match tokens.next:
        case "" | ",":
            operator, values = Operator.EXISTS, ()
        case "=" | "==" | "!=" | ">" | "<" as sign:
            tokens.take()
            operator, values = _SIGNS[sign], (_value(tokens),)
        case "in" | "notin" as word:
            tokens.take()
            operator, values = (Operator.IN if word == "in" else Operator.NOT_IN), _values(tokens)
        case other:
            tokens.take()
            raise tokens.error(f"expected an operator, not {other!r}")
    return _checked(key, operator, values, tokens.text, position)


_SIGNS: Final[Mapping[str, Operator]] = {
    "=": Operator.IN,
    "==": Operator.IN,
    "!=": Operator.NOT_IN,
    ">": Operator.GREATER,
    "<": Operator.LESS,
}


def _value(tokens: _Tokens) -> str:
    """The next word; nothing at all is the empty value."""
    return "" if tokens.next in ("", ",", ")") else tokens.take()


def _values(tokens: _Tokens) -> tuple[str, ...]:
    """``(a,b)``; nothing between two marks is the empty value."""
    if tokens.take() != "(":
        raise tokens.error("expected (")
    values = [_value(tokens)]
    while (mark := tokens.take()) == ",":
        values.append(_value(tokens))
    if mark != ")":
        raise tokens.error("expected a comma or )")
    return tuple(values)


def _checked(key: object, operator: Operator, values: tuple[Any, ...], text: str, position: int = 0) -> Requirement:
    def wrong(what: str) -> BadSelector:
        return BadSelector(what, text=text, position=position)

    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise wrong(f"{key!r} is no label key")
    if operator in (Operator.GREATER, Operator.LESS):
        if not _INTEGER.fullmatch(values[0]):
            raise wrong(f"{values[0]!r} is no integer")
        return Requirement(key, operator, frozenset(values))
    if bool(values) is (operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST)):
        raise wrong(f"{operator.value} {'takes no values' if values else 'needs a value'}")
    for value in values:
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise wrong(f"{value!r} is no label value")
    return Requirement(key, operator, frozenset(values))
