"""Webhooks that are asked about a write: mutating ones in their order, then validating ones all at once.

Pure: what has to be asked is a ``Question``, and what was answered is known or ``Pending`` is raised. Source of order,
rules and texts: apiserver, ``admission/plugin/webhook``.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
import orjson

from reconcile.testing.apiserver import conditions
from reconcile.testing.apiserver.asking import Answer, Answers, Question
from reconcile.testing.apiserver.calling import target_of
from reconcile.testing.apiserver.conditions import ConditionFailed
from reconcile.testing.apiserver.failure import Document, Failure, bad_request, forbidden, internal
from reconcile.testing.apiserver.matching import Attributes, chosen, selected
from reconcile.testing.apiserver.patching import json_patch
from reconcile.testing.apiserver.policies import GROUP, Sight
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.walks import equal

_REVIEW: Final = "admission.k8s.io/v1"


@attrs.frozen(eq=False)
class Hook:
    """One webhook that a request concerns, and the version in which it wants it."""

    config: Document
    kind: Kind
    mutates: bool

    @property
    def name(self) -> str:
        return self.config["name"]  # type: ignore[no-any-return]

    @property
    def ignores_failures(self) -> bool:
        return self.config.get("failurePolicy") == "Ignore"


class _CallFailed(Exception):
    """A webhook could not be asked, or answered nonsense."""


def hooks(sight: Sight, attributes: Attributes, *, mutating: bool) -> Iterator[Hook]:
    """The webhooks that a request concerns, in their order.

    Raises:
        Failure: 403: a condition could not be worked out.
    """
    if attributes.is_exempt:
        return
    plural = f"{'mutating' if mutating else 'validating'}webhookconfigurations"
    namespace = sight.namespace(attributes.namespace) if attributes.namespace else None
    for configuration in sight.all(plural, GROUP):
        for config in configuration.get("webhooks") or ():
            if not selected(config, attributes, namespace):
                continue
            kind = chosen(config, attributes, sight.versions(attributes.kind))
            if kind is not None and _is_met(config, attributes, kind):
                yield Hook(config, kind, mutating)


def _is_met(config: Document, attributes: Attributes, kind: Kind) -> bool:
    wanted = config.get("matchConditions")
    if not wanted:
        return True
    variables = conditions.variables_of(attributes, kind)
    fails = config.get("failurePolicy") != "Ignore"
    try:
        return conditions.met(conditions.FOR_WEBHOOKS, wanted, variables, fails=fails)
    except ConditionFailed as error:
        raise forbidden(attributes.kind.group_resource, attributes.name, str(error)) from error


def mutated(
    sight: Sight, attributes: Attributes, answers: Answers, reform: Callable[[Document], Document], warnings: list[str]
) -> Document | None:
    """The new object as mutating webhooks leave it. ``reform`` reads an object in again, ``warnings`` gets what they
    warn of, also when one of them refuses.

    Raises:
        Failure: one refuses, or could not be asked.
        Pending: one has to be asked first.
    """
    before: list[Hook] = []
    again: list[Hook] = []
    for hook in hooks(sight, attributes, mutating=True):
        changed, attributes = _changed_by(hook, attributes, answers, reform, warnings)
        if changed:
            again += [one for one in before if one not in again]
        if hook.config.get("reinvocationPolicy") == "IfNeeded":
            before.append(hook)
    for hook in again:
        _, attributes = _changed_by(hook, attributes, answers, reform, warnings)
    return attributes.new


def _changed_by(
    hook: Hook,
    attributes: Attributes,
    answers: Answers,
    reform: Callable[[Document], Document],
    warnings: list[str],
) -> tuple[bool, Attributes]:
    response = _response(hook, attributes, answers, warnings)
    if response is None or not response.get("patch"):
        return False, attributes
    if attributes.new is None:
        why = (
            f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for this operation'
        )
        raise internal(why)
    try:
        raw = base64.b64decode(response["patch"], validate=True)
        if not orjson.loads(raw):
            return False, attributes
        patched = json_patch(_converted(attributes.new, hook.kind), raw)
    except (binascii.Error, orjson.JSONDecodeError) as error:
        why = f'failed calling webhook "{hook.name}": received undecodable patch in webhook response: {error}'
        if hook.ignores_failures:
            return False, attributes
        raise internal(why) from error
    except Failure as failure:
        raise internal(str(failure)) from failure
    new = reform(_converted(patched, attributes.kind))
    return not equal(new, attributes.new), attrs.evolve(attributes, new=new)


def validated(sight: Sight, attributes: Attributes, answers: Answers, warnings: list[str]) -> None:
    """Ask the validating webhooks, all at once; ``warnings`` gets what they warn of, also when one of them refuses.

    Raises:
        Failure: one refuses, or could not be asked.
        Pending: some have to be asked first.
    """
    found = list(hooks(sight, attributes, mutating=False))
    answers.to(*(_question(hook, attributes) for hook in found if not _dry_run_problem(hook, attributes)))
    for hook in found:
        _response(hook, attributes, answers, warnings)


def _response(hook: Hook, attributes: Attributes, answers: Answers, warnings: list[str]) -> Document | None:
    """What a webhook says to a request that it allows; ``None``: it could not be asked, and that does not matter."""
    if _dry_run_problem(hook, attributes):
        raise bad_request(f'admission webhook "{hook.name}" does not support dry run')
    [answer] = answers.to(_question(hook, attributes))
    try:
        response = _checked(answer, mutates=hook.mutates)
    except _CallFailed as error:
        if hook.ignores_failures:
            return None
        raise internal(f'failed calling webhook "{hook.name}": {error}') from error
    warnings += response.get("warnings") or []
    if not response.get("allowed"):
        raise _rejection(hook.name, response.get("status") or {})
    return response


def _dry_run_problem(hook: Hook, attributes: Attributes) -> bool:
    return attributes.dry_run and hook.config.get("sideEffects") not in ("None", "NoneOnDryRun")


def _question(hook: Hook, attributes: Attributes) -> Question:
    kind = hook.kind
    request = attributes.request(kind)
    for part in ("object", "oldObject"):
        request[part] = _converted(request[part], kind) if request[part] is not None else None
    body = {"kind": "AdmissionReview", "apiVersion": _REVIEW, "request": request}
    timeout = hook.config.get("timeoutSeconds") or 10
    return Question(target_of(hook.config["clientConfig"], timeout), body)


def _converted(document: Document, kind: Kind) -> Document:
    if kind.family is None or document.get("apiVersion") == kind.resource.api_version:
        return document
    return kind.family.converted(document, kind.resource.version)


def _checked(answer: Answer, *, mutates: bool) -> Document:
    if answer.error:
        raise _CallFailed(f"failed to call webhook: {answer.error}")
    if isinstance(answer.body, dict) and (unknown := _unknown_kind(answer.body)):
        raise _CallFailed(f"failed to call webhook: {unknown}")
    problem = _problem(answer, mutates=mutates)
    if problem:
        raise _CallFailed(f"received invalid webhook response: {problem}")
    return answer.body["response"]  # type: ignore[no-any-return]


def _unknown_kind(body: Document) -> str:
    """What the decoder says of an answer that is no review; "" if it is one."""
    version, kind = body.get("apiVersion") or "", body.get("kind") or ""
    if (version, kind) == (_REVIEW, "AdmissionReview"):
        return ""
    return f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'


def _problem(answer: Answer, *, mutates: bool) -> str:
    body: Any = answer.body
    response = body.get("response") if isinstance(body, dict) else None
    if not isinstance(response, dict):
        return "webhook response was absent"
    if response.get("uid") != answer.id:
        return f'expected response.uid="{answer.id}", got "{response.get("uid") or ""}"'
    patch, form = response.get("patch"), response.get("patchType")
    if not mutates:
        if patch:
            return "validating webhook may not return response.patch"
        return "validating webhook may not return response.patchType" if form is not None else ""
    if patch and form is None:
        return "webhook returned response.patch but not response.patchType"
    if not patch and form is not None:
        return "webhook returned response.patchType but not response.patch"
    return f'webhook returned invalid response.patchType of "{form}"' if form == "" else ""


def _rejection(name: str, status: Document) -> Failure:
    denied = f'admission webhook "{name}" denied the request'
    explained = status.get("message") or status.get("reason")
    text = f"{denied}: {explained}" if explained else f"{denied} without explanation"
    code = max(status.get("code") or 400, 400)
    failure = Failure(code, status.get("reason") or "", text, status.get("details"))
    return failure
