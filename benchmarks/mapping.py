"""What apinetlet costs as a whole: a world of all five kinds, on two embedded servers in this process.

``python -m benchmarks.mapping`` makes the world, lets 300 interfaces change at once, restarts the daemon and takes all
of it away. Servers, actors and daemon share one core, so the times are those of all of them; ``apart.py`` measures the
daemon by itself.
"""

import argparse
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from attrs import frozen

from apinetlet.api import IRONCORE
from apinetlet.assembly import assemble
from apinetlet.demo.story import all_agree, attach, nothing_left
from apinetlet.demo.table import MAPPED
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.settings import Settings
from reconcile import Manager, ObjectKey, Seconds
from reconcile.kube import MergePatch

LOOK: Seconds = 0.05
"""Between two looks at a world that is to come to a state."""
PATIENCE: Seconds = 3600.0
QUIET: Seconds = 0.5
"""A daemon that has nothing to do for so long is idle."""
WIDE = ("10.0.0.0/8",)
"""The public addresses: enough for all."""


@frozen
class Figure:
    """One row: what, how much, and what was aimed at."""

    what: str
    found: str
    aim: str = ""


@asynccontextmanager
async def a_daemon(world: World) -> AsyncIterator[Manager]:
    manager = world.generation.field_manager
    clients = (server.client(user_agent=DAEMON, field_manager=manager) for server in (world.source, world.apinet))
    daemon = assemble(Settings(api_net_namespace=TARGET_NAMESPACE), world.generation, *clients)
    async with daemon:
        yield daemon


@frozen
class Spent:
    """What it took until the world was so."""

    seconds: Seconds
    looking: Seconds
    """CPU time of that for the looks themselves."""


async def until(world: World, goal: Callable[[World], bool]) -> Spent:
    """Wait until the world is so. Looks only when nobody writes, for to look at all of it takes long."""
    began, seen, looking = time.perf_counter(), -1, 0.0
    with anyio.fail_after(PATIENCE):
        while True:
            if seen == (seen := len(world.source.audit) + len(world.apinet.audit)):
                looked = time.process_time()
                is_so = goal(world)
                looking += time.process_time() - looked
                if is_so:
                    return Spent(time.perf_counter() - began, looking)
            await anyio.sleep(LOOK)


async def idle(daemon: Manager) -> None:
    """Wait until nothing is in work and nothing waits, for ``QUIET``."""
    last = time.perf_counter()
    while time.perf_counter() - last < QUIET:
        if any(len(one.queue) or one.workers.calls() for one in daemon.controllers):
            last = time.perf_counter()
        await anyio.sleep(LOOK)


async def declare(world: World, networks: int, vips: int, balancers: int, gateways: int, nics: int) -> None:
    await world.declare("prefixes", "pool", {"prefix": "10.0.0.0/8"})
    for number in range(networks):
        await world.declare("networks", f"net-{number}", {})
    for number in range(vips):
        await world.declare("virtualips", f"vip-{number}", {"type": "Public", "ipFamily": "IPv4"})
    for number in range(balancers):
        spec = {"type": "Public", "ipFamilies": ["IPv4"], "networkInterfaceSelector": {}}
        await world.declare("loadbalancers", f"lb-{number}", {**spec, "networkRef": {"name": f"net-{number}"}})
    for number in range(gateways):
        spec = {"type": "Public", "ipFamily": "IPv4", "networkRef": {"name": f"net-{number}"}}
        await world.declare("natgateways", f"nat-{number}", spec)
    for number in range(nics):
        virtual_ip = {"virtualIPRef": {"name": f"vip-{number}"}}
        await attach(world, f"nic-{number}", networkRef={"name": f"net-{number % networks}"}, virtualIP=virtual_ip)


async def whole_world(networks: int, vips: int, balancers: int, gateways: int, nics: int) -> AsyncIterator[Figure]:
    count = networks + vips + balancers + gateways + nics
    async with World(IRONCORE, prefixes=WIDE) as world:
        async with a_daemon(world), world.staff(pace=0.0):
            began, cpu = time.perf_counter(), time.process_time()
            await declare(world, networks, vips, balancers, gateways, nics)
            await until(world, all_agree)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            yield Figure(f"{count} objects of all kinds, until all agree", f"{seconds:.1f} s, {cpu:.1f} s CPU", "8 s")
            requests = (len(world.source.audit) + len(world.apinet.audit)) / count
            yield Figure("requests for each of them, whoever sent them", f"{requests:.2f}")
            yield Figure("writes for each of them", f"{world.writes / count:.2f}", "3 to 5")
        async with a_daemon(world) as daemon:
            await idle(daemon)
            yield Figure("every interface changes at once, until all show it", f"{await burst(world):.2f} s", "1.5 s")
        before, asked = world.writes, len(world.source.audit) + len(world.apinet.audit)
        began = time.perf_counter()
        async with a_daemon(world) as daemon:
            await idle(daemon)
            seconds = time.perf_counter() - began - QUIET
            requests = len(world.source.audit) + len(world.apinet.audit) - asked
            yield Figure("restart until idle", f"{seconds:.2f} s, {requests} requests", "2 s")
            yield Figure("writes of the restart", str(world.writes - before), "0")
        async with a_daemon(world), world.staff(pace=0.0):
            await until(world, all_agree)  # the nodes set right what the burst did
            before, began, cpu = world.writes, time.perf_counter(), time.process_time()
            await delete_at_once(world)
            await until(world, nothing_left)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            yield Figure("everything deleted, until gone", f"{seconds:.1f} s, {cpu:.1f} s CPU", "6 s")
            yield Figure("writes for each of them", f"{(world.writes - before) / count:.2f}", "2.4")


async def delete_at_once(world: World) -> None:
    """Everything of users, each kind by a user of its own."""

    async def delete(plural: str) -> None:
        for name in world.declared(plural):
            await world.delete(plural, name)

    async with anyio.create_task_group() as users:
        for plural in MAPPED:
            users.start_soon(delete, plural)
        await world.delete("prefixes", "pool")


async def burst(world: World) -> Seconds:
    """Every api-net interface becomes pending in one go."""
    client, resource = world.apinet.client(), world.at_apinet["networkinterfaces"]
    names, before = list(world.there("networkinterfaces")), len(world.source.audit)
    began = time.perf_counter()
    for name in names:
        patch = MergePatch({"status": {"state": "Pending"}})
        await client.patch(resource, ObjectKey(TARGET_NAMESPACE, name), patch, subresource="status")
    while len(world.source.audit) - before < len(names):
        await anyio.sleep(0.005)
    seconds = time.perf_counter() - began
    states = {one["status"]["state"] for one in world.declared("networkinterfaces").values()}
    if states != {"Pending"}:
        raise RuntimeError(f"there was a write for each interface, and they show {states}")
    return seconds


def show(figure: Figure) -> None:
    print(f"{figure.what:66} {figure.found:>24} {figure.aim and f'at most {figure.aim}':>16}", flush=True)


async def main(scale: float) -> None:
    async for figure in whole_world(*(round(count * scale) for count in (200, 300, 100, 50, 300))):
        show(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mapping", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the world")
    anyio.run(main, parser.parse_args().scale, backend_options={"use_uvloop": True})
