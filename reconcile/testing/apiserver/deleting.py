"""How objects go: at once, or in steps while finalizers, a grace period or their kind keep them.

Pure. Source of the rules: apiserver, ``registry/generic/registry/store.go`` (Delete) and ``registry/rest/delete.go``.
"""

import datetime as dt

from reconcile.kube.objects import ObjectKey
from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver.failure import Document, GroupName, conflict, not_found
from reconcile.testing.apiserver.managers import timestamp
from reconcile.testing.apiserver.metadata import FOREGROUND, ORPHAN
from reconcile.testing.apiserver.options import Selection
from reconcile.testing.apiserver.orders import DeleteOptions
from reconcile.testing.apiserver.session import Session
from reconcile.testing.apiserver.storage import Stored, key_of
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.writing import Result


def delete(session: Session, kind: Kind, key: ObjectKey, options: DeleteOptions) -> Result:
    """Delete an object, or begin to.

    Raises:
        Failure: 404, or 409 when a precondition does not hold.
    """
    found = session.find(kind, key_of(*key))
    if found is None:
        raise not_found(kind.group_resource, key.name)
    old = found.value
    _check(kind, found, options)
    session.ask_before_delete(kind, old)
    new = {**old, "metadata": dict(metas.of(old))}
    metadata = metas.of(new)
    grace = _grace(session, kind, new, options)
    if grace is None:
        return Result(found.raw, changed=False)
    if kind.strategy.mark is not None and not metadata.get("deletionTimestamp"):
        kind.strategy.mark(new, session.time)
    finalizers = _finalizers(metadata.get("finalizers") or [], options)
    metadata.pop("finalizers", None)
    if finalizers:
        metadata["finalizers"] = finalizers
    stays = bool(finalizers) or grace > 0 or (kind.strategy.remains is not None and kind.strategy.remains(new))
    if not stays and kind.strategy.grace is None:
        return Result(session.finish(kind, found, old), gone=True)
    if not metas.of(old).get("deletionTimestamp"):
        if metadata.get("generation") and kind.strategy.mark is None:
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = timestamp(_moment(session.time) + dt.timedelta(seconds=grace))
    if kind.strategy.mark is None:
        metadata["deletionGracePeriodSeconds"] = grace
    if not stays:
        # such a kind is told of its deletion even if no time is left
        session.store(kind, new, old)
        return Result(session.finish(kind, found, new), gone=True)
    if new == old:
        return Result(found.raw, changed=False)
    return Result(session.store(kind, new, old))


def delete_all(session: Session, kind: Kind, selection: Selection, options: DeleteOptions) -> list[Document]:
    """Delete every object that is selected; the answer is what there was, in the order of the names."""
    state = map(kind.seen, session.transaction.all(kind.table, selection.namespace))
    chosen = [one for one in state if selection.matches(one)]
    for one in chosen:
        if session.transaction.get(kind.table, one.key) is not None:
            delete(session, kind, ObjectKey(one.namespace, one.name), options)
    return [one.value for one in chosen]


def _check(kind: Kind, found: Stored, options: DeleteOptions) -> None:
    if kind.strategy.mark is not None:
        for name, asked, live in (("UID", options.uid, found.uid), ("ResourceVersion", options.version, found.version)):
            if asked and asked != str(live):
                why = f"Precondition failed: {name} in precondition: {asked}, {name} in object meta: {live}"
                raise conflict(kind.group_resource, found.name, why)
        return
    subject = GroupName(kind.resource.group, kind.resource.kind)
    if options.uid and options.uid != found.uid:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({found.uid}). "
            "The object might have been deleted and then recreated"
        )
        raise conflict(subject, found.name, why)
    if options.version and options.version != str(found.version):
        why = (
            f"the ResourceVersion in the precondition ({options.version}) does not match the ResourceVersion in record "
            f"({found.version}). The object might have been modified"
        )
        raise conflict(subject, found.name, why)


def _grace(session: Session, kind: Kind, document: Document, options: DeleteOptions) -> int | None:
    """Seconds the object still has; ``None`` when it is being deleted already and has no more time than asked for."""
    if kind.strategy.grace is None:
        return 0
    asked = kind.strategy.grace(document, options.grace_seconds)
    metadata = metas.of(document)
    if not metadata.get("deletionTimestamp"):
        return asked
    left = metadata.get("deletionGracePeriodSeconds") or 0
    if not left:
        return 0
    if asked >= left:
        return None
    moved = _moment(metadata["deletionTimestamp"]) - dt.timedelta(seconds=left - asked)
    now = _moment(session.time)
    if moved < now:
        moved, asked = now, 1 if asked else 0
    metadata["deletionTimestamp"] = timestamp(moved)
    return asked


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _finalizers(finalizers: list[str], options: DeleteOptions) -> list[str]:
    """The finalizers with those of the garbage collector put in or taken out, as the deletion asks for."""
    orphan, foreground = ORPHAN in finalizers, FOREGROUND in finalizers
    if options.orphan is not None:
        orphan, foreground = options.orphan, False
    elif options.propagation:
        orphan, foreground = options.propagation == "Orphan", options.propagation == "Foreground"
    wanted = [name for name in finalizers if name not in (ORPHAN, FOREGROUND)]
    wanted += [ORPHAN] if orphan else []
    wanted += [FOREGROUND] if foreground else []
    return finalizers if set(wanted) == set(finalizers) else wanted
