"""Stories about definitions of custom resources: what a real server refuses, and in which words."""

from typing import Any, Final

from tests.testing.callers import DEFINITIONS
from tests.testing.stories import Story, post

TEXT: Final = {"type": "string"}


def definition(group: str = "case.example.com", **spec: Any) -> dict[str, Any]:
    """A definition of Cases; ``spec`` replaces parts of its spec."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"cases.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Case", "plural": "cases"},
            "scope": "Namespaced",
            "versions": [version("v1")],
            **spec,
        },
    }


def version(name: str, schema: Any = None, *, storage: bool = True, served: bool = True, **more: Any) -> dict[str, Any]:
    """A version of it."""
    root = schema if schema is not None else {"type": "object"}
    return {"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": root}, **more}


def with_schema(schema: Any, **more: Any) -> dict[str, Any]:
    """A definition with one version that has such a schema."""
    return definition(versions=[version("v1", schema, **more)])


def with_field(field: Any, **more: Any) -> dict[str, Any]:
    """A definition whose objects have such a field ``f``."""
    return with_schema({"type": "object", "properties": {"f": field}}, **more)


def _list(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


_ITEM: Final = {"type": "object", "properties": {"name": TEXT, "size": {"type": "integer"}}, "required": ["name"]}
_MAP: Final = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
_EMBEDDED: Final = {"type": "object", "x-kubernetes-embedded-resource": True}
_FREE: Final = {"x-kubernetes-preserve-unknown-fields": True}
_EITHER: Final = {"x-kubernetes-int-or-string": True}

BAD: Final[dict[str, dict[str, Any]]] = {
    "no type at the root": with_schema({"properties": {"f": TEXT}}),
    "another type at the root": with_schema({"type": "string"}),
    "additional properties at the root": with_schema({"type": "object", "additionalProperties": TEXT}),
    "nullable root": with_schema({"type": "object", "nullable": True}),
    "no schema": definition(versions=[{"name": "v1", "served": True, "storage": True}]),
    "field without a type": with_field({}),
    "item without a type": with_field(_list({})),
    "list without items": with_field({"type": "array"}),
    "unknown type": with_field({"type": "text"}),
    "null type": with_field({"type": "null"}),
    "type in anyOf": with_field({**TEXT, "anyOf": [{"type": "string"}]}),
    "everything in allOf": with_field(
        {
            **TEXT,
            "allOf": [
                {"default": "x", "title": "x", "description": "x", "nullable": True, **_FREE, **_EITHER},
                {"x-kubernetes-list-type": "set", "additionalProperties": TEXT},
            ],
        }
    ),
    "properties in oneOf only": with_field({"type": "object", "oneOf": [{"properties": {"a": {"minLength": 1}}}]}),
    "items in not only": with_field({"type": "object", "not": {"items": {"minLength": 1}}}),
    "metadata in allOf": with_schema({"type": "object", "allOf": [{"properties": {"metadata": {}}}]}),
    "metadata with labels": with_schema(
        {"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}
    ),
    "metadata with a text": with_schema({"type": "object", "properties": {"metadata": TEXT}}),
    "kind is a number": with_schema({"type": "object", "properties": {"kind": {"type": "integer"}}}),
    "apiVersion is a number": with_schema({"type": "object", "properties": {"apiVersion": {"type": "integer"}}}),
    "bad pattern": with_field({**TEXT, "pattern": "("}),
    "pattern that looks ahead": with_field({**TEXT, "pattern": "^(?!x)"}),
    "unique items": with_field(_list(TEXT, uniqueItems=True)),
    "properties and additional ones": with_field(
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT}
    ),
    "a reference": with_field({**TEXT, "$ref": "#/x"}),
    "id": with_field({**TEXT, "id": "x"}),
    "definitions": with_field({**TEXT, "definitions": {"a": TEXT}}),
    "pattern properties": with_field({"type": "object", "patternProperties": {"a": TEXT}}),
    "dependencies": with_field({"type": "object", "dependencies": {"a": ["b"]}}),
    "items as a list": with_field({"type": "array", "items": [TEXT]}),
    "preserve is false": with_field({"type": "object", "x-kubernetes-preserve-unknown-fields": False}),
    "embedded without a type": with_field({"x-kubernetes-embedded-resource": True, **_FREE}),
    "embedded text": with_field({**TEXT, "x-kubernetes-embedded-resource": True}),
    "embedded without properties": with_field(_EMBEDDED),
    "embedded with additional properties": with_field({**_EMBEDDED, "additionalProperties": TEXT, **_FREE}),
    "embedded in metadata": with_schema(
        {"type": "object", "properties": {"metadata": {"type": "object", **_EMBEDDED, **_FREE}}}
    ),
    "either and preserve": with_field({**_EITHER, **_FREE}),
    "either and embedded": with_field({**_EITHER, **_EMBEDDED, **_FREE}),
    "list type of a text": with_field({**TEXT, "x-kubernetes-list-type": "set"}),
    "list type without a type": with_field({**_FREE, "x-kubernetes-list-type": "set"}),
    "unknown list type": with_field(_list(TEXT, **{"x-kubernetes-list-type": "bag"})),
    "map type of a list": with_field(_list(TEXT, **{"x-kubernetes-map-type": "atomic"})),
    "unknown map type": with_field({"type": "object", "x-kubernetes-map-type": "bag"}),
    "set of maps": with_field(_list({"type": "object"}, **{"x-kubernetes-list-type": "set"})),
    "set of sets": with_field(
        _list(_list(TEXT, **{"x-kubernetes-list-type": "set"}), **{"x-kubernetes-list-type": "set"})
    ),
    "set of nullables": with_field(_list({**TEXT, "nullable": True}, **{"x-kubernetes-list-type": "set"})),
    "map without keys": with_field(_list(_ITEM, **{"x-kubernetes-list-type": "map"})),
    "keys without a map": with_field(_list(_ITEM, **{"x-kubernetes-list-map-keys": ["name"]})),
    "keys of a set": with_field(
        _list(TEXT, **{"x-kubernetes-list-type": "set", "x-kubernetes-list-map-keys": ["name"]})
    ),
    "map of texts": with_field(_list(TEXT, **_MAP)),
    "map with an unknown key": with_field(_list(_ITEM, **{**_MAP, "x-kubernetes-list-map-keys": ["other"]})),
    "map with a key twice": with_field(_list(_ITEM, **{**_MAP, "x-kubernetes-list-map-keys": ["name", "name"]})),
    "map with an optional key": with_field(_list(_ITEM, **{**_MAP, "x-kubernetes-list-map-keys": ["name", "size"]})),
    "map with a list as a key": with_field(
        _list({"type": "object", "required": ["name"], "properties": {"name": _list(TEXT)}}, **_MAP)
    ),
    "map with a nullable key": with_field(
        _list({"type": "object", "required": ["name"], "properties": {"name": {**TEXT, "nullable": True}}}, **_MAP)
    ),
    "map of nullables": with_field(_list({**_ITEM, "nullable": True}, **_MAP)),
    "default of another type": with_field({**TEXT, "default": 1}),
    "default that breaks a rule": with_field({**TEXT, "default": "abc", "maxLength": 2}),
    "default with an unknown field": with_field({**_ITEM, "default": {"name": "x", "other": 1}}),
    "default without a required field": with_field({**_ITEM, "default": {"size": 1}}),
    "default in metadata": with_schema(
        {
            "type": "object",
            "properties": {"metadata": {"type": "object", "properties": {"name": {**TEXT, "default": "x"}}}},
        }
    ),
    "default of the kind": with_schema({"type": "object", "properties": {"kind": {**TEXT, "default": "x"}}}),
    "default that is no enum": with_field({**TEXT, "default": "c", "enum": ["a", "b"]}),
    "status with required at the root": with_schema(
        {"type": "object", "maxProperties": 3, "properties": {"f": TEXT}}, subresources={"status": {}}
    ),
    "no group": definition(group=""),
    "group without a dot": definition(group="example"),
    "group with capitals": definition(group="Case.example.com"),
    "protected group": definition(group="case.k8s.io"),
    "no scope": definition(scope=""),
    "unknown scope": definition(scope="World"),
    "no names": definition(names={"plural": "cases"}),
    "bad names": definition(
        names={
            "kind": "Case_",
            "plural": "cases",
            "singular": "a_b",
            "listKind": "x y",
            "shortNames": ["A"],
            "categories": ["all", "A B"],
        }
    ),
    "kind and list kind alike": definition(names={"kind": "Case", "plural": "cases", "listKind": "Case"}),
    "another plural": definition(names={"kind": "Case", "plural": "casings"}),
    "bad version name": definition(versions=[version("1")]),
    "version twice": definition(versions=[version("v1"), version("v1", storage=False)]),
    "no storage version": definition(versions=[version("v1", storage=False)]),
    "two storage versions": definition(versions=[version("v1"), version("v2")]),
    "schemas differ": definition(
        versions=[
            version("v1"),
            version("v2", {"type": "object", "properties": {"f": {}}}, storage=False),
        ]
    ),
    "warning without deprecation": definition(versions=[version("v1", deprecationWarning="x")]),
    "empty warning": definition(versions=[version("v1", deprecated=True, deprecationWarning="")]),
    "long warning": definition(versions=[version("v1", deprecated=True, deprecationWarning="x" * 257)]),
    "bad columns": definition(
        versions=[
            version(
                "v1",
                additionalPrinterColumns=[
                    {"name": "", "type": "", "jsonPath": ""},
                    {"name": "a", "type": "text", "format": "x", "jsonPath": "spec"},
                ],
            )
        ]
    ),
    "scale without paths": with_field(TEXT, subresources={"scale": {"specReplicasPath": "", "statusReplicasPath": ""}}),
    "scale with wrong paths": with_field(
        TEXT,
        subresources={
            "scale": {
                "specReplicasPath": ".status.n",
                "statusReplicasPath": "status.n",
                "labelSelectorPath": ".metadata.x",
            }
        },
    ),
    "preserve all": definition(preserveUnknownFields=True),
    "unknown conversion": definition(conversion={"strategy": "Magic"}),
    "conversion by nobody": definition(conversion={"strategy": "Webhook"}),
    "conversion without versions": definition(
        conversion={"strategy": "Webhook", "webhook": {"clientConfig": {"url": "http://x?y#z"}}}
    ),
    "conversion by an unknown review": definition(
        conversion={
            "strategy": "Webhook",
            "webhook": {"clientConfig": {"service": {"name": "", "namespace": ""}}, "conversionReviewVersions": ["v9"]},
        }
    ),
    "selectable fields": with_field(
        {"type": "object", "properties": {"a": TEXT, "b": {"type": "object"}}},
        selectableFields=[
            {"jsonPath": ".f.a"},
            {"jsonPath": ".f.a"},
            {"jsonPath": ".f.b"},
            {"jsonPath": ".f.c"},
            {"jsonPath": "f.a"},
            {"jsonPath": ".f['a']"},
            {"jsonPath": ".metadata.name"},
            {"jsonPath": ""},
        ],
    ),
    "a rule of the wrong type": with_field({**TEXT, "minLength": "x"}),
    "unknown keyword": with_field({**TEXT, "magic": True}),
}
GOOD: Final[dict[str, dict[str, Any]]] = {
    "empty": definition(),
    "every keyword": with_field(
        {
            "type": "object",
            "description": "text",
            "properties": {
                "text": {**TEXT, "minLength": 0, "maxLength": 5, "pattern": "^a", "format": "hostname", "title": "T"},
                "number": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1.5, "multipleOf": 0.5},
                "list": _list(TEXT, minItems=0, maxItems=3, default=["a"]),
                "map": {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2},
                "either": {**_EITHER, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "free": {"type": "object", **_FREE},
                "pod": {**_EMBEDDED, **_FREE},
                "enum": {**TEXT, "enum": ["a", "b"], "nullable": True, "default": "a"},
                "one": {"type": "object", "properties": {"a": TEXT}, "oneOf": [{"required": ["a"]}]},
                "flag": {"type": "boolean", "nullable": False},
                "parts": _list(_ITEM, **_MAP),
            },
            "required": [],
        },
        subresources={"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}},
        additionalPrinterColumns=[{"name": "A", "type": "string", "jsonPath": ".f.text", "priority": 0}],
        selectableFields=[],
    ),
    "unknown format": with_field({**TEXT, "format": "magic"}),
    "approved": {
        **definition(group="case.k8s.io"),
        "metadata": {"name": "cases.case.k8s.io", "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}},
    },
}


def stories() -> list[Story]:
    """One story for each definition: what becomes of an attempt to create it."""
    return [Story(name, (post(DEFINITIONS, body, query={"dryRun": "All"}),)) for name, body in {**BAD, **GOOD}.items()]
