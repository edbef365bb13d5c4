"""One client's view of what changes: events from some version on, until it ends.

A ``Watcher`` is fed by the server in the step that commits a change, and read by one client. What a change means to it
depends on its selection: an object that comes to match is ADDED, one that no longer does is DELETED. Lines are encoded
once and shared. A reader who falls behind by more than the buffer is cut off, and nobody waits for it. Source of the
rules: apiserver, ``storage/cacher`` and ``endpoints/handlers/watch.go``.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import attrs
import orjson

from reconcile.core.clock import Seconds, now
from reconcile.testing.apiserver.asking import Pending
from reconcile.testing.apiserver.content import Form, metadata_only
from reconcile.testing.apiserver.failure import Document, Failure, internal
from reconcile.testing.apiserver.options import Selection
from reconcile.testing.apiserver.reading import encoded
from reconcile.testing.apiserver.storage import Event, Stored, stored
from reconcile.testing.apiserver.strategy import Kind

BOOKMARK_EVERY: Final[Seconds] = 60.0
BOOKMARK_BEFORE_END: Final[Seconds] = 2.0
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


def line(kind: str, document: bytes) -> bytes:
    """One line of a watch."""
    return b'{"type":"' + kind.encode() + b'","object":' + document + b"}\n"


Shared: TypeAlias = dict[tuple[str, Form, str], bytes]
"""What was encoded of one change."""


def change_line(kind: Kind, event: Event, selection: Selection, form: Form, shared: Shared) -> bytes | None:
    """What a change looks like to a watcher; ``None`` if it does not concern it.

    ``shared`` spares encoding it once more for somebody who sees the same.
    """
    old = kind.seen(event.old) if event.old is not None else None
    new = kind.seen(event.new) if event.new is not None else None
    was = old is not None and selection.matches(old)
    is_ = new is not None and selection.matches(new)
    if not was and not is_:
        return None
    change = "DELETED" if not is_ else "MODIFIED" if was else "ADDED"
    as_seen = (change, form, kind.resource.version)
    cached = shared.get(as_seen)
    if cached is None:
        if is_:
            assert new is not None
            document = encoded(new, form)
        else:
            assert old is not None
            last = stored(old.value, event.version).raw
            document = last if form is Form.WHOLE else metadata_only(orjson.loads(last))
        cached = shared[as_seen] = line(change, document)
    return cached


def bookmark_line(kind: Kind, version: int, form: Form, *, initial_events_end: bool = False) -> bytes:
    """A line that says how far a watcher has come."""
    metadata: Document = {"resourceVersion": str(version)}
    if initial_events_end:
        metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
    if form is Form.METADATA:
        head: Document = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    else:
        head = {"kind": kind.resource.kind, "apiVersion": kind.resource.api_version}
    return line("BOOKMARK", orjson.dumps({**head, "metadata": metadata}))


@attrs.define(eq=False)
class Watcher:
    """The server's side of one watch. ``after`` is the version it asked for: only what is newer counts."""

    kind: Kind
    selection: Selection
    form: Form
    after: int
    deadline: Seconds
    bookmarks: bool
    current: Callable[[], int]
    """The version the server has come to."""
    limit: int = 1000
    """Lines it may be behind."""
    recode: Callable[[bytes], bytes] | None = None
    """What makes another form of lines, for a client that does not take them as they are."""
    on_cut: Callable[[], None] | None = None
    """Called when its reader has fallen behind by more."""
    next_bookmark: Seconds = attrs.field(init=False)
    _heard: int = attrs.field(default=0, init=False)
    """The newest change it was told, so that none is told twice: not what was replayed and is committed later."""
    _lines: deque[bytes] = attrs.field(factory=deque, init=False)
    _ended: bool = attrs.field(default=False, init=False)
    _waiter: asyncio.Future[None] | None = attrs.field(default=None, init=False)
    _timer: asyncio.Handle | None = attrs.field(default=None, init=False)
    """It may be early; one that is kept costs less than one for each wait."""
    _timer_at: Seconds = attrs.field(default=0.0, init=False)
    """What it is set to: not every loop gives back a handle that knows its time."""

    def __attrs_post_init__(self) -> None:
        self.next_bookmark = self._bookmark_after(now())

    def begin(self, state: Iterable[Stored], version: int, *, mark_end: bool) -> None:
        """Start with the current state as ADDED lines; ``mark_end`` closes them with the bookmark of WatchList."""
        for one in state:
            self._lines.append(line("ADDED", encoded(self.kind.seen(one), self.form)))
        self.after = version
        if mark_end:
            self._lines.append(bookmark_line(self.kind, version, self.form, initial_events_end=True))

    def replay(self, events: Iterable[Event]) -> None:
        """Start with what happened since; however much that is."""
        for event in events:
            found = change_line(self.kind, event, self.selection, self.form, {})
            if found is not None:
                self._lines.append(found)
                self._heard = event.version

    def tell(self, version: int, change: bytes) -> None:
        """A change was committed that concerns it."""
        if self._ended or version <= self.after or version <= self._heard:
            return
        self._heard = version
        self._lines.append(change)
        if len(self._lines) > self.limit:
            self._lines.clear()
            self.end()
            if self.on_cut is not None:
                self.on_cut()
        else:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, failure: Failure) -> None:
        """End with an ERROR line."""
        self._lines.append(line("ERROR", orjson.dumps(failure.status)))
        self.end()

    def end(self) -> None:
        """End after what is still to be read."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()

    async def aclose(self) -> None:
        """Nobody reads any more."""
        self.end()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, by the server's or the client's will, or by time."""
        return self._ended or now() >= self.deadline

    async def read(self) -> bytes:
        """Wait for lines and take all there are; b"" when the watch is over."""
        chunk = await self._read()
        return self.recode(chunk) if self.recode is not None and chunk else chunk

    async def _read(self) -> bytes:
        while True:
            if self._lines:
                chunk = b"".join(self._lines)
                self._lines.clear()
                return chunk
            if self.is_over:
                self.end()
                return b""
            moment = now()
            if self.bookmarks and moment >= self.next_bookmark:
                self.next_bookmark = self._bookmark_after(moment)
                if (version := self.current()) > self.after:
                    return bookmark_line(self.kind, version, self.form)
            until = min(self.deadline, self.next_bookmark) if self.bookmarks else self.deadline
            loop = asyncio.get_running_loop()
            if self._timer is None or self._timer_at > until:
                if self._timer is not None:
                    self._timer.cancel()
                self._timer_at = until
                self._timer = loop.call_at(until, self._on_time)
            self._waiter = loop.create_future()
            await self._waiter

    def _on_time(self) -> None:
        self._timer = None
        self._wake()

    def _bookmark_after(self, moment: Seconds) -> Seconds:
        before_end = self.deadline - BOOKMARK_BEFORE_END
        upcoming = moment + BOOKMARK_EVERY
        if before_end < upcoming:
            return before_end if before_end > moment else self.deadline
        return upcoming


Audience: TypeAlias = tuple[Kind, Selection, Form]
"""To whom every change looks the same."""


@attrs.define(eq=False)
class Watchers:
    """Everyone who watches, by table, and together with those who see the same."""

    _of_table: dict[str, dict[Audience, list[Watcher]]] = attrs.field(factory=dict)

    def add(self, table: str, watcher: Watcher) -> None:
        """Let a watcher hear of a table from now on; those that are over are forgotten."""
        before = self._of_table.get(table, {})
        audiences = {audience: [one for one in watchers if not one.is_over] for audience, watchers in before.items()}
        audiences.setdefault((watcher.kind, watcher.selection, watcher.form), []).append(watcher)
        self._of_table[table] = {audience: watchers for audience, watchers in audiences.items() if watchers}

    def feed(self, events: Iterable[tuple[str, Event]]) -> None:
        """Tell of what was committed, by table."""
        for table, event in events:
            shared: Shared = {}
            for (kind, selection, form), watchers in self._of_table.get(table, _NOBODY).items():
                try:
                    change = change_line(kind, event, selection, form, shared)
                except Pending:
                    for watcher in watchers:
                        watcher.fail(internal("an object is not converted yet"))
                    continue
                if change is not None:
                    for watcher in watchers:
                        watcher.tell(event.version, change)

    def __len__(self) -> int:
        return sum(not one.is_over for one in self._everyone())

    def _everyone(self, table: str | None = None) -> Iterator[Watcher]:
        for name, audiences in self._of_table.items():
            if table is None or name == table:
                for watchers in audiences.values():
                    yield from watchers

    def end(self, table: str | None = None) -> None:
        """End the watches of a table, or all."""
        for watcher in self._everyone(table):
            watcher.end()


_NOBODY: Final[Mapping[Audience, list[Watcher]]] = {}
