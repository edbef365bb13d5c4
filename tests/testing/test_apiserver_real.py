"""What is claimed of the embedded API server is true of a real one: the same tests, told to kube-apiserver.

Versions start elsewhere and time is real there; tests that depend on either are not among them.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, given, settings

from reconcile.kube import login
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.testing.apiserver import ApiServer, Settings
from reconcile.testing.apiserver.crds import kind_of
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.plugin import AnyioBackend
from tests.planes import lone_control_plane
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
from tests.testing.callers import CHECKS, DEFINITIONS, THINGS, Api, Reply
from tests.testing.histories import Move, histories

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
    with lone_control_plane() as plane:
        yield plane


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[Api]:
    """A namespace of the test's own at the real server."""
    transport = real_transport(control_plane)
    try:
        api = Api(transport, "")
        await define(api)
        made = await api.made("/api/v1/namespaces", {"metadata": {"generateName": "test-"}})
        yield Api(transport, made.meta["name"])
    finally:
        await transport.aclose()


def real_transport(control_plane: ControlPlane) -> HttpTransport:
    return HttpTransport(login.load(control_plane.kubeconfig()), TransportSettings(user_agent="tester/1.0"))


async def define(api: Api) -> None:
    """Let the real server serve what the embedded one serves in these tests; once."""
    if {(await api.post(DEFINITIONS, one)).code for one in (THINGS, CHECKS)} != {201}:
        return
    api = Api(api.transport, "default")
    with anyio.fail_after(30):
        while (await api.get(api.things)).code != 200:
            await anyio.sleep(0.1)
    await anyio.sleep(1)  # other parts of the server learn of it later


# -- any history of writes -----------------------------------------------------------------------------------------


@pytest.mark.proof  # it still finds differences now and then, which are no reason to hold up everybody
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(history=histories)
def test_any_history_of_writes_has_the_same_answers(control_plane: ControlPlane, history: list[Move]) -> None:
    """Objects, owners of fields and refusals alike."""
    name = f"thing-{next(_NUMBERS)}"

    async def story() -> None:
        things = [kind for one in (THINGS, CHECKS) if (kind := kind_of(one)) is not None]
        switches = Settings(garbage_collection=False, namespace_lifecycle=False)
        transport = real_transport(control_plane)
        try:
            async with ApiServer(things, settings=switches) as server:
                sides = Api(transport, "default"), Api(server.transport(user_agent="tester/1.0"), "default")
                await define(sides[0])
                readers = Reader(), Reader()
                for move in history:
                    real, ours = [
                        reader.read(await move.send(side, name)) for reader, side in zip(readers, sides, strict=True)
                    ]
                    assert ours == real, move
        finally:
            await transport.aclose()

    asyncio.run(story())


_NUMBERS = itertools.count()
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@attrs.define
class Reader:
    """Reads answers of one server, with names of our own for what each server makes up."""

    names: dict[str, str] = attrs.field(factory=dict)

    def read(self, reply: Reply) -> Any:
        body = self._of(reply.body)
        if isinstance(body, dict) and body.get("status") == "Failure":
            # the order of several causes is that of a map in Go
            causes = (body.get("details") or {}).pop("causes", [])
            if len(causes) > 1:
                del body["message"]
            return reply.code, body, sorted(map(str, causes))
        return reply.code, body, reply.headers.get("warning")

    def _of(self, value: Any, field: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._of(one, name) for name, one in sorted(value.items())}
        if isinstance(value, list):
            items = [self._of(one) for one in value]
            if field == "managedFields":
                # within one second the order is that of a map in Go
                items.sort(key=lambda one: (one["operation"], one["manager"], one.get("subresource", "")))
            return items
        if isinstance(value, str) and (field == "resourceVersion" or (field == "uid" and len(value) == 36)):
            return self.names.setdefault(value, f"{field} {len(self.names)}")
        return "TIME" if isinstance(value, str) and _TIME.fullmatch(value) else value
