"""What the demo shows: steps that somebody takes, and for each what the two clusters must come to.

A goal asks about the state of the world, never about what anybody did.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from attrs import frozen

from apinetlet.api import Generation
from apinetlet.demo.policies import Effect, enforced
from apinetlet.demo.table import Scene, connected, mapped
from apinetlet.demo.world import World
from reconcile import NotFound, Object

_NETWORK = {"networkRef": {"name": "blue"}}
_ADDRESS = {"ephemeral": {"prefixTemplate": {"spec": {"ipFamily": "IPv4", "parentRef": {"name": "pool"}}}}}
_WEB = {"app": "web"}
_CLIENT = {"role": "client"}
_ORDER = (
    "networkpolicies",
    "networkinterfaces",
    "loadbalancers",
    "natgateways",
    "virtualips",
    "networks",
    "prefixes",
)
"""In which users take their things away."""


@frozen
class Step:
    """Somebody does something, and then a state is reached."""

    title: str
    act: Callable[[World], Awaitable[None]]
    goal: Callable[[World], bool]


def scene(world: World) -> Scene:
    """Both sides as they are now."""
    kinds = mapped(world.generation)
    return Scene(
        world.generation,
        {plural: list(world.declared(plural).values()) for plural in kinds},
        {plural: list(world.there(plural).values()) for _, plural in kinds.values()},
        list(world.there("loadbalancerroutings").values()),
        list(world.there("networkpolicyrules").values()) if "networkpolicies" in kinds else [],
    )


def all_agree(world: World) -> bool:
    """Every object has its counterpart and shows what that has, and nothing serves what is gone."""
    found = scene(world).pairs()
    return bool(found) and all(pair.agrees for pair in found) and not set(_served(world)) - set(_living(world))


def _living(world: World) -> Iterator[str]:
    """The uids of load balancers and gateways of the data plane that stay."""
    for plural in ("loadbalancers", "natgateways"):
        for one in world.there(plural).values():
            if not one.metadata.is_deleting:
                yield one.metadata.uid


def _served(world: World) -> Iterator[str]:
    """The uids of those that routings, tables, autoscalers and claims of the data plane are about."""
    for plural in ("loadbalancerroutings", "natgatewayautoscalers", "nattables"):
        for one in world.there(plural).values():
            yield from (owner.uid for owner in one.metadata.owner_references)
    for interface in world.there("networkinterfaces").values():
        yield from (claim["claimRef"]["uid"] for claim in interface["spec"].get("natGateways") or ())


# -- the user builds ---------------------------------------------------------------------------------------------------


async def declare_network(world: World) -> None:
    await world.declare("prefixes", "pool", {"prefix": "10.0.0.0/24"})
    await world.declare("networks", "blue", {})


async def attach(world: World, name: str, *, labels: Mapping[str, str] = _WEB, **spec: Any) -> None:
    """A machine gets an interface: its address comes from the pool, the rest from the data plane."""
    machine = {"machineRef": {"name": f"machine-{name}", "uid": f"machine-{name}"}}
    await world.declare("networkinterfaces", name, {**_NETWORK, "ips": [_ADDRESS], **machine, **spec}, labels=labels)


async def attach_one(world: World) -> None:
    await attach(world, "web-1")


async def give_address(world: World) -> None:
    await world.declare("virtualips", "front", {"type": "Public", "ipFamily": "IPv4"})
    await world.change("networkinterfaces", "web-1", {"virtualIP": {"virtualIPRef": {"name": "front"}}})


async def balance(world: World) -> None:
    await attach(world, "web-2")
    selector = {"networkInterfaceSelector": {"matchLabels": _WEB}}
    spec = {"type": "Public", **_NETWORK, "ipFamilies": ["IPv4"], "ports": [{"protocol": "TCP", "port": 443}]}
    await world.declare("loadbalancers", "shop", {**spec, **selector})


async def open_gateway(world: World) -> None:
    await world.declare("natgateways", "way-out", {"type": "Public", **_NETWORK, "ipFamily": "IPv4"})


def is_attached(world: World) -> bool:
    """The interface is available under the address that was allocated for it."""
    return all_agree(world) and _ips(world, "web-1") == ["10.0.0.0"]


def is_reached(world: World) -> bool:
    return all_agree(world) and _holder(world, "front") == "web-1"


def is_balanced(world: World) -> bool:
    return all_agree(world) and _destinations(world) == {*_ips(world, "web-1"), *_ips(world, "web-2")} != set()


def leaves_by_gateway(name: str) -> Callable[[World], bool]:
    """Everything agrees, and just this interface is sent through the gateway."""

    def goal(world: World) -> bool:
        tables = world.there("nattables").values()
        sent = [one["ip"] for table in tables for ip in table.get("ips") or () for one in ip["sections"]]
        ways_out = [world.declared("natgateways")[one] for one in world.declared("natgateways")]
        has_address = all(one.get("status", {}).get("ips") for one in ways_out)
        return all_agree(world) and has_address and sent == _ips(world, name) != []

    return goal


# -- things change -----------------------------------------------------------------------------------------------------


async def move_address(world: World) -> None:
    await world.change("networkinterfaces", "web-1", {"virtualIP": None})
    await world.change("networkinterfaces", "web-2", {"virtualIP": {"virtualIPRef": {"name": "front"}}})


def has_moved(world: World) -> bool:
    return leaves_by_gateway("web-1")(world) and _holder(world, "front") == "web-2"


async def break_it(world: World) -> None:
    for plural in ("loadbalancers", "natgateways"):
        for name in world.there(plural):
            await world.take_away(plural, name)


# -- policies ----------------------------------------------------------------------------------------------------------


async def regulate(world: World) -> None:
    rule = {"ports": [{"protocol": "TCP", "port": 443}], "from": [_selecting(_CLIENT)]}
    spec = {**_NETWORK, "networkInterfaceSelector": {"matchLabels": _WEB}, "ingress": [rule]}
    await world.declare("networkpolicies", "guard", spec)


async def let_in(world: World) -> None:
    await world.label("networkinterfaces", "web-1", _CLIENT)


def lets_in(*names: str) -> Callable[[World], bool]:
    """Everything agrees, and the rule lets these interfaces, and no others, in to both machines."""

    def goal(world: World) -> bool:
        both = frozenset((*_ips(world, "web-1"), *_ips(world, "web-2")))
        wanted = Effect(both, (frozenset(ip for name in names for ip in _ips(world, name)),))
        return all_agree(world) and [enforced(one) for one in world.there("networkpolicyrules").values()] == [wanted]

    return goal


def _selecting(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"objectSelector": {"kind": "NetworkInterface", "matchLabels": labels}}


# -- peerings ----------------------------------------------------------------------------------------------------------


async def peer(world: World) -> None:
    await world.declare("networks", "green", {"peerings": [_peering("blue")]})
    await world.change("networks", "blue", {"peerings": [_peering("green")]})


async def attach_to_peer(world: World) -> None:
    await attach(world, "db-1", labels={"app": "db"}, networkRef={"name": "green"})


def are_peers(world: World) -> bool:
    """Either counterpart names the ID of the other one, and shows it all of its network."""
    blue, green = (_counterpart(world, name) for name in ("blue", "green"))
    if blue is None or green is None or not all_agree(world):
        return False
    wanted = [[{"name": name, "id": one["spec"]["id"]}] for name, one in (("green", green), ("blue", blue))]
    return [one["spec"].get("peerings") for one in (blue, green)] == wanted


def are_connected(world: World) -> bool:
    networks = world.declared("networks")
    return are_peers(world) and [connected(networks[name]) for name in ("blue", "green")] == [["green"], ["blue"]]


def _peering(name: str) -> dict[str, Any]:
    return {"name": name, "networkRef": {"name": name}}


def _counterpart(world: World, name: str) -> Object | None:
    network = world.declared("networks").get(name)
    return None if network is None else world.there("networks").get(network.metadata.uid)


# -- the user takes it all away ----------------------------------------------------------------------------------------


async def detach(world: World) -> None:
    await world.change("networkinterfaces", "web-1", {"machineRef": None})


def is_detached(world: World) -> bool:
    """The interface waits again, the data plane has forgotten it, nobody is sent there, and no policy names it."""
    attached = [one for one in world.declared("networkinterfaces").values() if one["spec"].get("machineRef")]
    gone = len(world.there("networkinterfaces")) == len(attached) and not _ips(world, "web-1")
    policies = [pair for pair in scene(world).pairs() if pair.plural == "networkpolicies"]
    is_told = _destinations(world) == set(_ips(world, "web-2")) != set()
    return gone and is_told and all(pair.agrees for pair in policies)


async def delete_all(world: World) -> None:
    for plural in _ORDER:
        for name in world.declared(plural):
            with suppress(NotFound):  # what belongs to something else may go with it
                await world.delete(plural, name)


def nothing_left(world: World) -> bool:
    """No object of users, none of the data plane: no ID and no address is taken any more."""
    return not any(world.declared(plural) for plural in world.at_source) and not any(
        world.there(plural) for plural in world.at_apinet
    )


STORY = (
    Step(
        "A user declares a network: the data plane gives it an ID, and the network names it", declare_network, all_agree
    ),
    Step("A machine is attached to it: its interface is programmed, and becomes available", attach_one, is_attached),
    Step("A public address for it: allocated, then put on the interface", give_address, is_reached),
    Step("A second machine, and a load balancer in front of both", balance, is_balanced),
    Step("A NAT gateway: who has no public address leaves through it", open_gateway, leaves_by_gateway("web-2")),
    Step("The address moves to the other machine: never on two, never free while in use", move_address, has_moved),
    Step("Somebody deletes load balancer and gateway of the data plane by hand: made anew", break_it, has_moved),
    Step("A machine is detached: the load balancer stops sending there", detach, is_detached),
    Step("The user deletes everything: both sides are empty, every ID and address is free", delete_all, nothing_left),
)
"""What is told of both generations."""
_OF_POLICIES = (
    Step("A policy: only who has a certain label is let in, and nobody has it yet", regulate, lets_in()),
    Step("An interface gets the label: its address is let in", let_in, lets_in("web-1")),
)
_OF_PEERINGS = (
    Step("A second network, and both want to be peers: each is given the ID of the other", peer, are_peers),
    Step("A machine in it: its node connects the networks, and both say so", attach_to_peer, are_connected),
)


def story(generation: Generation) -> tuple[Step, ...]:
    """What is told of a generation: before things are taken away, also what not every api-net cluster knows."""
    *before, detached, deleted = STORY
    policies = _OF_POLICIES if generation.rule_manager else ()
    peerings = _OF_PEERINGS if generation.has_peerings else ()
    return (*before, *policies, *peerings, detached, deleted)


def load(count: int) -> tuple[Step, ...]:
    """``count`` of each kind at once: made, and taken away."""

    async def make(world: World) -> None:
        await world.declare("prefixes", "pool", {"prefix": "10.0.0.0/8"})
        for number in range(count):
            network: dict[str, Any] = {"networkRef": {"name": f"net-{number}"}}
            await world.declare("networks", f"net-{number}", {})
            await world.declare("virtualips", f"vip-{number}", {"type": "Public", "ipFamily": "IPv4"})
            spec = {"type": "Public", **network, "ipFamilies": ["IPv4"], "networkInterfaceSelector": {}}
            await world.declare("loadbalancers", f"lb-{number}", spec)
            gateway = {"type": "Public", **network, "ipFamily": "IPv4"}
            await world.declare("natgateways", f"nat-{number}", gateway)
            virtual_ip: dict[str, Any] = {"virtualIP": {"virtualIPRef": {"name": f"vip-{number}"}}}
            await attach(world, f"nic-{number}", **network, **virtual_ip)
            if "networkpolicies" in mapped(world.generation):
                rule = {"ingress": [{"from": [_selecting(_WEB)]}]}
                policy = {**network, "networkInterfaceSelector": {}, **rule}
                await world.declare("networkpolicies", f"policy-{number}", policy)

    def is_made(world: World) -> bool:
        return all(len(world.declared(plural)) == count for plural in mapped(world.generation)) and all_agree(world)

    return (
        Step(f"{count} of each kind at once", make, is_made),
        Step("... and all of them away again", delete_all, nothing_left),
    )


def _ips(world: World, interface: str) -> list[str]:
    found = world.declared("networkinterfaces").get(interface)
    return list(found.get("status", {}).get("ips") or ()) if found is not None else []


def _destinations(world: World) -> set[str]:
    routings = world.there("loadbalancerroutings").values()
    return {one["ip"] for routing in routings for one in routing.get("destinations") or ()}


def _holder(world: World, virtual_ip: str) -> str:
    """The interface that shows the address of a VirtualIP; empty if none, or more than one does."""
    address = world.declared("virtualips")[virtual_ip].get("status", {}).get("ip")
    shown: Mapping[str, Object] = world.declared("networkinterfaces")
    holders = [name for name, one in shown.items() if address and one.get("status", {}).get("virtualIP") == address]
    return holders[0] if len(holders) == 1 else ""
