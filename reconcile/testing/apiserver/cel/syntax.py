"""A checked expression as a tree of values, read from what the library that checks it hands out.

Pure. The form is the protocol buffer ``cel.expr.CheckedExpr``; only what running needs is read.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs

from reconcile.testing.apiserver.cel.values import UInt

Type: TypeAlias = "tuple[str, ...] | tuple[str, Type] | tuple[str, Type, Type]"


@attrs.frozen(eq=False)
class Node:
    """One expression. ``id`` is its own in its text."""

    id: int


@attrs.frozen(eq=False)
class Const(Node):
    value: Any


@attrs.frozen(eq=False)
class Ident(Node):
    name: str


@attrs.frozen(eq=False)
class Select(Node):
    operand: Node
    field: str
    test_only: bool


@attrs.frozen(eq=False)
class Call(Node):
    function: str
    target: Node | None
    args: tuple[Node, ...]


@attrs.frozen(eq=False)
class MakeList(Node):
    items: tuple[Node, ...]
    optional: frozenset[int]


@attrs.frozen(eq=False)
class MakeMap(Node):
    """Or an object, if it has a ``name``: then the keys are texts."""

    name: str
    entries: tuple[tuple[Any, Node, bool], ...]
    """Key, value, and whether the value is an optional one."""


@attrs.frozen(eq=False)
class Fold(Node):
    """A loop over ``over``: what ``result`` makes of ``accu`` after each ``step``, as long as ``condition`` holds."""

    variable: str
    second: str
    over: Node
    accu: str
    start: Node
    condition: Node
    step: Node
    result: Node


@attrs.frozen(eq=False)
class Checked:
    """An expression, the types of its parts and where they stand, in characters from the start."""

    root: Node
    types: Mapping[int, Any]
    names: frozenset[str]
    """The variables it uses."""
    positions: Mapping[int, int]


def read(raw: bytes) -> Checked:
    """Read what the library hands out: a ``google.protobuf.Any`` around the expression."""
    [body] = [value for number, value in _fields(raw) if number == 2]
    types: dict[int, Any] = {}
    names: set[str] = set()
    positions: dict[int, int] = {}
    root: Node | None = None
    for number, value in _fields(body):
        if number == 2:
            entry = dict(_fields(value))
            names |= {inner.decode() for field, inner in _fields(entry.get(2, b"")) if field == 1}
        elif number == 3:
            entry = dict(_fields(value))
            types[entry.get(1, 0)] = _type(entry.get(2, b""))
        elif number == 4:
            root = _node(value)
        elif number == 5:
            for field, inner in _fields(value):
                if field == 4:
                    entry = dict(_fields(inner))
                    positions[entry.get(1, 0)] = entry.get(2, 0)
    assert root is not None
    return Checked(root, types, frozenset(names), positions)


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message: numbers, and bytes, by field number."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(raw, at)
            yield number, value
        elif kind == 1:
            yield number, raw[at : at + 8]
            at += 8
        elif kind == 2:
            length, at = _varint(raw, at)
            yield number, raw[at : at + length]
            at += length
        else:
            yield number, raw[at : at + 4]
            at += 4


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_PRIMITIVES: Final = {1: "bool", 2: "int", 3: "uint", 4: "double", 5: "string", 6: "bytes"}
_WELL_KNOWN: Final = {1: "any", 2: "timestamp", 3: "duration"}


def _type(raw: bytes) -> Any:
    for number, value in _fields(raw):
        match number:
            case 1:
                return ("dyn",)
            case 2:
                return ("null_type",)
            case 3:
                return (_PRIMITIVES[value],)
            case 5:
                return (_WELL_KNOWN[value],)
            case 6:
                return ("list", _type(dict(_fields(value)).get(1, b"")))
            case 7:
                parts = dict(_fields(value))
                return ("map", _type(parts.get(1, b"")), _type(parts.get(2, b"")))
            case 9:
                return ("object", value.decode())
            case 11:
                return ("type",)
            case 14:
                return ("abstract", dict(_fields(value)).get(1, b"").decode())
    return ("dyn",)


def _node(raw: bytes) -> Node:
    id_ = 0
    for number, value in _fields(raw):
        match number:
            case 2:
                id_ = value
            case 3:
                return Const(id_, _constant(value))
            case 4:
                return Ident(id_, dict(_fields(value)).get(1, b"").decode())
            case 5:
                parts = dict(_fields(value))
                return Select(id_, _node(parts[1]), parts.get(2, b"").decode(), bool(parts.get(3)))
            case 6:
                fields = list(_fields(value))
                target = next((_node(one) for field, one in fields if field == 1), None)
                name = next(one.decode() for field, one in fields if field == 2)
                return Call(id_, name, target, tuple(_node(one) for field, one in fields if field == 3))
            case 7:
                fields = list(_fields(value))
                optional: set[int] = set()
                for field, one in fields:
                    if field == 2:
                        optional |= set(_packed(one)) if isinstance(one, bytes) else {one}
                return MakeList(id_, tuple(_node(one) for field, one in fields if field == 1), frozenset(optional))
            case 8:
                return _map(id_, value)
            case 9:
                return _fold(id_, value)
    return Const(id_, None)


def _packed(raw: bytes) -> Iterator[int]:
    at = 0
    while at < len(raw):
        value, at = _varint(raw, at)
        yield value


def _map(id_: int, raw: bytes) -> MakeMap:
    name, entries = "", []
    for number, value in _fields(raw):
        if number == 1:
            name = value.decode()
        elif number == 2:
            parts = dict(_fields(value))
            key = parts[2].decode() if 2 in parts else _node(parts[3])
            entries.append((key, _node(parts[4]), bool(parts.get(5))))
    return MakeMap(id_, name, tuple(entries))


def _fold(id_: int, raw: bytes) -> Fold:
    parts = dict(_fields(raw))
    return Fold(
        id_,
        parts.get(1, b"").decode(),
        parts.get(8, b"").decode(),
        _node(parts[2]),
        parts[3].decode(),
        *(_node(parts[number]) for number in (4, 5, 6, 7)),
    )


def _constant(raw: bytes) -> Any:
    for number, value in _fields(raw):
        match number:
            case 1:
                return None
            case 2:
                return bool(value)
            case 3:
                return _signed(value)
            case 4:
                return UInt(value)
            case 5:
                return struct.unpack("<d", value)[0]
            case 6:
                return value.decode()
            case 7:
                return value
    return None
