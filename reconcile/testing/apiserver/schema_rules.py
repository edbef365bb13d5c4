"""What is wrong with the schema of one version of a definition, as a whole: form, keywords, defaults, rules.

Pure. Source of the order: apiextensions-apiserver, ``validateCustomResourceDefinitionValidation``.
"""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from reconcile.testing.apiserver import go_forms
from reconcile.testing.apiserver.failure import Document, Fault, forbidden_field, invalid_value
from reconcile.testing.apiserver.formats import FORMATS, UNSUPPORTED, canonical
from reconcile.testing.apiserver.openapi import part_from_openapi
from reconcile.testing.apiserver.schema import Schema
from reconcile.testing.apiserver.shaping import pruned
from reconcile.testing.apiserver.structural import (
    children,
    form_faults,
    keyword_faults,
    mentions,
    unreadable,
)
from reconcile.testing.apiserver.validation import value_faults


def schema_faults_of(schema: Document, path: str, *, has_status: bool, before: Iterable[Document] = ()) -> list[Fault]:
    """All that is wrong with a schema. ``before``: schemas of the definition as it was, ``has_status``: its version has
    the status subresource."""
    root = f"{path}.openAPIV3Schema"
    faults = list(_root_faults(schema, path)) if has_status else []
    if schema.get("nullable"):
        faults.append(forbidden_field(f"{root}.nullable", "nullable cannot be true at the root"))
    problem = unreadable(schema)
    if not problem:
        faults += form_faults(schema, root) or list(default_faults(schema, root))
    faults += keyword_faults(schema, root)
    if not faults and not problem and mentions(schema, "x-kubernetes-validations"):
        from reconcile.testing.apiserver.cel.rules import definition_faults  # on use: the library behind it is large

        faults += definition_faults(schema, root)
    if not faults and problem:
        faults.append(invalid_value(root, "", problem))
    return faults


def _root_faults(schema: Document, path: str) -> Iterator[Fault]:
    for name, value in schema.items():
        if value in (None, "", [], {}, False):
            continue
        if name == "type" and value != "object":
            says = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
            yield invalid_value(f"{path}.openAPIV3Schema.type", value, says)
        elif go_forms.go_name(name) not in go_forms.ALLOWED_AT_ROOT_WITH_STATUS:
            allowed = " ".join(go_forms.ALLOWED_AT_ROOT_WITH_STATUS)
            says = f"only [{allowed}] fields are allowed at the root of the schema if the status subresource is enabled"
            yield invalid_value(f"{path}.openAPIV3Schema", go_forms.schema(schema), says)
            return


def unknown_formats(schema: Document) -> Iterator[str]:
    """The formats in a schema that mean nothing."""
    name, type_ = schema.get("format"), schema.get("type") or ""
    if name:
        known: Iterable[str] = {"integer": ("int32", "int64"), "number": ("float", "double")}.get(type_, ())
        if type_ in ("", "string"):
            known = (*FORMATS, *UNSUPPORTED)
            if canonical(name) not in known:
                yield name
        elif name not in known:
            yield name
    nested = [one for logic in ("allOf", "anyOf", "oneOf") for one in schema.get(logic) or ()]
    below = [*(child for _, child in children(schema)), *nested, *([schema["not"]] if schema.get("not") else ())]
    for child in below:
        yield from unknown_formats(child)


def default_faults(schema: Document, path: str) -> Iterator[Fault]:
    """Defaults that the schema itself would not take."""
    if mentions(schema, "default"):
        yield from _defaults(schema, path)


def _defaults(schema: Document, path: str) -> Iterator[Fault]:
    default = schema.get("default")
    if default is not None:
        view = part_from_openapi(schema)
        at = f"{path}.default"
        if not _is_pruned(view, default):
            yield invalid_value(at, default, "must not have unknown fields")
        yield from value_faults(view, default, at)
    for step, child in children(schema):
        if step != "additionalProperties":
            yield from _defaults(child, f"{path}.{step}")


def _is_pruned(view: Schema, value: Any) -> bool:
    return bool(pruned(view, copy.deepcopy(value)) == value)
