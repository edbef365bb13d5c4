"""What all writes of one request share.

A ``Session`` holds the transaction they go into, who makes them and when, and what the answer is to warn of. Its
methods are the steps that every kind of write takes: decode, run the hooks, check, store. Pure: time, randomness and
user are given.
"""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Final

import attrs
import orjson

from reconcile.testing.apiserver import embedded, fitting, scaling
from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver.admission import User, World, Write, guarded
from reconcile.testing.apiserver.admitting import Admission
from reconcile.testing.apiserver.apply import Writer
from reconcile.testing.apiserver.decoding import Blame, strict_failure
from reconcile.testing.apiserver.failure import Document, Fault
from reconcile.testing.apiserver.forming import formed
from reconcile.testing.apiserver.matching import Attributes
from reconcile.testing.apiserver.registry import Registry
from reconcile.testing.apiserver.schema import Schema
from reconcile.testing.apiserver.shaping import unknown
from reconcile.testing.apiserver.storage import Stored, Transaction
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.validation import schema_faults

_BLOCKING: Final = (
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
)
_UNCHECKED: Final = (
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation"
)


@attrs.define(eq=False)
class Session:
    """The writes of one request: made real together by whoever commits the transaction, or not at all."""

    registry: Registry
    transaction: Transaction
    user: User
    time: str
    rng: random.Random
    world: Callable[["Session"], World]
    """What hooks are handed to reach other objects."""
    gate: Callable[[Write], None] | None = None
    """Refuses writes that would give more rights than their writer has."""
    admission: Admission | None = None
    """Who else is asked; ``None``: nobody is, as for the server's own writes."""
    dry_run: bool = False
    needs_namespace: bool = True
    """Whether objects need a namespace that exists."""
    strictness: str = "Ignore"
    """What becomes of fields that a body has and its kind has not: Strict refuses, Warn says so."""
    blame: Blame | None = None
    """How an answer shows the document that a patch is to blame for; ``None``: bodies are no patches."""
    repeated: list[str] = attrs.field(factory=list)
    """What is to be said of fields that the body sets twice; nothing under strictness Ignore."""
    warnings: list[str] = attrs.field(factory=list)
    """What the answer is to warn of."""
    done: list[Write] = attrs.field(factory=list)
    """What was stored or removed, in order: what ``after_commit`` hooks are to see."""
    _reach: World | None = attrs.field(default=None, init=False)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """A part of the session that leaves nothing behind when it fails."""
        changes, done, warnings = len(self.transaction.events), len(self.done), len(self.warnings)
        try:
            yield
        except Exception:
            self.transaction.undo(changes)
            del self.done[done:], self.warnings[warnings:]
            raise

    # -- bodies ----------------------------------------------------------------------------------------------------

    def formed(self, kind: Kind, document: Document, old: Document | None = None) -> Document:
        """A body as an object of its kind; a surplus field of it is refused, told or passed over as was asked for."""
        problems, self.repeated = self.repeated, []

        def cut(body: Document) -> None:
            names = unknown(kind.schema, body)
            # Go's decoder meets them one by one, the pruning of custom resources sorts them
            problems.extend(f'unknown field "{name}"' for name in (sorted(names) if kind.custom else names))

        result = formed(kind, document, old, cut=None if self.strictness == "Ignore" else cut)
        self.note(problems, kind, document)
        return result

    def note(self, problems: list[str], kind: Kind, document: Document | None = None) -> None:
        """Refuse a body for its surplus fields, or warn of them, as was asked for."""
        if self.strictness == "Strict" and problems:
            shown = self.blame(document) if self.blame is not None and document is not None else None
            raise strict_failure(kind, problems, shown)
        self.warnings += problems

    def writer(self, kind: Kind, manager: str, subresource: str = "") -> Writer:
        """Who comes to own what is written."""
        version = kind.resource.api_version

        def convert(document: Document, api_version: str) -> tuple[Schema, Document] | None:
            if api_version == version:
                return kind.schema, document
            group, _, other = api_version.rpartition("/")
            family = kind.family
            if family is None or group != family.group or other not in family.schemas:
                return None
            converted = family.raw(document, other)
            fitting.check(family.schemas[other], converted, duplicates=True)
            return family.schemas[other], converted

        excluded = kind.strategy.resets(subresource)
        return Writer(manager, version, kind.schema, convert, self.time, subresource, excluded, kind.blank)

    # -- hooks and checks ------------------------------------------------------------------------------------------

    def admitted(self, kind: Kind, subresource: str, old: Document | None, new: Document | None) -> Document:
        """Run the hook that allocates; the answer is the new document, as the hook left it."""
        write = self._write(kind, subresource, old, new)
        if self.gate is not None:
            self.gate(write)
        if kind.hooks.allocate is None:
            return new if new is not None else {}
        before = orjson.dumps(new)
        write.new = orjson.loads(before)  # hooks may change what is deep inside, and the old document may share it
        with guarded():
            kind.hooks.allocate(write)
        return new if new is not None and orjson.dumps(write.new) == before else write.new or {}

    def mutated(self, kind: Kind, subresource: str, old: Document | None, new: Document) -> Document:
        """The new object as mutating webhooks leave it. Raises ``Failure``, ``Pending``."""
        if self.admission is None:
            return new

        def reform(document: Document) -> Document:
            return formed(kind, document, old)

        attributes = self._attributes(kind, subresource, old, new)
        found = self.admission.mutate(attributes, reform, self.warnings)
        return found if found is not None else new

    def validated(self, kind: Kind, subresource: str, old: Document | None, new: Document | None) -> None:
        """Let a write pass policies and validating webhooks, or not. Raises ``Failure``, ``Pending``."""
        if self.admission is not None:
            self.admission.validate(self._attributes(kind, subresource, old, new), self.warnings)

    def _attributes(self, kind: Kind, subresource: str, old: Document | None, new: Document | None) -> Attributes:
        operation = "DELETE" if new is None else "CREATE" if old is None else "UPDATE"
        metadata = metas.of(new or old or {})
        name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
        return Attributes(kind, operation, subresource, name, namespace, self.user, old, new, self.dry_run)

    def ask_before_delete(self, kind: Kind, old: Document) -> None:
        """Let the kind, webhooks and policies refuse a deletion. Raises ``Failure``, ``Pending``."""
        if self.admission is not None:
            attributes = self._attributes(kind, "", old, None)
            self.admission.mutate(attributes, dict, self.warnings)
            self.validated(kind, "", old, None)
        if kind.hooks.before_delete is not None:
            with guarded():
                kind.hooks.before_delete(self._write(kind, "", old, None))

    def faults(self, kind: Kind, new: Document, old: Document | None, subresource: str) -> list[Fault]:
        """What schema and hooks find wrong."""
        faults: list[Fault] = []
        if kind.custom:
            only = kind.strategy.subresources[subresource] if subresource else None
            faults += schema_faults(kind.schema, new, old, only=only)
            if only is None:
                faults += embedded.faults(kind.schema, new)
            if kind.strategy.scale is not None:
                faults += scaling.faults(kind.strategy.scale, new, status_only=bool(subresource))
        if kind.rules is not None:
            if any(fault.reason in _BLOCKING for fault in faults):
                faults.append(Fault("<nil>", "FieldValueInvalid", _UNCHECKED))
            else:
                judged = kind.rules(new, old)
                faults += judged.faults
                self.warnings += judged.warnings
        if kind.hooks.validate is not None:
            with guarded():
                faults += kind.hooks.validate(self._write(kind, subresource, old, new))
        if kind.hooks.warn is not None and not faults:
            self.warnings += kind.hooks.warn(self._write(kind, subresource, old, new))
        return faults

    def warn_of_finalizers(self, kind: Kind, new: Document, old: Document | None) -> None:
        """Note what is unwise about new finalizers."""
        before = metas.of(old).get("finalizers") or [] if old is not None else []
        if kind.custom:
            for name in sorted(set(metas.of(new).get("finalizers") or []) - set(before)):
                self.warnings += metas.finalizer_warnings(name)

    def _write(self, kind: Kind, subresource: str, old: Document | None, new: Document | None) -> Write:
        if self._reach is None:
            self._reach = self.world(self)
        return Write(self.user, kind, subresource, old, new, self.dry_run, self._reach, self.time)

    def find(self, kind: Kind, key: str) -> Stored | None:
        """An object as its kind shows it, changes of this session included."""
        found = self.transaction.get(kind.table, key)
        return kind.seen(found) if found is not None else None

    # -- ends ------------------------------------------------------------------------------------------------------

    def store(
        self,
        kind: Kind,
        document: Document,
        old: Document | None = None,
        *,
        subresource: str = "",
        untidy: bool = False,
    ) -> bytes:
        """Put a document that has passed all steps; the answer is how a client sees it."""
        as_kept = kind.kept(document)
        kept = self.transaction.put(kind.table, as_kept, kind.selectable_as_kept(as_kept), untidy=untidy)
        if kind.family is not None:
            if self.admission is not None:
                # whoever watches another version cannot wait for the conversion
                for other in self.registry.all_of_table(kind.table):
                    other.seen(kept)
            kept = kind.seen(kept)
        if kind.hooks.after_commit is not None:
            self.done.append(self._write(kind, subresource, old, kept.value))
        if not self.dry_run:
            return kept.raw
        # what is not stored gets no new version
        metadata = {name: value for name, value in metas.of(document).items() if name != "resourceVersion"}
        if old is not None:
            metadata["resourceVersion"] = metas.of(old)["resourceVersion"]
        return orjson.dumps({**document, "metadata": metadata})

    def finish(self, kind: Kind, found: Stored, last: Document) -> bytes:
        """Remove an object for good; the answer is its last state, at the version of its end unless that was no end."""
        self.admitted(kind, "", last, None)
        version = self.transaction.remove(kind.table, found.key)
        if kind.hooks.after_commit is not None:
            self.done.append(self._write(kind, "", last, None))
        if self.dry_run:
            return orjson.dumps(last)
        return orjson.dumps({**last, "metadata": {**metas.of(last), "resourceVersion": str(version)}})
