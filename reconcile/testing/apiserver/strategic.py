"""What a strategic merge patch makes of a document.

Maps are merged; a list is merged by the key that its type names, or replaced. Directives: ``$patch`` (replace, delete),
``$retainKeys``, ``$deleteFromPrimitiveList/<field>`` and ``$setElementOrder/<field>``. Documents are left alone; the
result may share parts with both. Pure. Source of rules and texts: apimachinery, ``util/strategicpatch``.
"""

from typing import Any, Final

from reconcile.testing.apiserver.failure import Document, Failure, bad_request
from reconcile.testing.apiserver.gotext import go_plain
from reconcile.testing.apiserver.schema import DEDUCED, Schema

_PATCH: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_DELETE: Final = "$deleteFromPrimitiveList/"
_ORDER: Final = "$setElementOrder/"


def merge(schema: Schema, live: Document, patch: Document) -> Document:
    """``patch`` laid over ``live``.

    Raises:
        Failure: 400 or 500 for a patch that contradicts itself, as the real server answers.
    """
    return _maps(schema, live, patch)


def followed(live: Document, patch: Document) -> Document:
    """What the real server's library leaves of a patch that it has merged: directives it followed are gone, and lists
    that it put in order."""
    if _PATCH in patch:
        return {name: one for name, one in patch.items() if name != _PATCH}
    ordered = {name.removeprefix(_ORDER) for name in patch if name.startswith(_ORDER)}
    return {
        name: followed(live[name], one) if isinstance(one, dict) and isinstance(live.get(name), dict) else _as_set(one)
        for name, one in patch.items()
        if name != _RETAIN and name not in ordered and not name.startswith(_ORDER)
    }


def _as_set(value: Any) -> Any:
    """A map that is set as a whole loses its nulls in the patch, too."""
    return _without_nulls(value) if isinstance(value, dict) else value


def _maps(schema: Schema, live: Document, patch: Document) -> Document:
    if _PATCH in patch:
        return _directed(patch)
    merged = dict(live)
    rest = dict(patch)
    if _RETAIN in rest:
        _retain(merged, rest, rest.pop(_RETAIN))
    for name in [name for name in rest if name.startswith(_ORDER)]:
        _put_in_order(schema, merged, rest, name.removeprefix(_ORDER), rest.pop(name))
    for name, value in rest.items():
        deletes = name.startswith(_DELETE)
        field = name.removeprefix(_DELETE)
        child = schema.child(field) or DEDUCED
        if value is None:
            merged.pop(field, None)
        elif field not in merged or _kind(merged[field]) is not _kind(value):
            if not deletes:
                _set(merged, field, _bare(_without_nulls(value)))
        elif isinstance(value, dict):
            merged[field] = value if child.patch_replaces else _maps(child, merged[field], value)
        elif isinstance(value, list):
            merged[field] = _lists(child, merged[field], value, deletes) if child.patch_merges or deletes else value
        else:
            merged[field] = value
    return merged


def _directed(patch: Document) -> Document:
    if patch[_PATCH] == "replace":
        return {name: value for name, value in patch.items() if name != _PATCH}
    if patch[_PATCH] == "delete":
        return {}
    raise Failure(500, "", f"unknown patch type: {patch[_PATCH]} in map: {go_plain(patch)}")


def _retain(merged: Document, patch: Document, names: Any) -> None:
    """Drop the fields that are not to be retained; whatever the patch sets has to be."""
    if not isinstance(names, list) or any(
        value is not None and name not in names and not name.startswith((_DELETE, _ORDER))
        for name, value in patch.items()
    ):
        raise bad_request("invalid patch format of retainKeys")
    for name in [name for name in merged if name not in names]:
        del merged[name]


def _put_in_order(schema: Schema, merged: Document, patch: Document, field: str, order: Any) -> None:
    """Merge a list and bring it into the order that the patch asks for."""
    child = schema.child(field) or DEDUCED
    live, added = merged.get(field), patch.pop(field, None)
    if not isinstance(order, list) or any(one is not None and not isinstance(one, list) for one in (live, added)):
        raise bad_request("invalid patch format of setElementOrder list")
    if live is None and added is None:
        return
    _check_order(child, added or [], order)
    if not live and not added:
        raise Failure(500, "", "no elements in any of the given slices")
    if added is None:
        both = live or []
    elif live is None:
        both = _bare(added)
    else:
        both = _lists(child, live, added, False) if child.patch_merges else added
    merged[field] = _ordered(child, both, order, live or [])


def _check_order(child: Schema, added: list[Any], order: list[Any]) -> None:
    wanted = [_identity(child, item) for item in order]
    given = [_identity(child, item) for item in added if not (isinstance(item, dict) and _PATCH in item)]
    position = 0
    for identity in given:
        if identity not in wanted[position:]:
            lists = f"{go_plain(added)}\n doesn't match $setElementOrder list:\n{go_plain(order)}\n"
            raise Failure(500, "", f"The order in patch list:\n{lists}")
        position = wanted.index(identity, position) + 1


def _lists(child: Schema, live: list[Any], patch: list[Any], deletes: bool) -> list[Any]:
    if not live and not patch:
        return live
    if not any(isinstance(item, dict) for item in (*live, *patch)):
        if deletes:
            return [item for item in live if item not in patch]
        return _ordered(child, list(dict.fromkeys([*live, *patch])), patch, live)
    if not child.patch_key:
        raise Failure(500, "", "cannot merge lists without merge key for struct")
    live, added = _without_deleted(child, live, patch)
    merged = list(live)
    for item in added:
        identity = _identity(child, item)
        at = next((index for index, one in enumerate(merged) if _identity(child, one) == identity), None)
        if at is None:
            merged.append(item)
        else:
            merged[at] = _maps(child.items or DEDUCED, merged[at], item)
    return _ordered(child, merged, added, live)


def _without_deleted(child: Schema, live: list[Any], patch: list[Any]) -> tuple[list[Any], list[Any]]:
    """Live items that are not to be deleted, and the patch without its directives."""
    added: list[Any] = []
    replaces = False
    for item in patch:
        directive = item.get(_PATCH) if isinstance(item, dict) else None
        if directive is None:
            added.append(item)
        elif directive == "delete":
            identity = _identity(child, item)
            live = [one for one in live if _identity(child, one) != identity]
        elif directive == "replace":
            replaces = True
        elif directive == "merge":
            raise Failure(500, "", "merging lists cannot yet be specified in the patch")
        else:
            raise Failure(500, "", f"unknown patch type: {directive} in map: {go_plain(item)}")
    return (added, []) if replaces else (live, added)


def _ordered(child: Schema, items: list[Any], first: list[Any], live: list[Any]) -> list[Any]:
    """Items of the patch in its order, the others in that of the live list; where both are live, live order wins."""
    of_patch = [_identity(child, item) for item in first]
    of_live = [_identity(child, item) for item in live]
    mine = [item for item in items if _identity(child, item) in of_patch]
    theirs = [item for item in items if _identity(child, item) not in of_patch]
    mine.sort(key=lambda item: of_patch.index(_identity(child, item)))
    theirs.sort(key=lambda item: _index(of_live, _identity(child, item)))
    result: list[Any] = []
    while mine and theirs:
        left, right = _identity(child, theirs[0]), _identity(child, mine[0])
        before = left in of_live and right in of_live and of_live.index(left) < of_live.index(right)
        result.append((theirs if before else mine).pop(0))
    return [*result, *mine, *theirs]


def _index(order: list[Any], identity: Any) -> int:
    return order.index(identity) if identity in order else len(order)


def _identity(child: Schema, item: Any) -> Any:
    if not child.patch_key or not isinstance(item, dict):
        return item
    if child.patch_key not in item:
        raise Failure(500, "", f"map: {go_plain(item)} does not contain declared merge key: {child.patch_key}")
    return item[child.patch_key]


def _kind(value: Any) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _set(merged: Document, field: str, value: Any) -> None:
    if value is None:
        merged.pop(field, None)
    else:
        merged[field] = value


def _bare(value: Any) -> Any:
    """A value without directives; ``None`` for a map that is one itself."""
    if isinstance(value, dict):
        if _PATCH in value:
            return None
        return {name: bare for name, one in value.items() if (bare := _bare(one)) is not None}
    if isinstance(value, list):
        return [bare for item in value if (bare := _bare(item)) is not None]
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
