"""What is claimed of the embedded API server is true of a real one: the same tests, told to kube-apiserver.

Versions start elsewhere and time is real there; tests that depend on either are not among them.
"""

import os
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from reconcile.kube import login
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.testing.assets import MissingAssets
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.plugin import AnyioBackend
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
from tests.testing.callers import CHECKS, DEFINITIONS, THINGS, Api

pytestmark = [pytest.mark.real]

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
    return "asyncio", {}  # a real server lives in real time


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    """Without controllers: nobody else writes."""
    try:
        plane = ControlPlane.start(in_memory=True)
    except MissingAssets as missing:
        if os.environ.get("REQUIRE_REAL") == "1":
            raise
        pytest.skip(str(missing))
    with plane:
        yield plane


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[Api]:
    """A namespace of the test's own at the real server."""
    settings = TransportSettings(user_agent="tester/1.0")
    transport = HttpTransport(login.load(control_plane.kubeconfig()), settings)
    try:
        api = Api(transport, "")
        if [(await api.post(DEFINITIONS, one)).code for one in (THINGS, CHECKS)] == [201, 201]:
            await _served(api)
        made = await api.made("/api/v1/namespaces", {"metadata": {"generateName": "test-"}})
        yield Api(transport, made.meta["name"])
    finally:
        await transport.aclose()


async def _served(api: Api) -> None:
    with anyio.fail_after(30):
        while (await api.get(api.things)).code != 200:
            await anyio.sleep(0.1)
    await anyio.sleep(1)  # other parts of the server learn of it later
