"""Load balancers between two clusters: every acceptance scenario under its id, in both generations, on virtual time."""

from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from apinetlet.api import IRONCORE, ONMETAL, Generation
from apinetlet.demo.world import TARGET_NAMESPACE
from reconcile import Manager, ObjectMeta
from reconcile.testing.faults import WRITES, FaultPlan, Rule, Status
from tests.scenarios.desk import HOME, Desk, desk

NOBODY = ObjectMeta(namespace=HOME, name="nobody", uid="no-such-uid")


async def balancer(at: Desk, name: str = "web", *, metadata: Any = (), **spec: Any) -> ObjectMeta:
    """A user declares a load balancer: public, of one family, unless ``spec`` says otherwise."""
    spec = {"type": "Public", "ipFamilies": ["IPv4"], "networkRef": {"name": "blue"}, **spec}
    return await at.create(at.world.kinds.load_balancer, name, metadata=metadata, spec=spec)


async def routed(at: Desk, name: str, *destinations: dict[str, Any]) -> ObjectMeta:
    """Somebody says where the traffic of a load balancer goes."""
    return await at.create(
        at.world.kinds.load_balancer_routing,
        name,
        networkRef={"name": "blue", "uid": "any"},
        destinations=list(destinations),
    )


async def prefix(
    at: Desk, name: str, address: str, *, owner: ObjectMeta | None = None, phase: str = "Pending"
) -> ObjectMeta:
    """A Prefix that holds one address, made for ``owner`` or for nobody."""
    kinds = at.world.kinds
    metadata: dict[str, Any] = {}
    if owner is not None:
        reference = {"apiVersion": kinds.load_balancer.api_version, "kind": "LoadBalancer", "controller": True}
        metadata["ownerReferences"] = [{**reference, "name": owner.name, "uid": owner.uid}]
    spec = {"ipFamily": "IPv4", "prefix": address, "parentRef": {"name": "parent"}}
    return await at.create(kinds.prefix, name, metadata=metadata, spec=spec, status={"phase": phase})


def to(ip: str, name: str | None = None, *, node: str = "part.node", scheme: str = "ironcore-net") -> dict[str, Any]:
    """A destination; with a ``name`` it says whose it is."""
    if name is None:
        return {"ip": ip}
    provider_id = f"{scheme}://namespace/{name}/{node}/uid-of-{name}"
    return {"ip": ip, "targetRef": {"uid": f"source-{name}", "name": name, "providerID": provider_id}}


def target(at: Desk, meta: ObjectMeta) -> dict[str, Any]:
    return at.made_for(at.world.kinds.apinet_load_balancer, meta)


def routing(at: Desk, meta: ObjectMeta) -> dict[str, Any]:
    return at.made_for(at.world.kinds.apinet_load_balancer_routing, meta)


def reported(at: Desk, meta: ObjectMeta) -> list[str] | None:
    """``status.ips`` of a source load balancer."""
    found: list[str] | None = at.live(at.world.kinds.load_balancer, meta).get("status", {}).get("ips")
    return found


def given(at: Desk, meta: ObjectMeta) -> dict[str, str]:
    """The addresses of the counterpart by the names of their entries."""
    return {one["name"]: one.get("ip", "") for one in target(at, meta)["spec"].get("ips") or ()}


def look_again(daemon: Manager, times: int = 1) -> None:
    for number in range(times):
        daemon.controller("loadbalancer").enqueue_all(f"pass {number}")


async def test_lb_1_a_public_load_balancer_gets_a_counterpart_and_reports_its_address(desk: Desk) -> None:
    async with desk.daemon():
        network = await desk.declare_network()
        web = await balancer(desk, ports=[{"port": 80, "protocol": "TCP"}, {"port": 100, "endPort": 200}])
        await desk.rest()
    found, origin = target(desk, web), desk.origin("LoadBalancer", web)
    selector = {"matchLabels": origin["labels"]}
    assert found["metadata"]["labels"] == origin["labels"]
    assert found["metadata"].get("annotations", {}) == origin.get("annotations", {})
    assert found["spec"]["type"] == "Public"
    assert found["spec"]["networkRef"] == {"name": network.uid}
    assert [(one["name"], one["ipFamily"]) for one in found["spec"]["ips"]] == [("ipv4", "IPv4")]
    assert found["spec"]["ports"] == [{"port": 80, "protocol": "TCP"}, {"port": 100, "endPort": 200}]
    assert found["spec"]["selector"] == selector
    anti_affinity = {"topologyKey": desk.generation.zone_label, "labelSelector": selector}
    assert found["spec"]["template"] == {
        "metadata": origin,
        "spec": {
            "affinity": {"instanceAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [anti_affinity]}}
        },
    }
    assert routing(desk, web)["metadata"]["labels"] == origin["labels"]
    assert reported(desk, web) == [given(desk, web)["ipv4"]]


async def test_lb_2_an_internal_load_balancer_has_the_address_it_is_given(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk, type="Internal", ips=[{"value": "10.0.0.1"}])
        await desk.rest()
    assert target(desk, web)["spec"]["type"] == "Internal"
    assert target(desk, web)["spec"]["ips"] == [{"name": "ip-0", "ipFamily": "IPv4", "ip": "10.0.0.1"}]
    assert reported(desk, web) == ["10.0.0.1"]


EPHEMERAL = {"ephemeral": {"prefixTemplate": {"spec": {"ipFamily": "IPv4", "parentRef": {"name": "parent"}}}}}


async def test_lb_3_an_internal_load_balancer_gets_its_address_when_its_prefix_is_allocated(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk, type="Internal", ips=[EPHEMERAL])
        await desk.rest()
        assert given(desk, web) == {}
        made = await prefix(desk, "web-0", "10.0.0.1/32", owner=web)
        await desk.rest()
        assert given(desk, web) == {}
        await desk.change(desk.world.kinds.prefix, made, {"status": {"phase": "Allocated"}}, subresource="status")
        await desk.rest(1)
    assert given(desk, web) == {"ip-0": "10.0.0.1"}
    assert reported(desk, web) == ["10.0.0.1"]


@pytest.mark.parametrize("generation", [IRONCORE], ids=["ironcore"], indirect=True)
async def test_lb_4_a_load_balancer_follows_the_nodes_of_its_destinations_if_told_so(desk: Desk) -> None:
    async with desk.daemon(is_node_affinity_aware=True):
        await desk.declare_network()
        web = await balancer(desk)
        first, second = to("192.168.0.1", "first", node="z.node"), to("192.168.0.2", "second", node="a.node")
        await routed(desk, "web", second, first, to("192.168.0.3"))
        await desk.rest()
    node_affinity = target(desk, web)["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    assert node_affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] == [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]} for node in ("a.node", "z.node")
    ]
    found = routing(desk, web)
    [owner] = found["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": desk.world.kinds.apinet_load_balancer.api_version,
        "kind": "LoadBalancer",
        "name": web.uid,
        "uid": target(desk, web)["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert found["destinations"] == [
        {"ip": "192.168.0.1", "targetRef": {"uid": "uid-of-first", "name": "first", "nodeRef": {"name": "z.node"}}},
        {"ip": "192.168.0.2", "targetRef": {"uid": "uid-of-second", "name": "second", "nodeRef": {"name": "a.node"}}},
        {"ip": "192.168.0.3"},
    ]


async def test_nodes_are_not_followed_unless_the_flag_says_so(desk: Desk) -> None:
    flagged = desk.generation is ONMETAL  # where the flag does not exist
    async with desk.daemon(is_node_affinity_aware=flagged):
        await desk.declare_network()
        web = await balancer(desk)
        await routed(desk, "web", to("192.168.0.1", "first", scheme=desk.generation.scheme.value))
        await desk.rest()
    assert list(target(desk, web)["spec"]["template"]["spec"]["affinity"]) == ["instanceAntiAffinity"]
    assert routing(desk, web)["destinations"][0]["targetRef"]["name"] == "first"


async def test_lb_5_a_load_balancer_of_both_families_reports_both_addresses_in_order(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk, ipFamilies=["IPv4", "IPv6"])
        await desk.rest()
    addresses = given(desk, web)
    assert list(addresses) == ["ipv4", "ipv6"]
    assert reported(desk, web) == list(addresses.values())
    assert ":" in addresses["ipv6"]


async def test_lb_6_an_address_stays_whatever_else_changes(desk: Desk) -> None:
    async with desk.daemon() as daemon:
        await desk.declare_network()
        web = await balancer(desk)
        await desk.rest()
        before = reported(desk, web)
        look_again(daemon, 20)
        await desk.change(desk.world.kinds.load_balancer, web, {"spec": {"ports": [{"port": 443}]}})
        await desk.rest()
    async with desk.daemon():
        await desk.rest()
    assert target(desk, web)["spec"]["ports"] == [{"port": 443}]
    assert reported(desk, web) == before == [given(desk, web)["ipv4"]]


async def test_lb_7_a_load_balancer_waits_for_its_network_and_nothing_else_has_to_happen(desk: Desk) -> None:
    async with desk.daemon():
        web = await balancer(desk)
        await desk.rest()
        assert desk.all(desk.world.kinds.apinet_load_balancer) == []
        assert desk.told("NetworkNotFound") == ["spec.networkRef.name is 'blue', and there is no such Network"]
        await desk.declare_network()
        await desk.rest(1)
    assert reported(desk, web) == [given(desk, web)["ipv4"]]


async def test_lb_8_a_family_that_is_given_up_gives_its_address_back_and_the_other_keeps_its_own(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk, ipFamilies=["IPv4", "IPv6"])
        await desk.rest()
        before = given(desk, web)
        await desk.change(desk.world.kinds.load_balancer, web, {"spec": {"ipFamilies": ["IPv4"]}})
        await desk.rest(1)
    assert given(desk, web) == {"ipv4": before["ipv4"]}
    assert reported(desk, web) == [before["ipv4"]]
    assert [one["spec"]["ip"] for one in desk.all(desk.world.at_apinet["ips"])] == [before["ipv4"]]


async def test_lb_9_an_address_whose_prefix_is_not_there_yet_is_left_out_and_renames_nobody(desk: Desk) -> None:
    kind = desk.world.kinds.prefix
    async with desk.daemon():
        await desk.declare_network()
        ips = [EPHEMERAL, {"value": "2001:db8::2"}]
        web = await balancer(desk, type="Internal", ipFamilies=["IPv4", "IPv6"], ips=ips)
        foreign = await prefix(desk, "web-0", "10.0.0.1/32", phase="Allocated")
        await desk.rest()
        assert given(desk, web) == {"ip-1": "2001:db8::2"}
        owner = {"apiVersion": desk.world.kinds.load_balancer.api_version, "kind": "LoadBalancer", "controller": True}
        owners = {"metadata": {"ownerReferences": [{**owner, "name": web.name, "uid": web.uid}]}}
        await desk.change(kind, foreign, owners)
        await desk.rest(1)
        assert given(desk, web) == {"ip-0": "10.0.0.1", "ip-1": "2001:db8::2"}
        assert reported(desk, web) == ["10.0.0.1", "2001:db8::2"]
        await desk.delete(kind, foreign)
        await desk.rest(1)
        assert given(desk, web) == {"ip-1": "2001:db8::2"}
        await prefix(desk, "web-0", "10.0.0.3/32", owner=web, phase="Pending")
        await desk.rest(1)
    assert given(desk, web) == {"ip-1": "2001:db8::2"}


@pytest.mark.parametrize(
    "provider_id", ["", "other://namespace/name/node/uid", "ironcore-net:", "onmetal-api-net://a/b"]
)
async def test_lb_10_a_destination_that_nobody_can_be_told_of_is_kept_without_a_target(
    desk: Desk, provider_id: str
) -> None:
    async with desk.daemon() as daemon:
        await desk.declare_network()
        web = await balancer(desk)
        reference = {"uid": "u", "name": "n", "providerID": provider_id}
        await routed(desk, "web", {"ip": "10.0.0.1", "targetRef": reference})
        await desk.rest()
        assert not daemon.controller("loadbalancer").snapshot().failing
    assert routing(desk, web)["destinations"] == [{"ip": "10.0.0.1"}]


async def test_lb_11_deleting_the_routing_clears_the_destinations(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk)
        made = await routed(desk, "web", to("10.0.0.1"))
        await desk.rest()
        assert routing(desk, web)["destinations"] == [{"ip": "10.0.0.1"}]
        await desk.delete(desk.world.kinds.load_balancer_routing, made)
        await desk.rest(1)
    assert not routing(desk, web).get("destinations")


async def test_lb_12_a_load_balancer_of_another_type_is_made_anew(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk)
        await routed(desk, "web", to("10.0.0.1"))
        await desk.rest()
        before = target(desk, web)
        spec = {"type": "Internal", "ips": [{"value": "10.0.0.9"}]}
        await desk.change(desk.world.kinds.load_balancer, web, {"spec": spec})
        await desk.rest(1)
    after = target(desk, web)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"]["type"] == "Internal"
    assert reported(desk, web) == ["10.0.0.9"]
    assert [one["uid"] for one in routing(desk, web)["metadata"]["ownerReferences"]] == [after["metadata"]["uid"]]
    assert routing(desk, web)["destinations"] == [{"ip": "10.0.0.1"}]
    assert desk.all(desk.world.at_apinet["ips"]) == []
    [message] = desk.told("Recreating")
    assert "spec.type" in message
    assert "other public addresses" in message


@pytest.mark.parametrize("collects", [True, False], ids=["collected", "nobody collects"])
async def test_lb_13_a_load_balancer_goes_after_both_its_counterparts(generation: Generation, collects: bool) -> None:
    async with desk(generation, collects=collects) as at, at.daemon():
        kinds = at.world.kinds
        await at.declare_network()
        web = await balancer(at)
        await at.rest()
        foreign = {"metadata": {"finalizers": ["partition.example/a"]}}
        await at.change(kinds.apinet_load_balancer, ObjectMeta(namespace=TARGET_NAMESPACE, name=web.uid), foreign)
        await at.delete(kinds.load_balancer, web)
        await at.rest()
        assert at.live(kinds.load_balancer, web)["metadata"]["finalizers"] == [generation.finalizer("LoadBalancer")]
        assert target(at, web)["metadata"]["deletionTimestamp"]
        none: dict[str, Any] = {"metadata": {"finalizers": []}}
        await at.change(kinds.apinet_load_balancer, ObjectMeta(namespace=TARGET_NAMESPACE, name=web.uid), none)
        with anyio.fail_after(1):
            while at.find(kinds.load_balancer, web.key) is not None:
                await anyio.lowlevel.checkpoint()
        for kind in (kinds.apinet_load_balancer, kinds.apinet_load_balancer_routing):
            assert at.all(kind) == []
        assert at.all(at.world.at_apinet["ips"]) == []


async def dangling(at: Desk, meta: ObjectMeta = NOBODY, *, name: str = "left-over") -> None:
    """A pair in the api-net cluster made for a load balancer that does not exist."""
    kinds, origin = at.world.kinds, at.origin("LoadBalancer", meta)
    selector = {"matchLabels": origin["labels"]}
    spec = {"type": "Internal", "networkRef": {"name": "n"}, "selector": selector, "template": {"metadata": origin}}
    await at.create(kinds.apinet_load_balancer, name, metadata=origin, spec=spec)
    await at.create(kinds.apinet_load_balancer_routing, name, metadata=origin)


async def test_lb_14_a_counterpart_of_no_load_balancer_goes_together_with_its_routing(desk: Desk) -> None:
    await dangling(desk)
    async with desk.daemon():
        await dangling(desk, name="left-over-too")
        await desk.rest()
    assert desk.all(desk.world.kinds.apinet_load_balancer) == []
    assert desk.all(desk.world.kinds.apinet_load_balancer_routing) == []


async def test_lb_15_a_load_balancer_managed_by_somebody_else_is_never_written(desk: Desk) -> None:
    kinds = desk.world.kinds
    async with desk.daemon():
        await desk.declare_network()
        await desk.rest()
        before = desk.world.writes
        annotations = {desk.generation.managed_by_annotation: ""}
        web = await balancer(desk, metadata={"annotations": annotations}, type="Internal", ips=[EPHEMERAL])
        await routed(desk, "web", to("10.0.0.1"))
        await prefix(desk, "web-0", "10.0.0.1/32", owner=web, phase="Allocated")
        await dangling(desk, web, name="of-somebody-else")
        await desk.rest()
        assert desk.world.writes == before
        assert len(desk.all(kinds.apinet_load_balancer)) == 1


async def test_lb_16_the_same_destinations_in_another_order_cost_nothing(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk)
        whose = partial(to, scheme=desk.generation.scheme.value)
        destinations = [
            whose("10.0.0.2", "b"),
            to("10.0.0.10"),
            to("2001:db8::1"),
            whose("10.0.0.1", "a"),
            whose("10.0.0.2", "c"),
        ]
        made = await routed(desk, "web", *destinations)
        await desk.rest()
        assert [one["ip"] for one in routing(desk, web)["destinations"]] == [
            "10.0.0.1",
            "10.0.0.2",
            "10.0.0.2",
            "10.0.0.10",
            "2001:db8::1",
        ]
        before = desk.world.writes
        for changed in (destinations[::-1], destinations + destinations[:2]):
            await desk.change(desk.world.kinds.load_balancer_routing, made, {"destinations": changed})
            await desk.rest(1)
        assert desk.world.writes == before


async def test_lb_17_a_load_balancer_waits_for_an_address_that_becomes_free(generation: Generation) -> None:
    async with desk(generation, prefixes=("198.18.0.0/30",)) as at, at.daemon() as daemon:
        await at.declare_network()
        served = [await balancer(at, f"web-{number}") for number in range(4)]
        await at.rest()
        late = await balancer(at, "late")
        await at.rest()
        assert reported(at, late) is None
        assert at.told("ApplyFailed")
        assert daemon.probes.report("readyz").results["work"].startswith("LoadBalancer: ")
        await at.delete(at.world.kinds.load_balancer, served[0])
        await at.rest()
        assert daemon.probes.report("readyz").is_well
        assert reported(at, late) == list(given(at, late).values())


# -- what upstream does otherwise --------------------------------------------------------------------------------------


async def test_a_selector_of_a_former_daemon_stays_and_no_address_is_lost(desk: Desk) -> None:
    kinds, generation = desk.world.kinds, desk.generation
    await desk.declare_network()
    web = await balancer(desk)
    labels = {
        f"{generation.origins}/loadbalancer-{part}": value
        for part, value in (("name", web.name), ("namespace", web.namespace), ("uid", web.uid))
    }
    spec = {
        "type": "Public",
        "networkRef": {"name": desk.all(kinds.network)[0]["metadata"]["uid"]},
        "ips": [{"name": "ipv4", "ipFamily": "IPv4"}],
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}},
    }
    body = {
        "apiVersion": kinds.apinet_load_balancer.api_version,
        "kind": "LoadBalancer",
        "metadata": {"namespace": TARGET_NAMESPACE, "name": web.uid, "labels": labels},
        "spec": spec,
    }
    go_daemon = desk.world.apinet.client(field_manager=generation.field_manager)
    await go_daemon.apply(kinds.apinet_load_balancer, body)
    before = target(desk, web)
    async with desk.daemon():
        await desk.rest()
    after = target(desk, web)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["ips"] == before["spec"]["ips"]
    assert after["spec"]["template"]["metadata"]["labels"] == labels
    assert after["metadata"]["labels"] == desk.origin("LoadBalancer", web)["labels"]
    assert after["spec"]["selector"] == {"matchLabels": labels}
    assert reported(desk, web) == [given(desk, web)["ipv4"]]
    assert not desk.told("Recreating")
    assert not desk.told("ApplyFailed")


async def test_a_selector_of_nobody_makes_the_counterpart_anew(desk: Desk) -> None:
    kinds = desk.world.kinds
    network = await desk.declare_network()
    web = await balancer(desk)
    spec = {
        "type": "Public",
        "networkRef": {"name": network.uid},
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}},
    }
    await desk.create(kinds.apinet_load_balancer, web.uid, metadata=desk.origin("LoadBalancer", web), spec=spec)
    async with desk.daemon():
        await desk.rest()
    assert target(desk, web)["spec"]["selector"] == {"matchLabels": desk.origin("LoadBalancer", web)["labels"]}
    assert "spec.selector" in desk.told("Recreating")[0]


@pytest.mark.parametrize("manager", ["ours", "somebody else"])
async def test_a_routing_has_one_owner_whoever_named_another(desk: Desk, manager: str) -> None:
    kinds = desk.world.kinds
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk)
        await desk.rest()
    owner = {
        "apiVersion": kinds.load_balancer.api_version,
        "kind": "LoadBalancer",
        "name": web.name,
        "uid": web.uid,
        "controller": True,
    }
    who = desk.generation.field_manager if manager == "ours" else "somebody"
    body = {
        "apiVersion": kinds.apinet_load_balancer_routing.api_version,
        "kind": "LoadBalancerRouting",
        "metadata": {
            "namespace": TARGET_NAMESPACE,
            "name": web.uid,
            **desk.origin("LoadBalancer", web),
            "ownerReferences": [owner],
        },
    }
    client = desk.world.apinet.client(field_manager=who)
    if manager == "ours":
        await client.apply(kinds.apinet_load_balancer_routing, body)
    else:
        patch = {"metadata": {"ownerReferences": [owner]}}
        await desk.change(
            kinds.apinet_load_balancer_routing, ObjectMeta(namespace=TARGET_NAMESPACE, name=web.uid), patch
        )
    async with desk.daemon():
        await desk.rest()
        uids = [one["uid"] for one in routing(desk, web)["metadata"]["ownerReferences"]]
        assert uids == [target(desk, web)["metadata"]["uid"]]


@pytest.mark.parametrize("plural", ["loadbalancers", "loadbalancerroutings"])
@pytest.mark.parametrize("how", ["edited", "stripped", "deleted"])
async def test_what_somebody_does_to_a_counterpart_is_repaired(desk: Desk, plural: str, how: str) -> None:
    kind = desk.world.at_apinet[plural]
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk, ports=[{"port": 80}])
        await routed(desk, "web", to("10.0.0.1"))
        await desk.rest()
        there = ObjectMeta(namespace=TARGET_NAMESPACE, name=web.uid)
        match how:
            case "edited":
                patch = (
                    {"spec": {"ports": None}} if plural == "loadbalancers" else {"destinations": [{"ip": "6.6.6.6"}]}
                )
                await desk.change(kind, there, patch)
            case "stripped":
                await desk.change(kind, there, {"metadata": {"labels": None, "annotations": None}})
            case _:
                await desk.delete(kind, there)
        await desk.rest(1)
    assert target(desk, web)["spec"]["ports"] == [{"port": 80}]
    assert target(desk, web)["metadata"]["labels"] == desk.origin("LoadBalancer", web)["labels"]
    assert routing(desk, web)["destinations"] == [{"ip": "10.0.0.1"}]
    assert routing(desk, web)["metadata"]["labels"] == desk.origin("LoadBalancer", web)["labels"]
    assert reported(desk, web) == [given(desk, web)["ipv4"]]


async def test_ports_and_destinations_that_somebody_adds_where_there_are_none_are_taken_away(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk)
        await desk.rest()
        there = ObjectMeta(namespace=TARGET_NAMESPACE, name=web.uid)
        await desk.change(desk.world.at_apinet["loadbalancers"], there, {"spec": {"ports": [{"port": 6666}]}})
        routings = desk.world.at_apinet["loadbalancerroutings"]
        await desk.change(routings, there, {"destinations": [{"ip": "6.6.6.6"}]})
        await desk.rest(1)
    assert not target(desk, web)["spec"].get("ports")
    assert not routing(desk, web).get("destinations")


NOWHERE = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["none"]}]}]}
SURPLUS: list[dict[str, Any]] = [
    {"ips": [{"name": "a", "ipFamily": "IPv4"}, {"name": "b", "ipFamily": "IPv6"}]},
    {"ports": [{"port": 8}]},
    {"template": {"metadata": {"labels": {"a/b": "c"}, "annotations": {"a": "b"}}}},
    {"template": {"spec": {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone"}]}}},
    {"template": {"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": NOWHERE}}}}},
]


@pytest.mark.parametrize("parts", SURPLUS, ids=["entries", "ports", "marks", "constraints", "affinity"])
async def test_what_somebody_puts_beside_our_fields_is_taken_away_and_our_address_stays(
    desk: Desk, parts: dict[str, Any]
) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk)
        await desk.rest()
        before, kind = target(desk, web)["spec"], desk.world.kinds.apinet_load_balancer
        head = {"apiVersion": kind.api_version, "kind": "LoadBalancer"}
        body = {**head, "metadata": {"name": web.uid, "namespace": TARGET_NAMESPACE}, "spec": parts}
        writes = desk.world.writes
        await desk.world.apinet.client(field_manager="stranger").apply(kind, body)
        await desk.rest()
        assert target(desk, web)["spec"] == before
        assert desk.world.writes - writes <= 3, "one takes it away; its addresses may have been reported before"
        assert reported(desk, web) == [given(desk, web)["ipv4"]]
        assert [one["spec"]["ip"] for one in desk.all(desk.world.at_apinet["ips"])] == reported(desk, web)


async def test_a_load_balancer_made_anew_while_nobody_looked_loses_its_old_counterparts(desk: Desk) -> None:
    kinds = desk.world.kinds
    async with desk.daemon():
        await desk.declare_network()
        old = await balancer(desk)
        await desk.rest()
    await desk.delete_by_force(kinds.load_balancer, old)
    new = await balancer(desk)
    async with desk.daemon():
        await desk.rest()
    for kind in (kinds.apinet_load_balancer, kinds.apinet_load_balancer_routing):
        assert [one["metadata"]["name"] for one in desk.all(kind)] == [new.uid]
    assert reported(desk, new) == list(given(desk, new).values())


async def test_a_network_made_anew_makes_its_load_balancers_anew(desk: Desk) -> None:
    async with desk.daemon():
        old = await desk.declare_network()
        web = await balancer(desk)
        await desk.rest()
        await desk.delete(desk.world.kinds.network, old)
        await desk.rest(5)
        assert target(desk, web)["spec"]["networkRef"] == {"name": old.uid}
        new = await desk.declare_network()
        await desk.rest(5)
    assert target(desk, web)["spec"]["networkRef"] == {"name": new.uid}
    assert reported(desk, web) == [given(desk, web)["ipv4"]]


async def test_a_network_of_somebody_else_is_the_one_that_its_provider_id_names(desk: Desk) -> None:
    async with desk.daemon():
        network = await desk.declare_network(annotations={desk.generation.managed_by_annotation: "broker"})
        web = await balancer(desk)
        await desk.rest(1)
        provider_id = f"{desk.generation.scheme.value}://{TARGET_NAMESPACE}/theirs/4711/some-uid"
        await desk.change(desk.world.kinds.network, network, {"spec": {"providerID": provider_id}})
        await desk.rest()
    assert target(desk, web)["spec"]["networkRef"] == {"name": "theirs"}


async def test_the_watch_filter_decides_who_is_mapped_and_never_hangs_a_deletion(desk: Desk) -> None:
    kinds, label = desk.world.kinds, desk.generation.watch_filter_label
    async with desk.daemon(watch_filter="mine"):
        await desk.declare_network(labels={label: "mine"})
        web = await balancer(desk)
        await routed(desk, "web", to("10.0.0.1"))
        await desk.rest()
        assert desk.all(kinds.apinet_load_balancer) == []
        await desk.change(kinds.load_balancer, web, {"metadata": {"labels": {label: "mine"}}})
        await desk.rest(1)
        before = target(desk, web)
        await desk.change(kinds.load_balancer, web, {"metadata": {"labels": None}, "spec": {"ports": [{"port": 1}]}})
        await desk.rest()
        assert target(desk, web) == before
        await desk.delete(kinds.load_balancer, web)
        await desk.rest(1)
    assert desk.all(kinds.load_balancer) == desk.all(kinds.apinet_load_balancer) == []


# -- what it costs -----------------------------------------------------------------------------------------------------


async def test_a_new_load_balancer_costs_four_writes_each_later_input_one_and_its_deletion_three(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        await desk.rest()
        before = desk.world.writes
        web = await balancer(desk)
        await desk.rest()
        assert desk.world.writes - before == 4
        await routed(desk, "web", to("10.0.0.1"))
        await desk.rest()
        assert desk.world.writes - before == 5
        await desk.delete(desk.world.kinds.load_balancer, web)
        await desk.rest()
        assert desk.world.writes - before <= 8
        assert desk.all(desk.world.kinds.load_balancer) == []


async def test_looking_again_and_a_restart_write_nothing_and_read_no_object(desk: Desk) -> None:
    async with desk.daemon() as daemon:
        await desk.declare_network()
        await balancer(desk, ipFamilies=["IPv4", "IPv6"], ports=[{"port": 80}])
        await routed(desk, "web", to("10.0.0.2", "a"), to("10.0.0.1"))
        await balancer(desk, "inner", type="Internal", ips=[{"value": "10.0.0.7"}])
        await desk.rest()
        await desk.quiet(daemon, "loadbalancer")
    await desk.quiet_after_a_restart()


async def test_a_user_keeps_everything_but_our_finalizer_and_the_status(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk, metadata={"labels": {"mine": "1"}, "annotations": {"note": "kept"}})
        before = desk.live(desk.world.kinds.load_balancer, web)
        await desk.rest()
    after = desk.live(desk.world.kinds.load_balancer, web)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["finalizers"] == [desk.generation.finalizer("LoadBalancer")]
    assert {**after["metadata"], "finalizers": 0, "resourceVersion": 0, "managedFields": 0} == {
        **before["metadata"],
        "finalizers": 0,
        "resourceVersion": 0,
        "managedFields": 0,
    }


async def test_an_outage_of_the_api_net_cluster_leaves_the_status_alone_and_is_got_over(desk: Desk) -> None:
    async with desk.daemon():
        await desk.declare_network()
        web = await balancer(desk)
        await desk.rest()
        before = reported(desk, web)
        desk.to_apinet.plan = FaultPlan((Rule(Status(503), verbs=WRITES),))
        await desk.change(desk.world.kinds.load_balancer, web, {"spec": {"ports": [{"port": 443}]}})
        await desk.rest()
        assert reported(desk, web) == before
        desk.to_apinet.heal()
        await desk.rest()
    assert target(desk, web)["spec"]["ports"] == [{"port": 443}]
    assert reported(desk, web) == before


async def test_a_change_of_a_network_reaches_only_those_that_name_it_and_only_if_it_is_another(desk: Desk) -> None:
    async with desk.daemon() as daemon:
        blue = await desk.declare_network()
        await desk.declare_network("green")
        web = await balancer(desk)
        other = await balancer(desk, "other", networkRef={"name": "green"})
        await desk.rest()
        before = [last_pass(daemon, one) for one in (web, other)]
        await desk.change(desk.world.kinds.network, blue, {"metadata": {"labels": {"a": "b"}}})
        await desk.rest()
        assert [last_pass(daemon, one) for one in (web, other)] == before
        await desk.delete(desk.world.kinds.network, blue)
        await desk.rest()
        assert last_pass(daemon, web) != before[0]
        assert last_pass(daemon, other) == before[1]


def last_pass(daemon: Manager, meta: ObjectMeta) -> str:
    """Which look at a load balancer was the last one."""
    return daemon.why("loadbalancer", f"source/{meta.key}").passes[-1].id
