"""Sets of field paths, in the very form that ``metadata.managedFields`` stores them in.

A set is a nested dict: keys are path elements (``f:name``, ``k:{"name":"a"}``, ``v:1``, ``i:0``), and a node is a
member when it is empty or has the key ``.``. So reading a set from an object, or writing it there, converts nothing.
Every function leaves its arguments alone and may share parts of them with its result: never change a set in place.
Pure. Source of the rules: structured-merge-diff, ``fieldpath``; the form is FieldsV1 of apimachinery.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import orjson

FieldSet: TypeAlias = Mapping[str, Any]
Path: TypeAlias = tuple[str, ...]

SELF = "."
EMPTY: FieldSet = {}
MEMBER: FieldSet = {}
"""A node that is a member and has no children."""


def is_member(node: FieldSet | None) -> bool:
    """Whether the path that leads to this node belongs to the set."""
    return node is not None and (not node or SELF in node)


def children(node: FieldSet) -> Iterable[tuple[str, FieldSet]]:
    """The elements below a node, its own mark left out."""
    if SELF not in node:
        return node.items()
    return [(element, child) for element, child in node.items() if element != SELF]


def node_of(member: bool, below: dict[str, FieldSet]) -> FieldSet | None:
    """Put a node together; ``None`` when nothing is left of it."""
    if not below:
        return MEMBER if member else None
    return {SELF: MEMBER, **below} if member else below


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths of either."""
    if not left or not right:
        return left or right
    result = dict(left)
    for element, node in right.items():
        result[element] = _union_node(left[element], node) if element in left else node
    return result


def _union_node(left: FieldSet, right: FieldSet) -> FieldSet:
    if left is right:
        return left
    below = dict(children(left))
    for element, node in children(right):
        below[element] = _union_node(below[element], node) if element in below else node
    return node_of(is_member(left) or is_member(right), below) or MEMBER


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths of both."""
    if not left or not right:
        return EMPTY
    result: dict[str, FieldSet] = {}
    for element, node in children(left):
        other = right.get(element)
        if other is not None:
            both = node if node is other else _both(node, other)
            if both is not None:
                result[element] = both
    return result


def _both(left: FieldSet, right: FieldSet) -> FieldSet | None:
    below = intersection(left, right)
    return node_of(is_member(left) and is_member(right), dict(below) if below else {})


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths of ``left`` that are not in ``right``; a child stays when only its parent is in ``right``."""
    return _minus(left, right, recursive=False)


def recursive_difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths of ``left`` that are not in ``right``, nor below a path of ``right``."""
    return _minus(left, right, recursive=True)


def _minus(left: FieldSet, right: FieldSet, *, recursive: bool) -> FieldSet:
    if not right or not left:
        return left
    result: dict[str, FieldSet] = {}
    for element, node in children(left):
        other = right.get(element)
        if other is None:
            result[element] = node
        elif not (recursive and is_member(other)):
            below = dict(_minus(dict(children(node)), other, recursive=recursive)) if node else {}
            rest = node_of(is_member(node) and not is_member(other), below)
            if rest is not None:
                result[element] = rest
    return result


def paths(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """Every path of the set in the order of the real library: the members of a level, then what is below each."""
    elements = sorted((element for element, _ in children(fields)), key=_order)
    for element in elements:
        if is_member(fields[element]):
            yield (*prefix, element)
    for element in elements:
        yield from paths(fields[element], (*prefix, element))


def of_paths(*all_paths: Path) -> FieldSet:
    """The set of exactly these paths."""
    result: FieldSet = {}
    for path in all_paths:
        node: FieldSet = MEMBER
        for element in reversed(path):
            node = {element: node}
        result = union(result, node)
    return result


def has(fields: FieldSet, path: Path) -> bool:
    """Whether this very path is in the set."""
    node: FieldSet | None = fields
    for element in path:
        node = node.get(element) if node else None
        if node is None:
            return False
    return bool(path) and is_member(node)


def key_element(keys: Mapping[str, Any]) -> str:
    """The element of a list-map item; ``keys`` are its key fields."""
    return "k:" + _compact(keys)


def value_element(value: Any) -> str:
    """The element of a set item."""
    return "v:" + _compact(value)


def say(path: Path) -> str:
    """A path for people: ``.spec.ports[port=80,protocol="TCP"].name``."""
    return "".join(map(_say_element, path))


def _say_element(element: str) -> str:
    form, _, text = element.partition(":")
    if form == "f":
        return f".{text}"
    if form == "k":
        inside = ",".join(f"{name}={_compact(value)}" for name, value in orjson.loads(text).items())
        return f"[{inside}]"
    if form == "v":
        return f"[={text}]"
    return f"[{text}]"


_RANK = {"f": 0, "k": 1, "v": 2, "i": 3}


def _order(element: str) -> tuple[int, Any]:
    form, _, text = element.partition(":")
    if form == "i":
        return _RANK[form], int(text)
    return _RANK.get(form, len(_RANK)), text


def _compact(value: Any) -> str:
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    for character, escaped in _ESCAPES:
        if character in text:
            text = text.replace(character, escaped)
    return text


# Go's encoder makes JSON safe for HTML
_ESCAPES = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
