"""What a noted write leaves is what the server would have left, but for what only the server gives."""

import random
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from attrs import evolve

from apinetlet.api import IRONCORE
from apinetlet.demo.world import TARGET_NAMESPACE, World
from apinetlet.tools import applied
from apinetlet.tools.applied import GIVEN
from apinetlet.tools.captured import Captured, Touched
from apinetlet.tools.changes import difference
from reconcile import Client, Object, ObjectKey

AT = "2026-01-01T00:00:00Z"
ME, OTHER = "me", "other"
NETWORK = {"networkRef": {"name": "net"}}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {}}
PORTS = [{"port": port, "protocol": protocol} for port in (80, 443) for protocol in ("TCP", "UDP")]
IPS = [{"name": name, "ipFamily": family} for name, family in (("a", "IPv4"), ("b", "IPv6"), ("c", "IPv4"))]


def a_body(rng: random.Random) -> dict[str, Any]:
    """A LoadBalancer as the daemon applies it."""
    spec: dict[str, Any] = {
        "type": "Public",
        **NETWORK,
        "selector": {"matchLabels": {"a": "b"}},
        "template": TEMPLATE,
        "ips": rng.sample(IPS, rng.randint(1, 3)),
    }
    if ports := rng.sample(PORTS, rng.randint(0, 3)):
        spec["ports"] = ports
    labels = {name: rng.choice("xy") for name in rng.sample("pqr", rng.randint(0, 3))}
    head = {"namespace": TARGET_NAMESPACE, "name": "lb", **({"labels": labels} if labels else {})}
    kind = {"apiVersion": f"{IRONCORE.apinet}/v1alpha1", "kind": "LoadBalancer"}
    return {**kind, "metadata": head, "spec": spec}


def document(found: Object) -> Mapping[str, Any]:
    read: Mapping[str, Any] = orjson.loads(found.metadata.raw)
    return read


def compared(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an apply decides about: addresses are the server's to give, and the order of lists is no matter."""
    spec = dict(value["spec"])
    spec["ips"] = sorted((one["name"], one["ipFamily"]) for one in spec.get("ips", ()))
    spec["ports"] = sorted((one["port"], one["protocol"]) for one in spec.get("ports", ()))
    return {"spec": spec, "labels": value["metadata"].get("labels") or {}}


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(2, 50))])
async def test_an_apply_that_is_noted_leaves_what_the_server_leaves(seed: int) -> None:
    rng = random.Random(seed)
    async with World(IRONCORE, seed=seed) as world:
        client, kind = world.apinet.client(), world.at_apinet["loadbalancers"]
        other = {**a_body(rng)["metadata"], "labels": {"p": "z", "s": "z"}}
        await client.apply(kind, a_body(rng), field_manager=ME)
        await client.apply(kind, {"metadata": other}, field_manager=OTHER)
        for _ in range(6):
            body = a_body(rng)
            live = document(await client.get(kind, ObjectKey(TARGET_NAMESPACE, "lb")))
            noted = applied.applied(live, body, manager=ME, at=AT)
            left = document(await client.apply(kind, body, field_manager=ME))
            assert compared(noted) == compared(left)


def test_what_is_new_says_what_the_server_will_give() -> None:
    made = applied.applied(None, {"metadata": {"name": "a"}, "spec": {}}, manager=ME, at=AT)
    assert made["metadata"]["uid"] == GIVEN


@pytest.mark.parametrize(
    ("subresource", "left"),
    [("", {"spec": {"a": 2}, "status": {"s": 1}}), ("status", {"spec": {"a": 1}, "status": {"s": 2}})],
)
def test_a_patch_changes_the_object_or_its_status_and_guards_are_no_change(
    subresource: str, left: Mapping[str, Any]
) -> None:
    live = {"metadata": {"uid": "u", "resourceVersion": "7"}, "spec": {"a": 1}, "status": {"s": 1}}
    patch = {"metadata": {"uid": "u", "resourceVersion": "7"}, "spec": {"a": 2}, "status": {"s": 2}}
    found = applied.patched(live, patch, subresource)
    assert {name: found[name] for name in ("spec", "status")} == left
    assert found["metadata"] == live["metadata"]


def test_what_finalizers_hold_is_left_and_goes_with_the_last_of_them() -> None:
    held = applied.deleted({"metadata": {"finalizers": ["a"]}}, AT)
    assert held is not None
    assert not applied.ended(held)
    assert applied.deleted({"metadata": {}}, AT) is None
    assert applied.ended(applied.patched(held, {"metadata": {"finalizers": None}}, ""))


def test_a_difference_tells_each_path_and_nothing_that_the_server_keeps_for_itself() -> None:
    before = {
        "metadata": {"resourceVersion": "1", "labels": {"a/b": "x"}},
        "spec": {"ports": [{"port": 1}], "gone": {"x": 1}},
    }
    after = {"metadata": {"resourceVersion": "2"}, "spec": {"ports": [{"port": 2}, {"port": 3}], "new": {"deep": True}}}
    touched = Touched("apinet", "things", ObjectKey("n", "a"), before, after)
    found = difference(touched)
    assert found is not None
    assert [str(line) for line in found.lines] == [
        "- metadata.labels[a/b]: x",
        "~ spec.ports[0].port: 1 -> 2",
        "+ spec.ports[1].port: 3",
        "- spec.gone.x: 1",
        "+ spec.new.deep: true",
    ]
    assert difference(evolve(touched, after=before)) is None


async def test_who_applies_is_who_the_request_says() -> None:
    """A kind may have a field manager of its own: what that one leaves out goes, and nobody else's does."""
    async with World(IRONCORE) as world:
        client = world.apinet.client(field_manager=ME)
        network, key = world.kinds.apinet_network, ObjectKey(TARGET_NAMESPACE, "n")
        for manager in (ME, OTHER):
            body = {"metadata": {"name": "n", "namespace": TARGET_NAMESPACE, "labels": {manager: "x"}}}
            await client.apply(network, body, field_manager=manager)
        noting = Captured("apinet", client.transport)
        bare = {"metadata": {"name": "n", "namespace": TARGET_NAMESPACE}}
        await Client(noting, field_manager=ME).apply(network, bare, field_manager=OTHER)
        [touched] = noting.take()
        left = (await client.apply(network, bare, field_manager=OTHER)).metadata.labels
    assert touched.key == key
    assert touched.after is not None
    assert touched.after["metadata"]["labels"] == dict(left) == {ME: "x"}
