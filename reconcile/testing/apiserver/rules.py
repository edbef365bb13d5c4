"""The rules of the simplest built-in kinds: config maps, secrets, leases, events, service accounts, namespaces.

Hooks for ``kinds.py``: what is filled in or brought into form, and what is not accepted. Pure. Source of rules and
texts: k8s.io/kubernetes, ``pkg/apis/core/validation``, ``pkg/apis/coordination`` and the kinds' registries.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final

from reconcile.testing.apiserver import names
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.failure import (
    Document,
    Fault,
    forbidden,
    forbidden_field,
    invalid_value,
    required,
    too_long,
)
from reconcile.testing.apiserver.walks import equal

_SIZE_LIMIT: Final = 1024 * 1024
_FROZEN: Final = "field is immutable when `immutable` is set"

# -- config maps and secrets ---------------------------------------------------------------------------------------


def judge_config_map(write: Write) -> Iterator[Fault]:
    """What a config map may not be, or become."""
    new, old = write.new or {}, write.old
    if old is not None:
        yield from _frozen(new, old, ("data", "binaryData"))
    binary = new.get("binaryData") or {}
    for key in new.get("data") or {}:
        yield from _key_faults("data", key)
        if key in binary:
            yield invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData")
    for key in binary:
        yield from _key_faults("binaryData", key)
    size = _size(new.get("data")) + sum(len(base64.b64decode(value)) for value in binary.values())
    if size > _SIZE_LIMIT:
        yield too_long("[]", f"may not be more than {_SIZE_LIMIT} bytes")


def encode_string_data(document: Document) -> None:
    """Secrets take ``stringData`` and keep it, encoded, in ``data``."""
    texts = document.pop("stringData", None)
    if texts:
        added = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
        document["data"] = {**(document.get("data") or {}), **added}
    if not document.get("type"):
        document["type"] = "Opaque"


def judge_secret(write: Write) -> Iterator[Fault]:
    """What a secret may not be, or become."""
    new, old = write.new or {}, write.old
    if old is not None:
        if new.get("type") != old.get("type"):
            yield invalid_value("type", new.get("type"), "field is immutable")
        yield from _frozen(new, old, ("data",))
    data = new.get("data") or {}
    for key in data:
        yield from _key_faults("data", key)
    if sum(len(base64.b64decode(value)) for value in data.values()) > _SIZE_LIMIT:
        yield too_long("data", f"may not be more than {_SIZE_LIMIT} bytes")
    kind = new.get("type")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        yield from (required("data[username]"), required("data[password]"))
    if kind == "kubernetes.io/service-account-token":
        name = "kubernetes.io/service-account.name"
        if not (new["metadata"].get("annotations") or {}).get(name):
            yield required(f"metadata.annotations[{name}]")
    yield from (required(f"data[{key}]") for key in _NEEDED_KEYS.get(kind or "", ()) if not data.get(key))


_NEEDED_KEYS: Final = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def _frozen(new: Document, old: Document, parts: tuple[str, ...]) -> Iterator[Fault]:
    if old.get("immutable"):
        if not new.get("immutable"):
            yield forbidden_field("immutable", _FROZEN)
        for part in parts:
            if not equal(new.get(part), old.get(part)):
                yield forbidden_field(part, _FROZEN)


def _key_faults(part: str, key: str) -> Iterator[Fault]:
    for text in names.config_key(key):
        yield invalid_value(f"{part}[{key}]", key, text)


def _size(texts: Any) -> int:
    return sum(len(text.encode()) for text in (texts or {}).values())


def base64_problem(values: Document) -> str:
    """What Go's decoder says of values that should be base64; "" if it takes them."""
    for value in values.values():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            wrong = next((index for index, character in enumerate(value) if character not in alphabet), len(value))
            return f"illegal base64 data at input byte {wrong}"
    return ""


# -- leases --------------------------------------------------------------------------------------------------------


def judge_lease(write: Write) -> Iterator[Fault]:
    """What a lease may not be."""
    spec = (write.new or {}).get("spec") or {}
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None and duration <= 0:
        yield invalid_value("spec.leaseDurationSeconds", duration, "must be greater than 0")
    if transitions is not None and transitions < 0:
        yield invalid_value("spec.leaseTransitions", transitions, "must be greater than or equal to 0")
    if spec.get("preferredHolder") and not spec.get("strategy"):
        yield forbidden_field("spec.preferredHolder", "may only be specified if `strategy` is defined")


# -- events --------------------------------------------------------------------------------------------------------


def judge_event(write: Write) -> Iterator[Fault]:
    """What an event may not be: the rules for those without ``eventTime`` are looser."""
    new = write.new or {}
    namespace = new["metadata"].get("namespace") or ""
    about = (new.get("involvedObject") or {}).get("namespace") or ""
    strict = bool(new.get("eventTime"))
    allowed = {about} if about and not strict else {"default", "kube-system"} if strict else {"", "default"}
    if namespace not in allowed and not (about and strict):
        yield invalid_value("involvedObject.namespace", about, "does not match event.namespace")
    if not strict:
        return
    for name, limit in (("reportingComponent", 0), ("reportingInstance", 128), ("action", 128), ("reason", 128)):
        text = new.get(name) or ""
        if not text:
            yield required(name)
        if limit and len(text) > limit:
            yield invalid_value(name, "", f"can have at most {limit} characters")
    for text in names.label_key(new.get("reportingComponent") or ""):
        yield invalid_value("reportingComponent", new.get("reportingComponent") or "", text)
    if len(new.get("message") or "") > 1024:
        yield invalid_value("message", "", "can have at most 1024 characters")


# -- service accounts and namespaces -------------------------------------------------------------------------------


def clean_secrets(write: Write) -> None:
    """A service account names its secrets, and nothing else about them."""
    if write.new is not None and write.new.get("secrets"):
        write.new["secrets"] = [{"name": secret["name"]} for secret in write.new["secrets"] if secret.get("name")]


_NAMESPACE_FINALIZER: Final = "kubernetes"
_IMMORTAL: Final = ("default", "kube-public", "kube-system")


def label_namespace(document: Document) -> None:
    """A namespace carries its name as a label; its conditions have a time, if an empty one."""
    metadata = document["metadata"]
    if metadata.get("name"):
        labels = metadata.get("labels") or {}
        metadata["labels"] = {**labels, "kubernetes.io/metadata.name": metadata["name"]}
    status = document.get("status") or {}
    if status.get("conditions"):
        conditions = [{"lastTransitionTime": None, **condition} for condition in status["conditions"]]
        document["status"] = {**status, "conditions": conditions}


def begin_namespace(write: Write) -> None:
    """A new namespace is active, and has to be emptied before it goes."""
    if write.old is None and write.new is not None:
        finalizers = (write.new.get("spec") or {}).get("finalizers") or []
        if _NAMESPACE_FINALIZER not in finalizers:
            finalizers = [*finalizers, _NAMESPACE_FINALIZER]
        write.new["spec"] = {"finalizers": finalizers}
        write.new["status"] = {"phase": "Active"}
        label_namespace(write.new)
    elif write.old is not None and write.new is not None and not write.subresource:
        write.new["spec"] = write.old.get("spec") or {}


def judge_namespace(write: Write) -> Iterator[Fault]:
    """A namespace is said to end when it does."""
    assert write.new is not None
    phase = (write.new.get("status") or {}).get("phase")
    if write.subresource == "status" and bool(write.new["metadata"].get("deletionTimestamp")) is (phase == "Active"):
        wanted, how = ("Terminating", "not empty") if phase == "Active" else ("Active", "empty")
        yield invalid_value("status.Phase", phase, f"may only be '{wanted}' if `deletionTimestamp` is {how}")


def protect_namespace(write: Write) -> None:
    """Some namespaces are there for ever."""
    name = write.object["metadata"]["name"]
    if name in _IMMORTAL:
        raise forbidden(write.kind.group_resource, name, "this namespace may not be deleted")


def mark_namespace(document: Document, time: str) -> None:
    """The first deletion ends a namespace's life as others see it."""
    document["status"] = {**(document.get("status") or {}), "phase": "Terminating"}


def namespace_remains(document: Document) -> bool:
    """Whether it still has to be emptied."""
    return bool((document.get("spec") or {}).get("finalizers"))
