"""Stands between a client and an API server, on real sockets: passes bytes on, until it is told not to.

``Relay`` understands nothing of what passes; it refuses, cuts and delays. ``Tripwire`` opens the TLS, counts writes and
keeps back the answer to one of them: the server has carried it out, and who asked never hears of it.
"""

import asyncio
import itertools
import json
import random
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import define, field

from reconcile.core.clock import Seconds
from reconcile.testing.envtest import ControlPlane

_numbers = itertools.count(1)
_WRITES = {b"POST", b"PUT", b"PATCH", b"DELETE"}


@define(eq=False)
class Tripwire:
    """Trips when the ``nth`` write to ``plural`` was answered, by whichever relay; ``trip`` must not wait."""

    nth: int
    plural: str
    trip: Callable[[], None]
    has_tripped: bool = field(default=False, init=False)
    _count: int = field(default=0, init=False)

    def is_last(self, method: bytes, target: bytes) -> bool:
        """Whether this request is the one whose answer must not arrive. Call it once for each."""
        if method in _WRITES and f"/{self.plural}".encode() in target:
            self._count += 1
            return self._count == self.nth
        return False


@define(eq=False)
class Relay:
    """A way to the API server of ``plane``; enter it with ``async with``."""

    plane: ControlPlane
    tripwire: Tripwire | None = None
    pause: Callable[[], Seconds] | None = None
    """How long each piece of bytes is held up."""
    is_refusing: bool = False
    """New connections are closed at once."""
    is_swallowing: bool = False
    """What comes in either direction is lost."""
    url: str = field(default="", init=False)
    connections: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)
    broken: int = field(default=0, init=False)
    _links: set[asyncio.StreamWriter] = field(factory=set, init=False)
    _server: asyncio.Server | None = field(default=None, init=False)

    def kubeconfig(self, original: Path) -> Path:
        """The same identity, by this way."""
        document = json.loads(original.read_text())
        document["clusters"][0]["cluster"]["server"] = self.url
        path = original.with_name(f"{original.name}-relayed-{next(_numbers)}")
        path.touch(mode=0o600)
        path.write_text(json.dumps(document))
        return path

    def cut(self) -> int:
        """Break every connection, as a router does that lost its memory. Answers how many there were."""
        links = list(self._links)
        for link in links:
            link.transport.abort()
        self.broken += len(links) // 2
        return len(links) // 2

    def cut_one(self, rng: random.Random) -> None:
        """Break one connection, and with it whatever it carries at the moment."""
        if links := sorted(self._links, key=id):
            rng.choice(links).transport.abort()
            self.broken += 1

    async def __aenter__(self) -> Self:
        context = None
        if self.tripwire is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.plane.folder / "server.crt", self.plane.folder / "server.key")
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"https://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.is_refusing = True
        while self._links:
            self.cut()
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses():
            self.refused += 1
            writer.transport.abort()
            return
        self.connections += 1
        host, _, port = self.plane.url.rpartition("//")[2].partition(":")
        context = None
        if self.tripwire is not None:
            context = ssl.create_default_context(cadata=self.plane.ca.pair.certificate)
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port), ssl=context)
        except OSError:
            writer.transport.abort()
            return
        if self._refuses():  # by now
            writer.transport.abort()
            far_writer.transport.abort()
            return
        links = {writer, far_writer}
        self._links |= links
        link = _Link(self, reader, writer, far_reader, far_writer)
        try:
            await link.run()
        finally:
            for one in links:
                one.transport.abort()
            self._links -= links

    def _refuses(self) -> bool:
        return self.is_refusing or (self.tripwire is not None and self.tripwire.has_tripped)


@define(eq=False)
class _Link:
    """One connection and its continuation."""

    relay: Relay
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    far_reader: asyncio.StreamReader
    far_writer: asyncio.StreamWriter
    is_muted: bool = False
    is_broken: bool = False
    """A piece is missing, so what follows makes no sense."""

    async def run(self) -> None:
        """Until either end is closed."""
        there = self._pass_on(self.reader, self.far_writer) if self.relay.tripwire is None else self._requests()
        tasks = [asyncio.create_task(there), asyncio.create_task(self._pass_on(self.far_reader, self.writer))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError, ssl.SSLError):
                    await task

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if self.is_muted:  # the write is done
                assert self.relay.tripwire is not None
                self.relay.tripwire.has_tripped = True
                self.relay.tripwire.trip()
                return
            if self.relay.is_swallowing:
                self.is_broken = True
            if self.is_broken:
                continue
            if self.relay.pause is not None:
                await asyncio.sleep(self.relay.pause())
            writer.write(data)
            await writer.drain()

    async def _requests(self) -> None:
        """Requests as HTTP/1.1 has them, bodies with their length said first."""
        assert self.relay.tripwire is not None
        while True:
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            names = dict(line.lower().split(b":", 1) for line in lines[1:] if line)
            assert b"transfer-encoding" not in names
            body = await self.reader.readexactly(int(names.get(b"content-length", b"0")))
            method, target, _ = lines[0].split(b" ")
            if self.relay.tripwire.has_tripped:
                return
            self.is_muted = self.relay.tripwire.is_last(method, target)
            self.far_writer.write(head + body)
            await self.far_writer.drain()
