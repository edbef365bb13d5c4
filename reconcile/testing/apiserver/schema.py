"""What a kind's documents look like: one typed view that every walk over a document shares.

Apply, strategic merge, defaulting, pruning and validation ask the same view which fields a map declares, how a list's
items are told apart, and what is one indivisible value. A view is read from an OpenAPI v3 schema by ``openapi.py``, or
made from nothing (``open_schema``) plus the merge keys that a kind's Go type carries. Views are shared and never
changed. Pure.
"""

import enum
from collections.abc import Mapping
from typing import Any, Final

import attrs


class Missing(enum.Enum):
    """The absence of a value; ``None`` is JSON's null."""

    MISSING = enum.auto()


MISSING: Final = Missing.MISSING


class Items(enum.Enum):
    """How the items of a list are told apart."""

    ATOMIC = "atomic"
    """Not at all: the list is one value."""
    SET = "set"
    """By their value; items are scalars."""
    MAP = "map"
    """By their key fields."""


@attrs.frozen(eq=False)
class GoType:
    """The Go struct behind a map of a built-in kind: what its encoder and decoder do that no schema says."""

    name: str
    """``PodSpec``."""
    always: Mapping[str, Any] = attrs.field(factory=dict)
    """Fields that are written even when they are empty, with their empty value."""
    omits: frozenset[str] = frozenset()
    """Fields kept by value that are left out when they are false, 0 or ""."""
    types: Mapping[str, str] = attrs.field(factory=dict)
    """Go types of fields where the schema's type does not tell: ``v1.RestartPolicy``."""
    defaults: Mapping[str, Any] = attrs.field(factory=dict)
    """What decoding fills in where a field is missing, whatever the other fields are."""


@attrs.define(eq=False)
class Schema:
    """The type of one value. ``type`` is JSON's word for it, or "" where scalars, lists and maps are all allowed."""

    type: str = ""
    fields: Mapping[str, "Schema"] = attrs.field(factory=dict)
    rest: "Schema | None" = None
    """The type of fields that ``fields`` does not list; ``None``: there may be none."""
    items: "Schema | None" = None
    relation: Items = Items.ATOMIC
    keys: tuple[str, ...] = ()
    atomic: bool = False
    """A map that is one value."""
    patch_merges: bool = False
    """A list that strategic merge patches merge instead of replacing it."""
    patch_key: str = ""
    """The field by which they tell its items apart."""
    patch_replaces: bool = False
    """A map that they replace."""
    default: Any = MISSING
    nullable: bool = False
    preserves: bool = False
    """Fields that are not listed are kept instead of pruned, as they are."""
    lists_rest: bool = False
    """``additionalProperties`` is given, and not false."""
    rest_is_typed: bool = True
    """``additionalProperties`` is a schema; else pruning knows nothing of what is inside."""
    embedded: bool = False
    """A whole object with kind and metadata of its own."""
    int_or_string: bool = False
    any_of: "tuple[Schema, ...]" = ()
    one_of: "tuple[Schema, ...]" = ()
    all_of: "tuple[Schema, ...]" = ()
    not_: "Schema | None" = None
    rules: Mapping[str, Any] = attrs.field(factory=dict)
    """The validation keywords, as the OpenAPI schema spells them."""
    has_defaults: bool = False
    """Whether a default lies here or below, so that a walk may skip the rest."""
    go: GoType | None = None
    """For a struct of a built-in kind."""

    def child(self, name: str) -> "Schema | None":
        """The type of a map's field; ``None`` when it is not declared."""
        return self.fields.get(name, self.rest)

    def at(self, *path: str) -> "Schema | None":
        """The type at a path of fields; ``[]`` steps into a list's items."""
        found: Schema | None = self
        for step in path:
            if found is None:
                return None
            found = found.items if step == "[]" else found.child(step)
        return found


def open_item() -> Schema:
    """A map of which nothing is known: the item of a list-map."""
    return Schema("object", rest=DEDUCED, preserves=True)


def _recursive(*, atomic: bool) -> Schema:
    schema = Schema(atomic=atomic, preserves=True)
    schema.rest = schema
    schema.items = schema if atomic else UNTYPED
    return schema


UNTYPED: Final[Schema] = _recursive(atomic=True)
"""Anything, as one value."""
DEDUCED: Final[Schema] = _recursive(atomic=False)
"""Anything: maps field by field, lists as one value. What the real server deduces where a schema says nothing."""

NOTHING: Final[Schema] = Schema()
"""Anything at all is accepted, and no field is known."""

_STRING = Schema("string")
_TEXTS = Schema("object", rest=_STRING, lists_rest=True)
_TIME = Schema("string")

OWNER_REFERENCE: Final[Schema] = Schema(
    "object",
    fields={
        **dict.fromkeys(("apiVersion", "kind", "name", "uid"), _STRING),
        **dict.fromkeys(("controller", "blockOwnerDeletion"), Schema("boolean")),
    },
    atomic=True,
)
OBJECT_META: Final[Schema] = Schema(
    "object",
    fields={
        **dict.fromkeys(("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"), _STRING),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), _TIME),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), Schema("integer")),
        **dict.fromkeys(("labels", "annotations"), _TEXTS),
        "finalizers": Schema("array", items=_STRING, relation=Items.SET, patch_merges=True),
        "ownerReferences": Schema(
            "array", items=OWNER_REFERENCE, relation=Items.MAP, keys=("uid",), patch_merges=True, patch_key="uid"
        ),
        "managedFields": Schema("array", items=DEDUCED),
    },
)
TYPE_META: Final[Mapping[str, Schema]] = {"apiVersion": _STRING, "kind": _STRING}


def open_schema(
    *,
    lists: Mapping[str, tuple[str, ...]] | None = None,
    sets: tuple[str, ...] = (),
    atomic: tuple[str, ...] = (),
) -> Schema:
    """A kind without a schema: anything goes, with these rules on top.

    ``lists`` gives the keys of list-maps by path, ``sets`` the lists of scalars that are sets, ``atomic`` the maps that
    are one value. A path is dotted; ``[]`` after a list's name steps into its items: ``spec.containers[].ports``.
    """
    root = with_rules(Schema("object", rest=DEDUCED, preserves=True), lists=lists, sets=sets, atomic=atomic)
    return with_head(root)


def with_rules(
    schema: Schema,
    *,
    lists: Mapping[str, tuple[str, ...]] | None = None,
    sets: tuple[str, ...] = (),
    atomic: tuple[str, ...] = (),
) -> Schema:
    """The same schema with merge rules that its document does not carry, by path as for ``open_schema``."""
    for path, keys in sorted((lists or {}).items()):
        schema = _changed(schema, _steps(path), lambda old, keys=keys: _as_list(old, Items.MAP, keys))
    for path in sets:
        schema = _changed(schema, _steps(path), lambda old: _as_list(old, Items.SET, ()))
    for path in atomic:
        schema = _changed(schema, _steps(path), lambda old: attrs.evolve(old, atomic=True))
    return schema


def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.replace("[]", ".[]").split("."))


def _changed(schema: Schema, steps: tuple[str, ...], change: Any) -> Schema:
    if not steps:
        return change(schema)  # type: ignore[no-any-return]
    if steps[0] == "[]":
        items = schema.items if schema.items not in (None, UNTYPED) else open_item()
        assert items is not None
        return attrs.evolve(schema, items=_changed(items, steps[1:], change))
    child = schema.child(steps[0])
    if child is None:
        raise ValueError(f"the schema has no field {steps[0]!r}")
    if child is DEDUCED or child is UNTYPED:
        child = Schema("", rest=DEDUCED, items=UNTYPED, preserves=True)
    return attrs.evolve(schema, fields={**schema.fields, steps[0]: _changed(child, steps[1:], change)})


def _as_list(old: Schema, relation: Items, keys: tuple[str, ...]) -> Schema:
    items = old.items
    if relation is Items.MAP and (items is None or items is UNTYPED):
        items = open_item()
    key = keys[0] if keys else ""
    return attrs.evolve(old, items=items, relation=relation, keys=keys, patch_merges=True, patch_key=key)


def with_head(root: Schema) -> Schema:
    """The schema of a kind, with what every object has."""
    return attrs.evolve(root, type="object", fields={**root.fields, **TYPE_META, "metadata": OBJECT_META})
