"""What settings a process was given: by its command line, its environment, and a file, in this order.

The first that names a setting wins, each setting by itself. A variable is the flag in capitals behind a prefix, a file
is YAML with the flags as keys, without dashes in front. Values are spelled as on the command line, units included. A
variable that is no flag is somebody else's: a Service of our name puts some into every pod. A key of the file that is
no flag is a mistake. Reads the file, and nothing else.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from apinetlet import flags
from apinetlet.flags import Flag, FlagError
from reconcile.kube.strict_yaml import TextLoader

T = TypeVar("T")

PREFIX: Final = "APINETLET_"
FILE: Final = "config"
"""The flag that names the file."""
_BOOLEANS: Final = {"yes": "true", "on": "true", "no": "false", "off": "false"}
"""What YAML has for them, too."""


def read(words: Sequence[str], settings: type[T], environment: Mapping[str, str]) -> tuple[T, Sequence[str]]:
    """A ``settings`` value out of all three. Answers it, and the words after the flags.

    Raises:
        FlagError: something that cannot be read; says where it stands.
    """
    known = {flag.name: flag for flag in flags.flags_of(settings)}
    spoken, rest = flags.given(words, settings)
    ambient = {
        _field(flag): flags.value(flag, environment[variable(flag)], where=f"${variable(flag)}")
        for flag in known.values()
        if variable(flag) in environment
    }
    file = spoken.get(FILE, ambient.get(FILE, ""))
    return settings(**{**(_filed(file, known) if file else {}), **ambient, **spoken}), rest


def variable(flag: Flag) -> str:
    """The environment variable of a flag: ``APINETLET_API_NET_NAMESPACE``."""
    return PREFIX + flag.name.upper().replace("-", "_")


def _unquoted(error: Exception) -> str:
    """What is wrong and where, without the line itself: the file may be another one, and secret."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"{problem or 'a value is none'}{f', line {mark.line + 1}' if mark else ''}"


def _field(flag: Flag) -> str:
    return flag.name.replace("-", "_")


def _filed(file: str, known: Mapping[str, Flag]) -> dict[str, Any]:
    """The settings that a file names."""
    try:
        content = yaml.load(Path(file).read_text(encoding="utf-8"), TextLoader)  # noqa: S506 (a safe one)
    except (OSError, UnicodeDecodeError) as error:
        raise FlagError(f"the file of --{FILE} cannot be read: {error}") from error
    except RecursionError:
        raise FlagError(f"the file of --{FILE} is not YAML ({file}): it is nested too deep") from None
    except (yaml.YAMLError, ValueError) as error:  # a number that is none, where the file says that it is one
        raise FlagError(
            f"the file of --{FILE} is not YAML ({file}): {_unquoted(error)}"
        ) from None  # it quotes the file
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise FlagError(f"the file of --{FILE} must hold one flag a line, as in workers: 8 ({file})")
    found: dict[str, Any] = {}
    for name, told in content.items():
        if name not in known or name == FILE:
            raise FlagError(f"unknown flag {name} in {file}{flags.guess(str(name), known)}")
        if isinstance(told, (dict, list)) or told is None:
            raise FlagError(f"flag {name} in {file} takes one value: {known[name].takes or 'true or false'}")
        text = str(told)
        if not known[name].takes:
            text = _BOOLEANS.get(text.lower(), text)
        found[_field(known[name])] = flags.value(known[name], text, where=f"{name} in {file}")
    return found
