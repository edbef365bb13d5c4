"""What a controller tells whoever measures it; its queue has an observer of its own.

Every method does nothing here, so an observer overrides what it needs. They are called on the loop, in the middle of
the work: they must be quick and must not raise. ``manager/metrics.py`` maps them to the names that dashboards know.
"""

from typing import Literal, TypeAlias

from reconcile.controller.outcome import Label
from reconcile.core.clock import Seconds

Fault: TypeAlias = Literal["predicate", "handler", "source"]


class ControllerObserver:
    """One controller's figures. ``controller`` is its name."""

    def workers(self, controller: str, workers: int) -> None:
        """It starts with so many workers."""

    def active(self, controller: str, active: int) -> None:
        """So many of them are in a reconcile now."""

    def waited(self, controller: str, seconds: Seconds) -> None:
        """A reconcile starts so long after the first change that asked for it."""

    def reconciled(self, controller: str, result: Label, seconds: Seconds) -> None:
        """A reconcile ended."""

    def flapping(self, controller: str) -> None:
        """A key was found to trigger itself."""

    def failed(self, controller: str, fault: Fault, name: str) -> None:
        """A function of the user's raised outside of a reconcile; nothing is lost by it."""
