"""Handlers tell whom a change concerns: before it and after it, in this cluster or another."""

from collections.abc import Iterable
from typing import Any

import pytest

from reconcile.controller.handler import enqueue_by, enqueue_labelled, enqueue_owner, enqueue_self
from reconcile.controller.reconciler import Request
from reconcile.kube.objects import Object
from reconcile.kube.resource import Resource
from tests.controller.things import PART, WIDGET, change, entry, owned_by

OWNER = {"apiVersion": "example.com/v1beta1", "kind": "Widget", "name": "boss", "controller": True}


def test_an_object_enqueues_itself_in_its_cluster() -> None:
    assert list(enqueue_self(change(None, entry("a")))) == [Request("home", "ns", "a")]
    assert list(enqueue_self(change(entry("a"), None))) == [Request("home", "ns", "a")]


def test_an_owner_is_found_at_any_version_of_its_group() -> None:
    part = entry("p", resource=PART, **owned_by(OWNER))
    assert list(enqueue_owner(WIDGET)(change(None, part, resource=PART))) == [Request("home", "ns", "boss")]


@pytest.mark.parametrize("other", [{"kind": "Gadget"}, {"apiVersion": "example.org/v1"}, {"controller": False}])
def test_an_owner_of_another_kind_or_role_is_not_meant(other: dict[str, Any]) -> None:
    part = entry("p", resource=PART, **owned_by({**OWNER, **other}))
    assert list(enqueue_owner(WIDGET)(change(None, part, resource=PART))) == []


def test_every_owner_counts_when_asked_for() -> None:
    part = entry("p", resource=PART, **owned_by({**OWNER, "controller": False}, {**OWNER, "name": "other"}))
    handler = enqueue_owner(WIDGET, "away", controller_only=False)
    found = list(handler(change(None, part, resource=PART)))
    assert found == [Request("away", "ns", "boss"), Request("away", "ns", "other")]


def test_a_cluster_scoped_owner_has_no_namespace() -> None:
    zone = Resource.untyped("example.com/v1", "Widget", "widgets", namespaced=False)
    part = entry("p", resource=PART, **owned_by(OWNER))
    assert list(enqueue_owner(zone)(change(None, part, resource=PART))) == [Request("home", "", "boss")]


def test_the_owner_before_hears_of_it_too() -> None:
    old = entry("p", 1, resource=PART, **owned_by(OWNER))
    new = entry("p", 2, resource=PART, **owned_by({**OWNER, "name": "heir"}))
    found = list(enqueue_owner(WIDGET)(change(old, new, resource=PART)))
    assert found == [Request("home", "ns", "boss"), Request("home", "ns", "heir")]


def by_target(obj: Object) -> Iterable[Request]:
    yield Request("away", "", obj["spec"]["target"])


def test_a_mapping_is_asked_about_both_sides_and_each_key_comes_once() -> None:
    handler = enqueue_by(by_target)
    one, two = entry("a", 1, spec={"target": "x"}), entry("a", 2, spec={"target": "y"})
    assert list(handler(change(one, two))) == [Request("away", "", "x"), Request("away", "", "y")]
    assert list(handler(change(one, one))) == [Request("away", "", "x")]
    assert list(handler(change(one, None))) == [Request("away", "", "x")]
    assert repr(handler) == "enqueue_by(by_target)"


@pytest.mark.parametrize("broken", ["old", "new"])
def test_a_mapping_that_fails_on_one_side_still_tells_the_other(broken: str) -> None:
    mappable, unmappable = entry("a", 1, spec={"target": "y"}), entry("a", 2)
    keys = iter(enqueue_by(by_target)(change(*((unmappable, mappable) if broken == "old" else (mappable, unmappable)))))
    assert next(keys) == Request("away", "", "y")
    with pytest.raises(KeyError):
        next(keys)


def test_labels_point_into_another_cluster() -> None:
    handler = enqueue_labelled("away", "x/name", "x/namespace")
    source = entry("p", labels={"x/name": "n", "x/namespace": "m"})
    assert list(handler(change(source, None))) == [Request("away", "m", "n")]
    assert list(handler(change(None, entry("p", labels={"x/name": "n"})))) == []
    assert list(handler(change(None, entry("p", labels={"x/namespace": "m"})))) == []


def test_a_long_name_may_stand_in_an_annotation() -> None:
    handler = enqueue_labelled("away", "x/name", "x/namespace", name_in="annotations")
    source = entry("p", labels={"x/namespace": "m"}, annotations={"x/name": "n" * 200})
    assert list(handler(change(None, source))) == [Request("away", "m", "n" * 200)]


def test_without_a_namespace_label_the_origin_is_cluster_scoped() -> None:
    assert list(enqueue_labelled("away", "x/name")(change(None, entry("p", labels={"x/name": "n"})))) == [
        Request("away", "", "n")
    ]
