"""Every snippet of the documents is run, and every command is one that is there.

Files in code blocks are run as they stand, by a pytest of their own. A command is not run here if it needs a cluster,
but its words are read by the program that would read them.
"""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from apinetlet import flags, tools
from apinetlet.demo.main import DemoSettings
from apinetlet.settings import Settings
from apinetlet.tools import shell
from reconcile.kube import egress
from tests.shipping.snippets import LANGUAGES, PAGES, ROOT, blocks, commands

RUN_ELSEWHERE = {
    "README.md": "tests/test_examples.py",
    "docs/testing.md": "tests/testing/apiserver/test_examples_of_docs.py",
    "docs/demo.md": "tests/apinetlet/demo",
}
"""Pages whose Python is run by tests that were there before."""
SCRIPTS = {"docs/testing.md"}
"""Pages whose commands are a script that is run elsewhere, as a whole."""
ONE_LINERS = {"pytest", "python", "kubectl", "helm", "docker", "curl", "cat", "export", "cd"}


def told(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


WITH_COMMANDS = [page for page in PAGES if any(commands(page)) and told(page) not in SCRIPTS]
WITH_FILES = [page for page in PAGES if any(one.file for one in blocks(page)) and told(page) not in RUN_ELSEWHERE]


@pytest.mark.slow
def test_the_files_of_the_pages_pass_as_they_stand(tmp_path: Path) -> None:
    """A folder a page, and one pytest over all of them."""
    folders = []
    for page in WITH_FILES:
        folder = tmp_path / page.stem
        folders.append(str(folder))
        for one in blocks(page):
            if one.file:
                (folder / one.file).parent.mkdir(parents=True, exist_ok=True)
                (folder / one.file).write_text(one.text)
    places = " ".join([*folders, str(ROOT)])
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nanyio_mode = auto\npythonpath = {places}\n")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist"]
    words += ["--import-mode=importlib", "-W", "error"]
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"\d+ passed", ran.stdout)


@pytest.mark.parametrize("page", PAGES, ids=told)
def test_no_python_of_a_page_goes_unrun(page: Path) -> None:
    unrun = [one.text for one in blocks(page) if one.language == "python" and not one.file]
    for text in unrun if page.parent.name == "decisions" else ():  # these were true when they were decided
        compile(text, told(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert unrun == [] or told(page) in RUN_ELSEWHERE or page.parent.name == "decisions"


def test_no_yaml_of_a_page_goes_unread() -> None:
    unread = [one for page in PAGES for one in blocks(page) if one.language == "yaml" and not one.file]
    [tunnel] = [egress.read(yaml.safe_load(one.text), one.page) for one in unread]
    assert tunnel is not None


@pytest.mark.parametrize("tool", tools.TOOLS)
def test_every_example_of_a_tools_help_can_be_read(tool: str) -> None:
    """Up to a pipe, a bracket that ends it, or words for the reader."""
    usage = tools.load(tool).TOOL.usage
    examples = [line for line in usage.splitlines() if line.startswith("  ") and "apinetlet " in line]
    assert examples
    for line in examples:
        for words in re.findall(r"apinetlet ([^|>&)]*)", re.split(r"\s{2,}", line.strip())[0]):
            check(["apinetlet", *shlex.split(words)])


@pytest.mark.parametrize("page", PAGES, ids=told)
def test_a_block_says_what_it_is(page: Path) -> None:
    assert {one.language for one in blocks(page)} <= LANGUAGES


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(commands(page)) and told(page) not in SCRIPTS], ids=told
)
def test_every_command_of_a_page_is_one_that_is_there(page: Path) -> None:
    for words in commands(page):
        check(words)


def check(words: list[str]) -> None:
    """The words mean something to the program that they begin with."""
    while words and "=" in words[0]:  # a variable for one command
        words = words[1:]
    match words:
        case []:
            pass
        case ["make", target, *_]:
            assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE), words
        case ["pip", "install", *wanted]:
            known = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
            for one in wanted:
                if found := re.match(r"apinetlet\[(.*)\]", one):
                    assert set(found[1].split(",")) <= known, words
        case ["apinetlet", "demo", *rest]:
            assert flags.parse(rest, DemoSettings)[1] == [], words
        case ["apinetlet", tool, *rest] if tool in tools.TOOLS:
            shell.read(rest, tools.load(tool).TOOL.flags, {})  # what they print is in the recorded walk
        case ["apinetlet", *rest]:
            settings, left = flags.parse(rest, Settings)
            assert not left, words
            settings.check()
        case ["reconcile-apiserver", *rest]:
            helped = subprocess.run(
                [Path(sys.executable).with_name("reconcile-apiserver"), "--help"],
                capture_output=True,
                text=True,
                check=True,
            )
            named = {word.partition("=")[0] for word in rest if word.startswith("--")}
            assert named <= set(re.findall(r"--[a-z-]+", helped.stdout)), words
        case ["python", "-m", module, *_]:
            assert (ROOT / module.replace(".", "/")).is_dir() or (ROOT / f"{module.replace('.', '/')}.py").is_file(), (
                words
            )
        case ["python", script, *_] if "/" in script:
            assert (ROOT / script).is_file(), words
        case [program, *rest]:
            assert program in ONE_LINERS, words
            for place in rest:  # what lies in the repository is there
                if place.startswith(("deploy/", "tools/", "./deploy", "examples/")):
                    assert (ROOT / place).exists(), words
