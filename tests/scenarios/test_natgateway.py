"""NAT gateways between two clusters: every acceptance scenario under its id, in both generations, on virtual time."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from apinetlet.api import IRONCORE, Generation
from apinetlet.demo.world import TARGET_NAMESPACE
from apinetlet.settings import Settings
from reconcile import Manager, ObjectMeta
from reconcile.testing.faults import WRITES, FaultPlan, Rule, Status
from tests.scenarios.desk import HOME, Desk, desk

NOBODY = ObjectMeta(namespace=HOME, name="nobody", uid="no-such-uid")


async def gateway(at: Desk, name: str = "out", *, metadata: Any = (), **spec: Any) -> ObjectMeta:
    """A user declares a NAT gateway."""
    spec = {"type": "Public", "ipFamily": "IPv4", "networkRef": {"name": "blue"}, **spec}
    return await at.create(at.world.kinds.nat_gateway, name, metadata=metadata, spec=spec)


async def scale(at: Desk, meta: ObjectMeta, *names: str) -> None:
    """The autoscaler decides which entries a gateway has; those that stay keep their addresses."""
    kind = at.world.kinds.apinet_nat_gateway
    before = {one["name"]: one for one in target(at, meta)["spec"].get("ips") or ()}
    entries = [before.get(name, {"name": name}) for name in names]
    await at.change(kind, ObjectMeta(namespace=TARGET_NAMESPACE, name=meta.uid), {"spec": {"ips": entries}})


def target(at: Desk, meta: ObjectMeta) -> dict[str, Any]:
    return at.made_for(at.world.kinds.apinet_nat_gateway, meta)


def autoscaler(at: Desk, meta: ObjectMeta) -> dict[str, Any]:
    return at.made_for(at.world.kinds.apinet_nat_gateway_autoscaler, meta)


def given(at: Desk, meta: ObjectMeta) -> list[str]:
    return [one["ip"] for one in target(at, meta)["spec"].get("ips") or ()]


def reported(at: Desk, meta: ObjectMeta) -> list[str] | None:
    """``status.ips`` of a source NAT gateway."""
    found: list[str] | None = at.live(at.world.kinds.nat_gateway, meta).get("status", {}).get("ips")
    return found


def is_controlled(at: Desk, meta: ObjectMeta) -> None:
    """The autoscaler has one owner: the counterpart of its name."""
    assert autoscaler(at, meta)["metadata"]["ownerReferences"] == [
        {
            "apiVersion": at.world.kinds.apinet_nat_gateway.api_version,
            "kind": "NATGateway",
            "name": meta.uid,
            "uid": target(at, meta)["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


async def test_nat_1_a_gateway_gets_a_counterpart_and_an_autoscaler_that_belongs_to_it(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        out = await gateway(desk)
        await desk.rest()
    origin = desk.origin("NATGateway", out)
    for made in (target(desk, out), autoscaler(desk, out)):
        assert made["metadata"]["labels"] == origin["labels"]
        assert made["metadata"].get("annotations", {}) == origin.get("annotations", {})
    is_controlled(desk, out)
    assert autoscaler(desk, out)["spec"]["natGatewayRef"] == {"name": out.uid}


async def test_nat_2_a_gateway_waits_for_its_network_and_reports_the_addresses_it_gets(desk: Desk) -> None:
    async with desk.daemon():
        out = await gateway(desk, networkRef={"name": "foo"})
        await desk.rest(1)
        assert desk.all(desk.world.kinds.apinet_nat_gateway) == []
        assert desk.told("NetworkNotFound")
        await desk.declare_network("foo")
        await desk.rest(1)
        await scale(desk, out, "ip-1")
        await desk.rest(1)
    assert reported(desk, out) == given(desk, out) != []


async def test_nat_3_a_gateway_says_family_network_ports_and_how_many_addresses(desk: Desk) -> None:
    async with desk.daemon():
        network = await desk.declare_network()
        out = await gateway(desk)
        await desk.rest()
    assert target(desk, out)["spec"] == {
        "ipFamily": "IPv4",
        "networkRef": {"name": network.uid},
        "portsPerNetworkInterface": 2048,
    }
    assert autoscaler(desk, out)["spec"] == {
        "natGatewayRef": {"name": out.uid},
        "minPublicIPs": 1,
        "maxPublicIPs": 10,
    }


async def test_nat_4_what_the_autoscaler_does_is_mirrored_and_never_undone(desk: Desk) -> None:
    async with desk.daemon() as daemon:
        await desk.declare_network()
        out = await gateway(desk)
        await desk.rest()
        for names in (["b"], ["b", "c", "a"], ["b"]):
            await scale(desk, out, *names)
            before = given(desk, out)
            await desk.rest(1)
            daemon.controller("natgateway").enqueue_all()
            await desk.rest(1)
            assert [one["name"] for one in target(desk, out)["spec"]["ips"]] == names
            assert reported(desk, out) == given(desk, out) == before
        await scale(desk, out)
        await desk.rest(1)
        assert reported(desk, out) == []


async def test_nat_5_other_ports_change_the_counterpart_in_place(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        out = await gateway(desk)
        await desk.rest()
        await scale(desk, out, "a", "b")
        await desk.rest()
        before, addresses = target(desk, out), given(desk, out)
        await desk.change(desk.world.kinds.nat_gateway, out, {"spec": {"portsPerNetworkInterface": 64}})
        await desk.rest(1)
    assert target(desk, out)["spec"] == {**before["spec"], "portsPerNetworkInterface": 64}
    assert target(desk, out)["metadata"]["uid"] == before["metadata"]["uid"]
    assert reported(desk, out) == addresses


async def test_nat_6_a_gateway_of_another_family_is_made_anew_with_its_autoscaler(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        out = await gateway(desk)
        await desk.rest()
        await scale(desk, out, "a")
        await desk.rest()
        before = [made["metadata"]["uid"] for made in (target(desk, out), autoscaler(desk, out))]
        await desk.change(desk.world.kinds.nat_gateway, out, {"spec": {"ipFamily": "IPv6"}})
        await desk.rest(1)
        assert target(desk, out)["spec"]["ipFamily"] == "IPv6"
        after = [made["metadata"]["uid"] for made in (target(desk, out), autoscaler(desk, out))]
        assert not set(before) & set(after)
        is_controlled(desk, out)
        assert reported(desk, out) == []
        assert "spec.ipFamily" in desk.told("Recreating")[0]


@pytest.mark.parametrize("collects", [True, False], ids=["collected", "nobody collects"])
async def test_nat_7_a_gateway_goes_after_both_its_counterparts(generation: Generation, collects: bool) -> None:
    async with desk(generation, collects=collects) as at, at.daemon():
        kinds = at.world.kinds
        await at.declare_network()
        out = await gateway(at)
        await at.rest()
        await scale(at, out, "a")
        foreign: dict[str, Any] = {"metadata": {"finalizers": ["partition.example/a"]}}
        counterpart = ObjectMeta(namespace=TARGET_NAMESPACE, name=out.uid)
        await at.change(kinds.apinet_nat_gateway, counterpart, foreign)
        await at.delete(kinds.nat_gateway, out)
        await at.rest()
        assert at.live(kinds.nat_gateway, out)["metadata"]["finalizers"] == [generation.finalizer("NATGateway")]
        await at.change(kinds.apinet_nat_gateway, counterpart, {"metadata": {"finalizers": None}})
        with anyio.fail_after(1):
            while at.find(kinds.nat_gateway, out.key) is not None:
                await anyio.lowlevel.checkpoint()
        assert at.all(kinds.apinet_nat_gateway) == at.all(kinds.apinet_nat_gateway_autoscaler) == []
        assert at.all(at.world.at_apinet["ips"]) == []


async def dangling(at: Desk, meta: ObjectMeta = NOBODY, *, name: str = "left-over") -> None:
    """A pair in the api-net cluster made for a NAT gateway that does not exist."""
    kinds, origin = at.world.kinds, at.origin("NATGateway", meta)
    spec = {"ipFamily": "IPv4", "networkRef": {"name": "n"}, "portsPerNetworkInterface": 64}
    await at.create(kinds.apinet_nat_gateway, name, metadata=origin, spec=spec)
    spec = {"natGatewayRef": {"name": name}, "minPublicIPs": 1, "maxPublicIPs": 2}
    await at.create(kinds.apinet_nat_gateway_autoscaler, name, metadata=origin, spec=spec)


async def test_nat_8_a_counterpart_of_no_gateway_goes_together_with_its_autoscaler(desk: Desk) -> None:
    kinds = desk.world.kinds
    await dangling(desk)
    async with desk.daemon():
        await dangling(desk, name="left-over-too")
        await desk.rest()
    assert desk.all(kinds.apinet_nat_gateway) == desk.all(kinds.apinet_nat_gateway_autoscaler) == []


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"maxPublicIPs": 99}},
        {"spec": {"natGatewayRef": {"name": "other"}}},
        {"metadata": {"ownerReferences": None}},
        {
            "metadata": {
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "p", "controller": True}]
            }
        },
        {"metadata": {"labels": None, "annotations": None}},
        None,
    ],
    ids=["edited", "of another", "disowned", "owned by another", "stripped", "deleted"],
)
async def test_nat_9_an_autoscaler_that_somebody_touched_is_as_before(
    generation: Generation, patch: dict[str, Any] | None
) -> None:
    async with desk(generation, collects=False) as at, at.daemon():
        kind = at.world.kinds.apinet_nat_gateway_autoscaler
        await at.declare_network()
        out = await gateway(at)
        await at.rest()
        before = autoscaler(at, out)
        there = ObjectMeta(namespace=TARGET_NAMESPACE, name=out.uid)
        await (at.delete(kind, there) if patch is None else at.change(kind, there, patch))
        await at.rest(5)
        assert autoscaler(at, out)["spec"] == before["spec"]
        assert autoscaler(at, out)["metadata"]["labels"] == before["metadata"]["labels"]
        is_controlled(at, out)


async def test_nat_10_addresses_are_reported_even_if_the_autoscaler_is_refused(desk: Desk) -> None:
    desk.to_apinet.plan = FaultPlan((Rule(Status(500), verbs=WRITES, resources=("natgatewayautoscalers",)),))
    async with desk.daemon():
        await desk.declare_network()
        out = await gateway(desk)
        await desk.rest()
        assert desk.all(desk.world.kinds.apinet_nat_gateway_autoscaler) == []
        await scale(desk, out, "a")
        await desk.rest()
        assert reported(desk, out) == given(desk, out) != []
        assert desk.told("ApplyFailed")
        desk.to_apinet.heal()
        await desk.rest()
        is_controlled(desk, out)


async def test_nat_11_a_network_made_anew_makes_its_gateways_anew(desk: Desk) -> None:
    async with desk.daemon():
        old = await desk.declare_network()
        out = await gateway(desk)
        await desk.rest()
        await desk.delete(desk.world.kinds.network, old)
        await desk.rest(5)
        assert target(desk, out)["spec"]["networkRef"] == {"name": old.uid}
        new = await desk.declare_network()
        await desk.rest(5)
        assert target(desk, out)["spec"]["networkRef"] == {"name": new.uid}
        is_controlled(desk, out)


@pytest.mark.slow
async def test_nat_12_a_change_of_a_network_that_stays_the_same_one_wakes_no_gateway(desk: Desk) -> None:
    async with desk.daemon() as daemon:
        network = await desk.declare_network()
        number = 1000 if desk.generation is IRONCORE else 100  # a thousand take seconds
        metas = [await gateway(desk, f"out-{place}") for place in range(number)]
        await desk.rest()
        before = [last_pass(daemon, one) for one in metas[-100:]]
        patch = {"status": {"state": "Error"}}
        await desk.change(desk.world.kinds.network, network, patch, subresource="status")
        await desk.rest()
        assert [last_pass(daemon, one) for one in metas[-100:]] == before


# -- what else must hold -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ports", [65536, 2**30])
async def test_a_gateway_that_would_break_the_autoscaler_is_refused_and_keeps_what_it_has(
    desk: Desk, ports: int
) -> None:
    async with desk.daemon():
        await desk.declare_network()
        out = await gateway(desk)
        await desk.rest()
        before = target(desk, out)
        await desk.change(desk.world.kinds.nat_gateway, out, {"spec": {"portsPerNetworkInterface": ports}})
        await desk.rest()
        assert target(desk, out) == before
        assert f"spec.portsPerNetworkInterface is {ports}" in desk.told("InvalidPorts")[0]


async def test_the_bounds_of_the_autoscaler_are_settings(desk: Desk) -> None:
    settings = Settings(api_net_namespace=TARGET_NAMESPACE)
    assert (settings.nat_gateway_min_public_ips, settings.nat_gateway_max_public_ips) == (1, 10)
    await desk.declare_network()
    out = await gateway(desk)
    async with desk.daemon():
        await desk.rest()
    async with desk.daemon(nat_gateway_min_public_ips=2, nat_gateway_max_public_ips=3):
        await desk.rest()
    spec = autoscaler(desk, out)["spec"]
    assert (spec["minPublicIPs"], spec["maxPublicIPs"]) == (2, 3)


async def test_a_gateway_of_somebody_else_is_never_written(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        await desk.rest()
        before = desk.world.writes
        out = await gateway(desk, metadata={"annotations": {desk.generation.managed_by_annotation: ""}})
        await dangling(desk, out, name="of-somebody-else")
        await desk.rest()
        assert desk.world.writes == before


async def test_a_gateway_made_anew_while_nobody_looked_loses_its_old_counterparts(desk: Desk) -> None:
    kinds = desk.world.kinds
    async with desk.daemon():
        await desk.declare_network()
        old = await gateway(desk)
        await desk.rest()
    await desk.delete_by_force(kinds.nat_gateway, old)
    new = await gateway(desk)
    async with desk.daemon():
        await desk.rest()
    for kind in (kinds.apinet_nat_gateway, kinds.apinet_nat_gateway_autoscaler):
        assert [one["metadata"]["name"] for one in desk.all(kind)] == [new.uid]


async def test_a_new_gateway_costs_four_writes_with_its_addresses_and_its_deletion_three(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        await desk.rest()
        before = desk.world.writes
        out = await gateway(desk)
        await desk.rest()
        await scale(desk, out, "a")
        await desk.rest()
        assert reported(desk, out)
        assert desk.world.writes - before == 4
        await desk.delete(desk.world.kinds.nat_gateway, out)
        await desk.rest()
        assert desk.world.writes - before <= 7
        assert desk.all(desk.world.kinds.nat_gateway) == []


async def test_looking_again_and_a_restart_write_nothing_and_read_no_object(desk: Desk) -> None:
    async with desk.daemon() as daemon:
        await desk.declare_network()
        out = await gateway(desk)
        await gateway(desk, "six", ipFamily="IPv6")
        await desk.rest()
        await scale(desk, out, "a", "b")
        await desk.rest()
        await desk.quiet(daemon, "natgateway")
    await desk.quiet_after_a_restart()


def last_pass(daemon: Manager, meta: ObjectMeta) -> str:
    """Which look at a gateway was the last one."""
    return daemon.why("natgateway", f"source/{meta.key}").passes[-1].id
