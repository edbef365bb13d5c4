"""What a user is told about their own rights. Pure."""

from collections.abc import Callable
from typing import Any

from reconcile.kube import kinds
from reconcile.testing.apiserver.admission import Rules, User
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.strategy import Kind


def review(kind: Kind, rules: Rules, user: User) -> Callable[[Document], Document] | None:
    """How a review of this kind is answered; ``None`` if the kind is none."""
    if kind.resource == kinds.SELF_SUBJECT_ACCESS_REVIEW:
        return lambda document: {**_head(kind, document), "status": _access(document.get("spec") or {}, rules, user)}
    if kind.resource == kinds.SELF_SUBJECT_RULES_REVIEW:
        return lambda document: {**_head(kind, document), "status": _rules(document.get("spec") or {}, rules, user)}
    return None


def _head(kind: Kind, document: Document) -> Document:
    resource = kind.resource
    return {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": document.get("metadata") or {},
        "spec": document.get("spec") or {},
    }


def _access(spec: Document, rules: Rules, user: User) -> Document:
    asked: dict[str, Any] | None = spec.get("resourceAttributes")
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
    listed = list(rules.listed(user, spec.get("namespace") or ""))
    return {
        "resourceRules": listed,
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": False,
    }
