"""The proof that an apply would change nothing.

Server-side apply remembers in ``metadata.managedFields`` which fields each manager applied last, as a tree
(``fieldsV1``). When our entry holds exactly the fields of the body, both ways, and the live values of all of them are
equal, sending the body again changes neither values nor owners. Tree, body and live object are walked together, no
schema is needed; whatever is unclear is no proof, and the apply is sent. Pure.

In a tree ``f:name`` is a field, ``k:{...}`` the item of a list with these key fields, ``v:...`` an item of a set,
``i:n`` an item by place, ``.`` the parent itself; an empty node is a leaf that stands for the whole value below it.
Source: package ``fieldpath`` of structured-merge-diff, and what k8s.io/apimachinery strips from a set.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from reconcile.kube.patch import LISTS, same

_UNOWNED: Final = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink")
"""Of ``metadata``: never in a set. They name the object or guard the write, so they have to be the live ones."""
_GRANULAR: Final = ("finalizers", "ownerReferences")
"""Lists of ``metadata`` whose items are owned one by one: an empty one wants nothing."""


def covers(applied_fields_v1: Mapping[str, Any], body: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether applying ``body`` again surely changes nothing.

    ``applied_fields_v1`` is the tree of our own Apply entry of the same API version and subresource, {} if there is
    none. A body is never proven that spells a value another way than the server (``1000m`` for ``1``), leaves out what
    the server fills in within an atomic map or list, or holds an empty list whose items are owned one by one: write
    those out.

    What is empty is not kept by built-in kinds, nor in the ``metadata`` of any, though its field is owned. That it is
    owned and not there is proof enough: who takes a field away, or puts something into it, takes it from its owner.
    Sending such an apply to a custom resource would write a new time into our entry, each time. Nor does an empty
    ``spec`` want anything: of every kind it is a map of fields, whoever set them.

    One thing cannot be told without a schema: a leaf that was applied as ``{}`` and is now a map whose values others
    have set already passes for an atomic map. The values are right then; only their owners stay as they are.
    """
    if any(live.get(name) not in (None, body.get(name)) for name in ("apiVersion", "kind")):
        return False  # None: items of a list of a built-in kind do not say what they are
    meta, live_meta = body.get("metadata") or {}, live.get("metadata") or {}
    if not isinstance(meta, Mapping) or not isinstance(live_meta, Mapping):
        return False
    if any(name in meta and not same(meta[name], live_meta.get(name)) for name in _UNOWNED):
        return False
    owned = {name: value for name, value in body.items() if name not in ("apiVersion", "kind", "metadata")}
    if owned.get("spec") == {} and applied_fields_v1.get("f:spec") == {} and isinstance(live.get("spec", {}), Mapping):
        del owned["spec"]
        applied_fields_v1 = {name: node for name, node in applied_fields_v1.items() if name != "f:spec"}
    if labelled := {
        name: value for name, value in meta.items() if name not in _UNOWNED and not (name in _GRANULAR and value == [])
    }:
        owned["metadata"] = labelled
    try:
        return _fields_match(applied_fields_v1, owned, live) if applied_fields_v1 else not owned
    except (orjson.JSONDecodeError, ValueError):
        return False


def _matches(node: Any, body: Any, live: Any) -> bool:
    """Whether ``body`` consists of exactly what ``node`` holds, and ``live`` has it."""
    if node == {}:
        return not _has_null(body) and same(body, live)
    if not isinstance(node, Mapping) or node.get(".", {}) != {}:
        return False
    children = {name: child for name, child in node.items() if name != "."}
    if not children:
        return _matches({}, body, live)
    kinds = {name[:2] for name in children}
    if kinds == {"f:"}:
        return isinstance(body, Mapping) and _fields_match(children, body, live)
    if len(kinds) > 1 or not isinstance(body, LISTS) or not isinstance(live, LISTS):
        return False
    return _items_match(kinds.pop(), children, body, live)


def _fields_match(children: Mapping[str, Any], body: Mapping[str, Any], live: Any) -> bool:
    """The same fields on both sides, each of them matching; live may have more."""
    return (
        isinstance(live, Mapping)
        and children.keys() == {f"f:{name}" for name in body}
        and all(
            _matches(children[f"f:{name}"], value, live[name])
            if name in live
            else _is_dropped(children[f"f:{name}"], value)
            for name, value in body.items()
        )
    )


def _is_dropped(node: Any, body: Any) -> bool:
    """Whether the server owes us nothing for a field it does not have."""
    return bool(node == {}) and isinstance(body, (Mapping, *LISTS)) and not body


def _items_match(kind: str, children: Mapping[str, Any], body: Sequence[Any], live: Sequence[Any]) -> bool:
    """Each item on one side is one item on each other, in the same order; live may have more in between."""
    if kind == "i:":
        return len(children) == len(body) == len(live) and all(
            f"i:{place}" in children and _matches(children[f"i:{place}"], item, live[place])
            for place, item in enumerate(body)
        )
    places: list[tuple[int, int]] = []
    for name, child in children.items():
        wanted = orjson.loads(name[2:])
        found = (_place(kind, wanted, body, whole=False), _place(kind, wanted, live, whole=True))
        if -1 in found or not _matches(child, body[found[0]], live[found[1]]):
            return False
        places.append(found)
    places.sort()
    in_body, in_live = zip(*places, strict=True)
    return list(in_body) == list(range(len(body))) and list(in_live) == sorted(set(in_live))


def _place(kind: str, wanted: Any, items: Sequence[Any], *, whole: bool) -> int:
    """Where the one item is that ``wanted`` means; -1 if there is none, or more than one.

    ``whole=False``: key fields that the item leaves to the schema's default are not looked at.
    """
    if kind == "v:":
        places = [place for place, item in enumerate(items) if same(item, wanted)]
    elif kind == "k:" and isinstance(wanted, Mapping):
        places = [place for place, item in enumerate(items) if _has_keys(item, wanted, whole=whole)]
    else:
        return -1
    return places[0] if len(places) == 1 else -1


def _has_keys(item: Any, wanted: Mapping[str, Any], *, whole: bool) -> bool:
    if not isinstance(item, Mapping):
        return False
    present = {name: value for name, value in wanted.items() if name in item}
    enough = len(present) == len(wanted) if whole else bool(present)
    return enough and all(same(item[name], value) for name, value in present.items())


def _has_null(value: Any) -> bool:
    if type(value) is str:
        return False
    if isinstance(value, Mapping):
        return any(map(_has_null, value.values()))
    if isinstance(value, LISTS):
        return any(map(_has_null, value))
    return value is None
