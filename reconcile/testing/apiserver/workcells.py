"""The cells of workloads: deployments and their like, jobs, autoscalers, budgets.

Pure. Source: k8s.io/kubernetes, ``pkg/printers/internalversion/printers.go``.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from reconcile.testing.apiserver.cellparts import (
    NONE,
    UNKNOWN,
    UNSET,
    Clock,
    Printer,
    age,
    containers_of,
    human,
    is_plain,
    labels_of,
    name_of,
    selector,
    spec_of,
    status_of,
)
from reconcile.testing.apiserver.failure import Document


def _deployment(one: Document, clock: Clock) -> list[Any]:
    spec, status = spec_of(one), status_of(one)
    return [
        *(name_of(one), f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"),
        *(status.get("updatedReplicas", 0), status.get("availableReplicas", 0), age(one, clock)),
        *(*containers_of(spec.get("template")), selector(spec.get("selector"), empty="")),
    ]


def _replica_set(one: Document, clock: Clock) -> list[Any]:
    spec, status = spec_of(one), status_of(one)
    chosen = spec.get("selector")
    shown = labels_of(chosen) if one.get("apiVersion") == "v1" or is_plain(chosen) else selector(chosen)
    return [
        *(name_of(one), spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)),
        *(age(one, clock), *containers_of(spec.get("template")), shown),
    ]


def _stateful_set(one: Document, clock: Clock) -> list[Any]:
    spec = spec_of(one)
    ready = f"{status_of(one).get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [name_of(one), ready, age(one, clock), *containers_of(spec.get("template"))]


def _daemon_set(one: Document, clock: Clock) -> list[Any]:
    spec, status = spec_of(one), status_of(one)
    counted = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    nodes = (spec.get("template") or {}).get("spec", {}).get("nodeSelector")
    return [
        *(name_of(one), *(status.get(name, 0) for name in (*counted, "numberAvailable")), labels_of(nodes)),
        *(age(one, clock), *containers_of(spec.get("template")), selector(spec.get("selector"))),
    ]


_LATER_STATES: Final = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def _job(one: Document, clock: Clock) -> list[Any]:
    spec, status = spec_of(one), status_of(one)
    holds = {each["type"] for each in status.get("conditions") or () if each["status"] == "True"}
    done = status.get("succeeded", 0)
    if "completions" in spec:
        completions = f"{done}/{spec['completions']}"
    else:
        completions = f"{done}/1 of {spec['parallelism']}" if spec.get("parallelism", 0) > 1 else f"{done}/1"
    lasted = ""
    if started := status.get("startTime"):
        ended = status.get("completionTime")
        end = dt.datetime.fromisoformat(ended) if ended else clock.now
        lasted = human((end - dt.datetime.fromisoformat(started)).total_seconds())
    state = next((name for name in ("Complete", "Failed") if name in holds), "")
    if not state and one["metadata"].get("deletionTimestamp"):
        state = "Terminating"
    state = state or next((name for name in _LATER_STATES if name in holds), "Running")
    names = containers_of(spec.get("template"))
    return [name_of(one), state, completions, lasted, age(one, clock), *names, selector(spec.get("selector"))]


def _cron_job(one: Document, clock: Clock) -> list[Any]:
    spec, status = spec_of(one), status_of(one)
    suspended = spec.get("suspend")
    last = status.get("lastScheduleTime")
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    return [
        *(name_of(one), spec.get("schedule", ""), spec.get("timeZone", NONE)),
        UNSET if suspended is None else str(suspended),
        *(len(status.get("active") or ()), clock.since(last) if last else NONE, age(one, clock)),
        *(*containers_of(job.get("template")), selector(job.get("selector"))),
    ]


def _autoscaler(one: Document, clock: Clock) -> list[Any]:
    spec, status = spec_of(one), status_of(one)
    target = spec.get("scaleTargetRef") or {}
    least = spec.get("minReplicas")
    metrics = _metrics(spec, status)
    return [
        *(name_of(one), f"{target.get('kind', '')}/{target.get('name', '')}", metrics),
        *(UNSET if least is None else str(least), spec.get("maxReplicas", 0), status.get("currentReplicas", 0)),
        age(one, clock),
    ]


def _metrics(spec: Document, status: Document) -> str:
    if "targetCPUUtilizationPercentage" in spec:
        now = status.get("currentCPUUtilizationPercentage")
        shown = UNKNOWN if now is None else f"{now}%"
        return f"cpu: {shown}/{spec['targetCPUUtilizationPercentage']}%"
    found = []
    seen = status.get("currentMetrics") or []
    for index, metric in enumerate(spec.get("metrics") or ()):
        kind = metric.get("type", "")
        part = kind[:1].lower() + kind[1:]
        wanted = (metric.get(part) or {}).get("target") or {}
        current = ((seen[index].get(part) or {}).get("current") or {}) if index < len(seen) else {}
        name = f"{metric[part].get('name')}: " if part in ("resource", "containerResource") else ""
        if "averageValue" in wanted:
            text = f"{current.get('averageValue', UNKNOWN)}/{wanted['averageValue']}"
            found.append(f"{name}{text}{'' if name or part == 'pods' else ' (avg)'}")
        elif name:
            now = current.get("averageUtilization")
            target = f"{wanted['averageUtilization']}%" if "averageUtilization" in wanted else "<auto>"
            found.append(f"{name}{UNKNOWN if now is None else f'{now}%'}/{target}")
        else:
            found.append(f"{current.get('value', UNKNOWN)}/{wanted.get('value', '0')}")
    text = ", ".join(found[:2])
    return f"{text} + {len(found) - 2} more..." if len(found) > 2 else text or NONE


def _budget(one: Document, clock: Clock) -> list[Any]:
    spec = spec_of(one)
    limits = [str(spec.get(name, "N/A")) for name in ("minAvailable", "maxUnavailable")]
    return [name_of(one), *limits, status_of(one).get("disruptionsAllowed", 0), age(one, clock)]


def _revision(one: Document, clock: Clock) -> list[Any]:
    owners = one["metadata"].get("ownerReferences") or ()
    owner = next((each for each in owners if each.get("controller")), None)
    shown = NONE
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        shown = f"{owner['kind']}{'.' if group else ''}{group}".lower() + f"/{owner['name']}"
    return [name_of(one), shown, one.get("revision", 0), age(one, clock)]


PRINTERS: Final[Mapping[str, Printer]] = {
    "replicationcontrollers": _replica_set,
    "replicasets.apps": _replica_set,
    "deployments.apps": _deployment,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _daemon_set,
    "controllerrevisions.apps": _revision,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    "poddisruptionbudgets.policy": _budget,
}
