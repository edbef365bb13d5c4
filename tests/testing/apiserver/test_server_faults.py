"""Faults that the server plays itself meet its clients alike, in memory and over HTTP."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import anyio
import orjson
import pytest

from reconcile.kube.access import ClusterAccess
from reconcile.kube.credentials import RenewedCredentials
from reconcile.kube.errors import ConnectionFailed, RequestTimeout
from reconcile.kube.request import HttpRequest
from reconcile.kube.transport import HttpTransport, Transport
from reconcile.testing.apiserver import ApiServer, listening
from reconcile.testing.apiserver.__main__ import main
from reconcile.testing.faultplan import (
    Compacted,
    Cut,
    FaultPlan,
    Full,
    Latency,
    LostReply,
    LostRequest,
    NoBookmarks,
    NoReply,
    ReadOnly,
    Refused,
    Reset,
    Restored,
    Rule,
    Silent,
    Skewed,
    StaleList,
    Status,
)
from reconcile.testing.plugin import AnyioBackend
from tests.testing.callers import Api


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # sockets


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer() as server:
        yield server


@pytest.fixture(params=["memory", "http"])
async def transport(request: pytest.FixtureRequest, server: ApiServer) -> AsyncIterator[Transport]:
    if request.param == "memory":
        yield server.transport()
        return
    async with listening(server) as endpoint:
        transport = HttpTransport(RenewedCredentials(ClusterAccess(endpoint.url)))
        yield transport
        await transport.aclose()


@pytest.fixture
def api(transport: Transport) -> Api:
    return Api(transport, "default")


def a_map(name: str) -> HttpRequest:
    body = orjson.dumps({"metadata": {"name": name}})
    return HttpRequest("POST", "/api/v1/namespaces/default/configmaps", (), {"content-type": "application/json"}, body)


def names(server: ApiServer) -> list[str]:
    return [key.partition("/")[2] for key in server.storage.keys("configmaps", "default")]


@pytest.mark.parametrize(
    ("fault", "done"),
    [(Refused(), []), (LostRequest(), []), (LostReply(), ["a"]), (Reset(), ["a"]), (Reset(30), ["a"])],
)
async def test_a_broken_connection_has_done_what_its_fault_says(
    server: ApiServer, transport: Transport, fault: Any, done: list[str]
) -> None:
    faults = server.disturb(FaultPlan.of(fault))
    with pytest.raises(ConnectionFailed):
        await transport.call(a_map("a"), timeout=10)
    assert names(server) == done
    faults.heal()
    assert (await transport.call(a_map("b"), timeout=10)).status == 201


async def test_a_request_that_gets_no_reply_times_out(server: ApiServer, transport: Transport) -> None:
    server.disturb(FaultPlan.of(NoReply()))
    with pytest.raises(RequestTimeout):
        await transport.call(a_map("a"), timeout=0.1)
    assert names(server) == []


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (Status(409), 409, "the object has been modified"),
        (Status(410), 410, "too old"),
        (Status(429, retry_after=7), 429, "Too many requests"),
        (Status(500), 500, "Internal error"),
        (Status(503), 503, "unable to handle"),
        (Status(504), 504, "did not complete"),
        (Full(), 500, "etcdserver: mvcc: database space exceeded"),
        (ReadOnly(), 500, "etcdserver: no leader"),
    ],
)
async def test_an_error_does_nothing_and_reads_as_the_real_one(
    server: ApiServer, transport: Transport, fault: Any, code: int, says: str
) -> None:
    faults = server.disturb(FaultPlan.of(fault))
    answer = await transport.call(a_map("a"), timeout=10)
    assert (answer.status, says in answer.body.decode()) == (code, True)
    assert answer.headers.get("retry-after") == ("7" if code == 429 else None)
    assert names(server) == []
    assert sum(faults.struck.values()) == 1
    if isinstance(fault, Full | ReadOnly):
        read = HttpRequest("GET", "/api/v1/namespaces/default/configmaps")
        assert (await transport.call(read, timeout=10)).status == 200


async def test_latency_delays_an_answer(server: ApiServer, transport: Transport) -> None:
    server.disturb(FaultPlan.of(Latency(0.2, 0.2)))
    started = anyio.current_time()
    await transport.call(a_map("a"), timeout=10)
    assert anyio.current_time() - started > 0.19


async def test_a_watch_is_cut_in_the_middle_of_a_line(server: ApiServer, api: Api) -> None:
    server.disturb(FaultPlan((Rule(Cut(1), verbs=("watch",)),)))
    stream = await api.watch(api.maps)
    await api.map("a")
    await api.map("b")
    with pytest.raises(ConnectionFailed):
        await stream.to_end()
    assert stream.rest.count(b"\n") == 1


async def test_a_watch_goes_silent(server: ApiServer, api: Api) -> None:
    server.disturb(FaultPlan((Rule(Silent(1), verbs=("watch",)),)))
    stream = await api.watch(api.maps)
    await api.map("a")
    await api.map("b")
    assert await stream.names(1) == [("ADDED", "a")]
    with anyio.move_on_after(0.1) as waited:
        await stream.names(1)
    assert waited.cancelled_caught
    await stream.stream.aclose()


async def test_bookmarks_are_withheld(server: ApiServer, api: Api) -> None:
    await api.map("a")
    query: dict[str, Any] = {"resourceVersion": "1", "timeoutSeconds": 1, "allowWatchBookmarks": "true"}
    assert [kind for kind, _ in await (await api.watch(api.maps, **query)).to_end()] == ["ADDED"]
    server.disturb(FaultPlan.of(NoBookmarks()))
    assert [kind for kind, _ in await (await api.watch(api.maps, **query)).to_end()] == ["ADDED"]


async def test_history_is_compacted_under_a_watcher(server: ApiServer, api: Api) -> None:
    start = (await api.map("a")).version
    await api.map("b")
    server.disturb(FaultPlan((Rule(Compacted(), verbs=("create",), times=1),)))
    await api.map("c")
    [(kind, status)] = await (await api.watch(api.maps, resourceVersion=start)).to_end()
    assert (kind, status["code"]) == ("ERROR", 410)


async def test_a_list_is_stale_only_where_that_is_allowed(server: ApiServer, api: Api) -> None:
    await api.map("a")
    server.disturb(FaultPlan.of(StaleList()), seed=1)
    await api.get(api.maps, resourceVersion="0")
    await api.map("b")
    stale = [len((await api.get(api.maps, resourceVersion="0"))["items"]) for _ in range(20)]
    assert set(stale) == {1, 2}
    fresh = [len((await api.get(api.maps))["items"]) for _ in range(5)]
    assert set(fresh) == {2}


async def test_a_backup_takes_versions_back_and_ends_watches(server: ApiServer, api: Api) -> None:
    for name in ("a", "b", "c"):
        before = await api.map(name)
    stream = await api.watch(api.maps, resourceVersion=before.version)
    server.disturb(FaultPlan((Rule(Restored(2), verbs=("get",), times=1),)))
    assert (await api.get(f"{api.maps}/a")).code == 200
    assert names(server) == ["a"]
    assert await stream.to_end() == []
    assert int((await api.get(api.maps)).version) < int(before.version)


async def test_the_clock_of_the_server_is_wrong(server: ApiServer, api: Api) -> None:
    server.disturb(FaultPlan.of(Skewed(3600, 3600), times=1))
    made = dt.datetime.fromisoformat((await api.map("a")).meta["creationTimestamp"])
    assert made - dt.datetime.now(dt.UTC) > dt.timedelta(minutes=59)


async def test_the_same_seed_strikes_the_same_requests(transport: Transport, server: ApiServer) -> None:
    async def story(seed: int) -> list[int]:
        server.disturb(FaultPlan.named("Status 500,Status 503", probability=0.3), seed=seed)
        request = HttpRequest("GET", "/api/v1/namespaces/default")
        return [(await transport.call(request, timeout=10)).status for _ in range(30)]

    first = await story(1)
    assert await story(1) == first
    assert await story(2) != first
    assert set(first) == {200, 500, 503}


def test_every_fault_has_a_name_and_an_unknown_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert {rule.fault for rule in FaultPlan.named("all").rules} >= {LostReply(), Full(), Restored(), Skewed()}
    assert main(["--port", "0", "--faults", "LostReply,Gremlins"]) == 2
    assert "there is no fault 'Gremlins'; there are Latency, " in capsys.readouterr().err
