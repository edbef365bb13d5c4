"""Command lines as Go's ``flag`` package reads them, so that a Deployment written for the Go daemon starts this one.

One dash or two; ``--name=value`` or ``--name value``; a boolean stands alone or takes ``=value``, never the next word;
``--`` and the first word without a dash end the flags; the last of several wins. Pure: words in, values out.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, TypeVar

import attrs
from attrs import frozen

T = TypeVar("T")

_META = "flag"
NUMBER = "number"
"""What a ``float`` takes that is no duration."""


class FlagError(ValueError):
    """A command line that cannot be read: one line that names the flag, what is wrong with it, and what it takes."""


@frozen
class Flag:
    """One flag: how it is spelled, what it takes, what it means."""

    name: str
    """Without dashes."""
    default: Any
    meaning: str
    takes: str
    """What the value is, with its unit; empty for a boolean, which may stand alone."""
    group: str
    read: Callable[[str], Any] = attrs.field(repr=False)
    """Raises ``ValueError`` for a text that is no such value."""


def setting(default: T, meaning: str, *, group: str, takes: str = "", choices: Sequence[str] = ()) -> T:
    """A field of a settings class that is also a flag. The type of ``default`` decides how its text is read:
    a ``float`` is a duration in seconds, written as Go writes durations, unless it ``takes`` a ``NUMBER``."""
    facts = {"meaning": meaning, "group": group, "takes": takes, "choices": choices}
    return attrs.field(default=default, metadata={_META: facts})


def flags_of(settings: type[Any]) -> tuple[Flag, ...]:
    """The flags of an attrs class, in the order of its fields; ``api_net_qps`` is spelled ``--api-net-qps``."""
    return tuple(
        _flag(field.name.replace("_", "-"), field.default, **field.metadata[_META])
        for field in attrs.fields(settings)
        if _META in field.metadata
    )


def _flag(name: str, default: Any, *, meaning: str, group: str, takes: str, choices: Sequence[str]) -> Flag:
    match default:
        case bool():
            return Flag(name, default, meaning, "", group, read_boolean)
        case int():
            return Flag(name, default, meaning, takes or "number", group, int)
        case float() if takes == NUMBER:
            return Flag(name, default, meaning, takes, group, float)
        case float():
            return Flag(name, default, meaning, takes or "duration", group, read_duration)
    if choices:
        return Flag(name, default, meaning, takes or "|".join(choices), group, partial(_read_choice, choices))
    return Flag(name, default, meaning, takes or "text", group, str)


def _read_choice(choices: Sequence[str], value: str) -> str:
    if value.lower() not in choices:  # the Go daemon takes capitals, too
        raise ValueError(f"must be one of {', '.join(choices)}")
    return value.lower()


def parse(words: Sequence[str], settings: type[T]) -> tuple[T, Sequence[str]]:
    """Read ``words`` into a ``settings`` value. Answers it, and the words after the flags.

    Raises:
        FlagError: an unknown flag, a missing or unreadable value.
    """
    values, rest = given(words, settings)
    return settings(**values), rest


def given(words: Sequence[str], settings: type[Any]) -> tuple[dict[str, Any], Sequence[str]]:
    """The fields of ``settings`` that ``words`` name, with their values, and the words after the flags.

    Raises:
        FlagError: an unknown flag, a missing or unreadable value.
    Source: the documentation of Go's package ``flag``, command line flag syntax.
    """
    known = {flag.name: flag for flag in flags_of(settings)}
    values: dict[str, Any] = {}
    rest = list(words)
    while rest and len(rest[0]) > 1 and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        name, separator, text = word.removeprefix("-").removeprefix("-").partition("=")
        if (flag := known.get(name)) is None:
            raise FlagError(f"unknown flag {word.partition('=')[0]}{guess(name, known)}")
        if not separator:
            if not flag.takes:
                text = "true"
            elif rest:
                text = rest.pop(0)
            else:
                raise FlagError(f"flag --{name} needs a value: {flag.takes}")
        values[name.replace("-", "_")] = value(flag, text, where=f"flag --{name}")
    return values, rest


def value(flag: Flag, text: str, *, where: str) -> Any:
    """What ``text``, which stands ``where``, means to ``flag``.

    Raises:
        FlagError: it means nothing.
    """
    if not is_text(text):  # could be in no output
        raise FlagError(f"invalid value {text!r} for {where}: must be UTF-8")
    try:
        return flag.read(text)
    except ValueError as error:
        raise FlagError(f"invalid value {text!r} for {where}: {error}") from error


def is_text(word: str) -> bool:
    """Whether a word of a command line is UTF-8. Python keeps the bytes of another one as they are."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def guess(name: str, known: Iterable[str]) -> str:
    """What somebody may have meant who wrote ``name``."""
    close = get_close_matches(name, list(known), n=1)
    return f": did you mean --{close[0]}?" if close else ": --help lists the flags"


def read_boolean(value: str) -> bool:
    """The twelve spellings that Go's ``strconv.ParseBool`` takes."""
    if value in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if value in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise ValueError("must be true or false")


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


def read_duration(value: str) -> float:
    """A duration as Go writes it (``1m30s``, ``300ms``), in seconds. ``0`` needs no unit."""
    if value == "0":
        return 0.0
    parts = _DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError("must be a duration such as 300ms, 30s or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def describe(flags: Iterable[Flag]) -> str:
    """The flags as ``--help`` prints them: by group, each with what it takes, its meaning and its default."""
    groups: dict[str, list[str]] = {}
    for flag in flags:
        spelled = ("-" if len(flag.name) == 1 else "--") + flag.name + (f" {flag.takes}" if flag.takes else "")
        default = f" (default {_shown(flag.default)})" if flag.default not in ("", False) else ""
        groups.setdefault(flag.group, []).append(f"  {spelled}\n        {flag.meaning}{default}")
    return "\n\n".join(f"{group}:\n" + "\n".join(lines) for group, lines in groups.items())


def _shown(default: object) -> str:
    return (
        f"{default:g}s"
        if isinstance(default, float)
        else str(default).lower()
        if isinstance(default, bool)
        else str(default)
    )
