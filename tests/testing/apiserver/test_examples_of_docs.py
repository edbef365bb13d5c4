"""The examples of ``docs/testing.md`` run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = "pytester"

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
EXAMPLES: dict[str, str] = dict(re.findall(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL))
BIN = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> None:
    """What the inner suites leave behind is theirs."""


def test_there_are_five() -> None:
    assert len(EXAMPLES) == 5


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.endswith(".py")])
def test_an_example_passes(name: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    pytester.makeini("[pytest]\nanyio_mode = auto")
    (pytester.path / name).write_text(EXAMPLES[name])
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_controller_in_another_language_reaches_its_end(tmp_path: Path) -> None:
    reached = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    script = ["sh", "-eu", "-c", EXAMPLES["foreign.sh"]]
    done = subprocess.run(script, cwd=tmp_path, env=reached, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "configmap/blue condition met" in done.stdout
