"""Watches: what a client sees of the changes after a version."""

from typing import Any

import pytest

from tests.testing.callers import GROUP, Api


async def version_of(api: Api, path: str) -> str:
    """The version that a list is at now."""
    return (await api.get(path)).version


# -- from a version on ---------------------------------------------------------------------------------------------


async def test_a_watch_shows_every_change_after_its_version_in_order(api: Api) -> None:
    first = await api.map("a", {"x": "1"})
    watch = await api.watch(api.maps, resourceVersion=first.version)
    await api.merge(f"{api.maps}/a", {"data": {"x": "2"}})
    second = await api.map("b")
    await api.delete(f"{api.maps}/a")
    events = await watch.take(3)
    assert [(kind, found["metadata"]["name"]) for kind, found in events] == [
        ("MODIFIED", "a"),
        ("ADDED", "b"),
        ("DELETED", "a"),
    ]
    assert events[0][1]["data"] == {"x": "2"}
    assert events[1][1] == second.body
    await watch.stream.aclose()


async def test_a_watch_may_begin_in_the_past(api: Api) -> None:
    start = await version_of(api, api.maps)
    await api.map("a", {"x": "1"})
    await api.merge(f"{api.maps}/a", {"data": {"x": "2"}})
    await api.delete(f"{api.maps}/a")
    watch = await api.watch(api.maps, resourceVersion=start)
    events = await watch.take(3)
    assert [(kind, found["data"]["x"]) for kind, found in events] == [
        ("ADDED", "1"),
        ("MODIFIED", "2"),
        ("DELETED", "2"),
    ]
    await watch.stream.aclose()


async def test_a_deletion_shows_the_last_state_at_the_version_of_the_deletion(api: Api) -> None:
    made = await api.map("a", {"x": "1"})
    watch = await api.watch(api.maps, resourceVersion=made.version)
    await api.delete(f"{api.maps}/a")
    [(kind, last)] = await watch.take(1)
    assert kind == "DELETED"
    assert int(last["metadata"]["resourceVersion"]) > int(made.version)
    assert {**last, "metadata": {**last["metadata"], "resourceVersion": made.version}} == made.body
    await watch.stream.aclose()


@pytest.mark.parametrize("version", ["", "0"])
async def test_a_watch_without_a_version_begins_with_what_is_there(api: Api, version: str) -> None:
    await api.map("a")
    await api.map("b")
    watch = await api.watch(api.maps, **({"resourceVersion": version} if version else {}))
    assert sorted(await watch.names(2)) == [("ADDED", "a"), ("ADDED", "b")]
    await api.delete(f"{api.maps}/a")
    assert await watch.names(1) == [("DELETED", "a")]
    await watch.stream.aclose()


async def test_a_write_that_changes_nothing_is_no_event(api: Api) -> None:
    made = await api.map("a", {"x": "1"})
    watch = await api.watch(api.maps, resourceVersion=made.version)
    await api.merge(f"{api.maps}/a", {"data": {"x": "1"}})
    await api.merge(f"{api.maps}/a", {"data": {"x": "2"}}, dryRun="All")
    await api.map("b")
    assert await watch.names(1) == [("ADDED", "b")]
    await watch.stream.aclose()


async def test_a_watch_sees_its_own_namespace_and_kind_only(api: Api) -> None:
    watch = await api.watch(api.maps, resourceVersion=await version_of(api, api.maps))
    made = await api.made("/api/v1/namespaces", {"metadata": {"generateName": "test-"}})
    await Api(api.transport, made.meta["name"]).map("elsewhere")
    await api.thing("other")
    await api.map("mine")
    assert await watch.names(1) == [("ADDED", "mine")]
    await watch.stream.aclose()


async def test_a_finalizer_makes_a_deletion_two_events(api: Api) -> None:
    made = await api.thing("a", finalizers=["example.com/keep"])
    watch = await api.watch(api.things, resourceVersion=made.version)
    await api.delete(f"{api.things}/a")
    await api.merge(f"{api.things}/a", {"metadata": {"finalizers": None}})
    (first, marked), (second, last) = await watch.take(2)
    assert (first, second) == ("MODIFIED", "DELETED")
    assert marked["metadata"]["deletionTimestamp"] == last["metadata"]["deletionTimestamp"]
    await watch.stream.aclose()


# -- selections ----------------------------------------------------------------------------------------------------


async def test_an_object_comes_and_goes_at_the_edge_of_a_selection(api: Api) -> None:
    made = await api.map("a", labels={"l": "in"})
    watch = await api.watch(api.maps, resourceVersion=made.version, labelSelector="l=in")
    for label in ("in", "out", "away", "in"):
        await api.merge(f"{api.maps}/a", {"metadata": {"labels": {"l": label}}, "data": {"at": label}})
    await api.delete(f"{api.maps}/a")
    events = await watch.take(4)
    assert [kind for kind, _ in events] == ["MODIFIED", "DELETED", "ADDED", "DELETED"]
    # an object that leaves is shown as it was while it belonged
    assert events[1][1]["metadata"]["labels"] == {"l": "in"}
    await watch.stream.aclose()


async def test_a_watch_of_one_name_sees_one_object(api: Api) -> None:
    start = await version_of(api, api.things)
    await api.thing("a", {"text": "x"})
    await api.thing("b", {"text": "y"})
    by_name = await api.watch(api.things, resourceVersion=start, fieldSelector="metadata.name=b")
    assert await by_name.names(1) == [("ADDED", "b")]
    by_text = await api.watch(api.things, resourceVersion=start, fieldSelector="spec.text=x")
    assert await by_text.names(1) == [("ADDED", "a")]
    await api.merge(f"{api.things}/a", {"spec": {"text": "z"}})
    assert await by_text.names(1) == [("DELETED", "a")]
    await by_name.stream.aclose()
    await by_text.stream.aclose()


# -- list and watch in one -----------------------------------------------------------------------------------------

INITIAL: dict[str, Any] = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}


async def test_a_watch_list_begins_with_the_state_and_marks_its_end(api: Api) -> None:
    await api.thing("a")
    last = await api.thing("b")
    watch = await api.watch(api.things, **INITIAL)
    assert sorted(await watch.names(2)) == [("ADDED", "a"), ("ADDED", "b")]
    [(kind, mark)] = await watch.take(1)
    assert kind == "BOOKMARK"
    assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert (mark["kind"], mark["apiVersion"]) == ("Thing", f"{GROUP}/v1")
    assert int(mark["metadata"]["resourceVersion"]) >= int(last.version)
    await api.thing("c")
    assert await watch.names(1) == [("ADDED", "c")]
    await watch.stream.aclose()


async def test_an_empty_watch_list_has_its_mark_at_once(api: Api) -> None:
    watch = await api.watch(api.things, **INITIAL)
    [(kind, mark)] = await watch.take(1)
    assert (kind, mark["metadata"]["annotations"]) == ("BOOKMARK", {"k8s.io/initial-events-end": "true"})
    await watch.stream.aclose()


@pytest.mark.parametrize(
    ("query", "messages"),
    [
        (
            {"sendInitialEvents": "true"},
            ["Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"],
        ),
        (
            {"resourceVersionMatch": "NotOlderThan", "resourceVersion": "1"},
            ["Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"],
        ),
    ],
    ids=["no match", "no initial events"],
)
async def test_what_watch_options_cannot_mean_is_refused(api: Api, query: dict[str, str], messages: list[str]) -> None:
    reply = await api.get(api.maps, watch="true", **query)
    assert reply.code == 422
    assert [message for _, _, message in reply.causes] == messages


# -- ends ----------------------------------------------------------------------------------------------------------


async def test_a_watch_ends_when_its_time_is_over(api: Api) -> None:
    watch = await api.watch(api.maps, timeoutSeconds=1, resourceVersion=await version_of(api, api.maps))
    assert await watch.to_end() == []


async def test_a_version_that_is_none_is_refused(api: Api) -> None:
    reply = await api.get(api.maps, watch="true", resourceVersion="x", timeoutSeconds=1)
    text = 'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'
    assert reply.says == (500, "", text)


async def test_metadata_alone_can_be_watched(api: Api) -> None:
    made = await api.thing("a", {"text": "x"}, labels={"l": "1"})
    partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    watch = await api.watch(api.things, accept=partial, **INITIAL)
    (kind, found), (end, mark) = await watch.take(2)
    assert (kind, end) == ("ADDED", "BOOKMARK")
    assert found == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made.meta}
    assert mark["kind"] == "PartialObjectMetadata"
    await watch.stream.aclose()
