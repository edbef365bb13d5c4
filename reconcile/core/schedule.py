"""Which key is due next.

A key is handed out once at a time: added again while in work, it comes back after ``done``. Added twice, it runs once:
the earlier time and the higher priority win. Beside what was added, a key has one timer of its own, which passing adds
leave alone; only a later ``set_timer`` replaces it.

Due keys leave by priority, highest first. Within a priority they leave in the order in which they fell due, or, with a
``fair_key``, one of each share in turn. A key whose priority rises joins the end of its new line. A key that has waited
for ``max_wait`` goes next whatever its priority, though at most every other time: a long backlog of low keys then takes
half of the turns at most, and a fresh change waits for one of them at most.

Pure: every time is an argument, in seconds on the caller's clock, and never goes back. ``queue.py`` does the waiting.
Each step costs O(log n), and a little for each distinct priority, of which there should be few.
"""

import heapq
import math
from bisect import insort
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from attrs import define, field, frozen, setters
from attrs.validators import ge

from reconcile.core.clock import Seconds

K = TypeVar("K", bound=Hashable)

NORMAL: Final = 0
LOW: Final = -100
"""The priority of what can wait: a first list, a resync."""

_NEVER: Final = math.inf


class Work(NamedTuple):
    """A key in work: since when, how long it had been due before, and at which priority."""

    since: Seconds
    waited: Seconds
    priority: int


@frozen
class Scheduled(Generic[K]):
    """What a schedule knows of one key. Times are absolute, ``None`` stands for never."""

    key: K
    priority: int | None
    """At which it waits, will wait, or is in work; ``None`` with nothing but a timer."""
    due: Seconds | None
    """When an add will make it due."""
    timer: Seconds | None
    waiting_since: Seconds | None
    """When it fell due. It waits for its turn, or for the end of the work that goes on."""
    work: Work | None


@define(eq=False)
class _Item(Generic[K]):
    key: K
    at: Seconds = _NEVER
    """When what was added falls due; never once it has."""
    at_entry: int = 0
    at_priority: int = NORMAL
    timer: Seconds = _NEVER
    timer_entry: int = 0
    timer_priority: int = NORMAL
    since: Seconds = _NEVER
    """When it fell due. It then stands in a line, or joins one once its work is done."""
    priority: int = NORMAL
    work: Work | None = None


_Line: TypeAlias = OrderedDict[Hashable, OrderedDict[K, _Item[K]]]


@define(on_setattr=setters.NO_OP)  # its bounds are checked once; the hot path writes plainly
class Schedule(Generic[K]):
    """The keys of one queue.

    ``min_interval`` is the least time from one start of a key to its next: after a rest the first add is due at once,
    all that follow too soon are due together when the interval is over. That holds for timers and retries too.
    """

    max_wait: Seconds = field(default=60.0, validator=ge(0))
    min_interval: Seconds = field(default=0.0, validator=ge(0))
    fair_key: Callable[[K], Hashable] | None = None
    _items: dict[K, _Item[K]] = field(factory=dict, init=False)
    _later: list[tuple[Seconds, int, _Item[K]]] = field(factory=list, init=False)
    """A heap of times at which items fall due. An entry whose number its item no longer has means nothing."""
    _entries: int = field(default=0, init=False)
    """How many there have ever been: the last number."""
    _waiting: OrderedDict[K, _Item[K]] = field(factory=OrderedDict, init=False)
    """What stands in a line, first come first."""
    _lines: dict[int, _Line[K]] = field(factory=dict, init=False)
    """By priority: the shares in turn, of each its items, first come first."""
    _priorities: list[int] = field(factory=list, init=False)
    """Of all lines, ever so empty; lowest first."""
    _last_by_age: bool = field(default=False, init=False)
    _in_work: int = field(default=0, init=False)
    _started: OrderedDict[K, Seconds] = field(factory=OrderedDict, init=False)
    """The last start of each key, oldest first, as long as ``min_interval`` holds the key back."""

    def add(self, key: K, now: Seconds, *, after: Seconds = 0.0, priority: int = NORMAL) -> bool:
        """Make a key due ``after`` seconds from now. False: it was added before and not taken since, both are one."""
        self._let_fall_due(now)
        item = self._item(key)
        if item.since != _NEVER:
            self._raise(item, priority)
            return False
        at = now + max(after, 0.0)
        if self.min_interval:
            at = max(at, self._free_at(key))
        if at > now:
            return self._plan(item, at, priority)
        is_new = item.at == _NEVER
        if not is_new:
            priority = max(priority, item.at_priority)
            item.at, item.at_entry = _NEVER, 0
        self._fall_due(item, now, priority)
        return is_new

    def set_timer(self, key: K, now: Seconds, after: Seconds | None, *, priority: int = NORMAL) -> None:
        """Replace the timer of a key: it makes the key due whatever else is added; ``None`` takes the timer away.

        A timer that has fired already has made its key due, which is not taken back.
        """
        self._let_fall_due(now)
        item = self._item(key)
        if after is None:
            item.timer, item.timer_entry = _NEVER, 0
            self._drop_if_idle(item)
        else:
            item.timer, item.timer_priority = now + after, priority
            item.timer_entry = self._look_at(item, item.timer)

    def take(self, now: Seconds) -> K | None:
        """Hand out the key that is next, if any is due. It is in work until ``done``."""
        self._let_fall_due(now)
        if not self._waiting:
            return None
        item = self._next(now)
        key = item.key
        del self._waiting[key]
        self._leave_line(item)
        item.work = Work(now, now - item.since, item.priority)
        item.since = _NEVER
        self._in_work += 1
        if self.min_interval:
            self._note_start(key, now)
        return key

    def done(self, key: K, now: Seconds) -> Work:
        """End the work on a key and tell what it was. What was added meanwhile falls due now.

        Raises:
            KeyError: the key is not in work.
        """
        self._let_fall_due(now)
        item = self._items[key]
        if item.work is None:
            raise KeyError(key)
        work, item.work = item.work, None
        self._in_work -= 1
        if item.since != _NEVER:
            item.since = _NEVER
            self._fall_due(item, now, item.priority)
        else:
            self._drop_if_idle(item)
        return work

    def discard(self, key: K) -> None:
        """Forget what was added and the timer. Work on the key goes on."""
        if (item := self._items.get(key)) is None:
            return
        if item.since != _NEVER and item.work is None:
            del self._waiting[key]
            self._leave_line(item)
        item.at = item.timer = item.since = _NEVER
        item.at_entry = item.timer_entry = 0
        self._drop_if_idle(item)

    def next_due(self) -> Seconds:
        """The earliest time at which ``take`` may have a key; infinite when nothing is planned."""
        if self._waiting:
            return next(iter(self._waiting.values())).since
        while self._later and not _is_meant(self._later[0]):
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else _NEVER

    def due_at(self, key: K) -> Seconds:
        """When the key falls or fell due, be it in work or not; infinite when nothing is planned for it."""
        item = self._items.get(key)
        return _NEVER if item is None else min(item.since, item.at, item.timer)

    def work(self, key: K) -> Work | None:
        """The work on a key, while it goes on."""
        item = self._items.get(key)
        return None if item is None else item.work

    @property
    def in_work(self) -> int:
        """How many keys are in work."""
        return self._in_work

    def depths(self) -> dict[int, int]:
        """How many due keys wait for their turn, by priority."""
        counts = ((priority, sum(map(len, line.values()))) for priority, line in self._lines.items())
        return {priority: count for priority, count in counts if count}

    def __len__(self) -> int:
        """How many due keys wait for their turn."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[Scheduled[K]]:
        """All that is known, key by key."""
        return map(_scheduled, self._items.values())

    # how an item falls due

    def _item(self, key: K) -> _Item[K]:
        if (item := self._items.get(key)) is None:
            item = self._items[key] = _Item(key)
        return item

    def _drop_if_idle(self, item: _Item[K]) -> None:
        if item.work is None and item.since == item.at == item.timer == _NEVER:
            del self._items[item.key]

    def _plan(self, item: _Item[K], at: Seconds, priority: int) -> bool:
        is_new = item.at == _NEVER
        item.at_priority = priority if is_new else max(priority, item.at_priority)
        if at < item.at:
            item.at = at
            item.at_entry = self._look_at(item, at)
        return is_new

    def _look_at(self, item: _Item[K], at: Seconds) -> int:
        # an item has two entries at most: what is beyond was replaced, and must not pile up until its time has come
        if len(self._later) > 4 * len(self._items) + 64:
            self._later = [entry for entry in self._later if _is_meant(entry)]
            heapq.heapify(self._later)
        self._entries += 1
        heapq.heappush(self._later, (at, self._entries, item))
        return self._entries

    def _let_fall_due(self, now: Seconds) -> None:
        while self._later and self._later[0][0] <= now:
            at, entry, item = heapq.heappop(self._later)
            if entry == item.at_entry:
                item.at, item.at_entry = _NEVER, 0
                self._fall_due(item, at, item.at_priority)
            elif entry == item.timer_entry:
                item.timer, item.timer_entry = _NEVER, 0
                self._fall_due(item, at, item.timer_priority)

    def _fall_due(self, item: _Item[K], since: Seconds, priority: int) -> None:
        if item.since != _NEVER:
            self._raise(item, priority)
        elif item.work is not None:
            item.since, item.priority = since, priority
        elif self.min_interval and (free := self._free_at(item.key)) > since:
            self._plan(item, free, priority)
        else:
            item.since, item.priority = since, priority
            self._waiting[item.key] = item
            self._join_line(item)

    def _free_at(self, key: K) -> Seconds:
        return self._started.get(key, -_NEVER) + self.min_interval

    def _raise(self, item: _Item[K], priority: int) -> None:
        if priority <= item.priority:
            return
        if item.work is None:
            self._leave_line(item)
        item.priority = priority
        if item.work is None:
            self._join_line(item)

    # the lines

    def _join_line(self, item: _Item[K]) -> None:
        if (line := self._lines.get(item.priority)) is None:
            line = self._lines[item.priority] = OrderedDict()
            insort(self._priorities, item.priority)
        share = None if self.fair_key is None else self.fair_key(item.key)
        if (items := line.get(share)) is None:
            items = line[share] = OrderedDict()
        items[item.key] = item

    def _leave_line(self, item: _Item[K]) -> None:
        line = self._lines[item.priority]
        share = None if self.fair_key is None else self.fair_key(item.key)
        items = line[share]
        del items[item.key]
        if not items:
            del line[share]

    def _next(self, now: Seconds) -> _Item[K]:
        oldest = next(iter(self._waiting.values()))
        if now - oldest.since >= self.max_wait and not self._last_by_age:
            self._last_by_age = True
            return oldest
        self._last_by_age = False
        for priority in reversed(self._priorities):
            if line := self._lines[priority]:
                break
        share = next(iter(line))
        line.move_to_end(share)
        return next(iter(line[share].values()))

    def _note_start(self, key: K, now: Seconds) -> None:
        # a key that may start now has no earlier start left here, so that this stays in the order of time
        while self._started and next(iter(self._started.values())) + self.min_interval <= now:
            self._started.popitem(last=False)
        self._started[key] = now


def _is_meant(entry: tuple[Seconds, int, _Item[K]]) -> bool:
    _, number, item = entry
    return number in (item.at_entry, item.timer_entry)


def _scheduled(item: _Item[K]) -> Scheduled[K]:
    priority: int | None = None
    if item.since != _NEVER:
        priority = item.priority
    elif item.work is not None:
        priority = item.work.priority
    elif item.at != _NEVER:
        priority = item.at_priority
    return Scheduled(
        item.key,
        priority,
        due=_known(item.at),
        timer=_known(item.timer),
        waiting_since=_known(item.since),
        work=item.work,
    )


def _known(at: Seconds) -> Seconds | None:
    return None if at == _NEVER else at
