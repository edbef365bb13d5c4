"""What is large is worked out each time, and nothing of it stays."""

import pytest

from reconcile.testing.apiserver.remembering import remembered


def test_small_calls_are_worked_out_once_and_large_ones_each_time() -> None:
    asked: list[str] = []

    @remembered(2, of=len, most=3)
    def shout(text: str) -> str:
        asked.append(text)
        return text.upper()

    assert [shout(text) for text in ("abc", "abc", "abcd", "abcd")] == ["ABC", "ABC", "ABCD", "ABCD"]
    assert asked == ["abc", "abcd", "abcd"]


def test_no_more_than_the_last_answers_are_remembered() -> None:
    asked: list[int] = []

    @remembered(2, of=lambda number: 0, most=0)
    def double(number: int) -> int:
        asked.append(number)
        return 2 * number

    for number in (1, 2, 3, 3, 1):
        double(number)
    assert asked == [1, 2, 3, 1]


def test_a_failure_is_not_remembered() -> None:
    asked: list[str] = []

    @remembered(2, of=len, most=9)
    def refuse(text: str) -> None:
        asked.append(text)
        raise ValueError(text)

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            refuse("no")
    assert asked == ["no", "no"]
