"""Faults that an embedded server plays on everybody who comes in, in memory and over HTTP alike.

Over HTTP, what breaks a connection does break it: the client meets a reset, not an error of ours.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import attrs

from reconcile.kube.errors import ConnectionFailed
from reconcile.kube.request import HttpRequest, HttpResponse, parse
from reconcile.kube.transport import Stream
from reconcile.testing.apiserver.admission import User
from reconcile.testing.apiserver.connection import Reply
from reconcile.testing.apiserver.storage import FIRST_VERSION
from reconcile.testing.faultplan import Compacted, Fault, FaultPlan, Restored, Skewed
from reconcile.testing.faults import Faults

if TYPE_CHECKING:
    from reconcile.testing.apiserver.server import ApiServer

_EVER = 365 * 24 * 3600.0


@attrs.define(eq=False)
class ServerFaults(Faults):
    """Plays a plan on one server."""

    server: "ApiServer"
    plan: FaultPlan = attrs.field()

    def on_server(self, fault: Fault) -> None:
        """Play what strikes the server itself."""
        server = self.server
        if isinstance(fault, Compacted):
            server.compact()
        elif isinstance(fault, Skewed):
            server.skew = self.rng.uniform(fault.least, fault.most)
        elif isinstance(fault, Restored):
            past = server.storage.past(max(FIRST_VERSION, server.storage.version - fault.versions))
            if past is not None:
                server.restore(past)


def disturbed(server: "ApiServer", plan: FaultPlan, seed: int) -> ServerFaults:
    """The faults of a plan on a server, drawn by a seed."""
    return ServerFaults(server, plan, rng=random.Random(seed))


async def reply(server: "ApiServer", request: HttpRequest, user: User) -> Reply:
    """Answer a request over HTTP while faults strike."""
    try:
        stream = await server.transport(user=user, user_agent="").open(request, timeout=_EVER)
    except ConnectionFailed:
        return Reply(HttpResponse(500), reset_after=0)
    info = parse(request)
    if info is not None and info.verb == "watch" and stream.status == 200:
        return Reply(HttpResponse(stream.status, stream.headers), _Told(stream))
    chunks: list[bytes] = []
    try:
        while chunk := await stream.read():
            chunks.append(chunk)
    except ConnectionFailed:
        body = b"".join(chunks)
        return Reply(HttpResponse(stream.status, stream.headers, body), reset_after=len(body))
    return Reply(HttpResponse(stream.status, stream.headers, b"".join(chunks)))


@attrs.define(eq=False)
class _Told:
    """A watch that suffers, and can be ended."""

    stream: Stream
    on_cut: Callable[[], None] | None = None
    _scope: anyio.CancelScope | None = None
    _ended: bool = False

    async def read(self) -> bytes:
        if self._ended:
            return b""
        with anyio.CancelScope() as self._scope:
            return await self.stream.read()
        return b""

    async def aclose(self) -> None:
        await self.stream.aclose()

    def end(self) -> None:
        self._ended = True
        if self._scope is not None:
            self._scope.cancel()
