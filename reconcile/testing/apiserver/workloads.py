"""What may not be in a deployment and its like, in claims and in revisions.

Hooks for ``kinds.py``: faults of a new object, in the words of the real server. The rules are the main ones; which are
left out stands in ``docs/testing.md``. Pure. Source: k8s.io/kubernetes, ``pkg/apis/*/validation``.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from reconcile.testing.apiserver import names, pods, policy_rules, walks
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.failure import Document, Fault, forbidden_field, invalid_value, not_supported, required

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
        yield from _selecting(write, "statefulset", frozen=False)
        if write.old is not None and not walks.equal(_fixed(write.new), _fixed(write.old)):
            yield forbidden_field("spec", _STATEFUL)


_MAY_CHANGE: Final = (
    *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
    *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
)
_STATEFUL: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def _fixed(document: Document | None) -> Document:
    spec = (document or {}).get("spec") or {}
    return {name: value for name, value in spec.items() if name not in _MAY_CHANGE}


def claim(write: Write) -> Iterator[Fault]:
    """Claims."""
    new, old = (one["spec"] if one is not None else {} for one in (write.new, write.old))
    if write.old is None or write.subresource:
        return
    grows = ("resources", "volumeAttributesClassName", "volumeName")
    kept = [{name: value for name, value in one.items() if name not in grows} for one in (new, old)]
    if not walks.equal(*kept) or (old.get("volumeName") and new.get("volumeName") != old["volumeName"]):
        says = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        yield forbidden_field("spec", says)


def revision(write: Write) -> Iterator[Fault]:
    """Revisions of controllers."""
    new, old = write.new or {}, write.old
    if old is not None and not walks.equal(new.get("data"), old.get("data")):
        yield invalid_value("data", new.get("data"), names.IMMUTABLE)
    if new.get("revision", 0) < 0:
        yield invalid_value("revision", new["revision"], names.NOT_NEGATIVE)


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


def _selecting(write: Write, kind: str, *, frozen: bool = True) -> Iterator[Fault]:
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
    if frozen and old is not None and not walks.equal(old.get("selector"), selector):
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


RULES: Final[dict[str, Callable[[Write], Iterable[Fault]]]] = {
    "deployments.apps": deployment,
    "replicasets.apps": replica_set,
    "statefulsets.apps": stateful_set,
    "daemonsets.apps": daemon_set,
    "jobs.batch": job,
    "controllerrevisions.apps": revision,
    "persistentvolumeclaims": claim,
    "validatingadmissionpolicies.admissionregistration.k8s.io": policy_rules.policy,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": policy_rules.binding,
    "mutatingadmissionpolicies.admissionregistration.k8s.io": policy_rules.mutating,
}
"""By resource."""
