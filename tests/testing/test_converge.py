"""A program that does not converge is caught, each flaw by the pattern that is made for it; a sound one passes all."""

import pytest

from reconcile.testing.converge import NotConverged
from reconcile.testing.explore import Exploration, explore
from reconcile.testing.scenario import Scenario, Step, in_turn, step
from tests.testing import copies
from tests.testing.copies import AWAY, Keep, a_world, drop, is_there, put


def told_of(keep: Keep, *steps: Step) -> Scenario:
    return Scenario(keep.__name__, lambda: a_world(keep), steps)


COMES_AND_GOES = (
    step(put("a", size="1"), put("b", size="2")),
    step(put("a", size="3")),
    step(drop("b")),
    step(put("b", size="4"), needs=lambda world: not is_there("b", world)),
)
GOES = (step(put("a", size="1")), step(drop("a")))
COMES = (step(put("a")),)
CLOSES = (step(put("a", phase="open")), step(put("a", phase="closing")), step(put("a", phase="closed")))
RULES_CHANGE = (
    step(put("rules", answer="yes")),
    step(put("request-1", AWAY)),
    step(in_turn(put("rules", answer="no"), put("request-2", AWAY))),
)
TWO_AT_ONCE = (step(put("one-a"), put("one-b")),)


def failures(exploration: Exploration, at_most: int = 1) -> dict[str, AssertionError]:
    """What was caught, by the variation that did; those are told first that last the longest."""
    caught: dict[str, AssertionError] = {}
    for variation in sorted(exploration, key=lambda variation: not variation.id.endswith("late")):
        try:
            exploration.play(variation)
        except AssertionError as error:
            caught[variation.id] = error
            if len(caught) == at_most:
                break
    return caught


def test_a_sound_controller_passes_every_world() -> None:
    exploration = explore(told_of(copies.sound, *COMES_AND_GOES), sample=18)
    assert exploration.check().played == 19


@pytest.mark.proof
def test_a_sound_controller_passes_really_every_world() -> None:
    exploration = explore(told_of(copies.sound, *COMES_AND_GOES))
    assert exploration.check().played == exploration.total + 1


@pytest.mark.parametrize(
    ("keep", "steps", "pattern"),
    [
        (copies.lets_go_before_it_cleans_up, GOES, "crashes"),
        (copies.acts_on_what_it_saw_happen, GOES, "crashes"),
        (copies.asks_again_without_an_answer, COMES, "lost replies"),
        (copies.hands_out_tickets, COMES, "lagging restarts"),
        (copies.judges_by_its_cache, RULES_CHANGE, "frozen caches"),
        (copies.needs_to_see_each_phase, CLOSES, "gaps"),
        (copies.prefers_who_comes_first, TWO_AT_ONCE, "orders"),
    ],
)
def test_a_flaw_is_caught_by_the_pattern_that_is_made_for_it(keep: Keep, steps: tuple[Step, ...], pattern: str) -> None:
    caught = failures(explore(told_of(keep, *steps), [pattern]))
    assert [type(error) for error in caught.values()] == [NotConverged]
    [variation] = caught
    with pytest.raises(NotConverged, match="came to another end"):
        explore(told_of(keep, *steps), only=variation).check()


def test_who_asks_the_server_before_a_last_word_passes_where_who_asks_its_cache_is_caught() -> None:
    flawed = explore(told_of(copies.judges_by_its_cache, *RULES_CHANGE), ["frozen caches"])
    for variation in failures(flawed, at_most=2):
        explore(told_of(copies.judges_by_what_is_true, *RULES_CHANGE), only=variation).check()


@pytest.mark.parametrize("keep", [copies.writes_on_every_pass, copies.asks_even_if_nothing_changes])
def test_who_writes_on_a_second_pass_is_caught_without_any_disturbance(keep: Keep) -> None:
    with pytest.raises(NotConverged, match="a second pass over all keys led to"):
        explore(told_of(keep, *COMES))


TOUCHED = (step(put("a", size="1")), step(put("a", size="2")), step(put("a", size="3")))


@pytest.mark.pain(7)
def test_who_creates_under_a_generated_name_creates_once_even_while_its_caches_stand_still() -> None:
    exploration = explore(told_of(copies.hands_out_tickets, *TOUCHED), ["frozen caches"])
    assert {variation.id for variation in exploration} >= {"frozen-away-1-soon", "frozen-away-1-late"}
    exploration.check()
