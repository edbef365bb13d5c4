"""The fixtures of the testing kit, seen from a test suite that uses them."""

import pytest

pytest_plugins = "pytester"

CONFTEST = """
    import pytest

    @pytest.fixture
    def anyio_backend(virtual_time):
        return virtual_time

    @pytest.fixture(autouse=True)
    def _nothing_left_behind(no_leaked_tasks):
        pass
"""


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> None:
    """What the inner suites leave behind is theirs."""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\nanyio_mode = auto")
    pytester.makeconftest(CONFTEST)
    return pytester


def test_a_task_left_behind_fails_its_test_and_is_named_with_its_place(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import asyncio

        kept = []

        async def forgotten():
            await asyncio.sleep(10)

        async def test_leaves_a_task():
            kept.append(asyncio.create_task(forgotten(), name="the-forgotten"))

        async def test_leaves_none():
            await asyncio.create_task(forgotten())
        """
    )
    result = suite.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_leaves_a_task*", "*the-forgotten (forgotten) at *"])


def test_tasks_of_an_async_fixture_count_only_once_it_is_torn_down(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.fixture
        async def service():
            task = asyncio.create_task(asyncio.Event().wait())
            yield task
            task.cancel()
            await asyncio.wait([task])

        async def test_uses_it(service):
            await asyncio.sleep(1)
        """
    )
    suite.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1)


def test_a_leak_on_a_real_loop_is_found_too(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import asyncio
        import pytest

        kept = []

        @pytest.fixture
        def anyio_backend():
            return "asyncio", {}

        async def test_leaves_a_task():
            kept.append(asyncio.create_task(asyncio.sleep(10)))
        """
    )
    suite.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1, errors=1)


def test_each_example_of_a_property_starts_at_time_zero_and_is_looked_at_for_leaks(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import asyncio
        from hypothesis import given, strategies as st

        kept = []

        @given(st.integers(1, 100))
        async def test_sleeps(seconds):
            assert asyncio.get_running_loop().time() == 0
            await asyncio.sleep(seconds)

        @given(st.integers(1, 100))
        async def test_leaves_tasks(seconds):
            kept.append(asyncio.create_task(asyncio.sleep(seconds)))
        """
    )
    suite.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=2, errors=1)


def test_a_deadlock_is_the_failure_of_the_test_and_the_next_test_is_not_touched(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import asyncio

        async def test_hangs():
            await asyncio.Event().wait()

        async def test_after_it():
            await asyncio.sleep(1)
        """
    )
    result = suite.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Deadlock: nothing can happen any more*"])


def test_the_header_shows_the_seed_that_tests_draw_their_worlds_from(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_seed(world_seed):\n    assert world_seed == 7")
    result = suite.runpytest_subprocess("--world-seed=7")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["reconcile: --world-seed=7"])


def test_a_loop_seed_changes_the_order_in_which_ready_tasks_run(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import asyncio

        async def test_in_turn():
            order = []

            async def note(number):
                order.append(number)

            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(note(number))
            assert order == list(range(20))
        """
    )
    suite.runpytest_subprocess().assert_outcomes(passed=1)
    suite.runpytest_subprocess("--loop-seed=1").assert_outcomes(failed=1)
