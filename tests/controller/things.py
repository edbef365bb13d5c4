"""Small objects and changes for the tests of this folder."""

from collections.abc import Mapping
from typing import Any

import orjson

from reconcile.cache.change import Change
from reconcile.cache.entry import Entry, EntryReader
from reconcile.kube.journal import Outcome, Write
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.objects import Object, ObjectKey
from reconcile.kube.resource import Resource

WIDGET = Resource.untyped("example.com/v1", "Widget", "widgets")
PART = CONFIG_MAP
DELETING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def document(
    name: str = "a",
    version: int = 1,
    *,
    uid: str = "u-1",
    resource: Resource[Any] = WIDGET,
    spec: object = None,
    namespace: str = "ns",
    **meta: Any,
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version), **meta}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        **({} if spec is None else {"spec": spec}),
    }


def entry(
    name: str = "a",
    version: int = 1,
    *,
    uid: str = "u-1",
    resource: Resource[Any] = WIDGET,
    spec: object = None,
    **meta: Any,
) -> Entry:
    made = document(name, version, uid=uid, resource=resource, spec=spec, **meta)
    return EntryReader(resource).read(orjson.dumps(made))


def change(
    old: Entry | None,
    new: Entry | None,
    *,
    resource: Resource[Any] = WIDGET,
    is_own: bool = False,
    initial: bool = False,
) -> Change[Object]:
    return Change("home", resource, old, new, is_own, initial)


def owned_by(*owners: Mapping[str, Any]) -> dict[str, Any]:
    return {"ownerReferences": [{"uid": "u-o", **owner} for owner in owners]}


def write(
    name: str = "a",
    version: int = 2,
    *,
    resource: Resource[Any] = WIDGET,
    verb: str = "patch",
    outcome: Outcome = "changed",
    paths: tuple[str, ...] = ("spec.size",),
) -> Write:
    key = ObjectKey("ns", name)
    return Write("home", verb, resource, key, outcome, paths=paths, resource_version=str(version) if version else "")
