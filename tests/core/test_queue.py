"""Waiting for keys, on virtual time."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Callable

import anyio
import pytest
from attrs import define, field

from reconcile.core import (
    LOW,
    NORMAL,
    Backoff,
    QueueClosed,
    QueueObserver,
    Schedule,
    Seconds,
    TokenBucket,
    WorkQueue,
    clock,
)
from reconcile.testing.loop import settled


class HighestRandom(random.Random):
    """Draws the largest number each time, so that a jittered delay is its ceiling."""

    def uniform(self, a: float, b: float) -> float:
        return b


async def test_a_key_added_first_is_handed_out_without_waiting() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    assert len(queue) == 0


async def test_a_worker_that_waits_gets_a_key_as_soon_as_it_is_added() -> None:
    queue = WorkQueue[str]()
    async with asyncio.timeout(10):
        getting = asyncio.create_task(queue.get())
        await settled()
        queue.add("a")
        assert await getting == "a"
    assert clock.now() == 0.0


async def test_a_delayed_key_comes_at_its_time_and_not_before() -> None:
    queue = WorkQueue[str]()
    queue.add("a", after=30.0)
    assert await queue.get() == "a"
    assert clock.now() == 30.0


async def test_a_worker_that_waits_for_a_later_key_gets_an_earlier_one_first() -> None:
    queue = WorkQueue[str]()
    queue.add("late", after=30.0)
    getting = asyncio.create_task(queue.get())
    await settled()
    queue.add("early", after=10.0)
    assert await getting == "early"
    assert clock.now() == 10.0
    assert await queue.get() == "late"
    assert clock.now() == 30.0


async def test_keys_that_fall_due_together_wake_a_worker_each() -> None:
    queue, seen = WorkQueue[str](), list[str]()

    async def worker() -> None:
        seen.append(await queue.get())

    async with asyncio.TaskGroup() as workers:
        for _ in range(3):
            workers.create_task(worker())
        await settled()
        for key in "abc":
            queue.add(key, after=5.0)
    assert seen == ["a", "b", "c"]
    assert clock.now() == 5.0


async def test_one_added_key_wakes_one_worker_only() -> None:
    queue = WorkQueue[str]()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await settled()
    queue.add("a")
    queue.add("a")
    await settled()
    assert [worker.done() for worker in workers] == [True, False, False]
    queue.close()
    await asyncio.gather(*workers, return_exceptions=True)


async def test_a_key_in_work_waits_for_done_while_another_worker_is_idle() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    assert await queue.get() == "a"
    idle = asyncio.create_task(queue.get())
    queue.add("a")
    await asyncio.sleep(100)
    assert not idle.done()
    queue.done("a")
    assert await idle == "a"


class TestCancel:
    async def test_a_worker_cancelled_after_it_was_woken_wakes_another(self) -> None:
        queue = WorkQueue[str]()
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await settled()
        queue.add("a")
        first.cancel()
        assert await second == "a"
        assert first.cancelled()
        assert queue.snapshot().idle_workers == 0

    async def test_a_cancelled_worker_is_not_counted_as_idle(self) -> None:
        queue = WorkQueue[str]()
        workers = [asyncio.create_task(queue.get()) for _ in range(3)]
        await settled()
        assert queue.snapshot().idle_workers == 3
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
        assert queue.snapshot().idle_workers == 0

    async def test_a_worker_cancelled_just_before_a_key_is_added_is_passed_over(self) -> None:
        queue = WorkQueue[str]()
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await settled()
        first.cancel()
        queue.add("a")
        assert await second == "a"

    async def test_a_worker_cancelled_at_the_very_time_a_key_falls_due_does_not_take_the_alarm_with_it(self) -> None:
        queue = WorkQueue[str]()
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await settled()
        asyncio.get_running_loop().call_at(5.0, first.cancel)
        queue.add("a", after=5.0)
        assert await second == "a"

    async def test_a_worker_that_only_takes_what_is_there_can_still_be_cancelled(self) -> None:
        queue, turns = WorkQueue[int](), 0
        for key in range(1000):
            queue.add(key)

        async def never_waits() -> None:
            nonlocal turns
            while True:
                key = await queue.get()
                turns += 1
                queue.done(key)
                queue.add(key)

        worker = asyncio.create_task(never_waits())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        worker.cancel()
        await asyncio.wait([worker])
        assert 0 < turns < 50
        assert len(queue) == 1000


class TestRetry:
    @pytest.mark.pain(28)
    async def test_a_failing_key_comes_back_later_each_time_and_after_a_minute_at_the_latest(self) -> None:
        queue = WorkQueue[str](backoff=Backoff(base=1.0), rng=HighestRandom())
        queue.add("a")
        starts = []
        for _ in range(9):
            key = await queue.get()
            starts.append(clock.now())
            queue.retry(key)
            queue.done(key)
        pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
        assert queue.failures("a") == 9

    @pytest.mark.pain(28)
    async def test_a_change_runs_a_key_that_backs_off_now_and_once(self) -> None:
        queue = WorkQueue[str](backoff=Backoff(base=50.0), rng=HighestRandom())
        queue.add("a")
        key = await queue.get()
        assert queue.retry(key) == 50.0
        queue.done(key)
        await asyncio.sleep(3)
        queue.add("a")
        assert await queue.get() == "a"
        assert clock.now() == 3.0
        queue.done("a")
        with anyio.move_on_after(1000):
            pytest.fail(f"{await queue.get()} came again")

    async def test_success_forgets_the_failures(self) -> None:
        queue = WorkQueue[str](backoff=Backoff(base=1.0), rng=HighestRandom())
        assert [queue.retry("a"), queue.retry("a")] == [1.0, 2.0]
        queue.forget("a")
        assert queue.failures("a") == 0
        assert queue.retry("a") == 1.0

    async def test_a_retried_key_keeps_its_priority(self) -> None:
        queue = WorkQueue[str](backoff=Backoff(base=1.0), rng=HighestRandom())
        queue.add("low", priority=LOW)
        key = await queue.get()
        queue.retry(key)
        queue.done(key)
        queue.add("normal", after=2.0)
        await asyncio.sleep(3)
        assert [await queue.get(), await queue.get()] == ["normal", "low"]

    async def test_the_bucket_holds_back_what_backoff_alone_would_let_through(self) -> None:
        queue = WorkQueue[int](backoff=Backoff(base=0.1), bucket=TokenBucket(rate=1.0, burst=2), rng=HighestRandom())
        assert [queue.retry(key) for key in range(5)] == pytest.approx([0.1, 0.1, 1.0, 2.0, 3.0])

    async def test_discard_forgets_failures_and_plans(self) -> None:
        queue = WorkQueue[str]()
        queue.retry("a")
        queue.set_timer("a", 5.0)
        queue.discard("a")
        assert queue.failures("a") == 0
        assert queue.snapshot().keys == ()


@pytest.mark.pain(29)
class TestTimer:
    async def test_it_fires_although_changes_passed_and_fires_once(self) -> None:
        queue, starts = WorkQueue[str](), list[Seconds]()

        async def worker() -> None:
            while True:
                key = await queue.get()
                starts.append(clock.now())
                queue.done(key)

        worker_task = asyncio.create_task(worker())
        queue.set_timer("a", 300.0)
        for moment in (10, 20):
            await asyncio.sleep(10)
            queue.add("a")
            assert clock.now() == moment
        await asyncio.sleep(1000)
        assert starts == [10.0, 20.0, 300.0]
        worker_task.cancel()
        await asyncio.wait([worker_task])

    async def test_the_result_of_a_later_pass_replaces_it(self) -> None:
        queue = WorkQueue[str]()
        queue.set_timer("a", 300.0)
        queue.set_timer("a", 30.0)
        assert await queue.get() == "a"
        assert clock.now() == 30.0
        queue.done("a")
        queue.set_timer("a", 10.0)
        queue.set_timer("a", None)
        with anyio.move_on_after(1000):
            pytest.fail(f"{await queue.get()} came again")


class TestEnd:
    async def test_close_sends_waiting_workers_home_and_takes_nothing_more_in(self) -> None:
        queue = WorkQueue[str]()
        workers = [asyncio.create_task(queue.get()) for _ in range(2)]
        await settled()
        queue.add("later", after=10.0)
        queue.close()
        queue.add("too late")
        queue.set_timer("too late", 1.0)
        for worker in workers:
            with pytest.raises(QueueClosed):
                await worker
        with pytest.raises(QueueClosed):
            await queue.get()
        assert [entry.key for entry in queue.snapshot().keys] == ["later"]

    @pytest.mark.pain(27)
    async def test_drain_waits_for_work_that_goes_on_and_starts_no_more(self) -> None:
        queue, done = WorkQueue[str](), list[str]()

        async def worker(seconds: float) -> None:
            with contextlib.suppress(QueueClosed):
                while True:
                    key = await queue.get()
                    await asyncio.sleep(seconds)
                    queue.retry(key)
                    queue.done(key)
                    done.append(key)

        async with asyncio.TaskGroup() as workers:
            for key in "abcd":
                queue.add(key)
            workers.create_task(worker(5))
            workers.create_task(worker(20))
            await asyncio.sleep(1)
            await queue.drain()
            assert clock.now() == 20.0
            assert done == ["a", "b"]
            await queue.drain()
        assert [entry.key for entry in queue.snapshot().keys if entry.waiting_since is not None] == ["c", "d"]

    @pytest.mark.pain(27)
    async def test_a_drain_can_be_given_up(self) -> None:
        queue = WorkQueue[str]()
        queue.add("a")
        await queue.get()
        with anyio.move_on_after(5) as scope:
            await queue.drain()
        assert scope.cancelled_caught
        queue.done("a")
        await queue.drain()


@define
class Notes(QueueObserver):
    lines: list[tuple[object, ...]] = field(factory=list)

    def added(self, priority: int) -> None:
        self.lines.append(("added", priority))

    def taken(self, priority: int, waited: Seconds) -> None:
        self.lines.append(("taken", priority, waited))

    def done(self, worked: Seconds) -> None:
        self.lines.append(("done", worked))

    def retried(self, delay: Seconds) -> None:
        self.lines.append(("retried", delay))


@pytest.mark.pain(35)
class TestSeen:
    async def test_an_observer_hears_of_each_step_with_its_times(self) -> None:
        notes = Notes()
        queue = WorkQueue[str](observer=notes, backoff=Backoff(base=7.0), rng=HighestRandom())
        queue.add("a", priority=LOW)
        queue.add("a", priority=LOW)
        await asyncio.sleep(3)
        key = await queue.get()
        await asyncio.sleep(2)
        queue.retry(key)
        queue.done(key)
        assert notes.lines == [
            ("added", LOW),
            ("taken", LOW, 3.0),
            ("added", LOW),
            ("retried", 7.0),
            ("done", 2.0),
        ]

    async def test_a_snapshot_shows_what_waits_since_when_and_what_is_in_work(self) -> None:
        queue = WorkQueue[str]("networks", backoff=Backoff(base=7.0), rng=HighestRandom())
        for key in ("works", "waits"):
            queue.add(key)
        await asyncio.sleep(3)
        await queue.get()
        queue.retry("fails")
        queue.set_timer("waits", 60.0)
        snapshot = queue.snapshot()
        keys = {entry.key: entry for entry in snapshot.keys}
        assert (snapshot.name, snapshot.at, snapshot.is_closed) == ("networks", 3.0, False)
        assert keys["works"].work == (3.0, 3.0, NORMAL)
        assert (keys["waits"].waiting_since, keys["waits"].timer) == (0.0, 63.0)
        assert keys["fails"].due == 10.0
        assert snapshot.failures == {"fails": 1}


@pytest.mark.parametrize("fair_key", [None, hash], ids=["one line", "shares"])
async def test_many_workers_and_keys_lose_nothing(fair_key: Callable[[int], int] | None) -> None:
    queue = WorkQueue[int](schedule=Schedule(fair_key=fair_key))
    rng, seen = random.Random(4), dict[int, int]()

    async def worker() -> None:
        while True:
            key = await queue.get()
            seen[key] = seen.get(key, 0) + 1
            await asyncio.sleep(rng.random())
            queue.done(key)

    workers = [asyncio.create_task(worker()) for _ in range(5)]
    for key in range(500):
        queue.add(key, after=rng.choice([0.0, rng.random() * 100]))
        await asyncio.sleep(rng.choice([0.0, 0.1]))
    await asyncio.sleep(1000)
    assert seen == dict.fromkeys(range(500), 1)
    queue.close()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, QueueClosed) for result in results)


def test_an_alarm_for_a_time_that_has_nearly_come_holds_on_uvloop_too() -> None:
    async def two_wait_for_the_next_key() -> set[str]:
        queue, found = WorkQueue[str](), set[str]()

        async def take() -> None:
            found.add(await queue.get())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take)
            tasks.start_soon(take)
            await asyncio.sleep(0)
            for number in range(2):  # uvloop has no timers below a millisecond: it gives back another kind of handle
                queue.add(str(number), after=1e-5)
        return found

    assert anyio.run(two_wait_for_the_next_key, backend_options={"use_uvloop": True}) == {"0", "1"}
