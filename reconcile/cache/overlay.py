"""What we wrote and have not yet seen come back.

The answer to a write is newer than what the watch has delivered, so it goes into the store at once, and this remembers
it until the watch has caught up: no older event may undo it, nor may a list that was made before it. What we deleted is
remembered by its uid, which never comes back, so that late events of the dying object do not bring it back to life.
The other way round, ends that the watch has shown are remembered for answers that it has overtaken.

Every note has a time limit. An end that is older has overtaken no answer, and is forgotten when the next one comes. An
own write that runs out unconfirmed means that the watch lags far behind or that the object is none of those we watch:
whoever asks ``expire`` is told, and lists again. Where versions are no numbers, order cannot be seen: our own write
then holds until its very version comes by, or its time is over. Pure.
"""

from typing import NamedTuple, TypeVar

import attrs

from reconcile.core.clock import Seconds
from reconcile.kube.objects import ObjectKey, ObjectMeta


def is_newer(one: ObjectMeta, other: ObjectMeta) -> bool:
    """Whether ``one`` came after ``other``, heads of one kind. Without numbers, any other version counts as newer."""
    if one.resource_version == other.resource_version:
        return False
    mine, theirs = one.version, other.version
    return mine > theirs if mine and theirs else True


@attrs.frozen
class Lost:
    """What ran out unconfirmed: how many notes, and the highest version among them that was a number (or 0)."""

    notes: int
    version: int


class _Note(NamedTuple):
    """``is_awaited``: the watch will show it, or show that it went out of sight.

    ``is_overtaken``: the watch has shown its end already, or the server's history is another one; only a list can tell.
    """

    meta: ObjectMeta
    until: Seconds
    is_awaited: bool
    is_overtaken: bool = False


class _End(NamedTuple):
    """``version``: at which it was out of sight; 0 if that was no number."""

    version: int
    until: Seconds


@attrs.define
class Overlay:
    """Notes about own writes and ends, each held for ``ttl`` seconds at most."""

    ttl: Seconds = 30.0
    ends: int = 1000
    """So many ends that the watch has shown are remembered, and none for longer than an answer may be on its way."""
    _newest: dict[ObjectKey, _Note] = attrs.field(init=False, factory=dict)
    """Nothing older than this may be shown under that key."""
    _dead: dict[str, _Note] = attrs.field(init=False, factory=dict)
    """By uid: the last state known of what we deleted."""
    _ended: dict[str, _End] = attrs.field(init=False, factory=dict)
    """By uid, oldest first."""

    def __bool__(self) -> bool:
        return bool(self._newest or self._dead)

    @property
    def unconfirmed(self) -> int:
        """How many own writes and deletions the watch will show, and has not shown yet."""
        return sum(note.is_awaited for notes in (self._newest, self._dead) for note in notes.values())

    def wrote(self, meta: ObjectMeta, now: Seconds, *, is_awaited: bool) -> None:
        """The server answered a write with this. ``is_awaited``: the watch will show it, or that it left its sight."""
        self._newest[meta.key] = _Note(meta, now + self.ttl, is_awaited, self.is_overtaken(meta))

    def deleted(self, last: ObjectMeta, now: Seconds, *, is_awaited: bool) -> None:
        """The server said that it is gone; ``last`` is the last state known of it, if only its key and uid."""
        self._dead[last.uid] = _Note(last, now + self.ttl, is_awaited)
        own = self._newest.get(last.key)
        newest = last if own is None or is_newer(last, own.meta) else own.meta
        if newest.resource_version:
            self._newest[last.key] = _Note(newest, now + self.ttl, is_awaited=False)

    def is_dead(self, uid: str) -> bool:
        """Whether we deleted the object of that uid."""
        return uid in self._dead

    def ended(self, uid: str, version: int, now: Seconds) -> None:
        """The watch or a list of that version showed that it is gone, or out of sight."""
        self._ended.pop(uid, None)
        while self._ended and (len(self._ended) >= self.ends or next(iter(self._ended.values())).until <= now):
            del self._ended[next(iter(self._ended))]
        self._ended[uid] = _End(version, now + self.ttl)

    def is_overtaken(self, answer: ObjectMeta) -> bool:
        """Whether an answer shows a state of an object that has ended since."""
        end = self._ended.get(answer.uid)
        return end is not None and (answer.version <= end.version or not end.version)

    def admits(self, seen: ObjectMeta) -> bool:
        """Whether what the watch shows may go into the store; confirms our own write if it does."""
        return seen.uid not in self._dead and self._passes(seen)

    def admits_end(self, seen: ObjectMeta) -> bool:
        """Whether the end that the watch shows may empty the place in the store; confirms our own deletion."""
        if (dead := self._dead.get(seen.uid)) is None:
            return self._passes(seen)
        last = dead.meta
        if seen.resource_version == last.resource_version or is_newer(seen, last):
            del self._dead[seen.uid]
        else:  # it went out of sight before we deleted it, so its end may never show
            self._dead[seen.uid] = dead._replace(is_awaited=False)
        return False

    def _passes(self, seen: ObjectMeta) -> bool:
        note = self._newest.get(seen.key)
        if note is None:
            return True
        own = note.meta
        is_it = seen.resource_version == own.resource_version
        if not is_it and not (seen.version and own.version and is_newer(seen, own)):
            return False
        del self._newest[seen.key]
        return True

    def reached(self, version: int, namespace: str = "", *, by_list: bool = False) -> None:
        """All that happened in the namespace ("" for all of them) up to that version has been shown."""
        for key, note in list(self._newest.items()):
            is_shown = 0 < note.meta.version <= version and namespace in ("", key.namespace)
            if is_shown and (by_list or not note.is_overtaken):
                del self._newest[key]

    def outlasting(self, namespace: str = "") -> list[ObjectMeta]:
        """What we wrote there and has not been shown."""
        return [note.meta for key, note in self._newest.items() if namespace in ("", key.namespace)]

    def dead(self) -> list[ObjectMeta]:
        """What we deleted, and whose end has not been shown."""
        return [note.meta for note in self._dead.values()]

    def buried(self, uid: str, version: int) -> None:
        """A list of that version lacks it, which confirms the end if it is later than what was known of the object."""
        if 0 < self._dead[uid].meta.version <= version:
            del self._dead[uid]

    def expire(self, now: Seconds) -> Lost | None:
        """Drop the notes whose time is over. ``None``: none of them was waiting for the watch in vain."""
        over = [*_over(self._newest, now), *_over(self._dead, now)]
        versions = [note.meta.version for note in over if note.is_awaited]
        return Lost(len(versions), max(versions)) if versions else None

    def next_expiry(self) -> Seconds | None:
        """When the next note runs out."""
        ends = [note.until for notes in (self._newest, self._dead) for note in notes.values()]
        return min(ends, default=None)

    def clear(self) -> None:
        """Forget everything: the server's history is another one."""
        self._newest.clear()
        self._dead.clear()
        self._ended.clear()


K = TypeVar("K")


def _over(notes: dict[K, _Note], now: Seconds) -> list[_Note]:
    """Take out those whose time is over."""
    return [notes.pop(key) for key, note in list(notes.items()) if note.until <= now]
