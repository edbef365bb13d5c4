"""The last passes of a key are remembered, bounded in keys, passes and bytes."""

import datetime as dt
import gc

import pytest

from reconcile.controller.cause import Cause, cause_of
from reconcile.controller.history import WRITES, History, Pass, Why
from tests.controller.things import change, entry, write

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def a_pass(key: str, number: int = 1, *causes: Cause) -> Pass[str]:
    return Pass("x", number, "widgets", key, NOON, causes, seconds=0.25, result="success", then="done")


def sized(version: int) -> Cause:
    return cause_of(
        change(entry("a", version, spec={"size": version}), entry("a", version + 1, spec={"size": version + 1})), at=0.0
    )


@pytest.mark.pain(24)
def test_each_key_keeps_its_last_passes() -> None:
    history: History[str] = History(passes=2)
    for number in range(3):
        history.remember(a_pass("a", number))
    history.remember(a_pass("b", 9))
    assert [found.id for found in history.of("a")] == ["x-1", "x-2"]
    assert [found.id for found in history.of("b")] == ["x-9"]
    assert history.of("c") == ()


def test_the_key_that_ran_longest_ago_is_forgotten_first() -> None:
    history: History[str] = History(keys=2)
    for key in ("a", "b", "a", "c"):
        history.remember(a_pass(key))
    assert len(history) == 2
    assert history.of("b") == ()
    assert len(history.of("a")) == 2


def test_old_objects_are_kept_for_comparison_only_up_to_a_bound() -> None:
    causes = [sized(version) for version in range(1, 6)]
    history: History[str] = History(limit_bytes=2 * causes[0].kept_bytes)
    for number, cause in enumerate(causes):
        history.remember(a_pass("a", number, cause))
    kept = [found.causes[0].changed_paths for found in history.of("a")]
    assert kept == [(), (), (), ("spec.size",), ("spec.size",)]
    assert [found.causes[0].new_version for found in history.of("a")] == ["2", "3", "4", "5", "6"]


def test_what_is_remembered_no_longer_keeps_no_objects_alive() -> None:
    history, before = History[str](keys=1, passes=2), causes_alive()
    for version in range(1, 6):
        history.remember(a_pass("a", version, sized(version)))
    assert causes_alive() - before == 2
    history.remember(a_pass("b", 9, sized(9)))
    assert causes_alive() - before == 1


def causes_alive() -> int:
    gc.collect()
    return sum(isinstance(one, Cause) for one in gc.get_objects())


def test_a_pass_keeps_a_bounded_number_of_writes() -> None:
    busy = a_pass("a")
    for version in range(WRITES + 3):
        busy.note_write(write("a", version))
    assert len(busy.writes) == WRITES
    assert busy.writes_left_out == 3


@pytest.mark.pain(24)
def test_why_tells_the_story_of_a_key() -> None:
    told = a_pass("a", 1, sized(1))
    told.note_write(write("b", 2, paths=("spec.x",)))
    running = Pass("x", 2, "widgets", "a", NOON, (Cause("timer", 0.0),))
    why = Why("widgets", "a", (told,), running, (Cause("requested", 0.0, reason="by hand"),), due_in=2.0, failures=0)
    assert str(why) == (
        "widgets a: next run in 2.0 s, 0 failures in a row\n"
        "  because requested (by hand)\n"
        "2026-01-01 12:00:00 success in 0.250 s, done (x-1)\n"
        "  because change home widgets.example.com ns/a: 1 -> 2 spec.size\n"
        "  patch home widgets.example.com ns/b: changed spec.x\n"
        "2026-01-01 12:00:00 running so far (x-2)\n"
        "  because timer"
    )
    facts = why.facts()
    assert facts["passes"][0]["causes"][0]["changedPaths"] == ["spec.size"]
    assert facts["passes"][0]["writes"][0]["outcome"] == "changed"
    assert facts["running"]["result"] == "running"
