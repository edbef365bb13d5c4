"""How objects go: at once, in steps, under conditions, many at a time."""

import pytest

from tests.testing.callers import GROUP, TIME, Api, a_thing


async def test_an_object_goes_at_once_when_nothing_keeps_it(api: Api) -> None:
    made = await api.map("a")
    reply = await api.delete(f"{api.maps}/a")
    details = {"name": "a", "kind": "configmaps", "uid": made.meta["uid"]}
    assert (reply.code, reply["status"], reply["details"]) == (200, "Success", details)
    gone = await api.delete(f"{api.maps}/a")
    assert gone.says == (404, "NotFound", 'configmaps "a" not found')


async def test_a_finalizer_keeps_an_object_until_it_is_taken_away(api: Api) -> None:
    made = await api.thing("a", finalizers=["example.com/keep", "example.com/wait"])
    marked = await api.delete(f"{api.things}/a")
    assert marked.code == 200
    assert TIME.fullmatch(marked.meta["deletionTimestamp"])
    assert marked.meta["deletionGracePeriodSeconds"] == 0
    assert marked.meta["generation"] == made.meta["generation"] + 1
    again = await api.delete(f"{api.things}/a")
    assert (again.code, again.body) == (200, marked.body)
    taken = await api.post(api.things, a_thing("a"))
    assert taken.says == (409, "AlreadyExists", f'object is being deleted: things.{GROUP} "a" already exists')
    more = await api.merge(
        f"{api.things}/a", {"metadata": {"finalizers": [*made.meta["finalizers"], "example.com/new"]}}
    )
    assert more.code == 422
    field, reason, _ = more.causes[0]
    assert (field, reason) == ("metadata.finalizers", "FieldValueForbidden")
    one = await api.merge(f"{api.things}/a", {"metadata": {"finalizers": ["example.com/wait"]}})
    assert one.meta["deletionTimestamp"] == marked.meta["deletionTimestamp"]
    last = await api.merge(f"{api.things}/a", {"metadata": {"finalizers": None}})
    assert (last.code, last.meta["uid"]) == (200, made.meta["uid"])
    assert (await api.get(f"{api.things}/a")).code == 404


async def test_a_deleted_object_comes_back_as_another_one(api: Api) -> None:
    first = await api.map("a")
    await api.delete(f"{api.maps}/a")
    second = await api.map("a")
    assert second.meta["uid"] != first.meta["uid"]
    late = await api.put(f"{api.maps}/a", first.body)
    assert late.code == 409


async def test_a_deletion_may_be_tied_to_one_object_at_one_version(api: Api) -> None:
    made = await api.map("a")
    path = f"{api.maps}/a"
    reply = await api.delete(path, {"preconditions": {"uid": "another"}})
    uid = made.meta["uid"]
    assert reply.says == (
        409,
        "Conflict",
        (
            f'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (another) does not match '
            f"the UID in record ({uid}). The object might have been deleted and then recreated"
        ),
    )
    reply = await api.delete(path, {"preconditions": {"resourceVersion": "1"}})
    assert reply.says == (
        409,
        "Conflict",
        (
            'Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in the precondition (1) does not '
            f"match the ResourceVersion in record ({made.version}). The object might have been modified"
        ),
    )
    good = await api.delete(path, {"preconditions": {"uid": uid, "resourceVersion": made.version}})
    assert good["status"] == "Success"


@pytest.mark.parametrize(
    ("options", "finalizers"),
    [({"propagationPolicy": "Foreground"}, ["foregroundDeletion"]), ({"propagationPolicy": "Orphan"}, ["orphan"])],
    ids=["foreground", "orphan"],
)
async def test_what_becomes_of_dependents_stands_in_the_finalizers(
    api: Api, options: dict[str, str], finalizers: list[str]
) -> None:
    # another keeps it, so that no collector is faster than we
    await api.thing("a", finalizers=["example.com/keep"])
    marked = await api.delete(f"{api.things}/a", options)
    assert marked.meta["finalizers"] == ["example.com/keep", *finalizers]
    back = await api.delete(f"{api.things}/a", {"propagationPolicy": "Background"})
    assert "example.com/keep" in back.meta["finalizers"]
    await api.merge(f"{api.things}/a", {"metadata": {"finalizers": None}})


async def test_what_delete_options_cannot_mean_is_refused(api: Api) -> None:
    await api.map("a")
    reply = await api.delete(f"{api.maps}/a", {"propagationPolicy": "Sideways"})
    assert reply.code == 422
    assert reply.causes[0][:2] == ("propagationPolicy", "FieldValueNotSupported")
    reply = await api.delete(f"{api.maps}/a", {"propagationPolicy": "Orphan", "orphanDependents": True})
    assert reply.causes == [
        (
            "propagationPolicy",
            "FieldValueInvalid",
            'Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
        )
    ]


async def test_a_selection_is_deleted_in_one_request(api: Api) -> None:
    for name in "abcd":
        await api.map(name, labels={"part": "x" if name in "ac" else "y"})
    reply = await api.delete(api.maps, labelSelector="part=x")
    assert reply["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in reply["items"]] == ["a", "c"]
    listed = await api.get(api.maps)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["b", "d"]
