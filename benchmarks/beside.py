"""What the installed daemon costs beside two real API servers that hold the world: its CPU time by theirs.

``python -m benchmarks.beside`` needs the programs of a real control plane (KUBEBUILDER_ASSETS). Users create all at
once; what the api-net server does inside the request is done by controllers in this process, which counts for nobody.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import anyio
from anyio import to_thread
from attrs import frozen

from apinetlet.api import IRONCORE
from benchmarks.mapping import Figure, show
from benchmarks.measure import spent_by
from reconcile import Seconds
from reconcile.testing.assets import CONTROLLERS
from reconcile.testing.envtest import ControlPlane
from tests.real import addresses as lent
from tests.real import pairs as paired
from tests.real import test_addresses as addresses
from tests.real import test_pairs as pairs
from tests.real.daemon import Daemon, Place, everybody, place

SERVERS = ("kube-apiserver", "etcd")
CALM: Seconds = 2.0
"""A daemon that uses hardly any CPU for so long has nothing to do."""
Act: TypeAlias = Callable[[Place, int], Coroutine[Any, Any, None]]


@frozen
class World:
    """So many of each; a machine of the other side for every interface, a gateway and a routing for every balancer."""

    networks: int
    addressed: int
    """VirtualIPs, and as many interfaces that want them. At most 256: each has a prefix of its own."""
    balanced: int

    @property
    def mapped(self) -> int:
        return self.networks + 2 * self.addressed + 2 * self.balanced

    async def everywhere(self, place: Place, network: Act, address: Act, pair: Act) -> None:
        """Everybody acts at once."""
        async with anyio.create_task_group() as users:
            for act, count in ((network, self.networks), (address, self.addressed), (pair, self.balanced)):
                users.start_soon(everybody, place, act, count)

    async def wrong_when_made(self, place: Place) -> list[str]:
        found = await addresses.wrong(place, self.addressed, "10.1.{}.0/24")
        found += await pairs.wrong(place, self.balanced, 80, 2048, 2)
        made = len(await place.counterparts())
        return found if made == self.networks + 1 else [*found, f"{made} networks"]

    async def left(self, place: Place) -> list[str]:
        made = len(await place.counterparts())
        found = [*await addresses.left(place, self.addressed), *await pairs.left(place)]
        return found if made == 1 else [*found, f"{made} networks"]


async def create_network(place: Place, number: int) -> None:
    await place.create(f"net-{number}")


async def delete_network(place: Place, number: int) -> None:
    await place.delete(f"net-{number}")


async def rested(daemon: Daemon, looks: Callable[[], Coroutine[Any, Any, list[str]]]) -> None:
    """Wait until nothing is wrong. Looks only when the daemon does, for a look costs the servers a lot."""
    while True:
        seen = spent_by(daemon.process.pid)
        await anyio.sleep(CALM)
        if spent_by(daemon.process.pid) - seen < 0.05 and not await looks():
            return


async def run(size: World, folder: Path) -> None:
    with ExitStack() as started:
        planes = [started.enter_context(ControlPlane.start(audited=True, controllers=CONTROLLERS)) for _ in range(2)]
        async with place(IRONCORE, (planes[0], planes[1]), folder) as world, world.allocating():
            servers = [plane.pid(name) for plane in planes for name in SERVERS]
            apinet = world.apinet_plane, world.kinds, world.target
            async with lent.data_plane(*apinet), paired.data_plane(*apinet):
                daemon = world.start()
                await daemon.ready()
                await world.create("blue")

                async def measure(what: str, acts: tuple[Act, Act, Act], looks: Callable[..., Any]) -> None:
                    theirs, ours = sum(map(spent_by, servers)), spent_by(daemon.process.pid)
                    since, began = len(await to_thread.run_sync(world.writes)), time.time()
                    await size.everywhere(world, *acts)
                    await rested(daemon, lambda: looks(world))
                    theirs, ours = sum(map(spent_by, servers)) - theirs, spent_by(daemon.process.pid) - ours
                    writes = (await to_thread.run_sync(world.writes))[since:]
                    seconds = max(one.completed for one in writes).timestamp() - began
                    show(Figure(f"{size.mapped} objects {what}", f"{seconds:.1f} s, {len(writes)} writes"))
                    show(Figure("... CPU of the daemon, of both servers", f"{ours:.1f} s, {theirs:.1f} s"))
                    show(Figure("... of the daemon by the servers'", f"{ours / theirs:.2f}", "0.25"))

                await measure("mapped", (create_network, addresses.create, pairs.create), size.wrong_when_made)
                await measure("taken away", (delete_network, addresses.delete, pairs.delete), size.left)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the world")
    scale = parser.parse_args().scale
    with tempfile.TemporaryDirectory() as name:
        counts = (round(scale * count) for count in (200, 250, 125))
        anyio.run(run, World(*counts), Path(name), backend_options={"use_uvloop": True})
