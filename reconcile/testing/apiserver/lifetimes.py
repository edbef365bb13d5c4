"""What goes by itself when its time is over: Events, so long after their last write.

Pure: ``caretakers.py`` acts. Source of the rule: kube-apiserver's ``--event-ttl``, a lease of etcd on each Event, which
every write of it begins anew. No admission, no finalizer and no audit has a part in it; watchers see a deletion.
"""

from collections import OrderedDict
from typing import Final

import attrs

from reconcile.core.clock import Seconds
from reconcile.testing.apiserver.storage import Event

TABLE: Final = "events"
"""Where Events are kept, of either group."""


@attrs.define(eq=False)
class Lifetimes:
    """When which object goes; times are on the loop's clock. ``seconds`` of 0: nothing goes."""

    seconds: Seconds
    _ends: OrderedDict[str, Seconds] = attrs.field(factory=OrderedDict)
    """By key, the soonest first: all live equally long."""

    def observe(self, event: Event, now: Seconds) -> None:
        """Learn of a change."""
        self._ends.pop(event.key, None)
        if event.new is not None and self.seconds:
            self._ends[event.key] = now + self.seconds

    @property
    def next_end(self) -> Seconds | None:
        """When the next one goes; ``None``: there is none."""
        return next(iter(self._ends.values()), None)

    def over(self, now: Seconds) -> list[str]:
        """The keys whose time is over."""
        found = []
        for key, end in self._ends.items():
            if end > now:
                break
            found.append(key)
        return found
