"""What probes ask of the parts of a manager. Each check reads a few fields and waits for nothing.

The reasons name clusters, kinds and times, never an object.
"""

from typing import Any

from reconcile.cache.cluster import Cluster
from reconcile.cache.informer import Informer
from reconcile.cache.reflector import State
from reconcile.controller.controller import Controller
from reconcile.core.clock import Seconds, now
from reconcile.core.watchdog import LoopWatchdog
from reconcile.kube.errors import Fenced
from reconcile.manager.election import LeaderElector
from reconcile.manager.probes import Check, Probes


def add_cluster(probes: Probes, cluster: Cluster, staleness_limit: Seconds) -> None:
    """One check for the way to a cluster, and one for each of its copies."""
    probes.add(f"cluster-{cluster.name}", connection(cluster), "readyz")
    for informer in cluster.informers:
        name = f"cache-{cluster.name}-{informer.watched.resource.name}"
        probes.add(name, freshness(informer, staleness_limit), "readyz")


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


def loop_lag(watchdog: LoopWatchdog, limit: Seconds) -> Check:
    """Whether the loop gets round quickly enough."""

    def check() -> str:
        return f"the loop was blocked for {watchdog.lag:.1f} s" if watchdog.lag > limit else ""

    return check


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
