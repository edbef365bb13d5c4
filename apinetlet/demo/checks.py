"""What is wrong with an object, in the words of the API servers of both clusters.

Documents come as they were sent: where a value is not of its type, its schema says so and these checks pass over it.
Pure. Source of the texts: the validation packages of both API servers.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from reconcile.testing.apiserver import Fault, Write
from reconcile.testing.apiserver.failure import (
    Document,
    bad_request,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)

IMMUTABLE = "field is immutable"
FAMILIES = ("IPv4", "IPv6")


def at(document: Any, path: str) -> Any:
    """The value at a dotted path; ``None`` for what is absent, null or empty."""
    for step in path.split("."):
        document = document.get(step) if isinstance(document, dict) else None
    return document or None


def entries(document: Any, path: str) -> list[Document]:
    """The maps of a list, in order; none where there is no list."""
    found = at(document, path)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def without_nulls(document: Document) -> None:
    """Take every null out of all parts but the metadata, in place: the servers decode it as absent."""
    for name, part in document.items():
        if name != "metadata":
            _strip(part)


def _strip(value: Any) -> None:
    if isinstance(value, dict):
        for name in [name for name, one in value.items() if one is None]:
            del value[name]
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _strip(one)


# -- addresses ---------------------------------------------------------------------------------------------------------


def address(text: str) -> IPv4Address | IPv6Address:
    """An address.

    Raises:
        Failure: 400, for such a body cannot be decoded.
    """
    try:
        return ip_address(text)
    except ValueError as error:
        raise bad_request(f'ParseAddr("{text}"): unable to parse IP') from error


def canonical(holder: Document, field: str) -> None:
    """Write the address in a field as the servers do, in place."""
    if isinstance(text := holder.get(field), str):
        holder[field] = str(address(text)) if text else None
    if holder.get(field, ...) is None:
        del holder[field]


def family_of(text: str) -> str:
    """``IPv4`` or ``IPv6``, for an address or a prefix."""
    return FAMILIES[":" in text]


def default_family(holder: Document, *, ip: str = "ip", family: str = "ipFamily") -> None:
    """Where no family is given, it is that of the address, in place."""
    if not holder.get(family) and isinstance(text := holder.get(ip), str):
        holder[family] = family_of(text)


# -- faults ------------------------------------------------------------------------------------------------------------


def fixed(write: Write, *paths: str) -> Iterator[Fault]:
    """These never change once the object exists."""
    if write.old is not None:
        for path in paths:
            if at(write.old, path) != at(write.new, path):
                yield forbidden_field(path, IMMUTABLE)


def fixed_value(write: Write, path: str) -> Iterator[Fault]:
    """As ``fixed``, for a field whose fault shows the new value."""
    if write.old is not None and at(write.old, path) != (value := at(write.new, path)):
        yield invalid_value(path, value or "", IMMUTABLE)


def set_once(write: Write, path: str) -> Iterator[Fault]:
    """It never changes once it has a value."""
    if write.old is not None and at(write.old, path) is not None:
        yield from fixed_value(write, path)


def given(document: Document, path: str, detail: str) -> Iterator[Fault]:
    """There must be a value."""
    if at(document, path) is None:
        yield required(path, detail)


def one_of(document: Document, path: str, allowed: Iterable[str], detail: str) -> Iterator[Fault]:
    """There must be a value, and one of these. Where the schema lists them too, it alone says so of a wrong one."""
    yield from given(document, path, detail)
    if (value := at(document, path)) is not None and value not in (allowed := tuple(allowed)):
        yield not_supported(path, value, allowed)


def of_family(ip: object, family: object, path: str) -> Iterator[Fault]:
    """An address must be of the family that is claimed for it."""
    if isinstance(ip, str) and ip and family_of(ip) != family:
        yield invalid_value(path, ip, f"IP should have family {family}")


def policy_rules(document: Document, kinds: Iterable[str]) -> Iterator[Fault]:
    """Of a network policy: selectors are of these kinds, and a range of ports ends where it begins, or later."""
    allowed = tuple(kinds)
    for field, side in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(entries(document, f"spec.{field}")):
            path = f"spec.{field}[{index}]"
            for place, port in enumerate(entries(rule, "ports")):
                first, last = port.get("port") or 0, port.get("endPort") or 0
                if last and not first:
                    yield required(f"{path}.ports[{place}].port", "must specify port with endPort")
                elif last and last < first:
                    yield invalid_value(f"{path}.ports[{place}].endPort", last, "must be greater than or equal to port")
            for place, peer in enumerate(entries(rule, side)):
                kind = at(peer, "objectSelector.kind")
                if at(peer, "objectSelector") is not None and kind not in allowed:
                    yield not_supported(f"{path}.{side}[{place}].objectSelector.kind", kind or "", allowed)
