"""Which texts follow a named format of an OpenAPI schema.

A format that is not listed here and that the real server knows is refused when a schema brings it (``UNSUPPORTED``);
any other is ignored, as there. Pure. Source of the list: apiextensions-apiserver, ``validation/formats.go``.
"""

import base64
import binascii
import datetime as dt
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from reconcile.testing.apiserver import names


def _pattern(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _address(version: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return check


def _cidr(text: str) -> bool:
    address, slash, bits = text.partition("/")
    try:
        return bool(slash) and bits.isdigit() and bool(ipaddress.ip_interface(f"{address}/{bits}"))
    except ValueError:
        return False


def _date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(dt.date.fromisoformat(text))
    except ValueError:
        return False


_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})", re.ASCII)


def _datetime(text: str) -> bool:
    if not _MOMENT.fullmatch(text):
        return False
    try:
        return bool(dt.datetime.fromisoformat(re.sub(r"\.\d+", "", text).upper()))
    except ValueError:
        return False


def _base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True)) or not text
    except (binascii.Error, ValueError):
        return False


def _uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


_UUID = "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?%s-?%s-?[0-9a-fA-F]{12}"
_ANY4 = "[0-9a-fA-F]{4}"

FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "uri": _uri,
    "email": _pattern(r"[^@\s<>\"]+@[^@\s<>\"]+"),
    "hostname": _pattern(
        r"(?=.{1,255}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
    ),
    "ipv4": _address(4),
    "ipv6": _address(6),
    "cidr": _cidr,
    "mac": _pattern(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"),
    "uuid": _pattern(_UUID % (_ANY4, _ANY4)),
    "uuid3": _pattern(_UUID % ("3[0-9a-fA-F]{3}", _ANY4)),
    "uuid4": _pattern(_UUID % ("4[0-9a-fA-F]{3}", "[89abAB][0-9a-fA-F]{3}")),
    "uuid5": _pattern(_UUID % ("5[0-9a-fA-F]{3}", "[89abAB][0-9a-fA-F]{3}")),
    "byte": _base64,
    "password": lambda text: True,
    "date": _date,
    "datetime": _datetime,
    "duration": _pattern(
        r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*|0"
    ),
    "k8sshortname": lambda text: not names.label(text, False),
    "k8slongname": lambda text: not names.subdomain(text, False),
}
UNSUPPORTED: Final = frozenset(
    {"bsonobjectid", "isbn", "isbn10", "isbn13", "creditcard", "ssn", "hexcolor", "rgbcolor"}
)
"""Formats that the real server checks and this one cannot."""


def canonical(name: str) -> str:
    """A format's name as it is looked up: ``date-time`` is ``datetime``."""
    return name.replace("-", "")


def follows(name: str, text: str) -> bool:
    """Whether a text follows a format; any text follows one that is not known."""
    check = FORMATS.get(canonical(name))
    return check is None or check(text)
