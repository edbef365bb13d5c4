"""How the server reads the selectors of a query, and what it says of those it cannot read.

The client has a parser of its own; that these two agree is worth knowing, so neither borrows from the other. Matching
they share. Pure. Source of grammar and texts: apimachinery, packages ``labels`` and ``fields``.
"""

import re
from typing import Final, NamedTuple

from reconcile.kube.selector import FieldSelector, FieldTerm, LabelSelector, Operator, Requirement
from reconcile.testing.apiserver import names
from reconcile.testing.apiserver.failure import Failure, Fault, bad_request, invalid_value


def labels(text: str) -> LabelSelector:
    """Read a label selector; "" means everything.

    Raises:
        Failure: 400 in the words of the real server.
    """
    return LabelSelector(tuple(_Parser(text).requirements()))


def fields(text: str) -> FieldSelector:
    """Read a field selector; "" means everything.

    Raises:
        Failure: 400 in the words of the real server.
    """
    terms = []
    for term in sorted(found[0] for found in _TERM.finditer(text)):
        if not term:
            continue
        parts = re.fullmatch(r"(.*?)(!=|==|=)(.*)", term, re.DOTALL)
        if parts is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        terms.append(FieldTerm(parts[1], _unescaped(parts[3]), negated=parts[2] == "!="))
    return FieldSelector(tuple(terms))


_TERM: Final = re.compile(r"(?:\\.|[^\\,]|\\$)*", re.DOTALL)


def _unescaped(text: str) -> str:
    wrong = re.search(r"\\(?:[^\\,=]|$)|(?<!\\)(?:\\\\)*[,=]", text)
    if wrong is not None:
        found = wrong[0]
        if found.startswith("\\") and found[-1] not in ",=":
            raise bad_request(f"invalid field selector: invalid escape sequence: {found}")
        raise bad_request(f"invalid field selector: unescaped character in value: {ord(found[-1])}")
    return re.sub(r"\\(.)", r"\1", text)


class _Token(NamedTuple):
    kind: str
    """``id`` for a word, ``end``, or the symbol itself; ``in`` and ``notin`` are words where a value may stand."""
    text: str


_SYMBOLS: Final = ("==", "!=", "=", "!", "(", ")", ",", ">", "<")
_OPERATORS: Final = {
    "in": Operator.IN,
    "notin": Operator.NOT_IN,
    "=": Operator.IN,
    "==": Operator.IN,
    "!=": Operator.NOT_IN,
    ">": Operator.GREATER,
    "<": Operator.LESS,
}
_ALL_OPERATORS: Final = "in, notin, =, ==, !=, gt, lt"


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n":
            at += 1
            continue
        symbol = next((one for one in _SYMBOLS if text.startswith(one, at)), None)
        if symbol is not None:
            tokens.append(_Token(symbol, symbol))
            at += len(symbol)
            continue
        end = at
        while end < len(text) and text[end] not in "=!(),>< \t\r\n":
            end += 1
        word = text[at:end]
        tokens.append(_Token(word if word in ("in", "notin") else "id", word))
        at = end
    return [*tokens, _Token("end", "")]


class _Parser:
    """Reads requirements one by one."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0

    def look(self) -> _Token:
        """The next token where a key or a value may stand."""
        token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return _Token("id", token.text) if token.kind in ("in", "notin") else token

    def take(self) -> _Token:
        token = self.look()
        self.at += 1
        return token

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            token = self.look()
            if token.kind == "end":
                return found
            if token.kind not in ("id", "!"):
                raise bad_request(f"found '{token.text}', expected: !, identifier, or 'end of string'")
            found.append(self.requirement())
            token = self.take()
            if token.kind == "end":
                return found
            if token.kind != ",":
                raise bad_request(f"found '{token.text}', expected: ',' or 'end of string'")
            if self.look().kind not in ("id", "!"):
                raise bad_request(f"found '{self.look().text}', expected: identifier after ','")

    def requirement(self) -> Requirement:
        token = self.take()
        negated = token.kind == "!"
        if negated:
            token = self.take()
        if token.kind != "id":
            raise _wrong(f"found '{token.text}', expected: identifier")
        key = token.text
        if complaints := names.label_key(key):
            raise _wrong(str(invalid_value("<nil>", key, "; ".join(complaints))))
        if negated:
            return Requirement(key, Operator.DOES_NOT_EXIST)
        if self.look().kind in ("end", ","):
            return Requirement(key, Operator.EXISTS)
        return self.compared(key)

    def compared(self, key: str) -> Requirement:
        token = self.tokens[self.at]
        self.at += 1
        if token.kind not in _OPERATORS:
            raise _wrong(f"found '{token.text}', expected: {_ALL_OPERATORS}")
        operator = _OPERATORS[token.kind]
        values = self.several() if token.kind in ("in", "notin") else self.one()
        faults = list(_faults(key, operator, sorted(values)))
        if faults:
            texts = list(dict.fromkeys(map(str, faults)))
            raise _wrong(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
        return Requirement(key, operator, frozenset(values))

    def one(self) -> set[str]:
        if self.look().kind in ("end", ","):
            return {""}
        token = self.take()
        if token.kind != "id":
            raise _wrong(f"found '{token.text}', expected: identifier")
        return {token.text}

    def several(self) -> set[str]:
        token = self.take()
        if token.kind != "(":
            raise _wrong(f"found '{token.text}' expected: '('")
        token = self.look()
        if token.kind == ")":
            self.take()
            return {""}
        if token.kind not in ("id", ","):
            raise _wrong(f"found '{token.text}', expected: ',', ')' or identifier")
        values = self.listed()
        if self.take().kind != ")":
            raise _wrong(f"found '{token.text}', expected: ')'")
        return values

    def listed(self) -> set[str]:
        values: set[str] = set()
        while True:
            token = self.take()
            if token.kind == "id":
                values.add(token.text)
                after = self.look()
                if after.kind == ")":
                    return values
                if after.kind != ",":
                    raise _wrong(f"found '{after.text}', expected: ',' or ')'")
            elif token.kind == ",":
                # nothing between two marks is the empty value
                if not values or self.look().kind in (",", ")"):
                    values.add("")
                if self.look().kind == ")":
                    return values
            else:
                raise _wrong(f"found '{token.text}', expected: ',', or identifier")


def _wrong(text: str) -> Failure:
    return bad_request(f"unable to parse requirement: {text}")


def _faults(key: str, operator: Operator, values: list[str]) -> list[Fault]:
    faults = []
    for index, value in enumerate(values):
        if operator in (Operator.GREATER, Operator.LESS) and not re.fullmatch(r"[+-]?\d+", value):
            text = "for 'Gt', 'Lt' operators, the value must be an integer"
            faults.append(invalid_value(f"values[{index}]", value, text))
        if complaints := names.label_value(value):
            faults.append(invalid_value(f"values[{index}][{key}]", value, "; ".join(complaints)))
    return faults
