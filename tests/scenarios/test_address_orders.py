"""Whatever order things come and go in, and whichever cluster is heard first: one end state.

Every permutation is told, with a pause after each act and without one.
"""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

import pytest

from apinetlet.api import GENERATIONS, Generation
from reconcile import NotFound
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
        if lag:
            world.fail(lag, FaultPlan.of(Delayed(5.0, 5.0)))
        world.start()
        for act in before:
            await act(both)
        await world.quiesce()
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


# -- a source that goes, or is another one, in the middle of everything ------------------------------------------------


async def both_gone(both: Both) -> None:
    for act in (no_vip, no_nic):
        with suppress(NotFound):
            await act(both)


async def both_anew(both: Both) -> None:
    """By force, under the same names with other uids."""
    await both.delete_by_force(both.kinds.virtual_ip, "public")
    await both.delete_by_force(both.kinds.network_interface, "nic")
    await vip(both)
    await nic(both)


async def interrupted(generation: Generation, act: Deed, *, after: int, while_down: bool) -> bool:
    """Whether the daemon came to that many writes; then ``act`` happened right after the last of them."""
    struck: list[int] = []

    async def strike(world: World) -> None:
        if while_down:
            await world.crash()
        await act(people(generation, world))
        world.start()

    async with a_world(generation) as world:
        holds = world.always
        assert holds is not None

        def always(world: World) -> None:
            holds(world)
            if world.counts["program"] == after and not struck:
                struck.append(after)
                world.join(strike)

        world.always = always
        both = people(generation, world)
        await world.client(APINET).create(NAMESPACE, {"metadata": {"name": TARGET}})
        world.start()
        for one in (vip, machine, nic):
            await one(both)
        await world.quiesce()
        if struck:
            await ready(both)
            await world.quiesce()
            check(world, both)
            assert both.public() == ([both.vip().status.ip] if both.vips else [])
            await assert_converges(world)
        return bool(struck)


ACTS = pytest.mark.parametrize("act", [both_gone, both_anew], ids=["deleted", "made anew"])


@GENERATION
@ACTS
def test_a_source_may_go_or_be_another_one_after_any_write(generation: Generation, act: Deed) -> None:
    after = 1
    while run(interrupted(generation, act, after=after, while_down=False)):
        after += 1
    assert after > 7


@pytest.mark.proof
@GENERATION
@ACTS
def test_a_source_may_go_or_be_another_one_while_nobody_looks(generation: Generation, act: Deed) -> None:
    after = 1
    while run(interrupted(generation, act, after=after, while_down=True)):
        after += 1
    assert after > 7
