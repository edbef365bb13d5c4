"""A reconciler that is asked only while every kind that it looks at is served.

A server that lacks a kind looks like one without such objects. Nothing may be concluded from that: no destination is
cleared because an old server has no routings, and nothing is dangling because its kind was not installed yet. Keys
wait, and come again by themselves, as there is no watch that could call them.
"""

import logging
from collections.abc import Sequence
from random import Random
from typing import Any

from attrs import define, field

from apinetlet.controllers.bridge import Bridge, is_missing
from reconcile import Cluster, Controller, ControllerSettings, For, Reconciler, Request, Result, Seconds, Watches

log = logging.getLogger(__name__)


def missing_kinds(*clusters: Cluster) -> str:
    """For ``/readyz``: the kinds that nobody serves, and why we think so; "" if all are."""
    return "; ".join(
        f"{informer.name} is not served: {informer.last_error}"
        for cluster in clusters
        for informer in cluster.informers
        if is_missing(cluster, informer.watched.resource)
    )


def guarded(
    bridge: Bridge,
    name: str,
    reconciler: Reconciler,
    sources: Sequence[For[Any] | Watches[Any]],
    settings: ControllerSettings,
    rng: Random | None,
) -> Controller:
    """A controller whose ``reconciler`` is asked only while there is something to look at."""
    return Controller(name, Guarded(reconciler, sources, bridge.deletion_poll), sources, settings, rng=rng)


@define(eq=False)
class Guarded:
    """``reconciler``, which looks at ``sources``; a key that has to wait comes again after ``poll``."""

    reconciler: Reconciler
    sources: Sequence[For[Any] | Watches[Any]]
    poll: Seconds
    _told: tuple[str, ...] = field(default=(), init=False)

    async def reconcile(self, request: Request) -> Result | None:
        missing = tuple(
            f"{one.cluster.name} {one.cluster.resource(one.type).name}"
            for one in self.sources
            if is_missing(one.cluster, one.cluster.resource(one.type))
        )
        if missing != self._told:
            self._told = missing
            log.warning("Waits for kinds that nobody serves missing=%s", list(missing))
        return Result(requeue_after=self.poll) if missing else await self.reconciler.reconcile(request)
