"""Somebody else writes at random to everything that we touch: what is theirs stays, what is ours comes back.

Theirs are labels, annotations and finalizers under names of their own, and NAT entries. Ours are claims, addresses,
prefixes and the status. Everything is drawn from one seed, also when who writes; at the end both sides of the world are
compared with what the two parties wanted.
"""

import random
from collections.abc import Callable
from typing import Any, TypeAlias

import anyio
import pytest
from attrs import Factory, define

from apinetlet.api import GENERATIONS, Generation
from reconcile import Client, Conflict, Object, ObjectKey, Resource
from reconcile.kube import MergePatch
from reconcile.kube.kinds import NAMESPACE
from reconcile.kube.views import thaw
from reconcile.testing.converge import assert_converges
from reconcile.testing.loop import run
from tests.scenarios.address_stories import a_world, people, serves
from tests.scenarios.networks import APINET
from tests.scenarios.people import HOME, TARGET, Both

Record: TypeAlias = Callable[[str, object], None]
DOMAIN = "example.org"
WRITES, TIME = 120, 240.0
"""How much the stranger writes, and in how many virtual seconds."""
NAT6 = [{"ipFamily": "IPv6", "claimRef": {"name": "h", "uid": "uid-h"}}]


@define
class Stranger:
    """Writes to one object, and remembers what of it is theirs."""

    client: Client
    resource: Resource[Object]
    key: ObjectKey
    meddles: tuple[dict[str, Any], ...]
    """Patches of what is ours."""
    labels: dict[str, str] = Factory(dict)
    annotations: dict[str, str] = Factory(dict)
    finalizers: set[str] = Factory(set)
    nat: list[dict[str, Any]] | None = None
    """Of an interface of the data plane."""

    async def write(self, rng: random.Random) -> None:
        """Change something of theirs, or of ours."""
        kind = rng.choice(
            ["labels", "annotations", "finalizers", "ours", "ours", *(["nat"] if self.nat is not None else [])]
        )
        name = f"{DOMAIN}/{rng.choice('abc')}"
        if kind == "ours":
            await self._patch(rng.choice(self.meddles))
        elif kind == "nat":
            self.nat = [] if self.nat else NAT6
            await self._patch({"spec": {"natGateways": self.nat or None}})
        elif kind == "finalizers":
            await self._toggle(name)
        else:
            mine: dict[str, str] = getattr(self, kind)
            if name in mine:
                del mine[name]
            else:
                mine[name] = str(rng.randrange(100))
            await self._patch({"metadata": {kind: {name: mine.get(name)}}})

    async def _toggle(self, name: str) -> None:
        """Finalizers are one list, so a writer that means well reads it, and guards what it writes."""
        self.finalizers ^= {name}
        while True:
            seen = await self.client.get(self.resource, self.key)
            others = [one for one in seen.metadata.finalizers if one != name]
            wanted = [*others, name] if name in self.finalizers else others
            head = {"resourceVersion": seen.metadata.resource_version, "finalizers": wanted or None}
            try:
                return await self._patch({"metadata": head})
            except Conflict:
                continue

    async def _patch(self, value: dict[str, Any]) -> None:
        await self.client.patch(self.resource, self.key, MergePatch(value))

    async def check(self) -> None:
        """See that everything of theirs is there, and nothing that they took away."""
        found = await self.client.get(self.resource, self.key)
        meta = found.metadata
        assert _theirs(meta.labels) == self.labels
        assert _theirs(meta.annotations) == self.annotations
        assert {one for one in meta.finalizers if one.startswith(DOMAIN)} == self.finalizers
        if self.nat is not None:
            assert thaw(found.get("spec", {}).get("natGateways") or []) == self.nat


def _theirs(values: Any) -> dict[str, str]:
    return {name: value for name, value in values.items() if name.startswith(f"{DOMAIN}/")}


def strangers(both: Both) -> list[Stranger]:
    """One for each object of the world."""
    kinds, origin = both.kinds, both.origin_of("NetworkInterface", "nic", "u")
    gone = {name: dict.fromkeys(values) for name, values in origin.items()}
    ip_origin = {name: dict.fromkeys(values) for name, values in both.origin_of("VirtualIP", "public", "u").items()}
    plain: dict[Resource[Any], Resource[Object]] = {
        one: Resource(one.group, one.version, one.kind, one.plural)
        for one in (kinds.virtual_ip, kinds.network_interface, kinds.apinet_ip, kinds.apinet_network_interface)
    }
    forged = both.origin_of("NetworkInterface", "somebody", "no-such-uid")
    return [
        Stranger(
            both.user,
            plain[kinds.virtual_ip],
            ObjectKey(HOME, "public"),
            ({"spec": {"targetRef": None}}, {"status": {"ip": None}}, {"status": {"ip": "198.18.9.9"}}),
        ),
        Stranger(
            both.user,
            plain[kinds.network_interface],
            ObjectKey(HOME, "nic"),
            (
                {"status": {"state": "Error", "ips": ["10.9.9.9"], "virtualIP": "10.9.9.9"}},
                {"status": None},
                {"metadata": {"finalizers": None}},
            ),
        ),
        Stranger(
            both.provider,
            plain[kinds.apinet_ip],
            ObjectKey(TARGET, both.vip().metadata.uid),
            ({"metadata": ip_origin},),
        ),
        Stranger(
            both.provider,
            plain[kinds.apinet_network_interface],
            ObjectKey(TARGET, "machine-0"),
            (
                {"metadata": gone},
                {"metadata": forged},
                {"spec": {"publicIPs": None}},
                {"spec": {"prefixes": ["10.9.0.0/16"]}},
            ),
            nat=[],
        ),
    ]


async def story(generation: Generation, seed: int) -> None:
    rng = random.Random(f"stranger {seed}")
    async with a_world(generation) as world:
        both = people(generation, world)
        await world.client(APINET).create(NAMESPACE, {"metadata": {"name": TARGET}})
        world.start()
        await both.create_vip()
        await both.create_nic(on=await both.create_interface(), vip="public")
        await world.quiesce()
        assert serves(both)
        theirs = strangers(both)
        for _ in range(WRITES):
            one = rng.choice(theirs)
            await one.write(rng)
            if one.meddles[-1].get("metadata", {}).get("finalizers", "") is None:
                seen = await one.client.get(one.resource, one.key)
                one.finalizers &= set(seen.metadata.finalizers)  # they took all away, their own too
            await anyio.sleep(rng.expovariate(WRITES / TIME))
        await world.quiesce()
        for one in theirs:
            await one.check()
        assert serves(both)
        assert both.nic().status.state == "Pending"
        assert both.interface().spec.prefixes == ()
        assert generation.finalizer("NetworkInterface") in both.nic().metadata.finalizers
        await assert_converges(world)


GENERATION = pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)


@GENERATION
def test_what_is_theirs_stays_and_what_is_ours_comes_back(
    generation: Generation, world_seed: int, record_property: Record
) -> None:
    rng = random.Random(world_seed)
    seeds = [rng.getrandbits(32) for _ in range(4)]
    for seed in seeds:
        run(story(generation, seed))
    record_property("worlds", len(seeds))


@pytest.mark.proof
@GENERATION
def test_in_fifty_worlds_what_is_theirs_stays_and_what_is_ours_comes_back(
    generation: Generation, record_property: Record
) -> None:
    for seed in range(50):
        run(story(generation, seed))
    record_property("worlds", 50)
