"""What a kind's documents look like: one typed view that every walk over a document shares.

Apply, strategic merge, defaulting, pruning and validation ask the same view which fields a map declares, how a list's
items are told apart, and what is one indivisible value. A view is made from an OpenAPI v3 schema
(``from_openapi``), which is read as Kubernetes reads it, or from nothing (``open_schema``) plus the merge keys that a
kind's Go type carries. Views are shared and never changed. Pure.
"""

import enum
from collections.abc import Mapping
from typing import Any, Final

import attrs

from reconcile.testing.apiserver.failure import Document


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

_NO_RULES = frozenset(
    {
        "type",
        "properties",
        "additionalProperties",
        "items",
        "default",
        "nullable",
        "description",
        "title",
        "example",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
    }
)


def from_openapi(document: Document, definitions: Mapping[str, Document] | None = None) -> Schema:
    """Read the schema of a kind, a CustomResourceDefinition's ``openAPIV3Schema`` for example.

    ``$ref`` is followed by its last part through ``definitions``. The fields apiVersion, kind and metadata are
    replaced by what every object has.

    Raises:
        ValueError: a ``$ref`` leads nowhere, or to itself.
    Source: kube-openapi, ``schemaconv``, for what the schema means to merging.
    """
    root = _read(document, definitions or {}, (), preserves=False)
    if root.type not in ("", "object"):
        raise ValueError(f"the schema of a kind describes an object, not {root.type}")
    return _with_head(root)


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
    return _with_head(root)


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


def _with_head(root: Schema) -> Schema:
    return attrs.evolve(root, type="object", fields={**root.fields, **TYPE_META, "metadata": OBJECT_META})


def _read(document: Document, definitions: Mapping[str, Document], seen: tuple[str, ...], *, preserves: bool) -> Schema:
    reference = document.get("$ref", "")
    parts = document.get("allOf", [])
    if not reference and len(parts) == 1 and "$ref" in parts[0]:
        reference = parts[0]["$ref"]
    if reference:
        name = reference.rpartition("/")[2]
        if name in seen or name not in definitions:
            raise ValueError(f"$ref {reference!r} leads {'to itself' if name in seen else 'nowhere'}")
        special = _BY_NAME.get(name)
        found = special or _read(definitions[name], definitions, (*seen, name), preserves=preserves)
        default = document.get("default", found.default)
        atomic = found.atomic or document.get("x-kubernetes-map-type") == "atomic"
        has_defaults = found.has_defaults or default is not MISSING
        return attrs.evolve(found, default=default, has_defaults=has_defaults, atomic=atomic)

    preserves = preserves or document.get("x-kubernetes-preserve-unknown-fields") is True
    # an integer or a text: any scalar, to those who merge
    type_ = "" if document.get("format") == "int-or-string" else document.get("type", "")
    fields = {
        name: _read(child, definitions, seen, preserves=preserves)
        for name, child in (document.get("properties") or {}).items()
    }
    items = document.get("items")
    strategies = document.get("x-kubernetes-patch-strategy", "").split(",")
    embedded = document.get("x-kubernetes-embedded-resource") is True
    if embedded:
        fields |= {**TYPE_META, "metadata": OBJECT_META}

    def several(name: str) -> tuple[Schema, ...]:
        return tuple(_read(one, definitions, seen, preserves=preserves) for one in document.get(name) or ())

    schema = Schema(
        type_,
        fields=fields,
        rest=_rest(document, definitions, seen, preserves=preserves),
        items=UNTYPED if items is None else _read(items, definitions, seen, preserves=preserves),
        relation=Items(document.get("x-kubernetes-list-type", "atomic")),
        keys=tuple(document.get("x-kubernetes-list-map-keys") or ()),
        atomic=document.get("x-kubernetes-map-type") == "atomic",
        patch_merges="merge" in strategies,
        patch_key=document.get("x-kubernetes-patch-merge-key", ""),
        patch_replaces="replace" in strategies,
        default=document.get("default", MISSING),
        nullable=document.get("nullable") is True,
        preserves=document.get("x-kubernetes-preserve-unknown-fields") is True,
        lists_rest=document.get("additionalProperties") not in (None, False),
        rest_is_typed=isinstance(document.get("additionalProperties"), dict),
        any_of=several("anyOf"),
        one_of=several("oneOf"),
        all_of=several("allOf"),
        not_=_read(document["not"], definitions, seen, preserves=preserves) if document.get("not") else None,
        embedded=embedded,
        int_or_string=document.get("x-kubernetes-int-or-string") is True,
        rules={name: rule for name, rule in document.items() if name not in _NO_RULES},
    )
    below = [*fields.values(), schema.items, schema.rest]
    schema.has_defaults = schema.default is not MISSING or any(
        child.has_defaults for child in below if child is not None
    )
    return schema


def _rest(
    document: Document, definitions: Mapping[str, Document], seen: tuple[str, ...], *, preserves: bool
) -> Schema | None:
    additional = document.get("additionalProperties")
    if isinstance(additional, dict):
        return _read(additional, definitions, seen, preserves=preserves)
    if additional is None:
        # an object that lists no fields is free in form
        return DEDUCED if preserves or not document.get("properties") else None
    return DEDUCED if additional else None


_BY_NAME: Final[Mapping[str, Schema]] = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": OBJECT_META,
    "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference": OWNER_REFERENCE,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": Schema(""),
    "io.k8s.apimachinery.pkg.runtime.RawExtension": UNTYPED,
}
