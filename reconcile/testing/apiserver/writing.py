"""How objects come into being and change, inside one transaction.

A ``Session`` carries what one request's writes have in common. Its steps are those of the real server, in its order:
shape the document, note who owns what, write the server's own fields, run the hooks, check, store. A write that changes
nothing stores nothing. Pure: time, randomness and user are given. Source of the order: apiserver,
``registry/generic/registry/store.go`` and ``registry/rest``.
"""

import copy
import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import attrs
import orjson

from reconcile.kube.objects import ObjectKey
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver import names, walks
from reconcile.testing.apiserver.admission import User, Write, guarded
from reconcile.testing.apiserver.apply import Writer, apply, track
from reconcile.testing.apiserver.decoding import Blame, strict_failure
from reconcile.testing.apiserver.failure import (
    Document,
    Failure,
    Fault,
    GroupName,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    invalid_value,
    not_found,
)
from reconcile.testing.apiserver.registry import Registry
from reconcile.testing.apiserver.schema import MISSING, Schema
from reconcile.testing.apiserver.shaping import pruned, unknown, with_defaults, without_empties
from reconcile.testing.apiserver.storage import Stored, Transaction, key_of
from reconcile.testing.apiserver.strategy import ALL, Kind
from reconcile.testing.apiserver.validation import schema_faults

Change: TypeAlias = Callable[[Document], Document]
"""What an update makes of the live document; it leaves that alone and may share parts of it."""
_NAME_ATTEMPTS = 8


@attrs.frozen
class Result:
    """What a write led to. ``document`` is the object as the answer shows it."""

    document: Document
    created: bool = False
    changed: bool = True
    """Whether anything was stored."""
    gone: bool = False
    """Whether the object was removed for good."""


@attrs.define(eq=False)
class Session:
    """The writes of one request: made real together by whoever commits the transaction, or not at all."""

    registry: Registry
    transaction: Transaction
    user: User
    time: str
    rng: random.Random
    dry_run: bool = False
    needs_namespace: bool = True
    """Whether objects need a namespace that exists."""
    strictness: str = "Ignore"
    """What becomes of fields that a body has and its kind has not: Strict refuses, Warn says so."""
    blame: Blame | None = None
    """How an answer shows the document that a patch is to blame for; ``None``: bodies are no patches."""
    warnings: list[str] = attrs.field(factory=list)
    """What the answer is to warn of."""
    commits: list[tuple[Kind, Write]] = attrs.field(factory=list)
    """What ``after_commit`` hooks are to see, in order."""

    def create(self, kind: Kind, namespace: str, document: Document, manager: str) -> Result:
        """Create an object from a document, which is taken over.

        Raises:
            Failure: whatever the real server would refuse it with.
        """
        metadata = metas.of(document)
        if metadata.get("resourceVersion") not in (None, "", "0"):
            raise Failure(500, "", "resourceVersion should not be set on objects to be created")
        metas.place(document, namespace if kind.resource.namespaced else "")
        document = self.shaped(kind, document)
        document = track(self._writer(kind, manager, ""), None, document)
        return self.create_tracked(kind, document)

    def unstored(self, kind: Kind, document: Document, manager: str) -> Document:
        """A document of a kind whose objects are not kept, as the answer shows it."""
        return track(self._writer(kind, manager, ""), None, self.shaped(kind, document))

    def create_tracked(self, kind: Kind, document: Document) -> Result:
        """Create an object whose managedFields are settled."""
        metadata = metas.of(document)
        generated = not metadata.get("name") and bool(metadata.get("generateName"))
        for attempt in range(_NAME_ATTEMPTS if generated else 1):
            candidate = {**document, "metadata": dict(metadata)}
            if generated:
                candidate["metadata"]["name"] = names.generate(metadata["generateName"], self.rng)
            try:
                return self._create(kind, candidate, generated)
            except Failure as failure:
                if failure.status.get("reason") != "AlreadyExists" or attempt == _NAME_ATTEMPTS - 1 or not generated:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _create(self, kind: Kind, document: Document, generated: bool) -> Result:
        self._check_namespace(kind, document)
        metas.initialise(document, uid=str(uuid.UUID(int=self.rng.getrandbits(128), version=4)), time=self.time)
        for part in kind.strategy.main_keeps:
            document.pop(part, None)
        metadata = metas.of(document)
        metadata.pop("generation", None)
        if kind.strategy.generation:
            metadata["generation"] = 1
        untidy = metas.tidy(document)
        document = self._admitted(kind, "", None, document)
        self._warn_of_finalizers(kind, document, None)
        faults = [*self._faults(kind, document, None, ""), *metas.faults(kind, document)]
        if faults:
            raise invalid(kind.group_kind, metadata.get("name", ""), faults)
        key = key_of(metadata.get("namespace", ""), metadata["name"])
        found = self.transaction.get(kind.table, key)
        if found is not None:
            deleting = bool(metas.of(found.value).get("deletionTimestamp"))
            raise already_exists(kind.group_resource, metadata["name"], generated=generated, deleting=deleting)
        return Result(self.stored(kind, document, untidy=untidy), created=True)

    def update(
        self,
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
        found = self._found(kind, key, uid)
        old = found.value
        new = _with_own_metadata(change(old))
        self._same_name(kind, key, new)
        new = self.shaped(kind, new, old)
        new = track(self._writer(kind, manager, subresource), old, new)
        return self._update(kind, found, old, new, subresource)

    def replace(self, kind: Kind, key: ObjectKey, document: Document, manager: str, subresource: str = "") -> Result:
        """Put a document in place of an object, as PUT does."""
        self._same_name(kind, key, document)
        if (
            self.transaction.get(kind.table, key_of(*key)) is None
            and kind.strategy.create_on_update
            and not subresource
        ):
            metas.of(document).pop("resourceVersion", None)
            return self.create(kind, key.namespace, document, manager)
        uid = metas.of(document).get("uid") or ""
        return self.update(kind, key, lambda _: document, manager, subresource=subresource, uid=uid)

    def apply(
        self, kind: Kind, key: ObjectKey, config: Document, manager: str, *, force: bool, subresource: str = ""
    ) -> Result:
        """Server-side apply; creates the object if it is not there, unless through a subresource."""
        version = config.get("apiVersion") or ""
        if (version, config.get("kind")) != (kind.resource.api_version, kind.resource.kind):
            group, _, plain = version.rpartition("/")
            raise bad_request(f"invalid object type: {group}/{plain}, Kind={config.get('kind') or ''}")
        writer = self._writer(kind, manager, subresource)
        found = self.transaction.get(kind.table, key_of(*key))
        if found is None:
            if subresource:
                raise not_found(kind.group_resource, key.name)
            empty: Document = {"apiVersion": version, "kind": kind.resource.kind, **kind.blank}
            document = apply(writer, empty, config, force=force)
            if metas.of(document).get("uid"):
                why = (
                    f"uid mismatch: the provided object specified uid {document['metadata']['uid']}, "
                    "and no existing object was found"
                )
                raise conflict(kind.group_resource, key.name, why)
            self._same_name(kind, key, document)
            return self.create_tracked(kind, self._applied(kind, document))
        old = found.value
        new = _with_own_metadata(apply(writer, old, config, force=force))
        self._same_name(kind, key, new)
        return self._update(kind, found, old, self._applied(kind, new), subresource)

    def _applied(self, kind: Kind, document: Document) -> Document:
        return self._defaulted(kind, document)

    # -- the steps of an update ------------------------------------------------------------------------------------

    def _found(self, kind: Kind, key: ObjectKey, uid: str) -> Stored:
        found = self.transaction.get(kind.table, key_of(*key))
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

    def _same_name(self, kind: Kind, key: ObjectKey, document: Document) -> None:
        if fault := metas.shape_fault(document.get("metadata")):
            raise bad_request(fault)
        metas.place(document, key.namespace)
        name = metas.of(document).get("name")
        if not name:
            text = f"the name of the object ({key.name} based on URL) was undeterminable: name must be provided"
            raise bad_request(text)
        if name != key.name:
            text = f"the name of the object ({name}) does not match the name on the URL ({key.name})"
            raise bad_request(text)

    def _update(self, kind: Kind, found: Stored, old: Document, new: Document, subresource: str) -> Result:
        self._check_version(kind, found, new)
        strategy = kind.strategy
        if subresource:
            new = _merged_parts(old, new, strategy.subresources[subresource])
        else:
            for part in strategy.main_keeps:
                if part in old:
                    new[part] = old[part]
                else:
                    new.pop(part, None)
        metadata, before = metas.of(new), metas.of(old)
        metadata["generation"] = before.get("generation", 0)
        if strategy.generation and not subresource and _differs(old, new, strategy.generation):
            metadata["generation"] += 1
        metas.keep(new, old)
        untidy = metas.tidy(new)
        new = self._admitted(kind, subresource, old, new)
        self._warn_of_finalizers(kind, new, old)
        faults = [*metas.faults(kind, new, generic=True), *(twice := list(metas.update_faults(new, old))), *twice]
        faults += self._faults(kind, new, old, subresource)
        if faults:
            raise invalid(kind.group_kind, found.name, faults)
        _keep_times(new, old)
        if self._is_finished(kind, old, new):
            self.finish(kind, found, new)
            return Result(new, gone=True)
        if not found.untidy and not untidy and new == old and walks.equal(new, old):
            return Result(old, changed=False)
        return Result(self.stored(kind, new, old, untidy=untidy))

    def _check_version(self, kind: Kind, found: Stored, new: Document) -> None:
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

    def _is_finished(self, kind: Kind, old: Document, new: Document) -> bool:
        """Whether this update takes away the last thing that kept a deleted object."""
        before = metas.of(old)
        if metas.of(new).get("finalizers") or not before.get("deletionTimestamp"):
            return False
        if kind.strategy.remains is not None and kind.strategy.remains(new):
            return False
        return not before.get("deletionGracePeriodSeconds")

    def finish(self, kind: Kind, found: Stored, last: Document) -> None:
        """Remove an object for good."""
        self._admitted(kind, "", last, None)
        self.transaction.remove(kind.table, found.key)

    # -- what all writes share -------------------------------------------------------------------------------------

    def shaped(self, kind: Kind, document: Document, old: Document | None = None) -> Document:
        """A document as it is after decoding: of its kind, pruned, with defaults. ``old`` is one that already is so.

        Raises:
            Failure: 400 for metadata of the wrong types.
        """
        if fault := metas.shape_fault(document.get("metadata")):
            raise bad_request(fault)
        head = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind}
        document = {**head, **document, **head}
        known = pruned(kind.schema, document, old if old is not None else MISSING)
        if self.strictness != "Ignore" and known != document:
            self._note_unknown(kind, document)
        entries = metas.of(known).get("managedFields")
        known["metadata"] = dict(metas.of(known))
        metas.tidy(known)
        if entries == [] and not kind.custom:
            # a reset, which does not survive the decoding of a custom resource
            known["metadata"]["managedFields"] = entries
        return self._defaulted(kind, known)

    def _defaulted(self, kind: Kind, document: Document) -> Document:
        document = dict(with_defaults(kind.schema, document))
        if not kind.custom:
            document = {**copy.deepcopy(kind.blank), **without_empties(kind.schema, document)}
        document["metadata"] = dict(metas.of(document))
        if kind.hooks.default is not None or kind.hooks.allocate is not None:
            # hooks may change what is deep inside, and the old document may share it
            document = orjson.loads(orjson.dumps(document))
        if kind.hooks.default is not None:
            kind.hooks.default(document)
        return document

    def _note_unknown(self, kind: Kind, document: Document) -> None:
        problems = [f'unknown field "{name}"' for name in sorted(unknown(kind.schema, document))]
        self.note(problems, kind, document)

    def note(self, problems: list[str], kind: Kind, document: Document | None = None) -> None:
        """Refuse a body for its surplus fields, or warn of them, as was asked for."""
        if self.strictness == "Strict" and problems:
            shown = self.blame(document) if self.blame is not None and document is not None else None
            raise strict_failure(kind, problems, shown)
        self.warnings += problems

    def _writer(self, kind: Kind, manager: str, subresource: str) -> Writer:
        version = kind.resource.api_version

        def convert(document: Document, api_version: str) -> tuple[Schema, Document] | None:
            return (kind.schema, document) if api_version == version else None

        excluded = kind.strategy.resets(subresource)
        return Writer(manager, version, kind.schema, convert, self.time, subresource, excluded, kind.blank)

    def _admitted(self, kind: Kind, subresource: str, old: Document | None, new: Document | None) -> Document:
        """Run the hook that allocates; the answer is the new document, as the hook left it."""
        write = Write(self.user, kind, subresource, old, new, self.dry_run, Reach(self))
        if kind.hooks.allocate is not None:
            try:
                kind.hooks.allocate(write)
            except Exception as error:
                raise guarded(error) from error
        self.commits.append((kind, write))
        return write.new if write.new is not None else {}

    def ask_before_delete(self, kind: Kind, old: Document) -> None:
        """Let the kind refuse a deletion. Raises ``Failure``."""
        if kind.hooks.before_delete is not None:
            write = Write(self.user, kind, "", old, None, self.dry_run, Reach(self))
            try:
                kind.hooks.before_delete(write)
            except Exception as error:
                raise guarded(error) from error

    def _faults(self, kind: Kind, new: Document, old: Document | None, subresource: str) -> Iterator[Fault]:
        if kind.custom:
            only = kind.strategy.subresources[subresource] if subresource else None
            yield from schema_faults(kind.schema, new, old, only=only)
        if kind.hooks.validate is not None:
            write = Write(self.user, kind, "", old, new, self.dry_run, Reach(self))
            try:
                yield from list(kind.hooks.validate(write))
            except Exception as error:
                raise guarded(error) from error

    def stored(self, kind: Kind, document: Document, old: Document | None = None, *, untidy: bool = False) -> Document:
        """Put a document that has passed all steps; the answer is how a client sees it."""
        kept = self.transaction.put(kind.table, document, kind.selectable(document), untidy=untidy)
        if not self.dry_run:
            return kept.value
        # what is not stored gets no new version
        metadata = {name: value for name, value in metas.of(document).items() if name != "resourceVersion"}
        if old is not None:
            metadata["resourceVersion"] = metas.of(old)["resourceVersion"]
        return {**document, "metadata": metadata}

    def _warn_of_finalizers(self, kind: Kind, new: Document, old: Document | None) -> None:
        before = metas.of(old).get("finalizers") or [] if old is not None else []
        if kind.custom:
            for name in sorted(set(metas.of(new).get("finalizers") or []) - set(before)):
                self.warnings += metas.finalizer_warnings(name)

    def _check_namespace(self, kind: Kind, document: Document) -> None:
        namespace = metas.of(document).get("namespace") or ""
        if not (self.needs_namespace and kind.resource.namespaced and namespace):
            return
        found = self.transaction.get("namespaces", namespace)
        if found is None:
            raise not_found(GroupName("", "namespaces"), namespace)
        if metas.of(found.value).get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            failure = forbidden(kind.group_resource, metas.of(document).get("name") or "", why)
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            failure.status["details"]["causes"] = [cause]
            raise failure


@attrs.define(eq=False)
class Reach:
    """What a hook reaches: other objects, in the same session."""

    session: Session

    def get(self, resource: Resource[Any], key: ObjectKey) -> Document | None:
        found = self.session.transaction.get(resource.name, key_of(*key))
        return found.value if found is not None else None

    def list(self, resource: Resource[Any], namespace: str = "") -> Iterable[Document]:
        return [found.value for found in self.session.transaction.all(resource.name, namespace)]

    def create(self, resource: Resource[Any], document: Document) -> Document:
        namespace = (document.get("metadata") or {}).get("namespace") or ""
        return self.session.create(self._kind(resource), namespace, document, self.session.user.name).document

    def update(self, resource: Resource[Any], document: Document) -> Document:
        metadata = metas.of(document)
        key = ObjectKey(metadata.get("namespace") or "", metadata.get("name") or "")
        return self.session.replace(self._kind(resource), key, document, self.session.user.name).document

    def delete(self, resource: Resource[Any], key: ObjectKey) -> None:
        from reconcile.testing.apiserver.deleting import delete
        from reconcile.testing.apiserver.options import DeleteOptions

        delete(self.session, self._kind(resource), key, DeleteOptions())

    def _kind(self, resource: Resource[Any]) -> Kind:
        kind = self.session.registry.of(resource)
        if kind is None:
            raise not_found(GroupName(resource.group, resource.plural), "")
        return kind


def _with_own_metadata(document: Document) -> Document:
    """A document whose metadata nobody else has."""
    metadata = document.get("metadata")
    return {**document, "metadata": dict(metadata)} if isinstance(metadata, dict) else {**document}


def _merged_parts(old: Document, new: Document, parts: tuple[str, ...]) -> Document:
    """The old document with some parts of the new one, as a write through a subresource leaves it."""
    merged = dict(old)
    for part in parts:
        if part in new:
            merged[part] = new[part]
        else:
            merged.pop(part, None)
    metadata = dict(metas.of(merged))
    entries = metas.of(new).get("managedFields")
    metadata.pop("managedFields", None)
    if entries:
        metadata["managedFields"] = entries
    merged["metadata"] = metadata
    return merged


def _differs(old: Document, new: Document, parts: tuple[str, ...]) -> bool:
    if parts == ALL:
        parts = tuple((old.keys() | new.keys()) - {"metadata"})
    return any(not walks.equal(old.get(part), new.get(part)) for part in parts)


def _keep_times(new: Document, old: Document) -> None:
    """Where only the times of managedFields differ, nothing does: they go back to what they were."""
    after, before = metas.of(new).get("managedFields") or [], metas.of(old).get("managedFields") or []
    if not after or len(after) != len(before):
        return
    if any({**a, "time": None} != {**b, "time": None} for a, b in zip(after, before, strict=True)):
        return
    if walks.equal(_timeless(new), _timeless(old)):
        metas.of(new)["managedFields"] = before


def _timeless(document: Document) -> Document:
    metadata = {name: value for name, value in metas.of(document).items() if name != "managedFields"}
    return {**document, "metadata": metadata}
