"""Network policies and peerings, whatever comes first: all that they look at, in any order, each cluster heard late.

What one of them needs may come after it, go again, and come back: a label, a claim, a provider ID, an address.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from attrs import frozen

from apinetlet.api import IRONCORE
from provider import ProviderID
from reconcile import ObjectKey
from reconcile.kube import MergePatch
from reconcile.testing.converge import assert_converges
from reconcile.testing.faultplan import Delayed, FaultPlan
from reconcile.testing.loop import run
from reconcile.testing.scenario import Act, Look
from reconcile.testing.state import State, differences
from reconcile.testing.world import World
from tests.scenarios import peering_stories as peering
from tests.scenarios import policy_stories as policies
from tests.scenarios.networks import APINET, HOME, SOURCE, TARGET, namespaces
from tests.scenarios.pairs import change, create, name_of, objects

KINDS = policies.KINDS
LAGS = pytest.mark.parametrize(
    "lag", ["", SOURCE, APINET], ids=["no lag", "slow source cluster", "slow api-net cluster"]
)


@frozen
class Tale:
    """Acts by name, which of them an act needs to have happened, and what must be there in the end."""

    a_world: Callable[[], World]
    acts: Mapping[str, Act]
    needs: Mapping[str, tuple[str, ...]]
    then: tuple[Look, ...]

    def orders(self) -> Iterator[tuple[str, ...]]:
        """All that are possible."""
        return filter(self._is_possible, itertools.permutations(self.acts))

    def some(self, number: int, seed: int) -> list[tuple[str, ...]]:
        rng, found = random.Random(seed), list[tuple[str, ...]]()
        while len(found) < number:
            order = rng.sample([*self.acts], len(self.acts))
            if self._is_possible(order):
                found.append(tuple(order))
        return found

    def _is_possible(self, order: Sequence[str]) -> bool:
        return all(order.index(one) < order.index(name) for name, needed in self.needs.items() for one in needed)


async def told(tale: Tale, order: Sequence[str], *, pause: bool, lag: str) -> State:
    """The end state of one telling."""
    async with tale.a_world() as world:
        await namespaces()(world)
        if lag:
            world.fail(lag, FaultPlan.of(Delayed(5.0, 5.0)))
        world.start()
        for name in order:
            await tale.acts[name](world)
            if pause:
                await world.quiesce()
        await world.quiesce()
        world.heal()
        for look in tale.then:
            look(world)
        return await assert_converges(world)


def come_to_one_end(tale: Tale, orders: Sequence[tuple[str, ...]], *, pauses: Sequence[bool], lag: str) -> None:
    first, *others = (run(told(tale, order, pause=pause, lag=lag)) for order in orders for pause in pauses)
    assert [differences(first, end) for end in others] == [[]] * len(others)


# -- policies ----------------------------------------------------------------------------------------------------------


async def _machine(world: World) -> None:
    """The provider of machines makes an interface; which network it is in, its user says, too."""
    spec = {"nodeRef": {"name": "node"}, "networkRef": {"name": "any"}, "ips": ["10.0.0.4"]}
    body = {"metadata": {"name": "machine"}, "spec": spec}
    await world.client(APINET).create(KINDS.apinet_network_interface, body, namespace=TARGET)


async def _user(world: World) -> None:
    spec = {"networkRef": {"name": "blue"}, "ips": [{"value": "10.0.0.4"}]}
    await world.client(SOURCE).create(
        KINDS.network_interface, {"metadata": {"name": "nic"}, "spec": spec}, namespace=HOME
    )


async def _attached(world: World) -> None:
    """Only now it is said which interface of the data plane that is."""
    found = next(one for one in objects(world, KINDS.apinet_network_interface) if name_of(one) == "machine")
    parts = {"namespace": TARGET, "name": "machine", "node": "node", "uid": found["metadata"]["uid"]}
    patch = {"spec": {"providerID": str(ProviderID.network_interface(IRONCORE.scheme, **parts))}}
    await world.client(SOURCE).patch(KINDS.network_interface, ObjectKey(HOME, "nic"), MergePatch(patch))


def _labelled(kind: Any, name: str, app: str | None) -> Act:
    return change(kind, name, {"metadata": {"labels": {"app": app}}})


def policy_tale() -> Tale:
    """A policy for one interface that lets in a load balancer and a virtual IP."""
    inner = {"type": "Internal", "ipFamilies": ["IPv4"], "ips": [{"value": "10.0.0.9"}], "networkRef": {"name": "blue"}}
    public = {"type": "Public", "ipFamily": "IPv4"}
    acts = {
        "network": create(KINDS.network, "blue", spec={}),
        "policy": create(policies.POLICIES.source, "guard", spec=policies.SPEC),
        "machine": _machine,
        "ready": policies.program("machine", "Ready"),
        "user": _user,
        "label": _labelled(KINDS.network_interface, "nic", "web"),
        "attached": _attached,
        "balancer": create(KINDS.load_balancer, "front", spec=inner),
        "label of it": _labelled(KINDS.load_balancer, "front", "front"),
        "virtual IP": create(KINDS.virtual_ip, "dns", metadata={"labels": {"app": "dns"}}, spec=public),
    }
    needs = {
        "ready": ("machine",),
        "label": ("user",),
        "attached": ("machine", "user"),
        "label of it": ("balancer",),
    }
    then = (policies.mapped("10.0.0.4", peers=("10.0.0.9/32",)), policies.lets_the_address_of_dns_in)
    return Tale(policies.a_world, acts, needs, then)


def fickle_tale() -> Tale:
    """The same, after all of it was there and went out of the policy, one by one; then it comes back."""
    tale = policy_tale()
    there = [tale.acts[name] for name in ("network", "policy", "machine", "ready", "user", "label", "attached")]
    there += [tale.acts[name] for name in ("balancer", "label of it", "virtual IP")]

    async def all_there(world: World) -> None:
        for act in there:
            await act(world)

    acts = {
        "all": all_there,
        "not ready": policies.program("machine", "Pending"),
        "no label": _labelled(KINDS.network_interface, "nic", None),
        "detached": change(KINDS.network_interface, "nic", {"spec": {"providerID": ""}}),
        "no label of it": _labelled(KINDS.load_balancer, "front", None),
        **{name: tale.acts[name] for name in ("ready", "label", "attached", "label of it")},
    }
    pairs = {"ready": "not ready", "label": "no label", "attached": "detached", "label of it": "no label of it"}
    needs = {**dict.fromkeys(pairs.values(), ("all",)), **{back: (away,) for back, away in pairs.items()}}
    return Tale(policies.a_world, acts, needs, tale.then)


@pytest.mark.parametrize("tale", [policy_tale(), fickle_tale()], ids=["comes", "goes and comes back"])
def test_in_whatever_order_what_a_policy_means_comes_it_comes_to_one_end(tale: Tale, world_seed: int) -> None:
    come_to_one_end(tale, tale.some(3, world_seed), pauses=(True,), lag="")


@pytest.mark.proof
@LAGS
@pytest.mark.parametrize("tale", [policy_tale(), fickle_tale()], ids=["comes", "goes and comes back"])
def test_in_whatever_order_and_pace_what_a_policy_means_comes_it_comes_to_one_end(
    tale: Tale, lag: str, world_seed: int
) -> None:
    come_to_one_end(tale, tale.some(60, world_seed), pauses=(False, True), lag=lag)


# -- peerings ----------------------------------------------------------------------------------------------------------


def peering_tale() -> Tale:
    """Two networks, one of which shows a part of itself."""
    blue = peering.network("blue", peering.wants("green", "shows-a-part", [peering.SHOWN]))
    acts = {
        "blue": blue,
        "green": peering.network("green", peering.wants("blue")),
        "claim of green": peering.let_in("blue", "green"),
        "claim of blue": peering.let_in("green", "blue"),
        "prefix": create(KINDS.prefix, "part", spec={"prefix": "10.0.0.0/24"}),
        "allocated": peering.prefix("Allocated"),
    }
    needs = {"allocated": ("prefix",), "claim of green": ("blue", "green"), "claim of blue": ("blue", "green")}
    then = (peering.peered(blue={"shows-a-part": "green"}, green={"to-blue": "blue"}),)
    return Tale(peering.a_world, acts, needs, then)


def test_in_whatever_order_what_a_peering_needs_comes_it_comes_to_one_end(world_seed: int) -> None:
    tale = peering_tale()
    come_to_one_end(tale, tale.some(4, world_seed), pauses=(True,), lag="")


@pytest.mark.proof
@LAGS
def test_in_whatever_order_and_pace_what_a_peering_needs_comes_it_comes_to_one_end(lag: str) -> None:
    tale = peering_tale()
    come_to_one_end(tale, [*tale.orders()], pauses=(False, True), lag=lag)
