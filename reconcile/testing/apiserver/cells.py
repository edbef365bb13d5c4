"""The cells of the rows of built-in kinds.

One function a kind, from a document and a clock to the values of its columns, the hidden ones too. Pure. Source:
k8s.io/kubernetes, ``pkg/printers/internalversion/printers.go``.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.podcells import conditions as pod_conditions
from reconcile.testing.apiserver.podcells import pod

NONE: Final = "<none>"
UNSET: Final = "<unset>"
UNKNOWN: Final = "<unknown>"


def human(seconds: float) -> str:
    """A span of time as people say it."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 120:
        return f"{max(whole, 0)}s"
    minutes, hours = whole // 60, whole // 3600
    days = hours // 24
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 24 * 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 365 * 8 else f"{days // 365}y"


def _two(great: int, unit: str, small: int, smaller: str) -> str:
    return f"{great}{unit}{small}{smaller}" if small else f"{great}{unit}"


@attrs.frozen
class Clock:
    """The moment at which a table is made."""

    now: dt.datetime

    def since(self, time: str | None) -> str:
        """How long ago that was."""
        if not time:
            return UNKNOWN
        try:
            return human((self.now - dt.datetime.fromisoformat(time)).total_seconds())
        except ValueError:
            return "<invalid>"


Printer: TypeAlias = Callable[[Document, Clock], list[Any]]


def steps(path: str) -> list[str | int]:
    """A simple JSONPath: ``.spec.list[0].a\\.b``, ``.metadata.labels['a.b']``."""
    found: list[str | int] = []
    for name, index, quoted in re.findall(r"\.((?:\\.|[^.\[\]])+)|\[(-?\d+)\]|\[['\"](.*?)['\"]\]", path):
        if index:
            found.append(int(index))
        else:
            found.append((name or quoted).replace("\\.", "."))
    return found


def _name(document: Document) -> str:
    return document["metadata"].get("name", "")  # type: ignore[no-any-return]


def _age(document: Document, clock: Clock) -> str:
    return clock.since(document["metadata"].get("creationTimestamp"))


def _spec(document: Document) -> Document:
    return document.get("spec") or {}


def _status(document: Document) -> Document:
    return document.get("status") or {}


def _labels(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted((labels or {}).items())) or NONE


def selector(value: Document | None, *, empty: str = NONE) -> str:
    """A label selector as a text."""
    if value is None:
        return NONE
    parts = {name: f"{name}={text}" for name, text in (value.get("matchLabels") or {}).items()}
    found = sorted(parts.items())
    for one in value.get("matchExpressions") or ():
        key, values = one["key"], ",".join(sorted(one.get("values") or ()))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }[one["operator"]]
        found.append((key, text))
    return ",".join(text for _, text in sorted(found, key=lambda pair: pair[0])) or empty


def selector_text(value: Document) -> str:
    """A selector as a text, be it one of today or the bare labels of a replication controller."""
    return _labels(value) if _is_plain(value) else selector(value, empty="")


def _containers(template: Document | None) -> list[str]:
    found = ((template or {}).get("spec") or {}).get("containers") or ()
    return [",".join(one.get(part, "") for one in found) for part in ("name", "image")]


def _more(found: list[str], most: int = 3) -> str:
    """The first few of a list, and how many there are more."""
    if not found:
        return UNSET
    text = ",".join(found[:most])
    return f"{text} + {len(found) - most} more..." if len(found) > most else text


def _said(value: Any, otherwise: str) -> Any:
    return otherwise if value in (None, "") else value


# -- core ----------------------------------------------------------------------------------------------------------


def _service(one: Document, clock: Clock) -> list[Any]:
    spec = _spec(one)
    ports = ",".join(
        f"{port['port']}:{port['nodePort']}/{port['protocol']}"
        if port.get("nodePort")
        else f"{port['port']}/{port['protocol']}"
        for port in spec.get("ports") or ()
    )
    inside = (spec.get("clusterIPs") or [NONE])[0]
    kind = spec.get("type", "")
    return [
        *(_name(one), kind, inside, _outside(one, spec, kind), ports or NONE, _age(one, clock)),
        _labels(spec.get("selector")),
    ]


def _outside(one: Document, spec: Document, kind: str) -> str:
    given = spec.get("externalIPs") or []
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(given) or NONE
    if kind == "LoadBalancer":
        return ",".join([*_balanced(one), *given]) or "<pending>"
    return spec.get("externalName", "") if kind == "ExternalName" else UNKNOWN


def _balanced(one: Document) -> list[str]:
    found = (_status(one).get("loadBalancer") or {}).get("ingress") or ()
    return sorted({each.get("ip") or each.get("hostname") or "" for each in found} - {""})


def _endpoints(one: Document, clock: Clock) -> list[Any]:
    found: list[str] = []
    subsets = one.get("subsets") or ()
    for subset in subsets:
        addresses = [address["ip"] for address in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        found += [f"{ip}:{port['port']}" for port in ports for ip in addresses] if ports else addresses
    if not subsets:
        shown = NONE
    elif len(found) > 3:
        shown = f"{','.join(found[:3])} + {len(found) - 3} more..."
    else:
        shown = ",".join(found)
    return [_name(one), shown, _age(one, clock)]


def _node(one: Document, clock: Clock) -> list[Any]:
    status, labels = _status(one), one["metadata"].get("labels") or {}
    ready = next((each for each in status.get("conditions") or () if each["type"] == "Ready"), None)
    states = ["Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"]
    if _spec(one).get("unschedulable"):
        states.append("SchedulingDisabled")
    prefix, old = "node-role.kubernetes.io/", "kubernetes.io/role"
    roles = {name.removeprefix(prefix) for name in labels if name.startswith(prefix)} - {""}
    roles |= {labels[old]} if labels.get(old) else set()
    info = status.get("nodeInfo") or {}
    kernel = info.get("kernelVersion") or UNKNOWN
    if info.get("architecture"):
        kernel += f" ({info['architecture']})"

    def address(kind: str) -> str:
        return next((each["address"] for each in status.get("addresses") or () if each["type"] == kind), NONE)

    return [
        *(_name(one), ",".join(states), ",".join(sorted(roles)) or NONE, _age(one, clock)),
        *(info.get("kubeletVersion", ""), address("InternalIP"), address("ExternalIP")),
        *(info.get("osImage") or UNKNOWN, kernel, info.get("containerRuntimeVersion") or UNKNOWN),
    ]


_MODES: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _modes(modes: Iterable[str] | None) -> str:
    given = set(modes or ())
    return ",".join(short for name, short in _MODES.items() if name in given)


_OLD_CLASS: Final = "volume.beta.kubernetes.io/storage-class"


def _class(one: Document) -> str:
    old = (one["metadata"].get("annotations") or {}).get(_OLD_CLASS)
    return str(old if old is not None else _spec(one).get("storageClassName", ""))


def _volume(one: Document, clock: Clock) -> list[Any]:
    spec, status = _spec(one), _status(one)
    claim = spec.get("claimRef")
    phase = "Terminating" if one["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        *(_name(one), (spec.get("capacity") or {}).get("storage", "0"), _modes(spec.get("accessModes"))),
        *(spec.get("persistentVolumeReclaimPolicy", ""), phase),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        *(_class(one), spec.get("volumeAttributesClassName", UNSET), status.get("reason", ""), _age(one, clock)),
        spec.get("volumeMode", UNSET),
    ]


def _claim(one: Document, clock: Clock) -> list[Any]:
    spec, status = _spec(one), _status(one)
    bound = spec.get("volumeName", "")
    phase = "Terminating" if one["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        *(_name(one), phase, bound, (status.get("capacity") or {}).get("storage", "0") if bound else ""),
        _modes(status.get("accessModes")) if bound else "",
        *(_class(one), spec.get("volumeAttributesClassName", UNSET), _age(one, clock), spec.get("volumeMode", UNSET)),
    ]


def _event(one: Document, clock: Clock) -> list[Any]:
    first = clock.since(one.get("firstTimestamp") or one.get("eventTime"))
    last = clock.since(one["lastTimestamp"]) if one.get("lastTimestamp") else first
    count, series = one.get("count") or 1, one.get("series")
    if series is not None:
        last, count = clock.since(series.get("lastObservedTime")), series.get("count", 0)
    about, source = one.get("involvedObject") or {}, one.get("source") or {}
    kind = about.get("kind", "").lower()
    by = source.get("component") or one.get("reportingComponent") or ""
    at = source.get("host") or one.get("reportingInstance") or ""
    return [
        *(last, one.get("type", ""), one.get("reason", "")),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        *(about.get("fieldPath", ""), f"{by}, {at}" if at else by, one.get("message", "").strip()),
        *(first, count, _name(one)),
    ]


def _quota(one: Document, clock: Clock) -> list[Any]:
    hard, used = _status(one).get("hard") or {}, _status(one).get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(hard):
        into = limits if name.startswith("limits.") else requests
        into.append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [_name(one), ", ".join(requests), ", ".join(limits), _age(one, clock)]


# -- workloads -----------------------------------------------------------------------------------------------------


def _deployment(one: Document, clock: Clock) -> list[Any]:
    spec, status = _spec(one), _status(one)
    return [
        *(_name(one), f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"),
        *(status.get("updatedReplicas", 0), status.get("availableReplicas", 0), _age(one, clock)),
        *(*_containers(spec.get("template")), selector(spec.get("selector"), empty="")),
    ]


def _replica_set(one: Document, clock: Clock) -> list[Any]:
    spec, status = _spec(one), _status(one)
    chosen = spec.get("selector")
    shown = _labels(chosen) if one.get("apiVersion") == "v1" or _is_plain(chosen) else selector(chosen)
    return [
        *(_name(one), spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)),
        *(_age(one, clock), *_containers(spec.get("template")), shown),
    ]


def _is_plain(value: Document | None) -> bool:
    return bool(value) and not {"matchLabels", "matchExpressions"} & (value or {}).keys()


def _stateful_set(one: Document, clock: Clock) -> list[Any]:
    spec = _spec(one)
    ready = f"{_status(one).get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [_name(one), ready, _age(one, clock), *_containers(spec.get("template"))]


def _daemon_set(one: Document, clock: Clock) -> list[Any]:
    spec, status = _spec(one), _status(one)
    counted = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    nodes = (spec.get("template") or {}).get("spec", {}).get("nodeSelector")
    return [
        *(_name(one), *(status.get(name, 0) for name in (*counted, "numberAvailable")), _labels(nodes)),
        *(_age(one, clock), *_containers(spec.get("template")), selector(spec.get("selector"))),
    ]


_JOB_STATES: Final = (("Complete", "Complete"), ("Failed", "Failed"))
_LATER_STATES: Final = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def _job(one: Document, clock: Clock) -> list[Any]:
    spec, status = _spec(one), _status(one)
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
    names = _containers(spec.get("template"))
    return [_name(one), state, completions, lasted, _age(one, clock), *names, selector(spec.get("selector"))]


def _cron_job(one: Document, clock: Clock) -> list[Any]:
    spec, status = _spec(one), _status(one)
    suspended = spec.get("suspend")
    last = status.get("lastScheduleTime")
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    return [
        *(_name(one), spec.get("schedule", ""), spec.get("timeZone", NONE)),
        UNSET if suspended is None else str(suspended),
        *(len(status.get("active") or ()), clock.since(last) if last else NONE, _age(one, clock)),
        *(*_containers(job.get("template")), selector(job.get("selector"))),
    ]


def _autoscaler(one: Document, clock: Clock) -> list[Any]:
    spec, status = _spec(one), _status(one)
    target = spec.get("scaleTargetRef") or {}
    least = spec.get("minReplicas")
    metrics = _metrics(spec, status)
    return [
        *(_name(one), f"{target.get('kind', '')}/{target.get('name', '')}", metrics),
        *(UNSET if least is None else str(least), spec.get("maxReplicas", 0), status.get("currentReplicas", 0)),
        _age(one, clock),
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
    spec = _spec(one)
    limits = [str(spec.get(name, "N/A")) for name in ("minAvailable", "maxUnavailable")]
    return [_name(one), *limits, _status(one).get("disruptionsAllowed", 0), _age(one, clock)]


def _revision(one: Document, clock: Clock) -> list[Any]:
    owners = one["metadata"].get("ownerReferences") or ()
    owner = next((each for each in owners if each.get("controller")), None)
    shown = NONE
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        shown = f"{owner['kind']}{'.' if group else ''}{group}".lower() + f"/{owner['name']}"
    return [_name(one), shown, one.get("revision", 0), _age(one, clock)]


# -- networks and storage ------------------------------------------------------------------------------------------


def _ingress(one: Document, clock: Clock) -> list[Any]:
    spec = _spec(one)
    rules = spec.get("rules") or []
    hosts = [rule["host"] for rule in rules[:3] if rule.get("host")]
    shown = ",".join(hosts) or "*"
    if hosts and len(rules) > 3:
        shown += f" + {len(rules) - 3} more..."
    ports = "80, 443" if spec.get("tls") else "80"
    return [_name(one), spec.get("ingressClassName", NONE), shown, ",".join(_balanced(one)), ports, _age(one, clock)]


def _is_default(one: Document, *names: str) -> str:
    annotations = one["metadata"].get("annotations") or {}
    return " (default)" if any(annotations.get(name) == "true" for name in names) else ""


def _ingress_class(one: Document, clock: Clock) -> list[Any]:
    spec = _spec(one)
    parameters, shown = spec.get("parameters"), NONE
    if parameters is not None:
        group = f".{parameters['apiGroup']}" if "apiGroup" in parameters else ""
        shown = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    name = _name(one) + _is_default(one, "ingressclass.kubernetes.io/is-default-class")
    return [name, spec.get("controller", ""), shown, _age(one, clock)]


def _slice(one: Document, clock: Clock) -> list[Any]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in one.get("ports") or ()]
    addresses = [ip for each in one.get("endpoints") or () for ip in each.get("addresses") or ()]
    return [_name(one), one.get("addressType", ""), _more(ports), _more(addresses), _age(one, clock)]


def _storage_class(one: Document, clock: Clock) -> list[Any]:
    names = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
    return [
        *(_name(one) + _is_default(one, *names), one.get("provisioner", "")),
        *(one.get("reclaimPolicy", "Delete"), one.get("volumeBindingMode", "Immediate")),
        *(bool(one.get("allowVolumeExpansion")), _age(one, clock)),
    ]


def _csi_driver(one: Document, clock: Clock) -> list[Any]:
    spec = _spec(one)
    tokens = spec.get("tokenRequests")
    return [
        *(_name(one), spec.get("attachRequired", True), spec.get("podInfoOnMount", False)),
        spec.get("storageCapacity", False),
        UNSET if tokens is None else ",".join(each.get("audience", "") for each in tokens),
        *(spec.get("requiresRepublish", False), ",".join(spec.get("volumeLifecycleModes") or ()) or NONE),
        _age(one, clock),
    ]


def _attachment(one: Document, clock: Clock) -> list[Any]:
    spec = _spec(one)
    volume = (spec.get("source") or {}).get("persistentVolumeName", "")
    attached = bool(_status(one).get("attached"))
    return [_name(one), spec.get("attacher", ""), volume, spec.get("nodeName", ""), attached, _age(one, clock)]


def _ip_address(one: Document, clock: Clock) -> list[Any]:
    parent, shown = _spec(one).get("parentRef"), NONE
    if parent:
        resource = f"{parent.get('resource', '')}{'.' if parent.get('group') else ''}{parent.get('group', '')}".lower()
        shown = "/".join(part for part in (resource, parent.get("namespace"), parent.get("name", "")) if part)
    return [_name(one), shown, _age(one, clock)]


# -- access --------------------------------------------------------------------------------------------------------


def _binding(one: Document, clock: Clock) -> list[Any]:
    role, subjects = one.get("roleRef") or {}, one.get("subjects") or ()
    named = {kind: [each["name"] for each in subjects if each["kind"] == kind] for kind in ("User", "Group")}
    accounts = [f"{each.get('namespace', '')}/{each['name']}" for each in subjects if each["kind"] == "ServiceAccount"]
    return [
        *(_name(one), f"{role.get('kind', '')}/{role.get('name', '')}", _age(one, clock)),
        *(", ".join(found) for found in (named["User"], named["Group"], accounts)),
    ]


def _signing_request(one: Document, clock: Clock) -> list[Any]:
    spec, status = _spec(one), _status(one)
    holds = {each["type"] for each in status.get("conditions") or ()}
    state = "Denied" if "Denied" in holds else "Approved" if "Approved" in holds else "Pending"
    state += ",Failed" if "Failed" in holds else ""
    state += ",Issued" if status.get("certificate") else ""
    seconds = spec.get("expirationSeconds")
    return [
        *(_name(one), _age(one, clock), spec.get("signerName") or NONE, spec.get("username", "")),
        *(NONE if seconds is None else human(seconds), state),
    ]


def _policy(part: str) -> Printer:
    def cells(one: Document, clock: Clock) -> list[Any]:
        kind = _spec(one).get("paramKind")
        shown = UNSET if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"
        return [_name(one), len(_spec(one).get(part) or ()), shown, _age(one, clock)]

    return cells


def _policy_binding(one: Document, clock: Clock) -> list[Any]:
    reference, shown = _spec(one).get("paramRef") or {}, UNSET
    if reference.get("name"):
        shown = f"{reference.get('namespace') or '*'}/{reference['name']}"
    return [_name(one), _spec(one).get("policyName", ""), shown, _age(one, clock)]


def _flow_schema(one: Document, clock: Clock) -> list[Any]:
    spec = _spec(one)
    dangling = next(
        (each["status"] for each in _status(one).get("conditions") or () if each["type"] == "Dangling"), "?"
    )
    return [
        *(_name(one), (spec.get("priorityLevelConfiguration") or {}).get("name", "")),
        *(spec.get("matchingPrecedence", 0), (spec.get("distinguisherMethod") or {}).get("type", NONE)),
        *(_age(one, clock), dangling),
    ]


def _priority_level(one: Document, clock: Clock) -> list[Any]:
    limited = _spec(one).get("limited") or {}
    queues = (limited.get("limitResponse") or {}).get("queuing") or {}
    found = [queues.get(name, NONE) for name in ("queues", "handSize", "queueLengthLimit")]
    shares = limited.get("nominalConcurrencyShares", NONE)
    return [_name(one), _spec(one).get("type", ""), shares, *found, _age(one, clock)]


def _api_service(one: Document, clock: Clock) -> list[Any]:
    service = _spec(one).get("service")
    found = next((each for each in _status(one).get("conditions") or () if each["type"] == "Available"), None)
    state = "Unknown"
    if found is not None:
        bare = found["status"] == "True" or not found.get("reason")
        state = found["status"] if bare else f"{found['status']} ({found['reason']})"
    shown = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    return [_name(one), shown, state, _age(one, clock)]


COLUMNS: Final = {
    "apiservices.apiregistration.k8s.io": (
        ("Service", "The reference to the service that hosts this API endpoint."),
        ("Available", "Whether this service is available."),
    )
}
"""Columns between name and age that are not among the published ones."""


def _plain(*paths: str) -> Printer:
    """Name, some values, age."""
    split = [path.split(".") for path in paths]

    def cells(one: Document, clock: Clock) -> list[Any]:
        found = []
        for path in split:
            value: Any = one
            for step in path:
                value = (value or {}).get(step)
            found.append("" if value is None else value)
        return [_name(one), *found, _age(one, clock)]

    return cells


def _count(*parts: str) -> Printer:
    """Name, how many entries some fields have, age."""
    return lambda one, clock: [_name(one), sum(len(one.get(part) or ()) for part in parts), _age(one, clock)]


_HOOKS: Final = tuple(
    f"{mood}webhookconfigurations.admissionregistration.k8s.io" for mood in ("mutating", "validating")
)
PRINTERS: Final[Mapping[str, Printer]] = {
    "pods": lambda one, clock: pod(one, clock.since),
    "services": _service,
    "endpoints": _endpoints,
    "nodes": _node,
    "persistentvolumes": _volume,
    "persistentvolumeclaims": _claim,
    "events": _event,
    "resourcequotas": _quota,
    "namespaces": _plain("status.phase"),
    "configmaps": _count("data", "binaryData"),
    "secrets": lambda one, clock: [_name(one), one.get("type", ""), len(one.get("data") or ()), _age(one, clock)],
    "serviceaccounts": _plain(),
    "podtemplates": lambda one, clock: [
        *(_name(one), *_containers(one.get("template"))),
        _labels(((one.get("template") or {}).get("metadata") or {}).get("labels")),
    ],
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
    "ingresses.networking.k8s.io": _ingress,
    "ingressclasses.networking.k8s.io": _ingress_class,
    "networkpolicies.networking.k8s.io": lambda one, clock: [
        *(_name(one), selector(_spec(one).get("podSelector")), _age(one, clock)),
    ],
    "ipaddresses.networking.k8s.io": _ip_address,
    "servicecidrs.networking.k8s.io": lambda one, clock: [
        *(_name(one), ",".join(_spec(one).get("cidrs") or ()), _age(one, clock)),
    ],
    "endpointslices.discovery.k8s.io": _slice,
    "storageclasses.storage.k8s.io": _storage_class,
    "csidrivers.storage.k8s.io": _csi_driver,
    "csinodes.storage.k8s.io": lambda one, clock: [
        *(_name(one), len(_spec(one).get("drivers") or ()), _age(one, clock)),
    ],
    "csistoragecapacities.storage.k8s.io": lambda one, clock: [
        *(_name(one), one.get("storageClassName", ""), _said(one.get("capacity"), UNSET)),
    ],
    "volumeattachments.storage.k8s.io": _attachment,
    "volumeattributesclasses.storage.k8s.io": _plain("driverName"),
    "rolebindings.rbac.authorization.k8s.io": _binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _binding,
    "certificatesigningrequests.certificates.k8s.io": _signing_request,
    "leases.coordination.k8s.io": _plain("spec.holderIdentity"),
    "runtimeclasses.node.k8s.io": _plain("handler"),
    "priorityclasses.scheduling.k8s.io": lambda one, clock: [
        *(_name(one), one.get("value", 0), bool(one.get("globalDefault")), _age(one, clock)),
        one.get("preemptionPolicy", ""),
    ],
    **{name: _count("webhooks") for name in _HOOKS},
    "validatingadmissionpolicies.admissionregistration.k8s.io": _policy("validations"),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": _policy("mutations"),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": _policy_binding,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": _policy_binding,
    "flowschemas.flowcontrol.apiserver.k8s.io": _flow_schema,
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": _priority_level,
    "apiservices.apiregistration.k8s.io": _api_service,
    "deviceclasses.resource.k8s.io": _plain(),
    "resourceclaimtemplates.resource.k8s.io": _plain(),
}


def conditions(resource: str, document: Document) -> list[Document]:
    """What a row says of an object that is done."""
    return pod_conditions(document) if resource == "pods" else []
