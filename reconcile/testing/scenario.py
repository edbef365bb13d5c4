"""A story that a program lives through, and what may be different from one telling of it to the next.

A ``Scenario`` is steps: somebody acts, and the world comes to rest. ``play`` tells it, with one ``Variation``, and sees
that the program converges. Where a variation keeps the program from doing its part of a step, the next step comes all
the same, unless it says that it ``needs`` something first: then the variation is over earlier.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import attrs

from reconcile.testing.converge import assert_converges
from reconcile.testing.faultplan import FaultPlan
from reconcile.testing.sieve import Gap, Strike
from reconcile.testing.state import State
from reconcile.testing.world import World

Act: TypeAlias = Callable[[World], Awaitable[object]]
Look: TypeAlias = Callable[[World], object]
"""Asserts something about the world."""


@attrs.frozen
class Step:
    """Somebody acts. Several ``acts`` may come in any order."""

    acts: tuple[Act, ...]
    needs: Callable[[World], bool] | None = attrs.field(default=None, kw_only=True)
    """What must be so before."""
    then: Look | None = attrs.field(default=None, kw_only=True)
    """What must be so once the world is at rest again, if nothing disturbs it."""


def step(*acts: Act, needs: Callable[[World], bool] | None = None, then: Look | None = None) -> Step:
    """One step of a story."""
    return Step(acts, needs=needs, then=then)


def in_turn(*acts: Act) -> Act:
    """One after another as one act: nothing waits in between, and the order stays."""

    async def act(world: World) -> None:
        for one in acts:
            await one(world)

    return act


@attrs.frozen
class Scenario:
    """``world`` makes a new world each time it is told."""

    name: str
    world: Callable[[], World]
    steps: tuple[Step, ...] = ()
    setup: Act | None = attrs.field(default=None, kw_only=True)
    """What is there before the program first lives."""
    then: Look | None = attrs.field(default=None, kw_only=True)
    """What must be so at the end, whatever was disturbed."""


@attrs.frozen
class Variation:
    """What is different this time. ``id`` says it, and is the only one of its kind."""

    id: str
    strike: Callable[[World], Strike] | None = None
    order: int | None = attrs.field(default=None, kw_only=True)
    """The seed of the order in which ready tasks run, and acts of one step come; ``None``: in turn, as written."""
    plans: Mapping[str, FaultPlan] = attrs.field(factory=dict, kw_only=True)
    """What strikes the program on its way to each cluster; over at the end of the story."""
    start: int = attrs.field(default=0, kw_only=True)
    """The program first lives after the acts of so many steps."""


PLAIN = Variation("plain", Gap)
"""Nothing is different: a gap without a place never comes."""


@attrs.frozen
class Story:
    """A story as it was told: its end, and how often which places came by at which a variation can strike."""

    end: State
    writes: tuple[int, ...]
    """The numbers of the program's writes that were taken."""
    events: Mapping[str, int]
    """Told to the program by watches, by cluster; counted by a ``Gap``."""
    clusters: tuple[str, ...]


async def play(scenario: Scenario, variation: Variation = PLAIN, *, expected: State | None = None) -> Story:
    """Tell the story once, and see that the world converges (to ``expected``, if given). Needs a fresh virtual loop.

    Raises:
        AssertionError: it does not converge, or something is not as the scenario says.
    """
    rng = random.Random(variation.order)
    async with scenario.world() as world:
        strike = world.traffic.disturber = variation.strike(world) if variation.strike is not None else Strike(world)
        for cluster, plan in variation.plans.items():
            world.fail(cluster, plan)
        if scenario.setup is not None:
            await scenario.setup(world)
        for number, one in enumerate(scenario.steps):
            if number == variation.start:
                await _rest(world)
            await _ready(world, one, strike)
            is_behind = strike.is_active
            for act in one.acts if variation.order is None else rng.sample(one.acts, len(one.acts)):
                await act(world)
            await world.settle()
            if is_behind:
                strike.relent()
            await world.quiesce()
            if variation is PLAIN and one.then is not None:
                one.then(world)
        strike.relent()
        world.heal()
        await _rest(world)
        if variation.strike is not None and variation is not PLAIN:
            assert strike.has_struck, (
                "the place at which to strike never came by: the story is told differently each time"
            )
        writes = tuple(world.traffic.accepted)
        events = dict(strike.seen) if isinstance(strike, Gap) else {}
        end = await assert_converges(world, expected=expected)
        if scenario.then is not None:
            scenario.then(world)
        return Story(end, writes, events, tuple(world.servers))


async def _ready(world: World, step: Step, strike: Strike) -> None:
    """End what keeps the program from bringing about what the step needs."""
    if step.needs is not None and not step.needs(world):
        strike.relent()
        world.heal()
        await _rest(world)
        assert step.needs(world), "a step of the scenario needs what never comes about"


async def _rest(world: World) -> None:
    world.start()
    await world.quiesce()
