"""The daemon as a process: which generation it serves, where it listens, who leads, and how it ends.

``assembly.py`` makes the daemon; ``connections.py`` knows how both API servers are reached.
"""

import asyncio
import logging
import os
import random
import socket
import uuid
from functools import partial
from importlib.util import find_spec

import anyio

from apinetlet.api import GENERATIONS, NEITHER, Generation, served
from apinetlet.assembly import SOURCE, assemble
from apinetlet.connections import Connect, Connections, connections
from apinetlet.listening import manager_settings
from apinetlet.pod import pod_namespace
from apinetlet.settings import AUTO, Settings
from apinetlet.waiting import Say, waiting
from reconcile import (
    Client,
    KubeError,
    LeaderElection,
    LeaderElector,
    Seconds,
)
from reconcile.core import Backoff, ServiceStuck
from reconcile.core.stacks import task_line
from reconcile.manager.manager import PartEnded

log = logging.getLogger(__name__)

USER_AGENT = "apinetlet"
LAST_WORDS: Seconds = 1.0
"""For tasks that are left at the very end."""


def main(settings: Settings) -> int:
    """Run the daemon until SIGTERM or SIGINT. Answers the exit status: 1 when it could not go on.

    Leaves the process by itself, with 1, when a task does not end: waiting for it would keep a successor waiting, too.
    """
    return anyio.run(_main, settings, backend_options={"use_uvloop": find_spec("uvloop") is not None})


async def _main(settings: Settings) -> int:
    status = 1
    try:
        await run(settings)
        status = 0
    except (KubeError, PartEnded, ServiceStuck, OSError, ValueError, ImportError) as error:  # the last: an extra
        log.error("Cannot go on error=%s", error)
    except Exception as error:
        log.error("Cannot go on, and did not expect it error=%r", error, exc_info=error)
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in left:
            task.cancel()
        _, stuck = await asyncio.wait(left, timeout=LAST_WORDS)
        if stuck:  # the end of the loop would wait for them
            log.error("Leaving though tasks still run tasks=%s", [task_line(task) for task in stuck])
            logging.shutdown()
            os._exit(1)
    return status


async def run(settings: Settings) -> None:
    """The daemon as the command line wants it; returns after an orderly stop.

    Raises:
        LoginError: a kubeconfig that cannot be used, or a client certificate that is not to be had.
        PartEnded: a part of the daemon ended by itself, and why.
    """
    async with connections(settings) as reach:
        generation = await find_generation(settings, reach.source.scout(user_agent=USER_AGENT))
        if generation is None:
            return
        log.info("Serving generation=%s namespace=%s", generation.name, settings.api_net_namespace)
        if reach.rotations and not await _certified(reach, generation, settings):
            return
        manager, to_source = generation.field_manager, reach.source.connect
        async with (
            to_source(field_manager=manager, user_agent=USER_AGENT) as source,
            reach.apinet.connect(field_manager=manager, user_agent=USER_AGENT) as apinet,
        ):
            daemon = assemble(
                settings,
                generation,
                source,
                apinet,
                election=elector(settings, generation, partial(to_source, user_agent=f"{USER_AGENT}-leader-election")),
                manager=manager_settings(settings, generation),
                services=reach.services,
            )
            reach.show(daemon)
            async with daemon:
                await daemon.run(signals=True)


async def find_generation(settings: Settings, client: Client) -> Generation | None:
    """The generation that the flag names, or the one whose groups the source cluster serves.

    Asks again and again while the server cannot be reached or serves neither; ``/readyz`` tells so meanwhile. ``None``
    if the process was told to stop before there was an answer.
    """
    if settings.generation != AUTO:
        return GENERATIONS[settings.generation]

    async def ask(say: Say) -> Generation:
        failures, backoff, rng = 0, Backoff(cap=settings.backoff_cap), random.Random()
        while True:
            try:
                if found := served((await client.discover(fresh=True)).groups):
                    return found[0]
                problem = f"the source cluster serves neither {NEITHER}"
            except KubeError as error:
                problem = f"the source cluster cannot be asked for its generation: {error}"
            say(problem)
            failures += 1
            log.warning("Cannot tell the generation yet problem=%s", problem)
            await anyio.sleep(backoff.delay(failures, rng))

    async with client:
        first = "the source cluster was not asked yet"
        return await waiting("generation", ask, first=first, probes=settings.health_probe_bind_address)


async def _certified(reach: Connections, generation: Generation, settings: Settings) -> bool:
    """Whether there is a certificate wherever one is wanted; not so if the process was told to stop before that."""

    async def begin(_: Say) -> bool:
        await reach.begin(generation, settings)
        return True

    first = "client certificates are requested"
    return bool(await waiting("certificates", begin, first=first, probes=settings.health_probe_bind_address))


def elector(settings: Settings, generation: Generation, connect: Connect) -> LeaderElector | None:
    """The candidate for the Lease that the Go daemon uses, too; ``None`` without ``--leader-elect``."""
    if not settings.leader_elect:
        return None
    election = LeaderElection(
        namespace=settings.leader_election_namespace or pod_namespace(os.environ),
        name=generation.lease,
        identity=f"{socket.gethostname()}_{uuid.uuid4()}",
        lease_duration=settings.leader_election_lease_duration,
        renew_deadline=settings.leader_election_renew_deadline,
        retry_period=settings.leader_election_retry_period,
    )
    return LeaderElector(election, connect, cluster=SOURCE)
