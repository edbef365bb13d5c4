"""What makes us not ready, and for how long."""

import anyio
import anyio.lowlevel
import pytest

from reconcile.manager import checks
from reconcile.manager.checks import LoopLag
from reconcile.testing.apiserver.server import ApiServer
from reconcile.testing.faults import FaultPlan, Refused, Rule
from reconcile.testing.loop import virtual
from tests.manager.place import Granter, Side, an_elector, wish


@pytest.mark.pain(17)
async def test_a_blocked_loop_is_told_for_a_while_and_then_forgotten() -> None:
    lag = LoopLag(limit=2.0, memory=30.0)
    lag.note(1.9)
    assert lag.check() == ""
    lag.note(3.5)
    lag.note(0.01)
    await anyio.sleep(12)
    assert lag.check() == "the loop was blocked for 3.5 s, 12 s ago"
    await anyio.sleep(19)
    assert lag.check() == ""


async def test_a_leader_whose_lease_no_longer_covers_its_writes_is_not_well_and_a_standby_is() -> None:
    async with ApiServer() as server, anyio.create_task_group() as tasks:
        leader, standby = an_elector(server, "a"), an_elector(server, "b")
        tasks.start_soon(leader.run)
        await leader.elected()
        tasks.start_soon(standby.run)
        assert (checks.leadership(leader)(), checks.leadership(standby)()) == ("", "")
        virtual().suspend(12)
        assert checks.leadership(leader)() == "a does not hold the lease default/granter"
        assert checks.leadership(standby)() == ""
        tasks.cancel_scope.cancel()


@pytest.mark.pain(2)
async def test_a_copy_is_fresh_as_long_as_the_server_says_anything() -> None:
    async with ApiServer() as server, anyio.create_task_group() as tasks:
        home = Side.of(server)
        [informer] = home.cluster.informers
        fresh, connected = checks.freshness(informer, 120.0), checks.connection(home.cluster)
        assert fresh() == "not synced: syncing"
        await tasks.start(home.cluster.run)
        await anyio.sleep(3630)  # nothing happens
        assert (fresh(), connected()) == ("", "")
        home.line.plan = FaultPlan((Rule(Refused()),))
        server.end_watches()
        await anyio.sleep(60)
        assert fresh() == ""
        assert connected().startswith("cannot be reached: ")
        await anyio.sleep(90)
        assert fresh().startswith("not heard of for ")
        tasks.cancel_scope.cancel()


@pytest.mark.pain(16)
async def test_a_controller_is_well_although_its_reconciles_fail_but_not_when_one_cannot_be_ended() -> None:
    async def ignores_its_end() -> None:
        for _ in range(20):
            try:
                await anyio.sleep(100)
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()

    async with ApiServer() as server, anyio.create_task_group() as tasks:
        home = Side.of(server)
        controller = Granter(home.cluster, ignores_its_end).controller(deadline=10.0, cancel_grace=5.0)
        await tasks.start(home.cluster.run)
        await tasks.start(controller.run)
        check = checks.health(controller)
        await wish(server, "a")
        await anyio.sleep(11)
        assert check() == ""
        await anyio.sleep(10)
        assert "ignores its cancellation" in check()
        tasks.cancel_scope.cancel()
