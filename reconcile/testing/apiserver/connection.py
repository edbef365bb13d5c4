"""One connection of one client: requests come in as bytes, answers leave in the order of the requests.

Whatever a client does or leaves undone has a bound: the size of a head and of a body, requests sent ahead, the time for
a request to arrive, for an answer to be read and for nothing to happen. A watch whose reader falls behind is cut, and
nobody else waits for it. Who answers, and for how long there are connections at all, is ``http.py``'s business.
"""

import asyncio
import gzip
import logging
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs
import httptools

from reconcile.core.clock import Clock, Seconds, now
from reconcile.kube.errors import ConnectionFailed
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.testing.apiserver import messages
from reconcile.testing.apiserver.content import BODY_LIMIT
from reconcile.testing.apiserver.settings import HttpSettings

_log = logging.getLogger(__name__)
_NEVER: Final[Seconds] = float("inf")
_LINGER: Final[Seconds] = 1.0
"""How long a client that still sends may take to read why it is refused."""
_AHEAD: Final = 16
"""Requests that may wait behind the one under way."""
_PACKED_ASIDE: Final = 1024 * 1024
"""Bytes from which on packing is done in a thread."""


@attrs.frozen
class Peer:
    """Who is at the other end: its address, and what its certificate says if it showed one."""

    address: str
    certificate: Any = None
    """As ``ssl.SSLSocket.getpeercert`` has it."""


class Story(Protocol):
    """A body that is told bit by bit until somebody ends it."""

    on_cut: Callable[[], None] | None
    """Called when its reader has fallen behind so far that it is told no more."""

    async def read(self) -> bytes: ...
    async def aclose(self) -> None: ...
    def end(self) -> None: ...


@attrs.frozen
class Reply:
    """What a request leads to. ``done`` is told when all of it was told, or nobody listened any more."""

    response: HttpResponse
    stream: Story | None = None
    done: Callable[[], None] | None = None
    reset_after: int | None = None
    """So many bytes of the body leave, and more are promised, then the connection breaks; ``None``: it does not."""


class House(Protocol):
    """Whose connection it is."""

    settings: HttpSettings
    connections: "set[Connection]"
    clock: Clock

    async def reply(self, request: HttpRequest, peer: Peer) -> Reply: ...
    def admit(self, connection: "Connection") -> bool: ...
    def date(self) -> str: ...


@attrs.frozen
class _Incoming:
    request: HttpRequest | None
    """``None``: its target makes no sense."""
    is_last: bool


class Connection(asyncio.Protocol):
    """From the first byte of a client to the last."""

    def __init__(self, house: House) -> None:
        self.deadline: Seconds = _NEVER
        """When it is given up, unless something happens."""
        self.stream: Story | None = None
        """The watch that is being told."""
        self._house = house
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._scope = anyio.CancelScope()
        self._waiting: deque[_Incoming] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._may_write: asyncio.Future[None] | None = None
        self._is_over = False
        self._ignores = False
        self._is_held = False
        self._target = b""
        self._headers: dict[str, str] = {}
        self._head_size = 0
        self._body: list[bytes] = []
        self._body_size = 0
        self._peer = Peer("")

    # what the house asks for

    async def run(self) -> None:
        """Answer until there is nothing more to answer."""
        try:
            with self._scope:
                while (incoming := await self._next()) is not None:
                    await self._answer(incoming)
                    if incoming.is_last or self._is_over:
                        break
        except ConnectionFailed:
            self.abort()
        except Exception:  # a connection of many: the others go on
            _log.exception("connection failed peer=%s", self._peer.address)
            self.abort()
        finally:
            self._is_over = True
            self._leave()

    def finish(self) -> None:
        """Take no further request: end at once where nothing is under way, and a watch after what is still told."""
        self._is_over = True
        if self.stream is not None:
            self.stream.end()
        self._wake()

    def abort(self) -> None:
        """Break it."""
        self._transport.abort()

    # what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self._peer = Peer(address[0] if address else "", transport.get_extra_info("peercert"))
        self._transport.set_write_buffer_limits(high=self._house.settings.write_buffer_bytes)
        self.deadline = now() + self._house.settings.idle_seconds
        if not self._house.admit(self):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = self._ignores = True
        self._house.connections.discard(self)
        self._scope.cancel()
        # it knows whom to tell: as long as both know each other, only Python's collector can free them, and it is slow
        del self._parser

    def data_received(self, data: bytes) -> None:
        if self._ignores:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # we speak nothing else; the request itself was told
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._may_write = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        waiting, self._may_write = self._may_write, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    # what the parser tells

    def on_message_begin(self) -> None:
        self._target, self._headers, self._head_size = b"", {}, 0
        self._body, self._body_size = [], 0
        if not self._waiting and self.stream is None:
            self.deadline = self._house.clock.now() + self._house.settings.request_seconds

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._measure(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        messages.add_header(self._headers, name, value)
        self._measure(len(name) + len(value))

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue" and not self._ignores:
            self._transport.write(messages.CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._ignores:
            return
        self._body.append(body)
        self._body_size += len(body)
        if self._body_size > BODY_LIMIT:
            self._take(is_last=True)
            self._ignores = True

    def on_message_complete(self) -> None:
        if not self._ignores:
            self._take(is_last=not self._parser.should_keep_alive())

    # own

    def _measure(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._house.settings.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _take(self, *, is_last: bool) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        method = self._parser.get_method().decode("latin-1")
        self._waiting.append(_Incoming(messages.request(method, self._target, self._headers, body), is_last))
        self.deadline = _NEVER
        if len(self._waiting) > _AHEAD and not self._is_held:
            self._is_held = True
            self._transport.pause_reading()
        self._wake()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer what is no request, and end."""
        if not self._ignores:
            self._ignores = self._is_over = True
            if not self._waiting and self.stream is None and not self._transport.is_closing():
                self._transport.write(messages.refusal(status))
            self._wake()

    def _write(self, data: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionFailed("the client has gone", sent=True)
        self._transport.write(data)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _next(self) -> _Incoming | None:
        while not self._waiting:
            if self._is_over:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        incoming = self._waiting.popleft()
        if self._is_held and len(self._waiting) < _AHEAD:
            self._is_held = False
            self._transport.resume_reading()
        return incoming

    async def _answer(self, incoming: _Incoming) -> None:
        request = incoming.request
        if request is None:
            self._write(messages.refusal(HTTPStatus.BAD_REQUEST))
            self._is_over = True
            return
        reply = await self._house.reply(request, self._peer)
        try:
            if reply.reset_after is not None:
                await self._break_off(reply)
            elif reply.stream is not None and request.method != "HEAD":
                await self._tell(reply, reply.stream, close=incoming.is_last)
            else:
                await self._send(request, reply.response, close=incoming.is_last or self._is_over)
        finally:
            if reply.stream is not None:
                await reply.stream.aclose()
            if reply.done is not None:
                reply.done()
        if not self._waiting:
            self.deadline = self._house.clock.now() + self._house.settings.idle_seconds

    async def _send(self, request: HttpRequest, response: HttpResponse, *, close: bool) -> None:
        body, headers = messages.laid_out(request, response), response.headers
        if messages.wants_gzip(request, response.status, len(body)):
            body = await anyio.to_thread.run_sync(_packed, body) if len(body) > _PACKED_ASIDE else _packed(body)
            headers = {**headers, "content-encoding": "gzip", "vary": "Accept-Encoding"}
        head = messages.head(response.status, headers, length=len(body), date=self._house.date(), close=close)
        if request.method == "HEAD":
            body = b""
        self._write(head + body)
        if self._may_write is not None:
            await self._drained()

    async def _tell(self, reply: Reply, stream: Story, *, close: bool) -> None:
        """A body that goes on until its stream ends."""
        response = reply.response
        head = messages.head(response.status, response.headers, length=None, date=self._house.date(), close=close)
        self._write(head)
        self.stream, stream.on_cut = stream, self.abort
        if self._is_over:
            stream.end()
        try:
            while data := await stream.read():
                self._write(messages.chunk(data))
                if self._may_write is not None:
                    await self._drained()
            self._write(messages.LAST_CHUNK)
        finally:
            self.stream = stream.on_cut = None

    async def _break_off(self, reply: Reply) -> None:
        """Let a part of an answer through, and break."""
        response = reply.response
        if reply.reset_after:
            length = len(response.body) + 1
            head = messages.head(response.status, response.headers, length=length, date=self._house.date(), close=False)
            self._write(head + response.body[: reply.reset_after])
            await anyio.lowlevel.checkpoint()
        self._is_over = True
        self.abort()

    async def _drained(self) -> None:
        """Wait until the client has read on."""
        self.deadline = now() + self._house.settings.write_seconds
        while self._may_write is not None:
            await self._may_write
        self.deadline = _NEVER

    def _leave(self) -> None:
        if self._transport.is_closing():
            return
        if not self._ignores:
            self._transport.close()
            return
        # closed now, what is still being sent would break the connection before the answer is read
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGER, self._transport.close)


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1)
