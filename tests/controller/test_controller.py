"""A controller on an API server: sources in, reconciles out, and what people may ask of it meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

import anyio
import attrs
import pytest

from reconcile.cache.change import Change
from reconcile.cache.cluster import UndeclaredKind
from reconcile.cache.informer import NotSynced
from reconcile.cache.watched import Watched
from reconcile.controller.controller import Controller
from reconcile.controller.handler import enqueue_by
from reconcile.controller.intake import SLOTS
from reconcile.controller.predicate import changed, generation_changed
from reconcile.controller.reconciler import DONE, Request, Result
from reconcile.controller.settings import ControllerSettings
from reconcile.controller.source import AnySource, For, Owns, Watches
from reconcile.controller.sugar import with_object
from reconcile.core.clock import now
from reconcile.core.service import serving
from reconcile.kube.kinds import SECRET
from reconcile.kube.objects import Object, ObjectKey
from reconcile.kube.patch import MergePatch
from reconcile.testing.faults import FaultPlan, Refused
from reconcile.testing.loop import settled
from tests.controller.home import QUICK, A, a_home, done, rest
from tests.controller.things import PART, WIDGET


def part_of(widget: Object, **data: str) -> dict[str, Any]:
    """A part that the widget owns."""
    meta = widget.metadata
    owner = {"apiVersion": WIDGET.api_version, "kind": WIDGET.kind, "name": meta.name, "uid": meta.uid}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": meta.name, "namespace": "default", "ownerReferences": [{**owner, "controller": True}]},
        "data": data,
    }


# the walk


async def test_an_object_is_reconciled_when_it_comes_changes_and_goes() -> None:
    seen: list[object] = []

    async def reconcile(request: Request) -> None:
        widget = home.cluster.store(WIDGET).get(request.key)
        seen.append(widget and widget["spec"]["size"])

    async with a_home() as home, home.running(home.controller(reconcile, [For(home.cluster, WIDGET)])):
        await home.widget(size=1)
        await rest()
        await home.widget(size=2)
        await rest()
        await home.user.delete(WIDGET, A)
        await rest()
    assert seen == [1, 2, None]


async def test_a_reconciler_may_be_handed_the_object_and_hear_of_its_end_apart() -> None:
    told: list[object] = []

    async def there(widget: Object) -> None:
        told.append(widget["spec"]["size"])

    async def gone(request: Request) -> None:
        told.append(f"{request} is gone")

    async with a_home() as home:
        reconcile = with_object(home.cluster, WIDGET, there, gone=gone)
        async with home.running(home.controller(reconcile, [For(home.cluster, WIDGET)])):
            await home.widget(size=1)
            await rest()
            await home.user.delete(WIDGET, A)
            await rest()
            assert await with_object(home.cluster, WIDGET, there)(Request("home", "default", "b")) == DONE
    assert told == [1, "home/default/a is gone"]


@pytest.mark.pain(22)
async def test_what_changed_while_nobody_looked_is_reconciled_at_the_start() -> None:
    async with a_home() as home:
        for name in "abc":
            await home.widget(name, size=1)
        async with home.running(home.controller(done, [For(home.cluster, WIDGET)])):
            await rest()
    assert sorted(home.names) == ["a", "b", "c"]


async def test_an_owned_object_that_somebody_else_changes_is_brought_back() -> None:
    async def reconcile(request: Request) -> None:
        widget = home.cluster.store(WIDGET).get(request.key)
        if widget is not None:
            await home.cluster.apply(part_of(widget, size=str(widget["spec"]["size"])))

    async with a_home() as home:
        controller = home.controller(reconcile, [For(home.cluster, WIDGET), Owns(home.cluster, PART)])
        async with home.running(controller):
            await home.widget(size=3)
            await rest()
            part = (await home.user.get(PART, A)).thaw()
            await home.user.update(PART, {**part, "data": {"size": "999"}})
            await rest()
            assert (await home.user.get(PART, A))["data"]["size"] == "3"
            await home.user.delete(PART, A)
            await rest()
            assert (await home.user.get(PART, A))["data"]["size"] == "3"
            writes = len(home.server.writes())
            controller.enqueue_all("once more")
            await rest()
            assert len(home.server.writes()) == writes


@pytest.mark.parametrize(("controller_only", "expected"), [(True, []), (False, ["a"])])
async def test_an_owner_that_does_not_control_counts_only_when_asked_for(
    controller_only: bool, expected: list[str]
) -> None:
    async with a_home() as home:
        widget = await home.widget(size=1)
        owns = Owns(home.cluster, PART, controller_only=controller_only)
        async with home.running(home.controller(done, [For(home.cluster, WIDGET), owns])):
            await rest(1.0)
            home.runs.clear()
            part = part_of(widget)
            part["metadata"]["ownerReferences"][0]["controller"] = False
            await home.user.create(PART, part)
            await rest()
    assert home.names == expected


async def test_a_change_in_one_cluster_reconciles_a_key_of_another() -> None:
    def target(part: Object) -> Iterable[Request]:
        yield Request("home", "default", part["data"]["widget"])

    async with a_home() as away, a_home() as home:
        sources: list[AnySource] = [For(home.cluster, WIDGET), Watches(away.cluster, PART, enqueue_by(target))]
        controller = home.controller(done, sources)
        assert controller.clusters == (home.cluster, away.cluster)
        async with serving(home.cluster, away.cluster, controller):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "p", "namespace": "default"}}
            await away.user.create(PART, {**body, "data": {"widget": "x"}})
            await rest()
    assert [str(request) for _, request in home.runs] == ["home/default/x"]


@pytest.mark.pain(14)
async def test_a_predicate_keeps_own_status_writes_from_running_the_key_again() -> None:
    async def reconcile(request: Request) -> None:
        widget = home.cluster.store(WIDGET).get(request.key)
        assert widget is not None
        await home.cluster.patch_status(widget, MergePatch({"status": {"runs": len(home.runs)}}))

    async with a_home() as home:
        sources: list[AnySource] = [
            For(home.cluster, WIDGET, predicate=generation_changed | changed("metadata.labels"))
        ]
        async with home.running(home.controller(reconcile, sources)):
            await home.widget(size=1)
            await rest(60.0)
            assert len(home.runs) == 1
            await home.widget(size=2)
            await rest(60.0)
            assert len(home.runs) == 2


@pytest.mark.pain(14)
async def test_a_controller_that_flaps_on_a_real_server_is_slowed_down(caplog: pytest.LogCaptureFixture) -> None:
    async def reconcile(request: Request) -> None:
        widget = home.cluster.store(WIDGET).get(request.key)
        assert widget is not None
        await home.cluster.patch_status(widget, MergePatch({"status": {"runs": len(home.runs)}}))

    async with a_home() as home:
        controller = home.controller(reconcile, [For(home.cluster, WIDGET)])
        async with home.running(controller):
            await home.widget(size=1)
            await rest(600.0)
            assert len(home.runs) < 25
            assert list(controller.snapshot().flapping) == [Request("home", "default", "a")]
    [warning] = [record.getMessage() for record in caplog.records if "answering its own writes" in record.message]
    assert "Widget default/a: status.runs" in warning


@pytest.mark.pain(28)
async def test_the_own_writes_of_a_failing_reconcile_do_not_defeat_its_backoff() -> None:
    async def reconcile(request: Request) -> None:
        widget = home.cluster.store(WIDGET).get(request.key)
        assert widget is not None
        await home.cluster.patch_status(widget, MergePatch({"status": {"runs": len(home.runs)}}))
        raise ValueError("oops")

    async with a_home() as home, home.running(home.controller(reconcile, [For(home.cluster, WIDGET)])):
        await home.widget(size=1)
        await rest(60.0)
        runs = len(home.runs)
        assert runs < 20
        await home.widget(size=2)
        await rest()
        assert len(home.runs) > runs


@pytest.mark.pain(23)
async def test_an_object_that_is_deleted_and_made_again_at_once_is_reconciled_as_a_new_one() -> None:
    uids: list[str | None] = []

    async def reconcile(request: Request) -> None:
        widget = home.cluster.store(WIDGET).get(request.key)
        uids.append(widget.metadata.uid if widget is not None else None)

    async with a_home() as home:
        sources: list[AnySource] = [For(home.cluster, WIDGET, predicate=generation_changed)]
        async with home.running(home.controller(reconcile, sources)):
            first = await home.widget(size=1)
            await rest()
            home.server.end_watches(WIDGET)
            await home.user.delete(WIDGET, A)
            second = await home.widget(size=1)
            await rest(120.0)
    assert uids[0] == first.metadata.uid
    assert uids[-1] == second.metadata.uid


@pytest.mark.pain(24)
async def test_why_names_what_changed_and_what_was_written() -> None:
    async def reconcile(request: Request) -> None:
        widget = home.cluster.store(WIDGET).get(request.key)
        assert widget is not None
        await home.cluster.apply(part_of(widget, size=str(widget["spec"]["size"])))

    async with a_home() as home:
        controller = home.controller(reconcile, [For(home.cluster, WIDGET)])
        async with home.running(controller):
            await home.widget(size=1, color="red")
            await rest()
            await home.widget(size=2, color="red")
            await rest()
            first, second = controller.why(Request("home", "default", "a")).passes
    assert [cause.changed_paths for cause in second.causes] == [("spec.size",)]
    assert [(write.verb, write.resource.name, write.outcome) for write in second.writes] == [
        ("apply", "configmaps", "changed")
    ]
    assert second.writes[0].paths == ("data.size",)
    assert (first.result, second.result) == ("success", "success")


@pytest.mark.pain(11)
async def test_a_change_overtakes_the_objects_that_were_there_at_the_start() -> None:
    async def slow(_request: Request) -> None:
        await anyio.sleep(1.0)

    async with a_home() as home:
        for number in range(200):
            await home.widget(f"old{number}", size=1)
        async with home.running(home.controller(slow, [For(home.cluster, WIDGET)], attrs.evolve(QUICK, workers=1))):
            await rest(5.5)
            await home.widget("fresh", size=1)
            await rest(2.0)
            assert "fresh" in home.names
            assert len(home.names) < 10


# faults of the user's code


@pytest.mark.pain(2)
async def test_a_predicate_that_raises_lets_the_change_pass_and_blocks_nobody() -> None:
    def picky(change: Change[Any]) -> bool:
        return bool(change.object["spec"]["missing"])

    async with a_home() as home:
        controller = home.controller(done, [For(home.cluster, WIDGET, predicate=picky)])
        async with home.running(controller):
            await home.widget("a", size=1)
            await home.widget("b", size=1)
            await rest()
            assert sorted(home.names) == ["a", "b"]
            [(name, times)] = controller.snapshot().faults.items()
    assert "picky" in name
    assert times == 2
    assert set(home.figures.faults) == {("predicate", name)}


async def test_a_mapping_that_raises_is_asked_again_until_it_answers() -> None:
    ready = False

    def mapping(part: Object) -> Iterable[Request]:
        if not ready:
            raise LookupError("the other store is empty")
        yield Request("home", "default", part["data"]["widget"])

    async with a_home() as home:
        sources: list[AnySource] = [For(home.cluster, WIDGET), Watches(home.cluster, PART, enqueue_by(mapping))]
        controller = home.controller(done, sources)
        async with home.running(controller):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "p", "namespace": "default"}}
            await home.user.create(PART, {**body, "data": {"widget": "before"}})
            await home.widget("other", size=1)
            await rest(10.0)
            assert home.names == ["other"]
            ready = True
            await rest(61.0)
            assert home.names == ["other", "before"]
            assert sum(controller.snapshot().faults.values()) > 2
            await rest(600.0)
            assert len(home.names) == 2


async def test_no_state_is_forgotten_that_a_mapping_failed_on() -> None:
    is_ready = True

    def mapping(part: Object) -> Iterable[Request]:
        if not is_ready:
            raise LookupError("the other store is empty")
        yield Request("home", "default", part["data"]["widget"])

    async def point_to(name: str) -> None:
        found = (await home.user.get(PART, ObjectKey("default", "p"))).thaw()
        await home.user.update(PART, {**found, "data": {"widget": name}})

    async with a_home() as home:
        await home.widget("middle", size=1)
        sources: list[AnySource] = [For(home.cluster, WIDGET), Watches(home.cluster, PART, enqueue_by(mapping))]
        async with home.running(home.controller(done, sources)):
            body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap"}
            body["metadata"] = {"name": "p", "namespace": "default"}
            await home.user.create(PART, {**body, "data": {"widget": "first"}})
            await rest()
            home.runs.clear()
            is_ready = False
            await point_to("middle")
            await point_to("last")
            await rest()
            is_ready = True
            await rest(120.0)
    assert set(home.names) == {"first", "middle", "last"}


# sources that are no kinds


@pytest.mark.pain(2)
async def test_a_source_that_raises_is_started_again_and_says_so_meanwhile() -> None:
    starts = 0

    async def feed() -> AsyncIterator[Request]:
        nonlocal starts
        starts += 1
        if starts < 4:
            raise ConnectionError("the socket is closed")
        yield Request("home", "default", "told")
        await anyio.sleep_forever()

    async with a_home() as home:
        controller = home.controller(done, [For(home.cluster, WIDGET), feed])
        async with home.running(controller):
            await settled()
            [problem] = controller.problems()
            assert "feed failed: ConnectionError: the socket is closed" in problem
            await rest(200.0)
            assert home.names == ["told"]
            assert controller.problems() == ()
    assert starts == 4
    assert [kind for kind, _ in home.figures.faults] == ["source"] * 3


@pytest.mark.pain(2)
async def test_a_source_that_keeps_failing_is_not_restarted_in_a_loop() -> None:
    starts = 0

    async def broken() -> AsyncIterator[Request]:
        nonlocal starts
        starts += 1
        yield Request("home", "default", "told")
        raise ConnectionError("the socket is closed")

    async with a_home() as home, home.running(home.controller(done, [broken])):
        await rest(3600.0)
    assert 60 < starts < 300


async def test_a_source_may_end_and_one_that_never_waits_holds_nobody_up() -> None:
    async def greedy() -> AsyncIterator[Request]:
        for number in range(20_000):
            yield Request("home", "default", f"n{number % 10}")

    async with a_home() as home, home.running(home.controller(done, [For(home.cluster, WIDGET), greedy])):
        await home.widget("a", size=1)
        await rest()
        assert "a" in home.names
        assert {f"n{number}" for number in range(10)} <= set(home.names)


# time


async def test_a_resync_looks_at_every_key_once_an_interval_and_never_at_all_at_once() -> None:
    async with a_home() as home:
        for number in range(48):
            await home.widget(f"n{number}", size=1)
        settings = attrs.evolve(QUICK, resync=4800.0)
        async with home.running(home.controller(done, [For(home.cluster, WIDGET)], settings)):
            await rest(4800.0 / SLOTS)
            assert len(home.runs) == 48  # what was there at the start is not asked for again at once
            home.runs.clear()
            await rest(4800.0)
            assert sorted(home.names) == sorted(f"n{number}" for number in range(48))
            times = sorted(at for at, _ in home.runs)
            busiest = max(sum(start <= at < start + 4800 / SLOTS for at in times) for start in times)
            assert busiest <= 16
            assert len({round(at, 1) for at in times}) == 48
            home.runs.clear()
            await rest(4800.0)
            assert len(home.runs) == 48


class TestLate:
    """On the real clock, where time passes while code runs."""

    @pytest.fixture
    def anyio_backend(self) -> object:
        return "asyncio", {}

    async def test_a_resync_that_is_behind_its_time_goes_on(self) -> None:
        async with a_home() as home:
            for number in range(50):
                await home.widget(f"n{number}", size=1)
            settings = attrs.evolve(QUICK, resync=0.001)
            async with home.running(home.controller(done, [For(home.cluster, WIDGET)], settings)):
                with anyio.fail_after(10):
                    while len(home.runs) < 200:
                        await anyio.sleep(0.01)


async def test_without_a_resync_nothing_happens_by_itself() -> None:
    async with a_home() as home:
        await home.widget(size=1)
        settings = attrs.evolve(QUICK, resync=None)
        async with home.running(home.controller(done, [For(home.cluster, WIDGET)], settings)):
            await rest(86400.0)
    assert len(home.runs) == 1


@pytest.mark.pain(29)
async def test_a_time_to_look_again_survives_changes_and_is_shown() -> None:
    async def reconcile(_request: Request) -> Result:
        return Result(requeue_after=100.0)

    async with a_home() as home:
        controller = home.controller(reconcile, [For(home.cluster, WIDGET)])
        async with home.running(controller):
            await home.widget(size=1)
            await rest(50.0)
            due = controller.why(Request("home", "default", "a")).due_in
            assert due is not None
            assert 49.0 < due <= 50.1
            await rest(51.0)
            assert len(home.runs) == 2


# what people ask of it


async def test_a_paused_controller_keeps_what_it_is_asked_for() -> None:
    async with a_home() as home:
        controller = home.controller(done, [For(home.cluster, WIDGET)])
        async with home.running(controller):
            controller.pause()
            for name in "abc":
                await home.widget(name, size=1)
            await rest(600.0)
            assert (home.runs, controller.is_paused) == ([], True)
            assert len(controller.snapshot().queue.keys) == 3
            controller.resume()
            await rest()
            assert sorted(home.names) == ["a", "b", "c"]


async def test_a_key_may_be_asked_for_by_hand_and_says_so() -> None:
    async with a_home() as home:
        controller = home.controller(done, [For(home.cluster, WIDGET)])
        async with home.running(controller):
            key = Request("home", "default", "nowhere")
            controller.enqueue(key, "curious")
            await rest()
            [found] = controller.why(key).passes
    assert [str(cause) for cause in found.causes] == ["requested (curious)"]


async def test_asking_for_all_keys_reconciles_each_once() -> None:
    async with a_home() as home:
        for number in range(300):
            await home.widget(f"n{number}", size=1)
        controller = home.controller(done, [For(home.cluster, WIDGET)])
        async with home.running(controller):
            await rest(1.0)
            home.runs.clear()
            controller.enqueue_all("a new rule")
            await rest(1.0)
    assert sorted(home.names) == sorted(f"n{number}" for number in range(300))


@pytest.mark.pain(16)
async def test_a_reconcile_that_ignores_its_cancellation_is_a_problem_until_it_ends() -> None:
    let_go = asyncio.Event()

    async def deaf(_request: Request) -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    async with a_home() as home:
        controller = home.controller(deaf, [For(home.cluster, WIDGET)])
        async with home.running(controller):
            await home.widget(size=1)
            await rest(11.0)
            assert controller.problems() == ()
            await rest(2.0)
            [problem] = controller.problems()
            assert "ignores its cancellation: key=home/default/a" in problem
            [running] = controller.snapshot().running
            assert running.seconds > 12.0
            assert running.place.endswith("in deaf") or "locks.py" in running.place
            let_go.set()
            await rest()
            assert controller.problems() == ()


# start and stop


async def test_workers_wait_for_every_store_of_the_clusters_they_may_read() -> None:
    async with a_home(SECRET) as home:
        controller = home.controller(done, [For(home.cluster, WIDGET)])
        await home.widget(size=1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(home.cluster.informer(WIDGET).run)
            tasks.start_soon(home.cluster.informer(PART).run)
            tasks.start_soon(controller.run)
            await rest(30.0)
            assert home.runs == []
            [problem] = controller.problems()
            assert problem.startswith("home/secrets is not synced")
            tasks.start_soon(home.cluster.informer(SECRET).run)
            await rest(100.0)
            assert home.names == ["a"]
            tasks.cancel_scope.cancel()


async def test_a_standby_has_its_queue_full_before_its_workers_start() -> None:
    async with a_home() as home:
        for name in "abc":
            await home.widget(name, size=1)
        controller = home.controller(done, [For(home.cluster, WIDGET)])
        async with serving(home.cluster, controller.intake):
            await rest(60.0)
            assert home.runs == []
            assert len(controller.queue) == 3
            async with serving(controller.workers):
                await rest()
                assert sorted(home.names) == ["a", "b", "c"]


async def test_an_optional_kind_that_is_missing_holds_nobody_up() -> None:
    missing = Watched(attrs.evolve(WIDGET, kind="Gadget", plural="gadgets"), optional=True)
    async with a_home(missing) as home:
        await home.widget(size=1)
        sources: list[AnySource] = [
            For(home.cluster, WIDGET),
            Watches(home.cluster, missing.resource, enqueue_by(lambda _: ())),
        ]
        async with home.running(home.controller(done, sources)):
            await rest()
            assert home.names == ["a"]


async def test_a_store_that_cannot_be_had_in_time_ends_the_controller_with_the_reason() -> None:
    async with a_home() as home:
        home.wire.plan = FaultPlan.of(Refused())
        settings = attrs.evolve(QUICK, sync_timeout=30.0)
        controller = home.controller(done, [For(home.cluster, WIDGET)], settings)
        with pytest.raises(ExceptionGroup) as ended:
            await _together(home.cluster.run, controller.run)
        reasons = _causes(ended.value)
    assert 30.0 <= now() < 31.0
    [reason] = [str(reason) for reason in reasons if isinstance(reason, NotSynced)]
    assert "home/widgets.example.com was not synced within 30 s: " in reason
    assert "refused" in reason


async def _together(*services: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with anyio.create_task_group() as tasks:
        for run in services:
            tasks.start_soon(run)


def _causes(error: BaseException | None) -> list[BaseException]:
    """From the outermost error to what began it."""
    found = []
    while error is not None:
        found.append(error)
        error = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__
    return found


async def test_a_server_that_is_down_at_the_start_is_waited_for() -> None:
    async with a_home() as home:
        home.wire.plan = FaultPlan.of(Refused())
        await home.widget(size=1)
        controller = home.controller(done, [For(home.cluster, WIDGET)])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(home.cluster.run)
            tasks.start_soon(controller.run)
            await rest(3600.0)
            assert "refused" in controller.problems()[0]
            home.wire.heal()
            await rest(120.0)
            assert home.names == ["a"]
            assert controller.problems() == ()
            tasks.cancel_scope.cancel()


@pytest.mark.pain(27)
async def test_stopping_lets_reconciles_finish_and_begins_no_more() -> None:
    ended = []

    async def slow(request: Request) -> None:
        await anyio.sleep(3.0)
        ended.append((now(), request.name))

    async with a_home() as home:
        controller = home.controller(slow, [For(home.cluster, WIDGET)], attrs.evolve(QUICK, workers=1))
        async with home.running(controller):
            await home.widget("a", size=1)
            await home.widget("b", size=1)
            await rest(1.0)
            began = now()
    assert [name for _, name in ended] == ["a"]
    assert 0.0 < ended[0][0] - began < 3.0
    assert now() - began < 3.0


@pytest.mark.pain(27)
async def test_a_paused_controller_stops_at_once() -> None:
    async with a_home() as home:
        controller = home.controller(done, [For(home.cluster, WIDGET)])
        async with home.running(controller):
            controller.pause()
            await home.widget(size=1)
            await rest(5.0)
            began = now()
        assert now() - began < 1.0


async def test_after_its_stop_it_hears_nothing_any_more() -> None:
    async with a_home() as home, serving(home.cluster):
        controller = home.controller(done, [For(home.cluster, WIDGET)])
        async with serving(controller):
            pass
        await home.widget(size=1)
        await rest(10.0)
        assert home.cluster.store(WIDGET).get(A) is not None
    assert controller.why(Request("home", "default", "a")).pending == ()


# wrongly put together


async def test_a_kind_that_is_read_but_not_declared_is_a_terminal_error_that_names_it() -> None:
    async def reconcile(_request: Request) -> None:
        home.cluster.store(SECRET)

    async with a_home() as home:
        controller = home.controller(reconcile, [For(home.cluster, WIDGET)])
        async with home.running(controller):
            await home.widget(size=1)
            await rest(600.0)
            [found] = controller.why(Request("home", "default", "a")).passes
    assert found.result == "terminal"
    assert "cluster home does not declare secrets" in found.error


async def test_a_source_of_an_undeclared_kind_is_refused_at_once() -> None:
    async with a_home() as home:
        with pytest.raises(UndeclaredKind, match="cluster home does not declare secrets"):
            Controller("x", done, [For(home.cluster, SECRET)])


async def test_owns_must_know_whose() -> None:
    async with a_home() as home, a_home() as away:
        with pytest.raises(ValueError, match=r"Owns\(home, configmaps\) needs owner=: 0 For"):
            Controller("x", done, [For(away.cluster, WIDGET), Owns(home.cluster, PART)])
        Controller("x", done, [For(away.cluster, WIDGET), Owns(home.cluster, PART, owner=WIDGET)])


@pytest.mark.parametrize(("name", "sources"), [("", [done]), ("x", [])])
async def test_a_controller_without_name_or_source_is_refused(name: str, sources: list[Any]) -> None:
    with pytest.raises(ValueError, match="needs a name and something to look at"):
        Controller(name, done, sources)


def test_a_setting_that_makes_no_sense_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match="workers must be more than 0, not 0"):
        ControllerSettings(workers=0)
    with pytest.raises(ValueError, match="deadline must be more than 0"):
        ControllerSettings(deadline=-1.0)


async def test_a_controller_that_is_one_service_stops_without_a_complaint(caplog: pytest.LogCaptureFixture) -> None:
    async with a_home() as home:
        await home.widget(size=1)
        async with home.running(home.controller(done, [For(home.cluster, WIDGET)])):
            await rest()
    assert len(home.runs) == 1
    assert not [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
