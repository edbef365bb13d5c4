"""Whether the namespace of all api-net objects is there, as far as our writes have shown."""

from attrs import define

from reconcile import Seconds
from reconcile.core.clock import now

MISSED_FOR: Seconds = 180.0
"""How long a namespace that a write has missed counts as missing: longer than the longest backoff."""


@define
class Home:
    """Told of by whoever writes there; asked by ``/readyz``."""

    _problem: str = ""
    _at: Seconds = 0.0

    def missed(self, problem: str) -> None:
        """A write was refused, for there is no such namespace."""
        self._problem, self._at = problem, now()

    def found(self) -> None:
        """A write was taken."""
        self._problem = ""

    def problem(self) -> str:
        """For ``/readyz``; "" if nothing is wrong, or nobody has missed it for a while."""
        return self._problem if self._problem and now() - self._at <= MISSED_FOR else ""
