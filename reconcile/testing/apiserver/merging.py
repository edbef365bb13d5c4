"""What a live document becomes when a configuration is laid over it.

Maps merge field by field, lists that tell their items apart item by item, all else is replaced. Nothing is removed
here: what an applier left out is ``apply.py``'s business. Documents are left alone; the result shares with the live one
whatever stays as it is, all of it if nothing changes, so that nobody has to look at that again. Pure. Source of the
rules, the order of merged lists above all: structured-merge-diff, ``typed/merge.go``.
"""

import operator
from typing import Any

import orjson

from reconcile.testing.apiserver.schema import MISSING, Items, Schema
from reconcile.testing.apiserver.walks import Form, element_of, form_of


def merge(schema: Schema, live: Any, config: Any) -> Any:
    """``config`` over ``live``; both have passed ``check``, ``live`` with duplicates allowed."""
    result = _merge(schema, live, config)
    return {} if result is MISSING else result


def _merge(schema: Schema, live: Any, config: Any) -> Any:
    if config is MISSING:
        return live
    form = form_of(schema, config if config is not None else live)
    if form == Form.MAP and not schema.atomic and (_full(live, dict) or _full(config, dict)):
        return _merge_maps(schema, live, config)
    if form == Form.LIST and schema.relation is not Items.ATOMIC and (_full(live, list) or _full(config, list)):
        return _merge_lists(schema, live, config)
    return live if _same(live, config) else config


def _same(live: Any, config: Any) -> bool:
    """Whether nobody could tell one from the other, so that the live one may stay."""
    if type(live) is not type(config) or live != config:
        return False
    # Python takes 1 for true and for 1.0
    return not isinstance(live, dict | list) or orjson.dumps(live) == orjson.dumps(config)


def _full(value: Any, form: type) -> bool:
    return isinstance(value, form) and bool(value)


def _merge_maps(schema: Schema, live: Any, config: Any) -> Any:
    before = live if isinstance(live, dict) else {}
    changes = {}
    for name, value in config.items() if isinstance(config, dict) else ():
        child = schema.child(name)
        assert child is not None
        was = before.get(name, MISSING)
        result = _merge(child, was, value)
        if result is not was and result is not MISSING:
            changes[name] = result
    merged = {**before, **changes} if changes else before
    return merged if merged else MISSING


def _merge_lists(schema: Schema, live: Any, config: Any) -> Any:
    """Items in the order of ``config``; items of ``live`` alone stay where they stood relative to the shared ones."""
    assert schema.items is not None
    left = [(element_of(schema, item), item) for item in live] if isinstance(live, list) else []
    right = [(element_of(schema, item), item) for item in config] if isinstance(config, list) else []
    of_left: dict[str, Any] = {}
    for element, item in left:
        # an item that is there twice is not merged with: it is replaced
        of_left[element] = None if element in of_left else item
    of_right = dict(right)
    shared = iter([element for element, _ in right if element in of_left])
    following = next(shared, None)
    merged: list[Any] = []
    done: set[str] = set()

    def take(element: str, mine: Any, theirs: Any) -> None:
        result = _merge(schema.items, mine, theirs)  # type: ignore[arg-type]
        if result is not MISSING:
            merged.append(result)

    i = j = 0
    while i < len(left) or j < len(right):
        if i < len(left) and j < len(right):
            element = left[i][0]
            if element == right[j][0]:
                done.add(element)
                take(element, of_left[element], of_right[element])
                i, j = i + 1, j + 1
                following = next(shared, None)
                continue
            if element in of_right and following is not None and following != element:
                i += 1  # it is shared, but not the next one in the order of config
                continue
        if i < len(left):
            element, item = left[i]
            if element not in of_right:
                take(element, item, MISSING)
                i += 1
                continue
            if element in done:
                i += 1
        if j < len(right):
            element = right[j][0]
            done.add(element)
            take(element, of_left.get(element, MISSING), of_right[element])
            j += 1
            if following == element:
                following = next(shared, None)
    if isinstance(live, list) and len(live) == len(merged) and all(map(operator.is_, live, merged)):
        return live
    return merged if merged else MISSING
