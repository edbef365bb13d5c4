"""Two candidates as processes at one real API server: no write of the old leader begins after the new one's first."""

import datetime as dt
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from attrs import field, frozen

from reconcile import Client, connect
from reconcile.kube.kinds import CONFIG_MAP, NAMESPACE
from reconcile.testing.audit import AuditEvent
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.processes import Process, Processes
from tests.real.candidates import LEASE_DURATION, LOST, MARKS
from tests.real.relay import Relay
from tests.real.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.pain(19)]

_numbers = itertools.count(1)


@frozen
class Race:
    """Two candidates and what they wrote."""

    plane: ControlPlane
    client: Client
    namespace: str
    processes: Processes
    folder: Path
    candidates: dict[str, Process] = field(factory=dict)

    def start(self, identity: str, kubeconfig: Path | None = None) -> Process:
        """One more candidate. ``identity`` must not be the beginning of another one's."""
        process = self.processes.start(
            [
                sys.executable,
                "-m",
                "tests.real.candidates",
                kubeconfig or self.plane.kubeconfig(),
                self.namespace,
                self.tag(identity),
            ],
            log=self.folder / f"{identity}.log",
            env=dict(os.environ),
        )
        self.candidates[identity] = process
        return process

    def tag(self, identity: str) -> str:
        return f"{identity}.{self.namespace}"

    def marks(self, identity: str) -> list[AuditEvent]:
        """The writes of one, in the order in which the server received them."""
        found = [
            one
            for one in self.plane.audit_events()
            if one.is_write and one.resource == "configmaps" and one.user_agent == self.tag(identity)
        ]
        return sorted(found, key=lambda one: one.received)

    async def leads(self, identity: str) -> None:
        """Wait until it has written some marks."""

        def has_written() -> bool:
            if self.candidates[identity].code is not None:
                raise self.candidates[identity].failed()
            return len(self.marks(identity)) > 5

        await until(has_written, f"{identity} leads", within=20)

    def handed_over(self) -> dt.timedelta:
        """From the last write of a to the first of b; both wrote, and not at the same time."""
        last, first = self.marks("a")[-1], self.marks("b")[0]
        assert last.received < first.received, "the old leader wrote after the new one had begun"
        return first.received - last.received


@pytest.fixture
async def race(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Race]:
    """``a`` leads, ``b`` is warm."""
    namespace = f"race-{next(_numbers)}"
    with Processes() as processes:
        async with connect(control_plane.kubeconfig()) as client:
            await client.create(NAMESPACE, {"metadata": {"name": namespace}})
            await client.create(CONFIG_MAP, {"metadata": {"name": MARKS}}, namespace=namespace)
            yield Race(control_plane, client, namespace, processes, tmp_path)


async def test_a_killed_leader_is_followed_when_its_lease_is_over(race: Race) -> None:
    a = race.start("a")
    await race.leads("a")
    race.start("b")
    await anyio.sleep(1.5)
    a.kill()
    await race.leads("b")
    waited = race.handed_over().total_seconds()
    assert LEASE_DURATION - 1 < waited < LEASE_DURATION + 3


async def test_a_leader_frozen_until_another_leads_writes_no_more_when_it_thaws(race: Race) -> None:
    a = race.start("a")
    await race.leads("a")
    race.start("b")
    await anyio.sleep(1.5)
    a.signal(signal.SIGSTOP)
    await race.leads("b")
    a.signal(signal.SIGCONT)
    assert await anyio.to_thread.run_sync(a.wait, 20.0) == LOST
    before = len(race.marks("b"))
    await anyio.sleep(0.5)
    assert len(race.marks("b")) > before, "the new leader was disturbed"
    race.handed_over()


async def test_a_leader_cut_off_from_the_server_is_followed_and_gives_up(race: Race) -> None:
    async with Relay(race.plane) as relay:
        a = race.start("a", relay.kubeconfig(race.plane.kubeconfig()))
        await race.leads("a")
        race.start("b")
        await anyio.sleep(1.5)
        relay.is_refusing = True
        assert relay.cut()
        await race.leads("b")
        relay.is_refusing = False
        assert await anyio.to_thread.run_sync(a.wait, 20.0) == LOST
    race.handed_over()


async def test_a_leader_whose_way_swallows_everything_is_followed_and_gives_up(race: Race) -> None:
    """Connections stay open and nothing passes, and nothing is delivered later: what a firewall does."""
    async with Relay(race.plane) as relay:
        a = race.start("a", relay.kubeconfig(race.plane.kubeconfig()))
        await race.leads("a")
        race.start("b")
        await anyio.sleep(1.5)
        relay.is_swallowing = True
        await race.leads("b")
        relay.is_swallowing = False
        assert await anyio.to_thread.run_sync(a.wait, 20.0) == LOST
    race.handed_over()


async def test_an_orderly_stop_hands_over_in_less_than_two_seconds(race: Race) -> None:
    a = race.start("a")
    await race.leads("a")
    race.start("b")
    await anyio.sleep(2.5)
    a.signal(signal.SIGTERM)
    assert await anyio.to_thread.run_sync(a.wait, 20.0) == 0
    await race.leads("b")
    assert race.handed_over() < dt.timedelta(seconds=2)
