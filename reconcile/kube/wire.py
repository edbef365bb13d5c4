"""Requests over our own HTTP/1.1: a fraction of the work of a full client, because it does one thing.

It keeps connections open, speaks TLS, reads bodies of either kind of length, and holds a stream's server back when
nobody reads. It knows no proxies, redirects, cookies or compression: ``session.py`` does proxies, the API needs no
more. A cancelled or late request costs its connection, so no answer can meet the wrong question. A kept connection may
turn out to be dead when it is used; then an idempotent request is sent once more on a new one.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from reconcile.core.clock import Seconds, now
from reconcile.kube.access import ClusterAccess
from reconcile.kube.credentials import Grant
from reconcile.kube.errors import BadAnswer, ConnectionFailed, RequestTimeout
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.transport import Guard, TransportSettings, about, reason, target, too_large, watch_over

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class WireEngine:
    """An ``Engine`` on its own connections. Idle ones are kept as long as the TLS context stays the same."""

    def __init__(self, access: ClusterAccess, settings: TransportSettings) -> None:
        parts = urlsplit(access.server)
        self._server = access.server
        self._settings = settings
        self._address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._name = access.tls_server_name or parts.hostname
        self._prefix = parts.path
        self._fixed = (("host", parts.netloc.rpartition("@")[2]), ("user-agent", settings.user_agent))
        self._head: tuple[Grant, str] | None = None
        self._tls: ssl.SSLContext | None = None
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._free = settings.max_calls
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_closed = False

    async def call(self, request: HttpRequest, grant: Grant, *, timeout: Seconds, guard: Guard | None) -> HttpResponse:
        deadline = now() + timeout
        sendable = self._encoded(request, grant)
        if self._free:
            self._free -= 1
        else:
            await self._slot(request, deadline)
        try:
            connection = self._kept(grant)
            if connection is not None:
                try:
                    return await self._exchange(connection, request, sendable, deadline, guard)
                except _Stale as stale:
                    if request.method not in IDEMPOTENT:
                        raise self._broken(request, stale) from stale
            connection = await self._connect(request, grant, deadline)
            try:
                return await self._exchange(connection, request, sendable, deadline, guard)
            except _Stale as stale:
                raise self._broken(request, stale) from stale
        finally:
            self._leave()

    async def open(self, request: HttpRequest, grant: Grant, *, timeout: Seconds, guard: Guard | None) -> "_Stream":
        deadline = now() + timeout
        connection = await self._connect(request, grant, deadline)
        try:
            if guard is not None:
                guard()
            await connection.send(request, self._encoded(request, grant), deadline, is_stream=True)
        except _Stale as stale:
            raise self._broken(request, stale) from stale
        except BaseException:
            connection.abort()
            raise
        return _Stream(connection)

    async def aclose(self) -> None:
        self._is_closed = True
        while self._all:
            self._all.pop().abort()
            await asyncio.sleep(0)  # the loop closes a socket one step later

    async def _exchange(
        self, connection: "_Connection", request: HttpRequest, sendable: bytes, deadline: Seconds, guard: Guard | None
    ) -> HttpResponse:
        try:
            if guard is not None:
                guard()
            response = await connection.send(request, sendable, deadline, is_stream=False)
        except BaseException:
            connection.abort()
            raise
        if connection.is_over or connection.tls is not self._tls:
            connection.abort()
        else:
            connection.rest(self._settings.idle_timeout)
            self._idle.append(connection)
        return response

    def _kept(self, grant: Grant) -> "_Connection | None":
        if grant.tls is not self._tls:
            self._tls = grant.tls
            while self._idle:
                self._idle.pop().abort()
        while self._idle:
            if not (connection := self._idle.pop()).is_over:
                return connection
        return None

    async def _connect(self, request: HttpRequest, grant: Grant, deadline: Seconds) -> "_Connection":
        if self._is_closed:
            raise ConnectionFailed(f"{about(request, self._server)}: the transport is closed", sent=True)
        loop = asyncio.get_running_loop()
        limit = min(deadline, now() + self._settings.connect_timeout)
        tls = grant.tls if self._server.startswith("https:") else None
        try:
            async with asyncio.timeout_at(limit):
                transport, connection = await loop.create_connection(
                    lambda: _Connection(self._server, self._settings, tls, self._all),
                    *self._address,
                    ssl=tls,
                    server_hostname=self._name if tls else None,
                )
        except TimeoutError as error:
            raise RequestTimeout(f"{about(request, self._server)}: no connection in time", sent=False) from error
        except OSError as error:
            raise ConnectionFailed(f"{about(request, self._server)}: {reason(error)}", sent=False) from error
        watch_over(transport.get_extra_info("socket"), self._settings)
        return connection

    async def _slot(self, request: HttpRequest, deadline: Seconds) -> None:
        """Wait for one of the places for calls; first come, first served."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()  # it came too late: pass it on
            turn.cancel()
            if isinstance(error, TimeoutError):
                message = f"{about(request, self._server)}: no connection in time, {self._settings.max_calls} are busy"
                raise RequestTimeout(message, sent=False) from error
            raise

    def _leave(self) -> None:
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_result(None)
                return
        self._free += 1

    def _encoded(self, request: HttpRequest, grant: Grant) -> bytes:
        if self._head is None or self._head[0] is not grant:
            self._head = grant, "".join(map(_line, (*self._fixed, *grant.headers)))
        body = request.body
        own = "".join(map(_line, request.headers.items()))
        head = f"{request.method} {self._prefix}{target(request)} HTTP/1.1\r\n{self._head[1]}{own}"
        if body or request.method in WITH_BODY:
            head += f"content-length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + body

    def _broken(self, request: HttpRequest, stale: "_Stale") -> ConnectionFailed:
        return ConnectionFailed(f"{about(request, self._server)}: {stale}", sent=True)


class _Stale(Exception):
    """The connection ended before the first byte of an answer: maybe it was dead before the request was sent."""


class _Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(
        self, server: str, settings: TransportSettings, tls: ssl.SSLContext | None, everyone: "set[_Connection]"
    ) -> None:
        self.tls = tls
        self.is_over = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self._server = server
        self._settings = settings
        self._everyone = everyone
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._request: HttpRequest | None = None
        self._waiter: asyncio.Future[Any] | None = None
        self._is_stream = False
        self._is_paused = False
        self._has_ended = True
        self._parts: list[bytes] = []
        self._size = 0
        self._error: Exception | None = None
        self._deadline: Seconds = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # what the engine asks for

    async def send(self, request: HttpRequest, sendable: bytes, deadline: Seconds, *, is_stream: bool) -> HttpResponse:
        """Send, and wait for the whole answer, or for the head of a stream.

        Raises:
            _Stale: the connection ended before an answer began.
        """
        self._request, self._is_stream, self._has_ended = request, is_stream, False
        self._size, self.status = 0, 0
        if self.is_over:
            raise _Stale("the connection was closed")
        self._limit(deadline)
        self._waiter = self._loop.create_future()
        self._transport.write(sendable)
        response = await self._waiter
        return cast(HttpResponse, response)

    def rest(self, seconds: Seconds) -> None:
        """Nobody needs it for now; it closes itself after a while."""
        self._request = self._waiter = None
        self._limit(now() + seconds)

    async def read(self) -> bytes:
        """More of a stream; b"" at its end."""
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._has_ended:
                return b""
            self._waiter = self._loop.create_future()
            await self._waiter
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    def abort(self) -> None:
        self.is_over = True
        self._everyone.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.abort()

    # what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._everyone.add(self)

    def data_received(self, data: bytes) -> None:
        if self._has_ended:  # nobody asked
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BadAnswer(f"an answer that is not HTTP ({error})", about=self._about(), excerpt=repr(data[:40])))

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        why = reason(exc) if exc is not None else "the server closed the connection"
        if not self._has_ended and self.status and not {"content-length", "transfer-encoding"} & self.headers.keys():
            self.on_message_complete()  # a body without a length ends here
        elif not self._has_ended and not self.status:
            self._fail(_Stale(why))
        elif not self._has_ended:
            self._fail(ConnectionFailed(f"{self._about()}: broke in the middle of the answer: {why}", sent=True))
        self.abort()

    # what the parser tells

    def on_message_begin(self) -> None:
        self.headers = {}
        if self._has_ended:  # an answer too many: whose would the next one be?
            self.is_over = True

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
            if self._is_stream:
                self._limit(None)
                self._wake(None)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        self._size += len(body)
        if self._is_stream:
            if self._size > self._settings.stream_buffer_bytes and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
            self._wake(None)
        elif self._size > self._settings.answer_limit_bytes and self._request is not None:
            self._fail(too_large(self._request, self._settings.answer_limit_bytes))

    def on_message_complete(self) -> None:
        if not self.status:  # 100 and the like announce an answer
            return
        self._has_ended = True
        if not self._parser.should_keep_alive():
            self.is_over = True
        if self._is_stream:
            self._wake(None)
            return
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._wake(HttpResponse(self.status, self.headers, body))

    # own

    def _wake(self, result: HttpResponse | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(result)

    def _fail(self, error: Exception) -> None:
        self._error, self._has_ended = error, True
        if self._waiter is not None and not self._waiter.done() and not (self._is_stream and self.status):
            self._waiter.set_exception(error)
        else:
            self._wake(None)
        self.abort()

    def _limit(self, deadline: Seconds | None) -> None:
        """Set the time limit. A timer that is early anyway is left alone, so that most requests touch none."""
        self._deadline = deadline if deadline is not None else float("inf")
        if self._timer is not None and self._timer.when() <= self._deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._on_time) if deadline is not None else None

    def _on_time(self) -> None:
        self._timer = None
        if self._deadline > now():
            if self._deadline != float("inf"):
                self._limit(self._deadline)
        elif self._request is None:
            self.abort()
        else:
            self._fail(RequestTimeout(f"{self._about()}: no answer in time", sent=True))

    def _about(self) -> str:
        return about(self._request, self._server) if self._request is not None else self._server


class _Stream:
    def __init__(self, connection: _Connection) -> None:
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        self._connection = connection

    async def read(self) -> bytes:
        return await self._connection.read()

    async def aclose(self) -> None:
        self._connection.abort()


def _line(header: tuple[str, str]) -> str:
    name, value = header
    if "\r" in value or "\n" in value or "\0" in value:
        raise ValueError(f"a line break in the header {name}")
    return f"{name}: {value}\r\n"
