"""What a document looks like after it was decoded: defaults filled in, unknown fields gone.

Documents that are passed in are left alone. Pure. Source of the rules: apiextensions-apiserver, ``schema/defaulting``
and ``schema/pruning``.
"""

import copy
from typing import Any

from reconcile.testing.apiserver.schema import DEDUCED, MISSING, Schema


def with_defaults(schema: Schema, value: Any) -> Any:
    """The document with every default of the schema where a field is missing; a null that may not be is missing too."""
    if not schema.has_defaults:
        return value
    if isinstance(value, dict):
        result = dict(value)
        for name, child in schema.fields.items():
            if result.get(name, MISSING) is None and not child.nullable and child.default is not MISSING:
                del result[name]
            if name not in result and child.default is not MISSING:
                result[name] = copy.deepcopy(child.default)
        for name, one in result.items():
            of_child = schema.child(name)
            if of_child is not None:
                result[name] = with_defaults(of_child, one)
        return result
    if isinstance(value, list) and schema.items is not None:
        return [with_defaults(schema.items, item) for item in value]
    return value


def pruned(schema: Schema, value: Any) -> Any:
    """The document without the fields that its schema does not declare."""
    if isinstance(value, dict):
        kept = {}
        for name, one in value.items():
            child = _kept(schema, name)
            if child is not None:
                kept[name] = pruned(child, one)
        return kept
    if isinstance(value, list) and schema.items is not None:
        return [pruned(schema.items, item) for item in value]
    return value


def unknown(schema: Schema, value: Any, path: str = "") -> list[str]:
    """The paths of the fields that ``pruned`` drops, as strict field validation names them."""
    if isinstance(value, dict):
        found: list[str] = []
        for name, one in value.items():
            child = _kept(schema, name)
            below = f"{path}.{name}" if path else name
            found += [below] if child is None else unknown(child, one, below)
        return found
    if isinstance(value, list) and schema.items is not None:
        return [name for index, item in enumerate(value) for name in unknown(schema.items, item, f"{path}[{index}]")]
    return []


def _kept(schema: Schema, name: str) -> Schema | None:
    """The type of a field that stays; ``None`` for one that goes."""
    child = schema.fields.get(name)
    if child is None and schema.preserves:
        return schema.rest or DEDUCED
    return child
