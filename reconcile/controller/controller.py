"""Sources, a queue, workers and a reconciler, under one name.

A controller is two services. ``intake`` fills the queue and may run before leadership, so that a standby is warm;
``workers`` empties it, and runs where writing is allowed. Run as one service, it is both in that order. What people ask
of a controller while it runs (enqueue, pause, why, health) is here, and waits for nothing.
"""

import random
from collections.abc import Hashable, Sequence
from typing import Any

import anyio
import attrs
from anyio.abc import TaskStatus

from reconcile.cache.cluster import Cluster
from reconcile.controller.backlog import Backlog
from reconcile.controller.history import Why
from reconcile.controller.intake import Intake
from reconcile.controller.observer import ControllerObserver
from reconcile.controller.reconciler import Reconcile, Reconciler, reconcile_of
from reconcile.controller.selftrigger import Flapping
from reconcile.controller.settings import ControllerSettings
from reconcile.controller.source import AnySource, Wire, kinds_and_others
from reconcile.controller.worker import RunningNow, Workers
from reconcile.core.queue import QueueSnapshot, WorkQueue
from reconcile.core.schedule import NORMAL
from reconcile.core.service import serving


@attrs.frozen
class ControllerSnapshot:
    """A controller at one moment."""

    name: str
    is_paused: bool
    running: tuple[RunningNow, ...]
    queue: QueueSnapshot[Any]
    failing: dict[Hashable, int]
    """Keys that wait to be tried again, with their failures in a row."""
    flapping: dict[Hashable, Flapping]
    """Keys that trigger themselves."""
    faults: dict[str, int]
    """How often each predicate, handler and source raised."""
    problems: tuple[str, ...]


class Controller:
    """Keeps everything that ``sources`` tell of as ``reconciler`` wants it.

    A service. ``name`` stands in logs and metrics and must be the only one of a manager.

    Raises:
        UndeclaredKind: a source is of a kind that its cluster was not told to watch.
        TypeError: ``reconciler`` is none.
        ValueError: there is no name or no source, or ``Owns`` cannot tell whose.
    """

    def __init__(
        self,
        name: str,
        reconciler: Reconciler | Reconcile,
        sources: Sequence[AnySource],
        settings: ControllerSettings | None = None,
        *,
        observer: ControllerObserver | None = None,
        rng: random.Random | None = None,
    ) -> None:
        if not name or not sources:
            raise ValueError(f"a controller needs a name and something to look at; this has name={name!r}")
        self.name = name
        self.settings = settings or ControllerSettings()
        wires, others = kinds_and_others(sources)
        self._backlog: Backlog[Any] = Backlog(
            name, self.settings, observer or ControllerObserver(), rng or random.Random()
        )
        self.intake = Intake(self._backlog, wires, others)
        """The service that fills the queue."""
        self.workers = Workers(self._backlog, reconcile_of(reconciler))
        """The service that empties it; start it after ``intake`` and only where writing is allowed."""

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Take in and work until cancelled; started once the stores are there."""
        async with serving(self.intake, self.workers):
            task_status.started()
            await anyio.sleep_forever()

    async def drain(self) -> None:
        """Begin no more reconciles, and wait until none is going on."""
        await self.workers.drain()

    # what it is made of

    @property
    def wires(self) -> tuple[Wire, ...]:
        """Which kinds it hears of."""
        return tuple(self.intake.wires)

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """Those it hears of."""
        return tuple(dict.fromkeys(wire.cluster for wire in self.intake.wires))

    @property
    def queue(self) -> WorkQueue[Any]:
        """For its figures."""
        return self._backlog.queue

    @property
    def observer(self) -> ControllerObserver:
        """Is told the figures of the reconciles; may be replaced before the start."""
        return self._backlog.observer

    @observer.setter
    def observer(self, observer: ControllerObserver) -> None:
        self._backlog.observer = observer

    # what people ask of it

    def enqueue(self, key: Hashable, reason: str = "", *, priority: int = NORMAL) -> None:
        """Reconcile a key, at once if it can be, also one that is backing off. ``reason`` shows in ``why``."""
        self._backlog.ask(key, "requested", reason, priority)

    def enqueue_all(self, reason: str = "") -> None:
        """Reconcile every key that its sources know of, at low priority."""
        self.intake.sweep(reason)

    def pause(self) -> None:
        """Begin no reconcile from now on; what is asked for is kept."""
        self.workers.is_open.clear()

    def resume(self) -> None:
        """End a pause."""
        self.workers.is_open.set()

    @property
    def is_paused(self) -> bool:
        """Whether it was told to pause."""
        return not self.workers.is_open.is_set()

    def why(self, key: Hashable) -> Why[Any]:
        """Why a key ran and will run: its last passes with causes, changes, writes and results."""
        return self._backlog.why(key)

    def problems(self) -> tuple[str, ...]:
        """Why it is not well, in a sentence each; nothing if it is. A failing reconcile is no problem of its own."""
        waiting = [
            f"{informer.name} is not synced: {informer.last_error or informer.state.value}"
            for informer in self.intake.informers
            if not informer.has_synced
        ]
        stuck = [
            f"a reconcile ignores its cancellation: key={call.key} reconcile_id={call.id} at {call.place}"
            for call in self.workers.calls()
            if call.is_stuck
        ]
        return (*waiting, *stuck, *self.intake.troubles.values())

    def snapshot(self) -> ControllerSnapshot:
        """All that it does and plans; costs a step for each key that is planned."""
        return ControllerSnapshot(
            self.name,
            self.is_paused,
            self.workers.calls(),
            self.queue.snapshot(),
            self._backlog.failing(),
            dict(self._backlog.self_trigger.flapping()),
            dict(self.intake.faults),
            self.problems(),
        )
