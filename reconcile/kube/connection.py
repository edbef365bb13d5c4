"""One connection to a server: HTTP/1.1, one request at a time.

Sends bytes that are ready to go, and hands out the answer: whole, or as a stream whose server is held back when nobody
reads. Any doubt about where an answer ends or whose it is costs the connection, so no answer meets another question.
Who may use a connection and when is ``wire.py``'s business.
"""

import asyncio
import math
import ssl
from collections.abc import Mapping
from typing import Any, Final, cast

import httptools

from reconcile.core.clock import Clock, Seconds
from reconcile.kube.errors import BadAnswer, ConnectionFailed, RequestTimeout
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.transport import TransportSettings, about, reason, too_large

_STOOD_STILL: Final[Seconds] = 1.0
"""A timer that is so late was not late because of the server."""
_GRACE: Final[Seconds] = 5.0
"""What an answer gets once more when this process, and maybe the server with it, stood still beyond the time limit."""


class Stale(Exception):
    """The connection ended before the first byte of an answer: maybe it was dead before the request was sent."""


class Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(
        self, server: str, settings: TransportSettings, tls: ssl.SSLContext | None, everyone: "set[Connection]"
    ) -> None:
        self.tls = tls
        self.is_over = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self._server = server
        self._settings = settings
        self._everyone = everyone
        self._loop = asyncio.get_running_loop()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._request: HttpRequest | None = None
        self._waiter: asyncio.Future[Any] | None = None
        self._is_stream = False
        self._is_paused = False
        self._has_ended = True
        self._parts: list[bytes] = []
        self._size = 0
        self._error: Exception | None = None
        self._deadline: Seconds = 0.0
        self._timer: asyncio.Handle | None = None
        self._timer_at: Seconds = math.inf  # not every loop gives back a handle that knows its time
        self._clock = Clock()

    # what the engine asks for

    async def send(self, request: HttpRequest, sendable: bytes, deadline: Seconds, *, is_stream: bool) -> HttpResponse:
        """Send, and wait for the whole answer, or for the head of a stream.

        Raises:
            Stale: the connection ended before an answer began.
        """
        self._request, self._is_stream, self._has_ended = request, is_stream, False
        self._size, self.status = 0, 0
        if self.is_over or self._transport is None:
            raise Stale("the connection was closed")
        self._limit(deadline)
        self._waiter = self._loop.create_future()
        self._transport.write(sendable)
        response = await self._waiter
        return cast(HttpResponse, response)

    def rest(self, seconds: Seconds) -> None:
        """Nobody needs it for now; it closes itself after a while."""
        self._request = self._waiter = None
        self._limit(self._clock.now() + seconds)

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
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    def abort(self) -> None:
        self.is_over = True
        self._everyone.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Nobody reads any more."""
        self.abort()
        self._error = None  # its traceback has the frame that has us

    # what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._everyone.add(self)

    def data_received(self, data: bytes) -> None:
        if self._has_ended or self._parser is None:  # nobody asked
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
            self._fail(Stale(why))
        elif not self._has_ended:
            self._fail(ConnectionFailed(f"{self._about()}: broke in the middle of the answer: {why}", sent=True))
        self.abort()
        # what would come back to us in a circle: Python frees circles after minutes, and TLS holds much in its buffers
        self._parser = self._transport = self._waiter = None

    # what the parser tells

    def on_message_begin(self) -> None:
        self.headers = {}
        if self._has_ended:  # an answer too many: whose would the next one be?
            self.is_over = True

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        assert self._parser is not None
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
            is_enough = self._size > self._settings.stream_buffer_bytes
            if is_enough and not self._is_paused and self._transport is not None:
                self._is_paused = True
                self._transport.pause_reading()
            self._wake(None)
        elif self._size > self._settings.answer_limit_bytes and self._request is not None:
            self._fail(too_large(self._request, self._settings.answer_limit_bytes))

    def on_message_complete(self) -> None:
        if not self.status:  # 100 and the like announce an answer
            return
        self._has_ended = True
        assert self._parser is not None
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
        self._has_ended = True
        if self._waiter is not None and not self._waiter.done() and not (self._is_stream and self.status):
            self._waiter.set_exception(error)
        else:
            self._error = error
            self._wake(None)
        self.abort()

    def _limit(self, deadline: Seconds | None) -> None:
        """Set the time limit. A timer that is early anyway is left alone, so that most requests touch none."""
        self._deadline = deadline if deadline is not None else math.inf
        if self._timer is not None and self._timer_at <= self._deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._on_time) if deadline is not None else None

    def _on_time(self) -> None:
        self._timer = None
        if self._deadline > self._clock.now():
            if self._deadline != math.inf:
                self._limit(self._deadline)
        elif self._request is None:
            self.abort()
        elif self._clock.now() - self._deadline > _STOOD_STILL:
            # we did not run when time was up, and maybe neither did the server: what came is still to be read
            self._limit(self._clock.now() + _GRACE)
        else:
            self._fail(RequestTimeout(f"{self._about()}: no answer in time", sent=True))

    def _about(self) -> str:
        return about(self._request, self._server) if self._request is not None else self._server


class WireStream:
    def __init__(self, connection: Connection) -> None:
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        self._connection = connection

    async def read(self) -> bytes:
        return await self._connection.read()

    async def aclose(self) -> None:
        self._connection.close()
