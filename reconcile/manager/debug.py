"""What a running manager is doing: queues, why a key ran, local copies, and where every task stands.

Each page is JSON, or a table for people with ``?format=text``. It names keys, versions, dotted paths and places in the
code; never what is in an object. The facts are plain functions of what the parts say of themselves.
"""

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from reconcile.cache.cluster import Cluster
from reconcile.cache.informer import Informer
from reconcile.controller.controller import Controller, ControllerSnapshot
from reconcile.controller.reconciler import Request
from reconcile.core.clock import Seconds, now
from reconcile.core.schedule import Scheduled
from reconcile.core.stacks import task_line, task_stack, thread_stack
from reconcile.manager.tables import aligned
from reconcile.manager.web import JSON, Call, Handler, Reply

LIMIT: Final = 100
"""So many keys of a queue are listed, unless ``?limit=`` says otherwise; those that come next come first."""


def routes(controllers: Sequence[Controller], clusters: Sequence[Cluster]) -> Mapping[str, Handler]:
    """The pages by their paths."""

    async def queues(call: Call) -> Reply:
        limit = int(found) if (found := call.query.get("limit", "")).isdigit() else LIMIT
        return _page(call, [queue_facts(controller.snapshot(), limit) for controller in controllers], queues_text)

    async def informers(call: Call) -> Reply:
        facts = [informer_facts(informer, now()) for cluster in clusters for informer in cluster.informers]
        return _page(call, facts, informers_text)

    async def why(call: Call) -> Reply:
        name, text = call.query.get("controller", ""), call.query.get("key", "")
        found = [controller for controller in controllers if controller.name == name]
        if not found or not text:
            names = ", ".join(controller.name for controller in controllers)
            return Reply(f"say ?controller=..&key=..; there are the controllers: {names}\n".encode(), status=404)
        known = found[0].why(key_of(found[0], text))
        return _page(call, known.facts(), lambda _: str(known))

    async def stacks(call: Call) -> Reply:
        return _page(call, stack_facts(), stacks_text)

    return {f"/debug/{page.__name__}": page for page in (queues, why, informers, stacks)}


def key_of(controller: Controller, text: str) -> Any:
    """The key that is printed as ``text``: one that the controller knows, else a ``Request`` of two or three parts."""
    for item in controller.queue.schedule:
        if str(item.key) == text:
            return item.key
    match text.split("/"):
        case [cluster, namespace, name]:
            return Request(cluster, namespace, name)
        case [cluster, name]:
            return Request(cluster, "", name)
    return text


def queue_facts(snapshot: ControllerSnapshot, limit: int = LIMIT) -> dict[str, Any]:
    """A controller and its queue. ``in`` is seconds from now, ``seconds`` an age until now."""
    at, queue = snapshot.queue.at, snapshot.queue
    failures = {str(key): count for key, count in snapshot.failing.items()}
    waiting = [
        _Waiting(str(item.key), item.priority, at - since) for item in queue.keys if (since := _since(item)) is not None
    ]
    waiting.sort(key=lambda one: -one.seconds)
    planned = [_Planned.of(item, due - at, failures) for item in queue.keys if (due := _due(item)) is not None]
    planned.sort(key=lambda one: one.seconds)
    return {
        "controller": snapshot.name,
        "paused": snapshot.is_paused,
        "closed": queue.is_closed,
        "idleWorkers": queue.idle_workers,
        "problems": list(snapshot.problems),
        "faults": snapshot.faults,
        "inWork": [{"key": str(run.key), "id": run.id, "seconds": run.seconds} for run in snapshot.running],
        "depth": dict(Counter(str(one.priority) for one in waiting)),
        "oldestWait": waiting[0].seconds if waiting else 0.0,
        "waiting": [{"key": one.key, "priority": one.priority, "seconds": one.seconds} for one in waiting[:limit]],
        "plannedCount": len(planned),
        "planned": [
            {"key": one.key, "in": one.seconds, "by": one.by, "failures": one.failures} for one in planned[:limit]
        ],
        "failingCount": len(failures),
        "flapping": {str(key): list(found.paths) for key, found in snapshot.flapping.items()},
    }


class _Waiting(NamedTuple):
    key: str
    priority: int | None
    seconds: Seconds


class _Planned(NamedTuple):
    key: str
    seconds: Seconds
    by: str
    failures: int

    @classmethod
    def of(cls, item: Scheduled[Any], seconds: Seconds, failures: Mapping[str, int]) -> "_Planned":
        key = str(item.key)
        by = "timer" if item.due is None else "retry" if key in failures else "delay"
        return cls(key, seconds, by, failures.get(key, 0))


def informer_facts(informer: Informer[Any], at: Seconds) -> dict[str, Any]:
    """One local copy. ``staleness`` is None before the first list."""
    staleness = informer.staleness(at)
    return {
        "cluster": informer.cluster,
        "resource": informer.watched.resource.name,
        "namespaces": list(informer.watched.namespaces),
        "state": informer.state.value,
        "synced": informer.has_synced,
        "staleness": None if staleness == float("inf") else staleness,
        "objects": len(informer.store),
        "bytes": informer.store.bytes,
        "events": informer.events,
        "relists": dict(informer.relists),
        "restarts": dict(informer.restarts),
        "bad": dict(informer.bad),
        "handlerFaults": dict(informer.faults),
        "lastError": informer.last_error,
    }


def stack_facts() -> dict[str, Any]:
    """Every task of this loop and every thread, with the place where it is and how it got there."""
    tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        "tasks": [{"task": task_line(task), "stack": task_stack(task).splitlines()} for task in tasks],
        "threads": [
            {"thread": names.get(ident, str(ident)), "stack": thread_stack(ident).splitlines()}
            for ident in sys._current_frames()
        ],
    }


def queues_text(facts: Sequence[Mapping[str, Any]]) -> str:
    """``queue_facts`` of several controllers, as tables."""
    head = ("CONTROLLER", "IN WORK", "WAITING", "OLDEST", "PLANNED", "FAILING", "PROBLEMS")
    rows = [
        (
            one["controller"],
            len(one["inWork"]),
            sum(one["depth"].values()),
            f"{one['oldestWait']:.1f}s",
            one["plannedCount"],
            one["failingCount"],
            "; ".join(one["problems"]) or ("paused" if one["paused"] else "-"),
        )
        for one in facts
    ]
    keys = [
        (one["controller"], item["key"], what, f"{item[time]:.1f}s")
        for one in facts
        for what, items, time in (
            ("in work", "inWork", "seconds"),
            ("waits", "waiting", "seconds"),
            ("due in", "planned", "in"),
        )
        for item in one[items]
    ]
    return aligned(head, rows) + "\n\n" + aligned(("CONTROLLER", "KEY", "WHAT", "SECONDS"), keys)


def informers_text(facts: Sequence[Mapping[str, Any]]) -> str:
    """``informer_facts`` of several informers, as a table."""
    head = ("CLUSTER", "RESOURCE", "STATE", "STALE", "OBJECTS", "BYTES", "RELISTS", "RESTARTS", "LAST ERROR")
    rows = [
        (
            one["cluster"],
            one["resource"],
            one["state"],
            "-" if one["staleness"] is None else f"{one['staleness']:.1f}s",
            one["objects"],
            one["bytes"],
            sum(one["relists"].values()),
            sum(one["restarts"].values()),
            one["lastError"],
        )
        for one in facts
    ]
    return aligned(head, rows)


def stacks_text(facts: Mapping[str, Any]) -> str:
    """``stack_facts`` as tracebacks."""
    parts = [(item["task"], item["stack"]) for item in facts["tasks"]]
    parts += [(f"thread {item['thread']}", item["stack"]) for item in facts["threads"]]
    return "\n\n".join("\n".join((title, *stack)) for title, stack in parts)


def _since(item: Scheduled[Any]) -> Seconds | None:
    """Since when a key waits for a worker; None if it does not."""
    return item.waiting_since if item.work is None else None


def _due(item: Scheduled[Any]) -> Seconds | None:
    """When a key that does not wait falls due by itself; None if it does not."""
    times = [at for at in (item.due, item.timer) if at is not None]
    return min(times) if times and _since(item) is None else None


def _page(call: Call, facts: Any, text: Callable[[Any], str]) -> Reply:
    if call.query.get("format") == "text":
        return Reply(f"{text(facts)}\n".encode())
    return Reply(orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE), content_type=JSON)
