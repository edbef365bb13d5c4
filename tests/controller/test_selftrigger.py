"""A controller that answers its own writes for ever is noticed, named once and slowed down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.controller.selftrigger import Flapping, OwnWrites, SelfTrigger
from reconcile.kube.journal import Outcome
from reconcile.kube.objects import ObjectKey
from tests.controller.things import WIDGET, write


def own(trigger: SelfTrigger[str], key: str = "k", *, writes: int = 1) -> Flapping | None:
    found = [write(paths=("spec.size", "status.phase") if n == 0 else ("status.phase",)) for n in range(writes)]
    return trigger.passed(key, is_own=True, is_foreign=False, writes=found)


@pytest.mark.pain(14)
def test_five_answers_to_own_writes_make_a_loop_that_is_announced_once() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=5)
    assert [own(trigger) for _ in range(4)] == [None] * 4
    found = own(trigger, writes=2)
    assert found is not None
    assert found.is_new
    assert found.paths == ("Widget ns/a: status.phase", "Widget ns/a: spec.size")
    later = own(trigger)
    assert later is not None
    assert not later.is_new


@pytest.mark.pain(14)
def test_each_further_step_waits_longer_up_to_a_cap() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=2, base=1.0, cap=10.0)
    own(trigger)
    delays = [found.delay for _ in range(60) if (found := own(trigger)) is not None]
    assert delays[:5] == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert delays[-1] == 10.0


def test_news_or_rest_ends_the_loop() -> None:
    for is_own, is_foreign, writes in ((True, True, [write()]), (True, False, []), (False, False, [])):
        trigger: SelfTrigger[str] = SelfTrigger(limit=2)
        own(trigger)
        assert own(trigger) is not None
        assert trigger.passed("k", is_own=is_own, is_foreign=is_foreign, writes=writes) is None
        assert trigger.of("k") is None
        assert own(trigger) is None


def test_a_write_that_changed_nothing_is_no_write() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=1)
    outcomes: list[Outcome] = ["noop", "suppressed", "conflict", "failed"]
    for outcome in outcomes:
        assert trigger.passed("k", is_own=True, is_foreign=False, writes=[write(outcome=outcome)]) is None


def test_a_timer_in_between_neither_ends_a_loop_nor_counts() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=2)
    own(trigger)
    own(trigger)
    found = trigger.passed("k", is_own=False, is_foreign=False, writes=[write()])
    assert found is not None
    assert (found.passes, found.is_new) == (2, False)


def test_keys_are_judged_apart() -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=2)
    own(trigger, "a")
    assert own(trigger, "b") is None
    assert own(trigger, "a") is not None
    assert list(trigger.flapping()) == ["a"]
    trigger.forget("a")
    assert not trigger.flapping()


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 1))))
def test_a_loop_is_exactly_a_run_of_own_and_writing_passes(passes: list[tuple[bool, bool, int]]) -> None:
    trigger: SelfTrigger[str] = SelfTrigger(limit=3)
    streak = 0
    for is_own, is_foreign, writes in passes:
        found = trigger.passed("k", is_own=is_own, is_foreign=is_foreign, writes=[write()] * writes)
        streak = 0 if is_foreign or not writes else streak + is_own
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
