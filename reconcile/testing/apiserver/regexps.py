"""Regular expressions as Go reads them: of patterns in schemas, and of rules in CEL.

RE2 is the same language, and like Go's takes time in proportion to the text, whatever the pattern: nobody's pattern can
hold the server up. Source of the texts: Go, ``regexp/syntax``.
"""

import functools
from collections.abc import Iterator
from typing import Any, Final

from reconcile.testing.apiserver.extras import needed
from reconcile.testing.apiserver.remembering import remembered

_GO_WORDS: Final = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
}


class BadPattern(ValueError):
    """Go cannot read a pattern. The text is Go's."""


def check(pattern: str) -> None:
    """See that a pattern can be read.

    Raises:
        BadPattern: it cannot.
        MissingExtra: the library is not there.
    """
    _compiled(pattern)


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is somewhere in a text. Raises like ``check``."""
    return _is_in(pattern, text)


def found(pattern: str, text: str) -> Iterator[str]:
    """All that a pattern matches in a text, from left to right. Raises like ``check``."""
    return (one.group() for one in _compiled(pattern).finditer(text))


@remembered(1024, of=lambda pattern, text: len(pattern) + len(text), most=512)
def _is_in(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


@remembered(1024, of=len, most=4096)
def _compiled(pattern: str) -> Any:
    re2 = _library()
    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        raise BadPattern(_words(error, pattern)) from None


def _library() -> Any:
    with needed("google-re2", "regular expressions"):
        import re2
    return re2


@functools.cache
def _options() -> Any:
    options = _library().Options()
    options.log_errors = False  # they are told to whoever sent the pattern
    return options


def _words(error: Exception, pattern: str) -> str:
    """What Go says of it: a sentence, and the part that it is about."""
    said = error.args[0]
    what, _, part = (said.decode() if isinstance(said, bytes) else str(said)).partition(": ")
    if part in ("(?<=", "(?<!"):  # to Go, the beginning of a name
        rest = pattern[pattern.index(part) :]
        what, part = "invalid named capture group", rest[: rest.find(">") + 1] or rest
    return f"error parsing regexp: {_GO_WORDS.get(what, what)}: `{part}`"
