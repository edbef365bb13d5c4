"""Answers remembered within a bound of memory, not only of number: nobody's large requests stay behind."""

import functools
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, cast

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


def remembered(number: int, *, of: Callable[..., int], most: int) -> Callable[[Callable[[*Ts], R]], Callable[[*Ts], R]]:
    """For a pure function of hashable values: its last ``number`` answers, but none to a call that is larger than
    ``most``.

    ``of`` takes what the function takes, and says how large that is.
    """

    def decorate(function: Callable[[*Ts], R]) -> Callable[[*Ts], R]:
        known = cast(Callable[[*Ts], R], functools.lru_cache(number)(function))

        @functools.wraps(function)
        def call(*args: *Ts) -> R:
            return (known if of(*args) <= most else function)(*args)

        return call

    return decorate
