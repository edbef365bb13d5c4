"""Networks, load balancers and NAT gateways in whatever order they come, and sources that go or are others suddenly.

The latter after every single write of the daemon: while it makes what belongs to them, and while it takes that away.
"""

import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import pytest
from attrs import frozen

from apinetlet.api import GENERATIONS, IRONCORE, ONMETAL, Generation, Kinds
from reconcile import NotFound, Resource
from reconcile.testing.converge import assert_converges
from reconcile.testing.faultplan import Delayed, FaultPlan
from reconcile.testing.loop import run
from reconcile.testing.state import State, differences
from reconcile.testing.world import World
from tests.scenarios import balancer_stories, gateway_stories, networks
from tests.scenarios.networks import APINET, SOURCE, namespaces
from tests.scenarios.pairs import (
    Pair,
    a_world,
    change,
    create,
    delete,
    load_balancers,
    mapped,
    nat_gateways,
    nothing_left,
    objects,
)


@frozen
class Users:
    """Who has a network, one object that belongs to it, and what is said about that, all in one generation."""

    pair: Pair
    made: tuple[tuple[Resource[Any], str, dict[str, Any]], ...]
    """Kind, name and fields of each object."""

    @classmethod
    def of_balancer(cls, generation: Generation) -> "Users":
        pair, kinds = load_balancers(generation), Kinds.of(generation)
        where = {"networkRef": {"name": "blue", "uid": "any"}, "destinations": [{"ip": "10.0.0.1"}]}
        web = (pair.source, "it", {"spec": balancer_stories.PUBLIC})
        return cls(pair, ((kinds.network, "blue", {"spec": {}}), web, (kinds.load_balancer_routing, "it", where)))

    @classmethod
    def of_gateway(cls, generation: Generation) -> "Users":
        pair, kinds = nat_gateways(generation), Kinds.of(generation)
        out = (pair.source, "it", {"spec": gateway_stories.PUBLIC})
        return cls(pair, ((kinds.network, "blue", {"spec": {}}), out))

    async def make(self, world: World) -> None:
        for kind, name, parts in self.made:
            await create(kind, name, **parts)(world)

    async def give_up(self, world: World) -> None:
        for kind, name, _ in self.made:
            with suppress(NotFound):
                await delete(kind, name)(world)

    async def make_anew(self, world: World) -> None:
        """By force, under the same names with other uids."""
        await self.give_up(world)
        for kind, name, _ in self.made:
            with suppress(NotFound):
                await change(kind, name, {"metadata": {"finalizers": None}})(world)
        await self.make(world)

    def check(self, world: World) -> None:
        """All of it is there and mapped, or nothing is left of it."""
        if objects(world, self.pair.source):
            networks.mapped(self.pair.generation, "blue")(world)
            mapped(self.pair, "it")(world)
        else:
            nothing_left(self.pair)(world)
            networks.nothing_left(Kinds.of(self.pair.generation))(world)


Act: TypeAlias = Callable[[Users, World], Awaitable[None]]
USERS = pytest.mark.parametrize("users", [Users.of_balancer, Users.of_gateway], ids=["balancer", "gateway"])
GENERATION = pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
ACTS = pytest.mark.parametrize("act", [Users.give_up, Users.make_anew], ids=["deleted", "made anew"])


# -- any order ---------------------------------------------------------------------------------------------------------


async def told(users: Users, order: tuple[int, ...], *, pause: bool, lag: str) -> State:
    """The end state of one telling."""
    async with a_world(users.pair) as world:
        await namespaces()(world)
        if lag:
            world.fail(lag, FaultPlan.of(Delayed(5.0, 5.0)))
        world.start()
        for place in order:
            kind, name, parts = users.made[place]
            await create(kind, name, **parts)(world)
            if pause:
                await world.quiesce()
        await world.quiesce()
        world.heal()
        users.check(world)
        return await assert_converges(world)


def ends(users: Users, *, pause: bool, lag: str) -> list[State]:
    """Of each order."""
    return [run(told(users, order, pause=pause, lag=lag)) for order in itertools.permutations(range(len(users.made)))]


@USERS
@pytest.mark.slow
def test_in_whatever_order_they_come_they_come_to_one_end(users: Callable[[Generation], Users]) -> None:
    first, *others = ends(users(IRONCORE), pause=True, lag="")
    assert [differences(first, end) for end in others] == [[]] * len(others)


@pytest.mark.proof
@GENERATION
@USERS
@pytest.mark.parametrize("lag", ["", SOURCE, APINET], ids=["no lag", "slow source cluster", "slow api-net cluster"])
def test_in_whatever_order_and_pace_they_come_they_come_to_one_end(
    generation: Generation, users: Callable[[Generation], Users], lag: str
) -> None:
    first, *others = (end for pause in (False, True) for end in ends(users(generation), pause=pause, lag=lag))
    assert [differences(first, end) for end in others] == [[]] * len(others)


# -- in the middle of everything ---------------------------------------------------------------------------------------


async def interrupted(users: Users, act: Act, *, after: int, while_down: bool) -> bool:
    """Whether the daemon came to that many writes; then ``act`` happened right after the last of them."""
    struck: list[int] = []

    async def strike(world: World) -> None:
        if while_down:
            await world.crash()
        await act(users, world)
        world.start()

    async with a_world(users.pair) as world:
        holds = world.always
        assert holds is not None

        def always(world: World) -> None:
            holds(world)
            if world.counts["program"] == after and not struck:
                struck.append(after)
                world.join(strike)

        world.always = always
        await namespaces()(world)
        await users.make(world)
        world.start()
        await world.quiesce()
        if not struck:
            await users.give_up(world)
            await world.quiesce()
        if struck:
            users.check(world)
            await assert_converges(world)
        return bool(struck)


def strike_after_writes(users: Users, act: Act, *, every: int, while_down: bool) -> int:
    """After each, or every second and so on, of the daemon's writes. So many there were at least."""
    after = 1
    while run(interrupted(users, act, after=after, while_down=while_down)):
        after += every
    return after - every


@USERS
@ACTS
def test_sources_may_go_or_be_others_after_some_writes(users: Callable[[Generation], Users], act: Act) -> None:
    assert strike_after_writes(users(ONMETAL), act, every=4, while_down=act is Users.make_anew) >= 9


@pytest.mark.proof
@GENERATION
@USERS
@ACTS
@pytest.mark.parametrize("while_down", [False, True], ids=["while it runs", "while it is down"])
def test_sources_may_go_or_be_others_after_any_write(
    generation: Generation, users: Callable[[Generation], Users], act: Act, while_down: bool
) -> None:
    assert strike_after_writes(users(generation), act, every=1, while_down=while_down) >= 11
