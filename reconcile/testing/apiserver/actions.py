"""Subresources that do something instead of showing a part: binding and eviction of pods, tokens of service accounts.

A request to one is a create with a body of a kind of its own; what it does happens in one write. Pure: time and
randomness come with the session. Source: k8s.io/kubernetes, ``pkg/registry/core/pod/storage`` (Binding, Eviction) and
``pkg/registry/core/serviceaccount/storage/token.go``.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final, TypeAlias

import attrs
import orjson

from reconcile.kube.objects import ObjectKey
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import content, decoding, published
from reconcile.testing.apiserver.deleting import delete
from reconcile.testing.apiserver.failure import (
    Document,
    Failure,
    GroupName,
    bad_request,
    conflict,
    forbidden,
    invalid,
    invalid_value,
    not_found,
    not_implemented,
    required,
)
from reconcile.testing.apiserver.orders import delete_options, write_options
from reconcile.testing.apiserver.routes import Call
from reconcile.testing.apiserver.session import Session
from reconcile.testing.apiserver.storage import Storage, key_of
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.tokens import ISSUER, ServiceAccount, Tokens
from reconcile.testing.apiserver.verbs import Order, Outcome
from reconcile.testing.apiserver.workloads import selects

_DONE: Final[Document] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
_BUDGETS: Final = Resource.untyped("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
_LEAST_SECONDS: Final = 600
_RETRY_SECONDS: Final = 10


@attrs.frozen
class Context:
    """What an action works with. ``kind`` is that of the object it is done to."""

    session: Session
    kind: Kind
    key: ObjectKey
    tokens: Tokens

    def found(self) -> Any:
        """The object as it is stored. Raises ``Failure``: 404."""
        found = self.session.find(self.kind, key_of(*self.key))
        if found is None:
            raise not_found(self.kind.group_resource, self.key.name)
        return found


Run: TypeAlias = Callable[[Context, Document], Document]


@attrs.frozen
class Action:
    """``body`` is the apiVersion and kind that a request has to carry."""

    body: tuple[str, str]
    run: Run


def find(call: Call) -> Action | None:
    """The action that a request asks for.

    Raises:
        Failure: 501 for a kind that is nothing but a question, and that nobody here answers.
    """
    info = call.info
    if info.verb != "create" or call.kind.custom:
        return None
    found = ACTIONS.get(f"{info.plural}/{info.subresource}" if info.subresource else info.plural)
    if found is None and call.kind.strategy.verbs == ("create",):
        raise not_implemented(f"the resource {call.kind.group_resource}")
    return found


def ordered(action: Action, call: Call, request: HttpRequest, tokens: Tokens) -> Order:
    """Read a request for an action.

    Raises:
        Failure: 400, 406, 415 or 422 as the real server answers.
    """
    content.form(request, custom=False)
    options = write_options(request, "CreateOptions")
    body_kind = _body_kind(*action.body)
    document = decoding.body(request, body_kind)

    def run(session: Session) -> Outcome:
        formed = session.formed(body_kind, document)
        key = call.info.key
        if not call.info.subresource:
            key = ObjectKey(key.namespace, formed["metadata"].get("name", ""))
            kind = session.registry.find("", "v1", "pods")
            assert kind is not None
        else:
            kind = call.kind
        answer = action.run(Context(session, kind, key, tokens), formed)
        return Outcome(HttpResponse(201, {"content-type": content.JSON}, orjson.dumps(answer)), True)

    return Order(run, options.dry_run, options.validation or "Warn")


@cache
def _body_kind(api_version: str, name: str) -> Kind:
    resource = Resource.untyped(api_version, name, f"{name.lower()}s")
    return Kind(resource, partial(published.schema, published.definition(api_version, name)), custom=False)


# -- pods ----------------------------------------------------------------------------------------------------------


def _bind(context: Context, binding: Document) -> Document:
    """Put a pod on a node."""
    found = context.found()
    name = context.key.name
    pod = found.value
    target = binding.get("target") or {}
    if not target.get("name"):
        raise invalid(GroupName("", "Binding"), name, [required("target.name")])
    why = ""
    if pod["metadata"].get("deletionTimestamp"):
        why = f"pod {name} is being deleted, cannot be assigned to a host"
    elif pod["spec"].get("nodeName"):
        why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
    elif pod["spec"].get("schedulingGates"):
        why = f"pod {name} has non-empty .spec.schedulingGates"
    if why:
        raise conflict(GroupName("", "pods/binding"), name, why)
    annotations = {**(pod["metadata"].get("annotations") or {}), **(binding["metadata"].get("annotations") or {})}
    metadata = {**pod["metadata"], **({"annotations": annotations} if annotations else {})}
    status = {part: value for part, value in pod["status"].items() if part != "nominatedNodeName"}
    changed = {**pod, "metadata": metadata, "spec": {**pod["spec"], "nodeName": target["name"]}, "status": status}
    _set_condition(status, {"type": "PodScheduled", "status": "True"}, context.session.time)
    context.session.store(context.kind, changed, pod, subresource="binding")
    return _DONE


def _set_condition(status: Document, condition: Document, time: str) -> None:
    conditions = status.get("conditions") or []
    before = next((one for one in conditions if one["type"] == condition["type"]), None)
    since = time if before is None or before["status"] != condition["status"] else before["lastTransitionTime"]
    new = {"lastProbeTime": None, "lastTransitionTime": since, **condition}
    if before is None:
        status["conditions"] = [*conditions, new]
    else:
        status["conditions"] = [new if one is before else one for one in conditions]


def _evict(context: Context, eviction: Document) -> Document:
    """Delete a pod, if the budget for disruptions allows it."""
    if eviction["metadata"].get("name") != context.key.name:
        raise bad_request("name in URL does not match name in Eviction object")
    pod = context.found().value
    phase = (pod.get("status") or {}).get("phase")
    if phase not in ("Succeeded", "Failed", "Pending") and not pod["metadata"].get("deletionTimestamp"):
        _spend(context, pod)
    options = delete_options(HttpRequest("POST", ""), eviction.get("deleteOptions") or {})
    status = dict(pod["status"])
    says = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    _set_condition(status, {**says, "message": "Eviction API: evicting"}, context.session.time)
    context.session.store(context.kind, {**pod, "status": status}, pod, subresource="eviction")
    delete(context.session, context.kind, context.key, options)
    return _DONE


def _spend(context: Context, pod: Document) -> None:
    """Take one disruption from the budget of a pod.

    Raises:
        Failure: 429 when there is none left, 500 for a pod with several budgets.
    """
    labels = pod["metadata"].get("labels") or {}
    budgets = [
        one.value
        for one in context.session.transaction.all(_BUDGETS.name, context.key.namespace)
        if one.value["spec"].get("selector") is not None and selects(one.value["spec"]["selector"], labels)
    ]
    if len(budgets) > 1:
        says = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise Failure(500, "", says)
    if not budgets:
        return
    [budget] = budgets
    status, name = budget.get("status") or {}, budget["metadata"]["name"]
    healthy, wanted = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if not _is_ready(pod):
        always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if always or healthy >= wanted > 0:
            return
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", _RETRY_SECONDS)
    left = status.get("disruptionsAllowed", 0)
    if left < 0:
        raise forbidden(GroupName("policy", "poddisruptionbudget"), name, "pdb disruptions allowed is negative")
    if left == 0:
        says = f"The disruption budget {name} does not allow evicting pods currently"
        if healthy <= wanted:
            says = f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
        raise _too_many(says, 0)
    disrupted = {**(status.get("disruptedPods") or {}), context.key.name: context.session.time}
    changed = {**budget, "status": {**status, "disruptionsAllowed": left - 1, "disruptedPods": disrupted}}
    kind = context.session.registry.of(_BUDGETS)
    assert kind is not None
    context.session.store(kind, changed, budget, subresource="status")


def _is_ready(pod: Document) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _too_many(cause: str, seconds: int) -> Failure:
    says = "Cannot evict pod as it would violate the pod's disruption budget."
    causes = [{"reason": "DisruptionBudget", "message": cause}]
    return Failure(429, "TooManyRequests", says, {"causes": causes, "retryAfterSeconds": seconds})


def log(storage: Storage, kind: Kind, key: ObjectKey) -> HttpResponse:
    """What the containers of a pod have said: nothing, as long as it is on no node.

    Raises:
        Failure: 404, or 501 for a pod on a node, for nothing runs here.
    """
    found = storage.get(kind.table, key_of(*key))
    if found is None:
        raise not_found(kind.group_resource, key.name)
    if found.value["spec"].get("nodeName"):
        raise not_implemented("the subresource pods/log of a pod that runs")
    return HttpResponse(200, {"content-type": "text/plain"}, b"")


# -- tokens --------------------------------------------------------------------------------------------------------

_REQUEST: Final = GroupName("authentication.k8s.io", "TokenRequest")
_BINDS: Final = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


def _issue(context: Context, request: Document) -> Document:
    """A token for a service account."""
    metadata, key = request["metadata"], context.key
    for name, says in (("name", "name"), ("namespace", "namespace")):
        if metadata.get(name) and metadata[name] != getattr(key, name):
            fault = invalid_value(
                f"metadata.{name}", metadata[name], f"must match the service account {says} if specified"
            )
            raise invalid(_REQUEST, key.name, [fault])
    account = context.found()
    if metadata.get("uid") and metadata["uid"] != account.uid:
        why = (
            f"the UID in the token request ({metadata['uid']}) does not match the UID of the service account "
            f"({account.uid})"
        )
        raise conflict(GroupName(_REQUEST.group, "TokenRequest"), key.name, why)
    spec = dict(request["spec"])
    seconds = spec.get("expirationSeconds", 3600)
    if seconds < _LEAST_SECONDS or seconds > 2**32:
        limit = "less than 10 minutes" if seconds < _LEAST_SECONDS else "larger than 2^32 seconds"
        fault = invalid_value("spec.expirationSeconds", seconds, f"may not specify a duration {limit}")
        raise invalid(_REQUEST, "", [fault])
    spec |= {"audiences": spec.get("audiences") or [ISSUER], "expirationSeconds": seconds}
    bound = _bound(context, spec.get("boundObjectRef"))
    session = context.session
    at = dt.datetime.fromisoformat(session.time)
    token = context.tokens.issue(
        ServiceAccount(key.namespace, key.name, account.uid, bound),
        str(uuid.UUID(int=session.rng.getrandbits(128), version=4)),
        at=int(at.timestamp()),
        seconds=seconds,
        audiences=spec["audiences"],
    )
    until = (at + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    named = {"name": key.name, "namespace": key.namespace, "uid": account.uid, "creationTimestamp": session.time}
    head = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {**metadata, **named}}
    return {**head, "spec": spec, "status": {"token": token, "expirationTimestamp": until}}


def _bound(context: Context, reference: Document | None) -> tuple[str, str, str] | None:
    """What a token lives and dies with."""
    if reference is None:
        return None
    kind, name = reference.get("kind", ""), reference.get("name", "")
    if kind not in _BINDS or reference.get("apiVersion", "v1") != "v1":
        group, _, version = reference.get("apiVersion", "").rpartition("/")
        raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
    namespace = "" if kind == "Node" else context.key.namespace
    found = context.session.transaction.get(_BINDS[kind], key_of(namespace, name))
    if found is None:
        raise not_found(GroupName("", _BINDS[kind]), name)
    if kind == "Pod" and found.value["spec"].get("serviceAccountName") != context.key.name:
        raise bad_request(
            f'cannot bind token for serviceaccount "{context.key.name}" to pod running with different '
            "serviceaccount name."
        )
    if reference.get("uid") and reference["uid"] != found.uid:
        why = (
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise conflict(GroupName("", kind), name, why)
    return kind, name, found.uid


ACTIONS: Final[Mapping[str, Action]] = {
    "bindings": Action(("v1", "Binding"), _bind),
    "pods/binding": Action(("v1", "Binding"), _bind),
    "pods/eviction": Action(("policy/v1", "Eviction"), _evict),
    "serviceaccounts/token": Action(("authentication.k8s.io/v1", "TokenRequest"), _issue),
}
"""By resource and subresource."""
