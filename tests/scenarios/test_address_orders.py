"""Whatever order things come and go in, and whichever cluster is heard first: one end state.

Every permutation is told, with a pause after each act and without one.
"""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import pytest

from apinetlet.api import GENERATIONS, Generation
from reconcile.kube.kinds import NAMESPACE
from reconcile.testing.converge import assert_converges
from reconcile.testing.faultplan import Delayed, FaultPlan
from reconcile.testing.loop import run
from reconcile.testing.state import State, differences
from reconcile.testing.world import World
from tests.scenarios.address_stories import a_world, no_address, people, serves
from tests.scenarios.networks import APINET, SOURCE
from tests.scenarios.people import TARGET, Both

Deed: TypeAlias = Callable[[Both], Awaitable[object]]
GENERATION = pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
LAGS = {"no lag": "", "a slow source cluster": SOURCE, "a slow api-net cluster": APINET}


async def attach(both: Both) -> None:
    """The provider ID comes as soon as there is an interface to name and a source to carry it."""
    if "nic" in both.nics and both.there.objects(both.kinds.apinet_network_interface):
        await both.attach("nic", both.interface())


async def vip(both: Both) -> None:
    await both.create_vip()


async def nic(both: Both) -> None:
    await both.create_nic(vip="public")
    await attach(both)


async def machine(both: Both) -> None:
    await both.create_interface()
    await attach(both)


async def ready(both: Both) -> None:
    """The data plane brings the interface up, whenever there is one."""
    if both.there.objects(both.kinds.apinet_network_interface):
        await both.program("machine-0", "Ready")


async def no_vip(both: Both) -> None:
    await both.delete(both.kinds.virtual_ip, "public")


async def no_nic(both: Both) -> None:
    await both.delete(both.kinds.network_interface, "nic")


async def no_machine(both: Both) -> None:
    await both.remove(both.kinds.apinet_network_interface, "machine-0")


async def told(
    generation: Generation, acts: Sequence[Deed], *, pause: bool, lag: str, before: Sequence[Deed] = ()
) -> State:
    """The end state of one telling."""
    async with a_world(generation) as world:
        both = people(generation, world)
        await world.client(APINET).create(NAMESPACE, {"metadata": {"name": TARGET}})
        world.start()
        for act in before:
            await act(both)
        await world.quiesce()
        if lag:
            world.fail(lag, FaultPlan.of(Delayed(5.0, 5.0)))
        for act in acts:
            await act(both)
            if pause:
                await world.quiesce()
        await ready(both)
        await world.quiesce()
        world.heal()
        check(world, both)
        return await assert_converges(world)


def check(world: World, both: Both) -> None:
    if both.nics:
        assert serves(both)
        assert both.nic().status.state == "Available"
    else:
        assert no_address(both)


@GENERATION
@pytest.mark.parametrize("lag", LAGS.values(), ids=LAGS)
def test_in_whatever_order_they_come_they_come_to_one_end(generation: Generation, lag: str) -> None:
    ends = [
        run(told(generation, acts, pause=pause, lag=lag))
        for acts in itertools.permutations((vip, nic, machine))
        for pause in ((False, True) if not lag else (False,))
    ]
    assert [differences(ends[0], end) for end in ends[1:]] == [[]] * (len(ends) - 1)


@GENERATION
@pytest.mark.parametrize("lag", LAGS.values(), ids=LAGS)
def test_in_whatever_order_they_go_nothing_is_left(generation: Generation, lag: str) -> None:
    ends = [
        run(told(generation, acts, pause=pause, lag=lag, before=(vip, machine, nic, ready)))
        for acts in itertools.permutations((no_vip, no_nic, no_machine))
        for pause in ((False, True) if not lag else (False,))
    ]
    assert [differences(ends[0], end) for end in ends[1:]] == [[]] * (len(ends) - 1)
