"""A few more tries for a call that failed in a way that may pass.

A call is made plainly first, by whoever makes it: what succeeds pays nothing. Only after a first retryable failure does
tenacity, of which this is the only user, count and wait. Waits are jittered over their whole length and never shorter
than the server asked for; tries end with a number or a time, whichever comes first, and the last failure is raised as
it is. Cancellation is no failure and passes.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import field, frozen

from reconcile.core.backoff import Backoff
from reconcile.core.clock import Seconds, now
from reconcile.kube.errors import KubeError, is_retryable

T = TypeVar("T")


@frozen
class RetryPolicy:
    """``attempts`` counts the first; none starts later than ``total`` after it."""

    attempts: int = 5
    total: Seconds = 30.0
    backoff: Backoff = field(factory=lambda: Backoff(base=0.2, cap=5.0))

    def allows(self, error: KubeError, *, idempotent: bool) -> bool:
        """Whether a call that failed like this at first is worth another try."""
        return self.attempts >= 2 and is_retryable(error, idempotent=idempotent)


async def again(
    call: Callable[[], Awaitable[T]],
    first: KubeError,
    policy: RetryPolicy,
    deadline: Seconds,
    *,
    idempotent: bool,
    rng: random.Random,
    note: Callable[[KubeError, Seconds], None],
) -> T:
    """The result of ``call``, which failed with ``first`` before. None of its tries begins after ``deadline``.

    ``note`` hears of each failure that is tried again, and after which wait.
    """
    import tenacity

    def failure(state: tenacity.RetryCallState) -> BaseException | None:
        return state.outcome.exception() if state.outcome is not None else None

    def is_worth_it(state: tenacity.RetryCallState) -> bool:
        error = failure(state)
        return error is not None and is_retryable(error, idempotent=idempotent)

    def wait(state: tenacity.RetryCallState) -> Seconds:
        asked = getattr(failure(state), "retry_after", None) or 0.0
        return asked + policy.backoff.delay(state.attempt_number, rng)

    def is_enough(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= policy.attempts or now() + state.upcoming_sleep > deadline

    def tell(state: tenacity.RetryCallState) -> None:
        error = failure(state)
        assert isinstance(error, KubeError)
        note(error, state.upcoming_sleep)

    failures = [first]

    async def attempt() -> T:
        if failures:  # the plain call was the first attempt
            raise failures.pop()
        return await call()

    again = tenacity.AsyncRetrying(
        retry=is_worth_it, wait=wait, stop=is_enough, before_sleep=tell, sleep=asyncio.sleep, reraise=True
    )
    return await again(attempt)
