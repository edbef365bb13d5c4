"""Everything the server has, in a file that outlives it.

Writes that come while others are being committed are committed together, in a thread of their own; nothing of a write
leaves the server, neither to its author nor to a watcher nor to a reader, before it is in the file. What is lost when
the process is killed is therefore nothing that anybody has seen; ``full`` promises the same for a power loss, with
``normal`` the last writes may be missing then. History is not kept: after a start, watches from before are told 410.
A file that cannot be trusted is named and left alone. The format is SQLite's, in WAL mode.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import sqlite3
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Self, TypeAlias

import anyio
import anyio.to_thread
import attrs

from reconcile.testing.apiserver.failure import Failure
from reconcile.testing.apiserver.storage import Event, Snapshot, Storage, Stored, facts, restored

FORMAT: Final = 1
SYNC: Final = ("full", "normal")
_APPLICATION: Final = 0x7265636F  # "reco"
_FILE: Final = "apiserver.sqlite"
_SCHEMA: Final = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {FORMAT};
CREATE TABLE object (
    place TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, raw BLOB NOT NULL, facts BLOB NOT NULL,
    sum INTEGER NOT NULL, PRIMARY KEY (place, key)
);
CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""
_PUT: Final = "INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?)"
Changes: TypeAlias = list[tuple[str, Event]]


class BadJournal(ValueError):
    """A data folder that cannot be used: in use, of a newer program, or damaged. The message names the file."""


@attrs.frozen
class _Batch:
    """What is committed at once. ``everything``: it takes the place of all that was there."""

    changes: Changes
    version: int
    everything: Snapshot | None = None


@attrs.define(eq=False)
class JournalFile:
    """The file. Not for two threads at once; blocks."""

    path: Path
    _database: sqlite3.Connection
    _lock: int

    @classmethod
    def open(cls, folder: Path, sync: str = "full") -> Self:
        """Open the file of a folder, and make both if they are missing.

        Raises:
            BadJournal: it is in use, or was written by a newer program, or is damaged.
            OSError: the folder cannot be made or written to.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _locked(folder)
        path = folder / _FILE
        try:
            if not path.exists():
                _create(path)
            return cls(path, _opened(path, sync), lock)
        except BaseException:
            os.close(lock)
            raise

    @property
    def secret(self) -> bytes:
        """Made once with the file: signs what has to be good after a restart."""
        [value] = self._database.execute("SELECT value FROM state WHERE name = 'secret'").fetchone()
        return bytes(value)

    def load(self) -> Snapshot:
        """Everything that is in it.

        Raises:
            BadJournal: a part of it is damaged.
        """
        tables: dict[str, dict[str, Stored]] = {}
        try:
            [version] = self._database.execute("SELECT value FROM state WHERE name = 'version'").fetchone()
            rows = self._database.execute("SELECT place, key, version, raw, facts, sum FROM object ORDER BY place, key")
            for place, key, at, raw, said, checksum in rows:
                if checksum != _sum(place, key, at, raw, said):
                    raise BadJournal(f"{self.path}: is damaged: {place} {key} is not what was written; {_REMEDY}")
                tables.setdefault(place, {})[key] = restored(at, raw, said)
        except (sqlite3.Error, TypeError) as error:
            raise BadJournal(f"{self.path}: is damaged: {error}; {_REMEDY}") from error
        return Snapshot(version, tables)

    def write(self, batches: Iterable[_Batch]) -> None:
        """Commit. Raises ``sqlite3.Error``; then nothing of it is there."""
        execute, version = self._database.execute, 0
        execute("BEGIN IMMEDIATE")
        try:
            for batch in batches:
                version = batch.version
                if batch.everything is not None:
                    execute("DELETE FROM object")
                    self._database.executemany(_PUT, _rows(batch.everything))
                for place, event in batch.changes:
                    if event.new is None:
                        execute("DELETE FROM object WHERE place = ? AND key = ?", (place, event.key))
                    else:
                        execute(_PUT, _row(place, event.key, event.new))
            execute("UPDATE state SET value = ? WHERE name = 'version'", (version,))
            execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close it; another process may have it."""
        self._database.close()
        os.close(self._lock)


_REMEDY: Final = "bring back a copy of it, or move it away to begin anew"


def _row(place: str, key: str, stored: Stored) -> tuple[str, str, int, bytes, bytes, int]:
    said = facts(stored)
    return place, key, stored.version, stored.raw, said, _sum(place, key, stored.version, stored.raw, said)


def _rows(snapshot: Snapshot) -> Iterator[tuple[str, str, int, bytes, bytes, int]]:
    for place, objects in snapshot.tables.items():
        for key, stored in objects.items():
            yield _row(place, key, stored)


def _sum(place: str, key: str, version: int, raw: bytes, said: bytes) -> int:
    return zlib.crc32(raw, zlib.crc32(said, zlib.crc32(f"{place} {key} {version}".encode())))


def _locked(folder: Path) -> int:
    path = folder / "lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode(errors="replace").strip()
        os.close(lock)
        raise BadJournal(f"{folder}: is in use by process {holder or 'unknown'}") from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def _create(path: Path) -> None:
    """Make an empty file under its name only once it is whole: one of that name that is empty was emptied."""
    if path.with_name(f"{path.name}-wal").exists():
        raise BadJournal(f"{path}: is missing, though its -wal is there; {_REMEDY}")
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600))
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as database:
        database.executescript(_SCHEMA)
        database.execute("INSERT INTO state VALUES ('version', 0), ('secret', ?)", (secrets.token_bytes(32),))
    draft.rename(path)


def _opened(path: Path, sync: str) -> sqlite3.Connection:
    if path.stat().st_size == 0:
        raise BadJournal(f"{path}: is damaged: it is empty; {_REMEDY}")
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        [application], [version] = (
            database.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        if application != _APPLICATION:
            raise BadJournal(f"{path}: is no journal of this program")
        if version > FORMAT:
            raise BadJournal(f"{path}: has format {version}, this program knows {FORMAT}: use the newer program")
        [[found], *_] = database.execute("PRAGMA quick_check(1)").fetchall()
        if found != "ok":
            raise BadJournal(f"{path}: is damaged: {' '.join(str(found).split())}; {_REMEDY}")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {sync.upper()}")
    except sqlite3.Error as error:
        database.close()
        raise BadJournal(f"{path}: is damaged: {error}; {_REMEDY}") from error
    except BaseException:
        database.close()
        raise
    return database


@attrs.define(eq=False)
class Journal:
    """Commits to a file what a server does, together what comes together. ``show`` is told what has become safe."""

    file: JournalFile
    show: Callable[[Changes], None] = attrs.field(default=lambda changes: None, init=False)
    safe: int = attrs.field(default=0, init=False)
    """The newest version that is in the file."""
    failed: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    """Set when the file could not be written; from then on nothing is answered but that."""
    _epoch: int = attrs.field(default=0, init=False)
    """How often versions went back."""
    _why: str = attrs.field(default="", init=False)
    _pending: list[_Batch] = attrs.field(factory=list, init=False)
    _waiting: deque[tuple[int, asyncio.Future[None]]] = attrs.field(factory=deque, init=False)
    _due: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def fill(self, storage: Storage) -> None:
        """Bring a storage to what is in the file. Raises ``BadJournal``."""
        snapshot = self.file.load()
        if snapshot.version:
            storage.restore(snapshot)
        self.safe = storage.version

    def append(self, changes: Changes) -> None:
        """Note what was done; it is shown once it is safe."""
        self._pending.append(_Batch(changes, changes[-1][1].version))
        self._due.set()

    def replace(self, snapshot: Snapshot) -> None:
        """Note that this is all there is now; versions may go back."""
        self._pending = [_Batch([], snapshot.version, snapshot)]
        self.safe, self._epoch = snapshot.version - 1, self._epoch + 1
        self._wake(None)  # what they wait for will never be
        self._due.set()

    async def reached(self, version: int) -> None:
        """Wait until a version is safe.

        Raises:
            Failure: 500: it never will be.
        """
        epoch = self._epoch
        while (version > self.safe and epoch == self._epoch) or self._why:
            if self._why:
                raise Failure(500, "", f"etcdserver: {self._why}")
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((version, waiter))
            await waiter

    async def run(self) -> None:
        """Commit whatever comes, for ever; once that fails, only say so."""
        while not self._why:
            await self._due.wait()
            self._due.clear()
            with anyio.CancelScope(shield=True):  # what is in the file is to be told
                await self._commit()

    async def _commit(self) -> None:
        batches, self._pending = self._pending, []
        try:
            await anyio.to_thread.run_sync(self.file.write, batches)
        except sqlite3.Error as error:
            self._why = f"{self.file.path}: {error}"
            self.failed.set()
            self._wake(None)
        else:
            self._committed(batches)

    def close(self) -> None:
        """Commit what is left, and close the file."""
        if self._pending and not self._why:
            batches, self._pending = self._pending, []
            self.file.write(batches)
            self._committed(batches)
        self.file.close()

    def _committed(self, batches: list[_Batch]) -> None:
        # a restore may have come in between
        self.safe = batches[-1].version if not (self._pending and self._pending[0].everything) else self.safe
        for batch in batches:
            if batch.changes:
                self.show(batch.changes)
        self._wake(self.safe)

    def _wake(self, upto: int | None) -> None:
        while self._waiting and (upto is None or self._waiting[0][0] <= upto):
            _, waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
