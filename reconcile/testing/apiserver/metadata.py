"""What the server does to the metadata of every object, and what it does not let pass.

``initialise`` and ``keep`` write the fields that belong to the server; ``faults`` and ``update_faults`` are the common
checks. Pure; ``initialise``, ``keep`` and ``tidy`` change the document they are given. Source of rules, order and
texts: apiserver, ``registry/rest``, and apimachinery, ``api/validation/objectmeta.go``.
"""

from collections.abc import Iterator
from typing import Any

from reconcile.testing.apiserver import names
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
    if namespace:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)


def initialise(document: Document, *, uid: str, time: str) -> None:
    """Metadata of a new object; what a client sent in its place is wiped."""
    metadata = of(document)
    for name in _SYSTEM:
        metadata.pop(name, None)
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


def tidy(document: Document) -> None:
    """Drop what an encoder of the real server would leave out: empty lists, maps and strings of the metadata."""
    metadata = of(document)
    for name in [name for name, value in metadata.items() if value in (None, "", [], {})]:
        del metadata[name]
    if metadata.get("generation") == 0:
        del metadata["generation"]


def faults(kind: Kind, document: Document, *, generic: bool = False) -> Iterator[Fault]:
    """What is wrong with the metadata of any object; ``generic`` takes the weakest rule for names."""
    metadata = of(document)
    rule = names.path_segment if generic else kind.strategy.name_rule
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
    yield from _text_faults(metadata)
    yield from _finalizer_faults(metadata.get("finalizers") or [])


def update_faults(document: Document, old: Document) -> Iterator[Fault]:
    """What an update of the metadata may not do."""
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


def _text_faults(metadata: Document) -> Iterator[Fault]:
    for key, value in (metadata.get("labels") or {}).items():
        for text in names.label_key(key):
            yield invalid_value("metadata.labels", key, text)
        for text in names.label_value(value):
            yield invalid_value("metadata.labels", value, text)
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        for text in names.label_key(key.lower()):
            yield invalid_value("metadata.annotations", key, text)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _ANNOTATIONS_LIMIT:
        yield too_long("metadata.annotations", f"may not be more than {_ANNOTATIONS_LIMIT} bytes")
    yield from _owner_faults(metadata.get("ownerReferences") or [])


def _owner_faults(owners: list[Document]) -> Iterator[Fault]:
    controller = ""
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        version = owner.get("apiVersion") or ""
        if not version:
            yield required(f"{path}.apiVersion", "must not be empty")
        elif version.count("/") > 1 or version.endswith("/"):
            yield invalid_value(f"{path}.apiVersion", version, "must be <group>/<version> or <version>")
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                yield required(f"{path}.{name}", "must not be empty")
        if version == "v1" and owner.get("kind") == "Event":
            yield invalid_value(path, owner, "/v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller"):
            current = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                yield invalid_value(
                    "metadata.ownerReferences",
                    owners,
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {current}',
                )
            else:
                controller = current


def _finalizer_faults(finalizers: list[str]) -> Iterator[Fault]:
    for name in finalizers:
        for text in names.label_key(name):
            yield invalid_value("metadata.finalizers", name, text)
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        text = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        yield invalid_value("metadata.finalizers", finalizers, text)


def shape_fault(metadata: Any) -> str:
    """Why this cannot be decoded as metadata; "" if it can. So that no rule meets a value of the wrong type."""
    if metadata is None:
        return ""
    if not isinstance(metadata, dict):
        return _mismatch("metadata", metadata, "metav1.ObjectMeta")
    for name, (go_type, good) in _SHAPES.items():
        value = metadata.get(name)
        if value is not None and not good(value):
            return _mismatch(f"metadata.{name}", value, go_type)
    return ""


def _mismatch(path: str, value: Any, go_type: str) -> str:
    form = {dict: "object", list: "array", str: "string", bool: "bool"}.get(type(value), "number")
    return f"json: cannot unmarshal {form} into Go struct field .{path} of type {go_type}"


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _list_of(type_: type) -> Any:
    return lambda value: isinstance(value, list) and all(isinstance(item, type_) for item in value)


def _is(type_: type) -> Any:
    return lambda value: isinstance(value, type_) and not (type_ is int and isinstance(value, bool))


_SHAPES = {
    **{name: ("string", _is(str)) for name in ("name", "generateName", "namespace", "uid", "resourceVersion")},
    **{name: ("string", _is(str)) for name in ("selfLink", "creationTimestamp", "deletionTimestamp")},
    **{name: ("int64", _is(int)) for name in ("generation", "deletionGracePeriodSeconds")},
    **dict.fromkeys(("labels", "annotations"), ("map[string]string", _texts)),
    "finalizers": ("[]string", _list_of(str)),
    "ownerReferences": ("[]v1.OwnerReference", _list_of(dict)),
    "managedFields": ("[]v1.ManagedFieldsEntry", _list_of(dict)),
}
