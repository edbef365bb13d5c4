"""Figures beside the recorded ones, as a table: by rich if it is installed, plain otherwise."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from benchmarks.measure import Figure

HEADS: Final = ("benchmark", "unit", "now", "from", "to", "recorded", "ratio")


def rows(figures: Iterable[Figure], recorded: Mapping[str, float]) -> list[tuple[str, ...]]:
    """One row a figure, in words. ``ratio`` is now by recorded: more than 1 is slower, or larger."""
    return [_row(figure, recorded.get(figure.benchmark.name)) for figure in figures]


def _row(figure: Figure, before: float | None) -> tuple[str, ...]:
    benchmark, now = figure.benchmark, figure.median
    span = _number(min(figure.values)), _number(max(figure.values))
    beside = (_number(before), f"{now / before:.2f}") if before else ("", "")
    return benchmark.name, benchmark.unit, _number(now), *span, *beside


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def show(lines: Sequence[tuple[str, ...]]) -> None:
    """Print them. In a file, where no terminal tells the width, the table is plain."""
    if find_spec("rich") is None or not sys.stdout.isatty():
        print(plain(lines))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for place, head in enumerate(HEADS):
        table.add_column(head, justify="left" if place < 2 else "right", no_wrap=place > 0)
    for line in lines:
        table.add_row(*line)
    Console().print(table)


def plain(lines: Sequence[tuple[str, ...]]) -> str:
    """The table as text."""
    widths = [max(map(len, column)) for column in zip(HEADS, *lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (HEADS, *lines)
    )
