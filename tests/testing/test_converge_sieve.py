"""Each disturbance does what it says, at its place and for its time, and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any

import anyio
import pytest

from reconcile import Change, Manager
from reconcile.core.clock import now
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.testing.explore import explore
from reconcile.testing.loop import run
from reconcile.testing.scenario import PLAIN, Scenario, Variation, play, step
from reconcile.testing.sieve import SOON, Crash, Frozen, Gap, Lagging, LostReply, Moment, Strike, Until
from reconcile.testing.world import PROGRAM, World
from tests.testing import copies
from tests.testing.copies import AWAY, HOME, a_world, drop, is_there, put

TOLD = Scenario(
    "copied and dropped",
    lambda: a_world(copies.sound),
    (step(put("a", size="1")), step(put("a", size="2")), step(drop("a"))),
)


async def struck(world: World, strike: Strike) -> None:
    """Begin, and let the first ConfigMap be copied as far as that gets."""
    world.traffic.disturber = strike
    world.start()
    await world.settle()
    await put("a", size="1")(world)
    await world.settle()
    assert strike.has_struck


def copy_of(world: World, name: str = "a") -> Mapping[str, Any] | None:
    found = [one for one in world.objects(AWAY, CONFIG_MAP) if one.metadata.name == name]
    return found[0]["data"] if found else None


def known(world: World, cluster: str) -> dict[str, str]:
    """The sizes in the program's own copy of a cluster."""
    manager = world.running
    assert isinstance(manager, Manager)
    return {
        one.metadata.name: one["data"]["size"]
        for one in manager.cluster(cluster).store(CONFIG_MAP).list()
        if "size" in (one.get("data") or {})
    }


# write 1 is the finalizer, write 2 is the copy


@pytest.mark.parametrize(("moment", "is_copied"), [(Moment.BEFORE, False), (Moment.AFTER, True)])
async def test_a_crash_takes_place_before_or_after_the_write_and_lasts(moment: Moment, is_copied: bool) -> None:
    async with a_world(copies.sound) as world:
        strike = Crash(world, Until.LATE, at=2, moment=moment)
        await struck(world, strike)
        await anyio.sleep(1000)
        assert world.counts[PROGRAM] == (2 if is_copied else 1)
        assert (copy_of(world) is not None) == is_copied
        strike.relent()
        await world.quiesce()
        assert copy_of(world) == {"size": "1"}


async def test_a_write_that_is_underway_lands_in_the_middle_of_the_next_life() -> None:
    async with a_world(copies.sound) as world:
        strike = Crash(world, Until.SOON, at=2, moment=Moment.UNDERWAY)
        await struck(world, strike)
        await put("a", size="2")(world)
        await world.settle()
        assert copy_of(world) == {"size": "2"}, "the new life is at work"
        landed = [one for one in world.writes if one.cluster == AWAY]
        await world.quiesce()
        assert copy_of(world) == {"size": "2"}, "and mends what the old one spoilt"
        assert [one.time for one in world.writes if one.cluster == AWAY][len(landed) :] == [SOON, SOON]


async def test_a_lost_reply_is_a_write_that_was_done() -> None:
    async with a_world(copies.sound) as world:
        await struck(world, LostReply(world, at=2))
        assert world.is_running
        assert copy_of(world) == {"size": "1"}
        assert world.traffic.accepted == [1]


async def test_a_frozen_cache_is_not_told_what_happens_and_the_other_one_is() -> None:
    async with a_world(copies.sound) as world:
        strike = Frozen(world, Until.LATE, at=1, clusters=frozenset([HOME]))
        await struck(world, strike)
        await put("b", size="1")(world)
        await put("a", AWAY, size="9")(world)
        await world.settle()
        assert copy_of(world, "b") is None
        assert copy_of(world, "a") == {"size": "1"}, "put right, for that was seen"
        strike.relent()
        await world.settle()
        assert copy_of(world, "b") == {"size": "1"}


async def test_the_cache_of_the_other_cluster_can_stand_still_too() -> None:
    async with a_world(copies.sound) as world:
        strike = Frozen(world, Until.LATE, at=1, clusters=frozenset([AWAY]))
        await struck(world, strike)
        await put("b", size="1")(world)
        await put("a", AWAY, size="9")(world)
        await world.settle()
        assert copy_of(world, "b") == {"size": "1"}
        assert copy_of(world, "a") == {"size": "9"}
        strike.relent()
        await world.settle()
        assert copy_of(world, "a") == {"size": "1"}


async def test_what_is_frozen_for_a_while_thaws_before_own_writes_are_doubted() -> None:
    async with a_world(copies.sound) as world:
        strike = Frozen(world, Until.SOON, at=1, clusters=frozenset([HOME]))
        await struck(world, strike)
        began = now()
        await strike.over.wait()
        assert now() - began == SOON < 30


@pytest.mark.parametrize("watch_list", [True, False])
async def test_a_lagging_restart_sees_the_past_and_then_what_happened_since(watch_list: bool) -> None:
    async with a_world(copies.sound, watch_list=watch_list) as world:
        strike = Lagging(world, Until.LATE, at=5, past=4)  # 4 is the copy of a, 5 the finalizer of b
        world.traffic.disturber = strike
        world.start()
        for name in ("old", "a", "b"):
            assert not strike.has_struck
            await put(name, size="1")(world)
            await world.settle()
        assert strike.has_struck
        assert known(world, HOME) == {"old": "1", "a": "1"}, "b is of the future"
        assert copy_of(world, "b") is None
        strike.relent()
        await world.settle()
        assert known(world, HOME) == {"old": "1", "a": "1", "b": "1"}
        assert copy_of(world, "b") == {"size": "1"}


@pytest.mark.parametrize("until", Until)
async def test_what_happens_in_a_gap_is_never_told_but_for_what_came_of_it(until: Until) -> None:
    told: list[str] = []

    def hear(change: Change[Any]) -> None:
        if change.new is not None and not change.is_own:
            told.append(change.object["data"]["size"])

    async with a_world(copies.nothing) as world:
        strike = Gap(world, until, cluster=HOME, event=2)
        world.traffic.disturber = strike
        world.start()
        await world.settle()
        manager = world.running
        assert isinstance(manager, Manager)
        manager.cluster(HOME).informer(CONFIG_MAP).add_handler(hear)
        await put("a", size="1")(world)
        await world.settle()
        for size in ("2", "3", "4"):
            await put("a", size=size)(world)
        await world.settle()
        assert told == ["1"] or until is Until.NOW
        await anyio.sleep(SOON + 60)
        if until is Until.LATE:
            assert told == ["1"]
            strike.relent()
            await anyio.sleep(60)
        assert told == ["1", "4"]


def test_every_variation_has_a_name_of_its_own_by_which_it_is_told_again() -> None:
    exploration = explore(TOLD)
    names = [variation.id for variation in exploration]
    assert len(set(names)) == len(names) == exploration.total
    for name in ("crash-before-1-now", "crash-underway-2-late", "lost-reply-3", "frozen-all-1-soon", "gap-home-3-late"):
        assert name in names
        [again] = explore(TOLD, only=name)
        assert again.id == name


def test_a_sample_is_drawn_by_its_seed_from_all_patterns_alike() -> None:
    def drawn(seed: int) -> list[str]:
        return [variation.id for variation in explore(TOLD, sample=14, seed=seed)]

    assert drawn(1) == drawn(1) != drawn(2)
    by_pattern = [name.split("-")[0] for name in drawn(1)]
    assert {"crash", "lost", "frozen", "lagging", "gap", "faults"} <= set(by_pattern)
    assert max(map(by_pattern.count, by_pattern)) <= 2


def test_each_pattern_strikes_where_it_says() -> None:
    exploration = explore(TOLD, sample=12, seed=3)
    assert exploration.check().played == 13


def test_a_place_that_never_comes_by_is_an_error_of_the_kit_and_not_a_world_that_passed() -> None:
    with pytest.raises(AssertionError, match="never came by"):
        run(play(TOLD, Variation("crash-before-99-now", lambda world: Crash(world, at=99))))


def test_a_step_that_needs_what_a_disturbance_holds_back_ends_it() -> None:
    came: list[bool] = []

    async def look(world: World) -> None:
        came.append(is_there("a", world, AWAY))

    scenario = Scenario(
        "looked at",
        lambda: a_world(copies.sound),
        (step(put("a", size="1")), step(look, needs=lambda world: is_there("a", world, AWAY)), step(look)),
    )
    run(play(scenario, Variation("crash", lambda world: Crash(world, Until.LATE, at=1))))
    assert came == [True, True]


def test_what_a_step_leads_to_is_only_asked_where_nothing_disturbs() -> None:
    asked: list[int] = []
    scenario = Scenario(
        "asked",
        lambda: a_world(copies.sound),
        (step(put("a", size="1"), then=lambda world: asked.append(len(world.tried))),),
    )
    run(play(scenario, PLAIN))
    run(play(scenario, Variation("lost-reply-1", lambda world: LostReply(world, at=1))))
    assert asked == [2]


def test_acts_of_one_step_come_in_any_order() -> None:
    orders = set()
    for seed in range(10):
        came: list[str] = []

        def act(name: str, came: list[str] = came) -> Callable[[World], Any]:
            async def note(world: World) -> None:
                came.append(name)

            return note

        scenario = Scenario("ordered", lambda: a_world(copies.sound), (step(act("a"), act("b"), act("c")),))
        run(play(scenario, Variation(f"order-{seed}", order=seed)), seed=seed)
        orders.add("".join(came))
    assert len(orders) > 3
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)


def test_only_the_patterns_that_are_asked_for_are_told() -> None:
    exploration = explore(TOLD, ["lost replies", "faults"])
    assert {variation.id.rpartition("-")[0] for variation in exploration} == {"lost-reply", "faults"}
