"""What an admission policy, or its binding, may not say.

Pure. Source of rules and texts: k8s.io/kubernetes, ``pkg/apis/admissionregistration/validation``.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.failure import (
    Document,
    Fault,
    forbidden_field,
    invalid_value,
    not_implemented,
    not_supported,
    required,
)

_REASONS: Final = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_ACTIONS: Final = ("Audit", "Deny", "Warn")


def policy(write: Write) -> Iterator[Fault]:
    """A ValidatingAdmissionPolicy: that its expressions are some, above all."""
    from reconcile.testing.apiserver import conditions  # on use: the library behind it is large

    spec = (write.new or {}).get("spec") or {}
    environment = conditions.WITH_PARAMS if spec.get("paramKind") else conditions.FOR_POLICIES
    if not (spec.get("matchConstraints") or {}).get("resourceRules"):
        at = "spec.matchConstraints"
        yield required(f"{at}.resourceRules" if spec.get("matchConstraints") is not None else at)
    for index, one in enumerate(spec.get("variables") or ()):
        at = f"spec.variables[{index}]"
        yield from _expression(environment, one.get("expression"), f"{at}.expression", "")
        if not (name := one.get("name") or "").isidentifier():
            yield (
                invalid_value(f"{at}.name", name, "must be a valid CEL identifier")
                if name
                else required(f"{at}.name", "name is not specified")
            )
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        for name in ("validations", "auditAnnotations"):
            yield required(f"spec.{name}", "validations or auditAnnotations must contain at least one item")
    for index, one in enumerate(spec.get("matchConditions") or ()):
        yield from _expression(environment, one.get("expression"), f"spec.matchConditions[{index}].expression", "bool")
    for index, one in enumerate(spec.get("validations") or ()):
        yield from _validation(environment, one, f"spec.validations[{index}]")


def _validation(environment: Any, one: Document, path: str) -> Iterator[Fault]:
    text, message = one.get("expression") or "", one.get("message") or ""
    if not text.strip():
        yield required(f"{path}.expression", "expression is not specified")
    else:
        yield from _expression(environment, text, f"{path}.expression", "bool")
    if one.get("messageExpression"):
        yield from _expression(environment, one["messageExpression"], f"{path}.messageExpression", "string")
    if message and not message.strip():
        yield invalid_value(f"{path}.message", message, "must be non-empty if specified")
    elif "\n" in message.strip():
        yield invalid_value(f"{path}.message", message, "must not contain line breaks")
    if one.get("reason") and one["reason"] not in _REASONS:
        yield not_supported(f"{path}.reason", one["reason"], _REASONS)


def _expression(environment: Any, text: str | None, path: str, type_: str) -> Iterator[Fault]:
    from reconcile.testing.apiserver import conditions

    if not text:
        yield required(path, "expression is not specified")
        return
    found = conditions.compiled(environment, text)
    if isinstance(found, str):
        yield invalid_value(path, text, found)
    elif type_ and found.type not in ((type_,), ("dyn",)):
        yield invalid_value(path, text, f"must evaluate to {type_} but got {found.type[0]}")
    elif type_ and found.type == ("dyn",):
        yield invalid_value(path, text, f"must evaluate to {type_} but got dyn")


def binding(write: Write) -> Iterator[Fault]:
    """A ValidatingAdmissionPolicyBinding."""
    spec = (write.new or {}).get("spec") or {}
    if not spec.get("policyName"):
        yield required("spec.policyName")
    actions = spec.get("validationActions") or []
    if not actions:
        yield required("spec.validationActions", "at least one validation action is required")
    for index, one in enumerate(actions):
        if one not in _ACTIONS:
            yield not_supported(f"spec.validationActions[{index}]", one, _ACTIONS)
    if "Deny" in actions and "Warn" in actions:
        says = "must not contain both Deny and Warn (repeating the same validation failure information in the API "
        says += "response and headers serves no purpose)"
        yield invalid_value("spec.validationActions", actions, says)
    reference = spec.get("paramRef")
    if reference is not None:
        if reference.get("name") and reference.get("selector") is not None:
            for name in ("name", "selector"):
                yield forbidden_field(f"spec.paramRef.{name}", "name and selector are mutually exclusive")
        if not reference.get("name") and reference.get("selector") is None:
            yield required("spec.paramRef", "one of name or selector must be specified")
        if not reference.get("parameterNotFoundAction"):
            yield required("spec.paramRef.parameterNotFoundAction")


def mutating(write: Write) -> Iterable[Fault]:
    """A policy that changes objects would do nothing here, so it is not taken."""
    if write.new is not None:
        raise not_implemented("MutatingAdmissionPolicies")
    return ()
