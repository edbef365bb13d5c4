"""``drain``: nothing of ours is left, nothing of others is touched, and what remains is told."""

import datetime as dt
import io
from collections.abc import AsyncIterator

import pytest
from attrs import evolve

from apinetlet.api import IRONCORE, ONMETAL
from apinetlet.demo.story import STORY
from apinetlet.demo.world import TARGET_NAMESPACE
from apinetlet.tools import drain, shell
from apinetlet.tools.answer import FINDING, OK, Failure
from apinetlet.tools.drain import Drained, Flags
from apinetlet.tools.sides import Sides
from reconcile import Object
from reconcile.core.clock import utc
from reconcile.kube import MergePatch
from reconcile.kube.kinds import LEASE
from reconcile.kube.times import format_micro_time
from reconcile.testing.faults import FaultPlan, FaultyTransport, Rule, Status
from tests.scenarios.daemon import Lab, lab

FLAGS = Flags(api_net_namespace=TARGET_NAMESPACE, timeout=30.0)
DOING = evolve(FLAGS, yes=True)
DELETING = evolve(DOING, targets="delete")


@pytest.fixture(params=[pytest.param(ONMETAL, marks=pytest.mark.proof), IRONCORE], ids=lambda one: one.name)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    """A world in which everything is mapped, and whose daemon was stopped."""
    async with lab(request.param) as made:
        async with made.world.staff(), made.daemon():
            for step in STORY[:5]:
                await step.act(made.world)
                await made.rest(20)
        yield made


@pytest.fixture
async def small() -> AsyncIterator[Lab]:
    """Two networks, mapped."""
    async with lab(IRONCORE) as made:
        await made.world.declare("networks", "blue", {})
        await made.world.declare("networks", "green", {}, labels={"common.ironcore.dev/watch-filter": "mine"})
        async with made.daemon():
            await made.rest()
        yield made


def both(place: Lab) -> Sides:
    return Sides(place.generation, place.world.source.client(), place.world.apinet.client())


async def drained(place: Lab, flags: Flags) -> Drained:
    return await drain.drained(flags, both(place))


def ours(place: Lab) -> list[str]:
    """The source objects that wait for us."""
    domain = place.generation.finalizers
    return [
        one.metadata.name
        for kind in place.world.at_source.values()
        for one in place.world.source.objects(kind)
        if any(name.startswith(f"{domain}/") for name in one.metadata.finalizers)
    ]


def made_for(place: Lab) -> list[Object]:
    """The api-net objects that record a source."""
    return [
        one
        for kind in place.world.at_apinet.values()
        for one in place.world.apinet.objects(kind)
        if any(key.startswith(place.generation.origins) for key in (*one.metadata.labels, *one.metadata.annotations))
    ]


def versions(place: Lab) -> list[str]:
    sides = ((place.world.source, place.world.at_source), (place.world.apinet, place.world.at_apinet))
    return sorted(
        f"{one.metadata.uid} {one.metadata.resource_version}"
        for server, kinds in sides
        for kind in kinds.values()
        for one in server.objects(kind)
    )


async def test_it_is_told_first_then_sources_are_let_go_and_then_nothing_of_ours_is_left(place: Lab) -> None:
    before, waiting, made = versions(place), ours(place), made_for(place)
    told = await drained(place, evolve(FLAGS, targets="delete"))
    assert versions(place) == before
    assert sorted(one.meta.name for one in told.found if one.action == "release") == sorted(waiting)
    assert {one.meta.uid for one in told.found if one.action != "release"} == {one.metadata.uid for one in made}
    assert drain.answer(told, is_done=False).status == FINDING

    assert (await drained(place, DOING)).remains == {}
    assert ours(place) == []
    kept = {(one.metadata.uid, one.metadata.resource_version) for one in made_for(place)}
    assert kept == {(one.metadata.uid, one.metadata.resource_version) for one in made}
    again = await drained(place, DOING)
    assert again.found == []
    assert drain.answer(again, is_done=True).status == OK

    async with place.world.staff():
        assert (await drained(place, DELETING)).remains == {}
    assert made_for(place) == []
    interfaces = place.world.apinet.objects(place.world.kinds.apinet_network_interface)
    assert interfaces
    assert all(not one.spec.public_ips for one in interfaces)


async def test_a_target_that_somebody_holds_keeps_its_source_waiting_and_is_told(small: Lab) -> None:
    await small.set_finalizers("apinet", small.counterpart(small.network("blue")), ["metalnetlet/held"])
    found = await drained(small, DELETING)
    assert ours(small) == ["blue"]
    text = shell.drawn(drain.answer(found, is_done=True).parts, io.StringIO())
    assert "held by metalnetlet/held" in text
    assert "remain in the api-net cluster" in text
    assert drain.answer(found, is_done=True).status == FINDING
    await drained(small, DOING)
    assert ours(small) == []


async def test_with_a_watch_filter_only_what_has_it_is_let_go(small: Lab) -> None:
    found = await drained(small, evolve(DELETING, watch_filter="mine"))
    assert found.remains == {}
    assert ours(small) == ["blue"]
    assert len(made_for(small)) == 1


async def test_what_has_lost_its_source_goes_with_the_targets(small: Lab) -> None:
    await small.dangling()
    await drained(small, DELETING)
    assert made_for(small) == []


async def test_while_a_daemon_leads_nothing_is_done_unless_by_force(small: Lab) -> None:
    spec = {
        "holderIdentity": "host_1",
        "leaseDurationSeconds": 15,
        "renewTime": format_micro_time(utc() - dt.timedelta(seconds=3)),
    }
    await small.world.source.client().create(
        LEASE, {"metadata": {"name": IRONCORE.lease}, "spec": spec}, namespace="default"
    )
    with pytest.raises(Failure, match=r"host_1 holds Lease default/.*: stop the daemon first, or say --force"):
        await drained(small, DOING)
    assert len(ours(small)) == 2
    await drained(small, evolve(DOING, force=True))
    assert ours(small) == []


async def test_what_a_server_refuses_remains_with_what_it_said(small: Lab) -> None:
    sides = both(small)
    plan = FaultPlan((Rule(Status(403), verbs=("patch",)),))
    sides.source.transport = FaultyTransport(sides.source.transport, plan)
    found = await drain.drained(DOING, sides)
    assert len(found.remains) == 2
    assert all("403" in why for why in found.remains.values())


async def test_somebody_who_writes_at_the_same_time_loses_nothing(small: Lab) -> None:
    await small.world.source.client().patch(
        small.world.kinds.network,
        small.network("blue").metadata.key,
        MergePatch({"metadata": {"finalizers": [small.generation.finalizer("Network"), "somebody/else"]}}),
    )
    await drained(small, DOING)
    assert small.network("blue").metadata.finalizers == ("somebody/else",)
