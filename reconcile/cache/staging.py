"""A whole list on its way into a store: put together aside, object by object, while the store goes on as it is.

What the indexes say is worked out here, so that taking the list over is one short step however many objects there are.
What is known in just the listed version is taken as it is and costs nothing again. Pure.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from reconcile.cache.entry import Entry
from reconcile.cache.overlay import Overlay
from reconcile.cache.table import Table, Values
from reconcile.kube.objects import ObjectKey

Pair: TypeAlias = tuple[Entry | None, Entry | None]
"""An object before and after."""


class Staging:
    """A list for the place of ``live``. One that is given up is just dropped. ``values``: what the indexes say."""

    def __init__(self, live: Table, values: Callable[[Entry], Values]) -> None:
        self.live = live
        self.table = Table(live.indexes)
        self._values = values

    def __len__(self) -> int:
        return len(self.table)

    def add(self, entry: Entry) -> None:
        """The list has this object."""
        known = self.live.find(entry.meta)
        if known is not None and _is_same(known, entry):
            self.table.put(known, self.live.values(known.key))
        else:
            self.table.put(entry, self._values(entry))

    def remove(self, key: ObjectKey) -> None:
        """It ended while the list was being read."""
        self.table.pop(key)

    def keep(self, key: ObjectKey) -> None:
        """The list has it, but it cannot be read: what is known of it stays."""
        if (known := self.live.get(key)) is not None:
            self.table.put(known, self.live.values(key))

    def spare_own(self, overlay: Overlay, version: int, namespace: str) -> None:
        """Let stand what we wrote and deleted after a list of that version was made; earlier notes are confirmed."""
        overlay.reached(version, namespace, by_list=True)
        for gone in overlay.dead():
            if (listed := self.table.find(gone)) is not None and listed.meta.uid == gone.uid:
                self.table.pop(gone.key)
            elif namespace in ("", gone.namespace):
                overlay.buried(gone.uid, version)
        for own in overlay.outlasting(namespace):
            listed = self.table.find(own)
            if listed is not None and listed.meta.resource_version == own.resource_version:
                continue
            if self.live.find(own) is not None:
                self.keep(own.key)
            else:
                self.table.pop(own.key)

    def differences(self) -> list[Pair]:
        """What taking the list over changes, ends first."""
        return [*self._ends(), *self._others()]

    def _ends(self) -> Iterator[Pair]:
        for before in self.live.entries():
            after = self.table.find(before.meta)
            if after is None or after.meta.uid != before.meta.uid:
                yield before, None

    def _others(self) -> Iterator[Pair]:
        for after in self.table.entries():
            before = self.live.find(after.meta)
            if before is None or before.meta.uid != after.meta.uid:
                yield None, after
            elif before is not after:
                yield before, after


def _is_same(one: Entry, other: Entry) -> bool:
    return one.meta.uid == other.meta.uid and one.meta.resource_version == other.meta.resource_version
