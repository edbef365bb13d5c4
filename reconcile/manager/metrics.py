"""The figures of one manager, under the names that dashboards for controller-runtime know.

Parts of the framework tell their observers what happens; here that is counted. What has a value at any time (depths,
ages, sizes) is read when somebody looks. How figures are kept and shown is ``registry.py``'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from attrs import frozen

from reconcile.cache.cluster import Cluster
from reconcile.cache.informer import Informer
from reconcile.controller.controller import Controller
from reconcile.controller.observer import ControllerObserver, Fault
from reconcile.controller.outcome import Label
from reconcile.core.clock import Seconds, now
from reconcile.core.queue import WorkQueue
from reconcile.core.schedule import NORMAL
from reconcile.kube.errors import ApiError, KubeError
from reconcile.manager.election import LeaderElector
from reconcile.manager.registry import Counts, Family, Figures
from reconcile.manager.web import Handler

# the bounds of controller-runtime's and client-go's histograms, in seconds
RECONCILES: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5),
    *(1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60),
)
QUEUES: Final = tuple(10.0**exponent for exponent in range(-8, 4))
LAGS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REQUESTS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)

PRIORITIES: Final = 25
"""So many priorities have a label of their own, as with controller-runtime; the rest share one."""

RESULTS: Final[dict[Label, str]] = {
    "success": "success",
    "requeue_after": "requeue_after",
    "conflict": "requeue",
    "error": "error",
    "terminal": "error",
    "timeout": "error",
    "panic": "error",
}
"""controller-runtime knows four results. A conflict comes again soon and is no error."""


class Metrics:
    """What to give to whom as an observer: ``controllers``, ``clients``, ``queues.observer(name)``.

    Raises:
        ImportError: the extra is not installed; the text says how to get it.
    """

    def __init__(self) -> None:
        self.figures = Figures()
        self.controllers: ControllerObserver = _Controllers(self.figures)
        self.clients = _Clients(self.figures)
        self.queues = Queues(self.figures)
        self.informers = Informers(self.figures)
        self._writes = Counts(self.figures.counter("writes_total", "Writes", "cluster", "verb", "outcome"))
        self._master = self.figures.gauge("leader_election_master_status", "1 for a leader, 0 for a standby", "name")
        self._lag = self.figures.histogram("loop_lag_seconds", "How late the event loop came round", bounds=LAGS)

    def observe(
        self,
        clusters: Sequence[Cluster],
        controllers: Sequence[Controller],
        election: LeaderElector | None,
    ) -> None:
        """Hear from all of them, unless somebody else does, and read the rest whenever the page is asked for."""
        for cluster in clusters:
            if cluster.client.observer is None:
                cluster.client.observer = self.clients
        for controller in controllers:
            controller.observer = self.controllers
            if controller.queue.observer is None:
                controller.queue.observer = self.queues.observer(controller.name)

        def sample() -> None:
            self.queues.sample(controller.queue for controller in controllers)
            self.informers.sample(informer for cluster in clusters for informer in cluster.informers)
            for cluster in clusters:
                for (verb, outcome), count in cluster.writes.items():
                    self._writes.set(count, cluster.name, verb, outcome)
            if election is not None:
                self._master[election.election.name,].set(election.is_leader)

        self.figures.sample(sample)

    def lag(self, seconds: Seconds) -> None:
        """The event loop came round that late."""
        self._lag[()].observe(seconds)

    def routes(self) -> Mapping[str, Handler]:
        """For a web server: ``/metrics``."""
        return {"/metrics": self.figures.page}


class _Controllers(ControllerObserver):
    def __init__(self, figures: Figures) -> None:
        count, name = figures.counter, "controller_runtime"
        self._total = count(f"{name}_reconcile_total", "Reconciles by result", "controller", "result")
        self._errors = count(f"{name}_reconcile_errors_total", "Reconciles that failed", "controller")
        self._kinds: dict[Label, Family] = {
            "terminal": count(f"{name}_terminal_reconcile_errors_total", "Errors that wait for a change", "controller"),
            "panic": count(f"{name}_reconcile_panics_total", "Errors that no reconcile should raise", "controller"),
            "timeout": count(f"{name}_reconcile_timeouts_total", "Reconciles cut off at their deadline", "controller"),
        }
        self._time = figures.histogram(
            f"{name}_reconcile_time_seconds", "How long a reconcile took", "controller", bounds=RECONCILES
        )
        self._workers = figures.gauge(f"{name}_max_concurrent_reconciles", "Reconciles at once at most", "controller")
        self._active = figures.gauge(f"{name}_active_workers", "Reconciles going on", "controller")
        self._waited = figures.histogram(
            "event_to_reconcile_seconds",
            "From the first change of a key to its reconcile",
            "controller",
            bounds=REQUESTS,
        )
        self._flapping = count("self_triggers_total", "Keys found to answer their own writes", "controller")
        self._faults = count("faults_total", "Functions of the user that raised", "controller", "fault", "name")

    def workers(self, controller: str, workers: int) -> None:
        self._workers[controller,].set(workers)
        self._active[controller,].set(0)
        for result in set(RESULTS.values()):  # a rate over what is not there yet shows nothing
            self._total[controller, result].inc(0)
        for family in (self._errors, self._flapping, *self._kinds.values()):
            family[controller,].inc(0)

    def active(self, controller: str, active: int) -> None:
        self._active[controller,].set(active)

    def waited(self, controller: str, seconds: Seconds) -> None:
        self._waited[controller,].observe(seconds)

    def reconciled(self, controller: str, result: Label, seconds: Seconds) -> None:
        known = RESULTS[result]
        self._total[controller, known].inc()
        self._time[controller,].observe(seconds)
        if known == "error":
            self._errors[controller,].inc()
        if result in self._kinds:
            self._kinds[result][controller,].inc()

    def flapping(self, controller: str) -> None:
        self._flapping[controller,].inc()

    def failed(self, controller: str, fault: Fault, name: str) -> None:
        self._faults[controller, fault, name].inc()


class _Clients:
    """``kube.client.Observer``."""

    def __init__(self, figures: Figures) -> None:
        self._requests = figures.counter("rest_client_requests_total", "Requests", "code", "method", "host")
        self._retries = figures.counter(
            "rest_client_request_retries_total", "Requests that were sent again", "code", "verb", "host"
        )
        self._duration = figures.histogram(
            "rest_client_request_duration_seconds", "How long an answer took", "verb", "host", bounds=REQUESTS
        )
        self._paused = figures.histogram(
            "rest_client_rate_limiter_duration_seconds",
            "How long a request was held back",
            "verb",
            "host",
            bounds=REQUESTS,
        )

    def request(self, method: str, host: str, code: str, seconds: Seconds) -> None:
        self._requests[code, method, host].inc()
        self._duration[method, host].observe(seconds)

    def retried(self, method: str, host: str, error: KubeError) -> None:
        self._retries[str(error.code) if isinstance(error, ApiError) else "<error>", method, host].inc()

    def paused(self, host: str, seconds: Seconds) -> None:
        self._paused["", host].observe(seconds)


class Queues:
    """Work queues; a queue and its controller have the same name."""

    def __init__(self, figures: Figures) -> None:
        count, gauge, labels = figures.counter, figures.gauge, ("name", "controller")
        timing = partial(figures.histogram, bounds=QUEUES)
        self._adds = count("workqueue_adds_total", "Keys added", *labels)
        self._retries = count("workqueue_retries_total", "Keys added again after a failure", *labels)
        self._waits = timing("workqueue_queue_duration_seconds", "How long a due key waited for a worker", *labels)
        self._works = timing("workqueue_work_duration_seconds", "How long a key was in work", *labels)
        self._depth = gauge("workqueue_depth", "Keys that are due and wait", *labels, "priority")
        self._unfinished = gauge("workqueue_unfinished_work_seconds", "All work going on, added up", *labels)
        self._longest = gauge("workqueue_longest_running_processor_seconds", "The oldest work going on", *labels)
        self._oldest = gauge("workqueue_oldest_wait_seconds", "How long the oldest due key waits", *labels, "priority")
        self._priorities: set[int] = set()

    def observer(self, name: str) -> "_Queue":
        """The observer of one queue."""
        labels = (name, name)
        return _Queue(self._adds[labels], self._retries[labels], self._waits[labels], self._works[labels])

    def sample(self, queues: Iterable[WorkQueue[Any]]) -> None:
        """Set what has a value at any time. Costs a step for each key."""
        self._depth.reset()
        self._oldest.reset()
        moment = now()
        for queue in queues:
            labels, known = (queue.name, queue.name), list(queue.schedule)
            ages = [moment - item.work.since for item in known if item.work is not None]
            self._unfinished[labels].set(sum(ages))
            self._longest[labels].set(max(ages, default=0.0))
            self._depth[*labels, self._priority(NORMAL)].set(0)
            self._oldest[*labels, self._priority(NORMAL)].set(0)
            for priority, depth in queue.schedule.depths().items():
                self._depth[*labels, self._priority(priority)].inc(depth)
            waiting = [item for item in known if item.waiting_since is not None and item.work is None]
            oldest: dict[str, Seconds] = {}
            for item in waiting:
                label = self._priority(item.priority or NORMAL)
                oldest[label] = max(oldest.get(label, 0.0), moment - (item.waiting_since or moment))
            for label, age in oldest.items():
                self._oldest[*labels, label].set(age)

    def _priority(self, priority: int) -> str:
        if len(self._priorities) < PRIORITIES:
            self._priorities.add(priority)
        return str(priority) if priority in self._priorities else "exceeded_cardinality_limit"


@frozen
class _Queue:
    """``core.queue.QueueObserver``."""

    adds: Any
    retries: Any
    waits: Any
    works: Any

    def added(self, priority: int) -> None:
        self.adds.inc()

    def taken(self, priority: int, waited: Seconds) -> None:
        self.waits.observe(waited)

    def done(self, worked: Seconds) -> None:
        self.works.observe(worked)

    def retried(self, delay: Seconds) -> None:
        self.retries.inc()


class Informers:
    """Local copies, by cluster and resource."""

    def __init__(self, figures: Figures) -> None:
        count, gauge, labels = figures.counter, figures.gauge, ("cluster", "resource")
        self._staleness = gauge("informer_staleness_seconds", "Since the copy was last known to be current", *labels)
        self._objects = gauge("informer_objects", "Objects in the copy", *labels)
        self._bytes = gauge("informer_bytes", "Bytes of the documents in the copy", *labels)
        self._relists = Counts(count("informer_relists_total", "Lists begun", *labels, "reason"))
        self._restarts = Counts(count("watch_restarts_total", "Watches begun again", *labels, "reason"))

    def sample(self, informers: Iterable[Informer[Any]]) -> None:
        """Set what has a value at any time."""
        for informer in informers:
            labels = (informer.cluster, informer.watched.resource.name)
            self._staleness[labels].set(informer.staleness(now()))
            self._objects[labels].set(len(informer.store))
            self._bytes[labels].set(informer.store.bytes)
            for counts, totals in ((self._relists, informer.relists), (self._restarts, informer.restarts)):
                for reason, total in totals.items():
                    counts.set(total, *labels, reason)
