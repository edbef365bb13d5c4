"""The cells of networks, storage, rights and what else belongs to a cluster.

Pure. Source: k8s.io/kubernetes, ``pkg/printers/internalversion/printers.go``.
"""

from collections.abc import Mapping
from typing import Any, Final

from reconcile.testing.apiserver.cellparts import (
    NONE,
    UNSET,
    Clock,
    Printer,
    age,
    balanced,
    count_of,
    first_few,
    human,
    name_of,
    plain,
    said,
    selector,
    spec_of,
    status_of,
)
from reconcile.testing.apiserver.failure import Document


def _ingress(one: Document, clock: Clock) -> list[Any]:
    spec = spec_of(one)
    rules = spec.get("rules") or []
    hosts = [rule["host"] for rule in rules[:3] if rule.get("host")]
    shown = ",".join(hosts) or "*"
    if hosts and len(rules) > 3:
        shown += f" + {len(rules) - 3} more..."
    ports = "80, 443" if spec.get("tls") else "80"
    return [name_of(one), spec.get("ingressClassName", NONE), shown, ",".join(balanced(one)), ports, age(one, clock)]


def _is_default(one: Document, *names: str) -> str:
    annotations = one["metadata"].get("annotations") or {}
    return " (default)" if any(annotations.get(name) == "true" for name in names) else ""


def _ingress_class(one: Document, clock: Clock) -> list[Any]:
    spec = spec_of(one)
    parameters, shown = spec.get("parameters"), NONE
    if parameters is not None:
        group = f".{parameters['apiGroup']}" if "apiGroup" in parameters else ""
        shown = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    name = name_of(one) + _is_default(one, "ingressclass.kubernetes.io/is-default-class")
    return [name, spec.get("controller", ""), shown, age(one, clock)]


def _slice(one: Document, clock: Clock) -> list[Any]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in one.get("ports") or ()]
    addresses = [ip for each in one.get("endpoints") or () for ip in each.get("addresses") or ()]
    return [name_of(one), one.get("addressType", ""), first_few(ports), first_few(addresses), age(one, clock)]


def _storage_class(one: Document, clock: Clock) -> list[Any]:
    names = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
    return [
        *(name_of(one) + _is_default(one, *names), one.get("provisioner", "")),
        *(one.get("reclaimPolicy", "Delete"), one.get("volumeBindingMode", "Immediate")),
        *(bool(one.get("allowVolumeExpansion")), age(one, clock)),
    ]


def _csi_driver(one: Document, clock: Clock) -> list[Any]:
    spec = spec_of(one)
    tokens = spec.get("tokenRequests")
    return [
        *(name_of(one), spec.get("attachRequired", True), spec.get("podInfoOnMount", False)),
        spec.get("storageCapacity", False),
        UNSET if tokens is None else ",".join(each.get("audience", "") for each in tokens),
        *(spec.get("requiresRepublish", False), ",".join(spec.get("volumeLifecycleModes") or ()) or NONE),
        age(one, clock),
    ]


def _attachment(one: Document, clock: Clock) -> list[Any]:
    spec = spec_of(one)
    volume = (spec.get("source") or {}).get("persistentVolumeName", "")
    attached = bool(status_of(one).get("attached"))
    return [name_of(one), spec.get("attacher", ""), volume, spec.get("nodeName", ""), attached, age(one, clock)]


def _ip_address(one: Document, clock: Clock) -> list[Any]:
    parent, shown = spec_of(one).get("parentRef"), NONE
    if parent:
        resource = f"{parent.get('resource', '')}{'.' if parent.get('group') else ''}{parent.get('group', '')}".lower()
        shown = "/".join(part for part in (resource, parent.get("namespace"), parent.get("name", "")) if part)
    return [name_of(one), shown, age(one, clock)]


# -- access --------------------------------------------------------------------------------------------------------


def _binding(one: Document, clock: Clock) -> list[Any]:
    role, subjects = one.get("roleRef") or {}, one.get("subjects") or ()
    named = {kind: [each["name"] for each in subjects if each["kind"] == kind] for kind in ("User", "Group")}
    accounts = [f"{each.get('namespace', '')}/{each['name']}" for each in subjects if each["kind"] == "ServiceAccount"]
    return [
        *(name_of(one), f"{role.get('kind', '')}/{role.get('name', '')}", age(one, clock)),
        *(", ".join(found) for found in (named["User"], named["Group"], accounts)),
    ]


def _signing_request(one: Document, clock: Clock) -> list[Any]:
    spec, status = spec_of(one), status_of(one)
    holds = {each["type"] for each in status.get("conditions") or ()}
    state = "Denied" if "Denied" in holds else "Approved" if "Approved" in holds else "Pending"
    state += ",Failed" if "Failed" in holds else ""
    state += ",Issued" if status.get("certificate") else ""
    seconds = spec.get("expirationSeconds")
    return [
        *(name_of(one), age(one, clock), spec.get("signerName") or NONE, spec.get("username", "")),
        *(NONE if seconds is None else human(seconds), state),
    ]


def _policy(part: str) -> Printer:
    def cells(one: Document, clock: Clock) -> list[Any]:
        kind = spec_of(one).get("paramKind")
        shown = UNSET if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"
        return [name_of(one), len(spec_of(one).get(part) or ()), shown, age(one, clock)]

    return cells


def _policy_binding(one: Document, clock: Clock) -> list[Any]:
    reference, shown = spec_of(one).get("paramRef") or {}, UNSET
    if reference.get("name"):
        shown = f"{reference.get('namespace') or '*'}/{reference['name']}"
    return [name_of(one), spec_of(one).get("policyName", ""), shown, age(one, clock)]


def _flow_schema(one: Document, clock: Clock) -> list[Any]:
    spec = spec_of(one)
    dangling = next(
        (each["status"] for each in status_of(one).get("conditions") or () if each["type"] == "Dangling"), "?"
    )
    return [
        *(name_of(one), (spec.get("priorityLevelConfiguration") or {}).get("name", "")),
        *(spec.get("matchingPrecedence", 0), (spec.get("distinguisherMethod") or {}).get("type", NONE)),
        *(age(one, clock), dangling),
    ]


def _priority_level(one: Document, clock: Clock) -> list[Any]:
    limited = spec_of(one).get("limited") or {}
    queues = (limited.get("limitResponse") or {}).get("queuing") or {}
    found = [queues.get(name, NONE) for name in ("queues", "handSize", "queueLengthLimit")]
    shares = limited.get("nominalConcurrencyShares", NONE)
    return [name_of(one), spec_of(one).get("type", ""), shares, *found, age(one, clock)]


def _api_service(one: Document, clock: Clock) -> list[Any]:
    service = spec_of(one).get("service")
    found = next((each for each in status_of(one).get("conditions") or () if each["type"] == "Available"), None)
    state = "Unknown"
    if found is not None:
        bare = found["status"] == "True" or not found.get("reason")
        state = found["status"] if bare else f"{found['status']} ({found['reason']})"
    shown = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    return [name_of(one), shown, state, age(one, clock)]


COLUMNS: Final = {
    "apiservices.apiregistration.k8s.io": (
        ("Service", "The reference to the service that hosts this API endpoint."),
        ("Available", "Whether this service is available."),
    )
}
"""Columns between name and age that are not among the published ones."""

_HOOKS: Final = tuple(
    f"{mood}webhookconfigurations.admissionregistration.k8s.io" for mood in ("mutating", "validating")
)
PRINTERS: Final[Mapping[str, Printer]] = {
    "ingresses.networking.k8s.io": _ingress,
    "ingressclasses.networking.k8s.io": _ingress_class,
    "networkpolicies.networking.k8s.io": lambda one, clock: [
        *(name_of(one), selector(spec_of(one).get("podSelector")), age(one, clock)),
    ],
    "ipaddresses.networking.k8s.io": _ip_address,
    "servicecidrs.networking.k8s.io": lambda one, clock: [
        *(name_of(one), ",".join(spec_of(one).get("cidrs") or ()), age(one, clock)),
    ],
    "endpointslices.discovery.k8s.io": _slice,
    "storageclasses.storage.k8s.io": _storage_class,
    "csidrivers.storage.k8s.io": _csi_driver,
    "csinodes.storage.k8s.io": lambda one, clock: [
        *(name_of(one), len(spec_of(one).get("drivers") or ()), age(one, clock)),
    ],
    "csistoragecapacities.storage.k8s.io": lambda one, clock: [
        *(name_of(one), one.get("storageClassName", ""), said(one.get("capacity"), UNSET)),
    ],
    "volumeattachments.storage.k8s.io": _attachment,
    "volumeattributesclasses.storage.k8s.io": plain("driverName"),
    "rolebindings.rbac.authorization.k8s.io": _binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _binding,
    "certificatesigningrequests.certificates.k8s.io": _signing_request,
    "leases.coordination.k8s.io": plain("spec.holderIdentity"),
    "runtimeclasses.node.k8s.io": plain("handler"),
    "priorityclasses.scheduling.k8s.io": lambda one, clock: [
        *(name_of(one), one.get("value", 0), bool(one.get("globalDefault")), age(one, clock)),
        one.get("preemptionPolicy", ""),
    ],
    **{name: count_of("webhooks") for name in _HOOKS},
    "validatingadmissionpolicies.admissionregistration.k8s.io": _policy("validations"),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": _policy("mutations"),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": _policy_binding,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": _policy_binding,
    "flowschemas.flowcontrol.apiserver.k8s.io": _flow_schema,
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": _priority_level,
    "apiservices.apiregistration.k8s.io": _api_service,
    "deviceclasses.resource.k8s.io": plain(),
    "resourceclaimtemplates.resource.k8s.io": plain(),
}
