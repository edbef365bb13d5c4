"""Definitions as the real server's own code holds them, where its texts show that.

Pure. Source of the fields: apiextensions-apiserver, ``apis/apiextensions`` (types.go, types_jsonschema.go).
"""

from collections.abc import Mapping
from typing import Any, Final

from reconcile.testing.apiserver.failure import Document

_RULE: Final[Mapping[str, tuple[str, Any]]] = {
    "rule": ("Rule", ""),
    "message": ("Message", ""),
    "messageExpression": ("MessageExpression", ""),
    "reason": ("Reason", None),
    "fieldPath": ("FieldPath", ""),
    "optionalOldSelf": ("OptionalOldSelf", None),
}
_SCHEMA: Final[Mapping[str, tuple[str, Any]]] = {
    "id": ("ID", ""),
    "$schema": ("Schema", ""),
    "$ref": ("Ref", None),
    "description": ("Description", ""),
    "type": ("Type", ""),
    "nullable": ("Nullable", False),
    "format": ("Format", ""),
    "title": ("Title", ""),
    "default": ("Default", None),
    "maximum": ("Maximum", None),
    "exclusiveMaximum": ("ExclusiveMaximum", False),
    "minimum": ("Minimum", None),
    "exclusiveMinimum": ("ExclusiveMinimum", False),
    "maxLength": ("MaxLength", None),
    "minLength": ("MinLength", None),
    "pattern": ("Pattern", ""),
    "maxItems": ("MaxItems", None),
    "minItems": ("MinItems", None),
    "uniqueItems": ("UniqueItems", False),
    "multipleOf": ("MultipleOf", None),
    "enum": ("Enum", None),
    "maxProperties": ("MaxProperties", None),
    "minProperties": ("MinProperties", None),
    "required": ("Required", None),
    "items": ("Items", None),
    "allOf": ("AllOf", None),
    "oneOf": ("OneOf", None),
    "anyOf": ("AnyOf", None),
    "not": ("Not", None),
    "properties": ("Properties", None),
    "additionalProperties": ("AdditionalProperties", None),
    "patternProperties": ("PatternProperties", None),
    "dependencies": ("Dependencies", None),
    "additionalItems": ("AdditionalItems", None),
    "definitions": ("Definitions", None),
    "externalDocs": ("ExternalDocs", None),
    "example": ("Example", None),
    "x-kubernetes-preserve-unknown-fields": ("XPreserveUnknownFields", None),
    "x-kubernetes-embedded-resource": ("XEmbeddedResource", False),
    "x-kubernetes-int-or-string": ("XIntOrString", False),
    "x-kubernetes-list-map-keys": ("XListMapKeys", None),
    "x-kubernetes-list-type": ("XListType", None),
    "x-kubernetes-map-type": ("XMapType", None),
    "x-kubernetes-validations": ("XValidations", None),
}
_VERSION: Final[Mapping[str, tuple[str, Any]]] = {
    "name": ("Name", ""),
    "served": ("Served", False),
    "storage": ("Storage", False),
    "deprecated": ("Deprecated", False),
    "deprecationWarning": ("DeprecationWarning", None),
}
ALLOWED_AT_ROOT_WITH_STATUS: Final = (
    "Description",
    "Type",
    "Format",
    "Title",
    "Maximum",
    "ExclusiveMaximum",
    "Minimum",
    "ExclusiveMinimum",
    "MaxLength",
    "MinLength",
    "Pattern",
    "MaxItems",
    "MinItems",
    "UniqueItems",
    "MultipleOf",
    "Required",
    "Items",
    "Properties",
    "ExternalDocs",
    "Example",
    "XPreserveUnknownFields",
    "XValidations",
)
"""What the root of a schema may say where the status has a door of its own."""


def go_name(keyword: str) -> str:
    """How Go calls a keyword of a schema."""
    return _SCHEMA[keyword][0] if keyword in _SCHEMA else keyword


def _struct(fields: Mapping[str, tuple[str, Any]], value: Document) -> Document:
    return {go: value.get(name, default) for name, (go, default) in fields.items()}


def rule(value: Document) -> Document:
    """A rule of ``x-kubernetes-validations``."""
    return _struct(_RULE, value)


def schema(value: Document) -> Document:
    """A schema and all below it."""
    result = _struct(_SCHEMA, value)
    for name in ("allOf", "oneOf", "anyOf"):
        if value.get(name):
            result[_SCHEMA[name][0]] = [schema(one) for one in value[name]]
    if value.get("not"):
        result["Not"] = schema(value["not"])
    if value.get("properties"):
        result["Properties"] = {name: schema(one) for name, one in sorted(value["properties"].items())}
    if isinstance(value.get("items"), dict):
        result["Items"] = {"Schema": schema(value["items"]), "JSONSchemas": None}
    additional = value.get("additionalProperties")
    if isinstance(additional, dict):
        result["AdditionalProperties"] = {"Allows": True, "Schema": schema(additional)}
    elif additional is not None:
        result["AdditionalProperties"] = {"Allows": additional, "Schema": None}
    if value.get("x-kubernetes-validations"):
        result["XValidations"] = [rule(one) for one in value["x-kubernetes-validations"]]
    return result


def versions(value: list[Document] | None, shared: frozenset[str]) -> list[Document] | None:
    """The versions of a definition without the parts that are the same for all of them."""
    if value is None:
        return None
    parts = {
        "schema": "Schema",
        "subresources": "Subresources",
        "additionalPrinterColumns": "AdditionalPrinterColumns",
        "selectableFields": "SelectableFields",
    }
    result = []
    for one in value:
        found = _struct(_VERSION, one)
        for name, go in parts.items():
            found[go] = None if name in shared else one.get(name)
        if found["Schema"] is not None:
            root = found["Schema"].get("openAPIV3Schema")
            found["Schema"] = {"OpenAPIV3Schema": schema(root) if root is not None else None}
        result.append(found)
    return result
