"""Pytest fixtures that give a test an API server of its own.

``apiserver`` fits the test that asks: an async test gets an ``ApiServer`` on its loop, any other a ``ServerThread``.
What it serves besides the built-in kinds a suite says by overriding ``apiserver_kinds`` or ``apiserver_crds``.
"""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from reconcile.kube.client import Client
    from reconcile.testing.apiserver import ApiServer, Kind
    from reconcile.testing.apiserver.threads import ServerThread
    from reconcile.testing.world import Build, World


@pytest.fixture
def apiserver_kinds() -> "Iterable[Kind]":
    """Kinds to be served besides the built-in ones; override it."""
    return ()


@pytest.fixture
def apiserver_crds() -> Iterable[Path]:
    """Files or folders of CustomResourceDefinitions to be served; override it."""
    return ()


@pytest.fixture
def apiserver(request: pytest.FixtureRequest) -> "ApiServer | ServerThread":
    """A server of the test's own: an ``ApiServer`` in an async test, a ``ServerThread`` in another."""
    where = "on_loop" if _is_async(request) else "in_thread"
    return request.getfixturevalue(f"_apiserver_{where}")  # type: ignore[no-any-return]


@pytest.fixture
def client(request: pytest.FixtureRequest) -> "Client":
    """A client of ``apiserver``, for async tests. Others point the library of their choice at ``kubeconfig``."""
    if not _is_async(request):
        pytest.fail("`client` is for async tests; point a library that blocks at `kubeconfig`", pytrace=False)
    server: ApiServer = request.getfixturevalue("_apiserver_on_loop")
    return server.client()


@pytest.fixture
def kubeconfig(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A kubeconfig that leads to ``apiserver``, for whatever reads one. In an async test it needs the real clock."""
    url: str
    if _is_async(request):
        url = request.getfixturevalue("_apiserver_url")
    else:
        thread: ServerThread = request.getfixturevalue("_apiserver_in_thread")
        url = thread.url
    from reconcile.testing.apiserver import kubeconfig

    path = tmp_path / "kubeconfig"
    kubeconfig.write(path, json.dumps(kubeconfig.document(url, kubeconfig.Login())))
    return path


class Worlds(Protocol):
    """Makes a ``World`` out of a program, and enters it: ``await world(build)``.

    ``clusters`` are the names of its servers; ``options`` are those of ``World``.
    """

    async def __call__(self, build: "Build", clusters: Iterable[str] = ("main",), **options: Any) -> "World": ...


@pytest.fixture
async def world(apiserver_kinds: "Iterable[Kind]", apiserver_crds: Iterable[Path]) -> AsyncIterator[Worlds]:
    """Worlds on virtual time; they end with the test."""
    from reconcile.testing.apiserver import ApiServer
    from reconcile.testing.world import World

    async with AsyncExitStack() as stack:

        async def enter(build: "Build", clusters: Iterable[str] = ("main",), **options: Any) -> World:
            servers: Mapping[str, ApiServer] = {name: ApiServer(apiserver_kinds) for name in clusters}
            made = await stack.enter_async_context(World(servers, build, **options))
            for server in servers.values():
                await _define(server, apiserver_crds)
            return made

        yield enter


# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def _apiserver_on_loop(
    apiserver_kinds: "Iterable[Kind]", apiserver_crds: Iterable[Path]
) -> "AsyncIterator[ApiServer]":
    from reconcile.testing.apiserver import ApiServer

    async with ApiServer(apiserver_kinds) as server:
        await _define(server, apiserver_crds)
        yield server


@pytest.fixture
async def _apiserver_url(_apiserver_on_loop: "ApiServer") -> AsyncIterator[str]:
    from reconcile.testing.apiserver.http import listening
    from reconcile.testing.loop import VirtualTimeLoop

    if isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
        pytest.fail("`kubeconfig` needs sockets, which a loop on virtual time has not", pytrace=False)
    async with listening(_apiserver_on_loop) as endpoint:
        yield endpoint.url


@pytest.fixture
def _apiserver_in_thread(apiserver_kinds: "Iterable[Kind]", apiserver_crds: Iterable[Path]) -> "Iterator[ServerThread]":
    from reconcile.testing.apiserver import ApiServer, in_thread

    with in_thread(ApiServer(apiserver_kinds)) as thread:
        thread.wait(_define, thread.server, apiserver_crds)
        yield thread


async def _define(server: "ApiServer", paths: Iterable[Path]) -> None:
    from reconcile.testing.apiserver import definitions

    await definitions.install(server, [one for path in paths for one in definitions.read(path)])


def _is_async(request: pytest.FixtureRequest) -> bool:
    function: Callable[..., Any] | None = getattr(request.node, "function", None)
    return inspect.iscoroutinefunction(function)
