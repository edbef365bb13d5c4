"""What happened to one object: how a store knew it before, and how it knows it now.

A change comes from a store, never from the wire: an event that told nothing new made none. An object that took the name
of another one is two changes, the end of the old and the start of the new. Heads are there at once; typed objects are
made when asked for. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import msgspec
import orjson

from reconcile.cache.entry import Entry
from reconcile.kube.objects import ObjectKey
from reconcile.kube.resource import Resource

T = TypeVar("T")


class Change(msgspec.Struct, Generic[T], frozen=True, eq=False, gc=False):
    """Old and new state; ``old`` is ``None`` for what was not known before, ``new`` for what is gone, never both."""

    cluster: str
    resource: Resource[T]
    old: Entry | None
    new: Entry | None
    is_own: bool = False
    """Whether the answer to a write of this process told it."""
    initial: bool = False
    """Whether it tells what was there already when somebody began to listen, not that something happened."""
    structure: Callable[[Entry], T] | None = None
    """Makes the typed object, remembering it; without one it is made anew each time."""

    @property
    def newest(self) -> Entry:
        """The new state, or the last one known of what is gone."""
        entry = self.new or self.old
        assert entry is not None, "a change has an old or a new state"
        return entry

    @property
    def key(self) -> ObjectKey:
        """Which object."""
        return self.newest.key

    @property
    def object(self) -> T:
        """The newest state, typed.

        Raises:
            BadObject: the document does not fit the type. So do ``old_object`` and ``new_object``.
        """
        return self._typed(self.newest)

    @property
    def old_object(self) -> T | None:
        """The state before."""
        return None if self.old is None else self._typed(self.old)

    @property
    def new_object(self) -> T | None:
        """The state now."""
        return None if self.new is None else self._typed(self.new)

    def changed_paths(self, limit: int = 20) -> tuple[str, ...]:
        """The first paths whose values differ, dotted and in order; lists count as one value.

        What every write changes is left out: resource version, generation. Nothing for an object that came or went.
        """
        if self.old is None or self.new is None:
            return ()
        return differing_paths(self.old.raw, self.new.raw, limit)

    def _typed(self, entry: Entry) -> T:
        return self.structure(entry) if self.structure is not None else self.resource.codec.decode(entry.raw)

    def __repr__(self) -> str:
        what = "gone" if self.new is None else "new" if self.old is None else "changed"
        return f"<Change {self.resource.name} {self.key} {what} {self.newest.meta.resource_version}>"


def differing_paths(old: bytes, new: bytes, limit: int = 20) -> tuple[str, ...]:
    """The first paths whose values differ between two documents, as ``changed_paths`` tells them."""
    paths = _differing(orjson.loads(old), orjson.loads(new))
    return tuple(islice((path for path in paths if path not in _ALWAYS), limit))


_ALWAYS: Final = frozenset({"metadata.resourceVersion", "metadata.generation"})


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differing(before, after, f"{prefix}{name}.")
        elif before != after:
            yield f"{prefix}{name}"
