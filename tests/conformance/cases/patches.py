"""Patches: merge, JSON and strategic merge, and what a body has to be for each."""

from typing import Any, Final

from tests.conformance.definitions import THING_LIST
from tests.conformance.steps import (
    ACCOUNTS,
    DEPLOYMENTS,
    MAPS,
    PODS,
    SERVICES,
    Case,
    Step,
    case,
    json_patch,
    merge,
    post,
    send,
    strategic,
)
from tests.testing.callers import a_map, a_thing

A: Final = f"{MAPS}/a"
THING: Final = f"{THING_LIST}/a"


def _thing(name: str, *steps: Step, **spec: Any) -> Case:
    spec = spec or {"text": "x", "labels": {"j": "1", "k": "2"}, "list": ["a", "b", "c"], "free": {"u": {"v": [1, 2]}}}
    return case("patches", name, post(THING_LIST, a_thing("a", spec), pick="spec"), *steps)


def _map(name: str, *steps: Step) -> Case:
    return case("patches", name, post(MAPS, a_map("a", {"x": "1", "y": "2"}), pick="data"), *steps)


CASES = [
    _thing("merge: a value", merge(THING, {"spec": {"text": "y"}})),
    _thing("merge: null takes away", merge(THING, {"spec": {"text": None, "labels": {"j": None}}})),
    _thing("merge: null of what is not there", merge(THING, {"spec": {"leaf": {"a": None}}})),
    _thing("merge: a list is replaced", merge(THING, {"spec": {"list": ["z"]}})),
    _thing("merge: deep in what is free", merge(THING, {"spec": {"free": {"u": {"w": 1}, "n": {"m": None}}}})),
    _thing("merge: a default comes back", merge(THING, {"spec": {"count": None}})),
    _thing("merge: the whole spec", merge(THING, {"spec": None})),
    _thing("merge: a map becomes a value", merge(THING, {"spec": {"free": {"u": "text"}}})),
    _thing("merge: what no schema has", merge(THING, {"spec": {"none": 1}})),
    _thing("merge: a wrong type", merge(THING, {"spec": {"text": 1}})),
    _thing(
        "merge: no map at all",
        merge(THING, []),
        merge(THING, "x"),
        merge(THING, 1),
        send("PATCH", THING, "null", media="application/merge-patch+json"),
    ),
    _thing(
        "merge: no JSON",
        send("PATCH", THING, "{", media="application/merge-patch+json"),
        send("PATCH", THING, "", media="application/merge-patch+json"),
    ),
    _map("merge: a built-in kind", merge(A, {"data": {"x": None, "z": "3"}})),
    _map("merge: a wrong type in a built-in kind", merge(A, {"data": {"x": 1}}), merge(A, {"data": []})),
    _map(
        "merge: no map for a built-in kind",
        merge(A, []),
        merge(A, "x"),
        send("PATCH", A, "{", media="application/merge-patch+json"),
    ),
    _map(
        "merge: another kind",
        merge(A, {"kind": "Secret", "data": None}),
        merge(A, {"kind": "Nothing"}),
        merge(A, {"apiVersion": "v2"}),
        strategic(A, {"kind": "Secret"}),
        strategic(A, {"apiVersion": "v2"}),
        json_patch(A, [{"op": "replace", "path": "/kind", "value": "Nothing"}]),
    ),
    _thing(
        "merge: another custom kind",
        merge(THING, {"kind": "Secret"}),
        merge(THING, {"apiVersion": "shop.example.com/v2"}),
    ),
    _thing("json: add", json_patch(THING, [{"op": "add", "path": "/spec/labels/l", "value": "3"}])),
    _thing("json: add to the end of a list", json_patch(THING, [{"op": "add", "path": "/spec/list/-", "value": "z"}])),
    _thing("json: add into a list", json_patch(THING, [{"op": "add", "path": "/spec/list/1", "value": "z"}])),
    _thing("json: add behind a list", json_patch(THING, [{"op": "add", "path": "/spec/list/9", "value": "z"}])),
    _thing(
        "json: add below what is not there", json_patch(THING, [{"op": "add", "path": "/spec/leaf/a", "value": "z"}])
    ),
    _thing(
        "json: remove",
        json_patch(THING, [{"op": "remove", "path": "/spec/list/0"}, {"op": "remove", "path": "/spec/text"}]),
    ),
    _thing("json: remove what is not there", json_patch(THING, [{"op": "remove", "path": "/spec/leaf"}])),
    _thing("json: replace", json_patch(THING, [{"op": "replace", "path": "/spec/text", "value": "z"}])),
    _thing(
        "json: replace what is not there", json_patch(THING, [{"op": "replace", "path": "/spec/leaf", "value": {}}])
    ),
    _thing("json: move", json_patch(THING, [{"op": "move", "from": "/spec/labels/j", "path": "/spec/labels/z"}])),
    _thing("json: copy", json_patch(THING, [{"op": "copy", "from": "/spec/text", "path": "/spec/labels/z"}])),
    _thing(
        "json: a test that holds",
        json_patch(
            THING,
            [{"op": "test", "path": "/spec/text", "value": "x"}, {"op": "add", "path": "/spec/text", "value": "z"}],
        ),
    ),
    _thing("json: a test that does not hold", json_patch(THING, [{"op": "test", "path": "/spec/text", "value": "y"}])),
    _thing(
        "json: a test of what is not there",
        json_patch(THING, [{"op": "test", "path": "/spec/leaf", "value": "y"}]),
        json_patch(THING, [{"op": "test", "path": "/spec/leaf", "value": None}]),
    ),
    _thing(
        "json: all or nothing",
        json_patch(
            THING,
            [{"op": "add", "path": "/spec/text", "value": "z"}, {"op": "test", "path": "/spec/text", "value": "x"}],
        ),
    ),
    _thing("json: an unknown operation", json_patch(THING, [{"op": "swap", "path": "/spec/text"}])),
    _thing("json: an operation without a path", json_patch(THING, [{"op": "remove"}])),
    _thing("json: a path without a slash", json_patch(THING, [{"op": "remove", "path": "spec"}])),
    _thing(
        "json: escapes",
        json_patch(
            THING,
            [
                {"op": "add", "path": "/metadata/annotations", "value": {}},
                {"op": "add", "path": "/metadata/annotations/a.b~1c", "value": "x"},
            ],
        ),
    ),
    _thing("json: an index that is none", json_patch(THING, [{"op": "remove", "path": "/spec/list/x"}])),
    _thing(
        "json: not a list",
        json_patch(THING, {}),
        send("PATCH", THING, "[", media="application/json-patch+json"),
        json_patch(THING, [1]),
    ),
    _thing("json: nothing to do", json_patch(THING, [])),
    _map("json: a built-in kind", json_patch(A, [{"op": "replace", "path": "/data/x", "value": "3"}])),
    _map(
        "json: a refusal of a built-in kind",
        json_patch(A, [{"op": "test", "path": "/data/x", "value": "3"}]),
        json_patch(A, {}),
    ),
    _map("json: a wrong type in a built-in kind", json_patch(A, [{"op": "replace", "path": "/data/x", "value": 3}])),
    case(
        "patches",
        "json: too many operations",
        post(MAPS, a_map("a")),
        json_patch(A, [{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10001),
    ),
    _thing("strategic: custom objects refuse it", strategic(THING, {"spec": {"text": "y"}})),
    _thing(
        "a patch of no known type",
        send("PATCH", THING, {}, media="application/x"),
        send("PATCH", A, {}, media="application/x"),
        send("PATCH", A, {}, media="application/json"),
    ),
    _map("strategic: a map is merged", strategic(A, {"data": {"x": None, "z": "3"}})),
    _map("strategic: a map is replaced", strategic(A, {"data": {"$patch": "replace", "z": "3"}})),
    _map("strategic: a map is deleted", strategic(A, {"data": {"$patch": "delete"}})),
    _map("strategic: an unknown directive", strategic(A, {"data": {"$patch": "x"}})),
    _map("strategic: keys that are kept", strategic(A, {"data": {"$retainKeys": ["x"], "x": "3"}})),
    _map("strategic: keys that are kept and not set", strategic(A, {"data": {"$retainKeys": ["x"], "z": "3"}})),
    _map("strategic: no map", strategic(A, []), strategic(A, "x")),
    _map("strategic: a wrong type", strategic(A, {"data": {"x": 1}}), strategic(A, {"data": "x"})),
    _map("strategic: what no schema has", strategic(A, {"none": 1}), strategic(A, {"none": {"a": 1}})),
    case(
        "patches",
        "strategic: finalizers are merged",
        post(MAPS, a_map("a", finalizers=["a.b/1", "a.b/2"])),
        strategic(A, {"metadata": {"finalizers": ["a.b/3"]}}),
        strategic(A, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/1"]}}),
        strategic(
            A, {"metadata": {"finalizers": ["a.b/4"], "$setElementOrder/finalizers": ["a.b/4", "a.b/3", "a.b/2"]}}
        ),
        strategic(A, {"metadata": {"$setElementOrder/finalizers": ["a.b/2", "a.b/3"], "finalizers": ["a.b/5"]}}),
    ),
    case(
        "patches",
        "strategic: owners are merged by uid",
        post(MAPS, a_map("a", ownerReferences=[{"apiVersion": "a.b/v1", "kind": "Far", "name": "p", "uid": "u"}])),
        strategic(
            A, {"metadata": {"ownerReferences": [{"apiVersion": "a.b/v1", "kind": "Far", "name": "q", "uid": "w"}]}}
        ),
        strategic(A, {"metadata": {"ownerReferences": [{"uid": "u", "name": "r"}]}}),
        strategic(A, {"metadata": {"ownerReferences": [{"$patch": "delete", "uid": "u"}]}}),
        strategic(A, {"metadata": {"ownerReferences": [{"name": "no key"}]}}),
    ),
    case(
        "patches",
        "strategic: secrets of a service account are merged by name",
        post(ACCOUNTS, {"metadata": {"name": "a"}, "secrets": [{"name": "s"}, {"name": "t"}]}),
        strategic(f"{ACCOUNTS}/a", {"secrets": [{"name": "u"}]}),
        strategic(f"{ACCOUNTS}/a", {"secrets": [{"$patch": "delete", "name": "s"}]}),
        strategic(f"{ACCOUNTS}/a", {"secrets": [{"$patch": "replace"}, {"name": "z"}]}),
        strategic(f"{ACCOUNTS}/a", {"imagePullSecrets": [{"name": "i"}]}),
        strategic(f"{ACCOUNTS}/a", {"imagePullSecrets": [{"name": "j"}]}),
    ),
]
_POD: Final = {
    "metadata": {"name": "a", "labels": {"a": "b"}},
    "spec": {
        "containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i", "env": [{"name": "E", "value": "1"}]}],
        "tolerations": [{"key": "k", "operator": "Exists"}],
    },
}
CASES += [
    case(
        "patches",
        f"strategic of a pod: {what}",
        post(PODS, _POD, pick="kind"),
        strategic(
            f"{PODS}/a", body, pick="metadata.labels,metadata.managedFields,spec.containers,spec.tolerations,status"
        ),
    )
    for what, body in (
        ("an image", {"spec": {"containers": [{"name": "c", "image": "new"}]}}),
        ("a container that is not there", {"spec": {"containers": [{"name": "e", "image": "new"}]}}),
        ("labels", {"metadata": {"labels": {"a": None, "c": "d"}}}),
        ("tolerations are one list", {"spec": {"tolerations": [{"key": "z", "operator": "Exists"}]}}),
        (
            "an order",
            {
                "spec": {
                    "$setElementOrder/containers": [{"name": "d"}, {"name": "c"}],
                    "containers": [{"name": "c", "image": "new"}],
                }
            },
        ),
        ("a container without its key", {"spec": {"containers": [{"image": "new"}]}}),
        ("its status from the wrong door", {"status": {"phase": "Running"}}),
    )
]
CASES += [
    case(
        "patches",
        f"strategic of a pod's status: {what}",
        post(PODS, _POD, pick="kind"),
        *(strategic(f"{PODS}/a/status", body, pick="metadata.managedFields,status") for body in bodies),
    )
    for what, bodies in (
        ("a phase", [{"status": {"phase": "Running"}}]),
        (
            "conditions by their type",
            [
                {"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "X", "status": "True"}]}},
                {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
                {"status": {"conditions": [{"type": "X", "$patch": "delete"}]}},
            ],
        ),
    )
]
_SERVICE: Final = {
    "metadata": {"name": "a"},
    "spec": {
        "clusterIP": "None",
        "selector": {"a": "b"},
        "ports": [{"name": "h", "port": 80}, {"name": "i", "port": 81}],
    },
}
CASES += [
    case("patches", f"of a service's ports: {what}", post(SERVICES, _SERVICE, pick="spec.ports"), step)
    for what, step in (
        (
            "strategic merges by port",
            strategic(f"{SERVICES}/a", {"spec": {"ports": [{"port": 80, "name": "new"}]}}, pick="spec.ports"),
        ),
        (
            "strategic deletes by port",
            strategic(f"{SERVICES}/a", {"spec": {"ports": [{"port": 80, "$patch": "delete"}]}}, pick="spec.ports"),
        ),
        ("merge replaces", merge(f"{SERVICES}/a", {"spec": {"ports": [{"port": 82}]}}, pick="spec.ports")),
        (
            "json removes the second",
            json_patch(f"{SERVICES}/a", [{"op": "remove", "path": "/spec/ports/1"}], pick="spec.ports"),
        ),
    )
]
_DEPLOYMENT: Final[dict[str, Any]] = {
    "metadata": {"name": "a"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "containers": [
                    {"name": "c", "image": "i", "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "2"}]}
                ]
            },
        },
    },
}
CASES += [
    case(
        "patches",
        f"strategic of a deployment: {what}",
        post(DEPLOYMENTS, _DEPLOYMENT, pick="kind"),
        strategic(f"{DEPLOYMENTS}/a", body, pick="metadata.generation,metadata.managedFields,spec"),
    )
    for what, body in (
        ("an image", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "new"}]}}}}),
        (
            "a variable",
            {"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "F", "value": "3"}]}]}}}},
        ),
        (
            "a variable goes",
            {
                "spec": {
                    "template": {"spec": {"containers": [{"name": "c", "env": [{"name": "E", "$patch": "delete"}]}]}}
                }
            },
        ),
        ("another strategy", {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        ("volumes and their keys", {"spec": {"template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}}}),
    )
]
CASES += [
    case(
        "patches",
        f"strategic of a deployment: {type(value).__name__} {value} as {field}",
        post(DEPLOYMENTS, _DEPLOYMENT, pick="kind"),
        strategic(f"{DEPLOYMENTS}/a", {"spec": {field: value}}, pick="spec.replicas"),
        strategic(f"{DEPLOYMENTS}/a", {"spec": {"template": {"spec": {of_pod: value}}}}, pick="spec.replicas"),
    )
    for field, of_pod, values in (
        ("paused", "hostNetwork", ("x", 1, 1.5)),
        ("replicas", "terminationGracePeriodSeconds", ("x", True, 2.5, 2.0)),
        ("nothing", "nodeName", (1, 2.0, 1.5, False)),
    )
    for value in values
]
_PORT: Final = {"image": "i", "ports": [{"containerPort": 80}]}
CASES += [
    case(
        "patches",
        "a deployment whose template deserves a warning",
        post(
            DEPLOYMENTS,
            {
                **_DEPLOYMENT,
                "spec": {
                    **_DEPLOYMENT["spec"],
                    "template": {
                        "metadata": {"labels": {"a": "b"}},
                        "spec": {"containers": [{"name": "c", **_PORT}, {"name": "d", **_PORT}]},
                    },
                },
            },
            pick="kind",
        ),
    ),
]
