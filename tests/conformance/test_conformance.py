"""Every case, told to the embedded server, is answered as the real server answered it.

What is knowingly otherwise stands in ``different.py`` with its reason, and fails once it is no longer so.
"""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from reconcile.testing.loop import run
from tests.conformance import record
from tests.conformance.collection import all_cases
from tests.conformance.different import DIFFERENT, DIFFERENT_OVER_HTTP
from tests.conformance.reading import told_apart
from tests.conformance.steps import Case
from tests.conformance.targets import in_memory, over_http
from tests.standing import StandingClock

pytestmark = [pytest.mark.pain(25)]

CASES = all_cases()


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_in_memory_it_answers_as_the_real_server_does(case: Case) -> None:
    check(case, run(in_memory(case)))


def test_over_http_it_answers_as_the_real_server_does() -> None:
    found = anyio.run(over_http, CASES, backend_options={"loop_factory": StandingClock})
    wrong = []
    for case in CASES:
        try:
            answers = found[case.id]
            if isinstance(answers, Exception):
                raise answers
            check(case, answers, {**DIFFERENT, **DIFFERENT_OVER_HTTP})
        except Exception as error:
            wrong.append(f"{case.id}\n{error!r}")
    assert not wrong, "\n".join([*wrong, f"{len(wrong)} of {len(CASES)} cases"])


def test_there_are_more_than_four_hundred_cases() -> None:
    assert len(CASES) >= 400


def test_the_record_is_small_and_of_one_server() -> None:
    recorded = [record.load(section) for section in {case.section for case in CASES}]
    assert len({one.server for section in recorded for one in section.values()}) == 1
    assert sum(path.stat().st_size for path in record.FOLDER.rglob("*.json")) < 3_000_000


def test_every_known_difference_is_a_case() -> None:
    assert {*DIFFERENT, *DIFFERENT_OVER_HTTP} <= {case.id for case in CASES}


def check(case: Case, found: list[Any], different: Mapping[str, str] = DIFFERENT) -> None:
    """Compare with the record."""
    known = record.load(case.section).get(case.name)
    assert known is not None, "not on record: make test-real ARGS=--record"
    assert known.mark == record.mark(case), "changed since it was recorded: make test-real ARGS=--record"
    lines = told_apart(known.answers, found)
    if case.id in different:
        assert lines, f"no longer different: {different[case.id]}"
        return
    assert not lines, "\n".join(lines)
