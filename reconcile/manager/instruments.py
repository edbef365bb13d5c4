"""What shows a manager from outside: probes, metrics, debug pages, and the servers they are read from.

Everything is hung up here before the start; from then on the parts report or are read, and nothing here acts on them.
"""

from collections.abc import Callable, Sequence

from reconcile.cache.cluster import Cluster
from reconcile.controller.controller import Controller
from reconcile.core.clock import Seconds
from reconcile.core.watchdog import LoopWatchdog
from reconcile.kube.client import Client
from reconcile.manager import checks, debug
from reconcile.manager.election import LeaderElector
from reconcile.manager.guard import Guard
from reconcile.manager.metrics import Metrics
from reconcile.manager.probes import Probes
from reconcile.manager.settings import ManagerSettings
from reconcile.manager.web import Address, WebServer, sharing


class Instruments:
    """Those of one manager. ``unready``: why it is not ready, as far as that is its own matter; "" if it is."""

    def __init__(
        self,
        settings: ManagerSettings,
        clusters: Sequence[Cluster],
        controllers: Sequence[Controller],
        election: LeaderElector | None,
        unready: Callable[[], str],
    ) -> None:
        self.probes = Probes()
        self.metrics = Metrics() if Address.parse(settings.metrics) else None
        self.watchdog = LoopWatchdog(on_lag=self._note_lag)
        self._lag = checks.LoopLag(settings.lag_limit)
        self._add_checks(settings, clusters, controllers, election, unready)
        if self.metrics is not None:
            self.metrics.observe(clusters, controllers, election)
        self.servers = self._servers(settings, clusters, controllers)

    def _add_checks(
        self,
        settings: ManagerSettings,
        clusters: Sequence[Cluster],
        controllers: Sequence[Controller],
        election: LeaderElector | None,
        unready: Callable[[], str],
    ) -> None:
        self.probes.add("start", unready, "readyz")
        self.probes.add("loop", self._lag.check, "healthz", "readyz")
        if election is not None:
            self.probes.add("leader", checks.leadership(election), "healthz", "readyz")
        for cluster in clusters:
            self.probes.add(f"cluster-{cluster.name}", checks.connection(cluster), "readyz")
            for informer in cluster.informers:
                name = f"cache-{cluster.name}-{informer.watched.resource.name}"
                self.probes.add(name, checks.freshness(informer, settings.staleness_limit), "readyz")
        for controller in controllers:
            self.probes.add(f"controller-{controller.name}", checks.health(controller), "readyz")

    def _servers(
        self, settings: ManagerSettings, clusters: Sequence[Cluster], controllers: Sequence[Controller]
    ) -> tuple[WebServer, ...]:
        metrics = self.metrics.routes() if self.metrics is not None else {}
        if settings.metrics_guard:
            metrics = Guard(_client(settings.metrics_guard, clusters)).guarded(metrics)
        pages = (
            ("probes", settings.probes, self.probes.routes(), None),
            ("metrics", settings.metrics, metrics, settings.metrics_certificate),
            ("debug", settings.debug, debug.routes(controllers, clusters), None),
        )
        return sharing(
            WebServer(name, address, routes, f"ManagerSettings({name}=...)", tls)
            for name, text, routes, tls in pages
            if (address := Address.parse(text)) is not None
        )

    def _note_lag(self, lag: Seconds) -> None:
        self._lag.note(lag)
        if self.metrics is not None:
            self.metrics.lag(lag)


def _client(name: str, clusters: Sequence[Cluster]) -> Client:
    for cluster in clusters:
        if cluster.name == name:
            return cluster.client
    raise ValueError(f"metrics_guard: there is no cluster {name!r}")
