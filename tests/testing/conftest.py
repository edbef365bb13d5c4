"""What tests of the testing kit share."""

from collections.abc import AsyncIterator

import pytest

from reconcile.testing.apiserver import ApiServer, Settings
from reconcile.testing.apiserver.crds import kind_of
from tests.testing.callers import CHECKS, THINGS, Api

KINDS = [kind for definition in (THINGS, CHECKS) if (kind := kind_of(definition)) is not None]


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    """An embedded API server that serves Things and Checks; nobody looks after it."""
    settings = Settings(garbage_collection=False, namespace_lifecycle=False)
    async with ApiServer(KINDS, settings=settings) as server:
        yield server


@pytest.fixture
async def api(server: ApiServer) -> Api:
    """A namespace of the test's own; its field manager is "tester"."""
    api = Api(server.transport(user_agent="tester/1.0"), "")
    made = await api.made("/api/v1/namespaces", {"metadata": {"generateName": "test-"}})
    return Api(api.transport, made.meta["name"])
