"""Parts that live for a while: started in line order, stopped in reverse, each within a budget.

A service is anything with a ``name`` and a ``run`` that says ``started()`` once it is usable. ``serving`` runs several in
one task group: each is usable before the next is started, and at the end the last is stopped first. A service may offer
``drain``, which is awaited before it is cancelled, to finish what it has in work.

A service that ends by itself while others rely on it ends them all, with its name and its reason. One that ignores its
cancellation is reported with its stack and the stop goes on with the others; the block itself cannot be left before it
ends, because nothing here lets go of a task that still runs.
"""

import asyncio
import logging
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import anyio
import attrs
from anyio.abc import TaskGroup, TaskStatus

from reconcile.core.clock import Seconds, now
from reconcile.core.stacks import task_stack

logger = logging.getLogger(__name__)


class Service(Protocol):
    """Something that runs until it is cancelled."""

    @property
    def name(self) -> str:
        """How logs and errors call it."""
        ...

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Work until cancelled; call ``task_status.started()`` once usable."""
        ...


@runtime_checkable
class Draining(Protocol):
    """A service that finishes what it has in work before it is cancelled."""

    async def drain(self) -> None:
        """Take in nothing new and return when nothing is in work. May be cancelled: the budget is over."""
        ...


class ServiceEnded(Exception):
    """A service came to its end although nobody stopped it. ``__cause__`` is what it raised, if it did."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} ended by itself")
        self.service = name


class NotStarted(Exception):
    """A service was not usable in time."""

    def __init__(self, name: str, timeout: Seconds) -> None:
        super().__init__(f"{name} was not ready after {timeout:g} s")
        self.service = name


@attrs.frozen(kw_only=True)
class ServingSettings:
    """Bounds of starting and stopping, in seconds, for each service."""

    start_timeout: Seconds | None = None
    """Until ``started()``; ``None`` for services that rightly wait for others, such as for a server to come up."""
    drain_budget: Seconds = 10.0
    """To finish what is in work."""
    stop_budget: Seconds = 5.0
    """From the cancellation to the end, before it is reported as stuck."""


@attrs.define(eq=False)
class _Running:
    """One started service."""

    service: Service
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    task: "asyncio.Task[Any] | None" = None
    is_stopping: bool = False


class serving:  # noqa: N801 - reads as a verb: ``async with serving(probes, cluster, controller)``
    """Run ``services`` for the length of a block.

    Raises:
        ServiceEnded: one ended by itself; the block is cancelled.
        NotStarted: one was not usable in time; those before it are stopped.
    """

    def __init__(self, *services: Service, settings: ServingSettings | None = None) -> None:
        self._services = services
        self._settings = settings or ServingSettings()
        self._running: list[_Running] = []

    async def __aenter__(self) -> Self:
        self._group: TaskGroup = anyio.create_task_group()
        await self._group.__aenter__()
        try:
            for service in self._services:
                await self._start(service)
        except BaseException as error:
            if await self.__aexit__(type(error), error, error.__traceback__):
                raise AssertionError("a failed start cannot be swallowed") from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with anyio.CancelScope(shield=True):
            for running in reversed(self._running):
                await self._stop(running)
        try:
            return await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            if (only := _only(group)) is None:
                raise
            if only is error:
                return False
            raise only from only.__cause__

    async def _start(self, service: Service) -> None:
        running = _Running(service)
        self._running.append(running)
        begun = now()
        with anyio.move_on_after(self._settings.start_timeout) as waiting:
            await self._group.start(self._host, running, name=service.name)
        if waiting.cancelled_caught:
            assert self._settings.start_timeout is not None
            raise NotStarted(service.name, self._settings.start_timeout)
        logger.debug("Started service=%s seconds=%.3f", service.name, now() - begun)

    async def _host(self, running: _Running, *, task_status: TaskStatus[None]) -> None:
        running.task = asyncio.current_task()
        try:
            with running.scope:
                await running.service.run(task_status=task_status)
        except Exception as error:
            raise ServiceEnded(running.service.name) from error
        finally:
            running.ended.set()
        if not running.is_stopping and not running.scope.cancel_called:
            raise ServiceEnded(running.service.name)

    async def _stop(self, running: _Running) -> None:
        running.is_stopping = True
        service = running.service
        if isinstance(service, Draining) and not running.ended.is_set():
            with anyio.move_on_after(self._settings.drain_budget) as draining:
                try:
                    await service.drain()
                except Exception:
                    logger.exception("Could not drain service=%s", service.name)
            if draining.cancelled_caught:
                logger.warning("Not drained in time service=%s seconds=%g", service.name, self._settings.drain_budget)
        running.scope.cancel()
        with anyio.move_on_after(self._settings.stop_budget):
            await running.ended.wait()
        if running.ended.is_set():
            logger.debug("Stopped service=%s", service.name)
        elif running.task is not None:
            logger.error("Does not stop service=%s stack=%s", service.name, task_stack(running.task))


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The one error in a group of groups; ``None`` if there are several."""
    if len(group.exceptions) != 1:
        return None
    [error] = group.exceptions
    return _only(error) if isinstance(error, BaseExceptionGroup) else error
