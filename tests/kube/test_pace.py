"""How fast a server is asked after it said 429."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.pace import HALVING, NARROWEST_GAP, PAUSE, SHARE, WIDEST_GAP, Pace

pytestmark = pytest.mark.pain(32)


def test_nothing_is_held_back_until_a_server_complains() -> None:
    pace = Pace()
    assert [pace.reserve(0.0) for _ in range(1000)] == [0.0] * 1000


def serving(rate: int, until: float) -> Pace:
    """A pace towards a server that has answered so many requests a second for a while."""
    pace = Pace()
    for number in range(int(3 * rate)):
        pace.succeeded(until - 3 + number / rate)
    return pace


def test_everybody_waits_as_long_as_the_server_asked_and_then_goes_one_by_one() -> None:
    pace, gap = serving(20, until=10.0), 1 / (SHARE * 20)
    assert pace.refused(10.0, 5.0) == 5.0
    assert [pace.reserve(11.0) for _ in range(3)] == pytest.approx([4.0, 4.0 + gap, 4.0 + 2 * gap])


def test_a_server_that_served_nothing_is_asked_once_a_second() -> None:
    pace = Pace()
    pace.refused(10.0, 1.0)
    assert [pace.reserve(10.0) for _ in range(3)] == [1.0, 1.0 + WIDEST_GAP, 1.0 + 2 * WIDEST_GAP]


def test_what_it_served_long_ago_says_nothing_of_its_rate() -> None:
    pace = serving(500, until=10.0)
    pace.refused(60.0, 1.0)
    assert pace.gap == WIDEST_GAP


def test_a_server_that_names_no_time_gets_a_pause_all_the_same() -> None:
    pace = Pace()
    pace.refused(0.0, None)
    assert pace.reserve(0.0) == PAUSE


def test_requests_that_are_refused_together_count_once() -> None:
    pace = Pace()
    assert [pace.refused(0.1 * number, 1.0) for number in range(5)] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert pace.gap == WIDEST_GAP
    assert pace.reserve(0.5) == pytest.approx(0.9)  # the last one's second is not over


def test_a_refusal_never_lets_anybody_come_faster() -> None:
    pace = serving(20, until=10.0)
    pace.refused(10.0, 1.0)
    before = pace.gap
    for number in range(1000):
        pace.succeeded(11.0 + number / 1000)
    pace.refused(12.0, 1.0)
    assert pace.gap == pytest.approx(before, rel=0.1)


def test_quiet_times_bring_the_full_speed_back() -> None:
    pace = serving(20, until=10.0)
    pace.refused(10.0, 1.0)
    before = pace.gap
    pace.reserve(11.0 + HALVING)
    assert pace.gap == pytest.approx(before / 2)
    pace.reserve(11.0 + 20 * HALVING)
    assert before * 0.5**20 < NARROWEST_GAP
    assert pace.gap == 0.0
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
            pace.succeeded(time)
        else:
            turn = time + pace.reserve(time)
            assert turn >= max(time, last, paused_until) - 1e-9
            last = turn
        assert 0 <= pace.gap <= WIDEST_GAP
