"""Which key runs next: news at once, failures later each time, one timer a key, own doing without end never."""

import logging

import anyio
import pytest

from reconcile.controller.reconciler import DONE, Request, Result, TerminalError
from reconcile.controller.settings import ControllerSettings
from reconcile.core.backoff import Backoff
from reconcile.core.clock import now
from reconcile.core.schedule import LOW, NORMAL
from reconcile.kube.errors import Conflict, TooManyRequests
from reconcile.testing.loop import settled
from tests.controller.shop import KEY, Shop, wrote
from tests.controller.things import change, entry, write

CONFLICT = Conflict("the object has been modified", code=409, reason="Conflict")
SLOW = ControllerSettings(workers=1, backoff=Backoff(base=30.0))


async def done(_request: Request) -> None: ...


async def fail(_request: Request) -> None:
    raise ValueError("oops")


def others(count: int) -> list[Request]:
    return [Request("home", "ns", f"n{n}") for n in range(count)]


# failures


@pytest.mark.pain(28)
async def test_news_ends_a_backoff_and_runs_at_once() -> None:
    shop = Shop(fail, ControllerSettings(workers=1, backoff=Backoff(base=50.0, cap=50.0)))
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
        assert shop.backlog.why(KEY).failures == 1
        shop.reconcile = done
        shop.sees(entry("a", 1), entry("a", 2))
        await settled()
        assert (shop.times, shop.figures.results) == ([0.0, 0.0], ["error", "success"])
        assert shop.backlog.why(KEY).failures == 0
        await anyio.sleep(3600.0)
    assert len(shop.runs) == 2


@pytest.mark.pain(28)
async def test_failures_in_a_row_wait_longer_but_never_more_than_a_minute() -> None:
    shop = Shop(fail, ControllerSettings(workers=1))
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(86400.0)
        gaps = [later - earlier for earlier, later in zip(shop.times, shop.times[1:], strict=False)]
    assert max(gaps) <= 60.0
    assert sum(gaps[:4]) < 10.0
    assert sum(gaps[-100:]) / 100 > 20.0


async def test_the_same_failure_again_and_again_shows_its_traceback_once(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop(fail, ControllerSettings(workers=1))
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(60.0)
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) > 5
    assert [bool(record.exc_info) for record in records] == [True] + [False] * (len(records) - 1)
    first = records[0].getMessage()
    assert first.startswith(f"could not reconcile: controller=widgets key={KEY} reconcile_id=")
    assert "result=error" in first
    assert "ValueError: oops" in first


async def test_an_object_that_goes_and_comes_back_starts_without_failures() -> None:
    shop = Shop(fail, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(600.0)
        failures = shop.backlog.why(KEY).failures
        assert failures > 3
        shop.sees(entry("a", 1), None)
        shop.sees(None, entry("a", 9, uid="u-2"))
        await settled()
        assert shop.backlog.why(KEY).failures == 1


async def test_the_own_write_of_a_failing_reconcile_does_not_end_its_backoff() -> None:
    version = 1

    async def write_and_fail(_request: Request) -> None:
        nonlocal version
        version += 1
        shop.sees(entry("a", version - 1), entry("a", version), is_own=True)
        wrote(write("a", version))
        raise ValueError("oops")

    shop = Shop(write_and_fail, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
        assert len(shop.runs) == 1
        assert shop.backlog.why(KEY).failures == 1
        await anyio.sleep(600.0)
        assert len(shop.runs) < 40
    assert {str(cause).split()[0] for cause in shop.last.causes} == {"change", "retry"}


async def test_the_event_of_an_own_write_that_comes_before_its_answer_is_known_afterwards() -> None:
    async def write_and_fail(_request: Request) -> None:
        shop.sees(entry("a", 1), entry("a", 2))  # as the watch tells it
        await anyio.sleep(0.1)
        wrote(write("a", 2))
        raise ValueError("oops")

    shop = Shop(write_and_fail, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(0.2)
        assert shop.backlog.why(KEY).failures == 1
        assert len(shop.runs) == 1


async def test_neither_a_late_event_of_an_own_write_nor_a_resync_ends_a_backoff() -> None:
    async def write_and_fail(_request: Request) -> None:
        wrote(write("a", 2))
        raise ValueError("oops")

    shop = Shop(write_and_fail, ControllerSettings(workers=1, backoff=Backoff(base=50.0)))
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
        shop.sees(entry("a", 1), entry("a", 2))
        shop.backlog.ask(KEY, "resync", priority=LOW)
        await settled()
        assert len(shop.runs) == 1
        await anyio.sleep(50.0)
    assert [cause.kind for cause in shop.backlog.history.of(KEY)[1].causes] == ["change", "resync", "retry"]


async def test_news_beside_own_writes_is_still_news() -> None:
    async def write_and_fail(_request: Request) -> None:
        shop.sees(entry("a", 1), entry("a", 2), is_own=True)
        wrote(write("a", 2))
        shop.sees(entry("a", 2), entry("a", 3))
        shop.reconcile = done
        raise ValueError("oops")

    shop = Shop(write_and_fail, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
    assert shop.figures.results == ["error", "success"]


async def test_what_another_key_wrote_is_news_for_a_backed_off_one() -> None:
    other = Request("home", "ns", "b")

    async def reconcile(request: Request) -> None:
        if request == KEY and not now():
            raise ValueError("not yet")
        if request == other:
            wrote(write("b", 2))
            shop.sees(entry("b", 1), entry("b", 2), KEY, is_own=True)

    shop = Shop(reconcile, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
        await anyio.sleep(0.5)
        shop.sees(None, entry("b", 1), other)
        await settled()
        assert [(at, str(request)) for at, request in shop.runs][1:] == [(0.5, "home/ns/b"), (0.5, "home/ns/a")]


async def test_the_server_decides_how_long_to_stay_away() -> None:
    async def throttled(_request: Request) -> None:
        raise TooManyRequests("slow down", code=429, retry_after=40.0)

    shop = Shop(throttled, ControllerSettings(workers=1))
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(39.9)
        assert len(shop.runs) == 1
        await anyio.sleep(0.2)
        assert len(shop.runs) == 2


async def test_retries_of_all_keys_together_can_be_bounded() -> None:
    shop = Shop(fail, ControllerSettings(backoff=Backoff(base=0.001, cap=0.001), retry_rate=2.0, retry_burst=10))
    async with shop.working():
        for request in others(50):
            shop.sees(None, entry(request.name, 1), request)
        await anyio.sleep(60.0)
    retries = len(shop.runs) - 50
    assert 2 * 60 <= retries <= 2 * 60 + 10 + 4


@pytest.mark.pain(8)
async def test_a_conflict_comes_again_soon_without_counting_as_a_failure_or_shouting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def conflict(_request: Request) -> None:
        raise CONFLICT

    shop = Shop(conflict, ControllerSettings(workers=1))
    with caplog.at_level(logging.INFO):
        async with shop.working():
            shop.sees(None, entry("a", 1))
            await anyio.sleep(60.0)
            assert shop.backlog.why(KEY).failures == 0
    gaps = [later - earlier for earlier, later in zip(shop.times, shop.times[1:], strict=False)]
    assert max(gaps) <= 2.0
    assert 20 < len(shop.runs) < 200
    assert set(shop.figures.results) == {"conflict"}
    assert {record.levelno for record in caplog.records} == {logging.INFO}


async def test_a_terminal_error_waits_for_the_next_change_and_for_nothing_else() -> None:
    async def give_up(_request: Request) -> Result:
        if len(shop.runs) == 1:
            return Result(requeue_after=100.0)
        raise TerminalError("the spec makes no sense")

    shop = Shop(give_up, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(86400.0)
        assert shop.times == [0.0, 100.0]
        shop.sees(entry("a", 1), entry("a", 2))
        await settled()
        assert len(shop.runs) == 3


async def test_a_change_that_hides_in_an_own_write_is_not_lost_by_a_terminal_error() -> None:
    async def report_and_give_up(_request: Request) -> None:
        if len(shop.runs) == 1:
            shop.sees(entry("a", 1), entry("a", 3), is_own=True)  # somebody else made version 2
            wrote(write("a", 3))
        raise TerminalError("the spec makes no sense")

    shop = Shop(report_and_give_up, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(3600.0)
    assert len(shop.runs) == 2


# level-triggered


@pytest.mark.pain(22)
async def test_a_change_during_a_reconcile_runs_the_key_again_after_it() -> None:
    async def reconcile(_request: Request) -> None:
        await anyio.sleep(1.0)

    shop = Shop(reconcile, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(0.5)
        for version in (2, 3, 4):
            shop.sees(entry("a", version - 1), entry("a", version))
        await anyio.sleep(10.0)
    assert shop.times == [0.0, 1.0]
    [cause] = shop.last.causes
    assert (cause.old_version, cause.new_version, cause.count) == ("1", "4", 3)


async def test_an_own_write_leads_to_one_more_run_after_a_success() -> None:
    async def reconcile(_request: Request) -> None:
        if len(shop.runs) == 1:
            shop.sees(entry("a", 1), entry("a", 2), is_own=True)
            wrote(write("a", 2))

    shop = Shop(reconcile, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(600.0)
    assert shop.times == [0.0, 0.0]


async def test_the_deletion_of_an_object_runs_its_key_and_the_last_state_is_at_hand() -> None:
    known = []

    async def reconcile(_request: Request) -> None:
        known.append([cause.last_known for cause in shop.backlog.running()[0].causes])

    shop = Shop(reconcile, SLOW)
    async with shop.working():
        shop.sees(entry("a", 1, spec={"size": 3}), None)
        await settled()
    assert known[0][0]["spec"]["size"] == 3


async def test_changes_that_come_too_fast_fold_into_one_run_an_interval() -> None:
    shop = Shop(done, ControllerSettings(workers=1, min_interval=5.0))
    async with shop.working():
        for version in range(2, 22):
            shop.sees(entry("a", version - 1), entry("a", version))
            await anyio.sleep(1.0)
        await anyio.sleep(60.0)
    assert shop.times == [0.0, 5.0, 10.0, 15.0, 20.0]


@pytest.mark.pain(28)
async def test_news_for_a_failing_key_still_respects_the_least_interval() -> None:
    shop = Shop(fail, ControllerSettings(workers=1, min_interval=5.0, backoff=Backoff(base=50.0)))
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(1.0)
        shop.sees(entry("a", 1), entry("a", 2))
        await anyio.sleep(4.5)
        assert shop.times == [0.0, 5.0]


# timers


@pytest.mark.pain(29)
async def test_a_change_in_between_does_not_drop_the_timer() -> None:
    async def once(_request: Request) -> Result | None:
        if len(shop.runs) > 1:
            await anyio.sleep_forever()
        return Result(requeue_after=100.0)

    shop = Shop(once, ControllerSettings(workers=1, deadline=10.0, backoff=Backoff(base=10000.0, cap=10000.0)))
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(10.0)
        shop.sees(entry("a", 1), entry("a", 2))  # fails, so the result of the first run still counts
        await anyio.sleep(80.0)
        assert shop.times == [0.0, 10.0]
        await anyio.sleep(10.1)
        assert shop.times == [0.0, 10.0, 100.0]
        assert str(shop.backlog.running()[0].causes[0]) == "timer"


@pytest.mark.pain(29)
@pytest.mark.parametrize(("second", "expected"), [(Result(requeue_after=300.0), [0.0, 50.0, 350.0]), (DONE, [0, 50])])
async def test_a_later_result_replaces_the_timer(second: Result, expected: list[float]) -> None:
    async def reconcile(_request: Request) -> Result:
        return (Result(requeue_after=100.0), second, DONE)[len(shop.runs) - 1]

    shop = Shop(reconcile, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(50.0)
        shop.sees(entry("a", 1), entry("a", 2))
        await anyio.sleep(1000.0)
    assert shop.times == expected


@pytest.mark.parametrize("end", [DONE, TerminalError("the spec makes no sense")])
async def test_a_retry_that_a_timer_came_before_is_not_run_for_nothing(end: Result | TerminalError) -> None:
    async def reconcile(_request: Request) -> Result:
        if len(shop.runs) == 1:
            return Result(requeue_after=10.0)
        if len(shop.runs) == 2:
            raise TooManyRequests("slow down", code=429, retry_after=40.0)
        if isinstance(end, TerminalError):
            raise end
        return end

    shop = Shop(reconcile, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(1.0)
        shop.sees(entry("a", 1), entry("a", 2))
        await anyio.sleep(600.0)
    assert shop.times == [0.0, 1.0, 10.0]


@pytest.mark.pain(29)
async def test_the_next_look_is_visible() -> None:
    async def later(_request: Request) -> Result:
        return Result(requeue_after=100.0)

    shop = Shop(later, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(30.0)
        assert shop.backlog.why(KEY).due_in == 70.0
        assert shop.last.then == "again in 100 s"


# who goes first


@pytest.mark.pain(11)
async def test_a_fresh_change_overtakes_the_first_list() -> None:
    async def slow(_request: Request) -> None:
        await anyio.sleep(1.0)

    shop = Shop(slow, ControllerSettings(workers=1, max_wait=1000.0))
    async with shop.working():
        for request in others(500):
            shop.backlog.changed(request, change(None, entry(request.name, 1), initial=True))
        await anyio.sleep(10.5)
        shop.sees(entry("a", 1), entry("a", 2))
        await anyio.sleep(1.0)
        assert [at for at, request in shop.runs if request == KEY] == [11.0]


@pytest.mark.pain(12)
async def test_what_has_low_priority_waits_no_longer_than_its_bound() -> None:
    async def slow(_request: Request) -> None:
        await anyio.sleep(1.0)

    shop = Shop(slow, ControllerSettings(workers=1, max_wait=30.0))
    async with shop.working():
        shop.backlog.ask(KEY, "resync", priority=LOW)
        version = 1
        for _ in range(100):
            version += 1
            for request in others(3):
                shop.sees(entry(request.name, version - 1), entry(request.name, version), request)
            await anyio.sleep(1.0)
    [ran] = [at for at, request in shop.runs if request == KEY]
    assert ran <= 32.0


@pytest.mark.pain(13)
async def test_one_namespace_with_many_objects_does_not_hold_up_another() -> None:
    async def slow(_request: Request) -> None:
        await anyio.sleep(1.0)

    shop = Shop(slow, ControllerSettings(workers=1, fair_key=lambda request: request.namespace))
    quiet = Request("home", "quiet", "q")
    async with shop.working():
        for request in others(100):
            shop.sees(None, entry(request.name, 1), request)
        await anyio.sleep(0.5)
        shop.sees(None, entry("q", 1), quiet)
        await anyio.sleep(3.0)
        assert quiet in [request for _, request in shop.runs]


async def test_a_retry_keeps_the_priority_of_its_run() -> None:
    shop = Shop(fail, SLOW)
    async with shop.working():
        shop.backlog.changed(KEY, change(None, entry("a", 1), initial=True))
        await settled()
        [scheduled] = shop.backlog.queue.snapshot().keys
        assert scheduled.priority == LOW


async def test_a_pause_keeps_the_priority_of_what_waits() -> None:
    shop = Shop(done, SLOW)
    async with shop.working():
        await settled()
        shop.is_open.clear()
        shop.backlog.changed(KEY, change(None, entry("a", 1), initial=True))
        await settled()
        [scheduled] = shop.backlog.queue.snapshot().keys
        assert scheduled.priority == LOW
        assert scheduled.work is None


async def test_a_result_may_set_the_priority_of_its_timer() -> None:
    async def later(_request: Request) -> Result:
        return Result(requeue_after=10.0, priority=LOW)

    shop = Shop(later, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(11.0)
    assert [cause.priority for found in shop.backlog.history.of(KEY) for cause in found.causes] == [NORMAL, LOW]


# loops


@pytest.mark.pain(14)
async def test_a_controller_that_answers_its_own_writes_is_named_and_slowed_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    version = 1

    async def flap(_request: Request) -> None:
        nonlocal version
        version += 1
        shop.sees(entry("a", version - 1), entry("a", version), is_own=True)
        wrote(write("a", version, paths=("status.phase",)))

    shop = Shop(flap, ControllerSettings(workers=1))
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(3600.0)
        assert 10 < len(shop.runs) < 30
        [warning] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert "controller=widgets key=home/ns/a" in warning
        assert "Widget ns/a: status.phase" in warning
        assert shop.figures.loops == 1
        runs = len(shop.runs)
        version += 1
        shop.sees(entry("a", version - 1), entry("a", version))
        await anyio.sleep(1.1)
        assert len(shop.runs) == runs + 6


@pytest.mark.pain(14)
@pytest.mark.parametrize("is_event_first", [True, False])
async def test_two_keys_that_trigger_each_other_are_slowed_down_too(is_event_first: bool) -> None:
    version = 1
    other = Request("home", "ns", "b")

    async def flap(request: Request) -> None:
        nonlocal version
        version += 1
        written = version
        shop.sees(
            entry("c", written - 1),
            entry("c", written),
            other if request == KEY else KEY,
            is_own=not is_event_first,
        )
        await anyio.sleep(0.1)
        wrote(write("c", written))

    shop = Shop(flap, ControllerSettings(workers=2))
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(3600.0)
        assert 10 < len(shop.runs) < 60
        runs = len(shop.runs)
        shop.sees(entry("a", 1), entry("a", 2))
        await anyio.sleep(1.2)
        assert len(shop.runs) > runs


@pytest.mark.pain(14)
async def test_a_controller_that_comes_to_rest_is_never_slowed_down() -> None:
    async def settle(_request: Request) -> None:
        if (n := len(shop.runs)) < 5:
            shop.sees(entry("a", n), entry("a", n + 1), is_own=True)
            wrote(write("a", n + 1))

    shop = Shop(settle, ControllerSettings(workers=1))
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await settled()
        assert len(shop.runs) == 5
        assert shop.backlog.self_trigger.flapping() == {}


# why


@pytest.mark.pain(24)
async def test_why_tells_causes_writes_and_result_of_the_last_passes() -> None:
    async def reconcile(_request: Request) -> None:
        wrote(write("b", 5, paths=("spec.x",)))
        if len(shop.runs) == 1:
            raise ValueError("oops")

    shop = Shop(reconcile, SLOW)
    async with shop.working():
        shop.sees(entry("a", 1, spec={"size": 1}), entry("a", 2, spec={"size": 2}))
        await settled()
        shop.sees(entry("a", 2, spec={"size": 2}), entry("a", 3, spec={"size": 2}, labels={"x": "y"}))
        shop.backlog.ask(KEY, "requested", "by hand")
        await settled()
        why = shop.backlog.why(KEY)
    first, second = why.passes
    assert (first.result, first.error, second.result) == ("error", "ValueError: oops", "success")
    assert [str(cause) for cause in first.causes] == ["change home widgets.example.com ns/a: 1 -> 2 spec.size"]
    assert [str(cause) for cause in second.causes] == [
        "change home widgets.example.com ns/a: 2 -> 3 metadata.labels",
        "requested (by hand)",
    ]
    assert [found.paths for found in second.writes] == [("spec.x",)]
    assert first.id != second.id


async def test_the_wait_from_the_first_change_to_the_run_is_measured() -> None:
    async def slow(_request: Request) -> None:
        await anyio.sleep(3.0)

    shop = Shop(slow, SLOW)
    async with shop.working():
        shop.sees(None, entry("a", 1))
        await anyio.sleep(1.0)
        shop.sees(entry("a", 1), entry("a", 2))
        await anyio.sleep(1.0)
        shop.sees(entry("a", 2), entry("a", 3))
        await anyio.sleep(10.0)
    assert shop.figures.waits == [0.0, 2.0]


async def test_a_stopped_run_leaves_nothing_behind() -> None:
    shop = Shop(done, SLOW)
    shop.sees(None, entry("a", 1))
    run = shop.backlog.begin(await shop.backlog.queue.get())
    assert run is not None
    assert shop.backlog.running() == (run,)
    shop.backlog.abandon(run)
    assert shop.backlog.running() == ()
    assert shop.backlog.queue.schedule.in_work == 0
