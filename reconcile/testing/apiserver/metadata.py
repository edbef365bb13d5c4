"""What the server does to the metadata of every object, and what it does not let pass.

``initialise`` and ``keep`` write the fields that belong to the server; ``faults`` and ``update_faults`` are the common
checks. Pure; ``initialise``, ``keep`` and ``tidy`` change the document they are given. Source of rules, order and
texts: apiserver, ``registry/rest``, and apimachinery, ``api/validation/objectmeta.go``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from reconcile.testing.apiserver import names
from reconcile.testing.apiserver.content import misfit
from reconcile.testing.apiserver.failure import (
    Document,
    Fault,
    bad_request,
    forbidden_field,
    invalid_value,
    required,
    too_long,
)
from reconcile.testing.apiserver.strategy import Kind

FIELD_MANAGER_LIMIT = 128
_ANNOTATIONS_LIMIT = 256 * 1024
ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
_STANDARD = (ORPHAN, FOREGROUND, "kubernetes")
_SYSTEM = ("creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def of(document: Document) -> Document:
    """The metadata of a document; made when it has none."""
    metadata = document.get("metadata")
    if metadata is None:
        metadata = document["metadata"] = {}
    if not isinstance(metadata, dict):
        raise bad_request("metadata is not an object")
    return metadata


def place(document: Document, namespace: str) -> None:
    """See that the document lies in the namespace of the request.

    Raises:
        Failure: it names another one.
    """
    metadata = of(document)
    own = metadata.get("namespace") or ""
    if namespace and own and own != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if not namespace:
        metadata.pop("namespace", None)
    elif own != namespace:
        metadata["namespace"] = namespace


def wipe(document: Document) -> None:
    """Take away what only the server says of a new object."""
    metadata = of(document)
    for name in _SYSTEM:
        metadata.pop(name, None)


def same_owners(document: Document) -> list[str]:
    """Let each owner be named once, and answer what is to be said of it."""
    owners = of(document).get("ownerReferences") or []
    kept: dict[bytes, Document] = {}
    again: list[str] = []
    for owner in owners:
        seen = orjson.dumps(owner, option=orjson.OPT_SORT_KEYS)
        if seen in kept:
            again.append(str(owner.get("uid", "")))
        else:
            kept[seen] = owner
    if not again:
        return []
    of(document)["ownerReferences"] = list(kept.values())
    uids = ", ".join(dict.fromkeys(again))
    return [
        (
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and "
            f"may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {uids}"
        )
    ]


def initialise(document: Document, *, uid: str, time: str) -> None:
    """Metadata of a new object; what a client sent in its place is wiped."""
    wipe(document)
    metadata = of(document)
    metadata.pop("resourceVersion", None)
    metadata["uid"] = uid
    metadata["creationTimestamp"] = time


def keep(document: Document, old: Document) -> None:
    """Metadata that an update cannot change, as the old object has it."""
    metadata, before = of(document), of(old)
    if not metadata.get("uid"):
        metadata["uid"] = before.get("uid", "")
    metadata.pop("selfLink", None)
    for name in ("creationTimestamp", "deletionTimestamp"):
        if before.get(name):
            metadata[name] = before[name]
        elif metadata.get(name) is None:
            metadata.pop(name, None)
    if before.get("deletionGracePeriodSeconds") is not None and metadata.get("deletionGracePeriodSeconds") is None:
        metadata["deletionGracePeriodSeconds"] = before["deletionGracePeriodSeconds"]


_MAPS: Final = ("labels", "annotations")


def tidy(document: Document) -> bool:
    """Drop what an encoder of the real server would leave out: empty lists, maps and strings of the metadata.

    The answer says whether there were any lists or maps; what is left of labels or annotations that were all taken
    away is one, too.
    """
    metadata = of(document)
    empty = [name for name, value in metadata.items() if not value and value in (None, "", [], {})]
    found = any(metadata[name] in ([], {}) or (metadata[name] is None and name in _MAPS) for name in empty)
    for name in empty:
        del metadata[name]
    if metadata.get("generation") == 0:
        del metadata["generation"]
    return found


def faults(kind: Kind, document: Document, old: Document | None = None) -> Iterator[Fault]:
    """What is wrong with the metadata of any object. In an update, names may follow the weakest rule.

    What an update leaves as it was in ``old`` has passed before.
    """
    metadata, before = of(document), of(old) if old is not None else _NOTHING
    rule = names.path_segment if old is not None else kind.strategy.name_rule
    if prefix := metadata.get("generateName"):
        for text in rule(prefix, True):
            yield invalid_value("metadata.generateName", prefix, text)
    if not metadata.get("name"):
        yield required("metadata.name", "name or generateName is required")
    else:
        for text in rule(metadata["name"], False):
            yield invalid_value("metadata.name", metadata["name"], text)
    namespace = metadata.get("namespace") or ""
    if kind.resource.namespaced:
        if not namespace:
            yield required("metadata.namespace")
        for text in names.label(namespace, False) if namespace else ():
            yield invalid_value("metadata.namespace", namespace, text)
    elif namespace:
        yield forbidden_field("metadata.namespace", "not allowed on this type")
    yield from _text_faults(metadata, before)
    if old is not None:
        yield from _manager_faults(metadata.get("managedFields") or [])
    finalizers = metadata.get("finalizers") or []
    if not finalizers or finalizers == before.get("finalizers"):
        return
    yield from _finalizer_faults(finalizers)
    if not kind.custom and not kind.resource.group and kind.resource.plural != "events":
        # the core group asks for more than the others
        for index, name in enumerate(finalizers):
            if "/" not in name and name not in _STANDARD:
                text = "name is neither a standard finalizer name nor is it fully qualified"
                yield invalid_value(f"metadata.finalizers[{index}]", name, text)


def stays(document: Document, old: Document) -> bool:
    """Whether an update leaves the metadata as they were, but for what each update changes: then nothing is wrong."""
    metadata, before = of(document), of(old)
    for name, value in metadata.items():
        if name not in _MOVING and value != before.get(name):
            return False
    if not before.keys() <= metadata.keys() or not metadata.get("resourceVersion"):
        return False
    return all(len(entry.get("manager") or "") <= _SHORT for entry in metadata.get("managedFields") or ())


_MOVING: Final = ("resourceVersion", "generation", "managedFields")
_SHORT: Final = FIELD_MANAGER_LIMIT // 4
"""Characters that are never more bytes than allowed."""


def update_faults(document: Document, old: Document) -> Iterator[Fault]:
    """What an update of the metadata may not do. The real server asks this twice, and says everything twice."""
    metadata, before = of(document), of(old)
    if before.get("deletionTimestamp"):
        new = sorted(set(metadata.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if new:
            listed = ", ".join(f'"{name}"' for name in new)
            yield forbidden_field(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}",
            )
    if not metadata.get("resourceVersion"):
        yield invalid_value("metadata.resourceVersion", "", "must be specified for an update")
    for name in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if (metadata.get(name) or None) != (before.get(name) or None):
            value = metadata.get(name)
            empty = "" if name in ("name", "namespace", "uid") else None
            yield invalid_value(f"metadata.{name}", value if value is not None else empty, "field is immutable")
    yield from _text_faults(metadata, before)


_NOTHING: Final[Document] = {}


def _text_faults(metadata: Document, before: Document) -> Iterator[Fault]:
    labels, annotations, owners = (metadata.get(name) for name in ("labels", "annotations", "ownerReferences"))
    if labels and labels != before.get("labels"):
        for key, value in labels.items():
            for text in names.label_key(key):
                yield invalid_value("metadata.labels", key, text)
            for text in names.label_value(value):
                yield invalid_value("metadata.labels", value, text)
    if annotations and annotations != before.get("annotations"):
        for key in annotations:
            for text in names.label_key(key.lower()):
                yield invalid_value("metadata.annotations", key, text)
        size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
        if size > _ANNOTATIONS_LIMIT:
            yield too_long("metadata.annotations", f"may not be more than {_ANNOTATIONS_LIMIT} bytes")
    if owners:
        yield from _owner_faults(owners)
    yield from _manager_faults(metadata.get("managedFields") or [])


def _owner_faults(owners: list[Document]) -> Iterator[Fault]:
    controller = ""
    path = "metadata.ownerReferences"
    for owner in owners:
        version = owner.get("apiVersion") or ""
        if not version or version.count("/") > 1 or version.endswith("/"):
            yield invalid_value(f"{path}.apiVersion", version, "version must not be empty")
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                yield invalid_value(f"{path}.{name}", owner.get(name) or "", "must not be empty")
        if version == "v1" and owner.get("kind") == "Event":
            yield invalid_value(path, owner, "/v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller"):
            current = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                yield invalid_value(
                    path,
                    owners,
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {current}',
                )
            else:
                controller = current


def _manager_faults(entries: list[Document]) -> Iterator[Fault]:
    for index, entry in enumerate(entries):
        if len((entry.get("manager") or "").encode()) > FIELD_MANAGER_LIMIT:
            yield too_long(
                f"metadata.managedFields[{index}].manager", f"may not be more than {FIELD_MANAGER_LIMIT} bytes"
            )


def _finalizer_faults(finalizers: list[str]) -> Iterator[Fault]:
    for name in finalizers:
        for text in names.label_key(name):
            yield invalid_value("metadata.finalizers", name, text)
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        text = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        yield invalid_value("metadata.finalizers", finalizers, text)


def finalizer_warnings(name: str) -> Iterator[str]:
    """What a custom resource is warned of when it gets this finalizer."""
    for text in names.label_key(name):
        yield f'metadata.finalizers: "{name}": {text}'
    if "/" not in name and name not in _STANDARD:
        path = " including a path (/)" if "." in name else ""
        yield (
            f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name{path} to avoid accidental '
            "conflicts with other finalizer writers"
        )


def shape_fault(metadata: Any, struct: str = "", known: Any = None) -> str:
    """Why this cannot be decoded as metadata; "" if it can. So that no rule meets a value of the wrong type.

    ``struct`` is the Go type it is part of; "" for what is decoded by itself, as the metadata of custom resources are.
    What it shares with ``known`` is taken to be good.
    """
    if metadata is None or metadata is known:
        return ""
    if not isinstance(metadata, dict):
        return misfit(metadata, "v1.ObjectMeta", struct and f"{struct}.metadata")
    if _fits(metadata, known or _NOTHING):
        return ""
    for name, (go_type, form, item) in _SHAPES.items():
        value = metadata.get(name)
        where = f"ObjectMeta.{struct and 'metadata.'}{name}"
        if value is None:
            continue
        if not isinstance(value, form) or (form is int and isinstance(value, bool)):
            return misfit(value, go_type, where)
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for one in inside:
            if item is not None and not isinstance(one, item):
                return misfit(one, go_type.rpartition("]")[2], where)
    return ""


def _fits(metadata: Document, known: Document) -> bool:
    """Whether all fields have their form, as nearly always."""
    for name, value in metadata.items():
        if value is None or value is known.get(name) or (shape := _SHAPES.get(name)) is None:
            continue
        _, form, item = shape
        if type(value) is not form:
            return False
        if item is not None:
            for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
                if type(one) is not item:
                    return False
    return True


_SHAPES: Final[Mapping[str, tuple[str, type, type | None]]] = {
    **dict.fromkeys(("name", "generateName", "namespace", "selfLink", "resourceVersion"), ("string", str, None)),
    "uid": ("types.UID", str, None),
    **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), ("string", str, None)),
    **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), ("int64", int, None)),
    **dict.fromkeys(("labels", "annotations"), ("map[string]string", dict, str)),
    "finalizers": ("[]string", list, str),
    "ownerReferences": ("[]v1.OwnerReference", list, dict),
    "managedFields": ("[]v1.ManagedFieldsEntry", list, dict),
}
"""Go's type of each field, its form in Python, and that of what is inside."""
