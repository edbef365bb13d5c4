"""The fixtures that give a test an API server, asked for by tests of every sort."""

import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import orjson
import pytest

from reconcile import Cluster, Controller, For, Manager, Request, Result
from reconcile.kube import ObjectKey
from reconcile.kube.client import Client
from reconcile.kube.connect import connect
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.threads import ServerThread
from reconcile.testing.servers import Worlds
from tests.testing.callers import THINGS

pytest_plugins = "pytester"


@pytest.fixture
def apiserver_crds(tmp_path: Path) -> Iterable[Path]:
    path = tmp_path / "things.yaml"
    path.write_bytes(orjson.dumps(THINGS))
    return [path]


async def test_an_async_test_has_a_server_on_its_own_loop(apiserver: ApiServer, client: Client) -> None:
    await client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})
    assert [one.metadata.name for one in apiserver.objects(CONFIG_MAP, "default")] == ["a"]
    assert apiserver.registry.of_table("things.shop.example.com") is not None


def test_a_test_that_blocks_has_one_in_a_thread(apiserver: ServerThread, kubeconfig: Path) -> None:
    url = orjson.loads(kubeconfig.read_bytes())["clusters"][0]["cluster"]["server"]
    assert url == apiserver.url
    for path in ("/api/v1/configmaps", "/apis/shop.example.com/v1/things"):
        with urllib.request.urlopen(f"{url}{path}", timeout=10) as answer:
            assert orjson.loads(answer.read())["items"] == []
    apiserver.call(apiserver.server.compact)


async def test_a_world_runs_a_program_until_it_rests(world: Worlds) -> None:
    def build(transports: Mapping[str, Any], rng: Any) -> Manager:
        main = Cluster("main", Client(transports["main"], rng=rng), [CONFIG_MAP], rng=rng)

        async def mark(request: Request) -> Result:
            found = main.store(CONFIG_MAP).get(request.key)
            if found is not None and not found.metadata.labels:
                head = {"name": found.metadata.name, "namespace": "default"}
                await main.client.apply(CONFIG_MAP, {"metadata": {**head, "labels": {"seen": "yes"}}})
            return Result()

        return Manager([main], [Controller("marker", mark, [For(main, CONFIG_MAP)], rng=rng)], rng=rng)

    made = await world(build)
    made.start()
    await made.client("main").create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})
    await made.quiesce()
    assert [dict(one.metadata.labels) for one in made.objects("main", CONFIG_MAP)] == [{"seen": "yes"}]


def test_on_virtual_time_there_is_no_kubeconfig(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nanyio_mode = auto")
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def anyio_backend(virtual_time):
            return virtual_time

        async def test_a(kubeconfig): ...

        def test_b(client): ...
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*needs sockets, which a loop on virtual time has not*"])
    result.stdout.fnmatch_lines(["*`client` is for async tests*"])


class TestOnTheRealClock:
    """An async test that may open sockets."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        return "asyncio", {}

    async def test_an_async_test_lets_others_at_its_own_server(self, client: Client, kubeconfig: Path) -> None:
        await client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})
        async with connect(kubeconfig) as other:
            with anyio.fail_after(10):
                found = await other.get(CONFIG_MAP, ObjectKey("default", "a"))
        assert found.metadata.name == "a"
