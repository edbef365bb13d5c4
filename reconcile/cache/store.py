"""The local copy of one kind: some true past of the server's, and never a mixture of two.

A change of an object, of the indexes and of what is known about our own writes is one synchronous step, so no reader
sees half of it. What is older than what is known changes nothing. A whole list is put together aside (``Staging``) and
takes the place of what was there in one step too; what it lacks ends with its last known state. An object under the
name of another one is the end of that and a new one. Everything handed out is read-only; typed objects are made when
they are read and remembered, as many as ``typed_limit``, and let go of when they are past.

Pure: ``informer.py`` brings the events and tells who wants to know, ``cluster.py`` brings the answers to our writes.
"""

import builtins
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Final, Generic, TypeVar

from reconcile.cache.change import Change
from reconcile.cache.entry import Entry
from reconcile.cache.faults import Faults
from reconcile.cache.overlay import Lost, Overlay, is_newer
from reconcile.cache.staging import Staging
from reconcile.cache.table import Index, Table, Values
from reconcile.core.clock import Seconds
from reconcile.kube.codec import Codec
from reconcile.kube.objects import BadObject, ObjectKey, ObjectMeta
from reconcile.kube.resource import Resource

logger = logging.getLogger(__name__)
T = TypeVar("T")

EVERYWHERE: Final = ("",)


class UnknownIndex(LookupError):
    """No such index was declared for this kind."""


class Store(Generic[T]):
    """``namespaces``: those it covers, ``EVERYWHERE`` for all of them and for cluster-scoped kinds.

    ``in_scope`` says of an object that we wrote whether the watch selects it, ``None`` when that cannot be told here.
    ``overlay_ttl``: how long own writes are held against older events, in seconds.
    """

    def __init__(
        self,
        resource: Resource[T],
        *,
        cluster: str = "",
        namespaces: Sequence[str] = EVERYWHERE,
        indexes: Sequence[Index] = (),
        in_scope: Callable[[Entry], bool | None] = lambda entry: True,
        typed_limit: int = 1024,
        overlay_ttl: Seconds = 30.0,
    ) -> None:
        self.resource = resource
        self.cluster = cluster
        self.namespaces = tuple(namespaces)
        self.faults = Faults()
        """How often each index function failed."""
        self._in_scope = in_scope
        self._typed_limit = typed_limit
        self._typed: OrderedDict[Entry, T] = OrderedDict()
        self._former: dict[Entry, T] = {}
        self._codec: Codec[T] | None = None
        self._indexes = {index.name: (place, index) for place, index in enumerate(indexes)}
        if len(self._indexes) < len(indexes):
            raise ValueError(f"two indexes of {resource.name} have one name: {[index.name for index in indexes]}")
        self._needs_object = any(index.needs == "object" for index in indexes)
        self._tables = {namespace: Table(len(indexes)) for namespace in self.namespaces}
        self._everywhere = self._tables.get("")
        self._overlay = Overlay(overlay_ttl)

    # reading

    def get(self, key: ObjectKey) -> T | None:
        """The object, or ``None``.

        Raises:
            BadObject: the document does not fit the type; so do ``list`` and ``by``.
        """
        entry = self.entry(key)
        return None if entry is None else self.structure(entry)

    def meta(self, key: ObjectKey) -> ObjectMeta | None:
        """The head of an object; costs no decoding."""
        entry = self.entry(key)
        return None if entry is None else entry.meta

    def entry(self, key: ObjectKey) -> Entry | None:
        """What is kept of an object."""
        table = self._table(key[0])
        return None if table is None else table.get(key)

    def entries(self, namespace: str | None = None) -> Iterator[Entry]:
        """What is kept of all objects, or of those in one namespace. Not to be held across a change of the store."""
        for table in self._tables.values():
            yield from table.entries(namespace)

    def list(self, namespace: str | None = None) -> builtins.list[T]:
        """All objects, or those of one namespace."""
        return [self.structure(entry) for entry in self.entries(namespace)]

    def keys(self, namespace: str | None = None) -> builtins.list[ObjectKey]:
        """The keys of all objects, or of those in one namespace."""
        return [entry.key for entry in self.entries(namespace)]

    def by(self, index: str, value: Hashable) -> builtins.list[T]:
        """The objects that an index has under a value.

        Raises:
            UnknownIndex: it was not declared.
        """
        return [found for key in self.keys_by(index, value) if (found := self.get(key)) is not None]

    def keys_by(self, index: str, value: Hashable) -> builtins.list[ObjectKey]:
        """Their keys; costs no decoding.

        Raises:
            UnknownIndex: it was not declared.
        """
        if index not in self._indexes:
            known = ", ".join(self._indexes) or "none"
            raise UnknownIndex(f"{self.resource.name} has no index {index!r}; declared: {known}")
        place, _ = self._indexes[index]
        return [key for table in self._tables.values() for key in table.keys_by(place, value)]

    def __len__(self) -> int:
        return sum(len(table) for table in self._tables.values())

    def __contains__(self, key: ObjectKey) -> bool:
        return self.entry(key) is not None

    @property
    def bytes(self) -> int:
        """How long the kept documents are together."""
        return sum(table.bytes for table in self._tables.values())

    @property
    def unconfirmed(self) -> int:
        """How many own writes the watch has not shown yet."""
        return self._overlay.unconfirmed

    def structure(self, entry: Entry) -> T:
        """The typed object of an entry, remembered: as long as it is what is known, and a little longer.

        Raises:
            BadObject: the document does not fit the type.
        """
        typed = self._typed.get(entry)
        if typed is not None:
            self._typed.move_to_end(entry)
            return typed
        typed = self._former.pop(entry, None)
        if typed is None:
            typed = self._decode(entry)
        if self.entry(entry.key) is entry:
            self._typed[entry] = typed
            if len(self._typed) > self._typed_limit:
                self._typed.popitem(last=False)
        else:
            self._remember_former(entry, typed)
        return typed

    def _retire(self, entry: Entry) -> None:
        """It is no longer what is known: whoever is told of the change may still ask for it, and nobody later."""
        if (typed := self._typed.pop(entry, None)) is not None:
            self._remember_former(entry, typed)

    def _remember_former(self, entry: Entry, typed: T) -> None:
        self._former[entry] = typed
        if len(self._former) > _FORMER:
            del self._former[next(iter(self._former))]

    def _decode(self, entry: Entry) -> T:
        if self._codec is None:
            self._codec = self.resource.codec
        try:
            return self._codec.complete(entry.meta)
        except BadObject as error:
            what = f"{self.resource.name} {entry.key}: {error.what}"
            raise BadObject(what, where=error.where, excerpt=error.excerpt) from error

    # what the watch says

    def commit(self, entry: Entry) -> builtins.list[Change[T]]:
        """The watch shows a state of an object. Nothing happens if it is older than what is known."""
        table = self._table(entry.meta.namespace)
        if table is None or (self._overlay and not self._overlay.admits(entry.meta)):
            return []
        return self._put(table, entry)

    @property
    def awaits_own(self) -> bool:
        """Whether there may be own writes that the watch has not shown yet."""
        return bool(self._overlay)

    def confirm(self, meta: ObjectMeta) -> None:
        """The watch shows the state that is there: ``meta`` is its head in the store."""
        self._overlay.admits(meta)

    def remove(self, meta: ObjectMeta, now: Seconds) -> builtins.list[Change[T]]:
        """The watch shows the end of an object; ``meta`` is its head in that event."""
        table = self._table(meta.namespace)
        self._overlay.ended(meta.uid, meta.version, now)
        if table is None or (self._overlay and not self._overlay.admits_end(meta)):
            return []
        old = table.find(meta)
        if old is None or is_newer(old.meta, meta):
            return []
        return self._pop(table, old)

    def reached(self, resource_version: str, namespace: str = "") -> None:
        """The watch of one of ``namespaces`` has shown everything up to that version."""
        if self._overlay:
            self._overlay.reached(_number(resource_version), namespace)

    def replace(
        self, entries: Iterable[Entry], resource_version: str, namespace: str = "", *, now: Seconds
    ) -> builtins.list[Change[T]]:
        """A whole list at once. What is not in it has ended. ``informer.py`` stages large ones in slices instead."""
        staging = self.stage(namespace)
        for entry in entries:
            staging.add(entry)
        return [*self.swap(staging, resource_version, namespace, now=now)]

    def stage(self, namespace: str = "") -> Staging:
        """Begin to put a list of one of ``namespaces`` together; the store does not change before ``swap``."""
        return Staging(self._tables[namespace], self._values)

    def swap(
        self,
        staging: Staging,
        resource_version: str,
        namespace: str = "",
        *,
        now: Seconds,
        initial: bool = False,
        reset: bool = False,
    ) -> Iterator[Change[T]]:
        """Put a list in the place of what was there: done when this returns, only the changes are made as asked for.

        Own writes later than ``resource_version`` stay as they are, unless the server's history is another one
        (``reset``): then the list alone counts. ``initial`` marks the changes.
        """
        if reset:
            self._overlay.clear()
        else:
            staging.spare_own(self._overlay, _number(resource_version), namespace)
        pairs = staging.differences()
        for before, after in pairs:
            if before is not None:
                self._retire(before)
                if after is None:
                    self._overlay.ended(before.meta.uid, _number(resource_version), now)
        self._tables[namespace] = staging.table
        self._everywhere = self._tables.get("")
        return (self.change(old, new, initial=initial) for old, new in pairs)

    # what we did ourselves

    def own(self, entry: Entry, now: Seconds, *, is_own: bool = True) -> builtins.list[Change[T]]:
        """The answer to a write of ours, or to a live read. Older events and lists will not undo it.

        The watch may have overtaken it, and have shown the end of the object. Then a read is of no use any more, and a
        write stands until a list tells: it could also be that the server's history is another one.

        If by this write the object is no longer selected, it leaves the store, as the watch will say. Where that cannot
        be told (a field selector over what is not in the document), only an object that is there is changed.
        """
        meta = entry.meta
        table = self._table(meta.namespace)
        if table is None or self._overlay.is_dead(meta.uid) or (not is_own and self._overlay.is_overtaken(meta)):
            return []
        if _is_gone(meta):
            return self.own_delete(meta, now)
        old = table.find(meta)
        if old is not None and not is_newer(meta, old.meta):
            return []
        in_scope = self._in_scope(entry)
        if in_scope is None:
            in_scope = old is not None and old.meta.uid == meta.uid
        self._overlay.wrote(meta, now, is_awaited=in_scope or old is not None)
        if in_scope:
            return self._put(table, entry, is_own=is_own)
        return [] if old is None else self._pop(table, old, is_own=is_own)

    def own_delete(self, last: ObjectMeta, now: Seconds) -> builtins.list[Change[T]]:
        """The server says that what we deleted is gone. Late events of it will not bring it back.

        ``last`` is the last state known to who deleted it; without a uid, what is known here under its key is meant.
        """
        table = self._table(last.namespace)
        old = table.find(last) if table is not None else None
        is_it = old is not None and last.uid in ("", old.meta.uid)
        if old is not None and is_it and (not last.uid or is_newer(old.meta, last)):
            last = old.meta
        if table is None or not last.uid:
            return []
        self._overlay.deleted(last, now, is_awaited=is_it)
        # another object under that key ends too if it is older than the one that was deleted
        ends = is_it or (old is not None and 0 < old.meta.version < last.version)
        return self._pop(table, old, is_own=True) if old is not None and ends else []

    def expire(self, now: Seconds) -> Lost | None:
        """Stop holding own writes whose time is over; what the watch should have shown by now is returned."""
        return self._overlay.expire(now)

    def next_expiry(self) -> Seconds | None:
        """When the next own write will have been held long enough."""
        return self._overlay.next_expiry()

    def change(self, old: Entry | None, new: Entry | None, *, is_own: bool = False, initial: bool = False) -> Change[T]:
        """A change of this store, whoever tells it."""
        return Change(self.cluster, self.resource, old, new, is_own, initial, self.structure)

    # the one place where things change

    def _table(self, namespace: str) -> Table | None:
        return self._everywhere if self._everywhere is not None else self._tables.get(namespace)

    def _put(self, table: Table, entry: Entry, *, is_own: bool = False) -> builtins.list[Change[T]]:
        old = table.find(entry.meta)
        if old is not None and not is_newer(entry.meta, old.meta):
            return []
        table.put(entry, self._values(entry))
        if old is not None:
            self._retire(old)
            if old.meta.uid != entry.meta.uid:
                return [self.change(old, None, is_own=is_own), self.change(None, entry, is_own=is_own)]
        return [self.change(old, entry, is_own=is_own)]

    def _pop(self, table: Table, old: Entry, *, is_own: bool = False) -> builtins.list[Change[T]]:
        table.pop(old.key)
        self._retire(old)
        return [self.change(old, None, is_own=is_own)]

    def _values(self, entry: Entry) -> Values:
        if not self._indexes:
            return ()
        return tuple(self._values_of(index, entry) for _, index in self._indexes.values())

    def _values_of(self, index: Index, entry: Entry) -> tuple[Hashable, ...]:
        try:
            return index.values(entry.meta if index.needs == "meta" else self.structure(entry))
        except Exception as error:
            what = "an index function failed, so the index will not find this object"
            facts = {"cluster": self.cluster, "resource": self.resource.name, "object": entry.key}
            self.faults.note(logger, what, index.name, error, **facts)
            return ()


_FORMER: Final = 64
"""Typed objects of states that are past: handlers look at both sides of a change."""


def _is_gone(meta: ObjectMeta) -> bool:
    """Whether this is the last state of an object: a write that takes the last finalizer away ends it.

    Source: ``ShouldDeleteDuringUpdate`` of k8s.io/apiserver.
    """
    return meta.is_deleting and not meta.finalizers and not meta.deletion_grace_period_seconds


def _number(resource_version: str) -> int:
    """0 if it is none: then order cannot be told."""
    return int(resource_version) if resource_version.isdigit() else 0
