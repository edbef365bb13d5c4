"""What an object's status says about it, one sentence a type, and since when.

``put`` changes one condition of the list and keeps the others, also what is not known of them. The time moves only when
the status does, so saying the same again is no change, and no write. Pure: the time is passed in.

Source: the API conventions, and ``meta.SetStatusCondition`` of k8s.io/apimachinery.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

import attrs
import orjson

from reconcile.kube.objects import KubeObject
from reconcile.kube.patch import MergePatch, same
from reconcile.kube.times import format_time, parse_time
from reconcile.kube.views import thaw


@attrs.frozen
class Condition:
    """``metav1.Condition``. ``reason`` is one word for machines, ``message`` a sentence for people."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    observed_generation: int = 0
    """The generation of the object that this is about; 0 if it does not say."""
    last_transition_time: dt.datetime | None = None
    """Since when the status is what it is."""


def get(obj: KubeObject, type: str) -> Condition | None:
    """The condition of this type, as the object was read; ``None`` if it has none. A time that is none is left out."""
    found = next((item for item in _conditions(obj) if item.get("type") == type), None)
    if found is None:
        return None
    return Condition(
        type=type,
        status=found.get("status", "Unknown"),
        reason=found.get("reason", ""),
        message=found.get("message", ""),
        observed_generation=found.get("observedGeneration", 0),
        last_transition_time=_time(found.get("lastTransitionTime")),
    )


def is_true(obj: KubeObject, type: str) -> bool:
    """Whether the object says so."""
    return any(item.get("type") == type and item.get("status") == "True" for item in _conditions(obj))


def put(obj: KubeObject, condition: Condition, *, now: dt.datetime) -> MergePatch | None:
    """Say so in the status; ``None`` if it says so already. For the status subresource.

    Without times of its own the condition gets ``now`` when its status is new, else it keeps the old time. The list is
    replaced whole, as it was read, so the patch carries the version it was read at.
    """
    listed = _conditions(obj)
    place = next((place for place, item in enumerate(listed) if item.get("type") == condition.type), len(listed))
    before = listed[place] if place < len(listed) else {}
    after = {**before, **_written(condition, before, now)}
    if same(before, after):
        return None
    guard = {"metadata": {"resourceVersion": obj.metadata.resource_version}} if obj.metadata.resource_version else {}
    return MergePatch({**guard, "status": {"conditions": [*listed[:place], after, *listed[place + 1 :]]}})


def _written(condition: Condition, before: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
    since = condition.last_transition_time
    kept = before.get("lastTransitionTime") if before.get("status") == condition.status else None
    written = {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": format_time((since or now).replace(microsecond=0)) if since or not kept else kept,
    }
    if condition.observed_generation:
        written["observedGeneration"] = condition.observed_generation
    return written


def _time(value: object) -> dt.datetime | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _conditions(obj: KubeObject) -> list[dict[str, Any]]:
    document = obj if isinstance(obj, Mapping) else orjson.loads(obj.metadata.raw or b"{}")
    status = document.get("status")
    listed = status.get("conditions") if isinstance(status, Mapping) else None
    return [item for item in thaw(listed or []) if isinstance(item, dict)]
