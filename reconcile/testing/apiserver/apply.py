"""What a write does to a document and to the ownership of its fields.

``apply`` merges a configuration into a live document: fields the applier no longer lists go, fields that others own
are a conflict unless forced. ``track`` records who changed what by any other write. Pure; documents are left alone.
Source of the rules: structured-merge-diff, ``merge/update.go``, and the chain of field managers in apimachinery.
"""

from collections.abc import Iterable
from typing import Any, Final

import attrs
import orjson

from reconcile.testing.apiserver import fields as fieldsets
from reconcile.testing.apiserver import fitting, walks
from reconcile.testing.apiserver import managers as managing
from reconcile.testing.apiserver.comparing import Difference, compare
from reconcile.testing.apiserver.dropping import Converter, without_dropped
from reconcile.testing.apiserver.failure import Document, Failure, bad_request
from reconcile.testing.apiserver.fields import EMPTY, FieldSet, Path
from reconcile.testing.apiserver.managers import BEFORE_FIRST_APPLY, BadEntry, Manager, Managers, Owned
from reconcile.testing.apiserver.merging import merge
from reconcile.testing.apiserver.schema import Schema

_NEVER_OWNED = fieldsets.of_paths(
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
)
KUBECTL: Final = "kubectl"
"""The manager of ``kubectl apply --server-side``."""
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_SELF = Manager("current-operation", managing.UPDATE)


@attrs.frozen
class Writer:
    """One write's point of view: who writes, through which subresource and version, and when.

    ``excluded`` are the fields that the kind resets in such a write: nobody comes to own them by it.
    """

    name: str
    api_version: str
    schema: Schema
    convert: Converter
    time: str
    subresource: str = ""
    excluded: FieldSet = EMPTY
    blank: Document = attrs.field(factory=dict)
    """What an object of the kind holds before anything is set: the parts that Go keeps by value."""


class Conflicts(Exception):
    """Fields of the configuration that others own: pairs of manager and path."""

    def __init__(self, conflicts: Iterable[tuple[Manager, Path]]) -> None:
        self.conflicts = sorted(conflicts, key=lambda pair: pair[0].identifier)
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The text of the answer."""
        if len(self.conflicts) == 1:
            [(manager, path)] = self.conflicts
            return f"Apply failed with 1 conflict: conflict with {manager}: {fieldsets.say(path)}"
        lines = []
        for manager in dict.fromkeys(manager for manager, _ in self.conflicts):
            lines.append(f"conflicts with {manager}:")
            lines += [f"- {fieldsets.say(path)}" for owner, path in self.conflicts if owner == manager]
        return f"Apply failed with {len(self.conflicts)} conflicts: " + "\n".join(lines)

    def as_failure(self) -> Failure:
        """The 409 of the real server, one cause a field."""
        causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": fieldsets.say(path)}
            for manager, path in self.conflicts
        ]
        return Failure(409, "Conflict", self.message, {"causes": causes})


def apply(writer: Writer, live: Document, config: Document, *, force: bool = False) -> Document:
    """``live`` with ``config`` applied, its managedFields brought up to date.

    ``live`` is an empty document of the kind when the object is to be created.

    Raises:
        Failure: 409 with the conflicts, 400 for a configuration that brings managedFields, 500 for one that does not
            fit the schema, as the real server answers.
    """
    if (config.get("metadata") or {}).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    try:
        managers: Managers = managing.decode((live.get("metadata") or {}).get("managedFields"))
    except BadEntry as error:
        raise Failure(500, "", f"failed to decode managed fields: {error}") from error
    _check(writer, config, "failed to create typed patch object", duplicates=False)
    _check(writer, live, "failed to create typed live object", duplicates=True)
    try:
        managers = _reconciled(writer, live, managers)
    except walks.BadDocument as error:
        # in another version, whose fields somebody owns
        raise Failure(500, "", str(error)) from error
    if not managers:
        before = attrs.evolve(writer, name=BEFORE_FIRST_APPLY)
        empty = {**writer.blank, "apiVersion": live.get("apiVersion"), "kind": live.get("kind")}
        managers = managing.capped(_tracked(before, empty, live, managers))
    applier = Manager.applier(writer.name, writer.subresource)
    try:
        try:
            merged, managers = _apply(writer, live, config, managers, applier, force)
        except Conflicts as conflicts:
            rest = _after_client_side(writer, live, conflicts)
            if rest:
                raise Conflicts(rest) from conflicts
            merged, managers = _apply(writer, live, config, managers, applier, True)
    except Conflicts as conflicts:
        raise conflicts.as_failure() from conflicts
    merged = _with_last_applied(writer, merged, config)
    changed = not walks.equal(live, merged)
    managers = _without_head(managers, applier)
    if changed and applier in managers:
        managers = {**managers, applier: managers[applier]._replace(time=writer.time)}
    return _with_managers(merged if changed else live, managers)


def _after_client_side(writer: Writer, live: Document, conflicts: Conflicts) -> list[tuple[Manager, Path]]:
    """The conflicts that count: kubectl may take over what its client-side apply has set and nobody changed since."""
    last = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if writer.name != KUBECTL or not last:
        return conflicts.conflicts
    try:
        applied = orjson.loads(last)
        if applied.get("apiVersion") != writer.api_version:
            return conflicts.conflicts
        fitting.check(writer.schema, applied, duplicates=False)
        allowed = walks.field_set(writer.schema, applied)
    except (orjson.JSONDecodeError, AttributeError, walks.BadDocument):
        return conflicts.conflicts
    for other in compare(writer.schema, applied, live):
        allowed = fieldsets.difference(allowed, other)
    return [(manager, path) for manager, path in conflicts.conflicts if not fieldsets.has(allowed, path)]


def _with_last_applied(writer: Writer, document: Document, config: Document) -> Document:
    """kubectl's client-side apply, once it was used, is kept able to go on."""
    metadata = document.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if writer.name != KUBECTL or not annotations.get(LAST_APPLIED):
        return document
    own = dict(config.get("metadata") or {})
    if LAST_APPLIED in (own.get("annotations") or {}):
        own["annotations"] = {name: one for name, one in own["annotations"].items() if name != LAST_APPLIED}
    text = orjson.dumps({**config, "metadata": own}, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    return {**document, "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: text}}}


def track(writer: Writer, live: Document | None, new: Document) -> Document:
    """``new`` with its managedFields brought up to date after any write that is no apply.

    ``live`` is ``None`` when the object is being created. A client may bring managedFields of its own with ``new``; an
    empty list makes the server forget all managers.
    """
    before = live
    if before is None:
        before = {**writer.blank, "apiVersion": new.get("apiVersion"), "kind": new.get("kind")}
    of_live = (before.get("metadata") or {}).get("managedFields")
    of_new = (new.get("metadata") or {}).get("managedFields")
    managers: Managers = {}
    if writer.subresource or of_new is of_live:
        managers = _decoded_or_none(of_live)
    elif not managing.is_reset(of_new):
        managers = _told_or_none(of_new) or _decoded_or_none(of_live)
    if managers or live is None:
        try:
            fitting.check(writer.schema, new, duplicates=True, known=before)
            managers = _reconciled(writer, new, managers)
            managers = managing.capped(_tracked(writer, before, new, managers))
        except walks.BadDocument:
            # such an object keeps the managers it has
            return _with_entries(new, of_live)
    return _with_managers(new, managers)


def _reconciled(writer: Writer, document: Document, managers: Managers) -> Managers:
    """The managers in the words of the schemas of today."""
    result = {}
    for manager, owned in managers.items():
        found = writer.convert(document, owned.api_version)
        if found is not None:
            fields = walks.reconciled(found[0], owned.fields)
            result[manager] = owned if fields is owned.fields else owned._replace(fields=fields)
    return result


def _told_or_none(entries: Any) -> Managers:
    try:
        return managing.told(entries)
    except BadEntry:
        return {}


def _decoded_or_none(entries: Any) -> Managers:
    try:
        return managing.decode(entries)
    except BadEntry:
        return {}


def _check(writer: Writer, document: Document, what: str, *, duplicates: bool) -> None:
    try:
        fitting.check(writer.schema, document, duplicates=duplicates)
    except walks.BadDocument as error:
        metadata = document.get("metadata") or {}
        group, _, version = writer.api_version.rpartition("/")
        kind = f"{group}/{version}, Kind={document.get('kind')}"
        name = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {kind}"
        raise Failure(500, "", f"{what} ({name}): {error}") from error


def _tracked(writer: Writer, live: Document, new: Document, managers: Managers) -> Managers:
    """The managers after an update: whatever it changed is the writer's, nobody else's."""
    rest, difference = _disowned(writer, live, new, dict(managers), _SELF, force=True)
    mine = fieldsets.difference(difference.changed, _NEVER_OWNED)
    if mine:
        updater = Manager.updater(writer.name, writer.api_version, writer.subresource)
        if updater in rest:
            mine = fieldsets.union(mine, rest[updater].fields)
        rest[updater] = Owned(mine, writer.api_version, writer.time)
    return rest


def _apply(
    writer: Writer, live: Document, config: Document, managers: Managers, applier: Manager, force: bool
) -> tuple[Document, Managers]:
    merged = merge(writer.schema, live, config)
    last = managers.get(applier)
    mine = fieldsets.recursive_difference(walks.field_set(writer.schema, config), writer.excluded)
    after = {**managers, applier: Owned(mine, writer.api_version, last.time if last else None)}
    pruned = without_dropped(writer.convert, writer.api_version, merged, after, last)
    rest, _ = _disowned(writer, live, pruned, after, applier, force=force)
    return pruned, rest


def _disowned(
    writer: Writer, live: Document, new: Document, managers: dict[Manager, Owned], workflow: Manager, *, force: bool
) -> tuple[dict[Manager, Owned], Difference]:
    """The managers without what this write changed or removed, and what it changed.

    Raises:
        Conflicts: others own what it changed, and it may not take it.
    """
    own = compare(writer.schema, live, new).without(writer.excluded)
    by_version = {writer.api_version: (own, own.changed)}
    if not (own.removed or own.modified or own.added) and all(
        owned.api_version == writer.api_version for owned in managers.values()
    ):
        return {manager: owned for manager, owned in managers.items() if owned.fields}, own
    conflicts: dict[Manager, FieldSet] = {}
    removed: dict[Manager, FieldSet] = {}
    for manager, owned in list(managers.items()):
        if manager == workflow:
            continue
        if owned.api_version not in by_version:
            old_one, new_one = writer.convert(live, owned.api_version), writer.convert(new, owned.api_version)
            if old_one is None or new_one is None:
                del managers[manager]
                continue
            other = compare(old_one[0], old_one[1], new_one[1]).without(writer.excluded)
            by_version[owned.api_version] = (other, other.changed)
        difference, changed = by_version[owned.api_version]
        taken = fieldsets.intersection(owned.fields, changed)
        if taken:
            conflicts[manager] = taken
        if difference.removed:
            removed[manager] = difference.removed
    if conflicts and not force:
        raise Conflicts((manager, path) for manager, taken in conflicts.items() for path in fieldsets.paths(taken))
    for lost in (conflicts, removed):
        for manager, gone in lost.items():
            owned = managers[manager]
            managers[manager] = owned._replace(fields=fieldsets.difference(owned.fields, gone))
    left = {manager: owned for manager, owned in managers.items() if owned.fields}
    return left, own


def _without_head(managers: Managers, manager: Manager) -> Managers:
    owned = managers.get(manager)
    if owned is None:
        return managers
    fields = fieldsets.difference(owned.fields, _NEVER_OWNED)
    rest = {other: theirs for other, theirs in managers.items() if other != manager}
    return {**rest, manager: owned._replace(fields=fields)} if fields else rest


def _with_managers(document: Document, managers: Managers) -> Document:
    return _with_entries(document, managing.encode(managers))


def _with_entries(document: Document, entries: Any) -> Document:
    metadata = dict(document.get("metadata") or {})
    metadata.pop("managedFields", None)  # they come last
    if entries:
        metadata["managedFields"] = entries
    return {**document, "metadata": metadata}
