"""What the words of the command line lead to: exit status, and one line that says what, where and what to do."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from apinetlet import cli, flags
from apinetlet.settings import Settings


def test_help_names_every_flag_and_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--namespace=blue", "--help"]) == 0
    text = capsys.readouterr().out
    assert [flag.name for flag in flags.flags_of(Settings) if f"  --{flag.name}" not in text] == []
    assert "apinetlet demo [--once]" in text


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"apinetlet {importlib.metadata.version('apinetlet')}, ")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--api-net-namespaces=x"], 2, "unknown flag --api-net-namespaces: did you mean --api-net-namespace?"),
        (["--workers=many"], 2, "invalid value 'many' for flag --workers"),
        (["--generation=third"], 2, "must be one of auto, onmetal, ironcore"),
        (["--zap-log-level=loud"], 2, "invalid value 'loud' for flag --zap-log-level"),
        (["serve"], 2, "unexpected word 'serve': flags start with a dash"),
        (["demo", "--twice"], 2, "unknown flag --twice"),
        (["demo", "blue"], 2, "unexpected word 'blue': the demo takes only flags"),
        ([], 1, "flag --api-net-namespace is required"),
        (["--api-net-namespace=x", "--workers=0"], 1, "--workers must be at least 1"),
    ],
)
def test_a_wrong_word_is_told_in_one_line(
    words: list[str], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == status
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("apinetlet: ")
    assert says in line


QUIET = ("--api-net-namespace=x", "--health-probe-bind-address=0", "--metrics-bind-address=0")
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: there
contexts: [{name: there, context: {cluster: there, user: me}}]
clusters: [{name: there, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin}}}]
"""


@pytest.mark.parametrize(
    ("content", "says", "remedy"),
    [
        (None, "no such kubeconfig", "correct the path"),
        ("{", "kubeconfig is not YAML", "correct the file"),
        (KUBECONFIG.replace("there\n", "elsewhere\n", 1), "elsewhere", "context"),
        (KUBECONFIG, "'no-such-plugin' is not installed", "install"),
    ],
    ids=["missing", "no YAML", "no such context", "no such plugin"],
)
def test_a_kubeconfig_that_cannot_be_used_ends_the_start_with_its_file_and_the_remedy(
    content: str | None, says: str, remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_text(content)
    words = [*QUIET, f"--kubeconfig={file}", f"--api-net-kubeconfig={file}"]
    assert cli.main(words) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert str(file) in line
    assert says in line
    assert remedy in line


def test_a_second_kubeconfig_that_cannot_be_used_ends_the_start_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(KUBECONFIG.replace("no-such-plugin", "/bin/true"))
    words = [*QUIET, "--generation=onmetal", f"--kubeconfig={good}", f"--api-net-kubeconfig={bad}"]
    assert cli.main(words) == 1
    assert f"no such kubeconfig ({bad})" in capsys.readouterr().err


def test_the_demo_lists_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"--{name}" in text for name in ("once", "generation", "speed", "port", "load", "plain"))


def test_the_demo_without_its_extra_names_the_extra() -> None:
    code = "import sys; sys.modules['rich'] = None; from apinetlet.cli import main; sys.exit(main(['demo', '--once']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr == "apinetlet: the demo needs rich: pip install 'apinetlet[tui]'\n"


def test_help_does_not_wait_for_what_only_the_daemon_needs() -> None:
    code = "import sys; from apinetlet.cli import main; main(['--help']); sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, check=False).returncode == 0
