"""What a benchmark is, and how several of them become figures.

Times are CPU times of this process, so that a busy machine distorts them little. Rounds are interleaved: what slows the
machine down for a while hits one round of each benchmark, and the median is taken.
"""

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from attrs import define, field, frozen

from reconcile.core.clock import Seconds

Unit: TypeAlias = Literal["us", "ms", "bytes", "MB"]
"""Of one figure; less is better in each."""


@frozen
class Benchmark:
    """One thing to measure. ``run`` does it so many times (``size``) and tells the figure."""

    name: str
    unit: Unit
    size: int
    run: Callable[[int], float]
    rounds: int = 5
    """Fewer where a figure hardly varies, or takes long."""


@frozen
class Figure:
    """What the rounds of one benchmark have shown."""

    benchmark: Benchmark
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def measure(benchmarks: Iterable[Benchmark], tell: Callable[[Benchmark], None]) -> tuple[Figure, ...]:
    """Run every round of each; ``tell`` hears before each run which one comes."""
    values: dict[Benchmark, list[float]] = {benchmark: [] for benchmark in benchmarks}
    for number in range(max((benchmark.rounds for benchmark in values), default=0)):
        for benchmark, found in values.items():
            if number < benchmark.rounds:
                tell(benchmark)
                found.append(benchmark.run(benchmark.size))
    return tuple(Figure(benchmark, tuple(found)) for benchmark, found in values.items())


@define
class Cpu:
    """CPU time spent. ``each`` is the time of one of ``count`` things, in microseconds."""

    count: int
    seconds: Seconds = field(default=0.0, init=False)

    @property
    def each(self) -> float:
        return self.seconds / self.count * 1e6


@contextmanager
def cpu(count: int) -> Iterator[Cpu]:
    """Measure the body, which does ``count`` things. Earlier garbage is collected first."""
    spent = Cpu(count)
    gc.collect()
    began = time.process_time()
    yield spent
    spent.seconds = time.process_time() - began


def spent_by(pid: int) -> Seconds:
    """The CPU time of a process so far, without its children's. Raises FileNotFoundError: there is none."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
