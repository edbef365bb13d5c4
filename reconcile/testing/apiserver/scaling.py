"""The scale subresource: an object seen as a number of replicas.

A scale carries the part of the object's managedFields that owns the number, in its own words, and gives it back. Pure.
Source of the rules: apiextensions-apiserver, ``registry/customresource/etcd.go``, and apimachinery,
``util/managedfields/scalehandler.go``.
"""

from collections.abc import Iterator
from typing import Any, Final, Self

import attrs

from reconcile.testing.apiserver import fields as fieldsets
from reconcile.testing.apiserver import managers as managing
from reconcile.testing.apiserver.cellparts import selector_text
from reconcile.testing.apiserver.failure import Document, Failure, Fault, internal, invalid_value
from reconcile.testing.apiserver.fields import MEMBER, FieldSet, of_paths
from reconcile.testing.apiserver.gotext import go_plain
from reconcile.testing.apiserver.managers import Owned

API_VERSION: Final = "autoscaling/v1"
_MOST: Final = 2**31 - 1
_UNSET: Final = -(2**31)
"""The number of an object that has none, while it is being changed."""
_IN_SCALE: Final[FieldSet] = {"f:spec": {"f:replicas": MEMBER}}


@attrs.frozen
class ScalePaths:
    """Where an object keeps its replicas, and the selector of its pods if it has one."""

    spec: tuple[str, ...]
    status: tuple[str, ...]
    selector: tuple[str, ...] = ()

    @classmethod
    def of(cls, scale: Document) -> Self:
        """The paths that a definition gives."""
        names = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
        spec, status, selector = (tuple((scale.get(name) or "").strip(".").split(".")) for name in names)
        return cls(spec, status, () if selector == ("",) else selector)


def scale_of(paths: ScalePaths, document: Document) -> Document:
    """An object as a scale.

    Raises:
        Failure: 500: it has no number of replicas, or something else in its place.
    """
    scale, found = _scale(paths, document)
    if not found:
        raise internal(f'the spec replicas field "{_dotted(paths.spec)}" does not exist')
    return scale


def draft(paths: ScalePaths, document: Document) -> Document:
    """The same for one that is to be changed: with the owners of its number, which may be missing."""
    scale, found = _scale(paths, document)
    if not found:
        scale["spec"]["replicas"] = _UNSET
    path = _field(paths)
    owners = {
        manager: owned._replace(fields=_IN_SCALE, api_version=API_VERSION)
        for manager, owned in managing.decode(document["metadata"].get("managedFields")).items()
        if fieldsets.intersection(owned.fields, path)
    }
    if owners:
        scale["metadata"]["managedFields"] = managing.encode(
            {_told(manager, API_VERSION): owned for manager, owned in owners.items()}
        )
    return scale


def _told(manager: managing.Manager, api_version: str) -> managing.Manager:
    return manager._replace(api_version=api_version) if manager.operation == managing.UPDATE else manager


def scaled(paths: ScalePaths, document: Document, scale: Document, api_version: str) -> Document:
    """The object with what a changed scale says.

    Raises:
        Failure: 400: the scale has no number.
    """
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas == _UNSET:
        text = f'the spec replicas field "{_dotted(paths.spec)}" cannot be empty'
        raise Failure(400, "BadRequest", text)
    result = _with(document, paths.spec, replicas)
    metadata = dict(result["metadata"])
    if version := scale["metadata"].get("resourceVersion"):
        metadata["resourceVersion"] = version
    owners = _given_back(
        managing.decode(metadata.pop("managedFields", None)),
        managing.decode(scale["metadata"].get("managedFields")),
        paths,
        api_version,
    )
    if owners:
        metadata["managedFields"] = managing.encode(owners)
    result["metadata"] = metadata
    return result


def _given_back(
    parents: dict[managing.Manager, Owned], scales: dict[managing.Manager, Owned], paths: ScalePaths, api_version: str
) -> dict[managing.Manager, Owned]:
    path, result = _field(paths), {}
    left = dict(scales)
    for manager, owned in parents.items():
        told = _told(manager, API_VERSION)
        if not fieldsets.intersection(owned.fields, path):
            result[manager] = owned
        elif told in left:
            result[manager] = owned
            del left[told]
        elif rest := fieldsets.difference(owned.fields, path):
            result[manager] = owned._replace(fields=rest)
    for manager, owned in left.items():
        if fieldsets.intersection(owned.fields, _IN_SCALE):
            # the real server gives a new owner no time
            result[_told(manager, api_version)] = Owned(path, api_version)
    return result


def faults(paths: ScalePaths, document: Document, *, status_only: bool = False) -> Iterator[Fault]:
    """What is wrong with the numbers of an object."""
    for path in (paths.status,) if status_only else (paths.spec, paths.status):
        value = _at(document, path)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            yield invalid_value(_dotted(path), 0, _misfit(path, value, "int64"))
        elif (value or 0) < 0:
            yield invalid_value(_dotted(path), value, "should be a non-negative integer")
        elif (value or 0) > _MOST:
            yield invalid_value(_dotted(path), value, f"should be less than or equal to {_MOST}")
    if paths.selector and not isinstance(value := _at(document, paths.selector), str | None):
        yield invalid_value(_dotted(paths.selector), "", _misfit(paths.selector, value, "string"))


def _scale(paths: ScalePaths, document: Document) -> tuple[Document, bool]:
    replicas, seen = (_number(document, path) for path in (paths.spec, paths.status))
    selector = _at(document, paths.selector) if paths.selector else None
    if isinstance(selector, dict):
        selector = selector_text(selector)
    metadata = document["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status = {"replicas": seen or 0, **({"selector": selector} if selector else {})}
    scale = {
        "kind": "Scale",
        "apiVersion": API_VERSION,
        "metadata": {name: metadata[name] for name in kept if metadata.get(name)},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }
    return scale, replicas is not None


def _number(document: Document, path: tuple[str, ...]) -> int | None:
    value = _at(document, path)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise Failure(500, "", _misfit(path, value, "int64"))


def _misfit(path: tuple[str, ...], value: Any, wanted: str) -> str:
    form = {str: "string", bool: "bool", float: "float64", dict: "map[string]interface {}", list: "[]interface {}"}
    found = form.get(type(value), "int64")
    return f"{_dotted(path)} accessor error: {go_plain(value)} is of the type {found}, expected {wanted}"


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return document


def _with(document: Document, path: tuple[str, ...], value: Any) -> Document:
    first, *rest = path
    below = _with(document.get(first) or {}, tuple(rest), value) if rest else value
    return {**document, first: below}


def _dotted(path: tuple[str, ...]) -> str:
    return "." + ".".join(path)


def _field(paths: ScalePaths) -> FieldSet:
    return of_paths(tuple(f"f:{step}" for step in paths.spec))
