"""An object of each built-in kind as a user would write it, many fields set: what a server makes of it is compared."""

from typing import Any, Final

from tests.testing.callers import MERGE, STRATEGIC

Json = dict[str, Any]


def _object(api_version: str, kind: str, name: str = "sample", **parts: Any) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": {"app": "web"}}, **parts}


_PROBE: Final = {"httpGet": {"port": 8080}, "initialDelaySeconds": 0}
_CONTAINER: Final[Json] = {
    "name": "web",
    "image": "nginx",
    "args": [],
    "stdin": False,
    "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP", "name": "dns"}],
    "env": [
        {"name": "A", "value": "1"},
        {"name": "B", "value": ""},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "D", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": False}}},
    ],
    "envFrom": [{"configMapRef": {"name": "c"}}, {"prefix": "X_", "secretRef": {"name": "s"}}],
    "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": 0.5}},
    "livenessProbe": _PROBE,
    "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 5},
    "startupProbe": {"grpc": {"port": 90}},
    "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": False}, {"name": "conf", "mountPath": "/c"}],
    "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}, "privileged": False},
}
POD_SPEC: Final[Json] = {
    "containers": [_CONTAINER, {"name": "side", "image": "busybox:1.36", "imagePullPolicy": ""}],
    "initContainers": [{"name": "init", "image": "registry.example.com:5000/tools@sha256:" + "a" * 64}],
    "nodeSelector": {"disk": "ssd"},
    "hostNetwork": False,
    "serviceAccountName": "robot",
    "volumes": [
        {"name": "data"},
        {"name": "conf", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}},
        {"name": "sec", "secret": {"secretName": "s"}},
        {"name": "host", "hostPath": {"path": "/tmp"}},
        {"name": "down", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {
            "name": "proj",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token"}},
                    {"configMap": {"name": "c"}},
                ]
            },
        },
        {"name": "claim", "persistentVolumeClaim": {"claimName": "pvc"}},
    ],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 1,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app": "web"}},
                    },
                }
            ]
        }
    },
    "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
}
_TEMPLATE: Final[Json] = {"metadata": {"labels": {"app": "web"}, "creationTimestamp": None}, "spec": POD_SPEC}
_SMALL: Final[Json] = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "a:b"}]}}
_ONCE: Final = {"spec": {**_SMALL["spec"], "restartPolicy": "Never"}}
_SELECTOR: Final = {"matchLabels": {"app": "web"}}

SAMPLES: Final[dict[str, list[Json]]] = {
    "configmaps": [
        _object("v1", "ConfigMap", data={"a": "1"}, binaryData={"b": "AA=="}),
        _object("v1", "ConfigMap", "empty", data={}, immutable=False),
    ],
    "secrets": [_object("v1", "Secret", stringData={"a": "b"}), _object("v1", "Secret", "e", data={"x": None})],
    "endpoints": [
        _object(
            "v1",
            "Endpoints",
            subsets=[
                {"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80, "name": "w"}, {"port": 81, "name": "x"}]}
            ],
        )
    ],
    "resourcequotas": [_object("v1", "ResourceQuota", spec={"hard": {"pods": 10, "requests.cpu": "1500m"}})],
    "persistentvolumeclaims": [
        _object(
            "v1",
            "PersistentVolumeClaim",
            spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
        )
    ],
    "podtemplates": [_object("v1", "PodTemplate", template=_TEMPLATE)],
    "replicationcontrollers": [_object("v1", "ReplicationController", spec={"template": _SMALL})],
    "serviceaccounts": [
        _object("v1", "ServiceAccount", secrets=[{"name": "s"}], automountServiceAccountToken=False),
    ],
    "pods": [
        _object("v1", "Pod", spec=POD_SPEC),
        _object("v1", "Pod", "small", spec=_SMALL["spec"]),
        _object("v1", "Pod", "host", spec={"hostNetwork": True, "containers": [_CONTAINER | {"volumeMounts": []}]}),
    ],
    "services": [
        _object("v1", "Service", spec={"ports": [{"port": 80}], "selector": {"app": "web"}}),
        _object("v1", "Service", "headless", spec={"clusterIP": "None", "ports": [{"port": 80, "targetPort": "http"}]}),
        _object("v1", "Service", "outside", spec={"type": "ExternalName", "externalName": "example.com"}),
        _object("v1", "Service", "node", spec={"type": "NodePort", "ports": [{"port": 80}]}),
        _object(
            "v1",
            "Service",
            "lb",
            spec={"type": "LoadBalancer", "ports": [{"port": 80, "name": "a"}], "sessionAffinity": "ClientIP"},
        ),
    ],
    "deployments.apps": [
        _object("apps/v1", "Deployment", spec={"selector": _SELECTOR, "template": _TEMPLATE}),
        _object(
            "apps/v1",
            "Deployment",
            "recreate",
            spec={"replicas": 0, "selector": _SELECTOR, "template": _SMALL, "strategy": {"type": "Recreate"}},
        ),
        _object(
            "apps/v1",
            "Deployment",
            "rolling",
            spec={
                "selector": _SELECTOR,
                "template": _SMALL,
                "paused": False,
                "strategy": {"rollingUpdate": {"maxSurge": 1}},
            },
        ),
    ],
    "replicasets.apps": [_object("apps/v1", "ReplicaSet", spec={"selector": _SELECTOR, "template": _SMALL})],
    "daemonsets.apps": [_object("apps/v1", "DaemonSet", spec={"selector": _SELECTOR, "template": _SMALL})],
    "statefulsets.apps": [
        _object(
            "apps/v1",
            "StatefulSet",
            spec={
                "selector": _SELECTOR,
                "serviceName": "web",
                "template": _SMALL,
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "d"},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                    }
                ],
            },
        )
    ],
    "controllerrevisions.apps": [_object("apps/v1", "ControllerRevision", revision=1, data={"a": {"b": []}})],
    "jobs.batch": [
        _object("batch/v1", "Job", spec={"template": _ONCE}),
        _object("batch/v1", "Job", "many", spec={"template": _ONCE, "completions": 3, "suspend": True}),
    ],
    "cronjobs.batch": [
        _object("batch/v1", "CronJob", spec={"schedule": "@hourly", "jobTemplate": {"spec": {"template": _ONCE}}})
    ],
    "horizontalpodautoscalers.autoscaling/v2": [
        _object(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            spec={
                "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
                "maxReplicas": 3,
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
            },
        )
    ],
    "poddisruptionbudgets.policy": [
        _object("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": _SELECTOR})
    ],
    "leases.coordination.k8s.io": [
        _object(
            "coordination.k8s.io/v1",
            "Lease",
            spec={"renewTime": "2026-01-01T00:00:00.1+01:00".replace(".1", ".100000")},
        )
    ],
    "endpointslices.discovery.k8s.io": [
        _object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            addressType="IPv4",
            endpoints=[{"addresses": ["10.0.0.1"], "conditions": {}}],
            ports=[{"port": 80}],
        )
    ],
    "ingresses.networking.k8s.io": [
        _object(
            "networking.k8s.io/v1",
            "Ingress",
            spec={
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "s", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ]
            },
        )
    ],
    "networkpolicies.networking.k8s.io": [
        _object(
            "networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}
        ),
        _object("networking.k8s.io/v1", "NetworkPolicy", "in", spec={"podSelector": {}, "ingress": [{}]}),
    ],
    "roles.rbac.authorization.k8s.io": [
        _object(
            "rbac.authorization.k8s.io/v1", "Role", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
        )
    ],
    "rolebindings.rbac.authorization.k8s.io": [
        _object(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            roleRef={"kind": "ClusterRole", "name": "view"},
            subjects=[{"kind": "ServiceAccount", "name": "a", "namespace": "b"}, {"kind": "User", "name": "u"}],
        )
    ],
    "csistoragecapacities.storage.k8s.io": [
        _object("storage.k8s.io/v1", "CSIStorageCapacity", storageClassName="x", capacity="1024Mi")
    ],
    "resourceclaimtemplates.resource.k8s.io": [
        _object(
            "resource.k8s.io/v1",
            "ResourceClaimTemplate",
            spec={"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}},
        )
    ],
    "limitranges": [
        _object(
            "v1", "LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "2000m"}, "min": {"cpu": 1}}]}
        )
    ],
}
"""In a namespace, by resource."""

CLUSTER_SAMPLES: Final[dict[str, list[Json]]] = {
    "nodes": [_object("v1", "Node", status={"capacity": {"cpu": 2, "memory": "1024Mi"}})],
    "persistentvolumes": [
        _object(
            "v1",
            "PersistentVolume",
            spec={
                "capacity": {"storage": "1024Mi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/tmp"},
            },
        )
    ],
    "clusterroles.rbac.authorization.k8s.io": [
        _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            rules=[{"nonResourceURLs": ["/x"], "verbs": ["get"]}],
        ),
        _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            "agg",
            aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
        ),
    ],
    "clusterrolebindings.rbac.authorization.k8s.io": [
        _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            subjects=[{"kind": "Group", "name": "g"}],
        )
    ],
    "storageclasses.storage.k8s.io": [_object("storage.k8s.io/v1", "StorageClass", provisioner="p")],
    "csidrivers.storage.k8s.io": [_object("storage.k8s.io/v1", "CSIDriver", spec={})],
    "csinodes.storage.k8s.io": [_object("storage.k8s.io/v1", "CSINode", spec={"drivers": []})],
    "volumeattachments.storage.k8s.io": [
        _object(
            "storage.k8s.io/v1",
            "VolumeAttachment",
            spec={"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "p"}},
        )
    ],
    "priorityclasses.scheduling.k8s.io": [_object("scheduling.k8s.io/v1", "PriorityClass", value=10)],
    "runtimeclasses.node.k8s.io": [_object("node.k8s.io/v1", "RuntimeClass", handler="h")],
    "ingressclasses.networking.k8s.io": [
        _object("networking.k8s.io/v1", "IngressClass", spec={"controller": "example.com/x"})
    ],
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": [
        _object(
            "admissionregistration.k8s.io/v1",
            "MutatingWebhookConfiguration",
            webhooks=[
                {
                    "name": "a.example.com",
                    "clientConfig": {"service": {"namespace": "a", "name": "b"}},
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                    "failurePolicy": "Ignore",
                    "rules": [
                        {"operations": ["CREATE"], "apiGroups": ["nope"], "apiVersions": ["v1"], "resources": ["nope"]}
                    ],
                }
            ],
        )
    ],
    "validatingwebhookconfigurations.admissionregistration.k8s.io": [
        _object(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            webhooks=[
                {
                    "name": "a.example.com",
                    "clientConfig": {"url": "https://127.0.0.1:1/"},
                    "sideEffects": "None",
                    "failurePolicy": "Ignore",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        )
    ],
    "validatingadmissionpolicies.admissionregistration.k8s.io": [
        _object(
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicy",
            spec={
                "matchConstraints": {
                    "resourceRules": [
                        {"operations": ["CREATE"], "apiGroups": ["nope"], "apiVersions": ["v1"], "resources": ["nope"]}
                    ]
                },
                "validations": [{"expression": "true"}],
            },
        )
    ],
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": [
        _object(
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicyBinding",
            spec={"policyName": "nope", "validationActions": ["Deny"]},
        )
    ],
    "flowschemas.flowcontrol.apiserver.k8s.io": [
        _object(
            "flowcontrol.apiserver.k8s.io/v1",
            "FlowSchema",
            spec={"priorityLevelConfiguration": {"name": "global-default"}, "matchingPrecedence": 9000},
        )
    ],
    "deviceclasses.resource.k8s.io": [_object("resource.k8s.io/v1", "DeviceClass", spec={})],
}
"""Without a namespace."""


def collection(resource: str, body: Json, namespace: str) -> str:
    """The path of the collection that a sample belongs to."""
    plural = resource.partition("/")[0].partition(".")[0]
    version = body["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def _pod(name: str, **spec: Any) -> Json:
    return _object("v1", "Pod", name, spec={**_SMALL["spec"], **spec})


def _deployment(name: str, **spec: Any) -> Json:
    return _object("apps/v1", "Deployment", name, spec={"selector": _SELECTOR, "template": _SMALL, **spec})


def _service(name: str, **spec: Any) -> Json:
    return _object("v1", "Service", name, spec={"ports": [{"port": 80}], **spec})


def _with(container: Json) -> Json:
    return {"containers": [{"name": "a", "image": "a:b", **container}]}


REFUSED: Final[dict[str, list[Json]]] = {
    "pods": [
        _object("v1", "Pod", "none"),
        _object("v1", "Pod", "empty", spec={"containers": []}),
        _pod("UPPER"),
        _pod("policy", restartPolicy="Sometimes"),
        _pod("dns", dnsPolicy="Never"),
        _pod("noname", **_with({"name": ""})),
        _pod("badname", **_with({"name": "A_b"})),
        _pod("noimage", **_with({"image": ""})),
        _pod("blank", **_with({"image": " a"})),
        _pod("pull", **_with({"imagePullPolicy": "Often"})),
        _pod("port", **_with({"ports": [{"containerPort": 70000}, {"containerPort": 1, "protocol": "X"}]})),
        _pod("portname", **_with({"ports": [{"containerPort": 1, "name": "UPPER"}]})),
        _pod(
            "env",
            **_with({"env": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
        ),
        _pod("mount", **_with({"volumeMounts": [{"name": "x", "mountPath": "/x"}, {"name": "x", "mountPath": "/x"}]})),
        _pod("resources", **_with({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}})),
        _pod("twice", containers=[{"name": "a", "image": "a"}, {"name": "a", "image": "b"}]),
        _pod("volumes", volumes=[{"name": "v"}, {"name": "v"}]),
        _pod("sources", volumes=[{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]),
        _pod("hostpath", volumes=[{"name": "v", "hostPath": {"path": ""}}]),
        _pod("selector", nodeSelector={"a b": "c d"}),
        _pod("deadline", activeDeadlineSeconds=0),
        _pod("account", serviceAccountName="A B"),
        _pod("class", priorityClassName="nope"),
        _pod("types", hostNetwork="yes"),
        _pod("inner", containers=[{"name": 1, "image": "a"}]),
        _pod("quantity", **_with({"resources": {"limits": {"cpu": "much"}}})),
    ],
    "services": [
        _service("noports", ports=[]),
        _service("UPPER"),
        _service("protocol", ports=[{"port": 1, "protocol": "ICMP"}]),
        _service("range", ports=[{"port": 0}]),
        _service("names", ports=[{"port": 1}, {"port": 2}]),
        _service("samename", ports=[{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]),
        _service("target", ports=[{"port": 1, "targetPort": "UPPER"}]),
        _service("type", type="Magic"),
        _service("affinity", sessionAffinity="Always"),
        _service("nodeport", ports=[{"port": 1, "nodePort": 30001}]),
        _service("external", type="ExternalName", ports=[]),
        _service("policy", externalTrafficPolicy="Local"),
        _service("selector", selector={"a b": "c d"}),
        _service("outside", clusterIP="1.2.3.4"),
        _service("noheadless", clusterIP="None", type="LoadBalancer"),
        _service("badnodeport", type="NodePort", ports=[{"port": 1, "nodePort": 80}]),
        _service("dual", ipFamilyPolicy="RequireDualStack"),
    ],
    "deployments.apps": [
        _object("apps/v1", "Deployment", "bare", spec={"template": _SMALL}),
        _deployment("mismatch", selector={"matchLabels": {"app": "other"}}),
        _deployment("emptyselector", selector={}),
        _deployment("replicas", replicas=-1),
        _deployment("strategy", strategy={"type": "Recreate", "rollingUpdate": {}}),
        _deployment("unknown", strategy={"type": "BlueGreen"}),
        _deployment("once", template=_ONCE | {"metadata": {"labels": {"app": "web"}}}),
        _deployment("expression", selector={"matchExpressions": [{"key": "app", "operator": "In"}]}),
    ],
    "jobs.batch": [_object("batch/v1", "Job", "always", spec={"template": _SMALL})],
    "roles.rbac.authorization.k8s.io": [
        _object("rbac.authorization.k8s.io/v1", "Role", "noverbs", rules=[{"apiGroups": [""], "resources": ["pods"]}]),
        _object("rbac.authorization.k8s.io/v1", "Role", "nogroups", rules=[{"verbs": ["get"]}]),
        _object("rbac.authorization.k8s.io/v1", "Role", "url", rules=[{"verbs": ["get"], "nonResourceURLs": ["/x"]}]),
    ],
    "rolebindings.rbac.authorization.k8s.io": [
        _object(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            "kinds",
            roleRef={"kind": "Thing", "name": ""},
            subjects=[{"kind": "Robot", "name": "r"}, {"kind": "ServiceAccount", "name": "a"}],
        ),
    ],
    "configmaps": [
        _object("v1", "ConfigMap", "number", data={"a": 1}),
        _object("v1", "ConfigMap", "key", data={"a b": ""}),
    ],
    "secrets": [
        _object("v1", "Secret", "base", data={"a": "%%"}),
        _object("v1", "Secret", "tls", type="kubernetes.io/tls"),
    ],
}
"""What no server takes, by resource; all in a namespace."""


CHANGES: Final[list[tuple[str, str, str, Json]]] = [
    ("services", "sample", MERGE, {"spec": {"type": "NodePort"}}),
    ("services", "sample", MERGE, {"spec": {"type": "ClusterIP"}}),
    ("services", "sample", MERGE, {"spec": {"type": "LoadBalancer"}}),
    ("services", "sample", MERGE, {"spec": {"type": "ExternalName", "externalName": "a.b"}}),
    ("services", "sample", MERGE, {"spec": {"type": "ClusterIP", "externalName": None}}),
    ("services", "sample", MERGE, {"spec": {"clusterIP": "10.0.0.15"}}),
    ("services", "sample", MERGE, {"spec": {"sessionAffinity": "ClientIP"}}),
    ("services", "sample", STRATEGIC, {"spec": {"ports": [{"port": 443, "name": "b"}]}}),
    ("services", "headless", MERGE, {"spec": {"clusterIP": None}}),
    ("services", "node", MERGE, {"spec": {"ports": [{"port": 81}]}}),
    ("services", "lb", MERGE, {"spec": {"externalTrafficPolicy": "Local"}}),
    ("services", "lb/status", MERGE, {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}),
    ("pods", "small", MERGE, {"spec": {"activeDeadlineSeconds": 5}}),
    ("pods", "small", STRATEGIC, {"spec": {"containers": [{"name": "a", "image": "c:d"}]}}),
    ("pods", "small", MERGE, {"metadata": {"labels": {"x": "y"}}}),
    (
        "pods",
        "small/status",
        MERGE,
        {
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [
                    {
                        "name": "a",
                        "ready": True,
                        "restartCount": 2,
                        "image": "a",
                        "imageID": "x",
                        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                    }
                ],
            }
        },
    ),
    ("deployments.apps", "sample", MERGE, {"spec": {"replicas": 4}}),
    ("deployments.apps", "sample", MERGE, {"metadata": {"annotations": {"a": "b"}}}),
    ("deployments.apps", "sample", MERGE, {"spec": {"selector": {"matchLabels": {"x": "y"}}}}),
    ("deployments.apps", "sample", MERGE, {"spec": {"strategy": {"type": "Recreate"}}}),
    ("deployments.apps", "sample", MERGE, {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}),
    (
        "deployments.apps",
        "sample",
        STRATEGIC,
        {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "Z", "value": "1"}]}]}}}},
    ),
    (
        "deployments.apps",
        "sample",
        STRATEGIC,
        {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}},
    ),
    ("deployments.apps", "sample/scale", MERGE, {"spec": {"replicas": 7}}),
    ("deployments.apps", "sample/status", MERGE, {"status": {"replicas": 1, "readyReplicas": 2}}),
    (
        "daemonsets.apps",
        "sample",
        STRATEGIC,
        {"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "b:c"}]}}}},
    ),
    ("statefulsets.apps", "sample", MERGE, {"spec": {"serviceName": "x"}}),
    ("statefulsets.apps", "sample", MERGE, {"spec": {"replicas": 3}}),
    ("jobs.batch", "sample", MERGE, {"spec": {"completions": 5}}),
    ("jobs.batch", "many", MERGE, {"spec": {"suspend": False}}),
    ("replicasets.apps", "sample", MERGE, {"spec": {"replicas": 0}}),
    ("persistentvolumeclaims", "sample", MERGE, {"spec": {"accessModes": ["ReadWriteMany"]}}),
    (
        "persistentvolumeclaims",
        "sample/status",
        MERGE,
        {"status": {"phase": "Bound", "capacity": {"storage": "1024Mi"}}},
    ),
    ("roles.rbac.authorization.k8s.io", "sample", MERGE, {"rules": []}),
    ("rolebindings.rbac.authorization.k8s.io", "sample", MERGE, {"roleRef": {"name": "other"}}),
    ("rolebindings.rbac.authorization.k8s.io", "sample", MERGE, {"subjects": []}),
    ("networkpolicies.networking.k8s.io", "in", MERGE, {"spec": {"egress": [{}]}}),
    (
        "ingresses.networking.k8s.io",
        "sample/status",
        MERGE,
        {"status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}}},
    ),
    ("poddisruptionbudgets.policy", "sample", MERGE, {"spec": {"minAvailable": "50%"}}),
    ("horizontalpodautoscalers.autoscaling/v2", "sample", MERGE, {"spec": {"minReplicas": 2}}),
    ("cronjobs.batch", "sample", MERGE, {"spec": {"suspend": True}}),
    ("endpointslices.discovery.k8s.io", "sample", MERGE, {"ports": []}),
    ("leases.coordination.k8s.io", "sample", MERGE, {"spec": {"holderIdentity": "me"}}),
    ("resourcequotas", "sample/status", MERGE, {"status": {"used": {"pods": "1"}}}),
    ("replicationcontrollers", "sample/scale", MERGE, {"spec": {"replicas": 2}}),
    ("endpoints", "sample", MERGE, {"subsets": []}),
    ("controllerrevisions.apps", "sample", MERGE, {"data": {"x": 1}}),
    ("secrets", "sample", MERGE, {"type": "other"}),
    ("configmaps", "sample", MERGE, {"immutable": True}),
    ("configmaps", "sample", MERGE, {"data": {"z": "z"}}),
    ("serviceaccounts", "sample", MERGE, {"secrets": None}),
    ("limitranges", "sample", MERGE, {"spec": {"limits": []}}),
]
"""What users change in the samples: resource, name and subresource, media type, patch; in this order."""
