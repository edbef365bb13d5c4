"""Runs the reconciler on one key after another, and gets back from it whatever it does.

A call runs in the worker's own task, so nothing is started for it; ``deadline.py`` cuts it off when its time is over.
One that ignores that keeps its worker until it ends, so that a key is never in work twice. What it raises becomes an
outcome, but for a wish to stop the process and the cancellation of the worker itself.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Hashable
from types import CoroutineType
from typing import Any, Generic, TypeVar, cast

import anyio
import attrs
from anyio.abc import TaskStatus

from reconcile.controller.backlog import Backlog
from reconcile.controller.context import running_pass
from reconcile.controller.deadline import Deadline
from reconcile.controller.history import Pass
from reconcile.controller.outcome import BadResult, Outcome, must_pass, of_error, of_result, of_timeout
from reconcile.controller.reconciler import Reconcile
from reconcile.core.clock import Seconds, now
from reconcile.core.queue import QueueClosed
from reconcile.core.stacks import task_line
from reconcile.kube.journal import journal

K = TypeVar("K", bound=Hashable)


class CancelledInside(Exception):
    """A reconcile was cancelled, but by nobody who may: it awaited a task that somebody else had cancelled."""


@attrs.define(eq=False)
class Worker(Generic[K]):
    """Takes keys one by one, as long as ``is_open`` is set; ``took`` is called when it has one."""

    backlog: Backlog[K]
    reconcile: Reconcile
    is_open: asyncio.Event
    took: Callable[[], None] = lambda: None
    deadline: Deadline = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        settings = self.backlog.settings
        self.deadline = Deadline(settings.deadline, grace=settings.cancel_grace, clock=self.backlog.clock)

    async def work(self) -> None:
        """Take keys until the queue is closed."""
        queue, task = self.backlog.queue, asyncio.current_task()
        assert task is not None, "a worker runs in a task"
        try:
            while True:
                if not self.is_open.is_set():
                    await self.is_open.wait()
                key = await queue.get()
                if self.is_open.is_set():
                    self.took()
                    await self._run(key, task)
                else:
                    self.backlog.put_back(key)
        except QueueClosed:
            return
        finally:
            self.deadline.close()

    async def _run(self, key: K, task: "asyncio.Task[Any]") -> None:
        run = self.backlog.begin(key)
        if run is None:
            return
        context, notes = running_pass.set(run), journal.set(run.note_write)
        try:
            try:
                outcome = await self._call(run, task)
            except BaseException:
                self.backlog.abandon(run)
                raise
            self.backlog.end(run, outcome)
        finally:
            journal.reset(notes)
            running_pass.reset(context)

    async def _call(self, run: Pass[K], task: "asyncio.Task[Any]") -> Outcome:
        """Call the reconciler; whatever it does short of stopping the process becomes an outcome."""
        before, deadline = task.cancelling(), self.deadline
        deadline.start(run, task)
        try:
            answer: object = self.reconcile(run.key)
            if type(answer) is not CoroutineType and not inspect.isawaitable(answer):
                return of_error(BadResult(f"a reconciler must be `async def`; this one returned {answer!r:.100}"))
            result = await cast(Awaitable[object], answer)
        except BaseException as error:
            deadline.stop()
            if must_pass(error):
                raise
            if task.cancelling() > before:
                raise error if isinstance(error, asyncio.CancelledError) else asyncio.CancelledError from error
            if deadline.has_expired:
                return of_timeout(self.backlog.settings.deadline)
            if isinstance(error, asyncio.CancelledError):
                error = CancelledInside("it awaited something that somebody else had cancelled")
            return of_error(error)
        finally:
            deadline.stop()
        return of_timeout(self.backlog.settings.deadline) if deadline.has_expired else of_result(result)


@attrs.frozen
class RunningNow:
    """A reconcile that is going on."""

    key: Hashable
    id: str
    seconds: Seconds
    place: str
    """The line of code at which it waits."""
    is_stuck: bool
    """Whether it ignores its cancellation."""


@attrs.define(eq=False)
class Workers(Generic[K]):
    """A service: the workers of one controller. To stop, those that are in a reconcile may finish it first.

    They are as many as were ever needed at once, up to the number in the settings, and one that is idle.
    """

    backlog: Backlog[K]
    reconcile: Reconcile
    is_open: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)
    """Whether keys are taken."""
    _workers: list[Worker[K]] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.is_open.set()

    @property
    def name(self) -> str:
        """As a service."""
        return f"workers of {self.backlog.name}"

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled; once drained there is nothing left to do until then."""
        count = self.backlog.settings.workers
        self.backlog.observer.workers(self.backlog.name, count)

        def hire() -> None:
            hired, working = len(self._workers), self.backlog.queue.schedule.in_work
            if hired < count and hired <= working:
                worker = Worker(self.backlog, self.reconcile, self.is_open, hire)
                self._workers.append(worker)
                tasks.start_soon(worker.work, name=f"{self.backlog.name} worker {hired}")

        async with anyio.create_task_group() as tasks:
            hire()
            task_status.started()
        await anyio.sleep_forever()

    async def drain(self) -> None:
        """Take no more keys, and wait until no reconcile is going on."""
        await self.backlog.queue.drain()

    def calls(self) -> tuple[RunningNow, ...]:
        """The reconciles going on."""
        found = ((worker.deadline.about, worker.deadline.task, worker.deadline.is_stuck) for worker in self._workers)
        return tuple(
            RunningNow(run.key, run.id, now() - self.backlog.since(run), task_line(task).partition(" at ")[2], is_stuck)
            for run, task, is_stuck in found
            if run is not None and task is not None
        )
