"""Two installed daemons between two real API servers: one leads, and when it is gone the other goes on.

Each has users of its own on both servers, so the audit logs tell whose write is whose.
"""

import itertools
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from apinetlet.api import IRONCORE
from reconcile.core.clock import Seconds
from reconcile.testing.audit import AuditEvent
from reconcile.testing.envtest import ControlPlane
from tests.real.daemon import Daemon, Place, place, readable
from tests.real.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.pain(19)]

LEASE: Seconds = 8.0
PACE: Seconds = 0.1
"""Between two wishes of the users, so that there is work at any moment."""


@pytest.fixture
async def world(two_control_planes: tuple[ControlPlane, ControlPlane], tmp_path: Path) -> AsyncIterator[Place]:
    async with place(IRONCORE, two_control_planes, tmp_path) as one:
        yield one


def start(world: Place, user: str) -> Daemon:
    return world.start(
        "--leader-elect",
        f"--leader-election-namespace={world.home}",
        f"--leader-election-lease-duration={LEASE:g}s",
        "--leader-election-renew-deadline=4s",
        "--leader-election-retry-period=1s",
        source=world.source_plane.kubeconfig(user, groups=["system:masters"]),
        apinet=world.apinet_plane.kubeconfig(user, groups=["system:masters"]),
    )


def writes(world: Place, user: str) -> list[AuditEvent]:
    return [one for one in world.writes() if one.user == user]


async def lead(world: Place, user: str) -> None:
    """Wait until that one has written a few times."""
    await until(lambda: len(writes(world, user)) > 5, f"{user} writes", within=LEASE + 20)


async def wish(world: Place, wanted: Iterator[str], made: list[str], gone: list[str]) -> None:
    """Users want more Networks, for ever, and every third not for long."""
    for number, name in enumerate(wanted):
        await world.create(name)
        made.append(name)
        if number % 3 == 2:
            gone.append(made.pop(-2))
            await world.delete(gone[-1])
        await anyio.sleep(PACE)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_the_other_daemon_takes_over_in_the_middle_of_the_work_and_the_first_writes_no_more(
    world: Place, end: signal.Signals
) -> None:
    made: list[str] = []
    gone: list[str] = []
    first, second = f"first-{world.home}", f"second-{world.home}"
    async with world.allocating(), anyio.create_task_group() as users:
        leader = start(world, first)
        users.start_soon(wish, world, (f"n{number}" for number in itertools.count()), made, gone)
        await lead(world, first)
        standby = start(world, second)
        await standby.ready()
        await anyio.sleep(2)
        assert writes(world, second) == [], "a standby wrote"
        leader.process.signal(end)
        await lead(world, second)
        if end is signal.SIGSTOP:
            leader.process.signal(signal.SIGCONT)
            assert await anyio.to_thread.run_sync(leader.process.wait, 20.0) not in (0, None)
        users.cancel_scope.cancel()
    async with world.allocating():
        for name in made:
            await world.available(name)
        for name in gone:
            await world.gone(name)
        assert len(await world.counterparts()) == len(made)
        before = len(world.writes())
        await anyio.sleep(2)
        assert [readable(one) for one in world.writes()[before:]] == []
    assert await standby.stop() == 0
    last, began = writes(world, first)[-1], writes(world, second)[0]
    assert last.received < began.received, f"{readable(last)} came after {readable(began)}"
    assert (began.received - last.received).total_seconds() < LEASE + 4
