"""A copy that is kept current over a wire that misbehaves."""

import asyncio
import gc
import math
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import orjson
import pytest

from reconcile.cache.change import Change
from reconcile.cache.follower import FollowerSettings
from reconcile.cache.informer import Informer, InformerSettings, NotSynced
from reconcile.cache.steps import ReflectorSettings, State
from reconcile.cache.table import Index
from reconcile.cache.watched import Watched
from reconcile.core.clock import now
from reconcile.kube.errors import ConnectionFailed
from reconcile.kube.objects import Object, ObjectKey
from reconcile.kube.request import HttpResponse
from reconcile.testing.loop import settled
from tests.cache.fakes import FakeServer, FakeStream, status
from tests.cache.things import READER, THING, a_thing, raw

A, B = ObjectKey("default", "a"), ObjectKey("default", "b")
STREAM = InformerSettings()
PAGES = InformerSettings(reflector=ReflectorSettings(watch_list=False, page_limit=2))


@asynccontextmanager
async def running(*informers: Informer[Any]) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        for informer in informers:
            tasks.start_soon(informer.run)
        await settled()
        yield
        tasks.cancel_scope.cancel()


def an_informer(server: FakeServer, settings: InformerSettings = STREAM, **more: Any) -> Informer[Object]:
    return Informer(server.client(), Watched(THING, **more), cluster="c", settings=settings)


def listen(informer: Informer[Object]) -> list[str]:
    """What its handler is told, in short."""
    told: list[str] = []

    def note(change: Change[Object]) -> None:
        what = "-" if change.new is None else "+" if change.old is None else "~"
        told.append(f"{what}{change.key.name}" + (" initial" if change.initial else ""))

    informer.add_handler(note)
    return told


def health(informer: Informer[Object]) -> State:
    return informer.state


def versions(informer: Informer[Object]) -> dict[str, int]:
    return {entry.key.name: entry.meta.version for entry in informer.store.entries()}


def truth(server: FakeServer) -> dict[str, int]:
    return {name: int(thing["metadata"]["resourceVersion"]) for (_, name), thing in server.objects.items()}


@pytest.mark.pain(22)
@pytest.mark.parametrize("settings", [STREAM, PAGES], ids=["stream", "pages"])
async def test_a_start_tells_everything_that_is_there_and_then_what_happens(settings: InformerSettings) -> None:
    server = FakeServer()
    for name in "abcde":
        server.put(name)
    informer = an_informer(server, settings)
    told = listen(informer)
    assert informer.staleness(now()) == math.inf
    async with running(informer):
        assert told == [f"+{name} initial" for name in "abcde"]
        assert (informer.has_synced, informer.state) == (True, State.LIVE)
        told.clear()
        server.put("a")
        server.drop("b")
        server.put("f")
        await settled()
        assert told == ["~a", "-b", "+f"]
        assert versions(informer) == truth(server)
    assert [query.get("continue", "") for query in server.asked("list")] == (
        ["", "2", "4"] if settings is PAGES else []
    )
    assert all("resourceVersion" not in query for query in server.asked("list"))
    assert all(stream.is_closed for stream in server.streams)


async def test_started_means_that_the_copy_is_whole_and_told() -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    told = listen(informer)
    async with anyio.create_task_group() as tasks:
        await tasks.start(informer.run)
        assert told == ["+a initial"]
        await informer.synced(0)
        tasks.cancel_scope.cancel()


async def test_a_start_ends_with_its_list_not_with_the_stream_that_brings_it() -> None:
    server, stream = FakeServer(), FakeStream()
    server.next("watch", stream)
    informer = an_informer(server)
    async with anyio.create_task_group() as tasks:
        asyncio.get_running_loop().call_later(1, stream.bookmark, 100)
        asyncio.get_running_loop().call_later(2, lambda: stream.bookmark(101, ends_list=True))
        await tasks.start(informer.run)
        assert now() == 2
        tasks.cancel_scope.cancel()


@pytest.mark.pain(1)
async def test_a_watch_that_nothing_comes_through_is_noticed_and_nothing_is_missed() -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    async with running(informer):
        server.streams[0].is_dead = True
        server.put("a")
        server.put("b")
        await asyncio.sleep(74)
        assert versions(informer) != truth(server)
        assert informer.staleness(now()) == 74
        await asyncio.sleep(2)
        assert versions(informer) == truth(server)
        assert informer.restarts == {"idle": 1}
        assert server.streams[0].is_closed


@pytest.mark.pain(1)
async def test_bookmarks_keep_a_quiet_watch_open_until_its_time_is_over() -> None:
    server = FakeServer()
    informer = an_informer(server)
    async with running(informer):
        [query] = server.asked("watch")
        allowed = int(query["timeoutSeconds"]) + 15
        while now() < allowed - 60:
            await asyncio.sleep(60)
            server.streams[0].bookmark(server.version)
            await settled()
            assert informer.staleness(now()) == 0
        assert len(server.streams) == 1
        await asyncio.sleep(61)
        assert len(server.streams) == 2
        assert informer.restarts == {"overdue": 1}


@pytest.mark.pain(2)
async def test_a_copy_that_hears_nothing_grows_stale_and_says_why() -> None:
    server = FakeServer()
    informer = an_informer(server)
    async with running(informer):
        assert (informer.staleness(now()), informer.last_error) == (0, "")
        server.next("watch", *[ConnectionFailed("refused by fake", sent=False)] * 100)
        server.streams[0].tear()
        await asyncio.sleep(120)
        assert informer.staleness(now()) == 120
        assert (informer.state, informer.last_error) == (State.UNREACHABLE, "refused by fake")
        assert informer.has_synced
        server.script.clear()
        await asyncio.sleep(40)
        assert (informer.state, informer.last_error) == (State.LIVE, "")


@pytest.mark.pain(2)
async def test_a_fault_of_our_own_ends_the_informer_instead_of_leaving_it_for_dead() -> None:
    server = FakeServer()
    informer = an_informer(server)
    server.next("list", TypeError("a bug"))
    server.watch_list = False
    with pytest.raises(BaseExceptionGroup) as caught:
        async with running(informer):
            await asyncio.sleep(1)
    assert caught.group_contains(TypeError, match="a bug")


@pytest.mark.pain(3)
@pytest.mark.pain(4)
@pytest.mark.parametrize("how", ["status", "event"])
async def test_after_410_everything_is_listed_and_what_is_missing_has_ended(how: str) -> None:
    server = FakeServer()
    for name in "abc":
        server.put(name)
    informer = an_informer(server, indexes=(Index("all", lambda thing: "x"),))
    told = listen(informer)
    async with running(informer):
        told.clear()
        server.streams[0].is_dead = True
        server.drop("a")
        server.put("b")
        server.compact()
        if how == "event":
            old = FakeStream()
            old.send("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
            server.next("watch", old)
        await asyncio.sleep(80)
        assert told == ["-a", "~b"]
        assert versions(informer) == truth(server)
        assert [key.name for key in informer.store.keys_by("all", "x")] == ["b", "c"]
        assert informer.relists["expired"] == 1
    seen = [query.get("resourceVersion", "") for query in server.asked("watch")]
    assert seen == ["", "103", ""]


@pytest.mark.pain(3)
async def test_410_within_a_list_starts_it_again_and_nothing_shows_before_it_is_whole() -> None:
    server = FakeServer()
    for name in "abcde":
        server.put(name)
    informer = an_informer(server, PAGES)
    told = listen(informer)
    server.next("list", lambda request: None, lambda request: None, status(410, "Expired"))
    async with running(informer):
        assert sorted(told) == [f"+{name} initial" for name in "abcde"]
        assert [query.get("limit", "") for query in server.asked("list")] == ["2", "2", "2", ""]


@pytest.mark.pain(5)
async def test_a_line_beyond_the_limit_names_the_kind_and_the_limit_and_is_got_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server, InformerSettings(follower=FollowerSettings(line_limit_bytes=1000)))
    async with running(informer):
        server.put("b", spec={"text": "x" * 2000})
        server.put("c")
        await settled()
        assert "things.example.dev: a line of the watch is longer than the limit of 1000 bytes" in caplog.text
        server.put("b", spec={})
        await asyncio.sleep(60)
        assert versions(informer) == truth(server)
        assert informer.bad["answer"] >= 1


@pytest.mark.parametrize(
    "garbage", [b"<html>\n", b'{"type":"ADDED","object":{"metadata":\n', b'{"type":"X","object":{}}\n']
)
async def test_a_line_that_is_no_event_is_named_and_nothing_is_missed(
    garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    async with running(informer):
        server.streams[0].write(garbage)
        server.put("b")
        await asyncio.sleep(10)
        assert versions(informer) == truth(server)
        assert informer.bad == {"answer": 1}
        assert "things.example.dev: no event of a watch" in caplog.text


async def test_a_watch_that_ends_within_a_line_is_read_on_from_the_last_whole_one() -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    async with running(informer):
        await asyncio.sleep(10)
        server.streams[0].write(b'{"type":"MODIFIED","obj')
        server.streams[0].end()
        server.streams[0].is_dead = True
        server.put("a")
        await settled()
        assert versions(informer) == truth(server)
        assert (informer.bad, informer.restarts) == ({"cut": 1}, {"closed": 1})


async def test_an_object_that_cannot_be_read_is_left_out_and_blocks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    async with running(informer):
        server.streams[0].send("ADDED", {"spec": {}})
        server.streams[0].send("MODIFIED", a_thing("a", version=200, labels={"a": 1}))
        server.put("b")
        await settled()
        assert versions(informer) == truth(server)
        assert informer.bad == {"object": 2}
        assert "no metadata" in caplog.text
        server.streams[0].send("DELETED", {"spec": {}})
        await settled()
        assert informer.relists["bad object"] == 1


async def test_an_unreadable_object_of_a_list_has_not_ended() -> None:
    server = FakeServer()
    for name in "ab":
        server.put(name)
    informer = an_informer(server, PAGES)
    told = listen(informer)
    async with running(informer):
        told.clear()
        server.put("b", labels={"a": 1})
        server.compact()
        server.streams[0].is_dead = True
        server.streams[0].end()
        informer._followers[0].relist("test")
        await settled()
        assert told == []
        assert versions(informer)["a"] == truth(server)["a"]
        assert B in informer.store


@pytest.mark.pain(10)
@pytest.mark.parametrize("settings", [STREAM, PAGES], ids=["stream", "pages"])
async def test_a_start_without_the_right_fails_within_seconds_and_names_the_rule(settings: InformerSettings) -> None:
    server = FakeServer()
    refused = status(403, "Forbidden", 'things.example.dev is forbidden: User "x" cannot list resource')
    server.next("list", *[refused] * 100)
    server.next("watch", *[refused] * 100)
    informer = an_informer(server, settings, namespaces=("prod",))
    with pytest.raises(BaseExceptionGroup) as caught:
        async with running(informer):
            await asyncio.sleep(3600)
    assert now() < 10
    verb = "list" if settings is PAGES else "watch"
    assert caught.group_contains(NotSynced, match="cannot be watched")
    assert informer.last_error == (
        f"no right to {verb} things.example.dev in namespace prod (GET things.example.dev/prod/*: 403 Forbidden: "
        'things.example.dev is forbidden: User "x" cannot list resource); add the rule {apiGroups: ["example.dev"], '
        "resources: [things], verbs: [list, watch]} to a Role in namespace prod that is bound to this identity"
    )


@pytest.mark.pain(10)
async def test_a_right_that_is_taken_away_later_shows_and_is_waited_for() -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    async with running(informer):
        server.next("watch", *[status(403, "Forbidden", "no")] * 5)
        server.streams[0].tear()
        await asyncio.sleep(3)
        assert health(informer) is State.FORBIDDEN
        assert "add the rule" in informer.last_error
        assert A in informer.store
        await asyncio.sleep(120)
        assert informer.state is State.LIVE


async def test_a_server_that_is_down_at_the_start_is_tried_until_it_is_there() -> None:
    server = FakeServer()
    server.next("watch", *[ConnectionFailed("refused", sent=False)] * 20)
    informer = an_informer(server)
    async with running(informer):
        await asyncio.sleep(100)
        assert (informer.state, informer.has_synced) == (State.UNREACHABLE, False)
        await informer.synced(1000)
        assert health(informer) is State.LIVE


async def test_a_start_that_takes_too_long_says_why() -> None:
    server = FakeServer()
    server.next("watch", *[ConnectionFailed("refused by fake", sent=False)] * 100)
    informer = an_informer(server)
    async with running(informer):
        with pytest.raises(NotSynced, match=r"c/things.example.dev was not synced within 60 s: refused by fake"):
            await informer.synced(60)


@pytest.mark.pain(26)
async def test_a_kind_that_comes_later_and_goes_again_is_followed_through_all_of_it() -> None:
    server = FakeServer(kind=False)
    informer = an_informer(server)
    told = listen(informer)
    async with running(informer):
        await asyncio.sleep(300)
        assert (informer.state, informer.has_synced) == (State.WAITING_FOR_KIND, False)
        server.has_kind = True
        server.put("a")
        await asyncio.sleep(40)
        assert (informer.state, told) == (State.LIVE, ["+a initial"])
        server.has_kind = False
        server.objects.clear()
        server.streams[-1].end()
        await asyncio.sleep(40)
        assert (informer.state, told, len(informer.store)) == (State.GONE, ["+a initial", "-a"], 0)
        server.has_kind = True
        server.put("b")
        await asyncio.sleep(31)
        assert (informer.state, told) == (State.LIVE, ["+a initial", "-a", "+b"])


@pytest.mark.pain(26)
async def test_of_a_kind_that_comes_or_is_back_there_is_no_copy_before_its_list_is_whole() -> None:
    server = FakeServer(kind=False)
    informer = an_informer(server)
    seen: list[bool] = []
    informer.add_handler(lambda change: seen.append(informer.has_copy))
    async with running(informer):
        for _ in range(2):
            assert informer.has_copy is False
            server.has_kind = True
            server.put("a")
            for verb in ("watch", "list"):
                server.next(verb, *[status(503)] * 20)
            await asyncio.sleep(60)
            assert (informer.state, informer.has_copy) == (State.UNREACHABLE, False)
            server.script.clear()
            await asyncio.sleep(60)
            assert (informer.state, informer.has_copy) == (State.LIVE, True)
            server.has_kind = False
            server.objects.clear()
            server.streams[-1].end()
            await asyncio.sleep(40)
            assert informer.state is State.GONE
    assert seen == [True, False] * 2


@pytest.mark.pain(26)
async def test_nobody_waits_for_an_optional_kind() -> None:
    server = FakeServer(kind=False)
    informer = an_informer(server, optional=True)
    async with running(informer):
        await informer.synced(0)
        assert informer.state is State.WAITING_FOR_KIND


@pytest.mark.pain(26)
async def test_a_404_of_a_kind_that_discovery_has_ends_nothing() -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    told = listen(informer)
    async with running(informer):
        server.next("watch", *[status(404)] * 3)
        server.streams[0].end()
        await asyncio.sleep(30)
        assert told == ["+a initial"]
        assert informer.state is State.LIVE


@pytest.mark.pain(30)
async def test_a_server_whose_history_went_back_is_believed_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    server = FakeServer()
    for name in "abc":
        server.put(name)
    informer = an_informer(server, PAGES)
    async with running(informer):
        informer.own(READER.read(orjson.dumps(server.put("b"))))
        server.objects.pop(("default", "c"))
        server.restore(50)
        server.put("a")
        server.streams[0].is_dead = True
        too_large = status(504, "Timeout", "Too large resource version: 104, current: 51", retryAfterSeconds=1)
        server.next("list", *[too_large] * 100)
        server.next("watch", *[too_large] * 100)
        await asyncio.sleep(80 + 70)
        server.script.clear()
        await asyncio.sleep(60)
        assert versions(informer) == truth(server)
        assert informer.resets == 1
        assert "history is another one" in caplog.text


@pytest.mark.pain(31)
async def test_a_server_that_ignores_the_wish_for_a_stream_is_asked_for_pages_and_it_is_remembered() -> None:
    server = FakeServer()
    server.put("a")
    known: set[str] = set()
    ignoring = FakeStream()
    ignoring.send("ADDED", server.objects["default", "a"])
    server.next("watch", ignoring)
    informer = Informer(server.client(), Watched(THING), without_watch_list=known)
    other = Informer(server.client(), Watched(THING), without_watch_list=known)
    async with running(informer):
        assert len(informer.store) == 0
        await asyncio.sleep(11)
        assert (informer.has_synced, ignoring.is_closed) == (True, True)
        async with running(other):
            assert other.has_synced
    assert [query.get("sendInitialEvents") for query in server.asked("watch")] == ["true", None, None]


@pytest.mark.pain(31)
async def test_a_server_without_the_feature_costs_one_request() -> None:
    server = FakeServer(watch_list=False)
    server.put("a")
    informer = an_informer(server)
    async with running(informer):
        assert informer.has_synced
    assert (len(server.asked("watch")), len(server.asked("list"))) == (2, 1)


async def test_a_handler_that_raises_is_named_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    server = FakeServer()
    informer = an_informer(server)

    def fails(change: Change[Object]) -> None:
        raise RuntimeError("no")

    informer.add_handler(fails, name="mapping of things")
    told = listen(informer)
    async with running(informer):
        server.put("a")
        server.put("b")
        await settled()
        assert told == ["+a", "+b"]
        assert informer.faults == {"mapping of things": 2}
        assert "a handler failed at a change: name=mapping of things" in caplog.text


async def test_who_comes_late_is_told_what_is_there_and_hears_no_more_after_leaving() -> None:
    server = FakeServer()
    for number in range(500):
        server.put(f"n{number}")
    informer = an_informer(server)
    async with running(informer):
        told: list[str] = []
        subscription = informer.add_handler(lambda change: told.append(f"{change.key.name} {change.initial}"))
        assert not subscription.is_current
        server.put("new")
        await subscription.current()
        await settled()
        assert {f"n{number} True" for number in range(500)} | {"new False"} <= set(told)
        told.clear()
        subscription.cancel()
        subscription.cancel()
        server.put("new")
        await settled()
        assert told == []


async def test_who_leaves_while_being_told_what_is_there_hears_no_more() -> None:
    server = FakeServer()
    for number in range(500):
        server.put(f"n{number}")
    informer = an_informer(server)
    async with running(informer):
        told: list[ObjectKey] = []

        def leave_in_between(change: Change[Object]) -> None:
            told.append(change.key)
            if len(told) == 100:
                subscription.cancel()

        subscription = informer.add_handler(leave_in_between)
        await settled()
        assert len(told) == 100


async def test_waiting_for_a_state_of_the_store_ends_with_the_change_that_brings_it() -> None:
    server = FakeServer()
    informer = an_informer(server)
    async with running(informer):

        async def later() -> None:
            await asyncio.sleep(5)
            server.put("a")
            server.put("b")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(later())
            await informer.until(lambda store: A in store, 10)
        assert now() == 5
        await informer.until(lambda store: B in store, 0)
        with pytest.raises(TimeoutError, match=r"c/things.example.dev was not as expected within 3 s"):
            await informer.until(lambda store: len(store) > 2, 3)
        waiting = asyncio.create_task(informer.until(lambda store: A not in store and 1 / 0 > 0, 10))
        await settled()
        server.drop("a")
        with pytest.raises(ZeroDivisionError):
            await waiting


async def test_several_namespaces_are_one_store() -> None:
    server = FakeServer()
    for namespace in ("one", "two", "three"):
        server.put("a", namespace=namespace)
    informer = an_informer(server, namespaces=("one", "two"))
    async with running(informer):
        assert set(map(str, informer.store.keys())) == {"one/a", "two/a"}
        dict(server.watches)["one"].tear()
        server.drop("a", namespace="two")
        await settled()
        assert informer.state is State.UNREACHABLE
        assert set(map(str, informer.store.keys())) == {"one/a"}


@pytest.mark.pain(7)
async def test_own_writes_that_the_watch_never_shows_lead_to_a_list_that_is_late_enough() -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    async with running(informer):
        server.streams[0].is_dead = True
        informer.own(READER.read(orjson.dumps(server.put("a"))))
        server.put("b")
        await asyncio.sleep(29)
        assert len(server.requests) == 1
        await asyncio.sleep(2)
        assert versions(informer) == truth(server)
        assert server.asked("watch")[1]["resourceVersion"] == "102"
        assert server.asked("watch")[1]["resourceVersionMatch"] == "NotOlderThan"
        assert (informer.relists["unconfirmed"], informer.store.unconfirmed) == (1, 0)
        await asyncio.sleep(60)
        assert informer.relists["unconfirmed"] == 1


async def test_a_list_may_be_asked_for_at_any_moment() -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    async with running(informer):
        [follower] = informer._followers
        server.next("watch", lambda request: follower.relist("while a watch is being opened"))
        server.streams[0].end()
        await asyncio.sleep(10)
        server.put("a")
        await settled()
        assert versions(informer) == truth(server)
        assert informer.relists["while a watch is being opened"] == 1
        assert server.streams[1].is_closed
        server.next("watch", ConnectionFailed("refused", sent=False))
        server.streams[-1].tear()
        await settled()
        follower.relist("in a pause")
        await asyncio.sleep(10)
        follower.relist("while it is watched")
        follower.relist("while it is listed")
        await settled()
        assert informer.relists["in a pause"] == informer.relists["while it is watched"] == 1
        assert informer.relists["while it is listed"] == 0
        server.put("b")
        await settled()
        assert versions(informer) == truth(server)


@pytest.mark.pain(2)
async def test_a_list_that_does_not_come_to_its_end_does_not_make_the_copy_look_fresh() -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    async with running(informer):
        endless = [FakeStream() for _ in range(3)]
        server.next("watch", *endless)
        server.next("list", *[ConnectionFailed("refused", sent=False)] * 100)
        informer._followers[0].relist("test")
        for second in range(9):
            endless[0].send("ADDED", server.objects["default", "a"])
            await asyncio.sleep(1)
            assert informer.staleness(now()) == second + 1


@pytest.mark.pain(7)
async def test_handlers_hear_of_an_own_write_at_once_and_not_again_from_the_watch() -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    changes: list[Change[Object]] = []
    async with running(informer):
        informer.add_handler(changes.append)
        await settled()
        changes.clear()
        informer.own(READER.read(orjson.dumps(server.put("a"))))
        assert [change.is_own for change in changes] == [True]
        await settled()
        assert len(changes) == 1
        assert informer.store.unconfirmed == 0


@pytest.mark.pain(18)
async def test_memory_is_of_the_objects_not_of_the_events() -> None:
    server = FakeServer()
    server.put("a")
    informer = an_informer(server)
    keys: set[ObjectKey] = set()
    async with running(informer):
        informer.add_handler(lambda change: keys.add(change.key))
        await settled()
        lines = [
            b'{"type":"MODIFIED","object":'
            + raw("a", version=1000 + n, uid="uid-a-100", spec={"x": "y" * 2000})
            + b"}\n"
            for n in range(2000)
        ]
        tracemalloc.start()
        for line in lines:
            server.streams[0].write(line)
        before, _ = tracemalloc.get_traced_memory()
        await settled()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (informer.events, keys, len(informer.store)) == (2002, {A}, 1)
        assert after - before < 100_000


class TestInRealTime:
    """How long the loop stands still, in CPU time, so that busy neighbours do not count."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        return "asyncio", {}

    @pytest.mark.slow
    @pytest.mark.pain(17)
    @pytest.mark.parametrize("settings", [STREAM, PAGES], ids=["stream", "pages"])
    async def test_twenty_thousand_objects_do_not_hold_up_the_loop(self, settings: InformerSettings) -> None:
        server = FakeServer()
        stream = FakeStream()
        thing = orjson.loads(raw("NAME", labels={"app": "x"}, spec={"text": "y" * 700}))
        text = orjson.dumps(thing)
        items = [text.replace(b"NAME", b"n%05d" % number) for number in range(20_000)]
        if settings is PAGES:  # a server that answers with everything at once
            body = b'{"metadata":{"resourceVersion":"9"},"items":[' + b",".join(items) + b"]}"
            server.next("list", HttpResponse(200, {}, body))
        else:
            piece = b"".join(b'{"type":"ADDED","object":' + item + b"}\n" for item in items)
            for start in range(0, len(piece), 1 << 18):
                stream.write(piece[start : start + (1 << 18)])
            stream.bookmark(9, ends_list=True)
            server.next("watch", stream)
        indexes = (
            Index("app", lambda meta: meta.labels["app"], needs="meta"),
            Index("name", lambda thing: [thing.kind]),
        )
        informer = an_informer(server, settings, indexes=indexes)
        told = 0

        def count(change: Change[Object]) -> None:
            nonlocal told
            told += 1

        informer.add_handler(count)
        longest = 0.0
        gc.collect()
        gc.freeze()  # as a program does once it has started; the heap of the test runner is not ours to walk
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(informer.run)
            while not informer.has_synced:
                began = time.thread_time()
                await asyncio.sleep(0)
                longest = max(longest, time.thread_time() - began)
            tasks.cancel_scope.cancel()
        gc.unfreeze()
        assert told == 20_000
        assert longest < 0.2  # 9 ms when measured; all of them in one go take most of a second
