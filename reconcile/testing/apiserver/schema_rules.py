"""What is wrong with the schema of one version of a definition, as a whole: form, keywords, defaults, rules.

Pure. Source of the order: apiextensions-apiserver, ``validateCustomResourceDefinitionValidation``.
"""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from reconcile.testing.apiserver.failure import Document, Fault, forbidden_field, invalid_value
from reconcile.testing.apiserver.openapi import part_from_openapi
from reconcile.testing.apiserver.schema import Schema
from reconcile.testing.apiserver.shaping import pruned
from reconcile.testing.apiserver.structural import (
    ROOT_WITH_STATUS,
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
        elif name not in ROOT_WITH_STATUS:
            allowed = " ".join(ROOT_WITH_STATUS.values())
            says = f"only [{allowed}] fields are allowed at the root of the schema if the status subresource is enabled"
            yield invalid_value(f"{path}.openAPIV3Schema", schema, says)
            return


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
