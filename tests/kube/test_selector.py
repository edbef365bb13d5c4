"""Selectors mean to us what they mean to the API server."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.objects import Object
from reconcile.kube.selector import (
    FIELDS,
    BadSelector,
    FieldSelector,
    FieldTerm,
    LabelSelector,
    Operator,
    Requirement,
    labels_from,
    parse_fields,
    parse_labels,
)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a=b", {}, False),
        ("a==b", {"a": "b"}, True),
        ("a!=b", {"a": "b"}, False),
        ("a!=b", {"a": "c"}, True),
        ("a!=b", {}, True),
        ("a=", {"a": ""}, True),
        ("a=", {}, False),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("! a", {"a": "x"}, False),
        ("a in (b,c)", {"a": "c"}, True),
        ("a in (b, c)", {"a": "d"}, False),
        ("a in ()", {"a": ""}, True),
        ("a in (b,)", {"a": ""}, True),
        ("a notin (b,c)", {"a": "d"}, True),
        ("a notin (b,c)", {}, True),
        ("a notin (b,c)", {"a": "b"}, False),
        ("a>5", {"a": "6"}, True),
        ("a>5", {"a": "5"}, False),
        ("a<5", {"a": "-6"}, True),
        ("a<5", {"a": "x"}, False),
        ("a>5", {}, False),
        (" a = b , c notin ( d ) ", {"a": "b"}, True),
        ("a=b,c=d", {"a": "b"}, False),
        ("example.io/name=x_Y.z-1", {"example.io/name": "x_Y.z-1"}, True),
        ("in in (in),notin", {"in": "in", "notin": ""}, True),
    ],
)
def test_labels_are_matched(text: str, labels: dict[str, str], matches: bool) -> None:
    assert parse_labels(text).matches(labels) is matches


@pytest.mark.parametrize(
    "text",
    [
        "a b",
        "a,",
        ",a",
        "a,,b",
        "a in b",
        "a in (b",
        "a in (b c)",
        "a in (b))",
        "=b",
        "a=b=c",
        "a=b c",
        "a>x",
        "a>",
        "!",
        "!a=b",
        "!a!b",
        "(",
        "a notin",
        "-a",
        "a-=b",
        "a=-b",
        "a=b/c",
        "a/b/c",
        "/a",
        "A.io/b",
        "a=" + "x" * 64,
        "x" * 64,
        "x" * 254 + "/a",
    ],
)
def test_a_wrong_selector_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(BadSelector) as caught:
        parse_labels(text)
    assert caught.value.text == text
    assert 0 <= caught.value.position <= len(text)


keys = st.sampled_from(["a", "b", "x.io/c", "in", "notin"])
label_values = st.sampled_from(["", "1", "2", "x", "A_b.c-d", "in"])
requirements = st.one_of(
    st.builds(
        Requirement,
        keys,
        st.sampled_from([Operator.IN, Operator.NOT_IN]),
        st.frozensets(label_values, min_size=1, max_size=3),
    ),
    st.builds(Requirement, keys, st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST])),
    st.builds(
        Requirement,
        keys,
        st.sampled_from([Operator.GREATER, Operator.LESS]),
        st.integers(-3, 3).map(lambda number: frozenset({str(number)})),
    ),
)
selectors = st.lists(requirements, max_size=4).map(lambda found: LabelSelector(tuple(found)))


@given(selectors)
def test_every_selector_survives_a_round_trip(selector: LabelSelector) -> None:
    assert parse_labels(str(selector)) == selector


@given(selectors, st.dictionaries(keys, label_values))
def test_all_requirements_count(selector: LabelSelector, labels: dict[str, str]) -> None:
    each = [LabelSelector((requirement,)).matches(labels) for requirement in selector.requirements]
    assert selector.matches(labels) is all(each)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, ""),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchLabels": None, "matchExpressions": None}, ""),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]}]}, "a in (x,y)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]}, "a!=x"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "a"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist", "values": []}]}, "!a"),
    ],
)
def test_a_selector_object_reads_like_its_text(value: dict[str, Any], text: str) -> None:
    assert labels_from(value) == parse_labels(text)
    assert labels_from(Object({"s": value})["s"]) == parse_labels(text)


@pytest.mark.parametrize(
    "value",
    [
        {"matchLabels": {"-": "x"}},
        {"matchLabels": {"a": 5}},
        {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]},
        {"matchExpressions": [{"key": "a", "operator": "in", "values": ["1"]}]},
        {"matchExpressions": [{"key": "a", "operator": "In", "values": []}]},
        {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]},
        {"matchExpressions": [{"operator": "Exists"}]},
        {"matchExpressions": [{"key": "a"}]},
    ],
)
def test_a_wrong_selector_object_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(BadSelector):
        labels_from(value)


def test_no_selector_object_means_nothing_and_cannot_be_sent() -> None:
    nothing = labels_from(None)
    assert not nothing.matches({})
    assert labels_from({}).matches({})
    with pytest.raises(ValueError, match="nothing"):
        str(nothing)


POD = {"metadata": {"name": "web", "namespace": "shop"}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("metadata.name=web", True),
        ("metadata.name==web", True),
        ("metadata.name!=web", False),
        ("metadata.name=web,metadata.namespace=other", False),
        ("metadata.name=web,,", True),
        ("metadata.namespace!=other", True),
        ("metadata.name=", False),
    ],
)
def test_fields_are_matched(text: str, matches: bool) -> None:
    assert parse_fields(text).matches(POD) is matches
    assert parse_fields(text).matches(Object(POD)) is matches


def test_a_kind_may_have_fields_of_its_own() -> None:
    getters = {**FIELDS, "status.phase": lambda value: str(value["status"]["phase"])}
    assert parse_fields("status.phase=Running").matches(POD, getters)
    with pytest.raises(BadSelector, match=r"field label not supported: status\.phase"):
        parse_fields("status.phase=Running").matches(POD)


@pytest.mark.parametrize("text", ["a", "a,b=c", r"a=\x", "a=\\", "a=b=c", "a=b!=c"])
def test_a_wrong_field_selector_is_refused(text: str) -> None:
    with pytest.raises(BadSelector):
        parse_fields(text)


terms = st.builds(
    FieldTerm,
    st.sampled_from(["metadata.name", "spec.x"]),
    st.text(st.sampled_from("a,=\\! é\n"), max_size=5),
    st.booleans(),
)


@given(st.lists(terms, max_size=3).map(lambda found: FieldSelector(tuple(found))))
def test_every_field_selector_survives_a_round_trip(selector: FieldSelector) -> None:
    assert parse_fields(str(selector)) == selector
