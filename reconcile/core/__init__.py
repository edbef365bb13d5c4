"""Queues, services and time: knows no Kubernetes."""

from reconcile.core.backoff import Backoff, TokenBucket
from reconcile.core.clock import Seconds, boottime, now, utc
from reconcile.core.queue import QueueClosed, QueueObserver, QueueSnapshot, WorkQueue
from reconcile.core.schedule import LOW, NORMAL, Schedule, Scheduled, Work

__all__ = [
    "LOW",
    "NORMAL",
    "Backoff",
    "QueueClosed",
    "QueueObserver",
    "QueueSnapshot",
    "Schedule",
    "Scheduled",
    "Seconds",
    "TokenBucket",
    "Work",
    "WorkQueue",
    "boottime",
    "now",
    "utc",
]
