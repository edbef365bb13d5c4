"""Requests, results and what counts as a reconciler."""

import math

import pytest

from reconcile.controller.reconciler import DONE, Request, Result, reconcile_of
from reconcile.kube.objects import ObjectKey


def test_a_request_reads_as_a_path() -> None:
    assert str(Request("home", "ns", "a")) == "home/ns/a"
    assert str(Request("home", "", "a")) == "home/a"
    assert Request("home", "ns", "a").key == ObjectKey("ns", "a")


@pytest.mark.parametrize("after", [-1.0, math.inf, math.nan])
def test_a_result_refuses_a_time_that_never_comes(after: float) -> None:
    with pytest.raises(ValueError, match="requeue_after must be a time from now on"):
        Result(requeue_after=after)


def test_done_asks_for_nothing() -> None:
    assert Result() == DONE
    assert DONE.requeue_after is None


async def test_an_object_with_the_method_and_a_function_are_both_reconcilers() -> None:
    class Quiet:
        async def reconcile(self, request: Request) -> Result:
            return Result(requeue_after=1.0)

    async def function(request: Request) -> None: ...

    assert await reconcile_of(Quiet())(Request("c", "n", "a")) == Result(requeue_after=1.0)
    assert reconcile_of(function) is function


def test_anything_else_is_none() -> None:
    with pytest.raises(TypeError, match="a reconciler is an async function or has an async method"):
        reconcile_of(3)  # type: ignore[arg-type]
