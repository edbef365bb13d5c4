"""Any order of adds, waits, cancellations and passing time: the queue loses nothing and keeps no worker waiting."""

import asyncio
import math
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconcile.core import LOW, NORMAL, WorkQueue
from reconcile.testing.loop import VirtualTimeLoop, new_loop

Key = str
keys = st.sampled_from("abcde")


class QueueMachine(RuleBasedStateMachine):
    """Workers are tasks that take one key each. What must still come is kept as the earliest time for each key."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.queue = WorkQueue[Key]()
        self.workers: list[asyncio.Task[None]] = []
        self.adds: dict[Key, float] = {}
        self.timers: dict[Key, float] = {}
        self.fired: dict[Key, float] = {}
        self.in_work: set[Key] = set()

    @initialize(seed=st.one_of(st.none(), st.integers(0, 1000)))
    def begin(self, seed: int | None) -> None:
        self.loop.close()
        self.loop = new_loop(seed)

    def run(self, seconds: float = 0.0) -> None:
        """Let the loop go on until nothing moves, and time pass if told so."""

        async def go_on() -> None:
            if seconds:
                await asyncio.sleep(seconds)
            await self.loop.settled()

        self.loop.run_until_complete(go_on())
        for worker in [worker for worker in self.workers if worker.done()]:
            self.workers.remove(worker)
            assert worker.cancelled() or worker.result() is None

    def do(self, *steps: Callable[[], object]) -> None:
        """Steps within one turn of the loop: nobody else runs in between."""

        async def at_once() -> None:
            for step in steps:
                step()

        self.loop.run_until_complete(at_once())

    async def work(self) -> None:
        key, now = await self.queue.get(), self.loop.time()
        assert key not in self.in_work
        due = [plan for plan in (self.adds, self.timers, self.fired) if plan.get(key, now + 1) <= now]
        assert due
        for plan in due:
            del plan[key]
        self.in_work.add(key)

    def timers_fire(self) -> None:
        for key in [key for key, at in self.timers.items() if at <= self.loop.time()]:
            self.fired.setdefault(key, self.timers.pop(key))

    def note_add(self, key: Key, after: float) -> None:
        """An add joins one that was there first, and what is due already."""
        self.timers_fire()
        if key not in self.fired:
            self.adds[key] = min(self.adds.get(key, math.inf), self.loop.time() + after)

    def finish(self, key: Key) -> None:
        self.in_work.remove(key)
        self.do(lambda: self.queue.done(key))
        self.run()

    @rule(key=keys, after=st.sampled_from([0, 0, 1, 2, 5]), priority=st.sampled_from([LOW, NORMAL]))
    def add(self, key: Key, after: int, priority: int) -> None:
        self.note_add(key, after)
        self.do(lambda: self.queue.add(key, after=after, priority=priority))
        self.run()

    @rule(key=keys, after=st.sampled_from([None, 1, 3, 5]))
    def set_timer(self, key: Key, after: int | None) -> None:
        self.timers_fire()
        if after is None:
            self.timers.pop(key, None)
        else:
            self.timers[key] = self.loop.time() + after
        self.do(lambda: self.queue.set_timer(key, after))
        self.run()

    @precondition(lambda self: len(self.workers) < 4)
    @rule()
    def a_worker_comes(self) -> None:
        self.workers.append(self.loop.create_task(self.work()))
        self.run()

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_worker_is_cancelled(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        self.do(worker.cancel)
        self.run()
        assert worker.cancelled()

    @precondition(lambda self: self.workers)
    @rule(key=keys, data=st.data(), cancel_first=st.booleans())
    def a_worker_is_cancelled_in_the_same_turn_as_a_key_is_added(
        self, key: Key, data: st.DataObject, cancel_first: bool
    ) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        self.note_add(key, 0)
        steps = [worker.cancel, lambda: self.queue.add(key)]
        self.do(*(steps if cancel_first else reversed(steps)))
        self.run()

    @precondition(lambda self: self.workers and self.adds)
    @rule(data=st.data())
    def a_worker_is_cancelled_just_when_a_key_falls_due(self, data: st.DataObject) -> None:
        worker, at = data.draw(st.sampled_from(self.workers)), max(min(self.adds.values()), self.loop.time())
        self.loop.call_at(at, worker.cancel)
        self.run(at - self.loop.time())

    @precondition(lambda self: self.in_work)
    @rule(data=st.data())
    def work_is_done(self, data: st.DataObject) -> None:
        self.finish(data.draw(st.sampled_from(sorted(self.in_work))))

    @rule(seconds=st.integers(1, 4))
    def time_passes(self, seconds: int) -> None:
        self.run(seconds)

    @invariant()
    def no_worker_waits_beside_a_key_that_is_due(self) -> None:
        if self.workers:
            due = {
                key
                for plan in (self.adds, self.timers, self.fired)
                for key, at in plan.items()
                if at <= self.loop.time()
            }
            assert due <= self.in_work

    def teardown(self) -> None:
        try:
            for _ in range(100):
                if not self.adds | self.timers | self.fired and not self.in_work:
                    break
                for key in list(self.in_work):
                    self.finish(key)
                if not self.workers:
                    self.workers.append(self.loop.create_task(self.work()))
                self.run(1)
            assert not self.adds | self.timers | self.fired
            assert list(self.queue.schedule) == []
        finally:
            for worker in self.workers:
                worker.cancel()
            self.run()
            self.loop.close()


QueueMachine.TestCase.settings = settings(stateful_step_count=30)
TestQueueLosesNothing = QueueMachine.TestCase
