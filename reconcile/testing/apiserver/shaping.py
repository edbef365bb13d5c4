"""What a document looks like after it was decoded: unknown fields gone, nulls dropped, defaults filled in.

Documents that are passed in are left alone. Pure. Source of the rules: apiextensions-apiserver, ``schema/pruning`` and
``schema/defaulting``.
"""

import copy
from typing import Any

from reconcile.testing.apiserver import times
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.schema import DEDUCED, MISSING, NOTHING, Schema


def with_defaults(schema: Schema, value: Any, known: Any = MISSING) -> Any:
    """The document with every default of the schema where a field is missing, or null where null may not be.

    What it shares with ``known``, a document that has its defaults, is not looked into again.
    """
    if not schema.has_defaults or value is known:
        return value
    if isinstance(value, dict):
        before = known if isinstance(known, dict) else {}
        result = dict(value)
        for name, child in schema.fields.items():
            if child.default is not MISSING and _lacks(result.get(name, MISSING), child):
                result[name] = copy.deepcopy(child.default)
        for name, one in result.items():
            of_child = schema.child(name)
            if of_child is not None:
                result[name] = with_defaults(of_child, one, before.get(name, MISSING))
        return result
    if isinstance(value, list) and schema.items is not None:
        return [with_defaults(schema.items, item) for item in value]
    return value


def _lacks(value: Any, schema: Schema) -> bool:
    return value is MISSING or (value is None and not schema.nullable)


def pruned(schema: Schema, value: Any, known: Any = MISSING) -> Any:
    """The document without the fields that its schema does not declare, and without nulls that nothing allows.

    What it shares with ``known``, a document that was pruned before, is not looked into again.
    """
    if value is known:
        return value
    if isinstance(value, dict):
        before = known if isinstance(known, dict) else {}
        kept = {}
        for name, one in value.items():
            child = _declared(schema, name)
            if child is None:
                if schema.preserves:
                    kept[name] = one
            elif isinstance(one, dict | list):
                kept[name] = pruned(child, one, before.get(name, MISSING))
            elif one is not None or child is NOTHING or child.nullable or child.default is not MISSING:
                kept[name] = one
        return kept
    if isinstance(value, list):
        if schema.items is None or schema.preserves:
            return value
        return [pruned(schema.items, item) for item in value]
    return value


def without_empties(schema: Schema, value: Document) -> Document:
    """The document of a built-in kind as Go writes it: no empty lists and maps, times in UTC."""
    kept: Document = {}
    for name, one in value.items():
        child = schema.fields.get(name)
        if child is None or name == "metadata":
            kept[name] = one
        elif (one == [] and not child.nullable) or (one == {} and not child.fields and child.rest is not DEDUCED):
            continue
        elif isinstance(one, dict) and child.fields:
            kept[name] = without_empties(child, one)
        elif isinstance(one, str) and child.rules.get("format") in (times.TIME, times.MICRO_TIME):
            kept[name] = times.canonical(child.rules["format"], one)
        else:
            kept[name] = one
    return kept


def unknown(schema: Schema, value: Any, path: str = "") -> list[str]:
    """The paths of the fields that ``pruned`` drops for being unknown, as strict field validation names them."""
    found: list[str] = []
    if isinstance(value, dict):
        for name, one in value.items():
            child = _declared(schema, name)
            below = f"{path}.{name}" if path else name
            if child is not None:
                found += unknown(child, one, below)
            elif not schema.preserves:
                found.append(below)
    elif isinstance(value, list) and schema.items is not None and not schema.preserves:
        for index, item in enumerate(value):
            found += unknown(schema.items, item, f"{path}[{index}]")
    return found


def _declared(schema: Schema, name: str) -> Schema | None:
    child = schema.fields.get(name)
    if child is None and schema.lists_rest:
        return schema.rest if schema.rest_is_typed else NOTHING
    return child
