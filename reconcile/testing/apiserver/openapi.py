"""From an OpenAPI v3 schema to the typed view of documents.

Schemas are read as Kubernetes reads them: its extensions say how lists and maps merge, what is not listed is pruned.
Pure. Source of the rules: kube-openapi, ``schemaconv``, and apiextensions-apiserver, ``schema``.
"""

from collections.abc import Mapping
from typing import Final

import attrs

from reconcile.testing.apiserver import times
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.schema import (
    DEDUCED,
    MISSING,
    OBJECT_META,
    OWNER_REFERENCE,
    TYPE_META,
    UNTYPED,
    GoType,
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
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "x-go",
    }
)


def from_openapi(document: Document, definitions: Mapping[str, Document] | None = None) -> Schema:
    """Read the schema of a kind, a CustomResourceDefinition's ``openAPIV3Schema`` for example.

    ``$ref`` is followed by its last part through ``definitions``. The fields apiVersion, kind and metadata are
    replaced by what every object has.

    Raises:
        ValueError: a ``$ref`` leads nowhere, or to itself.
    """
    root = Reader(definitions or {}).read(document)
    if root.type not in ("", "object"):
        raise ValueError(f"the schema of a kind describes an object, not {root.type}")
    return with_head(root)


def part_from_openapi(document: Document) -> Schema:
    """Read the schema of any value, not of a whole object."""
    return Reader({}).read(document)


@attrs.define(eq=False)
class Reader:
    """Reads documents that refer to each other."""

    definitions: Mapping[str, Document]
    takes_null: bool = attrs.field(default=False, init=False)
    """Whether null is taken everywhere, as Go's decoder does."""

    def read(self, document: Document, seen: tuple[str, ...] = (), *, preserves: bool = False) -> Schema:
        """The typed view of one document; ``seen`` are the references that lead to it.

        Raises:
            ValueError: a ``$ref`` leads nowhere, or to itself.
        """
        reference = document.get("$ref", "")
        parts = document.get("allOf", [])
        if not reference and len(parts) == 1 and "$ref" in parts[0]:
            reference = parts[0]["$ref"]
        if reference:
            return self._follow(reference.rpartition("/")[2], document, seen, preserves=preserves)
        return self._read(document, seen, preserves=preserves)

    def _follow(self, name: str, document: Document, seen: tuple[str, ...], *, preserves: bool) -> Schema:
        if name in seen or name not in self.definitions:
            raise ValueError(f"$ref to {name!r} leads {'to itself' if name in seen else 'nowhere'}")
        found = _BY_NAME.get(name) or self._read(self.definitions[name], (*seen, name), preserves=preserves)
        default = document.get("default", found.default)
        atomic = found.atomic or document.get("x-kubernetes-map-type") == "atomic"
        has_defaults = found.has_defaults or default is not MISSING
        return attrs.evolve(found, default=default, has_defaults=has_defaults, atomic=atomic)

    def _read(self, document: Document, seen: tuple[str, ...], *, preserves: bool) -> Schema:
        preserves = preserves or document.get("x-kubernetes-preserve-unknown-fields") is True
        # an integer or a text: any scalar, to those who merge
        type_ = "" if document.get("format") == "int-or-string" else document.get("type", "")
        fields = {
            name: self.read(child, seen, preserves=preserves)
            for name, child in (document.get("properties") or {}).items()
        }
        items = document.get("items")
        strategies = document.get("x-kubernetes-patch-strategy", "").split(",")
        embedded = document.get("x-kubernetes-embedded-resource") is True
        if embedded:
            fields |= {**TYPE_META, "metadata": OBJECT_META}

        def several(name: str) -> tuple[Schema, ...]:
            return tuple(self.read(one, seen, preserves=preserves) for one in document.get(name) or ())

        schema = Schema(
            type_,
            fields=fields,
            rest=self._rest(document, seen, preserves=preserves),
            items=UNTYPED if items is None else self.read(items, seen, preserves=preserves),
            relation=Items(document.get("x-kubernetes-list-type", "atomic")),
            keys=tuple(document.get("x-kubernetes-list-map-keys") or ()),
            atomic=document.get("x-kubernetes-map-type") == "atomic",
            patch_merges="merge" in strategies,
            patch_key=document.get("x-kubernetes-patch-merge-key", ""),
            patch_replaces="replace" in strategies,
            default=document.get("default", MISSING),
            nullable=self.takes_null or document.get("nullable") is True,
            preserves=document.get("x-kubernetes-preserve-unknown-fields") is True,
            lists_rest=document.get("additionalProperties") not in (None, False),
            rest_is_typed=isinstance(document.get("additionalProperties"), dict),
            any_of=several("anyOf"),
            one_of=several("oneOf"),
            all_of=several("allOf"),
            not_=self.read(document["not"], seen, preserves=preserves) if document.get("not") else None,
            embedded=embedded,
            int_or_string=document.get("x-kubernetes-int-or-string") is True,
            rules={name: rule for name, rule in document.items() if name not in _NO_RULES},
        )
        below = [*fields.values(), schema.items, schema.rest]
        schema.has_defaults = schema.default is not MISSING or any(
            child.has_defaults for child in below if child is not None
        )
        return schema

    def _rest(self, document: Document, seen: tuple[str, ...], *, preserves: bool) -> Schema | None:
        additional = document.get("additionalProperties")
        if isinstance(additional, dict):
            return self.read(additional, seen, preserves=preserves)
        if additional is None:
            # an object that lists no fields is free in form
            return DEDUCED if preserves or not document.get("properties") else None
        return DEDUCED if additional else None


@attrs.define(eq=False)
class GoReader(Reader):
    """Reads the documents of built-in kinds: each once, and with what ``x-go`` says. Defaults of keys alone count."""

    takes_null: bool = attrs.field(default=True, init=False)
    _known: dict[str, Schema] = attrs.field(factory=dict)

    def _follow(self, name: str, document: Document, seen: tuple[str, ...], *, preserves: bool) -> Schema:
        found = self.named(name)
        if document.get("x-kubernetes-map-type") == "atomic" and not found.atomic:
            return attrs.evolve(found, atomic=True)
        return found

    def named(self, name: str) -> Schema:
        """The view of a definition."""
        found = self._known.get(name) or _SCALARS.get(name)
        if found is None:
            # what leads to itself leads to this very value
            found = self._known[name] = Schema()
            made = self._read(self.definitions[name], (), preserves=False)
            for field in attrs.fields(Schema):
                setattr(found, field.name, getattr(made, field.name))
            found.has_defaults = False
            facts = self.definitions[name].get("x-go")
            if facts is not None:
                found.go = GoType(
                    name.rpartition(".")[2],
                    always=facts.get("always", {}),
                    omits=frozenset(facts.get("omits", ())),
                    types=facts.get("types", {}),
                    defaults=facts.get("defaults", {}),
                )
        return found


_BY_NAME: Final[Mapping[str, Schema]] = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": OBJECT_META,
    "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference": OWNER_REFERENCE,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": Schema(""),
    "io.k8s.apimachinery.pkg.runtime.RawExtension": UNTYPED,
}

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_EXTENSIONS: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
QUANTITY: Final = "quantity"
INT_OR_STRING: Final = "int-or-string"
_SCALARS: Final[Mapping[str, Schema]] = {
    f"{_META}Time": Schema("string", rules={"format": times.TIME}),
    f"{_META}MicroTime": Schema("string", rules={"format": times.MICRO_TIME}),
    f"{_META}FieldsV1": UNTYPED,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": Schema("", rules={"format": QUANTITY}),
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": Schema("", rules={"format": INT_OR_STRING}),
    "io.k8s.apimachinery.pkg.runtime.RawExtension": UNTYPED,
    **{f"{_EXTENSIONS}JSON{suffix}": UNTYPED for suffix in ("", "SchemaPropsOrArray", "SchemaPropsOrBool")},
    f"{_EXTENSIONS}JSONSchemaPropsOrStringArray": UNTYPED,
}
"""What Go writes and reads in a way of its own."""
