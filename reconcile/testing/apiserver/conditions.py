"""Expressions about requests: match conditions of webhooks, and all that admission policies are made of.

Pure. Source of the variables and texts: apiserver, ``admission/plugin/cel`` and ``webhook/matchconditions``.
"""

import functools
from collections.abc import Mapping
from typing import Any, Final

import attrs

from reconcile.testing.apiserver.cel.checker import BadExpression, Environment
from reconcile.testing.apiserver.cel.evaluate import Lazy, Program
from reconcile.testing.apiserver.cel.shapes import DYN, Shape, value_of
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.matching import Attributes
from reconcile.testing.apiserver.strategy import Kind

_TEXT: Final = Shape("string")
_TIME: Final = Shape("timestamp", is_plain=False)
_TEXTS: Final = Shape("list", of=_TEXT)
_TEXT_MAP: Final = Shape("map", of=_TEXT)


def _struct(**fields: Shape) -> Shape:
    return Shape("object", fields=fields, is_plain=all(one.is_plain for one in fields.values()))


_KIND: Final = _struct(group=_TEXT, version=_TEXT, kind=_TEXT)
_RESOURCE: Final = _struct(group=_TEXT, version=_TEXT, resource=_TEXT)
REQUEST: Final = _struct(
    kind=_KIND,
    resource=_RESOURCE,
    subResource=_TEXT,
    requestKind=_KIND,
    requestResource=_RESOURCE,
    requestSubResource=_TEXT,
    name=_TEXT,
    namespace=_TEXT,
    operation=_TEXT,
    userInfo=_struct(username=_TEXT, uid=_TEXT, groups=_TEXTS, extra=Shape("map", of=_TEXTS)),
    dryRun=Shape("bool"),
    options=DYN,
)
_CONDITION: Final = _struct(**dict.fromkeys(("status", "type", "message", "reason"), _TEXT), lastTransitionTime=_TIME)
NAMESPACE: Final = _struct(
    metadata=_struct(
        **dict.fromkeys(("name", "generateName", "namespace", "UID", "resourceVersion"), _TEXT),
        **dict.fromkeys(("labels", "annotations"), _TEXT_MAP),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), _TIME),
        **dict.fromkeys(("deletionGracePeriodSeconds", "generation"), Shape("int")),
        finalizers=_TEXTS,
    ),
    spec=_struct(finalizers=_TEXTS),
    status=_struct(conditions=Shape("list", of=_CONDITION, is_plain=False), phase=_TEXT),
)
_COMMON: Final[Mapping[str, Shape]] = {"object": DYN, "oldObject": DYN, "request": REQUEST}
FOR_WEBHOOKS: Final = Environment(_COMMON)
FOR_POLICIES: Final = Environment({**_COMMON, "namespaceObject": NAMESPACE, "variables": DYN})
WITH_PARAMS: Final = Environment({**FOR_POLICIES.variables, "params": DYN})


@functools.lru_cache(maxsize=512)
def compiled(environment: Environment, text: str) -> Program | str:
    """An expression, or why it is none."""
    try:
        return environment.compile(text)
    except BadExpression as error:
        return f"compilation failed: {error}"


class ConditionFailed(Exception):
    """Conditions of which none is false, and some could not be worked out."""


def variables_of(attributes: Attributes, kind: Kind, namespace: Document | None = None) -> dict[str, Any]:
    """What expressions see of a request."""
    request = {name: one for name, one in attributes.request(kind).items() if name not in ("object", "oldObject")}
    return {
        "object": attributes.new,
        "oldObject": attributes.old,
        "request": request,
        "namespaceObject": value_of(NAMESPACE, namespace),
    }


@attrs.frozen
class Verdict:
    """What became of an expression: its value, or an error."""

    value: Any = None
    error: str = ""


def evaluated(environment: Environment, text: str, variables: Mapping[str, Any]) -> Verdict:
    """Work an expression out."""
    program = compiled(environment, text)
    if isinstance(program, str):
        return Verdict(error=program)
    outcome = program.run(variables)
    if outcome.error is not None:
        return Verdict(error=f"expression '{text}' resulted in error: {outcome.error}")
    return Verdict(outcome.value)


def met(environment: Environment, conditions: list[Document], variables: Mapping[str, Any], *, fails: bool) -> bool:
    """Whether all conditions hold. ``fails``: an error counts, unless a condition is false anyway.

    Raises:
        ConditionFailed: one could not be worked out, and that counts.
    """
    errors = []
    for condition in conditions:
        verdict = evaluated(environment, condition["expression"], variables)
        if verdict.error:
            errors.append(verdict.error)
        elif verdict.value is False:
            return False
    if errors and fails:
        raise ConditionFailed(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    return not errors


def lazily(environment: Environment, texts: list[Document], variables: dict[str, Any]) -> None:
    """Add the ``variables`` of a policy, each worked out when it is first used; it may use those before it."""
    found = variables["variables"] = _LazyMap()
    for one in texts:
        found[one["name"]] = Lazy(functools.partial(_worked_out, environment, one["expression"], variables))


def _worked_out(environment: Environment, text: str, variables: dict[str, Any]) -> Any:
    from reconcile.testing.apiserver.cel.values import CelError

    program = compiled(environment, text)
    if isinstance(program, str):
        raise CelError(program)
    outcome = program.run(variables)
    if outcome.error is not None:
        raise CelError(f"composited variable fails to evaluate: {outcome.error}")
    return outcome.value


class _LazyMap(dict[str, Any]):
    """A map whose values are worked out when they are looked at."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        return value() if isinstance(value, Lazy) else value
