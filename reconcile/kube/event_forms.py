"""How an Event looks on the wire: in the core API and in ``events.k8s.io``.

Pure. Source of the forms and of what is required: ``core/v1`` and ``events/v1`` of k8s.io/api, and the validation of
events in kubernetes. A cluster-scoped object's Events live in the namespace ``default``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from reconcile.kube.events import Series
from reconcile.kube.kinds import EVENT, EVENT_V1
from reconcile.kube.objects import Object, ObjectKey
from reconcile.kube.resource import Resource
from reconcile.kube.times import format_micro_time, format_time

Document = Mapping[str, Any]


@frozen
class Form:
    """One of the two APIs. ``new`` makes the Event of a series, ``change`` what a further note changes in it."""

    resource: Resource[Object]
    new: Callable[[Series, str, str], Document]
    change: Callable[[Series], Document]


def key(series: Series) -> ObjectKey:
    return ObjectKey(series.subject.namespace or "default", series.name)


def _core(series: Series, component: str, instance: str) -> Document:
    type_, reason, action, _ = series.story
    return {
        **_common(series, type_, reason, instance),
        **({"action": action} if action else {}),
        "involvedObject": series.subject.reference(),
        "message": series.message,
        "source": {"component": component, "host": instance},
        "reportingComponent": component,
        "firstTimestamp": format_time(series.first.replace(microsecond=0)),
        **_core_change(series),
    }


def _core_change(series: Series) -> Document:
    last = format_time(series.last.replace(microsecond=0))
    return {"count": series.count, "lastTimestamp": last, "message": series.message}


def _new(series: Series, component: str, instance: str) -> Document:
    type_, reason, action, _ = series.story
    return {
        **_common(series, type_, reason, instance),
        "reportingController": component,
        "action": action or reason,
        "regarding": series.subject.reference(),
        "eventTime": format_micro_time(series.first),
        **_new_change(series),
    }


def _new_change(series: Series) -> Document:
    told: dict[str, Any] = {"note": series.message}
    if series.count > 1:
        told["series"] = {"count": series.count, "lastObservedTime": format_micro_time(series.last)}
    return told


def _common(series: Series, type_: str, reason: str, instance: str) -> dict[str, Any]:
    namespace, name = key(series)
    return {
        "metadata": {"name": name, "namespace": namespace},
        "type": type_,
        "reason": reason,
        "reportingInstance": instance,
    }


CORE = Form(EVENT, _core, _core_change)
NEW = Form(EVENT_V1, _new, _new_change)
