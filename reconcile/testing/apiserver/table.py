"""Objects as a table, as ``kubectl get`` shows them: columns, and a row of cells for each object.

The columns of built-in kinds are published data, their cells are made by ``cells.py``; custom resources say both in
their definition. Pure. Source: k8s.io/kubernetes, ``pkg/printers``, and apiextensions-apiserver, ``tableconvertor``.
"""

import datetime as dt
from typing import Any, Final

from reconcile.testing.apiserver import cellparts, cells, published
from reconcile.testing.apiserver.columns import AGE, Column
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.gotext import go_plain
from reconcile.testing.apiserver.strategy import Kind

_META: Final = {"apiVersion": "meta.k8s.io/v1"}
_NAME_SAYS: Final = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
AGE_SAYS: Final = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_BARE: Final = ("csistoragecapacities.storage.k8s.io",)
"""Kinds that have columns in the sources and do not use them."""
_NAME: Final = {"name": "Name", "type": "string", "format": "name", "description": _NAME_SAYS, "priority": 0}


def of(kind: Kind, document: Document, now: dt.datetime, *, include: str = "Metadata", headed: bool = True) -> Document:
    """A list or an object as a table. ``include`` is None, Metadata or Object: what goes with each row."""
    items = document.get("items") if "items" in document else [document]
    metadata = document.get("metadata") or {}
    kept = ("resourceVersion", "continue", "remainingItemCount")
    table: Document = {
        "kind": "Table",
        **_META,
        "metadata": {name: metadata[name] for name in kept if metadata.get(name)},
        "columnDefinitions": columns(kind) if headed else None,
    }
    table["rows"] = [_row(kind, one, now, include) for one in items or ()]
    return table


def columns(kind: Kind) -> list[Document]:
    """The columns of a kind, the name first."""
    if kind.custom:
        return [_NAME, *map(_told, kind.columns or (AGE,))]
    resource = kind.resource
    known = published.columns(resource.kind, resource.group)
    if known is not None and resource.name not in _BARE:
        return known
    if resource.name in cells.COLUMNS:
        age = _column("Age", "string", AGE_SAYS)
        return [_NAME, *(_column(name, "string", says) for name, says in cells.COLUMNS[resource.name]), age]
    return [_NAME, _column("Created At", "date", AGE_SAYS)]


def _told(column: Column) -> Document:
    says = column.description or (
        AGE_SAYS if column is AGE else f"Custom resource definition column (in JSONPath format): {column.json_path}"
    )
    return {**_column(column.name, column.type, says), "format": column.format, "priority": column.priority}


def _column(name: str, type_: str, says: str) -> Document:
    return {"name": name, "type": type_, "format": "", "description": says, "priority": 0}


def _row(kind: Kind, document: Document, now: dt.datetime, include: str) -> Document:
    head = {"kind": kind.resource.kind, "apiVersion": kind.resource.api_version}
    row: Document = {"cells": _cells(kind, document, now)}
    conditions = cells.conditions(kind.resource.name, document)
    if conditions:
        row["conditions"] = conditions
    if include == "None":
        row["object"] = None
    elif include == "Object":
        row["object"] = {**head, **document}
    else:
        metadata = document.get("metadata", {})
        row["object"] = {"kind": "PartialObjectMetadata", **_META, "metadata": metadata}
    return row


def _cells(kind: Kind, document: Document, now: dt.datetime) -> list[Any]:
    name = document["metadata"].get("name", "")
    if kind.custom:
        return [name, *(_custom_cell(column, document, now) for column in kind.columns or (AGE,))]
    resource = kind.resource
    print_ = cells.PRINTERS.get(resource.name)
    if (
        print_ is not None
        and resource.name not in _BARE
        and (published.columns(resource.kind, resource.group) or resource.name in cells.COLUMNS)
    ):
        return print_(document, cellparts.Clock(now))
    return [name, document["metadata"].get("creationTimestamp")]


def _custom_cell(column: Column, document: Document, now: dt.datetime) -> Any:
    value = _at(document, column.json_path)
    if column.type == "string":
        return None if value is None else value if isinstance(value, str) else _printed(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if column.type == "integer":
        return int(value) if is_number else None
    if column.type == "number":
        return float(value) if is_number else None
    if column.type == "boolean":
        return value if isinstance(value, bool) else None
    if column.type == "date" and isinstance(value, str):
        return cellparts.Clock(now).since(value)
    return None


def _printed(value: Any) -> str:
    import json

    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"))
    return go_plain(value)


def _at(document: Any, path: str) -> Any:
    """The value at a simple path: fields, quoted ones, and places in lists."""
    for step in cellparts.steps(path):
        if isinstance(step, int):
            document = document[step] if isinstance(document, list) and -len(document) <= step < len(document) else None
        else:
            document = document.get(step) if isinstance(document, dict) else None
    return document
