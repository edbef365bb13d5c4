"""What every way of moving bytes promises: real sockets, both engines."""

import asyncio
import datetime as dt
import gc
import os
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

import anyio
import pytest
from attrs import define, evolve, field

from reconcile.kube.access import ClusterAccess
from reconcile.kube.connection import Connection
from reconcile.kube.credentials import CredentialSettings, Grant, RenewedCredentials
from reconcile.kube.errors import BadAnswer, ConnectionFailed, Fenced, RequestTimeout
from reconcile.kube.request import HttpRequest
from reconcile.kube.transport import HttpTransport, TransportSettings, watch_over
from reconcile.testing.certificates import Authority, KeyPair

AUTHORITY = Authority.create("ca", dt.datetime.now(dt.UTC))
SERVER = AUTHORITY.server(["127.0.0.1", "api.example.com"])
GET = HttpRequest("GET", "/api/v1/pods", (("labelSelector", "a=b c"),), {"accept": "application/json"})
POST = HttpRequest("POST", "/api/v1/namespaces", (), {"content-type": "application/json"}, b'{"a":1}')
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
Implementation: TypeAlias = Literal["aiohttp", "wire"]


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {})  # real sockets


@pytest.fixture(params=["aiohttp", "wire"])
def implementation(request: pytest.FixtureRequest) -> Implementation:
    chosen: Implementation = request.param
    return chosen


@define
class Seen:
    """One request as it arrived."""

    head: str
    body: bytes
    peer: int
    """Which connection it came by."""

    @property
    def line(self) -> str:
        return self.head.split("\r\n")[0]

    def header(self, name: str) -> str | None:
        lines = [line.partition(": ") for line in self.head.split("\r\n")[1:]]
        found = [value for key, _, value in lines if key.lower() == name]
        return ", ".join(found) if found else None


Answer: TypeAlias = Callable[[Seen, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@define(eq=False)
class Peer:
    """A server that answers as it is told, byte by byte."""

    answer: Answer
    port: int = 0
    seen: list[Seen] = field(factory=list)
    connections: int = 0
    open: int = 0
    tls_peers: list[Any] = field(factory=list)
    _writers: list[asyncio.StreamWriter] = field(factory=list)

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Peer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.close()
            await until(lambda: self.open == 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._writers.append(writer)
        peer = self.connections
        self.tls_peers.append(writer.get_extra_info("peercert"))
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().removesuffix("\r\n\r\n")
                seen = Seen(head, b"", peer)
                seen.body = await reader.readexactly(int(seen.header("content-length") or 0))
                self.seen.append(seen)
                await self.answer(seen, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()
            self.open -= 1


def always(*pieces: bytes) -> Answer:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)

    return answer


async def hang(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the client has enough


async def hang_up(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def cut(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(CHUNKED + chunk(b"ab"))
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.close()


@asynccontextmanager
async def reaching(
    peer: Peer, implementation: Implementation, *, access: ClusterAccess | None = None, **settings: Any
) -> AsyncIterator[HttpTransport]:
    access = access or ClusterAccess(f"http://127.0.0.1:{peer.port}", token="t")
    chosen = TransportSettings(implementation, **settings)
    async with HttpTransport(RenewedCredentials(access), chosen, {}) as transport:
        yield transport


Connect: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[Peer, HttpTransport]]]


@pytest.fixture
def connect(implementation: Implementation) -> Connect:
    """A served peer and a transport to it."""

    @asynccontextmanager
    async def connected(answer: Answer, **settings: Any) -> AsyncIterator[tuple[Peer, HttpTransport]]:
        async with Peer(answer).serving() as peer, reaching(peer, implementation, **settings) as transport:
            yield peer, transport

    return connected


# what goes out and what comes back


async def test_a_request_arrives_as_it_was_built(connect: Connect) -> None:
    async with connect(always(OK), user_agent="me/1") as (peer, transport):
        await transport.call(GET, timeout=5)
        await transport.call(POST, timeout=5)
    got, posted = peer.seen
    assert got.line == "GET /api/v1/pods?labelSelector=a%3Db+c HTTP/1.1"
    assert got.header("host") == f"127.0.0.1:{peer.port}"
    assert got.header("user-agent") == "me/1"
    assert got.header("authorization") == "Bearer t"
    assert got.header("accept") == "application/json"
    assert got.header("content-length") is None
    assert [got.header(name) for name in ("accept-encoding", "cookie", "content-type")] == [None] * 3
    assert posted.line == "POST /api/v1/namespaces HTTP/1.1"
    assert posted.header("content-type") == "application/json"
    assert posted.body == b'{"a":1}'


async def test_a_path_of_the_server_goes_before_the_path(implementation: Implementation) -> None:
    async with Peer(always(OK)).serving() as peer:
        access = ClusterAccess(f"http://127.0.0.1:{peer.port}/k8s/clusters/c-1")
        async with reaching(peer, implementation, access=access) as transport:
            await transport.call(GET, timeout=5)
            assert transport.host == f"127.0.0.1:{peer.port}"
    assert peer.seen[0].line.startswith("GET /k8s/clusters/c-1/api/v1/pods?")


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ((OK,), b"{}"),
        ((OK[:9], OK[9:30], OK[30:-1], OK[-1:]), b"{}"),
        ((CHUNKED, chunk(b"ab"), chunk(b"cd"), chunk(b"")), b"abcd"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), b""),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",), b""),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", OK), b"{}"),
    ],
)
async def test_an_answer_is_read_however_it_is_cut(connect: Connect, pieces: tuple[bytes, ...], body: bytes) -> None:
    async with connect(always(*pieces)) as (peer, transport):
        for _ in range(2):
            assert (await transport.call(GET, timeout=5)).body == body
        assert peer.connections == 1


async def test_a_body_without_a_length_ends_with_its_connection(connect: Connect) -> None:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        await writer.drain()
        writer.close()

    async with connect(answer) as (_, transport):
        assert (await transport.call(GET, timeout=5)).body == b"all of it"


async def test_header_names_are_lower_case_and_repeated_ones_are_joined(connect: Connect) -> None:
    head = b"HTTP/1.1 409 Conflict\r\nRetry-After: 1\r\nWarning: a\r\nWARNING: b\r\nContent-Length: 0\r\n\r\n"
    async with connect(always(head)) as (_, transport):
        response = await transport.call(GET, timeout=5)
    assert response.status == 409
    assert response.headers == {"retry-after": "1", "warning": "a, b", "content-length": "0"}


async def test_a_redirect_is_handed_on(connect: Connect) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with connect(always(head)) as (_, transport):
        assert (await transport.call(GET, timeout=5)).status == 302


async def test_cookies_are_not_sent_back(implementation: Implementation) -> None:
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with Peer(always(head)).serving() as peer:
        access = ClusterAccess(f"http://localhost:{peer.port}")  # a name: some keep no cookies for addresses
        async with reaching(peer, implementation, access=access) as transport:
            for _ in range(2):
                await transport.call(GET, timeout=5)
    assert peer.seen[1].header("cookie") is None


@pytest.mark.parametrize(
    "request_", [evolve(GET, headers={"x": "a\r\nb: c"}), HttpRequest("GET", "/a\r\nb:c"), HttpRequest("GET", "/a b")]
)
async def test_nothing_can_slip_into_the_head(connect: Connect, request_: HttpRequest) -> None:
    async with connect(always(OK)) as (peer, transport):
        with pytest.raises(ValueError):  # noqa: PT011 (each engine has its words)
            await transport.call(request_, timeout=5)
        assert peer.seen == []


async def test_every_caller_gets_its_own_answer(connect: Connect) -> None:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(int(seen.line.split()[1][1:]) % 5 / 1000)
        body = seen.line.split()[1].encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with connect(answer, max_calls=4) as (peer, transport):
        paths = [f"/{number}" for number in range(100)]
        answers = await asyncio.gather(*(transport.call(HttpRequest("GET", path), timeout=9) for path in paths))
        assert [response.body.decode() for response in answers] == paths
        assert peer.connections <= 4


# connections


async def test_a_connection_that_the_server_ends_is_not_used_again(connect: Connect) -> None:
    last = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with connect(always(last)) as (peer, transport):
        for _ in range(3):
            await transport.call(GET, timeout=5)
        assert peer.connections == 3


@pytest.mark.pain(1)
async def test_the_kernel_watches_over_every_connection(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def spy(connection: Any, settings: TransportSettings) -> None:
        watch_over(connection, settings)
        seen.append(connection)

    for engine in ("session", "wire"):
        monkeypatch.setattr(f"reconcile.kube.{engine}.watch_over", spy)
    async with connect(always(CHUNKED), probe_interval=7.0, silence_limit=21.0) as (_, transport):
        stream = await transport.open(GET, timeout=5)
        [connection] = seen
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        assert [connection.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [7, 7, 3, 21_000]
        await stream.aclose()


async def test_an_unused_connection_is_closed_after_a_while(connect: Connect) -> None:
    async with connect(always(OK), idle_timeout=0.05) as (peer, transport):
        await transport.call(GET, timeout=5)
        await until(lambda: peer.open == 0)
        await transport.call(GET, timeout=5)
        assert peer.connections == 2


@pytest.mark.pain(33)
async def test_nothing_stays_open_after_closing(connect: Connect) -> None:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if "watch" not in seen.line else CHUNKED)

    before = len(os.listdir("/proc/self/fd"))
    async with connect(answer) as (peer, transport):
        await transport.call(GET, timeout=5)
        streams = [await transport.open(evolve(GET, query=(("watch", "1"),)), timeout=5) for _ in range(3)]
        assert peer.open == 4
        await transport.aclose()
        await until(lambda: peer.open == 0)
        for stream in streams:
            with pytest.raises(ConnectionFailed):
                await stream.read()
            await stream.aclose()
        with pytest.raises(ConnectionFailed, match="is closed"):
            await transport.call(GET, timeout=5)
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


@pytest.mark.pain(33)
async def test_closing_ends_what_is_under_way(connect: Connect) -> None:
    async with connect(hang) as (peer, transport):
        call = asyncio.ensure_future(transport.call(GET, timeout=5))
        await until(lambda: len(peer.seen) == 1)
        await transport.aclose()
        with pytest.raises(ConnectionFailed):
            await call


@pytest.mark.pain(33)
@pytest.mark.parametrize("steps", range(6))
async def test_closing_while_a_connection_is_made_leaves_none(connect: Connect, steps: int) -> None:
    async with connect(always(OK)) as (peer, transport):
        call = asyncio.ensure_future(transport.call(GET, timeout=5))
        for _ in range(steps):
            await asyncio.sleep(0)
        await transport.aclose()
        await asyncio.gather(call, return_exceptions=True)
        assert call.exception() is None or isinstance(call.exception(), ConnectionFailed)
        await asyncio.sleep(0.02)
        await until(lambda: peer.open == 0)


async def test_calls_share_a_bounded_number_of_connections_and_streams_take_none_of_it(connect: Connect) -> None:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "watch" in seen.line:
            writer.write(CHUNKED)
        else:
            await asyncio.sleep(0.005)
            writer.write(OK)

    async with connect(answer, max_calls=3) as (peer, transport):
        streams = [await transport.open(evolve(GET, query=(("watch", "1"),)), timeout=5) for _ in range(40)]
        await asyncio.gather(*(transport.call(GET, timeout=5) for _ in range(30)))
        assert peer.connections == 43
        for stream in streams:
            await stream.aclose()
        await until(lambda: peer.open == 3)


async def test_who_waits_in_vain_for_a_connection_sent_nothing(connect: Connect) -> None:
    async with connect(hang, max_calls=1) as (peer, transport):
        first = asyncio.ensure_future(transport.call(GET, timeout=30))
        await until(lambda: len(peer.seen) == 1)
        with pytest.raises(RequestTimeout) as caught:
            await transport.call(GET, timeout=0.05)
        assert not caught.value.sent
        assert len(peer.seen) == 1
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_a_cancelled_call_takes_its_connection_along(connect: Connect) -> None:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "slow" in seen.line:
            await asyncio.sleep(0.05)
        body = seen.line.split()[1].encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with connect(answer, max_calls=1) as (peer, transport):
        for _ in range(3):
            with anyio.move_on_after(0.01):
                await transport.call(HttpRequest("GET", "/slow"), timeout=5)
            assert (await transport.call(HttpRequest("GET", "/fast"), timeout=5)).body == b"/fast"
        await until(lambda: peer.open == 1)


async def test_cancelling_while_waiting_for_a_connection_loses_no_place(connect: Connect) -> None:
    rng = random.Random(1)
    async with connect(always(OK), max_calls=2) as (_, transport):
        calls = [asyncio.ensure_future(transport.call(GET, timeout=30)) for _ in range(300)]
        while waiting := [call for call in calls if not call.done()]:
            await asyncio.sleep(0)
            if rng.random() < 0.5:
                rng.choice(waiting[:4]).cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        async with asyncio.timeout(10):
            await asyncio.gather(*(transport.call(GET, timeout=5) for _ in range(10)))


# what goes wrong


async def test_a_refused_connection_sent_nothing(implementation: Implementation) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        peer = Peer(hang, nobody.getsockname()[1])
        async with reaching(peer, implementation) as transport:
            with pytest.raises(ConnectionFailed, match=r"list pods at http://127.0.0.1:\d+: .*refused|pods") as caught:
                await transport.call(GET, timeout=5)
    assert not caught.value.sent
    assert not isinstance(caught.value, RequestTimeout)


async def test_an_unknown_host_sent_nothing(implementation: Implementation) -> None:
    access = ClusterAccess("http://no-such-host.invalid:1")
    async with reaching(Peer(hang), implementation, access=access) as transport:
        with pytest.raises(ConnectionFailed) as caught:
            await transport.call(GET, timeout=5)
    assert not caught.value.sent


async def test_a_handshake_that_never_ends_is_given_up_and_sent_nothing(implementation: Implementation) -> None:
    async with Peer(hang).serving() as peer:
        access = ClusterAccess(f"https://127.0.0.1:{peer.port}", ca=AUTHORITY.pair.certificate.encode())
        async with reaching(peer, implementation, access=access, connect_timeout=0.05) as transport:
            with pytest.raises(RequestTimeout) as caught:
                await transport.call(GET, timeout=5)
    assert not caught.value.sent


async def test_an_answer_that_never_comes_leaves_the_outcome_unknown(connect: Connect) -> None:
    async with connect(hang) as (peer, transport):
        with pytest.raises(RequestTimeout, match="no answer in time") as caught:
            await transport.call(POST, timeout=0.05)
        assert caught.value.sent
        with pytest.raises(RequestTimeout) as caught:
            await transport.open(GET, timeout=0.05)
        assert caught.value.sent
        await until(lambda: peer.open == 0)


async def test_time_in_which_everybody_stood_still_is_no_silence_of_the_server() -> None:
    async def stand_still(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        time.sleep(1.7)  # noqa: ASYNC251 - as when the machine sleeps: nobody runs, the client's timer included
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with Peer(stand_still).serving() as peer, reaching(peer, "wire") as transport:
        assert (await transport.call(POST, timeout=0.2)).body == b"ok"


@pytest.mark.parametrize("pieces", [(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",), (CHUNKED, chunk(b"ab"))])
async def test_an_answer_that_breaks_off_leaves_the_outcome_unknown(
    connect: Connect, pieces: tuple[bytes, ...]
) -> None:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await always(*pieces)(seen, reader, writer)
        writer.close()

    async with connect(answer) as (_, transport):
        with pytest.raises(ConnectionFailed) as caught:
            await transport.call(GET, timeout=5)
    assert caught.value.sent


async def test_a_late_answer_meets_no_other_question(connect: Connect) -> None:
    late = asyncio.Event()

    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen.peer == 1:
            await late.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % seen.peer)

    async with connect(answer) as (peer, transport):
        call = asyncio.ensure_future(transport.call(GET, timeout=0.5))
        await until(lambda: len(peer.seen) == 1)
        with pytest.raises(RequestTimeout):
            await call
        late.set()
        await asyncio.sleep(0.01)
        assert (await transport.call(GET, timeout=5)).body == b"2"


@pytest.mark.parametrize("cut", [20, len(OK)])
async def test_an_answer_too_many_meets_no_other_question(connect: Connect, cut: int) -> None:
    wrong = OK.replace(b"{}", b"!!")

    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_first = sum(other.peer == seen.peer for other in peer.seen) == 1
        writer.write(OK + wrong[:cut] if is_first else wrong[cut:] + OK)

    async with connect(answer) as (peer, transport):
        for _ in range(3):
            with suppress(BadAnswer):  # a failure is all right, a wrong answer is not
                assert (await transport.call(GET, timeout=5)).body == b"{}"


async def test_an_answer_out_of_the_blue_costs_its_connection() -> None:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(OK.replace(b"{}", b"!!"))

    # aiohttp takes it for the answer to the next question
    async with Peer(answer).serving() as peer, reaching(peer, "wire") as transport:
        for number in range(3):
            assert (await transport.call(GET, timeout=5)).body == b"{}"
            await until(lambda: peer.open == 0)
            assert peer.connections == number + 1


@pytest.mark.pain(5)
@pytest.mark.parametrize(
    "pieces", [(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", b"x" * 1001), (CHUNKED, chunk(b"x" * 1001))]
)
async def test_an_answer_that_is_too_large_names_what_and_the_limit(
    connect: Connect, pieces: tuple[bytes, ...]
) -> None:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await always(*(pieces if "pods" in seen.line else (OK,)))(seen, reader, writer)

    async with connect(answer, answer_limit_bytes=1000) as (_, transport):
        with pytest.raises(BadAnswer, match=r"pods.*answer_limit_bytes") as caught:
            await transport.call(GET, timeout=5)
        assert caught.value.limit_bytes == 1000
        assert (await transport.call(POST, timeout=5)).body == b"{}"


async def test_an_answer_of_exactly_the_limit_is_read(connect: Connect) -> None:
    async with connect(always(CHUNKED, chunk(b"x" * 1000), chunk(b"")), answer_limit_bytes=1000) as (_, transport):
        assert len((await transport.call(GET, timeout=5)).body) == 1000


@pytest.mark.parametrize(
    "nonsense", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 two OK\r\n\r\n", b"\x15\x03\x01\x00\x02\r\n"]
)
async def test_what_is_not_http_is_told(connect: Connect, nonsense: bytes) -> None:
    async with connect(always(nonsense)) as (_, transport):
        with pytest.raises(BadAnswer, match="not HTTP"):
            await transport.call(GET, timeout=5)


async def test_a_dead_kept_connection_goes_unnoticed_where_repeating_is_safe(connect: Connect) -> None:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if sum(other.peer == seen.peer for other in peer.seen) == 1:
            writer.write(OK)
        else:
            writer.close()

    async with connect(answer) as (peer, transport):
        for _ in range(3):
            assert (await transport.call(GET, timeout=5)).status == 200
        with pytest.raises(ConnectionFailed) as caught:
            await transport.call(POST, timeout=5)
        assert caught.value.sent
        assert sum(seen.line.startswith("POST") for seen in peer.seen) == 1


# the guard


@pytest.mark.parametrize("reused", [False, True])
async def test_a_guard_that_refuses_sends_nothing(connect: Connect, reused: bool) -> None:
    def refuse() -> None:
        raise Fenced("the lease is over")

    async with connect(always(OK)) as (peer, transport):
        if reused:
            await transport.call(GET, timeout=5)
        for send in (transport.call, transport.open):
            with pytest.raises(Fenced):
                await send(POST, timeout=5, guard=refuse)
        assert (await transport.call(GET, timeout=5)).status == 200
        assert not any("POST" in seen.line for seen in peer.seen)


async def test_the_guard_is_asked_when_the_wait_for_a_connection_is_over(connect: Connect) -> None:
    asked: list[str] = []
    go = asyncio.Event()

    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(OK)

    async with connect(answer, max_calls=1) as (peer, transport), asyncio.TaskGroup() as tasks:
        tasks.create_task(transport.call(POST, timeout=5, guard=lambda: asked.append("first")))
        await until(lambda: len(peer.seen) == 1)
        tasks.create_task(transport.call(POST, timeout=5, guard=lambda: asked.append("second")))
        await asyncio.sleep(0.02)
        assert asked == ["first"]
        go.set()
    assert asked == ["first", "second"]


# streams


async def test_a_stream_hands_out_what_arrives_when_it_arrives(connect: Connect) -> None:
    steps = [asyncio.Event() for _ in range(3)]

    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        for number, step in enumerate(steps):
            await step.wait()
            writer.write(chunk(b"%d\n" % number))
        await asyncio.sleep(0.01)
        writer.write(chunk(b""))

    async with connect(answer) as (_, transport):
        stream = await transport.open(GET, timeout=1.0)
        assert stream.status == 200
        await asyncio.sleep(1.1)  # the time limit was for the head
        for number, step in enumerate(steps):
            step.set()
            assert await stream.read() == b"%d\n" % number
        assert await stream.read() == b""
        assert await stream.read() == b""
        await stream.aclose()


async def test_a_stream_that_is_cut_says_so(connect: Connect) -> None:
    async with connect(cut) as (_, transport):
        stream = await transport.open(GET, timeout=5)
        assert await stream.read() == b"ab"
        with pytest.raises(ConnectionFailed) as caught:
            await stream.read()
        assert caught.value.sent
        await stream.aclose()


async def test_a_cancelled_read_loses_nothing(connect: Connect) -> None:
    go = asyncio.Event()

    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        await go.wait()
        writer.write(chunk(b"ab") + chunk(b""))

    async with connect(answer) as (_, transport):
        stream = await transport.open(GET, timeout=5)
        for _ in range(3):
            with anyio.move_on_after(0.01):
                await stream.read()
        go.set()
        assert await stream.read() == b"ab"
        await stream.aclose()


@pytest.mark.pain(18)
async def test_a_stream_that_nobody_reads_holds_its_server_back(connect: Connect) -> None:
    sent = 0

    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(CHUNKED)
        for _ in range(256):
            writer.write(chunk(b"x" * (256 << 10)))
            await writer.drain()
            sent += 256 << 10
        writer.write(chunk(b""))

    async with connect(answer, stream_buffer_bytes=256 << 10) as (_, transport):
        stream = await transport.open(GET, timeout=5)
        before = -1
        while before < sent:  # until it is held back, or done
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 32 << 20  # what sockets hold by themselves, and our limit
        received = 0
        while data := await stream.read():
            received += len(data)
        assert received == 64 << 20
        await stream.aclose()


async def test_an_unfinished_stream_is_closed_at_once(connect: Connect) -> None:
    async with connect(always(CHUNKED, chunk(b"a"))) as (peer, transport):
        stream = await transport.open(GET, timeout=5)
        await stream.aclose()
        await until(lambda: peer.open == 0)


# TLS


def server_tls(pair: KeyPair = SERVER, *, asks: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as both:
        both.write(pair.certificate + pair.key)
        both.flush()
        context.load_cert_chain(both.name)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=AUTHORITY.pair.certificate)
    return context


def trusting(peer: Peer, **changes: Any) -> ClusterAccess:
    ca = AUTHORITY.pair.certificate.encode()
    return evolve(ClusterAccess(f"https://127.0.0.1:{peer.port}", ca=ca), **changes)


async def test_calls_and_streams_go_through_tls(implementation: Implementation) -> None:
    async def answer(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await always(*([CHUNKED, chunk(b"x" * 100_000), chunk(b"")] if "pods" in seen.line else [OK]))(
            seen, reader, writer
        )

    async with (
        Peer(answer).serving(server_tls()) as peer,
        reaching(peer, implementation, access=trusting(peer)) as transport,
    ):
        for _ in range(3):
            assert (await transport.call(POST, timeout=5)).body == b"{}"
        assert peer.connections == 1
        assert len((await transport.call(GET, timeout=5)).body) == 100_000
        stream = await transport.open(GET, timeout=5)
        received = 0
        while data := await stream.read():
            received += len(data)
        assert received == 100_000
        await stream.aclose()


@pytest.mark.pain(18)
@pytest.mark.parametrize("answer", [cut, hang_up, hang, always(CHUNKED, chunk(b"ab")), always(b"nonsense\r\n\r\n")])
async def test_a_connection_that_has_ended_is_freed_at_once(answer: Answer) -> None:
    """Not when Python looks for circles, which may be minutes later: each holds the buffers of its TLS."""

    async def read(transport: HttpTransport) -> None:
        stream = await transport.open(GET, timeout=0.2)
        try:
            while await stream.read():
                pass
        finally:
            await stream.aclose()

    def is_ours(one: object) -> bool:
        return isinstance(one, Connection) or (isinstance(one, ssl.SSLObject) and not one.server_side)

    async with (
        Peer(answer).serving(server_tls()) as peer,
        reaching(peer, "wire", access=trusting(peer)) as transport,
    ):
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                with suppress(ConnectionFailed, RequestTimeout, BadAnswer):
                    await transport.call(GET, timeout=0.2)
                with suppress(ConnectionFailed, RequestTimeout, BadAnswer), anyio.move_on_after(0.2):
                    await read(transport)
            await until(lambda: peer.open == 0)
            await asyncio.sleep(0)
            assert not [one for one in gc.get_objects() if is_ours(one)]
        finally:
            gc.enable()


@pytest.mark.parametrize(
    "changes",
    [
        {"ca": Authority.create("other", dt.datetime.now(dt.UTC)).pair.certificate.encode()},
        {"tls_server_name": "other.example.com"},
    ],
)
async def test_a_server_that_is_not_trusted_is_told_nothing(
    implementation: Implementation, changes: dict[str, Any]
) -> None:
    async with (
        Peer(always(OK)).serving(server_tls()) as peer,
        reaching(peer, implementation, access=trusting(peer, **changes)) as transport,
    ):
        with pytest.raises(ConnectionFailed, match=r"is not trusted: .*certificate-authority") as caught:
            await transport.call(POST, timeout=5)
        assert not caught.value.sent
    assert peer.seen == []


@pytest.mark.parametrize("changes", [{"tls_server_name": "api.example.com"}, {"is_insecure": True, "ca": None}])
async def test_the_name_to_expect_can_be_set_and_verification_skipped(
    implementation: Implementation, changes: dict[str, Any]
) -> None:
    async with (
        Peer(always(OK)).serving(server_tls()) as peer,
        reaching(peer, implementation, access=trusting(peer, **changes)) as transport,
    ):
        assert (await transport.call(POST, timeout=5)).status == 200


@pytest.mark.pain(6)
async def test_a_rotated_client_certificate_is_shown_without_a_restart(
    implementation: Implementation, tmp_path: Path
) -> None:
    def install(user: str) -> None:
        pair = AUTHORITY.client(user)
        (tmp_path / "crt").write_text(pair.certificate)
        (tmp_path / "key").write_text(pair.key)

    async with Peer(always(OK)).serving(server_tls(asks=True)) as peer:
        install("one")
        access = trusting(peer, certificate=tmp_path / "crt", key=tmp_path / "key")
        credentials = RenewedCredentials(access, CredentialSettings(check_interval=0.0), {})
        async with HttpTransport(credentials, TransportSettings(implementation), {}) as transport:
            await transport.call(GET, timeout=5)
            await transport.call(GET, timeout=5)
            install("two")
            await transport.call(GET, timeout=5)
    users = [dict(pair[0] for pair in seen["subject"])["commonName"] for seen in peer.tls_peers]
    assert users == ["one", "two"]


async def test_a_server_that_wants_a_certificate_we_do_not_have_is_an_error(implementation: Implementation) -> None:
    async with (
        Peer(always(OK)).serving(server_tls(asks=True)) as peer,
        reaching(peer, implementation, access=trusting(peer)) as transport,
    ):
        with pytest.raises(ConnectionFailed):
            await transport.call(POST, timeout=5)


# refused


@define
class Passes:
    """Credentials that give the next token each time one was refused."""

    access: ClusterAccess
    tokens: list[str]

    async def grant(self) -> Grant:
        return Grant((("authorization", f"Bearer {self.tokens[0]}"),))

    async def renew(self, refused: Grant) -> Grant | None:
        if len(self.tokens) == 1:
            return None
        del self.tokens[0]
        return await self.grant()


async def only_the_good(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if seen.header("authorization") == "Bearer good":
        writer.write(OK)
    else:
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.pain(6)
@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("tokens", "status", "requests"),
    [("good", 200, 1), ("old good", 200, 2), ("old", 401, 1), ("old bad good", 401, 2)],
)
async def test_a_refused_request_is_sent_once_more_with_fresh_credentials(
    implementation: Implementation, tokens: str, status: int, requests: int, is_stream: bool
) -> None:
    guarded: list[None] = []
    async with Peer(only_the_good).serving() as peer:
        passes = Passes(ClusterAccess(f"http://127.0.0.1:{peer.port}"), tokens.split())
        async with HttpTransport(passes, TransportSettings(implementation), {}) as transport:
            if is_stream:
                opened = await transport.open(POST, timeout=5, guard=lambda: guarded.append(None))
                assert opened.status == status
                await opened.aclose()
            else:
                answer = await transport.call(POST, timeout=5, guard=lambda: guarded.append(None))
                assert answer.status == status
        assert len(peer.seen) == len(guarded) == requests
        assert {seen.body for seen in peer.seen} == {POST.body}


# which engine, which proxy


async def a_proxy(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers CONNECT and passes bytes on."""
    host, _, port = seen.line.split()[1].rpartition(":")
    there, back = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()

    await asyncio.gather(carry(reader, back), carry(there, writer))


@pytest.mark.parametrize("by", ["kubeconfig", "settings"])
async def test_a_named_proxy_is_gone_through(by: str) -> None:
    async with Peer(always(OK)).serving(server_tls()) as peer, Peer(a_proxy).serving() as proxy:
        url = f"http://me:pw@127.0.0.1:{proxy.port}"
        access = trusting(peer, proxy_url=url if by == "kubeconfig" else "")
        settings = TransportSettings(proxy=url if by == "settings" else None)
        async with HttpTransport(RenewedCredentials(access), settings, {}) as transport:
            assert (await transport.call(POST, timeout=5)).status == 200
        assert proxy.seen[0].line.startswith("CONNECT ")
        assert proxy.seen[0].header("proxy-authorization") == "Basic bWU6cHc="


async def test_a_proxy_of_the_environment_is_gone_through() -> None:
    # by a name, for this machine itself is never reached through a proxy of the environment
    access = ClusterAccess("http://api.example.com", token="t")
    async with Peer(always(OK)).serving() as proxy:
        environment = {"HTTP_PROXY": f"127.0.0.1:{proxy.port}", "NO_PROXY": "x"}
        async with HttpTransport(RenewedCredentials(access), environment=environment) as transport:
            assert (await transport.call(POST, timeout=5)).status == 200
        assert proxy.seen[0].line == "POST http://api.example.com/api/v1/namespaces HTTP/1.1"


async def test_a_proxy_that_refuses_is_told_and_nothing_was_sent() -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with Peer(always(refusal)).serving() as proxy:
        access = ClusterAccess("https://127.0.0.1:1", proxy_url=f"http://127.0.0.1:{proxy.port}")
        async with HttpTransport(RenewedCredentials(access), environment={}) as transport:
            with pytest.raises(ConnectionFailed, match="the proxy refused: 407") as caught:
                await transport.call(POST, timeout=5)
    assert not caught.value.sent


async def test_the_lean_engine_is_chosen_unless_a_proxy_is_in_the_way() -> None:
    access = ClusterAccess("https://one:1")
    for environment, proxy_url, expected in (
        ({}, "", "Wire"),
        ({"HTTPS_PROXY": "p"}, "", "Session"),
        ({}, "p", "Session"),
    ):
        credentials = RenewedCredentials(evolve(access, proxy_url=proxy_url), CredentialSettings(), {})
        async with HttpTransport(credentials, environment=environment) as transport:
            assert type(transport._start()).__name__ == f"{expected}Engine"


async def test_asking_for_the_lean_engine_through_a_proxy_is_an_error() -> None:
    access = ClusterAccess("https://one:1", proxy_url="http://p")
    credentials = RenewedCredentials(access)
    async with HttpTransport(credentials, TransportSettings("wire")) as transport:
        with pytest.raises(ValueError, match="knows no proxies"):
            await transport.call(GET, timeout=1)


async def test_netrc_and_proxies_set_later_change_nothing(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with connect(always(OK)) as (peer, transport):
        await transport.call(GET, timeout=5)
    assert peer.seen[0].header("authorization") == "Bearer t"


def test_neither_engine_is_loaded_before_it_is_needed() -> None:
    script = (
        "import sys; import reconcile.kube.transport, reconcile.kube.login;"
        "print(sorted({'aiohttp', 'httptools', 'yaml', 'cattrs', 'cryptography', 'tenacity'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the other side of a socket to notice."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)
