"""Several services as one: started side by side, drained side by side, stopped side by side.

For parts that must not wait for each other: a cluster that is down keeps no other one's caches from filling, and ten
controllers that drain take no longer than the slowest of them. One that ends by itself ends them all, with its name.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import anyio
from anyio.abc import TaskStatus
from attrs import define, field

from reconcile.core.service import Draining, Service, ServiceEnded

log = logging.getLogger(__name__)


@define(eq=False)
class Together:
    """A service made of others. ``may_drain``: asked when it is stopped; False cuts off what is in work."""

    name: str
    services: Sequence[Service]
    may_drain: Callable[[], bool] = lambda: True
    _draining: anyio.CancelScope = field(factory=anyio.CancelScope, init=False)
    _is_stopping: bool = field(default=False, init=False)
    _ended: ServiceEnded | None = field(default=None, init=False)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Started once all of them are.

        Raises:
            ServiceEnded: one of them ended by itself.
        """
        try:
            async with anyio.create_task_group() as tasks:
                starts = [_Start() for _ in self.services]
                for service, start in zip(self.services, starts, strict=True):
                    tasks.start_soon(self._host, service, start, name=service.name)
                for start in starts:
                    await start.done.wait()
                task_status.started()
                await anyio.sleep_forever()
        except ExceptionGroup:
            if self._ended is None:
                raise
            raise self._ended from self._ended.__cause__

    async def drain(self) -> None:
        """Let each finish what it has in work, all at once; returns early when told to ``hurry``."""
        self._is_stopping = True
        if not self.may_drain():
            return
        with self._draining:
            async with anyio.create_task_group() as tasks:
                for service in self.services:
                    if isinstance(service, Draining):
                        tasks.start_soon(self._drain, service, name=f"drain {service.name}")

    def hurry(self) -> None:
        """Wait for nothing that is in work, now or later."""
        self._draining.cancel()

    async def _host(self, service: Service, start: "_Start") -> None:
        cause: Exception | None = None
        try:
            await service.run(task_status=start)
        except Exception as error:
            cause = error
        if cause is not None or not self._is_stopping:
            ended = ServiceEnded(service.name)
            self._ended = self._ended or ended
            raise ended from cause

    async def _drain(self, service: Draining) -> None:
        try:
            await service.drain()
        except Exception:
            log.exception("could not drain: service=%s", getattr(service, "name", service))


@define(eq=False)
class _Start(TaskStatus[None]):
    """Whether one of them is usable."""

    done: asyncio.Event = field(factory=asyncio.Event)

    def started(self, value: None = None) -> None:
        self.done.set()
