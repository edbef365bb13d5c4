"""``qps`` and ``burst``: how fast a client asks, as client-go understands them."""

import anyio
import pytest

from reconcile.core.clock import Seconds, now
from reconcile.kube import kinds
from reconcile.kube import request as http
from reconcile.kube.client import ClientSettings
from reconcile.kube.errors import KubeError
from reconcile.testing.apiserver import ApiServer


class Watcher:
    """Hears how long requests were held back."""

    def __init__(self) -> None:
        self.waits: list[Seconds] = []

    def request(self, method: str, host: str, code: str, seconds: Seconds) -> None: ...

    def retried(self, method: str, host: str, error: KubeError) -> None: ...

    def paused(self, host: str, seconds: Seconds) -> None:
        self.waits.append(seconds)


@pytest.mark.parametrize(
    ("qps", "burst", "requests", "takes"),
    [
        (0, 0, 200, 0.0),
        (-1, 5, 200, 0.0),
        (0, 1, 200, 0.0),
        (5, 1, 51, 10.0),
        (5, 10, 60, 10.0),
        (5, 0, 60, 10.0),  # no burst is the default one
        (0.5, 3, 8, 10.0),
    ],
)
async def test_a_client_asks_no_faster_than_its_limit_and_without_one_at_once(
    qps: float, burst: int, requests: int, takes: Seconds
) -> None:
    async with ApiServer() as server:
        client = server.client(settings=ClientSettings(qps=qps, burst=burst))
        async with anyio.create_task_group() as tasks:
            for _ in range(requests):
                tasks.start_soon(client.list, kinds.NAMESPACE)
        assert now() == pytest.approx(takes)


async def test_watches_count_like_calls_and_what_was_held_back_is_told() -> None:
    async with ApiServer() as server:
        watcher = Watcher()
        client = server.client(settings=ClientSettings(qps=1, burst=1), observer=watcher)
        for _ in range(3):
            await (await client.open(http.watch(kinds.NAMESPACE))).aclose()
        assert now() == pytest.approx(2.0)
        assert watcher.waits == pytest.approx([1.0, 1.0])


async def test_two_clients_of_one_server_do_not_wait_for_each_other() -> None:
    async with ApiServer() as server:
        slow, other = (server.client(settings=ClientSettings(qps=0.01, burst=1)) for _ in range(2))
        await slow.list(kinds.NAMESPACE)
        await other.list(kinds.NAMESPACE)
        assert now() == 0.0
