"""The kinds that every server has.

Metadata, scope, subresources and merge rules are the real ones; what ``rules.py`` has of their checks and defaults too.
Bodies of pods are taken as they come. Pure.
"""

from typing import Final

from reconcile.kube import kinds as known
from reconcile.kube.objects import Object
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import names, rules, times
from reconcile.testing.apiserver.crds import CRD_KIND
from reconcile.testing.apiserver.schema import OBJECT_META, TYPE_META, UNTYPED, Items, Schema, open_item, open_schema
from reconcile.testing.apiserver.strategy import Hooks, Kind, Strategy

_WITH_METADATA: Final = {"status": ("status", "metadata")}
"""A status subresource of a built-in kind: labels and the like may change through it."""

_TEXT = Schema("string")
_NUMBER = Schema("integer", rules={"format": "int32"})
_TIME = Schema("string", rules={"format": times.TIME})
_MICRO_TIME = Schema("string", rules={"format": times.MICRO_TIME})
_FLAG = Schema("boolean")
_TEXT_MAP = Schema("object", rest=_TEXT, lists_rest=True)
_BYTES_MAP = Schema("object", rest=Schema("string", rules={"format": "byte"}), lists_rest=True)
_ATOMIC_LIST = Schema("array", items=UNTYPED)
_REFERENCE = Schema("object", rest=_TEXT, lists_rest=True, atomic=True)
_CONDITIONS = Schema(
    "array", items=open_item(), relation=Items.MAP, keys=("type",), patch_merges=True, patch_key="type"
)


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
        mark=rules.mark_namespace,
        remains=rules.namespace_remains,
        strategic=True,
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    ),
    Hooks(
        default=rules.label_namespace,
        allocate=rules.begin_namespace,
        before_delete=rules.protect_namespace,
    ),
    short_names=("ns",),
    blank={"spec": {}, "status": {}},
    custom=False,
)
_CONFIG_MAP: Final = Kind(
    known.CONFIG_MAP,
    _kind(data=_TEXT_MAP, binaryData=_BYTES_MAP, immutable=_FLAG),
    Strategy(strategic=True),
    Hooks(validate=rules.judge_config_map),
    short_names=("cm",),
    custom=False,
)


_SECRET: Final = Kind(
    known.SECRET,
    _kind(data=_BYTES_MAP, stringData=_TEXT_MAP, type=_TEXT, immutable=_FLAG),
    Strategy(fields={"type": ("type",)}, strategic=True),
    Hooks(default=rules.encode_string_data, validate=rules.judge_secret),
    custom=False,
)
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT: Final = Kind(
    known.EVENT,
    _kind(
        **dict.fromkeys(("action", "message", "reason", "reportingComponent", "reportingInstance", "type"), _TEXT),
        **dict.fromkeys(("firstTimestamp", "lastTimestamp"), _TIME),
        eventTime=_MICRO_TIME,
        **dict.fromkeys(("involvedObject", "related"), _REFERENCE),
        count=_NUMBER,
        series=_struct(count=_NUMBER, lastObservedTime=_MICRO_TIME),
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
    Hooks(validate=rules.judge_event),
    short_names=("ev",),
    blank={"eventTime": None, "involvedObject": {}, "reportingComponent": "", "reportingInstance": "", "source": {}},
    custom=False,
)
_LEASE: Final = Kind(
    known.LEASE,
    _kind(
        spec=_struct(
            **dict.fromkeys(("holderIdentity", "preferredHolder", "strategy"), _TEXT),
            **dict.fromkeys(("acquireTime", "renewTime"), _MICRO_TIME),
            **dict.fromkeys(("leaseDurationSeconds", "leaseTransitions"), _NUMBER),
        )
    ),
    Strategy(create_on_update=True, unconditional_update=False, strategic=True),
    Hooks(validate=rules.judge_lease),
    blank={"spec": {}},
    custom=False,
)
_SERVICE_ACCOUNT: Final = Kind(
    known.SERVICE_ACCOUNT,
    _kind(
        automountServiceAccountToken=_FLAG,
        imagePullSecrets=_ATOMIC_LIST,
        secrets=Schema(
            "array", items=_REFERENCE, relation=Items.MAP, keys=("name",), patch_merges=True, patch_key="name"
        ),
    ),
    Strategy(strategic=True, returns_deleted=True),
    Hooks(allocate=rules.clean_secrets),
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


def _review(resource: Resource[Object], **spec: Schema) -> Kind:
    schema = _kind(spec=_struct(**spec), status=open_item())
    return Kind(resource, schema, Strategy(verbs=("create",)), blank={"spec": {}}, custom=False)


_RESOURCE_ATTRIBUTES: Final = _struct(
    **dict.fromkeys(("namespace", "verb", "group", "version", "resource", "subresource", "name"), _TEXT),
    **dict.fromkeys(("fieldSelector", "labelSelector"), open_item()),
)


BUILT_IN: Final = (
    NAMESPACE,
    _CONFIG_MAP,
    _SECRET,
    _EVENT,
    _LEASE,
    _SERVICE_ACCOUNT,
    _POD,
    CRD_KIND,
    _review(
        known.SELF_SUBJECT_ACCESS_REVIEW,
        resourceAttributes=_RESOURCE_ATTRIBUTES,
        nonResourceAttributes=_struct(path=_TEXT, verb=_TEXT),
    ),
    _review(known.SELF_SUBJECT_RULES_REVIEW, namespace=_TEXT),
)
