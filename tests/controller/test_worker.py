"""Workers bound a reconcile in time, contain what it raises, and never run a key twice at once."""

import asyncio
import logging
from typing import Any

import anyio
import pytest

from reconcile.controller.context import PassFilter, running_pass
from reconcile.controller.reconciler import Request, Result
from reconcile.controller.settings import ControllerSettings
from reconcile.controller.worker import Worker
from reconcile.core.clock import now
from reconcile.testing.loop import settled
from tests.controller.shop import KEY, Shop, wrote
from tests.controller.things import entry, write

QUICK = ControllerSettings(workers=1, deadline=10.0, cancel_grace=2.0)


async def forever(_request: Request) -> None:
    await anyio.sleep_forever()


async def done(_request: Request) -> None: ...


@pytest.mark.pain(16)
async def test_a_reconcile_that_hangs_is_cancelled_at_its_deadline_and_tried_again() -> None:
    shop = Shop(forever, QUICK)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(9.9)
        assert not shop.figures.results
        shop.reconcile = done
        await anyio.sleep(5.0)
    assert shop.figures.results == ["timeout", "success"]
    assert shop.backlog.history.of(KEY)[0].seconds == 10.0


@pytest.mark.pain(16)
async def test_a_hanging_key_does_not_hold_up_the_others() -> None:
    async def reconcile(request: Request) -> None:
        if request == KEY:
            await anyio.sleep_forever()

    shop = Shop(reconcile, ControllerSettings(workers=2))
    other = Request("home", "ns", "b")
    async with shop.working():
        shop.sees(None, entry("a", 1))
        shop.sees(None, entry("b", 1), other)
        await settled()
        assert shop.figures.results == ["success"]


@pytest.mark.pain(16)
async def test_one_that_ignores_cancellation_is_named_with_its_stack_and_keeps_its_slot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    let_go = asyncio.Event()

    async def deaf(_request: Request) -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    shop = Shop(deaf, QUICK)
    other = Request("home", "ns", "b")
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
        shop.sees(None, entry("b", 1), other)
        await anyio.sleep(11.0)
        [worker] = shop.workers
        assert (worker.deadline.has_expired, worker.deadline.is_stuck) == (True, False)
        await anyio.sleep(2.0)
        assert (worker.deadline.has_expired, worker.deadline.is_stuck) == (True, True)
        [record] = [record for record in caplog.records if "ignores its cancellation" in record.message]
        assert "in deaf" in record.message
        assert f"key={KEY}" in record.message
        assert [request for _, request in shop.runs] == [KEY]
        shop.reconcile = done
        let_go.set()
        await settled()
        assert [request for _, request in shop.runs[:2]] == [KEY, other]
        assert shop.figures.results[:2] == ["timeout", "success"]


@pytest.mark.pain(16)
async def test_the_second_one_that_ignores_cancellation_is_named_as_soon_as_the_first() -> None:
    async def deaf(_request: Request) -> None:
        for _ in range(4):
            try:
                await anyio.sleep(20.0)
            except asyncio.CancelledError:
                continue

    shop = Shop(deaf, QUICK)
    async with shop.working():
        for version in (1, 2):
            shop.reconcile = deaf
            shop.sees(None, entry("a", version))
            await settled()
            shop.reconcile = done
            await anyio.sleep(11.5)
            seen = [shop.workers[0].deadline.is_stuck]
            await anyio.sleep(1.0)
            seen.append(shop.workers[0].deadline.is_stuck)
            assert seen == [False, True]
            await anyio.sleep(300.0)


async def test_cleaning_up_after_the_deadline_may_await() -> None:
    cleaned = False

    async def careful(_request: Request) -> None:
        nonlocal cleaned
        try:
            await anyio.sleep_forever()
        finally:
            await asyncio.sleep(1.0)
            cleaned = True

    shop = Shop(careful, QUICK)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(11.5)
        assert cleaned
        assert shop.figures.results == ["timeout"]


async def test_a_worker_that_timed_out_once_is_not_cancelled_later() -> None:
    calls = 0

    async def slow_once(_request: Request) -> None:
        nonlocal calls
        calls += 1
        await anyio.sleep(100.0 if calls == 1 else 5.0)

    shop = Shop(slow_once, QUICK)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(60.0)
    assert shop.figures.results == ["timeout", "success"]


@pytest.mark.pain(2)
@pytest.mark.parametrize("error", [ValueError("oops"), GeneratorExit(), asyncio.CancelledError(), RecursionError()])
async def test_whatever_a_reconcile_raises_its_worker_goes_on(error: BaseException) -> None:
    async def broken(_request: Request) -> None:
        raise error

    shop = Shop(broken, QUICK)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
        assert shop.figures.results[0] in ("error", "panic")
        shop.reconcile = done
        shop.sees(entry("a", 1), entry("a", 2))
        await settled()
        assert shop.figures.results[-1] == "success"


async def test_awaiting_what_somebody_else_cancelled_is_an_error_of_the_reconcile() -> None:
    async def misled(_request: Request) -> None:
        task = asyncio.ensure_future(asyncio.sleep(10.0))
        task.cancel()
        await task

    shop = Shop(misled, QUICK)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
        assert shop.last.error.startswith("CancelledInside: it awaited something")


async def test_stopping_a_worker_in_the_middle_of_a_reconcile_ends_it_at_once() -> None:
    ended = 0.0

    async def stubborn(_request: Request) -> None:
        nonlocal ended
        try:
            await anyio.sleep_forever()
        finally:
            ended = now()
            raise ValueError("while being cancelled")

    shop = Shop(stubborn, QUICK)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(3.0)
    assert ended == 3.0
    assert shop.figures.results == []
    assert shop.backlog.running() == ()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_a_wish_to_stop_the_process_stops_it(error: BaseException) -> None:
    async def stop(_request: Request) -> None:
        raise error

    async def main() -> None:
        shop = Shop(stop, QUICK)
        shop.sees(None, entry("a", 1))
        with anyio.fail_after(2.0):
            await Worker(shop.backlog, stop, shop.is_open).work()

    with pytest.raises(type(error)):
        asyncio.run(main())


async def test_a_reconciler_that_is_not_async_is_a_terminal_error_that_says_so() -> None:
    shop = Shop(done, QUICK)
    async with shop.working():
        for worker in shop.workers:
            worker.reconcile = lambda request: Result()  # type: ignore[assignment, return-value]
        shop.sees(None, entry("a", 1))
        await anyio.sleep(600.0)
    assert shop.figures.results == ["terminal"]
    assert "must be `async def`" in shop.last.error


async def test_at_most_so_many_run_at_once_and_one_a_key() -> None:
    active: dict[Request, int] = {}

    async def busy(request: Request) -> None:
        active[request] = active.get(request, 0) + 1
        assert active[request] == 1
        await anyio.sleep(1.0)
        active[request] -= 1

    shop = Shop(busy, ControllerSettings(workers=3))
    requests = [Request("home", "ns", f"n{n}") for n in range(7)]
    async with shop.working():
        for version in range(3):
            for request in requests:
                shop.sees(None, entry(request.name, version), request)
            await anyio.sleep(0.4)
        await anyio.sleep(60.0)
    assert shop.figures.most_active == 3
    assert set(shop.figures.results) == {"success"}
    assert {request for _, request in shop.runs} == set(requests)


async def test_what_a_reconcile_writes_is_in_its_pass_also_from_its_tasks() -> None:
    async def writing(_request: Request) -> None:
        wrote(write("a", 5))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(later)

    async def later() -> None:
        wrote(write("b", 6))

    shop = Shop(writing, QUICK)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
        assert [str(found.key) for found in shop.last.writes] == ["ns/a", "ns/b"]
    wrote(write("c", 7))
    assert len(shop.last.writes) == 2


async def test_log_records_of_a_reconcile_name_controller_key_and_pass() -> None:
    records: list[Any] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Keeper()
    handler.addFilter(PassFilter())
    log = logging.getLogger("somebody")
    log.addHandler(handler)

    async def talking(_request: Request) -> None:
        log.warning("inside")

    shop = Shop(talking, QUICK)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
    log.warning("outside")
    log.removeHandler(handler)
    inside, outside = records
    assert (inside.controller, inside.key, inside.reconcile_id) == ("widgets", str(KEY), shop.last.id)
    assert (outside.controller, outside.key, outside.reconcile_id) == ("", "", "")
    assert running_pass.get() is None
