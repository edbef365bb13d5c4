"""VirtualIPs and NetworkInterfaces with the installed daemon as a process between two real API servers."""

from typing import Any

import pytest

from apinetlet.api import apinet, networking
from apinetlet.origin import Origins
from provider import ProviderID
from reconcile.kube import MergePatch, ObjectKey
from tests.real.addresses import data_plane
from tests.real.daemon import Place, everybody, made
from tests.real.waiting import until_right

pytestmark = pytest.mark.real


# -- what people do ----------------------------------------------------------------------------------------------------


async def create(world: Place, number: int) -> None:
    """A machine with an interface, a VirtualIP, and the interface of a user who wants it and stands on the machine."""
    spec = {"nodeRef": {"name": "node"}, "networkRef": {"name": "net"}, "ips": ["10.0.0.1"]}
    machine = {"metadata": {"name": f"machine-{number}"}, "spec": spec}
    made = await world.apinet.create(world.kinds.apinet_network_interface, machine, namespace=world.target)
    vip = {"metadata": {"name": f"vip-{number}"}, "spec": {"type": "Public", "ipFamily": "IPv4"}}
    await world.source.create(world.kinds.virtual_ip, vip, namespace=world.home)
    provider_id = ProviderID.network_interface(
        world.generation.scheme, namespace=world.target, name="any", node="any", uid=made.metadata.uid
    )
    wants: dict[str, Any] = {
        "networkRef": {"name": "net"},
        "ips": [{"value": "10.0.0.1"}],
        "prefixes": [{"value": f"10.1.{number}.0/24"}],
        "virtualIP": {"virtualIPRef": {"name": f"vip-{number}"}},
        "providerID": str(provider_id),
    }
    nic = {"metadata": {"name": f"nic-{number}"}, "spec": wants}
    await world.source.create(world.kinds.network_interface, nic, namespace=world.home)


async def change(world: Place, number: int) -> None:
    """The user wants another prefix, and the VirtualIP of the neighbour where that is free: here, none."""
    patch = MergePatch({"spec": {"prefixes": [{"value": f"10.2.{number}.0/24"}]}})
    await world.source.patch(world.kinds.network_interface, ObjectKey(world.home, f"nic-{number}"), patch)


async def delete(world: Place, number: int) -> None:
    """The user deletes both of theirs; the machine stays."""
    await world.source.delete(world.kinds.virtual_ip, ObjectKey(world.home, f"vip-{number}"))
    await world.source.delete(world.kinds.network_interface, ObjectKey(world.home, f"nic-{number}"))


# -- what is there -----------------------------------------------------------------------------------------------------


async def all_of(
    world: Place,
) -> tuple[
    dict[str, networking.VirtualIP],
    dict[str, networking.NetworkInterface],
    dict[str, apinet.IP],
    dict[str, apinet.NetworkInterface],
]:
    kinds = world.kinds
    vips = (await world.source.list(kinds.virtual_ip, namespace=world.home)).items
    nics = (await world.source.list(kinds.network_interface, namespace=world.home)).items
    ips = (await world.apinet.list(kinds.apinet_ip, namespace=world.target)).items
    machines = (await world.apinet.list(kinds.apinet_network_interface, namespace=world.target)).items
    return (
        {one.metadata.name: one for one in vips},
        {one.metadata.name: one for one in nics},
        {one.metadata.name: one for one in ips},
        {one.metadata.name: one for one in machines},
    )


async def wrong(world: Place, number: int, prefix: str) -> list[str]:
    """What is not as everybody wants it, exactly; nothing once the world has converged."""
    vips, nics, ips, machines = await all_of(world)
    found = [f"{len(ips)} IPs"] if len(ips) != number else []
    origins = Origins(world.generation, "NetworkInterface")
    for one in range(number):
        vip, nic, machine = vips[f"vip-{one}"], nics[f"nic-{one}"], machines[f"machine-{one}"]
        ip, target = ips.get(vip.metadata.uid), vip.spec.target_ref
        address = ip.spec.ip if ip is not None else ""
        facts = {
            "address": bool(address) and vip.status.ip == address,
            "claim": target is not None and target.uid == nic.metadata.uid,
            "origin": origins.of(machine.metadata) == origins.origin(nic.metadata),
            "public": [entry.ip for entry in machine.spec.public_ips] == [address],
            "prefixes": machine.spec.prefixes == (prefix.format(one),) == nic.status.prefixes,
            "status": (nic.status.state, nic.status.virtual_ip, nic.status.ips)
            == ("Available", address, ("10.0.0.1",)),
            "claimed": ip is not None
            and ip.spec.claim_ref is not None
            and ip.spec.claim_ref.uid == machine.metadata.uid,
        }
        found += [f"{one}: {what}" for what, holds in facts.items() if not holds]
    return found


async def converged(world: Place, number: int, prefix: str) -> None:
    await until_right(lambda: wrong(world, number, prefix), "everything is as everybody wants it", within=120)


async def left(world: Place, number: int) -> list[str]:
    """What there still is of users' objects, and of so many machines what their providers did not make."""
    vips, nics, ips, machines = await all_of(world)
    stained = [
        name
        for name, one in machines.items()
        if one.metadata.labels or one.metadata.annotations or one.spec.public_ips or one.spec.prefixes
    ]
    found = [*vips, *nics, *ips, *stained]
    return found if len(machines) == number else [*found, f"{len(machines)} machines"]


async def gone(world: Place, number: int) -> None:
    """Nothing is left of users' objects, and of machines only what their providers made."""
    await until_right(lambda: left(world, number), "nothing is left", within=120)


# -- the stories -------------------------------------------------------------------------------------------------------


async def test_addresses_come_are_used_change_and_go(world: Place) -> None:
    daemon = world.start()
    async with data_plane(world.apinet_plane, world.kinds, world.target):
        await daemon.ready()
        await everybody(world, create, 5)
        await converged(world, 5, "10.1.{}.0/24")
        assert await daemon.stop() == 0
        await world.silent()
        daemon = world.start()
        await everybody(world, change, 5)
        await converged(world, 5, "10.2.{}.0/24")
        await everybody(world, delete, 5)
        await gone(world, 5)
    assert await daemon.stop() == 0
    assert made(world.writes()) == {"ips": 5}
    assert not [
        one for one in world.writes() if one.resource == "networkinterfaces" and one.verb in ("create", "delete")
    ]
