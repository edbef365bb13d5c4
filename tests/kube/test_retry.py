"""More tries: only for what may pass, never without a bound."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.core.backoff import Backoff
from reconcile.core.clock import now
from reconcile.kube.errors import ApiError, ConnectionFailed, Forbidden, KubeError, TooManyRequests, Unavailable
from reconcile.kube.retry import RetryPolicy, again
from reconcile.testing.loop import run


def unavailable(retry_after: float | None = None) -> ApiError:
    return Unavailable("away", code=503, retry_after=retry_after)


class Server:
    """Fails as told, then answers "ok"; notes when it was asked."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.asked: list[float] = []

    async def __call__(self) -> str:
        self.asked.append(now())
        if self.failures:
            raise self.failures.pop(0)
        return "ok"


async def calling(
    server: Callable[[], Awaitable[str]],
    policy: RetryPolicy = RetryPolicy(),  # noqa: B008 (a value)
    *,
    idempotent: bool = True,
    seed: int = 1,
    note: Callable[[KubeError, float], None] = lambda error, wait: None,
) -> str:
    began = now()
    try:
        return await server()
    except KubeError as error:
        if not policy.allows(error, idempotent=idempotent):
            raise
        first = error
    deadline = began + policy.total
    return await again(server, first, policy, deadline, idempotent=idempotent, rng=random.Random(seed), note=note)


async def test_what_passes_is_answered_in_the_end() -> None:
    noted: list[tuple[KubeError, float]] = []
    first, second = unavailable(), ConnectionFailed("cut", sent=True)
    server = Server(first, second)
    assert await calling(server, note=lambda error, wait: noted.append((error, wait))) == "ok"
    assert [error for error, _ in noted] == [first, second]
    assert server.asked == pytest.approx([0.0, noted[0][1], noted[0][1] + noted[1][1]])


async def test_what_does_not_pass_is_raised_as_it_is_and_at_once() -> None:
    failure = Forbidden("no", code=403)
    server = Server(failure)
    with pytest.raises(Forbidden) as caught:
        await calling(server)
    assert caught.value is failure
    assert server.asked == [0.0]


async def test_the_last_failure_is_raised_when_tries_are_used_up() -> None:
    failures = [unavailable() for _ in range(9)]
    server = Server(*failures)
    with pytest.raises(Unavailable) as caught:
        await calling(server, RetryPolicy(attempts=4))
    assert caught.value is failures[3]
    assert len(server.asked) == 4


async def test_an_unknown_outcome_is_only_repeated_where_that_is_harmless() -> None:
    server = Server(ConnectionFailed("cut", sent=True))
    with pytest.raises(ConnectionFailed):
        await calling(server, idempotent=False)
    assert len(server.asked) == 1
    assert await calling(Server(ConnectionFailed("refused", sent=False)), idempotent=False) == "ok"
    assert await calling(Server(TooManyRequests("later", code=429)), idempotent=False) == "ok"


async def test_the_server_is_left_alone_for_as_long_as_it_asked() -> None:
    server = Server(unavailable(7), unavailable(2))
    await calling(server)
    assert server.asked[1] >= 7
    assert server.asked[2] - server.asked[1] >= 2


async def test_a_wait_beyond_the_total_is_not_begun() -> None:
    server = Server(unavailable(31))
    with pytest.raises(Unavailable):
        await calling(server, RetryPolicy(total=30))
    assert now() == 0


async def test_the_time_that_attempts_take_counts_too() -> None:
    server = Server(*(unavailable() for _ in range(99)))

    async def slow() -> str:
        await anyio.sleep(20)
        return await server()

    with pytest.raises(Unavailable):
        await calling(slow, RetryPolicy(attempts=99, total=30))
    assert now() <= 50


async def test_cancellation_is_not_a_failure() -> None:
    server = Server(*(unavailable() for _ in range(99)))
    with anyio.move_on_after(1) as scope:
        await calling(server, RetryPolicy(attempts=99, total=999))
    assert scope.cancelled_caught
    assert now() == 1


async def test_a_foreign_error_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        await calling(Server(unavailable(), ZeroDivisionError()))


@settings(max_examples=40)
@given(st.integers(0, 12), st.integers(1, 6), st.floats(0, 20), st.none() | st.floats(0, 10), st.integers())
def test_tries_and_time_are_always_bounded(
    failures: int, attempts: int, total: float, retry_after: float | None, seed: int
) -> None:
    policy = RetryPolicy(attempts, total, Backoff(0.2, 2.0, 5.0))
    server = Server(*(unavailable(retry_after) for _ in range(failures)))

    async def main() -> None:
        with suppress(Unavailable):
            await calling(server, policy, seed=seed)
        assert len(server.asked) <= min(attempts, failures + 1)
        assert server.asked[-1] <= total + 1e-6

    run(main())


def test_the_waits_of_many_are_spread_over_their_whole_length() -> None:
    waits: list[float] = []
    for seed in range(200):
        run(calling(Server(unavailable()), seed=seed, note=lambda _, wait: waits.append(wait)))
    assert min(waits) < 0.02
    assert max(waits) > 0.18
