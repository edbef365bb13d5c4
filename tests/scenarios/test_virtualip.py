"""VirtualIPs between two clusters: every acceptance scenario under its id, in both generations, on virtual time."""

from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network

import anyio
import anyio.lowlevel
import pytest

from apinetlet.api import IRONCORE, ONMETAL, Generation
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE
from reconcile.testing.faults import WRITES, Delayed, FaultPlan, Refused, Rule
from tests.scenarios.daemon import Lab, lab
from tests.scenarios.people import Both


@pytest.fixture(params=[ONMETAL, IRONCORE], ids=lambda generation: generation.name)
def generation(request: pytest.FixtureRequest) -> Generation:
    found: Generation = request.param
    return found


@pytest.fixture
async def world(generation: Generation) -> AsyncIterator[Lab]:
    async with lab(generation) as both:
        yield both


@pytest.fixture
def both(world: Lab) -> Both:
    return Both.of(world)


async def test_vip_1_a_virtual_ip_gets_an_ip_with_its_origin(world: Lab, both: Both) -> None:
    async with world.daemon():
        vip = await both.create_vip()
        await world.rest()
        target = both.ip(vip)
        origin = both.origin_of("VirtualIP", name="public", uid=vip.metadata.uid)
        assert origin["labels"].items() <= target.metadata.labels.items()
        assert origin.get("annotations", {}) == dict(target.metadata.annotations)
        assert target.metadata.namespace == TARGET_NAMESPACE
        assert target.metadata.owner_references == ()
        assert target.spec.ip_family == "IPv4"
        assert ip_address(target.spec.ip) in ip_network(world.world.prefixes[0])


async def test_vip_2_a_virtual_ip_reports_the_address_of_its_ip(world: Lab, both: Both) -> None:
    async with world.daemon():
        vip = await both.create_vip()
        await world.rest()
        assert both.vip().status.ip == both.ip(vip).spec.ip
        assert both.vip().status.ip in both.taken


async def test_vip_3_a_deleted_virtual_ip_goes_after_its_ip(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        await world.rest()
        at_the_end: list[int] = []
        await both.delete(both.kinds.virtual_ip, "public")
        with anyio.fail_after(10):
            while both.vips:
                at_the_end.append(len(both.ips))
                await anyio.lowlevel.checkpoint()
        assert both.ips == []
        assert both.taken == []
        assert at_the_end[0] == 1


async def test_vip_4_the_ip_of_no_virtual_ip_is_deleted_and_those_of_others_are_not(world: Lab, both: Both) -> None:
    spec = {"type": "Public", "ipFamily": "IPv4"}

    async def an_ip(name: str, **metadata: object) -> None:
        body = {"metadata": {"name": name, **metadata}, "spec": spec}
        await both.provider.create(both.kinds.apinet_ip, body, namespace=TARGET_NAMESPACE)

    await an_ip("left-over", **both.origin_of("VirtualIP", name="nobody", uid="no-such-uid"))
    await an_ip("foreign")
    await both.create_interface(spec={"publicIPs": [{"name": "its-own", "ipFamily": "IPv4"}]})
    before = {one.metadata.name: one.metadata.resource_version for one in both.ips}
    async with world.daemon():
        await an_ip("left-over-too", **both.origin_of("VirtualIP", name="nobody", uid="no-such-uid"))
        await world.rest()
        left = {one.metadata.name: one.metadata.resource_version for one in both.ips}
        assert left == {name: version for name, version in before.items() if name != "left-over"}
        assert len(left) == 2
        assert any(name.startswith("machine-0-") for name in left)


async def test_vip_5_looking_again_fifty_times_writes_nothing(world: Lab, both: Both) -> None:
    async with world.daemon() as daemon:
        await both.create_vip()
        await world.rest()
        writes = world.world.writes
        for number in range(50):
            daemon.controller("virtualip").enqueue_all(f"pass {number}")
            await world.rest(1)
        assert world.world.writes == writes


async def test_vip_6_an_address_is_given_back_only_after_the_interface_let_it_go(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        await both.create_nic(on=await both.create_interface(), vip="public")
        await world.rest()
        [address] = both.public()
        await both.delete(both.kinds.virtual_ip, "public")
        seen: list[tuple[bool, bool, bool]] = []
        with anyio.fail_after(10):
            while not seen or any(seen[-1]):
                state = (address in both.public(), address in both.taken, bool(both.vips))
                if not seen or seen[-1] != state:
                    seen.append(state)
                await anyio.lowlevel.checkpoint()
        assert seen == [(True, True, True), (False, True, True), (False, False, True), (False, False, False)]
        assert "StillClaimed" in world.events()


async def test_vip_7_a_virtual_ip_waits_for_an_address_and_gets_it_without_being_touched(
    generation: Generation,
) -> None:
    async with lab(generation, prefixes=("198.18.0.0/30",)) as world, world.daemon():
        both = Both.of(world)
        for name in ("a", "b", "c", "d"):
            await both.create_vip(name)
        await world.rest()
        await both.create_vip("late")
        await world.rest()
        assert both.vip("late").status.ip == ""
        assert "AllocationFailed" in world.events()
        version = both.vip("late").metadata.resource_version
        freed = both.vip("a").status.ip
        await both.delete(both.kinds.virtual_ip, "a")
        await world.rest()
        assert both.vip("late").status.ip == freed
        assert both.vip("late").metadata.resource_version != version


async def test_vip_8_an_ip_deleted_by_hand_is_made_anew_and_its_interface_follows(world: Lab, both: Both) -> None:
    async with world.daemon():
        vip = await both.create_vip()
        await both.create_nic(on=await both.create_interface(), vip="public")
        await world.rest()
        old = both.ip(vip)
        await both.remove(both.kinds.apinet_ip, old.metadata.name)
        await world.rest()
        new = both.ip(vip)
        assert new.metadata.uid != old.metadata.uid
        assert both.vip().status.ip == new.spec.ip
        assert both.public() == [new.spec.ip]
        assert both.unsafe() == []
        assert "AddressChanged" in world.events()


async def test_vip_9_a_virtual_ip_of_the_sixth_version(world: Lab, both: Both) -> None:
    async with world.daemon():
        vip = await both.create_vip(family="IPv6")
        await world.rest()
        target = both.ip(vip)
        assert ip_address(both.vip().status.ip).version == 6
        assert target.metadata.labels[f"{world.generation.finalizers}/ip"] == target.spec.ip.replace(":", "-")


async def test_vip_10_a_virtual_ip_managed_by_somebody_else_is_never_written(world: Lab, both: Both) -> None:
    async with world.daemon():
        vip = await both.create_vip(annotations={world.generation.managed_by_annotation: ""})
        origin = both.origin_of("VirtualIP", name="public", uid=vip.metadata.uid)
        body = {"metadata": {"name": "theirs", **origin}, "spec": {"type": "Public", "ipFamily": "IPv4"}}
        await both.provider.create(both.kinds.apinet_ip, body, namespace=TARGET_NAMESPACE)
        await world.rest()
        assert both.vip().metadata.resource_version == vip.metadata.resource_version
        assert world.world.writes == 0


async def test_vip_11_a_daemon_stopped_between_apply_and_status_goes_on_with_the_same_address(
    world: Lab, both: Both
) -> None:
    world.to_source.plan = FaultPlan((Rule(Refused(), verbs=WRITES),))
    async with world.daemon():
        vip = await both.create_vip(finalizers=[world.generation.finalizer("VirtualIP")])
        await world.rest(5)
    before = both.ip(vip)
    assert both.vip().status.ip == ""
    world.to_source.heal()
    async with world.daemon():
        await world.rest()
    assert both.ip(vip).metadata.uid == before.metadata.uid
    assert both.vip().status.ip == before.spec.ip


async def test_vip_12_a_virtual_ip_waits_for_a_foreign_finalizer_of_its_ip(world: Lab, both: Both) -> None:
    async with world.daemon():
        vip = await both.create_vip()
        await world.rest()
        await both.edit(both.kinds.apinet_ip, vip.metadata.uid, metadata={"finalizers": ["example.org/hold"]})
        await both.delete(both.kinds.virtual_ip, "public")
        await world.rest()
        assert both.vip().metadata.finalizers == (world.generation.finalizer("VirtualIP"),)
        assert both.ip(vip).metadata.is_deleting
        await both.edit(both.kinds.apinet_ip, vip.metadata.uid, metadata={"finalizers": None})
        await world.rest(1)  # the event of its end, no poll
        assert (both.vips, both.ips, both.taken) == ([], [], [])


# -- rows of the decision table that no scenario tells of --------------------------------------------------------------


async def test_the_ip_of_an_older_virtual_ip_of_the_name_goes_once_nobody_uses_it(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        await both.create_nic(on=await both.create_interface(), vip="public")
        await world.rest()
    [old] = both.ips
    await both.delete_by_force(both.kinds.virtual_ip, "public")
    new = await both.create_vip()
    async with world.daemon():
        await world.rest()
        assert [one.metadata.name for one in both.ips] == [new.metadata.uid]
        assert both.public() == [both.vip().status.ip]
        assert both.vip().status.ip != old.spec.ip or both.ip(new).metadata.uid != old.metadata.uid
        assert both.unsafe() == []


async def test_an_ip_whose_user_is_gone_counts_as_unclaimed(world: Lab, both: Both) -> None:
    async with world.daemon():
        vip = await both.create_vip()
        await world.rest()
        claim = {"group": both.kinds.apinet_ip.group, "resource": "networkinterfaces", "name": "gone", "uid": "gone"}
        await both.edit(both.kinds.apinet_ip, vip.metadata.uid, spec={"claimRef": claim})
        await both.delete(both.kinds.virtual_ip, "public")
        await world.rest()
        assert (both.vips, both.ips) == ([], [])


@pytest.mark.parametrize("resource", ["networkinterfaces", "somethings"])
async def test_an_ip_that_somebody_else_uses_is_kept_and_waited_for(world: Lab, both: Both, resource: str) -> None:
    async with world.daemon():
        vip = await both.create_vip()
        await world.rest()
        user = await both.create_interface("foreign")
        reference = {"name": user.metadata.name, "uid": user.metadata.uid}
        claim = {"group": both.kinds.apinet_ip.group, "resource": resource, **reference}
        await both.edit(both.kinds.apinet_ip, vip.metadata.uid, spec={"claimRef": claim})
        await both.delete(both.kinds.virtual_ip, "public")
        await world.rest()
        assert both.ip(vip).spec.ip in both.taken
        assert both.vip().metadata.is_deleting
        assert "StillClaimed" in world.events()
        await both.edit(both.kinds.apinet_ip, vip.metadata.uid, spec={"claimRef": None})
        await world.rest(1)  # the event of the release, no poll
        assert (both.vips, both.ips) == ([], [])


async def test_an_ip_that_is_claimed_while_nobody_can_see_it_is_not_deleted(world: Lab, both: Both) -> None:
    world.to_apinet.plan = FaultPlan.of(Delayed(10.0, 10.0))
    async with world.daemon():
        vip = await both.create_vip()
        await world.rest()
        public = [{"name": "one", "ipFamily": "IPv4", "ip": both.vip().status.ip}]
        await both.create_interface("foreign", spec={"publicIPs": public})
        await both.delete(both.kinds.virtual_ip, "public")
        await world.rest(5)  # the daemon believes that nobody uses it, asks for its end, and is refused
        assert both.ip(vip).spec.ip in both.taken
        assert both.unsafe() == []
        await world.rest(60)
        assert both.unsafe() == []
        await both.remove(both.kinds.apinet_network_interface, "foreign")
        await world.rest()
        assert (both.vips, both.taken) == ([], [])


async def test_an_ip_of_another_family_is_made_anew(world: Lab, both: Both) -> None:
    vip = await both.create_vip()
    body = {"metadata": {"name": vip.metadata.uid}, "spec": {"type": "Public", "ipFamily": "IPv6"}}
    await both.provider.create(both.kinds.apinet_ip, body, namespace=TARGET_NAMESPACE)
    async with world.daemon():
        await world.rest()
        assert both.ip(vip).spec.ip_family == "IPv4"
        assert both.vip().status.ip == both.ip(vip).spec.ip
        assert "Recreating" in world.events()


async def test_the_watch_filter_decides_who_is_mapped_and_never_hangs_a_deletion(world: Lab, both: Both) -> None:
    label = world.generation.watch_filter_label
    async with world.daemon(watch_filter="mine"):
        await both.create_vip()
        await world.rest()
        assert both.ips == []
        await both.change(both.kinds.virtual_ip, "public", metadata={"labels": {label: "mine"}})
        await world.rest()
        assert both.vip().status.ip in both.taken
        await both.change(both.kinds.virtual_ip, "public", metadata={"labels": {label: None}})
        writes = world.world.writes
        await world.rest()
        assert world.world.writes == writes
        await both.delete(both.kinds.virtual_ip, "public")
        await world.rest()
        assert (both.vips, both.ips, both.taken) == ([], [], [])


async def test_a_virtual_ip_being_deleted_without_our_finalizer_is_left_alone(world: Lab, both: Both) -> None:
    await both.create_vip(finalizers=["example.org/hold"])
    await both.delete(both.kinds.virtual_ip, "public")
    async with world.daemon():
        await world.rest()
        assert world.world.writes == 0
        assert both.ips == []


async def test_an_outage_of_the_api_net_cluster_takes_no_address_back_and_is_got_over(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        await world.rest()
        address = both.vip().status.ip
        world.to_apinet.plan = FaultPlan.of(Refused())
        await both.create_vip("late")
        await both.change(both.kinds.virtual_ip, "public", metadata={"labels": {"a": "b"}})
        await world.rest()
        assert both.vip().status.ip == address
        assert both.vip("late").status.ip == ""
        assert "AllocationFailed" not in world.events()  # an outage is the operator's to see
        world.to_apinet.heal()
        await world.rest()
        assert both.vip("late").status.ip in both.taken


async def test_an_address_that_somebody_writes_into_the_status_is_taken_back(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        await world.rest()
        address = both.vip().status.ip
        for forged in ({"ip": "198.18.9.9"}, {"ip": "no address"}, None):
            await both.change(both.kinds.virtual_ip, "public", status=forged)
            await world.rest(5)
            assert both.vip().status.ip == address


async def test_a_new_virtual_ip_costs_three_writes_and_its_deletion_two(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        await world.rest()
        assert world.world.writes == 3
        await both.delete(both.kinds.virtual_ip, "public")
        await world.rest()
        assert world.world.writes == 5


async def test_a_restart_on_a_converged_world_writes_nothing_and_reads_no_object(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        await world.rest()
    writes, read = world.world.writes, both.read_live(DAEMON)
    async with world.daemon():
        await world.rest()
    assert world.world.writes == writes
    assert both.read_live(DAEMON) == read
