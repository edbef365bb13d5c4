"""Services start in line order and stop in reverse, whatever happens."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskStatus
from attrs import define, field

from reconcile.core import NotStarted, ServiceEnded, ServiceStuck, clock, serving
from reconcile.testing.loop import new_loop, settled

Log = list[str]


async def nothing() -> None:
    """No work of its own."""


@define
class Part:
    """A service that writes down what happens to it. ``work`` is what it does once it is usable."""

    name: str
    log: Log
    prepare: Callable[[], Awaitable[object]] = nothing
    work: Callable[[], Awaitable[object]] = anyio.sleep_forever
    clean_up: Callable[[], Awaitable[object]] = nothing
    ended: bool = field(default=True, init=False)

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        self.log.append(f"{self.name} starts")
        self.ended = False
        try:
            await self.prepare()
            task_status.started()
            self.log.append(f"{self.name} is usable")
            await self.work()
        finally:
            with anyio.CancelScope(shield=True):
                await self.clean_up()
            self.log.append(f"{self.name} ends")
            self.ended = True


@define
class Worker(Part):
    """A service with something in work."""

    finish: Callable[[], Awaitable[object]] = nothing

    async def drain(self) -> None:
        self.log.append(f"{self.name} drains")
        await self.finish()
        self.log.append(f"{self.name} is drained")


@pytest.fixture
def log() -> Log:
    return []


def sleeping(seconds: float) -> Callable[[], Awaitable[object]]:
    return lambda: anyio.sleep(seconds)


def failing(after: float, error: Exception) -> Callable[[], Awaitable[object]]:
    async def fail() -> None:
        await anyio.sleep(after)
        raise error

    return fail


class TestOrder:
    async def test_each_is_usable_before_the_next_starts_and_the_last_stops_first(self, log: Log) -> None:
        async with serving(Part("a", log, prepare=sleeping(5)), Part("b", log), Part("c", log)):
            assert clock.now() == 5
            log.append("block")
        assert log == [
            *("a starts", "a is usable", "b starts", "b is usable", "c starts", "c is usable"),
            "block",
            *("c ends", "b ends", "a ends"),
        ]

    async def test_a_service_is_still_there_while_the_one_behind_it_cleans_up(self, log: Log) -> None:
        first = Part("a", log)

        async def uses_the_first() -> None:
            await anyio.sleep(1)
            assert not first.ended
            log.append("b used a")

        async with serving(first, Part("b", log, clean_up=uses_the_first)):
            pass
        assert log[-3:] == ["b used a", "b ends", "a ends"]

    async def test_the_lines_of_nested_blocks_are_one_line(self, log: Log) -> None:
        async with serving(Part("a", log)), serving(Part("b", log), Part("c", log)):
            pass
        assert log[-3:] == ["c ends", "b ends", "a ends"]

    async def test_no_service_at_all_is_fine(self) -> None:
        async with serving():
            await settled()


class TestEndsByItself:
    @pytest.mark.pain(2)
    async def test_a_failure_ends_the_block_and_stops_the_others_in_reverse(self, log: Log) -> None:
        reason = ValueError("no more")
        parts = Part("a", log), Part("b", log, work=failing(3, reason)), Part("c", log)
        with pytest.raises(ServiceEnded) as caught:
            async with serving(*parts):
                await anyio.sleep(1000)
        assert (caught.value.name, caught.value.__cause__) == ("b", reason)
        assert clock.now() == 3
        assert log[-3:] == ["b ends", "c ends", "a ends"]

    @pytest.mark.pain(2)
    async def test_a_service_that_just_returns_ends_the_block_too(self, log: Log) -> None:
        with pytest.raises(ServiceEnded) as caught:
            async with serving(Part("a", log), Part("b", log, work=nothing), Part("c", log)):
                pytest.fail("the block was entered")
        assert (caught.value.name, caught.value.__cause__) == ("b", None)
        assert "c starts" not in log
        assert log[-1] == "a ends"

    async def test_in_an_outer_block_it_ends_the_inner_one_first(self, log: Log) -> None:
        with pytest.raises(ServiceEnded) as caught:
            async with serving(Part("a", log), Part("b", log, work=sleeping(3))), serving(Part("c", log)):
                await anyio.sleep(1000)
        assert caught.value.name == "b"
        assert log[-3:] == ["b ends", "c ends", "a ends"]

    async def test_before_it_is_usable_nothing_behind_it_starts(self, log: Log) -> None:
        reason = OSError("address in use")
        with pytest.raises(ServiceEnded) as caught:
            async with serving(Part("a", log), Part("b", log, prepare=failing(1, reason)), Part("c", log)):
                pytest.fail("the block was entered")
        assert caught.value.__cause__ is reason
        assert log == ["a starts", "a is usable", "b starts", "b ends", "a ends"]

    async def test_while_another_one_starts_it_is_not_waited_for(self, log: Log) -> None:
        parts = Part("a", log, work=failing(2, ValueError())), Part("b", log, prepare=anyio.sleep_forever)
        with pytest.raises(ServiceEnded) as caught:
            async with serving(*parts):
                pytest.fail("the block was entered")
        assert caught.value.name == "a"
        assert log[-2:] == ["a ends", "b ends"]

    async def test_while_the_others_stop_it_is_told_at_the_end(self, log: Log) -> None:
        parts = Part("a", log, work=failing(2, ValueError())), Part("b", log, clean_up=sleeping(4))
        with pytest.raises(ServiceEnded) as caught:
            async with serving(*parts):
                pass
        assert caught.value.name == "a"

    async def test_the_log_says_so_when_it_happens(self, log: Log, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(ServiceEnded):
            async with serving(Part("a", log, work=failing(2, ValueError("no more")))):
                await anyio.sleep(1000)
        [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert record.getMessage() == "Service ended by itself service=a"
        assert "no more" in caplog.text


class TestStart:
    async def test_one_that_is_not_usable_in_time_is_named_with_the_place_where_it_stood(self, log: Log) -> None:
        with pytest.raises(NotStarted, match=r"b was not usable after 30 s: b .* at .* in sleep") as caught:
            async with serving(Part("a", log), Part("b", log, prepare=sleeping(60)), start_timeout=30):
                pytest.fail("the block was entered")
        assert caught.value.name == "b"
        assert clock.now() == 30
        assert log[-2:] == ["b ends", "a ends"]

    async def test_without_a_timeout_it_may_take_a_day(self, log: Log) -> None:
        async with serving(Part("a", log, prepare=sleeping(86400))):
            assert clock.now() == 86400


class TestBlock:
    async def test_its_own_error_comes_out_as_it_is_after_all_have_stopped(self, log: Log) -> None:
        error = KeyError("mine")
        with pytest.raises(KeyError) as caught:
            async with serving(Part("a", log), Part("b", log)):
                raise error
        assert caught.value is error
        assert log[-2:] == ["b ends", "a ends"]

    async def test_cancelled_by_a_scope_it_still_stops_in_reverse_and_shielded(self, log: Log) -> None:
        with anyio.move_on_after(5) as scope:
            async with serving(Part("a", log, clean_up=sleeping(2)), Part("b", log, clean_up=sleeping(2))):
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert clock.now() == 9
        assert log[-2:] == ["b ends", "a ends"]

    async def test_cancelled_again_while_it_stops_it_goes_on_stopping(self, log: Log) -> None:
        async def host() -> None:
            async with serving(Part("a", log, clean_up=sleeping(2)), Part("b", log, clean_up=sleeping(2))):
                await anyio.sleep_forever()

        task = asyncio.create_task(host())
        await asyncio.sleep(1)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(1)
        await asyncio.wait([task])
        assert task.cancelled()
        assert clock.now() == 5
        assert log[-2:] == ["b ends", "a ends"]

    async def test_cancelled_while_it_stops_it_is_cancelled_at_the_end_of_that(self, log: Log) -> None:
        async def host() -> None:
            async with serving(Part("a", log, clean_up=sleeping(2))):
                pass
            log.append("never reached")

        task = asyncio.create_task(host())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert clock.now() == 2
        assert log[-1] == "a ends"

    @pytest.mark.pain(27)
    async def test_a_write_that_is_shielded_is_finished_before_its_service_ends(self, log: Log) -> None:
        async def write() -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(3)
                log.append("written")

        async with serving(Part("a", log, work=write), budget=10):
            pass
        assert log[-2:] == ["written", "a ends"]


@pytest.mark.pain(27)
class TestDrain:
    async def test_each_drains_before_it_is_cancelled_while_those_before_it_work(self, log: Log) -> None:
        store = Part("store", log)

        async def finish() -> None:
            await anyio.sleep(3)
            assert not store.ended

        async with serving(store, Worker("worker", log, finish=finish)):
            pass
        assert log[-4:] == ["worker drains", "worker is drained", "worker ends", "store ends"]
        assert clock.now() == 3

    async def test_a_drain_is_cut_off_when_its_budget_is_over(self, log: Log, caplog: pytest.LogCaptureFixture) -> None:
        async with serving(Part("a", log), Worker("b", log, finish=sleeping(1000)), budget=10):
            pass
        assert clock.now() == 10
        assert log[-3:] == ["b drains", "b ends", "a ends"]
        assert "Service is not drained in time service=b" in caplog.text

    async def test_a_drain_that_fails_is_logged_and_the_stop_goes_on(
        self, log: Log, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serving(Part("a", log), Worker("b", log, finish=failing(1, ValueError("no pen")))):
            pass
        assert log[-2:] == ["b ends", "a ends"]
        assert "no pen" in caplog.text

    async def test_a_service_that_was_never_usable_is_not_drained(self, log: Log) -> None:
        with pytest.raises(NotStarted):
            async with serving(Worker("a", log, prepare=anyio.sleep_forever), start_timeout=1):
                pytest.fail("the block was entered")
        assert log == ["a starts", "a ends"]


@pytest.mark.pain(27)
class TestStuck:
    @asynccontextmanager
    async def stubborn(self) -> AsyncIterator[Callable[[], Awaitable[object]]]:
        """Work that no cancellation ends; over when the test is."""
        over = asyncio.Event()
        ended = asyncio.Event()

        async def ignore() -> None:
            while not over.is_set():
                with anyio.CancelScope(shield=True):
                    try:
                        await over.wait()
                    except asyncio.CancelledError:
                        continue
            ended.set()

        yield ignore
        over.set()
        await ended.wait()
        await settled()

    async def test_it_is_reported_with_its_stack_and_the_others_are_stopped(
        self, log: Log, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with self.stubborn() as ignore:
            with pytest.raises(ServiceStuck, match=r"b ignores that it is stopped: b .* in wait") as caught:
                async with serving(Part("a", log), Part("b", log, work=ignore), Part("c", log), budget=10):
                    pass
            assert caught.value.name == "b"
            assert not caught.value.task.done()
            assert clock.now() == 10
            assert log[-2:] == ["c ends", "a ends"]
            [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
            assert "service=b seconds=10.000" in record.getMessage()
            assert "await over.wait()" in record.getMessage()

    async def test_the_error_of_the_block_is_not_hidden_by_it(self, log: Log) -> None:
        async with self.stubborn() as ignore:
            with pytest.raises(KeyError):
                async with serving(Part("b", log, work=ignore)):
                    raise KeyError

    async def test_shielded_work_that_takes_too_long_is_broken_off_at_half_the_budget(self, log: Log) -> None:
        async with serving(Part("a", log), Part("b", log, clean_up=sleeping(1000)), budget=10):
            pass
        assert clock.now() == 5
        assert log[-1] == "a ends"


@pytest.mark.pain(27)
@pytest.mark.parametrize("is_native", [True, False], ids=["task.cancel", "scope.cancel"])
def test_cancelled_at_any_point_every_service_that_started_ends_in_reverse_order(is_native: bool) -> None:
    """The host is cancelled after 0, 1, 2, ... turns of the loop, until it is through before that."""

    async def host(log: Log, scope: anyio.CancelScope) -> None:
        hop = sleeping(0)
        parts = [Worker(name, log, prepare=hop, clean_up=hop, finish=hop) for name in "abc"]
        with scope:
            async with serving(*parts[:2]), serving(parts[2]):
                await hop()
        assert all(part.ended for part in parts)

    async def cancelled_after(turns: int, log: Log) -> bool:
        scope = anyio.CancelScope()
        task = asyncio.create_task(host(log, scope))
        for _ in range(turns):
            await asyncio.sleep(0)
        came_late = task.done()
        if is_native:
            task.cancel()
        else:
            scope.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.result() is None
        await settled()
        assert len(asyncio.all_tasks()) == 1
        return came_late

    for turns in itertools.count():
        log: Log = []
        with asyncio.Runner(loop_factory=new_loop) as runner:
            came_late = runner.run(cancelled_after(turns, log))
        started = [line[0] for line in log if line.endswith(" starts")]
        ended = [line[0] for line in log if line.endswith(" ends")]
        assert ended == started[::-1]
        if came_late:
            break
    assert turns > 20
