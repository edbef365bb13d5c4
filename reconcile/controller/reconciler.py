"""What a reconciler is asked, and what it may answer.

It is asked with a key and nothing else: which change arrived is not said, because what is true now can be read. It
answers that it is done, or when to look again, or it raises: any exception means "try again, slower each time", and
``TerminalError`` means "not before something changes". Pure.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import attrs

from reconcile.core.clock import Seconds
from reconcile.kube.objects import ObjectKey


class Request(NamedTuple):
    """Which object to reconcile. ``namespace`` is "" for what is cluster-scoped."""

    cluster: str
    namespace: str
    name: str

    @property
    def key(self) -> ObjectKey:
        """Which object of its kind, to ask a store for."""
        return ObjectKey(self.namespace, self.name)

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


@attrs.frozen
class Result:
    """A reconcile that went well, and whether to look again without being told.

    ``requeue_after``: in that many seconds at the latest, whatever else happens; a later result replaces it, so a
    result without it ends the timer. For what no watch tells.
    ``priority``: of that run, if it should not be the normal one; higher goes first.

    Raises:
        ValueError: the time is negative or not finite.
    """

    requeue_after: Seconds | None = None
    priority: int | None = None

    def __attrs_post_init__(self) -> None:
        after = self.requeue_after
        if after is not None and not (math.isfinite(after) and after >= 0):
            raise ValueError(f"requeue_after must be a time from now on, in seconds, not {after!r}")


DONE: Final = Result()


class TerminalError(Exception):
    """Trying again would not help: the key waits for the next change of anything it depends on."""


class Reconciler(Protocol):
    """Brings one object to its desired state. Called for an object that is gone, too. ``None`` means ``DONE``."""

    async def reconcile(self, request: Any, /) -> Result | None:
        """``request`` is a ``Request``, or whatever else the controller's handlers yield."""


Reconcile: TypeAlias = Callable[[Any], Awaitable[Result | None]]
"""A reconciler as a plain async function."""


def reconcile_of(reconciler: Reconciler | Reconcile) -> Reconcile:
    """The function to call.

    Raises:
        TypeError: it is neither a reconciler nor a function.
    """
    function = getattr(reconciler, "reconcile", None) or reconciler
    if not callable(function):
        raise TypeError(f"a reconciler is an async function or has an async method `reconcile`; {reconciler!r} is not")
    return function
