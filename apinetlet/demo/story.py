"""What the demo shows: steps that somebody takes, and for each what the two clusters must come to.

A goal asks about the state of the world, never about what the daemon did.
"""

from collections.abc import Awaitable, Callable

from attrs import frozen

from apinetlet.api import networking
from apinetlet.api.networking import NetworkState
from apinetlet.demo.world import World

NAMES = ("blue", "green", "red")


@frozen
class Step:
    """Somebody does something, and then a state is reached."""

    title: str
    act: Callable[[World], Awaitable[None]]
    goal: Callable[[World], bool]


async def create(world: World) -> None:
    for name in NAMES:
        await world.create_network(name)


def all_mapped(world: World) -> bool:
    """Every network is available and names its counterpart."""
    ids = {one.metadata.name: one for one in world.counterparts}
    return len(world.networks) == len(ids) == len(NAMES) and all(
        network.status.state is NetworkState.AVAILABLE
        and network.metadata.uid in ids
        and network.spec.provider_id.endswith(
            f"/{ids[network.metadata.uid].spec.id}/{ids[network.metadata.uid].metadata.uid}"
        )
        for network in world.networks
    )


async def take_counterpart_away(world: World) -> None:
    await world.delete_counterpart(_named(world, "green"))


def mismatch_is_told(world: World) -> bool:
    """The counterpart is there again, under another ID; the network says so rather than pretend."""
    return len(world.counterparts) == len(NAMES) and _named(world, "green").status.state is NetworkState.ERROR


async def replace_green(world: World) -> None:
    await world.delete_network("green")


def green_is_gone(world: World) -> bool:
    return len(world.networks) == len(world.counterparts) == len(NAMES) - 1


async def create_green(world: World) -> None:
    await world.create_network("green")


async def delete_all(world: World) -> None:
    for name in NAMES:
        await world.delete_network(name)


def nothing_left(world: World) -> bool:
    """No network, no counterpart, no ID is taken any more."""
    return not world.networks and not world.counterparts


STORY = (
    Step("A user declares three networks: each gets a counterpart and its ID", create, all_mapped),
    Step(
        "An operator deletes the counterpart of green: it is made anew, and green says Error",
        take_counterpart_away,
        mismatch_is_told,
    ),
    Step("The user deletes green: the counterpart goes first", replace_green, green_is_gone),
    Step("... and declares it again: available under a new ID", create_green, all_mapped),
    Step("The user deletes everything: both sides are empty", delete_all, nothing_left),
)


def _named(world: World, name: str) -> networking.Network:
    [found] = [network for network in world.networks if network.metadata.name == name]
    return found
