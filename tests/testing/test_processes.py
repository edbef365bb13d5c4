"""Programs end with whoever started them, and with nothing else."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconcile.testing.processes import Process, Processes, ProgramFailed

FOREVER = ("sleep", "600")


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as processes:
        yield processes


def test_a_program_runs_until_its_block_is_left(tmp_path: Path) -> None:
    with Processes() as processes:
        process = processes.start(FOREVER, log=tmp_path / "log")
        assert process.code is None
    assert process.code == -signal.SIGKILL


def test_a_program_outlives_the_thread_that_asked_for_it(processes: Processes, tmp_path: Path) -> None:
    started: list[Process] = []

    def ask() -> None:
        started.append(processes.start(FOREVER, log=tmp_path / "log"))
        assert eventually(lambda: is_running("sleep", started[0].pid))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    with pytest.raises(ProgramFailed, match="not ready in time"):
        started[0].wait(0.2)


def test_a_program_is_gone_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time; from reconcile.testing.processes import Processes\n"
        f"print(Processes().start({FOREVER!r}, log=pathlib.Path(sys.argv[1])).pid, flush=True)\n"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert eventually(lambda: is_running("sleep", child))
        parent.kill()
    assert eventually(lambda: not is_running("sleep", child))


def test_a_frozen_program_can_be_killed(processes: Processes, tmp_path: Path) -> None:
    process = processes.start(FOREVER, log=tmp_path / "log")
    process.signal(signal.SIGSTOP)
    process.kill()
    assert process.code == -signal.SIGKILL


def test_a_failed_program_shows_the_end_of_its_output(processes: Processes, tmp_path: Path) -> None:
    process = processes.start(["sh", "-c", "echo no such flag >&2; exit 3"], log=tmp_path / "log")
    assert process.wait(10) == 3
    failed = process.failed()
    assert (failed.name, failed.code, failed.log) == ("sh", 3, "no such flag\n")


def test_a_program_that_does_not_exist_is_named_in_its_output(processes: Processes, tmp_path: Path) -> None:
    process = processes.start([tmp_path / "nothing-here"], log=tmp_path / "log")
    assert process.wait(10) != 0
    assert "nothing-here" in process.failed().log


def is_running(program: str, pid: int) -> bool:
    """``pid`` is ``program`` by now, and not a zombie: an orphan of ours may have no one to collect it."""
    try:
        _, _, name_and_state = Path(f"/proc/{pid}/stat").read_text().partition("(")
    except FileNotFoundError:
        return False
    name, _, state = name_and_state.rpartition(") ")
    return name == program and state[0] != "Z"


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()
