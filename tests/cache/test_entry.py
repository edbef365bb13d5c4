"""What is kept of an object."""

import gc
import json
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.cache.entry import LAST_APPLIED, Applied, EntryReader
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.objects import BadObject
from tests.cache.things import MANAGER, READER, THING, a_thing, an_entry, raw

FIELDS: dict[str, Any] = {"f:spec": {"f:color": {}}}


def manager(name: str = MANAGER, operation: str = "Apply", **more: Any) -> dict[str, Any]:
    return {
        "manager": name,
        "operation": operation,
        "apiVersion": "example.dev/v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": FIELDS,
        **more,
    }


def test_managed_fields_are_cut_and_our_apply_entries_kept_apart() -> None:
    entries = [manager(), manager("kubectl"), manager(operation="Update"), manager(subresource="status", fieldsV1={})]
    entry = READER.read(raw(managedFields=entries))
    assert orjson.loads(entry.raw) == a_thing()
    assert entry.applied == (
        Applied("", "example.dev/v1", orjson.dumps(FIELDS)),
        Applied("status", "example.dev/v1", b"{}"),
    )
    assert not entry.is_partial
    assert entry.meta.raw is entry.raw


@pytest.mark.parametrize("place", ["first", "last", "alone", "middle"])
def test_the_rest_stays_valid_wherever_managed_fields_stood(place: str) -> None:
    head: dict[str, Any] = {"name": "a"}
    match place:
        case "first":
            metadata = {"managedFields": [manager()], **head}
        case "last":
            metadata = {**head, "managedFields": [manager()]}
        case "middle":
            metadata = {"uid": "u", "managedFields": [manager()], **head}
        case _:
            metadata = {"managedFields": [manager()]}
    document = {"metadata": metadata, "apiVersion": "example.dev/v1", "kind": "Thing"}
    if place == "alone":
        with pytest.raises(BadObject, match="no name"):
            READER.read(orjson.dumps(document))
        return
    kept = orjson.loads(READER.read(orjson.dumps(document)).raw)
    assert kept["metadata"] == {key: value for key, value in metadata.items() if key != "managedFields"}


def test_kubectls_copy_of_the_object_is_cut_and_the_entry_says_that_it_is_not_whole() -> None:
    copy = json.dumps(a_thing(managedFields=[manager()]))
    entry = READER.read(raw(annotations={LAST_APPLIED: copy, "a": "b"}, managedFields=[manager()]))
    assert orjson.loads(entry.raw) == a_thing(annotations={"a": "b"})
    assert dict(entry.meta.annotations) == {"a": "b"}
    assert entry.is_partial


def test_an_object_that_holds_another_object_keeps_it_whole() -> None:
    inner = a_thing(managedFields=[manager()], annotations={LAST_APPLIED: "{}"})
    documents = (
        a_thing(managedFields=[manager()], spec={"template": inner}),
        {"aaa": inner, **a_thing()},
        {"aaa": inner, **a_thing(managedFields=[manager()])},
    )
    for document in documents:
        kept = orjson.loads(READER.read(orjson.dumps(document)).raw)
        document["metadata"].pop("managedFields", None)
        assert kept == document


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["managedFields", "metadata", "a", LAST_APPLIED]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["aa", "data", "spec", "zz"]), json_values), json_values, st.booleans())
def test_what_is_kept_is_the_document_without_the_two_parts(body: Any, managed: Any, compact: bool) -> None:
    document = {**body, **a_thing(annotations={"a": "b", LAST_APPLIED: "x"}, managedFields=managed)}
    document = dict(sorted(document.items()))
    text = orjson.dumps(document) if compact else json.dumps(document, indent=1).encode()
    kept = orjson.loads(READER.read(text).raw)
    del document["metadata"]["managedFields"], document["metadata"]["annotations"][LAST_APPLIED]
    assert kept == document


@pytest.mark.pain(9)
def test_a_projection_keeps_the_paths_it_names_and_the_head() -> None:
    reader = EntryReader(THING, MANAGER, keep=("spec.ports.number", "status", "status.detail", "spec.gone"))
    ports = [{"number": 1, "name": "x"}, {"number": 2}]
    document = a_thing(spec={"ports": ports, "color": "red"}, labels={"a": "b"}, managedFields=[manager()])
    entry = reader.read(orjson.dumps({**document, "status": {"detail": 1, "more": 2}}))
    assert orjson.loads(entry.raw) == {
        **a_thing(labels={"a": "b"}, spec={"ports": [{"number": 1}, {"number": 2}]}),
        "status": {"detail": 1, "more": 2},
    }
    assert entry.is_partial
    assert entry.applied == ()


@pytest.mark.pain(9)
def test_of_a_metadata_only_kind_the_head_is_kept_under_its_own_name() -> None:
    reader = EntryReader(THING, metadata_only=True)
    partial = {**a_thing(), "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
    for document in (a_thing(), partial):
        entry = reader.read(orjson.dumps(document))
        assert orjson.loads(entry.raw) == {key: value for key, value in a_thing().items() if key != "spec"}
        assert entry.is_partial


def test_items_of_a_list_of_a_built_in_kind_learn_what_they_are() -> None:
    entry = EntryReader(CONFIG_MAP).read(b' {"metadata": {"name": "a", "namespace": "b"}, "data": {"x": "y"}}')
    assert orjson.loads(entry.raw) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "b"},
        "data": {"x": "y"},
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"<html>", "JSON"),
        (b"{}", "no metadata"),
        (b'{"kind": "Thing"}', "no metadata"),
        (b'{"metadata": {}}', "no name"),
        (b'{"metadata": {"name": 5}}', "metadata.name"),
        (b'{"metadata": {"name": "a", "labels": {"a": 1}}}', "metadata.labels"),
        (b'{"metadata": {"name": "a", "annotations": 7}}', "metadata.annotations"),
        (b'{"kind": 1, "metadata": {"name": "a"}}', "kind"),
        (b'{"metadata": {"name": "\xff"}}', "utf-8"),
    ],
)
def test_a_bad_document_is_named_with_what_is_wrong(text: bytes, says: str) -> None:
    with pytest.raises(BadObject, match=says):
        READER.read(text)


def test_managed_fields_that_make_no_sense_prove_nothing() -> None:
    entry = READER.read(raw(managedFields=[{"manager": MANAGER, "operation": 5}]))
    assert entry.applied == ()


@pytest.mark.pain(9)
def test_an_entry_costs_its_bytes_and_little_more() -> None:
    text = raw(spec={"a": "x" * 1000}, labels={"bench": "source"}, managedFields=[manager()])
    readers = [EntryReader(THING, MANAGER), EntryReader(THING, MANAGER, keep=("spec",))]
    for reader in readers:
        documents = [bytes(memoryview(text.replace(b'"a"', b'"n%d"' % n, 1))) for n in range(500)]
        [reader.read(document) for document in documents[:10]]
        gc.collect()
        tracemalloc.start()
        entries = [reader.read(document) for document in documents]
        documents.clear()
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        kept = sum(len(entry.raw) for entry in entries)
        assert used - kept < 600 * len(entries)


def test_entries_are_told_apart_by_identity() -> None:
    one, other = an_entry(), an_entry()
    assert one != other
    assert len({one, other}) == 2


def test_objects_with_equal_labels_share_them() -> None:
    one, other = an_entry("a", labels={"app": "x"}), an_entry("b", labels={"app": "x"})
    assert one.meta.labels is other.meta.labels
    assert an_entry("c", labels={"app": "y"}).meta.labels == {"app": "y"}
