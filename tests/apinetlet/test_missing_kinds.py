"""Kinds that a server does not serve: an old one, one that is being installed, one from which they were taken away."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from apinetlet.api import IRONCORE, Generation, Kinds
from apinetlet.assembly import assemble
from apinetlet.demo.definitions import crds
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE
from apinetlet.settings import Settings
from provider import ProviderID
from reconcile import Client, Manager, ManagerSettings, ObjectKey, Resource
from reconcile.kube import MergePatch
from reconcile.kube.kinds import CRD, EVENT, NAMESPACE
from reconcile.kube.transport import Transport
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver import Settings as ServerSettings
from reconcile.testing.faults import FaultPlan, FaultyTransport, Rule, Status
from tests.scenarios.desk import HOME

REST = 200.0
LONG = 3600.0


@pytest.fixture
def generation() -> Generation:
    """Nothing of it depends on the generation."""
    return IRONCORE


@asynccontextmanager
async def servers(
    generation: Generation, *, without: Sequence[str] = ()
) -> AsyncIterator[tuple[ApiServer, ApiServer, dict[str, Any]]]:
    """Two servers whose kinds are definitions, and those that are held back, by their names."""
    groups = (generation.networking, generation.ipam), (generation.apinet,)
    held: dict[str, Any] = {}
    lasting = ServerSettings(event_ttl=0)  # how often something was told is counted over hours
    async with ApiServer(settings=lasting) as source, ApiServer(settings=lasting) as target:
        for server, names in zip((source, target), groups, strict=True):
            for definition in (one for name in names for one in crds(generation.name, name)):
                if (name := definition["metadata"]["name"]) in without:
                    held[name] = definition
                else:
                    await server.client().create(CRD, definition)
        await target.client().create(NAMESPACE, {"metadata": {"name": TARGET_NAMESPACE}})
        yield source, target, held


def daemon_of(
    generation: Generation,
    source: ApiServer,
    target: ApiServer,
    *,
    to_source: Transport | None = None,
    to_target: Transport | None = None,
) -> Manager:
    ways = [to_source or source.transport(user_agent=DAEMON), to_target or target.transport(user_agent=DAEMON)]
    clients = [Client(one, field_manager=generation.field_manager) for one in ways]
    settings = Settings(api_net_namespace=TARGET_NAMESPACE)
    return assemble(settings, generation, *clients, manager=ManagerSettings(preflight="off"))


def without_kind(kind: Resource[Any]) -> FaultPlan:
    """An aggregated server that is taken away: its objects stay, and nobody sees them."""
    return FaultPlan((Rule(Status(404), resources=(kind.plural, f"/apis/{kind.group}/{kind.version}")),))


def not_listed(kind: Resource[Any]) -> FaultPlan:
    """It is back, and cannot list yet."""
    return FaultPlan((Rule(Status(503), resources=(kind.plural,)),))


async def declare(source: ApiServer, kind: Resource[Any], name: str, spec: Any, **metadata: Any) -> ObjectKey:
    body = {"metadata": {"name": name, **metadata}, "spec": spec}
    key: ObjectKey = (await source.client().create(kind, body, namespace=HOME)).metadata.key
    return key


def told(source: ApiServer) -> list[tuple[str, str, int]]:
    """Of each wait for a kind: whose it is, for what, and how often it was told."""
    return [
        (str(one["involvedObject"]["name"]), str(one["message"]), int(one.get("count") or 1))
        for one in source.objects(EVENT)
        if one["reason"] == "KindNotServed"
    ]


async def test_a_deletion_does_not_wait_for_a_kind_that_was_never_served(generation: Generation) -> None:
    kinds = Kinds.of(generation)
    lacking = (kinds.apinet_nat_gateway_autoscaler.name, kinds.prefix.name)
    async with servers(generation, without=lacking) as (source, target, _):
        spec = {"type": "Public", "ipFamily": "IPv4", "networkRef": {"name": "blue"}}
        finalizers = [generation.finalizer("NATGateway")]
        out = await declare(source, kinds.nat_gateway, "out", spec, finalizers=finalizers)
        async with daemon_of(generation, source, target) as daemon:
            await anyio.sleep(REST)
            assert [(name, count) for name, _, count in told(source)] == [("out", 1)]
            assert kinds.apinet_nat_gateway_autoscaler.name in told(source)[0][1]
            assert not daemon.probes.report("readyz").is_well
            await source.client().delete(kinds.nat_gateway, out)
            await anyio.sleep(REST)
            assert source.objects(kinds.nat_gateway) == []


async def test_a_deletion_waits_while_the_kind_of_its_counterpart_is_away_and_goes_on_when_it_is_back(
    generation: Generation,
) -> None:
    kinds = Kinds.of(generation)
    async with servers(generation) as (source, target, _):
        blue = await declare(source, kinds.network, "blue", {})
        async with daemon_of(generation, source, target) as daemon:
            await anyio.sleep(REST)
            assert len(target.objects(kinds.apinet_network)) == 1
            name = kinds.apinet_network.name
            [definition] = [one for one in crds(generation.name, generation.apinet) if one["metadata"]["name"] == name]
            await target.client().delete(CRD, ObjectKey("", name))
            await anyio.sleep(REST)
            await source.client().delete(kinds.network, blue)
            await anyio.sleep(LONG)
            [found] = source.objects(kinds.network)
            assert found.metadata.finalizers == (generation.finalizer("Network"),)
            assert told(source) == [("blue", f"waits for kinds that nobody serves: apinet {name}", 1)]
            assert name in daemon.probes.report("readyz").results["kinds"]
            await target.client().create(CRD, definition)
            await anyio.sleep(REST)
            assert source.objects(kinds.network) == []
            assert daemon.probes.report("readyz").is_well


async def test_a_deletion_that_waits_for_a_kind_that_was_taken_away_goes_on_after_a_restart(
    generation: Generation,
) -> None:
    kinds = Kinds.of(generation)
    async with servers(generation) as (source, target, _):
        blue = await declare(source, kinds.network, "blue", {})
        async with daemon_of(generation, source, target):
            await anyio.sleep(REST)
            await target.client().delete(CRD, ObjectKey("", kinds.apinet_network.name))
            await anyio.sleep(REST)
            await source.client().delete(kinds.network, blue)
            await anyio.sleep(REST)
            assert len(source.objects(kinds.network)) == 1
        async with daemon_of(generation, source, target):
            await anyio.sleep(REST)
            assert source.objects(kinds.network) == []


async def test_what_comes_back_with_its_kind_after_its_source_is_gone_is_ended(generation: Generation) -> None:
    kinds = Kinds.of(generation)
    name = kinds.apinet_network.name
    async with servers(generation, without=[name]) as (source, target, held):
        blue = await declare(source, kinds.network, "blue", {}, finalizers=[generation.finalizer("Network")])
        async with daemon_of(generation, source, target):
            await anyio.sleep(REST)
            await source.client().delete(kinds.network, blue)
            await anyio.sleep(REST)
            assert source.objects(kinds.network) == []
            await target.client().create(CRD, held[name])
            prefix = f"{generation.origins}/network"
            labels = {f"{prefix}-namespace": HOME, f"{prefix}-uid": "uid-of-blue", f"{prefix}-name": "blue"}
            head = {"name": "uid-of-blue", "labels": labels, "annotations": labels}
            await target.client().create(kinds.apinet_network, {"metadata": head}, namespace=TARGET_NAMESPACE)
            await anyio.sleep(REST)
            assert target.objects(kinds.apinet_network) == []


async def test_who_waits_for_a_kind_is_told_once_and_mapped_when_it_comes(generation: Generation) -> None:
    kinds = Kinds.of(generation)
    name = kinds.load_balancer_routing.name
    async with servers(generation, without=[name]) as (source, target, held):
        await declare(source, kinds.network, "blue", {})
        spec = {"type": "Internal", "ipFamilies": ["IPv4"], "ips": [{"value": "10.0.0.1"}]}
        web = await declare(source, kinds.load_balancer, "web", {**spec, "networkRef": {"name": "blue"}})
        managed = {generation.managed_by_annotation: "x"}
        await declare(source, kinds.load_balancer, "theirs", spec, annotations=managed)
        async with daemon_of(generation, source, target):
            await anyio.sleep(LONG)
            assert told(source) == [("web", f"waits for kinds that nobody serves: source {name}", 1)]
            assert target.objects(kinds.apinet_load_balancer) == []
            await source.client().create(CRD, held[name])
            await anyio.sleep(REST)
            assert len(target.objects(kinds.apinet_load_balancer)) == 1
            await source.client().patch(kinds.load_balancer, web, MergePatch({"metadata": {"labels": {"a": "b"}}}))
            await anyio.sleep(REST)
            assert len(told(source)) == 1


async def test_only_those_who_need_a_prefix_wait_for_the_kind(generation: Generation) -> None:
    kinds = Kinds.of(generation)
    name = kinds.prefix.name
    async with servers(generation, without=[name]) as (source, target, held):
        await declare(source, kinds.network, "blue", {})
        template = {"ephemeral": {"prefixTemplate": {"spec": {"ipFamily": "IPv4", "prefix": "10.0.0.1/32"}}}}
        common = {"networkRef": {"name": "blue"}, "ipFamilies": ["IPv4"]}
        public = await declare(source, kinds.load_balancer, "public", {**common, "type": "Public"})
        await declare(
            source, kinds.load_balancer, "fixed", {**common, "type": "Internal", "ips": [{"value": "10.0.0.9"}]}
        )
        internal = {**common, "type": "Internal", "ips": [template]}
        await declare(source, kinds.load_balancer, "asking", internal)
        machine = {"networkRef": {"name": "blue"}, "ipFamilies": ["IPv4"], "ips": [{"value": "10.0.0.2"}]}
        await declare(source, kinds.network_interface, "plain", machine)
        await declare(source, kinds.network_interface, "wide", {**machine, "prefixes": [template]})
        waits = f"waits for kinds that nobody serves: source {name}"
        held_by_us = (generation.finalizer("NetworkInterface"),)

        def balancers() -> set[str]:
            uids = {one.metadata.name for one in target.objects(kinds.apinet_load_balancer)}
            return {one.metadata.name for one in source.objects(kinds.load_balancer) if one.metadata.uid in uids}

        def interfaces() -> set[str]:
            found = source.objects(kinds.network_interface)
            return {one.metadata.name for one in found if one.metadata.finalizers == held_by_us}

        async with daemon_of(generation, source, target):
            await anyio.sleep(LONG)
            assert (balancers(), interfaces()) == ({"public", "fixed"}, {"plain"})
            assert sorted(told(source)) == [("asking", waits, 1), ("wide", waits, 1)]
            await source.client().delete(kinds.load_balancer, public)
            await anyio.sleep(REST)
            assert balancers() == {"fixed"}
            await source.client().create(CRD, held[name])
            await anyio.sleep(REST)
            assert (balancers(), interfaces()) == ({"fixed", "asking"}, {"plain", "wide"})
            assert len(told(source)) == 2


async def test_before_a_kind_that_is_back_is_listed_nothing_is_concluded_from_its_absence(
    generation: Generation,
) -> None:
    kinds = Kinds.of(generation)
    routings = kinds.load_balancer_routing
    async with servers(generation) as (source, target, _):
        await declare(source, kinds.network, "blue", {})
        spec = {"type": "Internal", "ipFamilies": ["IPv4"], "ips": [{"value": "10.0.0.1"}]}
        web = await declare(source, kinds.load_balancer, "web", {**spec, "networkRef": {"name": "blue"}})
        routing = {"metadata": {"name": "web"}, "destinations": [{"ip": "10.0.0.2"}]}
        await source.client().create(routings, routing, namespace=HOME)
        way = FaultyTransport(source.transport(user_agent=DAEMON))

        def destinations() -> list[Any]:
            [found] = target.objects(kinds.apinet_load_balancer_routing)
            return [one["ip"] for one in found.destinations]

        async with daemon_of(generation, source, target, to_source=way) as daemon:
            await anyio.sleep(REST)
            for name, plan in enumerate((without_kind(routings), not_listed(routings), FaultPlan())):
                way.plan = plan
                await anyio.sleep(LONG)
                assert (routings.name in daemon.probes.report("readyz").results["kinds"]) is (name == 0)
                label = {"metadata": {"labels": {"a": str(name)}}}
                await source.client().patch(kinds.load_balancer, web, MergePatch(label))
                await anyio.sleep(REST)
                assert destinations() == ["10.0.0.2"]
            await source.client().delete(routings, web)
            await anyio.sleep(REST)
            assert destinations() == []


async def peered(source: ApiServer, kinds: Kinds) -> ObjectKey:
    """A network that shows another one a Prefix; its key."""
    await declare(source, kinds.network, "green", {})
    [green] = source.objects(kinds.network)
    shown = {"name": "part", "prefixRef": {"name": "part"}}
    claim = {"namespace": HOME, "name": "green", "uid": green.metadata.uid}
    peering = {"name": "to-green", "networkRef": {"name": "green"}, "prefixes": [shown]}
    return await declare(source, kinds.network, "blue", {"peerings": [peering], "incomingPeerings": [claim]})


def shown(source: ApiServer, target: ApiServer, kinds: Kinds) -> list[str]:
    """What the counterpart of that network shows."""
    [uid] = [one.metadata.uid for one in source.objects(kinds.network) if one.metadata.name == "blue"]
    [there] = [one for one in target.objects(kinds.apinet_network) if one.metadata.name == uid]
    return [prefix.prefix for peering in there.spec.peerings for prefix in peering.prefixes]


async def test_a_peering_stays_while_prefixes_are_not_served_or_not_listed_and_goes_with_its_prefix(
    generation: Generation,
) -> None:
    kinds = Kinds.of(generation)
    async with servers(generation) as (source, target, _):
        status = {"status": {"phase": "Allocated"}}
        part = await declare(source, kinds.prefix, "part", {"ipFamily": "IPv4", "prefix": "10.0.0.0/24"})
        await source.client().patch(kinds.prefix, part, MergePatch(status), subresource="status")
        blue = await peered(source, kinds)
        ids = iter("12")
        for one in source.objects(kinds.network):  # nobody allocates IDs here
            head = {"name": one.metadata.uid, "namespace": TARGET_NAMESPACE}
            body = {"metadata": head, "spec": {"id": next(ids)}}
            await target.client().create(kinds.apinet_network, body, namespace=TARGET_NAMESPACE)
        way = FaultyTransport(source.transport(user_agent=DAEMON))
        async with daemon_of(generation, source, target, to_source=way):
            await anyio.sleep(REST)
            for name, plan in enumerate((without_kind(kinds.prefix), not_listed(kinds.prefix))):
                way.plan = plan
                await anyio.sleep(LONG)
                label = {"metadata": {"labels": {"a": str(name)}}}
                await source.client().patch(kinds.network, blue, MergePatch(label))
                await anyio.sleep(REST)
                assert shown(source, target, kinds) == ["10.0.0.0/24"]
        way.plan = without_kind(kinds.prefix)
        async with daemon_of(generation, source, target, to_source=way):
            await anyio.sleep(REST)
            await source.client().delete(kinds.prefix, part)
            way.heal()
            await anyio.sleep(REST)
            assert shown(source, target, kinds) == []


async def test_a_deletion_waits_until_the_kind_of_what_is_to_be_released_is_listed_again(
    generation: Generation,
) -> None:
    kinds = Kinds.of(generation)
    there, mine = kinds.apinet_network_interface, f"{generation.origins}/networkinterface-uid"
    async with servers(generation) as (source, target, _):
        body = {"metadata": {"name": "machine-0"}, "spec": {"networkRef": {"name": "n"}, "ips": ["10.0.0.1"]}}
        made = (await target.client().create(there, body, namespace=TARGET_NAMESPACE)).metadata
        parts = {"namespace": TARGET_NAMESPACE, "name": made.name, "node": "node", "uid": made.uid}
        provider_id = str(ProviderID.network_interface(generation.scheme, **parts))
        spec = {"networkRef": {"name": "blue"}, "ips": [{"value": "10.0.0.1"}], "providerID": provider_id}
        nic = await declare(source, kinds.network_interface, "nic", {**spec, "ipFamilies": ["IPv4"]})

        def is_held() -> bool:
            [found] = target.objects(there)
            return mine in found.metadata.labels

        way = FaultyTransport(target.transport(user_agent=DAEMON))
        async with daemon_of(generation, source, target, to_target=way):
            await anyio.sleep(REST)
            assert is_held()
            for plan in (without_kind(there), not_listed(there)):
                way.plan = plan
                await anyio.sleep(LONG)
                if plan == without_kind(there):
                    await source.client().delete(kinds.network_interface, nic)
                    await anyio.sleep(REST)
                assert (len(source.objects(kinds.network_interface)), is_held()) == (1, True)
            way.heal()
            await anyio.sleep(REST)
            assert (source.objects(kinds.network_interface), is_held()) == ([], False)
