"""What is claimed of the server in memory is true of it behind a port: the same tests, told over HTTP.

Tests that depend on virtual time are not among them.
"""

from collections.abc import AsyncIterator

import pytest

from reconcile.kube.access import ClusterAccess
from reconcile.kube.credentials import RenewedCredentials
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.http import listening
from reconcile.testing.plugin import AnyioBackend
from tests.standing import StandingClock
from tests.testing import (
    test_apiserver_apply,
    test_apiserver_bodies,
    test_apiserver_deletes,
    test_apiserver_lists,
    test_apiserver_pages,
    test_apiserver_patches,
    test_apiserver_schemas,
    test_apiserver_watches,
    test_apiserver_writes,
)
from tests.testing.callers import Api

for _module in (
    test_apiserver_apply,
    test_apiserver_bodies,
    test_apiserver_deletes,
    test_apiserver_lists,
    test_apiserver_pages,
    test_apiserver_patches,
    test_apiserver_schemas,
    test_apiserver_watches,
    test_apiserver_writes,
):
    globals().update({name: test for name, test in vars(_module).items() if name.startswith("test_")})


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {"loop_factory": StandingClock}  # sockets


@pytest.fixture
async def api(server: ApiServer) -> AsyncIterator[Api]:
    """A namespace of the test's own, reached by the client that production uses."""
    async with listening(server) as endpoint:
        credentials = RenewedCredentials(ClusterAccess(endpoint.url))
        transport = HttpTransport(credentials, TransportSettings(user_agent="tester/1.0"))
        try:
            made = await Api(transport, "").made("/api/v1/namespaces", {"metadata": {"generateName": "test-"}})
            yield Api(transport, made.meta["name"])
        finally:
            await transport.aclose()
