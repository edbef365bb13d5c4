"""Everything at once on a real server: users change their minds while the way to it is cut, delayed and refused.

In the end each source has its one right mirror, and then nobody writes any more. A run prints its seed and its figures;
``SEED`` repeats what users do and what befalls the way, though not the moments at which the machine does its part.
"""

import itertools
import os
import random
import time
from collections import Counter
from contextlib import suppress

import anyio
import pytest
from attrs import define, field, frozen

from reconcile import Client, NotFound, ObjectKey, connect
from reconcile.core.clock import Seconds
from reconcile.kube import MergePatch
from reconcile.kube.client import ClientSettings
from reconcile.kube.kinds import CONFIG_MAP, NAMESPACE
from reconcile.testing.envtest import ControlPlane
from tests.real.mirror import Mirroring, differences
from tests.real.relay import Relay
from tests.real.waiting import until

pytestmark = pytest.mark.real

_numbers = itertools.count(1)


@frozen
class Plan:
    """How much, and for how long."""

    sources: int
    seconds: Seconds
    """Of trouble."""
    quiet: Seconds
    """For which nobody may write afterwards."""


@define(eq=False)
class Users:
    """They create, change and delete sources, over a way of their own that is well."""

    client: Client
    namespace: str
    rng: random.Random
    done: Counter[str] = field(factory=Counter, init=False)

    async def create(self, names: list[str]) -> None:
        """All of them, some at a time."""
        waiting = iter(names)

        async def work() -> None:
            for name in waiting:
                await self._create(name)

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(work)

    async def change_their_minds(self, names: list[str]) -> None:
        """For ever, about one source after the other."""
        while True:
            name = self.rng.choice(names)
            what = self.rng.choice(("change", "change", "change", "delete", "create", "make anew"))
            key = ObjectKey(self.namespace, name)
            with suppress(NotFound):
                if what == "change":
                    await self.client.patch(CONFIG_MAP, key, MergePatch({"data": self._data()}))
                elif what != "create":
                    await self.client.delete(CONFIG_MAP, key)
                self.done[what] += 1
            if what in ("create", "make anew"):
                await self._create(name)
            await anyio.sleep(self.rng.uniform(0, 0.04))

    async def _create(self, name: str) -> None:
        metadata = {"name": name, "namespace": self.namespace}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": self._data()}
        await self.client.apply(CONFIG_MAP, body)
        self.done["create"] += 1

    def _data(self) -> dict[str, str]:
        return {"value": f"{self.rng.getrandbits(40):x}", "other": "x" * self.rng.randrange(200)}


async def trouble(relay: Relay, rng: random.Random) -> None:
    """For ever: one connection broken, all of them, none let in for a while, or everything late."""
    relay.pause = lambda: rng.choice((0.0, 0.0, 0.0, rng.uniform(0, 0.05)))
    while True:
        await anyio.sleep(rng.uniform(0.05, 0.8))
        match rng.choice(("one", "one", "one", "all", "refuse")):
            case "one":
                relay.cut_one(rng)
            case "all":
                relay.cut()
            case _:
                relay.is_refusing = True
                relay.cut()
                await anyio.sleep(rng.uniform(0.1, 1.5))
                relay.is_refusing = False


async def tell(plane: ControlPlane, plan: Plan, seed: int) -> dict[str, object]:
    """The whole story. Answers its figures."""
    rng, number = random.Random(seed), next(_numbers)
    sources, mirrors, agent = f"chaos-sources-{number}", f"chaos-mirrors-{number}", f"chaos-{number}"
    names = [f"one-{one}" for one in range(plan.sources)]
    retries = ClientSettings(call_timeout=5.0)
    async with (
        connect(plane.kubeconfig(), field_manager="users") as people,
        Relay(plane) as relay,
        connect(
            relay.kubeconfig(plane.kubeconfig()), field_manager="mirrors", user_agent=agent, settings=retries
        ) as client,
    ):

        def writes() -> int:
            return sum(one.is_write and one.user_agent == agent for one in plane.audit_events())

        for namespace in (sources, mirrors):
            await people.create(NAMESPACE, {"metadata": {"name": namespace}})
        users = Users(people, sources, random.Random(rng.getrandbits(64)))
        await users.create(names[::2])
        program = Mirroring(client, sources, mirrors)
        async with program.manager:
            with anyio.move_on_after(plan.seconds):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(trouble, relay, random.Random(rng.getrandbits(64)))
                    tasks.start_soon(users.create, names[1::2])
                    for _ in range(2):
                        tasks.start_soon(users.change_their_minds, names)
            relay.is_refusing, relay.pause = False, None
            began = time.monotonic()

            async def is_done() -> bool:
                if not program.is_idle:
                    await anyio.sleep(0.2)
                    return False
                return not await differences(people, sources, mirrors)

            await until(is_done, "everything is mirrored", within=120)
            took, before = time.monotonic() - began, writes()
            await anyio.sleep(plan.quiet)
            assert writes() == before, "something was written though nothing was left to do"
            assert await differences(people, sources, mirrors) == []
        there = len((await people.list(CONFIG_MAP, namespace=mirrors)).items)
    informer = program.cluster.informer(CONFIG_MAP)
    return {
        "by users": sum(users.done.values()),
        "sources at the end": there,
        "writes of the program": before,
        "its connections": relay.connections,
        "broken": relay.broken,
        "refused": relay.refused,
        "lists": dict(informer.relists),
        "watches begun again": dict(informer.restarts),
        "settled after": f"{took:.1f} s",
    }


def seed_of_this_run() -> int:
    return int(os.environ.get("SEED") or random.SystemRandom().getrandbits(32))


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(Plan(sources=100, seconds=9.0, quiet=3.0), id="100 sources"),
        pytest.param(Plan(sources=2000, seconds=60.0, quiet=10.0), id="2000 sources", marks=pytest.mark.proof),
    ],
)
async def test_whatever_befalls_the_way_the_end_is_exact_and_then_nobody_writes(
    control_plane: ControlPlane, plan: Plan
) -> None:
    seed = seed_of_this_run()
    print(f"\nSEED={seed} make proof ARGS='-k befalls'\n{plan}")
    for what, figure in (await tell(control_plane, plan, seed)).items():
        print(f"{what}: {figure}")
