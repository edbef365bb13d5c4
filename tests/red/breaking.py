"""The code with one thing broken: a copy in a folder of its own, and what its tests say then.

A test that has never been seen red may be unable to fail. So for what protects against each pain ``breakages.toml``
says how to break it, in one exact place, and which tests then have to fail. They run in a process of their own that
imports the copy, never the checkout; ``witness.py`` tells what became of them.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from attrs import field, frozen

from reconcile.core.clock import Seconds

ROOT = Path(__file__).resolve().parent.parent.parent
LIST = Path(__file__).with_name("breakages.toml")
COPIED = ("reconcile", "provider", "apinetlet", "tests", "tools", "examples", "pyproject.toml")
LIMIT: Seconds = 300.0
"""For the tests of one breakage. On virtual time a hang is found at once; this is for those that live in real time."""


@frozen
class Breakage:
    """``text`` stands exactly once in ``file`` and becomes ``broken``; then each of ``tests`` has to fail.

    ``takes_away`` says what of the protection is gone. ``raises``: other errors than those of an assertion that may
    show it, by the names of their classes.
    """

    pain: int
    file: str
    text: str
    broken: str
    takes_away: str
    tests: tuple[str, ...] = field(converter=tuple)
    raises: tuple[str, ...] = field(converter=tuple, default=())

    @property
    def name(self) -> str:
        """As a test's id."""
        return f"{self.pain}-{self.takes_away.replace(' ', '-')}"

    def apply(self, folder: Path) -> None:
        """Break the copy in ``folder``.

        Raises:
            AssertionError: the code looks different by now.
        """
        path = folder / self.file
        code = path.read_text()
        times = code.count(self.text)
        assert times == 1, f"the code moved, adapt the breakage: {self.file} has {times} times {self.text!r}"
        path.write_text(code.replace(self.text, self.broken))


@frozen
class Told:
    """What became of one test. ``raised``: the class of the error and its bases by name, () if it passed."""

    test: str
    phase: str
    raised: tuple[str, ...] = field(converter=tuple)
    says: str


def breakages() -> tuple[Breakage, ...]:
    """The whole list."""
    return tuple(Breakage(**entry) for entry in tomllib.loads(LIST.read_text())["breakage"])


def copy_code(folder: Path) -> Path:
    """Copy what is tested and its tests, with their compiled files, so that only what is broken is compiled again."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy2(source, folder / name)
    return folder


def run(folder: Path, tests: tuple[str, ...], *, limit: Seconds = LIMIT) -> list[Told]:
    """Run the tests on the code in ``folder``, and tell every phase of each.

    Raises:
        AssertionError: they could not be run at all, or had no end.
    """
    command = [sys.executable, "-m", "tests.red.witness", *tests]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**kept, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        raise AssertionError(f"no end within {limit:g} s: {' '.join(tests)}") from expired
    said = done.stdout + done.stderr
    *_, last = done.stdout.splitlines() or [""]
    assert last.startswith("{"), f"the tests could not be run:\n{said}"
    answer: dict[str, Any] = json.loads(last)
    assert answer["code"] in (0, 1), f"the tests could not be run: pytest ended with {answer['code']}\n{said}"
    return [Told(**one) for one in answer["told"]]
