"""From an OpenAPI v3 schema to the typed view of documents.

Schemas are read as Kubernetes reads them: its extensions say how lists and maps merge, what is not listed is pruned.
Pure. Source of the rules: kube-openapi, ``schemaconv``, and apiextensions-apiserver, ``schema``.
"""

from collections.abc import Mapping
from typing import Final

import attrs

from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.schema import (
    DEDUCED,
    MISSING,
    OBJECT_META,
    OWNER_REFERENCE,
    TYPE_META,
    UNTYPED,
    Items,
    Schema,
    with_head,
)

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
    """
    root = _read(document, definitions or {}, (), preserves=False)
    if root.type not in ("", "object"):
        raise ValueError(f"the schema of a kind describes an object, not {root.type}")
    return with_head(root)


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
