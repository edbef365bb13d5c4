"""Reaching a server through a proxy that opens tunnels, on real sockets: the server's name leads nowhere but there."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest

from reconcile.kube import egress
from reconcile.kube.access import ClusterAccess
from reconcile.kube.credentials import RenewedCredentials
from reconcile.kube.errors import ConnectionFailed, RequestTimeout
from reconcile.kube.kubeconfig import LoginError
from reconcile.kube.request import HttpRequest
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.kube.tunnel import Tunnel
from reconcile.testing.certificates import Authority, KeyPair
from reconcile.testing.plugin import AnyioBackend

Way: TypeAlias = Literal["tcp", "tls", "uds"]
Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CA = Authority.create("all", dt.datetime.now(dt.UTC))
REQUEST = HttpRequest("GET", "/version")
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}


class Proxy:
    """Opens tunnels to one port, whatever is asked for; notes what was."""

    def __init__(self, leads_to: int, answer: bytes = OPENED) -> None:
        self.leads_to = leads_to
        self.answer = answer
        self.asked: list[str] = []
        self.open = 0
        self.bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.split(b"\r\n")[0].decode())
            writer.write(self.answer)
            if self.answer is not OPENED:
                await asyncio.sleep(0.2 if self.answer else 30)
            else:
                await self._through(reader, writer)

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.leads_to)
        self.open += 1
        try:
            await self._copied(reader, writer, there, back)
        finally:
            back.transport.abort()
            self.open -= 1

    async def _copied(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:

        async def copy(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await one.read(65536):
                    self.bytes += data
                    other.write(data)
                    await other.drain()
            other.close()

        async with asyncio.TaskGroup() as both:
            both.create_task(copy(reader, back))
            both.create_task(copy(there, writer))


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server with one answer, and a stream for whoever asks for more."""
    with suppress(OSError, asyncio.IncompleteReadError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            if b"watch" in head:
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                for _ in range(3):
                    writer.write(b"3\r\nabc\r\n")
                    await writer.drain()
                    await asyncio.sleep(0)
                writer.write(b"0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def served(pair: KeyPair, folder: Path, client_ca: str = "") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, text in (("crt", pair.certificate), ("key", pair.key)):
        (folder / name).write_text(text)
    context.load_cert_chain(folder / "crt", folder / "key")
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_ca)
    return context


@asynccontextmanager
async def listening(handler: Handler, **where: Any) -> AsyncIterator[int]:
    """A listener on a free port, or at a ``path``; at the end nothing of it is left."""
    handling: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling.add(task)
        with suppress(asyncio.CancelledError):  # asyncio would log it
            await handler(reader, writer)
        writer.transport.abort()
        handling.discard(task)

    start = asyncio.start_unix_server if "path" in where else partial(asyncio.start_server, host="127.0.0.1", port=0)
    server = await start(handle, **where)
    try:
        yield 0 if "path" in where else server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in handling:
            task.cancel()
        while handling:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)  # a transport closes its socket one step later


@asynccontextmanager
async def proxied(
    way: Way, folder: Path, *, is_tls: bool = True, said: bytes = OPENED
) -> AsyncIterator[tuple[Proxy, Path, ClusterAccess]]:
    """A proxy, the egress file that leads to it, and a server that can be reached through it only."""
    tls = served(CA.server(["api.invalid"]), folder) if is_tls else None
    async with AsyncExitStack() as stack:
        proxy = Proxy(await stack.enter_async_context(listening(answer, ssl=tls)), said)
        if way == "uds":
            await stack.enter_async_context(listening(proxy.serve, path=folder / "proxy.sock"))
            transport = f"uds: {{udsName: {folder / 'proxy.sock'}}}"
        else:
            outer = served(CA.server(["127.0.0.1"]), folder, CA.pair.certificate) if way == "tls" else None
            port = await stack.enter_async_context(listening(proxy.serve, ssl=outer))
            url = f"{'https' if outer else 'http'}://127.0.0.1:{port}"
            transport = f"tcp: {{url: '{url}'}}"
            if outer:
                mine = CA.client("me")
                for name, text in (("ca", CA.pair.certificate), ("c", mine.certificate), ("k", mine.key)):
                    (folder / name).write_text(text)
                config = f"{{caBundle: {folder}/ca, clientCert: {folder}/c, clientKey: {folder}/k}}"
                transport = f"tcp: {{url: '{url}', tlsConfig: {config}}}"
        file = folder / "egress.yaml"
        file.write_text(selecting(f"{{proxyProtocol: HTTPConnect, transport: {{{transport}}}}}"))
        scheme = "https" if is_tls else "http"
        yield (
            proxy,
            file,
            ClusterAccess(f"{scheme}://api.invalid:6443", ca=CA.pair.certificate.encode() if is_tls else None),
        )


def selecting(connection: str, name: str = "controlplane", more: str = "") -> str:
    return (
        "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections:\n"
        f"- name: {name}\n  connection: {connection}\n{more}"
    )


def through(tunnel: Tunnel | None, access: ClusterAccess, **options: Any) -> HttpTransport:
    settings = TransportSettings(tunnel=tunnel, **options)
    return HttpTransport(RenewedCredentials(access), settings, {"HTTPS_PROXY": "http://nowhere.invalid:1"})


@pytest.mark.parametrize("way", ["tcp", "tls", "uds"])
@pytest.mark.parametrize("is_tls", [True, False], ids=["https", "http"])
async def test_calls_and_streams_take_the_tunnel_and_only_its_target_is_seen(
    way: Way, is_tls: bool, tmp_path: Path
) -> None:
    async with (
        proxied(way, tmp_path, is_tls=is_tls) as (proxy, file, access),
        through(egress.load(file), access) as transport,
    ):
        for _ in range(3):
            assert (await transport.call(REQUEST, timeout=60)).body == b"ok"
        assert proxy.asked == ["CONNECT api.invalid:6443 HTTP/1.1"], "one connection is used again"
        stream = await transport.open(HttpRequest("GET", "/watch"), timeout=60)
        read = b""
        while part := await stream.read():
            read += part
        assert read == b"abcabcabc"
        await stream.aclose()
        assert proxy.asked == ["CONNECT api.invalid:6443 HTTP/1.1"] * 2
        assert (b"/version" in proxy.bytes) == (not is_tls)


async def test_a_tunnel_ends_with_its_connection(tmp_path: Path) -> None:
    async with proxied("tcp", tmp_path) as (proxy, file, access):
        async with through(egress.load(file), access) as transport:
            await transport.call(REQUEST, timeout=60)
            assert proxy.open == 1
        for _ in range(600):
            if not proxy.open:
                break
            await asyncio.sleep(0.05)
        assert proxy.open == 0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refuses to reach api.invalid:6443: 403 Forbidden"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "answers with what is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nmore", "sends what does not belong to its answer"),
        (b"x" * 70_000, "answers with what is not HTTP"),
        (b"HTTP/1.1 200", "closed the connection"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_named_and_nothing_was_sent(
    said: bytes, told: str, tmp_path: Path
) -> None:
    async with (
        proxied("tcp", tmp_path, said=said) as (proxy, file, access),
        through(egress.load(file), access) as transport,
    ):
        with pytest.raises(ConnectionFailed, match=told) as caught:
            await transport.call(REQUEST, timeout=60)
        assert not caught.value.sent
        assert "the proxy 127.0.0.1:" in str(caught.value)
        assert len(proxy.asked) == 1


async def test_a_proxy_that_says_nothing_costs_no_more_than_the_time_limit(tmp_path: Path) -> None:
    async with (
        proxied("tcp", tmp_path, said=b"") as (_, file, access),
        through(egress.load(file), access, connect_timeout=0.2) as transport,
    ):
        with pytest.raises(RequestTimeout, match="no connection in time"):
            await transport.call(REQUEST, timeout=60)


async def test_a_proxy_that_is_not_there_is_named(tmp_path: Path) -> None:
    for tunnel in (Tunnel(socket=str(tmp_path / "none")), Tunnel(("127.0.0.1", 1))):
        async with through(tunnel, ClusterAccess("http://api.invalid")) as transport:
            with pytest.raises(ConnectionFailed, match=f"the proxy {tunnel} cannot be reached"):
                await transport.call(REQUEST, timeout=60)


async def test_a_server_with_another_name_is_not_trusted_inside_of_a_tunnel_either(tmp_path: Path) -> None:
    async with proxied("tcp", tmp_path) as (_, file, access):
        other = ClusterAccess("https://other.invalid:6443", ca=access.ca)
        async with through(egress.load(file), other) as transport:
            with pytest.raises(ConnectionFailed, match="not trusted"):
                await transport.call(REQUEST, timeout=60)


# the file

GRPC = "{proxyProtocol: GRPC, transport: {uds: {udsName: /x}}}"
UDS = "{proxyProtocol: HTTPConnect, transport: {uds: {udsName: /x}}}"


@pytest.mark.parametrize(
    ("text", "socket"),
    [
        (selecting("{proxyProtocol: Direct}"), None),
        (selecting(UDS), "/x"),
        (selecting(UDS, "cluster"), None),
        (selecting(UDS, "ControlPlane"), "/x"),
        (selecting(GRPC, "cluster", f"- name: controlplane\n  connection: {UDS}\n"), "/x"),
        (selecting(UDS, "master").replace("v1beta1", "v1alpha1"), "/x"),
        (selecting(UDS).partition("- name")[0].replace("egressSelections:", "egressSelections: []"), None),
    ],
)
def test_the_selection_for_the_control_plane_counts(text: str, socket: str | None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    found = egress.load(tmp_path / "file")
    assert (found.socket if found else None) == socket


def tcp(inner: str) -> str:
    return selecting(f"{{proxyProtocol: HTTPConnect, transport: {{tcp: {inner}}}}}")


BAD: list[tuple[str | Callable[[str], str], str]] = [
    (selecting(GRPC), "connection: proxyProtocol GRPC is not supported: let the proxy server speak HTTPConnect"),
    ("{", "is not YAML"),
    ("[]", "a mapping is expected"),
    ("a: 2020-13-45", "is not YAML"),
    ("[" * 600, "is not YAML"),
    (selecting(UDS) + "egressSelections: []\n", "egressSelections stands there twice, again in line"),
    (selecting(UDS.replace("/x}", "/x, udsName: /y}")), "udsName stands there twice, again in line"),
    ("{}", "apiVersion is required"),
    (selecting(UDS).replace("v1beta1", "v1"), "must be an EgressSelectorConfiguration of"),
    (selecting(UDS).replace("EgressS", "S"), "must be an EgressSelectorConfiguration of"),
    (selecting(UDS) + "extra: 1\n", "unknown field 'extra'"),
    (selecting(UDS, "edge"), "egressSelections[0]: name must be one of controlplane, cluster, etcd"),
    (selecting(UDS, more=f"- name: controlplane\n  connection: {UDS}\n"), "egressSelections[1]: there is a selection"),
    (selecting(UDS, more=f"- name: ControlPlane\n  connection: {UDS}\n"), "egressSelections[1]: there is a selection"),
    (selecting("{proxyProtocol: Magic}"), "proxyProtocol must be Direct, HTTPConnect or GRPC"),
    (selecting("{proxyProtocol: Direct, transport: {}}"), "a direct connection has no transport"),
    (selecting("{proxyProtocol: HTTPConnect}"), "connection: transport is required"),
    (selecting("{proxyProtocol: HTTPConnect, transport: {}}"), "either tcp or uds must be given"),
    (selecting("{proxyProtocol: HTTPConnect, transport: {uds: {}}}"), "transport.uds: udsName is required"),
    (selecting("{proxyProtocol: HTTPConnect, transport: {uds: {udsName: 7}}}"), "udsName must be text"),
    (tcp("{url: 'ftp://a:1'}"), "url must be http://host:port or https://host:port"),
    (tcp("{url: 'http://a:x'}"), "url has no port that could be used"),
    (tcp("{url: 'http://a:1', tlsConfig: {}}"), "tlsConfig goes with an https url only"),
    (tcp("{url: 'https://a:1'}"), "tcp: tlsConfig is required"),
    (tcp("{url: 'https://a:1', tlsConfig: {clientKey: k}}"), "tlsConfig: clientCert is required"),
    (tcp("{url: 'https://a:1', tlsConfig: {clientKey: /no/k, clientCert: /no/c}}"), "client-certificate /no/c cannot"),
]


@pytest.mark.parametrize(("text", "told"), BAD)
def test_a_file_that_is_wrong_says_where_in_one_line(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(LoginError) as caught:
        egress.load(tmp_path / "file")
    assert told in str(caught.value)
    assert str(tmp_path / "file") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_and_a_missing_extra_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LoginError, match="cannot be read: No such file"):
        egress.load(tmp_path / "none")
    (tmp_path / "file").write_text(selecting(UDS))
    monkeypatch.setattr(egress, "find_spec", lambda _: None)
    with pytest.raises(LoginError, match="needs the extra 'fast'"):
        egress.load(tmp_path / "file")
