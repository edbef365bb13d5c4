"""Every answer, error and timeout of a reconciler has one meaning."""

import logging
from typing import Any

import pytest

from reconcile.controller.outcome import (
    BackOff,
    BadResult,
    Forget,
    Later,
    Soon,
    WaitForChange,
    must_pass,
    of_error,
    of_result,
    of_timeout,
)
from reconcile.controller.reconciler import DONE, Result, TerminalError
from reconcile.kube.errors import ApiError, Conflict, ConnectionFailed, Fenced, TooManyRequests

CONFLICT = Conflict("the object has been modified", code=409, reason="Conflict")


def throttled(retry_after: float | None) -> ApiError:
    return TooManyRequests("slow down", code=429, retry_after=retry_after)


@pytest.mark.parametrize("value", [None, DONE, Result()])
def test_done_forgets_failures_and_timer(value: Result | None) -> None:
    found = of_result(value)
    assert (found.label, found.then, found.level) == ("success", Forget(), logging.DEBUG)


def test_a_time_to_look_again_becomes_the_timer() -> None:
    found = of_result(Result(requeue_after=30.0, priority=-5))
    assert (found.label, found.then) == ("requeue_after", Later(30.0, -5))
    assert of_result(Result(requeue_after=0.0)).then == Later(0.0)


@pytest.mark.parametrize("nonsense", [True, 30, {"requeue_after": 1}, "done"])
def test_an_answer_that_is_no_result_is_a_terminal_error_that_says_so(nonsense: object) -> None:
    found = of_result(nonsense)
    assert (found.label, found.then) == ("terminal", WaitForChange())
    assert isinstance(found.error, BadResult)
    assert f"returns Result or None, not {type(nonsense).__name__}" in str(found.error)


@pytest.mark.pain(8)
def test_a_conflict_is_quiet_and_comes_again_soon() -> None:
    found = of_error(CONFLICT)
    assert (found.label, found.then, found.level, found.with_traceback) == ("conflict", Soon(), logging.INFO, False)


def test_a_terminal_error_waits_for_a_change() -> None:
    found = of_error(TerminalError("the spec makes no sense"))
    assert (found.label, found.then, found.level) == ("terminal", WaitForChange(), logging.ERROR)


@pytest.mark.pain(16)
def test_a_timeout_backs_off_under_its_own_label() -> None:
    found = of_timeout(120.0)
    assert (found.label, found.then) == ("timeout", BackOff())
    assert str(found.error) == "no end within 120 s"


def test_any_other_error_backs_off_and_shows_where_it_was_raised() -> None:
    found = of_error(ValueError("oops"))
    assert (found.label, found.then, found.level, found.with_traceback) == ("error", BackOff(), logging.ERROR, True)


def test_what_a_server_says_is_logged_without_a_traceback() -> None:
    assert not of_error(ConnectionFailed("refused", sent=False)).with_traceback


def test_the_server_says_how_long_to_back_off_at_least() -> None:
    assert of_error(throttled(12.0)).then == BackOff(12.0)
    assert of_error(throttled(None)).then == BackOff(0.0)


def test_a_write_that_the_lease_forbids_is_no_alarm() -> None:
    assert of_error(Fenced("the lease is over")).level == logging.INFO


def test_what_is_no_exception_counts_as_a_panic_and_backs_off() -> None:
    assert (of_error(GeneratorExit()).label, of_error(GeneratorExit()).then) == ("panic", BackOff())


def group(*errors: BaseException) -> BaseException:
    return BaseExceptionGroup("several", [BaseExceptionGroup("inner", list(errors))])


@pytest.mark.parametrize(
    ("errors", "label", "then"),
    [
        ([CONFLICT, CONFLICT], "conflict", Soon()),
        ([CONFLICT, ValueError()], "error", BackOff()),
        ([TerminalError(), TerminalError()], "terminal", WaitForChange()),
        ([TerminalError(), CONFLICT], "error", BackOff()),
        ([throttled(3.0), throttled(5.0)], "error", BackOff(5.0)),
        ([ValueError(), GeneratorExit()], "panic", BackOff()),
    ],
)
def test_errors_of_a_task_group_count_as_what_they_are_inside(errors: list[Any], label: str, then: object) -> None:
    found = of_error(group(*errors))
    assert (found.label, found.then) == (label, then)


def test_a_wish_to_stop_the_process_is_never_kept() -> None:
    assert must_pass(KeyboardInterrupt())
    assert must_pass(SystemExit(1))
    assert must_pass(group(ValueError(), KeyboardInterrupt()))
    assert not must_pass(group(ValueError(), GeneratorExit()))
