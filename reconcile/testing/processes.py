"""Programs that do not outlive the test that started them.

The kernel kills each one when its parent ends, however that happens, SIGKILL included (Linux: ``PR_SET_PDEATHSIG``).
What a program writes to stdout and stderr goes to a file. What a program means, and when it is ready, is its caller's.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import define, field

from reconcile.core.clock import Seconds


class ProgramFailed(Exception):
    """A program ended, or was not ready in time: ``name``, ``code`` (None: still running), ``log`` (its last lines)."""

    def __init__(self, name: str, code: int | None, log: str) -> None:
        what = "is not ready in time" if code is None else f"ended with {code}"
        super().__init__(f"{name} {what}; its last lines:\n{log}")
        self.name = name
        self.code = code
        self.log = log


@define(eq=False)
class Process:
    """One started program."""

    name: str
    log: Path
    _popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def failed(self) -> ProgramFailed:
        """The error to raise, with the end of the log in it."""
        return ProgramFailed(self.name, self.code, self.log.read_text(errors="replace")[-3000:])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP freezes, SIGCONT thaws, SIGTERM asks to end. Nothing happens when it has ended."""
        self._popen.send_signal(number)

    def wait(self, timeout: Seconds) -> int:
        """Block until it has ended and return its code. Raises ProgramFailed when it has not by then."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired as late:
            raise self.failed() from late

    def kill(self) -> None:
        """End it at once, frozen or not, and wait until it is gone."""
        self._popen.kill()
        self._popen.wait()


@define(eq=False)
class Processes:
    """Starts programs and ends them all on leaving the ``with`` block; usable from any thread.

    The kernel ties a child to the *thread* that made it, so one thread of this object starts them all and lives as
    long as it: started from a pool's thread, a program would end when the pool lets that thread go.
    """

    _thread: ThreadPoolExecutor = field(init=False, factory=lambda: ThreadPoolExecutor(1, "processes"))
    _started: list[Process] = field(init=False, factory=list)

    def start(
        self, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Process:
        """Start ``command``; stdout and stderr are appended to ``log``. A missing program ends at once."""
        process = Process(Path(command[0]).name, log, self._thread.submit(_spawn, command, log, env, cwd).result())
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kill what still runs, the last one started first."""
        for process in reversed(self._started):
            process.kill()
        self._started.clear()
        self._thread.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# Runs in the child, in place of `preexec_fn`, which must not be used in a process that has threads.
_DIE_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() == int(sys.argv[1]):  # else the parent ended before we asked
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as error:
        sys.exit(f"cannot run {sys.argv[2]}: {error.strerror}")
"""


def _spawn(
    command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None, cwd: Path | None
) -> subprocess.Popen[bytes]:
    guard = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603  (the caller's own command, no shell)
            [*guard, *map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=cwd
        )
