"""The schedule against a model that is too simple to be wrong, and too slow to be used.

The model keeps plain lists and looks at all of them at every step. Times are whole numbers, so that things happen at
the same moment often.
"""

import math
from typing import Any

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconcile.core import LOW, NORMAL, Schedule

Key = str
keys = st.sampled_from(["a1", "a2", "a3", "b1", "b2", "c1"])
priorities = st.sampled_from([NORMAL, NORMAL, LOW, 10])
delays = st.integers(0, 12)


@define
class Plan:
    """A key and a time in the future. ``number`` is its place among all plans ever made."""

    key: Key
    at: float
    priority: int
    number: int


@define
class Model:
    max_wait: float
    min_interval: float
    is_fair: bool
    adds: list[Plan] = field(factory=list)
    timers: list[Plan] = field(factory=list)
    waiting: list[tuple[Key, float]] = field(factory=list)
    """Key and since when, first come first."""
    lines: list[tuple[Key, int]] = field(factory=list)
    """Key and priority, first come first; a raised key comes again."""
    in_work: set[Key] = field(factory=set)
    again: dict[Key, int] = field(factory=dict)
    """What fell due while in work, with its priority."""
    started: dict[Key, float] = field(factory=dict)
    turns: dict[tuple[int, Any], int] = field(factory=dict)
    """When a share last was served, or came to an empty line."""
    steps: int = 0
    last_by_age: bool = False

    def add(self, key: Key, now: float, after: float, priority: int) -> bool:
        self.advance(now)
        planned = [plan for plan in self.adds if plan.key == key]
        is_new = not self.is_due(key) and not planned
        if self.is_due(key):
            self.fall_due(key, now, priority)
        elif (at := max(now + after, self.free_at(key))) > now:
            self.plan(key, at, priority)
        else:
            self.adds = [plan for plan in self.adds if plan.key != key]
            self.fall_due(key, now, max([priority, *(plan.priority for plan in planned)]))
        return is_new

    def set_timer(self, key: Key, now: float, after: float | None, priority: int) -> None:
        self.advance(now)
        self.timers = [plan for plan in self.timers if plan.key != key]
        if after is not None:
            self.timers.append(Plan(key, now + after, priority, self.step()))

    def take(self, now: float) -> Key | None:
        self.advance(now)
        if not self.waiting:
            return None
        oldest, since = self.waiting[0]
        by_age = now - since >= self.max_wait and not self.last_by_age
        self.last_by_age = by_age
        key = oldest if by_age else self.first_in_line()
        self.leave(key)
        self.in_work.add(key)
        self.started[key] = now
        return key

    def done(self, key: Key, now: float) -> None:
        self.advance(now)
        self.in_work.remove(key)
        if key in self.again:
            self.fall_due(key, now, self.again.pop(key))

    def discard(self, key: Key) -> None:
        self.adds = [plan for plan in self.adds if plan.key != key]
        self.timers = [plan for plan in self.timers if plan.key != key]
        self.again.pop(key, None)
        if key in dict(self.waiting):
            self.leave(key)

    def is_due(self, key: Key) -> bool:
        return key in dict(self.waiting) or key in self.again

    def advance(self, now: float) -> None:
        while plans := [plan for plan in self.adds + self.timers if plan.at <= now]:
            plan = min(plans, key=lambda plan: (plan.at, plan.number))
            (self.adds if plan in self.adds else self.timers).remove(plan)
            self.fall_due(plan.key, plan.at, plan.priority)

    def fall_due(self, key: Key, since: float, priority: int) -> None:
        if key in self.again:
            self.again[key] = max(self.again[key], priority)
        elif key in self.in_work:
            self.again[key] = priority
        elif key in dict(self.waiting):
            if priority > dict(self.lines)[key]:
                self.lines = [(other, p) for other, p in self.lines if other != key]
                self.join(key, priority)
        elif since < self.free_at(key):
            self.plan(key, self.free_at(key), priority)
        else:
            self.waiting.append((key, since))
            self.join(key, priority)

    def free_at(self, key: Key) -> float:
        return self.started.get(key, -math.inf) + self.min_interval if self.min_interval else -math.inf

    def plan(self, key: Key, at: float, priority: int) -> None:
        old = [plan for plan in self.adds if plan.key == key]
        if old and old[0].at <= at:
            old[0].priority = max(old[0].priority, priority)
        else:
            self.adds = [plan for plan in self.adds if plan.key != key]
            self.adds.append(Plan(key, at, max([priority, *(plan.priority for plan in old)]), self.step()))

    def share(self, key: Key) -> Any:
        return key[0] if self.is_fair else None

    def join(self, key: Key, priority: int) -> None:
        if not any((self.share(other), p) == (self.share(key), priority) for other, p in self.lines):
            self.turns[priority, self.share(key)] = self.step()
        self.lines.append((key, priority))

    def leave(self, key: Key) -> None:
        self.waiting = [(other, since) for other, since in self.waiting if other != key]
        self.lines = [(other, p) for other, p in self.lines if other != key]

    def first_in_line(self) -> Key:
        top = max(priority for _, priority in self.lines)
        line = [key for key, priority in self.lines if priority == top]
        share = min({self.share(key) for key in line}, key=lambda share: self.turns[top, share])
        self.turns[top, share] = self.step()
        return next(key for key in line if self.share(key) == share)

    def step(self) -> int:
        self.steps += 1
        return self.steps


class ScheduleMachine(RuleBasedStateMachine):
    @initialize(
        max_wait=st.sampled_from([0.0, 5.0, 20.0, math.inf]),
        min_interval=st.sampled_from([0.0, 0.0, 4.0]),
        is_fair=st.booleans(),
    )
    def begin(self, max_wait: float, min_interval: float, is_fair: bool) -> None:
        fair_key = (lambda key: key[0]) if is_fair else None
        self.schedule = Schedule[Key](max_wait=max_wait, min_interval=min_interval, fair_key=fair_key)
        self.model = Model(max_wait, min_interval, is_fair)
        self.now = 100.0

    @rule(seconds=st.integers(1, 6))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(key=keys, after=st.one_of(st.just(0), delays), priority=priorities)
    def add(self, key: Key, after: int, priority: int) -> None:
        is_new = self.model.add(key, self.now, after, priority)
        assert self.schedule.add(key, self.now, after=after, priority=priority) is is_new

    @rule(key=keys, after=st.one_of(st.none(), st.integers(0, 12)), priority=priorities)
    def set_timer(self, key: Key, after: int | None, priority: int) -> None:
        self.model.set_timer(key, self.now, after, priority)
        self.schedule.set_timer(key, self.now, after, priority=priority)

    @rule()
    def take(self) -> None:
        assert self.schedule.take(self.now) == self.model.take(self.now)

    @rule()
    def take_when_the_next_is_due(self) -> None:
        due = self.schedule.next_due()
        if due == math.inf:
            assert not self.model.adds
            assert not self.model.timers
            assert self.schedule.take(self.now) is self.model.take(self.now) is None
        else:
            if due - 1 >= self.now:
                self.now = due - 1
                assert self.schedule.take(self.now) is self.model.take(self.now) is None
            self.now = max(self.now, due)
            assert self.schedule.take(self.now) == self.model.take(self.now)

    @precondition(lambda self: self.model.in_work)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.in_work)))
        self.model.done(key, self.now)
        self.schedule.done(key, self.now)

    @rule(key=keys)
    def discard(self, key: Key) -> None:
        self.model.discard(key)
        self.schedule.discard(key)

    @invariant()
    def both_know_the_same(self) -> None:
        if not hasattr(self, "model"):
            return
        model, seen = self.model, {entry.key: entry for entry in self.schedule}
        due = dict(model.waiting)
        assert len(self.schedule) == len(due)
        assert sum(self.schedule.depths().values()) == len(due)
        assert self.schedule.in_work == len(model.in_work)
        assert {key for key, entry in seen.items() if entry.work is not None} == model.in_work
        assert {key: entry.due for key, entry in seen.items() if entry.due is not None} == {
            plan.key: plan.at for plan in model.adds
        }
        assert {key: entry.timer for key, entry in seen.items() if entry.timer is not None} == {
            plan.key: plan.at for plan in model.timers
        }
        assert {
            key for key, entry in seen.items() if entry.waiting_since is not None
        } == due.keys() | model.again.keys()


ScheduleMachine.TestCase.settings = settings(stateful_step_count=40)
TestScheduleIsItsModel = ScheduleMachine.TestCase
