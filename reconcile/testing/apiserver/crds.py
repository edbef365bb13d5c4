"""From a CustomResourceDefinition to the kind it defines.

Pure. What it means for the running server, kinds that come and go, is ``server.py``'s business.
"""

from typing import Any, Final

from reconcile.kube import kinds as known
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.failure import Document, not_implemented
from reconcile.testing.apiserver.openapi import from_openapi
from reconcile.testing.apiserver.strategy import Hooks, Kind, Strategy, custom

CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that keeps a definition until its objects are gone."""


def kind_of(definition: Document) -> Kind | None:
    """The kind that a definition serves; ``None`` when it serves no version.

    Raises:
        Failure: 501 for a feature of definitions that this server has not.
    """
    spec = definition["spec"]
    names = spec["names"]
    served = [version for version in spec["versions"] if version.get("served")]
    if len(served) > 1:
        raise not_implemented("CustomResourceDefinitions that serve several versions")
    if not served:
        return None
    [version] = served
    subresources = version.get("subresources") or {}
    selectable = [field["jsonPath"].lstrip(".") for field in version.get("selectableFields") or ()]
    return Kind(
        Resource.untyped(
            f"{spec['group']}/{version['name']}", names["kind"], names["plural"], spec.get("scope") == "Namespaced"
        ),
        from_openapi((version.get("schema") or {}).get("openAPIV3Schema") or {}),
        custom(
            status="status" in subresources,
            fields={path: tuple(path.split(".")) for path in selectable},
        ),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        singular=names.get("singular") or names["kind"].lower(),
    )


def check(write: Write) -> None:
    """Refuse what this server does not do, rather than doing it wrong.

    Raises:
        Failure: 501 with the feature's name.
    """
    if write.new is None:
        return
    for version in (write.new.get("spec") or {}).get("versions") or ():
        if "scale" in (version.get("subresources") or {}):
            raise not_implemented("the scale subresource of custom resources")
        if _mentions(version.get("schema") or {}, "x-kubernetes-validations"):
            raise not_implemented("CEL rules (x-kubernetes-validations)")
    if write.old is None:
        stored = [version["name"] for version in write.new["spec"]["versions"] if version.get("storage")]
        accepted_names = {"kind": "", "plural": ""}
        write.new["status"] = {"acceptedNames": accepted_names, "conditions": None, "storedVersions": stored}
    kind_of(write.new)


def _mentions(value: Any, name: str) -> bool:
    if isinstance(value, dict):
        return name in value or any(_mentions(child, name) for child in value.values())
    return isinstance(value, list) and any(_mentions(child, name) for child in value)


def accepted(definition: Document, time: str) -> Document:
    """The status of a definition whose names are free and which is served."""
    names = definition["spec"]["names"]

    def condition(type_: str, reason: str, message: str) -> Document:
        return {
            "type": type_,
            "status": "True",
            "lastTransitionTime": time,
            "reason": reason,
            "message": message,
        }

    return {
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": {
            **names,
            "listKind": names.get("listKind") or f"{names['kind']}List",
            "singular": names.get("singular") or names["kind"].lower(),
        },
        "storedVersions": [version["name"] for version in definition["spec"]["versions"] if version.get("storage")],
    }


def mark_terminating(document: Document, time: str) -> None:
    """What the deletion of a definition changes in it."""
    finalizers = document["metadata"].get("finalizers") or []
    if CLEANUP not in finalizers:
        document["metadata"]["finalizers"] = [*finalizers, CLEANUP]
    document["status"] = terminating(
        document.get("status") or {},
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        time,
    )


def in_progress(status: Document, time: str) -> Document:
    """The status of a definition whose objects are being deleted."""
    return terminating(status, "InstanceDeletionInProgress", "CustomResource deletion is in progress", time)


def terminating(status: Document, reason: str, message: str, time: str) -> Document:
    """The status of a definition that goes, for such a reason."""
    before = status.get("conditions") or []
    since = next((one["lastTransitionTime"] for one in before if one["type"] == "Terminating"), time)
    condition = {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
    return {**status, "conditions": [*(one for one in before if one["type"] != "Terminating"), condition]}


def is_terminating(definition: Document) -> bool:
    """Whether a definition is on its way out: its kind takes no new objects."""
    return bool(definition["metadata"].get("deletionTimestamp"))


def _default(document: Document) -> None:
    spec = document.get("spec")
    if isinstance(spec, dict) and isinstance(spec.get("names"), dict):
        names = spec["names"] = dict(spec["names"])
        kind = names.get("kind") or ""
        names.setdefault("listKind", f"{kind}List")
        names.setdefault("singular", kind.lower())
        spec.setdefault("conversion", {"strategy": "None"})


def _struct(**fields: Document) -> Document:
    return {"type": "object", "properties": fields}


_TEXT: Final[Document] = {"type": "string"}
_TEXTS: Final[Document] = {"type": "array", "items": _TEXT}
_ANYTHING: Final[Document] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_CONDITIONS: Final[Document] = {
    "type": "array",
    "nullable": True,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
    "items": _ANYTHING,
}
_NAMES: Final = _struct(kind=_TEXT, listKind=_TEXT, plural=_TEXT, singular=_TEXT, categories=_TEXTS, shortNames=_TEXTS)
_SCHEMA: Final = from_openapi(
    _struct(
        spec=_struct(
            group=_TEXT,
            scope=_TEXT,
            preserveUnknownFields={"type": "boolean"},
            names=_NAMES,
            conversion=_struct(strategy=_TEXT, webhook=_ANYTHING),
            versions={"type": "array", "items": _ANYTHING},
        ),
        status=_struct(acceptedNames=_NAMES, storedVersions=_TEXTS, conditions=_CONDITIONS),
    )
)

CRD_KIND: Final = Kind(
    known.CRD,
    _SCHEMA,
    Strategy(
        subresources={"status": ("status",)},
        main_keeps=("status",),
        generation=("spec",),
        unconditional_update=False,
        mark=mark_terminating,
        strategic=True,
    ),
    Hooks(default=_default, allocate=check),
    short_names=("crd", "crds"),
    blank={"spec": {"names": {}}, "status": {"acceptedNames": {}}},
    categories=("api-extensions",),
    custom=False,
)
