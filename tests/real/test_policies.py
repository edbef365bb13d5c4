"""NetworkPolicies and peerings with the installed daemon as a process between two real API servers."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from apinetlet.api import IRONCORE, PolicyKinds
from reconcile import NotFound, Resource
from reconcile.kube import MergePatch, ObjectKey
from reconcile.testing.envtest import ControlPlane
from tests.real.daemon import Place, place, readable
from tests.real.waiting import until

pytestmark = pytest.mark.real
FOUND = PolicyKinds.of(IRONCORE)
assert FOUND is not None
POLICIES: PolicyKinds = FOUND


@pytest.fixture
async def world(two_control_planes: tuple[ControlPlane, ControlPlane], tmp_path: Path) -> AsyncIterator[Place]:
    async with place(IRONCORE, two_control_planes, tmp_path) as one:
        try:
            yield one
        finally:
            one.kill()
            for left in (await one.source.list(POLICIES.source, namespace=one.home)).items:
                with suppress(NotFound):
                    none = MergePatch({"metadata": {"finalizers": None}})
                    await one.source.patch(POLICIES.source, left.metadata.key, none)


async def document(world: Place, kind: Resource[Any], name: str) -> dict[str, Any]:
    """An object of the api-net cluster; empty if there is none."""
    try:
        found = await world.apinet.get(kind, ObjectKey(world.target, name))
    except NotFound:
        return {}
    return dict(orjson.loads(found.metadata.raw))


async def nic(world: Place, name: str, ip: str, network: str, **labels: str) -> None:
    kind = world.kinds.apinet_network_interface
    spec = {"nodeRef": {"name": "node"}, "networkRef": {"name": network}, "ips": [ip]}
    body = {"metadata": {"name": name, "labels": labels}, "spec": spec}
    await world.apinet.create(kind, body, namespace=world.target)
    await program(world, name, "Ready")


async def program(world: Place, name: str, state: str) -> None:
    kind, patch = world.kinds.apinet_network_interface, MergePatch({"status": {"state": state}})
    await world.apinet.patch(kind, ObjectKey(world.target, name), patch, subresource="status")


async def let_in(world: Place, name: str, *claims: dict[str, str]) -> None:
    patch = MergePatch({"spec": {"incomingPeerings": list(claims) or None}})
    await world.source.patch(world.kinds.network, ObjectKey(world.home, name), patch)


async def test_policies_are_resolved_and_networks_peered_and_all_of_it_goes_again(world: Place) -> None:
    kinds, daemon = world.kinds, world.start()
    async with world.allocating():
        await daemon.ready()
        uids = {}
        for name, peer in (("blue", "green"), ("green", "blue")):
            body = {
                "metadata": {"name": name},
                "spec": {"peerings": [{"name": f"to-{peer}", "networkRef": {"name": peer}}]},
            }
            uids[name] = (await world.source.create(kinds.network, body, namespace=world.home)).metadata.uid
        await nic(world, "web", "10.0.0.2", uids["blue"], app="web")
        await nic(world, "proxy", "10.0.0.1", uids["blue"], app="proxy")
        chosen = {"objectSelector": {"kind": "NetworkInterface", "matchLabels": {"app": "proxy"}}}
        spec = {
            "networkRef": {"name": "blue"},
            "networkInterfaceSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"ports": [{"port": 443}], "from": [chosen]}],
            "policyTypes": ["Ingress"],
        }
        body = {"metadata": {"name": "guard"}, "spec": spec}
        guard = (await world.source.create(POLICIES.source, body, namespace=world.home)).metadata.uid
        await let_in(world, "blue", {"name": "green", "namespace": world.home, "uid": uids["green"]})
        await let_in(world, "green", {"name": "blue", "namespace": world.home, "uid": uids["blue"]})

        async def enforced() -> tuple[list[str], list[str]]:
            found = await document(world, POLICIES.rule, guard)
            ips = [one["prefix"] for entry in found.get("ingressRule", ()) for one in entry.get("ips") or ()]
            return [one["ip"] for one in found.get("targets") or ()], ips

        async def peered(name: str) -> list[tuple[str, str]]:
            found = (await document(world, kinds.apinet_network, uids[name])).get("spec", {})
            return [(one["name"], one["id"]) for one in found.get("peerings") or ()]

        async def is_all_there() -> bool:
            ids = {
                name: (await document(world, kinds.apinet_network, uid)).get("spec", {}).get("id")
                for name, uid in uids.items()
            }
            return (
                all(ids.values())
                and await enforced() == (["10.0.0.2"], ["10.0.0.1/32"])
                and await peered("blue") == [("to-green", ids["green"])]
                and await peered("green") == [("to-blue", ids["blue"])]
            )

        await until(is_all_there, "the policy is enforced and the networks are peered", within=60)
        before = (await document(world, kinds.apinet_network, uids["blue"]))["spec"]["id"]
        told = {"status": {"peerings": {"p1": [{"id": int((await peered("blue"))[0][1]), "state": "Ready"}]}}}
        key = ObjectKey(world.target, uids["blue"])
        await world.apinet.patch(kinds.apinet_network, key, MergePatch(told), subresource="status")
        await program(world, "web", "Pending")
        await let_in(world, "green")

        async def is_otherwise() -> bool:
            states = [one.state for one in (await world.network("blue") or pytest.fail("gone")).status.peerings]
            return states == ["Ready"] and await enforced() == ([], ["10.0.0.1/32"]) and await peered("green") == []

        await until(is_otherwise, "the rule and the peerings have followed", within=60)
        # an apply that stops to name the peerings takes nothing else away
        assert (await document(world, kinds.apinet_network, uids["blue"]))["spec"]["id"] == before
        assert (await document(world, kinds.apinet_network, uids["green"]))["spec"]["id"]
        await world.source.delete(POLICIES.source, ObjectKey(world.home, "guard"))
        for name in uids:
            await world.delete(name)

        async def is_gone() -> bool:
            left = [await document(world, kind, guard) for kind in (POLICIES.target, POLICIES.rule)]
            return not any(left) and not await world.counterparts() and await world.network("blue") is None

        await until(is_gone, "nothing is left", within=60)
    assert await daemon.stop() == 0
    refused = [readable(one) for one in world.writes() if one.code not in (200, 201, 404, 409)]
    assert refused == []
