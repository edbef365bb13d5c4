"""What a user is told about their own rights.

Pure. Source of the texts: apiserver and ``pkg/apis/authorization/validation``.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from reconcile.kube import kinds
from reconcile.testing.apiserver.admission import Rules, User
from reconcile.testing.apiserver.failure import Document, GroupName, invalid, invalid_value
from reconcile.testing.apiserver.strategy import Kind

Review: TypeAlias = Callable[[Document], Document]
"""From the question to the whole answer."""


def review(kind: Kind, rules: Rules, user: User) -> Review | None:
    """How a review of this kind is answered; ``None`` if the kind is none."""
    if kind.resource == kinds.SELF_SUBJECT_ACCESS_REVIEW:
        return lambda document: {**document, "status": _access(document.get("spec") or {}, rules, user)}
    if kind.resource == kinds.SELF_SUBJECT_RULES_REVIEW:
        head = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, "metadata": {}, "spec": {}}
        return lambda document: {**head, "status": _rules(document.get("spec") or {}, rules, user)}
    return None


def _access(spec: Document, rules: Rules, user: User) -> Document:
    asked: dict[str, Any] | None = spec.get("resourceAttributes")
    if (asked is None) is (spec.get("nonResourceAttributes") is None):
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        fault = invalid_value("spec.resourceAttributes", asked, text)
        raise invalid(GroupName("authorization.k8s.io", ""), "", [fault])
    if asked is None:
        return {"allowed": user.name not in rules.of_user}
    resource = asked.get("resource", "")
    if asked.get("subresource"):
        resource = f"{resource}/{asked['subresource']}"
    allowed = rules.allows(
        user,
        asked.get("verb", ""),
        asked.get("group", ""),
        resource,
        name=asked.get("name", ""),
        namespace=asked.get("namespace", ""),
    )
    return {"allowed": allowed}


def _rules(spec: Document, rules: Rules, user: User) -> Document:
    everything = [] if user.name in rules.of_user else [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
    return {
        "resourceRules": list(rules.listed(user, spec.get("namespace") or "")),
        "nonResourceRules": [*_PAGES_OF_EVERYBODY, *everything],
        "incomplete": False,
    }


_HEALTH: Final = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY: Final = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")
_PAGES_OF_EVERYBODY: Final = (
    {"verbs": ["get"], "nonResourceURLs": sorted((*_HEALTH, *_DISCOVERY))},
    {"verbs": ["get"], "nonResourceURLs": list(_HEALTH)},
)
