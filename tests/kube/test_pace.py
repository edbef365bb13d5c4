"""How fast a server is asked after it said 429."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.pace import FIRST_GAP, PAUSE, WIDEST_GAP, Pace

pytestmark = pytest.mark.pain(32)


def test_nothing_is_held_back_until_a_server_complains() -> None:
    pace = Pace()
    assert [pace.reserve(0.0) for _ in range(1000)] == [0.0] * 1000


def test_everybody_waits_as_long_as_the_server_asked_and_then_goes_one_by_one() -> None:
    pace = Pace()
    assert pace.refused(10.0, 5.0) == 5.0
    assert [pace.reserve(11.0) for _ in range(3)] == pytest.approx([4.0, 4.0 + FIRST_GAP, 4.0 + 2 * FIRST_GAP])


def test_a_server_that_names_no_time_gets_a_pause_all_the_same() -> None:
    pace = Pace()
    pace.refused(0.0, None)
    assert pace.reserve(0.0) == PAUSE


def test_requests_that_are_refused_together_count_once() -> None:
    pace = Pace()
    assert [pace.refused(0.1 * number, 1.0) for number in range(5)] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert pace.gap == FIRST_GAP
    assert pace.reserve(0.5) == pytest.approx(0.9)  # the last one's second is not over


def test_each_further_refusal_doubles_the_gap_up_to_a_limit() -> None:
    pace = Pace()
    gaps = []
    for number in range(12):
        pace.refused(10.0 * number, 1.0)
        gaps.append(pace.gap)
    assert gaps[:4] == [FIRST_GAP, 2 * FIRST_GAP, 4 * FIRST_GAP, 8 * FIRST_GAP]
    assert gaps[-1] == WIDEST_GAP


def test_successes_bring_the_full_speed_back() -> None:
    pace = Pace()
    for number in range(12):
        pace.refused(10.0 * number, 1.0)
    successes = 0
    while pace.gap:
        pace.succeeded()
        successes += 1
    assert 100 < successes < 200
    assert pace.reserve(1000.0) == pace.reserve(1000.0) == 0.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["reserve", "refused", "succeeded"]),
            st.floats(0, 5),
            st.none() | st.floats(0, 10),
        )
    )
)
def test_turns_are_in_order_and_never_within_a_pause(steps: list[tuple[str, float, float | None]]) -> None:
    pace, time, last, paused_until = Pace(), 0.0, 0.0, 0.0
    for what, passed, retry_after in steps:
        time += passed
        if what == "refused":
            pace.refused(time, retry_after)
            paused_until = max(paused_until, time + (PAUSE if retry_after is None else retry_after))
        elif what == "succeeded":
            pace.succeeded()
        else:
            turn = time + pace.reserve(time)
            assert turn >= max(time, last, paused_until) - 1e-9
            last = turn
        assert 0 <= pace.gap <= WIDEST_GAP
