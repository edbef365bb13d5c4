"""The kinds that every server has: those of Kubernetes itself.

What they look like and which verbs, scope, names and subresources they have is published data; what no document says
stands in the tables below: which write may change what, when the generation counts, which names are good, what may be
selected. Checks and defaults of their own are hooks. Made when the first server starts, schemas when they are needed.
Pure. Source: k8s.io/kubernetes, ``pkg/registry``.
"""

import functools
from collections.abc import Mapping
from typing import Any, Final

import attrs

from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import (
    access,
    beginnings,
    defaults,
    names,
    pods,
    published,
    rules,
    services,
    twins,
    workloads,
)
from reconcile.testing.apiserver.crds import CRD_KIND
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.scaling import ScalePaths
from reconcile.testing.apiserver.strategy import Hook, Hooks, Kind, Strategy

_STATUS: Final = ("status", "metadata")
"""What a write to the status of a built-in kind may change: labels and the like too."""
_SPEC: Final = ("spec",)
_VERBS_OF_OBJECTS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_REPLICAS: Final = ScalePaths(("spec", "replicas"), ("status", "replicas"), ("spec", "selector"))

_GENERATION: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            "pods",
            "replicationcontrollers",
            *(f"{plural}.apps" for plural in ("daemonsets", "deployments", "replicasets", "statefulsets")),
            *(f"{plural}.batch" for plural in ("cronjobs", "jobs")),
            *(f"{plural}.networking.k8s.io" for plural in ("ingressclasses", "ingresses", "networkpolicies")),
            *(f"{plural}.flowcontrol.apiserver.k8s.io" for plural in ("flowschemas", "prioritylevelconfigurations")),
            *(f"{plural}.resource.k8s.io" for plural in ("deviceclasses", "resourceslices")),
            *(
                f"{mood}admission{plural}.admissionregistration.k8s.io"
                for mood in ("mutating", "validating")
                for plural in ("policies", "policybindings")
            ),
            "poddisruptionbudgets.policy",
        ),
        _SPEC,
    ),
    "podtemplates": ("template",),
    "priorityclasses.scheduling.k8s.io": ("",),
    **dict.fromkeys(
        (f"{mood}webhookconfigurations.admissionregistration.k8s.io" for mood in ("mutating", "validating")),
        ("webhooks",),
    ),
    "endpointslices.discovery.k8s.io": ("addressType", "endpoints", "ports"),
}
"""Parts whose change raises the generation; a kind that is missing here has none."""

_CONDITIONAL: Final = frozenset(
    {
        "clustertrustbundles.certificates.k8s.io",
        "runtimeclasses.node.k8s.io",
        "poddisruptionbudgets.policy",
        *(
            f"{plural}.storage.k8s.io"
            for plural in ("csidrivers", "csistoragecapacities", "volumeattachments", "csinodes")
        ),
        *(f"{plural}.coordination.k8s.io" for plural in ("leases", "leasecandidates")),
        *(
            f"{mood}{plural}.admissionregistration.k8s.io"
            for mood in ("mutating", "validating")
            for plural in ("admissionpolicies", "admissionpolicybindings", "webhookconfigurations")
        ),
        "apiservices.apiregistration.k8s.io",
    }
)
"""Kinds whose updates need a resource version."""

_CREATED_BY_UPDATE: Final = frozenset(
    {
        "runtimeclasses.node.k8s.io",
        *(
            f"{plural}.rbac.authorization.k8s.io"
            for plural in ("rolebindings", "clusterrolebindings", "roles", "clusterroles")
        ),
        *(f"{plural}.coordination.k8s.io" for plural in ("leases", "leasecandidates")),
        *("limitranges", "events", "services", "endpoints"),
        "events.events.k8s.io",
    }
)

_SHOWN_WHEN_DELETED: Final = frozenset(
    {
        *("resourcequotas", "persistentvolumes", "serviceaccounts", "persistentvolumeclaims", "pods", "services"),
        *("podtemplates",),
        *(
            f"{plural}.resource.k8s.io"
            for plural in ("resourceclaimtemplates", "resourceslices", "resourceclaims", "deviceclasses")
        ),
        *(
            f"{plural}.storage.k8s.io"
            for plural in ("csidrivers", "storageclasses", "volumeattachments", "csinodes", "volumeattributesclasses")
        ),
    }
)
"""Kinds whose deletion answers with the object."""

_NAMES: Final[Mapping[str, names.NameRule]] = {
    "namespaces": names.label,
    "services": names.label,
    "statefulsets.apps": names.label,
    **dict.fromkeys(
        (
            f"{plural}.rbac.authorization.k8s.io"
            for plural in ("rolebindings", "clusterrolebindings", "roles", "clusterroles")
        ),
        names.path_segment,
    ),
    "apiservices.apiregistration.k8s.io": names.path_segment,
}
"""How objects may be called, if not as a subdomain."""

_INVOLVED: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _paths(*dotted: str) -> dict[str, tuple[str, ...]]:
    return {name: tuple(name.split(".")) for name in dotted}


_FIELDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "namespaces": _paths("status.phase"),
    "secrets": _paths("type"),
    "events": {
        **{f"involvedObject.{name}": ("involvedObject", name) for name in _INVOLVED},
        **_paths("reason", "reportingComponent", "type"),
        "source": ("source", "component"),
    },
    "events.events.k8s.io": {
        **{f"regarding.{name}": ("regarding", name) for name in _INVOLVED},
        **_paths("reason", "reportingController", "type"),
    },
    "pods": _paths(
        *("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"),
        *("status.phase", "status.podIP", "status.nominatedNodeName"),
    ),
    "nodes": _paths("spec.unschedulable"),
    "services": _paths("spec.clusterIP", "spec.type"),
    "replicationcontrollers": _paths("status.replicas"),
    "replicasets.apps": _paths("status.replicas"),
    "jobs.batch": {"status.successful": ("status", "succeeded")},
    "certificatesigningrequests.certificates.k8s.io": _paths("spec.signerName"),
    "leasecandidates.coordination.k8s.io": _paths("spec.leaseName"),
}

_ZEROS: Final = {
    **dict.fromkeys(("spec.hostNetwork", "spec.unschedulable"), "false"),
    **dict.fromkeys(("status.replicas", "status.successful"), "0"),
}

_PARTICULAR: Final[Mapping[str, Mapping[str, Any]]] = {
    "namespaces": {"mark": rules.mark_namespace, "remains": rules.namespace_remains},
    "pods": {"grace": pods.grace},
    "certificatesigningrequests.certificates.k8s.io": {
        "subresources": {"status": ("status", "metadata"), "approval": ("status",)}
    },
    "nodes": {"main_keeps": ()},  # a node may come with a status: its hook sees to the rest
}

_BEGINNINGS: Final[Mapping[str, Hook]] = {
    "persistentvolumeclaims": beginnings.claim,
    "persistentvolumes": beginnings.volume,
    "nodes": beginnings.node,
    "deployments.apps": beginnings.deployment,
    "daemonsets.apps": beginnings.daemon_set,
    "jobs.batch": beginnings.job,
    "certificatesigningrequests.certificates.k8s.io": beginnings.signing_request,
}
"""What is written into a new object besides what it says."""

_HOOKS: Final[Mapping[str, Hooks]] = {
    "namespaces": Hooks(
        default=rules.label_namespace,
        allocate=rules.begin_namespace,
        validate=rules.judge_namespace,
        before_delete=rules.protect_namespace,
    ),
    "configmaps": Hooks(validate=rules.judge_config_map),
    "secrets": Hooks(default=rules.encode_string_data, validate=rules.judge_secret),
    "events": Hooks(validate=rules.judge_event),
    "leases.coordination.k8s.io": Hooks(validate=rules.judge_lease),
    "serviceaccounts": Hooks(allocate=rules.clean_secrets),
    "pods": Hooks(default=defaults.pod, allocate=pods.prepare, validate=pods.judge),
    "services": Hooks(default=defaults.service, allocate=services.allocate, validate=services.judge),
}


@functools.cache
def built_in() -> tuple[Kind, ...]:
    """All of them, in the order of discovery."""
    found = []
    for group in published.groups():
        for version in group["versions"]:
            api_version = f"{group['name']}/{version['version']}" if group["name"] else version["version"]
            found += [_kind(api_version, entry) for entry in version["resources"]]
    return tuple(found)


def _kind(api_version: str, entry: Document) -> Kind:
    """A kind from its entry in discovery."""
    name = entry["responseKind"]["kind"]
    resource = Resource.untyped(api_version, name, entry["resource"], entry["scope"] == "Namespaced")
    facts = {
        "short_names": tuple(entry.get("shortNames", ())),
        "categories": tuple(entry.get("categories", ())),
        "singular": entry["singularResource"],
    }
    if resource.name == CRD_KIND.resource.name:
        return attrs.evolve(CRD_KIND, **facts)
    definition = published.definition_names()[resource.group, resource.version, name]
    go = published.definitions()[definition].get("x-go", {})
    return Kind(
        resource,
        functools.partial(published.schema, definition),
        _strategy(resource.name, entry),
        _HOOKS.get(resource.name) or _hooks(resource),
        family=_families().get(resource.name),
        stored_as="events" if resource.name == "events.events.k8s.io" else "",
        blank={part: zero for part, zero in go.get("always", {}).items() if part != "metadata"},
        custom=False,
        **facts,
    )


@functools.cache
def _families() -> dict[str, twins.Twins]:
    return twins.families(_FIELDS)


def _hooks(resource: Resource[Any]) -> Hooks:
    return Hooks(
        default=defaults.of(resource),
        allocate=_BEGINNINGS.get(resource.name),
        validate=workloads.RULES.get(resource.name) or access.RULES.get(resource.name),
    )


def _strategy(name: str, entry: Document) -> Strategy:
    subresources = {one["subresource"] for one in entry.get("subresources", ())}
    views = {"status": _STATUS} if "status" in subresources else {}
    if name == "namespaces":
        views["finalize"] = ("spec", "metadata")
    common: dict[str, Any] = {"subresources": views, "main_keeps": ("status",) if "status" in views else ()}
    return Strategy(
        generation=_GENERATION.get(name, ()),
        unconditional_update=name not in _CONDITIONAL,
        create_on_update=name in _CREATED_BY_UPDATE,
        name_rule=_NAMES.get(name, names.subdomain),
        fields=_FIELDS.get(name, {}),
        zeros=_ZEROS,
        returns_deleted=name in _SHOWN_WHEN_DELETED,
        strategic=True,
        scale=_REPLICAS if "scale" in subresources else None,
        verbs=tuple(entry["verbs"]),
        **{**common, **_PARTICULAR.get(name, {})},
    )
