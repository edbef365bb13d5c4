"""Runs the reconciler on one key at a time, and takes it back when its time is over.

A call runs in the worker's own task: nothing is started for it but one timer. When that fires the call is cancelled, as
``asyncio.timeout`` would. If it goes on all the same it is reported with its stack and cancelled again from time to
time; its worker is free when it ends and not before, so that a key is never in work twice.
"""

import asyncio
import inspect
import logging
from collections.abc import Hashable
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio
import attrs
from anyio.abc import TaskStatus

from reconcile.controller.backlog import Backlog
from reconcile.controller.context import running_pass
from reconcile.controller.history import Pass
from reconcile.controller.outcome import BadResult, Outcome, must_pass, of_error, of_result, of_timeout
from reconcile.controller.reconciler import Reconcile
from reconcile.core.clock import Seconds
from reconcile.core.queue import QueueClosed
from reconcile.core.stacks import task_stack
from reconcile.kube.journal import journal

logger = logging.getLogger(__name__)
K = TypeVar("K", bound=Hashable)


class CancelledInside(Exception):
    """A reconcile was cancelled, but by nobody who may: it awaited a task that somebody else had cancelled."""


class Deadline:
    """Cancels the current task ``after`` seconds, if the block has not ended by then.

    ``expired`` tells whether it did. From ``grace`` seconds later on it ``is_stuck``: reported, and cancelled again in
    growing intervals. Unlike an anyio scope it leaves clean-up in ``finally`` alone in between.
    """

    def __init__(self, after: Seconds, *, grace: Seconds, what: str) -> None:
        self.expired = False
        self.is_stuck = False
        self.what = what
        self._after, self._grace = after, grace
        self._cancels = 0

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "a reconcile runs in a task"
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._after, self._expire)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._timer.cancel()
        for _ in range(self._cancels):
            self._task.uncancel()
        if self.is_stuck:
            logger.warning("a reconcile that ignored its cancellation has ended: %s", self.what)

    def _expire(self) -> None:
        self.expired = True
        self._cancel(self._grace)

    def _insist(self) -> None:
        self.is_stuck = True
        self._grace = min(2 * self._grace, 60.0)
        logger.error("a reconcile ignores its cancellation: %s\n%s", self.what, task_stack(self._task))
        self._cancel(self._grace)

    def _cancel(self, grace: Seconds) -> None:
        self._cancels += 1
        self._task.cancel()
        self._timer = self._loop.call_later(grace, self._insist)


@attrs.define(eq=False)
class Worker(Generic[K]):
    """Takes keys one by one, as long as ``is_open`` is set."""

    backlog: Backlog[K]
    reconcile: Reconcile
    is_open: asyncio.Event
    deadline: Deadline | None = attrs.field(init=False, default=None)
    """Of the call going on."""

    async def work(self) -> None:
        """Take keys until the queue is closed."""
        queue = self.backlog.queue
        while True:
            await self.is_open.wait()
            try:
                key = await queue.get()
            except QueueClosed:
                return
            if self.is_open.is_set():
                await self._run(key)
            else:
                self.backlog.put_back(key)

    async def _run(self, key: K) -> None:
        run = self.backlog.begin(key)
        if run is None:
            return
        context, notes = running_pass.set(run), journal.set(run.note_write)
        try:
            try:
                outcome = await self._call(run)
            except BaseException:
                self.backlog.abandon(run)
                raise
            self.backlog.end(run, outcome)
        finally:
            journal.reset(notes)
            running_pass.reset(context)

    async def _call(self, run: Pass[K]) -> Outcome:
        """Call the reconciler; whatever it does short of stopping the process becomes an outcome."""
        task = asyncio.current_task()
        assert task is not None, "a worker runs in a task"
        before = task.cancelling()
        settings = self.backlog.settings
        what = f"controller={run.controller} key={run.key} reconcile_id={run.id}"
        self.deadline = deadline = Deadline(settings.deadline, grace=settings.cancel_grace, what=what)
        try:
            answer: object = self.reconcile(run.key)
            if not inspect.isawaitable(answer):
                return of_error(BadResult(f"a reconciler must be `async def`; this one returned {answer!r:.100}"))
            with deadline:
                result = await answer
        except BaseException as error:
            if must_pass(error):
                raise
            if task.cancelling() > before:
                raise error if isinstance(error, asyncio.CancelledError) else asyncio.CancelledError from error
            if deadline.expired:
                return of_timeout(settings.deadline)
            if isinstance(error, asyncio.CancelledError):
                error = CancelledInside("it awaited something that somebody else had cancelled")
            return of_error(error)
        finally:
            self.deadline = None
        return of_timeout(settings.deadline) if deadline.expired else of_result(result)


@attrs.define(eq=False)
class Workers(Generic[K]):
    """A service: the workers of one controller. To stop, those that are in a reconcile may finish it first."""

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
        """Work until cancelled, or until the queue is closed."""
        count = self.backlog.settings.workers
        self.backlog.observer.workers(self.backlog.name, count)
        async with anyio.create_task_group() as tasks:
            for number in range(count):
                worker = Worker(self.backlog, self.reconcile, self.is_open)
                self._workers.append(worker)
                tasks.start_soon(worker.work, name=f"{self.backlog.name} worker {number}")
            task_status.started()

    async def drain(self) -> None:
        """Take no more keys, and wait until no reconcile is going on."""
        await self.backlog.queue.drain()

    def stuck(self) -> tuple[str, ...]:
        """The reconciles that ignore their cancellation."""
        deadlines = [worker.deadline for worker in self._workers]
        return tuple(deadline.what for deadline in deadlines if deadline is not None and deadline.is_stuck)
