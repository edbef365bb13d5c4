"""What a write would make of an object, as far as that can be told without the server.

Enough to go on with a pass whose writes are only noted: merge patches are exact, an apply takes the items of lists that
our own entry in ``managedFields`` names, and what the server would allocate or default stays away. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from reconcile.kube.patch import apply_merge, same

GIVEN: Final = "(given by the server)"
"""Stands for what only the server knows."""


def created(body: Mapping[str, Any], at: str) -> dict[str, Any]:
    """A new object. ``at``: the time, as documents have it."""
    head = {**(body.get("metadata") or {}), "uid": GIVEN, "resourceVersion": "", "creationTimestamp": at}
    return {**body, "metadata": head}


def patched(live: Mapping[str, Any], patch: Mapping[str, Any], subresource: str) -> dict[str, Any]:
    """A merge patch of the object, which leaves its status, or of its status, which leaves all else."""
    guards = ("uid", "resourceVersion")
    head = {name: value for name, value in (patch.get("metadata") or {}).items() if name not in guards}
    after = apply_merge(live, {**patch, "metadata": head})
    kept = live if subresource == "status" else after
    status = (after if subresource == "status" else live).get("status")
    return {**kept, **({} if status is None else {"status": status})}


def applied(live: Mapping[str, Any] | None, body: Mapping[str, Any], *, manager: str, at: str) -> dict[str, Any]:
    """Server-side apply of ``body`` by ``manager``, on nothing or on an object."""
    if live is None:
        return created(body, at)
    owned = _owned(live, manager)
    return {**_merged(live, body, owned), "apiVersion": live.get("apiVersion"), "kind": live.get("kind")}


def deleted(live: Mapping[str, Any], at: str) -> dict[str, Any] | None:
    """What is left of an object: nothing, unless finalizers hold it."""
    head = live.get("metadata") or {}
    return {**live, "metadata": {"deletionTimestamp": at, **head}} if head.get("finalizers") else None


def ended(after: Mapping[str, Any]) -> bool:
    """Whether an object goes now: it is being deleted, and nothing holds it any more."""
    head = after.get("metadata") or {}
    return bool(head.get("deletionTimestamp")) and not head.get("finalizers")


def _owned(live: Mapping[str, Any], manager: str) -> Mapping[str, Any]:
    for entry in (live.get("metadata") or {}).get("managedFields") or ():
        if (entry.get("manager"), entry.get("operation"), entry.get("subresource", "")) == (manager, "Apply", ""):
            fields = entry.get("fieldsV1") or {}
            return fields if isinstance(fields, Mapping) else {}
    return {}


def _merged(live: Any, body: Any, owned: Mapping[str, Any]) -> Any:
    """``live`` with what ``body`` says, and without what was ours and is not in ``body`` any more."""
    if isinstance(body, Mapping) and isinstance(live, Mapping):
        result = {name: value for name, value in live.items() if name in body or f"f:{name}" not in owned}
        for name in live.keys() - result.keys():
            if (rest := _without(live[name], owned[f"f:{name}"])) is not None:
                result[name] = rest
        for name, value in body.items():
            result[name] = _merged(live.get(name), value, owned.get(f"f:{name}") or {})
        return result
    if isinstance(body, Sequence) and not isinstance(body, str) and isinstance(live, Sequence):
        return _items(live, body, owned)
    return body


def _without(live: Any, owned: Mapping[str, Any]) -> Any:
    """What of a value is not ours; None if nothing."""
    if not owned or not isinstance(live, Mapping):
        return None
    rest = {}
    for name, value in live.items():
        left = value if f"f:{name}" not in owned else _without(value, owned[f"f:{name}"])
        if left is not None:
            rest[name] = left
    return rest or None


def _items(live: Sequence[Any], body: Sequence[Any], owned: Mapping[str, Any]) -> list[Any]:
    """A list: by the key fields of its items where we know them from our own entry, else as a whole."""
    keys = [orjson.loads(name[2:]) for name in owned if name.startswith("k:")]
    sets = [orjson.loads(name[2:]) for name in owned if name.startswith("v:")]
    if sets:
        kept = [one for one in live if not any(same(one, ours) for ours in sets) or any(same(one, b) for b in body)]
        return [*kept, *(one for one in body if not any(same(one, other) for other in kept))]
    if not keys:
        return list(body)
    names = tuple(keys[0])
    result = []
    for item in body:
        there = next((one for one in live if _is_same_item(one, item, names)), None)
        key = next((name for name in owned if name[:2] == "k:" and _has(item, orjson.loads(name[2:]))), "")
        result.append(item if there is None else _merged(there, item, owned.get(key) or {}))
    others = [one for one in live if not any(_has(one, key) for key in keys)]
    return [*result, *(one for one in others if not any(_is_same_item(one, item, names) for item in body))]


def _is_same_item(live: Any, item: Any, names: Sequence[str]) -> bool:
    said = [name for name in names if name in item] if isinstance(item, Mapping) else []
    return bool(said) and isinstance(live, Mapping) and all(same(live.get(name), item[name]) for name in said)


def _has(item: Any, key: Mapping[str, Any]) -> bool:
    said = [name for name in key if name in item] if isinstance(item, Mapping) else []
    return bool(said) and all(same(item[name], key[name]) for name in said)
