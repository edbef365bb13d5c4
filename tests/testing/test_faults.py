"""Each fault does what its name says, as often as its rule says, and the same again for the same seed."""

import random
from typing import Any

import anyio
import orjson
import pytest

from reconcile.core.clock import now
from reconcile.kube import request as requests
from reconcile.kube.errors import ConnectionFailed, RequestTimeout
from reconcile.kube.kinds import CONFIG_MAP, LEASE
from reconcile.kube.objects import ObjectKey
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.transport import Stream
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.faults import (
    Cut,
    Delayed,
    Fault,
    FaultPlan,
    FaultyTransport,
    Latency,
    LostReply,
    LostRequest,
    NoBookmarks,
    NoReply,
    Refused,
    Replayed,
    Rule,
    Silent,
    StaleList,
    Status,
    lost_lease,
)

KEY = ObjectKey("default", "a")


def made(name: str = "a") -> HttpRequest:
    return requests.create(CONFIG_MAP, {"metadata": {"name": name}}, namespace="default")


def faulty(server: ApiServer, *faults: Fault, seed: int = 0, **rule: Any) -> FaultyTransport:
    rules = tuple(Rule(fault, **rule) for fault in faults)
    return FaultyTransport(server.transport(), FaultPlan(rules), rng=random.Random(seed))


async def call(transport: FaultyTransport, request: HttpRequest, timeout: float = 10.0) -> HttpResponse:
    return await transport.call(request, timeout=timeout)


def names(server: ApiServer) -> list[str]:
    return [stored.name for stored in server.storage.table("configmaps").objects.values()]


async def lines_of(stream: Stream, *, within: float) -> list[Any]:
    """What a stream says within some time, line by line."""
    found = b""
    with anyio.move_on_after(within):
        while chunk := await stream.read():
            found += chunk
    return [orjson.loads(line) for line in found.splitlines() if line]


async def test_a_refused_request_never_reaches_the_server_and_the_client_knows_it() -> None:
    async with ApiServer() as server:
        with pytest.raises(ConnectionFailed) as caught:
            await call(faulty(server, Refused()), made())
        assert caught.value.sent is False
        assert names(server) == []


async def test_a_lost_request_never_reaches_the_server_and_the_client_cannot_know_it() -> None:
    async with ApiServer() as server:
        with pytest.raises(ConnectionFailed) as caught:
            await call(faulty(server, LostRequest()), made())
        assert caught.value.sent is True
        assert names(server) == []


async def test_the_write_of_a_lost_reply_is_done() -> None:
    async with ApiServer() as server:
        with pytest.raises(ConnectionFailed) as caught:
            await call(faulty(server, LostReply()), made())
        assert caught.value.sent is True
        assert names(server) == ["a"]


async def test_a_request_without_reply_takes_its_whole_timeout() -> None:
    async with ApiServer() as server:
        started = now()
        with pytest.raises(RequestTimeout):
            await call(faulty(server, NoReply()), made(), timeout=7)
        assert now() - started == 7
        assert names(server) == []


async def test_latency_takes_time_but_lets_the_request_through() -> None:
    async with ApiServer() as server:
        started = now()
        assert (await call(faulty(server, Latency(2, 3)), made())).status == 201
        assert 2 <= now() - started <= 3


async def test_latency_beyond_the_timeout_is_a_timeout() -> None:
    async with ApiServer() as server:
        with pytest.raises(RequestTimeout):
            await call(faulty(server, Latency(5, 5)), made(), timeout=2)
        assert names(server) == []


@pytest.mark.parametrize("code", [409, 410, 429, 500, 503, 504])
async def test_an_injected_status_is_an_answer_that_changed_nothing(code: int) -> None:
    async with ApiServer() as server:
        response = await call(faulty(server, Status(code, retry_after=3)), made())
        assert response.status == code
        assert response.headers["retry-after"] == "3"
        assert names(server) == []


async def test_only_writes_to_leases_fail_while_the_lease_is_lost() -> None:
    async with ApiServer() as server:
        transport = FaultyTransport(server.transport(), FaultPlan((lost_lease(end=50),)))
        lease = requests.create(LEASE, {"metadata": {"name": "l"}}, namespace="default")
        assert (await call(transport, lease)).status == 500
        assert (await call(transport, made())).status == 201
        assert (await call(transport, requests.list_(LEASE))).status == 200
        await anyio.sleep(50)
        assert (await call(transport, lease)).status == 201


async def test_a_rule_strikes_at_most_as_often_as_it_says() -> None:
    async with ApiServer() as server:
        transport = faulty(server, Status(500), times=2)
        assert [(await call(transport, made())).status for _ in range(3)] == [500, 500, 201]
        assert transport.struck["Status 500"] == 2


async def test_the_same_seed_strikes_the_same_requests() -> None:
    async def run() -> list[int]:
        async with ApiServer() as server:
            transport = faulty(server, Status(500), seed=7, probability=0.5)
            return [(await call(transport, made(f"n{index}"))).status for index in range(20)]

    first = await run()
    assert first == await run()
    assert set(first) == {500, 201}


async def test_nothing_strikes_after_healing() -> None:
    async with ApiServer() as server:
        transport = faulty(server, Refused())
        transport.heal()
        assert (await call(transport, made())).status == 201


async def test_a_watch_is_cut_in_the_middle_of_a_line() -> None:
    async with ApiServer() as server:
        transport = faulty(server, Cut(after_lines=1))
        stream = await transport.open(requests.watch(CONFIG_MAP, resource_version="1"), timeout=10)
        for name in ("a", "b"):
            await server.transport().call(made(name), timeout=1)
        found = b""
        for _ in range(2):
            found += await stream.read()
        with pytest.raises(ConnectionFailed):
            await stream.read()
        first, rest = found.split(b"\n", 1)
        assert orjson.loads(first)["object"]["metadata"]["name"] == "a"
        assert rest
        assert not rest.endswith(b"\n")


async def test_a_silent_watch_says_nothing_more_and_does_not_end() -> None:
    async with ApiServer() as server:
        transport = faulty(server, Silent(after_lines=1))
        request = requests.watch(CONFIG_MAP, resource_version="1", timeout_seconds=30)
        stream = await transport.open(request, timeout=10)
        for name in ("a", "b"):
            await server.transport().call(made(name), timeout=1)
        started = now()
        seen = await lines_of(stream, within=1000)
        assert [line["object"]["metadata"]["name"] for line in seen] == ["a"]
        assert now() - started == 1000


async def test_delayed_lines_come_later_in_their_order() -> None:
    async with ApiServer() as server:
        transport = faulty(server, Delayed(4, 4))
        stream = await transport.open(requests.watch(CONFIG_MAP, resource_version="1"), timeout=10)
        await server.transport().call(made("a"), timeout=1)
        started = now()
        await stream.read()
        assert now() - started == 4


async def test_withheld_bookmarks_do_not_withhold_the_end_of_the_initial_events() -> None:
    async with ApiServer() as server:
        transport = faulty(server, NoBookmarks())
        request = requests.watch(CONFIG_MAP, send_initial_events=True, timeout_seconds=300)
        stream = await transport.open(request, timeout=10)
        await server.transport().call(
            requests.create(LEASE, {"metadata": {"name": "l"}}, namespace="default"), timeout=1
        )
        seen = await lines_of(stream, within=1000)
        assert [line["type"] for line in seen] == ["BOOKMARK"]
        assert "k8s.io/initial-events-end" in seen[0]["object"]["metadata"]["annotations"]


async def test_a_stale_list_shows_an_older_state_where_the_request_allows_it() -> None:
    async with ApiServer() as server:
        transport = faulty(server, StaleList())
        await call(transport, requests.list_(CONFIG_MAP))
        await server.transport().call(made("a"), timeout=1)
        stale = orjson.loads((await call(transport, requests.list_(CONFIG_MAP, resource_version="0"))).body)
        assert stale["items"] == []
        fresh = orjson.loads((await call(transport, requests.list_(CONFIG_MAP))).body)
        assert len(fresh["items"]) == 1


async def test_a_replayed_watch_tells_again_what_was_seen() -> None:
    async with ApiServer() as server:
        transport = faulty(server, Replayed())
        await call(transport, made("a"))
        last = orjson.loads((await call(transport, made("b"))).body)["metadata"]["resourceVersion"]
        stream = await transport.open(requests.watch(CONFIG_MAP, resource_version=last, timeout_seconds=1), timeout=10)
        seen = await lines_of(stream, within=10)
        assert [line["object"]["metadata"]["name"] for line in seen] == ["b"]


async def test_the_guard_is_asked_even_when_the_request_is_lost() -> None:
    asked: list[str] = []
    async with ApiServer() as server:
        with pytest.raises(ConnectionFailed):
            await faulty(server, LostRequest()).call(made(), timeout=1, guard=lambda: asked.append("asked"))
        with pytest.raises(ConnectionFailed):
            await faulty(server, Refused()).call(made(), timeout=1, guard=lambda: asked.append("refused"))
    assert asked == ["asked"]


def test_a_drawn_plan_is_the_same_for_the_same_seed() -> None:
    assert FaultPlan.draw(random.Random(3), until=60) == FaultPlan.draw(random.Random(3), until=60)
    assert all(rule.end == 60 for rule in FaultPlan.draw(random.Random(4), until=60).rules)
