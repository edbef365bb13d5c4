"""Server-side apply: who owns what, who is in whose way, and what goes when nobody wants it any more."""

import json
from typing import Any, Final

from tests.conformance.definitions import CHECK_LIST, THING_LIST
from tests.conformance.steps import (
    APPLY,
    DEPLOYMENTS,
    MAPS,
    NAMESPACES,
    PODS,
    SERVICES,
    Case,
    Live,
    Step,
    apply,
    case,
    delete,
    get,
    json_patch,
    merge,
    post,
    put,
    send,
)
from tests.testing.callers import a_check, a_map, a_thing

A: Final = f"{MAPS}/a"
THING: Final = f"{THING_LIST}/a"
STATUS: Final = f"{THING}/status"


def _of(name: str, *steps: Step) -> Case:
    return case("apply", name, *steps)


def mine(spec: Any, manager: str = "me", **query: Any) -> Step:
    """Somebody applies the whole of what he wants of a thing."""
    return apply(THING, a_thing("a", spec), manager, **query)


def _map(data: dict[str, str] | None, manager: str = "me", **query: Any) -> Step:
    return apply(A, a_map("a", data), manager, **query)


CASES = [
    _of("it creates", _map({"x": "1"})),
    _of("it creates a custom object with its defaults", mine({"text": "x"})),
    _of("the same again changes nothing", mine({"text": "x"}), mine({"text": "x"})),
    _of("what is no longer wanted goes", mine({"text": "x", "leaf": {"a": "1"}}), mine({"leaf": {"a": "1"}})),
    _of("a default comes back when it is given up", mine({"count": 7}), mine({})),
    _of(
        "what two want stays until both give it up",
        mine({"text": "x"}),
        mine({"text": "x"}, "you"),
        mine({}),
        mine({}, "you"),
    ),
    _of("a conflict", mine({"text": "x"}), mine({"text": "y"}, "you")),
    _of(
        "a conflict that is forced", mine({"text": "x"}), mine({"text": "y"}, "you", force="true"), mine({"text": "x"})
    ),
    _of(
        "several conflicts with several",
        mine({"text": "x"}),
        mine({"leaf": {"a": "1"}}, "you"),
        mine({"text": "y", "leaf": {"a": "2"}}, "they"),
    ),
    _of("a conflict with an update", post(THING_LIST, a_thing("a", {"text": "x"})), mine({"text": "y"})),
    _of(
        "a conflict with a patch of the status",
        mine({"text": "x"}),
        merge(STATUS, {"status": {"phase": "x"}}),
        apply(STATUS, {**a_thing("a"), "status": {"phase": "y"}}, "you"),
    ),
    _of("the same value is no conflict", post(THING_LIST, a_thing("a", {"text": "x"})), mine({"text": "x"})),
    _of(
        "a field that is given away",
        mine({"text": "x"}),
        merge(THING, {"spec": {"text": "y"}}, fieldManager="you"),
        mine({"leaf": {"a": "1"}}),
        mine({"text": "z"}),
    ),
    _of(
        "an update takes over what it changes",
        mine({"text": "x", "leaf": {"a": "1"}}),
        put(THING, Live(0, {"spec": {"text": "y"}}), fieldManager="you"),
    ),
    _of(
        "an update that removes",
        mine({"text": "x", "leaf": {"a": "1"}}),
        merge(THING, {"spec": {"leaf": None}}, fieldManager="you"),
        mine({"text": "x", "leaf": {"a": "1"}}),
    ),
    _of(
        "an owner by apply and one by update are two",
        mine({"text": "x"}),
        merge(THING, {"spec": {"text": "y"}}, fieldManager="me"),
    ),
    _of("null is a value", mine({"text": None, "leaf": {"a": "1"}}), get(THING)),
    _of("null of what may be null", mine({"maybe": None})),
    _of("an empty map", mine({"leaf": {}}), mine({"leaf": {"a": "x"}}, "you"), mine({})),
    _of("an empty list", mine({"list": []}), mine({"set": []})),
    _of("nothing at all", apply(THING, a_thing("a"), "me"), apply(THING, a_thing("a"), "me")),
    _of(
        "a set grows by several",
        mine({"set": ["a", "b"]}),
        mine({"set": ["b", "c"]}, "you"),
        mine({"set": ["a"]}),
        mine({"set": ["c", "b"]}, "you"),
    ),
    _of("a set with one thing twice", mine({"set": ["a", "a"]})),
    _of("a set that an update has doubled", post(THING_LIST, a_thing("a", {"set": ["a", "a"]}))),
    _of(
        "a list is one value",
        mine({"list": ["a", "b"]}),
        mine({"list": ["a"]}, "you"),
        mine({"list": ["a"]}, "you", force="true"),
    ),
    _of(
        "an atomic map is one value",
        mine({"atom": {"a": "1"}}),
        mine({"atom": {"b": "1"}}, "you"),
        mine({"atom": {"b": "1"}}, "you", force="true"),
    ),
    _of(
        "items by their key",
        mine({"parts": [{"name": "x", "size": 1}]}),
        mine({"parts": [{"name": "y", "size": 2}]}, "you"),
        mine({"parts": [{"name": "x", "size": 3}]}, "you"),
        mine({"parts": []}),
    ),
    _of(
        "items keep their order",
        mine({"parts": [{"name": "x"}, {"name": "y"}, {"name": "z"}]}),
        mine({"parts": [{"name": "z"}, {"name": "w"}, {"name": "x"}]}, "you"),
    ),
    _of(
        "fields of an item by several",
        mine({"parts": [{"name": "x", "size": 1}]}),
        mine({"parts": [{"name": "x", "leaf": {"a": "1"}}]}, "you"),
        mine({"parts": [{"name": "x"}]}),
        mine({}),
    ),
    _of("an item without its key", mine({"parts": [{"size": 1}]})),
    _of("an item twice", mine({"parts": [{"name": "x"}, {"name": "x"}]})),
    _of(
        "items by two keys, one of them a default",
        mine({"parts": [{"name": "x", "ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}]}]}),
        mine({"parts": [{"name": "x", "ports": [{"port": 80, "protocol": "TCP", "note": "n"}]}]}, "you"),
        mine({"parts": [{"name": "x", "ports": [{"port": 80, "protocol": "UDP"}]}]}),
    ),
    _of(
        "a conflict inside an item",
        mine({"parts": [{"name": "x", "ports": [{"port": 80, "note": "a"}]}]}),
        mine({"parts": [{"name": "x", "ports": [{"port": 80, "note": "b"}]}]}, "you"),
    ),
    _of(
        "a map of maps",
        mine({"leaves": {"j": {"a": "1"}}}),
        mine({"leaves": {"k": {"a": "1"}, "j": {"b": 1}}}, "you"),
        mine({}),
    ),
    _of(
        "labels of several",
        apply(THING, a_thing("a", labels={"x": "1"}), "me"),
        apply(THING, a_thing("a", labels={"y": "1"}), "you"),
        apply(THING, a_thing("a", labels={"x": "2"}), "you"),
        apply(THING, a_thing("a"), "me"),
    ),
    _of(
        "finalizers are a set",
        apply(THING, a_thing("a", finalizers=["a.b/c"]), "me"),
        apply(THING, a_thing("a", finalizers=["a.b/d"]), "you"),
        apply(THING, a_thing("a"), "me"),
    ),
    _of(
        "owners are a map by uid",
        apply(
            THING,
            a_thing("a", ownerReferences=[{"apiVersion": "a.b/v1", "kind": "Far", "name": "p", "uid": "u"}]),
            "me",
        ),
        apply(
            THING,
            a_thing("a", ownerReferences=[{"apiVersion": "a.b/v1", "kind": "Far", "name": "q", "uid": "w"}]),
            "you",
        ),
        apply(THING, a_thing("a"), "me"),
    ),
    _of(
        "what no schema has",
        mine({"none": 1}),
        mine({"none": 1}, fieldValidation="Strict"),
        mine({"none": 1}, fieldValidation="Ignore"),
    ),
    _of(
        "free fields are owned one by one",
        mine({"free": {"u": {"v": 1}, "w": [1, 2]}}),
        mine({"free": {"u": {"z": 1}}}, "you"),
        mine({"free": {"w": [1]}}),
    ),
    _of("a wrong type", mine({"text": 1}), mine("x"), mine({"parts": {"x": 1}}), mine({"labels": ["x"]})),
    _of("a value against its rules", apply(f"{CHECK_LIST}/a", a_check("a", {"small": 11}), "me")),
    _of("no manager", _map({"x": "1"}, "")),
    _of(
        "a manager with a bad name", _map({"x": "1"}, "a\tb"), _map({"x": "1"}, "a" * 129), _map({"x": "1"}, "a" * 128)
    ),
    _of(
        "the body brings managed fields",
        apply(A, a_map("a", managedFields=[]), "me"),
        apply(A, a_map("a", managedFields=[{}]), "me"),
        apply(A, a_map("a", managedFields=None), "me"),
    ),
    _of("the body has another name", apply(A, a_map("b"), "me")),
    _of("the body has no name", apply(A, {"apiVersion": "v1", "kind": "ConfigMap"}, "me")),
    _of("the body has another namespace", apply(A, a_map("a", namespace="elsewhere"), "me")),
    _of("the body has no kind", apply(A, {"metadata": {"name": "a"}}, "me"), apply(A, {"kind": "ConfigMap"}, "me")),
    _of(
        "the body has another kind",
        apply(A, {**a_map("a"), "kind": "Secret"}, "me"),
        apply(A, {**a_map("a"), "apiVersion": "v2"}, "me"),
    ),
    _of(
        "a custom body has another kind",
        apply(THING, {**a_thing("a"), "kind": "Other"}, "me"),
        apply(THING, {**a_thing("a"), "apiVersion": "shop.example.com/v9"}, "me"),
    ),
    _of(
        "the body is yaml",
        send(
            "PATCH",
            A,
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: '1'\n",
            media=APPLY,
            fieldManager="me",
        ),
    ),
    _of(
        "the body is no yaml",
        send("PATCH", A, "a: b: c", media=APPLY, fieldManager="me"),
        send("PATCH", A, "", media=APPLY, fieldManager="me"),
    ),
    _of(
        "the body is no map",
        send("PATCH", A, "[]", media=APPLY, fieldManager="me"),
        send("PATCH", A, "x", media=APPLY, fieldManager="me"),
    ),
    _of(
        "one field twice in yaml",
        send(
            "PATCH",
            A,
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: '1'\n  x: '2'\n",
            media=APPLY,
            fieldManager="me",
        ),
        send(
            "PATCH",
            A,
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: '1'\n  x: '2'\n",
            media=APPLY,
            fieldManager="me",
            fieldValidation="Strict",
        ),
    ),
    _of(
        "a version that is not the live one",
        _map({"x": "1"}),
        apply(A, a_map("a", {"x": "2"}, resourceVersion="1"), "me"),
        apply(A, a_map("a", {"x": "2"}, resourceVersion="${0.metadata.resourceVersion}"), "me"),
    ),
    _of("a version for what is not there", apply(A, a_map("a", {"x": "2"}, resourceVersion="1"), "me")),
    _of(
        "a uid that is not the live one",
        _map({"x": "1"}),
        apply(A, a_map("a", {"x": "2"}, uid="another"), "me"),
        apply(A, a_map("a", {"x": "2"}, uid="${0.metadata.uid}"), "me"),
    ),
    _of(
        "a uid for what is not there",
        apply(A, a_map("a", uid="another"), "me"),
        apply(THING, a_thing("a", uid="another"), "me"),
    ),
    _of(
        "a generated name", apply(A, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a"}}, "me")
    ),
    _of("a dry run creates nothing", _map({"x": "1"}, dryRun="All"), get(A)),
    _of("a dry run changes nothing", _map({"x": "1"}), _map({"x": "2"}, dryRun="All"), get(A)),
    _of("a dry run tells of conflicts", _map({"x": "1"}), _map({"x": "2"}, "you", dryRun="All")),
    _of(
        "an object that is going",
        apply(A, a_map("a", {"x": "1"}, finalizers=["a.b/c"]), "me"),
        delete(A),
        _map({"x": "2"}, "you", force="true"),
        apply(A, a_map("a"), "me"),
        get(A),
    ),
    _of(
        "the status has its own door and owners",
        mine({"text": "x"}),
        apply(STATUS, {**a_thing("a", {"text": "y"}), "status": {"phase": "x"}}, "me"),
        apply(STATUS, {**a_thing("a"), "status": {"seen": {"a": "1"}}}, "you"),
        apply(STATUS, a_thing("a"), "me"),
        apply(THING, {**a_thing("a", {"text": "x"}), "status": {"phase": "z"}}, "me"),
    ),
    _of("a status of what is not there", apply(STATUS, {**a_thing("a"), "status": {"phase": "x"}}, "me")),
    _of(
        "labels through the door of the status",
        mine({"text": "x"}),
        apply(STATUS, {**a_thing("a", labels={"x": "1"}), "status": {"phase": "x"}}, "me"),
    ),
    _of(
        "first others, then apply",
        post(THING_LIST, a_thing("a", {"text": "x", "leaf": {"a": "1"}}), fieldManager="kubectl-create"),
        mine({"leaf": {"a": "2"}}, "kubectl", force="true"),
        mine({}, "kubectl"),
    ),
    _of(
        "an object without managers",
        post(A.rpartition("/")[0], a_map("a", {"x": "1", "y": "1"})),
        merge(A, {"metadata": {"managedFields": [{}]}}),
        _map({"x": "1"}),
        _map({"x": "2"}),
        _map({"y": "2"}, "you"),
    ),
    _of(
        "managers that are forgotten",
        _map({"x": "1"}),
        merge(A, {"metadata": {"managedFields": []}}),
        merge(A, {"metadata": {"managedFields": None}}),
        json_patch(A, [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]),
    ),
    _of(
        "managers of a custom object that are forgotten",
        mine({"text": "x"}),
        merge(THING, {"metadata": {"managedFields": [{}]}}),
        mine({"text": "y"}),
    ),
    _of(
        "managers that a client brings",
        _map({"x": "1"}),
        put(
            A,
            Live(
                0,
                {
                    "metadata": {
                        "managedFields": [
                            {
                                "manager": "they",
                                "operation": "Apply",
                                "apiVersion": "v1",
                                "fieldsType": "FieldsV1",
                                "fieldsV1": {"f:data": {"f:x": {}}},
                            }
                        ]
                    }
                },
            ),
        ),
    ),
    *(
        _of(
            f"managers that cannot be read: {what}",
            _map({"x": "1"}),
            merge(A, {"metadata": {"managedFields": [entry]}}),
        )
        for what, entry in (
            (
                "another operation",
                {"manager": "m", "operation": "Other", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}},
            ),
            (
                "another type",
                {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV2", "fieldsV1": {}},
            ),
            ("no version", {"manager": "m", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {}}),
            (
                "no manager",
                {
                    "operation": "Apply",
                    "apiVersion": "v1",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:data": {"f:x": {}}},
                },
            ),
            (
                "a long name",
                {
                    "manager": "m" * 200,
                    "operation": "Apply",
                    "apiVersion": "v1",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:data": {"f:x": {}}},
                },
            ),
            (
                "a wrong path",
                {
                    "manager": "m",
                    "operation": "Apply",
                    "apiVersion": "v1",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"x:data": {}},
                },
            ),
        )
    ),
    _of(
        "a creation brings managers",
        post(
            MAPS,
            a_map(
                "a",
                managedFields=[
                    {
                        "manager": "m" * 200,
                        "operation": "Apply",
                        "apiVersion": "v1",
                        "fieldsType": "FieldsV1",
                        "fieldsV1": {},
                    }
                ],
            ),
        ),
        post(
            MAPS,
            a_map(
                "a",
                {"x": "1", "y": "1"},
                managedFields=[
                    {
                        "manager": "m",
                        "operation": "Apply",
                        "apiVersion": "v1",
                        "fieldsType": "FieldsV1",
                        "fieldsV1": {"f:data": {"f:x": {}}},
                    }
                ],
            ),
        ),
    ),
    _of(
        "more updaters than are kept",
        post(MAPS, a_map("a")),
        *(merge(A, {"data": {f"k{number}": "v"}}, fieldManager=f"m{number}", pick="kind") for number in range(12)),
        get(A, pick="metadata.managedFields"),
    ),
    _of(
        "a manager is named after the agent",
        post(MAPS, a_map("a"), headers={"user-agent": "some/thing 1.0"}),
        merge(A, {"data": {"x": "1"}}, headers={"user-agent": "kubectl"}),
        merge(A, {"data": {"y": "1"}}, headers={"user-agent": ""}),
    ),
    _of("force without apply", post(MAPS, a_map("a")), merge(A, {"data": {}}, force="true")),
    _of("apply is no create", send("POST", MAPS, a_map("a"), media=APPLY), send("PUT", A, a_map("a"), media=APPLY)),
    _of(
        "a namespace",
        apply(
            f"{NAMESPACES}/${{ns}}-b",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "${ns}-b", "labels": {"x": "y"}}},
            "me",
        ),
        delete(f"{NAMESPACES}/${{ns}}-b", pick="metadata.name"),
    ),
    _of("a namespace that is not there", apply("/api/v1/namespaces/nowhere/configmaps/a", a_map("a"), "me")),
]
_CONTAINER: Final = {"name": "c", "image": "i"}


def _pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": list(containers), **spec},
    }


CASES += [
    _of(
        "a pod",
        apply(f"{PODS}/a", _pod(_CONTAINER), "me", pick="metadata.managedFields,spec.containers"),
        apply(f"{PODS}/a", _pod({"name": "c", "image": "j"}), "you"),
        apply(f"{PODS}/a", _pod({"name": "c", "image": "j"}), "you", force="true", pick="metadata.managedFields"),
    ),
    _of(
        "the status of a pod by several",
        apply(f"{PODS}/a", _pod(_CONTAINER), "me", pick="kind"),
        *(
            apply(
                f"{PODS}/a/status",
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "a"},
                    "status": {"conditions": [{"type": kind, "status": "True"}]},
                },
                who,
                pick="status.conditions,metadata.managedFields",
            )
            for kind, who in (("Ready", "me"), ("Other", "you"))
        ),
    ),
    _of(
        "a service and its ports",
        *(
            apply(
                f"{SERVICES}/a",
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": "a"},
                    "spec": {"clusterIP": "None", "ports": ports},
                },
                who,
                pick="metadata.managedFields,spec.ports",
            )
            for ports, who in (
                ([{"port": 80, "name": "h"}], "me"),
                ([{"port": 81, "name": "i"}, {"port": 80, "protocol": "UDP", "name": "u"}], "you"),
                ([{"port": 82}], "me"),
            )
        ),
    ),
    _of(
        "a deployment and its scale",
        apply(
            DEPLOYMENTS + "/a",
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "a"},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": {"a": "b"}},
                    "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [_CONTAINER]}},
                },
            },
            "me",
            pick="metadata.managedFields",
        ),
        merge(f"{DEPLOYMENTS}/a/scale", {"spec": {"replicas": 3}}, fieldManager="scaler"),
        get(f"{DEPLOYMENTS}/a", pick="metadata.managedFields,spec.replicas"),
        apply(
            DEPLOYMENTS + "/a",
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "a"},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": {"a": "b"}},
                    "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [_CONTAINER]}},
                },
            },
            "me",
        ),
    ),
]
_LAST: Final = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL: Final = "kubectl-client-side-apply"


def _applied(data: dict[str, str]) -> Step:
    """A map as kubectl's client-side apply leaves it."""
    said = f'{{"apiVersion":"v1","data":{json.dumps(data)},"kind":"ConfigMap","metadata":{{"name":"a"}}}}\n'
    return post(MAPS, a_map("a", data, annotations={_LAST: said}), fieldManager=_KUBECTL)


CASES += [
    _of("after a client-side apply", _applied({"x": "1"}), _map({"x": "2"}, "kubectl"), _map({"x": "3"}, "kubectl")),
    _of("after a client-side apply, by somebody else", _applied({"x": "1"}), _map({"x": "2"}, "me")),
    _of(
        "after a client-side apply and a change",
        _applied({"x": "1", "y": "1"}),
        merge(A, {"data": {"x": "2"}}, fieldManager="other"),
        _map({"x": "3", "y": "3"}, "kubectl"),
        _map({"y": "3"}, "kubectl"),
    ),
    _of(
        "after a client-side apply of no JSON",
        post(MAPS, a_map("a", {"x": "1"}, annotations={_LAST: "x"}), fieldManager=_KUBECTL),
        _map({"x": "2"}, "kubectl"),
    ),
    _of(
        "after a client-side apply of a custom object",
        post(
            THING_LIST,
            a_thing(
                "a",
                {"text": "x"},
                annotations={_LAST: '{"apiVersion":"shop.example.com/v1","kind":"Thing","spec":{"text":"x"}}'},
            ),
        ),
        mine({"text": "y"}, "kubectl"),
    ),
]
