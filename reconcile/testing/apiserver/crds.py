"""From a CustomResourceDefinition to the kinds it defines, and what becomes of its status.

Pure. What it means for the running server, kinds that come and go, is ``caretakers.py``'s business. Source of the
conditions: apiextensions-apiserver, ``controller/status``, ``establish``, ``apiapproval`` and ``finalizer``.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from reconcile.kube import kinds as known
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import definition_rules
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.columns import columns_of
from reconcile.testing.apiserver.definition_schema import DEFINITION, fill_in
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.fieldpaths import follow
from reconcile.testing.apiserver.openapi import from_openapi
from reconcile.testing.apiserver.scaling import ScalePaths
from reconcile.testing.apiserver.schema_rules import unknown_formats
from reconcile.testing.apiserver.strategy import Hooks, Judge, Kind, Strategy, custom
from reconcile.testing.apiserver.structural import mentions
from reconcile.testing.apiserver.versions import Converter, Family, priority, relabelled

CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that keeps a definition until its objects are gone."""


def kinds_of(definition: Document, since: int = 0, converter: Converter = relabelled) -> list[Kind]:
    """The kinds that a definition serves, one a version, best version first.

    ``since``: the resource version at which it came to be as it is.
    """
    spec = definition["spec"]
    versions = spec["versions"]
    storage = next((one["name"] for one in versions if one.get("storage")), versions[0]["name"])
    schemas = {one["name"]: from_openapi(_schema(one)) for one in versions}
    fields = {one["name"]: _selectable(one) for one in versions}
    family = Family(spec["group"], storage, schemas, fields, since, converter)
    served = sorted((one for one in versions if one.get("served")), key=lambda one: priority(one["name"]))
    return [_kind(definition, version, family) for version in served]


def kind_of(definition: Document) -> Kind | None:
    """The best version of the kind that a definition serves; ``None`` when it serves no version."""
    return next(iter(kinds_of(definition)), None)


def _schema(version: Document) -> Document:
    return (version.get("schema") or {}).get("openAPIV3Schema") or {}


def _selectable(version: Document) -> dict[str, tuple[str, ...]]:
    paths = [field["jsonPath"] for field in version.get("selectableFields") or ()]
    return {path.lstrip("."): follow(path, _schema(version))[0] for path in paths}


def _kind(definition: Document, version: Document, family: Family) -> Kind:
    spec = definition["spec"]
    names = {**spec["names"], **((definition.get("status") or {}).get("acceptedNames") or {})}
    subresources = version.get("subresources") or {}
    scale = subresources.get("scale")
    api_version = f"{spec['group']}/{version['name']}"
    return Kind(
        Resource.untyped(api_version, names["kind"], names["plural"], spec.get("scope") == "Namespaced"),
        family.schemas[version["name"]],
        custom(
            status="status" in subresources,
            fields=family.fields[version["name"]],
            scale=ScalePaths.of(scale) if scale is not None else None,
        ),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        lists_as=names.get("listKind") or "",
        singular=names.get("singular") or names["kind"].lower(),
        columns=columns_of(version),
        family=family,
        rules=_rules(_schema(version)),
        deprecation=_deprecation(version, f"{api_version} {names['kind']}"),
    )


def _rules(schema: Document) -> Judge | None:
    if not mentions(schema, "x-kubernetes-validations"):
        return None
    from reconcile.testing.apiserver.cel.rules import RuleTree  # on use: the library behind it is large

    tree = RuleTree.read(schema)
    return tree.judge if tree is not None else None


def _deprecation(version: Document, kind: str) -> str:
    return (version.get("deprecationWarning") or f"{kind} is deprecated") if version.get("deprecated") else ""


# -- names and conditions ------------------------------------------------------------------------------------------


def settled(definition: Document, others: Iterable[Document], time: str) -> Document:
    """The status of a definition once its names are settled. ``others`` are the definitions of its group."""
    names, status = definition["spec"]["names"], definition.get("status") or {}
    accepted = dict(status.get("acceptedNames") or {})
    taken = [(one.get("status") or {}).get("acceptedNames") or {} for one in others]
    resources = {
        name for one in taken for name in (one.get("plural"), one.get("singular"), *(one.get("shortNames") or ()))
    }
    kinds = {name for one in taken for name in (one.get("kind"), one.get("listKind"))}
    conflict: tuple[str, str] | None = None
    for field, used in (
        ("plural", resources),
        ("singular", resources),
        ("shortNames", resources),
        ("kind", kinds),
        ("listKind", kinds),
    ):
        wanted, had = names.get(field), accepted.get(field)
        asked = set(wanted or ()) - set(had or ()) if field == "shortNames" else {wanted} - {had}
        clashes = [name for name in (wanted if field == "shortNames" and wanted else [wanted]) if name in asked & used]
        if clashes:
            says = [f'"{name}" is already in use' for name in clashes]
            conflict = (f"{field[0].upper()}{field[1:]}Conflict", says[0] if len(says) == 1 else f"[{', '.join(says)}]")
        elif wanted:
            accepted[field] = wanted
        else:
            accepted.pop(field, None)
    if names.get("categories"):
        accepted["categories"] = names["categories"]
    else:
        accepted.pop("categories", None)
    reason, message = conflict or ("NoConflicts", "no conflicts found")
    conditions = with_condition(status, "NamesAccepted", conflict is None, reason, message, time)
    if conflict is None and not is_condition(status, "Established"):
        text = "the initial names have been accepted"
        conditions = with_condition({"conditions": conditions}, "Established", True, "InitialNamesAccepted", text, time)
    elif not any(one["type"] == "Established" for one in conditions):
        text = "not all names are accepted"
        conditions = with_condition({"conditions": conditions}, "Established", False, "NotAccepted", text, time)
    for found in definition_rules.approval(definition):
        conditions = with_condition({"conditions": conditions}, "KubernetesAPIApprovalPolicyConformant", *found, time)
    return {**status, "conditions": conditions, "acceptedNames": accepted}


def same_status(old: Document, new: Document) -> bool:
    """Whether nothing is other than before but times."""
    told = [
        [(one["type"], one["status"], one["reason"], one["message"]) for one in status.get("conditions") or ()]
        for status in (old, new)
    ]
    return told[0] == told[1] and old.get("acceptedNames") == new.get("acceptedNames")


def is_condition(status: Document, type_: str) -> bool:
    """Whether a condition of a definition is true."""
    return any(one["type"] == type_ and one["status"] == "True" for one in status.get("conditions") or ())


def with_condition(status: Document, type_: str, holds: bool, reason: str, message: str, time: str) -> list[Document]:
    """The conditions of a status with one of them as it is now; its time is that of its last change."""
    before = list(status.get("conditions") or ())
    value = "True" if holds else "False"
    old = next((one for one in before if one["type"] == type_), None)
    since = old["lastTransitionTime"] if old is not None and old["status"] == value else time
    new = {"type": type_, "status": value, "lastTransitionTime": since, "reason": reason, "message": message}
    if old is None:
        return [*before, new]
    return [new if one is old else one for one in before]


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
    return {**status, "conditions": with_condition(status, "Terminating", True, reason, message, time)}


def is_terminating(definition: Document) -> bool:
    """Whether a definition is on its way out: its kind takes no new objects."""
    return bool(definition["metadata"].get("deletionTimestamp"))


# -- the kind of definitions ---------------------------------------------------------------------------------------


def _prepare(write: Write) -> None:
    """A new storage version is remembered."""
    new = write.new
    if new is None or write.subresource:
        return
    if write.old is None:
        new["status"] = {"acceptedNames": {"kind": "", "plural": ""}, "conditions": None, "storedVersions": []}
    status = new.setdefault("status", {})
    stored = list(status.get("storedVersions") or ())
    found = next((one["name"] for one in (new.get("spec") or {}).get("versions") or () if one.get("storage")), None)
    if found is not None and found not in stored:
        new["status"] = {**status, "storedVersions": [*stored, found]}


def _warn(write: Write) -> Iterator[str]:
    """Formats that mean nothing, unless they were there before."""
    before, after = (
        [
            name
            for one in ((found or {}).get("spec") or {}).get("versions") or ()
            for name in unknown_formats(_schema(one))
        ]
        for found in (write.old, write.new)
    )
    yield from (f'unrecognized format "{name}"' for name in after if name not in before)


CRD_KIND: Final = Kind(
    known.CRD,
    DEFINITION,
    Strategy(
        subresources={"status": ("status",)},
        main_keeps=("status",),
        generation=("spec",),
        unconditional_update=False,
        mark=mark_terminating,
        strategic=True,
    ),
    Hooks(default=fill_in, allocate=_prepare, validate=definition_rules.faults, warn=_warn),
    short_names=("crd", "crds"),
    blank={"spec": {"names": {}}, "status": {"acceptedNames": {}}},
    categories=("api-extensions",),
    custom=False,
)

__all__ = [
    "CLEANUP",
    "CRD_KIND",
    "in_progress",
    "is_condition",
    "is_terminating",
    "kind_of",
    "kinds_of",
    "settled",
]
