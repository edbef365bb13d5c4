"""Stories about rights that roles give: who is let in, who is told what, and who may give rights to others."""

from typing import Any, Final

from tests.testing.callers import a_map
from tests.testing.stories import Step, Story, delete, get, merge, post

RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS: Final = "/apis/authorization.k8s.io/v1"
GROUP: Final = "rbac.authorization.k8s.io"
MAPS: Final = "/api/v1/namespaces/default/configmaps"


def rule(verbs: str, resources: str = "", groups: str = "", **more: Any) -> dict[str, Any]:
    """A rule; names are separated by blanks, ``core`` is the core group."""
    return {
        "verbs": verbs.split(),
        **({"apiGroups": ["" if one == "core" else one for one in (groups or "core").split()]} if resources else {}),
        **({"resources": resources.split()} if resources else {}),
        **more,
    }


def role(name: str, *rules: Any, **more: Any) -> dict[str, Any]:
    """A cluster role."""
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": list(rules),
        **more,
    }


def binding(name: str, of: str, *users: str, kind: str = "ClusterRole", **more: Any) -> dict[str, Any]:
    """A cluster role binding."""
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": of},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": user} for user in users],
        **more,
    }


def local(body: dict[str, Any]) -> dict[str, Any]:
    """The same in a namespace."""
    return {**body, "kind": body["kind"].removeprefix("Cluster")}


ROLES: Final = f"{RBAC}/clusterroles"
BINDINGS: Final = f"{RBAC}/clusterrolebindings"
LOCAL_ROLES: Final = f"{RBAC}/namespaces/default/roles"
LOCAL_BINDINGS: Final = f"{RBAC}/namespaces/default/rolebindings"


def allowed(path: str, user: str) -> Step:
    """Wait until a user may do something: a real server learns of roles a little later."""
    return get(path, user=user, until=lambda reply: reply.code != 403)


def refused(path: str, user: str) -> Step:
    """Wait until a user may not."""
    return get(path, user=user, until=lambda reply: reply.code == 403)


def _access(**spec: Any) -> dict[str, Any]:
    return {"spec": spec}


def _asked(verb: str, resource: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    return {"verb": verb, "resource": resource, **({"namespace": namespace} if namespace else {}), **more}


def stories() -> list[Story]:
    """Anna, Bert and Carl have certificates and are of the group ``team``."""
    return [
        Story(
            "a user without rights",
            (
                get(MAPS, user="anna"),
                get(f"{MAPS}/a", user="anna"),
                post(MAPS, a_map("a"), user="anna"),
                merge(f"{MAPS}/a", {}, user="anna"),
                delete(f"{MAPS}/a", user="anna"),
                delete(MAPS, user="anna"),
                get("/api/v1/nodes", user="anna"),
                get("/api/v1/namespaces/default/pods/a/log", user="anna"),
                get("/apis/apps/v1/deployments", user="anna"),
                get("/apis/no.such.group/v1/things", user="anna"),
                get("/metrics", user="anna"),
                get("/no/such/page", user="anna"),
                get("/logs", user="anna"),
            ),
        ),
        Story(
            "a role for some names, a subresource and pages",
            (
                post(
                    ROLES,
                    role(
                        "one-reader",
                        rule("get", "configmaps", resourceNames=["hers"]),
                        rule("get", "*/status"),
                        rule("get", nonResourceURLs=["/metrics/*"]),
                    ),
                ),
                post(BINDINGS, binding("one-reader", "one-reader", "anna")),
                allowed(f"{MAPS}/hers", "anna"),
                get(f"{MAPS}/hers", user="anna"),
                get(f"{MAPS}/his", user="anna"),
                get(MAPS, user="anna"),
                get("/api/v1/namespaces/default/pods/a/status", user="anna"),
                get("/api/v1/namespaces/default/pods/a", user="anna"),
                get("/metrics", user="anna"),
                delete(f"{BINDINGS}/one-reader"),
                refused(f"{MAPS}/hers", "anna"),
            ),
        ),
        Story(
            "a role in a namespace and a group",
            (
                post(LOCAL_ROLES, local(role("maps", rule("get list create", "configmaps")))),
                post(
                    LOCAL_BINDINGS,
                    {
                        **local(binding("maps", "maps", kind="Role")),
                        "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": "team"}],
                    },
                ),
                allowed(f"{MAPS}/lost", "bert"),
                get(f"{MAPS}/lost", user="bert"),
                get("/api/v1/configmaps", user="bert"),
                get("/api/v1/namespaces/kube-system/configmaps", user="bert"),
                delete(f"{LOCAL_BINDINGS}/maps"),
                refused(f"{MAPS}/lost", "bert"),
            ),
        ),
        Story(
            "a binding to a role that is not there",
            (
                post(BINDINGS, binding("ghost", "ghost-role", "anna")),
                get(MAPS, user="anna", until=lambda reply: reply.code == 403 and "ghost-role" in reply["message"]),
                get(MAPS, user="anna"),
                delete(f"{BINDINGS}/ghost"),
                get(MAPS, user="anna", until=lambda reply: "ghost-role" not in reply["message"]),
            ),
        ),
        Story(
            "nobody gives more than they have",
            (
                post(
                    ROLES,
                    role(
                        "role-maker",
                        rule("*", "clusterroles clusterrolebindings roles rolebindings", GROUP),
                        rule("get", "configmaps"),
                    ),
                ),
                post(ROLES, role("secret-reader", rule("get list", "secrets"))),
                post(BINDINGS, binding("role-maker", "role-maker", "carl")),
                allowed(ROLES, "carl"),
                post(
                    ROLES,
                    role(
                        "more",
                        rule("get list", "secrets"),
                        rule("watch", "secrets"),
                        rule("get", nonResourceURLs=["/x"]),
                    ),
                    user="carl",
                ),
                post(ROLES, role("more", rule("get", "secrets", resourceNames=["a", "b"])), user="carl"),
            ),
        ),
        Story(
            "reviews",
            (
                post(ROLES, role("pod-reader", rule("get list", "pods pods/log"))),
                post(BINDINGS, binding("pod-reader", "pod-reader", "anna")),
                allowed("/api/v1/pods", "anna"),
                *(
                    post(f"{REVIEWS}/selfsubjectaccessreviews", _access(resourceAttributes=one), user="anna")
                    for one in (
                        _asked("get", "pods", "default"),
                        _asked("get", "pods", "default", subresource="log"),
                        _asked("get", "pods", "default", name="x"),
                        _asked("delete", "pods", "default"),
                        _asked("get", "secrets"),
                    )
                ),
                post(
                    f"{REVIEWS}/selfsubjectaccessreviews",
                    _access(nonResourceAttributes={"path": "/x", "verb": "get"}),
                    user="anna",
                ),
                post(f"{REVIEWS}/selfsubjectaccessreviews", _access(resourceAttributes=_asked("get", "pods"))),
                post(f"{REVIEWS}/subjectaccessreviews", _access(user="anna", resourceAttributes=_asked("get", "pods"))),
                post(
                    f"{REVIEWS}/subjectaccessreviews", _access(user="nobody", resourceAttributes=_asked("get", "pods"))
                ),
                post(
                    f"{REVIEWS}/subjectaccessreviews",
                    _access(user="nobody", groups=["system:masters"], resourceAttributes=_asked("get", "pods")),
                ),
                post(f"{REVIEWS}/subjectaccessreviews", _access(resourceAttributes=_asked("get", "pods"))),
                post(f"{REVIEWS}/subjectaccessreviews", _access(user="anna")),
                post(
                    f"{REVIEWS}/subjectaccessreviews",
                    _access(
                        user="anna", resourceAttributes=_asked("get", "pods"), nonResourceAttributes={"path": "/x"}
                    ),
                ),
                post(
                    f"{REVIEWS}/namespaces/default/localsubjectaccessreviews",
                    _access(user="anna", resourceAttributes=_asked("get", "pods", "default")),
                ),
                post(
                    f"{REVIEWS}/namespaces/default/localsubjectaccessreviews",
                    _access(user="anna", resourceAttributes=_asked("get", "pods", "other")),
                ),
                post(
                    f"{REVIEWS}/subjectaccessreviews",
                    _access(user="anna", resourceAttributes=_asked("get", "pods")),
                    user="anna",
                ),
                post(f"{REVIEWS}/selfsubjectrulesreviews", _access(namespace="default"), user="anna"),
                post(f"{REVIEWS}/selfsubjectrulesreviews", _access(), user="anna"),
                post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}}),
                post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {}}),
                delete(f"{BINDINGS}/pod-reader"),
                refused("/api/v1/pods", "anna"),
            ),
        ),
        Story(
            "what every server begins with",
            (
                get(f"{ROLES}/cluster-admin"),
                get(f"{ROLES}/system:basic-user"),
                get(f"{ROLES}/system:discovery"),
                get(f"{ROLES}/system:public-info-viewer"),
                get(f"{BINDINGS}/cluster-admin"),
                get(f"{BINDINGS}/system:public-info-viewer"),
                get(f"{ROLES}/system:aggregate-to-view"),
            ),
        ),
    ]
