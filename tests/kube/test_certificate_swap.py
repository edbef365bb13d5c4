"""A new certificate on real sockets: the next connection shows it, and what is under way goes on with the old one."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest

from reconcile.kube.access import ClusterAccess
from reconcile.kube.certificates import pairs
from reconcile.kube.certificates.identity import Identity
from reconcile.kube.certificates.pairs import Pair, Subject
from reconcile.kube.kubeconfig import LoginError
from reconcile.kube.request import HttpRequest
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.testing.certificates import Authority
from reconcile.testing.plugin import AnyioBackend

CA = Authority.create("cluster", dt.datetime.now(dt.UTC))


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}


def a_pair(name: str) -> Pair:
    made = CA.client(name)
    return Pair(made.certificate.encode(), made.key.encode())


class Server:
    """Answers with the name that the caller's certificate shows; ``/watch`` is a stream of it, by each ``tick``."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.tick = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        shown = dict(part[0] for part in writer.get_extra_info("peercert")["subject"])["commonName"]
        self.open.add(shown)
        with suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"/watch" not in head:
                    writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(shown)}\r\n\r\n{shown}".encode())
                    continue
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                while True:
                    writer.write(f"{len(shown):x}\r\n{shown}\r\n".encode())
                    await writer.drain()
                    await self.tick.wait()
                    self.tick.clear()
        self.open.discard(shown)
        writer.transport.abort()
        self._tasks.discard(task)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Server, ClusterAccess]]:
    made, context = CA.server(["127.0.0.1"]), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, text in (("crt", made.certificate), ("key", made.key)):
        (folder / name).write_text(text)
    context.load_cert_chain(folder / "crt", folder / "key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=CA.pair.certificate)
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield server, ClusterAccess(f"https://127.0.0.1:{port}", ca=CA.pair.certificate.encode())
    finally:
        listening.close()
        await server.end()


@pytest.mark.parametrize("implementation", ["wire", "aiohttp"])
async def test_calls_show_the_new_certificate_at_once_and_a_stream_goes_on_with_the_old_one(
    implementation: Literal["wire", "aiohttp"], tmp_path: Path
) -> None:
    async with serving(tmp_path) as (server, access):
        identity = Identity(access)
        await identity.show(a_pair("first"))
        settings = TransportSettings(implementation=implementation, proxy="")

        async def call(transport: Any) -> bytes:
            body: bytes = (await transport.call(HttpRequest("GET", "/who"), timeout=60)).body
            return body

        async with HttpTransport(identity, settings) as transport:
            assert await call(transport) == b"first"
            stream = await transport.open(HttpRequest("GET", "/watch"), timeout=60)
            assert await stream.read() == b"first"
            await identity.show(a_pair("second"))
            assert await call(transport) == b"second"
            server.tick.set()
            assert await stream.read() == b"first", "nothing of it is lost"
            again = await transport.open(HttpRequest("GET", "/watch"), timeout=60)
            assert await again.read() == b"second"
            await stream.aclose()
            await again.aclose()


async def test_idle_connections_of_the_old_certificate_are_closed(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, access):
        identity = Identity(access)
        await identity.show(a_pair("first"))
        async with HttpTransport(identity, TransportSettings(implementation="wire")) as transport:
            await transport.call(HttpRequest("GET", "/who"), timeout=60)
            assert server.open == {"first"}
            await identity.show(a_pair("second"))
            await transport.call(HttpRequest("GET", "/who"), timeout=60)
            for _ in range(600):
                if "first" not in server.open:
                    break
                await asyncio.sleep(0.05)
            assert server.open == {"second"}


async def test_a_certificate_that_cannot_be_used_leaves_the_former_one_in_use(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, access):
        identity = Identity(access)
        with pytest.raises(LoginError, match="there is no client certificate yet"):
            await identity.grant()
        await identity.show(a_pair("first"))
        for bad in (
            Pair(a_pair("x").certificate, a_pair("y").key),
            Pair(b"rubbish", b"rubbish"),
            Pair(a_pair("x").certificate, pairs.make(Subject("x")).key),
        ):
            with pytest.raises(LoginError) as caught:
                await identity.show(bad)
            assert "BEGIN" not in str(caught.value)
        async with HttpTransport(identity, TransportSettings(proxy="")) as transport:
            assert (await transport.call(HttpRequest("GET", "/who"), timeout=60)).body == b"first"
