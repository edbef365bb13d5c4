"""Days and days of both generations at once: users at random, faults of all kinds, and a daemon that dies.

The daemon lives on client certificates of minutes, under the rights that ``apinetlet rbac`` prints. A run is as long as
the wall clock says and prints what it was: days, faults, deaths, certificates, writes, and the memory of the process,
which must not grow.
"""

import gc
import os
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from attrs import define, field

from apinetlet.api import GENERATIONS, Generation
from apinetlet.demo.world import TARGET_NAMESPACE
from apinetlet.demo.world import World as Clusters
from reconcile.core import now
from reconcile.kube.kinds import CSR, NAMESPACE, SECRET
from reconcile.testing.loop import run
from reconcile.testing.state import BOOKKEEPING
from reconcile.testing.world import World
from tests.apinetlet.demo.certified import Land, certified_daemons, forgetful, guarded, land
from tests.apinetlet.demo.days import DAY, Complaints, Life
from tests.apinetlet.demo.test_story_chaos import addresses_are_safe

HISTORY = 50
"""Changes that a server remembers of a kind: few enough to be full within the first days, so that memory is level."""
NIGHTS = 5
"""Of so many days one has a night, for an idle day of both worlds costs as much as all that happens in one."""


def resident_mb() -> float:
    """What the process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def live(seed: int, until: "Limit", complaints: Complaints, folder: Path) -> tuple[int, list[Life]]:
    """Days in both generations at once, until it is enough; and how many there were."""
    days = 0
    async with AsyncExitStack() as stack:
        stack.enter_context(certified_daemons(folder))
        lives = [await begin(stack, generation, seed, complaints, folder) for generation in GENERATIONS.values()]
        while not until.reached(days):
            async with anyio.create_task_group() as both:
                for one in lives:
                    both.start_soon(one.day)
            days += 1
            if days % NIGHTS == 0:
                await anyio.sleep(DAY - now() % DAY)  # watches end and begin, that is all
        for one in lives:
            await one.end()
    return days, lives


async def begin(stack: AsyncExitStack, generation: Generation, seed: int, complaints: Complaints, folder: Path) -> Life:
    clusters = guarded(Clusters(generation, seed=seed, audit=100, history=HISTORY))
    lands: list[Land] = []  # the daemon's, which there is only once the servers run
    world = await stack.enter_async_context(
        World(
            {"source": clusters.source, "apinet": clusters.apinet},
            lambda links, rng: lands[0].program(links, rng),
            seed=seed,
            always=lambda _: addresses_are_safe(clusters),
            ignored=BOOKKEEPING | {CSR.name, SECRET.name},
        )
    )
    await clusters.apinet.client().create(NAMESPACE, {"metadata": {"name": TARGET_NAMESPACE}})
    lands.append(await stack.enter_async_context(land(clusters, folder)))
    await stack.enter_async_context(forgetful(clusters.staff(pace=0.5)))
    await clusters.declare("prefixes", "pool", {"prefix": "10.0.0.0/16"})
    world.start()
    return Life(clusters, world, lands[0], random.Random(f"{generation.name} {seed}"), complaints)


@define
class Limit:
    """So many days, or so many minutes on the wall clock; the memory is looked at each minute."""

    days: int = 0
    minutes: float = 0.0
    memory: list[float] = field(factory=list, init=False)
    _started: float = field(factory=time.monotonic, init=False)

    def reached(self, days: int) -> bool:
        minute = (time.monotonic() - self._started) / 60
        if self.minutes and minute >= len(self.memory):
            self.memory.append(resident_mb())
        return minute >= self.minutes if self.minutes else days >= self.days


def test_a_day_of_both_generations_ends_as_it_should(world_seed: int, tmp_path: Path) -> None:
    with Complaints() as complaints:
        days, lives = run(live(world_seed, Limit(days=1), complaints, tmp_path), seed=world_seed)
    assert not complaints.unexplained
    assert days == 1
    assert sum(one.world.struck.total() for one in lives)
    assert sum(one.deaths for one in lives)
    for one in lives:
        assert not one.land.forbidden
        assert all(gate.certificates > 2 for gate in one.land.gates.values())


@pytest.mark.proof
def test_half_an_hour_of_days_does_not_cost_memory(tmp_path: Path) -> None:
    """``SOAK_MINUTES`` makes it another time."""
    seed = int(os.environ.get("SEED", "0"))
    limit = Limit(minutes=float(os.environ.get("SOAK_MINUTES", "30")))
    with Complaints() as complaints:
        days, lives = run(live(seed, limit, complaints, tmp_path), seed=seed)
    acts = sum((one.acts for one in lives), Counter[str]())
    print(f"seed {seed}: {days} days of both generations in {limit.minutes:g} minutes; users did {dict(acts)}")
    struck, deaths = sum(one.world.struck.total() for one in lives), sum(one.deaths for one in lives)
    print(f"{struck} faults, {deaths} deaths of a daemon, {sum(one.land.exits for one in lives)} that it chose")
    gates = [gate for one in lives for gate in one.land.gates.values()]
    shown, refused = sum(one.certificates for one in gates), sum(one.refused for one in gates)
    print(f"{shown} certificates of ten minutes shown, {refused} requests refused for want of a good one")
    print(f"{sum(one.writes for one in lives)} writes; resident MB by minute: {[round(one) for one in limit.memory]}")
    assert not complaints.unexplained
    assert not any(one.land.forbidden for one in lives)
    assert all(gate.certificates >= 3 * days for gate in gates)
    settled = limit.memory[min(5, len(limit.memory) // 2)]
    assert limit.memory[-1] <= 1.05 * settled
