"""What all tools have in common around their work: words, help, output, errors and the end of a pipe.

Exit status: 0 nothing to do, 1 a finding, or no answer, 2 words that cannot be read. Whatever goes wrong is one line on
stderr. Tables are as wide as the terminal; without one they are as wide as they need to be, and plain.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

import orjson
from attrs import frozen

from apinetlet import flags, given, logs
from apinetlet.flags import FlagError, setting
from apinetlet.settings import Settings
from apinetlet.tools.answer import FINDING, OK, USAGE, Answer, Failure, Part, Table
from reconcile import Seconds

HELP = {"-h", "-help", "--help"}
OUTPUT = "Output"
WIDE = 4000
"""Columns, where no terminal says how many there are."""


@frozen
class Tool:
    """A tool as its module declares it. ``flags`` has a field ``o``, the form of the output."""

    word: str
    usage: str
    """What it does, and examples."""
    flags: type[Any]
    work: Callable[[Any, Sequence[str]], Answer]
    """Takes the flags and the other words. May raise what ``shown`` knows."""
    words: tuple[str, ...] = ()
    """What the first of the other words may be, if that is known."""


def form(default: str = "table", *others: str) -> Any:
    """The flag ``-o``."""
    choices = ("table", "json", *others)
    return setting(default, "form of the output", choices=choices, group=OUTPUT)


@frozen
class Reading(Settings):
    """The flags of a tool that reads all objects: the daemon's, and how long to wait."""

    timeout: Seconds = setting(60.0, "longest that reading all objects may take", group=OUTPUT)
    o: str = form()


def run(tool: Tool, words: Sequence[str]) -> int:
    """Do what ``words`` ask of a tool, and print it. Answers the exit status."""
    if HELP & set(words):
        return put([f"{tool.usage}\n{flags.describe(flags.flags_of(tool.flags))}\n"], OK)
    # a tool says what it found, and nothing else unless --zap-log-level asks for it
    logging.basicConfig(handlers=[logging.NullHandler()])
    try:
        settings, places = read(words, tool.flags, os.environ)
        answer = tool.work(settings, places)
        return put(printed(answer, settings.o), answer.status)
    except KeyboardInterrupt:
        return 130
    except BaseException as error:
        return shown(error)


def read(words: Sequence[str], settings: type[Any], environment: Mapping[str, str]) -> tuple[Any, list[str]]:
    """The settings of a tool and its other words; flags may stand before and after those.

    Environment and file count where the daemon's flags are among the tool's.

    Raises:
        FlagError: something that cannot be read.
    """
    spoken: list[str] = []
    places: list[str] = []
    rest = list(words)
    while rest:
        _, after = flags.given(rest, settings)
        spoken += rest[: len(rest) - len(after)]
        if spoken[-1:] == ["--"]:
            places += after
            break
        places += after[:1]
        rest = list(after[1:])
    for word in places:
        if not flags.is_text(word):
            raise FlagError(f"the word {word!r} is not UTF-8")
    if issubclass(settings, Settings):
        found, _ = given.read(spoken, settings, environment)
        if found.zap_log_level:
            logs.configure(found)
        return found.check(), places
    return flags.parse(spoken, settings)[0], places


def wanted(places: Sequence[str], *names: str) -> Sequence[str]:
    """The words that a tool takes, one for each of ``names``.

    Raises:
        FlagError: one is missing or too much.
    """
    if len(places) < len(names):
        raise FlagError(f"a word is missing: {names[len(places)]} (--help shows an example)")
    if len(places) > len(names):
        raise FlagError(f"unexpected word {places[len(names)]!r} (--help shows an example)")
    return places


def shown(error: BaseException) -> int:
    """Tell of an error that a user can do something about, in one line; the exit status. Others are raised."""
    from reconcile import KubeError
    from reconcile.cache.informer import NotSynced

    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, FlagError):
        return complain(error, USAGE)
    if isinstance(error, (Failure, KubeError, NotSynced, OSError)):
        return complain(error, FINDING)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "rich":
        return complain("tables need rich: pip install 'apinetlet[tui]', or ask for -o json", FINDING)
    raise error


def complain(error: object, status: int) -> int:
    """One line on stderr."""
    print(f"apinetlet: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
    return status


# -- output ------------------------------------------------------------------------------------------------------------


def printed(answer: Answer, form: str, out: TextIO | None = None) -> Iterable[str]:
    """The text of an answer."""
    if form == "json":
        yield orjson.dumps(answer.facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
        return
    yield drawn(answer.parts, out or sys.stdout)


def drawn(parts: Sequence[Part], out: TextIO) -> str:
    """Parts as text for ``out``: in colour and as wide as it is if it is a terminal. Tables need ``rich``."""
    parts = [part for part in parts if not isinstance(part, Table) or part.rows]
    texts = [_table(part, out) if isinstance(part, Table) else part.rstrip("\n") for part in parts]
    return "".join(f"{text}\n" for text in "\n\n".join(texts).splitlines())


def _table(table: Table, out: TextIO) -> str:
    import rich.box
    import rich.console
    import rich.table
    import rich.text

    is_terminal = out.isatty()
    console = rich.console.Console(file=out, highlight=False, width=None if is_terminal else WIDE)
    grid = rich.table.Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for name in table.head:
        grid.add_column(name, overflow="fold", no_wrap=not is_terminal)
    for row in table.rows:
        grid.add_row(*map(rich.text.Text, row))
    with console.capture() as captured:
        if table.title:
            console.print(rich.text.Text(table.title, style="bold"))
        console.print(grid)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def put(texts: Iterable[str], status: int) -> int:
    """Write texts to stdout; the exit status."""
    try:
        write(texts)
    except Failure as error:
        return complain(error, FINDING)
    return status


def write(texts: Iterable[str]) -> bool:
    """Write texts to stdout. Whether somebody reads it: who stops reading is no error.

    Raises:
        Failure: it cannot be written, as on a disk that is full.
    """
    if sys.stdout is None:
        raise Failure("the output cannot be written: stdout is closed")
    try:
        for text in texts:
            sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return False
    except OSError as error:
        _silence()
        raise Failure(f"the output cannot be written: {error.strerror or error}") from error
    return True


def _silence() -> None:
    """Stdout takes no more: what is left in its buffer must not fail again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
