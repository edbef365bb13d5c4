"""How objects of built-in kinds begin, and what each update does to them besides what it says.

Hooks for ``kinds.py``, for kinds without much of their own: what the real server's strategies and its admission plugins
write into a new object. Pure. Source: k8s.io/kubernetes, ``pkg/registry/*/*/strategy.go`` and ``plugin/pkg/admission``.
"""

from typing import Final

from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import walks
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.defaults import TEMPLATE_GENERATION
from reconcile.testing.apiserver.failure import Document

_IS_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_STORAGE_CLASSES: Final = Resource.untyped("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)


def claim(write: Write) -> None:
    """A claim is protected while it is in use, and takes the default class."""
    if write.old is None and write.new is not None:
        _protect(write.new, "kubernetes.io/pvc-protection")
        write.new["status"] = {"phase": "Pending"}
        if "storageClassName" not in write.new["spec"]:
            found = [
                one["metadata"]
                for one in write.world.list(_STORAGE_CLASSES)
                if (one["metadata"].get("annotations") or {}).get(_IS_DEFAULT_CLASS) == "true"
            ]
            if found:
                newest = max(found, key=lambda one: one["creationTimestamp"])
                write.new["spec"]["storageClassName"] = newest["name"]


def volume(write: Write) -> None:
    """A volume is protected while it is in use."""
    if write.old is None and write.new is not None:
        _protect(write.new, "kubernetes.io/pv-protection")
        time = write.new["metadata"]["creationTimestamp"]
        write.new["status"] = {"phase": "Pending", "lastPhaseTransitionTime": time}


def _protect(document: Document, finalizer: str) -> None:
    finalizers = document["metadata"].get("finalizers") or []
    if finalizer not in finalizers:
        document["metadata"]["finalizers"] = [*finalizers, finalizer]


def node(write: Write) -> None:
    """A node comes with a status of its own, and is not ready."""
    new, old = write.new, write.old
    if new is None or write.subresource:
        return
    if old is not None:
        new["status"] = old["status"]
        return
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    taints = new["spec"].get("taints", [])
    if not any(one.get("key") == taint["key"] and one.get("effect") == taint["effect"] for one in taints):
        new["spec"]["taints"] = [*taints, taint]


def deployment(write: Write) -> None:
    """Annotations reach replica sets: a change of them counts as one of the spec."""
    new, old = write.new, write.old
    if new is not None and old is not None and not write.subresource and walks.equal(new["spec"], old["spec"]):
        after, before = (one["metadata"].get("annotations") or {} for one in (new, old))
        if after != before:
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def daemon_set(write: Write) -> None:
    """The template has a generation of its own, which clients cannot write."""
    new, old = write.new, write.old
    if new is None or write.subresource:
        return
    number = 1
    if old is not None:
        number = int((old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "0"))
        number += not walks.equal(new["spec"]["template"], old["spec"]["template"])
    new["metadata"]["annotations"] = {**(new["metadata"].get("annotations") or {}), TEMPLATE_GENERATION: str(number)}


def job(write: Write) -> None:
    """A new job selects its pods by its uid, unless told to leave that to the user."""
    new, old = write.new, write.old
    if new is None or old is not None or new["spec"].get("manualSelector"):
        return
    uid, name = new["metadata"]["uid"], new["metadata"].get("name", "")
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    metadata = new["spec"]["template"]["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    selector = new["spec"].setdefault("selector", {})
    selector["matchLabels"] = {**selector.get("matchLabels", {}), "batch.kubernetes.io/controller-uid": uid}


_VERDICTS: Final = ("Approved", "Denied")


def signing_request(write: Write) -> None:
    """A request is what it was made as, by whom: later only its status changes, and its verdict by approval alone."""
    new, old = write.new, write.old
    if new is None:
        return
    if old is None:
        user = write.user
        asked = {
            name: value for name, value in new["spec"].items() if name not in ("username", "uid", "groups", "extra")
        }
        said = {
            "username": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {name: list(values) for name, values in user.extra.items()},
        }
        new["spec"] = {**asked, **{name: value for name, value in said.items() if value}}
        return
    new["spec"] = old["spec"]
    conditions = (new.get("status") or {}).get("conditions") or []
    before = (old.get("status") or {}).get("conditions") or []
    if write.subresource == "approval":
        new["status"] = {**(old.get("status") or {}), "conditions": conditions}
    elif write.subresource == "status":
        known = {one["type"]: one for one in before if one["type"] in _VERDICTS}
        conditions = [known.get(one["type"], one) for one in conditions]
    else:
        return
    if conditions:
        new["status"]["conditions"] = [_timed(one, before, write.time) for one in conditions]
    else:
        new["status"].pop("conditions", None)


def _timed(condition: Document, before: list[Document], time: str) -> Document:
    same = (one for one in before if (one["type"], one["status"]) == (condition["type"], condition.get("status")))
    since = condition.get("lastTransitionTime") or next((one.get("lastTransitionTime") for one in same), None) or time
    return {**condition, "lastUpdateTime": condition.get("lastUpdateTime") or time, "lastTransitionTime": since}
