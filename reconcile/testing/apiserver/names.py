"""Which names the API accepts, and what it says about the others.

Each rule takes a name and answers the complaints, none if it is good. ``prefix`` means the name is the start of one
that will be generated. Pure. Source of the rules and texts: apimachinery, ``api/validate/content``.
"""

import random
import re
from collections.abc import Callable
from typing import Final, TypeAlias

from reconcile.testing.apiserver.remembering import remembered

NameRule: TypeAlias = Callable[[str, bool], list[str]]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_KEY})?"

_KEY_SAYS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_KEY}')"
)


def path_segment(name: str, prefix: bool) -> list[str]:
    """Anything that can stand in a URL path."""
    if not prefix and name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{sign}'" for sign in "/%" if sign in name]


def subdomain(name: str, prefix: bool) -> list[str]:
    """A DNS-1123 subdomain, as most names are."""
    name = _unmasked(name) if prefix else name
    complaints = ["must be no more than 253 characters"] if len(name.encode()) > 253 else []
    if not _matches(_SUBDOMAIN, name):
        complaints.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            f"start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            f"'{_SUBDOMAIN}')"
        )
    return complaints


def label(name: str, prefix: bool) -> list[str]:
    """A DNS-1123 label: a subdomain without dots, at most 63 characters."""
    name = _unmasked(name) if prefix else name
    complaints = ["must be no more than 63 characters"] if len(name.encode()) > 63 else []
    if not _matches(_LABEL, name):
        complaints.append(
            "must not contain dots"
            if _matches(_SUBDOMAIN, name)
            else "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
            "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            f"'{_LABEL}')"
        )
    return complaints


def label_1035(name: str, prefix: bool) -> list[str]:
    """A DNS-1035 label: as ``label``, starting with a letter."""
    name = _unmasked(name) if prefix else name
    complaints = ["must be no more than 63 characters"] if len(name.encode()) > 63 else []
    if not _matches(_LABEL_1035, name):
        complaints.append(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            f"validation is '{_LABEL_1035}')"
        )
    return complaints


def label_key(name: str) -> list[str]:
    """The key of a label, of an annotation (in lower case), or the name of a finalizer."""
    prefix, slash, rest = name.rpartition("/")
    if "/" in prefix:
        return [
            f"a valid label key {_KEY_SAYS} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    complaints: list[str] = []
    if slash and not prefix:
        complaints.append("prefix part must be non-empty")
    elif prefix:
        complaints += [f"prefix part {complaint}" for complaint in subdomain(prefix, False)]
    if not rest:
        complaints.append("name part must be non-empty")
    elif len(rest.encode()) > 63:
        complaints.append("name part must be no more than 63 bytes")
    if not _matches(_KEY, rest):
        complaints.append(f"name part {_KEY_SAYS}")
    return complaints


def label_value(value: str) -> list[str]:
    """The value of a label."""
    complaints = ["must be no more than 63 bytes"] if len(value.encode()) > 63 else []
    if not _matches(_VALUE, value):
        complaints.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
            f"validation is '{_VALUE}')"
        )
    return complaints


def config_key(key: str) -> list[str]:
    """The key of a config map or a secret."""
    complaints = ["must be no more than 253 characters"] if len(key.encode()) > 253 else []
    if not _matches("[-._a-zA-Z0-9]+", key):
        complaints.append(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )
    elif key in (".", ".."):
        complaints.append(f"must not be '{key}'")
    elif key.startswith(".."):
        complaints.append("must not start with '..'")
    return complaints


def port_name(name: str) -> list[str]:
    """The name of a port: an IANA service name."""
    complaints = ["must be no more than 15 characters"] if len(name) > 15 else []
    if not _matches("[-a-z0-9]+", name):
        complaints.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= character <= "z" for character in name):
        complaints.append("must contain at least one letter (a-z)")
    if "--" in name:
        complaints.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        complaints.append("must not begin or end with a hyphen")
    return complaints


PORT_NUMBER: Final = "must be between 1 and 65535, inclusive"
NOT_NEGATIVE: Final = "must be greater than or equal to 0"
IMMUTABLE: Final = "field is immutable"
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_MAX_BASE = 63 - 5


def generate(prefix: str, rng: random.Random) -> str:
    """A name from ``generateName``: the prefix, cut to fit a label, and five random characters without vowels."""
    return prefix[:_MAX_BASE] + "".join(rng.choices(_ALPHABET, k=5))


@remembered(1024, of=lambda _, text: len(text), most=253)  # what is longer is no name
def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def _unmasked(prefix: str) -> str:
    return prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix
