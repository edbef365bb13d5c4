"""What a reconcile wrote: one entry for every write, also for those that were saved.

Whoever runs a reconcile sets ``journal`` to a function for the time of the call, and ``Cluster`` calls it. A context
variable carries it, so a reconciler need not pass it on, and tasks it starts write to the same journal. Pure.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Literal, TypeAlias

import attrs

from reconcile.kube.objects import ObjectKey
from reconcile.kube.resource import Resource

Outcome: TypeAlias = Literal["changed", "noop", "suppressed", "conflict", "failed"]
"""``changed``: there is a new version; ``noop``: sent, and the version stayed; ``suppressed``: not sent, on proof."""


@attrs.define(eq=False)
class Write:
    """One write to one object of one cluster. To be read; ``paths`` may be worked out when somebody asks."""

    cluster: str
    verb: str
    """As RBAC spells it, and ``apply``: create, update, patch, apply, delete."""
    resource: Resource[Any]
    key: ObjectKey
    outcome: Outcome
    subresource: str = ""
    _paths: tuple[str, ...] | Callable[[], tuple[str, ...]] = ()
    resource_version: str = ""
    """Of the answer; "" if there was none."""
    kept_bytes: int = 0
    """What the paths that are yet to be worked out keep alive."""

    @property
    def paths(self) -> tuple[str, ...]:
        """What the write changed, or wanted to: dotted paths, as far as they are known."""
        if callable(self._paths):
            self._paths = self._paths()
            self.kept_bytes = 0
        return self._paths

    def forget_change(self) -> None:
        """Let go of what the paths would be worked out from; those that are known stay."""
        if callable(self._paths):
            self._paths = ()


journal: Final[ContextVar[Callable[[Write], None] | None]] = ContextVar("journal", default=None)


def record(write: Write) -> None:
    """Tell the journal that is set, if any."""
    if (note := journal.get()) is not None:
        note(write)
