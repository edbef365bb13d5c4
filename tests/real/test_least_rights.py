"""The installed daemon under just the rights that ``apinetlet rbac`` prints, on real API servers with RBAC on."""

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, frozen

from apinetlet.api import IRONCORE, ONMETAL
from reconcile import Client, NotFound, Object, ObjectKey, Resource
from reconcile.kube import MergePatch
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.processes import ProgramFailed
from tests.real import addresses, pairs
from tests.real.daemon import Daemon, Place, place
from tests.real.waiting import until

pytestmark = pytest.mark.real

NETWORK = {"networkRef": {"name": "blue"}}
PUBLIC = {"type": "Public", **NETWORK}
PEER = {"ipBlock": {"cidr": "10.0.0.0/8"}}
SPECS: Mapping[str, Mapping[str, Any]] = {
    "networks": {},
    "virtualips": {"type": "Public", "ipFamily": "IPv4"},
    "loadbalancers": {**PUBLIC, "ipFamilies": ["IPv4"], "ports": [{"port": 80, "protocol": "TCP"}]},
    "natgateways": {**PUBLIC, "ipFamily": "IPv4"},
    "networkpolicies": {
        **NETWORK,
        "networkInterfaceSelector": {},
        "ingress": [{"from": [PEER]}],
        "policyTypes": ["Ingress"],
    },
    "networkinterfaces": {**NETWORK, "ips": [{"value": "10.0.0.1"}], "ipFamilies": ["IPv4"]},
}
"""What a user declares, in this order; every kind that is mapped is among them."""
PATIENCE = 60.0
"""Seconds in which a right that is taken away has to be missed."""
ADDRESSED = {"virtualips", "loadbalancers", "natgateways"}
"""Of these their users are told addresses."""
SPARE = {"events"}
"""Nobody waits for an Event, and this story has none."""


@frozen
class Right:
    """One resource in one rule of a role."""

    side: str
    role: int
    rule: int
    resource: str


@define(eq=False)
class Bound:
    """A place whose daemon is a user with the rights that were granted, and no others."""

    world: Place
    user: str
    flags: tuple[str, ...]

    def printed(self) -> Mapping[str, Any]:
        """The manifests for the flags of this daemon."""
        words = [f"--generation={self.world.generation.name}", f"--api-net-namespace={self.world.target}", *self.flags]
        whom = [f"--subject=User:{self.user}", f"--api-net-subject=User:{self.user}", f"--role-name={self.user}"]
        command: list[str | Path] = [Path(sys.executable).with_name("apinetlet"), "rbac", "-o=json", *words, *whom]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
        found: Mapping[str, Any] = json.loads(done.stdout)
        return found

    def ask(self, word: str) -> Mapping[str, Any]:
        """What a tool says to this user."""
        ways = (
            f"--kubeconfig={self.planes[0].kubeconfig(self.user)}",
            f"--api-net-kubeconfig={self.planes[1].kubeconfig(self.user)}",
        )
        command: list[str | Path] = [Path(sys.executable).with_name("apinetlet"), word, "-o=json", *ways, *self.flags]
        command += [f"--generation={self.world.generation.name}", f"--api-net-namespace={self.world.target}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        assert done.stderr == ""
        found: Mapping[str, Any] = json.loads(done.stdout)
        return found

    async def grant(self, manifests: Mapping[str, Any]) -> None:
        for side, client in self.sides:
            for one in manifests[side]["items"]:
                where = one["metadata"].get("namespace", "")
                await client.apply(_of(one), one, field_manager=f"test-{self.user}-{where}")

    async def revoke(self, manifests: Mapping[str, Any]) -> None:
        for side, client in self.sides:
            for one in manifests[side]["items"]:
                with suppress(NotFound):
                    where = one["metadata"].get("namespace", "")
                    await client.delete(_of(one), ObjectKey(where, one["metadata"]["name"]))

    @property
    def sides(self) -> tuple[tuple[str, Client], tuple[str, Client]]:
        return ("source", self.world.source), ("apinet", self.world.apinet)

    @property
    def planes(self) -> tuple[ControlPlane, ControlPlane]:
        return self.world.source_plane, self.world.apinet_plane

    def refused(self) -> set[str]:
        """What the servers did not allow this user."""
        return {
            f"{one.verb} {one.resource}{'/' + one.subresource if one.subresource else ''}"
            for plane in self.planes
            for one in plane.audit_events()
            if one.user == self.user and one.code == 403
        }

    def start(self) -> Any:
        source, apinet = (plane.kubeconfig(self.user) for plane in self.planes)
        return self.world.start(*self.flags, source=source, apinet=apinet)

    async def story(self, within: float) -> None:
        """Everything is declared and mapped, and deleted and gone. Raises AssertionError when it is not."""
        mapped = [one for one in SPECS if self._source(one) is not None]
        for plural in mapped:
            body = {"metadata": {"name": "blue"}, "spec": SPECS[plural]}
            kind = self._source(plural)
            assert kind is not None
            await self.world.source.create(kind, body, namespace=self.world.home)
        for plural in mapped:
            await until(lambda plural=plural: self._is_held(plural), f"{plural} are mapped", within=within)  # type: ignore[misc]
        for plural in reversed(mapped):
            kind = self._source(plural)
            assert kind is not None
            await self.world.source.delete(kind, ObjectKey(self.world.home, "blue"))
        for plural in mapped:
            await until(lambda plural=plural: self._is_gone(plural), f"{plural} are gone", within=within)  # type: ignore[misc]

    def _source(self, plural: str) -> Resource[Object] | None:
        if plural == "networkpolicies" and self.world.generation is not IRONCORE:
            return None
        kinds = {"networkpolicies": "NetworkPolicy", "virtualips": "VirtualIP", "natgateways": "NATGateway"}
        kinds |= {"loadbalancers": "LoadBalancer", "networks": "Network", "networkinterfaces": "NetworkInterface"}
        return Resource.untyped(f"{self.world.generation.networking}/v1alpha1", kinds[plural], plural)

    async def _read(self, plural: str) -> Object | None:
        kind = self._source(plural)
        assert kind is not None
        try:
            return await self.world.source.get(kind, ObjectKey(self.world.home, "blue"))
        except NotFound:
            return None

    async def _is_held(self, plural: str) -> bool:
        """It has our finalizer, its address if it gets one, and its counterpart, if one is made for it, is there."""
        found = await self._read(plural)
        if found is None or not found.metadata.finalizers:
            return False
        if plural == "networkinterfaces":
            return True
        if plural in ADDRESSED and not (found.at("status", "ip") or found.at("status", "ips")):
            return False
        there = {"virtualips": ("IP", "ips")}.get(plural)
        kind, plural = there or (found.kind, plural)
        target = Resource.untyped(f"{self.world.generation.apinet}/v1alpha1", kind, plural)
        try:
            await self.world.apinet.get(target, ObjectKey(self.world.target, found.metadata.uid))
        except NotFound:
            return False
        return True

    async def _is_gone(self, plural: str) -> bool:
        return await self._read(plural) is None

    async def clean(self) -> None:
        """Nothing of the story is left."""
        for plural in SPECS:
            kind = self._source(plural)
            if kind is None:
                continue
            with suppress(NotFound):
                key = ObjectKey(self.world.home, "blue")
                await self.world.source.delete(kind, key)
                await self.world.source.patch(kind, key, MergePatch({"metadata": {"finalizers": None}}))


def _of(manifest: Mapping[str, Any]) -> Resource[Object]:
    kind = manifest["kind"]
    return Resource.untyped(manifest["apiVersion"], kind, f"{kind.lower()}s", "namespace" in manifest["metadata"])


@pytest.fixture(params=[IRONCORE, pytest.param(ONMETAL, marks=pytest.mark.proof)], ids=lambda one: one.name)
async def bound(
    two_control_planes: tuple[ControlPlane, ControlPlane], tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Bound]:
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(place(request.param, two_control_planes, tmp_path))
        for allocates in (addresses, pairs):  # what has no address has no status to write
            await stack.enter_async_context(allocates.data_plane(world.apinet_plane, world.kinds, world.target))
        await stack.enter_async_context(world.allocating())
        made = Bound(world, f"robot-{world.home}", ("--leader-elect", f"--leader-election-namespace={world.home}"))
        try:
            yield made
        finally:
            world.kill()
            await made.clean()


async def test_the_daemon_does_all_its_work_under_the_rights_that_are_printed_and_is_refused_nothing(
    bound: Bound,
) -> None:
    manifests = bound.printed()
    await bound.grant(manifests)
    daemon = bound.start()
    await daemon.ready()
    await bound.story(30.0)
    assert await daemon.stop() == 0
    assert bound.refused() == set()
    await bound.revoke(manifests)


async def test_check_and_plan_find_what_there_is_and_write_nothing(bound: Bound) -> None:
    manifests = bound.printed()
    await bound.grant(manifests)
    kind = Resource.untyped(f"{bound.world.generation.networking}/v1alpha1", "Network", "networks")
    await bound.world.source.create(kind, {"metadata": {"name": "blue"}, "spec": {}}, namespace=bound.world.home)
    checked = await anyio.to_thread.run_sync(bound.ask, "check")
    assert checked["problem"] == 0, checked
    assert {"server", "certificate of our login", "certificate of the server", "kinds", "rights", "leader"} <= {
        one["about"] for one in checked["findings"]
    }
    planned = await anyio.to_thread.run_sync(bound.ask, "plan")
    assert {(one["verb"], one["cluster"]) for one in planned["changes"]} == {("update", "source"), ("create", "apinet")}
    asked = [one for plane in bound.planes for one in plane.audit_events() if one.user == bound.user]
    assert asked
    assert {one.resource for one in asked if one.is_write} == {"selfsubjectaccessreviews"}
    assert bound.refused() <= {"get namespaces"}
    await bound.clean()
    await bound.revoke(manifests)


@pytest.mark.proof
async def test_each_right_is_missed_when_it_is_taken_away(bound: Bound) -> None:
    whole, began = bound.printed(), time.monotonic()
    idle: list[str] = []
    for number, right in enumerate(rights(whole)):
        user = f"{bound.user}-{number}-{right.side}-{right.role}-{right.rule}-{right.resource.replace('/', '-')}"
        one = Bound(bound.world, user, bound.flags)
        manifests = without(json.loads(json.dumps(whole).replace(bound.user, user)), right)
        await one.grant(manifests)
        daemon = one.start()
        with anyio.move_on_after(PATIENCE):
            await missed(one, daemon)
        daemon.process.kill()
        if not one.refused():
            idle.append(right.resource)
        await one.clean()
        await one.revoke(manifests)
    print(
        f"{bound.world.generation.name}: {len(rights(whole))} rights in {time.monotonic() - began:.0f} s, idle: {idle}"
    )
    assert set(idle) <= SPARE


async def missed(one: Bound, daemon: Daemon) -> None:
    """Wait until something is refused, or the story is over in spite of it."""
    is_over = False

    async def live() -> None:
        nonlocal is_over
        with suppress(AssertionError, ProgramFailed):  # it may not even start, and what waits for it waits in vain
            await daemon.ready()
            await one.story(PATIENCE)
        is_over = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live)
        while not is_over and not one.refused():
            await anyio.sleep(0.5)
        tasks.cancel_scope.cancel()


def rights(manifests: Mapping[str, Any]) -> Sequence[Right]:
    return [
        Right(side, place, number, resource)
        for side, found in manifests.items()
        for place, role in enumerate(found["items"])
        for number, rule in enumerate(role.get("rules", ()))
        for resource in rule["resources"]
    ]


def without(manifests: Mapping[str, Any], right: Right) -> Mapping[str, Any]:
    """The same manifests, but for one resource of one rule."""
    copy: dict[str, Any] = json.loads(json.dumps(manifests))
    rules = copy[right.side]["items"][right.role]["rules"]
    rules[right.rule]["resources"].remove(right.resource)
    if not rules[right.rule]["resources"]:
        del rules[right.rule]
    return copy
