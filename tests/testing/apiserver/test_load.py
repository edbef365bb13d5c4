"""Many watchers, many writers, and readers that break off or stand still: nobody misses a change or sees one twice."""

import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from attrs import define, field, frozen

from reconcile.kube import ObjectKey
from reconcile.kube.access import ClusterAccess
from reconcile.kube.client import Client
from reconcile.kube.credentials import RenewedCredentials
from reconcile.kube.errors import KubeError
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.patch import MergePatch
from reconcile.kube.request import watch
from reconcile.kube.transport import HttpTransport, Stream
from reconcile.testing.plugin import AnyioBackend
from tests.testing.apiserver.processes import program

VERSION = re.compile(rb'"resourceVersion":"(\d+)"')


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # sockets


@frozen
class Load:
    """How much for how long. Seconds."""

    watchers: int
    writers: int
    seconds: float
    pause: float
    """Between two writes of a writer."""
    warm_up: int = 0
    """Writes before memory counts: until the history is full."""
    marks: float = 0.0
    """When memory is looked at first, after that."""


@define
class Watching:
    """A watcher that comes back to where it was."""

    client: Client
    rng: random.Random
    start: str
    seen: list[int] = field(factory=list)
    sessions: int = 0
    stalls: int = 0

    async def run(self) -> None:
        while True:
            since = str(self.seen[-1]) if self.seen else self.start
            request = watch(CONFIG_MAP, "default", resource_version=since, allow_bookmarks=False)
            try:
                stream = await self.client.transport.open(request, timeout=30)
            except KubeError:
                continue
            self.sessions += 1
            with anyio.move_on_after(self.rng.expovariate(1 / 20)):
                await self._follow(stream)
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    async def _follow(self, stream: Stream) -> None:
        rest = b""
        while True:
            try:
                chunk = await stream.read()
            except KubeError:
                return
            if not chunk:
                return
            whole, mark, rest = (rest + chunk).rpartition(b"\n")
            if mark:
                assert b'"type":"ERROR"' not in whole, whole[-300:]
                self.seen += map(int, VERSION.findall(whole))
            if self.rng.random() < 0.002:
                self.stalls += 1
                await anyio.sleep(self.rng.uniform(0, 5))


async def write(client: Client, name: str, pause: float, told: list[int]) -> None:
    """Change one object for ever; ``told`` gets each version."""
    number = 0
    while True:
        number += 1
        patch = MergePatch({"data": {"n": str(number)}})
        with anyio.CancelScope(shield=True):  # what is sent is told
            changed = await client.patch(CONFIG_MAP, ObjectKey("default", name), patch)
        told.append(changed.metadata.version)
        await anyio.sleep(pause)


@asynccontextmanager
async def a_client(url: str) -> AsyncIterator[Client]:
    async with Client(HttpTransport(RenewedCredentials(ClusterAccess(url)))) as client:
        yield client


async def told(load: Load, seed: int) -> str:
    """Play a load; the answer sums it up."""
    rng, written, memory = random.Random(seed), list[int](), [0.0, 0.0]
    with program() as served:
        async with a_client(served.url) as client, a_client(served.url) as writer:
            for number in range(load.writers):
                body = {"metadata": {"name": f"w{number}", "namespace": "default"}, "data": {"x": "y" * 300}}
                made = await writer.create(CONFIG_MAP, body)
            start = made.metadata.resource_version
            async with anyio.create_task_group() as tasks:
                writers = tasks.cancel_scope
                if load.warm_up:
                    async with anyio.create_task_group() as early:
                        for number in range(load.writers):
                            early.start_soon(write, writer, f"w{number}", 0.0, written)
                        while len(written) < load.warm_up:
                            await anyio.sleep(0.1)
                        early.cancel_scope.cancel()
                    start = str(max(written))
                    written.clear()
                watchers = [Watching(client, random.Random(rng.random()), start) for _ in range(load.watchers)]
                async with anyio.create_task_group() as readers:
                    for one in watchers:
                        readers.start_soon(one.run)
                    async with anyio.create_task_group() as writing:
                        for number in range(load.writers):
                            writing.start_soon(write, writer, f"w{number}", load.pause, written)
                        await anyio.sleep(load.marks)
                        memory[0] = served.resident_mb
                        await anyio.sleep(load.seconds - load.marks)
                        writing.cancel_scope.cancel()
                    memory[1] = served.resident_mb
                    with anyio.fail_after(60):
                        while any(one.seen[-1:] != [max(written)] for one in watchers):
                            await anyio.sleep(0.05)
                    readers.cancel_scope.cancel()
                writers.cancel()
    expected = sorted(written)
    for one in watchers:
        assert one.seen == expected
    if load.marks:
        assert memory[1] <= memory[0] * 1.05, memory
    sessions, stalls = sum(one.sessions for one in watchers), sum(one.stalls for one in watchers)
    return (
        f"load: {load.watchers} watchers, {load.writers} writers, {load.seconds:g} s: {len(written)} writes, "
        f"{len(written) * load.watchers} deliveries, {sessions} sessions, {stalls} stalls, none lost, none twice; "
        f"{memory[0]:.1f} MB at {load.marks:g} s, {memory[1]:.1f} MB at the end; seed {seed}"
    )


@pytest.mark.slow
async def test_a_few_watchers_see_every_change_once_and_in_order(world_seed: int) -> None:
    await told(Load(watchers=20, writers=4, seconds=2, pause=0.01), world_seed)


@pytest.mark.proof
async def test_hundreds_of_watchers_see_every_change_once_and_in_order(world_seed: int) -> None:
    began = time.monotonic()
    load = Load(watchers=300, writers=16, seconds=120, pause=0.6, warm_up=11_000, marks=30)
    print(await told(load, world_seed), f"{time.monotonic() - began:.0f} s")
