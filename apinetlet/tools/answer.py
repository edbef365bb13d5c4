"""What a tool has found: facts for programs, tables for people, and whether there is something to do.

``shell.py`` prints it in the form that was asked for. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import field, frozen

OK: Final = 0
FINDING: Final = 1
"""Somebody has something to do, or the question could not be answered."""
USAGE: Final = 2
"""The words cannot be read."""


class Failure(Exception):
    """The question cannot be answered; the text is one line that says why and what to do."""


def _cells(rows: Sequence[Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple("" if cell is None else str(cell) for cell in row) for row in rows)


@frozen
class Table:
    """Rows under a head. ``title`` stands above it; a table without rows is not shown."""

    head: Sequence[str]
    rows: tuple[tuple[str, ...], ...] = field(converter=_cells)
    title: str = ""


Part: TypeAlias = Table | str
"""A table, or lines of text as they are."""


@frozen
class Answer:
    """Both forms of it."""

    facts: Mapping[str, Any] | Sequence[Any]
    """As JSON."""
    parts: Sequence[Part] = ()
    """For people, in the order of reading."""
    status: int = OK
