"""Every pain's tests are seen red: with what they protect taken away they fail, and for that reason.

``make proof`` takes away everything on the list, ``make test`` two things that the seed of the run draws.
"""

import random
from pathlib import Path

import pytest

from tests.red.breaking import ROOT, Breakage, Told, breakages, copy_code, run
from tools import pains

ALL = breakages()
SHOWS = {"AssertionError", "Failed", "TimeoutError", "Deadlock", "Livelock"}
"""Errors by which a test says that the world is not as it should be; a hang on virtual time is a ``Deadlock``."""


def see_red(breakage: Breakage, folder: Path) -> None:
    """Raises AssertionError unless each of the tests fails without what it protects."""
    breakage.apply(copy_code(folder))
    told = run(folder, breakage.tests)
    for test in breakage.tests:
        failed = [one for one in told if one.raised and _is_of(one, test)]
        assert failed, f"{test} cannot fail: it passed when {breakage.file} had lost {breakage.takes_away}"
        strange = [one for one in failed if not (SHOWS | set(breakage.raises)) & set(one.raised)]
        assert len(strange) < len(failed), f"{test} failed for another reason than its own: {strange}"


def _is_of(told: Told, test: str) -> bool:
    return told.test == test or told.test.startswith((f"{test}[", f"{test}::"))


@pytest.mark.proof
@pytest.mark.parametrize("breakage", ALL, ids=[one.name for one in ALL])
def test_without_what_protects_it_the_test_is_red(breakage: Breakage, tmp_path: Path) -> None:
    see_red(breakage, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(2))
def test_of_all_that_protects_two_things_drawn_by_the_seed_are_missed(
    place: int, world_seed: int, tmp_path: Path
) -> None:
    see_red(random.Random(world_seed).sample(ALL, 2)[place], tmp_path)


@pytest.mark.proof
def test_with_everything_in_place_all_of_these_tests_are_green(tmp_path: Path) -> None:
    told = run(copy_code(tmp_path), tuple(dict.fromkeys(test for one in ALL for test in one.tests)), limit=1800.0)
    assert [one for one in told if one.raised] == []


def test_what_the_list_takes_away_is_in_the_code() -> None:
    moved = [f"{one.file}: {one.text}" for one in ALL if (ROOT / one.file).read_text().count(one.text) != 1]
    assert moved == []


def test_code_that_has_moved_is_told_from_a_test_that_cannot_fail(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    breakage = Breakage(1, file.name, text="if x:", broken="if y:", takes_away="x", tests=())
    for code, times in (("if z:", 0), ("if x:\n    if x:", 2)):
        file.write_text(code)
        with pytest.raises(AssertionError, match=f"the code moved, adapt the breakage: code.py has {times} times"):
            breakage.apply(tmp_path)


def test_something_was_taken_away_for_every_pain_that_has_a_test() -> None:
    assert {one.pain for one in pains.proofs()} - {25} <= {one.pain for one in ALL}  # 25 is about all of the server
