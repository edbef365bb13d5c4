"""What the Tab key offers: asked of real shells, which run the script that we print."""

import os
import pty
import select
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from apinetlet import flags, tools
from apinetlet.settings import Settings
from apinetlet.tools import completion

SPLIT = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
_apinetlet
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("completion") / "bash"
    file.write_text(completion.bash(completion.vocabulary()))
    return file


def offered(script: Path, words: Sequence[str], where: Path) -> set[str]:
    """What bash offers for the last of ``words``, which are as bash splits them."""
    command = ["bash", "--norc", "-c", SPLIT, "bash", str(script), "apinetlet", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=where)
    assert done.stderr == ""
    return {line for line in done.stdout.splitlines() if line}


def test_bash_offers_words_flags_and_values(script: Path, tmp_path: Path) -> None:
    (tmp_path / "my.kubeconfig").touch()
    (tmp_path / "my-folder").mkdir()
    (tmp_path / "of mine").touch()
    daemon = {f"--{flag.name}" for flag in flags.flags_of(Settings)}
    for words, wanted in (
        ([""], {"demo", *tools.TOOLS}),
        (["pro"], {"provider-id"}),
        (["--"], {*daemon, "--help"}),
        (["--api-net-names"], {"--api-net-namespace"}),
        (["--workers", "3", "--api-net-names"], {"--api-net-namespace"}),
        (["--generation", "o"], {"onmetal"}),
        (["--generation", "="], {"auto", "onmetal", "ironcore"}),
        (["--generation", "=", "iron"], {"ironcore"}),
        (["--leader-elect", "=", ""], {"true", "false"}),
        (["--leader-elect", "--leader-election-n"], {"--leader-election-namespace"}),
        (["--kubeconfig", "my"], {"my.kubeconfig", "my-folder"}),
        (["--kubeconfig", "of"], {"of mine"}),
        (["--metrics-cert-path", "=", "my"], {"my-folder"}),
        (["provider-id", ""], {"parse", "format"}),
        (["provider-id", "--no"], {"--node"}),
        (["version", "-o", ""], {"table", "json"}),
        (["demo", "--generation", ""], {"onmetal", "ironcore"}),
        (["completion", "z"], {"zsh"}),
        (["--watch-filter", ""], set()),
    ):
        assert offered(script, words, tmp_path) == wanted, words


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("apinetlet explain Network default/blue --gener", "--generation="),
        ("apinetlet explain Network default/blue --generation i", "ironcore"),
        ("apinetlet provider-id parse one two --gener", "--generation="),
        ("apinetlet provider-id pa", "parse"),
    ],
)
def test_zsh_completes_flags_after_any_number_of_words(line: str, whole: str, tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text(completion.zsh(completion.vocabulary()))
    assert whole.startswith(line.split()[-1])
    assert typed(f"autoload -Uz compinit; compinit -u -D; source {file}", f"{line}\t", tmp_path).endswith(whole)


def typed(first: str, line: str, home: Path) -> str:
    """What stands on the command line of a zsh when ``line`` was typed, after a first command."""
    terminal, other = pty.openpty()
    command = ["zsh", "-f", "-i"]
    environment = {"TERM": "dumb", "PS1": "", "HOME": str(home), "PATH": os.environ["PATH"]}
    shell = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, cwd=home, env=environment)
    # what stands there is put into a file by a key, for a terminal redraws at will
    keep = "_keep() { print -rn -- $BUFFER > kept; mv kept whole; BUFFER=; }; zle -N _keep; bindkey '^X' _keep"
    try:
        os.write(terminal, f"{first}; {keep}; touch ready\r".encode())
        _until((home / "ready").exists, terminal)
        os.write(terminal, line.encode() + b"\x18")
        _until((home / "whole").exists, terminal)
        return (home / "whole").read_text().rstrip()
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)
        os.close(other)


def _until(holds: Callable[[], bool], terminal: int) -> None:
    """Read what the shell writes until something holds, so that it never waits for us."""
    for _ in range(600):
        if holds():
            return
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 65536)
    raise AssertionError("the shell did not do what it was told")


@pytest.mark.parametrize("name", completion.SCRIPTS)
def test_every_script_tells_of_every_word_and_flag(name: str) -> None:
    vocabulary = completion.vocabulary()
    text = completion.SCRIPTS[name](vocabulary)
    assert [one.word for one in vocabulary if one.word not in text] == []
    assert [flag.name for one in vocabulary for flag in one.flags if flag.name not in text] == []


@pytest.mark.parametrize("name", completion.SCRIPTS)
def test_every_script_is_one_to_its_shell(name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}")
    file = tmp_path / "script"
    file.write_text(completion.SCRIPTS[name](completion.vocabulary()))
    done = subprocess.run([name, "-n", file], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
