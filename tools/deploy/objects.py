"""The objects that run apinetlet, each with places for the values, and under which conditions each is there.

The rights are those that ``apinetlet rbac`` prints for the same flags: a new watch or write changes them by itself.
"""

import asyncio
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from attrs import frozen

from apinetlet.api import GENERATIONS, IRONCORE, Generation
from apinetlet.assembly import APINET, SOURCE
from apinetlet.settings import Settings
from apinetlet.tools.declared import declared as as_declared
from apinetlet.tools.rights import POD, connecting
from apinetlet.tools.rights import rights as rights_for
from reconcile.manager import rbac
from tools.deploy import alerts, dashboard
from tools.deploy.template import Condition, Each, When

USER: Final = 65532
"""Neither root nor anybody: the image has no other user."""
METRICS, PROBES = 8080, 8081
LABELS: Final = {"app.kubernetes.io/name": "apinetlet", "app.kubernetes.io/instance": "${release.name}"}
HERE: Final = {"name": "${release.name}", "namespace": "${release.namespace}", "labels": LABELS}
SIDES: Final = {SOURCE: "--", APINET: "--api-net-"}
"""How the flags of a side begin."""
SECURE, OPEN = Condition("monitoring.secure"), Condition("monitoring.secure", inverse=True)
"""Who reads metrics shows a token, or nobody asks."""
TARGET_NAMESPACE, SOURCE_NAMESPACE = "apinet-namespace", "source-namespace"
"""Stand for what the values say, where the daemon is asked for its rules."""


@frozen
class Object:
    """One object, and the file that it is in."""

    file: str
    document: Mapping[str, Any]
    conditions: tuple[Condition, ...] = ()


def when(path: str, item: Any) -> When:
    return When((Condition(path),), item)


def running() -> list[Object]:
    """What is in the cluster of the pod, whatever the generation, beside the rights."""
    return [
        Object("serviceaccount.yaml", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": HERE}),
        Object("deployment.yaml", deployment()),
        Object(
            "service.yaml",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": HERE,
                "spec": {
                    "selector": LABELS,
                    "ports": [{"name": "metrics", "port": METRICS, "protocol": "TCP", "targetPort": "metrics"}],
                },
            },
        ),
        Object(
            "poddisruptionbudget.yaml",
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": HERE,
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}},
            },
            (Condition("podDisruptionBudget.enabled"),),
        ),
        Object("networkpolicy.yaml", network_policy(), (Condition("networkPolicy.enabled"),)),
    ]


def deployment() -> Mapping[str, Any]:
    """Two pods of which one works. The root of their file system cannot be written to: the daemon writes no file."""
    mounted = [place for side in SIDES for place in _mounted(side)]
    mounts = [
        When(conditions, {"name": name, "mountPath": f"/etc/apinetlet/{folder}", "readOnly": True})
        for name, folder, _, conditions in mounted
    ]
    volumes = [
        When(conditions, {"name": name, "secret": {"secretName": secret, "defaultMode": 0o440}})
        for name, _, secret, conditions in mounted
    ]
    container = {
        "name": "apinetlet",
        "image": "${image.repository}:${image.tag}",
        "imagePullPolicy": "${image.pullPolicy}",
        "args": [
            "--leader-elect",
            *(argument for side in SIDES for argument in _logging_in(side)),
            "--api-net-namespace=${apinet.namespace}",
            when("source.namespace", "--namespace=${source.namespace}"),
            when("source.watchFilter", "--watch-filter=${source.watchFilter}"),
            f"--metrics-bind-address=:{METRICS}",
            When((OPEN,), "--metrics-secure=false"),
            f"--health-probe-bind-address=:{PROBES}",
            "--zap-devel=false",
            "--zap-log-level=${logLevel}",
            Each("flags"),
            "--generation=${generation}",
        ],
        "env": [
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        "ports": [
            {"name": "metrics", "containerPort": METRICS, "protocol": "TCP"},
            {"name": "probes", "containerPort": PROBES, "protocol": "TCP"},
        ],
        # /healthz as for the Go daemon would do, too; /livez fails only for what a restart can mend
        "livenessProbe": _probe("/livez", delay=15, period=20),
        "readinessProbe": _probe("/readyz", delay=5, period=10),
        "resources": {
            "requests": {"cpu": "${resources.requests.cpu}", "memory": "${resources.requests.memory}"},
            "limits": {"cpu": "${resources.limits.cpu}", "memory": "${resources.limits.memory}"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": mounts,
    }
    spread = {
        "weight": 100,
        "podAffinityTerm": {"labelSelector": {"matchLabels": LABELS}, "topologyKey": "kubernetes.io/hostname"},
    }
    pod = {
        "serviceAccountName": "${release.name}",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [spread]}},
        "nodeSelector": "${nodeSelector}",
        "tolerations": "${tolerations}",
        "containers": [container],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": HERE,
        "spec": {
            "replicas": "${replicas}",
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": pod},
        },
    }


def _mounted(side: str) -> Iterable[tuple[str, str, str, tuple[Condition, ...]]]:
    """The Secrets that the pod sees as files: name of the volume, folder, Secret, when."""
    kept, fixed = Condition(f"{side}.rotate"), Condition(f"{side}.rotate", inverse=True)
    given, first = f"{side}.kubeconfigSecret", f"{side}.bootstrapSecret"
    yield f"{side}-kubeconfig", side, f"${{{given}}}", (Condition(given), fixed)
    yield f"{side}-bootstrap", f"{side}-bootstrap", f"${{{first}}}", (Condition(first), kept)


def _logging_in(side: str) -> Iterable[When]:
    """The flags of one side: a kubeconfig that somebody else renews, or one that the daemon keeps in a Secret."""
    kept, fixed = Condition(f"{side}.rotate"), Condition(f"{side}.rotate", inverse=True)
    given, first = f"{side}.kubeconfigSecret", f"{side}.bootstrapSecret"
    flag = SIDES[side]
    yield When((Condition(given), fixed), f"{flag}kubeconfig=/etc/apinetlet/{side}/kubeconfig")
    yield When((kept,), f"{flag}kubeconfig-secret-name=${{{given}}}")
    yield When((kept,), f"{flag}rotate-certificates")
    yield When((Condition(first), kept), f"{flag}bootstrap-kubeconfig=/etc/apinetlet/{side}-bootstrap/kubeconfig")


def _probe(path: str, *, delay: int, period: int) -> Mapping[str, Any]:
    place = {"path": path, "port": "probes"}
    return {"httpGet": place, "initialDelaySeconds": delay, "periodSeconds": period, "timeoutSeconds": 5}


def network_policy() -> Mapping[str, Any]:
    """In: health for all (nodes ask from addresses that no policy can name), metrics for some. Out: names, servers."""
    names = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": HERE,
        "spec": {
            "podSelector": {"matchLabels": LABELS},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"ports": [{"port": "probes", "protocol": "TCP"}]},
                {"ports": [{"port": "metrics", "protocol": "TCP"}], "from": "${networkPolicy.metricsFrom}"},
            ],
            "egress": [{"ports": names}, {"ports": "${networkPolicy.apiServerPorts}"}],
        },
    }


def monitoring() -> list[Object]:
    """What Prometheus and Grafana read. The pod signs its certificate itself, so Prometheus cannot check it."""
    endpoint = {"port": "metrics", "interval": "30s"}
    protected = {
        "scheme": "https",
        "bearerTokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "tlsConfig": {"insecureSkipVerify": True},
    }
    monitor = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": HERE,
        "spec": {
            "jobLabel": "app.kubernetes.io/name",
            "selector": {"matchLabels": LABELS},
            "endpoints": [When((OPEN,), endpoint), When((SECURE,), {**endpoint, **protected})],
        },
    }
    rules = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": HERE,
        "spec": alerts.groups("${monitoring.runbooks}"),
    }
    board = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**HERE, "name": "${release.name}-dashboard", "labels": {**LABELS, "grafana_dashboard": "1"}},
        "data": {"apinetlet.json": dashboard.text()},
    }
    return [
        Object("servicemonitor.yaml", monitor, (Condition("monitoring.serviceMonitor"),)),
        Object("prometheusrule.yaml", rules, (Condition("monitoring.rules"),)),
        Object("dashboard.yaml", board, (Condition("monitoring.dashboard"),)),
    ]


# -- rights ------------------------------------------------------------------------------------------------------------


def declared(generation: Generation, *, whole: bool) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """The roles of both sides as the daemon declares them; ``whole``: all source namespaces are mapped."""
    return rbac.roles(_rules(generation, whole=whole), "${release.name}")


@cache
def _rules(generation: Generation, *, whole: bool, secure: bool = False) -> tuple[rbac.Rule, ...]:
    """What it declares; ``secure``: it asks who reads its metrics."""
    settings = Settings(
        api_net_namespace=TARGET_NAMESPACE,
        namespace="" if whole else SOURCE_NAMESPACE,
        leader_elect=True,
        leader_election_namespace="${release.namespace}",
        metrics_bind_address=f":{METRICS}",
        metrics_secure=secure,
    )

    async def ask() -> tuple[rbac.Rule, ...]:  # a manager is made on a loop
        return rights_for(as_declared(settings, generation), settings, generation, environment={})

    return asyncio.run(ask())


def account() -> Mapping[str, Any]:
    """The pod itself."""
    return {"kind": "ServiceAccount", "name": "${release.name}", "namespace": "${release.namespace}"}


def group(generation: Generation, side: str) -> Mapping[str, Any]:
    """Whoever has a client certificate of that side, as the Go daemon requests it."""
    name = (
        f"{generation.networking}:system:networkplugins"
        if side == SOURCE
        else f"{generation.apinet.removeprefix('core.')}:system:apinetlets"
    )
    return {"kind": "Group", "name": name, "apiGroup": rbac.RBAC}


def rights(
    generation: Generation, side: str, subject: Mapping[str, Any], *, whole: bool
) -> Iterable[Mapping[str, Any]]:
    """Roles and bindings of one side, bound to ``subject``. All may be in one namespace of one cluster, so each has a
    name of its own there."""
    for role in declared(generation, whole=whole)[side]:
        namespace = _place(role["metadata"].get("namespace", ""))
        use = "lease" if namespace == HERE["namespace"] else side
        yield from _bound({**role, "metadata": {"namespace": namespace}}, use, subject)


def _bound(role: Mapping[str, Any], use: str, subject: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """A role under the name of its use, and the binding."""
    namespace = role["metadata"].get("namespace")
    name = f"${{release.name}}-{use}" if namespace else f"${{release.namespace}}-${{release.name}}-{use}"
    meta = {"name": name, "labels": LABELS} | ({"namespace": namespace} if namespace else {})
    yield {**role, "metadata": meta}
    yield {
        "apiVersion": f"{rbac.RBAC}/v1",
        "kind": f"{role['kind']}Binding",
        "metadata": meta,
        "roleRef": {"apiGroup": rbac.RBAC, "kind": role["kind"], "name": name},
        "subjects": [subject],
    }


def _renewing(side: str) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """The roles of whoever renews the certificate of one side in a Secret beside the pod, by cluster."""
    told: Mapping[str, Any] = {
        "kubeconfig_secret_name": f"${{{side}.kubeconfigSecret}}",
        "kubeconfig_secret_namespace": HERE["namespace"],
        "rotate_certificates": True,
    }
    prefix = SIDES[side].strip("-").replace("-", "_")
    settings = Settings(**{f"{prefix}_{name}" if prefix else name: value for name, value in told.items()})
    return rbac.roles(connecting(settings, environment={}), "")


def renewal(side: str, subject: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """What whoever has a certificate of that side needs on that side to have it renewed."""
    [role] = _renewing(side)[side]
    return _bound(role, f"{side}-renewal", subject)


def stores_of_the_pod() -> list[Object]:
    """For the account of the pod, on the Secrets in which it keeps certificates."""
    return [
        Object("rbac-stores.yaml", document, (Condition("rbac.create"), Condition(f"{side}.rotate")))
        for side in SIDES
        for document in _bound(_renewing(side)[POD][0], f"{side}-store", account())
    ]


def reviews_of_the_pod() -> list[Object]:
    """For the account of the pod where that is in the source cluster: to ask who it is that reads metrics. And a role
    for whoever shall read them, which is bound to nobody."""
    here = (Condition("rbac.create"), SECURE, Condition("source.kubeconfigSecret", inverse=True))
    plain = _rules(IRONCORE, whole=True)
    [asks] = rbac.roles([one for one in _rules(IRONCORE, whole=True, secure=True) if one not in plain], "")[SOURCE]
    reader = {
        "apiVersion": f"{rbac.RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "${release.namespace}-${release.name}-metrics-reader", "labels": LABELS},
        "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
    }
    return [Object("rbac-metrics.yaml", one, here) for one in (*_bound(asks, "metrics", account()), reader)]


def _place(namespace: str) -> str:
    return {TARGET_NAMESPACE: "${apinet.namespace}", SOURCE_NAMESPACE: "${source.namespace}"}.get(namespace, namespace)


def rights_of_the_pod() -> list[Object]:
    """For the account of the pod, on each side that is the cluster of the pod."""
    found = []
    for name, generation in GENERATIONS.items():
        here = (Condition("rbac.create"), Condition("generation", name))
        for side in SIDES:
            local = (*here, Condition(f"{side}.kubeconfigSecret", inverse=True))
            scopes = [True, False] if side == SOURCE else [True]
            for whole in scopes:
                limit = (Condition("source.namespace", inverse=whole),) if side == SOURCE else ()
                found += [
                    Object(f"rbac-{name}.yaml", document, (*local, *limit))
                    for document in rights(generation, side, account(), whole=whole)
                ]
    return found
