"""What is read of an object is right, says what is wrong, and cannot be changed."""

import copy
import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.objects import (
    EMPTY,
    BadObject,
    Object,
    ObjectKey,
    ObjectMeta,
    OwnerReference,
    decode_meta,
    excerpt,
    structure_meta,
)
from reconcile.kube.views import View

HEAD: dict[str, Any] = {
    "name": "blue",
    "namespace": "shop",
    "uid": "u-1",
    "resourceVersion": "42",
    "generation": 3,
    "creationTimestamp": "2026-01-02T03:04:05Z",
    "deletionTimestamp": "2026-01-02T03:04:06Z",
    "deletionGracePeriodSeconds": 30,
    "labels": {"app": "x"},
    "annotations": {"note": "y"},
    "finalizers": ["a.io/one", "b.io/two"],
    "ownerReferences": [
        {"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1"},
        {"apiVersion": "v1", "kind": "B", "name": "b", "uid": "2", "controller": True, "blockOwnerDeletion": True},
    ],
    "managedFields": [{"manager": "m"}],
    "selfLink": "/gone",
}


def document(**metadata: Any) -> bytes:
    return orjson.dumps(
        {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "blue", **metadata}, "spec": {"x": 1}}
    )


def test_the_head_of_a_document_is_read_without_its_body() -> None:
    raw = orjson.dumps({"spec": {"deep": [1, {"a": 2}]}, "metadata": HEAD})
    meta = decode_meta(raw)
    assert meta.key == ObjectKey("shop", "blue")
    assert str(meta.key) == "shop/blue"
    assert (meta.uid, meta.resource_version, meta.version, meta.generation) == ("u-1", "42", 42, 3)
    assert meta.creation_timestamp == dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert meta.is_deleting
    assert meta.deletion_grace_period_seconds == 30
    assert meta.labels == {"app": "x"}
    assert meta.annotations == {"note": "y"}
    assert meta.finalizers == ("a.io/one", "b.io/two")
    assert meta.controller == OwnerReference(
        api_version="v1", kind="B", name="b", uid="2", controller=True, block_owner_deletion=True
    )
    assert meta.raw is raw


def test_null_reads_as_absent() -> None:
    names = ("labels", "annotations", "finalizers", "ownerReferences", "creationTimestamp", "deletionTimestamp")
    assert decode_meta(document(**dict.fromkeys(names))) == decode_meta(document())


def test_objects_without_labels_share_one_empty_map() -> None:
    for meta in (decode_meta(document()), decode_meta(document(labels={}, annotations={})), ObjectMeta(name="x")):
        assert meta.labels is EMPTY
        assert meta.annotations is EMPTY


def test_a_namespace_is_kept_once_for_all_objects() -> None:
    one, two = (decode_meta(document(namespace="a-namespace-of-many", uid=uid)) for uid in ("1", "2"))
    assert one.namespace is two.namespace


@pytest.mark.parametrize("hostile", [5, "text", None, {"a": 1}])
def test_a_server_cannot_set_the_raw_document(hostile: object) -> None:
    raw = document(raw=hostile)
    assert decode_meta(raw).raw is raw


def test_the_raw_document_is_neither_compared_nor_written() -> None:
    meta = decode_meta(document())
    assert meta == ObjectMeta(name="blue")
    assert hash(ObjectKey(*meta.key)) == hash(meta.key)
    assert msgspec.json.encode(meta) == b'{"name":"blue"}'
    assert "spec" not in repr(meta)


def test_a_changed_head_still_knows_its_document() -> None:
    meta = decode_meta(document())
    changed = meta.evolve(labels={"a": "b"})
    assert changed.raw is meta.raw
    assert changed.labels == {"a": "b"}
    assert meta.labels == {}
    assert copy.copy(meta).raw is copy.deepcopy(meta).raw is meta.raw


@pytest.mark.parametrize(
    ("text", "number"), [("", 0), ("7", 7), ("0012", 12), ("abc", 0), ("-1", 0), ("1.5", 0), ("²", 0), ("٣", 0)]
)
def test_a_version_that_is_no_decimal_number_cannot_be_compared(text: str, number: int) -> None:
    assert ObjectMeta(resource_version=text).version == number


@pytest.mark.parametrize(
    ("raw", "where", "what"),
    [
        (b"", "", "truncated"),
        (b"{", "", "truncated"),
        (b"nonsense", "", "malformed"),
        (b"[]", "", "expected object, got array"),
        (b"\xff\xfe", "", "malformed"),
        (b"{}", "metadata", "no metadata"),
        (b'{"metadata":null}', "metadata", "no metadata"),
        (b'{"metadata":{}}', "metadata.name", "no name"),
        (b'{"metadata":{"name":""}}', "metadata.name", "no name"),
        (b'{"metadata":{"name":7}}', "metadata.name", "expected str, got int"),
        (b'{"metadata":[]}', "metadata", "got array"),
        (b'{"metadata":{"name":"a","labels":{"x":1}}}', "metadata.labels[...]", "expected str, got int"),
        (b'{"metadata":{"name":"a","finalizers":"x"}}', "metadata.finalizers", "got str"),
        (b'{"metadata":{"name":"a","generation":"x"}}', "metadata.generation", "expected int, got str"),
        (b'{"metadata":{"name":"a","deletionTimestamp":"x"}}', "metadata.deletionTimestamp", "RFC3339"),
        (b'{"metadata":{"name":"\xff"}}', "", "utf-8"),
    ],
)
def test_a_bad_document_says_what_is_wrong_and_where(raw: bytes, where: str, what: str) -> None:
    with pytest.raises(BadObject) as caught:
        decode_meta(raw)
    assert caught.value.where == where
    assert what in caught.value.what
    assert caught.value.what in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: b'{"metadata":{"name":"a"},"x":' + tail))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    for read in (decode_meta, Object.decode):
        try:
            read(raw)
        except BadObject as error:
            assert str(error).isprintable()  # noqa: PT017 - either way is fine, but nothing else may be raised


@pytest.mark.parametrize("raw", [b'{"metadata":{"name":"a"},"x":"\\ud800"}', b'{"metadata":{"name":"a"},"x":NaN}'])
def test_a_body_that_only_one_of_two_parsers_takes_is_a_bad_object(raw: bytes) -> None:
    with pytest.raises(BadObject):
        Object.decode(raw)


def test_an_answer_that_is_no_stored_object_needs_no_name() -> None:
    assert Object.decode(b'{"kind":"Review","metadata":{"creationTimestamp":null},"status":{"allowed":true}}').at(
        "status", "allowed"
    )
    assert Object.decode(b"{}").metadata == ObjectMeta()


def test_a_head_can_be_made_of_parsed_values_too() -> None:
    meta = structure_meta(View(HEAD))
    assert meta == decode_meta(orjson.dumps({"metadata": HEAD}))
    assert meta.raw == b""
    with pytest.raises(BadObject) as caught:
        structure_meta({"labels": 5}, where="spec.template.metadata")
    assert caught.value.where == "spec.template.metadata.labels"


def test_an_excerpt_is_one_printable_line() -> None:
    assert excerpt(b'{"a":\n  1,\t"b\x00":2}') == '{"a": 1, "b\N{REPLACEMENT CHARACTER}":2}'
    assert len(excerpt(b"x" * 10_000, 80)) == 83


BODY: dict[str, Any] = {
    "apiVersion": "g/v1",
    "kind": "Thing",
    "metadata": HEAD,
    "spec": {"a": [{"b": {"c": 1}}], "n": None},
}


@pytest.mark.pain(34)
@pytest.mark.parametrize(
    "change",
    [
        lambda obj: obj["spec"].update(x=1),
        lambda obj: obj["spec"].__setitem__("a", 1),
        lambda obj: obj["spec"].pop("a"),
        lambda obj: obj["spec"]["a"].append(1),
        lambda obj: obj["spec"]["a"].__setitem__(0, 1),
        lambda obj: obj["spec"]["a"][0]["b"].__setitem__("c", 2),
        lambda obj: obj["spec"]["a"][0:1].sort(),
        lambda obj: next(iter(obj["spec"].values())).append(1),
        lambda obj: next(iter(obj["spec"]["a"])).update(c=1),
        lambda obj: obj.get("spec").clear(),
        lambda obj: dict(obj)["spec"].clear(),
        lambda obj: obj.at("spec", "a", 0).update(x=1),
        lambda obj: obj.__delitem__("spec"),
        lambda obj: obj.metadata.labels.update(app="y"),
        lambda obj: obj.metadata.labels.__setitem__("app", "y"),
        lambda obj: obj.metadata.finalizers.append("x"),
        lambda obj: setattr(obj.metadata, "name", "red"),
        lambda obj: setattr(obj.metadata, "raw", b""),
        lambda obj: setattr(obj.metadata.owner_references[0], "uid", "9"),
        lambda obj: obj["metadata"]["labels"].update(app="y"),
    ],
)
def test_an_object_that_was_handed_out_cannot_be_changed(change: Callable[[Any], object]) -> None:
    obj = Object.decode(orjson.dumps(BODY))
    with pytest.raises((TypeError, AttributeError)):
        change(obj)
    assert obj == BODY


@pytest.mark.pain(34)
def test_a_thawed_copy_shares_nothing_with_the_object() -> None:
    obj = Object(copy.deepcopy(BODY))
    copied = obj.thaw()
    copied["spec"]["a"][0]["b"]["c"] = 2
    copied["metadata"]["labels"]["app"] = "changed"
    assert obj == BODY


def test_an_object_knows_what_it_is() -> None:
    obj = Object(BODY)
    assert (obj.api_version, obj.kind, obj.metadata.key) == ("g/v1", "Thing", ("shop", "blue"))
    assert repr(obj) == "<Thing shop/blue>"
    assert (Object({}).api_version, Object({"kind": None}).kind) == ("", "")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("spec", "a", 0, "b", "c"), 1),
        (("spec", "a", -1, "b"), {"c": 1}),
        (("spec", "a"), [{"b": {"c": 1}}]),
        (("spec", "n"), "default"),
        (("spec", "missing", "deeper"), "default"),
        (("spec", "a", 7), "default"),
        (("spec", "a", "b"), "default"),
        (("spec", 0), "default"),
        (("kind", 0), "default"),
        (("spec", "n", "x"), "default"),
    ],
)
def test_looking_along_a_path_never_raises(path: tuple[str | int, ...], found: object) -> None:
    assert Object(BODY).at(*path, default="default") == found
