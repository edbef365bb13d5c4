"""What the Tab key offers: asked of real shells, which run the script that we print."""

import shutil
import subprocess
from collections.abc import Sequence
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
    return set(done.stdout.split())


def test_bash_offers_words_flags_and_values(script: Path, tmp_path: Path) -> None:
    (tmp_path / "my.kubeconfig").touch()
    (tmp_path / "my-folder").mkdir()
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
        (["--metrics-cert-path", "=", "my"], {"my-folder"}),
        (["provider-id", ""], {"parse", "format"}),
        (["provider-id", "--no"], {"--node"}),
        (["version", "-o", ""], {"table", "json"}),
        (["demo", "--generation", ""], {"onmetal", "ironcore"}),
        (["completion", "z"], {"zsh"}),
        (["--watch-filter", ""], set()),
    ):
        assert offered(script, words, tmp_path) == wanted, words


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
