"""Whole objects inside of custom resources: they need a kind of their own, and metadata like any other.

Pure. Source of rules and texts: apiextensions-apiserver, ``apiserver/schema/objectmeta``.
"""

from collections.abc import Iterator
from typing import Any

from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver import names
from reconcile.testing.apiserver.failure import Document, Fault, invalid_value, required
from reconcile.testing.apiserver.schema import Schema


def faults(schema: Schema, value: Any, path: str = "") -> Iterator[Fault]:
    """What is wrong with the objects inside of a value."""
    if isinstance(value, dict):
        if schema.embedded:
            yield from _object(value, path)
        for name, one in value.items():
            if schema.embedded and name == "metadata":
                continue
            child = schema.fields.get(name)
            at = f"{path}.{name}" if path else name
            if child is None and schema.lists_rest:
                child, at = schema.rest, f"{path}[{name}]"
            if child is not None and isinstance(one, dict | list):
                yield from faults(child, one, at)
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                yield from faults(schema.items, item, f"{path}[{index}]")


def _object(value: Document, path: str) -> Iterator[Fault]:
    for name in ("apiVersion", "kind"):
        at, found = f"{path}.{name}", value.get(name)
        if name not in value:
            yield required(at)
        elif not isinstance(found, str):
            yield invalid_value(at, found, "must be a string")
        elif not found:
            yield invalid_value(at, found, "must not be empty")
        elif name == "apiVersion" and found.count("/") > 1:
            yield invalid_value(at, found, f"unexpected GroupVersion string: {found}")
        elif name == "kind" and (complaints := names.label_1035(found.lower(), False)):
            says = "may have mixed case, but should otherwise match: "
            yield invalid_value(at, found, says + ",".join(complaints))
    metadata = value.get("metadata")
    if metadata is None:
        return
    at = f"{path}.metadata"
    if problem := metas.shape_fault(metadata):
        yield invalid_value(at, metadata, problem)
        return
    for text in names.path_segment(metadata.get("name") or "fakename", False):
        yield invalid_value(f"{at}.name", metadata["name"], text)
