"""What may not be in objects of RBAC, in signing requests and in configurations of webhooks.

Hooks for ``kinds.py``: faults of a new object, in the words of the real server. Pure. Source: k8s.io/kubernetes,
``pkg/apis/rbac/validation``, ``pkg/apis/certificates/validation``, ``pkg/apis/admissionregistration/validation``.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from reconcile.testing.apiserver import names, walks
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.failure import Document, Fault, invalid_value, not_supported, required

# -- RBAC ----------------------------------------------------------------------------------------------------------


def role(write: Write) -> Iterator[Fault]:
    """Roles and cluster roles."""
    new = write.new or {}
    namespaced = write.kind.resource.namespaced
    for index, rule in enumerate(new.get("rules") or ()):
        at = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{at}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if namespaced:
                says = "namespaced rules cannot apply to non-resource URLs"
                yield invalid_value(f"{at}.nonResourceURLs", rule["nonResourceURLs"], says)
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                says = "rules cannot apply to both regular resources and non-resource URLs"
                yield invalid_value(f"{at}.nonResourceURLs", rule["nonResourceURLs"], says)
            continue
        if not rule.get("apiGroups"):
            yield required(f"{at}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{at}.resources", "resource rules must supply at least one resource")


def binding(write: Write) -> Iterator[Fault]:
    """Role bindings and cluster role bindings."""
    new, old = write.new or {}, write.old
    reference = new["roleRef"]
    namespaced = write.kind.resource.namespaced
    if reference.get("apiGroup") != _RBAC:
        yield not_supported("roleRef.apiGroup", reference.get("apiGroup", ""), (_RBAC,))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if reference.get("kind") not in kinds:
        yield not_supported("roleRef.kind", reference.get("kind", ""), kinds)
    if not reference.get("name"):
        yield required("roleRef.name")
    else:
        for says in names.path_segment(reference["name"], False):
            yield invalid_value("roleRef.name", reference["name"], says)
    for index, one in enumerate(new.get("subjects") or ()):
        yield from _subject(one, f"subjects[{index}]", namespaced=namespaced)
    if old is not None and not walks.equal(old["roleRef"], reference):
        shown = {"APIGroup": reference["apiGroup"], "Kind": reference["kind"], "Name": reference["name"]}
        yield invalid_value("roleRef", shown, "cannot change roleRef")


_RBAC: Final = "rbac.authorization.k8s.io"


def _subject(subject: Document, at: str, *, namespaced: bool) -> Iterator[Fault]:
    kind, group = subject.get("kind", ""), subject.get("apiGroup", "")
    if not subject.get("name"):
        yield required(f"{at}.name")
    if kind == "ServiceAccount":
        if subject.get("name"):
            yield from (
                invalid_value(f"{at}.name", subject["name"], x) for x in names.subdomain(subject["name"], False)
            )
        if group:
            yield not_supported(f"{at}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield required(f"{at}.namespace")
    elif kind in ("User", "Group"):
        if group != _RBAC:
            yield not_supported(f"{at}.apiGroup", group, (_RBAC,))
    else:
        yield not_supported(f"{at}.kind", kind, ("ServiceAccount", "User", "Group"))


# -- certificates --------------------------------------------------------------------------------------------------


def signing_request(write: Write) -> Iterator[Fault]:
    """Certificate signing requests."""
    spec = (write.new or {})["spec"]
    if not spec.get("request"):
        yield invalid_value("spec.request", "", "PEM block type must be CERTIFICATE REQUEST")
    name = spec.get("signerName", "")
    if not name:
        yield required("spec.signerName")
    elif "/" not in name:
        yield invalid_value("spec.signerName", name, _NOT_QUALIFIED)
    if not spec.get("usages"):
        yield required("spec.usages")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        yield invalid_value(
            "spec.expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)"
        )


_NOT_QUALIFIED: Final = "must be a fully qualified domain and path of the form 'example.com/signer-name'"


# -- admission -----------------------------------------------------------------------------------------------------


def webhooks(write: Write) -> Iterator[Fault]:
    """Mutating and validating webhook configurations."""
    seen: set[str] = set()
    for index, hook in enumerate((write.new or {}).get("webhooks") or ()):
        at = f"webhooks[{index}]"
        name = hook.get("name", "")
        if not name:
            yield required(f"{at}.name")
        else:
            yield from (invalid_value(f"{at}.name", name, says) for says in names.subdomain(name, False))
            if not names.subdomain(name, False) and name.count(".") < 2:
                says = "should be a domain with at least three segments separated by dots"
                yield invalid_value(f"{at}.name", name, says)
        if name in seen:
            yield Fault(f"{at}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"')
        seen.add(name)
        yield from _rules(hook.get("rules") or (), f"{at}.rules")
        yield from _one_of(hook, at, "failurePolicy", ("Fail", "Ignore"))
        yield from _one_of(hook, at, "matchPolicy", ("Equivalent", "Exact"))
        effects = hook.get("sideEffects")
        if effects is None:
            yield required(f"{at}.sideEffects", "must specify one of None, NoneOnDryRun")
        elif effects not in ("None", "NoneOnDryRun"):
            yield not_supported(f"{at}.sideEffects", effects, ("None", "NoneOnDryRun"))
        seconds = hook.get("timeoutSeconds", 10)
        if not 1 <= seconds <= 30:
            yield invalid_value(f"{at}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
        client = hook.get("clientConfig") or {}
        if ("url" in client) == ("service" in client):
            yield required(f"{at}.clientConfig", "exactly one of url or service is required")
        if not hook.get("admissionReviewVersions"):
            yield required(f"{at}.admissionReviewVersions", "must specify one of v1, v1beta1")


def _one_of(value: Document, at: str, name: str, allowed: tuple[str, ...]) -> Iterator[Fault]:
    if value.get(name) is not None and value[name] not in allowed:
        yield not_supported(f"{at}.{name}", value[name], allowed)


_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")


def _rules(rules: Any, path: str) -> Iterator[Fault]:
    for index, rule in enumerate(rules):
        at = f"{path}[{index}]"
        for name in ("apiGroups", "apiVersions", "resources"):
            if not rule.get(name):
                yield required(f"{at}.{name}")
        operations = rule.get("operations") or ()
        if not operations:
            yield required(f"{at}.operations")
        for place, one in enumerate(operations):
            if one not in _OPERATIONS:
                yield not_supported(f"{at}.operations[{place}]", one, _OPERATIONS)


RULES: Final[dict[str, Callable[[Write], Iterable[Fault]]]] = {
    "roles.rbac.authorization.k8s.io": role,
    "clusterroles.rbac.authorization.k8s.io": role,
    "rolebindings.rbac.authorization.k8s.io": binding,
    "clusterrolebindings.rbac.authorization.k8s.io": binding,
    "certificatesigningrequests.certificates.k8s.io": signing_request,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": webhooks,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": webhooks,
}
"""By resource."""
