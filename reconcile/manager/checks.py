"""What probes ask of the parts of a manager. Each check reads a few fields and waits for nothing.

The reasons name clusters, kinds and times, never an object.
"""

from typing import Any

from attrs import define, field

from reconcile.cache.cluster import Cluster
from reconcile.cache.informer import Informer
from reconcile.cache.reflector import State
from reconcile.controller.controller import Controller
from reconcile.core.clock import Seconds, now
from reconcile.kube.errors import Fenced
from reconcile.manager.election import LeaderElector
from reconcile.manager.probes import Check


def connection(cluster: Cluster) -> Check:
    """Whether the API server of a cluster can be reached, as far as its informers know."""

    def check() -> str:
        lost = [informer for informer in cluster.informers if informer.state is State.UNREACHABLE]
        return f"cannot be reached: {lost[0].last_error}" if lost else ""

    return check


def freshness(informer: Informer[Any], limit: Seconds) -> Check:
    """Whether a copy is there, and was known to be current in the last ``limit`` seconds."""

    def check() -> str:
        if not informer.has_synced:
            return f"not synced: {informer.last_error or informer.state.value}"
        if (age := informer.staleness(now())) > limit:
            return f"not heard of for {age:.0f} s: {informer.last_error or informer.state.value}"
        return ""

    return check


@define(eq=False)
class LoopLag:
    """Remembers the last time the loop was held up for longer than ``limit``; told of by ``note``."""

    limit: Seconds
    memory: Seconds = 30.0
    """So long after it the check still fails: probes come every ten seconds or so."""
    _blocked: tuple[Seconds, Seconds] | None = field(default=None, init=False)

    def note(self, lag: Seconds) -> None:
        """For ``LoopWatchdog.on_lag``."""
        if lag > self.limit:
            self._blocked = (now(), lag)

    def check(self) -> str:
        """Whether the loop came round quickly enough of late."""
        if self._blocked is None or (ago := now() - self._blocked[0]) > self.memory:
            return ""
        return f"the loop was blocked for {self._blocked[1]:.1f} s, {ago:.0f} s ago"


def leadership(elector: LeaderElector) -> Check:
    """Whether the lease of a leader still covers its writes; a standby is well."""

    def check() -> str:
        if elector.is_leader:
            try:
                elector.fence()
            except Fenced as error:
                return str(error)
        return ""

    return check


def health(controller: Controller) -> Check:
    """Whether a controller has what it needs, and no reconcile of it ignores its cancellation."""

    def check() -> str:
        return "; ".join(controller.problems())

    return check
