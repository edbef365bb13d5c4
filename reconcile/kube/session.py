"""Requests over aiohttp: everything works here, proxies included.

Our own session rather than one made by a library: it reads no environment for each request (two hops through a thread),
keeps no cookies, adds no headers, follows no redirects and asks for no compression. Errors of aiohttp end in this file.
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import aiohttp
from attrs import define
from multidict import CIMultiDict
from yarl import URL

from reconcile.core.clock import Seconds
from reconcile.kube.access import ClusterAccess
from reconcile.kube.credentials import Grant
from reconcile.kube.errors import BadAnswer, ConnectionFailed, RequestTimeout
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.transport import Guard, TransportSettings, about, reason, target, too_large, watch_over


class SessionEngine:
    """An ``Engine`` on two aiohttp sessions: one of bounded size for calls, one for streams.

    A new TLS context needs nothing else: aiohttp keeps connections apart by their context, and the old ones idle out.
    """

    def __init__(self, access: ClusterAccess, settings: TransportSettings, proxy: str) -> None:
        self._server = access.server
        self._settings = settings
        self._options: dict[str, Any] = {"allow_redirects": False}
        if proxy:
            self._options["proxy"] = URL(proxy)
        if access.tls_server_name:
            self._options["server_hostname"] = access.tls_server_name
        self._calls = _session(settings, limit=settings.max_calls)
        self._streams = _session(settings, limit=0)

    async def call(self, request: HttpRequest, grant: Grant, *, timeout: Seconds, guard: Guard | None) -> HttpResponse:
        limits = _limits(timeout, self._settings.connect_timeout)
        with _attempt(request, self._server, guard):
            sending = self._calls.request(*self._target(request), **self._rest(request, grant), timeout=limits)
            async with sending as response:
                body = await self._body(request, response)
                return HttpResponse(response.status, _headers(response), body)

    async def open(self, request: HttpRequest, grant: Grant, *, timeout: Seconds, guard: Guard | None) -> "_Stream":
        # a total would go on counting while the stream is read
        limits = _limits(None, self._settings.connect_timeout)
        with _attempt(request, self._server, guard):
            sending = self._streams.request(*self._target(request), **self._rest(request, grant), timeout=limits)
            async with asyncio.timeout(timeout):
                response = await sending
        return _Stream(response.status, _headers(response), response, about(request, self._server))

    async def aclose(self) -> None:
        await self._calls.close()
        await self._streams.close()

    def _target(self, request: HttpRequest) -> tuple[str, URL]:
        return request.method, URL(self._server + target(request), encoded=True)

    def _rest(self, request: HttpRequest, grant: Grant) -> dict[str, Any]:
        return {
            "headers": CIMultiDict((*request.headers.items(), *grant.headers)),
            "data": request.body or None,
            "ssl": grant.tls or True,
            **self._options,
        }

    async def _body(self, request: HttpRequest, response: aiohttp.ClientResponse) -> bytes:
        limit, length = self._settings.answer_limit_bytes, response.content_length
        if length is not None and length <= limit:
            return await response.read()
        parts, size = [], length or 0
        while size <= limit and (part := await response.content.readany()):
            parts.append(part)
            size += len(part)
        if size > limit:
            raise too_large(request, limit)
        return b"".join(parts)


@define(eq=False)
class _Stream:
    status: int
    headers: Mapping[str, str]
    _response: aiohttp.ClientResponse
    _about: str

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:  # the last: our own side was closed
            raise ConnectionFailed(f"{self._about}: the stream broke: {_why(error)}", sent=True) from error

    async def aclose(self) -> None:
        self._response.close()


@define(eq=False)
class _Attempt:
    guard: Guard | None
    sent: bool = False


_CURRENT: ContextVar[_Attempt] = ContextVar("attempt")


class _Request(aiohttp.ClientRequest):
    """Asks the guard when the connection stands and nothing but writing is left."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        attempt = _CURRENT.get()
        if attempt.guard is not None:
            attempt.guard()
        attempt.sent = True  # stays so through a repetition that aiohttp makes by itself
        return await super().send(conn)


@contextmanager
def _attempt(request: HttpRequest, server: str, guard: Guard | None) -> Iterator[None]:
    """Carry the guard to where the bytes leave, and turn what aiohttp raises into our errors."""
    attempt = _Attempt(guard)
    token = _CURRENT.set(attempt)
    try:
        yield
    except TimeoutError as error:
        what = "no answer in time" if attempt.sent else "no connection in time"
        raise RequestTimeout(f"{about(request, server)}: {what}", sent=attempt.sent) from error
    except aiohttp.ClientHttpProxyError as error:
        message = f"{about(request, server)}: the proxy refused: {error.status} {error.message}"
        raise ConnectionFailed(message, sent=False) from error
    except aiohttp.ClientResponseError as error:
        raise BadAnswer(
            f"an answer that is not HTTP ({error.message.strip()})", about=about(request, server)
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionFailed(f"{about(request, server)}: {_why(error)}", sent=attempt.sent) from error
    finally:
        _CURRENT.reset(token)


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return reason(error.certificate_error)
    return reason(error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error)


def _session(settings: TransportSettings, *, limit: int) -> aiohttp.ClientSession:
    def connect(address: Any) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        watch_over(made, settings)
        return made

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit, keepalive_timeout=settings.idle_timeout, socket_factory=connect),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"user-agent": settings.user_agent},
        skip_auto_headers=("accept", "accept-encoding", "content-type"),
        auto_decompress=False,
        trust_env=False,
        request_class=_Request,
        read_bufsize=settings.stream_buffer_bytes // 2,  # aiohttp pauses at twice this
    )


@lru_cache(maxsize=64)
def _limits(total: Seconds | None, connect: Seconds) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total, sock_connect=connect)


def _headers(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers
