"""What apinetlet costs as a whole: a world of all five kinds, on two embedded servers in this process.

``python -m benchmarks.mapping`` makes the world, lets 300 interfaces change at once, restarts the daemon, takes all of
it away, and maps worlds of two sizes to see whether an object of a large one costs more. Servers, actors and daemon
share one core, so the times are those of all of them. ``--memory`` serves a world of 40,000 objects in another process
and tells what the installed daemon needs to hold it.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from attrs import frozen

from apinetlet.api import IRONCORE
from apinetlet.assembly import assemble
from apinetlet.demo.ports import served
from apinetlet.demo.story import all_agree, attach, nothing_left
from apinetlet.demo.table import MAPPED
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.settings import Settings
from reconcile import Manager, NotFound, ObjectKey, Seconds
from reconcile.kube import MergePatch

LOOK: Seconds = 0.1
"""Between two looks at a world that is to come to a state."""
PATIENCE: Seconds = 600.0
QUIET: Seconds = 0.5
"""A daemon that has nothing to do for so long is idle."""
WIDE = ("10.0.0.0/8",)
"""The public addresses: enough for all."""
SERVED = 43210
"""The port of the source server for ``--memory``; the other one has the next."""


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


async def until(world: World, goal: Callable[[World], bool]) -> Seconds:
    """How long it takes until the world is so. Looks only when nobody writes, for to look at all of it takes long."""
    began, seen = time.perf_counter(), -1
    with anyio.fail_after(PATIENCE):
        while seen < (seen := len(world.source.audit) + len(world.apinet.audit)) or not goal(world):
            await anyio.sleep(LOOK)
    return time.perf_counter() - began


async def idle(daemon: Manager) -> Seconds:
    """How long it takes until nothing is in work and nothing waits."""
    began = last = time.perf_counter()
    while time.perf_counter() - last < QUIET:
        seen = [controller.snapshot() for controller in daemon.controllers]
        if any(one.running or any(key.waiting_since is not None for key in one.queue.keys) for one in seen):
            last = time.perf_counter()
        await anyio.sleep(0.01)
    return last - began


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
            seconds, spent = time.perf_counter() - began, time.process_time() - cpu
            yield Figure(f"{count} objects of all kinds, until all agree", f"{seconds:.1f} s, {spent:.1f} s CPU", "8 s")
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
            before, began = world.writes, time.perf_counter()
            await delete_at_once(world)
            await until(world, nothing_left)
            yield Figure("everything deleted, until gone", f"{time.perf_counter() - began:.1f} s", "6 s")
            yield Figure("writes for each of them", f"{(world.writes - before) / count:.2f}", "2.4")


async def delete_at_once(world: World) -> None:
    """Everything of users, each kind by a user of its own."""

    async def delete(plural: str) -> None:
        for name in world.declared(plural):
            with suppress(NotFound):  # the prefix of an interface goes with it
                await world.delete(plural, name)

    async with anyio.create_task_group() as users:
        for plural in (*MAPPED, "prefixes"):
            users.start_soon(delete, plural)


async def burst(world: World) -> Seconds:
    """Every api-net interface becomes pending in one go."""
    client, resource = world.apinet.client(), world.at_apinet["networkinterfaces"]
    names = list(world.there("networkinterfaces"))
    began = time.perf_counter()
    for name in names:
        patch = MergePatch({"status": {"state": "Pending"}})
        await client.patch(resource, ObjectKey(TARGET_NAMESPACE, name), patch, subresource="status")
    shown = Counter[str]()
    while shown["Pending"] < len(names):
        await anyio.sleep(0.01)
        shown = Counter(one.get("status", {}).get("state") for one in world.declared("networkinterfaces").values())
    return time.perf_counter() - began


async def growth(sizes: Iterable[int]) -> AsyncIterator[Figure]:
    """CPU of an object, by how many there are."""
    each: list[float] = []
    for size in sizes:
        fifth = size // 5
        async with World(IRONCORE, prefixes=WIDE) as world, a_daemon(world) as daemon, world.staff(pace=0.0):
            began = time.process_time()
            await declare(world, fifth, fifth, fifth, fifth, fifth)
            await idle(daemon)
            spent = time.process_time() - began
            while not all_agree(world):
                began = time.process_time()
                await idle(daemon)
                spent += time.process_time() - began
            each.append(spent / size * 1e3)
        yield Figure(f"CPU of an object among {size:,}, servers and actors included", f"{each[-1]:.2f} ms")
    if len(each) > 1:
        yield Figure("... of the larger by the smaller", f"{each[-1] / each[0]:.2f}", "1.2")


async def serve(count: int) -> None:
    """A world of so many networks and virtual IPs each, with their counterparts, on two ports. Ends when killed."""
    async with World(IRONCORE, prefixes=WIDE) as world:
        async with a_daemon(world) as daemon:
            await declare(world, count, count, 0, 0, 0)
            await idle(daemon)
        async with served(world, SERVED) as ports:
            assert ports is not None
            print(ports.source, ports.apinet, flush=True)
            await anyio.sleep_forever()


def memory(objects: int) -> Iterable[Figure]:
    command = [sys.executable, "-m", "benchmarks.mapping", "--serve", str(objects // 4)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        source, apinet = server.stdout.readline().split()
        arguments = [f"--kubeconfig={source}", f"--api-net-kubeconfig={apinet}"]
        arguments += [f"--api-net-namespace={TARGET_NAMESPACE}", "--generation=ironcore", "--metrics-bind-address=0"]
        daemon = subprocess.Popen([Path(sys.executable).with_name("apinetlet"), *arguments], stderr=subprocess.DEVNULL)
        try:
            cpu = -1.0
            while cpu < (cpu := _cpu(daemon.pid)):
                time.sleep(3.0)
            status = Path(f"/proc/{daemon.pid}/status").read_text()
            peak, now = (int(re.findall(rf"{name}:\s+(\d+)", status)[0]) / 1024 for name in ("VmHWM", "VmRSS"))
            yield Figure(f"memory with {objects:,} cached objects", f"{now:.0f} MB, at most {peak:.0f} MB", "220 MB")
            yield Figure("CPU of that start", f"{cpu:.1f} s")
        finally:
            daemon.terminate()
            daemon.wait()
            server.kill()


def _cpu(pid: int) -> Seconds:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show(figure: Figure) -> None:
    print(f"{figure.what:66} {figure.found:>24} {figure.aim and f'at most {figure.aim}':>16}", flush=True)


async def main(scale: float, sizes: list[int]) -> None:
    async for figure in whole_world(*(round(count * scale) for count in (200, 300, 100, 50, 300))):
        show(figure)
    async for figure in growth(sizes):
        show(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the first world")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 10000], help="of the worlds that show growth")
    parser.add_argument("--memory", action="store_true", help="only tell what 40,000 objects need")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.serve:
        anyio.run(serve, flags.serve)
    elif flags.memory:
        for one in memory(40_000):
            show(one)
    else:
        anyio.run(main, flags.scale, flags.sizes, backend_options={"use_uvloop": True})
