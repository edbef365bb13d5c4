"""The text by which one cluster names an object of another.

``<scheme>://<namespace>/<name>/<ref>/<uid>``: always four parts, ASCII, nothing escaped. The text does not tell whether
it means a network or a network interface; the field it stands in does, so the caller says it. A value that exists can
always be written, and reading it back gives the same value. Pure. Whether the object exists is the caller's question.
"""

import enum
import re
from collections.abc import Sequence
from typing import Self

import attrs

from provider.errors import BadPart, BadScheme


class Scheme(enum.Enum):
    """Which generation of the API the ID belongs to."""

    ONMETAL = "onmetal-api-net"
    IRONCORE = "ironcore-net"

    @property
    def prefix(self) -> str:
        """What the text starts with, ``://`` included."""
        return f"{self.value}://"


class Meaning(enum.Enum):
    """What is named, and with it what the third part is."""

    NETWORK = "network"
    """``ref`` is the network's ID: up to 255 printable characters, a number in practice."""
    NETWORK_INTERFACE = "network interface"
    """``ref`` is the name of the node that holds the interface: a DNS-1123 subdomain."""


@attrs.frozen
class ProviderID:
    """The four parts, checked.

    Raises:
        BadPart: a part is empty or invalid; has ``position`` (from 0) and ``value``.
    """

    scheme: Scheme = attrs.field(validator=attrs.validators.instance_of(Scheme))
    meaning: Meaning = attrs.field(validator=attrs.validators.instance_of(Meaning))
    namespace: str
    """A DNS-1123 label."""
    name: str
    """A DNS-1123 subdomain."""
    ref: str
    """Network ID or node name; ``meaning`` says which."""
    uid: str
    """Up to 128 printable characters, a UUID in practice."""

    def __attrs_post_init__(self) -> None:
        _check((self.namespace, self.name, self.ref, self.uid), self.meaning, text=str(self))

    @classmethod
    def network(cls, scheme: Scheme, *, namespace: str, name: str, id: str, uid: str) -> Self:
        """The ID of a network; ``id`` is its ``spec.id``. Raises ``BadPart``."""
        return cls(scheme, Meaning.NETWORK, namespace=namespace, name=name, ref=id, uid=uid)

    @classmethod
    def network_interface(cls, scheme: Scheme, *, namespace: str, name: str, node: str, uid: str) -> Self:
        """The ID of a network interface; ``node`` is its ``spec.nodeRef.name``. Raises ``BadPart``."""
        return cls(scheme, Meaning.NETWORK_INTERFACE, namespace=namespace, name=name, ref=node, uid=uid)

    def __str__(self) -> str:
        return f"{self.scheme.prefix}{self.namespace}/{self.name}/{self.ref}/{self.uid}"


def parse(text: str, *, scheme: Scheme, meaning: Meaning) -> ProviderID:
    """Read ``<scheme>://<namespace>/<name>/<network ID or node name>/<uid>``.

    Strict: ``str(parse(text, ...)) == text`` for every text accepted.

    Raises:
        BadScheme: the text starts with something else.
        BadPart: a part is missing, empty, invalid or one too many; has ``position`` (from 0) and ``value``.
    Source: the Go apinetlet's provider package, which also accepts a missing scheme and empty parts, and checks only
    the node name.
    """
    if not text.startswith(scheme.prefix):
        raise BadScheme(text, scheme.prefix)
    parts = text.removeprefix(scheme.prefix).split("/", maxsplit=4)
    _check(parts, meaning, text=text)
    return ProviderID(scheme, meaning, *parts)


@attrs.frozen
class _Rule:
    """What one part may hold."""

    says: str
    pattern: re.Pattern[str]
    limit: int

    def fault(self, value: str) -> str | None:
        if not value:
            return "is empty"
        if len(value) > self.limit:
            return f"is longer than {self.limit} characters"
        return None if self.pattern.fullmatch(value) else f"is not {self.says}"


# the same language as apimachinery's NameIsDNSLabel and NameIsDNSSubdomain, written so that it cannot backtrack
_WORD = r"[a-z0-9]+(?:-+[a-z0-9]+)*"
_PLAIN = re.compile(r"[!-.0-~]+")
_SAYS_PLAIN = "printable ASCII without slash or space"

_LABEL = _Rule("a DNS-1123 label", re.compile(_WORD), limit=63)
_SUBDOMAIN = _Rule("a DNS-1123 subdomain", re.compile(rf"{_WORD}(?:\.{_WORD})*"), limit=253)
_NETWORK_ID = _Rule(_SAYS_PLAIN, _PLAIN, limit=255)
_UID = _Rule(_SAYS_PLAIN, _PLAIN, limit=128)

_RULES = {
    Meaning.NETWORK: (_LABEL, _SUBDOMAIN, _NETWORK_ID, _UID),
    Meaning.NETWORK_INTERFACE: (_LABEL, _SUBDOMAIN, _SUBDOMAIN, _UID),
}


def _check(parts: Sequence[str], meaning: Meaning, *, text: str) -> None:
    rules = _RULES[meaning]
    for position, (rule, value) in enumerate(zip(rules, parts, strict=False)):
        if (reason := rule.fault(value)) is not None:
            raise BadPart(position, value, reason, text)
    if len(parts) < len(rules):
        raise BadPart(len(parts), "", "is missing", text)
    if len(parts) > len(rules):
        raise BadPart(len(rules), parts[len(rules)], "is surplus", text)
