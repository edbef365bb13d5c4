"""A manager as a whole: the order of things, what makes it ready, and every way in which it ends."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskStatus
from attrs import define

from reconcile.core.clock import now
from reconcile.kube.errors import Fenced
from reconcile.kube.kinds import CONFIG_MAP, LEASE
from reconcile.kube.objects import ObjectKey
from reconcile.manager.election import LeadershipLost
from reconcile.manager.manager import Manager, PartEnded
from reconcile.manager.preflight import MissingRights
from reconcile.manager.rbac import Rule, Writes
from reconcile.manager.settings import ManagerSettings
from reconcile.testing.apiserver.admission import Rule as Grant
from reconcile.testing.apiserver.admission import Rules, User
from reconcile.testing.apiserver.server import ApiServer
from reconcile.testing.faults import FaultPlan, FaultyTransport, NoReply, Refused
from reconcile.testing.loop import settled
from tests.manager.place import Granter, Side, an_elector, no_pause, until, wish

DOWN = FaultPlan.of(Refused())


def failing(manager: Manager) -> dict[str, str]:
    return {name: wrong for name, wrong in manager.probes.report("readyz").results.items() if wrong}


async def test_it_starts_works_and_ends_as_a_block_of_an_ordinary_program() -> None:
    async with ApiServer() as server:
        home = Side.of(server)
        await wish(server, "early")
        async with Manager([home.cluster], [Granter(home.cluster).controller()]) as manager:
            await manager.ready()
            await wish(server, "late")
            await until(lambda: home.granted() == ["early", "late"])
        assert not manager.probes.report("readyz").is_well


async def test_it_is_ready_when_the_caches_are_there_and_not_before() -> None:
    async with ApiServer() as server:
        home = Side.of(server)
        manager = Manager([home.cluster], [Granter(home.cluster).controller()])
        assert failing(manager)["start"] == "not started"
        async with manager:
            assert failing(manager)["start"]
            await manager.ready()
            assert failing(manager) == {}


class TestRefused:
    async def test_two_controllers_of_one_name(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            twins = [Granter(home.cluster).controller("net"), Granter(home.cluster).controller("net")]
            with pytest.raises(ValueError, match="two controllers have the name 'net'"):
                Manager([home.cluster], twins)

    async def test_two_clusters_of_one_name(self) -> None:
        async with ApiServer() as server:
            with pytest.raises(ValueError, match="two clusters have the name 'home'"):
                Manager([Side.of(server).cluster, Side.of(server).cluster], [])

    async def test_a_controller_over_a_cluster_that_nobody_runs(self) -> None:
        async with ApiServer() as server:
            stranger = Side.of(server, "stranger")
            with pytest.raises(ValueError, match=r"'granter' looks at clusters that were not given: \['stranger'\]"):
                Manager([], [Granter(stranger.cluster).controller()])

    def test_an_address_that_cannot_be_read(self) -> None:
        with pytest.raises(ValueError, match="'8081' is no address"):
            ManagerSettings(probes="8081")

    async def test_asking_for_what_is_not_there(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            manager = Manager([home.cluster], [])
            assert manager.cluster("home") is home.cluster
            with pytest.raises(LookupError, match="no cluster 'away'; there are: home"):
                manager.cluster("away")
            with pytest.raises(LookupError, match="no controller 'x'; there are: none"):
                manager.why("x", "home/a/b")


@define(eq=False)
class Doomed:
    """A service that fails after a while."""

    after: float = 5.0
    name: str = "doomed"

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await anyio.sleep(self.after)
        raise OSError("no space left on device")


@pytest.mark.pain(2)
class TestAPartThatDies:
    async def test_it_ends_the_manager_with_its_name_and_reason_and_cancels_the_block(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            with pytest.raises(PartEnded, match="doomed ended: no space left on device") as caught:
                async with Manager([home.cluster], [Granter(home.cluster).controller()], services=[Doomed()]):
                    await anyio.sleep_forever()
            assert now() == 5
            assert caught.value.part == "doomed"
            assert isinstance(caught.value.__cause__, OSError)

    async def test_a_service_of_the_leader_is_a_part_like_any_other(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            with pytest.raises(PartEnded, match="doomed"):
                async with Manager([home.cluster], [], leader_services=[Doomed()]) as manager:
                    await manager.run()

    async def test_an_error_of_the_block_itself_stays_as_it_is(self) -> None:
        async def block(server: ApiServer) -> None:
            async with Manager([Side.of(server).cluster], []) as manager:
                await manager.ready()
                raise LookupError("of the block")

        async with ApiServer() as server:
            with pytest.raises(LookupError, match="of the block"):
                await block(server)


class TestLostClusters:
    async def test_a_server_that_is_down_at_the_start_is_waited_for_and_readiness_says_so(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            await wish(server, "a")
            home.line.plan = DOWN
            async with Manager([home.cluster], [Granter(home.cluster).controller()]) as manager:
                await anyio.sleep(1000)
                assert failing(manager)["start"] == "waiting for the caches"
                home.line.heal()
                with anyio.fail_after(60):
                    await manager.ready()
                await until(lambda: home.granted() == ["a"])

    async def test_one_that_is_down_at_the_start_keeps_no_other_cache_from_filling(self) -> None:
        async with ApiServer() as one, ApiServer() as two:
            home, away = Side.of(one), Side.of(two, "away")
            away.line.plan = DOWN
            async with Manager([away.cluster, home.cluster], []) as manager:
                await anyio.sleep(30)
                assert home.cluster.has_synced
                assert failing(manager)["start"] == "waiting for the caches"
                assert "cache-away-configmaps" in failing(manager)
                assert "cache-home-configmaps" not in failing(manager)

    async def test_one_that_is_lost_later_makes_us_not_ready_and_stops_nothing(self) -> None:
        async with ApiServer() as one, ApiServer() as two:
            home, away = Side.of(one), Side.of(two, "away")
            granters = [Granter(side.cluster).controller(side.cluster.name) for side in (home, away)]
            async with Manager([home.cluster, away.cluster], granters) as manager:
                await manager.ready()
                away.line.plan = DOWN
                two.end_watches()
                await anyio.sleep(150)
                assert "cannot be reached" in failing(manager)["cluster-away"]
                assert "not heard of for" in failing(manager)["cache-away-configmaps"]
                assert set(failing(manager)) == {"cluster-away", "cache-away-configmaps"}
                await wish(one, "a")
                await until(lambda: home.granted() == ["a"])
                away.line.heal()
                await until(lambda: failing(manager) == {})


@pytest.mark.pain(10)
async def test_a_missing_right_ends_the_start_within_seconds_and_names_the_rule_to_add() -> None:
    user = User("limited", ())
    grants = (Grant(("get", "list", "watch"), resources=("configmaps",)), Grant(("create",), ("authorization.k8s.io",)))
    async with ApiServer(rules=Rules({"limited": grants})) as server:
        home = Side.of(server, user=user)
        writes = [Writes("home", CONFIG_MAP, ("patch",))]
        with pytest.raises(PartEnded) as caught, anyio.fail_after(5):
            async with Manager([home.cluster], [Granter(home.cluster).controller()], writes=writes) as manager:
                await manager.run()
        assert isinstance(caught.value.__cause__, MissingRights)
        assert caught.value.__cause__.rules == (Rule("home", "", "", "configmaps", ("patch",)),)
        assert "home ended: rights are missing in cluster home:\n  patch configmaps in all namespaces" in str(
            caught.value
        )


async def test_the_rights_it_needs_are_told_from_what_was_declared() -> None:
    async with ApiServer() as server:
        home = Side.of(server)
        writes = [Writes("home", CONFIG_MAP, ("patch",)), Writes("home", CONFIG_MAP, ("patch",), ("status",))]
        manager = Manager([home.cluster], [], writes=writes, election=an_elector(server, "a"))
        assert manager.rules() == (
            Rule("home", "", "", "configmaps", ("get", "list", "watch", "patch")),
            Rule("home", "", "", "configmaps/status", ("patch",)),
            Rule("home", "default", LEASE.group, "leases", ("get", "watch", "create", "update")),
        )


class TestStopping:
    @pytest.mark.pain(27)
    async def test_what_is_in_work_is_finished_and_nothing_more_is_begun(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            granter = Granter(home.cluster, lambda: anyio.sleep(10))
            async with Manager([home.cluster], [granter.controller(workers=1)]) as manager:
                await manager.ready()
                await wish(server, "a", "b")
                await until(lambda: len(granter.keys) == 1)
            assert home.granted() == [granter.keys[0].name]
            assert len(granter.keys) == 1

    @pytest.mark.pain(27)
    async def test_the_budget_for_that_is_kept(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            granter = Granter(home.cluster, lambda: anyio.sleep(1000))
            settings = ManagerSettings(drain_budget=7.0)
            async with Manager([home.cluster], [granter.controller()], settings=settings) as manager:
                await manager.ready()
                await wish(server, "a")
                await until(lambda: len(granter.keys) == 1)
                began = now()
            assert now() - began == pytest.approx(7.0, abs=0.1)
            assert home.granted() == []

    @pytest.mark.pain(27)
    async def test_many_controllers_drain_in_the_time_of_one(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            granters = [Granter(home.cluster, lambda: anyio.sleep(8)) for _ in range(5)]
            controllers = [granter.controller(f"granter-{number}") for number, granter in enumerate(granters)]
            async with Manager([home.cluster], controllers) as manager:
                await manager.ready()
                await wish(server, "a")
                await until(lambda: all(granter.keys for granter in granters))
                began = now()
            assert now() - began < 8.5

    async def test_it_stops_when_an_event_is_set_and_run_returns_when_all_has_ended(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            granter = Granter(home.cluster, lambda: anyio.sleep(5))
            stop = anyio.Event()
            async with Manager([home.cluster], [granter.controller()]) as manager:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(manager.run, stop)
                    await manager.ready()
                    await wish(server, "a")
                    await until(lambda: len(granter.keys) == 1)
                    stop.set()
                assert home.granted() == ["a"]
                assert failing(manager)["start"] == "stopped"

    async def test_a_hurry_does_not_wait_for_what_is_in_work(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            granter = Granter(home.cluster, lambda: anyio.sleep(15))
            async with Manager([home.cluster], [granter.controller()]) as manager:
                await manager.ready()
                await wish(server, "a")
                await until(lambda: len(granter.keys) == 1)
                began = now()
                manager.stop()
                await anyio.sleep(1)
                manager.hurry()
                await manager.run()
            assert now() - began == pytest.approx(1.0, abs=0.1)

    async def test_it_can_be_stopped_while_it_waits_for_a_server(self) -> None:
        async with ApiServer() as server:
            home = Side.of(server)
            home.line.plan = FaultPlan.of(NoReply())
            async with Manager([home.cluster], [Granter(home.cluster).controller()]):
                await anyio.sleep(100)
            assert now() == pytest.approx(100, abs=0.1)


def a_candidate(server: ApiServer, name: str, meanwhile: Callable[[], Any] = no_pause) -> tuple[Manager, Side, Granter]:
    """A manager with an election, as user ``name``."""
    side = Side.of(server, user=User(name))
    granter = Granter(side.cluster, meanwhile)
    return Manager([side.cluster], [granter.controller(workers=1)], election=an_elector(server, name)), side, granter


class TestElection:
    async def test_a_standby_is_warm_and_ready_and_writes_nothing(self) -> None:
        async with ApiServer() as server:
            await wish(server, "a")
            (first, _, _), (second, side, idle) = a_candidate(server, "first"), a_candidate(server, "second")
            async with first:
                await first.ready()
                async with second:
                    await until(lambda: failing(second) == {})
                    await anyio.sleep(60)
                    assert len(side.cluster.store(CONFIG_MAP)) == 1
                    assert len(second.controllers[0].queue) == 1
                    assert idle.keys == []
                    with pytest.raises(Fenced):
                        await side.cluster.delete(CONFIG_MAP, ObjectKey("default", "a"))

    @pytest.mark.pain(19)
    @pytest.mark.pain(27)
    async def test_the_lease_is_let_go_after_the_drain_and_the_next_writes_within_two_seconds(self) -> None:
        async with ApiServer() as server:
            first, _, slow = a_candidate(server, "first", lambda: anyio.sleep(6.5))
            second, side, _ = a_candidate(server, "second")
            async with first:
                await first.ready()
                async with second:
                    await wish(server, "a", "b")
                    await until(lambda: len(slow.keys) == 1)
                    first.stop()
                    await first.run()
                    await until(lambda: side.granted() == ["a", "b"])
                    writes = server.writes()
            order = [one.user_agent for one in writes]
            assert order[-4:] == ["home first", "lease first", "lease second", "home second"]
            assert writes[-1].time - writes[-4].time < 2

    @pytest.mark.pain(19)
    async def test_a_lost_lease_ends_what_is_in_work_before_the_lease_is_over(self) -> None:
        async with ApiServer() as server:
            home, line = Side.of(server), FaultyTransport(server.transport())
            elector = an_elector(server, "first", line)
            granter = Granter(home.cluster, lambda: anyio.sleep(1000))

            async def live() -> None:
                async with Manager([home.cluster], [granter.controller()], election=elector) as manager:
                    await manager.ready()
                    await wish(server, "a")
                    await until(lambda: len(granter.keys) == 1)
                    line.plan = FaultPlan.of(NoReply())
                    await manager.run()

            with pytest.raises(PartEnded, match="leader election default/granter ended") as caught:
                await live()
            assert isinstance(caught.value.__cause__, LeadershipLost)
            assert now() < elector.election.lease_duration - elector.election.margin
            assert home.granted() == []


async def test_two_managers_in_one_program_know_nothing_of_each_other() -> None:
    async with ApiServer() as one, ApiServer() as two:
        left, right = Side.of(one), Side.of(two)
        doomed = Manager([left.cluster], [Granter(left.cluster).controller()], services=[Doomed(5)])

        async def live() -> None:
            async with doomed:
                await doomed.run()

        async with Manager([right.cluster], [Granter(right.cluster).controller()]) as survivor:
            await survivor.ready()
            with pytest.raises(PartEnded):
                await live()
            await wish(two, "a")
            await until(lambda: right.granted() == ["a"])


async def test_garbage_collection_is_left_alone_unless_asked() -> None:
    async with ApiServer() as server:
        for wanted in (False, True):
            home = Side.of(server)
            before = gc.get_freeze_count()
            try:
                async with Manager([home.cluster], [], settings=ManagerSettings(freeze_gc=wanted)) as manager:
                    await manager.ready()
                    assert (gc.get_freeze_count() > before) is wanted
            finally:
                gc.unfreeze()


@pytest.mark.pain(27)
@pytest.mark.pain(33)
async def test_cancelled_at_any_await_it_leaves_nothing_running_and_no_lease_held() -> None:
    async def live(server: ApiServer, manager: Manager) -> None:
        async with manager:
            await manager.run()

    is_working, step = False, 0
    while not is_working:
        async with ApiServer() as server:
            await wish(server, "a")
            home = Side.of(server)
            manager = Manager([home.cluster], [Granter(home.cluster).controller()], election=an_elector(server, "a"))
            before = asyncio.all_tasks()
            task = asyncio.ensure_future(live(server, manager))
            for _ in range(step):
                await asyncio.sleep(0)
            is_working = bool(home.granted())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await settled()
            assert asyncio.all_tasks() == before
            assert all(not lease.at("spec", "holderIdentity") for lease in server.objects(LEASE))
        step += 1
    assert step > 20
