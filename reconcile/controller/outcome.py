"""What an answer, an error or a timeout means for the key, for the log and for the metrics.

One function a case, each to one ``Outcome``: what happens to the key next, the label it is counted under, how loud it
is. A conflict is quiet: someone wrote first, so the key comes again soon. Errors out of a task group count as what they
are inside. Pure; ``worker.py`` does what it says.
"""

import logging
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import attrs

from reconcile.cache.cluster import UndeclaredKind
from reconcile.controller.reconciler import DONE, Result, TerminalError
from reconcile.core.clock import Seconds
from reconcile.kube.errors import Conflict, Fenced, KubeError

TERMINAL: Final = (TerminalError, UndeclaredKind)
"""What no second try can mend. A kind that is read undeclared is a fault in how the controller was put together."""
Label: TypeAlias = Literal["success", "error", "requeue_after", "terminal", "conflict", "timeout", "panic"]


@attrs.frozen
class Forget:
    """All is well: failures and timer are forgotten."""

    def __str__(self) -> str:
        return "done"


@attrs.frozen
class Later:
    """All is well; the key's one timer is set to ``after`` seconds."""

    after: Seconds
    priority: int | None = None

    def __str__(self) -> str:
        return f"again in {self.after:g} s"


@attrs.frozen
class Soon:
    """Again after a short bounded delay, as nothing is wrong."""

    def __str__(self) -> str:
        return "again soon"


@attrs.frozen
class BackOff:
    """Again, later each time, in ``at_least`` seconds."""

    at_least: Seconds = 0.0

    def __str__(self) -> str:
        return "backs off"


@attrs.frozen
class WaitForChange:
    """Not again by itself."""

    def __str__(self) -> str:
        return "waits for a change"


Next: TypeAlias = Forget | Later | Soon | BackOff | WaitForChange


@attrs.frozen
class Outcome:
    """What follows from one pass."""

    label: Label
    then: Next
    error: BaseException | None = None
    level: int = logging.DEBUG
    """How loud it is logged."""
    with_traceback: bool = False
    """Whether the log shows where it was raised: for faults in the code, not for what a server said."""


class BadResult(TerminalError):
    """A reconciler gave back something that is no ``Result``."""


_WELL: Final = Outcome("success", Forget())


def of_result(value: object) -> Outcome:
    """The reconciler came back with ``value``; ``None`` is ``DONE``."""
    if value is None or value is DONE:
        return _WELL
    if not isinstance(value, Result):
        return of_error(BadResult(f"a reconciler returns Result or None, not {type(value).__name__}: {value!r:.100}"))
    if value.requeue_after is None:
        return _WELL
    return Outcome("requeue_after", Later(value.requeue_after, value.priority))


def of_timeout(deadline: Seconds) -> Outcome:
    """It was cancelled after ``deadline`` seconds."""
    error = TimeoutError(f"no end within {deadline:g} s")
    return Outcome("timeout", BackOff(), error, logging.ERROR)


def of_error(error: BaseException) -> Outcome:
    """It raised; see ``must_pass`` for what never gets here. Of several errors the one counts that retries the most."""
    leaves = list(_leaves(error))
    if not all(isinstance(leaf, Exception) for leaf in leaves):
        return Outcome("panic", BackOff(), error, logging.ERROR, with_traceback=True)
    if all(isinstance(leaf, Conflict) for leaf in leaves):
        return Outcome("conflict", Soon(), error, logging.INFO)
    if all(isinstance(leaf, TERMINAL) for leaf in leaves):
        return Outcome("terminal", WaitForChange(), error, logging.ERROR)
    at_least = max((getattr(leaf, "retry_after", None) or 0.0 for leaf in leaves), default=0.0)
    level = logging.INFO if all(isinstance(leaf, Fenced) for leaf in leaves) else logging.ERROR
    known = all(isinstance(leaf, (KubeError, *TERMINAL)) for leaf in leaves)
    return Outcome("error", BackOff(at_least), error, level, with_traceback=not known)


def must_pass(error: BaseException) -> bool:
    """Whether it asks the process to stop, alone or inside a group: then nobody may keep it."""
    return any(isinstance(leaf, (KeyboardInterrupt, SystemExit)) for leaf in _leaves(error))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
