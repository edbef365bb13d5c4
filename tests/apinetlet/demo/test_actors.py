"""Everybody else in the two clusters does its part, by itself and beside the daemon."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from apinetlet.api import IRONCORE, Generation
from apinetlet.assembly import assemble
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.settings import Settings
from reconcile import Manager, ObjectKey
from reconcile.kube import MergePatch
from tests.apinetlet.demo.servers import document

WHILE = 100.0
"""Virtual seconds in which everything that anybody does is done."""


@asynccontextmanager
async def a_world(generation: Generation, *actors: str, **options: Any) -> AsyncIterator["Clusters"]:
    """Both clusters, with these actors at work; all of them if none is named."""
    async with World(generation, **options) as world, world.staff(*actors):
        yield Clusters(world)


class Clusters:
    """Both clusters by plurals, untyped."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def rest(self) -> None:
        await anyio.sleep(WHILE)

    def written(self) -> int:
        """How many writes changed something so far, whoever sent them."""
        return sum(len(server.writes()) for server in (self.world.source, self.world.apinet))

    def daemon(self) -> Manager:
        generation = self.world.generation
        return assemble(
            Settings(api_net_namespace=TARGET_NAMESPACE),
            generation,
            self.world.source.client(user_agent=DAEMON, field_manager=generation.field_manager),
            self.world.apinet.client(user_agent=DAEMON, field_manager=generation.field_manager),
        )

    async def create(self, plural: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"metadata": {"name": name, **more.pop("metadata", {})}, "spec": spec, **more}
        kind = self.world.at_source[plural]
        return document(await self.world.source.client().create(kind, body, namespace="default"))

    async def make(self, plural: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        """As ``create``, in the api-net cluster."""
        body = {"metadata": {"name": name, **more.pop("metadata", {})}, "spec": spec, **more}
        kind = self.world.at_apinet[plural]
        return document(await self.world.apinet.client().create(kind, body, namespace=TARGET_NAMESPACE))

    async def patch(self, plural: str, name: str, patch: dict[str, Any], **more: Any) -> None:
        await self.world.source.client().patch(
            self.world.at_source[plural], ObjectKey("default", name), MergePatch(patch), **more
        )

    async def change(self, plural: str, name: str, patch: dict[str, Any], **more: Any) -> None:
        """As ``patch``, in the api-net cluster."""
        await self.world.apinet.client().patch(
            self.world.at_apinet[plural], ObjectKey(TARGET_NAMESPACE, name), MergePatch(patch), **more
        )

    async def delete(self, plural: str, name: str) -> None:
        await self.world.source.client().delete(self.world.at_source[plural], ObjectKey("default", name))

    async def remove(self, plural: str, name: str) -> None:
        """As ``delete``, in the api-net cluster."""
        await self.world.apinet.client().delete(self.world.at_apinet[plural], ObjectKey(TARGET_NAMESPACE, name))

    def all(self, plural: str) -> dict[str, dict[str, Any]]:
        found = self.world.source.objects(self.world.at_source[plural])
        return {one.metadata.name: document(one) for one in found}

    def there(self, plural: str) -> dict[str, dict[str, Any]]:
        found = self.world.apinet.objects(self.world.at_apinet[plural])
        return {one.metadata.name: document(one) for one in found}


def ephemeral(**spec: Any) -> dict[str, Any]:
    return {"ephemeral": {"prefixTemplate": {"metadata": {"labels": {"from": "template"}}, "spec": spec}}}


def phase(prefix: dict[str, Any]) -> tuple[str | None, str]:
    return prefix["spec"].get("prefix"), prefix["status"]["phase"]


REF = {"networkRef": {"name": "blue"}}
ROOT = {"prefix": "10.0.0.0/24"}
PARENT = {"parentRef": {"name": "root"}}


# -- prefixes ----------------------------------------------------------------------------------------------------------


async def test_a_root_prefix_is_allocated_and_others_get_the_first_free_part_of_it(generation: Generation) -> None:
    async with a_world(generation, "prefixes") as world:
        await world.create("prefixes", "root", ROOT, metadata={"labels": {"pool": "a"}})
        await world.create("prefixes", "half", {**PARENT, "ipFamily": "IPv4", "prefixLength": 25})
        await world.rest()
        await world.create("prefixes", "one", {**PARENT, "ipFamily": "IPv4", "prefixLength": 32})
        selector = {"parentSelector": {"matchLabels": {"pool": "a"}}}
        await world.create("prefixes", "chosen", {**selector, "ipFamily": "IPv4", "prefixLength": 26})
        await world.rest()
        found = {name: phase(one) for name, one in world.all("prefixes").items()}
        assert found == {
            "root": ("10.0.0.0/24", "Allocated"),
            "half": ("10.0.0.0/25", "Allocated"),
            "one": ("10.0.0.128/32", "Allocated"),
            "chosen": ("10.0.0.192/26", "Allocated"),
        }
        assert world.all("prefixes")["chosen"]["spec"]["parentRef"] == {"name": "root"}


async def test_a_prefix_waits_for_its_parent_and_for_room_in_it(generation: Generation) -> None:
    async with a_world(generation, "prefixes") as world:
        for name in ("first", "second"):
            await world.create("prefixes", name, {**PARENT, "ipFamily": "IPv4", "prefixLength": 24})
            await world.rest()
        assert {phase(one) for one in world.all("prefixes").values()} == {(None, "Pending")}
        await world.create("prefixes", "root", ROOT)
        await world.rest()
        assert sorted(phase(one)[1] for one in world.all("prefixes").values()) == ["Allocated", "Allocated", "Pending"]
        [holder] = [
            name for name, one in world.all("prefixes").items() if phase(one)[1] == "Allocated" and name != "root"
        ]
        await world.delete("prefixes", holder)
        await world.rest()
        assert {phase(one) for one in world.all("prefixes").values()} == {("10.0.0.0/24", "Allocated")}


async def test_ephemeral_prefixes_are_made_for_their_places_and_go_with_them(generation: Generation) -> None:
    async with a_world(generation, "prefixes") as world:
        await world.create("prefixes", "root", ROOT)
        one = ephemeral(**PARENT, ipFamily="IPv4")
        more = ephemeral(**PARENT, ipFamily="IPv4", prefixLength=28)
        nic = await world.create(
            "networkinterfaces", "nic", {**REF, "ips": [one], "prefixes": [{"value": "10.9.0.0/24"}, more]}
        )
        await world.create("loadbalancers", "lb", {"type": "Internal", **REF, "ips": [one]})
        await world.rest()
        made = world.all("prefixes")
        assert set(made) == {"root", "nic-0", "nic-pf-1", "lb-0"}
        [owner] = made["nic-0"]["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("NetworkInterface", nic["metadata"]["uid"], True)
        assert made["nic-0"]["metadata"]["labels"] == {"from": "template"}
        assert all(phase(one)[1] == "Allocated" for one in made.values())
        await world.patch("networkinterfaces", "nic", {"spec": {"prefixes": []}})
        await world.delete("loadbalancers", "lb")
        await world.rest()
        assert set(world.all("prefixes")) == {"root", "nic-0"}


async def test_a_prefix_of_somebody_else_is_not_taken_over(generation: Generation) -> None:
    async with a_world(generation, "prefixes") as world:
        await world.create("prefixes", "nic-0", {"prefix": "10.5.0.0/24"})
        await world.create("networkinterfaces", "nic", {**REF, "ips": [ephemeral(**PARENT, ipFamily="IPv4")]})
        await world.rest()
        assert "ownerReferences" not in world.all("prefixes")["nic-0"]["metadata"]


# -- virtual IPs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [None, "Retain"])
async def test_an_ephemeral_virtual_ip_is_made_preset_to_its_interface(
    generation: Generation, policy: str | None
) -> None:
    async with a_world(generation, "virtual-ips") as world:
        spec = {"type": "Public", "ipFamily": "IPv4", **({"reclaimPolicy": policy} if policy else {})}
        nic = await world.create(
            "networkinterfaces",
            "nic",
            {
                **REF,
                "ips": [{"value": "10.0.0.1"}],
                "virtualIP": {"ephemeral": {"virtualIPTemplate": {"spec": spec}}},
            },
        )
        await world.rest()
        made = world.all("virtualips")["nic"]
        assert made["spec"]["targetRef"] == {"name": "nic", "uid": nic["metadata"]["uid"]}
        is_new = generation is IRONCORE
        mark = {f"{generation.common}/ephemeral-managed-by": "ephemeral-manager"} if is_new else {}
        assert made["metadata"].get("annotations", {}) == mark
        owned = [one["uid"] for one in made["metadata"].get("ownerReferences", [])]
        assert owned == ([] if is_new and policy else [nic["metadata"]["uid"]])
        await world.delete("networkinterfaces", "nic")
        await world.rest()
        left = world.all("virtualips")
        assert set(left) == ({"nic"} if is_new and policy else set())
        assert all("targetRef" not in one["spec"] for one in left.values())


async def test_a_virtual_ip_is_released_once_no_interface_has_the_name_whatever_its_uid(generation: Generation) -> None:
    async with a_world(generation, "virtual-ips") as world:
        await world.create("networkinterfaces", "nic", {**REF, "ips": [{"value": "10.0.0.1"}]})
        for name in ("nic", "gone"):
            target = {"targetRef": {"name": name, "uid": "another"}}
            await world.create("virtualips", f"of-{name}", {"type": "Public", "ipFamily": "IPv4", **target})
        await world.rest()
        found = {name: "targetRef" in one["spec"] for name, one in world.all("virtualips").items()}
        assert found == {"of-nic": True, "of-gone": False}


# -- peerings ----------------------------------------------------------------------------------------------------------


def peering(peer: str, **ref: str) -> dict[str, Any]:
    return {"peerings": [{"name": "peering", "networkRef": {"name": peer, **ref}}]}


async def test_a_network_is_told_of_a_peer_that_is_available_and_wants_it_too_as_long_as_there_is_one() -> None:
    async with a_world(IRONCORE, "peerings") as world:
        await world.create("networks", "blue", peering("green", namespace="default"))
        await world.create("networks", "green", {})
        await world.rest()
        await world.patch("networks", "green", {"status": {"state": "Available"}}, subresource="status")
        await world.rest()
        assert "incomingPeerings" not in world.all("networks")["blue"]["spec"]  # green does not want it
        await world.patch("networks", "green", {"spec": peering("blue")})
        await world.rest()
        green = world.all("networks")["green"]
        claim = {"namespace": "default", "name": "green", "uid": green["metadata"]["uid"]}
        assert world.all("networks")["blue"]["spec"]["incomingPeerings"] == [claim]
        assert "incomingPeerings" not in green["spec"]  # blue is not available
        await world.delete("networks", "green")
        await world.rest()
        assert not world.all("networks")["blue"]["spec"].get("incomingPeerings")


# -- routing, protection -----------------------------------------------------------------------------------------------


async def test_a_routing_lists_the_addresses_of_available_interfaces_that_are_selected(generation: Generation) -> None:
    async with a_world(generation, "routing") as world:
        for name, labels, network, state in (
            ("a", {"app": "web"}, "blue", "Available"),
            ("b", {"app": "web"}, "blue", "Pending"),
            ("c", {"app": "db"}, "blue", "Available"),
            ("d", {"app": "web"}, "green", "Available"),
        ):
            spec = {"networkRef": {"name": network}, "ips": [{"value": "10.0.0.1"}], "providerID": f"id-{name}"}
            status = {"state": state, "ips": [f"10.0.0.{ord(name) - 96}"]}
            await world.create("networkinterfaces", name, spec, metadata={"labels": labels}, status=status)
        selector = {"networkInterfaceSelector": {"matchLabels": {"app": "web"}}}
        lb = await world.create("loadbalancers", "lb", {"type": "Public", **REF, "ipFamilies": ["IPv4"], **selector})
        await world.create("loadbalancers", "manual", {"type": "Public", **REF, "ipFamilies": ["IPv4"]})
        await world.rest()
        assert not world.all("loadbalancerroutings")
        await world.create("networks", "blue", {})
        await world.rest()
        [(name, routing)] = world.all("loadbalancerroutings").items()
        assert name == "lb"
        [owner] = routing["metadata"]["ownerReferences"]
        assert owner["uid"] == lb["metadata"]["uid"]
        uid = world.all("networkinterfaces")["a"]["metadata"]["uid"]
        target = {"uid": uid, "name": "a", "providerID": "id-a"}
        assert routing["destinations"] == [{"ip": "10.0.0.1", "targetRef": target}]
        await world.patch("networkinterfaces", "b", {"status": {"state": "Available"}})
        await world.rest()
        assert len(world.all("loadbalancerroutings")["lb"]["destinations"]) == 2


async def test_a_network_is_held_while_anything_refers_to_it(generation: Generation) -> None:
    async with a_world(generation, "protection") as world:
        await world.create("networks", "blue", {})
        await world.create("natgateways", "nat", {"type": "Public", **REF, "ipFamily": "IPv4"})
        await world.rest()
        assert world.all("networks")["blue"]["metadata"]["finalizers"] == [f"{generation.networking}/network"]
        await world.delete("networks", "blue")
        await world.rest()
        assert "deletionTimestamp" in world.all("networks")["blue"]["metadata"]
        await world.delete("natgateways", "nat")
        await world.rest()
        assert not world.all("networks")


# -- the data plane ----------------------------------------------------------------------------------------------------


INTERFACE = {"nodeRef": {"name": "p1.node"}, "networkRef": {"name": "n"}, "ips": ["192.168.0.1"]}


async def test_an_interface_is_seen_then_programmed_and_reports_what_it_was_given(generation: Generation) -> None:
    async with a_world(generation, "interfaces") as world:
        await world.make("networkinterfaces", "nic", {**INTERFACE, "prefixes": ["10.1.0.1/24"]})
        await anyio.sleep(0.05)
        assert world.there("networkinterfaces")["nic"]["status"]["state"] == "Pending"
        await world.rest()
        found = world.there("networkinterfaces")["nic"]
        assert found["status"]["state"] == "Ready"
        assert found["status"]["prefixes"] == ["10.1.0.0/24"]
        assert "pciAddress" in found["status"]
        [finalizer] = found["metadata"]["finalizers"]
        assert finalizer.startswith("partition.metalnetlet.apinet.")
        assert finalizer.endswith("/p1")
        await world.change("networkinterfaces", "nic", {"spec": {"publicIPs": [{"name": "p", "ipFamily": "IPv4"}]}})
        await world.rest()
        found = world.there("networkinterfaces")["nic"]
        assert found["status"]["publicIPs"] == [found["spec"]["publicIPs"][0]["ip"]]
        await world.remove("networkinterfaces", "nic")
        await world.rest()
        assert not world.there("networkinterfaces")
        assert not world.there("ips")


async def test_an_error_that_somebody_set_stays(generation: Generation) -> None:
    async with a_world(generation, "interfaces") as world:
        await world.make("networkinterfaces", "nic", INTERFACE, status={"state": "Error"})
        await world.rest()
        assert world.there("networkinterfaces")["nic"]["status"]["state"] == "Error"


async def test_a_network_is_held_by_each_partition_that_has_interfaces_in_it(generation: Generation) -> None:
    async with a_world(generation, "interfaces") as world:
        await world.make("networks", "n", {})
        for name, node in (("a", "p1.x"), ("b", "p1.y"), ("c", "p2.x")):
            await world.make("networkinterfaces", name, {**INTERFACE, "nodeRef": {"name": node}})
        await world.rest()
        found = world.there("networks")["n"]["metadata"]["finalizers"]
        assert [one.rpartition("/")[2] for one in found] == ["p1", "p2"]
        await world.remove("networks", "n")
        await world.rest()
        assert not world.there("networks")


async def test_who_holds_a_network_says_that_its_peerings_work_and_forgets_those_that_end() -> None:
    async with a_world(IRONCORE, "interfaces") as world:
        await world.make("networks", "n", {"peerings": [{"name": "peer", "id": "300"}]})
        await world.rest()
        assert "peerings" not in world.there("networks")["n"].get("status", {})
        for name, node in (("a", "p1.x"), ("b", "p2.x")):
            await world.make("networkinterfaces", name, {**INTERFACE, "nodeRef": {"name": node}})
        await world.rest()
        works = [{"id": 300, "state": "Ready"}]
        assert world.there("networks")["n"]["status"]["peerings"] == {"p1": works, "p2": works}
        await world.change("networks", "n", {"spec": {"peerings": None}})
        await world.rest()
        assert not world.there("networks")["n"]["status"].get("peerings")


NAT = {"ipFamily": "IPv4", "networkRef": {"name": "n"}, "portsPerNetworkInterface": 32256}
"""Two interfaces an address."""


async def test_a_gateway_gets_addresses_as_they_are_asked_for_and_loses_the_newest(generation: Generation) -> None:
    async with a_world(generation, "autoscaler", "nat-gateways") as world:
        await world.make("natgateways", "nat", NAT)
        scale = {"natGatewayRef": {"name": "nat"}, "minPublicIPs": 1, "maxPublicIPs": 2}
        await world.make("natgatewayautoscalers", "nat", scale)
        await world.rest()
        [first] = world.there("natgateways")["nat"]["spec"]["ips"]
        for index in range(6):
            await world.make("networkinterfaces", f"nic-{index}", {**INTERFACE, "ips": [f"192.168.0.{index}"]})
            await world.rest()
        gateway = world.there("natgateways")["nat"]
        assert gateway["status"] == {"usedNATIPs": 4, "requestedNATIPs": 6}
        assert len(gateway["spec"]["ips"]) == 2
        assert gateway["spec"]["ips"][0] == first
        for index in range(6):
            await world.remove("networkinterfaces", f"nic-{index}")
        await world.rest()
        assert world.there("natgateways")["nat"]["spec"]["ips"] == [first]
        assert len(world.there("ips")) == 1


async def test_a_gateway_keeps_to_the_bounds_of_its_autoscaler_also_when_they_change(generation: Generation) -> None:
    async with a_world(generation, "autoscaler") as world:
        await world.make("natgateways", "nat", {**NAT, "ips": [{"name": "mine"}]})
        await world.change("natgateways", "nat", {"status": {"requestedNATIPs": 9}}, subresource="status")
        await world.make("natgatewayautoscalers", "nat", {"natGatewayRef": {"name": "nat"}, "maxPublicIPs": 3})
        counts = []
        for bounds in ({}, {"maxPublicIPs": 2}, {"maxPublicIPs": 0}, {"minPublicIPs": 6, "maxPublicIPs": 7}):
            await world.change("natgatewayautoscalers", "nat", {"spec": bounds})
            await world.rest()
            counts.append(len(world.there("natgateways")["nat"]["spec"].get("ips") or ()))
        assert counts == [3, 2, 0, 6]
        assert len(world.there("ips")) == 6


async def test_a_table_gives_each_interface_its_ports_and_keeps_them(generation: Generation) -> None:
    async with a_world(generation, "nat-gateways") as world:
        await world.make("natgateways", "nat", {**NAT, "portsPerNetworkInterface": 64, "ips": [{"name": "a"}]})
        for name in ("first", "second"):
            await world.make("networkinterfaces", name, {**INTERFACE, "ips": ["192.168.0.1"]})
            await world.rest()
        [ip] = world.there("nattables")["nat"]["ips"]
        ports = {one["targetRef"]["name"]: (one["port"], one["endPort"]) for one in ip["sections"]}
        assert ports == {"first": (1024, 1087), "second": (1088, 1151)}
        await world.remove("networkinterfaces", "first")
        await world.rest()
        [ip] = world.there("nattables")["nat"]["ips"]
        assert [(one["targetRef"]["name"], one["port"]) for one in ip["sections"]] == [("second", 1088)]


async def test_a_gateway_claims_interfaces_without_a_public_address_and_lets_go_when_it_is_gone(
    generation: Generation,
) -> None:
    async with a_world(generation, "nat-gateways") as world:
        gateway = await world.make("natgateways", "nat", {**NAT, "ips": [{"name": "a"}]})
        await world.make("networkinterfaces", "plain", INTERFACE)
        await world.make("networkinterfaces", "public", {**INTERFACE, "publicIPs": [{"name": "p", "ipFamily": "IPv4"}]})
        await world.make("networkinterfaces", "other", {**INTERFACE, "networkRef": {"name": "other"}})
        await world.rest()
        claim = [{"ipFamily": "IPv4", "claimRef": {"name": "nat", "uid": gateway["metadata"]["uid"]}}]
        found = {name: one["spec"].get("natGateways") for name, one in world.there("networkinterfaces").items()}
        assert found == {"plain": claim, "public": None, "other": None if generation is IRONCORE else claim}
        await world.remove("natgateways", "nat")
        await world.rest()
        assert not any(one["spec"].get("natGateways") for one in world.there("networkinterfaces").values())
        assert not world.there("nattables")


async def test_two_gateways_do_not_fight_over_an_interface(generation: Generation) -> None:
    async with a_world(generation, "nat-gateways") as world:
        for name in ("one", "two"):
            await world.make("natgateways", name, {**NAT, "ips": [{"name": "a"}]})
        await world.make("networkinterfaces", "nic", INTERFACE)
        await world.rest()
        before = world.there("networkinterfaces")["nic"]["metadata"]["resourceVersion"]
        assert len(world.there("networkinterfaces")["nic"]["spec"]["natGateways"]) == 1
        await world.rest()
        assert world.there("networkinterfaces")["nic"]["metadata"]["resourceVersion"] == before


async def test_a_routing_goes_with_its_load_balancer_without_garbage_collection(generation: Generation) -> None:
    selector = {"matchLabels": {"a": "b"}}
    template = {"metadata": {"labels": {"a": "b"}}}
    spec = {"type": "Internal", "networkRef": {"name": "n"}, "selector": selector, "template": template}
    for actors, stays in ((("leftovers",), False), (("interfaces",), True)):
        async with a_world(generation, *actors, garbage_collection=False) as world:
            await world.make("loadbalancers", "lb", spec)
            await world.make("loadbalancerroutings", "lb", {})
            await world.rest()
            await world.remove("loadbalancers", "lb")
            await world.rest()
            assert bool(world.there("loadbalancerroutings")) is stays


# -- everybody together ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage_collection", [True, False])
async def test_beside_the_daemon_everything_works_and_nothing_is_left_behind(
    generation: Generation, garbage_collection: bool
) -> None:
    async with a_world(generation, garbage_collection=garbage_collection) as world, world.daemon():
        await world.create("prefixes", "root", ROOT)
        await world.create("networks", "blue", {})
        machine = {"machineRef": {"name": "m", "uid": "m"}}
        one = ephemeral(**PARENT, ipFamily="IPv4")
        web = {"metadata": {"labels": {"app": "web"}}}
        virtual_ip = {"virtualIPTemplate": {"spec": {"type": "Public", "ipFamily": "IPv4"}}}
        await world.create(
            "networkinterfaces",
            "public",
            {**REF, "ips": [one], **machine, "virtualIP": {"ephemeral": virtual_ip}},
            **web,
        )
        await world.create("networkinterfaces", "plain", {**REF, "ips": [one], **machine}, **web)
        selector = {"networkInterfaceSelector": {"matchLabels": {"app": "web"}}}
        await world.create("loadbalancers", "lb", {"type": "Public", **REF, "ipFamilies": ["IPv4"], **selector})
        await world.create("natgateways", "nat", {"type": "Public", **REF, "ipFamily": "IPv4"})
        await world.rest()
        nics = world.all("networkinterfaces")
        assert {one["status"]["state"] for one in nics.values()} == {"Available"}
        assert nics["public"]["status"]["virtualIP"] == world.all("virtualips")["public"]["status"]["ip"]
        assert world.all("loadbalancers")["lb"]["status"]["ips"]
        assert world.all("natgateways")["nat"]["status"]["ips"]
        [routing] = world.there("loadbalancerroutings").values()
        assert {one["ip"] for one in routing["destinations"]} == {"10.0.0.0", "10.0.0.1"}
        [table] = world.there("nattables").values()
        assert [one["ip"] for ip in table["ips"] for one in ip["sections"]] == nics["plain"]["status"]["ips"]
        written = world.written()
        await world.rest()
        assert world.written() == written, "somebody still writes"
        for plural, names in (
            ("networkinterfaces", ("public", "plain")),
            ("loadbalancers", ("lb",)),
            ("natgateways", ("nat",)),
            ("networks", ("blue",)),
            ("prefixes", ("root",)),
        ):
            for name in names:
                await world.delete(plural, name)
        await world.rest()
        owned = set() if garbage_collection else {"prefixes", "virtualips", "loadbalancerroutings"}
        assert {plural for plural in world.world.at_source if world.all(plural)} == owned
        # the address of a virtual IP that nobody collects
        kept = set() if garbage_collection else {"ips", "ipaddresses"}
        assert {plural for plural in world.world.at_apinet if world.there(plural)} == kept
