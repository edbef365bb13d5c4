"""Runs everything in order, stops in reverse.

The order: probes and metrics listen first, so that ``/readyz`` can say what is missing; services that others stand on;
for each cluster the question whether the rights are there, then its caches; the intake of each controller, so that a
standby is warm; leader election; what only a leader may run; workers last. To stop, workers begin nothing more and
finish what they have, within a budget; then the lease is handed over, and the rest ends. A part that ends by itself
stops all of them, with its name and its reason; a lost lease does so without waiting for what is in work.

One task tree and nothing global: a manager is a block of any asyncio program, several may run at once, and signals are
listened to only by ``run(signals=True)``. Ending the process is the program's decision.
"""

import gc
import logging
import signal
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from random import Random
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

import anyio
from anyio.abc import TaskGroup, TaskStatus

from reconcile.cache.cluster import Cluster
from reconcile.controller.controller import Controller
from reconcile.controller.history import Why
from reconcile.core.clock import Seconds
from reconcile.core.service import Service, ServiceEnded, serving
from reconcile.manager import debug
from reconcile.manager.election import LeaderElector
from reconcile.manager.instruments import Instruments
from reconcile.manager.metrics import Metrics
from reconcile.manager.preflight import Checked, needed
from reconcile.manager.probes import Probes
from reconcile.manager.rbac import Rule, Writes
from reconcile.manager.settings import ManagerSettings
from reconcile.manager.together import Together
from reconcile.manager.web import WebServer

log = logging.getLogger(__name__)
T = TypeVar("T", Cluster, Controller)


class PartEnded(Exception):
    """A part of a manager ended by itself, and the others were stopped. ``part`` is its name, ``__cause__`` why."""

    def __init__(self, part: str, cause: BaseException | None) -> None:
        super().__init__(f"{part} ended: {cause}" if cause is not None else f"{part} ended by itself")
        self.part = part


class Signal(Protocol):
    """An event of asyncio or of anyio."""

    async def wait(self) -> Any: ...


class Manager:
    """Clusters and the controllers over them, as one block: ``async with Manager(...) as manager``.

    ``services`` run from before the first cache to the end, ``leader_services`` only beside the workers, each in the
    order given. ``writes`` declares what is written, for ``rules``. Clients hear of the fence and, as controllers and
    queues do, of who measures them, unless they were told otherwise.

    Raises:
        ValueError: two clusters or two controllers have one name, or a cluster is used but not given.
    """

    def __init__(
        self,
        clusters: Sequence[Cluster],
        controllers: Sequence[Controller],
        *,
        services: Sequence[Service] = (),
        leader_services: Sequence[Service] = (),
        election: LeaderElector | None = None,
        writes: Iterable[Writes] = (),
        settings: ManagerSettings = ManagerSettings(),  # noqa: B008 - frozen
        rng: Random | None = None,
    ) -> None:
        _check("cluster", [cluster.name for cluster in clusters])
        _check("controller", [controller.name for controller in controllers])
        for controller in controllers:
            if others := [cluster.name for cluster in controller.clusters if cluster not in clusters]:
                raise ValueError(f"controller {controller.name!r} looks at clusters that were not given: {others}")
        self.clusters = tuple(clusters)
        self.controllers = tuple(controllers)
        self.services = tuple(services)
        self.leader_services = tuple(leader_services)
        self.election = election
        self.writes = tuple(writes)
        self.settings = settings
        self.rng = rng or Random()
        self._instruments = Instruments(settings, self.clusters, self.controllers, election, self._unready)
        self._workers = Together(
            "workers", [one.workers for one in controllers], may_drain=lambda: election is None or election.is_leader
        )
        self._phase = "not started"
        self._scope = anyio.CancelScope()
        self._working = anyio.Event()
        self._ended = anyio.Event()
        for cluster in clusters:
            if election is not None and cluster.client.fence is None:
                cluster.client.fence = election.fence

    # life

    async def __aenter__(self) -> Self:
        """Begin to start; the block goes on as soon as the servers listen. ``ready`` waits for the rest.

        Raises:
            PartEnded: a server cannot listen; the cause says where and why.
        """
        self._group: TaskGroup = anyio.create_task_group()
        await self._group.__aenter__()
        try:
            await self._group.start(self._live, name="manager")
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Stop in order, and wait until everything has ended.

        Raises:
            PartEnded: one has ended by itself, which also cancelled the block.
        """
        self.stop()
        try:
            return await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            only = _only(group)
            if only is None:
                raise
            if only is error:
                return False
            raise only from only.__cause__

    async def run(self, stop: Signal | None = None, *, signals: bool = False) -> None:
        """Wait until ``stop`` is set, ``stop()`` is called or, with ``signals``, SIGTERM or SIGINT comes; then stop.

        Returns when everything has ended. A second signal cuts off what is in work.
        """
        async with anyio.create_task_group() as waiting:
            if stop is not None:
                waiting.start_soon(self._stop_at, stop)
            if signals:
                await waiting.start(self._stop_at_signals)
            await self._ended.wait()
            waiting.cancel_scope.cancel()

    async def ready(self) -> None:
        """Wait until the workers run: the caches are there and, with an election, we lead."""
        await self._working.wait()

    def stop(self) -> None:
        """Begin to stop in order. Waits for nothing: ``run`` and the end of the block do."""
        if not self._ended.is_set():
            self._phase = "stopping"
        self._scope.cancel()

    def hurry(self) -> None:
        """Stop, and do not wait for what is in work."""
        self._workers.hurry()
        self.stop()

    # what people ask

    @property
    def probes(self) -> Probes:
        """Checks may be added at any time."""
        return self._instruments.probes

    @property
    def metrics(self) -> Metrics | None:
        """For figures of one's own; None where nobody could see them."""
        return self._instruments.metrics

    @property
    def servers(self) -> tuple[WebServer, ...]:
        """Those of the pages; ``bound`` tells where they listen."""
        return self._instruments.servers

    def cluster(self, name: str) -> Cluster:
        """One of the clusters.

        Raises:
            LookupError: there is none of that name.
        """
        return _find("cluster", name, self.clusters)

    def controller(self, name: str) -> Controller:
        """One of the controllers.

        Raises:
            LookupError: there is none of that name.
        """
        return _find("controller", name, self.controllers)

    def why(self, controller: str, key: Any) -> Why[Any]:
        """Why a key ran and will run. ``key`` may be given as it is printed: ``cluster/namespace/name``."""
        found = self.controller(controller)
        return found.why(debug.key_of(found, key) if isinstance(key, str) else key)

    def rules(self) -> tuple[Rule, ...]:
        """The rights that all of it needs, as far as it was declared: for manifests, and for tests of them."""
        return needed(self.clusters, self.writes, self.election)

    # the parts

    async def _live(self, *, task_status: TaskStatus[None]) -> None:
        stop = self.settings.stop_budget
        rules = () if self.settings.preflight == "off" else self.rules()
        clusters = [Checked(cluster, rules, self.settings.preflight, self.rng) for cluster in self.clusters]
        phases: dict[str, tuple[Sequence[Service], Seconds]] = {
            "waiting for services": ((self._instruments.watchdog, *self.services), stop),
            "waiting for the caches": ([Together("clusters", clusters)], stop),
            "waiting for the sources": ([Together("intakes", [one.intake for one in self.controllers])], stop),
            STANDBY: ([] if self.election is None else [self.election], stop),
            "waiting for services of a leader": (self.leader_services, stop),
            "starting the workers": ([self._workers], self.settings.drain_budget),
        }
        try:
            with self._scope:
                async with AsyncExitStack() as started:
                    await started.enter_async_context(serving(*self.servers, budget=stop))
                    task_status.started()
                    for phase, (services, budget) in phases.items():
                        self._phase = phase
                        await started.enter_async_context(serving(*services, budget=budget))
                    self._begin_work()
                    await anyio.sleep_forever()
        except ServiceEnded as ended:
            while isinstance(ended.__cause__, ServiceEnded):
                ended = ended.__cause__
            raise PartEnded(ended.name, ended.__cause__) from ended.__cause__
        finally:
            self._phase = "stopped"
            self._ended.set()

    def _begin_work(self) -> None:
        if self.settings.freeze_gc:
            gc.collect()
            gc.freeze()
        self._phase = WORKING
        self._working.set()
        log.info("started: clusters=%d controllers=%d", len(self.clusters), len(self.controllers))

    async def _stop_at(self, event: Signal) -> None:
        await event.wait()
        self.stop()

    async def _stop_at_signals(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
            task_status.started()
            async for number in received:
                log.info("signal: name=%s", number.name)
                if self._scope.cancel_called:
                    self.hurry()
                self.stop()

    def _unready(self) -> str:
        return "" if self._phase in (WORKING, STANDBY) else self._phase


WORKING: Final = "working"
STANDBY: Final = "waiting for leadership"


def _check(what: str, names: Sequence[str]) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(
            f"two {what}s have the name {twice[0]!r}; a name stands in keys, logs and metrics for one only"
        )


def _find(what: str, name: str, there: Sequence[T]) -> T:
    for one in there:
        if one.name == name:
            return one
    raise LookupError(f"no {what} {name!r}; there are: {', '.join(one.name for one in there) or 'none'}")


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The one error in a group of groups; None if there are several."""
    if len(group.exceptions) != 1:
        return None
    [error] = group.exceptions
    return _only(error) if isinstance(error, BaseExceptionGroup) else error
