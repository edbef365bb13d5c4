"""What the installed daemon costs in a process of its own; both servers and everybody else are in another one.

``python -m benchmarks.apart`` maps worlds of growing size (``--sizes``) and tells the CPU time that an object costs the
daemon and the others; ``--plot FILE`` draws it. ``--memory`` tells what the daemon needs to hold 40,000 objects.
"""

import argparse
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import anyio
from attrs import frozen

from apinetlet.api import IRONCORE
from apinetlet.demo.ports import Ports, served
from apinetlet.demo.story import all_agree
from apinetlet.demo.world import TARGET_NAMESPACE, World
from benchmarks.mapping import WIDE, Figure, a_daemon, declare, idle, show, until
from benchmarks.measure import spent_by
from benchmarks.plot import plot
from reconcile import Seconds

PORTS = range(43210, 43310, 2)
"""The source server has the first of them that is free with the next one."""
CALM: Seconds = 2.0
"""A process that uses hardly any CPU for so long has nothing to do."""


@frozen
class Cost:
    """CPU milliseconds of an object, until all agree."""

    size: int
    """So many objects of all kinds were declared."""
    daemon: float
    others: float
    """Of both servers, all other controllers and the user."""


# -- the servers' process ----------------------------------------------------------------------------------------------


async def hold(count: int) -> None:
    """Serve a world of so many networks and virtual IPs each, with their counterparts."""
    async with World(IRONCORE, prefixes=WIDE) as world:
        async with a_daemon(world) as daemon:
            await declare(world, count, count, 0, 0, 0)
            await idle(daemon)
        async with served(world, _port()) as ports:
            _tell(ports)
            await anyio.sleep_forever()


async def grow(count: int) -> None:
    """Serve an empty world. Once told to, declare so many objects in it; tell the CPU time of it when all agree."""
    fifth = count // 5
    async with World(IRONCORE, prefixes=WIDE) as world, world.staff(pace=0.0), served(world, _port()) as ports:
        _tell(ports)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        began = time.process_time()
        await declare(world, fifth, fifth, fifth, fifth, fifth)
        spent = await until(world, all_agree)
        print(time.process_time() - began - spent.looking, flush=True)
        await anyio.sleep_forever()


def _port() -> int:
    for port in PORTS:
        with suppress(OSError), ExitStack() as taken:
            for one in (port, port + 1):
                taken.enter_context(socket.create_server(("127.0.0.1", one)))
            return port
    raise RuntimeError(f"no two ports in {PORTS} are free")


def _tell(ports: Ports | None) -> None:
    assert ports is not None
    print(ports.source, ports.apinet, flush=True)


# -- the process that measures -----------------------------------------------------------------------------------------


@contextmanager
def _processes(what: str, count: int) -> "Iterator[tuple[subprocess.Popen[str], subprocess.Popen[bytes]]]":
    """The servers' process, and the daemon's."""
    command = [sys.executable, "-m", "benchmarks.apart", what, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        source, apinet = server.stdout.readline().split()
        arguments = [f"--kubeconfig={source}", f"--api-net-kubeconfig={apinet}", "--generation=ironcore"]
        arguments += [f"--api-net-namespace={TARGET_NAMESPACE}", "--metrics-bind-address=0"]
        arguments += ["--health-probe-bind-address=0"]
        program = [sys.executable, "-m", "apinetlet", *arguments]
        with subprocess.Popen(program, stderr=subprocess.DEVNULL) as daemon:
            try:
                yield server, daemon
            finally:
                daemon.terminate()
                server.kill()


def measured(size: int) -> Cost:
    """What an object costs among so many."""
    with _processes("--grow", size) as (server, daemon):
        assert server.stdin is not None
        assert server.stdout is not None
        before = _calm(daemon)
        print(file=server.stdin, flush=True)
        others = float(server.stdout.readline())
        return Cost(size, (_calm(daemon) - before) / size * 1e3, others / size * 1e3)


def memory(objects: int) -> Iterable[Figure]:
    """What the daemon needs to hold so many objects of both sides."""
    with _processes("--hold", objects // 4) as (_, daemon):
        cpu = _calm(daemon)
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        peak, now = (int(re.findall(rf"{name}:\s+(\d+)", status)[0]) / 1024 for name in ("VmHWM", "VmRSS"))
        yield Figure(f"memory with {objects:,} cached objects", f"{now:.0f} MB, at most {peak:.0f} MB", "220 MB")
        yield Figure("CPU of that start", f"{cpu:.1f} s")


def _calm(process: "subprocess.Popen[bytes]") -> Seconds:
    """The CPU time of a process, once it has nothing to do.

    Raises:
        RuntimeError: it has ended.
    """
    seen = -1.0
    while seen + 0.05 < (seen := spent_by(process.pid)) or seen < 0.3:  # it has not even begun
        if process.poll() is not None:
            raise RuntimeError(f"the daemon has ended with {process.returncode}")
        time.sleep(CALM)
    return seen


def main(sizes: list[int], file: Path | None) -> None:
    costs = []
    for size in sizes:
        costs.append(cost := measured(size))
        show(Figure(f"CPU of an object among {size:,}", f"{cost.daemon:.2f} ms; others {cost.others:.2f} ms"))
    if len(costs) > 1:
        ratio = costs[-1].daemon / costs[0].daemon, costs[-1].others / costs[0].others
        show(Figure("... of the largest by the smallest", f"{ratio[0]:.2f}; others {ratio[1]:.2f}", "1.2"))
    if file is not None:
        lines = {"the daemon": [cost.daemon for cost in costs], "servers and actors": [cost.others for cost in costs]}
        plot(file, "ms CPU an object", sizes, lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apart", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 3000, 10000])
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--memory", action="store_true", help="only tell what 40,000 objects need")
    parser.add_argument("--hold", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--grow", type=int, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.hold or flags.grow:
        role, count = (hold, flags.hold) if flags.hold else (grow, flags.grow)
        anyio.run(role, count, backend_options={"use_uvloop": True})
    elif flags.memory:
        for one in memory(40_000):
            show(one)
    else:
        main(flags.sizes, flags.plot)
