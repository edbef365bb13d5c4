"""What one interface costs under policies: those that select it look at those whom they select, and at nobody else."""

from collections import Counter

import anyio
import pytest

from apinetlet.api import IRONCORE
from apinetlet.demo.world import World
from benchmarks.policies import REST, Crowd, daemon, program, regulated, settle
from reconcile.testing.loop import run
from tests.scenarios.test_lookups import LISTING, Passes, counted

EACH = 4


async def costs(crowd: Crowd) -> tuple[Counter[str], int]:
    """The reads of all stores and the passes that the change of one interface causes."""
    async with World(IRONCORE) as world:
        await settle(world, crowd)
        manager, _ = daemon(world)
        async with manager:
            await anyio.sleep(REST)
            assert regulated(world) == crowd.policies * crowd.each
            seen = Passes()
            for controller in manager.controllers:
                controller.observer = seen
            async with counted() as calls:
                await program(world, 3, "Pending")
                await anyio.sleep(REST)
            assert regulated(world) == crowd.policies * crowd.each - 1
            return calls, seen.number


def test_an_interface_costs_the_same_under_few_policies_and_under_many_and_nothing_is_listed() -> None:
    few, many = (run(costs(Crowd(policies, EACH))) for policies in (3, 24))
    assert few == many
    assert not any(many[0][name] for name in LISTING)


@pytest.mark.proof
def test_of_ten_thousand_interfaces_under_a_hundred_policies_one_costs_what_two_policies_read() -> None:
    crowd = Crowd(policies=100, each=100)
    calls, passes = run(costs(crowd))
    assert not any(calls[name] for name in LISTING)
    assert passes <= 8  # two policies and the interface, each once more for its own write
    assert calls.total() < 10 * 4 * 2 * crowd.each  # a few reads for each of 200 interfaces, in four passes
