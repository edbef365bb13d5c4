"""The last recorded figures, and what they were measured on: ``recorded.json``, kept beside the code."""

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import orjson
from attrs import asdict, field, frozen

from benchmarks.measure import Figure
from benchmarks.servers import has_uvloop

FILE: Final = Path(__file__).with_name("recorded.json")


@frozen
class Facts:
    """What figures depend on beside the code. ``load`` is that of the last minute, when the run began."""

    python: str
    cores: int
    uvloop: bool
    httptools: bool
    load: float = field(eq=False)


@frozen
class Recorded:
    """Medians by the name of the benchmark. ``facts`` is ``None`` if nothing was ever recorded."""

    facts: Facts | None
    medians: Mapping[str, float]


def facts_here() -> Facts:
    """Of this process, now."""
    return Facts(
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        uvloop=has_uvloop(),
        httptools=find_spec("httptools") is not None,
        load=round(os.getloadavg()[0], 2),
    )


def read(file: Path = FILE) -> Recorded:
    """What was recorded, if anything was."""
    if not file.exists():
        return Recorded(None, {})
    document = orjson.loads(file.read_bytes())
    return Recorded(Facts(**document["facts"]), document["figures"])


def write(figures: Iterable[Figure], facts: Facts, file: Path = FILE) -> None:
    """Record the medians. Those of benchmarks that did not run stay, if they come from a like machine."""
    before = read(file)
    medians = dict(before.medians) if before.facts == facts else {}
    medians |= {figure.benchmark.name: float(f"{figure.median:.4g}") for figure in figures}
    document = {"facts": asdict(facts), "figures": medians}
    file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
