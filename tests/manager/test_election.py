"""Leader election over an API server in memory: who leads when, what the fence lets pass, and how leading ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import pytest
from attrs import define, evolve, field

from reconcile.core.clock import now
from reconcile.kube.client import Client, ClientSettings
from reconcile.kube.errors import Fenced
from reconcile.kube.kinds import CONFIG_MAP, LEASE
from reconcile.kube.retry import RetryPolicy
from reconcile.manager.election import LeaderElector, LeadershipLost
from reconcile.manager.lease import LeaderElection
from reconcile.testing.apiserver.admission import Rule, Rules, User
from reconcile.testing.apiserver.server import ApiServer
from reconcile.testing.faults import FaultPlan, FaultyTransport, LostReply, NoReply
from reconcile.testing.loop import settled, virtual

ELECTION = LeaderElection(namespace="default", name="net", identity="a", own_thread=False)


CUT = FaultPlan.of(NoReply())


@define(eq=False)
class Candidate:
    """An elector in a task of its own, with its line to the server."""

    elector: LeaderElector
    line: FaultyTransport
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    ended: anyio.Event = field(factory=anyio.Event)
    error: Exception | None = None

    async def run(self) -> None:
        try:
            with self.scope:
                await self.elector.run()
        except Exception as error:
            self.error = error
        finally:
            self.ended.set()

    async def stop(self) -> None:
        self.scope.cancel()
        await self.ended.wait()

    @property
    def may_write(self) -> bool:
        try:
            self.elector.fence()
        except Fenced:
            return False
        return True


@define(eq=False)
class Place:
    server: ApiServer
    tasks: anyio.abc.TaskGroup

    def candidate(self, identity: str, *, user: User | None = None, **election: Any) -> Candidate:
        line = FaultyTransport(self.server.transport(user=user or User(identity)))
        settings = ClientSettings(call_timeout=3.0, retry=RetryPolicy(attempts=1))
        chosen = evolve(ELECTION, identity=identity, **election)
        elector = LeaderElector(chosen, lambda: Client(line, settings=settings), rng=Random(identity))
        return Candidate(elector, line)

    def start(self, identity: str, **options: Any) -> Candidate:
        candidate = self.candidate(identity, **options)
        self.tasks.start_soon(candidate.run)
        return candidate

    async def leader(self, identity: str, **options: Any) -> Candidate:
        candidate = self.start(identity, **options)
        with anyio.fail_after(60):
            await candidate.elector.elected()
        return candidate

    @property
    def record(self) -> dict[str, Any]:
        [lease] = self.server.objects(LEASE, "default")
        return lease.thaw()["spec"]  # type: ignore[no-any-return]


@asynccontextmanager
async def a_place(**options: Any) -> AsyncIterator[Place]:
    async with ApiServer(**options) as server, anyio.create_task_group() as tasks:
        yield Place(server, tasks)
        tasks.cancel_scope.cancel()


async def test_a_lone_candidate_leads_at_once_and_keeps_renewing() -> None:
    async with a_place() as place:
        leader = await place.leader("a")
        assert now() == 0.0
        first = place.record
        assert (first["holderIdentity"], first["leaseDurationSeconds"], first["leaseTransitions"]) == ("a", 15, 0)
        await anyio.sleep(300)
        assert leader.may_write
        assert leader.elector.is_leader
        assert place.record["acquireTime"] == first["acquireTime"]
        assert place.record["renewTime"] > "2026-01-01T00:04:57"


@pytest.mark.pain(19)
async def test_nothing_passes_the_fence_before_the_election_is_won() -> None:
    async with a_place() as place:
        await place.leader("a")
        standby = place.start("b")
        await anyio.sleep(60)
        assert not standby.may_write
        assert standby.elector.holder == "a"
        client = place.server.client(fence=standby.elector.fence)
        with pytest.raises(Fenced, match="b does not hold the lease default/net"):
            await client.create(CONFIG_MAP, {"metadata": {"namespace": "default", "name": "x"}})
        await client.list(CONFIG_MAP)  # reading is free


@pytest.mark.pain(19)
async def test_an_orderly_stop_hands_over_at_once() -> None:
    async with a_place() as place:
        first = await place.leader("a")
        second = place.start("b")
        await anyio.sleep(30)
        began = now()
        await first.stop()
        with anyio.fail_after(60):
            await second.elector.elected()
        assert now() - began < 0.1
        assert second.may_write
        assert not first.may_write
        assert place.record["leaseTransitions"] == 1


async def test_without_the_right_to_watch_a_handover_takes_no_longer_than_two_looks() -> None:
    looks_only = Rules({"b": (Rule(("get", "update"), (LEASE.group,), ("leases",)),)})
    async with a_place(rules=looks_only) as place:
        first = await place.leader("a")
        second = place.start("b")
        await anyio.sleep(30)
        began = now()
        await first.stop()
        with anyio.fail_after(60):
            await second.elector.elected()
        assert 0 < now() - began <= 4.4


async def test_a_release_writes_what_client_go_writes() -> None:
    async with a_place() as place:
        leader = await place.leader("a")
        await anyio.sleep(100)
        await leader.stop()
        record = place.record
        assert (record["holderIdentity"], record["leaseDurationSeconds"], record["leaseTransitions"]) == ("", 1, 0)
        assert record["renewTime"] == record["acquireTime"] == "2026-01-01T00:01:40.000000Z"


class TestAHolderThatIsNotOurs:
    """What client-go writes, written by hand."""

    @staticmethod
    async def renew(client: Client, count: int) -> None:
        spec = {"holderIdentity": "go", "leaseDurationSeconds": 15, "leaseTransitions": 3}
        meta = {"namespace": "default", "name": "net"}
        body = {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": meta}
        lease = await client.create(LEASE, {**body, "spec": {**spec, "renewTime": "2020-01-01T00:00:00.000000Z"}})
        for number in range(count):
            await anyio.sleep(2)
            renewed = {**spec, "renewTime": f"2020-01-01T00:00:{number + 1:02}.000000Z"}
            lease = await client.update(LEASE, {**lease.thaw(), "spec": renewed})

    @pytest.mark.pain(19)
    async def test_it_is_honoured_while_it_renews_and_followed_when_it_stops(self) -> None:
        async with a_place() as place:
            place.tasks.start_soon(self.renew, place.server.client(), 20)
            await settled()
            ours = place.start("a")
            with anyio.fail_after(120):
                await ours.elector.elected()
            assert 40 + 15 <= now() <= 40 + 4.4 + 15 + 0.1
            assert place.record["leaseTransitions"] == 4

    async def test_the_time_of_one_that_was_long_dead_counts_from_when_it_was_seen(self) -> None:
        async with a_place() as place:
            await self.renew(place.server.client(), 0)
            await anyio.sleep(1000)
            ours = place.start("a")
            with anyio.fail_after(60):
                await ours.elector.elected()
            assert now() == pytest.approx(1015, abs=0.1)


@pytest.mark.pain(19)
class TestLosing:
    async def test_a_partitioned_leader_ends_while_its_lease_is_valid_and_the_next_begins_after(self) -> None:
        async with a_place() as place:
            first = await place.leader("a")
            second = place.start("b")
            await anyio.sleep(30.5)
            cut_at = now()
            first.line.plan = CUT
            with anyio.fail_after(60):
                await first.ended.wait()
            assert isinstance(first.error, LeadershipLost)
            assert "default/net lost: the Lease was last renewed 10.0 s ago" in str(first.error)
            assert now() <= cut_at + 10
            assert not first.may_write
            assert not second.may_write
            with anyio.fail_after(60):
                await second.elector.elected()
            assert now() - cut_at >= 13

    async def test_the_fence_closes_by_itself_before_the_lease_is_over(self) -> None:
        async with a_place() as place:
            leader = await place.leader("a")
            virtual().suspend(ELECTION.lease_duration - ELECTION.margin - 0.1)
            assert leader.may_write
            virtual().suspend(0.1)  # no timer has fired: nothing but the comparison can tell
            assert not leader.may_write

    async def test_a_machine_that_slept_finds_out_and_does_not_renew_over_another(self) -> None:
        async with a_place() as place:
            first = await place.leader("a")
            virtual().suspend(3600)
            assert not first.may_write
            with anyio.fail_after(60):
                await first.ended.wait()
            assert isinstance(first.error, LeadershipLost)

    async def test_answers_that_get_lost_cost_nothing_as_long_as_some_arrive(self) -> None:
        async with a_place() as place:
            leader = await place.leader("a")
            for _ in range(10):
                leader.line.plan = FaultPlan.of(LostReply())
                await anyio.sleep(4)
                assert leader.may_write
                leader.line.heal()
                await anyio.sleep(6)
                assert leader.may_write
            assert not leader.ended.is_set()

    async def test_who_finds_another_name_in_its_lease_stops_at_once(self) -> None:
        async with a_place() as place:
            leader = await place.leader("a")
            lease = place.server.objects(LEASE, "default")[0].thaw()
            lease["spec"]["holderIdentity"] = "intruder"
            await place.server.client().update(LEASE, lease)
            with anyio.fail_after(2.5):
                await leader.ended.wait()
            assert not leader.may_write
            assert str(leader.error).endswith("intruder holds the Lease")
            assert place.record["holderIdentity"] == "intruder"

    async def test_a_lease_deleted_under_its_leader_is_made_again(self) -> None:
        async with a_place() as place:
            leader = await place.leader("a")
            await place.server.client().delete(LEASE, ELECTION.key)
            await anyio.sleep(5)
            assert leader.may_write
            assert place.record["holderIdentity"] == "a"


class TestTrouble:
    async def test_a_server_that_is_down_at_the_start_is_asked_until_it_answers(self) -> None:
        async with a_place() as place:
            candidate = place.candidate("a")
            candidate.line.plan = CUT
            place.tasks.start_soon(candidate.run)
            await anyio.sleep(300)
            candidate.line.heal()
            with anyio.fail_after(10):
                await candidate.elector.elected()

    async def test_a_missing_right_is_told_once_with_the_rule_to_add(self, caplog: pytest.LogCaptureFixture) -> None:
        async with a_place(rules=Rules({"a": ()})) as place:
            place.start("a")
            await anyio.sleep(300)
        [record] = [record.getMessage() for record in caplog.records if "lease request failed" in record.message]
        assert 'the rule to add: {apiGroups: ["coordination.k8s.io"], resources: ["leases"]' in record

    async def test_a_missing_namespace_is_no_reason_to_hurry(self) -> None:
        async with a_place() as place:
            place.start("a", namespace="nowhere")
            await anyio.sleep(60)
            assert len([one for one in place.server.audit if one.resource == LEASE.name]) < 100


@pytest.mark.pain(27)
@pytest.mark.parametrize("standby", [False, True])
async def test_cancelled_at_any_await_it_never_leaves_its_name_behind(standby: bool) -> None:
    steps = 0
    is_over = False
    while not is_over:
        async with a_place() as place:
            if standby:
                await place.leader("other")
                place.server.audit.clear()
            candidate = place.candidate("a")
            task = asyncio.ensure_future(candidate.run())
            for _ in range(steps):
                await asyncio.sleep(0)
            is_over = candidate.elector.is_leader or (standby and now() > 0)
            await candidate.stop()
            await task
            if standby and steps > 60:
                is_over = True
            names = [lease.at("spec", "holderIdentity") for lease in place.server.objects(LEASE, "default")]
            assert names in ([["other"]] if standby else [[], [""], [None]])
            assert not candidate.may_write
        steps += 1
    assert steps > 5


async def test_a_loop_with_its_own_clock_is_not_left_for_a_thread() -> None:
    elector = LeaderElector(evolve(ELECTION, own_thread=True), lambda: pytest.fail("never called"))
    with pytest.raises(RuntimeError, match="own_thread=False"):
        await elector.run()
