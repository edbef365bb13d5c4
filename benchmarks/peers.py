"""Draws what `docs/performance.md` tells of us and our peers: ``python -m benchmarks.peers FILE``.

The figures are in ``peers.json``, medians of rounds on a real kube-apiserver; by workload, then by program.
"""

import json
import sys
from pathlib import Path

from benchmarks.plot import bars

FIGURES = Path(__file__).with_name("peers.json")


def main(file: Path) -> None:
    bars(file, json.loads(FIGURES.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
