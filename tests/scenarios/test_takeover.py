"""Objects as the Go daemon leaves them are taken over: no ID, no address and no uid changes, in either layout."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from apinetlet.api import IRONCORE, Generation
from apinetlet.api.networking import NetworkState
from apinetlet.origin import Origins
from reconcile.kube import MergePatch, ObjectKey, ObjectMeta, Resource
from reconcile.manager import PartEnded
from reconcile.testing.faults import FaultPlan, Refused, Rule, Status
from tests.scenarios.daemon import Lab, lab
from tests.scenarios.go_daemon import LAYOUTS, GoDaemon, origin
from tests.scenarios.people import HOME, Both


@pytest.fixture
async def world(generation: Generation) -> AsyncIterator[Lab]:
    async with lab(generation) as both:
        yield both


async def left_by_the_go_daemon(world: Lab, both: Both, *, former: bool) -> None:
    """A Network, a VirtualIP and an interface that has it, mapped."""
    kinds, go = both.kinds, GoDaemon.between(world.world, former=former)
    network = await both.user.create(kinds.network, {"metadata": {"name": "net"}, "spec": {}}, namespace=HOME)
    made = await go.apply(kinds.apinet_network, "Network", network.metadata, spec={}, status={})
    vip = await both.create_vip()
    public = {"type": "Public", "ipFamily": "IPv4"}
    ip = await go.apply(kinds.apinet_ip, "VirtualIP", vip.metadata, spec=public, status={})
    found = await both.create_interface()
    nic = await both.create_nic(on=found, vip="public")
    sources: list[tuple[Resource[Any], str, dict[str, Any], dict[str, Any]]] = [
        (kinds.network, "net", {"providerID": provider_id(world, made)}, {"state": "Available"}),
        (kinds.virtual_ip, "public", {"targetRef": {"name": "nic", "uid": nic.metadata.uid}}, {"ip": ip.spec.ip}),
        (kinds.network_interface, "nic", {}, {"state": "Available", "ips": ["192.168.178.1"], "virtualIP": ip.spec.ip}),
    ]
    for resource, name, spec, status in sources:
        await go.keep(resource, ObjectKey(HOME, name), spec=spec, status=status)
    claim = {"metadata": go.origin("NetworkInterface", nic.metadata)}
    listed = [{"name": ip.spec.ip, "ipFamily": "IPv4", "ip": ip.spec.ip}]
    await go.there.patch(kinds.apinet_network_interface, found.metadata.key, MergePatch(claim))
    await go.there.patch(
        kinds.apinet_network_interface, found.metadata.key, MergePatch({"spec": {"publicIPs": listed}})
    )
    await both.program("machine-0", "Ready", publicIPs=[ip.spec.ip])


def provider_id(world: Lab, made: Any) -> str:
    parts = (made.metadata.namespace, made.metadata.name, made.spec.id, made.metadata.uid)
    return f"{world.generation.scheme.value}://{'/'.join(parts)}"


def what_matters(both: Both) -> dict[str, Any]:
    """Everything that must be the same afterwards."""
    network = both.here.objects(both.kinds.network)[0]
    [target] = both.there.objects(both.kinds.apinet_network)
    ip, found = both.ip(both.vip()), both.interface()
    return {
        "network": (network.metadata.uid, network.spec, network.status, network.metadata.finalizers),
        "target": (target.metadata.uid, target.spec.id),
        "ip": (ip.metadata.uid, ip.spec),
        "vip": (both.vip().spec, both.vip().status, both.vip().metadata.finalizers),
        "interface": (found.metadata.uid, found.spec),
        "nic": (both.nic().spec, both.nic().status, both.nic().metadata.finalizers),
        "addresses": both.taken,
    }


@pytest.mark.parametrize(("generation", "former"), LAYOUTS)
async def test_what_the_go_daemon_left_is_taken_over_as_it_is(world: Lab, former: bool) -> None:
    both = Both.of(world)
    await left_by_the_go_daemon(world, both, former=former)
    before = what_matters(both)
    assert world.network("net").status.state is NetworkState.AVAILABLE
    async with world.daemon() as daemon:
        await world.rest()
        assert not any(controller.snapshot().failing for controller in daemon.controllers)
    assert what_matters(both) == before
    network = world.network("net")
    for kind, source, target in (
        ("Network", network.metadata, world.counterpart(network).metadata),
        ("VirtualIP", both.vip().metadata, both.ip(both.vip()).metadata),
        ("NetworkInterface", both.nic().metadata, both.interface().metadata),
    ):
        origins = Origins(world.generation, kind)
        assert origins.of(target) == origins.origin(source)
        assert origins.moved(target) is None
    writes = world.world.writes
    async with world.daemon():
        await world.rest()
    assert world.world.writes == writes
    assert what_matters(both) == before


@pytest.mark.parametrize(("generation", "former"), LAYOUTS)
async def test_what_the_go_daemon_left_behind_is_cleaned_up(world: Lab, former: bool) -> None:
    both = Both.of(world)
    await left_by_the_go_daemon(world, both, former=former)
    for resource, name in ((both.kinds.network, "net"), (both.kinds.virtual_ip, "public")):
        await both.delete_by_force(resource, name)
    await both.delete_by_force(both.kinds.network_interface, "nic")
    async with world.daemon():
        await world.rest()
        assert (world.world.counterparts, both.ips, both.taken) == ([], [], [])
        assert (both.holder(), both.public()) == ("", [])
        assert both.interface().metadata.labels == {}


@pytest.mark.parametrize("generation", [IRONCORE], ids=["ironcore"])
class TestMigration:
    async def test_a_second_start_moves_nothing(self, world: Lab) -> None:
        both = Both.of(world)
        await left_by_the_go_daemon(world, both, former=True)
        async with world.daemon():
            await world.rest()
        writes = world.world.writes
        async with world.daemon():
            await world.rest()
        assert world.world.writes == writes

    async def test_what_lacks_a_value_is_left_as_it_is(self, world: Lab) -> None:
        both = Both.of(world)
        source = ObjectMeta(namespace=HOME, name="nobody", uid="no-such-uid")
        labels = origin(world.generation, "NetworkInterface", source, former=True)["labels"]
        labels.popitem()
        found = await both.create_interface(labels=labels)
        labels = {name: value for name, value in labels.items() if not name.endswith("-uid")}
        other = await both.create_interface("machine-1", labels=labels)
        async with world.daemon():
            await world.rest()
        assert both.interface().metadata.resource_version == found.metadata.resource_version
        assert both.interface("machine-1").metadata.resource_version == other.metadata.resource_version

    async def test_told_to_skip_it_nothing_is_moved(self, world: Lab) -> None:
        both = Both.of(world)
        source = ObjectMeta(namespace=HOME, name="nobody", uid="no-such-uid")
        found = await both.create_interface(**origin(world.generation, "NetworkInterface", source, former=True))
        async with world.daemon(skip_migrations=True):
            await world.rest()
        assert both.interface().metadata.resource_version == found.metadata.resource_version
        async with world.daemon():
            await world.rest()
        assert both.interface().metadata.labels == {}

    async def test_nothing_is_reconciled_before_all_of_it_is_moved(self, world: Lab) -> None:
        both = Both.of(world)
        await left_by_the_go_daemon(world, both, former=True)
        before = what_matters(both)
        world.to_apinet.plan = FaultPlan(
            (Rule(Refused(), verbs=("patch",), resources=("networkinterfaces",), end=8.0),)
        )
        async with world.daemon() as daemon:
            await world.rest(4)
            assert "waiting for services of a leader" in daemon.probes.report("readyz").results.values()
            assert what_matters(both) == before
            await world.rest()
            assert daemon.probes.report("readyz").is_well
        assert what_matters(both) == before

    @pytest.mark.parametrize(("fault", "is_moved"), [(Status(409), True), (Status(503), True), (Status(404), False)])
    async def test_what_loses_a_race_is_moved_the_next_time_and_what_is_gone_stops_nobody(
        self, world: Lab, fault: Status, is_moved: bool
    ) -> None:
        both = Both.of(world)
        source = ObjectMeta(namespace=HOME, name="nobody", uid="no-such-uid")
        head = origin(world.generation, "NetworkInterface", source, former=True)
        found = await both.create_interface(**head)
        await both.create_interface("machine-1", **head)
        rule = Rule(fault, verbs=("patch",), resources=("networkinterfaces",), times=1)
        world.to_apinet.plan = FaultPlan((rule,))
        async with world.daemon() as daemon:
            await world.rest()
            assert daemon.probes.report("readyz").is_well
        version = both.interface().metadata.resource_version
        assert (version != found.metadata.resource_version) is is_moved
        assert both.interface("machine-1").metadata.labels == {}

    async def test_a_server_that_refuses_it_ends_the_start_and_nothing_is_reconciled(self, world: Lab) -> None:
        both = Both.of(world)
        source = ObjectMeta(namespace=HOME, name="nobody", uid="no-such-uid")
        await both.create_interface(**origin(world.generation, "NetworkInterface", source, former=True))
        left = await world.dangling()
        world.to_apinet.plan = FaultPlan((Rule(Status(403), verbs=("patch",), resources=("networkinterfaces",)),))
        with pytest.raises(PartEnded, match="403"):
            async with world.daemon():
                await world.rest()
        assert [one.metadata for one in world.world.counterparts] == [left.metadata]
