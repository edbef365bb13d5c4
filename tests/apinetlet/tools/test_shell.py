"""What is true of every tool: help with an example, one line for what is wrong, and quiet ends of pipes."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import frozen

from apinetlet import cli, flags, tools
from apinetlet.flags import FlagError
from apinetlet.settings import Settings
from apinetlet.tools import shell
from apinetlet.tools.answer import Answer, Failure, Table
from apinetlet.tools.shell import Tool

ANSWER = Answer({"a": 1}, ["before", Table(("NAME", "VALUE"), [("x" * 300, None)]), Table(("EMPTY",), [])], status=1)


@frozen
class Flags:
    plain: bool = flags.setting(False, "whether", group="G")
    name: str = flags.setting("", "what", group="G")
    o: str = shell.form()


@frozen
class OfTheDaemon(Settings):
    o: str = shell.form()


def tool(work: object, settings: type[object] = Flags) -> Tool:
    return Tool("try", "apinetlet try tries.\n", settings, work)  # type: ignore[arg-type]


def raising(error: BaseException) -> Tool:
    def work(_flags: object, _places: Sequence[str]) -> Answer:
        raise error

    return tool(work)


@pytest.mark.parametrize("word", tools.TOOLS)
def test_the_help_of_a_tool_shows_an_example_and_all_its_flags(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"\n  apinetlet {word}" in text
    declared = flags.flags_of(tools.load(word).TOOL.flags)
    assert [one.name for one in declared if f"  -{one.name}" not in text and f"  --{one.name}" not in text] == []
    assert "  -o " in text


@pytest.mark.parametrize("word", tools.TOOLS)
def test_a_flag_that_no_tool_has_is_status_2_in_one_line(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word, "--no-such-flag"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("apinetlet: unknown flag --no-such-flag")


@pytest.mark.parametrize("word", tools.TOOLS)
def test_a_form_that_does_not_exist_is_status_2(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word, "-o", "xml"]) == 2
    assert "invalid value 'xml' for flag --o: must be one of table, json" in capsys.readouterr().err


def test_the_program_lists_its_tools(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert [word for word in tools.TOOLS if f"  apinetlet {word} " not in text] == []


def test_flags_may_stand_before_between_and_after_the_other_words() -> None:
    read = shell.read(["--plain", "one", "--name=x", "two", "-o", "json", "--", "--three"], Flags, {})
    assert read == (Flags(plain=True, name="x", o="json"), ["one", "two", "--three"])


def test_environment_counts_where_the_flags_of_the_daemon_are_among_those_of_the_tool() -> None:
    environment = {"APINETLET_API_NET_NAMESPACE": "apinet", "APINETLET_NAME": "x"}
    assert shell.read([], OfTheDaemon, environment)[0].api_net_namespace == "apinet"
    assert shell.read([], Flags, environment)[0].name == ""


def test_a_required_flag_that_is_missing_is_a_usage_error() -> None:
    with pytest.raises(FlagError, match="--api-net-namespace is required"):
        shell.read([], OfTheDaemon, {})


@pytest.mark.parametrize(("places", "says"), [([], "missing: a name"), (["a", "b"], "unexpected word 'b'")])
def test_words_too_few_or_too_many_are_told(places: list[str], says: str) -> None:
    with pytest.raises(FlagError, match=says):
        shell.wanted(places, "a name")


@pytest.mark.parametrize(
    ("error", "status"),
    [(FlagError("no"), 2), (Failure("no\n  way"), 1), (ExceptionGroup("", [Failure("no way")]), 1), (OSError("no"), 1)],
)
def test_what_goes_wrong_is_one_line_on_stderr_and_nothing_on_stdout(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.run(raising(error), []) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("apinetlet: no")
    assert err.count("\n") == 1


def test_a_fault_of_our_own_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        shell.run(raising(ZeroDivisionError()), [])


def test_an_interrupt_is_status_130() -> None:
    assert shell.run(raising(KeyboardInterrupt()), []) == 130


def test_the_answer_is_json_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run(tool(lambda *_: ANSWER), ["-o", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_without_a_terminal_a_table_is_plain_and_cuts_nothing_off() -> None:
    text = shell.drawn(ANSWER.parts, io.StringIO())
    assert text == f"before\n\nNAME{' ' * 296}  VALUE\n{'x' * 300}\n"


def test_a_tool_without_rich_names_the_extra_and_still_has_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    assert shell.run(tool(lambda *_: ANSWER), []) == 1
    assert "tables need rich: pip install 'apinetlet[tui]'" in capsys.readouterr().err
    assert shell.run(tool(lambda *_: ANSWER), ["-o=json"]) == 1


def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path) -> None:
    """Enough text that the pipe is full, and broken, before the end."""
    code = (
        "import sys; import apinetlet.cli; from apinetlet.tools import shell\n"
        "assert 'apinetlet.tools.plan' not in sys.modules  # a tool is loaded only when its word is said\n"
        "sys.exit(shell.put(('x' * 1000 + '\\n' for _ in range(1000)), 0))"
    )
    errors = tmp_path / "errors"
    with errors.open("w") as told:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=told)
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 10)
        process.stdout.close()
        assert process.wait(60) == 0
    assert errors.read_text() == ""


@pytest.mark.parametrize("words", [["--help"], ["version", "-o=json"], ["version"]], ids=" ".join)
def test_output_that_cannot_be_written_is_one_line_too(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert cli.main(words) == 1
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it where it was closed
    assert cli.main(words) == 1
    assert capsys.readouterr().err.splitlines() == [
        "apinetlet: the output cannot be written: No space left on device",
        "apinetlet: the output cannot be written: stdout is closed",
    ]


def test_output_that_cannot_be_written_is_not_tried_again_at_the_end() -> None:
    words = [sys.executable, "-m", "apinetlet", "version", "-o=json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


def test_a_warning_of_the_framework_is_not_added_to_what_a_tool_says() -> None:
    """In a process of its own: here the test runner has its handlers everywhere."""
    code = (
        "import logging, sys; from apinetlet.tools import shell\n"
        "from tests.apinetlet.tools.test_shell import ANSWER, tool\n"
        "sys.exit(shell.run(tool(lambda *_: logging.getLogger('x').warning('careful') or ANSWER), ['-o=json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (ANSWER.status, b"")


def test_words_that_are_no_text_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rbac", "--generation=ironcore", "--api-net-namespace=\udcff", "-o=json"]) == 2
    assert cli.main(["provider-id", "parse", "\udcff"]) == 2
    [flag, word] = capsys.readouterr().err.splitlines()
    assert flag == r"apinetlet: invalid value '\udcff' for flag --api-net-namespace: must be UTF-8"
    assert word == r"apinetlet: the word '\udcff' is not UTF-8"
