"""The whole story of the demo, all kinds and everybody else at work, while the daemon's life is a misery.

What it asks is refused, lost, late or answered wrongly, its watches break, lag and repeat, and it is killed and started
again at random. Every step still comes to its goal, no address is free or on two interfaces while one is in use, and in
the end nothing is left.
"""

import random
from collections.abc import Iterator, Mapping

import anyio
import pytest

from apinetlet.api import GENERATIONS, Generation
from apinetlet.assembly import assemble
from apinetlet.demo.story import story
from apinetlet.demo.world import TARGET_NAMESPACE
from apinetlet.demo.world import World as Clusters
from apinetlet.settings import Settings
from reconcile import Client, Manager, Object
from reconcile.core import now
from reconcile.kube.kinds import NAMESPACE
from reconcile.kube.transport import Transport
from reconcile.testing.faultplan import FaultPlan
from reconcile.testing.loop import run
from reconcile.testing.world import World

TROUBLE = 200.0
"""Seconds, virtual, in which things fail, and people go on nevertheless."""
PATIENCE = 900.0
"""So long a step may take, virtual: faults, lives and backoff included."""
LOOK = 0.25


def chaos(clusters: Clusters, seed: int) -> World:
    """The daemon between both clusters, and what it will suffer."""
    generation = clusters.generation

    def build(transports: Mapping[str, Transport], rng: random.Random) -> Manager:
        manager = generation.field_manager
        source, target = (Client(transports[name], field_manager=manager, rng=rng) for name in ("source", "apinet"))
        return assemble(Settings(api_net_namespace=TARGET_NAMESPACE), generation, source, target, rng=rng)

    faults = {
        name: FaultPlan.draw(random.Random(f"faults {name} {seed}"), until=TROUBLE, strength=0.15)
        for name in ("source", "apinet")
    }
    servers = {"source": clusters.source, "apinet": clusters.apinet}
    return World(servers, build, faults=faults, seed=seed, always=lambda _: addresses_are_safe(clusters))


def addresses_are_safe(clusters: Clusters) -> None:
    """Whatever an interface of the data plane lists is taken, and listed once."""
    listed = [
        one["ip"]
        for interface in clusters.there("networkinterfaces").values()
        for one in interface["spec"].get("publicIPs") or ()
    ]
    assert len(set(listed)) == len(listed), f"an address on two interfaces: {listed}"
    assert set(listed) <= set(clusters.there("ipaddresses")), f"a free address in use: {listed}"


async def misery(world: World, rng: random.Random) -> None:
    """The daemon dies now and then, and is started again a little later."""
    while now() < TROUBLE:
        await anyio.sleep(rng.expovariate(1 / 15))
        world.kill()
        await anyio.sleep(rng.uniform(0, 5))
        world.start()


def leftovers(clusters: Clusters) -> Iterator[Object]:
    for plural in clusters.at_source:
        yield from clusters.declared(plural).values()
    for plural in clusters.at_apinet:
        yield from clusters.there(plural).values()


async def tell(generation: Generation, seed: int) -> int:
    """One world; how many faults struck."""
    clusters, rng = Clusters(generation, seed=seed), random.Random(f"misery {seed}")
    async with chaos(clusters, seed) as world:
        await clusters.apinet.client().create(NAMESPACE, {"metadata": {"name": TARGET_NAMESPACE}})
        async with clusters.staff(pace=rng.choice([0.0, 0.5, 3.0])):
            world.start()
            world.join(lambda world: misery(world, rng))
            for step in story(generation):
                await anyio.sleep(rng.uniform(0, 10))
                await step.act(clusters)
                end = now() + PATIENCE
                while not step.goal(clusters):
                    await world.settle()
                    assert now() < end, f"the goal was missed: {step.title}"
                    await anyio.sleep(LOOK)
            assert not list(leftovers(clusters))
            await anyio.sleep(TROUBLE)
            written = len(world.writes)
            await anyio.sleep(TROUBLE)
            assert len(world.writes) == written, "somebody still writes"
        return world.struck.total()


def survive(seeds: range) -> None:
    faults = 0
    for seed in seeds:
        for generation in GENERATIONS.values():
            try:
                faults += run(tell(generation, seed), seed=seed)
            except Exception as error:
                error.add_note(f"in the world of seed {seed}, generation {generation.name}")
                raise
    assert faults > 5 * len(seeds)


def test_a_world_comes_to_every_goal_of_the_story(world_seed: int) -> None:
    first = random.Random(world_seed).randrange(2**31)
    survive(range(first, first + 1))


@pytest.mark.proof
def test_fifty_worlds_come_to_every_goal_of_the_story() -> None:
    survive(range(50))
