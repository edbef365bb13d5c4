"""What a CustomResourceDefinition looks like: the form of ``apiextensions.k8s.io/v1``, and how it is filled in.

Pure. Source: apiextensions-apiserver, ``apis/apiextensions/v1`` (types.go, types_jsonschema.go, defaults.go).
"""

from typing import Any, Final

from reconcile.testing.apiserver.content import misfit
from reconcile.testing.apiserver.failure import Document, bad_request
from reconcile.testing.apiserver.schema import DEDUCED, UNTYPED, Items, Schema, with_head

_TEXT: Final = Schema("string")
_FLAG: Final = Schema("boolean")
_WHOLE: Final = Schema("integer")
_NUMBER: Final = Schema("number")
_TEXTS: Final = Schema("array", items=_TEXT)
_RULE: Final = Schema(
    "object",
    fields={
        **dict.fromkeys(("rule", "message", "messageExpression", "reason", "fieldPath"), _TEXT),
        "optionalOldSelf": _FLAG,
    },
)
_COUNTS: Final = ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties")
_FLAGS: Final = (
    "nullable",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "uniqueItems",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
)
_TEXT_NAMES: Final = (
    "id",
    "$schema",
    "$ref",
    "description",
    "type",
    "format",
    "title",
    "pattern",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
)


def _schema() -> Schema:
    """A schema is made of schemas."""
    props = Schema("object")
    several = Schema("array", items=props)
    named = Schema("object", rest=props, lists_rest=True)
    # a schema, or a list of them, or a flag
    loose = Schema("", fields={}, rest=None, items=props)
    props.fields = {
        **dict.fromkeys(_TEXT_NAMES, _TEXT),
        **dict.fromkeys(_FLAGS, _FLAG),
        **dict.fromkeys(_COUNTS, _WHOLE),
        **dict.fromkeys(("maximum", "minimum", "multipleOf"), _NUMBER),
        **dict.fromkeys(("required", "x-kubernetes-list-map-keys"), _TEXTS),
        **dict.fromkeys(("default", "example"), DEDUCED),
        "enum": Schema("array", items=UNTYPED, preserves=True),
        **dict.fromkeys(("allOf", "oneOf", "anyOf"), several),
        "not": props,
        **dict.fromkeys(("properties", "patternProperties", "definitions"), named),
        **dict.fromkeys(("items", "additionalProperties", "additionalItems"), loose),
        "dependencies": DEDUCED,
        "externalDocs": Schema("object", fields={"description": _TEXT, "url": _TEXT}),
        "x-kubernetes-validations": Schema(
            "array", items=_RULE, relation=Items.MAP, keys=("rule",), patch_merges=True, patch_key="rule"
        ),
    }
    loose.fields = props.fields
    return props


_SCALE: Final = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
_VERSION: Final = Schema(
    "object",
    fields={
        **dict.fromkeys(("name", "deprecationWarning"), _TEXT),
        **dict.fromkeys(("served", "storage", "deprecated"), _FLAG),
        "schema": Schema("object", fields={"openAPIV3Schema": _schema()}),
        "subresources": Schema(
            "object",
            fields={
                "status": Schema("object", rest=DEDUCED, preserves=True),
                "scale": Schema("object", fields=dict.fromkeys(_SCALE, _TEXT)),
            },
        ),
        "additionalPrinterColumns": Schema(
            "array",
            items=Schema(
                "object",
                fields={
                    **dict.fromkeys(("name", "type", "format", "description", "jsonPath"), _TEXT),
                    "priority": Schema("integer", rules={"format": "int32"}),
                },
            ),
        ),
        "selectableFields": Schema("array", items=Schema("object", fields={"jsonPath": _TEXT})),
    },
)
_NAMES: Final = Schema(
    "object",
    fields={
        **dict.fromkeys(("kind", "listKind", "plural", "singular"), _TEXT),
        **dict.fromkeys(("categories", "shortNames"), _TEXTS),
    },
)
_SERVICE: Final = Schema("object", fields={**dict.fromkeys(("namespace", "name", "path"), _TEXT), "port": _WHOLE})
_CONVERSION: Final = Schema(
    "object",
    fields={
        "strategy": _TEXT,
        "webhook": Schema(
            "object",
            fields={
                "clientConfig": Schema("object", fields={"url": _TEXT, "service": _SERVICE, "caBundle": _TEXT}),
                "conversionReviewVersions": _TEXTS,
            },
        ),
    },
)
_CONDITION: Final = Schema(
    "object",
    fields={
        **dict.fromkeys(("type", "status", "reason", "message"), _TEXT),
        "lastTransitionTime": Schema("string", rules={"format": "date-time"}),
        "observedGeneration": _WHOLE,
    },
)

DEFINITION: Final = with_head(
    Schema(
        "object",
        fields={
            "spec": Schema(
                "object",
                fields={
                    **dict.fromkeys(("group", "scope"), _TEXT),
                    "preserveUnknownFields": _FLAG,
                    "names": _NAMES,
                    "conversion": _CONVERSION,
                    # always written, so that none is told from an empty list
                    "versions": Schema("array", items=_VERSION, nullable=True),
                },
            ),
            "status": Schema(
                "object",
                fields={
                    "acceptedNames": _NAMES,
                    "storedVersions": _TEXTS,
                    "observedGeneration": _WHOLE,
                    "conditions": Schema("array", items=_CONDITION, relation=Items.MAP, keys=("type",), nullable=True),
                },
            ),
        },
    )
)


_STRUCTS: Final = {
    "spec": "CustomResourceDefinitionSpec",
    "status": "CustomResourceDefinitionStatus",
    "names": "CustomResourceDefinitionNames",
    "acceptedNames": "CustomResourceDefinitionNames",
    "versions": "CustomResourceDefinitionVersion",
    "schema": "CustomResourceValidation",
    "openAPIV3Schema": "JSONSchemaProps",
    "subresources": "CustomResourceSubresources",
    "scale": "CustomResourceSubresourceScale",
    "additionalPrinterColumns": "CustomResourceColumnDefinition",
    "selectableFields": "SelectableField",
    "conversion": "CustomResourceConversion",
    "webhook": "WebhookConversion",
    "clientConfig": "WebhookClientConfig",
    "service": "ServiceReference",
    "x-kubernetes-validations": "ValidationRule",
}
_GO: Final = {
    "string": ("string", str),
    "boolean": ("bool", bool),
    "integer": ("int64", int),
    "number": ("float64", float),
}


def misfit_of(schema: Schema, value: Any, struct: str = "CustomResourceDefinition", path: str = "") -> str:
    """What Go's decoder says of the first field that is of the wrong type; "" if all are right."""
    if value is None or schema is DEDUCED or schema is UNTYPED:
        return ""
    where = f"{struct}.{path}"
    if schema.type in _GO:
        name, form = _GO[schema.type]
        numbers = form is float and isinstance(value, int | float) and not isinstance(value, bool)
        fits = numbers or (isinstance(value, form) and isinstance(value, bool) == (form is bool))
        return "" if fits else misfit(value, name, where)
    if schema.type == "array" and not isinstance(value, list):
        of = schema.items.type if schema.items is not None else ""
        return misfit(value, f"[]{'string' if of == 'string' else 'v1.' + struct}", where)
    if schema.type == "object" and not isinstance(value, dict):
        return misfit(value, f"v1.{struct}", where)
    if isinstance(value, list):
        return next((found for one in value if (found := misfit_of(schema.items or DEDUCED, one, struct, path))), "")
    for name, one in value.items() if isinstance(value, dict) else ():
        child = schema.child(name)
        if child is None or (not path and name == "metadata"):
            continue
        below = path if schema.lists_rest else f"{path}.{name}".lstrip(".")
        if found := misfit_of(child, one, _STRUCTS.get(name, struct), below):
            return found
    return ""


def fill_in(document: Document) -> None:
    """Defaults, and the form that Go gives a definition: what is empty is left out.

    Raises:
        Failure: 400 for a field of the wrong type.
    """
    if problem := misfit_of(DEFINITION, document):
        text = 'CustomResourceDefinition in version "v1" cannot be handled as a CustomResourceDefinition'
        raise bad_request(f"{text}: {problem}")
    spec = document.get("spec")
    if not isinstance(spec, dict):
        return
    names = spec.setdefault("names", {})
    kind = names.get("kind") or ""
    for name, default in (("singular", kind.lower()), ("listKind", f"{kind}List" if kind else "")):
        if not names.get(name) and default:
            names[name] = default
    spec.setdefault("conversion", {"strategy": "None"})
    service = ((spec["conversion"].get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)
    if not spec.get("preserveUnknownFields"):
        spec.pop("preserveUnknownFields", None)
    for name in ("shortNames", "categories"):
        if not names.get(name, True):
            del names[name]
    for version in spec.get("versions") or ():
        for name in ("additionalPrinterColumns", "selectableFields", "deprecated"):
            if not version.get(name, True):
                del version[name]
        for column in version.get("additionalPrinterColumns") or ():
            if not column.get("priority", True):
                del column["priority"]
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is not None:
            _tidy(schema)
    status = document.setdefault("status", {})
    if not status.get("storedVersions"):
        stored = [version["name"] for version in spec.get("versions") or () if version.get("storage")]
        status["storedVersions"] = stored[:1]


_DROPPED_IF_EMPTY: Final = (
    *_TEXT_NAMES,
    *_FLAGS,
    *("required", "enum", "allOf", "oneOf", "anyOf", "properties", "x-kubernetes-validations"),
)
_KEPT_IF_EMPTY: Final = ("x-kubernetes-preserve-unknown-fields", "$ref", "x-kubernetes-list-type")


def _tidy(schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    for name in _DROPPED_IF_EMPTY:
        if name not in _KEPT_IF_EMPTY and name in schema and schema[name] in ("", False, [], {}, None):
            del schema[name]
    for name in ("default", "example", "not", "items", "additionalProperties"):
        if name in schema and schema[name] is None:
            del schema[name]
    for name in ("properties", "patternProperties", "definitions"):
        for child in (schema.get(name) or {}).values():
            _tidy(child)
    for name in ("items", "additionalProperties", "not"):
        _tidy(schema.get(name))
    for name in ("allOf", "oneOf", "anyOf"):
        for child in schema.get(name) or ():
            _tidy(child)
