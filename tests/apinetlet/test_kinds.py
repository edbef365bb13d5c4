"""The kinds as both servers write them: what may be null, what may be absent, and what nobody here reads."""

from typing import Any

import attrs
import orjson
import pytest

from apinetlet.api import GENERATIONS, Generation, Kinds
from apinetlet.demo.definitions import crds
from reconcile import Resource

EVERY = [
    pytest.param(generation, resource, id=f"{generation.name} {name}")
    for generation in GENERATIONS.values()
    for of in (Kinds.of(generation), Kinds.of(generation).policies)
    for name, resource in (attrs.asdict(of, recurse=False) if of is not None else {}).items()
    if isinstance(resource, Resource)
]


def document(resource: Resource[Any], **parts: Any) -> bytes:
    head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "a", "uid": "u"}}
    return orjson.dumps({**head, **parts})


@pytest.mark.parametrize(("generation", "resource"), EVERY)
def test_every_kind_is_one_that_its_server_serves(generation: Generation, resource: Resource[Any]) -> None:
    served = {
        (one["spec"]["group"], one["spec"]["names"]["kind"], one["spec"]["names"]["plural"])
        for one in crds(generation.name, resource.group)
    }
    assert (resource.group, resource.kind, resource.plural) in served


@pytest.mark.parametrize(("generation", "resource"), EVERY)
def test_every_kind_can_be_read_with_nothing_in_it_and_with_nulls(
    generation: Generation, resource: Resource[Any]
) -> None:
    bare = resource.codec.decode(document(resource))
    assert resource.codec.decode(document(resource, spec=None, status=None, destinations=None)) == bare


@pytest.mark.parametrize(("generation", "resource"), EVERY)
def test_a_field_that_nobody_here_knows_survives_an_update(generation: Generation, resource: Resource[Any]) -> None:
    raw = document(resource, spec={"unheardOf": {"a": [1]}}, another="thing")
    after = resource.codec.document(resource.codec.decode(raw))
    assert after["spec"]["unheardOf"] == {"a": [1]}
    assert after["another"] == "thing"


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
def test_an_address_list_may_hold_the_nulls_of_the_go_daemon(generation: Generation) -> None:
    kinds = Kinds.of(generation)
    found = kinds.load_balancer.codec.decode(document(kinds.load_balancer, status={"ips": [None, "10.0.0.1"]}))
    assert found.status.ips == (None, "10.0.0.1")
