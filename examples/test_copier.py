"""A controller tested with the kit: a whole API server in the process, and time that costs nothing.

Run it with ``pytest examples/test_copier.py``; in a project of your own the two fixtures go into ``conftest.py``.
"""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from examples.copier import copier
from reconcile import Client, Cluster, Manager, Watched
from reconcile.kube import MergePatch, ObjectKey
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.faults import FaultPlan, FaultyTransport, LostReply


@pytest.fixture
def anyio_backend(virtual_time: Any) -> Any:
    return virtual_time


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer() as server:
        yield server


def original(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "labels": {"copy": "yes"}}, "data": data}


async def test_a_copy_follows_its_original_and_goes_with_it(server: ApiServer) -> None:
    user, cluster = server.client(), Cluster("main", server.client(), [Watched(CONFIG_MAP)])
    async with Manager([cluster], [copier(cluster)]):
        await user.create(CONFIG_MAP, original("blue", size="1"))
        await anyio.sleep(1)
        assert (await user.get(CONFIG_MAP, ObjectKey("default", "blue-copy")))["data"] == {"size": "1"}

        await user.patch(CONFIG_MAP, ObjectKey("default", "blue"), MergePatch({"data": {"size": "2"}}))
        await anyio.sleep(1)
        assert (await user.get(CONFIG_MAP, ObjectKey("default", "blue-copy")))["data"] == {"size": "2"}

        await user.delete(CONFIG_MAP, ObjectKey("default", "blue"))
        await anyio.sleep(60)  # the server collects garbage; an hour would take as long as this
        assert server.objects(CONFIG_MAP, "default") == []


async def test_a_lost_reply_makes_no_second_copy(server: ApiServer) -> None:
    faulty = FaultyTransport(server.transport(), FaultPlan.of(LostReply(), probability=0.5))
    cluster = Cluster("main", Client(faulty, field_manager="copier"), [Watched(CONFIG_MAP)])
    async with Manager([cluster], [copier(cluster)]):
        for number in range(20):
            await server.client().create(CONFIG_MAP, original(f"blue-{number}"))
        await anyio.sleep(600)
        assert len(server.objects(CONFIG_MAP, "default")) == 40
        assert faulty.struck["LostReply"] > 0
