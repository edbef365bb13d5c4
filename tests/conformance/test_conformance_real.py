"""The real server still answers what is on record; with ``--record`` its answers are put there first."""

from typing import Any

import anyio
import pytest

from reconcile.testing.envtest import ControlPlane
from tests.conformance import record
from tests.conformance.collection import all_cases
from tests.conformance.reading import told_apart
from tests.conformance.steps import Case
from tests.conformance.targets import by_real

pytestmark = [pytest.mark.real, pytest.mark.pain(25)]

CASES = all_cases()


@pytest.fixture(scope="module")
def answers(real_plane: ControlPlane, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the real server says to every case that runs."""
    chosen = {
        item.callspec.params["case"].id
        for item in request.session.items
        if hasattr(item, "callspec") and "case" in item.callspec.params
    }
    cases = [case for case in CASES if case.id in chosen]
    server, found = anyio.run(by_real, real_plane, cases)
    if request.config.getoption("--record"):
        told = [(case, one) for case in cases if not isinstance(one := found[case.id], Exception)]
        record.store(server, told, CASES)
    return found


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_the_real_server_answers_what_is_on_record(
    case: Case, answers: dict[str, Any], real_plane: ControlPlane
) -> None:
    known = record.load(case.section)[case.name]
    lines = _differences(known, answers[case.id])
    if lines:  # entries of managed fields tell seconds: what changes nothing is a write in the next one
        _, again = anyio.run(by_real, real_plane, [case])
        lines = _differences(known, again[case.id])
    assert not lines, "\n".join(lines)


def _differences(known: Any, found: Any) -> list[str]:
    if isinstance(found, Exception):
        raise found
    return told_apart(known.answers, found)
