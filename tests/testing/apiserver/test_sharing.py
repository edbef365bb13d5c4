"""What a write shares with the live document is not looked at again, and nobody can tell from the outcome."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.testing.apiserver.forming import formed
from reconcile.testing.apiserver.kinds import built_in
from reconcile.testing.apiserver.merging import merge
from reconcile.testing.apiserver.parts import shared
from reconcile.testing.apiserver.schema import DEDUCED
from reconcile.testing.apiserver.strategy import Kind

_SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, "", "a", "1"])
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
_DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), _VALUES, max_size=4)
DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {"limits": {"cpu": "1000m"}}}]},
        },
    },
}
CHANGES: tuple[dict[str, Any], ...] = (
    {"spec": {"replicas": None}},
    {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}},
    {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web", "env": []}]}}}},
    {"spec": {"template": {"spec": {"volumes": [], "nodeSelector": {}, "hostNetwork": False}}}},
    {"metadata": {"labels": {}, "annotations": {"a": "b"}, "finalizers": []}},
    {"status": {"replicas": 0, "conditions": []}},
    {},
)


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _kind(plural: str) -> Kind:
    return next(one for one in built_in() if one.resource.plural == plural)


@given(_DOCUMENTS, _DOCUMENTS)
def test_a_document_that_shares_with_another_says_what_it_said(new: Any, old: Any) -> None:
    before = _json(old)
    assert _json(shared(copy.deepcopy(new), old)) == _json(new)
    assert _json(old) == before


@given(_DOCUMENTS)
def test_a_document_that_is_as_the_old_one_becomes_the_old_one(old: Any) -> None:
    assert shared(orjson.loads(orjson.dumps(old)), old) is old


@given(_DOCUMENTS)
def test_a_configuration_that_changes_nothing_leaves_the_live_document(live: dict[str, Any]) -> None:
    if live:
        assert merge(DEDUCED, live, orjson.loads(orjson.dumps(live))) is live


@given(_DOCUMENTS, _DOCUMENTS)
def test_an_atomic_value_is_the_configurations_to_the_type(live: Any, config: Any) -> None:
    merged = merge(DEDUCED, {"items": [live]}, {"items": [config]})
    assert _json(merged) == _json({"items": [config]})


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_document_is_formed_alike_whether_or_not_it_shares_with_the_old_one(change: dict[str, Any]) -> None:
    kind = _kind("deployments")
    old = formed(kind, copy.deepcopy(DEPLOYMENT))
    new = _patched(old, change)
    alone = formed(kind, orjson.loads(orjson.dumps(new)))
    assert _json(formed(kind, shared(new, old), old)) == _json(alone)


def _patched(document: Any, change: dict[str, Any]) -> Any:
    result = dict(document)
    for name, value in change.items():
        result[name] = _patched(result.get(name) or {}, value) if isinstance(value, dict) and value else value
    return result
