"""A server that is down, slow, half open, without storage or brought back from a backup: the other side's work goes on.

States do not flap, ``/readyz`` tells, and it is got over without a restart and without an event that calls for it.
"""

from typing import Any

import pytest
from attrs import frozen

from apinetlet.api import Generation
from apinetlet.demo.world import TARGET_NAMESPACE
from reconcile import Manager, ObjectMeta
from reconcile.testing.faultplan import (
    WRITES,
    FaultPlan,
    Full,
    Latency,
    NoReply,
    ReadOnly,
    Refused,
    Rule,
    Silent,
    Status,
)
from tests.scenarios.desk import Desk, desk
from tests.scenarios.people import Both

BLUE = {"networkRef": {"name": "blue"}}
PUBLIC = {"type": "Public", "ipFamilies": ["IPv4"], **BLUE}
GATEWAY = {"type": "Public", "ipFamily": "IPv4", **BLUE}
MINUTE = 60.0


@frozen
class Outage:
    """What strikes one side, and whether ``/readyz`` tells."""

    plan: FaultPlan
    is_told: bool = True


OUTAGES = {
    "down": Outage(FaultPlan.of(Refused())),
    "half open": Outage(FaultPlan.of(NoReply(), Silent(after_lines=0))),
    "overloaded": Outage(FaultPlan.of(Status(503))),
    "slow": Outage(FaultPlan.of(Latency(5.0, 25.0)), is_told=False),
    "without a leader of its storage": Outage(FaultPlan((Rule(ReadOnly(), verbs=WRITES),))),
    "full": Outage(FaultPlan((Rule(Full(), verbs=WRITES),))),
}


async def declare(at: Desk, suffix: str) -> dict[str, ObjectMeta]:
    """One source of each kind; the interface stands on a machine and wants the VirtualIP."""
    kinds, both = at.world.kinds, Both.of(at)
    machine = await both.create_interface(f"machine-{suffix}")
    await both.program(f"machine-{suffix}", "Ready")
    nic = await both.create_nic(f"nic-{suffix}", on=machine, vip=f"vip-{suffix}")
    return {
        "networkinterfaces": nic.metadata,
        "loadbalancers": await at.create(kinds.load_balancer, f"web-{suffix}", spec=PUBLIC),
        "natgateways": await at.create(kinds.nat_gateway, f"out-{suffix}", spec=GATEWAY),
        "virtualips": await at.create(kinds.virtual_ip, f"vip-{suffix}", spec={"type": "Public", "ipFamily": "IPv4"}),
        "networks": await at.declare_network(f"net-{suffix}"),
    }


def statuses(at: Desk, metas: dict[str, ObjectMeta]) -> dict[str, Any]:
    return {plural: at.live(at.world.at_source[plural], meta).get("status") for plural, meta in metas.items()}


async def settled(at: Desk, metas: dict[str, ObjectMeta]) -> None:
    """All of them are mapped, and say so."""
    found = statuses(at, metas)
    assert found["networks"]["state"] == "Available"
    assert found["loadbalancers"]["ips"] == [
        one["ip"] for one in at.made_for(at.world.kinds.apinet_load_balancer, metas["loadbalancers"])["spec"]["ips"]
    ]
    assert found["virtualips"]["ip"] == at.made_for(at.world.kinds.apinet_ip, metas["virtualips"])["spec"]["ip"]
    assert at.made_for(at.world.kinds.apinet_nat_gateway_autoscaler, metas["natgateways"])
    if (nic := metas.get("networkinterfaces")) is not None:
        assert found["networkinterfaces"]["state"] == "Available"
        assert Both.of(at).public(f"machine-{nic.name.partition('-')[2]}") == [found["virtualips"]["ip"]]


def strike(at: Desk, side: str, plan: FaultPlan) -> None:
    (at.to_source if side == "source" else at.to_apinet).plan = plan


async def quiet(at: Desk, daemon: Manager) -> None:
    """Nothing is written any more, whatever is looked at again."""
    before = at.everything()
    for controller in daemon.controllers:
        controller.enqueue_all()
    await at.rest(MINUTE)
    assert at.everything() == before


@pytest.mark.parametrize("outage", list(OUTAGES))
@pytest.mark.parametrize("side", ["source", "apinet"])
async def test_an_outage_of_one_side_flaps_nothing_and_is_got_over(
    generation: Generation, side: str, outage: str
) -> None:
    async with desk(generation) as at, at.daemon() as daemon:
        await at.declare_network()
        old = await declare(at, "old")
        await at.rest()
        await settled(at, old)
        before = statuses(at, old)
        strike(at, side, OUTAGES[outage].plan)
        new = await declare(at, "new")
        there = ObjectMeta(namespace=TARGET_NAMESPACE, name=old["loadbalancers"].uid)
        await at.change(at.world.kinds.apinet_load_balancer, there, {"spec": {"ports": [{"port": 6666}]}})
        for _ in range(10):
            await at.rest(MINUTE)
            assert statuses(at, old) == before
        told = daemon.probes.report("readyz")
        assert told.is_well != OUTAGES[outage].is_told, str(told)
        assert daemon.probes.report("livez").is_well
        if side == "source" and outage in ("down", "overloaded", "full"):  # the other side's work went on
            assert not at.made_for(at.world.kinds.apinet_load_balancer, old["loadbalancers"])["spec"].get("ports")
        strike(at, side, FaultPlan())
        await at.rest(5 * MINUTE)
        await settled(at, {**old})
        await settled(at, new)
        assert statuses(at, old) == before
        assert not at.made_for(at.world.kinds.apinet_load_balancer, old["loadbalancers"])["spec"].get("ports")
        assert daemon.probes.report("readyz").is_well
        await quiet(at, daemon)


async def test_daemons_of_different_filters_touch_only_what_is_theirs(generation: Generation) -> None:
    label = generation.watch_filter_label
    async with desk(generation) as at:
        kinds = at.world.kinds
        metas: dict[str, dict[str, ObjectMeta]] = {}
        for mine in ("one", "other"):
            labels = {"labels": {label: mine}}
            blue = {"networkRef": {"name": f"net-{mine}"}}
            metas[mine] = {
                "networks": await at.create(kinds.network, f"net-{mine}", metadata=labels, spec={}),
                "loadbalancers": await at.create(
                    kinds.load_balancer, f"web-{mine}", metadata=labels, spec={**PUBLIC, **blue}
                ),
                "natgateways": await at.create(
                    kinds.nat_gateway, f"out-{mine}", metadata=labels, spec={**GATEWAY, **blue}
                ),
                "virtualips": await at.create(
                    kinds.virtual_ip, f"vip-{mine}", metadata=labels, spec={"type": "Public", "ipFamily": "IPv4"}
                ),
            }
        async with at.daemon(watch_filter="one"):
            await at.rest()
            await settled(at, metas["one"])
            assert {one["metadata"]["name"] for one in at.all(kinds.apinet_network)} == {metas["one"]["networks"].uid}
            writes = at.world.writes
            before = at.everything()
            async with at.daemon(watch_filter="other"):
                await at.rest()
                await settled(at, metas["one"])
                await settled(at, metas["other"])
                after = at.everything()
                theirs = {meta.name for meta in metas["other"].values()}
                touched = {key for key, version in before.items() if after.get(key) != version}
                assert touched == {key for key in before if key.rpartition("/")[2] in theirs}
                for meta, plural in ((meta, plural) for plural, meta in metas["other"].items()):
                    await at.delete(at.world.at_source[plural], meta)
                await at.rest()
                assert {key: at.everything().get(key) for key in before if key not in touched} == {
                    key: version for key, version in before.items() if key not in touched
                }
                assert {one["metadata"]["name"] for one in at.all(kinds.apinet_network)} == {
                    metas["one"]["networks"].uid
                }
            assert at.world.writes > writes


@pytest.mark.parametrize("side", ["source", "apinet"])
async def test_a_side_that_is_brought_back_from_a_backup_comes_to_an_agreement(
    generation: Generation, side: str
) -> None:
    async with desk(generation) as at, at.daemon() as daemon:
        kinds = at.world.kinds
        await at.declare_network()
        old = await declare(at, "old")
        await at.rest()
        server = at.world.source if side == "source" else at.world.apinet
        backup = server.storage.snapshot()
        kept = statuses(at, old)
        new = await declare(at, "new")
        await at.rest()
        await at.change(kinds.load_balancer, old["loadbalancers"], {"spec": {"ports": [{"port": 443}]}})
        await at.rest()
        server.restore(backup)
        await at.rest(20 * MINUTE)  # nobody else does anything
        await settled(at, old)
        assert statuses(at, old) == kept
        ports = at.made_for(kinds.apinet_load_balancer, old["loadbalancers"])["spec"].get("ports")
        if side == "source":  # what came after the backup was never asked for
            assert not ports
            assert (Both.of(at).holder("machine-new"), Both.of(at).public("machine-new")) == ("", [])
            for plural in ("loadbalancers", "loadbalancerroutings", "natgateways", "natgatewayautoscalers", "ips"):
                names = {one["metadata"]["name"] for one in at.all(at.world.at_apinet[plural])}
                assert not names & {meta.uid for meta in new.values()}
        else:  # what came after it is made once more
            assert ports == [{"port": 443}]
            assert at.live(kinds.network, new["networks"])["status"]["state"] == "Error"  # its ID is another one
            assert at.live(kinds.network_interface, new["networkinterfaces"])["status"]["state"] == "Pending"
            assert at.made_for(kinds.apinet_load_balancer, new["loadbalancers"])
            assert at.made_for(kinds.apinet_ip, new["virtualips"])["spec"]["ip"]
        assert daemon.probes.report("readyz").is_well
        await quiet(at, daemon)
