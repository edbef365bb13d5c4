"""The cells of the rows of built-in kinds.

One function a kind, from a document and a clock to the values of its columns, the hidden ones too; those of the core
group here, the others beside it. Pure. Source: k8s.io/kubernetes, ``pkg/printers/internalversion/printers.go``.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from reconcile.testing.apiserver.cellparts import (
    NONE,
    UNKNOWN,
    UNSET,
    Clock,
    Printer,
    age,
    balanced,
    containers_of,
    count_of,
    labels_of,
    name_of,
    plain,
    spec_of,
    status_of,
)
from reconcile.testing.apiserver.clustercells import COLUMNS
from reconcile.testing.apiserver.clustercells import PRINTERS as OF_CLUSTERS
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.podcells import conditions as pod_conditions
from reconcile.testing.apiserver.podcells import pod
from reconcile.testing.apiserver.workcells import PRINTERS as OF_WORKLOADS


def _service(one: Document, clock: Clock) -> list[Any]:
    spec = spec_of(one)
    ports = ",".join(
        f"{port['port']}:{port['nodePort']}/{port['protocol']}"
        if port.get("nodePort")
        else f"{port['port']}/{port['protocol']}"
        for port in spec.get("ports") or ()
    )
    inside = (spec.get("clusterIPs") or [NONE])[0]
    kind = spec.get("type", "")
    return [
        *(name_of(one), kind, inside, _outside(one, spec, kind), ports or NONE, age(one, clock)),
        labels_of(spec.get("selector")),
    ]


def _outside(one: Document, spec: Document, kind: str) -> str:
    given = spec.get("externalIPs") or []
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(given) or NONE
    if kind == "LoadBalancer":
        return ",".join([*balanced(one), *given]) or "<pending>"
    return spec.get("externalName", "") if kind == "ExternalName" else UNKNOWN


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
    return [name_of(one), shown, age(one, clock)]


def _node(one: Document, clock: Clock) -> list[Any]:
    status, labels = status_of(one), one["metadata"].get("labels") or {}
    ready = next((each for each in status.get("conditions") or () if each["type"] == "Ready"), None)
    states = ["Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"]
    if spec_of(one).get("unschedulable"):
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
        *(name_of(one), ",".join(states), ",".join(sorted(roles)) or NONE, age(one, clock)),
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
    return str(old if old is not None else spec_of(one).get("storageClassName", ""))


def _volume(one: Document, clock: Clock) -> list[Any]:
    spec, status = spec_of(one), status_of(one)
    claim = spec.get("claimRef")
    phase = "Terminating" if one["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        *(name_of(one), (spec.get("capacity") or {}).get("storage", "0"), _modes(spec.get("accessModes"))),
        *(spec.get("persistentVolumeReclaimPolicy", ""), phase),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        *(_class(one), spec.get("volumeAttributesClassName", UNSET), status.get("reason", ""), age(one, clock)),
        spec.get("volumeMode", UNSET),
    ]


def _claim(one: Document, clock: Clock) -> list[Any]:
    spec, status = spec_of(one), status_of(one)
    bound = spec.get("volumeName", "")
    phase = "Terminating" if one["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        *(name_of(one), phase, bound, (status.get("capacity") or {}).get("storage", "0") if bound else ""),
        _modes(status.get("accessModes")) if bound else "",
        *(_class(one), spec.get("volumeAttributesClassName", UNSET), age(one, clock), spec.get("volumeMode", UNSET)),
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
        *(first, count, name_of(one)),
    ]


def _quota(one: Document, clock: Clock) -> list[Any]:
    hard, used = status_of(one).get("hard") or {}, status_of(one).get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(hard):
        into = limits if name.startswith("limits.") else requests
        into.append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [name_of(one), ", ".join(requests), ", ".join(limits), age(one, clock)]


PRINTERS: Final[Mapping[str, Printer]] = {
    "pods": lambda one, clock: pod(one, clock.since),
    "services": _service,
    "endpoints": _endpoints,
    "nodes": _node,
    "persistentvolumes": _volume,
    "persistentvolumeclaims": _claim,
    "events": _event,
    "resourcequotas": _quota,
    "namespaces": plain("status.phase"),
    "configmaps": count_of("data", "binaryData"),
    "secrets": lambda one, clock: [name_of(one), one.get("type", ""), len(one.get("data") or ()), age(one, clock)],
    "serviceaccounts": plain(),
    "podtemplates": lambda one, clock: [
        *(name_of(one), *containers_of(one.get("template"))),
        labels_of(((one.get("template") or {}).get("metadata") or {}).get("labels")),
    ],
    **OF_WORKLOADS,
    **OF_CLUSTERS,
}


def conditions(resource: str, document: Document) -> list[Document]:
    """What a row says of an object that is done."""
    return pod_conditions(document) if resource == "pods" else []


__all__ = ["COLUMNS", "PRINTERS", "conditions"]
