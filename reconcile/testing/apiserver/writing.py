"""How objects come into being and change.

The steps are those of the real server, in its order: shape the document, note who owns what, write the server's own
fields, run the hooks, check, store. A write that changes nothing stores nothing. Pure. Source of the order: apiserver,
``registry/generic/registry/store.go`` and ``registry/rest``.
"""

import copy
import uuid
from collections.abc import Callable
from typing import TypeAlias

import attrs
import orjson

from reconcile.kube.objects import ObjectKey
from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver import names, parts
from reconcile.testing.apiserver.apply import apply as applied
from reconcile.testing.apiserver.apply import track
from reconcile.testing.apiserver.belonging import check_namespace
from reconcile.testing.apiserver.failure import (
    Document,
    Failure,
    Fault,
    already_exists,
    bad_request,
    conflict,
    invalid,
    invalid_value,
    not_found,
)
from reconcile.testing.apiserver.forming import defaulted
from reconcile.testing.apiserver.session import Session
from reconcile.testing.apiserver.storage import Stored, key_of
from reconcile.testing.apiserver.strategy import Kind

Change: TypeAlias = Callable[[Document], Document]
"""What an update makes of the live document; it leaves that alone and may share parts of it."""
_NAME_ATTEMPTS = 8


@attrs.frozen
class Result:
    """What a write led to. ``raw`` is the object as the answer shows it."""

    raw: bytes
    created: bool = False
    changed: bool = True
    """Whether anything was stored."""
    gone: bool = False
    """Whether the object was removed for good."""

    @property
    def document(self) -> Document:
        """The object, freshly parsed: the caller's own."""
        return orjson.loads(self.raw)  # type: ignore[no-any-return]


def create(session: Session, kind: Kind, namespace: str, document: Document, manager: str) -> Result:
    """Create an object from a document, which is taken over.

    Raises:
        Failure: whatever the real server would refuse it with.
    """
    document = session.formed(kind, document)
    if metas.of(document).get("resourceVersion") not in (None, "", "0"):
        raise Failure(500, "", "resourceVersion should not be set on objects to be created")
    metas.place(document, namespace if kind.resource.namespaced else "")
    metas.wipe(document)
    session.warnings += metas.same_owners(document)
    document = track(session.writer(kind, manager), None, document)
    return _create_tracked(session, kind, document)


def unstored(session: Session, kind: Kind, document: Document, manager: str) -> Document:
    """A document of a kind whose objects are not kept, as the answer shows it."""
    return track(session.writer(kind, manager), None, session.formed(kind, document))


def _create_tracked(session: Session, kind: Kind, document: Document) -> Result:
    """Create an object whose managedFields are settled."""
    document = session.mutated(kind, "", None, document)
    prefix = metas.of(document).get("generateName")
    if metas.of(document).get("name") or not prefix:
        return _create(session, kind, document, generated=False)
    for _ in range(_NAME_ATTEMPTS - 1):
        try:
            with session.step():
                return _create(session, kind, _named(session, document, prefix), generated=True)
        except Failure as failure:
            if failure.status.get("reason") != "AlreadyExists":
                raise
    return _create(session, kind, _named(session, document, prefix), generated=True)


def _named(session: Session, document: Document, prefix: str) -> Document:
    """A copy, under a name that is made up."""
    named = copy.deepcopy(document)
    named["metadata"]["name"] = names.generate(prefix, session.rng)
    return named


def _create(session: Session, kind: Kind, document: Document, *, generated: bool) -> Result:
    if session.needs_namespace:
        check_namespace(session.transaction, kind, document)
    metas.initialise(document, uid=str(uuid.UUID(int=session.rng.getrandbits(128), version=4)), time=session.time)
    for part in kind.strategy.main_keeps:
        document.pop(part, None)
        if part in kind.blank:
            document[part] = copy.deepcopy(kind.blank[part])
    metadata = metas.of(document)
    if kind.strategy.generation:
        metadata["generation"] = 1
    untidy = metas.tidy(document) and kind.custom  # protobuf has nothing to say of what is empty
    document = session.admitted(kind, "", None, document)
    told = len(session.warnings)
    session.warn_of_finalizers(kind, document, None)
    faults = [*metas.faults(kind, document), *session.faults(kind, document, None, "")]
    if faults:
        del session.warnings[told:]  # what is unwise in an object that is wrong is not told
        raise invalid(kind.group_kind, metadata.get("name", ""), faults)
    session.validated(kind, "", None, document)
    key = key_of(metadata.get("namespace", ""), metadata["name"])
    found = session.transaction.get(kind.table, key)
    if found is not None:
        deleting = bool(metas.of(found.value).get("deletionTimestamp"))
        raise already_exists(kind.group_resource, metadata["name"], generated=generated, deleting=deleting)
    return Result(session.store(kind, document, untidy=untidy), created=True)


def update(
    session: Session,
    kind: Kind,
    key: ObjectKey,
    change: Change,
    manager: str,
    *,
    subresource: str = "",
    uid: str = "",
) -> Result:
    """Change an object; ``change`` makes the new document out of the live one. ``uid`` must be the live one's.

    Raises:
        Failure: whatever the real server would refuse it with.
    """
    found = found_for_update(session, kind, key, uid)
    old = found.value
    changed = parts.shared(change(old), old)
    new = session.formed(kind, changed, old)
    if changed.get("metadata") is not old["metadata"]:
        same_name(kind, key, new, old)
    session.warnings += metas.same_owners(new)
    new = track(session.writer(kind, manager, subresource), old, new)
    return _update(session, kind, found, old, new, subresource)


def replace(
    session: Session, kind: Kind, key: ObjectKey, document: Document, manager: str, subresource: str = ""
) -> Result:
    """Put a document in place of an object, as PUT does."""
    document = session.formed(kind, document)  # before all else: it may have to be warned of
    same_name(kind, key, document)
    if session.transaction.get(kind.table, key_of(*key)) is None and kind.strategy.create_on_update and not subresource:
        metas.of(document).pop("resourceVersion", None)
        return create(session, kind, key.namespace, document, manager)
    uid = metas.of(document).get("uid") or ""
    return update(session, kind, key, lambda _: document, manager, subresource=subresource, uid=uid)


def apply(
    session: Session, kind: Kind, key: ObjectKey, config: Document, manager: str, *, force: bool, subresource: str = ""
) -> Result:
    """Server-side apply; creates the object if it is not there, unless through a subresource."""
    version = config.get("apiVersion") or ""
    if (version, config.get("kind")) != (kind.resource.api_version, kind.resource.kind):
        group, _, plain = version.rpartition("/")
        raise bad_request(f"invalid object type: {group}/{plain}, Kind={config.get('kind') or ''}")
    writer = session.writer(kind, manager, subresource)
    found = session.find(kind, key_of(*key))
    if found is None:
        if subresource:
            raise not_found(kind.group_resource, key.name)
        empty: Document = {"apiVersion": version, "kind": kind.resource.kind, **kind.blank}
        document = applied(writer, empty, config, force=force)
        session.note(session.repeated, kind)
        if metas.of(document).get("uid"):
            why = (
                f"uid mismatch: the provided object specified uid {document['metadata']['uid']}, "
                "and no existing object was found"
            )
            raise conflict(kind.group_resource, key.name, why)
        same_name(kind, key, document)
        return _create_tracked(session, kind, defaulted(kind, document))
    old = found.value
    new = parts.with_own_metadata(applied(writer, old, config, force=force))
    session.note(session.repeated, kind)
    same_name(kind, key, new, old)
    return _update(session, kind, found, old, defaulted(kind, new, old), subresource)


def found_for_update(session: Session, kind: Kind, key: ObjectKey, uid: str = "") -> Stored:
    """The object that is to be changed. Raises ``Failure``: 404, or 409 for another ``uid``."""
    found = session.find(kind, key_of(*key))
    if found is None:
        raise not_found(kind.group_resource, key.name)
    if uid and uid != found.uid:
        group = f"{kind.resource.group}/" if kind.custom and kind.resource.group else ""
        why = (
            f"StorageError: invalid object, Code: 4, Key: /registry/{group}{kind.resource.plural}/{found.key}, "
            "ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
            f"UID in precondition: {uid}, UID in object meta: {found.uid}"
        )
        raise conflict(kind.group_resource, key.name, why)
    return found


def same_name(kind: Kind, key: ObjectKey, document: Document, old: Document | None = None) -> None:
    """See that a document is about the object that the request is about. Raises ``Failure``: 400."""
    if fault := metas.shape_fault(document.get("metadata"), known=old and old.get("metadata")):
        raise bad_request(fault)
    metas.place(document, key.namespace)
    name = metas.of(document).get("name")
    if not name:
        text = f"the name of the object ({key.name} based on URL) was undeterminable: name must be provided"
        raise bad_request(text)
    if name != key.name:
        text = f"the name of the object ({name}) does not match the name on the URL ({key.name})"
        raise bad_request(text)


def update_tracked(session: Session, kind: Kind, found: Stored, old: Document, new: Document) -> Result:
    """Change an object whose managedFields are settled."""
    return _update(session, kind, found, old, new, "")


def _update(session: Session, kind: Kind, found: Stored, old: Document, new: Document, subresource: str) -> Result:
    new = session.mutated(kind, subresource, old, new)
    _check_version(kind, found, new)
    strategy = kind.strategy
    if subresource:
        new = parts.merged_parts(old, new, strategy.subresources[subresource])
    else:
        for part in strategy.main_keeps:
            if part in old:
                new[part] = old[part]
            else:
                new.pop(part, None)
    metadata, before = metas.of(new), metas.of(old)
    metadata["generation"] = before.get("generation", 0)
    if strategy.generation and not subresource and parts.differs(old, new, strategy.generation):
        metadata["generation"] += 1
    metas.keep(new, old)
    untidy = metas.tidy(new) and kind.custom
    new = session.admitted(kind, subresource, old, new)
    told = len(session.warnings)
    session.warn_of_finalizers(kind, new, old)
    faults: list[Fault] = []
    if not metas.stays(new, old):
        faults += [*metas.faults(kind, new, old), *(twice := list(metas.update_faults(new, old))), *twice]
    faults += session.faults(kind, new, old, subresource)
    if faults:
        del session.warnings[told:]
        raise invalid(kind.group_kind, found.name, faults)
    session.validated(kind, subresource, old, new)
    is_as_before = parts.keep_times(new, old)
    if _is_finished(kind, old, new):
        session.finish(kind, found, new)
        return Result(orjson.dumps(new), gone=True)
    if is_as_before and not found.untidy and not untidy:
        return Result(found.raw, changed=False)
    return Result(session.store(kind, new, old, subresource=subresource, untidy=untidy))


def _check_version(kind: Kind, found: Stored, new: Document) -> None:
    metadata = metas.of(new)
    version = metadata.get("resourceVersion") or ""
    if not version.isdigit() and version:
        raise Failure(500, "", f'strconv.ParseUint: parsing "{version}": invalid syntax')
    if int(version or 0) == 0:
        if not kind.strategy.unconditional_update:
            fault = invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(kind.group_resource, found.name, [fault])
        metadata["resourceVersion"] = str(found.version)
    elif int(version) != found.version:
        raise conflict(kind.group_resource, found.name)


def _is_finished(kind: Kind, old: Document, new: Document) -> bool:
    """Whether this update takes away the last thing that kept a deleted object."""
    before = metas.of(old)
    if metas.of(new).get("finalizers") or not before.get("deletionTimestamp"):
        return False
    if kind.strategy.remains is not None and kind.strategy.remains(new):
        return False
    return not before.get("deletionGracePeriodSeconds")
