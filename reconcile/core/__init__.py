"""Queues, services and time: knows no Kubernetes. All but time is loaded when it is first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

from reconcile.core.clock import Seconds, boottime, now, utc

if TYPE_CHECKING:
    from reconcile.core.backoff import Backoff, TokenBucket
    from reconcile.core.queue import QueueClosed, QueueObserver, QueueSnapshot, WorkQueue
    from reconcile.core.schedule import LOW, NORMAL, Schedule, Scheduled, Work
    from reconcile.core.service import Draining, NotStarted, Service, ServiceEnded, ServiceStuck, serving
    from reconcile.core.watchdog import LoopWatchdog
else:  # a type checker that saw it would take every misspelt word for one of ours
    _HOMES = {
        "backoff": "Backoff TokenBucket",
        "queue": "QueueClosed QueueObserver QueueSnapshot WorkQueue",
        "schedule": "LOW NORMAL Schedule Scheduled Work",
        "service": "Draining NotStarted Service ServiceEnded ServiceStuck serving",
        "watchdog": "LoopWatchdog",
    }
    _HOME = {name: f"reconcile.core.{module}" for module, names in _HOMES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        """Load a word on its first use (PEP 562)."""
        if name not in _HOME:
            raise AttributeError(f"module 'reconcile.core' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOME[name]), name)
        return value


__all__ = [
    "LOW",
    "NORMAL",
    "Backoff",
    "Draining",
    "LoopWatchdog",
    "NotStarted",
    "QueueClosed",
    "QueueObserver",
    "QueueSnapshot",
    "Schedule",
    "Scheduled",
    "Seconds",
    "Service",
    "ServiceEnded",
    "ServiceStuck",
    "TokenBucket",
    "Work",
    "WorkQueue",
    "boottime",
    "now",
    "serving",
    "utc",
]
