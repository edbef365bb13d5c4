"""Measure, show the figures beside the recorded ones, and record them if told to.

``--only REGEX`` runs those whose name it is found in; ``--record`` writes ``recorded.json``, best on a quiet machine.
"""

import argparse
import re
import sys

from benchmarks import record, table
from benchmarks.measure import Benchmark, measure
from benchmarks.micro import BENCHMARKS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX")
    parser.add_argument("--record", action="store_true")
    flags = parser.parse_args()
    chosen = [benchmark for benchmark in BENCHMARKS if flags.only.search(benchmark.name)]
    if not chosen:
        names = "\n  ".join(benchmark.name for benchmark in BENCHMARKS)
        parser.error(f"no benchmark has {flags.only.pattern!r} in its name; there are\n  {names}")
    facts, recorded = record.facts_here(), record.read()
    figures = measure(chosen, tell)
    tell(None)
    table.show(table.rows(figures, recorded.medians))
    if recorded.facts is not None and recorded.facts != facts:
        print(f"\nRecorded on something else, so ratios tell little: {recorded.facts}; here: {facts}")
    if facts.load >= facts.cores:
        print(f"\nThe machine was busy when this began (load {facts.load:g} on {facts.cores} cores).")
    if flags.record:
        record.write(figures, facts)
        print(f"\nRecorded in {record.FILE.name}.")
    return 0


def tell(benchmark: Benchmark | None) -> None:
    """Show on a terminal what runs."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{benchmark.name if benchmark else ''}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
