"""A controller that answers its own writes for ever is noticed, named once and slowed down."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.controller.cause import Cause, cause_of
from reconcile.controller.selftrigger import Flapping, OwnWrites, SelfTrigger
from reconcile.kube.journal import Outcome, Write
from reconcile.kube.objects import ObjectKey
from tests.controller.things import WIDGET, change, entry, write

TIMER = Cause("timer", 0.0)
NEWS = Cause("requested", 0.0)


def passed(
    trigger: SelfTrigger[str],
    *causes: Cause,
    key: str = "k",
    writes: Sequence[Write] = (write("a", 2),),
    at: float = 0.0,
) -> Flapping | None:
    for found in writes:
        trigger.written.note_write(key, found)
    return trigger.passed(key, causes, writes, at)


def own(version: int = 2) -> Cause:
    """An event of our own write."""
    return cause_of(change(entry("a", version - 1), entry("a", version)), at=0.0)


def looped(trigger: SelfTrigger[str], passes: int, key: str = "k") -> list[Flapping | None]:
    passed(trigger, NEWS, key=key)
    return [passed(trigger, own(), key=key) for _ in range(passes)]


@pytest.mark.pain(14)
def test_five_answers_to_own_writes_make_a_loop_that_is_announced_once() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=5)
    assert looped(trigger, 4) == [None] * 4
    busy = [write("a", 2, paths=("spec.size", "status.phase")), write("a", 2, paths=("status.phase",))]
    found = passed(trigger, own(), writes=busy)
    assert found is not None
    assert (found.is_new, found.passes) == (True, 5)
    assert found.paths == ("Widget ns/a: spec.size", "Widget ns/a: status.phase")
    later = passed(trigger, own())
    assert later is not None
    assert not later.is_new


@pytest.mark.pain(14)
def test_each_further_step_waits_longer_up_to_a_cap() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=2, base=1.0, cap=10.0)
    assert looped(trigger, 1) == [None]
    delays = [found.until - at for at in range(1100) if (found := passed(trigger, own(), at=at)) is not None]
    assert delays[:5] == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert delays[-1] == 10.0


def test_a_looping_key_is_held_until_its_time() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=1, base=4.0)
    assert trigger.rest("k", 0.0) == 0.0
    passed(trigger, own(), at=10.0)
    assert [trigger.rest("k", at) for at in (10.0, 13.0, 14.0, 99.0)] == [4.0, 1.0, 0.0, 0.0]
    assert trigger.rest("other", 10.0) == 0.0


@pytest.mark.parametrize(
    ("causes", "writes"), [([own(), NEWS], [write()]), ([own()], []), ([TIMER], []), ([own(77)], [write()])]
)
def test_news_or_rest_ends_the_loop(causes: list[Cause], writes: list[Write]) -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=2)
    assert looped(trigger, 2)[-1] is not None
    assert passed(trigger, *causes, writes=writes) is None
    assert trigger.of("k") is None
    assert passed(trigger, own()) is None


def test_a_write_that_changed_nothing_is_no_write() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=1)
    passed(trigger, NEWS)
    outcomes: list[Outcome] = ["noop", "suppressed", "conflict", "failed"]
    for outcome in outcomes:
        assert passed(trigger, own(), writes=[write(outcome=outcome)]) is None


def test_a_timer_in_between_neither_ends_a_loop_nor_counts() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=2)
    looped(trigger, 2)
    for causes in ([TIMER], [own(), TIMER]):
        found = passed(trigger, *causes)
        assert found is not None
        assert (found.passes, found.is_new) == (2, False)


def test_keys_are_judged_apart() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=2)
    looped(trigger, 1, "a")
    assert looped(trigger, 1, "b") == [None]
    assert passed(trigger, own(), key="a") is not None
    assert list(trigger.flapping()) == ["a"]


@given(st.lists(st.tuples(st.sampled_from([own(), NEWS, TIMER]), st.integers(0, 1))))
def test_a_loop_is_exactly_a_run_of_own_and_writing_passes(passes: list[tuple[Cause, int]]) -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=3)
    passed(trigger, NEWS)
    streak = 0
    for cause, writes in passes:
        found = passed(trigger, cause, writes=[write()] * writes)
        streak = 0 if cause is NEWS or not writes else streak + cause.is_change
        assert (found is not None) == (streak >= 3)


def test_own_writes_are_known_by_their_version_and_writer() -> None:
    known: OwnWrites[str] = OwnWrites()
    known.note_write("k", write("a", 7))
    known.note_write("k", write("b", 8, outcome="noop"))
    facts = ("home", WIDGET.name, ObjectKey("ns", "a"))
    assert known.are_ours(*facts, "7")
    assert not known.are_ours(*facts, "8")
    assert known.by("k")(*facts, "7")
    assert not known.by("other")(*facts, "7")
    assert not known.are_ours("home", WIDGET.name, ObjectKey("ns", "b"), "8")


def test_an_own_deletion_is_known_by_the_absence_of_a_version() -> None:
    known: OwnWrites[str] = OwnWrites()
    known.note_write("k", write("a", 0, verb="delete"))
    assert known.are_ours("home", WIDGET.name, ObjectKey("ns", "a"), "")


def test_only_the_newest_own_writes_are_remembered() -> None:
    known: OwnWrites[str] = OwnWrites(limit=2)
    for version in (1, 2, 3):
        known.note_write("k", write("a", version))
    facts = ("home", WIDGET.name, ObjectKey("ns", "a"))
    assert [known.are_ours(*facts, str(version)) for version in (1, 2, 3)] == [False, True, True]
