"""A backlog with workers and nothing around them, for tests that bring the changes themselves."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs

from reconcile.cache.entry import Entry
from reconcile.controller.backlog import Backlog
from reconcile.controller.history import Pass
from reconcile.controller.observer import ControllerObserver
from reconcile.controller.outcome import Label
from reconcile.controller.reconciler import Request
from reconcile.controller.settings import ControllerSettings
from reconcile.controller.worker import Worker
from reconcile.core.clock import Seconds, now
from reconcile.kube.journal import Write, record
from tests.controller.things import change

KEY = Request("home", "ns", "a")


@attrs.define
class Figures(ControllerObserver):
    """Keeps what it was told."""

    results: list[Label] = attrs.field(factory=list)
    faults: list[tuple[str, str]] = attrs.field(factory=list)
    waits: list[Seconds] = attrs.field(factory=list)
    most_active: int = 0
    loops: int = 0

    def active(self, controller: str, active: int) -> None:
        self.most_active = max(self.most_active, active)

    def waited(self, controller: str, seconds: Seconds) -> None:
        self.waits.append(seconds)

    def reconciled(self, controller: str, result: Label, seconds: Seconds) -> None:
        self.results.append(result)

    def flapping(self, controller: str) -> None:
        self.loops += 1

    def failed(self, controller: str, fault: str, name: str) -> None:
        self.faults.append((fault, name))


@attrs.define(eq=False)
class Shop:
    """``reconcile`` may be replaced at any time; ``runs`` tells when it was called for which key."""

    reconcile: Callable[[Request], Any]
    settings: ControllerSettings = attrs.field(factory=ControllerSettings)
    figures: Figures = attrs.field(factory=Figures)
    runs: list[tuple[Seconds, Request]] = attrs.field(factory=list)
    is_open: asyncio.Event = attrs.field(factory=asyncio.Event)
    backlog: Backlog[Request] = attrs.field(init=False)
    workers: list[Worker[Request]] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.backlog = Backlog("widgets", self.settings, self.figures, random.Random(7))
        self.is_open.set()

    async def _called(self, request: Request) -> Any:
        self.runs.append((now(), request))
        return await self.reconcile(request)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        is_over = False
        async with anyio.create_task_group() as tasks:
            for _ in range(self.settings.workers):
                worker = Worker(self.backlog, self._called, self.is_open)
                self.workers.append(worker)
                tasks.start_soon(worker.work)
            yield
            is_over = True
            tasks.cancel_scope.cancel()
        # a task that ends as cancelled takes its group along in silence, and the rest of the test with it
        assert is_over, "a worker has died"

    def sees(self, old: Entry | None, new: Entry | None, key: Request = KEY, *, is_own: bool = False) -> None:
        """A change arrives, as from an informer."""
        self.backlog.changed(key, change(old, new, is_own=is_own))

    @property
    def times(self) -> list[Seconds]:
        return [at for at, _ in self.runs]

    @property
    def last(self) -> Pass[Request]:
        return self.backlog.history.of(KEY)[-1]


def wrote(write: Write) -> None:
    """What a cluster does after a write: tell the journal of the running pass."""
    record(write)
