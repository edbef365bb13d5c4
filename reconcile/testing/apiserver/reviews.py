"""What users are told about rights, their own and others', and about who they are.

Pure. Source of the texts: apiserver, ``pkg/apis/authorization/validation``, ``pkg/registry/authorization`` and
``pkg/registry/authentication``.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from reconcile.testing.apiserver.admission import Authorizer, User
from reconcile.testing.apiserver.failure import (
    Document,
    Failure,
    Fault,
    GroupName,
    bad_request,
    forbidden_field,
    invalid,
    invalid_value,
)
from reconcile.testing.apiserver.strategy import Kind

Review: TypeAlias = Callable[[Document], Document]
"""From the question to the whole answer."""
Authenticate: TypeAlias = Callable[[str], User | None]
"""Whom a token is of; ``None``: nobody's."""
_AUTHORIZATION = "authorization.k8s.io"


def review(
    kind: Kind, rules: Authorizer, user: User, authenticate: Authenticate = lambda token: None, *, time: str = ""
) -> Review | None:
    """How a review of this kind is answered at a time; ``None`` if the kind is none."""
    match kind.resource.plural, kind.resource.group:
        case "selfsubjectaccessreviews", "authorization.k8s.io":
            return lambda document: {**document, "status": _access(document, rules, user, kind)}
        case (("subjectaccessreviews" | "localsubjectaccessreviews"), "authorization.k8s.io"):
            return lambda document: {**document, "status": _access(document, rules, _subject(document), kind)}
        case "selfsubjectrulesreviews", "authorization.k8s.io":
            head = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, "metadata": {}, "spec": {}}
            return lambda document: {**head, "status": _rules(document.get("spec") or {}, rules, user)}
        case "selfsubjectreviews", "authentication.k8s.io":
            created = {"creationTimestamp": time}
            return lambda document: {**document, "metadata": created, "status": {"userInfo": user_info(user)}}
        case "tokenreviews", "authentication.k8s.io":
            return lambda document: {**document, "status": _token(document, authenticate)}
    return None


def user_info(user: User) -> Document:
    """A user as the API shows one."""
    return {
        "username": user.name,
        **({"uid": user.uid} if user.uid else {}),
        **({"groups": list(user.groups)} if user.groups else {}),
        **({"extra": {name: list(values) for name, values in user.extra.items()}} if user.extra else {}),
    }


def _subject(document: Document) -> User:
    spec = document.get("spec") or {}
    extra = {name.lower(): tuple(values) for name, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user") or "", tuple(spec.get("groups") or ()), spec.get("uid") or "", extra)


def _access(document: Document, rules: Authorizer, user: User, kind: Kind) -> Document:
    spec = document.get("spec") or {}
    asked, page = spec.get("resourceAttributes"), spec.get("nonResourceAttributes") or {}
    if faults := list(_access_faults(document, spec, kind)):
        raise invalid(GroupName(_AUTHORIZATION, ""), "", faults)
    if asked is None:
        allowed, reason = rules.decide_path(user, page.get("verb") or "", page.get("path") or "")
    else:
        resource = asked.get("resource") or ""
        if asked.get("subresource"):
            resource = f"{resource}/{asked['subresource']}"
        allowed, reason = rules.decide(
            user,
            asked.get("verb") or "",
            asked.get("group") or "",
            resource,
            name=asked.get("name") or "",
            namespace=asked.get("namespace") or "",
        )
    return {"allowed": allowed, **({"reason": reason} if reason else {})}


def _access_faults(document: Document, spec: Document, kind: Kind) -> Iterator[Fault]:
    asked, page = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if asked is not None and page is not None:
        says = "cannot be specified in combination with resourceAttributes"
        shown = {"Path": page.get("path", ""), "Verb": page.get("verb", "")}
        yield invalid_value("spec.nonResourceAttributes", shown, says)
    if asked is None and page is None:
        says = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield invalid_value("spec.resourceAttributes", asked, says)
    if "self" not in kind.resource.plural and not spec.get("user") and not spec.get("groups"):
        yield invalid_value("spec.user", spec.get("user") or "", "at least one of user or group must be specified")
    if kind.resource.namespaced and page is not None:
        yield forbidden_field("spec.nonResourceAttributes", "disallowed on this kind of request")
    place = (document.get("metadata") or {}).get("namespace") or ""
    if kind.resource.namespaced and asked is not None and place != (asked.get("namespace") or ""):
        says = "must match metadata.namespace"
        yield invalid_value("spec.resourceAttributes.namespace", asked.get("namespace") or "", says)


def _rules(spec: Document, rules: Authorizer, user: User) -> Document:
    namespace = spec.get("namespace") or ""
    if not namespace:
        raise bad_request("no namespace on request")
    resources, pages = rules.listed(user, namespace)
    return {"resourceRules": resources, "nonResourceRules": pages, "incomplete": False}


def _token(document: Document, authenticate: Authenticate) -> Document:
    token = (document.get("spec") or {}).get("token") or ""
    if not token:
        raise bad_request("token is required for TokenReview in authentication")
    try:
        found: Any = authenticate(token)
    except Failure as failure:
        return {"user": {}, "error": str(failure)}
    if found is None:
        return {"user": {}, "error": "invalid bearer token"}
    return {"authenticated": True, "user": user_info(found)}
