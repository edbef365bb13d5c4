"""Every story of peered Networks: who does what to both clusters, and what must come of it.

The acceptance scenarios, restated. ``then`` of a story holds in every telling, however the daemon is disturbed; and at
no moment of any telling does a network show its peer more than its user said.
"""

import functools
from typing import Any

from apinetlet.api import IRONCORE, Kinds
from reconcile import ObjectKey
from reconcile.kube import MergePatch
from reconcile.testing.scenario import Act, Look, Scenario, Step, step
from reconcile.testing.world import World
from tests.scenarios.networks import (
    APINET,
    HOME,
    SOURCE,
    TARGET,
    change,
    delete,
    namespaces,
    networks,
    nothing_left,
)
from tests.scenarios.networks import a_world as a_world_of_networks
from tests.scenarios.pairs import create, name_of, objects

KINDS = Kinds.of(IRONCORE)
PARTNER = "5f1c6e0a-0000-4000-8000-000000000001"
"""The uid of a network that somebody else maps, under an ID that is the same in every world."""
PARTNER_ID = 4242
SHOWN = {"name": "part", "prefixRef": {"name": "part"}}


def a_world(**settings: Any) -> World:
    """Two servers, and apinetlet between them."""
    world = a_world_of_networks(IRONCORE, **settings)
    before = world.always

    def always(world: World) -> None:
        if before is not None:
            before(world)
        for one in objects(world, KINDS.apinet_network):
            for peering in one["spec"].get("peerings") or ():
                assert peering["name"] != "shows-a-part" or peering.get("prefixes"), "a network shows all of itself"

    world.always = always
    return world


# -- what people do ----------------------------------------------------------------------------------------------------


def network(name: str, *peerings: dict[str, Any]) -> Act:
    return create(KINDS.network, name, spec={"peerings": list(peerings)} if peerings else {})


def wants(peer: str, name: str = "to", prefixes: Any = ()) -> dict[str, Any]:
    return {
        "name": f"{name}-{peer}" if name == "to" else name,
        "networkRef": {"name": peer},
        "prefixes": list(prefixes),
    }


def let_in(name: str, *peers: str) -> Act:
    """The API's controllers leave claims on a network for those that are there."""

    async def act(world: World) -> None:
        uids = {one: meta.metadata.uid for one, meta in networks(KINDS, world).items()} | {"partner": PARTNER}
        claims = [{"namespace": HOME, "name": one, "uid": uids[one]} for one in peers]
        await change(KINDS, name, {"spec": {"incomingPeerings": claims or None}})(world)

    return act


async def partner(world: World) -> None:
    """Somebody makes the counterpart of the partner."""
    body = {"metadata": {"name": PARTNER}, "spec": {"id": str(PARTNER_ID)}}
    await world.client(APINET).create(KINDS.apinet_network, body, namespace=TARGET)


def says(name: str, **partitions: str | None) -> Act:
    """The data plane reports the peering with the partner, by partition."""

    async def act(world: World) -> None:
        key = ObjectKey(TARGET, networks(KINDS, world)[name].metadata.uid)
        told = {
            one: None if state is None else [{"id": PARTNER_ID, "state": state}] for one, state in partitions.items()
        }
        patch = MergePatch({"status": {"peerings": told}})
        await world.client(APINET).patch(KINDS.apinet_network, key, patch, subresource="status")

    return act


def prefix(phase: str) -> Act:
    async def act(world: World) -> None:
        key, patch = ObjectKey(HOME, "part"), MergePatch({"status": {"phase": phase}})
        await world.client(SOURCE).patch(KINDS.prefix, key, patch, subresource="status")

    return act


# -- what is there -----------------------------------------------------------------------------------------------------


def peered(**peerings: dict[str, str]) -> Look:
    """The counterparts of these networks have just these peerings: names, and with whom."""

    def look(world: World) -> None:
        uids = {name: one.metadata.uid for name, one in networks(KINDS, world).items()} | {"partner": PARTNER}
        there = {name_of(one): one["spec"] for one in objects(world, KINDS.apinet_network)}
        for name, expected in peerings.items():
            found = {one["name"]: one["id"] for one in there[uids[name]].get("peerings") or ()}
            assert found == {one: there[uids[peer]]["id"] for one, peer in expected.items()}

    return look


def reported(**states: str) -> Look:
    """These networks say of their one peering that it is so; "": they say nothing."""

    def look(world: World) -> None:
        for name, state in states.items():
            found = networks(KINDS, world)[name].status.peerings
            assert [one.state for one in found] == ([state] if state else [])

    return look


def is_mapped(*names: str) -> Any:
    """Whether these networks have their provider IDs."""
    return lambda world: all(
        name in networks(KINDS, world) and networks(KINDS, world)[name].spec.provider_id for name in names
    )


def both(*looks: Look) -> Look:
    def look(world: World) -> None:
        for one in looks:
            one(world)

    return look


# -- the stories -------------------------------------------------------------------------------------------------------


def stories() -> list[Scenario]:
    """All of them."""
    blue, green = network("blue", wants("green")), network("green", wants("blue"))
    each_other = peered(blue={"to-green": "green"}, green={"to-blue": "blue"})
    claims = (let_in("blue", "green"), let_in("green", "blue"))
    with_partner = network("blue", wants("partner"))

    def story(name: str, *steps: Step, then: Look, setup: Act | None = None, world: Any = a_world) -> Scenario:
        return Scenario(name, world, steps, setup=setup or namespaces(), then=then)

    return [
        story("two that want each other", step(blue, green), step(*claims), then=each_other),
        story(
            "one of them goes",
            step(blue, green),
            step(*claims),
            step(delete(KINDS, "green"), needs=is_mapped("blue", "green")),
            then=peered(blue={}),
        ),
        story(
            "both go",
            step(blue, green),
            step(*claims),
            step(delete(KINDS, "green"), delete(KINDS, "blue"), needs=is_mapped("blue", "green")),
            then=nothing_left(KINDS),
        ),
        story(
            "one of them is made anew",
            step(blue, green),
            step(*claims),
            step(delete(KINDS, "green"), needs=is_mapped("blue", "green")),
            step(green, needs=lambda world: "green" not in networks(KINDS, world)),
            step(*claims),
            then=each_other,
        ),
        story(
            "the peer is mapped later than it is claimed",
            step(with_partner),
            step(let_in("blue", "partner"), partner),
            then=peered(blue={"to-partner": "partner"}),
        ),
        story(
            "the claim goes",
            step(with_partner, partner),
            step(let_in("blue", "partner")),
            step(says("blue", p1="Ready"), needs=is_mapped("blue")),
            step(let_in("blue")),
            then=both(peered(blue={}), reported(blue="")),
        ),
        story(
            "what is shown is allocated later",
            step(create(KINDS.prefix, "part", spec={"prefix": "10.0.0.0/24"})),
            step(network("blue", wants("partner", "shows-a-part", [SHOWN])), partner),
            step(let_in("blue", "partner"), prefix("Allocated")),
            step(says("blue", p1="Ready"), needs=is_mapped("blue")),
            then=both(peered(blue={"shows-a-part": "partner"}), reported(blue="Ready")),
        ),
        story(
            "partitions report",
            step(with_partner, partner),
            step(let_in("blue", "partner")),
            step(says("blue", p1="Ready"), says("blue", p2="Pending"), needs=is_mapped("blue")),
            step(says("blue", p2="Ready"), says("blue", p1="Error")),
            step(says("blue", p1=None)),
            then=both(peered(blue={"to-partner": "partner"}), reported(blue="Ready")),
        ),
        story(
            "states are disabled",
            step(with_partner, partner),
            step(let_in("blue", "partner")),
            step(says("blue", p1="Ready"), needs=is_mapped("blue")),
            world=functools.partial(a_world, disable_network_peering=True),
            then=both(peered(blue={"to-partner": "partner"}), reported(blue="")),
        ),
        story(
            "others write into the counterpart and into the status",
            step(with_partner, partner),
            step(let_in("blue", "partner")),
            step(says("blue", p1="Ready"), needs=is_mapped("blue")),
            step(_meddle, _muddle),
            then=both(peered(blue={"to-partner": "partner"}), reported(blue="Ready")),
        ),
    ]


async def _meddle(world: World) -> None:
    key = ObjectKey(TARGET, networks(KINDS, world)["blue"].metadata.uid)
    patch = MergePatch({"spec": {"peerings": [{"name": "theirs", "id": "7"}]}})
    await world.client(APINET).patch(KINDS.apinet_network, key, patch)


async def _muddle(world: World) -> None:
    patch = MergePatch({"status": {"peerings": [{"name": "to-partner", "state": "Error"}, {"name": "theirs"}]}})
    await world.client(SOURCE).patch(KINDS.network, ObjectKey(HOME, "blue"), patch, subresource="status")
