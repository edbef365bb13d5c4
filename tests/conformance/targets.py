"""The servers that cases are told to: in memory, over HTTP, and the real one.

The embedded servers are made anew for each case. The real one is shared by all of them at once, each in a namespace of
its own, as its clients have to live with.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import orjson

from reconcile.kube import login
from reconcile.kube.access import ClusterAccess
from reconcile.kube.credentials import RenewedCredentials
from reconcile.kube.request import HttpRequest
from reconcile.kube.transport import HttpTransport, Transport, TransportSettings
from reconcile.kube.views import dumps
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.http import listening
from reconcile.testing.envtest import ControlPlane
from tests.conformance import definitions
from tests.conformance.reading import read
from tests.conformance.running import Place, tell
from tests.conformance.steps import DEFINITIONS, JSON, NAMESPACES, Case
from tests.testing.callers import GROUP

AGENT: Final = "tester/1.0"
TOGETHER: Final = 6
"""Cases that a real server is told at once."""
FAR_FROM_PORTS: Final = 100_000
"""Where versions of an embedded server begin, so that no other number of an answer is taken for one."""


async def in_memory(case: Case) -> list[Any]:
    """What an embedded server answers, in words that can be compared."""
    async with embedded() as server:
        return await told_to_ours(case, server.transport(user_agent=AGENT), server)


@asynccontextmanager
async def embedded() -> AsyncIterator[ApiServer]:
    """An embedded server for one case."""
    server = ApiServer()
    server.storage.version = FAR_FROM_PORTS
    async with server:
        yield server


async def told_to_ours(case: Case, transport: Transport, server: ApiServer) -> list[Any]:
    """Tell a case to an embedded server by a way in."""
    if any(GROUP in step.path for step in case.steps):
        await define(transport)
    namespace = await a_namespace(transport)
    return read(case, await tell(case, Place(transport, namespace, server.compact)), namespace)


async def over_http(cases: list[Case]) -> dict[str, list[Any] | Exception]:
    """What an embedded server answers behind a port, all cases at once."""
    async with embedded() as server, listening(server) as endpoint:
        transport = HttpTransport(
            RenewedCredentials(ClusterAccess(endpoint.url)), TransportSettings(user_agent=AGENT, max_calls=100)
        )
        try:
            await define(transport)
            return await _together(transport, cases, forget=server.compact, at_once=30)
        finally:
            await transport.aclose()


async def by_real(plane: ControlPlane, cases: list[Case]) -> tuple[str, dict[str, list[Any] | Exception]]:
    """What a real server answers, and its version."""
    transport = HttpTransport(login.load(plane.kubeconfig()), TransportSettings(user_agent=AGENT))
    try:
        version = await _ask(transport, "GET", "/version")
        await define(transport)
        await anyio.sleep(1)  # other parts of a real server learn of it later
        return version["gitVersion"], await _together(transport, cases, forget=lambda: None, at_once=TOGETHER)
    finally:
        await transport.aclose()


async def _together(
    transport: Transport, cases: list[Case], *, forget: Callable[[], None], at_once: int
) -> dict[str, list[Any] | Exception]:
    """The answers to each case, told to one server; a case that could not be told is an exception."""
    found: dict[str, list[Any] | Exception] = {}
    gate = anyio.CapacityLimiter(at_once)

    async def one(case: Case) -> None:
        async with gate:
            try:
                namespace = await a_namespace(transport)
                found[case.id] = read(case, await tell(case, Place(transport, namespace, forget)), namespace)
            except Exception as error:
                found[case.id] = error

    # what a server forgets is missed by others
    alone = [case for case in cases if any(step.forgets for step in case.steps)]
    async with anyio.create_task_group() as group:
        for case in cases:
            if case not in alone:
                group.start_soon(one, case)
    for case in alone:
        await one(case)
    return found


async def define(transport: Transport) -> None:
    """Let a server serve the custom resources of ``definitions.py``."""
    for one in definitions.ALL:
        await _ask(transport, "POST", DEFINITIONS, one)
    for one in definitions.ALL:
        path = f"/apis/{GROUP}/v1/{one['spec']['names']['plural']}"
        with anyio.fail_after(30):
            while (await _ask(transport, "GET", path)).get("kind") == "Status":
                await anyio.sleep(0.1)


async def a_namespace(transport: Transport) -> str:
    """A namespace with a name that is no part of any other word."""
    name = f"space-{secrets.token_hex(4)}"
    made = await _ask(transport, "POST", NAMESPACES, {"metadata": {"name": name}})
    assert made["kind"] == "Namespace", made
    return name


async def _ask(transport: Transport, method: str, path: str, body: Any = None) -> Any:
    headers = {"accept": JSON, "content-type": JSON, "user-agent": AGENT}
    request = HttpRequest(method, path, (), headers, dumps(body) if body is not None else b"")
    response = await transport.call(request, timeout=30)
    try:
        return orjson.loads(response.body)
    except ValueError:
        return {"kind": "Status", "message": response.body.decode()}
