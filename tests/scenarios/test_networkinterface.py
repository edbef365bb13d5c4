"""NetworkInterfaces between two clusters: every acceptance scenario under its id, in both generations."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from apinetlet.api import IRONCORE, ONMETAL, Generation, networking
from apinetlet.controllers.networkinterface import NetworkInterfaceReconciler
from apinetlet.demo.world import DAEMON
from reconcile import Request, Result
from reconcile.cache.table import Table
from reconcile.kube import MergePatch
from reconcile.testing.faults import WRITES, Delayed, FaultPlan, Refused, Rule
from tests.scenarios.daemon import Lab, lab
from tests.scenarios.people import HOME, TARGET, Both

NAT = {"ipFamily": "IPv4", "claimRef": {"name": "g", "uid": "uid-g"}}
NAT6 = {"ipFamily": "IPv6", "claimRef": {"name": "h", "uid": "uid-h"}}


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


async def attached(both: Both, **spec: Any) -> networking.NetworkInterface:
    """A VirtualIP, and an interface that has it and stands on ``machine-0``."""
    await both.create_vip()
    return await both.create_nic(on=await both.create_interface(spec=spec), vip="public")


def claim(both: Both, vip: str = "public") -> str:
    """The uid of who has claimed a VirtualIP; "" for nobody."""
    target = both.vip(vip).spec.target_ref
    return target.uid if target is not None else ""


def state(both: Both, name: str = "nic") -> str:
    return both.nic(name).status.state


async def test_nic_1_an_interface_is_claimed_and_gets_the_address_of_its_virtual_ip(world: Lab, both: Both) -> None:
    async with world.daemon():
        await world.world.create_network("net")
        nic = await attached(both)
        await world.rest()
        found = both.interface()
        origin = both.origin_of("NetworkInterface", name="nic", uid=nic.metadata.uid)
        assert dict(found.metadata.labels) == origin["labels"]
        assert dict(found.metadata.annotations) == origin.get("annotations", {})
        assert both.public() == [both.vip().status.ip]
        assert claim(both) == nic.metadata.uid
        assert both.unsafe() == []


async def test_nic_2_a_deleted_interface_lets_go_of_all_that_it_had(world: Lab, both: Both) -> None:
    async with world.daemon():
        await attached(both)
        await world.rest()
        assert both.ip(both.vip()).spec.claim_ref is not None
        await both.delete(both.kinds.network_interface, "nic")
        await world.rest()
        assert both.nics == []
        assert claim(both) == ""
        assert both.ip(both.vip()).spec.claim_ref is None
        assert both.holder() == ""
        assert both.public() == []


async def test_nic_3_what_others_wrote_on_an_interface_stays(world: Lab, both: Both) -> None:
    async with world.daemon():
        labels, annotations = {"foo": "bar"}, {"note": "kept"}
        found = await both.create_interface(labels=labels, annotations=annotations, finalizers=["example.org/hold"])
        await both.create_nic(on=found)
        await world.rest()
        assert both.holder()
        assert labels.items() <= both.interface().metadata.labels.items()
        await both.delete(both.kinds.network_interface, "nic")
        await world.rest()
        left = both.interface().metadata
        assert (dict(left.labels), dict(left.annotations), left.finalizers) == (
            labels,
            annotations,
            ("example.org/hold",),
        )


async def test_nic_4_the_state_of_the_data_plane_is_mirrored(world: Lab, both: Both) -> None:
    async with world.daemon():
        await attached(both)
        await world.rest()
        [address] = both.public()
        await both.edit(both.kinds.apinet_network_interface, "machine-0", spec={"prefixes": ["10.0.0.1/24"]})
        await both.change(both.kinds.network_interface, "nic", spec={"prefixes": [{"value": "10.0.0.1/24"}]})
        await both.program("machine-0", "Ready", publicIPs=["2001:db8::1", address])
        await world.rest()
        status = both.nic().status
        assert (status.state, status.virtual_ip) == ("Available", address)
        assert (status.ips, status.prefixes) == (("192.168.178.1",), ("10.0.0.1/24",))
        since = raw_status(both)["lastStateTransitionTime"]
        await both.program("machine-0", "Ready", publicIPs=[])
        await world.rest()
        assert raw_status(both) == {
            "state": "Available",
            "ips": ["192.168.178.1"],
            "prefixes": ["10.0.0.1/24"],
            "lastStateTransitionTime": since,
        }
        for theirs, ours in (("Error", "Error"), ("", "Pending"), ("Strange", "Pending"), ("Ready", "Available")):
            await both.program("machine-0", theirs)
            await world.rest()
            assert state(both) == ours
        assert raw_status(both)["lastStateTransitionTime"] > since


def raw_status(both: Both) -> dict[str, Any]:
    found = both.here.storage.get(both.kinds.network_interface.name, f"{HOME}/nic")
    assert found is not None
    status: dict[str, Any] = found.value["status"]
    return status


async def test_nic_5_an_interface_that_comes_after_its_provider_id_is_claimed(world: Lab, both: Both) -> None:
    world.to_apinet.plan = FaultPlan.of(Delayed(20.0, 20.0))
    async with world.daemon():
        await world.rest()
        nic = await both.create_nic(on=await both.create_interface())
        await world.rest(10)
        assert both.holder() == ""
        assert state(both) == "Pending"
        await world.rest(15)
        assert both.holder() == nic.metadata.uid


async def test_nic_6_an_interface_follows_its_provider_id(world: Lab, both: Both) -> None:
    async with world.daemon():
        nic = await attached(both)
        await both.change(both.kinds.network_interface, "nic", spec={"prefixes": [{"value": "10.1.0.0/24"}]})
        await both.program("machine-0", "Ready")
        await world.rest()
        assert state(both) == "Available"
        other = await both.create_interface("machine-1")
        writes = world.world.writes
        await both.attach("nic", other)
        await world.rest()
        assert (both.holder(), both.public(), both.interface().spec.prefixes) == ("", [], ())
        assert (both.holder("machine-1"), both.public("machine-1")) == (nic.metadata.uid, [both.vip().status.ip])
        assert both.interface("machine-1").spec.prefixes == ("10.1.0.0/24",)
        assert state(both) == "Pending"
        assert world.world.writes == writes + 3
        await both.attach("nic", None)
        await world.rest()
        assert (both.holder("machine-1"), both.public("machine-1")) == ("", [])
        assert both.nic().status.ips == ()
        assert "PatchRefused" not in world.events()


async def test_nic_7_an_interface_without_provider_id_is_pending(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_interface()
        await both.create_nic()
        await world.rest()
        assert state(both) == "Pending"
        assert both.nic().metadata.finalizers == (world.generation.finalizer("NetworkInterface"),)
        assert not [one for one in both.there.writes() if one.user_agent == DAEMON]


async def test_nic_8_nat_gives_way_to_a_public_address_of_its_family_only(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        found = await both.create_interface(spec={"natGateways": [NAT, NAT6]})
        await world.rest()
        await both.create_nic(on=found, vip="public")
        await world.rest()
        assert both.public() == [both.vip().status.ip]
        assert [dict(one) for one in both.interface().spec.nat_gateways] == [NAT6]
        kind = both.kinds.apinet_network_interface.name
        assert len([one for one in both.there.writes() if one.user_agent == DAEMON and one.resource == kind]) == 1


async def test_nic_8_an_entry_that_the_nat_controller_adds_at_the_same_time_stays(world: Lab, both: Both) -> None:
    world.to_apinet.plan = FaultPlan.of(Delayed(5.0, 5.0))
    async with world.daemon():
        await both.create_vip()
        await both.create_nic(on=await both.create_interface(spec={"natGateways": [NAT]}))
        await world.rest()
        await both.edit(both.kinds.apinet_network_interface, "machine-0", spec={"natGateways": [NAT, NAT6]})
        await both.want("nic", "public")
        await world.rest(1)  # the daemon decides on what was there before, and is refused
        refused = [one for one in both.there.audit if one.user_agent == DAEMON and one.code == 409]
        assert refused
        assert both.public() == []
        await world.rest()
        assert both.public() == [both.vip().status.ip]
        assert [dict(one) for one in both.interface().spec.nat_gateways] == [NAT6]


async def test_nic_9_two_interfaces_that_want_one_virtual_ip_get_it_in_turn(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        nics = {
            name: await both.create_nic(name, on=await both.create_interface(f"on-{name}"), vip="public")
            for name in ("a", "b")
        }
        await world.rest()
        first, second = ("a", "b") if claim(both) == nics["a"].metadata.uid else ("b", "a")
        assert both.public(f"on-{first}") == [both.vip().status.ip]
        assert both.public(f"on-{second}") == []
        assert "ClaimedByOther" in world.events()
        await both.want(first, "")
        await world.rest(5)
        assert claim(both) == nics[second].metadata.uid
        assert both.public(f"on-{first}") == []
        assert both.public(f"on-{second}") == [both.vip().status.ip]
        assert "PatchRefused" not in world.events()


async def test_nic_10_prefixes_come_in_their_order_as_they_are_allocated(world: Lab, both: Both) -> None:
    prefixes = [{"value": "10.1.0.0/24"}, {"ephemeral": {"prefixTemplate": {"spec": {"prefix": "10.2.0.0/24"}}}}]
    async with world.daemon():
        nic = await both.create_nic(on=await both.create_interface(), spec={"prefixes": prefixes})
        await world.rest()
        assert both.interface().spec.prefixes == ("10.1.0.0/24",)
        await allocated(both, nic, "nic-pf-1", "10.2.0.0/24")
        await world.rest(5)
        assert both.interface().spec.prefixes == ("10.1.0.0/24", "10.2.0.0/24")


async def test_nic_10_a_prefix_of_somebody_else_does_not_count(world: Lab, both: Both) -> None:
    prefixes = [{"value": "10.1.0.0/24"}, {"ephemeral": {"prefixTemplate": {"spec": {"prefix": "10.2.0.0/24"}}}}]
    async with world.daemon():
        await both.create_nic(on=await both.create_interface(), spec={"prefixes": prefixes})
        await allocated(both, await both.create_nic("other"), "nic-pf-1", "10.2.0.0/24")
        await world.rest()
        assert both.interface().spec.prefixes == ("10.1.0.0/24",)


async def allocated(both: Both, owner: networking.NetworkInterface, name: str, prefix: str) -> None:
    """The controllers of the source cluster make an ephemeral Prefix, and later say that it is allocated."""
    body = {"metadata": {"name": name, "ownerReferences": [owned_by(both, owner)]}, "spec": {"prefix": prefix}}
    made = await both.user.create(both.kinds.prefix, body, namespace=HOME)
    await anyio.sleep(1)
    assert prefix not in both.interface().spec.prefixes
    allocated = MergePatch({"status": {"phase": "Allocated"}})
    await both.user.patch(both.kinds.prefix, made.metadata.key, allocated, subresource="status")


def owned_by(both: Both, owner: networking.NetworkInterface) -> dict[str, Any]:
    resource = both.kinds.network_interface
    head = {"apiVersion": resource.api_version, "kind": resource.kind, "controller": True}
    return {**head, "name": owner.metadata.name, "uid": owner.metadata.uid}


async def test_nic_11_an_interface_that_a_vanished_source_had_is_cleared_and_kept(world: Lab, both: Both) -> None:
    async with world.daemon():
        await attached(both)
        await both.change(both.kinds.network_interface, "nic", spec={"prefixes": [{"value": "10.1.0.0/24"}]})
        await world.rest()
    await both.delete_by_force(both.kinds.network_interface, "nic")
    async with world.daemon():
        await world.rest()
        assert (both.holder(), both.public(), both.interface().spec.prefixes) == ("", [], ())
        assert claim(both) == ""
        assert both.interface().metadata.labels == {}


async def test_nic_12_an_interface_made_anew_takes_over_what_the_old_one_had(world: Lab, both: Both) -> None:
    async with world.daemon():
        old = await attached(both)
        await world.rest()
    await both.delete_by_force(both.kinds.network_interface, "nic")
    new = await both.create_nic(on=both.interface(), vip="public")
    assert both.holder() == old.metadata.uid == claim(both)
    async with world.daemon():
        await world.rest()
        assert both.holder() == new.metadata.uid == claim(both)
        assert both.public() == [both.vip().status.ip]


async def test_nic_12_a_source_of_another_name_takes_over_what_a_vanished_one_had(world: Lab, both: Both) -> None:
    async with world.daemon():
        await attached(both)
        await world.rest()
    await both.delete_by_force(both.kinds.network_interface, "nic")
    new = await both.create_nic("other", on=both.interface(), vip="public")
    async with world.daemon():
        await world.rest()
        assert both.holder() == new.metadata.uid == claim(both)
        assert both.public() == [both.vip().status.ip]


async def test_nic_13_a_source_whose_interface_is_gone_is_pending_and_says_nothing_of_it(
    world: Lab, both: Both
) -> None:
    async with world.daemon():
        await attached(both)
        await world.rest()
        await both.program("machine-0", "Ready", publicIPs=both.public())
        await world.rest()
        assert state(both) == "Available"
        await both.remove(both.kinds.apinet_network_interface, "machine-0")
        await world.rest()
        assert raw_status(both).keys() == {"state", "lastStateTransitionTime"}
        assert state(both) == "Pending"
        assert both.ip(both.vip()).spec.claim_ref is None


@pytest.mark.parametrize("number", [50, pytest.param(1000, marks=pytest.mark.proof)])
async def test_nic_14_one_virtual_ip_among_many_concerns_one_interface_and_no_list(
    world: Lab, both: Both, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciled, scans = counted(monkeypatch)
    async with world.daemon():
        for index in range(number):
            await both.create_vip(f"vip-{index}")
            on = await both.create_interface(f"machine-{index}")
            await both.create_nic(f"nic-{index}", on=on, vip=f"vip-{index}")
        await world.rest()
        assert all(both.public(f"machine-{index}") for index in range(number))
        reconciled.clear()
        scans.clear()
        lists = [one for server in (both.here, both.there) for one in server.audit if one.verb == "list"]
        await both.change(both.kinds.virtual_ip, "vip-7", metadata={"labels": {"changed": "1"}})
        await world.rest(5)
        assert reconciled == {f"{HOME}/nic-7": 1}
        await both.program("machine-8", "Ready")
        await world.rest(5)
        assert reconciled.keys() == {f"{HOME}/nic-7", f"{HOME}/nic-8"}
        assert reconciled.total() <= 3  # the status that it writes is a change of its own
        assert scans == Counter()
        assert lists == [one for server in (both.here, both.there) for one in server.audit if one.verb == "list"]


def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[str], Counter[str]]:
    """Which interfaces are reconciled, and how often anybody walks over a whole store."""
    reconciled: Counter[str] = Counter()
    scans: Counter[str] = Counter()
    reconcile, entries = NetworkInterfaceReconciler.reconcile, Table.entries

    async def noted(self: NetworkInterfaceReconciler, request: Request) -> Result:
        reconciled[str(request.key)] += 1
        return await reconcile(self, request)

    def walked(self: Table, namespace: str | None = None) -> Any:
        scans["walked"] += 1
        return entries(self, namespace)

    monkeypatch.setattr(NetworkInterfaceReconciler, "reconcile", noted)
    monkeypatch.setattr(Table, "entries", walked)
    return reconciled, scans


async def test_nic_15_an_interface_managed_by_somebody_else_is_never_written(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        found = await both.create_interface()
        managed = {world.generation.managed_by_annotation: ""}
        nic = await both.create_nic(on=found, vip="public", annotations=managed)
        await world.rest()
        writes = world.world.writes
        await both.change(both.kinds.virtual_ip, "public", metadata={"labels": {"a": "b"}})
        origin = both.origin_of("NetworkInterface", name="nic", uid=nic.metadata.uid)
        await both.edit(both.kinds.apinet_network_interface, "machine-0", metadata=origin)
        await world.rest()
        assert world.world.writes == writes
        assert both.nic().metadata.resource_version == nic.metadata.resource_version


@pytest.mark.parametrize(
    "text",
    [
        "{other}://apinet/machine-0/node/{uid}",
        "apinet/machine-0/node/{uid}",
        "{own}://apinet/machine-0/{uid}",
        "{own}://elsewhere/machine-0/node/{uid}",
    ],
    ids=["other scheme", "no scheme", "too few parts", "other namespace"],
)
async def test_nic_16_a_provider_id_that_cannot_be_read_names_no_interface(world: Lab, both: Both, text: str) -> None:
    other = ONMETAL if world.generation is IRONCORE else IRONCORE
    async with world.daemon():
        found = await both.create_interface()
        schemes = {"own": world.generation.scheme.value, "other": other.scheme.value}
        await both.create_nic(provider_id=text.format(uid=found.metadata.uid, **schemes))
        await world.rest()
        assert state(both) == "Pending"
        assert both.holder() == ""
        assert both.nic().metadata.finalizers


# -- rows of the decision table that no scenario tells of --------------------------------------------------------------


async def test_an_interface_with_a_virtual_ip_costs_four_writes_and_its_deletion_three(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        found = await both.create_interface()
        await both.program("machine-0", "Ready")
        await world.rest()
        writes = world.world.writes
        await both.create_nic(on=found, vip="public")
        await world.rest()
        assert state(both) == "Available"
        assert world.world.writes == writes + 4
        await both.delete(both.kinds.network_interface, "nic")
        await world.rest()
        assert world.world.writes == writes + 7


async def test_looking_again_and_a_restart_write_nothing_and_read_no_object(world: Lab, both: Both) -> None:
    async with world.daemon() as daemon:
        await attached(both)
        await both.create_nic("alone")
        await world.rest()
        writes = world.world.writes
        for number in range(100):
            daemon.controller("networkinterface").enqueue_all(f"pass {number}")
            await world.rest(1)
    events, read = len(world.events()), both.read_live(DAEMON)
    async with world.daemon():
        await world.rest()
    assert world.world.writes == writes
    assert len(world.events()) == events
    assert both.read_live(DAEMON) == read


async def test_it_is_told_once_for_each_provider_id_that_nothing_is_attached_yet(world: Lab, both: Both) -> None:
    async with world.daemon() as daemon:
        await both.create_nic()
        await world.rest()
        await both.change(both.kinds.network_interface, "nic", spec={"providerID": both.provider_id(None, uid="later")})
        await world.rest()
        daemon.controller("networkinterface").enqueue_all("again")
        await world.rest()
        assert world.events().count("NotYetAttached") == 2


async def test_an_interface_being_deleted_is_mirrored_and_neither_claimed_nor_changed(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        nic = await both.create_nic(on=await both.create_interface(finalizers=["example.org/hold"]))
        free = await both.create_interface("machine-1", finalizers=["example.org/hold"])
        await world.rest()
        for name in ("machine-0", "machine-1"):
            await both.remove(both.kinds.apinet_network_interface, name)
        await both.want("nic", "public")
        await both.program("machine-0", "Error")
        await both.create_nic("other", on=free)
        await world.rest()
        assert (state(both), both.holder(), both.public()) == ("Error", nic.metadata.uid, [])
        assert (state(both, "other"), both.holder("machine-1")) == ("Pending", "")


async def test_two_sources_of_one_provider_id_get_the_interface_in_turn(world: Lab, both: Both) -> None:
    async with world.daemon():
        found = await both.create_interface()
        first = await both.create_nic("first", on=found)
        await world.rest()
        second = await both.create_nic("second", on=found)
        await world.rest()
        assert both.holder() == first.metadata.uid
        assert state(both, "second") == "Pending"
        assert "ClaimedByOther" in world.events()
        await both.delete(both.kinds.network_interface, "first")
        await world.rest(5)
        assert both.holder() == second.metadata.uid


@pytest.mark.parametrize("how", ["owned", "of nobody", "of another one", "retained"])
async def test_an_ephemeral_virtual_ip_is_used_only_by_the_interface_that_it_was_made_for(
    world: Lab, both: Both, how: str
) -> None:
    template = {"virtualIPTemplate": {"spec": {"type": "Public", "ipFamily": "IPv4"}}}
    async with world.daemon():
        found = await both.create_interface()
        nic = await both.create_nic(on=found, spec={"virtualIP": {"ephemeral": template}})
        other = await both.create_nic("other")
        made_for = {
            "owned": {"target": nic, "ownerReferences": [owned_by(both, nic)]},
            "of nobody": {"target": nic},
            "of another one": {"ownerReferences": [owned_by(both, other)]},
            "retained": {
                "target": nic,
                "annotations": {world.generation.ephemeral_annotation: "ephemeral-manager"},
            },
        }
        vip = await both.create_vip("nic", **made_for[how])  # type: ignore[arg-type]
        await world.rest()
        is_ours = how == "owned" or (how == "retained" and world.generation is IRONCORE)
        assert both.public() == ([both.vip("nic").status.ip] if is_ours else [])
        assert both.vip("nic").spec.target_ref == vip.spec.target_ref


async def test_a_virtual_ip_that_is_not_ours_is_not_claimed(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip(annotations={world.generation.managed_by_annotation: ""})
        await both.create_nic(on=await both.create_interface(), vip="public")
        await world.rest()
        assert claim(both) == ""
        assert both.public() == []


async def test_an_address_that_cannot_be_had_delays_nothing_else(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_vip()
        await world.rest()
        foreign = [{"name": "theirs", "ipFamily": "IPv4", "ip": both.vip().status.ip}]
        await both.create_interface("theirs", spec={"publicIPs": foreign})
        found = await both.create_interface()
        await both.program("machine-0", "Ready")
        nic = await both.create_nic(on=found, vip="public", spec={"prefixes": [{"value": "10.1.0.0/24"}]})
        await world.rest()
        assert (both.holder(), both.public(), state(both)) == (nic.metadata.uid, [], "Available")
        assert both.interface().spec.prefixes == ("10.1.0.0/24",)
        assert "PatchRefused" in world.events()
        await both.remove(both.kinds.apinet_network_interface, "theirs")
        await world.rest()
        assert both.public() == [both.vip().status.ip]


async def test_a_virtual_ip_without_address_or_not_there_yet_is_waited_for(world: Lab, both: Both) -> None:
    async with world.daemon():
        await both.create_nic(on=await both.create_interface(), vip="public")
        await world.rest()
        assert both.public() == []
        assert both.holder()
        await both.create_vip()
        await world.rest(5)
        assert both.public() == [both.vip().status.ip]


async def test_the_watch_filter_decides_who_is_mapped_and_never_hangs_a_deletion(world: Lab, both: Both) -> None:
    label = world.generation.watch_filter_label
    async with world.daemon(watch_filter="mine"):
        await both.create_vip(labels={label: "mine"})
        nic = await both.create_nic(on=await both.create_interface(), vip="public")
        await world.rest()
        assert (both.holder(), claim(both)) == ("", "")
        await both.change(both.kinds.network_interface, "nic", metadata={"labels": {label: "mine"}})
        await world.rest()
        assert both.holder() == nic.metadata.uid == claim(both)
        await both.change(both.kinds.network_interface, "nic", metadata={"labels": {label: None}})
        writes = world.world.writes
        await both.program("machine-0", "Ready")
        await world.rest()
        assert world.world.writes == writes
        await both.delete(both.kinds.network_interface, "nic")
        await world.rest()
        assert (both.nics, both.holder(), claim(both)) == ([], "", "")


async def test_an_interface_being_deleted_without_our_finalizer_is_left_alone(world: Lab, both: Both) -> None:
    await both.create_nic(on=await both.create_interface(), finalizers=["example.org/hold"])
    await both.delete(both.kinds.network_interface, "nic")
    async with world.daemon():
        await world.rest()
        assert world.world.writes == 0


async def test_a_state_is_mirrored_though_a_part_of_the_interface_fails(world: Lab, both: Both) -> None:
    async with world.daemon() as daemon:
        await both.create_vip()
        await both.create_nic(on=await both.create_interface())
        await world.rest()
        # the claim of the VirtualIP fails, whatever else goes through
        kind = both.kinds.virtual_ip.plural
        world.to_source.plan = FaultPlan((Rule(Refused(), verbs=WRITES, resources=(kind,)),))
        await both.want("nic", "public")
        await both.program("machine-0", "Ready")
        await world.rest(20)
        assert (state(both), both.public(), claim(both)) == ("Available", [], "")
        world.to_source.heal()
        await world.rest()
        assert both.public() == [both.vip().status.ip]
        assert daemon.probes.report("readyz").is_well


async def test_what_others_change_of_ours_is_repaired(world: Lab, both: Both) -> None:
    async with world.daemon():
        nic = await attached(both)
        await world.rest()
        origin = {
            name: dict.fromkeys(values) for name, values in both.origin_of("NetworkInterface", "nic", "u").items()
        }
        await both.edit(both.kinds.apinet_network_interface, "machine-0", metadata=origin)
        await world.rest(5)
        assert both.holder() == nic.metadata.uid
        await both.edit(
            both.kinds.apinet_network_interface, "machine-0", spec={"publicIPs": None, "prefixes": ["10.9.0.0/24"]}
        )
        await both.change(both.kinds.virtual_ip, "public", spec={"targetRef": None})
        await both.change(both.kinds.network_interface, "nic", status={"state": "Error", "virtualIP": "10.0.0.1"})
        await world.rest(5)
        assert both.public() == [both.vip().status.ip]
        assert both.interface().spec.prefixes == ()
        assert claim(both) == nic.metadata.uid
        assert (state(both), both.nic().status.virtual_ip) == ("Pending", "")


async def test_a_source_cluster_that_cannot_be_asked_takes_no_state_back(world: Lab, both: Both) -> None:
    async with world.daemon() as daemon:
        await attached(both)
        await both.program("machine-0", "Ready")
        await world.rest()
        world.to_source.plan = FaultPlan((Rule(Refused(), verbs=WRITES),))
        await both.program("machine-0", "Error")
        daemon.controller("networkinterface").enqueue_all("now")
        await world.rest(20)
        assert state(both) == "Available"
        world.to_source.heal()
        await world.rest()
        assert state(both) == "Error"


async def test_only_the_interfaces_of_the_watched_namespace_are_released(world: Lab, both: Both) -> None:
    found = await both.create_interface(**both.origin_of("NetworkInterface", "nic", "u", namespace="elsewhere"))
    async with world.daemon(namespace=HOME):
        nic = await both.create_nic(on=found)
        await world.rest()
        assert both.interface().metadata.resource_version == found.metadata.resource_version
        assert state(both) == "Pending"
        assert nic.metadata.namespace == HOME
        assert both.interface().metadata.namespace == TARGET
