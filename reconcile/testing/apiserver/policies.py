"""ValidatingAdmissionPolicies: what a request has to satisfy, as their bindings say where.

Pure. Source of order, rules and texts: apiserver, ``admission/plugin/policy/validating``.
"""

from collections.abc import Iterator
from typing import Any, Final, Protocol

import attrs

from reconcile.kube.selector import labels_from
from reconcile.testing.apiserver import conditions
from reconcile.testing.apiserver.conditions import ConditionFailed
from reconcile.testing.apiserver.failure import Document, Failure, forbidden
from reconcile.testing.apiserver.matching import Attributes, chosen, selected
from reconcile.testing.apiserver.strategy import Kind

GROUP: Final = "admissionregistration.k8s.io"
_CODES: Final = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


class Sight(Protocol):
    """What a policy can see of the server."""

    def all(self, plural: str, group: str) -> list[Document]:
        """The objects of a resource, in the order of their names."""

    def of_kind(self, api_version: str, kind: str) -> Kind | None:
        """The kind that a policy takes its parameters from."""

    def objects(self, kind: Kind, namespace: str) -> list[Document]:
        """The objects of a kind."""

    def namespace(self, name: str) -> Document | None:
        """A namespace."""

    def versions(self, kind: Kind) -> list[Kind]:
        """All versions of a kind."""


@attrs.frozen
class Decision:
    """One reason against a request."""

    message: str
    reason: str = "Invalid"


class _Misconfigured(Exception):
    """A policy or a binding that cannot be used as it is."""


def judge(sight: Sight, attributes: Attributes) -> list[str]:
    """Hold a request against all policies; the answer is what to warn of.

    Raises:
        Failure: a policy denies it.
    """
    warnings: list[str] = []
    denied: list[tuple[str, Decision]] = []
    bindings = sight.all("validatingadmissionpolicybindings", GROUP)
    for policy in sight.all("validatingadmissionpolicies", GROUP):
        kind = _chosen(sight, policy["spec"].get("matchConstraints") or {}, attributes)
        if kind is None:
            continue
        name = policy["metadata"]["name"]
        for binding in bindings:
            spec = binding["spec"]
            resources = spec.get("matchResources")
            if spec.get("policyName") != name or (resources and not _applies(sight, resources, attributes)):
                continue
            where = f"ValidatingAdmissionPolicy '{name}' with binding '{binding['metadata']['name']}'"
            for decision in _decisions(sight, policy["spec"], spec, attributes, kind):
                actions = spec.get("validationActions") or ["Deny"]
                if "Deny" in actions:
                    denied.append((f"{where} denied request: {decision.message}", decision))
                if "Warn" in actions:
                    warnings.append(f"Validation failed for {where}: {decision.message}")
    if denied:
        raise _denial(attributes, *denied[0])
    return warnings


def _denial(attributes: Attributes, text: str, decision: Decision) -> Failure:
    failure = forbidden(attributes.kind.group_resource, attributes.name, text)
    code = _CODES.get(decision.reason, 422)
    failure.code = code
    details = {**failure.status["details"], "causes": [{"message": text}]}
    failure.status |= {"reason": decision.reason, "code": code, "details": details}
    return failure


def _applies(sight: Sight, match: Document, attributes: Attributes) -> bool:
    return _chosen(sight, match, attributes, anything=not match.get("resourceRules")) is not None


def _chosen(sight: Sight, match: Document, attributes: Attributes, *, anything: bool = False) -> Kind | None:
    if not selected(match, attributes, sight.namespace(attributes.namespace) if attributes.namespace else None):
        return None
    excluded = match.get("excludeResourceRules")
    others = sight.versions(attributes.kind)
    without = {**match, "resourceRules": excluded}
    if excluded and chosen(without, attributes, others) is not None:
        return None
    return attributes.kind if anything else chosen(match, attributes, others)


def _decisions(
    sight: Sight, policy: Document, binding: Document, attributes: Attributes, kind: Kind
) -> Iterator[Decision]:
    fails = (policy.get("failurePolicy") or "Fail") == "Fail"
    try:
        params = _params(sight, policy.get("paramKind"), binding.get("paramRef"), attributes)
    except _Misconfigured as error:
        if fails:
            yield Decision(f"failed to configure binding: {error}")
        return
    namespace = sight.namespace(attributes.namespace) if attributes.namespace and not attributes.is_namespace else None
    for param in params:
        variables = conditions.variables_of(attributes, kind, namespace)
        environment = conditions.FOR_POLICIES
        if policy.get("paramKind"):
            variables["params"], environment = param, conditions.WITH_PARAMS
        conditions.lazily(environment, policy.get("variables") or [], variables)
        yield from _judged(policy, environment, variables, fails=fails)


def _judged(policy: Document, environment: Any, variables: dict[str, Any], *, fails: bool) -> Iterator[Decision]:
    try:
        if not conditions.met(environment, policy.get("matchConditions") or [], variables, fails=fails):
            return
    except ConditionFailed as error:
        yield Decision(str(error))
        return
    for validation in policy.get("validations") or ():
        text = validation["expression"]
        verdict = conditions.evaluated(environment, text, variables)
        if verdict.error:
            if fails:
                yield Decision(verdict.error)
        elif verdict.value is not True:
            message = ""
            if validation.get("messageExpression"):
                said = conditions.evaluated(environment, validation["messageExpression"], variables).value
                message = said.strip() if isinstance(said, str) and "\n" not in said.strip() else ""
            message = message or (validation.get("message") or "").strip() or f"failed expression: {text.strip()}"
            yield Decision(message, validation.get("reason") or "Invalid")


def _params(
    sight: Sight, kind: Document | None, reference: Document | None, attributes: Attributes
) -> list[Document | None]:
    """The parameters that a binding names; one that is ``None`` where there are none."""
    if not kind:
        return [None]
    api_version, name = kind.get("apiVersion", ""), kind.get("kind", "")
    found = sight.of_kind(api_version, name)
    if found is None:
        raise _Misconfigured(f'failed to find resource referenced by paramKind: "{_gvk(api_version, name)}"')
    if not reference:
        return [None]
    namespace = ""
    if found.resource.namespaced:
        namespace = reference.get("namespace") or attributes.namespace
        if not namespace:
            raise _Misconfigured(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            )
    elif reference.get("namespace"):
        raise _Misconfigured("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    objects = sight.objects(found, namespace)
    if reference.get("name"):
        chosen_ones = [one for one in objects if one["metadata"]["name"] == reference["name"]]
    else:
        selector = labels_from(reference.get("selector"))
        chosen_ones = [one for one in objects if selector.matches(one["metadata"].get("labels") or {})]
    if not chosen_ones and (reference.get("parameterNotFoundAction") or "Deny") == "Deny":
        raise _Misconfigured("no params found for policy binding with `Deny` parameterNotFoundAction")
    return list(chosen_ones)


def _gvk(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    return f"{group}/{version}, Kind={kind}"
