"""Every object, under one resource version that only grows, and what led to it.

A ``Transaction`` collects changes and makes them real all at once or not at all; each change gets a version of its own.
A table remembers a bounded part of its history, which serves watches from a past version and lists at one. Objects are
kept as the bytes that go to clients; ``Stored.value`` parses them anew each time, so what a caller does with it is its
own affair. Pure: it neither waits nor knows the time.
"""

import bisect
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import attrs
import orjson

from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.remembering import remembered

_NO_TEXTS: Mapping[str, str] = MappingProxyType({})
FIRST_VERSION = 1


@attrs.frozen(eq=False)
class Stored:
    """One object at one version. ``fields`` are the values that field selectors may ask for, by name."""

    namespace: str
    name: str
    uid: str
    version: int
    raw: bytes
    labels: Mapping[str, str] = _NO_TEXTS
    fields: Mapping[str, str] = _NO_TEXTS
    untidy: bool = False
    """The real server would have stored it with empty lists or maps in its metadata, which reads do not show: its next
    update is a change even if it changes nothing."""

    @property
    def key(self) -> str:
        """``namespace/name``, or the name alone where there is no namespace."""
        return key_of(self.namespace, self.name)

    @property
    def value(self) -> Document:
        """The document, freshly parsed: the caller's own."""
        return orjson.loads(self.raw)  # type: ignore[no-any-return]


def key_of(namespace: str, name: str) -> str:
    """By which an object is found in its table, and sorted."""
    return f"{namespace}/{name}" if namespace else name


def stored(document: Document, version: int, fields: Mapping[str, str] = _NO_TEXTS, *, untidy: bool = False) -> Stored:
    """``document`` as it is kept at ``version``."""
    metadata = {**document["metadata"], "resourceVersion": str(version)}
    # what kind it is comes first: readers rely on it
    head = {"apiVersion": document["apiVersion"], "kind": document["kind"]}
    raw = orjson.dumps({**head, **document, "metadata": metadata})
    return Stored(
        sys.intern(metadata.get("namespace", "")),
        metadata["name"],
        metadata.get("uid", ""),
        version,
        bytes(memoryview(raw)),  # a copy: the encoder's own has room for kilobytes at its end
        _shared(metadata.get("labels")),
        fields or _NO_TEXTS,
        untidy,
    )


def _shared(texts: Mapping[str, str] | None) -> Mapping[str, str]:
    """The same mapping, or a like one that others have, too."""
    return _same(tuple(texts.items())) if texts else _NO_TEXTS


@remembered(512, of=lambda items: sum(len(name) + len(value) for name, value in items), most=1024)
def _same(items: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    return dict(items)


def facts(stored: Stored) -> bytes:
    """What is known of a stored object besides its document, for ``restored``."""
    return orjson.dumps({"fields": dict(stored.fields), "untidy": stored.untidy})


def restored(version: int, raw: bytes, said: bytes) -> Stored:
    """An object as it was stored, out of its document and its ``facts``."""
    metadata, known = orjson.loads(raw)["metadata"], orjson.loads(said)
    return Stored(
        sys.intern(metadata.get("namespace", "")),
        metadata["name"],
        metadata.get("uid", ""),
        version,
        raw,
        _shared(metadata.get("labels")),
        known["fields"] or _NO_TEXTS,
        known["untidy"],
    )


@attrs.frozen(eq=False)
class Event:
    """One change: ``old`` became ``new`` at ``version``; one of them may be absent."""

    version: int
    old: Stored | None
    new: Stored | None

    @property
    def key(self) -> str:
        """Of the object that changed."""
        found = self.new or self.old
        assert found is not None
        return found.key


@attrs.define(eq=False)
class Table:
    """The objects of one resource and the newest part of their history, oldest first."""

    limit: int
    floor: int
    """History is complete after this version."""
    objects: dict[str, Stored] = attrs.field(factory=dict)
    history: deque[Event] = attrs.field(factory=deque)
    order: list[str] = attrs.field(factory=list)

    def record(self, event: Event) -> None:
        """Make a change real."""
        key = event.key
        if event.new is None:
            del self.objects[key]
            del self.order[bisect.bisect_left(self.order, key)]
        else:
            if key not in self.objects:
                bisect.insort(self.order, key)
            self.objects[key] = event.new
        self.history.append(event)
        while len(self.history) > self.limit:
            self.history.popleft()
            self.floor = self.history[0].version - 1

    def since(self, version: int) -> list[Event] | None:
        """The changes after a version, oldest first; ``None`` when some of them are forgotten."""
        if version < self.floor:
            return None
        start = bisect.bisect_right(self.history, version, key=lambda event: event.version)
        return [self.history[index] for index in range(start, len(self.history))]

    def at(self, version: int) -> "tuple[Mapping[str, Stored], list[str]] | None":
        """The objects as they were at a version and their keys in order; ``None`` when that is forgotten."""
        later = self.since(version)
        if later is None:
            return None
        if not later:
            return self.objects, self.order
        objects = dict(self.objects)
        for event in reversed(later):
            if event.old is None:
                objects.pop(event.key, None)
            else:
                objects[event.key] = event.old
        return objects, sorted(objects)

    def forget(self, version: int) -> None:
        """Drop the history up to and including a version."""
        while self.history and self.history[0].version <= version:
            self.history.popleft()
        self.floor = max(self.floor, version)


@attrs.frozen
class Snapshot:
    """Everything there was at one moment, without history: a backup."""

    version: int
    tables: Mapping[str, Mapping[str, Stored]]


@attrs.define(eq=False)
class Storage:
    """Tables by resource name (``plural.group``). ``history`` is how many changes each of them remembers."""

    history: int = 10_000
    version: int = FIRST_VERSION
    floor: int = 0
    """No table remembers what happened up to this version."""
    compacted: int = 0
    """Versions below this one can no longer be listed or continued."""
    tables: dict[str, Table] = attrs.field(factory=dict)

    def table(self, name: str) -> Table:
        """The table of a resource; made empty on first use."""
        table = self.tables.get(name)
        if table is None:
            table = self.tables[name] = Table(limit=self.history, floor=self.floor)
        return table

    def get(self, name: str, key: str) -> Stored | None:
        """The current state of one object."""
        table = self.tables.get(name)
        return table.objects.get(key) if table is not None else None

    def keys(self, name: str, namespace: str = "") -> list[str]:
        """The keys of a resource, or of one namespace of it, in order."""
        order = self.table(name).order
        return within(order, namespace) if namespace else order

    def begin(self) -> "Transaction":
        """Start to collect changes. One at a time: what is begun is committed or dropped before the next begins."""
        return Transaction(self, self.version)

    def compact(self) -> None:
        """Forget all history: watches from a past version, exact lists and continuations end in 410."""
        for table in self.tables.values():
            table.forget(self.version)
        self.floor = self.compacted = self.version

    def snapshot(self) -> Snapshot:
        """A backup of the current state."""
        tables = {name: dict(table.objects) for name, table in self.tables.items()}
        return Snapshot(self.version, tables)

    def past(self, version: int) -> Snapshot | None:
        """What there was at a version; ``None`` when some of it is forgotten."""
        tables = {}
        for name, table in self.tables.items():
            found = table.at(version)
            if found is None:
                return None
            tables[name] = dict(found[0])
        return Snapshot(version, tables)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a backup, versions included."""
        self.version = self.floor = self.compacted = snapshot.version
        self.tables = {
            name: Table(self.history, snapshot.version, dict(objects), order=sorted(objects))
            for name, objects in snapshot.tables.items()
        }


def within(order: list[str], namespace: str) -> list[str]:
    """The part of a sorted list of keys that lies in a namespace."""
    start = bisect.bisect_left(order, f"{namespace}/")
    return order[start : bisect.bisect_left(order, f"{namespace}0", start)]  # "0" follows "/"


@attrs.define(eq=False)
class Transaction:
    """Changes that are not real yet; reads see them. Dropping it undoes everything."""

    storage: Storage
    base: int
    events: list[tuple[str, Event]] = attrs.field(factory=list)
    staged: dict[tuple[str, str], Stored | None] = attrs.field(factory=dict)

    def get(self, name: str, key: str) -> Stored | None:
        """An object as it would be after the changes collected so far."""
        if (name, key) in self.staged:
            return self.staged[name, key]
        return self.storage.get(name, key)

    def all(self, name: str, namespace: str = "") -> Iterator[Stored]:
        """The objects of a resource or of one namespace of it, changes included, in the order of their keys."""
        changed = {key for table, key in self.staged if table == name}
        keys = set(self.storage.keys(name, namespace))
        keys |= {key for key in changed if not namespace or key.startswith(f"{namespace}/")}
        for key in sorted(keys):
            found = self.get(name, key)
            if found is not None:
                yield found

    def put(
        self, name: str, document: Document, fields: Mapping[str, str] = _NO_TEXTS, *, untidy: bool = False
    ) -> Stored:
        """Create or replace an object; the answer carries the version it will have."""
        version = self.base + len(self.events) + 1
        new = stored(document, version, fields, untidy=untidy)
        self._stage(name, Event(version, self.get(name, new.key), new))
        return new

    def remove(self, name: str, key: str) -> int:
        """Remove an object that exists; the answer is the version of its deletion."""
        version = self.base + len(self.events) + 1
        self._stage(name, Event(version, self.get(name, key), None))
        return version

    def _stage(self, name: str, event: Event) -> None:
        self.events.append((name, event))
        self.staged[name, event.key] = event.new

    def undo(self, count: int) -> None:
        """Go back to when there were only so many changes."""
        while len(self.events) > count:
            name, event = self.events.pop()
            self.staged[name, event.key] = event.old

    def commit(self) -> list[tuple[str, Event]]:
        """Make all changes real; the answer lists them by table, in order."""
        assert self.storage.version == self.base, "two transactions at once"
        for name, event in self.events:
            self.storage.table(name).record(event)
            self.storage.version = event.version
        return self.events
