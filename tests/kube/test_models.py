"""Generated classes as typed objects."""

import datetime as dt
import json
import subprocess
import sys
from typing import Any

import pytest
from kubernetes_asyncio.client import (
    V1ConfigMap,
    V1CustomResourceDefinition,
    V1ObjectMeta,
    V1Pod,
    V1PodSpec,
    V2HorizontalPodAutoscaler,
)

from reconcile.kube.kinds import POD
from reconcile.kube.models import resource_of
from reconcile.kube.objects import BadObject, ObjectKey, ObjectMeta
from reconcile.kube.resource import Resource

DOCUMENT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "blue",
        "namespace": "ns",
        "resourceVersion": "7",
        "labels": {"a": "b"},
        "creationTimestamp": "2026-01-01T12:00:00Z",
    },
    "spec": {
        "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "B"}], "ports": None}],
        "nodeSelector": {"x": "y"},
        "newField": {"from": "a newer server"},
    },
    "status": {"startTime": "2026-01-01T12:00:00Z", "podIP": "10.0.0.1"},
}
RAW = json.dumps(DOCUMENT).encode()


def test_a_document_becomes_its_class_all_the_way_down() -> None:
    pod = resource_of(V1Pod).codec.decode(RAW)
    assert type(pod) is V1Pod
    assert type(pod.spec) is V1PodSpec
    assert pod.spec.containers[0].env[0].value == "B"
    assert pod.spec.node_selector == {"x": "y"}
    assert pod.status.start_time == dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    assert pod.status.pod_ip == "10.0.0.1"


def test_metadata_is_ours_so_that_everything_else_of_ours_works() -> None:
    meta: Any = resource_of(V1Pod).codec.decode(RAW).metadata
    assert isinstance(meta, ObjectMeta)
    assert meta.key == ObjectKey("ns", "blue")
    assert meta.raw == RAW


def test_what_was_read_is_written_as_it_was() -> None:
    codec = resource_of(V1Pod).codec
    pod = codec.decode(RAW)
    assert codec.patch(pod) is None
    assert codec.document(pod)["spec"]["newField"] == {"from": "a newer server"}


def test_a_change_is_the_smallest_patch() -> None:
    codec = resource_of(V1Pod).codec
    pod = codec.decode(RAW)
    pod.spec.node_selector = {"x": "z"}
    pod.spec.priority = 5
    patch = codec.patch(pod)
    assert patch is not None
    assert patch.value == {"spec": {"nodeSelector": {"x": "z"}, "priority": 5}}


def test_one_made_by_hand_is_encoded_with_its_kind() -> None:
    codec = resource_of(V1ConfigMap).codec
    made = V1ConfigMap(metadata=V1ObjectMeta(name="blue", namespace="ns"), data={"a": "b"})
    expected = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "blue", "namespace": "ns"},
        "data": {"a": "b"},
    }
    assert codec.encode(made) == codec.document(made) == codec.encode(expected) == expected
    with pytest.raises(ValueError, match="was not read"):
        codec.patch(made)
    assert codec.structure(expected).data == {"a": "b"}


def test_the_resource_is_known_by_the_name_of_the_class_or_told() -> None:
    pods = resource_of(V1Pod)
    assert (pods.api_version, pods.plural, pods.namespaced, pods.path("ns", "a")) == (
        "v1",
        "pods",
        True,
        POD.path("ns", "a"),
    )
    assert not resource_of(V1CustomResourceDefinition).namespaced
    with pytest.raises(ValueError, match=r"V2HorizontalPodAutoscaler .* pass like="):
        resource_of(V2HorizontalPodAutoscaler)
    like = Resource.untyped("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
    assert resource_of(V2HorizontalPodAutoscaler, like).name == "horizontalpodautoscalers.autoscaling"
    assert resource_of(V1Pod) == resource_of(V1Pod)


def test_a_class_that_holds_itself_is_read() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}
    document = {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    read = resource_of(V1CustomResourceDefinition).codec.decode(json.dumps(document).encode())
    assert read.spec.versions[0].schema.open_apiv3_schema.properties["a"].type == "array"


def test_what_a_server_says_is_not_checked_against_the_generators_rules() -> None:
    pod = resource_of(V1Pod).codec.decode(json.dumps({**DOCUMENT, "spec": {"containers": [{"image": "i"}]}}).encode())
    assert pod.spec.containers[0].name is None  # which it requires


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"spec": {"containers": {}}}, "spec.containers: a list is expected"),
        ({"spec": {"containers": [5]}}, "spec.containers: an object is expected"),
        ({"spec": {"nodeSelector": []}}, "spec.nodeSelector: an object is expected"),
        ({"status": {"startTime": "soon"}}, "status.startTime: 'soon' is no RFC 3339 time"),
        ({"spec": "x"}, "spec: an object is expected"),
    ],
)
def test_another_shape_is_told_with_its_place(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadObject) as caught:
        resource_of(V1Pod).codec.decode(json.dumps({**DOCUMENT, **change}).encode())
    assert f"at {expected}" in str(caught.value)
    for raw in (b"", b"[]", b"{"):
        with pytest.raises(BadObject):
            resource_of(V1Pod).codec.decode(raw)


def test_the_classes_are_not_loaded_by_us() -> None:
    script = (
        "import sys; import reconcile, reconcile.kube.client, reconcile.kube.login, reconcile.kube.models;"
        "print([name for name in sys.modules if name.startswith(('kubernetes', 'aiohttp'))])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
