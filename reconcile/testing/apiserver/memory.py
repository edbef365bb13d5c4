"""A way into the server that leaves the process nowhere: request values in, answer values out.

Each call is answered in the caller's task. It may be cancelled before the server takes it up, never half way: what
a write does happens in one step.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio
import attrs

from reconcile.core.clock import Seconds
from reconcile.kube.errors import ConnectionFailed, RequestTimeout
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.testing.apiserver.admission import User

if TYPE_CHECKING:
    from reconcile.kube.transport import Guard, Stream
    from reconcile.testing.apiserver.server import ApiServer
    from reconcile.testing.apiserver.watching import Watcher


@attrs.define(eq=False)
class MemoryStream:
    """An answer that is read bit by bit: a watch, or a body that is all there."""

    status: int
    headers: Mapping[str, str]
    _watcher: "Watcher | None" = None
    _body: bytes = b""
    _closed: bool = False

    async def read(self) -> bytes:
        """What there is; waits for a watch. b"" at the end."""
        if self._closed:
            raise ConnectionFailed("the stream was closed", sent=True)
        await anyio.lowlevel.checkpoint()
        if self._watcher is not None:
            return await self._watcher.read()
        body, self._body = self._body, b""
        return body

    async def aclose(self) -> None:
        """Stop reading; the server forgets the watch."""
        self._closed = True
        if self._watcher is not None:
            self._watcher.end()


@attrs.define(eq=False)
class MemoryTransport:
    """``Transport`` to a server in this process, as one user."""

    server: "ApiServer"
    user: User = attrs.field(kw_only=True)
    user_agent: str = attrs.field(default="reconcile", kw_only=True)
    host: str = attrs.field(default="memory", kw_only=True)
    is_disturbed: bool = attrs.field(default=True, kw_only=True)
    """Whether the server's faults strike here."""
    _closed: bool = attrs.field(default=False, init=False)

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: "Guard | None" = None) -> HttpResponse:
        """Answer a request; a watch is read to its end."""
        try:
            with anyio.fail_after(timeout):
                stream = await self.open(request, timeout=timeout, guard=guard)
                chunks = []
                while chunk := await stream.read():
                    chunks.append(chunk)
        except TimeoutError as error:
            raise RequestTimeout("no answer in time", sent=True) from error
        return HttpResponse(stream.status, stream.headers, b"".join(chunks))

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: "Guard | None" = None) -> "Stream":
        """Answer a request; a watch is there to be read."""
        if self._closed:
            raise ConnectionFailed("the transport is closed", sent=False)
        if self.server.faults is not None and self.is_disturbed:
            self.server.faults.saw(self.server.shown)
            inner = attrs.evolve(self, is_disturbed=False)
            return await self.server.faults.play_open(inner, request, timeout=timeout, guard=guard)
        await anyio.lowlevel.checkpoint()
        if guard is not None:
            guard()
        headers = {"user-agent": self.user_agent, **request.headers}
        answer = await self.server.answer(attrs.evolve(request, headers=headers), self.user)
        response = answer.response
        return MemoryStream(response.status, response.headers, answer.watcher, response.body)

    async def aclose(self) -> None:
        """Refuse further calls."""
        self._closed = True
