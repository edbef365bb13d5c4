"""The proof that an apply changes nothing agrees with a real API server, which is asked by dry runs."""

import copy
import http.client
import json
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reconcile.kube import kinds, request
from reconcile.kube.fieldset import covers
from reconcile.kube.objects import ObjectKey
from reconcile.kube.patch import MergePatch
from reconcile.kube.request import HttpRequest
from reconcile.kube.resource import Resource
from reconcile.testing.envtest import ControlPlane

pytestmark = [pytest.mark.real, pytest.mark.pain(15)]

NAMESPACE = "proof"
THING = Resource.untyped("proof.example.io/v1", "Thing", "things")
ANY = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
TEXT = {"type": "string"}
ITEM = {
    "type": "object",
    "required": ["key"],
    "properties": {"key": TEXT, "protocol": {**TEXT, "default": "TCP"}, "value": {"type": "integer"}, "rest": ANY},
}
SPEC = {
    "text": TEXT,
    "flag": {"type": "boolean"},
    "number": {"type": "number"},
    "empty": {"type": "object", "properties": {"x": TEXT}},
    "defaulted": {"type": "object", "properties": {"x": {"type": "integer"}, "y": {**TEXT, "default": "why"}}},
    "set": {"type": "array", "x-kubernetes-list-type": "set", "items": TEXT},
    "items": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["key", "protocol"],
        "items": ITEM,
    },
    "reference": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"name": TEXT, "kind": TEXT}},
    "plain": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    "named": {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": ANY}},
    "unknown": ANY,
}

CASES: list[tuple[Resource[Any], dict[str, Any]]] = [
    (
        kinds.CONFIG_MAP,
        {"metadata": {"labels": {"a.b/c": "x"}, "annotations": {"n": "1"}}, "data": {"k": "v", "k.2": "w"}},
    ),
    (
        kinds.CONFIG_MAP,
        {
            "metadata": {
                "finalizers": ["a.io/b", "c.io/d"],
                "ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": NAMESPACE, "uid": "?"}],
            }
        },
    ),
    (
        kinds.SERVICE,
        {"spec": {"selector": {"a": "b"}, "ports": [{"name": "h", "port": 80}, {"name": "i", "port": 443}]}},
    ),
    (
        kinds.DEPLOYMENT,
        {
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {
                        "volumes": [{"name": "v", "emptyDir": {}}],
                        "nodeSelector": {"x": "y"},
                        "tolerations": [{"key": "k", "operator": "Exists"}],
                        "containers": [
                            {
                                "name": "c",
                                "image": "i",
                                "args": ["1", "2"],
                                "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "2"}],
                                "ports": [{"containerPort": 80}],
                                "resources": {"limits": {"cpu": "100m", "memory": "1Gi"}},
                                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                            },
                            {"name": "b", "image": "i"},
                        ],
                    },
                },
            }
        },
    ),
    (
        THING,
        {
            "spec": {
                "text": "t",
                "flag": False,
                "number": 1.5,
                "empty": {},
                "defaulted": {"x": 1},
                "set": ["b", "a"],
                "items": [{"key": "x", "value": 1}, {"key": "w", "rest": {"l": [1, {"b": 2}]}}],
                "reference": {"name": "q", "kind": "K"},
                "plain": [{"a": 1}, {"a": 2}],
                "named": {"x": {"y": {}}},
                "unknown": {"p": {"q": [1]}, "r": 1},
            }
        },
    ),
]


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": SPEC}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": THING.name},
        "spec": {
            "group": THING.group,
            "scope": "Namespaced",
            "names": {"plural": THING.plural, "kind": THING.kind},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    send(control_plane, request.create(kinds.CRD, definition))
    send(control_plane, request.create(kinds.NAMESPACE, {"metadata": {"name": NAMESPACE}}))
    give_up = time.monotonic() + 30
    while send(control_plane, request.list_(THING)).get("kind") != "ThingList" and time.monotonic() < give_up:
        time.sleep(0.1)
    return control_plane


def send(plane: ControlPlane, what: HttpRequest) -> dict[str, Any]:
    """The parsed answer, a Status if it was refused."""
    context = ssl.create_default_context(cadata=plane.ca.pair.certificate)
    host, _, port = plane.url.rpartition("//")[2].partition(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
    try:
        headers = {**what.headers, "authorization": f"Bearer {plane.token}"}
        connection.request(what.method, what.target, what.body, headers)
        answer = connection.getresponse()
        body = answer.read()
        if "json" not in answer.headers.get_content_type():  # nobody serves that path, yet
            return {"kind": "Status", "message": body.decode()}
        document: dict[str, Any] = json.loads(body)
        return document
    finally:
        connection.close()


def fields_of(live: dict[str, Any]) -> dict[str, Any]:
    """What we applied last, as the server keeps it."""
    entries = live["metadata"]["managedFields"]
    return next((entry["fieldsV1"] for entry in entries if entry["manager"] == "proof"), {})


def without_times(live: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(live)
    for entry in found["metadata"]["managedFields"]:
        entry.pop("time", None)
    return found


def without_one(value: Any) -> Iterator[Any]:
    """Every copy that lacks one thing."""
    if isinstance(value, dict):
        for key, item in value.items():
            rest = {other: value[other] for other in value if other != key}
            yield rest
            yield from ({**rest, key: less} for less in without_one(item))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield value[:place] + value[place + 1 :]
            yield from ([*value[:place], less, *value[place + 1 :]] for less in without_one(item))


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_proof_is_given_only_where_the_server_changes_nothing(plane: ControlPlane, number: int) -> None:
    resource, content = copy.deepcopy(CASES[number])
    for owner in content.get("metadata", {}).get("ownerReferences", ()):  # a live one, or the object is collected
        owner["uid"] = send(plane, request.get(kinds.NAMESPACE, ObjectKey("", NAMESPACE)))["metadata"]["uid"]
    key = ObjectKey(NAMESPACE, f"proof-{number}")
    body = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        **content,
        "metadata": {"name": key.name, **content.get("metadata", {})},
    }
    stored = send(plane, request.apply(resource, key, body, field_manager="proof"))
    assert stored["kind"] == resource.kind, stored
    assert covers(fields_of(stored), body, stored)
    theirs = MergePatch({"metadata": {"labels": {"of": "others"}}})
    stored = send(plane, request.patch(resource, key, theirs, field_manager="others"))
    assert covers(fields_of(stored), body, stored)
    tried = 0
    for less in without_one(content):
        fewer = {**body, **less, "metadata": {"name": key.name, **less.get("metadata", {})}}
        answer = send(plane, request.apply(resource, key, fewer, field_manager="proof", dry_run=True))
        if answer["kind"] == resource.kind:  # not refused
            tried += 1
            changes = without_times(answer) != without_times(stored)
            assert not (changes and covers(fields_of(stored), fewer, stored)), fewer
    assert tried


def of_pod(**fields: Any) -> dict[str, Any]:
    """A Deployment with that in its pods."""
    pod = {"containers": [{"name": "c", "image": "i"}], **fields}
    template = {"metadata": {"labels": {"a": "b"}, "annotations": {}}, "spec": pod}
    return {"spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}}


EMPTY: list[tuple[Resource[Any], dict[str, Any], dict[str, Any]]] = [
    (kinds.CONFIG_MAP, {"data": {}}, {"data": {"k": "v"}}),
    (kinds.CONFIG_MAP, {"binaryData": {}, "data": {"k": "v"}}, {"binaryData": {"b": "MQ=="}}),
    (kinds.CONFIG_MAP, {"metadata": {"labels": {}, "annotations": {}}}, {"metadata": {"labels": {"l": "1"}}}),
    (
        kinds.CONFIG_MAP,
        {"metadata": {"finalizers": [], "ownerReferences": []}, "data": {"k": "v"}},
        {"metadata": {"finalizers": ["a.io/b"]}},
    ),
    (
        kinds.DEPLOYMENT,
        of_pod(nodeSelector={}, tolerations=[], securityContext={}),
        {"spec": {"template": {"spec": {"nodeSelector": {"n": "1"}}}}},
    ),
    (kinds.SERVICE, {"spec": {"selector": {}, "ports": [{"port": 80}]}}, {"spec": {"selector": {"s": "1"}}}),
    (THING, {"metadata": {"labels": {}}, "spec": {"text": "t"}}, {"metadata": {"labels": {"l": "1"}}}),
    (THING, {"metadata": {"finalizers": []}, "spec": {"text": "t"}}, {"metadata": {"finalizers": ["a.io/b"]}}),
    (THING, {"spec": {}}, {"spec": {"text": "t"}}),
    *(
        (THING, {"spec": {"text": "t", name: empty}}, {"spec": {name: filled}})
        for name, empty, filled in (
            ("named", {}, {"x": {}}),
            ("unknown", {}, {"p": 1}),
            ("empty", {}, {"x": "y"}),
            ("reference", {}, {"name": "q"}),
            ("plain", [], [{"a": 1}]),
        )
    ),
]


def emptied(value: Any) -> Any:
    """A merge patch that takes away what ``value`` put there."""
    return {key: emptied(item) if isinstance(item, dict) else None for key, item in value.items()}


@pytest.mark.parametrize("number", range(len(EMPTY)))
def test_what_is_empty_is_proven_until_others_fill_it_or_take_it_away(plane: ControlPlane, number: int) -> None:
    resource, content, theirs = EMPTY[number]
    key = ObjectKey(NAMESPACE, f"empty-{number}")
    head = {"name": key.name, **content.get("metadata", {})}
    body = {"apiVersion": resource.api_version, "kind": resource.kind, **content, "metadata": head}
    again = request.apply(resource, key, body, field_manager="proof", dry_run=True)
    stored = send(plane, request.apply(resource, key, body, field_manager="proof"))
    assert stored["kind"] == resource.kind, stored
    assert covers(fields_of(stored), body, stored)
    assert without_times(send(plane, again)) == without_times(stored)
    away = {part: dict.fromkeys(theirs[part]) for part in theirs}
    for patch in ({"metadata": {"annotations": {"of": "others"}}}, theirs, emptied(theirs), away):
        answer = send(plane, request.patch(resource, key, MergePatch(patch), field_manager="others"))
        stored = answer if answer["kind"] == resource.kind else stored  # a pod template cannot be taken away
        if covers(fields_of(stored), body, stored):
            assert without_times(send(plane, again)) == without_times(stored)
