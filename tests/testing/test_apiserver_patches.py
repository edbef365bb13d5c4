"""The three patches that say what to change: merge, JSON, strategic merge."""

from typing import Any

import pytest

from tests.testing.callers import GROUP, MODIFIED, Api, a_map

CHECK = {"apiVersion": f"{GROUP}/v1", "kind": "Check", "metadata": {"name": "a"}}


def spec_of(*names: str) -> dict[str, Any]:
    """What a pod needs, with containers of these names."""
    return {"containers": [{"name": name, "image": f"{name}:1"} for name in names]}


async def a_pod(api: Api, spec: dict[str, Any], **metadata: Any) -> str:
    """The path of a new pod."""
    await api.made(api.path("pods"), {"metadata": {"name": "p", **metadata}, "spec": spec})
    return f"{api.path('pods')}/p"


def brief(pod: Any) -> list[tuple[str, str]]:
    """Name and image of each container."""
    return [(one["name"], one["image"]) for one in pod["spec"]["containers"]]


# -- merge patch ---------------------------------------------------------------------------------------------------


async def test_a_merge_patch_merges_maps_replaces_lists_and_removes_nulls(api: Api) -> None:
    spec = {"text": "x", "list": ["a", "b"], "labels": {"p": "1", "q": "2"}, "leaf": {"a": "x", "b": 1}}
    await api.thing("a", spec)
    patch = {"spec": {"list": ["c"], "labels": {"p": None, "r": "3"}, "leaf": None, "text": None}}
    patched = await api.merge(f"{api.things}/a", patch)
    assert patched["spec"] == {"list": ["c"], "labels": {"q": "2", "r": "3"}, "count": 5, "maybe": "sure"}


async def test_a_patch_may_name_the_version_it_is_for(api: Api) -> None:
    made = await api.map("a", {"x": "1"})
    good = await api.merge(f"{api.maps}/a", {"metadata": {"resourceVersion": made.version}, "data": {"x": "2"}})
    assert good["data"] == {"x": "2"}
    late = await api.merge(f"{api.maps}/a", {"metadata": {"resourceVersion": made.version}, "data": {"x": "3"}})
    assert late.says == (409, "Conflict", f'Operation cannot be fulfilled on configmaps "a": {MODIFIED}')


async def test_a_patch_creates_nothing(api: Api) -> None:
    reply = await api.merge(f"{api.maps}/a", {"data": {"x": "1"}})
    assert reply.says == (404, "NotFound", 'configmaps "a" not found')


async def test_a_patch_must_leave_an_object_of_its_kind(api: Api) -> None:
    await api.map("a", {"x": "1"})
    assert (await api.merge(f"{api.maps}/a", {"data": {"x": 1}})).code == 422
    assert (await api.merge(f"{api.maps}/a", {"metadata": {"name": "b"}})).code == 400
    assert (await api.merge(f"{api.maps}/a", [1])).code == 400
    assert (await api.get(f"{api.maps}/a"))["data"] == {"x": "1"}


async def test_a_merge_patch_also_takes_nulls_out_of_objects_in_lists(api: Api) -> None:
    path = f"/apis/{GROUP}/v1/namespaces/{api.namespace}/checks"
    await api.made(path, {**CHECK, "spec": {"any": {"list": [1], "map": {"x": 1}}}})
    items = [{"a": None, "b": [{"c": None}, None]}]
    changed = await api.merge(f"{path}/a", {"spec": {"any": {"list": items, "new": items, "map": items}}})
    # but a list in the place of a map is taken as it is
    assert changed["spec"]["any"] == {"list": [{"b": [{}, None]}], "new": [{"b": [{}, None]}], "map": items}


# -- JSON patch ----------------------------------------------------------------------------------------------------


async def test_a_json_patch_is_done_step_by_step(api: Api) -> None:
    await api.thing("a", {"list": ["a", "b"], "labels": {"x": "1"}})
    steps = [
        {"op": "test", "path": "/spec/labels/x", "value": "1"},
        {"op": "add", "path": "/spec/list/-", "value": "c"},
        {"op": "remove", "path": "/spec/list/0"},
        {"op": "replace", "path": "/spec/count", "value": 7},
        {"op": "move", "from": "/spec/labels/x", "path": "/spec/labels/y~1z"},
    ]
    patched = await api.patch(f"{api.things}/a", steps)
    assert (patched["spec"]["list"], patched["spec"]["count"]) == (["b", "c"], 7)
    assert patched["spec"]["labels"] == {"y/z": "1"}


async def test_a_json_patch_is_done_as_a_whole_or_not_at_all(api: Api) -> None:
    made = await api.map("a", {"x": "1"})
    steps = [
        {"op": "add", "path": "/data/y", "value": "2"},
        {"op": "test", "path": "/data/x", "value": "2"},
    ]
    reply = await api.patch(f"{api.maps}/a", steps)
    assert reply.code == 422
    assert (await api.get(f"{api.maps}/a")).body == made.body
    missing = await api.patch(f"{api.maps}/a", [{"op": "remove", "path": "/data/nothing"}])
    assert missing.code == 422
    assert missing["reason"] == "Invalid"


async def test_what_is_no_json_patch_is_refused(api: Api) -> None:
    await api.map("a")
    assert (await api.patch(f"{api.maps}/a", {"op": "add"})).code == 400
    assert (await api.patch(f"{api.maps}/a", b"[")).code == 400


# -- strategic merge patch -----------------------------------------------------------------------------------------


async def test_a_strategic_patch_merges_a_list_by_its_key(api: Api) -> None:
    pod = await a_pod(api, spec_of("a", "b"))
    patched = await api.strategic(pod, {"spec": {"containers": [{"name": "b", "image": "b:2"}]}})
    assert brief(patched) == [("a", "a:1"), ("b", "b:2")]


async def test_a_strategic_patch_says_in_which_order_items_are_to_be(api: Api) -> None:
    await api.map("a", finalizers=["example.com/a", "example.com/b"])
    order = ["example.com/c", "example.com/b", "example.com/a"]
    patch = {"$setElementOrder/finalizers": order, "finalizers": ["example.com/c"]}
    patched = await api.strategic(f"{api.maps}/a", {"metadata": patch})
    assert patched.meta["finalizers"] == order


async def test_a_strategic_patch_merges_finalizers_and_owners(api: Api) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o"}
    await api.map("a", finalizers=["example.com/a"], ownerReferences=[{**owner, "uid": "u1"}])
    patch = {"metadata": {"finalizers": ["example.com/b"], "ownerReferences": [{**owner, "uid": "u2"}]}}
    patched = await api.strategic(f"{api.maps}/a", patch)
    assert sorted(patched.meta["finalizers"]) == ["example.com/a", "example.com/b"]
    assert sorted(one["uid"] for one in patched.meta["ownerReferences"]) == ["u1", "u2"]
    drop = {
        "$deleteFromPrimitiveList/finalizers": ["example.com/a"],
        "ownerReferences": [{"$patch": "delete", "uid": "u1"}],
    }
    patched = await api.strategic(f"{api.maps}/a", {"metadata": drop})
    assert patched.meta["finalizers"] == ["example.com/b"]
    assert [one["uid"] for one in patched.meta["ownerReferences"]] == ["u2"]
    await api.strategic(f"{api.maps}/a", {"metadata": {"finalizers": None}})


async def test_a_strategic_patch_replaces_or_retains_when_told_so(api: Api) -> None:
    await api.map("a", {"x": "1", "y": "2"}, labels={"p": "1", "q": "2"})
    replaced = await api.strategic(f"{api.maps}/a", {"data": {"$patch": "replace", "z": "3"}})
    assert replaced["data"] == {"z": "3"}
    kept = await api.strategic(f"{api.maps}/a", {"metadata": {"labels": {"$retainKeys": ["q", "r"], "r": "3"}}})
    assert kept.meta["labels"] == {"q": "2", "r": "3"}
    gone = await api.strategic(f"{api.maps}/a", {"data": {"$patch": "delete"}})
    assert gone.get("data") in (None, {})


async def test_a_custom_resource_takes_no_strategic_patch(api: Api) -> None:
    await api.thing("a")
    reply = await api.strategic(f"{api.things}/a", {"spec": {"text": "x"}})
    assert reply.says == (
        415,
        "UnsupportedMediaType",
        (
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        ),
    )


@pytest.mark.parametrize("media", ["application/json", "application/foo"])
async def test_a_patch_must_say_which_kind_it_is(api: Api, media: str) -> None:
    await api.map("a")
    reply = await api.send("PATCH", f"{api.maps}/a", {}, media=media)
    assert reply.code == 415
    assert reply["reason"] == "UnsupportedMediaType"


async def test_the_writer_of_a_patch_comes_to_own_what_it_changed(api: Api) -> None:
    await api.map("a", {"x": "1", "y": "1"})
    patched = await api.merge(f"{api.maps}/a", {"data": {"y": "2", "z": "2"}}, fieldManager="other")
    assert patched.owners == {
        "tester:Update": {"f:data": {".": {}, "f:x": {}}},
        "other:Update": {"f:data": {"f:y": {}, "f:z": {}}},
    }
    removed = await api.patch(f"{api.maps}/a", [{"op": "remove", "path": "/data/z"}], fieldManager="third")
    assert removed.owners == {
        "tester:Update": {"f:data": {".": {}, "f:x": {}}},
        "other:Update": {"f:data": {"f:y": {}}},
    }


async def test_a_body_of_a_map_that_is_patched_keeps_its_name(api: Api) -> None:
    await api.map("a")
    reply = await api.put(f"{api.maps}/a", {**a_map("a"), "metadata": {}})
    text = "the name of the object (a based on URL) was undeterminable: name must be provided"
    assert reply.says == (400, "BadRequest", text)


async def test_a_patch_that_copies_its_own_copies_is_stopped(api: Api) -> None:
    await api.thing("a", {"text": "x" * 1000})
    again = [{"op": "copy", "from": "/metadata", "path": f"/metadata/c{number}"} for number in range(100)]
    reply = await api.patch(f"{api.things}/a", again)
    assert reply.says == (422, "Invalid", "the server rejected our request due to an error in our request")


async def test_a_patch_that_is_to_blame_is_shown_without_the_directives_that_were_followed(api: Api) -> None:
    await api.map("a", labels={"j": "k"})
    patch = {
        "metadata": {"$setElementOrder/finalizers": ["a.b/c"], "labels": {"$retainKeys": ["j"], "j": "x"}},
        "data": {"x": 1},
    }
    reply = await api.strategic(f"{api.maps}/a", patch)
    left = "map[data:map[x:1] metadata:map[labels:map[j:x]]]"
    assert reply.causes == [("patch", "FieldValueInvalid", f'Invalid value: "{left}": cannot convert int64 to string')]
