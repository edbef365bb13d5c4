"""How Go prints values, and what its JSON decoder says of a text that is no JSON.

Much of what the real server answers is such text. Pure. Source: Go's ``fmt`` and ``encoding/json`` (``scanner.go``).
"""

import re
from decimal import Decimal
from typing import Any, Final


def go_plain(value: Any) -> str:
    """A value as ``%v`` prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{go_plain(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_plain, value)) + "]"
    if isinstance(value, float):
        is_whole = value.is_integer() and abs(value) < 1e21  # Python turns to exponents from 1e16 on, Go from here
        return f"{Decimal(repr(value)):f}".removesuffix(".0") if is_whole else repr(value)
    return "<nil>" if value is None else str(value)


def go_syntax(value: Any) -> str:
    """A value as Go source, as ``%#v`` prints it."""
    if isinstance(value, dict):
        inside = ", ".join(f'"{name}":{go_syntax(value[name])}' for name in sorted(value))
        return f"map[string]interface {{}}{{{inside}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(go_syntax, value))}}}"
    return f'"{value}"' if isinstance(value, str) else go_plain(value)


class _Wrong(Exception):
    """A text is no JSON; the argument says why."""


_END: Final = "unexpected end of JSON input"
_BLANK: Final = re.compile(r"[ \t\r\n]+")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]+')
"""What a string holds that needs no second look."""
_DEEPEST: Final = 10_000
"""How deep Go's decoder reads."""


def json_error(raw: bytes) -> str:
    """Why this is no JSON document; "" if it is one."""
    scanner = _Scanner(raw.decode(errors="replace"))
    try:
        scanner.value()
        scanner.space()
        if not scanner.is_done():
            scanner.wrong("after top-level value")
    except _Wrong as wrong:
        return str(wrong)
    return ""


class _Scanner:
    """Reads a text as far as it is JSON."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def is_done(self) -> bool:
        return self.at >= len(self.text)

    @property
    def character(self) -> str:
        if self.is_done():
            raise _Wrong(_END)
        return self.text[self.at]

    def wrong(self, where: str) -> None:
        character = self.character
        shown = {"'": r"'\''", '"': "'\"'"}.get(character) or f"'{character}'"
        raise _Wrong(f"invalid character {shown} {where}")

    def space(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def value(self) -> None:
        """One value; iterative, since a text may be nested deeper than Python calls may."""
        open_ones: list[str] = []
        while True:
            self.space()
            character = self.character
            if character in "{[":
                self.at += 1
                self.space()
                if self.character == ("}" if character == "{" else "]"):
                    self.at += 1
                else:
                    open_ones.append(character)
                    if len(open_ones) > _DEEPEST:
                        raise _Wrong("exceeded max depth")
                    if character == "{":
                        self.key()
                    continue
            else:
                self.scalar()
            while open_ones:
                self.space()
                inside = open_ones[-1]
                if self.character == ",":
                    self.at += 1
                    if inside == "{":
                        self.key()
                    break
                if self.character != ("}" if inside == "{" else "]"):
                    self.wrong("after object key:value pair" if inside == "{" else "after array element")
                self.at += 1
                open_ones.pop()
            if not open_ones:
                return

    def key(self) -> None:
        self.space()
        if self.character != '"':
            self.wrong("looking for beginning of object key string")
        self.string()
        self.space()
        if self.character != ":":
            self.wrong("after object key")
        self.at += 1

    def scalar(self) -> None:
        character = self.character
        if character == '"':
            self.string()
        elif character in "tfn":
            self.literal({"t": "true", "f": "false", "n": "null"}[character])
        elif character == "-" or character.isdigit():
            self.number()
        else:
            self.wrong("looking for beginning of value")

    def string(self) -> None:
        self.at += 1
        while True:
            found = _PLAIN.match(self.text, self.at)
            self.at = found.end() if found else self.at
            if (character := self.character) == '"':
                break
            if character < " ":
                self.wrong("in string literal")
            self.at += 1
            if character == "\\":
                if self.character == "u":
                    for _ in range(4):
                        self.at += 1
                        if self.character not in "0123456789abcdefABCDEF":
                            self.wrong("in \\u hexadecimal character escape")
                elif self.character not in 'bfnrt\\/"':
                    self.wrong("in string escape code")
                self.at += 1
        self.at += 1

    def literal(self, word: str) -> None:
        for letter in word[1:]:
            self.at += 1
            if self.character != letter:
                self.wrong(f"in literal {word} (expecting '{letter}')")
        self.at += 1

    def number(self) -> None:
        if self.character == "-":
            self.at += 1
            if not self.character.isdigit():
                self.wrong("in numeric literal")
        found = re.compile(r"0|[1-9]\d*").match(self.text, self.at)
        self.at = found.end() if found else self.at
        for sign, where in ((".", "after decimal point in numeric literal"), ("eE", "in exponent of numeric literal")):
            if not self.is_done() and self.text[self.at] in sign:
                self.at += 1
                if sign == "eE" and self.character in "+-":
                    self.at += 1
                if not self.character.isdigit():
                    self.wrong(where)
                while not self.is_done() and self.text[self.at].isdigit():
                    self.at += 1
