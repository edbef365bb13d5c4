"""A manager on real time: sockets, signals, and a whole process that ends in order."""

import os
import signal

import aiohttp
import anyio
import orjson
import pytest

from reconcile.core.clock import now
from reconcile.manager.manager import Manager, PartEnded
from reconcile.manager.settings import ManagerSettings
from reconcile.manager.web import CannotListen
from reconcile.testing.apiserver.server import ApiServer
from reconcile.testing.plugin import AnyioBackend
from tests.manager.place import Granter, Side, until, wish


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}


@pytest.mark.pain(35)
@pytest.mark.pain(33)
async def test_probes_metrics_and_debug_pages_are_served_from_one_port_if_told_so() -> None:
    settings = ManagerSettings(probes="127.0.0.1:0", metrics="127.0.0.1:0", debug="127.0.0.1:0")
    async with ApiServer() as server, aiohttp.ClientSession() as session:
        home = Side.of(server)
        await wish(server, "a")

        async def text(path: str) -> tuple[int, str]:
            [one] = manager.servers
            assert one.bound is not None
            async with session.get(f"http://{one.bound}{path}") as response:
                return response.status, await response.text()

        async with Manager([home.cluster], [Granter(home.cluster).controller()], settings=settings) as manager:
            assert (await text("/livez"))[0] == 200
            await manager.ready()
            await until(lambda: home.granted() == ["a"])
            assert await text("/readyz") == (200, "ok")
            assert "[+]cache-home-configmaps ok\n" in (await text("/readyz?verbose"))[1]
            metrics = (await text("/metrics"))[1].splitlines()
            assert 'controller_runtime_reconcile_errors_total{controller="granter"} 0.0' in metrics
            assert 'informer_objects{cluster="home",resource="configmaps"} 1.0' in metrics
            assert 'writes_total{cluster="home",outcome="changed",verb="patch"} 1.0' in metrics
            assert 'rest_client_requests_total{code="200",host="memory",method="PATCH"} 1.0' in metrics
            [queue] = orjson.loads((await text("/debug/queues"))[1])
            assert queue["controller"] == "granter"
            assert (await text("/debug/why?controller=granter&key=home/default/a&format=text"))[0] == 200
        assert manager.servers[0].bound is None


async def test_an_address_in_use_ends_the_start_with_the_setting_to_change() -> None:
    settings = ManagerSettings(probes="127.0.0.1:0")
    async with ApiServer() as server, Manager([Side.of(server).cluster], [], settings=settings) as first:
        taken = str(first.servers[0].bound)
        with pytest.raises(
            PartEnded, match=rf"probes ended: .*{taken}.*; change ManagerSettings\(probes=\.\.\.\)"
        ) as caught:
            async with Manager([Side.of(server).cluster], [], settings=ManagerSettings(probes=taken)):
                pytest.fail("it cannot have started")
        assert isinstance(caught.value.__cause__, CannotListen)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_in_order_and_a_second_one_cuts_off_what_is_in_work(number: signal.Signals) -> None:
    async with ApiServer() as server:
        home = Side.of(server)
        granter = Granter(home.cluster, lambda: anyio.sleep(30))
        async with Manager([home.cluster], [granter.controller()]) as manager, anyio.create_task_group() as tasks:

            async def kill() -> None:
                await anyio.sleep(0.1)  # until somebody listens
                await until(lambda: len(granter.keys) == 1)
                os.kill(os.getpid(), number)
                await anyio.sleep(0.2)
                assert not done.is_set()
                os.kill(os.getpid(), number)

            done = anyio.Event()
            await manager.ready()
            await wish(server, "a")
            tasks.start_soon(kill)
            began = now()
            await manager.run(signals=True)
            done.set()
        assert 0.2 <= now() - began < 5


async def test_without_asking_no_signal_is_listened_to() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with ApiServer() as server, Manager([Side.of(server).cluster], []) as manager:
        await manager.ready()
        assert signal.getsignal(signal.SIGTERM) is before
