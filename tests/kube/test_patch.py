"""A patch is the smallest that does it, and what it does is known beforehand."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.objects import ObjectMeta
from reconcile.kube.patch import (
    JsonPatch,
    MergePatch,
    StrategicPatch,
    apply_merge,
    changes_nothing,
    merge,
    pointer,
    replace_guarded,
    same,
)
from reconcile.kube.views import ListView, View

keys = st.sampled_from("abc")
leaves = st.none() | st.booleans() | st.integers(0, 2) | st.just(1.0) | st.sampled_from(["", "x"])
values: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
documents = st.dictionaries(keys, values, max_size=3)


def without_nulls(value: Any) -> Any:
    """Null means absent in objects; lists are taken as they are."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


@given(documents, documents)
def test_a_merge_patch_turns_the_old_document_into_the_new_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = merge(old, new)
    result = apply_merge(old, patch) if patch else old
    assert same(without_nulls(result), without_nulls(new))


@given(documents, documents)
def test_there_is_a_patch_exactly_when_something_differs(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert (merge(old, new) is None) is same(without_nulls(old), without_nulls(new))


def smaller(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Every patch with one leaf less."""
    found = []
    for key, item in value.items():
        rest = {other: value[other] for other in value if other != key}
        if isinstance(item, dict) and item:
            found += [{**rest, key: less} for less in smaller(item)]
        found.append(rest)
    return found


@given(documents, documents)
def test_no_part_of_a_patch_can_be_left_out(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = merge(old, new)
    for less in smaller(dict(patch.value)) if patch else []:
        assert not same(without_nulls(apply_merge(old, less)), without_nulls(new))


@given(documents, documents)
def test_what_goes_in_stays_as_it_was(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = copy.deepcopy((old, new))
    patch = merge(old, new)
    if patch:
        apply_merge(old, patch)
    assert (old, new) == before


@given(documents, documents)
def test_views_are_patched_like_what_they_show(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merge(View(old), View(new)) == merge(old, new)
    patch = merge(old, new) or MergePatch({})
    assert orjson.loads(MergePatch(View(patch.value)).encode()) == orjson.loads(patch.encode())
    assert apply_merge(View(old), patch) == apply_merge(old, patch)


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [  # the examples of RFC 7396, appendix A, as far as both are objects
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_means_what_the_rfc_says(
    document: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]
) -> None:
    assert apply_merge(document, patch) == result


@given(documents, documents)
def test_a_patch_that_changes_nothing_is_seen(document: dict[str, Any], patch: dict[str, Any]) -> None:
    proven = changes_nothing(document, MergePatch(patch))
    assert proven is same(apply_merge(document, patch), document)


@pytest.mark.parametrize(
    ("metadata", "proven"),
    [
        ({}, True),
        ({"resourceVersion": "7"}, True),
        ({"resourceVersion": "6"}, True),
        ({"uid": "u-1"}, True),
        ({"uid": "u-2"}, False),
        ({"resourceVersion": "6", "uid": "u-2"}, False),
        ({"resourceVersion": "6", "labels": {"a": "b"}}, False),
    ],
)
def test_a_guard_is_no_change_but_another_uid_is_another_object(metadata: dict[str, Any], proven: bool) -> None:
    document = {"metadata": {"name": "x", "uid": "u-1", "resourceVersion": "7", "finalizers": ["f"]}}
    assert changes_nothing(document, MergePatch({"metadata": {"finalizers": ["f"], **metadata}})) is proven


def test_a_guard_on_an_object_that_has_no_version_is_no_change_either() -> None:
    assert changes_nothing({"spec": 1, "metadata": {}}, MergePatch({"metadata": {"resourceVersion": "6"}}))


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        ("1", 1, False),
        (None, False, False),
        ([1], (1,), True),
        ([True], [1], False),
        ({"a": [1]}, View({"a": [1]}), True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": True}, {"a": 1}, False),
        (ListView([1]), [1], True),
        ([], {}, False),
        ({}, [], False),
        ([1], "1", False),
    ],
)
def test_equal_means_equal_in_json(left: object, right: object, equal: bool) -> None:
    assert same(left, right) is equal
    assert same(right, left) is equal


def test_a_patch_tells_what_it_touches() -> None:
    patch = MergePatch({"spec": {"a": 1, "b": {"c": None}}, "metadata": {"labels": {"x.io/y": "z"}, "annotations": {}}})
    assert patch.paths == ("spec.a", "spec.b.c", "metadata.labels[x.io/y]", "metadata.annotations")
    assert StrategicPatch(patch.value).paths == patch.paths
    assert JsonPatch([{"op": "test", "path": "/a"}, {"op": "remove", "path": "/b"}]).paths == ("/b",)


def test_a_pointer_escapes_what_separates() -> None:
    assert pointer("metadata", "labels", "a/b~c", 0) == "/metadata/labels/a~1b~0c/0"
    assert pointer() == ""


def test_a_shared_list_is_replaced_only_at_the_version_it_was_read_at() -> None:
    meta = ObjectMeta(name="x", resource_version="7")
    assert replace_guarded(meta, "finalizers", ("a",)).value == {
        "metadata": {"resourceVersion": "7", "finalizers": ["a"]}
    }
    assert replace_guarded(meta, "finalizers", ()).value["metadata"]["finalizers"] is None
    with pytest.raises(ValueError, match="never read"):
        replace_guarded(ObjectMeta(name="x"), "finalizers", ())
