"""Virtual time: it jumps, it waits for what is outside, and it never hangs."""

import asyncio
import datetime as dt
import socket
import threading
import time

import anyio
import anyio.to_thread
import pytest

from reconcile.core import clock
from reconcile.testing import loop as vloop
from reconcile.testing.loop import BOOTED, EPOCH, Deadlock, Livelock, VirtualTimeLoop, new_loop, run, settled, virtual


async def test_every_async_test_runs_on_a_virtual_loop_that_starts_at_zero() -> None:
    assert isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    assert clock.now() == 0.0
    assert clock.utc() == EPOCH
    assert clock.boottime() == BOOTED


async def test_a_day_of_sleep_costs_no_real_time() -> None:
    began = time.monotonic()
    for _ in range(24):
        await asyncio.sleep(3600)
    assert clock.now() == 86400
    assert clock.utc() == EPOCH + dt.timedelta(days=1)
    assert time.monotonic() - began < 1


async def test_a_sleep_of_a_year_ends_at_its_exact_time() -> None:
    await asyncio.sleep(0.1)
    await asyncio.sleep(365 * 86400.0)
    assert clock.now() == 0.1 + 365 * 86400.0


async def test_timers_fire_in_the_order_of_their_times() -> None:
    order: list[int] = []
    for delay in (3, 1, 2):
        asyncio.get_running_loop().call_later(delay, order.append, delay)
    await asyncio.sleep(4)
    assert order == [1, 2, 3]


async def test_an_anyio_deadline_is_on_virtual_time() -> None:
    with anyio.move_on_after(120) as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert clock.now() == 120


async def test_setting_the_wall_clock_moves_no_other_clock() -> None:
    virtual().advance_utc(-90)
    assert clock.utc() == EPOCH - dt.timedelta(seconds=90)
    assert (clock.now(), clock.boottime()) == (0.0, BOOTED)


async def test_suspend_moves_the_wall_and_the_boot_clock_but_no_timer() -> None:
    fired: list[float] = []
    asyncio.get_running_loop().call_later(10, lambda: fired.append(clock.boottime()))
    virtual().suspend(3600)
    assert clock.now() == 0.0
    assert clock.utc() == EPOCH + dt.timedelta(hours=1)
    assert clock.boottime() == BOOTED + 3600
    await asyncio.sleep(11)
    assert fired == [BOOTED + 3610]


class TestSettled:
    async def test_it_returns_when_all_others_wait_and_no_time_has_passed(self) -> None:
        steps: list[str] = []

        async def walk() -> None:
            for step in range(100):
                await asyncio.sleep(0)
                steps.append(f"step {step}")
            await asyncio.sleep(1)
            steps.append("a second later")

        task = asyncio.create_task(walk())
        await settled()
        assert len(steps) == 100
        assert clock.now() == 0.0
        await task
        assert clock.now() == 1.0

    async def test_what_is_due_now_happens_before_it_returns(self) -> None:
        happened: list[str] = []
        asyncio.get_running_loop().call_at(0.0, happened.append, "due")
        await settled()
        assert happened == ["due"]

    async def test_it_waits_for_thread_jobs_of_either_library(self) -> None:
        done: list[str] = []

        async def in_threads() -> None:
            await asyncio.to_thread(time.sleep, 0.03)
            done.append("asyncio")
            await anyio.to_thread.run_sync(time.sleep, 0.03)
            done.append("anyio")

        async with anyio.create_task_group() as group:
            group.start_soon(in_threads)
            await settled()
            assert done == ["asyncio", "anyio"]

    async def test_two_callers_go_on_one_after_the_other(self) -> None:
        order: list[str] = []

        async def caller(name: str) -> None:
            await settled()
            for _ in range(3):
                order.append(name)
                await asyncio.sleep(0)

        async with anyio.create_task_group() as group:
            group.start_soon(caller, "a")
            group.start_soon(caller, "b")
        assert order == ["a", "a", "a", "b", "b", "b"]

    async def test_a_cancelled_caller_does_not_disturb_the_others(self) -> None:
        task = asyncio.create_task(settled())
        await asyncio.sleep(0)
        task.cancel()
        await settled()
        assert task.cancelled()

    def test_it_refuses_a_loop_on_real_time(self) -> None:
        with pytest.raises(RuntimeError, match="needs the virtual-time loop"):
            asyncio.run(settled())


class TestOutside:
    async def test_time_stands_still_while_a_thread_works(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0.001)
            await asyncio.to_thread(time.sleep, 0.05)
            assert clock.now() == 0.0
            await anyio.to_thread.run_sync(time.sleep, 0.05)
            assert clock.now() == 0.0

    async def test_a_job_that_waits_for_a_timer_is_not_waited_for_for_ever(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vloop, "PATIENCE", 0.05)
        rung = threading.Event()
        asyncio.get_running_loop().call_later(3600, rung.set)
        assert await asyncio.to_thread(rung.wait, 30)
        assert clock.now() == 3600

    async def test_bytes_on_a_real_socket_arrive_before_a_later_timer(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            answer = threading.Timer(0.05, theirs.send, [b"pong"])
            answer.start()
            async with asyncio.timeout(10):
                assert await asyncio.get_running_loop().sock_recv(ours, 10) == b"pong"
            assert 0.04 < clock.now() < 5
            answer.join()

    async def test_a_timer_beside_a_silent_socket_takes_its_real_time(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await asyncio.get_running_loop().sock_recv(ours, 10)
            assert time.monotonic() - began >= 0.05
            assert clock.now() >= 0.05


class TestDeadlock:
    @pytest.fixture(autouse=True)
    def _nothing_left_behind(self) -> None:
        """A deadlock leaves tasks behind; that is what these tests are about."""

    def test_it_is_raised_and_names_each_waiting_task_with_its_place(self) -> None:
        async def wait_for_nobody() -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(wait_for_nobody(), name="left")
                group.create_task(wait_for_nobody(), name="right")

        with pytest.raises(Deadlock) as caught:
            run(main())
        assert len(caught.value.tasks) == 3
        assert caught.value.tasks[1].startswith("left (")
        assert "wait_for_nobody) at locks.py:" in str(caught.value)

    def test_a_silent_socket_without_any_timer_ends_as_a_deadlock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vloop, "STALL", 0.05)
        ours, theirs = socket.socketpair()

        async def read() -> None:
            await asyncio.get_running_loop().sock_recv(ours, 10)

        with ours, theirs:
            ours.setblocking(False)
            with pytest.raises(Deadlock):
                run(read())

    def test_tasks_that_keep_each_other_busy_for_ever_are_named_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vloop, "LIMIT_TURNS", 1000)

        async def spin() -> None:
            with anyio.CancelScope() as scope:
                scope.cancel()
                for _ in range(5000):
                    try:
                        await asyncio.sleep(10)
                    except asyncio.CancelledError:
                        continue

        with pytest.raises(Livelock, match="spin"):
            run(spin())


class TestSeed:
    @staticmethod
    async def race() -> list[int]:
        order: list[int] = []

        async def runner(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(runner(number))
        return order

    def test_without_a_seed_tasks_run_in_turn(self) -> None:
        assert run(self.race()) == [0, 1, 2, 3, 4, 5]

    def test_a_seed_repeats_its_order_and_seeds_reach_many_orders(self) -> None:
        orders = {seed: tuple(run(self.race(), seed=seed)) for seed in range(40)}
        assert orders == {seed: tuple(run(self.race(), seed=seed)) for seed in range(40)}
        assert len(set(orders.values())) > 30

    def test_plain_callbacks_keep_their_order_under_every_seed(self) -> None:
        async def callbacks() -> list[int]:
            order: list[int] = []
            async with asyncio.TaskGroup() as group:
                for number in range(5):
                    asyncio.get_running_loop().call_soon(order.append, number)
                    group.create_task(asyncio.sleep(0))
            return order

        for seed in range(20):
            assert run(callbacks(), seed=seed) == [0, 1, 2, 3, 4]


def test_run_returns_the_result_and_the_loop_can_be_given_a_date() -> None:
    async def date() -> dt.datetime:
        return clock.utc()

    day = dt.datetime(2024, 2, 29, tzinfo=dt.UTC)
    assert run(date(), utc=day) == day
    loop = new_loop()
    loop.close()
