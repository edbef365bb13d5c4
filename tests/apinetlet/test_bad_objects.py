"""Objects that no valid API server would have: each is told by object and field and waits, and all others go on.

The source cluster of these tests validates nothing, as an old one or one of plain definitions might.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import pytest

from apinetlet.api import GENERATIONS, IRONCORE, ONMETAL, Generation, Kinds
from apinetlet.assembly import assemble
from apinetlet.demo import apinet
from apinetlet.demo.definitions import source_kinds
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE
from apinetlet.settings import Settings
from reconcile import Client, Manager, ManagerSettings, ObjectMeta, Resource
from reconcile.kube.kinds import EVENT, NAMESPACE
from reconcile.testing.apiserver import ApiServer, Hooks, Kind
from reconcile.testing.apiserver.schema import open_schema
from tests.scenarios.desk import HOME, Desk, desk
from tests.scenarios.people import Both

BOTH = pytest.mark.parametrize("generation", list(GENERATIONS.values()), ids=list(GENERATIONS))
BLUE = {"networkRef": {"name": "blue"}}
PUBLIC = {"type": "Public", "ipFamilies": ["IPv4"], **BLUE}
ADDRESS = {"type": "Public", "ipFamily": "IPv4"}
GATEWAY = {**ADDRESS, **BLUE}


def _any_name(_name: str, _prefix: bool) -> list[str]:
    return []


def careless(kind: Kind) -> Kind:
    """The same kind without any rule: whatever is written is stored."""
    strategy = attrs.evolve(kind.strategy, name_rule=_any_name)
    return attrs.evolve(kind, schema=open_schema(), strategy=strategy, hooks=Hooks())


@asynccontextmanager
async def careless_desk(generation: Generation) -> AsyncIterator[Desk]:
    async with desk(generation) as at:
        server = ApiServer([careless(kind) for kind in source_kinds(generation)], rng=at.world.source.rng)
        async with server:
            at.world.source = server
            at.__attrs_post_init__()
            yield at


def about(at: Desk, kind: str, name: str) -> list[tuple[str, str]]:
    """Reasons and messages of the Events about one object."""
    return [
        (str(one["reason"]), str(one["message"]))
        for one in at.world.source.objects(EVENT)
        if (one["involvedObject"]["kind"], one["involvedObject"]["name"]) == (kind, name)
    ]


BALANCERS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "NetworkNotFound", "spec.networkRef.name"),
    ({**PUBLIC, "networkRef": None}, "NetworkNotFound", "spec.networkRef.name"),
    ({**PUBLIC, "networkRef": {"name": "nowhere"}}, "NetworkNotFound", "spec.networkRef.name"),
    (BLUE, "UnknownType", "spec.type"),
    ({**PUBLIC, "type": "Private"}, "UnknownType", "spec.type"),
    ({**PUBLIC, "ipFamilies": None}, "InvalidSpec", "spec.ipFamilies"),
    ({**PUBLIC, "ipFamilies": ["IPv4", "IPv5"]}, "InvalidSpec", "spec.ipFamilies[1]"),
    ({**PUBLIC, "ipFamilies": ["IPv4", "IPv4"]}, "InvalidSpec", "spec.ipFamilies[1]"),
    ({**PUBLIC, "ports": [{"protocol": "TCP"}]}, "InvalidSpec", "spec.ports[0].port"),
    ({**PUBLIC, "type": "Internal", "ips": [{"value": "here"}]}, "InvalidSpec", "spec.ips[0].value"),
    ({**PUBLIC, "type": "Internal", "ips": [{}]}, "InvalidSpec", "spec.ips[0]"),
    ({**PUBLIC, "ports": "all of them"}, "Unreadable", "spec.ports"),
    ({**PUBLIC, "ports": [{"port": "http"}]}, "Unreadable", "spec.ports[0].port"),
    ({**PUBLIC, "ipFamilies": {"first": "IPv4"}}, "Unreadable", "spec.ipFamilies"),
]
GATEWAYS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "NetworkNotFound", "spec.networkRef.name"),
    (BLUE, "InvalidSpec", "spec.ipFamily"),
    ({**GATEWAY, "type": "Private"}, "UnknownType", "spec.type"),
    ({**GATEWAY, "ipFamily": "IPv5"}, "InvalidSpec", "spec.ipFamily"),
    ({**GATEWAY, "portsPerNetworkInterface": 0}, "InvalidPorts", "spec.portsPerNetworkInterface"),
    ({**GATEWAY, "portsPerNetworkInterface": -64}, "InvalidPorts", "spec.portsPerNetworkInterface"),
    ({**GATEWAY, "portsPerNetworkInterface": "many"}, "Unreadable", "spec.portsPerNetworkInterface"),
    ({**GATEWAY, "ipFamily": ["IPv4"]}, "Unreadable", "spec.ipFamily"),
]
ADDRESSES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "InvalidSpec", "spec.ipFamily"),
    ({**ADDRESS, "ipFamily": "IPv5"}, "InvalidSpec", "spec.ipFamily"),
    ({**ADDRESS, "type": "Private"}, "UnknownType", "spec.type"),
    ({**ADDRESS, "ipFamily": ["IPv4"]}, "Unreadable", "spec.ipFamily"),
    ({**ADDRESS, "targetRef": "mine"}, "Unreadable", "spec.targetRef"),
]
TABLES = [
    *(("LoadBalancer", *row) for row in BALANCERS),
    *(("NATGateway", *row) for row in GATEWAYS),
    *(("VirtualIP", *row) for row in ADDRESSES),
]
COUNTERPARTS = {"LoadBalancer": "loadbalancers", "NATGateway": "natgateways", "VirtualIP": "ips"}


@pytest.mark.parametrize(("kind", "spec", "reason", "field"), TABLES)
async def test_what_is_wrong_is_told_by_object_and_field_and_waits_for_a_change(
    kind: str, spec: dict[str, Any], reason: str, field: str
) -> None:
    good: Any = {"LoadBalancer": PUBLIC, "NATGateway": GATEWAY, "VirtualIP": ADDRESS}[kind]
    async with careless_desk(ONMETAL) as at, at.daemon() as daemon:
        resource, target = at.world.at_source[f"{kind.lower()}s"], at.world.at_apinet[COUNTERPARTS[kind]]
        await at.declare_network()
        bad = await at.create(resource, "bad", spec=spec)
        fine = await at.create(resource, "fine", spec=good)
        await at.rest()
        assert mapped(at, target) == {fine.uid}
        told = about(at, kind, "bad")
        assert [one for one, _ in told] == [reason]
        assert field in told[0][1]
        assert about(at, kind, "fine") == []
        snapshot = daemon.controller(kind.lower()).snapshot()
        assert not snapshot.failing  # it waits; nothing is tried again
        await at.change(resource, bad, {"spec": {**dict.fromkeys(spec), **good}})
        await at.rest(5)
        assert mapped(at, target) == {bad.uid, fine.uid}
        await at.change(resource, bad, {"spec": {**dict.fromkeys(good), **spec}})
        await at.rest(5)
        assert mapped(at, target) == {bad.uid, fine.uid}  # what is there stays
        if reason != "Unreadable":
            await at.delete(resource, bad)
            await at.rest(5)
            assert mapped(at, target) == {fine.uid}


def mapped(at: Desk, target: Resource[Any]) -> set[str]:
    """The uids of the sources that have a counterpart."""
    return {one["metadata"]["name"] for one in at.all(target)}


async def test_a_prefix_that_is_none_is_told_and_left_out_and_the_interface_has_all_the_rest() -> None:
    async with careless_desk(ONMETAL) as at, at.daemon() as daemon:
        kinds, both = at.world.kinds, Both.of(at)
        found = await both.create_interface()
        nic = await both.create_nic(on=found, spec={"prefixes": [{"value": "10.1.0.0/24"}, {"value": "here"}, {}]})
        owner = {"apiVersion": kinds.network_interface.api_version, "kind": "NetworkInterface", "name": "nic"}
        owners = {"ownerReferences": [{**owner, "uid": nic.metadata.uid, "controller": True}]}
        await at.create(
            kinds.prefix, "nic-pf-2", metadata=owners, spec={"prefix": "10.2.0.0"}, status={"phase": "Allocated"}
        )
        await both.program("machine-0", "Ready")
        await at.rest()
        assert both.interface().spec.prefixes == ("10.1.0.0/24",)
        assert both.nic().status.state == "Available"
        assert at.told("InvalidPrefix") == [
            "spec.prefixes[1].value is 'here', no prefix",
            "spec.prefixes[2], of Prefix nic-pf-2, is '10.2.0.0', no prefix",
        ]
        assert not daemon.controller("networkinterface").snapshot().failing
        await both.change(kinds.network_interface, "nic", spec={"prefixes": [{"value": "10.3.0.1/24"}]})
        await at.rest(5)
        assert both.interface().spec.prefixes == ("10.3.0.1/24",)


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("networks", {"providerID": 5}, "spec.providerID"),
        ("networkinterfaces", {"providerID": ["x"]}, "spec.providerID"),
        ("networkinterfaces", {"prefixes": "all"}, "spec.prefixes"),
        ("networkinterfaces", {"virtualIP": {"virtualIPRef": "public"}}, "spec.virtualIP.virtualIPRef"),
    ],
)
async def test_an_object_that_cannot_be_read_is_told_by_field_and_mapped_once_it_can(
    kind: str, spec: dict[str, Any], field: str
) -> None:
    async with careless_desk(ONMETAL) as at, at.daemon() as daemon:
        resource = at.world.at_source[kind]
        bad = await at.create(resource, "bad", spec=spec)
        fine = await at.create(resource, "fine", spec={})
        await at.rest()
        [(reason, message)] = about(at, resource.kind, "bad")
        assert (reason, field in message) == ("Unreadable", True)
        assert not daemon.controller(resource.kind.lower()).snapshot().failing
        states = {one.name: at.live(resource, one).get("status", {}).get("state") for one in (bad, fine)}
        assert states == {"bad": None, "fine": "Available" if kind == "networks" else "Pending"}
        await at.change(resource, bad, {"spec": dict.fromkeys(spec)})
        await at.rest(5)
        assert at.live(resource, bad)["status"]["state"] == states["fine"]


@BOTH
async def test_an_object_that_others_need_and_that_cannot_be_read_stops_only_those(generation: Generation) -> None:
    async with careless_desk(generation) as at, at.daemon():
        kinds = at.world.kinds
        await at.declare_network()
        routings = at.world.at_source["loadbalancerroutings"]
        await at.create(routings, "web", destinations="everywhere")
        web = await at.create(kinds.load_balancer, "web", spec=PUBLIC)
        other = await at.create(kinds.load_balancer, "other", spec=PUBLIC)
        await at.rest()
        assert [one["metadata"]["name"] for one in at.all(kinds.apinet_load_balancer)] == [other.uid]
        [(reason, message)] = about(at, "LoadBalancer", "web")
        assert reason == "Unreadable"
        assert f"loadbalancerroutings.{generation.networking} default/web" in message
        assert "destinations" in message
        await at.change(routings, web, {"destinations": [{"ip": "10.0.0.1"}, {"ip": "nowhere"}]})
        await at.rest(5)
        assert at.made_for(kinds.apinet_load_balancer_routing, web)["destinations"] == [{"ip": "10.0.0.1"}]
        assert "destinations[1].ip is 'nowhere'" in at.told("InvalidDestination")[0]


@pytest.mark.parametrize("name", ["x" * 80, "with_underscore_", "ends-with-"])
@pytest.mark.parametrize("kind", ["Network", "LoadBalancer", "NATGateway", "VirtualIP"])
async def test_a_name_that_no_label_can_hold_is_told_where_names_are_labels(kind: str, name: str) -> None:
    specs = {"LoadBalancer": PUBLIC, "NATGateway": GATEWAY, "VirtualIP": {"type": "Public", "ipFamily": "IPv4"}}
    for generation in (ONMETAL, IRONCORE):
        async with careless_desk(generation) as at, at.daemon():
            await at.declare_network()
            plural = {"VirtualIP": ("virtualips", "ips")}.get(kind, (f"{kind.lower()}s",) * 2)
            made = await at.create(at.world.at_source[plural[0]], name, spec=specs.get(kind, {}))
            await at.rest()
            mapped = made.uid in {one["metadata"]["name"] for one in at.all(at.world.at_apinet[plural[1]])}
            reasons = [reason for reason, _ in about(at, kind, name)]
            assert (mapped, reasons) == ((False, ["NameNotMappable"]) if generation is ONMETAL else (True, []))


# -- what is written on the other side ---------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("missing", ["namespace", "name", "uid"])
async def test_a_counterpart_with_half_an_origin_is_never_touched(generation: Generation, missing: str) -> None:
    async with desk(generation) as at:
        kinds = at.world.kinds
        meta = ObjectMeta(namespace=HOME, name="nobody", uid="no-such-uid")
        for kind, resource, spec in (
            ("LoadBalancer", kinds.apinet_load_balancer_routing, None),
            ("NATGateway", kinds.apinet_nat_gateway, {"ipFamily": "IPv4", "networkRef": {"name": "n"}}),
            ("NATGateway", kinds.apinet_nat_gateway_autoscaler, {}),
        ):
            half = {
                where: {key: value for key, value in values.items() if not key.endswith(f"-{missing}")}
                for where, values in at.origin(kind, meta).items()
            }
            parts: dict[str, Any] = {} if spec is None else {"spec": spec}
            await at.create(resource, "half", metadata=half, **parts)
        before = at.everything()
        async with at.daemon():
            await at.rest()
        assert at.everything() == before


@BOTH
async def test_a_forged_origin_outside_the_watched_namespace_is_never_touched(generation: Generation) -> None:
    async with desk(generation) as at:
        meta = ObjectMeta(namespace="elsewhere", name="nobody", uid="no-such-uid")
        spec = {"ipFamily": "IPv4", "networkRef": {"name": "n"}, "portsPerNetworkInterface": 64}
        kinds, metadata = at.world.kinds, at.origin("NATGateway", meta)
        await at.create(kinds.apinet_nat_gateway, "forged", metadata=metadata, spec=spec)
        async with at.daemon(namespace=HOME):
            await at.rest()
            assert len(at.all(kinds.apinet_nat_gateway)) == 1
        async with at.daemon():
            await at.rest()
            assert at.all(kinds.apinet_nat_gateway) == []  # watched, and nobody is there


# -- servers that lack something ---------------------------------------------------------------------------------------


@asynccontextmanager
async def servers(
    generation: Generation, *, without: str = "", side: str = "", one: bool = False
) -> AsyncIterator[tuple[ApiServer, ApiServer]]:
    """Both servers, one of them without a kind; or ``one`` that is both."""

    def served(kinds: tuple[Kind, ...], which: str) -> list[Kind]:
        return [kind for kind in kinds if side != which or kind.resource.plural != without]

    here, there = served(source_kinds(generation), "source"), served(apinet.kinds(generation), "apinet")
    async with ApiServer([*here, *there] if one else here) as source, ApiServer(there) as other:
        target = source if one else other
        await target.client().create(NAMESPACE, {"metadata": {"name": TARGET_NAMESPACE}})
        yield source, target


def daemon_of(generation: Generation, source: ApiServer, target: ApiServer, **settings: Any) -> Manager:
    clients = [one.client(field_manager=generation.field_manager, user_agent=DAEMON) for one in (source, target)]
    metrics = ManagerSettings(preflight="off")
    return assemble(Settings(api_net_namespace=TARGET_NAMESPACE, **settings), generation, *clients, manager=metrics)


async def declare(client: Client, kind: Resource[Any], name: str, spec: Any = None) -> ObjectMeta:
    body: dict[str, Any] = {"metadata": {"name": name}, "spec": {} if spec is None else spec}
    found: ObjectMeta = (await client.create(kind, body, namespace=HOME)).metadata
    return found


@BOTH
async def test_one_cluster_on_both_sides_is_as_good_as_two(generation: Generation) -> None:
    kinds = Kinds.of(generation)
    async with servers(generation, one=True) as (both, _), daemon_of(generation, both, both) as daemon:
        await declare(both.client(), kinds.network, "blue")
        balancer = await declare(both.client(), kinds.load_balancer, "web", PUBLIC)
        await declare(both.client(), kinds.nat_gateway, "out", GATEWAY)
        await declare(both.client(), kinds.virtual_ip, "public", ADDRESS)
        people = Both(generation, kinds, both, both, both.client(), both.client())
        await people.create_nic(on=await people.create_interface(), vip="public")
        await people.program("machine-0", "Ready")
        await rest()
        assert (people.nic().status.state, people.public()) == ("Available", [people.vip().status.ip])
        assert [one.metadata.name for one in both.objects(kinds.apinet_load_balancer)] == [balancer.uid]
        assert len(both.objects(kinds.apinet_nat_gateway)) == 1
        writes = len(both.writes())
        for controller in daemon.controllers:
            controller.enqueue_all()
        await rest()
        assert len(both.writes()) == writes
        await people.delete(kinds.virtual_ip, "public")
        await rest()
        assert (people.vips, people.public()) == ([], [])
        await both.client().delete(kinds.load_balancer, balancer.key)
        await rest()
        assert both.objects(kinds.load_balancer) == []


@BOTH
@pytest.mark.parametrize(
    ("side", "without"), [("source", "natgateways"), ("apinet", "natgatewayautoscalers"), ("source", "prefixes")]
)
async def test_a_kind_that_a_server_lacks_stops_only_what_needs_it(
    generation: Generation, side: str, without: str
) -> None:
    kinds = Kinds.of(generation)
    async with servers(generation, without=without, side=side) as (source, target):
        stays = without == "natgateways"
        if stays:  # what a daemon left that had the kind
            meta = ObjectMeta(namespace=HOME, name="out", uid="some-uid")
            spec = {"ipFamily": "IPv4", "networkRef": {"name": "n"}, "portsPerNetworkInterface": 64}
            labels = {
                f"{generation.origins}/natgateway-{part}": getattr(meta, part) for part in ("namespace", "uid", "name")
            }
            head = {"name": "some-uid", "labels": labels, "annotations": labels}
            await target.client().create(
                kinds.apinet_nat_gateway, {"metadata": head, "spec": spec}, namespace=TARGET_NAMESPACE
            )
        async with daemon_of(generation, source, target) as daemon:
            await declare(source.client(), kinds.network, "blue")
            vip = await declare(source.client(), kinds.virtual_ip, "vip", {"type": "Public", "ipFamily": "IPv4"})
            await rest()
            wrong = daemon.probes.report("readyz").results["kinds"]
            assert f"{side}/{without}." in wrong
            assert "is not served" in wrong
            assert vip.uid in {one.metadata.name for one in target.objects(kinds.apinet_ip)}
            assert len(target.objects(kinds.apinet_nat_gateway)) == int(stays)


@BOTH
async def test_a_missing_namespace_is_told_and_looked_for_and_then_all_goes_on(generation: Generation) -> None:
    kinds = Kinds.of(generation)
    source, target = ApiServer(source_kinds(generation)), ApiServer(apinet.kinds(generation))
    async with source, target, daemon_of(generation, source, target) as daemon:
        await declare(source.client(), kinds.network, "blue")
        await declare(source.client(), kinds.load_balancer, "web", PUBLIC)
        await rest()
        wrong = daemon.probes.report("readyz").results["api-net-namespace"]
        assert f'namespaces "{TARGET_NAMESPACE}" not found' in wrong
        told = [one for one in source.objects(EVENT) if "not found" in str(one["message"])]
        assert {str(one["involvedObject"]["kind"]) for one in told} >= {"LoadBalancer", "Network"}
        tries = [one for one in target.audit if one.verb == "patch"]
        assert len(tries) < 60  # two keys, some minutes
        await target.client().create(NAMESPACE, {"metadata": {"name": TARGET_NAMESPACE}})
        await rest()
        assert len(target.objects(kinds.apinet_load_balancer)) == 1
        assert daemon.probes.report("readyz").is_well


@BOTH
async def test_a_server_without_a_status_to_write_is_told_and_the_key_waits(generation: Generation) -> None:
    kinds = Kinds.of(generation)
    without = [
        attrs.evolve(kind, strategy=attrs.evolve(kind.strategy, subresources={})) for kind in source_kinds(generation)
    ]
    async with ApiServer(without) as source, ApiServer(apinet.kinds(generation)) as target:
        await target.client().create(NAMESPACE, {"metadata": {"name": TARGET_NAMESPACE}})
        async with daemon_of(generation, source, target) as daemon:
            await declare(source.client(), kinds.network, "blue")
            await declare(source.client(), kinds.load_balancer, "web", PUBLIC)
            await rest()
            assert len(target.objects(kinds.apinet_load_balancer)) == 1
            told = [one for one in source.objects(EVENT) if one["reason"] == "StatusNotServed"]
            assert {str(one["involvedObject"]["kind"]) for one in told} == {"LoadBalancer", "Network"}
            assert not daemon.controller("loadbalancer").snapshot().failing


@BOTH
async def test_objects_of_a_megabyte_are_mapped_like_all_others(generation: Generation) -> None:
    async with desk(generation) as at:
        kinds = at.world.kinds
        async with at.daemon():
            await at.declare_network()
            web = await at.create(kinds.load_balancer, "web", spec=PUBLIC)
            name = "a" * 63
            provider_id = f"{generation.scheme.value}://{name}/{name}/{name}.node/uid"
            reference = {"uid": "u", "name": "n", "providerID": provider_id}
            destinations = [{"ip": f"10.0.{at_ // 256}.{at_ % 256}", "targetRef": reference} for at_ in range(3500)]
            await at.create(kinds.load_balancer_routing, "web", networkRef={}, destinations=destinations)
            await at.rest()
        made = at.made_for(kinds.apinet_load_balancer_routing, web)
        assert [one["ip"] for one in made["destinations"]] == [one["ip"] for one in destinations]
        writes = at.world.writes
        async with at.daemon():
            await at.rest()
        assert at.world.writes == writes


async def rest(seconds: float = 200.0) -> None:
    """Let so much virtual time pass."""
    await anyio.sleep(seconds)
