"""Watches over time: bookmarks, ends, slow readers, and what becomes of them when history is forgotten."""

from typing import Any

import anyio
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core.clock import now
from reconcile.kube import request as requests
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.testing.apiserver import ApiServer, Settings
from reconcile.testing.loop import run
from tests.testing.callers import Api, Watch
from tests.testing.test_apiserver_watches import INITIAL


async def fate(watch: Watch) -> list[str]:
    """What comes until the end: type and time of each line (seconds since we began to look)."""
    start, seen = now(), []
    while chunk := await watch.stream.read():
        seen += [f"{orjson.loads(line)['type']} {now() - start:g}" for line in chunk.splitlines()]
    return [*seen, f"end {now() - start:g}"]


# -- bookmarks and ends --------------------------------------------------------------------------------------------


async def test_a_bookmark_comes_every_minute_and_just_before_the_end(api: Api) -> None:
    version = (await api.get(api.maps)).version
    await api.thing("elsewhere")  # something that this watch is not told of
    watch = await api.watch(api.maps, resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds=150)
    assert await fate(watch) == ["BOOKMARK 60", "BOOKMARK 120", "BOOKMARK 148", "end 150"]


async def test_a_bookmark_says_how_far_the_server_is(api: Api) -> None:
    version = (await api.get(api.maps)).version
    watch = await api.watch(api.maps, resourceVersion=version, allowWatchBookmarks="true")
    last = await api.thing("elsewhere")
    with anyio.fail_after(61):
        chunk = await watch.stream.read()
    expected = {
        "type": "BOOKMARK",
        "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": last.version}},
    }
    assert orjson.loads(chunk) == expected
    await watch.stream.aclose()


async def test_nobody_gets_bookmarks_unasked(api: Api) -> None:
    version = (await api.get(api.maps)).version
    await api.thing("elsewhere")
    watch = await api.watch(api.maps, resourceVersion=version, timeoutSeconds=150)
    assert await fate(watch) == ["end 150"]


async def test_a_watch_without_a_timeout_ends_within_an_hour(api: Api) -> None:
    watch = await api.watch(api.maps, resourceVersion=(await api.get(api.maps)).version)
    [end] = await fate(watch)
    assert 1800 <= float(end.removeprefix("end ")) <= 3600


async def test_the_server_can_end_watches_as_a_restart_does(server: ApiServer, api: Api) -> None:
    maps, things = await api.watch(api.maps, resourceVersion="1"), await api.watch(api.things, resourceVersion="1")
    server.end_watches(CONFIG_MAP)
    assert await maps.to_end() == []
    server.end_watches()
    assert await things.to_end() == []


async def test_a_server_that_closes_ends_its_watches() -> None:
    async with ApiServer() as server:
        stream = await server.transport().open(requests.watch(CONFIG_MAP, resource_version="1"), timeout=1)
    assert await stream.read() == b""


# -- readers who fall behind ---------------------------------------------------------------------------------------


async def test_a_reader_who_falls_behind_is_cut_off_and_nobody_else() -> None:
    async with ApiServer(settings=Settings(watch_buffer=3)) as server:
        api = Api(server.transport(), "default")
        slow, quick = [await api.watch(api.maps, resourceVersion="1") for _ in range(2)]
        for name in "abcd":
            await api.map(name)
            assert await quick.names(1) == [("ADDED", name)]
        assert await slow.to_end() == []
        await api.map("e")
        assert await quick.names(1) == [("ADDED", "e")]


async def test_what_a_watch_begins_with_is_no_reason_to_cut_it_off() -> None:
    async with ApiServer(settings=Settings(watch_buffer=3)) as server:
        api = Api(server.transport(), "default")
        for name in "abcde":
            await api.map(name)
        watch = await api.watch(api.maps, resourceVersion="1")
        assert [name for _, name in await watch.names(5)] == list("abcde")
        watch = await api.watch(api.maps, **INITIAL)
        assert len(await watch.take(6)) == 6


# -- forgotten versions --------------------------------------------------------------------------------------------


async def gone_line(api: Api, version: str) -> dict[str, Any]:
    """What a watch from a version that is forgotten has to say."""
    watch = await api.watch(api.maps, resourceVersion=version)
    [(kind, status)] = await watch.to_end()
    assert kind == "ERROR"
    return status  # type: ignore[no-any-return]


async def test_a_watch_from_a_forgotten_version_ends_in_410(server: ApiServer, api: Api) -> None:
    first = await api.map("a")
    last = await api.map("b")
    server.compact()
    assert await gone_line(api, first.version) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"too old resource version: {first.version} ({last.version})",
        "reason": "Expired",
        "code": 410,
    }
    watch = await api.watch(api.maps, resourceVersion=last.version)
    await api.map("c")
    assert await watch.names(1) == [("ADDED", "c")]


async def test_a_running_watch_outlives_the_history_it_came_from(server: ApiServer, api: Api) -> None:
    watch = await api.watch(api.maps, resourceVersion=(await api.get(api.maps)).version)
    await api.map("a")
    server.compact()
    await api.map("b")
    assert await watch.names(2) == [("ADDED", "a"), ("ADDED", "b")]


async def test_history_is_bounded_for_each_kind() -> None:
    async with ApiServer(settings=Settings(history=3)) as server:
        api = Api(server.transport(), "default")
        made = [await api.map(name) for name in "abcde"]
        status = await gone_line(api, made[0].version)
        assert status["message"] == f"too old resource version: {made[0].version} ({made[1].version})"
        watch = await api.watch(api.maps, resourceVersion=made[1].version)
        assert await watch.names(3) == [("ADDED", "c"), ("ADDED", "d"), ("ADDED", "e")]
        # another kind's changes push nothing out
        for number in range(5):
            await api.made(api.path("secrets"), {"metadata": {"name": f"s{number}"}})
        watch = await api.watch(api.maps, resourceVersion=made[1].version)
        assert len(await watch.take(3)) == 3


async def test_a_list_at_a_forgotten_version_and_its_next_page_are_410(server: ApiServer, api: Api) -> None:
    for name in "abc":
        await api.map(name)
    page = await api.get(api.maps, limit=1)
    server.compact()
    await api.map("d")
    reply = await api.get(api.maps, resourceVersion=str(int(page.version) - 1), resourceVersionMatch="Exact")
    assert reply.says == (410, "Expired", "The resourceVersion for the provided list is too old.")
    server.compact()
    reply = await api.get(api.maps, continue_=page.meta["continue"])
    assert reply.says[:2] == (410, "Expired")
    assert reply["message"].startswith(
        "The provided continue parameter is too old to display a consistent list result."
    )
    # the refusal brings a token that goes on with the present
    rest = await api.get(api.maps, continue_=reply.meta["continue"])
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b", "c", "d"]


async def test_continue_tokens_can_expire_alone(server: ApiServer, api: Api) -> None:
    for name in "ab":
        await api.map(name)
    page = await api.get(api.maps, limit=1)
    server.expire_continue()
    assert (await api.get(api.maps, continue_=page.meta["continue"])).code == 410
    watch = await api.watch(api.maps, resourceVersion=page.version)
    await api.map("c")
    assert await watch.names(1) == [("ADDED", "c")]
    assert len((await api.get(api.maps))["items"]) == 3


# -- restores ------------------------------------------------------------------------------------------------------


async def test_a_restore_takes_objects_and_versions_back(server: ApiServer, api: Api) -> None:
    kept = await api.map("kept", {"x": "1"})
    backup = server.snapshot()
    lost = await api.map("lost")
    await api.merge(f"{api.maps}/kept", {"data": {"x": "2"}})
    watch = await api.watch(api.maps, resourceVersion=lost.version)
    server.restore(backup)
    assert [kind for kind, _ in await watch.to_end()] == ["MODIFIED"]
    listed = await api.get(api.maps)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["kept"]
    assert listed["items"][0]["metadata"]["resourceVersion"] == kept.version
    assert int(listed.version) < int(lost.version)
    # a version of the lost time is one that is yet to come
    assert (await api.get(api.maps, resourceVersion=lost.version)).code == 504
    again = await api.map("other")
    assert int(again.version) <= int(lost.version)


async def test_a_read_waits_for_a_version_that_is_about_to_come(server: ApiServer, api: Api) -> None:
    start, wanted = now(), str(server.storage.version + 1)

    async def write_later() -> None:
        await anyio.sleep(2)
        await api.map("a")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write_later)
        listed = await api.get(api.maps, resourceVersion=wanted)
    assert (listed.version, now() - start) == (wanted, 2)
    reply = await api.get(api.maps, resourceVersion="9999")
    assert (reply.code, now() - start) == (504, 5)


# -- servers without watch lists -----------------------------------------------------------------------------------


async def test_an_older_server_refuses_to_begin_a_watch_with_a_list() -> None:
    async with ApiServer(settings=Settings(watch_list=False)) as server:
        api = Api(server.transport(), "default")
        reply = await api.get(api.maps, watch="true", **INITIAL)
        assert reply.causes == [
            (
                "sendInitialEvents",
                "FieldValueForbidden",
                "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            )
        ]


# -- from anywhere to the present ----------------------------------------------------------------------------------

moves = st.lists(
    st.tuples(st.sampled_from(["put", "label", "delete"]), st.sampled_from("abc"), st.sampled_from(["in", "out"])),
    max_size=12,
)


@pytest.mark.parametrize("selector", ["", "l=in"], ids=["all", "some"])
@given(moves=moves, cut=st.floats(0, 1))
def test_a_watch_from_any_version_leads_to_what_a_list_shows(
    selector: str, moves: list[tuple[str, str, str]], cut: float
) -> None:
    """Whatever was listed at a version, the changes after it make of it what there is now."""

    async def story() -> None:
        async with ApiServer() as server:
            api = Api(server.transport(), "default")
            start = int(cut * len(moves))
            for move in moves[:start]:
                await do(api, *move)
            listed = await api.get(api.maps, labelSelector=selector)
            seen = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed["items"]}
            for move in moves[start:]:
                await do(api, *move)
            watch = await api.watch(api.maps, resourceVersion=listed.version, labelSelector=selector, timeoutSeconds=1)
            for kind, found in await watch.to_end():
                name = found["metadata"]["name"]
                assert (kind == "ADDED") is (name not in seen)
                if kind == "DELETED":
                    del seen[name]
                else:
                    seen[name] = found["metadata"]["resourceVersion"]
            listed = await api.get(api.maps, labelSelector=selector)
            assert seen == {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed["items"]}

    run(story())


async def do(api: Api, move: str, name: str, label: str) -> None:
    if move == "delete":
        await api.delete(f"{api.maps}/{name}")
    else:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"l": label}}}
        if move == "put":
            body["data"] = {"x": "1"}
        await api.apply(f"{api.maps}/{name}", body, "me")
