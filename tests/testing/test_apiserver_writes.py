"""How objects are created and changed, in answers and in refusals."""

import re
from typing import Any

import pytest

from tests.testing.callers import GROUP, MODIFIED, TIME, Api, a_map, a_thing

UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


# -- create --------------------------------------------------------------------------------------------------------


async def test_a_created_object_has_what_the_server_gives_it(api: Api) -> None:
    made = await api.made(api.maps, {"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v"}})
    entry = {
        "manager": "tester",
        "operation": "Update",
        "apiVersion": "v1",
        "time": made.meta["creationTimestamp"],
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {".": {}, "f:x": {}}}},
    }
    assert made.body == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {
            "name": "a",
            "namespace": api.namespace,
            "uid": made.meta["uid"],
            "resourceVersion": made.version,
            "creationTimestamp": made.meta["creationTimestamp"],
            "labels": {"x": "y"},
            "managedFields": [entry],
        },
        "data": {"k": "v"},
    }
    assert UID.fullmatch(made.meta["uid"])
    assert TIME.fullmatch(made.meta["creationTimestamp"])
    assert (await api.get(f"{api.maps}/a")).body == made.body


async def test_what_a_client_says_about_the_servers_own_fields_is_not_taken(api: Api) -> None:
    lies = {"uid": "mine", "creationTimestamp": "2000-01-01T00:00:00Z", "generation": 7, "selfLink": "/x"}
    made = await api.thing("a", deletionTimestamp="2000-01-01T00:00:00Z", deletionGracePeriodSeconds=3, **lies)
    assert UID.fullmatch(made.meta["uid"])
    assert not made.meta["creationTimestamp"].startswith("2000")
    assert made.meta["generation"] == 1
    assert made.meta.keys().isdisjoint({"selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"})


async def test_versions_only_grow(api: Api) -> None:
    first, second = await api.map("a"), await api.thing("b")
    changed = await api.merge(f"{api.maps}/a", {"data": {"x": "1"}})
    assert int(first.version) < int(second.version) < int(changed.version)


async def test_a_name_is_taken_once(api: Api) -> None:
    await api.map("a")
    again = await api.post(api.maps, a_map("a"))
    assert again.says == (409, "AlreadyExists", 'configmaps "a" already exists')
    assert again["details"] == {"name": "a", "kind": "configmaps"}
    await api.thing("a")
    again = await api.post(api.things, a_thing("a"))
    assert again.says == (409, "AlreadyExists", f'things.{GROUP} "a" already exists')
    assert again["details"] == {"name": "a", "group": GROUP, "kind": "things"}


async def test_a_name_is_made_up_after_a_prefix(api: Api) -> None:
    made = [await api.made(api.maps, {"metadata": {"generateName": "job-"}}) for _ in range(5)]
    assert all(re.fullmatch(r"job-[bcdfghjklmnpqrstvwxz2456789]{5}", one.meta["name"]) for one in made)
    assert len({one.meta["name"] for one in made}) == 5
    assert made[0].meta["generateName"] == "job-"
    given = await api.made(api.maps, {"metadata": {"generateName": "job-", "name": "given"}})
    assert given.meta["name"] == "given"


async def test_a_long_prefix_is_cut_to_make_room(api: Api) -> None:
    made = await api.made(api.maps, {"metadata": {"generateName": "a" * 253}})
    assert len(made.meta["name"]) == 63


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        (
            {},
            ("metadata.name", "FieldValueRequired", "Required value: name or generateName is required"),
        ),
        (
            {"name": "A_b"},
            (
                "metadata.name",
                "FieldValueInvalid",
                (
                    'Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric '
                    "characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
                    "'example.com', regex used for validation is "
                    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                ),
            ),
        ),
        (
            {"name": "a", "labels": {"x": "no spaces"}},
            (
                "metadata.labels",
                "FieldValueInvalid",
                (
                    'Invalid value: "no spaces": a valid label must be an empty string or consist of alphanumeric '
                    "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
                    "'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                ),
            ),
        ),
        (
            {"name": "a", "finalizers": ["nodomain"]},
            (
                "metadata.finalizers[0]",
                "FieldValueInvalid",
                'Invalid value: "nodomain": name is neither a standard finalizer name nor is it fully qualified',
            ),
        ),
    ],
    ids=["no name", "name", "label", "finalizer"],
)
async def test_bad_metadata_is_refused_with_the_rule(
    api: Api, metadata: dict[str, Any], fault: tuple[str, str, str]
) -> None:
    reply = await api.post(api.maps, {"metadata": metadata})
    assert reply.code == 422
    assert reply["reason"] == "Invalid"
    assert fault in reply.causes


async def test_every_fault_is_named_in_one_refusal(api: Api) -> None:
    reply = await api.post(api.maps, {"metadata": {"labels": {"a b": "x"}}, "data": {"in valid": "x"}})
    assert reply.code == 422
    assert [field for field, _, _ in reply.causes] == ["metadata.name", "metadata.labels", "data[in valid]"]
    assert reply["message"].startswith('ConfigMap "" is invalid: [metadata.name: Required value: ')


async def test_a_body_must_be_of_the_kind_and_the_namespace_of_its_path(api: Api) -> None:
    reply = await api.post(api.maps, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}})
    assert reply.says == (
        400,
        "BadRequest",
        (
            'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): '
            "unknown conversion"
        ),
    )
    reply = await api.post(api.things, {**a_thing("a"), "kind": "Other"})
    assert reply.causes == [("kind", "FieldValueInvalid", 'Invalid value: "Other": must be Thing')]
    reply = await api.post(api.maps, a_map("a", namespace="elsewhere"))
    assert reply.says == (
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    )


async def test_an_object_needs_a_namespace_that_is_there(api: Api) -> None:
    reply = await api.post("/api/v1/namespaces/nowhere/configmaps", a_map("a"))
    assert reply.says == (404, "NotFound", 'namespaces "nowhere" not found')


async def test_a_created_object_brings_no_version(api: Api) -> None:
    reply = await api.post(api.maps, a_map("a", resourceVersion="5"))
    assert reply.says == (500, "", "resourceVersion should not be set on objects to be created")


# -- update --------------------------------------------------------------------------------------------------------


async def test_an_update_of_an_older_version_is_a_conflict(api: Api) -> None:
    made = await api.map("a", {"x": "1"})
    await api.put(f"{api.maps}/a", {**made.body, "data": {"x": "2"}})
    late = await api.put(f"{api.maps}/a", {**made.body, "data": {"x": "3"}})
    assert late.says == (409, "Conflict", f'Operation cannot be fulfilled on configmaps "a": {MODIFIED}')
    assert late["details"] == {"name": "a", "kind": "configmaps"}
    assert (await api.get(f"{api.maps}/a"))["data"] == {"x": "2"}


async def test_an_update_without_a_version_is_taken_where_the_kind_allows_it(api: Api) -> None:
    await api.map("a", {"x": "1"})
    assert (await api.put(f"{api.maps}/a", a_map("a", {"x": "2"}))).code == 200
    await api.thing("a")
    reply = await api.put(f"{api.things}/a", a_thing("a"))
    text = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    assert reply.says == (422, "Invalid", f'things.{GROUP} "a" is invalid: {text}')


async def test_an_update_that_changes_nothing_keeps_the_version(api: Api) -> None:
    made = await api.thing("a", {"text": "x"})
    assert (await api.put(f"{api.things}/a", made.body)).body == made.body
    assert (await api.merge(f"{api.things}/a", {"spec": {"text": "x"}})).body == made.body
    assert (await api.merge(f"{api.things}/a", {"spec": {"none": None}})).body == made.body


async def test_an_update_keeps_what_only_the_server_may_set(api: Api) -> None:
    made = await api.thing("a")
    changes = {"creationTimestamp": "2000-01-01T00:00:00Z", "generation": 9, "selfLink": "/x"}
    reply = await api.merge(f"{api.things}/a", {"metadata": changes})
    assert (reply.code, reply.meta) == (200, made.meta)
    for name, value in {"uid": "another", "deletionTimestamp": "2000-01-01T00:00:00Z"}.items():
        reply = await api.merge(f"{api.things}/a", {"metadata": {name: value}})
        message = f'Invalid value: "{value}": field is immutable'
        assert (f"metadata.{name}", "FieldValueInvalid", message) in reply.causes


async def test_an_update_with_the_uid_of_another_object_is_a_conflict(api: Api) -> None:
    made = await api.map("a")
    reply = await api.put(f"{api.maps}/a", a_map("a", uid="another"))
    assert reply.code == 409
    assert f"UID in precondition: another, UID in object meta: {made.meta['uid']}" in reply["message"]


async def test_an_update_must_name_the_object_of_its_path(api: Api) -> None:
    await api.map("a")
    reply = await api.put(f"{api.maps}/a", a_map("b"))
    assert reply.says == (400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)")
    reply = await api.put(f"{api.maps}/missing", a_map("missing"))
    assert reply.says == (404, "NotFound", 'configmaps "missing" not found')


async def test_the_generation_counts_changes_of_what_is_wanted(api: Api) -> None:
    made = await api.thing("a", {"text": "x"})
    assert made.meta["generation"] == 1
    assert (await api.merge(f"{api.things}/a", {"metadata": {"labels": {"x": "y"}}})).meta["generation"] == 1
    assert (await api.merge(f"{api.things}/a/status", {"status": {"phase": "x"}})).meta["generation"] == 1
    assert (await api.merge(f"{api.things}/a", {"spec": {"text": "y"}})).meta["generation"] == 2
    assert "generation" not in (await api.map("a", {"x": "1"})).meta


# -- status --------------------------------------------------------------------------------------------------------


async def test_spec_and_status_are_written_by_two_doors(api: Api) -> None:
    made = await api.made(api.things, {**a_thing("a", {"text": "x"}), "status": {"phase": "Lost"}})
    assert "status" not in made.body
    door = f"{api.things}/a/status"
    body = {"status": {"phase": "Ready"}, "spec": {"text": "y"}, "metadata": {"labels": {"x": "y"}}}
    told = await api.merge(door, body)
    assert told["status"] == {"phase": "Ready"}
    assert told["spec"]["text"] == "x"
    assert "labels" not in told.meta
    assert told.owners == {
        "tester:Update": made.owners["tester:Update"],
        "tester/status:Update": {"f:status": {".": {}, "f:phase": {}}},
    }
    both = await api.merge(f"{api.things}/a", {"status": {"phase": "Gone"}, "spec": {"text": "z"}})
    assert (both["status"], both["spec"]["text"]) == ({"phase": "Ready"}, "z")
    assert (await api.get(door)).body == both.body
    replaced = await api.put(door, {**both.body, "spec": {}, "status": {"phase": "New"}})
    assert (replaced["status"], replaced["spec"]) == ({"phase": "New"}, both["spec"])


async def test_a_status_door_neither_creates_nor_deletes(api: Api) -> None:
    door = f"{api.things}/a/status"
    reply = await api.apply(door, {**a_thing("a"), "status": {"phase": "x"}}, "me")
    assert reply.says == (404, "NotFound", f'things.{GROUP} "a" not found')
    await api.thing("a")
    assert (await api.delete(door)).says[0] == 405
    assert (await api.get(f"{api.things}/a/other")).code == 404


# -- dry run -------------------------------------------------------------------------------------------------------


async def test_a_dry_run_answers_as_if_and_stores_nothing(api: Api) -> None:
    tried = await api.made(api.maps, a_map("a", {"x": "1"}), dryRun="All")
    assert tried.meta["uid"]
    assert "resourceVersion" not in tried.meta
    assert (await api.get(f"{api.maps}/a")).code == 404
    made = await api.map("a", {"x": "1"})
    tried = await api.merge(f"{api.maps}/a", {"data": {"x": "2"}}, dryRun="All")
    assert (tried["data"], tried.version) == ({"x": "2"}, made.version)
    assert (await api.delete(f"{api.maps}/a", dryRun="All"))["status"] == "Success"
    assert (await api.delete(api.maps, dryRun="All")).code == 200
    assert (await api.get(f"{api.maps}/a")).body == made.body
    reply = await api.post(api.maps, a_map("b"), dryRun="Some")
    assert reply.says == (
        422,
        "Invalid",
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
    )
