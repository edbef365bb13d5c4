"""Only a proof saves a write."""

from typing import Any

import orjson
import pytest

from reconcile.cache.entry import Applied, Entry
from reconcile.cache.proof import guarded, is_applied, is_met, meant_for
from reconcile.kube.objects import decode_meta
from reconcile.kube.patch import JsonPatch, MergePatch, StrategicPatch
from tests.cache.things import raw

BODY = {"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"color": "blue"}}
FIELDS = orjson.dumps({"f:spec": {"f:color": {}}})


def entry(*applied: Applied) -> Entry:
    return Entry(decode_meta(raw()), applied)


@pytest.mark.pain(14)
@pytest.mark.parametrize(
    ("applied", "subresource", "expected"),
    [
        ([Applied("", "example.dev/v1", FIELDS)], "", True),
        ([Applied("", "example.dev/v1", FIELDS)], "status", False),
        ([Applied("", "example.dev/v2", FIELDS)], "", False),
        ([Applied("", "example.dev/v1", FIELDS), Applied("", "example.dev/v2", b"{}")], "", False),
        ([Applied("", "example.dev/v1", FIELDS), Applied("status", "example.dev/v1", b"{}")], "", True),
        ([Applied("", "example.dev/v1", b'{"f:spec":{"f:color":{},"f:size":{}}}')], "", False),
        ([], "", False),
    ],
)
def test_an_apply_is_proved_by_our_one_entry_of_its_version_and_subresource(
    applied: list[Applied], subresource: str, expected: bool
) -> None:
    assert is_applied(entry(*applied), BODY, subresource) is expected


@pytest.mark.pain(14)
def test_a_body_without_a_field_is_proved_where_we_own_none() -> None:
    body = {name: value for name, value in BODY.items() if name != "spec"}
    assert is_applied(entry(), body)
    assert is_applied(entry(Applied("", "example.dev/v1", FIELDS)), body, "status")
    assert not is_applied(entry(Applied("", "example.dev/v1", FIELDS)), body)  # it gives up what we own
    assert not is_applied(Entry(decode_meta(raw()), is_partial=True), body)  # who owns what is not kept


def test_without_a_known_object_an_apply_is_not_proved() -> None:
    assert not is_applied(None, BODY)


@pytest.mark.pain(14)
@pytest.mark.parametrize(
    ("patch", "whole", "partial"),
    [
        (MergePatch({"spec": {"color": "blue"}}), True, True),
        (MergePatch({"spec": {"color": "red"}}), False, False),
        (MergePatch({"spec": {"size": None}}), True, False),
        (MergePatch({"metadata": {"resourceVersion": "7"}}), True, True),
        (JsonPatch([]), False, False),
        (StrategicPatch({"spec": {"color": "blue"}}), False, False),
    ],
)
def test_a_merge_patch_is_proved_by_the_document_unless_it_removes_what_may_be_cut(
    patch: Any, whole: bool, partial: bool
) -> None:
    assert is_met(orjson.loads(raw()), patch, is_partial=False) is whole
    assert is_met(orjson.loads(raw()), patch, is_partial=True) is partial
    assert not is_met(None, patch, is_partial=False)


def test_a_guard_is_added_and_managed_fields_are_left_to_the_server() -> None:
    patch = MergePatch({"metadata": {"labels": {"a": "b"}, "managedFields": [{}]}, "spec": {}})
    assert guarded(patch, "5").value == {"metadata": {"labels": {"a": "b"}, "resourceVersion": "5"}, "spec": {}}
    assert guarded(MergePatch({"spec": {}}), "").value == {"spec": {}}


@pytest.mark.pain(23)
def test_a_patch_names_the_object_it_is_meant_for() -> None:
    named = {"metadata": {"labels": {"a": "b"}, "uid": "u"}, "spec": None}
    assert meant_for(MergePatch({"metadata": {"labels": {"a": "b"}}, "spec": None}), "u") == MergePatch(named)
    assert meant_for(StrategicPatch({}), "u") == StrategicPatch({"metadata": {"uid": "u"}})
    assert meant_for(JsonPatch([]), "u") == JsonPatch([])
    assert meant_for(MergePatch({}), "") == MergePatch({})
