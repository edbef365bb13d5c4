"""All five kinds at once, a hundred of each, with the installed daemon as a process between two real API servers."""

import random

import anyio
import pytest
from attrs import define, field

from apinetlet.api import IRONCORE
from apinetlet.api.networking import NetworkState
from tests.real import addresses as lent
from tests.real import pairs as paired
from tests.real import test_addresses as addresses
from tests.real import test_pairs as pairs
from tests.real.daemon import Daemon, Place, everybody, made
from tests.real.waiting import until_right

pytestmark = pytest.mark.real
NUMBER = 100
PATIENCE = 400.0
"""Real seconds within which everything is as it should be once nobody dies any more."""


@define(eq=False)
class Mortal:
    """A daemon that is killed now and then, and begins again at once."""

    world: Place
    rng: random.Random
    deaths: int = field(default=0, init=False)
    _daemon: Daemon = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._daemon = self.world.start()

    async def die(self, times: int) -> None:
        for _ in range(times):
            await anyio.sleep(self.rng.uniform(0.8, 6.0))
            self._daemon.process.kill()
            self.deaths += 1
            self._daemon = self.world.start()


async def create(world: Place, number: int) -> None:
    await world.create(f"net-{number}")
    await addresses.create(world, number)
    await pairs.create(world, number)


async def change(world: Place, number: int) -> None:
    """Of a Network there is nothing that a user could change."""
    await addresses.change(world, number)
    await pairs.change(world, number)


async def delete(world: Place, number: int) -> None:
    await world.delete(f"net-{number}")
    await addresses.delete(world, number)
    await pairs.delete(world, number)


async def wrong_networks(world: Place) -> list[str]:
    networks = (await world.source.list(world.kinds.network, namespace=world.home)).items
    there = {one.metadata.name: one for one in await world.counterparts()}
    found = [] if len(there) == len(networks) == NUMBER + 1 else [f"{len(networks)} networks, {len(there)} made"]
    for one in networks:
        target = there.get(one.metadata.uid)
        has_id = target is not None and target.spec.id
        is_named = target is not None and has_id and one.spec.provider_id == world.provider_id(target)
        if not is_named or one.status.state is not NetworkState.AVAILABLE:
            found.append(f"network {one.metadata.name}")
    return found


@pytest.mark.parametrize("generation", [IRONCORE], indirect=True, ids=lambda one: one.name)
async def test_five_kinds_with_a_daemon_that_is_killed_ten_times_end_exactly_and_then_nobody_writes(
    world: Place,
) -> None:
    """At random moments while all of it is created, changed and deleted at once; then the audit log is silent."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"\nseed {seed}")

    async def mapped() -> list[str]:
        found = await addresses.wrong(world, NUMBER, "10.1.{}.0/24")
        return [*found, *await pairs.wrong(world, NUMBER, 80, 2048, 2), *await wrong_networks(world)]

    async def changed() -> list[str]:
        found = await addresses.wrong(world, NUMBER, "10.2.{}.0/24")
        return [*found, *await pairs.wrong(world, NUMBER, 443, 64, 1), *await wrong_networks(world)]

    async def left() -> list[str]:
        networks = {one.metadata.name for one in await world.counterparts()}
        found = [*await addresses.left(world, NUMBER), *await pairs.left(world)]
        return found if len(networks) == 1 else [*found, f"{len(networks)} networks are left"]

    planes = (
        lent.data_plane(world.apinet_plane, world.kinds, world.target),
        paired.data_plane(world.apinet_plane, world.kinds, world.target),
    )
    async with world.allocating(), planes[0], planes[1]:
        await world.create("blue")
        daemon = Mortal(world, random.Random(seed))
        for act, looks, what, deaths in (
            (create, mapped, "everything is mapped", 4),
            (change, changed, "everything is changed", 3),
            (delete, left, "nothing is left", 3),
        ):
            told = await pairs.addresses(world)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(everybody, world, act, NUMBER)
                tasks.start_soon(daemon.die, deaths)
            await until_right(looks, what, within=PATIENCE)
            assert act is not change or await pairs.addresses(world) == told
        assert daemon.deaths == 10
    world.kill()
    print(f"{len(world.writes())} writes of eleven lives")
    assert made(world.writes()) == {"ips": NUMBER, "networks": NUMBER + 1, **dict.fromkeys(pairs.PAIR, NUMBER)}
    await world.silent()
