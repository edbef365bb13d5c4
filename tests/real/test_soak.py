"""Ten minutes of both generations on real servers: users at random, broken ways, SIGKILLs, certificates of a minute.

Two installed daemons between two real kube-apiservers with RBAC on, each under the rights that ``apinetlet rbac``
prints for its flags, each behind relays that cut, delay, refuse and swallow. Round after round there is trouble; then
the ways are well, users put right what no daemon can, everything has to be exactly as they want it, and nobody writes.
In the first part of the time daemons are killed; then they live on, and their memory is looked at.
"""

import datetime as dt
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field

from apinetlet.api import GENERATIONS, IRONCORE, Generation
from apinetlet.modes import PREFIXES, SideName, subject
from reconcile import Object, Resource, connect
from reconcile.core.clock import Seconds, utc
from reconcile.testing.audit import AuditEvent
from reconcile.testing.envtest import ControlPlane
from tests.real import addresses, pairs
from tests.real.agreement import wrong
from tests.real.crowd import Crowd
from tests.real.daemon import ASIDE, Daemon, Place, place, readable
from tests.real.notary import REQUESTS, Notary, a_token, allow, notary
from tests.real.relay import Relay
from tests.real.test_chaos import trouble
from tests.real.test_credentials import bootstrap
from tests.real.waiting import until_right

pytestmark = [pytest.mark.real, pytest.mark.proof]

LIFE = dt.timedelta(seconds=60)
"""Of a certificate."""
ROUND: Seconds = 60.0
"""Of trouble."""
PATIENCE: Seconds = 240.0
QUIET: Seconds = 15.0
"""For which nobody may write then."""
DEADLY = 0.4
"""So much of the time daemons are killed."""
KEPT = {"certificatesigningrequests", "secrets"}
"""What a daemon writes to stay who it is."""


@pytest.fixture(scope="module")
def planes(start_control_plane: Callable[..., ControlPlane]) -> tuple[ControlPlane, ControlPlane]:
    """Two that collect garbage, and sign nothing."""
    options: dict[str, Any] = {
        "audited": True,
        "controllers": ("garbage-collector-controller", "namespace-controller"),
        "flags": ["--enable-bootstrap-token-auth"],
    }
    return start_control_plane(**options), start_control_plane(**options)


@define(eq=False)
class Soaked:
    """One generation: its users, its daemon, and all ways between."""

    world: Place
    crowd: Crowd
    relays: Sequence[Relay]
    notaries: Sequence[Notary]
    flags: Sequence[str]
    rng: random.Random
    may_kill: bool = True
    deaths: int = 0
    exits: int = 0
    _daemon: Daemon = field(init=False)

    async def keep(self) -> None:
        """For ever: run the daemon, kill it at random, and begin it anew when it has ended."""
        while True:
            self._daemon = daemon = self.world.start(*self.flags)
            end = time.monotonic() + self.rng.uniform(5, 25)
            while daemon.process.code is None and not (self.may_kill and time.monotonic() > end):
                await anyio.sleep(0.2)
            if daemon.process.code is None:
                daemon.process.kill()
                self.deaths += 1
            else:
                self.exits += 1
            await anyio.sleep(self.rng.uniform(0, 3))

    async def trouble(self) -> None:
        """So long as a round has it."""
        with anyio.move_on_after(ROUND):
            async with anyio.create_task_group() as tasks:
                for relay in self.relays:
                    tasks.start_soon(trouble, relay, random.Random(self.rng.getrandbits(64)))
                    tasks.start_soon(swallow, relay, random.Random(self.rng.getrandbits(64)))
                tasks.start_soon(self.crowd.act, 0.5)
        for relay in self.relays:
            relay.is_refusing = relay.is_swallowing = False
            relay.pause = None
            relay.cut()

    async def agree(self) -> None:
        """Everything comes to be exactly as users want it."""

        async def looks() -> list[str]:
            await self.crowd.tidy()
            found = await wrong(self.world)
            await anyio.sleep(0.5 if found else 0)
            return found

        await until_right(looks, f"{self.world.generation.name} is as users want it", within=PATIENCE)

    def writes(self, since: dt.datetime) -> list[AuditEvent]:
        """What the daemon has written since, to either side."""
        spaces = {self.world.home, self.world.target}
        return [
            one
            for plane in (self.world.source_plane, self.world.apinet_plane)
            for one in plane.audit_events()
            if one.is_write and one.user_agent.startswith("apinetlet") and one.namespace in spaces
            if one.received >= since and one.resource not in ASIDE | KEPT
        ]

    def users(self) -> set[str]:
        return {whom for each in self.notaries for whom in each.subjects}

    async def rotations(self) -> int:
        """How many certificates were asked for by who had one."""
        return sum([one["spec"]["username"] in each.subjects for each in self.notaries for one in await each.all()])

    def resident_mb(self) -> float:
        """What the daemon holds."""
        status = Path(f"/proc/{self._daemon.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) / 1024

    def complaints(self) -> Iterator[str]:
        """What no fault explains: an error other than of a request, or other than for want of a certificate."""
        for path in sorted(self.world.folder.glob("apinetlet-*.log")):
            for line in path.read_text().splitlines():
                said = json.loads(line) if line.startswith("{") else {"level": "error", "msg": line}
                expected = said["msg"].startswith(("could not reconcile", "Cannot go on"))
                if "stacktrace" in said or (said["level"] == "error" and not expected):
                    yield line


async def swallow(relay: Relay, rng: random.Random) -> None:
    """For ever: now and then everything on its way is lost for a moment, and nobody is told."""
    while True:
        await anyio.sleep(rng.uniform(8, 20))
        relay.is_swallowing = True
        await anyio.sleep(rng.uniform(0.2, 2))
        relay.is_swallowing = False


# -- what it needs -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def soaked(
    generation: Generation, planes: tuple[ControlPlane, ControlPlane], folder: Path, home: Path, seed: int
) -> AsyncIterator[Soaked]:
    """All of it, with the daemon of a generation that asks for its certificates."""
    rng = random.Random(f"{generation.name} {seed}")
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        world = await enter(place(generation, planes, folder))
        relays, notaries, flags = [], [], [f"--generation={generation.name}", "--zap-devel=false"]
        sides: dict[SideName, ControlPlane] = {"source": world.source_plane, "apinet": world.apinet_plane}
        for side, plane in sides.items():
            prefix, whom = PREFIXES[side], subject(generation, side, world.target)
            admin = await enter(connect(plane.kubeconfig()))
            group = f"system:bootstrappers:soak-{side}-{generation.name}"
            await allow(admin, group, [REQUESTS])
            token, _ = await a_token(admin, group)
            relay = await enter(Relay(plane))
            asks = relay.kubeconfig(bootstrap(plane, folder / f"bootstrap-{side}", token))
            flags += [f"--{prefix}bootstrap-kubeconfig={asks}", f"--{prefix}rotate-certificates"]
            store = folder / f"store-{side}" / "kubeconfig"
            store.parent.mkdir()
            if (side, generation) == ("apinet", IRONCORE):
                flags += [f"--{prefix}kubeconfig=", f"--{prefix}kubeconfig-secret-name=login"]
                flags += [f"--{prefix}kubeconfig-secret-namespace={world.home}"]
            else:
                flags += [f"--{prefix}kubeconfig={store}"]
            relays.append(relay)
            notaries.append(await enter(notary(plane, admin, [whom], LIFE)))
        printed = json.loads(rbac(generation, world, flags))
        for name, client in (("source", world.source), ("apinet", world.apinet), ("pod", world.source)):
            for one in printed.get(name, {}).get("items", ()):
                await client.apply(_of(one), one)
        if generation is IRONCORE:  # where its Secret is
            (home / ".kube").mkdir(parents=True)
            (home / ".kube" / "config").write_bytes(world.source_plane.kubeconfig("the-pod").read_bytes())
        await enter(world.allocating())
        await enter(addresses.data_plane(world.apinet_plane, world.kinds, world.target))
        await enter(pairs.data_plane(world.apinet_plane, world.kinds, world.target))
        crowd = Crowd(world, random.Random(rng.getrandbits(64)))
        await crowd.settle_in()
        yield Soaked(world, crowd, relays, notaries, flags, rng)
        world.kill()


def rbac(generation: Generation, world: Place, flags: Sequence[str]) -> str:
    """The least rights for these flags."""
    command: list[str | Path] = [Path(sys.executable).with_name("apinetlet"), "rbac", "-o=json", *flags]
    command += [
        f"--api-net-namespace={world.target}",
        f"--role-name=soak-{generation.name}",
        "--pod-subject=User:the-pod",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def _of(manifest: Mapping[str, Any]) -> Resource[Object]:
    kind = manifest["kind"]
    return Resource.untyped(manifest["apiVersion"], kind, f"{kind.lower()}s", "namespace" in manifest["metadata"])


# -- the story ---------------------------------------------------------------------------------------------------------


async def test_ten_minutes_of_everything_at_once_end_exactly_and_do_not_cost_memory(
    planes: tuple[ControlPlane, ControlPlane], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``SOAK_MINUTES`` makes it another time."""
    seed, minutes = int(os.environ.get("SEED", "0")), float(os.environ.get("SOAK_MINUTES", "10"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in GENERATIONS:
        (tmp_path / name).mkdir()
    began = time.monotonic()

    def part() -> float:
        return (time.monotonic() - began) / (minutes * 60)

    async with AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(soaked(each, planes, tmp_path / each.name, tmp_path / "home", seed))
            for each in GENERATIONS.values()
        ]
        keepers = await stack.enter_async_context(anyio.create_task_group())
        for one in both:
            keepers.start_soon(one.keep)
        began, rounds, memory = time.monotonic(), 0, list[list[float]]()
        while part() < 1:
            for one in both:
                one.may_kill = part() < DEADLY
            await at_once(both, Soaked.trouble)
            await at_once(both, Soaked.agree)
            quiet = utc()
            await anyio.sleep(QUIET)
            for one in both:
                assert [readable(each) for each in one.writes(quiet)] == []
            rounds += 1
            if not any(one.may_kill for one in both):
                memory.append([part() * minutes, *(one.resident_mb() for one in both)])
        await tell(both, seed, minutes, rounds, memory)
        for one in both:
            await one.crowd.leave()
        await at_once(both, Soaked.agree)
        keepers.cancel_scope.cancel()
    # what each has asked for was allowed, and each has been somebody else many times
    for one in both:
        assert list(one.complaints()) == []
    refused = Counter(
        f"{each.user} {each.verb} {each.resource}"
        for plane in planes
        for each in plane.audit_events()
        if each.code == 403 and each.user in set().union(*(one.users() for one in both))
    )
    assert not refused
    settled = next(each for each in memory if each[0] >= minutes / 2)
    for then, last in zip(settled[1:], memory[-1][1:], strict=True):
        assert last <= 1.05 * then


async def at_once(both: Sequence[Soaked], act: Callable[[Soaked], Any]) -> None:
    async with anyio.create_task_group() as tasks:
        for one in both:
            tasks.start_soon(act, one)


async def tell(
    both: Sequence[Soaked], seed: int, minutes: float, rounds: int, memory: Sequence[Sequence[float]]
) -> None:
    """What it was."""
    print(f"\nSEED={seed} SOAK_MINUTES={minutes:g} make proof ARGS='-k ten_minutes'\n{rounds} rounds")
    for one in both:
        ways = one.relays
        rotated = await one.rotations()
        assert one.deaths
        assert rotated > 4
        print(
            f"{one.world.generation.name}: users did {dict(one.crowd.done)};"
            f" {sum(way.broken for way in ways)} connections"
            f" broken, {sum(way.refused for way in ways)} refused; {one.deaths} SIGKILLs, {one.exits} ends by itself;"
            f" {rotated} certificates renewed"
        )
    print("minute, resident MB of each:", [[round(each, 1) for each in line] for line in memory])
