"""The kinds that every server has.

Metadata, scope, subresources and merge rules are the real ones; so are the rules of namespaces. Bodies of the other
kinds are taken as they come: their defaults and checks are not here. Pure.
"""

import base64
from typing import Final

from reconcile.kube import kinds as known
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import names
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.crds import CRD_KIND
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.schema import OBJECT_META, TYPE_META, UNTYPED, Items, Schema, open_item, open_schema
from reconcile.testing.apiserver.strategy import Hooks, Kind, Strategy

_WITH_METADATA: Final = {"status": ("status", "metadata")}
"""A status subresource of a built-in kind: labels and the like may change through it."""

_NAMESPACE_FINALIZER: Final = "kubernetes"


def _label_namespace(document: Document) -> None:
    metadata = document["metadata"]
    if metadata.get("name"):
        labels = metadata.get("labels") or {}
        metadata["labels"] = {**labels, "kubernetes.io/metadata.name": metadata["name"]}


def _new_namespace(write: Write) -> None:
    if write.old is None and write.new is not None:
        finalizers = (write.new.get("spec") or {}).get("finalizers") or []
        if _NAMESPACE_FINALIZER not in finalizers:
            finalizers = [*finalizers, _NAMESPACE_FINALIZER]
        write.new["spec"] = {"finalizers": finalizers}
        write.new["status"] = {"phase": "Active"}
        _label_namespace(write.new)


def _mark_namespace(document: Document, time: str) -> None:
    document["status"] = {**(document.get("status") or {}), "phase": "Terminating"}


def _namespace_remains(document: Document) -> bool:
    return bool((document.get("spec") or {}).get("finalizers"))


_TEXT = Schema("string")
_NUMBER = Schema("integer")
_FLAG = Schema("boolean")
_TEXT_MAP = Schema("object", rest=_TEXT, lists_rest=True)
_ATOMIC_LIST = Schema("array", items=UNTYPED)
_REFERENCE = Schema("object", rest=_TEXT, lists_rest=True, atomic=True)
_CONDITIONS = Schema("array", items=open_item(), relation=Items.MAP, keys=("type",))


def _struct(**fields: Schema) -> Schema:
    """A map with exactly these fields."""
    return Schema("object", fields=fields)


def _kind(**parts: Schema) -> Schema:
    """A kind with these parts besides its metadata."""
    return _struct(**parts, **TYPE_META, metadata=OBJECT_META)


NAMESPACE: Final = Kind(
    known.NAMESPACE,
    _kind(spec=_struct(finalizers=_ATOMIC_LIST), status=_struct(phase=_TEXT, conditions=_CONDITIONS)),
    Strategy(
        subresources={**_WITH_METADATA, "finalize": ("spec", "metadata")},
        main_keeps=("status", "spec"),
        name_rule=names.label,
        fields={"status.phase": ("status", "phase")},
        mark=_mark_namespace,
        remains=_namespace_remains,
        strategic=True,
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    ),
    Hooks(default=_label_namespace, allocate=_new_namespace),
    short_names=("ns",),
    blank={"spec": {}, "status": {}},
    custom=False,
)
_CONFIG_MAP: Final = Kind(
    known.CONFIG_MAP,
    _kind(data=_TEXT_MAP, binaryData=_TEXT_MAP, immutable=_FLAG),
    Strategy(strategic=True),
    short_names=("cm",),
    custom=False,
)


def _encode_string_data(document: Document) -> None:
    """Secrets take ``stringData`` and keep it, encoded, in ``data``."""
    texts = document.pop("stringData", None)
    if texts:
        added = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
        document["data"] = {**(document.get("data") or {}), **added}
    document.setdefault("type", "Opaque")


_SECRET: Final = Kind(
    known.SECRET,
    _kind(data=_TEXT_MAP, stringData=_TEXT_MAP, type=_TEXT, immutable=_FLAG),
    Strategy(fields={"type": ("type",)}, strategic=True),
    Hooks(default=_encode_string_data),
    custom=False,
)
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT: Final = Kind(
    known.EVENT,
    _kind(
        **dict.fromkeys(("action", "message", "reason", "reportingComponent", "reportingInstance", "type"), _TEXT),
        **dict.fromkeys(("eventTime", "firstTimestamp", "lastTimestamp"), _TEXT),
        **dict.fromkeys(("involvedObject", "related"), _REFERENCE),
        count=_NUMBER,
        series=_struct(count=_NUMBER, lastObservedTime=_TEXT),
        source=_struct(component=_TEXT, host=_TEXT),
    ),
    Strategy(
        fields={
            **{f"involvedObject.{name}": ("involvedObject", name) for name in _INVOLVED},
            "reason": ("reason",),
            "reportingComponent": ("reportingComponent",),
            "source": ("source", "component"),
            "type": ("type",),
        },
        create_on_update=True,
        strategic=True,
    ),
    short_names=("ev",),
    blank={"involvedObject": {}, "source": {}},
    custom=False,
)
_LEASE: Final = Kind(
    known.LEASE,
    _kind(
        spec=_struct(
            **dict.fromkeys(("acquireTime", "holderIdentity", "preferredHolder", "renewTime", "strategy"), _TEXT),
            **dict.fromkeys(("leaseDurationSeconds", "leaseTransitions"), _NUMBER),
        )
    ),
    Strategy(create_on_update=True, unconditional_update=False, strategic=True),
    blank={"spec": {}},
    custom=False,
)
_SERVICE_ACCOUNT: Final = Kind(
    known.SERVICE_ACCOUNT,
    _kind(
        automountServiceAccountToken=_FLAG,
        imagePullSecrets=_ATOMIC_LIST,
        secrets=Schema("array", items=_REFERENCE, relation=Items.MAP, keys=("name",)),
    ),
    Strategy(strategic=True, returns_deleted=True),
    short_names=("sa",),
    custom=False,
)
_CONTAINER_LISTS: Final = {
    "": ("name",),
    "[].env": ("name",),
    "[].ports": ("containerPort", "protocol"),
    "[].volumeMounts": ("mountPath",),
    "[].volumeDevices": ("devicePath",),
}
_POD: Final = Kind(
    known.POD,
    open_schema(
        lists={
            **{
                f"spec.{name}{below}": keys
                for name in ("containers", "initContainers", "ephemeralContainers")
                for below, keys in _CONTAINER_LISTS.items()
            },
            "spec.volumes": ("name",),
            "spec.imagePullSecrets": ("name",),
            "spec.hostAliases": ("ip",),
            "spec.topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
            "status.conditions": ("type",),
            "status.podIPs": ("ip",),
        },
        atomic=("spec.nodeSelector",),
    ),
    Strategy(
        subresources=_WITH_METADATA,
        main_keeps=("status",),
        generation=("spec",),
        fields={
            "spec.nodeName": ("spec", "nodeName"),
            "spec.restartPolicy": ("spec", "restartPolicy"),
            "spec.schedulerName": ("spec", "schedulerName"),
            "spec.serviceAccountName": ("spec", "serviceAccountName"),
            "spec.hostNetwork": ("spec", "hostNetwork"),
            "status.phase": ("status", "phase"),
            "status.podIP": ("status", "podIP"),
            "status.nominatedNodeName": ("status", "nominatedNodeName"),
        },
        returns_deleted=True,
        strategic=True,
    ),
    short_names=("po",),
    blank={"spec": {}, "status": {}},
    categories=("all",),
    custom=False,
)


def _review(resource: Resource[object]) -> Kind:
    return Kind(resource, strategy=Strategy(verbs=("create",)), custom=False)


BUILT_IN: Final = (
    NAMESPACE,
    _CONFIG_MAP,
    _SECRET,
    _EVENT,
    _LEASE,
    _SERVICE_ACCOUNT,
    _POD,
    CRD_KIND,
    _review(known.SELF_SUBJECT_ACCESS_REVIEW),  # type: ignore[arg-type]
    _review(known.SELF_SUBJECT_RULES_REVIEW),  # type: ignore[arg-type]
)
