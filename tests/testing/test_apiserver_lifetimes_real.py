"""A real server lets Events go in the same way as the embedded one, whoever watches."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import anyio
import pytest

from reconcile import Change, Client, Cluster, ObjectKey, Watched, connect
from reconcile.kube import MergePatch
from reconcile.kube.kinds import EVENT
from reconcile.kube.objects import Object
from reconcile.testing.apiserver import ApiServer, Settings
from reconcile.testing.plugin import AnyioBackend
from tests.planes import control_plane
from tests.real.waiting import until

pytestmark = pytest.mark.real
LIFE = 8
"""Seconds: long enough that a slow machine's write comes within half of it; etcd has no leases of less than two."""


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # a real server lives in real time


@pytest.fixture(params=["embedded", "real"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:
        if request.param == "embedded":
            server = await stack.enter_async_context(ApiServer(settings=Settings(event_ttl=LIFE)))
            yield server.client()
        else:
            plane = stack.enter_context(control_plane(in_memory=True, flags=[f"--event-ttl={LIFE}s"]))
            yield await stack.enter_async_context(connect(plane.kubeconfig()))


async def test_an_event_is_seen_to_go_after_its_last_write(client: Client) -> None:
    cluster = Cluster("home", client, [Watched(EVENT, namespaces=("default",))])
    store, ended = cluster.store(EVENT), list[str]()

    def note(change: Change[Object]) -> None:
        if change.new is None:
            ended.append(change.key.name)

    async with anyio.create_task_group() as tasks:
        cluster.informer(EVENT).add_handler(note)
        await tasks.start(cluster.run)
        about = {"apiVersion": "v1", "kind": "Namespace", "name": "default", "namespace": "default"}
        for name in ("once", "again"):
            body = {"metadata": {"name": name}, "involvedObject": about, "reason": "Seen", "message": "it was seen"}
            await client.create(EVENT, body, namespace="default")
        await anyio.sleep(LIFE * 0.4)
        await client.patch(EVENT, ObjectKey("default", "again"), MergePatch({"count": 2}))
        await until(lambda: "once" in ended, "the first goes", within=3 * LIFE)
        assert ended == ["once"]
        assert store.get(ObjectKey("default", "again")) is not None
        await until(lambda: "again" in ended, "the other goes", within=3 * LIFE)
        tasks.cancel_scope.cancel()
