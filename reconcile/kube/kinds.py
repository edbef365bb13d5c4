"""The built-in kinds that a controller meets most, untyped.

A kind that is missing here is one line of the user's: ``Resource.untyped("apps/v1", "Deployment", "deployments")``;
a typed one names its class. Pure.
"""

from typing import Final

from reconcile.kube.objects import Object
from reconcile.kube.resource import Resource

_untyped = Resource.untyped

CONFIG_MAP: Final[Resource[Object]] = _untyped("v1", "ConfigMap", "configmaps")
ENDPOINTS: Final[Resource[Object]] = _untyped("v1", "Endpoints", "endpoints")
EVENT: Final[Resource[Object]] = _untyped("v1", "Event", "events")
NAMESPACE: Final[Resource[Object]] = _untyped("v1", "Namespace", "namespaces", namespaced=False)
NODE: Final[Resource[Object]] = _untyped("v1", "Node", "nodes", namespaced=False)
PERSISTENT_VOLUME: Final[Resource[Object]] = _untyped("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
PERSISTENT_VOLUME_CLAIM: Final[Resource[Object]] = _untyped("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
POD: Final[Resource[Object]] = _untyped("v1", "Pod", "pods")
SECRET: Final[Resource[Object]] = _untyped("v1", "Secret", "secrets")
SERVICE: Final[Resource[Object]] = _untyped("v1", "Service", "services")
SERVICE_ACCOUNT: Final[Resource[Object]] = _untyped("v1", "ServiceAccount", "serviceaccounts")

DAEMON_SET: Final[Resource[Object]] = _untyped("apps/v1", "DaemonSet", "daemonsets")
DEPLOYMENT: Final[Resource[Object]] = _untyped("apps/v1", "Deployment", "deployments")
REPLICA_SET: Final[Resource[Object]] = _untyped("apps/v1", "ReplicaSet", "replicasets")
STATEFUL_SET: Final[Resource[Object]] = _untyped("apps/v1", "StatefulSet", "statefulsets")
CRON_JOB: Final[Resource[Object]] = _untyped("batch/v1", "CronJob", "cronjobs")
JOB: Final[Resource[Object]] = _untyped("batch/v1", "Job", "jobs")

CSR: Final[Resource[Object]] = _untyped(
    "certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", namespaced=False
)
CRD: Final[Resource[Object]] = _untyped(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
ENDPOINT_SLICE: Final[Resource[Object]] = _untyped("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
EVENT_V1: Final[Resource[Object]] = _untyped("events.k8s.io/v1", "Event", "events")
INGRESS: Final[Resource[Object]] = _untyped("networking.k8s.io/v1", "Ingress", "ingresses")
LEASE: Final[Resource[Object]] = _untyped("coordination.k8s.io/v1", "Lease", "leases")
NETWORK_POLICY: Final[Resource[Object]] = _untyped("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")

CLUSTER_ROLE: Final[Resource[Object]] = _untyped(
    "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False
)
CLUSTER_ROLE_BINDING: Final[Resource[Object]] = _untyped(
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
ROLE: Final[Resource[Object]] = _untyped("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING: Final[Resource[Object]] = _untyped("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")

SELF_SUBJECT_ACCESS_REVIEW: Final[Resource[Object]] = _untyped(
    "authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False
)
SELF_SUBJECT_RULES_REVIEW: Final[Resource[Object]] = _untyped(
    "authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", namespaced=False
)
SUBJECT_ACCESS_REVIEW: Final[Resource[Object]] = _untyped(
    "authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
TOKEN_REVIEW: Final[Resource[Object]] = _untyped(
    "authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False
)
