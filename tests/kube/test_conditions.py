"""A condition says something new, or nothing is written."""

import datetime as dt
from typing import Any

import attrs
import orjson
import pytest

from reconcile.kube import conditions
from reconcile.kube.conditions import Condition
from reconcile.kube.objects import Object, ObjectMeta
from reconcile.kube.patch import apply_merge
from reconcile.kube.resource import Resource

NOW = dt.datetime(2026, 1, 2, 12, 0, 0, 987, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=1)
READY = Condition("Ready", "True", "Done", "all is well", observed_generation=3)
OTHER = {"type": "Other", "status": "False", "lastProbeTime": None, "strange": 1}


def an_object(*listed: dict[str, Any]) -> Object:
    document = {"metadata": {"name": "x", "resourceVersion": "7"}, "status": {"conditions": list(listed)}}
    return Object.decode(orjson.dumps(document))


def put(obj: Object, condition: Condition, now: dt.datetime) -> Object:
    patch = conditions.put(obj, condition, now=now)
    return Object(apply_merge(obj, patch)) if patch else obj


def test_a_new_condition_starts_now_and_keeps_the_others() -> None:
    patch = conditions.put(an_object(OTHER), READY, now=NOW)
    assert patch is not None
    written = {
        "type": "Ready",
        "status": "True",
        "reason": "Done",
        "message": "all is well",
        "lastTransitionTime": "2026-01-02T12:00:00Z",
        "observedGeneration": 3,
    }
    assert patch.value == {"metadata": {"resourceVersion": "7"}, "status": {"conditions": [OTHER, written]}}


def test_saying_the_same_again_is_no_patch() -> None:
    assert conditions.put(put(an_object(OTHER), READY, NOW), READY, now=LATER) is None


def test_the_time_moves_only_with_the_status() -> None:
    obj = put(an_object(), READY, NOW)
    reworded = put(obj, attrs.evolve(READY, reason="Again"), LATER)
    assert conditions.get(reworded, "Ready") == attrs.evolve(
        READY, reason="Again", last_transition_time=NOW.replace(microsecond=0)
    )
    failed = put(reworded, attrs.evolve(READY, status="False"), LATER)
    found = conditions.get(failed, "Ready")
    assert found is not None
    assert found.last_transition_time == LATER.replace(microsecond=0)


def test_a_condition_may_bring_its_own_time() -> None:
    obj = put(an_object(), attrs.evolve(READY, last_transition_time=LATER), NOW)
    found = conditions.get(obj, "Ready")
    assert found is not None
    assert found.last_transition_time == LATER.replace(microsecond=0)


def test_what_is_not_known_of_a_condition_stays() -> None:
    obj = put(an_object({"type": "Ready", "status": "True", "lastHeartbeatTime": "x"}), READY, NOW)
    assert obj["status"]["conditions"][0]["lastHeartbeatTime"] == "x"


def test_a_condition_stays_in_its_place() -> None:
    obj = put(an_object({"type": "Ready", "status": "False"}, OTHER), READY, NOW)
    assert [item["type"] for item in obj["status"]["conditions"]] == ["Ready", "Other"]


def test_conditions_are_looked_up_by_type() -> None:
    obj = put(an_object(OTHER), READY, NOW)
    assert conditions.is_true(obj, "Ready")
    assert not conditions.is_true(obj, "Other")
    assert not conditions.is_true(obj, "Absent")
    assert conditions.get(obj, "Absent") is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"status": None},
        {"status": {}},
        {"status": {"conditions": None}},
        {"status": "x"},
        {"status": {"conditions": ["x"]}},
    ],
)
def test_an_object_without_conditions_has_none(document: dict[str, Any]) -> None:
    obj = Object({"metadata": {"name": "x"}, **document})
    assert conditions.get(obj, "Ready") is None
    patch = conditions.put(obj, READY, now=NOW)
    assert patch is not None
    assert len(patch.value["status"]["conditions"]) == 1


def test_a_time_that_is_none_is_left_out() -> None:
    found = conditions.get(an_object({"type": "Ready", "status": "True", "lastTransitionTime": "soon"}), "Ready")
    assert found is not None
    assert found.last_transition_time is None


@attrs.frozen
class Thing:
    metadata: ObjectMeta


def test_an_object_of_a_class_keeps_what_its_class_does_not_know() -> None:
    raw = orjson.dumps(an_object(OTHER).thaw())
    thing = Resource("g.io", "v1", "Thing", "things", type=Thing).codec.decode(raw)
    patch = conditions.put(thing, READY, now=NOW)
    assert patch is not None
    assert patch.value["status"]["conditions"][0] == OTHER
