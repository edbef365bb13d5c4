"""The daemon with full caches, whose passes are run one by one and whose writes are only noted.

It is assembled as in production, so a kind that is added there is rehearsed, too. Nobody works by itself: no worker, no
election, no timer.
"""

from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from attrs import frozen

from apinetlet.assembly import APINET, SOURCE, assemble
from apinetlet.settings import Settings
from apinetlet.tools.answer import Failure
from apinetlet.tools.captured import Captured, Document
from apinetlet.tools.changes import Difference, difference
from apinetlet.tools.sides import Sides
from reconcile import Client, Controller, EventRecorder, Manager, Seconds
from reconcile.core.service import NotStarted, ServiceEnded, serving


@frozen
class Pass:
    """What one pass over a key would do."""

    controller: str
    key: Hashable
    changes: tuple[Difference, ...]
    error: str = ""
    again_in: Seconds | None = None


@frozen
class Rehearsal:
    """A daemon that can be asked what it would do."""

    daemon: Manager
    sides: tuple[Captured, Captured]
    settings: Settings
    moved: tuple[Difference, ...] = ()
    """What would be written before the first pass."""

    def keys(self, controller: Controller) -> list[Hashable]:
        """All that a controller would look at after a start, sorted."""
        return sorted((item.key for item in controller.queue.schedule), key=str)

    async def run(self, controller: Controller, key: Any) -> Pass:
        """One pass. What it raises is part of the answer."""
        error, again = "", None
        try:
            with anyio.fail_after(self.settings.reconcile_deadline):
                result = await controller.workers.reconcile(key)
                again = result.requeue_after if result is not None else None
        except Exception as raised:
            error = _told(raised)
        return Pass(controller.name, key, self.take(), error, again)

    def take(self) -> tuple[Difference, ...]:
        """What was noted since the last time."""
        found = (difference(one) for side in self.sides for one in side.take())
        return tuple(one for one in found if one is not None)

    async def told(self) -> list[Document]:
        """The Events that the passes would write; to be asked last."""
        recorders = [one for one in self.daemon.leader_services if isinstance(one, EventRecorder)]
        async with serving(*recorders):
            pass
        return [one for side in self.sides for one in side.told]


@asynccontextmanager
async def rehearsal(settings: Settings, sides: Sides, *, timeout: Seconds) -> AsyncIterator[Rehearsal]:
    """The daemon, once its caches are full.

    Raises:
        Failure: they are not within ``timeout``.
        NotSynced: a right is missing; says which.
    """
    ways = tuple(Captured(name, client.transport) for name, client in ((SOURCE, sides.source), (APINET, sides.apinet)))
    source, apinet = (
        Client(way, field_manager=sides.generation.field_manager, settings=client.settings)
        for way, client in zip(ways, (sides.source, sides.apinet), strict=True)
    )
    daemon = assemble(settings, sides.generation, source, apinet)
    try:
        async with serving(*daemon.clusters, *(one.intake for one in daemon.controllers), start_timeout=timeout):
            movers = [one for one in daemon.leader_services if not isinstance(one, EventRecorder)]
            made = Rehearsal(daemon, (ways[0], ways[1]), settings)
            async with serving(*movers, start_timeout=timeout):
                yield Rehearsal(daemon, made.sides, settings, made.take())
    except ServiceEnded as ended:
        raise (ended.__cause__ or ended) from ended
    except NotStarted as late:
        raise Failure(f"not all was read within {timeout:g} s: {'; '.join(waits(daemon)) or late}") from late


def _told(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_told(one) for one in error.exceptions)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def waits(daemon: Manager) -> Sequence[str]:
    """Which copies are not full, and why."""
    return [
        f"{informer.name}: {informer.last_error or informer.state.value}"
        for cluster in daemon.clusters
        for informer in cluster.informers
        if not informer.has_synced
    ]
