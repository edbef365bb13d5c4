"""Load balancers and NAT gateways as the Go daemon leaves them are taken over: every address, ID and uid stays."""

from typing import Any

import pytest

from apinetlet import assembly
from apinetlet.api import IRONCORE
from apinetlet.demo.world import TARGET_NAMESPACE
from reconcile import ObjectMeta
from tests.scenarios.desk import HOME, Desk
from tests.scenarios.go_daemon import LAYOUTS, GoDaemon, origin

SCALED = ["ipx4k2", "a81mz0"]
"""The entries of a gateway, named by the autoscaler."""


async def balancer(at: Desk, go: GoDaemon, network: ObjectMeta, name: str, **spec: Any) -> ObjectMeta:
    """A mapped load balancer with destinations, in the order in which the source had them."""
    kinds, blue = at.world.kinds, {"networkRef": {"name": "blue"}}
    destinations = [{"ip": "10.0.0.9"}, {"ip": "10.0.0.2"}]
    source = await at.create(kinds.load_balancer, name, spec={"ports": [{"port": 80}], **spec, **blue})
    await at.create(kinds.load_balancer_routing, name, networkRef={"name": "blue"}, destinations=destinations)
    labels = go.origin("LoadBalancer", source)["labels"]
    family = [{"name": "ipv4", "ipFamily": "IPv4"}]
    given = [{"name": "ip-0", "ipFamily": "IPv4", "ip": one["value"]} for one in spec.get("ips", ())]
    term = {"topologyKey": at.generation.zone_label, "labelSelector": {"matchLabels": labels}}
    affinity = {"instanceAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    wanted = {
        "type": spec["type"],
        "networkRef": {"name": network.uid},
        "ips": given or family,
        "ports": [{"port": 80}],
        "selector": {"matchLabels": labels},
        "template": {"metadata": go.origin("LoadBalancer", source), "spec": {"affinity": affinity}},
    }
    target = await go.apply(kinds.apinet_load_balancer, "LoadBalancer", source, spec=wanted, status={})
    owners = [owner(kinds.apinet_load_balancer, target)]
    await go.apply(kinds.apinet_load_balancer_routing, "LoadBalancer", source, owners=owners, destinations=destinations)
    await go.keep(kinds.load_balancer, source.key, status={"ips": [one.ip for one in target.spec.ips]})
    return source


async def gateway(at: Desk, go: GoDaemon, network: ObjectMeta) -> ObjectMeta:
    """A mapped NAT gateway to which the autoscaler gave two addresses."""
    kinds = at.world.kinds
    declared = {"type": "Public", "ipFamily": "IPv4", "networkRef": {"name": "blue"}, "portsPerNetworkInterface": 64}
    source = await at.create(kinds.nat_gateway, "out", spec=declared)
    wanted = {"ipFamily": "IPv4", "networkRef": {"name": network.uid}, "portsPerNetworkInterface": 64}
    target = await go.apply(kinds.apinet_nat_gateway, "NATGateway", source, spec=wanted, status={})
    scale = {"natGatewayRef": {"name": source.uid}, "minPublicIPs": 1, "maxPublicIPs": 10}
    owners = [owner(kinds.apinet_nat_gateway, target)]
    await go.apply(kinds.apinet_nat_gateway_autoscaler, "NATGateway", source, owners=owners, spec=scale, status={})
    there = ObjectMeta(namespace=TARGET_NAMESPACE, name=source.uid)
    await at.change(kinds.apinet_nat_gateway, there, {"spec": {"ips": [{"name": name} for name in SCALED]}})
    ips = at.made_for(kinds.apinet_nat_gateway, source)["spec"]["ips"]
    await go.keep(kinds.nat_gateway, source.key, status={"ips": [one["ip"] for one in ips]})
    return source


def owner(resource: Any, target: Any) -> dict[str, Any]:
    head = {"apiVersion": resource.api_version, "kind": resource.kind, "name": target.metadata.name}
    return {**head, "uid": target.metadata.uid, "controller": True, "blockOwnerDeletion": True}


async def left_by_the_go_daemon(at: Desk, *, former: bool) -> None:
    go = GoDaemon.between(at.world, former=former)
    network = await at.declare_network()
    made = await go.apply(at.world.kinds.apinet_network, "Network", network, spec={}, status={})
    scheme = at.generation.scheme.value
    provider_id = f"{scheme}://{TARGET_NAMESPACE}/{made.metadata.name}/{made.spec.id}/{made.metadata.uid}"
    await go.keep(at.world.kinds.network, network.key, spec={"providerID": provider_id}, status={"state": "Available"})
    await balancer(at, go, network, "web", type="Public", ipFamilies=["IPv4"])
    await balancer(at, go, network, "inner", type="Internal", ipFamilies=["IPv4"], ips=[{"value": "10.0.0.1"}])
    await gateway(at, go, network)


def what_matters(at: Desk) -> dict[str, Any]:
    """Of every object: who it is, what it says to users, and each address and number that was given."""
    found: dict[str, Any] = {}
    for kind in (*at.world.at_source.values(), *at.world.at_apinet.values()):
        for one in at.all(kind):
            head, spec = one["metadata"], one.get("spec", {})
            owners = [each["uid"] for each in head.get("ownerReferences", ())]
            given = [spec.get(part) for part in ("id", "ip", "ips", "providerID", "claimRef", "selector", "networkRef")]
            destinations = sorted(each["ip"] for each in one.get("destinations") or ())
            facts = (head["uid"], head.get("finalizers"), owners, given, one.get("status") or None, destinations)
            found[f"{kind.name} {head.get('namespace', '')}/{head['name']}"] = facts
    return found


@pytest.mark.parametrize(("generation", "former"), LAYOUTS)
async def test_pairs_that_the_go_daemon_left_are_taken_over_as_they_are(desk: Desk, former: bool) -> None:
    await left_by_the_go_daemon(desk, former=former)
    before, kinds, unwritten = what_matters(desk), desk.world.kinds, desk.world.writes
    async with desk.daemon():
        await desk.rest()
    assert what_matters(desk) == before
    assert [one["ip"] for one in desk.all(kinds.apinet_load_balancer_routing)[0]["destinations"]] == [
        "10.0.0.2",
        "10.0.0.9",
    ]
    for kind, targets in (
        (kinds.load_balancer, (kinds.apinet_load_balancer, kinds.apinet_load_balancer_routing)),
        (kinds.nat_gateway, (kinds.apinet_nat_gateway, kinds.apinet_nat_gateway_autoscaler)),
    ):
        for source in desk.all(kind):
            meta = ObjectMeta(**{part: source["metadata"][part] for part in ("namespace", "name", "uid")})
            for target in targets:
                head = desk.made_for(target, meta)["metadata"]
                found = {where: head[where] for where in ("labels", "annotations") if where in head}
                assert found == desk.origin(kind.kind, meta)
    objects = sum(len(desk.all(kind)) for kind in desk.world.at_apinet.values() if kind.plural not in ALLOCATED)
    assert desk.world.writes - unwritten <= objects * (2 if former else 1), "once an object, and once more to move it"
    assert not desk.told()
    writes = desk.world.writes
    async with desk.daemon():
        await desk.rest()
    assert desk.world.writes == writes


ALLOCATED = {"ips", "ipaddresses", "networkids"}
"""Kinds whose objects the server makes by itself."""


@pytest.mark.parametrize(("generation", "former"), LAYOUTS)
async def test_pairs_that_the_go_daemon_left_behind_are_cleaned_up(desk: Desk, former: bool) -> None:
    await left_by_the_go_daemon(desk, former=former)
    kinds = desk.world.kinds
    for kind in (kinds.load_balancer, kinds.nat_gateway, kinds.network):
        for one in desk.all(kind):
            meta = ObjectMeta(namespace=one["metadata"]["namespace"], name=one["metadata"]["name"])
            await desk.delete_by_force(kind, meta)
    async with desk.daemon():
        await desk.rest()
    assert [kind.name for kind in desk.world.at_apinet.values() if desk.all(kind)] == []


@pytest.mark.parametrize(("generation", "former"), LAYOUTS)
async def test_pairs_that_were_taken_over_are_deleted_as_any_other(desk: Desk, former: bool) -> None:
    await left_by_the_go_daemon(desk, former=former)
    kinds = desk.world.kinds
    async with desk.daemon():
        await desk.rest()
        for kind in (kinds.load_balancer, kinds.nat_gateway, kinds.network):
            for one in desk.all(kind):
                await desk.delete(kind, ObjectMeta(namespace="default", name=one["metadata"]["name"]))
        await desk.rest()
    for kind in (kinds.load_balancer, kinds.nat_gateway, kinds.network):
        assert desk.all(kind) == []
    assert [kind.name for kind in desk.world.at_apinet.values() if desk.all(kind)] == []


def lone_parts(origins: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """An object of every kind that is made in the api-net cluster, as far as it has to say something."""
    named, selector = {"networkRef": {"name": "n"}}, {"matchLabels": origins["LoadBalancer"]["labels"]}
    template = {"metadata": origins["LoadBalancer"]}
    return {
        "networks": {"spec": {}},
        "loadbalancers": {"spec": {"type": "Internal", **named, "selector": selector, "template": template}},
        "loadbalancerroutings": {},
        "natgateways": {"spec": {"ipFamily": "IPv4", **named, "portsPerNetworkInterface": 64}},
        "natgatewayautoscalers": {"spec": {"natGatewayRef": {"name": "n"}, "minPublicIPs": 1, "maxPublicIPs": 2}},
        "ips": {"spec": {"type": "Public", "ipFamily": "IPv4"}},
        "networkpolicies": {"spec": {**named, "networkInterfaceSelector": {}, "policyTypes": ["Ingress"]}},
        "networkpolicyrules": {"networkRef": {"name": "n", "uid": "u"}},
    }


@pytest.mark.parametrize("generation", [IRONCORE], ids=["ironcore"])
async def test_of_every_kind_what_lost_its_source_is_cleaned_up_from_the_former_layout_also_alone(desk: Desk) -> None:
    nobody = ObjectMeta(namespace=HOME, name="nobody", uid="no-such-uid")
    made = {resource.plural: (resource, kind) for resource, kind in assembly.targets(desk.world.kinds).items()}
    origins = {kind: origin(IRONCORE, kind, nobody, former=True) for _, kind in made.values()}
    parts = lone_parts(origins)
    assert parts.keys() == made.keys()
    for plural, (resource, kind) in made.items():
        await desk.create(resource, "left-over", metadata=origins[kind], **parts[plural])
    async with desk.daemon():
        await desk.rest()
    assert [kind.name for kind in desk.world.at_apinet.values() if desk.all(kind)] == []
