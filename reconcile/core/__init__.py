"""Queues, services and time: knows no Kubernetes."""

from reconcile.core.backoff import Backoff, TokenBucket
from reconcile.core.clock import Seconds, boottime, now, utc
from reconcile.core.queue import QueueClosed, QueueObserver, QueueSnapshot, WorkQueue
from reconcile.core.schedule import LOW, NORMAL, Schedule, Scheduled, Work
from reconcile.core.service import Draining, NotStarted, Service, ServiceEnded, ServiceStuck, serving
from reconcile.core.watchdog import LoopWatchdog

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
