"""Parts that live for a while: started in line order, stopped in reverse, each within a budget.

A service has a ``name`` and a ``run`` that says ``started()`` once it is usable. ``serving`` runs several around a
block: each is usable before the next is started, and at the end the last is stopped first. To stop one is to ask it to
drain, if it can, then to cancel it; while that goes on, those before it still work.

Each service is a task of its own, not a child of a task group: a group cancels all its children at once when one fails
or when it is cancelled from outside, and whoever saves the last state would lose what it needs for that. So nothing but
``serving`` cancels a service. In return nothing but the end of the block ends it either: a stop, once begun, is bounded
by its budgets and not by a second cancellation, which is passed on afterwards.

No budget can make a task end that ignores its cancellation. Such a service is reported with its stack, the others are
stopped all the same, and the block then raises ``ServiceStuck``: the task still runs, and only its host can decide
whether to leave the process.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable

import anyio
from anyio.abc import TaskStatus
from attrs import define, field

from reconcile.core.clock import Seconds, now
from reconcile.core.stacks import task_line, task_stack

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Service(Protocol):
    """Something that works until it is cancelled."""

    @property
    def name(self) -> str:
        """What logs and errors call it."""
        ...

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Call ``task_status.started()`` once usable, and return or raise only if there is no going on."""
        ...


@runtime_checkable
class Draining(Protocol):
    """A service that can finish what it has in work."""

    async def drain(self) -> None:
        """Take nothing new in, and return when nothing is in work. Cancelled when its budget is over."""
        ...


class ServiceEnded(Exception):
    """A service came to its end though nobody stopped it. ``__cause__`` is what it raised, if it did."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the service {name} ended by itself")
        self.name = name


class NotStarted(Exception):
    """A service was not usable in time; ``place`` is where it stood."""

    def __init__(self, name: str, timeout: Seconds, place: str) -> None:
        super().__init__(f"the service {name} was not usable after {timeout:g} s: {place}")
        self.name = name
        self.timeout = timeout
        self.place = place


class ServiceStuck(Exception):
    """A service did not end within its budget. ``task`` still runs."""

    def __init__(self, name: str, task: asyncio.Task[None]) -> None:
        super().__init__(f"the service {name} ignores that it is stopped: {task_line(task)}")
        self.name = name
        self.task = task


@asynccontextmanager
async def serving(*services: Service, budget: Seconds = 10.0, start_timeout: Seconds = math.inf) -> AsyncIterator[None]:
    """Run services around a block. ``budget`` bounds, for each service, its draining, and then once more its end.

    ``start_timeout`` is infinite by default: what a service waits for, such as a server that is down, may take any
    time, and it is for readiness to tell about it.

    Raises:
        ServiceEnded: a service came to its end. The block was cancelled, the other services are stopped.
        NotStarted: a service was not usable in time. Those before it are stopped.
        ServiceStuck: a service did not stop. Raised only if the block itself raised nothing.
    """
    line: list[_Running] = []
    passed = False
    try:
        with anyio.CancelScope() as block:
            for service in services:
                line.append(running := _Running(service, block.cancel))
                if not await running.is_usable(start_timeout):
                    break
            else:
                yield
        passed = True
    finally:
        stuck = await _to_the_end(_stop_in_reverse(line, budget))
        for running in line:
            if running.ended_by_itself:
                raise ServiceEnded(running.service.name) from running.error
        if passed and stuck:
            raise stuck[0]


async def _stop_in_reverse(line: "list[_Running]", budget: Seconds) -> list[ServiceStuck]:
    problems = [await running.stop(budget) for running in reversed(line)]
    return [problem for problem in problems if problem is not None]


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await something that must not be cut short; a cancellation that arrives meanwhile is raised at its end."""
    task, cancelled = asyncio.create_task(work), None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()


@define(eq=False)
class _Running(TaskStatus[None]):
    """One service, and the task that runs it. It is its own ``task_status``."""

    service: Service
    on_end: Callable[[], None]
    """Called when the service ends by itself."""
    ended_by_itself: bool = field(default=False, init=False)
    error: BaseException | None = field(default=None, init=False)
    _scope: anyio.CancelScope = field(factory=anyio.CancelScope, init=False)
    _usable: asyncio.Future[None] = field(init=False)
    _is_stopping: bool = field(default=False, init=False)
    _task: asyncio.Task[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._usable = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name=self.service.name)
        self._task.add_done_callback(self._note_end)

    def started(self, value: None = None) -> None:
        if not self._usable.done():
            self._usable.set_result(None)

    async def is_usable(self, timeout: Seconds) -> bool:
        """Wait until the service is usable, or has ended instead."""
        begun, limit = now(), None if timeout == math.inf else timeout
        await asyncio.wait([self._usable, self._task], timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            return False
        if not self._usable.done():
            raise NotStarted(self.service.name, timeout, task_line(self._task))
        logger.info("Started service=%s seconds=%.3f", self.service.name, now() - begun)
        return True

    async def stop(self, budget: Seconds) -> ServiceStuck | None:
        self._is_stopping = True
        if self._task.done():
            return None
        begun = now()
        if self._usable.done() and isinstance(self.service, Draining):
            await self._drain(self.service, budget)
        # first the polite way, which what is shielded may finish; at half time the one that breaks through
        for cancel in (self._scope.cancel, self._task.cancel):
            cancel()
            await asyncio.wait([self._task], timeout=budget / 2)
            if self._task.done():
                logger.info("Stopped service=%s seconds=%.3f", self.service.name, now() - begun)
                return None
        logger.error(
            "Service ignores that it is stopped service=%s seconds=%.3f stack=%s",
            self.service.name,
            now() - begun,
            task_stack(self._task),
        )
        return ServiceStuck(self.service.name, self._task)

    async def _drain(self, service: Draining, budget: Seconds) -> None:
        draining = asyncio.create_task(service.drain(), name=f"{self.service.name} drains")
        await asyncio.wait([draining], timeout=budget)
        if not draining.done():
            logger.warning("Service is not drained in time service=%s seconds=%.3f", self.service.name, budget)
            draining.cancel()
            await asyncio.sleep(0)
        elif (error := draining.exception()) is not None:
            logger.error("Service cannot be drained service=%s", self.service.name, exc_info=error)

    async def _run(self) -> None:
        with self._scope:
            await self.service.run(task_status=self)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self.error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if not self._is_stopping:
            self.ended_by_itself = True
            logger.error("Service ended by itself service=%s", self.service.name, exc_info=self.error)
            self.on_end()
        elif self.error is not None and not task.cancelled():
            logger.error("Service failed while it stopped service=%s", self.service.name, exc_info=self.error)
