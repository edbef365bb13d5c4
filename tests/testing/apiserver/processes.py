"""A server that is a process of its own, for tests that load it, measure it or kill it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen


@frozen
class Served:
    """A server that is ready."""

    process: subprocess.Popen[bytes]
    url: str

    @property
    def resident_mb(self) -> float:
        """What it has in memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) / 1024


@contextmanager
def program(*flags: str | Path) -> Iterator[Served]:
    """Start one and wait until it is ready; it ends with the block."""
    command = [sys.executable, "-m", "reconcile.testing.apiserver", "--port", "0", *map(str, flags)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            assert line.startswith("listening on "), line
            yield Served(process, line.removeprefix("listening on ").strip())
        finally:
            process.kill()
