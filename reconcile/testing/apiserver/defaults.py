"""What decoding fills in where it depends on what else is there.

Defaults that hang on nothing are published data; these are the others, one function a kind. Each changes a document in
its Go form in place. Pure. Source: k8s.io/kubernetes, ``pkg/apis/*/v1/defaults.go``.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from reconcile.kube.resource import Resource
from reconcile.testing.apiserver.failure import Document

CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")


def of(resource: Resource[Any]) -> Callable[[Document], None] | None:
    """The defaults of a kind; ``None`` if the published ones are all."""
    return _DEFAULTS.get(f"{resource.plural}.{resource.group}/{resource.version}")


def pod(document: Document) -> None:
    """A pod has more defaults than a template of one."""
    spec = document["spec"]
    pod_spec(spec)
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            resources = container["resources"]
            if "limits" in resources:
                resources["requests"] = {**resources["limits"], **resources.get("requests", {})}
            if spec.get("hostNetwork"):
                for port in container.get("ports", ()):
                    port.setdefault("hostPort", port["containerPort"])
    spec.setdefault("enableServiceLinks", True)
    resources = spec.get("resources", {})
    if "limits" in resources:
        resources["requests"] = {**resources["limits"], **resources.get("requests", {})}


def pod_spec(spec: Document) -> None:
    """What pods and templates of pods share."""
    for container in containers(spec):
        if "imagePullPolicy" not in container:
            container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    for volume in spec.get("volumes", ()):
        if volume.keys() <= {"name"}:
            volume["emptyDir"] = {}
        if "image" in volume and "pullPolicy" not in volume["image"]:
            volume["image"]["pullPolicy"] = pull_policy(volume["image"].get("reference", ""))
    # one name is the other's past
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


def containers(spec: Document) -> Iterator[Document]:
    """Of all sorts."""
    for name in CONTAINERS:
        yield from spec.get(name) or ()


def pull_policy(image: str) -> str:
    """Always for the tag latest, said or meant."""
    name, at, _ = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or at) else "IfNotPresent"


def _template(*path: str) -> Callable[[Document], None]:
    """The defaults of the template of pods at a path."""

    def default(document: Document) -> None:
        for step in path:
            document = document.get(step) or {}
        if "spec" in document:
            pod_spec(document["spec"])

    return default


def _deployment(document: Document) -> None:
    _template("spec", "template")(document)
    strategy = document["spec"]["strategy"]
    if strategy.get("type") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"


def _daemon_set(document: Document) -> None:
    _template("spec", "template")(document)
    annotations = document["metadata"].get("annotations") or {}
    document["metadata"]["annotations"] = {TEMPLATE_GENERATION: "0", **annotations}
    strategy = document["spec"]["updateStrategy"]
    if strategy.get("type") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


def _stateful_set(document: Document) -> None:
    _template("spec", "template")(document)
    strategy = document["spec"]["updateStrategy"]
    if strategy.get("type") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    for claim in document["spec"].get("volumeClaimTemplates") or ():
        _claim(claim)


def _claim(document: Document) -> None:
    document.setdefault("apiVersion", "v1")
    document.setdefault("kind", "PersistentVolumeClaim")


def _replication_controller(document: Document) -> None:
    _template("spec", "template")(document)
    labels = (document["spec"].get("template") or {}).get("metadata", {}).get("labels")
    if labels:
        if not document["spec"].get("selector"):
            document["spec"]["selector"] = dict(labels)
        if not document["metadata"].get("labels"):
            document["metadata"]["labels"] = dict(labels)


def _job(document: Document) -> None:
    _template("spec", "template")(document)
    spec = document["spec"]
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 2**31 - 1 if "backoffLimitPerIndex" in spec else 6)
    labels = spec["template"]["metadata"].get("labels")
    if labels and not document["metadata"].get("labels"):
        document["metadata"]["labels"] = dict(labels)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    spec.setdefault("manualSelector", False)


def service(document: Document) -> None:
    """What a service's type and its ports bring with them."""
    spec = document["spec"]
    affinity = spec["sessionAffinity"]
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP" and not (spec.get("sessionAffinityConfig") or {}).get("clientIP", {}).get(
        "timeoutSeconds"
    ):
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}
    for port in spec.get("ports", ()):
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    kind = spec["type"]
    reachable = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if reachable:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for one in document["status"].get("loadBalancer", {}).get("ingress", ()):
            if one.get("ip"):
                one.setdefault("ipMode", "VIP")


def _node(document: Document) -> None:
    status = document["status"]
    if "capacity" in status and "allocatable" not in status:
        status["allocatable"] = copy.deepcopy(status["capacity"])


def _limit_range(document: Document) -> None:
    for one in document["spec"].get("limits") or ():
        if one.get("type") == "Container":
            found = {**one.get("max", {}), **one.get("default", {})}
            requests = {**one.get("min", {}), **found, **one.get("defaultRequest", {})}
            one.update({name: value for name, value in (("default", found), ("defaultRequest", requests)) if value})


def _persistent_volume(document: Document) -> None:
    document["spec"].setdefault("persistentVolumeReclaimPolicy", "Retain")
    document["spec"].setdefault("volumeMode", "Filesystem")


def _network_policy(document: Document) -> None:
    spec = document["spec"]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


DEFAULT_METRICS: Final = (
    {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    },
)
_UP: Final = (
    {"type": "Pods", "value": 4, "periodSeconds": 15},
    {"type": "Percent", "value": 100, "periodSeconds": 15},
)


def _autoscaler(document: Document) -> None:
    behavior = document["spec"].get("behavior")
    if behavior is not None:
        behavior["scaleUp"] = {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": list(_UP),
            **behavior.get("scaleUp", {}),
        }
        down = {"selectPolicy": "Max", "policies": [_UP[1]]}
        behavior["scaleDown"] = {**down, **behavior.get("scaleDown", {})}


def _device_requests(*path: str) -> Callable[[Document], None]:
    def default(document: Document) -> None:
        for step in path:
            document = document.get(step) or {}
        for request in document.get("requests") or ():
            for one in (request.get("exactly"), *(request.get("firstAvailable") or ())):
                if one is not None and one.get("allocationMode") == "ExactCount":
                    one.setdefault("count", 1)

    return default


def subjects(document: Document) -> None:
    """Users and groups have an API group, service accounts are in the core group."""
    for one in document.get("subjects") or ():
        if not one.get("apiGroup") and one.get("kind") in ("User", "Group"):
            one["apiGroup"] = "rbac.authorization.k8s.io"


_DEFAULTS: Final[Mapping[str, Callable[[Document], None]]] = {
    "pods./v1": pod,
    "podtemplates./v1": _template("template"),
    "replicationcontrollers./v1": _replication_controller,
    "services./v1": service,
    "nodes./v1": _node,
    "limitranges./v1": _limit_range,
    "persistentvolumes./v1": _persistent_volume,
    "deployments.apps/v1": _deployment,
    "daemonsets.apps/v1": _daemon_set,
    "statefulsets.apps/v1": _stateful_set,
    "replicasets.apps/v1": _template("spec", "template"),
    "jobs.batch/v1": _job,
    "cronjobs.batch/v1": _template("spec", "jobTemplate", "spec", "template"),
    **{f"{plural}.rbac.authorization.k8s.io/v1": subjects for plural in ("rolebindings", "clusterrolebindings")},
    "networkpolicies.networking.k8s.io/v1": _network_policy,
    "horizontalpodautoscalers.autoscaling/v2": _autoscaler,
    "resourceclaims.resource.k8s.io/v1": _device_requests("spec", "devices"),
    "resourceclaimtemplates.resource.k8s.io/v1": _device_requests("spec", "spec", "devices"),
}
