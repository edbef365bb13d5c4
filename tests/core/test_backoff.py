"""Delays after failures, and tokens."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core import Backoff, TokenBucket

failures = st.integers(1, 10**400) | st.integers(1, 20)
seeds = st.integers(0, 2**32)


@given(failures, seeds)
@pytest.mark.pain(28)
def test_no_delay_is_longer_than_the_cap_however_often_a_key_failed(failures: int, seed: int) -> None:
    assert 0 <= Backoff().delay(failures, random.Random(seed)) <= 60.0


@given(failures)
def test_the_ceiling_never_falls_with_more_failures(failures: int) -> None:
    assert Backoff().ceiling(failures) <= Backoff().ceiling(failures + 1)


def test_the_ceiling_doubles_from_the_base_to_the_cap() -> None:
    backoff = Backoff(base=1.0, factor=2.0, cap=10.0)
    assert [backoff.ceiling(failures) for failures in range(7)] == [0.0, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_the_jitter_is_full() -> None:
    backoff, rng = Backoff(base=1.0, cap=8.0), random.Random(1)
    delays = [backoff.delay(20, rng) for _ in range(1000)]
    assert min(delays) < 0.1
    assert max(delays) > 7.9
    assert 3.5 < sum(delays) / 1000 < 4.5


def test_one_seed_gives_the_same_delays_again() -> None:
    first, second = random.Random(3), random.Random(3)
    assert [Backoff().delay(n, first) for n in range(9)] == [Backoff().delay(n, second) for n in range(9)]


def test_a_constant_backoff_is_allowed_and_a_shrinking_one_is_not() -> None:
    assert Backoff(base=5.0, factor=1.0).ceiling(10**6) == 5.0
    with pytest.raises(ValueError, match="factor"):
        Backoff(factor=0.5)


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=10.0, burst=3)
    delays = [bucket.reserve(100.0) for _ in range(6)]
    assert delays == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3])


@given(
    st.floats(0.1, 100),
    st.integers(1, 20),
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_window_of_time_sees_more_tokens_than_burst_and_rate_allow(
    rate: float, burst: int, pauses: list[float]
) -> None:
    bucket, now, granted = TokenBucket(rate, burst), 0.0, []
    for pause in pauses:
        now += pause
        granted.append(now + bucket.reserve(now))
    assert granted == sorted(granted)
    for first, start in enumerate(granted):
        for last in range(first, len(granted)):
            assert last - first + 1 <= burst + rate * (granted[last] - start) + 1e-6


@given(st.floats(0.1, 100), st.integers(1, 20), st.floats(0, 1e6))
def test_a_bucket_that_rested_is_full_and_no_fuller(rate: float, burst: int, rest: float) -> None:
    bucket = TokenBucket(rate, burst)
    for _ in range(burst):
        bucket.reserve(0.0)
    later = burst / rate + rest
    delays = [bucket.reserve(later) for _ in range(burst + 1)]
    assert delays[:burst] == pytest.approx([0.0] * burst, abs=1e-6)
    assert delays[burst] == pytest.approx(1 / rate, abs=1e-6)
