"""Built-in kinds that are two views of the same objects: events of two groups, autoscalers of two versions.

One of the two is stored, the other is made of it when it is read. Pure. Source: k8s.io/kubernetes,
``pkg/apis/core/v1`` and ``pkg/apis/events/v1`` (conversion), ``pkg/apis/autoscaling/v1`` (conversion).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import attrs

from reconcile.testing.apiserver import published
from reconcile.testing.apiserver.defaults import DEFAULT_METRICS
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.going import as_go
from reconcile.testing.apiserver.schema import Schema
from reconcile.testing.apiserver.storage import Stored, stored
from reconcile.testing.apiserver.versions import Family

if TYPE_CHECKING:
    from reconcile.testing.apiserver.strategy import Kind

Translation = Callable[[Document], Document]


class _Schemas(dict[str, Schema]):
    """Schemas by version, read when somebody asks."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, version: str) -> Schema:
        return self.setdefault(version, published.schema(self._names[version]))

    def __contains__(self, version: object) -> bool:
        return version in self._names


@attrs.define(eq=False)
class Twins(Family):
    """``home`` and ``away`` are apiVersions: what is stored, and what is made of it."""

    home: str = ""
    away: str = ""
    outward: Translation = dict
    inward: Translation = dict

    def is_plain(self, kind: "Kind", found: Stored) -> bool:
        return kind.resource.api_version == self.home

    def read(self, found: Stored) -> Document:
        return found.value

    def _view(self, kind: "Kind", found: Stored) -> Stored:
        shown = self._translated(found.value, kind.resource.api_version)
        return stored(shown, found.version, kind.selectable(shown), untidy=found.untidy)

    def converted(self, document: Document, version: str) -> Document:
        return self._translated(document, f"{self.group}/{version}")

    def kept(self, document: Document) -> Document:
        return self._translated(document, self.home)

    def _translated(self, document: Document, api_version: str) -> Document:
        if document.get("apiVersion") == api_version:
            return document
        change = self.inward if api_version == self.home else self.outward
        found = {**change(document), "apiVersion": api_version}
        return as_go(published.schema(published.definition(api_version, str(found["kind"]))), found)


# -- events --------------------------------------------------------------------------------------------------------

_EVENT_NAMES: Final = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_BACK: Final = {new: old for old, new in _EVENT_NAMES.items()}


def _renamed(names: Mapping[str, str]) -> Translation:
    return lambda document: {names.get(name, name): value for name, value in document.items()}


# -- autoscalers ---------------------------------------------------------------------------------------------------


def _to_v1(document: Document) -> Document:
    spec, status = dict(document.get("spec") or {}), dict(document.get("status") or {})
    metrics, seen = spec.pop("metrics", None) or [], status.pop("currentMetrics", None) or []
    for metric in metrics:
        target = _cpu(metric).get("target") or {}
        if "averageUtilization" in target:
            spec["targetCPUUtilizationPercentage"] = target["averageUtilization"]
    for metric in seen:
        current = _cpu(metric).get("current") or {}
        if "averageUtilization" in current:
            status["currentCPUUtilizationPercentage"] = current["averageUtilization"]
    spec.pop("behavior", None)
    status.pop("conditions", None)
    return {**document, "spec": spec, "status": status}


def _cpu(metric: Document) -> Document:
    resource: Document = metric.get("resource") or {}
    return resource if metric.get("type") == "Resource" and resource.get("name") == "cpu" else {}


def _to_v2(document: Document) -> Document:
    spec, status = dict(document.get("spec") or {}), dict(document.get("status") or {})
    target = spec.pop("targetCPUUtilizationPercentage", None)
    current = status.pop("currentCPUUtilizationPercentage", None)
    if target is not None:
        wanted = {"type": "Utilization", "averageUtilization": target}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": wanted}}]
    else:
        spec["metrics"] = list(DEFAULT_METRICS)
    if current is not None:
        usage = {"name": "cpu", "current": {"averageUtilization": current}}
        status["currentMetrics"] = [{"type": "Resource", "resource": usage}]
    return {**document, "spec": spec, "status": status}


def families(fields: Mapping[str, Mapping[str, tuple[str, ...]]]) -> dict[str, Twins]:
    """The families of the kinds that have one, by resource; ``fields`` are those that may be selected."""
    events = Twins(
        "",
        "v1",
        {},
        {"v1": fields["events"]},
        0,
        home="v1",
        away="events.k8s.io/v1",
        outward=_renamed(_EVENT_NAMES),
        inward=_renamed(_BACK),
    )
    names = {version: f"io.k8s.api.autoscaling.{version}.HorizontalPodAutoscaler" for version in ("v1", "v2")}
    scalers = Twins(
        "autoscaling",
        "v2",
        _Schemas(names),
        {"v1": {}, "v2": {}},
        0,
        home="autoscaling/v2",
        away="autoscaling/v1",
        outward=_to_v1,
        inward=_to_v2,
    )
    return {"events": events, "events.events.k8s.io": events, "horizontalpodautoscalers.autoscaling": scalers}
