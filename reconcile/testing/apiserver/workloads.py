"""What may not be in a deployment and its like, and in objects of RBAC, admission and certificates.

Hooks for ``kinds.py``: faults of a new object, in the words of the real server. The rules are the main ones; which are
left out stands in ``docs/testing.md``. Pure. Source: k8s.io/kubernetes, ``pkg/apis/*/validation``.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from reconcile.testing.apiserver import names, pods, policy_rules, walks
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.failure import Document, Fault, invalid_value, not_supported, required

_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


def deployment(write: Write) -> Iterator[Fault]:
    """Deployments."""
    if write.subresource == "status":
        yield from _counted(write, ("updatedReplicas", "readyReplicas", "availableReplicas"))
        return
    yield from _selecting(write, "deployment")
    spec = (write.new or {})["spec"]
    strategy = spec["strategy"]
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        says = "may not be specified when strategy `type` is 'Recreate'"
        yield Fault("spec.strategy.rollingUpdate", "FieldValueForbidden", f"Forbidden: {says}")
    elif strategy.get("type") not in ("Recreate", "RollingUpdate"):
        shown = {"Type": strategy.get("type", ""), "RollingUpdate": strategy.get("rollingUpdate")}
        yield not_supported("spec.strategy", shown, ("Recreate", "RollingUpdate"))


def replica_set(write: Write) -> Iterator[Fault]:
    """Replica sets."""
    if write.subresource == "status":
        yield from _counted(write, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"))
    else:
        yield from _selecting(write, "replicaset")


def stateful_set(write: Write) -> Iterator[Fault]:
    """Stateful sets."""
    if write.subresource == "status":
        counts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
        yield from _counted(write, counts, ready="status.readyReplicas")
    else:
        yield from _selecting(write, "statefulset")


def daemon_set(write: Write) -> Iterator[Fault]:
    """Daemon sets."""
    if write.subresource == "status":
        yield from _not_negative(write, (*_SCHEDULED, "updatedNumberScheduled", "numberAvailable", "numberUnavailable"))
    else:
        yield from _selecting(write, "daemonset")


_SCHEDULED: Final = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")


def _not_negative(write: Write, fields: Iterable[str]) -> Iterator[Fault]:
    status = (write.new or {}).get("status") or {}
    for name in fields:
        if status.get(name, 0) < 0:
            yield invalid_value(f"status.{name}", status[name], names.NOT_NEGATIVE)


def _counted(write: Write, parts: tuple[str, ...], *, ready: str = "readyReplicas") -> Iterator[Fault]:
    """What is wrong with the numbers of a status: no part is more than the whole."""
    yield from _not_negative(write, ("observedGeneration", "replicas", *parts, "unavailableReplicas", "collisionCount"))
    status = (write.new or {}).get("status") or {}
    for name in parts:
        if status.get(name, 0) > status.get("replicas", 0):
            yield invalid_value(f"status.{name}", status[name], "cannot be greater than status.replicas")
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        yield invalid_value("status.availableReplicas", status["availableReplicas"], f"cannot be greater than {ready}")


def _selecting(write: Write, kind: str) -> Iterator[Fault]:
    spec = (write.new or {})["spec"]
    old = write.old["spec"] if write.old is not None else None
    if spec.get("replicas", 0) < 0:
        yield invalid_value("spec.replicas", spec["replicas"], names.NOT_NEGATIVE)
    selector = spec.get("selector")
    if selector is None:
        yield required("spec.selector")
        if kind == "deployment":
            labels = spec["template"]["metadata"].get("labels")
            yield invalid_value("spec.template.metadata.labels", labels, _NO_MATCH)
    else:
        yield from selector_faults(selector, "spec.selector")
        if not selector:
            yield invalid_value("spec.selector", selector, f"empty selector is invalid for {kind}")
    template = spec["template"]
    labels = dict(sorted((template["metadata"].get("labels") or {}).items()))
    if selector and not _is_readable(selector):
        yield invalid_value("spec.selector", selector, "invalid label selector")
    elif selector and not selects(selector, labels):
        yield invalid_value("spec.template.metadata.labels", labels, _NO_MATCH)
    yield from _template(template, "spec.template")
    policy = template["spec"].get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        yield not_supported("spec.template.spec.restartPolicy", policy, ("Always",))
    if old is not None and not walks.equal(old.get("selector"), selector):
        yield invalid_value("spec.selector", selector, names.IMMUTABLE)


_NO_MATCH: Final = "`selector` does not match template `labels`"


def _is_readable(selector: Document) -> bool:
    return not list(selector_faults(selector, ""))


def _template(template: Document, path: str) -> Iterator[Fault]:
    for key, value in (template["metadata"].get("labels") or {}).items():
        yield from (invalid_value(f"{path}.labels", key, says) for says in names.label_key(key))
        yield from (invalid_value(f"{path}.labels", value, says) for says in names.label_value(value))
    yield from pods.spec_faults(template["spec"], f"{path}.spec")


def selector_faults(selector: Document, path: str) -> Iterator[Fault]:
    """What is wrong with a label selector."""
    for key, value in (selector.get("matchLabels") or {}).items():
        yield from (invalid_value(f"{path}.matchLabels", key, says) for says in names.label_key(key))
        yield from (invalid_value(f"{path}.matchLabels", value, says) for says in names.label_value(value))
    for index, one in enumerate(selector.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{index}]"
        operator, values = one.get("operator", ""), one.get("values") or []
        if operator in ("In", "NotIn"):
            if not values:
                yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                says = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield Fault(f"{at}.values", "FieldValueForbidden", f"Forbidden: {says}")
        else:
            yield invalid_value(f"{at}.operator", operator, "not a valid selector operator")
        yield from (
            invalid_value(f"{at}.key", one.get("key", ""), says) for says in names.label_key(one.get("key", ""))
        )


def selects(selector: Document, labels: Document) -> bool:
    """Whether a label selector chooses an object with these labels."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for one in selector.get("matchExpressions") or ():
        has, values = one.get("key") in labels, one.get("values") or []
        holds = {
            "In": has and labels.get(one.get("key")) in values,
            "NotIn": not has or labels.get(one.get("key")) not in values,
            "Exists": has,
            "DoesNotExist": not has,
        }
        if not holds.get(one.get("operator"), True):
            return False
    return True


def job(write: Write) -> Iterator[Fault]:
    """Jobs."""
    spec = (write.new or {})["spec"]
    yield from _counts(spec, ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit"))
    yield from _template(spec["template"], "spec.template")
    policy = spec["template"]["spec"].get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        yield required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    old = write.old["spec"] if write.old is not None else None
    if old is not None:
        for name in ("completions", "selector", "template", "completionMode"):
            if not walks.equal(old.get(name), spec.get(name)):
                yield invalid_value(f"spec.{name}", spec.get(name), names.IMMUTABLE)


def _counts(spec: Document, fields: Iterable[str]) -> Iterator[Fault]:
    for name in fields:
        if spec.get(name, 0) < 0:
            yield invalid_value(f"spec.{name}", spec[name], names.NOT_NEGATIVE)


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
        yield invalid_value("roleRef", reference, "cannot change roleRef")


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
    "deployments.apps": deployment,
    "replicasets.apps": replica_set,
    "statefulsets.apps": stateful_set,
    "daemonsets.apps": daemon_set,
    "jobs.batch": job,
    "roles.rbac.authorization.k8s.io": role,
    "clusterroles.rbac.authorization.k8s.io": role,
    "rolebindings.rbac.authorization.k8s.io": binding,
    "clusterrolebindings.rbac.authorization.k8s.io": binding,
    "certificatesigningrequests.certificates.k8s.io": signing_request,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": webhooks,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": webhooks,
    "validatingadmissionpolicies.admissionregistration.k8s.io": policy_rules.policy,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": policy_rules.binding,
    "mutatingadmissionpolicies.admissionregistration.k8s.io": policy_rules.mutating,
}
"""By resource."""
