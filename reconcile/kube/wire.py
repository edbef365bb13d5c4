"""Requests over our own HTTP/1.1: a fraction of the work of a full client, because it does one thing.

It keeps a bounded number of connections (``connection.py``) for calls, and makes one for each stream. It knows no
proxies, redirects, cookies or compression: ``session.py`` does proxies, the API needs no more. A request that was
cancelled or late costs its connection. A kept one may turn out to be dead when it is used; then an idempotent request
is sent once more on a new one.
"""

import asyncio
import ssl
from collections import deque
from functools import lru_cache
from urllib.parse import urlsplit

from reconcile.core.clock import Clock, Seconds
from reconcile.kube.access import ClusterAccess
from reconcile.kube.connection import Connection, Stale, WireStream
from reconcile.kube.credentials import Grant
from reconcile.kube.errors import ConnectionFailed, RequestTimeout
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.transport import Guard, TransportSettings, about, reason, target, watch_over

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
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._free = settings.max_calls
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_closed = False
        self._clock = Clock()

    async def call(self, request: HttpRequest, grant: Grant, *, timeout: Seconds, guard: Guard | None) -> HttpResponse:
        deadline = self._clock.now() + timeout
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
                except Stale as stale:
                    if request.method not in IDEMPOTENT:
                        raise self._broken(request, stale) from stale
            connection = await self._connect(request, grant, deadline)
            try:
                return await self._exchange(connection, request, sendable, deadline, guard)
            except Stale as stale:
                raise self._broken(request, stale) from stale
        finally:
            self._leave()

    async def open(self, request: HttpRequest, grant: Grant, *, timeout: Seconds, guard: Guard | None) -> WireStream:
        deadline = self._clock.now() + timeout
        connection = await self._connect(request, grant, deadline)
        try:
            if guard is not None:
                guard()
            await connection.send(request, self._encoded(request, grant), deadline, is_stream=True)
        except Stale as stale:
            raise self._broken(request, stale) from stale
        except BaseException:
            connection.abort()
            raise
        return WireStream(connection)

    async def aclose(self) -> None:
        self._is_closed = True
        while self._all:
            self._all.pop().abort()
            await asyncio.sleep(0)  # the loop closes a socket one step later

    async def _exchange(
        self, connection: Connection, request: HttpRequest, sendable: bytes, deadline: Seconds, guard: Guard | None
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

    def _kept(self, grant: Grant) -> Connection | None:
        if grant.tls is not self._tls:
            self._tls = grant.tls
            while self._idle:
                self._idle.pop().abort()
        while self._idle:
            if not (connection := self._idle.pop()).is_over:
                return connection
        return None

    async def _connect(self, request: HttpRequest, grant: Grant, deadline: Seconds) -> Connection:
        loop = asyncio.get_running_loop()
        limit = min(deadline, self._clock.now() + self._settings.connect_timeout)
        tls = grant.tls if self._server.startswith("https:") else None
        try:
            async with asyncio.timeout_at(limit):
                tunnel = self._settings.tunnel
                transport, connection = await (loop.create_connection if tunnel is None else tunnel.connect)(
                    lambda: Connection(self._server, self._settings, tls, self._all),
                    *self._address,
                    ssl=tls,
                    server_hostname=self._name if tls else None,
                )
        except TimeoutError as error:
            raise RequestTimeout(f"{about(request, self._server)}: no connection in time", sent=False) from error
        except OSError as error:
            raise ConnectionFailed(f"{about(request, self._server)}: {reason(error)}", sent=False) from error
        if self._is_closed:
            connection.abort()
            raise ConnectionFailed(f"{about(request, self._server)}: the transport is closed", sent=True)
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
        own = _lines(tuple(request.headers.items()))
        head = f"{request.method} {self._prefix}{target(request)} HTTP/1.1\r\n{self._head[1]}{own}"
        if body or request.method in WITH_BODY:
            head += f"content-length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + body

    def _broken(self, request: HttpRequest, stale: Stale) -> ConnectionFailed:
        return ConnectionFailed(f"{about(request, self._server)}: {stale}", sent=True)


@lru_cache(maxsize=64)
def _lines(headers: tuple[tuple[str, str], ...]) -> str:
    """Nearly all requests of a program have one of a few sets of headers."""
    return "".join(map(_line, headers))


def _line(header: tuple[str, str]) -> str:
    name, value = header
    if "\r" in value or "\n" in value or "\0" in value:
        raise ValueError(f"a line break in the header {name}")
    return f"{name}: {value}\r\n"
