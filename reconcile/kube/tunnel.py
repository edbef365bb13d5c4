"""A way to a server through a proxy that opens tunnels (HTTP CONNECT): over TCP, over TLS, or over a unix socket.

The proxy sees where we go and nothing else: TLS to the server runs inside the tunnel, with the server's own name.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, TypeVar, cast

from attrs import field, frozen

P = TypeVar("P", bound=asyncio.Protocol)
HEAD_LIMIT_BYTES: Final = 64 * 1024
"""A proxy that says more than this before it opens is none."""


@frozen
class Tunnel:
    """How a proxy is reached: at ``address`` (host and port), inside of ``tls`` if given, or at a unix ``socket``."""

    address: tuple[str, int] = ("", 0)
    socket: str = ""
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.socket or f"{self.address[0]}:{self.address[1]}"

    async def connect(
        self,
        protocol: Callable[[], P],
        host: str,
        port: int,
        *,
        ssl: ssl.SSLContext | None,
        server_hostname: str | None,
    ) -> tuple[asyncio.Transport, P]:
        """As ``loop.create_connection``, through the proxy. Needs a time limit around it.

        Raises:
            OSError: the proxy is not there, or does not open a tunnel; says what it answered.
        """
        loop = asyncio.get_running_loop()
        transport, opening = await self._reach(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        try:
            await opening.opened
            if ssl is not None:
                # not for the caller's protocol: it must not hear of the end of what never began
                inner = await loop.start_tls(transport, opening, ssl, server_hostname=server_hostname)
                if inner is None:
                    raise ConnectionResetError(f"the proxy {self} closed the tunnel")
                transport = inner
        except BaseException:
            transport.abort()
            raise
        made = protocol()
        transport.set_protocol(made)
        made.connection_made(transport)
        return transport, made

    async def _reach(self, target: str) -> "tuple[asyncio.Transport, _Opening]":
        loop = asyncio.get_running_loop()

        def opening() -> _Opening:
            return _Opening(target, str(self))

        try:
            if self.socket:
                return await loop.create_unix_connection(opening, self.socket)
            name = self.address[0] if self.tls is not None else None
            return await loop.create_connection(opening, *self.address, ssl=self.tls, server_hostname=name)
        except ssl.SSLError as error:
            raise ConnectionError(f"the proxy {self} cannot be trusted: {error.reason or error}") from error
        except OSError as error:
            raise ConnectionError(f"the proxy {self} cannot be reached: {error.strerror or error}") from error


class _Opening(asyncio.Protocol):
    """Asks for the tunnel, and reads no further than the head of the answer."""

    def __init__(self, target: str, proxy: str) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._target = target
        self._proxy = proxy
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        sendable = f"CONNECT {self._target} HTTP/1.1\r\nHost: {self._target}\r\n\r\n"
        cast(asyncio.Transport, transport).write(sendable.encode())

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if not end and len(head) <= HEAD_LIMIT_BYTES:
            return
        version, _, said = head.split(b"\r\n")[0].decode("latin-1").partition(" ")
        if not end or not version.startswith("HTTP/1."):
            self._fail("answers with what is not HTTP")
        elif not said.startswith("2"):
            self._fail(f"refuses to reach {self._target}: {said.strip()[:80]}")
        elif rest:  # nobody has asked the server anything yet
            self._fail("sends what does not belong to its answer")
        elif not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("closed the connection")

    def _fail(self, how: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"the proxy {self._proxy} {how}"))
            self.opened.exception()  # whoever gave up waiting does not ask
