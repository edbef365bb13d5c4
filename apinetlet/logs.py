"""Log lines: one sentence plus facts, written as the Go daemon's logger (zap) writes them.

Everything here logs through the standard library with templates such as ``"Deleted kind=%s name=%s"``: the words are
the sentence, each ``key=%s`` is a fact. The formatters take the two apart again, so that the JSON encoder
writes facts as fields and nothing has to be logged twice.
"""

import ast
import datetime as dt
import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, TextIO

import orjson
from attrs import frozen

from apinetlet.flags import FlagError
from apinetlet.settings import Settings

_FACT = re.compile(r"\s*\b(\w+)=%[sdrfg]|\s*\b(\w+)=%\.\d+f")
_SAID = re.compile(r"""(\w+)=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s'"]\S*|(?=\s|$))""")
_FACTS_AT_THE_END = re.compile(rf"([^=]*?):?\s+((?:{_SAID.pattern})(?:\s+{_SAID.pattern})*)")
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "panic": logging.CRITICAL,
}
_NAMES = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "panic",
}
_NEVER = logging.CRITICAL + 10


def sentence_and_facts(record: logging.LogRecord) -> tuple[str, Mapping[str, Any]]:
    """Take a record apart. Where not all of its placeholders are facts, those that the text ends with are, as text."""
    template = str(record.msg)
    names = [first or second for first, second in _FACT.findall(template)]
    # logging takes a single argument that is a mapping out of its tuple
    args = record.args if isinstance(record.args, tuple) else (record.args,)
    if names and len(names) == len(args) == template.count("%"):
        return _FACT.sub("", template).strip().removesuffix(":"), dict(zip(names, args, strict=True))
    text = record.getMessage()
    if (found := _FACTS_AT_THE_END.fullmatch(text)) is None:
        return text, {}
    return found[1], {name: _unquoted(value) for name, value in _SAID.findall(found[2])}


@frozen
class Encoding:
    """How a line is written."""

    time: Callable[[float], Any]
    """Seconds since the epoch, to what stands in the line."""
    stack_from: int
    """The level from which on a line carries a stack trace."""

    def stack(self, record: logging.LogRecord) -> str:
        if record.exc_info and record.exc_info[0] is not None:
            return "".join(traceback.format_exception(*record.exc_info)).rstrip()
        if record.levelno >= self.stack_from:
            return "".join(traceback.format_stack(_caller())).rstrip()
        return ""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``level``, ``ts``, ``logger``, ``msg``, then the facts."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self._encoding = encoding

    def format(self, record: logging.LogRecord) -> str:
        sentence, facts = sentence_and_facts(record)
        line = {
            "level": _NAMES.get(record.levelno, "info"),
            "ts": self._encoding.time(record.created),
            "logger": record.name,
            "msg": sentence,
            **{key: _plain(value) for key, value in facts.items()},
        }
        if stack := self._encoding.stack(record):
            line["stacktrace"] = stack
        return orjson.dumps(line).decode()


class ConsoleFormatter(logging.Formatter):
    """For people: time, level, logger, sentence, and the facts as JSON, between tabs."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self._encoding = encoding

    def format(self, record: logging.LogRecord) -> str:
        sentence, facts = sentence_and_facts(record)
        parts = [
            str(self._encoding.time(record.created)),
            _NAMES.get(record.levelno, "info").upper(),
            record.name,
            sentence,
        ]
        if facts:
            parts.append(orjson.dumps({key: _plain(value) for key, value in facts.items()}).decode())
        stack = self._encoding.stack(record)
        return "\t".join(parts) + (f"\n{stack}" if stack else "")


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every log line of the process to ``stream``, by default stderr, as the zap flags say.

    Raises:
        FlagError: a level that is none.
    """
    encoder = settings.zap_encoder or ("console" if settings.zap_devel else "json")
    encoding = Encoding(
        _TIMES[settings.zap_time_encoding],
        _level("zap-stacktrace-level", settings.zap_stacktrace_level, _NEVER),
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter((JsonFormatter if encoder == "json" else ConsoleFormatter)(encoding))
    default = logging.DEBUG if settings.zap_devel else logging.INFO
    logging.basicConfig(handlers=[handler], level=_level("zap-log-level", settings.zap_log_level, default), force=True)
    for noisy in ("asyncio", "aiohttp"):
        logging.getLogger(noisy).setLevel(max(logging.getLogger().level, logging.WARNING))


def _level(flag: str, text: str, default: int) -> int:
    if not text:
        return default
    if text.lower() in _LEVELS:
        return _LEVELS[text.lower()]
    if text.isdecimal() and int(text) > 0:
        return logging.DEBUG
    raise FlagError(
        f"invalid value {text!r} for flag --{flag}: must be one of {', '.join(_LEVELS)}, or a whole number above 0"
    )


def _caller() -> FrameType | None:
    """Where the line was logged."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") in (__name__, logging.__name__):
        frame = frame.f_back
    return frame


def _unquoted(value: str) -> str:
    if value[:1] not in ("'", '"'):
        return value
    return str(ast.literal_eval(value)) if "\\" in value else value[1:-1]  # most have nothing to decode


def _plain(value: object) -> Any:
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def _utc(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


_TIMES: Mapping[str, Callable[[float], Any]] = {
    "epoch": lambda seconds: seconds,
    "millis": lambda seconds: seconds * 1e3,
    "nano": lambda seconds: int(seconds * 1e9),
    "nanos": lambda seconds: int(seconds * 1e9),  # what the Go daemon takes; its help says "nano"
    "iso8601": lambda seconds: _utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    "rfc3339": lambda seconds: _utc(seconds).isoformat(timespec="seconds").replace("+00:00", "Z"),
    "rfc3339nano": lambda seconds: _utc(seconds).isoformat(timespec="microseconds").replace("+00:00", "Z"),
}
