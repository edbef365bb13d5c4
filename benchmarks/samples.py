"""The objects that are measured: ConfigMaps of about 1 KB, and a typed kind with a bit of everything.

They look as a server sends them, with managed fields: those of an apply by ``MANAGER``, so that an apply of ``wanted``
is proven to change nothing. What is long is made once and kept, for making it is not what is measured.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Any, Final

import orjson
from attrs import field, frozen

from reconcile.kube import ObjectMeta, Quantity, Resource
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.watch import INITIAL_EVENTS_END

MANAGER: Final = "bench"
SAMPLE: Final = CONFIG_MAP
PAGE: Final = 500
PIECE: Final = 64 * 1024
"""How many bytes a socket hands over at once."""


def wanted(number: int, color: str = "blue") -> dict[str, Any]:
    """What an apply of one object sends."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"sample-{number:05}", "namespace": "default", "labels": {"bench": "source"}},
        "data": {"color": color, "text": "a text of some length; " * 20},
    }


def document(number: int, version: int = 0, color: str = "blue") -> dict[str, Any]:
    """One object as the server has it."""
    body = wanted(number, color)
    fields = {
        "f:data": {"f:color": {}, "f:text": {}},
        "f:metadata": {"f:labels": {"f:bench": {}}},
    }
    managed = {
        "manager": MANAGER,
        "operation": "Apply",
        "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    body["metadata"] |= {
        "uid": f"5f0c8bd2-1d3a-4a6c-9e0f-{number:012}",
        "resourceVersion": str(version or 1000 + number),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [managed],
    }
    return body


@lru_cache
def raw(number: int = 0) -> bytes:
    """One object in bytes."""
    return orjson.dumps(document(number))


@lru_cache
def pages(count: int) -> tuple[bytes, ...]:
    """The answers to a paged list of ``count`` objects; one page without any for 0."""
    starts = range(0, count, PAGE) or range(1)
    return tuple(_page(range(start, min(start + PAGE, count)), is_last=start + PAGE >= count) for start in starts)


def _page(numbers: Iterable[int], *, is_last: bool) -> bytes:
    items = [{name: part for name, part in document(number).items() if name != "kind"} for number in numbers]
    head = {"resourceVersion": "100000", **({} if is_last else {"continue": "more"})}
    return orjson.dumps({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": head, "items": items})


@lru_cache
def changes(count: int, *, first: int = 100_001) -> tuple[bytes, ...]:
    """Lines of a watch in which ``count`` objects change, in pieces as a socket hands them over."""
    return _pieces(_line("MODIFIED", document(number, first + number, "red")) for number in range(count))


@lru_cache
def stream(count: int) -> tuple[bytes, ...]:
    """The first part of a WatchList of ``count`` objects."""
    head = {"resourceVersion": "100000", "annotations": {INITIAL_EVENTS_END: "true"}}
    end = _line("BOOKMARK", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head})
    return _pieces([*(_line("ADDED", document(number)) for number in range(count)), end])


def _line(type: str, value: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": type, "object": value}) + b"\n"


def _pieces(lines: Iterable[bytes]) -> tuple[bytes, ...]:
    text = b"".join(lines)
    return tuple(text[start : start + PIECE] for start in range(0, len(text), PIECE))


@frozen
class Disk:
    """One of a machine's."""

    name: str
    size: Quantity
    image: str = ""


@frozen
class Card:
    """One network interface of a machine."""

    name: str
    network: str
    addresses: tuple[IPv4Address, ...] = ()


@frozen
class MachineSpec:
    """What its user wants."""

    power: str = "On"
    resources: Mapping[str, Quantity] = field(factory=dict)
    disks: tuple[Disk, ...] = ()
    cards: tuple[Card, ...] = ()


@frozen
class Condition:
    """What is true of a machine, and since when."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: dt.datetime | None = None


@frozen
class MachineStatus:
    """What there is."""

    state: str = ""
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()


@frozen
class Machine:
    """A kind with lists, maps, amounts, addresses and times."""

    metadata: ObjectMeta
    spec: MachineSpec = MachineSpec()
    status: MachineStatus = MachineStatus()


MACHINE: Final = Resource("bench.example", "v1", "Machine", "machines", type=Machine)


def machine(power: str = "On") -> dict[str, Any]:
    """One of them, in plain data; about 1 KB."""
    cards = [{"name": f"card{n}", "network": "blue", "addresses": [f"10.0.0.{n}", f"10.0.1.{n}"]} for n in range(3)]
    condition = {"status": "True", "reason": "AsWanted", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {
        "apiVersion": MACHINE.api_version,
        "kind": MACHINE.kind,
        "metadata": document(0)["metadata"],
        "spec": {
            "power": power,
            "resources": {"cpu": "1500m", "memory": "4Gi"},
            "disks": [{"name": f"disk{n}", "size": "10Gi", "image": "debian"} for n in range(3)],
            "cards": cards,
        },
        "status": {
            "state": "Running",
            "observedGeneration": 3,
            "conditions": [{"type": name, **condition} for name in ("Ready", "Attached")],
        },
    }
