"""A server for programs that have no event loop: it lives in a thread of its own, behind a port.

Any client library can be pointed at it. What the server itself can do, ``call`` does in its thread.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import attrs
from anyio.from_thread import BlockingPortal, start_blocking_portal

from reconcile.testing.apiserver.http import OPEN, Endpoint, Security, listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reconcile.testing.apiserver.server import ApiServer

T = TypeVar("T")
P = ParamSpec("P")


@attrs.frozen
class ServerThread:
    """A server that runs elsewhere in this process. Usable from any thread but its own."""

    server: "ApiServer"
    endpoint: Endpoint
    _portal: BlockingPortal

    @property
    def url(self) -> str:
        """Where clients find it."""
        return self.endpoint.url

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of ``server`` or ``endpoint``, in their thread: ``call(thread.server.compact)``."""
        return self._portal.call(lambda: function(*args, **kwargs))

    def wait(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await an async function in the server's thread."""
        return self._portal.call(lambda: function(*args, **kwargs))


@contextmanager
def in_thread(
    server: "ApiServer", *, host: str = "127.0.0.1", port: int = 0, security: Security = OPEN
) -> Iterator[ServerThread]:
    """Run a server that nobody entered yet until the block ends.

    Raises:
        CannotListen: the port cannot be had.
    """

    @asynccontextmanager
    async def life() -> "AsyncIterator[Endpoint]":
        async with server, listening(server, host=host, port=port, security=security) as endpoint:
            yield endpoint

    options: dict[str, Any] = {"name": "apiserver"}
    with start_blocking_portal(**options) as portal, portal.wrap_async_context_manager(life()) as endpoint:
        yield ServerThread(server, endpoint, portal)
