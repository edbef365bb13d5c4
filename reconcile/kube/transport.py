"""How requests reach an API server: one call, or one stream, at a time.

``HttpTransport`` adds who we are and gives a refused request one more try with fresh credentials. It leaves the bytes
to one of two engines, which keep the same promises (one test suite holds both to them): ``wire.py``, lean, if the extra
``fast`` is installed and no proxy is in the way; else ``session.py``, on aiohttp. Each is loaded on first use.

Whatever goes wrong below becomes a ``ConnectionFailed``, ``RequestTimeout`` or ``BadAnswer`` here; retries are the
client's business. Calls share a bounded number of connections; streams have their own, so that watches never keep a
call waiting.
"""

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal, Protocol, Self, TypeAlias
from urllib.parse import urlencode, urlsplit

from attrs import define, field, frozen

from reconcile.core.clock import Seconds
from reconcile.kube.credentials import Credentials, Grant
from reconcile.kube.errors import BadAnswer, ConnectionFailed
from reconcile.kube.proxies import proxy_for
from reconcile.kube.request import HttpRequest, HttpResponse, Query, parse
from reconcile.kube.tunnel import Tunnel

Guard: TypeAlias = Callable[[], None]
"""Called right before the first byte of a request leaves; may raise, and then nothing is sent."""


class Stream(Protocol):
    """An answer without an end, such as a watch. Whoever opened it closes it."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """What arrived, at least one byte; waits as long as the caller does. b"" at the end.

        Raises:
            ConnectionFailed: the connection broke before the end.
        """
        ...

    async def aclose(self) -> None: ...


class Transport(Protocol):
    """A way to one API server."""

    @property
    def host(self) -> str:
        """For metrics and messages: ``name:port``."""
        ...

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        """Send and read the whole answer, of any status. ``timeout`` counts from the wait for a connection.

        Raises:
            ConnectionFailed: no answer; ``sent`` is False only if the server surely never saw the request.
            RequestTimeout: likewise, in time.
            BadAnswer: no HTTP, or more than the limit.
            LoginError: there are no credentials to send.
        """
        ...

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> Stream:
        """Send and wait at most ``timeout`` for the head of an answer; the rest is the stream's. Raises as ``call``."""
        ...

    async def aclose(self) -> None: ...


@frozen
class TransportSettings:
    """Limits of one transport. Times are in seconds, sizes in bytes."""

    implementation: Literal["auto", "aiohttp", "wire"] = "auto"
    max_calls: int = 32
    """Connections for calls; further calls wait for one."""
    connect_timeout: Seconds = 10.0
    """To connect, TLS included."""
    idle_timeout: Seconds = 50.0
    """An unused connection is closed after this; API servers do so after 90, many load balancers after 60."""
    probe_interval: Seconds = 15.0
    """A silent peer is asked by TCP whether it is still there."""
    silence_limit: Seconds = 30.0
    """A peer that acknowledges nothing for so long is gone."""
    answer_limit_bytes: int = 256 << 20
    stream_buffer_bytes: int = 1 << 20
    """What a stream may hold unread before the server has to wait."""
    user_agent: str = "reconcile"
    proxy: str | None = None
    """None: the kubeconfig's, else the environment's, resolved once. "": none."""
    tunnel: Tunnel | None = None
    """The way that every connection takes, whatever ``proxy`` says. Needs the extra ``fast``."""


class Engine(Protocol):
    """Moves the bytes of one request. Raises as ``Transport`` does."""

    async def call(
        self, request: HttpRequest, grant: Grant, *, timeout: Seconds, guard: Guard | None
    ) -> HttpResponse: ...

    async def open(self, request: HttpRequest, grant: Grant, *, timeout: Seconds, guard: Guard | None) -> Stream: ...

    async def aclose(self) -> None: ...


@define(eq=False)
class HttpTransport:
    """``Transport`` over HTTP/1.1 and TLS. Belongs to the event loop that used it first; ``aclose`` when done."""

    credentials: Credentials
    settings: TransportSettings = TransportSettings()
    environment: Mapping[str, str] = field(factory=lambda: os.environ, repr=False)
    host: str = field(init=False)
    _engine: Engine | None = field(default=None, init=False)
    _is_closed: bool = field(default=False, init=False)

    @host.default
    def _host(self) -> str:
        return urlsplit(self.credentials.access.server).netloc.rpartition("@")[2]

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        grant = await self.credentials.grant()
        response = await self._running.call(request, grant, timeout=timeout, guard=guard)
        if response.status == 401 and (renewed := await self.credentials.renew(grant)) is not None:
            response = await self._running.call(request, renewed, timeout=timeout, guard=guard)
        return response

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> Stream:
        grant = await self.credentials.grant()
        stream = await self._running.open(request, grant, timeout=timeout, guard=guard)
        if stream.status == 401 and (renewed := await self.credentials.renew(grant)) is not None:
            await stream.aclose()
            stream = await self._running.open(request, renewed, timeout=timeout, guard=guard)
        return stream

    async def aclose(self) -> None:
        """Close every connection; what is under way fails, and so does every later call."""
        self._is_closed = True
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def _running(self) -> Engine:
        """Asked for again after each wait: it may have been closed meanwhile."""
        if self._is_closed:
            raise ConnectionFailed(f"the transport to {self.host} is closed", sent=False)
        return self._engine or self._start()

    @property
    def is_direct(self) -> bool:
        """Whether connections go to the server itself, and not to a proxy."""
        return self.settings.tunnel is None and not self._proxy

    @property
    def _proxy(self) -> str:
        access, proxy = self.credentials.access, self.settings.proxy
        return (access.proxy_url or proxy_for(access.server, self.environment)) if proxy is None else proxy

    def _start(self) -> Engine:
        access, settings, proxy = self.credentials.access, self.settings, self._proxy
        chosen = settings.implementation
        if settings.tunnel is not None:
            proxy, chosen = "", "wire"
        if chosen == "auto":
            chosen = "wire" if not proxy and find_spec("httptools") is not None else "aiohttp"
        if chosen == "wire":
            if proxy:
                raise ValueError("the wire transport knows no proxies: choose implementation='auto' or 'aiohttp'")
            try:
                from reconcile.kube.wire import WireEngine
            except ImportError as missing:
                raise ImportError(
                    "the wire transport needs the extra 'fast': pip install 'apinetlet[fast]'"
                ) from missing
            self._engine = WireEngine(access, settings)
        else:
            from reconcile.kube.session import SessionEngine

            self._engine = SessionEngine(access, settings, proxy)
        return self._engine


def about(request: HttpRequest, server: str) -> str:
    """A request as messages name it."""
    return f"{request.method} {parse(request) or request.path} at {server}"


def target(request: HttpRequest) -> str:
    """Path and query for the request line.

    Raises:
        ValueError: it would end the line, or the target, too early.
    """
    path = request.path
    if not path.isprintable() or " " in path:
        raise ValueError(f"a path with a space or a control character: {path!r}")
    return f"{path}?{_encoded(request.query)}" if request.query else path


@lru_cache(maxsize=512)
def _encoded(query: Query) -> str:
    """Most writes of a program have one of a few queries, and encoding one costs as much as sending it."""
    return urlencode(query)


def reason(error: BaseException) -> str:
    """Why a connection failed, in the system's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message} (see certificate-authority, tls-server-name)"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def too_large(request: HttpRequest, limit_bytes: int) -> BadAnswer:
    what = f"an answer of more than {limit_bytes} bytes (answer_limit_bytes)"
    return BadAnswer(what, about=str(parse(request) or request.path), limit_bytes=limit_bytes)


def watch_over(connection: socket.socket | Any, settings: TransportSettings) -> None:
    """Make the kernel notice a peer that is gone without a word: by probes, and by data nobody acknowledges."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return  # a peer on this machine does not go without a word
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    interval, limit = round(settings.probe_interval), round(settings.silence_limit)
    for name, value in (
        ("TCP_KEEPIDLE", interval),
        ("TCP_KEEPINTVL", interval),
        ("TCP_KEEPCNT", max(1, limit // max(1, interval))),
        ("TCP_USER_TIMEOUT", limit * 1000),
    ):
        if hasattr(socket, name):  # not every system has every one
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
