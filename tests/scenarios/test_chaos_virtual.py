"""Thirty objects with a derived one each, changed and deleted meanwhile, while everything fails that can fail.

Each world has its own faults, order of tasks, user and deaths of the program, all drawn from one seed. When the faults
are over, the end is exact, and nobody writes any more.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import anyio
import pytest

from reconcile import (
    Change,
    Client,
    Cluster,
    Controller,
    ControllerSettings,
    For,
    Manager,
    NotFound,
    Object,
    ObjectKey,
    Request,
    Watched,
    Watches,
)
from reconcile.kube import MergePatch
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.transport import Transport
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.converge import assert_converges
from reconcile.testing.faultplan import FaultPlan
from reconcile.testing.loop import run
from reconcile.testing.world import World

Record: TypeAlias = Callable[[str, object], None]
SOURCES = 30
TROUBLE = 120.0
"""Seconds, virtual, in which things fail."""
ACTS = 90
"""What the user does meanwhile."""
ROLE = "example.org/role"
NAMESPACE = "default"


def build(transports: Mapping[str, Transport], rng: random.Random) -> Manager:
    """Keeps ``derived-x`` as the sum of the numbers in ``x``, for as long as there is ``x``."""
    home = Cluster("home", Client(transports["home"], rng=rng), [Watched(CONFIG_MAP, labels=ROLE)], rng=rng)

    async def reconcile(request: Request) -> None:
        source = home.store(CONFIG_MAP).get(request.key)
        if source is not None and source.metadata.labels[ROLE] != "source":
            return  # a predicate lets every deletion pass, and what was deleted may be there again
        derived = ObjectKey(request.namespace, f"derived-{request.name}")
        if source is not None:
            await home.apply(wanted(source))
        elif home.store(CONFIG_MAP).meta(derived) is not None and await is_gone(home, request.key):
            await home.delete(CONFIG_MAP, derived)

    controller = Controller(
        "sums",
        reconcile,
        [For(home, CONFIG_MAP, is_source), Watches(home, CONFIG_MAP, source_of, is_derived)],
        ControllerSettings(workers=4),
        rng=rng,
    )
    return Manager([home], [controller], rng=rng)


def wanted(source: Object) -> dict[str, object]:
    total = sum(int(value) for value in source["data"].values())
    metadata = {"name": f"derived-{source.metadata.name}", "namespace": NAMESPACE, "labels": {ROLE: "derived"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"sum": str(total)}}


async def is_gone(home: Cluster, key: ObjectKey) -> bool:
    try:
        await home.get(CONFIG_MAP, key)
    except NotFound:
        return True
    return False


def is_source(change: Change[Object]) -> bool:
    return change.object.metadata.labels[ROLE] == "source"


def is_derived(change: Change[Object]) -> bool:
    return change.object.metadata.labels[ROLE] == "derived"


def source_of(change: Change[Object]) -> list[Request]:
    return [Request("home", change.key.namespace, change.key.name.removeprefix("derived-"))]


def chaos(seed: int) -> World:
    plan = FaultPlan.draw(random.Random(f"faults {seed}"), until=TROUBLE, strength=0.3)
    return World({"home": ApiServer(rng=random.Random(seed))}, build, faults={"home": plan}, seed=seed)


async def user(world: World, rng: random.Random) -> None:
    """Creates, changes and deletes at random, and meddles with what is derived; the program dies now and then."""
    client = world.client("home")
    for name in (f"source-{number}" for number in range(SOURCES)):
        await create(client, name, rng)
    for _ in range(ACTS):
        await anyio.sleep(rng.expovariate(ACTS / TROUBLE))
        name = f"source-{rng.randrange(SOURCES)}"
        there = {key.partition("/")[2] for key in world.servers["home"].storage.keys(CONFIG_MAP.name, NAMESPACE)}
        act = rng.choices(["change", "toggle", "meddle", "crash"], [6, 3, 2, 0.3])[0]
        if act == "crash":
            world.kill()
            world.later(rng.uniform(0, 5), world.start)
        elif act == "meddle" and f"derived-{name}" in there:
            await client.delete(CONFIG_MAP, ObjectKey(NAMESPACE, f"derived-{name}"))
        elif name not in there:
            await create(client, name, rng)
        elif act == "toggle":
            await client.delete(CONFIG_MAP, ObjectKey(NAMESPACE, name))
        else:
            patch = MergePatch({"data": {rng.choice("abc"): str(rng.randrange(100))}})
            await client.patch(CONFIG_MAP, ObjectKey(NAMESPACE, name), patch)


async def create(client: Client, name: str, rng: random.Random) -> None:
    metadata = {"name": name, "labels": {ROLE: "source"}}
    body = {"metadata": metadata, "data": {letter: str(rng.randrange(100)) for letter in rng.sample("abc", 2)}}
    await client.create(CONFIG_MAP, body, namespace=NAMESPACE)


async def story(seed: int) -> int:
    """One world, from its first object to its last write; how many faults struck."""
    async with chaos(seed) as world:
        world.start()
        await user(world, random.Random(f"user {seed}"))
        world.heal()
        await world.quiesce()
        world.start()
        await world.quiesce()
        objects = {one.metadata.name: one for one in world.objects("home", CONFIG_MAP) if ROLE in one.metadata.labels}
        sources = [one for one in objects.values() if one.metadata.labels[ROLE] == "source"]
        expected = {f"derived-{one.metadata.name}": wanted(one)["data"] for one in sources}
        found = {name: dict(one["data"]) for name, one in objects.items() if name.startswith("derived-")}
        assert found == expected
        await assert_converges(world)
        return world.struck.total()


def survive(seeds: Sequence[int], record_property: Record) -> None:
    """Tell these worlds, and see that they were no quiet ones."""
    faults = 0
    for seed in seeds:
        try:
            faults += run(story(seed), seed=seed)
        except Exception as error:
            error.add_note(f"in the world of seed {seed}")
            raise
    record_property("worlds", len(seeds))
    record_property("told", f"chaos: {faults} faults in {len(seeds)} worlds")
    assert faults > 5 * len(seeds)


def test_some_worlds_of_chaos_come_to_an_exact_end(world_seed: int, record_property: Record) -> None:
    rng = random.Random(world_seed)
    survive([rng.randrange(2**32) for _ in range(15)], record_property)


@pytest.mark.proof
def test_two_hundred_worlds_of_chaos_come_to_an_exact_end_in_two_minutes(record_property: Record) -> None:
    began = time.process_time()  # who else is busy on the machine does not count
    survive(range(200), record_property)
    assert time.process_time() - began < 120
