"""A log line is one sentence and its facts, in the words of either encoder."""

import io
import json
import logging
from typing import Any

import pytest

from apinetlet import logs
from apinetlet.flags import FlagError
from apinetlet.settings import Settings

WHEN = 1_700_000_000.25


def written(level: int, text: str, *facts: Any, settings: Settings, error: BaseException | None = None) -> str:
    """What one call of a logger puts out."""
    stream = io.StringIO()
    logs.configure(settings, stream)
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.getLogger("apinetlet.test").makeRecord("apinetlet.test", level, __file__, 1, text, facts, exc_info)
    record.created = WHEN
    if logging.getLogger("apinetlet.test").isEnabledFor(level):
        logging.getLogger("apinetlet.test").handle(record)
    return stream.getvalue()


def as_json(level: int, text: str, *facts: Any, error: BaseException | None = None, **settings: Any) -> dict[str, Any]:
    chosen = Settings(zap_devel=False, **settings)
    [line] = written(level, text, *facts, settings=chosen, error=error).splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize(
    ("template", "args", "sentence", "facts"),
    [
        ("Deleted kind=%s name=%s", ("Network", "blue"), "Deleted", {"kind": "Network", "name": "blue"}),
        ("Started service=%s seconds=%.3f", ("probes", 0.5), "Started", {"service": "probes", "seconds": 0.5}),
        ("Nothing to say", (), "Nothing to say", {}),
        ("At %s now", ("home",), "At home now", {}),
        ("started: clusters=%d", (2,), "started", {"clusters": 2}),
        ("At %s state=%s", ("home", "well"), "At home", {"state": "well"}),
        ("%s: %s then=%r", ("done", "key=a/b", "at once"), "done", {"key": "a/b", "then": "at once"}),
        ("copy is %s: version= problem=%r", ("new", "it's"), "copy is new", {"version": "", "problem": "it's"}),
        ("It says %s error=%s", ("so", "two words"), "It says so error=two words", {}),
        ("All 100%% done", (), "All 100%% done", {}),
        ("Odd a=%s", ({"b": 1},), "Odd", {"a": {"b": 1}}),
    ],
)
def test_a_record_is_a_sentence_and_its_facts(
    template: str, args: tuple[Any, ...], sentence: str, facts: dict[str, Any]
) -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, template, args, None)
    assert logs.sentence_and_facts(record) == (sentence, facts)


def test_json_has_the_facts_as_fields_after_level_time_logger_and_sentence() -> None:
    found = as_json(logging.INFO, "Deleted kind=%s count=%d", "Network", 3)
    assert list(found.items()) == [
        ("level", "info"),
        ("ts", "2023-11-14T22:13:20Z"),
        ("logger", "apinetlet.test"),
        ("msg", "Deleted"),
        ("kind", "Network"),
        ("count", 3),
    ]


def test_what_json_has_no_word_for_is_written_as_text() -> None:
    assert as_json(logging.INFO, "Failed error=%s", ValueError("no"))["error"] == "no"


def test_the_console_line_has_tabs_between_its_parts() -> None:
    line = written(logging.WARNING, "Deleted kind=%s", "Network", settings=Settings(zap_time_encoding="iso8601"))
    assert line == '2023-11-14T22:13:20.250Z\tWARN\tapinetlet.test\tDeleted\t{"kind":"Network"}\n'


@pytest.mark.parametrize(
    ("encoding", "ts"),
    [
        ("epoch", WHEN),
        ("millis", WHEN * 1000),
        ("nano", int(WHEN * 1e9)),
        ("nanos", int(WHEN * 1e9)),
        ("iso8601", "2023-11-14T22:13:20.250Z"),
        ("rfc3339", "2023-11-14T22:13:20Z"),
        ("rfc3339nano", "2023-11-14T22:13:20.250000Z"),
    ],
)
def test_times_are_written_as_the_flag_says(encoding: str, ts: object) -> None:
    assert as_json(logging.INFO, "x", zap_time_encoding=encoding)["ts"] == ts


@pytest.mark.parametrize(
    ("devel", "encoder", "is_json"),
    [(True, "", False), (False, "", True), (True, "json", True), (False, "console", False)],
)
def test_the_encoder_follows_the_defaults_of_development_unless_it_is_named(
    devel: bool, encoder: str, is_json: bool
) -> None:
    line = written(logging.ERROR, "x", settings=Settings(zap_devel=devel, zap_encoder=encoder))
    assert line.startswith("{") == is_json


@pytest.mark.parametrize(
    ("devel", "level", "lowest"),
    [
        (True, "", logging.DEBUG),
        (False, "", logging.INFO),
        (False, "debug", logging.DEBUG),
        (False, "3", logging.DEBUG),
        (True, "info", logging.INFO),
        (True, "INFO", logging.INFO),
        (True, "error", logging.ERROR),
        (True, "panic", logging.CRITICAL),
    ],
)
def test_nothing_below_the_level_is_written(devel: bool, level: str, lowest: int) -> None:
    settings = Settings(zap_devel=devel, zap_log_level=level)
    said = [one for one in (10, 20, 30, 40, 50) if written(one, "x", settings=settings)]
    assert said == [one for one in (10, 20, 30, 40, 50) if one >= lowest]


@pytest.mark.parametrize("level", ["loud", "0", "-1", "1.5"])
def test_a_level_that_is_none_is_refused_with_the_flag(level: str) -> None:
    with pytest.raises(FlagError, match=r"for flag --zap-stacktrace-level: must be one of debug, info"):
        logs.configure(Settings(zap_stacktrace_level=level), io.StringIO())


def test_an_exception_comes_with_its_traceback() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        found = as_json(logging.ERROR, "Failed", error=error)
    assert found["stacktrace"].startswith("Traceback")
    assert found["stacktrace"].endswith("ValueError: no")


def test_a_stack_stands_from_the_level_of_the_flag_on() -> None:
    assert "stacktrace" not in as_json(logging.ERROR, "x")
    assert "stacktrace" not in as_json(logging.INFO, "x", zap_stacktrace_level="error")
    assert "stacktrace" in as_json(logging.ERROR, "x", zap_stacktrace_level="error")


def test_a_stack_ends_where_the_line_was_logged() -> None:
    stream = io.StringIO()
    logs.configure(Settings(zap_devel=False, zap_stacktrace_level="error"), stream)
    logging.getLogger("apinetlet.test").error("Lost name=%s", "blue")
    found = json.loads(stream.getvalue())
    assert "Lost name=%s" in found["stacktrace"].splitlines()[-1]


def test_libraries_that_talk_much_are_heard_only_when_they_warn() -> None:
    logs.configure(Settings(), io.StringIO())
    assert not logging.getLogger("asyncio").isEnabledFor(logging.INFO)
    assert logging.getLogger("aiohttp").isEnabledFor(logging.WARNING)
