"""``plan`` and ``explain``: what would happen is what happens, and asking changes nothing."""

import io
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest

from apinetlet.api import IRONCORE, ONMETAL
from apinetlet.demo.world import TARGET_NAMESPACE
from apinetlet.flags import FlagError
from apinetlet.settings import Settings
from apinetlet.tools import explain, plan, shell
from apinetlet.tools.answer import FINDING, OK, Answer, Failure
from apinetlet.tools.plan import Plan
from apinetlet.tools.sides import Sides
from reconcile import ObjectKey
from reconcile.cache.informer import NotSynced
from reconcile.kube import MergePatch
from reconcile.testing.faults import FaultPlan, FaultyTransport, Rule, Status
from tests.scenarios.daemon import Lab, lab

SETTINGS = Settings(api_net_namespace=TARGET_NAMESPACE)
UNPEERED = Settings(api_net_namespace=TARGET_NAMESPACE, disable_network_peering=True)
ASKER = "asker"
PUBLIC = {"type": "Public", "networkRef": {"name": "blue"}}
WEB = {
    **PUBLIC,
    "ipFamilies": ["IPv4"],
    "networkInterfaceSelector": {},
    "ports": [{"protocol": "TCP", "port": 80}],
}


@pytest.fixture(params=[pytest.param(ONMETAL, marks=pytest.mark.proof), IRONCORE], ids=lambda one: one.name)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    async with lab(request.param) as made:
        yield made


@pytest.fixture
async def ironcore() -> AsyncIterator[Lab]:
    async with lab(IRONCORE) as made:
        yield made


def asking(place: Lab) -> Sides:
    manager = place.generation.field_manager
    source, apinet = (
        one.client(field_manager=manager, user_agent=ASKER) for one in (place.world.source, place.world.apinet)
    )
    return Sides(place.generation, source, apinet)


async def planned(place: Lab, settings: Settings = SETTINGS) -> Plan:
    return await plan.planned(settings, asking(place), timeout=30.0)


async def explained(place: Lab, kind: str, name: str, settings: Settings = SETTINGS) -> Answer:
    story = await explain.explained(settings, asking(place), kind, ObjectKey("default", name), timeout=30.0)
    return explain.answer(story)


async def populate(place: Lab) -> None:
    await place.world.declare("networks", "blue", {})
    await place.world.declare("loadbalancers", "web", WEB)
    await place.world.declare("natgateways", "out", {**PUBLIC, "ipFamily": "IPv4"})
    await place.world.declare("virtualips", "vip", {"type": "Public", "ipFamily": "IPv4"})


def writes(place: Lab) -> list[Any]:
    """What the asker did to either server that was no read."""
    reads = ("get", "list", "watch")
    return [
        one
        for server in place.world.servers
        for one in server.audit
        if one.user_agent == ASKER and one.verb not in reads
    ]


def text(answer: Answer) -> str:
    return shell.drawn(answer.parts, io.StringIO())


async def test_what_a_plan_makes_is_what_the_daemon_makes_then_and_nothing_is_planned_after_that(place: Lab) -> None:
    await populate(place)
    before = await planned(place)
    assert writes(place) == []
    made = {one.touched.key.name for one in before.changes if one.verb == "create"}
    async with place.daemon():
        await place.rest()
    there = {one.metadata.name for kind in place.world.at_apinet.values() for one in place.world.apinet.objects(kind)}
    assert made
    assert made <= there
    assert {one.touched.key.name for one in before.changes if one.verb == "update"} == {"blue", "web", "out", "vip"}
    after = await planned(place)
    assert [str(one) for one in after.changes] == []
    assert (plan.answer(before).status, plan.answer(after).status) == (FINDING, OK)
    assert writes(place) == []


async def test_a_change_of_one_port_is_planned_as_that_and_nothing_else(ironcore: Lab) -> None:
    await populate(ironcore)
    async with ironcore.daemon():
        await ironcore.rest()
    await ironcore.world.change("loadbalancers", "web", {"ports": [{"protocol": "TCP", "port": 81}]})
    [change] = (await planned(ironcore)).changes
    assert (change.verb, change.touched.resource) == ("update", "loadbalancers.core.apinet.ironcore.dev")
    assert [str(line) for line in change.lines] == ["~ spec.ports[0].port: 80 -> 81"]


async def test_the_end_of_what_has_lost_its_source_is_planned(ironcore: Lab) -> None:
    await ironcore.dangling()
    [change] = (await planned(ironcore)).changes
    assert (change.verb, change.touched.key.name) == ("delete", "left-over")


async def test_a_deletion_is_planned_to_its_end(ironcore: Lab) -> None:
    await populate(ironcore)
    async with ironcore.daemon():
        await ironcore.rest()
    await ironcore.world.delete("networks", "blue")
    found = {(one.verb, one.touched.cluster) for one in (await planned(ironcore)).changes}
    assert ("delete", "apinet") in found
    assert ("delete", "source") in found or ("update", "source") in found


async def test_a_takeover_from_the_former_origin_layout_shows_the_labels_that_move(ironcore: Lab) -> None:
    await populate(ironcore)
    async with ironcore.daemon():
        await ironcore.rest()
    [one] = ironcore.world.counterparts
    key = "apinetlet.ironcore.dev/network-name"
    former = MergePatch({"metadata": {"labels": {key: "blue"}, "annotations": {key: None}}})
    await ironcore.world.apinet.client().patch(ironcore.world.kinds.apinet_network, one.metadata.key, former)
    lines = [str(line) for change in (await planned(ironcore)).moved for line in change.lines]
    assert lines == [f"- metadata.labels[{key}]: blue", f"+ metadata.annotations[{key}]: blue"]


async def test_events_are_shown_and_are_no_change(ironcore: Lab) -> None:
    await ironcore.world.declare("natgateways", "out", {**PUBLIC, "ipFamily": "IPv4"})
    async with ironcore.daemon():
        await ironcore.rest()
    found = await planned(ironcore)
    assert found.changes == []
    assert [one["reason"] for one in found.told] == ["NetworkNotFound"]
    assert "NetworkNotFound" in text(plan.answer(found))


async def test_a_right_that_is_missing_ends_the_question_with_the_rule_to_add(ironcore: Lab) -> None:
    both = asking(ironcore)
    both.apinet.transport = FaultyTransport(both.apinet.transport, FaultPlan((Rule(Status(403), resources=("ips",)),)))
    with pytest.raises(NotSynced, match=r"add the rule \{apiGroups: \[.*resources: \[ips\]"):
        await plan.planned(SETTINGS, both, timeout=30.0)


# -- one object --------------------------------------------------------------------------------------------------------


async def test_an_object_that_is_mapped_is_explained_with_its_counterpart_and_nothing_to_do(place: Lab) -> None:
    await populate(place)
    async with place.daemon():
        await place.rest()
    told = await explained(place, "networks", "blue")
    assert told.status == OK
    assert "Network default/blue: mapped" in text(told)
    assert place.network("blue").metadata.uid in text(told)
    assert facts(told)["source"]["finalizers"] == [place.generation.finalizer("Network")]
    balancer = facts(await explained(place, "LoadBalancer", "web"))
    assert {one["kind"] for one in balancer["targets"]} == {"LoadBalancer", "LoadBalancerRouting"}
    assert writes(place) == []


async def test_the_addresses_that_were_given_stand_on_both_sides(place: Lab) -> None:
    await populate(place)
    async with place.daemon():
        await place.rest()
    told = facts(await explained(place, "LoadBalancer", "web"))
    [address] = place.world.declared("loadbalancers")["web"]["status"]["ips"]
    assert told["source"]["state"] == address
    assert {one["kind"]: one["state"] for one in told["targets"]} == {
        "LoadBalancer": address,
        "LoadBalancerRouting": "",
    }


async def test_how_a_peering_stands_is_part_of_how_its_network_stands(ironcore: Lab) -> None:
    await ironcore.world.declare(
        "networks", "blue", {"peerings": [{"name": "to-green", "networkRef": {"name": "green"}}]}
    )
    async with ironcore.daemon():
        await ironcore.rest()
    resource, key = ironcore.world.at_source["networks"], ObjectKey("default", "blue")
    for state, verdict in (("Pending", "waits"), ("Ready", "mapped")):
        said = MergePatch({"status": {"peerings": [{"name": "to-green", "state": state}]}})
        await ironcore.world.source.client().patch(resource, key, said, subresource="status")
        told = facts(await explained(ironcore, "Network", "blue", UNPEERED))
        assert told["source"]["state"].endswith(f" to-green: {state}")
        assert told["verdict"] == verdict


async def test_an_object_that_waits_is_explained_with_what_it_waits_for_and_its_events(ironcore: Lab) -> None:
    await ironcore.world.declare("natgateways", "out", {**PUBLIC, "ipFamily": "IPv4"})
    async with ironcore.daemon():
        await ironcore.rest()
    told = await explained(ironcore, "NATGateway", "out")
    assert told.status == FINDING
    [waits] = facts(told)["waits"]
    assert "NetworkNotFound: spec.networkRef.name is 'blue'" in waits["for"]
    [event] = facts(told)["events"]
    assert event["reason"] == "NetworkNotFound"


async def test_what_nobody_has_given_yet_is_waited_for(ironcore: Lab) -> None:
    await ironcore.world.declare("networks", "blue", {})
    network = {"networkRef": {"name": "blue"}, "ipFamilies": ["IPv4"], "ips": [{"value": "10.0.0.1"}]}
    await ironcore.world.declare("networkinterfaces", "nic", network)
    async with ironcore.daemon():
        await ironcore.rest()
    told = await explained(ironcore, "NetworkInterface", "nic")
    assert facts(told)["verdict"] == "waits"
    assert "has yet to give" in text(told)


async def test_a_deletion_that_is_held_names_who_holds_it(ironcore: Lab) -> None:
    await ironcore.world.declare("networks", "blue", {})
    async with ironcore.daemon():
        await ironcore.rest()
        await ironcore.set_finalizers("apinet", ironcore.counterpart(ironcore.network("blue")), ["metalnetlet/held"])
        await ironcore.world.delete("networks", "blue")
        await ironcore.rest()
    told = await explained(ironcore, "network", "blue")
    who = {one["who"]: one["for"] for one in facts(told)["waits"]}
    assert who["the end of Network"] == "whoever set the finalizer metalnetlet/held"
    assert "the source's end" in who


async def test_what_somebody_else_manages_is_explained_as_that(ironcore: Lab) -> None:
    await ironcore.world.declare("networks", "blue", {})
    told = await explained(ironcore, "network", "blue", Settings(api_net_namespace=TARGET_NAMESPACE, watch_filter="x"))
    assert facts(told)["waits"][0]["who"] == "nobody"
    assert facts(told)["next"]["changes"] == []


async def test_nothing_at_all_of_that_name_is_a_failure_and_an_unknown_kind_a_wrong_word(ironcore: Lab) -> None:
    with pytest.raises(Failure, match="there is no Network default/blue"):
        await explained(ironcore, "Network", "blue")
    with pytest.raises(FlagError, match=r"nothing of kind 'Pod' is mapped; there are Network, "):
        await explained(ironcore, "Pod", "blue")


@pytest.mark.parametrize(
    "kind", ["NetworkPolicy", "networkpolicies.networking.ironcore.dev", "networkpolicy", "netpol"]
)
async def test_a_kind_is_named_as_kubectl_takes_it(ironcore: Lab, kind: str) -> None:
    policy = {"networkRef": {"name": "blue"}, "networkInterfaceSelector": {}, "policyTypes": ["Ingress"]}
    await ironcore.world.declare("networkpolicies", "pol", policy)
    assert facts(await explained(ironcore, kind, "pol"))["kind"] == "NetworkPolicy"


async def test_what_is_left_of_a_source_that_is_gone_is_explained(ironcore: Lab) -> None:
    await ironcore.dangling()
    story = await explain.explained(SETTINGS, asking(ironcore), "Network", ObjectKey("default", "nobody"), timeout=30.0)
    told = explain.answer(story)
    assert facts(told)["source"] is None
    assert [one["verb"] for one in facts(told)["next"]["changes"]] == ["delete"]


def facts(answer: Answer) -> Mapping[str, Any]:
    found: Mapping[str, Any] = orjson.loads(orjson.dumps(answer.facts))
    return found
