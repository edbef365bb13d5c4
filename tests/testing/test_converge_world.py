"""A world runs the program it is given, ends it at any moment, and tells when nothing moves any more."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import anyio
import pytest

from reconcile import Client, Cluster, Controller, For, KubeError, Manager, NotFound, ObjectKey, Request, Result
from reconcile.controller.context import running_pass
from reconcile.core.clock import now
from reconcile.kube import MergePatch
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.transport import Transport
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.converge import assert_converges
from reconcile.testing.faultplan import FaultPlan, Refused
from reconcile.testing.traffic import Call, Disturber, Sent
from reconcile.testing.world import CALM, LULL, PROGRAM, ProgramEnded, StillMoving, World
from tests.testing import copies
from tests.testing.copies import AWAY, HOME, NAMESPACE, a_world, drop, is_there, put

Work = Callable[[Cluster, Request], Coroutine[Any, Any, Result | None]]


def home(work: Work) -> World:
    """One cluster, and a program that does ``work`` for each ConfigMap."""

    def build(transports: Mapping[str, Transport], rng: random.Random) -> Manager:
        cluster = Cluster(HOME, Client(transports[HOME], rng=rng), [CONFIG_MAP], rng=rng)

        async def reconcile(request: Request) -> Result | None:
            return await work(cluster, request)

        return Manager([cluster], [Controller("worker", reconcile, [For(cluster, CONFIG_MAP)], rng=rng)], rng=rng)

    return World({HOME: ApiServer()}, build)


async def test_a_program_does_its_work_and_its_writes_are_counted_apart_from_those_of_others() -> None:
    async with a_world(copies.sound) as world:
        world.start()
        await put("a", size="1")(world)
        await world.quiesce()
        assert is_there("a", world, AWAY)
        assert world.counts == {"user": 1, PROGRAM: 2}
        assert [str(one).partition(": ")[2] for one in world.writes][-1] == (
            f"program: patch configmaps {NAMESPACE}/a in {AWAY}"
        )
        await assert_converges(world)


async def test_nothing_of_a_killed_program_reaches_a_server_not_even_what_it_does_in_its_agony() -> None:
    asked = asyncio.Event()

    async def tries_to_the_last(cluster: Cluster, request: Request) -> None:
        if request.name != "a":
            return
        try:
            asked.set()
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                with pytest.raises(KubeError):
                    await cluster.client.delete(CONFIG_MAP, request.key)
                with pytest.raises(KubeError):
                    await cluster.get(CONFIG_MAP, request.key)

    async with home(tries_to_the_last) as world:
        world.start()
        await put("a")(world)
        await asked.wait()
        world.kill()
        assert not world.is_running
        await world.crash()
        assert is_there("a", world)


async def test_what_is_in_flight_when_the_program_dies_is_done_or_not_but_never_answered() -> None:
    class KillsMeanwhile(Disturber):
        async def call(self, sent: Sent, send: Call) -> Any:
            response = await send(sent.request)
            if sent.number:
                world.kill()
            return response

    answered = False

    async def creates(cluster: Cluster, request: Request) -> None:
        nonlocal answered
        if request.name == "a":
            await cluster.create(copies.copy(ObjectKey(NAMESPACE, "b"), {}))
            answered = True

    async with home(creates) as world:
        world.traffic.disturber = KillsMeanwhile()
        world.start()
        await put("a")(world)
        await world.settle()
        await world.crash()
        assert is_there("b", world)
        assert not answered


async def test_a_program_that_is_stopped_ends_in_order() -> None:
    done: list[str] = []

    async def takes_its_time(cluster: Cluster, request: Request) -> None:
        await anyio.sleep(5)
        done.append(request.name)

    async with home(takes_its_time) as world:
        world.start()
        await put("a")(world)
        await anyio.sleep(1)
        await world.stop()
        assert done == ["a"]
        assert not world.is_running


async def test_a_new_life_knows_nothing_of_the_old_one_even_if_that_asked_for_it() -> None:
    lives: list[object] = []

    async def restarts(cluster: Cluster, request: Request) -> None:
        lives.append(running_pass.get())
        if len(lives) == 1:
            world.kill()
            world.start()
            await anyio.sleep(1)

    async with home(restarts) as world:
        context: list[object] = []
        build = world.program

        def seen(transports: Mapping[str, Transport], rng: random.Random) -> Any:
            context.append(running_pass.get())
            return build(transports, rng)

        world.program = seen
        world.start()
        await put("a")(world)
        await world.quiesce()
        assert len(lives) == 2
        assert context == [None, None]


async def test_a_program_that_ends_by_itself_is_noticed_with_the_reason() -> None:
    async def nothing(cluster: Cluster, request: Request) -> None: ...

    async with home(nothing) as world:
        world.start()
        await world.settle()
        manager = world.running
        assert isinstance(manager, Manager)
        manager.stop()
        with pytest.raises(ProgramEnded):
            await world.quiesce()


async def test_a_world_that_never_rests_says_what_moves() -> None:
    async def writes_for_ever(cluster: Cluster, request: Request) -> None:
        while True:
            await cluster.client.patch(CONFIG_MAP, request.key, MergePatch({"data": {"at": str(now())}}))
            await anyio.sleep(1)

    async with home(writes_for_ever) as world:
        world.start()
        await put("a")(world)
        with pytest.raises(StillMoving, match=rf"in work for .* s: worker {HOME}/{NAMESPACE}/a") as told:
            await world.quiesce(limit=300)
        assert f"program: patch configmaps {NAMESPACE}/a in {HOME}" in str(told.value)


async def test_polls_and_retries_that_write_nothing_are_rest() -> None:
    async def looks(cluster: Cluster, request: Request) -> None:
        await cluster.get(CONFIG_MAP, request.key)
        raise RuntimeError("not yet")

    async with home(looks) as world:
        world.start()
        await put("a")(world)
        began = now()
        await world.quiesce()
        assert now() - began < 200


async def test_what_must_never_be_is_seen_in_the_step_of_the_write() -> None:
    def never_a_copy(world: World) -> None:
        assert not is_there("a", world, AWAY), "a copy"

    async with a_world(copies.sound) as world:
        world.always = never_a_copy
        world.start()
        await put("a", size="1")(world)
        with pytest.raises(AssertionError, match="a copy") as told:
            await world.quiesce()
        assert told.value.__notes__[0].startswith("right after 0.0 s: program: patch configmaps")


async def test_faults_strike_the_program_alone_and_until_they_are_healed() -> None:
    async with a_world(copies.sound) as world:
        world.fail(AWAY, FaultPlan.of(Refused()))
        world.start()
        await put("a", size="1")(world)
        await world.quiesce()
        assert not is_there("a", world, AWAY)
        with pytest.raises(NotFound):
            await world.client(AWAY).get(CONFIG_MAP, ObjectKey(NAMESPACE, "a"))
        assert world.struck["Refused"] > 1
        world.heal()
        await world.quiesce()
        assert is_there("a", world, AWAY)
        await assert_converges(world)


async def test_others_live_on_when_the_program_dies() -> None:
    async def tick(world: World) -> None:
        for number in range(100):
            await put("clock", AWAY, now=str(number))(world)
            await anyio.sleep(1)

    async with a_world(copies.sound) as world:
        world.join(tick)
        world.start()
        await anyio.sleep(3)
        await world.crash()
        before = world.counts["user"]
        await anyio.sleep(3)
        assert world.counts["user"] > before


async def test_the_same_seed_tells_the_same_story() -> None:
    async def writes() -> list[str]:
        async with a_world(copies.sound) as world:
            world.start()
            for act in (put("a"), put("b"), drop("a")):
                await act(world)
                await anyio.sleep(1)
            await world.quiesce()
            return [str(one).partition(": ")[2] for one in world.writes]

    assert await writes() == await writes()


async def test_rest_comes_sooner_where_nobody_has_anything_planned() -> None:
    async def looks_again(cluster: Cluster, request: Request) -> Result | None:
        is_waiting = request.name == "b" and cluster.store(CONFIG_MAP).meta(request.key) is not None
        return Result(requeue_after=50.0) if is_waiting else None

    async def rest(world: World) -> float:
        began = now()
        await world.quiesce()
        return now() - began

    async with home(looks_again) as world:
        world.start()
        await put("a")(world)
        assert await rest(world) == LULL
        world.later(LULL + 5, lambda: None)
        assert await rest(world) == CALM
        world.traffic.disturber = Held()
        assert await rest(world) == CALM
        world.traffic.disturber = Disturber()
        await put("b")(world)
        assert await rest(world) == CALM
        await drop("b")(world)
        assert await rest(world) == LULL
        world.fail(HOME, FaultPlan.of(Refused()))
        world.heal()
        assert await rest(world) == CALM


class Held(Disturber):
    """Somebody's own disturber, which does not say when it disturbs."""
