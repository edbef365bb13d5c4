"""The fixture that tells a scenario in all its worlds, seen from a test suite that uses it."""

import pytest

# what an inner suite loads anew would be other classes than those that its plugins have
import reconcile.testing.explore  # noqa: F401
import tests.testing.copies  # noqa: F401

pytest_plugins = "pytester"

SUITE = """
    import pytest
    from reconcile.testing.scenario import Scenario, step
    from tests.testing import copies

    def told(keep):
        return Scenario("copied", lambda: copies.a_world(keep), (step(copies.put("a", size="1")),))

    def test_sound(explored):
        assert explored(told(copies.sound), sample=2).seed == 7

    def test_flawed(explored):
        explored(told(copies.hands_out_tickets), ("lagging restarts",))
"""


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> None:
    """What the inner suites leave behind is theirs."""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("SEED", "7")
    pytester.makepyfile(SUITE)
    return pytester


def test_the_seed_of_the_environment_draws_the_sample_and_the_end_tells_how_to_repeat_it(
    suite: pytest.Pytester,
) -> None:
    result = suite.runpytest_subprocess("-p", "no:randomly", "-k", "sound")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["reconcile: --world-seed=7", "*= worlds =*", "3 worlds told by 1 tests in * s", "seed 7: pytest *-k sound"]
    )
    result.stdout.no_fnmatch_line("copied: *")


def test_each_exploration_is_told_with_its_number_of_worlds_if_all_reports_are(suite: pytest.Pytester) -> None:
    result = suite.runpytest_subprocess("-p", "no:randomly", "-k", "sound", "-rA")
    result.stdout.fnmatch_lines(["copied: 2 variations of *, seed 7, 3 worlds in * s"])


def test_a_failure_names_its_world_and_how_to_tell_it_again_alone(suite: pytest.Pytester) -> None:
    result = suite.runpytest_subprocess("-p", "no:randomly", "-k", "flawed")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pytest --world=lagging-1-sees-1-soon", "*failed: lagging-1-sees-1-soon, *"])
    alone = suite.runpytest_subprocess("-p", "no:randomly", "-k", "flawed", "--world=lagging-1-sees-1-soon")
    alone.assert_outcomes(failed=1)
    alone.stdout.fnmatch_lines(["2 worlds told by 1 tests*"])
