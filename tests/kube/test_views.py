"""A view shows everything and lets nothing be changed."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.objects import ObjectMeta
from reconcile.kube.views import ListView, View, dumps, plain, thaw, view

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
json_values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_a_view_is_equal_to_what_it_shows(value: Any) -> None:
    seen = view(value)
    assert seen == value
    assert value == seen
    assert seen == view(copy.deepcopy(value))
    assert orjson.loads(dumps({"x": seen})) == {"x": value}
    assert thaw(seen) == value
    assert type(thaw(seen)) is type(value)


def test_views_differ_where_values_differ() -> None:
    assert View({"a": 1}) != View({"a": 2})
    assert View({"a": 1}) != [1]
    assert ListView([1, 2]) != [1]
    assert ListView([{"a": 1}])[0:1] == [{"a": 1}]
    assert 1 in ListView([1])
    assert "a" in View({"a": 1})
    with pytest.raises(TypeError):
        hash(View({}))
    with pytest.raises(KeyError):
        View({})["a"]


def test_an_encoder_is_told_what_has_no_json_form() -> None:
    assert plain(View({"a": 1})) == {"a": 1}
    assert orjson.loads(dumps({"labels": ObjectMeta(labels={"a": "b"}).labels})) == {"labels": {"a": "b"}}
    with pytest.raises(TypeError):
        plain(object())
