"""Server-side apply: who owns which field, what goes when it is no longer listed, what is a conflict."""

from typing import Any

import pytest

from tests.testing.callers import GROUP, Api, a_map, a_thing

UNFIT = f"failed to create typed patch object (/a; {GROUP}/v1, Kind=Thing)"


async def applied(api: Api, name: str, spec: Any, manager: str, **query: Any) -> Any:
    """A Thing that is applied, and taken."""
    reply = await api.apply(f"{api.things}/{name}", a_thing(name, spec), manager, **query)
    assert reply.code in (200, 201), reply.body
    return reply


# -- create and repeat ---------------------------------------------------------------------------------------------


async def test_applying_creates_what_is_not_there(api: Api) -> None:
    made = await api.apply(f"{api.things}/a", a_thing("a", {"text": "x"}, labels={"l": "1"}), "me")
    assert made.code == 201
    assert made["spec"] == {"text": "x", "count": 5, "maybe": "sure"}
    assert made.meta["generation"] == 1
    # a default is nobody's
    assert made.owners == {"me": {"f:metadata": {"f:labels": {"f:l": {}}}, "f:spec": {"f:text": {}}}}
    assert made.meta["managedFields"][0]["time"] == made.meta["creationTimestamp"]


async def test_applying_the_same_again_changes_nothing(api: Api) -> None:
    spec = {"text": "x", "set": ["a"], "parts": [{"name": "p", "size": 1}], "labels": {"l": "1"}}
    first = await applied(api, "a", spec, "me")
    again = await applied(api, "a", spec, "me")
    assert (again.code, again.body) == (200, first.body)


async def test_two_managers_of_different_fields_do_not_meet(api: Api) -> None:
    await applied(api, "a", {"text": "x", "labels": {"l": "1"}}, "me")
    both = await applied(api, "a", {"count": 7, "labels": {"m": "2"}}, "you")
    assert both["spec"] == {"text": "x", "count": 7, "labels": {"l": "1", "m": "2"}, "maybe": "sure"}
    assert both.owners == {
        "me": {"f:spec": {"f:labels": {"f:l": {}}, "f:text": {}}},
        "you": {"f:spec": {"f:count": {}, "f:labels": {"f:m": {}}}},
    }


# -- what goes -----------------------------------------------------------------------------------------------------


async def test_a_field_goes_when_its_only_manager_lists_it_no_more(api: Api) -> None:
    await applied(api, "a", {"text": "x", "labels": {"l": "1", "m": "2"}, "leaf": {"a": "x"}}, "me")
    left = await applied(api, "a", {"labels": {"m": "2"}}, "me")
    assert left["spec"] == {"labels": {"m": "2"}, "count": 5, "maybe": "sure"}
    assert left.owners == {"me": {"f:spec": {"f:labels": {"f:m": {}}}}}
    nothing = await applied(api, "a", None, "me")
    assert "spec" not in nothing.body
    assert nothing.owners == {}


async def test_a_default_comes_back_when_its_field_goes(api: Api) -> None:
    assert (await applied(api, "a", {"count": 7}, "me"))["spec"]["count"] == 7
    assert (await applied(api, "a", {}, "me"))["spec"]["count"] == 5


async def test_a_field_stays_while_another_manager_lists_it(api: Api) -> None:
    await applied(api, "a", {"text": "x"}, "me")
    shared = await applied(api, "a", {"text": "x"}, "you")
    assert shared.owners == {"me": {"f:spec": {"f:text": {}}}, "you": {"f:spec": {"f:text": {}}}}
    left = await applied(api, "a", {"labels": {}}, "me")
    assert left["spec"]["text"] == "x"
    assert left.owners["you"] == {"f:spec": {"f:text": {}}}


async def test_items_of_a_set_and_of_a_list_map_belong_to_those_who_list_them(api: Api) -> None:
    mine = {"set": ["a", "b"], "parts": [{"name": "p", "size": 1}, {"name": "q", "size": 2}]}
    await applied(api, "a", mine, "me")
    yours = {"set": ["b", "c"], "parts": [{"name": "q", "leaf": {"a": "x"}}, {"name": "r"}]}
    both = await applied(api, "a", yours, "you")
    assert both["spec"]["set"] == ["a", "b", "c"]
    assert both["spec"]["parts"] == [
        {"name": "p", "size": 1},
        {"name": "q", "size": 2, "leaf": {"a": "x"}},
        {"name": "r"},
    ]
    assert both.owners["you"] == {
        "f:spec": {
            "f:parts": {
                'k:{"name":"q"}': {".": {}, "f:leaf": {"f:a": {}}, "f:name": {}},
                'k:{"name":"r"}': {".": {}, "f:name": {}},
            },
            "f:set": {'v:"b"': {}, 'v:"c"': {}},
        }
    }
    left = await applied(api, "a", {"set": ["a"]}, "me")
    assert left["spec"]["set"] == ["a", "b", "c"]
    assert left["spec"]["parts"] == [{"name": "q", "leaf": {"a": "x"}}, {"name": "r"}]
    last = await applied(api, "a", {}, "you")
    assert (last["spec"]["set"], last["spec"].get("parts")) == (["a"], None)


async def test_a_list_and_an_atomic_map_are_one_value(api: Api) -> None:
    await applied(api, "a", {"list": ["a", "b"], "atom": {"a": "1"}}, "me")
    reply = await api.apply(f"{api.things}/a", a_thing("a", {"list": ["c"], "atom": {"b": "2"}}), "you")
    assert reply.code == 409
    assert [field for field, _, _ in reply.causes] == [".spec.atom", ".spec.list"]
    taken = await applied(api, "a", {"list": ["c"], "atom": {"b": "2"}}, "you", force="true")
    assert (taken["spec"]["list"], taken["spec"]["atom"]) == (["c"], {"b": "2"})


async def test_a_key_with_a_default_is_the_same_item_with_and_without_it(api: Api) -> None:
    def part(**port: Any) -> Any:
        return {"parts": [{"name": "p", "ports": [{"port": 80, **port}]}]}

    await applied(api, "a", part(note="x"), "me")
    both = await applied(api, "a", part(protocol="TCP"), "you")
    [port] = both["spec"]["parts"][0]["ports"]
    assert port == {"port": 80, "protocol": "TCP", "note": "x"}
    [other] = (await applied(api, "b", part(protocol="UDP"), "me"))["spec"]["parts"][0]["ports"]
    assert other == {"port": 80, "protocol": "UDP"}


async def test_an_item_without_its_key_does_not_fit(api: Api) -> None:
    reply = await api.apply(f"{api.things}/a", a_thing("a", {"parts": [{"size": 1}]}), "me")
    text = (
        '.spec.parts: element 0: associative list with keys has an element that omits all key fields ["name"] '
        "(and doesn't have default values for any key fields)"
    )
    assert reply.says == (500, "", f"{UNFIT}: {text}")
    reply = await api.apply(f"{api.things}/a", a_thing("a", {"set": ["a", "a"]}), "me")
    assert reply.says == (500, "", f'{UNFIT}: .spec.set: duplicate entries for key [="a"]')


async def test_a_field_that_the_schema_has_not_is_refused(api: Api) -> None:
    reply = await api.apply(f"{api.things}/a", a_thing("a", {"nothing": 1}), "me")
    assert reply.says == (500, "", f"{UNFIT}: .spec.nothing: field not declared in schema")


# -- conflicts -----------------------------------------------------------------------------------------------------


async def test_another_value_for_a_field_of_others_is_a_conflict(api: Api) -> None:
    await applied(api, "a", {"text": "x"}, "me")
    reply = await api.apply(f"{api.things}/a", a_thing("a", {"text": "y"}), "you")
    assert reply.says == (409, "Conflict", 'Apply failed with 1 conflict: conflict with "me": .spec.text')
    assert reply.causes == [(".spec.text", "FieldManagerConflict", 'conflict with "me"')]
    assert (await api.get(f"{api.things}/a"))["spec"]["text"] == "x"


async def test_a_conflict_names_every_manager_and_field(api: Api) -> None:
    await api.thing("a", {"text": "x", "labels": {"l": "1"}})
    await applied(api, "a", {"leaf": {"b": 7}, "parts": [{"name": "p", "size": 1}]}, "me")
    wish = {"text": "y", "labels": {"l": "2"}, "leaf": {"b": 8}, "parts": [{"name": "p", "size": 2}]}
    reply = await api.apply(f"{api.things}/a", a_thing("a", wish), "you")
    tester = f'"tester" using {GROUP}/v1'
    assert reply.says == (
        409,
        "Conflict",
        (
            'Apply failed with 4 conflicts: conflicts with "me":\n'
            "- .spec.leaf.b\n"
            '- .spec.parts[name="p"].size\n'
            f"conflicts with {tester}:\n"
            "- .spec.text\n"
            "- .spec.labels.l"
        ),
    )
    assert (".spec.labels.l", "FieldManagerConflict", f"conflict with {tester}") in reply.causes
    assert len(reply.causes) == 4


async def test_force_takes_fields_from_those_who_own_them(api: Api) -> None:
    await applied(api, "a", {"text": "x", "labels": {"l": "1"}}, "me")
    taken = await applied(api, "a", {"text": "y"}, "you", force="true")
    assert taken["spec"]["text"] == "y"
    assert taken.owners == {
        "me": {"f:spec": {"f:labels": {"f:l": {}}}},
        "you": {"f:spec": {"f:text": {}}},
    }


async def test_the_same_value_is_shared_without_a_conflict(api: Api) -> None:
    await api.thing("a", {"text": "x"})
    shared = await applied(api, "a", {"text": "x"}, "me")
    assert shared.owners["me"] == {"f:spec": {"f:text": {}}}
    assert "f:text" in shared.owners["tester:Update"]["f:spec"]


# -- with other writes ---------------------------------------------------------------------------------------------


async def test_an_update_takes_what_it_changes_without_asking(api: Api) -> None:
    await applied(api, "a", {"text": "x", "count": 7}, "me")
    changed = await api.merge(f"{api.things}/a", {"spec": {"text": "y"}})
    assert changed.owners == {"me": {"f:spec": {"f:count": {}}}, "tester:Update": {"f:spec": {"f:text": {}}}}
    reply = await api.apply(f"{api.things}/a", a_thing("a", {"text": "x", "count": 7}), "me")
    assert reply.code == 409
    assert [field for field, _, _ in reply.causes] == [".spec.text"]
    back = await applied(api, "a", {"text": "x", "count": 7}, "me", force="true")
    assert back.owners == {"me": {"f:spec": {"f:count": {}, "f:text": {}}}}


async def test_a_field_that_an_update_removes_is_nobodys(api: Api) -> None:
    await applied(api, "a", {"text": "x", "labels": {"l": "1"}}, "me")
    removed = await api.merge(f"{api.things}/a", {"spec": {"text": None}})
    assert removed.owners == {"me": {"f:spec": {"f:labels": {"f:l": {}}}}}


async def test_what_was_there_before_anyone_applied_is_owned_before_first_apply(api: Api) -> None:
    made = await api.made(api.maps, a_map("a", {"x": "1"}))
    bare = await api.merge(f"{api.maps}/a", {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in bare.meta
    reply = await api.apply(f"{api.maps}/a", a_map("a", {"x": "2"}), "me")
    assert reply.code == 409
    assert 'conflict with "before-first-apply" using v1' in reply["message"]
    taken = await api.apply(f"{api.maps}/a", a_map("a", {"y": "2"}), "me")
    assert taken.owners == {
        "me": {"f:data": {"f:y": {}}},
        "before-first-apply:Update": {"f:data": {".": {}, "f:x": {}}},
    }
    assert taken.meta["uid"] == made.meta["uid"]


async def test_a_manager_applies_and_updates_under_two_entries(api: Api) -> None:
    await applied(api, "a", {"text": "x"}, "me")
    both = await api.merge(f"{api.things}/a", {"spec": {"text": "y"}}, fieldManager="me")
    assert both.owners == {"me:Update": {"f:spec": {"f:text": {}}}}
    reply = await api.apply(f"{api.things}/a", a_thing("a", {"text": "z"}), "me")
    assert reply.code == 409
    assert reply["message"].startswith(f'Apply failed with 1 conflict: conflict with "me" using {GROUP}/v1')


async def test_the_two_doors_have_owners_of_their_own(api: Api) -> None:
    await applied(api, "a", {"text": "x"}, "me")
    body = {**a_thing("a", {"text": "lost"}), "status": {"phase": "Ready", "seen": {"x": "1"}}}
    told = await api.apply(f"{api.things}/a/status", body, "me")
    assert told["spec"]["text"] == "x"
    assert told["status"] == {"phase": "Ready", "seen": {"x": "1"}}
    assert told.owners == {
        "me": {"f:spec": {"f:text": {}}},
        "me/status": {"f:status": {"f:phase": {}, "f:seen": {"f:x": {}}}},
    }
    again = await applied(api, "a", {"text": "y"}, "me")
    assert again["status"] == told["status"]
    less = await api.apply(f"{api.things}/a/status", {**a_thing("a"), "status": {"phase": "Ready"}}, "me")
    assert less["status"] == {"phase": "Ready"}
    assert less["spec"]["text"] == "y"


async def test_labels_finalizers_and_owners_are_shared_by_item(api: Api) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o"}
    first = a_map("a", finalizers=["example.com/a"], ownerReferences=[{**owner, "uid": "u1"}], labels={"l": "1"})
    await api.apply(f"{api.maps}/a", first, "me")
    second = a_map("a", finalizers=["example.com/b"], ownerReferences=[{**owner, "uid": "u2"}], labels={"m": "2"})
    both = await api.apply(f"{api.maps}/a", second, "you")
    assert both.meta["finalizers"] == ["example.com/a", "example.com/b"]
    assert [one["uid"] for one in both.meta["ownerReferences"]] == ["u1", "u2"]
    assert both.owners["you"]["f:metadata"] == {
        "f:finalizers": {'v:"example.com/b"': {}},
        "f:labels": {"f:m": {}},
        "f:ownerReferences": {'k:{"uid":"u2"}': {}},
    }
    left = await api.apply(f"{api.maps}/a", a_map("a"), "me")
    assert (left.meta["finalizers"], left.meta["labels"]) == (["example.com/b"], {"m": "2"})
    await api.merge(f"{api.maps}/a", {"metadata": {"finalizers": None}})


# -- requests that are none ----------------------------------------------------------------------------------------


async def test_applying_needs_a_manager(api: Api) -> None:
    reply = await api.send("PATCH", f"{api.maps}/a", a_map("a"), media="application/apply-patch+yaml")
    text = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    assert reply.says == (422, "Invalid", text)
    reply = await api.merge(f"{api.maps}/a", {}, force="true")
    assert reply.causes == [
        ("force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch"),
    ]


async def test_a_configuration_names_its_kind_and_object_and_no_managers(api: Api) -> None:
    reply = await api.apply(f"{api.maps}/a", {"metadata": {"name": "a"}}, "me")
    assert reply.code == 400
    reply = await api.apply(f"{api.maps}/a", a_map("b"), "me")
    assert reply.says == (400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)")
    reply = await api.apply(f"{api.maps}/a", a_map("a", managedFields=[]), "me")
    assert reply.says == (400, "BadRequest", "metadata.managedFields must be nil")


async def test_applying_at_a_version_is_tied_to_it(api: Api) -> None:
    made = await applied(api, "a", {"text": "x"}, "me")
    await applied(api, "a", {"text": "y"}, "me")
    late = a_thing("a", {"text": "z"}, resourceVersion=made.version)
    assert (await api.apply(f"{api.things}/a", late, "me")).says[:2] == (409, "Conflict")
    missing = a_thing("b", {"text": "z"}, uid="gone")
    reply = await api.apply(f"{api.things}/b", missing, "me")
    assert reply.code == 409
    assert "uid mismatch: the provided object specified uid gone, and no existing object was found" in reply["message"]


async def test_a_dry_run_of_an_apply_says_what_it_would_do(api: Api) -> None:
    await applied(api, "a", {"text": "x"}, "me")
    tried = await applied(api, "a", {"text": "y"}, "me", dryRun="All")
    assert tried["spec"]["text"] == "y"
    assert (await api.get(f"{api.things}/a"))["spec"]["text"] == "x"
    reply = await api.apply(f"{api.things}/a", a_thing("a", {"text": "y"}), "you", dryRun="All")
    assert reply.code == 409


@pytest.mark.parametrize("manager", ["a\nb", "x" * 129])
async def test_a_manager_has_a_printable_name_of_bounded_length(api: Api, manager: str) -> None:
    reply = await api.apply(f"{api.maps}/a", a_map("a"), manager)
    assert reply.code == 422
    assert reply.causes[0][0] == "fieldManager"


async def test_nulls_of_a_configuration_are_values_of_their_own(api: Api) -> None:
    await applied(api, "a", {"maybe": "x"}, "me")
    nulled = await applied(api, "a", {"maybe": None}, "me")
    assert nulled["spec"]["maybe"] is None
    assert nulled.owners == {"me": {"f:spec": {"f:maybe": {}}}}


@pytest.mark.parametrize("fields", [[], "x", 1, {"f:data": []}, {"f:data": {"f:a": "x"}}, {"v:{": {}}, {"k:[]": {}}])
async def test_owners_that_cannot_be_read_are_those_that_were(api: Api, fields: Any) -> None:
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields}
    made = await api.map("a", {"x": "y"}, managedFields=[entry])
    assert list(made.owners.values()) == [{"f:data": {".": {}, "f:x": {}}}]
    again = await api.merge(f"{api.maps}/a", {"metadata": {"managedFields": [entry]}})
    assert again.owners == made.owners


@pytest.mark.parametrize("field", ["labels", "annotations"])
async def test_the_write_after_an_apply_that_left_a_map_empty_tidies_up(api: Api, field: str) -> None:
    await api.apply(f"{api.things}/a", a_thing("a", **{field: {"j": "p"}}), "me")
    emptied = await api.apply(f"{api.things}/a", a_thing("a", **{field: {}}), "me")
    assert field not in emptied.meta
    tidied = await api.merge(f"{api.things}/a", {"metadata": {}})
    assert tidied.version != emptied.version
    assert (await api.merge(f"{api.things}/a", {"metadata": {}})).version == tidied.version
