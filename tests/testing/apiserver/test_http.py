"""The server behind a port, seen by clients that are polite, slow, greedy or broken."""

import asyncio
import contextlib
import gc
import gzip
import time
import urllib.request
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import anyio
import attrs
import orjson
import pytest

from reconcile.kube.kinds import CONFIG_MAP
from reconcile.testing.apiserver import ApiServer, HttpSettings, Settings, in_thread, listening
from reconcile.testing.apiserver.http import CannotListen, Endpoint
from reconcile.testing.plugin import AnyioBackend

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # sockets


@attrs.define
class Raw:
    """A client that sends bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        with anyio.fail_after(10):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = [line.split(": ", 1) for line in lines[1:] if line]
        return int(lines[0].split()[1]), {name.lower(): value for name, value in fields}

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        with anyio.fail_after(10):
            return status, headers, await self.reader.readexactly(int(headers["content-length"]))

    async def chunk(self) -> bytes:
        with anyio.fail_after(10):
            size = int(await self.reader.readline(), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def end(self) -> bytes:
        """What comes until the server closes."""
        with anyio.fail_after(10):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        with anyio.move_on_after(5):
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer(settings=Settings(watch_buffer=20)) as server:
        yield server


@pytest.fixture
async def endpoint(server: ApiServer) -> AsyncIterator[Endpoint]:
    settings = HttpSettings(head_bytes=20_000, write_buffer_bytes=1000, request_seconds=0.2)
    async with listening(server, settings=settings) as endpoint:
        yield endpoint


Dial: TypeAlias = Callable[..., Awaitable[Raw]]


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    """Makes connections that are closed at the end."""
    made: list[Raw] = []

    async def to(endpoint: Endpoint, **options: Any) -> Raw:
        made.append(Raw(*await asyncio.open_connection(endpoint.host, endpoint.port, **options)))
        return made[-1]

    yield to
    for one in made:
        await one.close()


@pytest.fixture
async def raw(endpoint: Endpoint, dial: Dial) -> Raw:
    return await dial(endpoint)


async def test_requests_of_one_connection_are_answered_in_their_order(raw: Raw) -> None:
    for number in range(50):
        raw.send("GET", f"/api/v1/namespaces/n{number}")
    answers = [await raw.answer() for _ in range(50)]
    assert [orjson.loads(body)["details"]["name"] for _, _, body in answers] == [f"n{number}" for number in range(50)]
    assert len({headers["audit-id"] for _, headers, _ in answers}) == 50


async def test_a_head_has_no_body_and_the_same_length(raw: Raw) -> None:
    raw.send("GET", "/version")
    _, _, body = await raw.answer()
    raw.send("HEAD", "/version")
    status, headers = await raw.head()
    assert (status, int(headers["content-length"])) == (200, len(body))
    raw.send("GET", "/livez")
    assert (await raw.answer())[2] == b"ok"


@pytest.mark.parametrize(
    ("path", "headers", "end"),
    [
        (MAPS, {}, b"]}\n"),
        ("/api/v1/namespaces/none", {}, b'"code":404}\n'),
        (MAPS, {"User_Agent": "curl/8.0"}, b"]\n}"),
        (f"{MAPS}?pretty=true", {}, b"]\n}"),
        (f"{MAPS}?pretty=false", {"User_Agent": "curl/8.0"}, b"]}\n"),
        ("/version", {}, b'"\n}'),
        ("/openapi/v3/apis/apps/v1", {}, b"}}"),
    ],
)
async def test_json_is_laid_out_for_who_reads_it(raw: Raw, path: str, headers: dict[str, str], end: bytes) -> None:
    raw.send("GET", path, b"", **headers)
    _, _, body = await raw.answer()
    assert body.endswith(end), body[-20:]
    assert orjson.loads(body)


async def test_a_watch_comes_in_chunks_and_the_connection_is_good_for_more(server: ApiServer, raw: Raw) -> None:
    raw.send("GET", f"{MAPS}?watch=1&timeoutSeconds=1")
    status, headers = await raw.head()
    assert (status, headers["transfer-encoding"]) == (200, "chunked")
    await server.client().create(CONFIG_MAP, {"metadata": {"name": "a"}}, namespace="default")
    events = [orjson.loads(line) for line in (await raw.chunk()).splitlines()]
    assert "a" in [event["object"]["metadata"]["name"] for event in events]
    assert await raw.chunk() == b""
    raw.send("GET", "/livez")
    assert (await raw.answer())[0] == 200


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET foo:bar HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 30_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_refused_and_the_connection_ends(raw: Raw, said: bytes, code: int) -> None:
    raw.writer.write(said)
    assert (await raw.answer())[0] == code
    assert await raw.end() == b""


async def test_a_body_beyond_the_limit_is_refused_before_all_of_it_was_read(raw: Raw) -> None:
    raw.writer.write(f"POST {MAPS} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n".encode())
    raw.writer.write(b" " * 3_200_000)
    status, _, body = await raw.answer()
    assert (status, orjson.loads(body)["reason"]) == (413, "RequestEntityTooLarge")
    await raw.end()


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(raw: Raw) -> None:
    body = orjson.dumps({"metadata": {"name": "a"}})
    raw.writer.write(
        f"POST {MAPS} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    assert (await raw.head())[0] == 100
    raw.writer.write(body)
    assert (await raw.answer())[0] == 201


async def test_a_large_answer_is_packed_if_asked_for_and_a_watch_never(server: ApiServer, raw: Raw) -> None:
    big = {"metadata": {"name": "big"}, "data": {"x": "y" * 200_000}}
    await server.client().create(CONFIG_MAP, big, namespace="default")
    raw.send("GET", MAPS, accept_encoding="gzip")
    _, headers, packed = await raw.answer()
    assert (headers["content-encoding"], len(packed) < 20_000) == ("gzip", True)
    assert orjson.loads(gzip.decompress(packed))["items"][0]["data"] == big["data"]
    raw.send("GET", MAPS)
    assert "content-encoding" not in (await raw.answer())[1]
    raw.send("GET", f"{MAPS}?watch=1&timeoutSeconds=1", accept_encoding="gzip")
    assert "content-encoding" not in (await raw.head())[1]


async def test_a_request_that_does_not_end_costs_its_connection(endpoint: Endpoint, raw: Raw) -> None:
    raw.writer.write(b"GET / HTTP/1.1\r\nHo")
    assert await raw.end() == b""
    await anyio.sleep(0.01)
    assert not endpoint.connections


async def test_time_in_which_the_server_stood_still_costs_no_connection(server: ApiServer, dial: Dial) -> None:
    async with listening(server, settings=HttpSettings(idle_seconds=1.5)) as endpoint:
        raw = await dial(endpoint)
        raw.send("GET", MAPS)
        assert (await raw.answer())[0] == 200
        time.sleep(3.2)  # noqa: ASYNC251 - as when the process is stopped
        await anyio.sleep(0.1)  # now the server counts
        raw.send("GET", MAPS)
        assert (await raw.answer())[0] == 200


async def test_a_watcher_that_reads_nothing_is_cut_and_holds_up_nobody(
    server: ApiServer, endpoint: Endpoint, dial: Dial
) -> None:
    slow, quick = await dial(endpoint, limit=1000), await dial(endpoint)
    for one in (slow, quick):
        one.send("GET", f"{MAPS}?watch=1")
        await one.head()
    client = server.client()
    for number in range(200):
        body = {"metadata": {"name": f"m{number}"}, "data": {"x": "y" * 100_000}}
        await client.create(CONFIG_MAP, body, namespace="default")
        while f'"m{number}"'.encode() not in await quick.chunk():
            pass
        if len(endpoint.connections) == 1:
            break
    assert len(endpoint.connections) == 1


async def test_a_client_that_goes_away_leaves_no_watch_behind(server: ApiServer, raw: Raw, endpoint: Endpoint) -> None:
    raw.send("GET", f"{MAPS}?watch=1")
    await raw.head()
    assert server.watching == 1
    await raw.close()
    with anyio.fail_after(5):
        while endpoint.connections or server.watching:
            await anyio.sleep(0.01)


async def test_at_the_end_watches_end_in_order_and_the_port_is_free(server: ApiServer, dial: Dial) -> None:
    async with listening(server) as endpoint:
        watching, idle = await dial(endpoint), await dial(endpoint)
        watching.send("GET", f"{MAPS}?watch=1")
        await watching.head()
    assert (await watching.end()).endswith(b"0\r\n\r\n")
    assert await idle.end() == b""
    async with listening(server, port=endpoint.port) as again:
        assert again.port == endpoint.port


async def test_a_port_in_use_is_named_in_one_line(endpoint: Endpoint, server: ApiServer) -> None:
    with pytest.raises(CannotListen, match=rf"^cannot listen on 127.0.0.1:{endpoint.port}: the port is in use$"):
        async with listening(server, port=endpoint.port):
            pass


async def test_connections_are_refused_while_it_does_not_listen(endpoint: Endpoint, dial: Dial) -> None:
    endpoint.refuse()
    with pytest.raises(ConnectionRefusedError):
        await dial(endpoint)
    await endpoint.open()
    await dial(endpoint)


def test_a_program_without_a_loop_is_served_from_a_thread() -> None:
    with in_thread(ApiServer()) as thread:
        request = urllib.request.Request(
            f"{thread.url}{MAPS}", orjson.dumps({"metadata": {"name": "a"}}), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 201
        assert [one.metadata.name for one in thread.call(thread.server.objects, CONFIG_MAP, "default")] == ["a"]


async def test_a_connection_that_has_ended_needs_no_collector_to_be_gone(endpoint: Endpoint, raw: Raw) -> None:
    """Else thousands of them wait for it, as it rarely looks at what is old."""
    raw.send("GET", f"{MAPS}?watch=1")
    await raw.head()
    [connection] = map(weakref.ref, endpoint.connections)
    gc.disable()
    try:
        await raw.close()
        with anyio.fail_after(30):
            while connection() is not None:
                await anyio.sleep(0.01)
    finally:
        gc.enable()
