"""Whether a controller answers its own writes for ever.

A run that follows from our own write, and writes again, is one step of a loop; so many steps in a row without news from
outside, and the key is named once with the paths that flap, then slowed down, each step more, until something else
changes. No event is ever dropped for this: a slowed key still runs. Pure.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import attrs

from reconcile.controller.cause import Cause
from reconcile.core.clock import Seconds
from reconcile.kube.journal import Write
from reconcile.kube.objects import ObjectKey

K = TypeVar("K", bound=Hashable)


@attrs.frozen
class Flapping:
    """A key that triggers itself. ``passes`` in a row so far; ``paths`` the most written ones first."""

    passes: int
    paths: tuple[str, ...]
    until: Seconds
    """Before that its own doing is not enough to run it."""
    is_new: bool = False
    """Whether it was found just now: the moment to warn."""


@attrs.define
class _Streak:
    passes: int = 0
    until: Seconds = 0.0
    paths: Counter[str] = attrs.field(factory=Counter)


@attrs.define(eq=False)
class OwnWrites(Generic[K]):
    """The versions that the runs of one controller wrote, so that their events are known when they come.

    ``limit``: so many of the newest are remembered. The version of a deletion is "".
    """

    limit: int = 1024
    _writers: "OrderedDict[tuple[str, str, ObjectKey, str], K]" = attrs.field(init=False, factory=OrderedDict)

    def note(self, writer: K, cluster: str, resource: str, key: ObjectKey, version: str) -> None:
        """A run of ``writer`` made that version of an object."""
        self._writers[cluster, resource, key, version] = writer
        if len(self._writers) > self.limit:
            self._writers.popitem(last=False)

    def note_write(self, writer: K, write: Write) -> None:
        """A run of ``writer`` wrote, as the journal tells it."""
        if write.outcome == "changed":
            name = write.resource.name
            self.note(writer, write.cluster, name, write.key, write.resource_version)
            if write.verb == "delete":
                self.note(writer, write.cluster, name, write.key, "")

    def are_ours(self, cluster: str, resource: str, key: ObjectKey, version: str) -> bool:
        """Whether some run of the controller wrote it."""
        return (cluster, resource, key, version) in self._writers

    def by(self, writer: K) -> Callable[[str, str, ObjectKey, str], bool]:
        """Asks whether a run of that key wrote it."""
        return lambda *version: self._writers.get(version, self) == writer


@attrs.define(eq=False)
class SelfTrigger(Generic[K]):
    """Counts, for each key, the runs in a row that only our own writes caused and that wrote again.

    ``limit`` of them make a loop. From there on the key is slowed by ``base`` seconds, doubled with every step, up to
    ``cap``.
    """

    limit: int = 5
    base: Seconds = 1.0
    cap: Seconds = 300.0
    written: OwnWrites[K] = attrs.field(factory=OwnWrites)
    _streaks: dict[K, _Streak] = attrs.field(init=False, factory=dict)

    def passed(self, key: K, causes: Iterable[Cause], writes: Sequence[Write], now: Seconds) -> Flapping | None:
        """A run of ``key`` ended, its writes are in ``written``. Tells whether the key flaps now.

        News among the causes ends a loop, and so does a run that writes nothing. A run that a timer or a retry would
        have started anyway proves nothing.
        """
        wrote = [write for write in writes if write.outcome == "changed"]
        if not wrote or self.is_news(causes):
            if self._streaks:
                self._streaks.pop(key, None)
            return None
        if not all(cause.is_change for cause in causes):
            return self.of(key)
        streak = self._streaks.setdefault(key, _Streak())
        streak.passes += 1
        for write in wrote:
            streak.paths.update(f"{write.resource.kind} {write.key}: {path}" for path in write.paths or ("(unknown)",))
        if (steps := streak.passes - self.limit) < 0:
            return None
        streak.until = now + min(self.cap, self.base * 2.0 ** min(steps, 64))
        return self._flapping(streak, is_new=steps == 0)

    def is_news(self, causes: Iterable[Cause]) -> bool:
        """Whether anything but the writes of this controller is behind one of them."""
        return any(cause.is_news(self.written.are_ours) for cause in causes)

    def rest(self, key: K, now: Seconds) -> Seconds:
        """How much longer the key's own doing is not enough to run it; 0 for a key that does not flap."""
        streak = self._streaks.get(key) if self._streaks else None
        return 0.0 if streak is None else max(0.0, streak.until - now)

    def of(self, key: K) -> Flapping | None:
        """What is known of a key that flaps; ``None`` for one that does not."""
        streak = self._streaks.get(key)
        return self._flapping(streak) if streak is not None and streak.passes >= self.limit else None

    def flapping(self) -> dict[K, Flapping]:
        """Every key that flaps now."""
        return {key: found for key in self._streaks if (found := self.of(key)) is not None}

    def _flapping(self, streak: _Streak, *, is_new: bool = False) -> Flapping:
        return Flapping(
            streak.passes, tuple(path for path, _times in streak.paths.most_common(8)), streak.until, is_new
        )
