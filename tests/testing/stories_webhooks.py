"""Stories about webhooks over HTTPS: the same webhooks, asked by the embedded server and by a real one."""

from typing import Any, Final

from tests.testing.callers import Reply, a_map
from tests.testing.stories import Step, Story, delete, merge, post

GROUP: Final = "/apis/admissionregistration.k8s.io/v1"
MAPS: Final = "/api/v1/namespaces/default/configmaps"
ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "allow": {"allowed": True},
    "deny": {"allowed": False},
    "deny-text": {"allowed": False, "status": {"message": "no", "code": 403, "reason": "Forbidden"}},
    "deny-reason": {"allowed": False, "status": {"reason": "Odd", "code": 200}},
    "deny-details": {
        "allowed": False,
        "status": {"message": "m", "code": 422, "details": {"causes": [{"field": "a.b", "message": "c"}]}},
    },
    "warn": {"allowed": True, "warnings": ["careful", "very"]},
    "warn-and-deny": {"allowed": False, "warnings": ["careful"]},
    "patch": {
        "allowed": True,
        "patchType": "JSONPatch",
        "operations": [{"op": "add", "path": "/data", "value": {"p": "1"}}],
    },
    "patch-without-type": {"allowed": True, "operations": [{"op": "add", "path": "/data", "value": {"p": "1"}}]},
    "type-without-patch": {"allowed": True, "patchType": "JSONPatch"},
    "wrong-id": {"allowed": True, "uid": "x"},
    "wrong-kind": {"allowed": True, "head": {"apiVersion": "v1", "kind": "Pod"}},
    "nothing": {"absent": True},
}


def _body(name: str, url: str, bundle: str, *, mutating: bool, **more: Any) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{'Mutating' if mutating else 'Validating'}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": f"{name}.example.com",
                "clientConfig": {"url": url, "caBundle": bundle},
                "rules": [rule],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "objectSelector": {"matchLabels": {"hook": name}},
                "timeoutSeconds": 5,
                **more,
            }
        ],
    }


def _heard(name: str) -> Step:
    """Wait until a webhook is asked: it refuses every map with its name."""
    probe = a_map(f"probe-{name}", labels={"hook": name})

    def refused(reply: Reply) -> bool:
        return reply.code != 201 or "warning" in reply.headers or bool((reply.get("data") or {}).get("p"))

    return post(MAPS, probe, query={"dryRun": "All"}, until=refused)


def stories(base: str, bundle: str) -> list[Story]:
    """``base`` is where the webhooks are, ``bundle`` who speaks for them."""
    found = []
    for name in ANSWERS:
        for mutating in (False, True):
            plural = f"{'mutating' if mutating else 'validating'}webhookconfigurations"
            path, own = f"{GROUP}/{plural}", f"{name}-{'m' if mutating else 'v'}"
            asked: tuple[Step, ...] = () if name == "allow" or (name == "patch-without-type") else (_heard(own),)
            found.append(
                Story(
                    own,
                    (
                        post(path, _body(own, f"{base}/{name}", bundle, mutating=mutating)),
                        *asked,
                        post(MAPS, a_map(own, {"a": "b"}, labels={"hook": own})),
                        merge(f"{MAPS}/{own}", {"data": {"a": "c"}}),
                        delete(f"{path}/{own}"),
                    ),
                )
            )
    return found
