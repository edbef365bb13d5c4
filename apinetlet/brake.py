"""A brake on cleaning up: when most counterparts look left behind, it is likelier that we are wrong than they are.

A counterpart whose source cannot be found is dangling, and is ended. Two source clusters in one api-net namespace, or
a source cluster without its data, would make of that the end of everything; so beyond a limit nothing dangling is ended
until somebody says so. How many there are is counted as the copies of both clusters change, never by looking through
them; a handler marks, and nothing here waits.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field, frozen

from apinetlet.origin import ORIGIN, Origins
from reconcile import Change, Cluster, ObjectKey, Resource

log = logging.getLogger(__name__)


@frozen
class Limits:
    """How much may be ended as dangling. Beyond both limits nothing is."""

    number: int = 10
    """Of the counterparts of one kind."""
    percent: int = 50
    """Of all counterparts of that kind."""
    is_off: bool = False

    def forbid(self, dangling: int, mapped: int) -> bool:
        """Whether so many of so many are too many."""
        return not self.is_off and dangling > self.number and dangling * 100 > self.percent * mapped


@define(eq=False)
class Count:
    """Of one source kind: how many counterparts record a source that we watch, and how many of them have lost it."""

    sources: Cluster
    source: Resource[Any]
    targets: Cluster
    target: Resource[Any]
    origins: Origins
    watches: Callable[[str], bool]
    """Whether we watch a source namespace."""
    mapped: int = field(default=0, init=False)
    dangling: int = field(default=0, init=False)
    _by_key: dict[ObjectKey, int] = field(factory=dict, init=False)

    def source_changed(self, change: Change[Any]) -> None:
        """A source came, went, or is another one."""
        if (change.old is None) != (change.new is None):
            self._look(change.key)

    def target_changed(self, change: Change[Any]) -> None:
        """A counterpart came or went, or records another source."""
        before, after = (() if entry is None else self._recorded(entry.meta) for entry in (change.old, change.new))
        self.mapped += len(after) - len(before)
        for key in {*before, *after}:
            self._look(key)

    def _recorded(self, meta: Any) -> tuple[ObjectKey, ...]:
        return tuple(key for key in self.origins.keys(meta) if self.watches(key.namespace))

    def _look(self, key: ObjectKey) -> None:
        """See how many counterparts of ``key`` were made for a source of another uid than the one there is, if any."""
        source, targets = self.sources.store(self.source).meta(key), self.targets.store(self.target)
        metas = filter(None, (targets.meta(one) for one in targets.keys_by(ORIGIN, key)))
        uids = [origin.uid for meta in metas if (origin := self.origins.of(meta)) and self.watches(key.namespace)]
        now = sum(source is None or uid != source.uid for uid in uids)
        self.dangling += now - self._by_key.pop(key, 0)
        if now:
            self._by_key[key] = now


@define(eq=False)
class Brake:
    """Holds the clean-up of a kind while too much of it looks dangling. ``released`` hears when it does no more."""

    limits: Limits
    released: Callable[[str], None] = lambda _kind: None
    _counts: dict[str, Count] = field(factory=dict, init=False)
    _held: set[str] = field(factory=set, init=False)

    def watch(self, count: Count) -> None:
        """Count the counterparts of a source kind. To be called before its copies are filled."""
        self._counts[count.source.kind] = count
        for cluster, resource, changed in (
            (count.sources, count.source, count.source_changed),
            (count.targets, count.target, count.target_changed),
        ):
            cluster.informer(resource).add_handler(self._after(count, changed), name=f"brake on {count.source.kind}")

    def is_held(self, kind: str) -> bool:
        """Whether the clean-up of a source kind was held when it was last asked for."""
        return kind in self._held

    def holds(self, kind: str) -> bool:
        """Whether nothing dangling of that source kind may be ended now. Only to be asked once the copies are there."""
        if kind not in self._held and (count := self._counts.get(kind)) is not None and self._is_too_much(count):
            self._held.add(kind)
            log.warning("Cleans up nothing kind=%s dangling=%d mapped=%d", kind, count.dangling, count.mapped)
        return kind in self._held

    def problem(self) -> str:
        """What is held and why, for ``/readyz``; "" if nothing is."""
        return "; ".join(self.why(kind) for kind in sorted(self._held))

    def why(self, kind: str) -> str:
        """What a brake that holds has counted, and what to do."""
        count = self._counts[kind]
        return (
            f"{count.dangling} of {count.mapped} counterparts of kind {kind} have lost their source, and none is"
            " deleted: is another source cluster mapped to the same namespace? --dangling-unlimited deletes them"
        )

    def counts(self) -> Iterable[tuple[str, int, int, bool]]:
        """Of each kind: its name, counterparts, those that dangle, and whether it is held."""
        return [(kind, one.mapped, one.dangling, kind in self._held) for kind, one in self._counts.items()]

    def _after(self, count: Count, changed: Callable[[Change[Any]], None]) -> Callable[[Change[Any]], None]:
        def note(change: Change[Any]) -> None:
            changed(change)
            if (kind := count.source.kind) in self._held and not self._is_too_much(count):
                self._held.discard(kind)
                log.info("Cleans up again kind=%s dangling=%d mapped=%d", kind, count.dangling, count.mapped)
                self.released(kind)

        return note

    def _is_too_much(self, count: Count) -> bool:
        return self.limits.forbid(count.dangling, count.mapped)
