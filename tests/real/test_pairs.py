"""LoadBalancers and NATGateways with the installed daemon as a process between two real API servers."""

from typing import Any

import orjson
import pytest

from reconcile import Resource
from reconcile.kube import MergePatch, ObjectKey
from tests.real.daemon import Place, everybody, made
from tests.real.pairs import data_plane
from tests.real.waiting import until_right

pytestmark = pytest.mark.real
PAIR = ("loadbalancers", "loadbalancerroutings", "natgateways", "natgatewayautoscalers")
NETWORK = {"networkRef": {"name": "blue"}}


# -- what people do ----------------------------------------------------------------------------------------------------


async def create(world: Place, number: int) -> None:
    """A load balancer, where it sends its traffic, and a NAT gateway; every third balancer is an internal one."""
    spec: dict[str, Any] = {"type": "Public", "ipFamilies": ["IPv4"], "ports": [{"port": 80}], **NETWORK}
    if number % 3 == 0:
        spec |= {"type": "Internal", "ips": [{"value": f"10.9.0.{number}"}]}
    uid = "9f0c6f1e-6f43-4f3b-8a39-0d3c1a9d3b11"
    provider_id = f"{world.generation.scheme.value}://ns/nic/part.node/{uid}"
    destinations = [
        {"ip": f"10.0.{number}.2"},
        {"ip": f"10.0.{number}.1", "targetRef": {"uid": "u", "name": "nic", "providerID": provider_id}},
    ]
    bodies: tuple[tuple[Resource[Any], dict[str, Any]], ...] = (
        (world.kinds.load_balancer_routing, {"networkRef": {}, "destinations": destinations}),
        (world.kinds.load_balancer, {"spec": spec}),
        (world.kinds.nat_gateway, {"spec": {"type": "Public", "ipFamily": "IPv4", **NETWORK}}),
    )
    for kind, body in bodies:
        await world.source.create(kind, {"metadata": {"name": f"one-{number}"}, **body}, namespace=world.home)


async def change(world: Place, number: int) -> None:
    """Other ports of both, and one destination less; nothing of it costs an address."""
    key = ObjectKey(world.home, f"one-{number}")
    await world.source.patch(world.kinds.load_balancer, key, MergePatch({"spec": {"ports": [{"port": 443}]}}))
    gateway = MergePatch({"spec": {"portsPerNetworkInterface": 64}})
    await world.source.patch(world.kinds.nat_gateway, key, gateway)
    routing = MergePatch({"destinations": [{"ip": f"10.0.{number}.2"}]})
    await world.source.patch(world.kinds.load_balancer_routing, key, routing)


async def delete(world: Place, number: int) -> None:
    kinds = world.kinds
    every: tuple[Resource[Any], ...] = (kinds.load_balancer, kinds.nat_gateway, kinds.load_balancer_routing)
    for kind in every:
        await world.source.delete(kind, ObjectKey(world.home, f"one-{number}"))


# -- what is there -----------------------------------------------------------------------------------------------------


async def documents(world: Place, kind: Resource[Any]) -> dict[str, dict[str, Any]]:
    """The objects of a kind by name, whole."""
    here = kind.group == world.generation.networking
    client, namespace = (world.source, world.home) if here else (world.apinet, world.target)
    return {
        one.metadata.name: orjson.loads(one.metadata.raw)
        for one in (await client.list(kind, namespace=namespace)).items
    }


async def wrong(world: Place, number: int, port: int, ports: int, destinations: int) -> list[str]:
    """What is not as everybody wants it, exactly; nothing once the world has converged."""
    kinds = world.kinds
    balancers, gateways = await documents(world, kinds.load_balancer), await documents(world, kinds.nat_gateway)
    made = [
        await documents(world, kind)
        for kind in (
            kinds.apinet_load_balancer,
            kinds.apinet_load_balancer_routing,
            kinds.apinet_nat_gateway,
            kinds.apinet_nat_gateway_autoscaler,
        )
    ]
    found = [f"{len(one)} of a kind" for one in made if len(one) != number]
    targets, routings, nats, scalers = made
    network = (await world.network("blue")) or pytest.fail("no network")
    for place_ in range(number):
        name = f"one-{place_}"
        uids = [balancers[name]["metadata"]["uid"], gateways[name]["metadata"]["uid"]]
        target, routing = targets.get(uids[0], {}), routings.get(uids[0], {})
        nat, scaler = nats.get(uids[1], {}), scalers.get(uids[1], {})
        facts = {
            "network": all(
                one.get("spec", {}).get("networkRef") == {"name": network.metadata.uid} for one in (target, nat)
            ),
            "ports": target.get("spec", {}).get("ports") == [{"port": port}],
            "nat ports": nat.get("spec", {}).get("portsPerNetworkInterface") == ports,
            "destinations": len(routing.get("destinations") or ()) == destinations,
            "owners": [_owner(routing), _owner(scaler)] == [[_uid(target)], [_uid(nat)]],
            "addresses": _reported(balancers[name]) == _given(target) and len(_given(target)) == 1,
            "nat addresses": _reported(gateways[name]) == _given(nat) and len(_given(nat)) == 1,
        }
        found += [f"{name}: {what}" for what, holds in facts.items() if not holds]
    return found


def _uid(document: dict[str, Any]) -> str:
    return str(document.get("metadata", {}).get("uid"))


def _owner(document: dict[str, Any]) -> list[str]:
    return [str(one["uid"]) for one in document.get("metadata", {}).get("ownerReferences", ())]


def _given(document: dict[str, Any]) -> list[str]:
    return [one["ip"] for one in document.get("spec", {}).get("ips") or () if one.get("ip")]


def _reported(document: dict[str, Any]) -> list[str]:
    return document.get("status", {}).get("ips") or []


async def converged(world: Place, number: int, port: int, ports: int, destinations: int) -> None:
    async def looks() -> list[str]:
        return await wrong(world, number, port, ports, destinations)

    await until_right(looks, "everything is as everybody wants it", within=120)


async def left(world: Place) -> list[str]:
    """The names of what there still is on either side."""
    kinds = world.kinds
    every = (
        kinds.load_balancer,
        kinds.nat_gateway,
        kinds.apinet_load_balancer,
        kinds.apinet_load_balancer_routing,
        kinds.apinet_nat_gateway,
        kinds.apinet_nat_gateway_autoscaler,
    )
    return [name for kind in every for name in await documents(world, kind)]


async def gone(world: Place) -> None:
    """Nothing is left on either side."""
    await until_right(lambda: left(world), "nothing is left", within=120)


async def addresses(world: Place) -> dict[str, list[str]]:
    """What users were told, by kind and name."""
    kinds = (world.kinds.load_balancer, world.kinds.nat_gateway)
    return {
        f"{kind.kind} {name}": _reported(one) for kind in kinds for name, one in (await documents(world, kind)).items()
    }


# -- the stories -------------------------------------------------------------------------------------------------------


async def test_balancers_and_gateways_come_change_and_go_and_keep_their_addresses(world: Place) -> None:
    daemon = world.start()
    async with world.allocating(), data_plane(world.apinet_plane, world.kinds, world.target):
        await daemon.ready()
        await world.create("blue")
        await everybody(world, create, 5)
        await converged(world, 5, 80, 2048, 2)
        before = await addresses(world)
        assert await daemon.stop() == 0
        await world.silent()
        daemon = world.start()
        await everybody(world, change, 5)
        await converged(world, 5, 443, 64, 1)
        assert await addresses(world) == before
        await everybody(world, delete, 5)
        await gone(world)
    assert await daemon.stop() == 0
    assert made(world.writes()) == {"networks": 1, **dict.fromkeys(PAIR, 5)}
