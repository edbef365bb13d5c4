"""A CustomResourceDefinition brings its kind into being, and takes it away."""

from typing import Any

import orjson

from reconcile.kube import request as requests
from reconcile.kube.kinds import CRD
from reconcile.kube.objects import ObjectKey
from reconcile.kube.patch import MergePatch
from reconcile.kube.request import HttpRequest
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import ApiServer

NET = Resource.untyped("example.com/v1", "Net", "nets")
KEY = ObjectKey("default", "a")


def definition() -> dict[str, Any]:
    peering = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "id": {"type": "string"}},
        },
    }
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "size": {"type": "integer", "default": 3}, "peers": peering},
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "nets.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Net", "plural": "nets"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


async def send(server: ApiServer, request: HttpRequest) -> tuple[int, Any]:
    response = await server.transport().call(request, timeout=10)
    try:
        return response.status, orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return response.status, response.body


async def test_a_definition_serves_its_kind_at_once() -> None:
    async with ApiServer() as server:
        code, made = await send(server, requests.create(CRD, definition()))
        assert code == 201, made
        code, made = await send(
            server,
            requests.create(
                NET, {"metadata": {"name": "a"}, "spec": {"id": "1", "no": 1}, "status": {"a": 1}}, namespace="default"
            ),
        )
        assert code == 201, made
        assert made["spec"] == {"id": "1", "size": 3}
        assert "status" not in made
        code, made = await send(
            server,
            requests.patch(NET, KEY, MergePatch({"status": {"a": 1}, "spec": {"id": "2"}}), subresource="status"),
        )
        assert made["status"] == {"a": 1}
        assert made["spec"]["id"] == "1"
        assert made["metadata"]["generation"] == 1
        body = {
            "apiVersion": "example.com/v1",
            "kind": "Net",
            "metadata": {"name": "a", "finalizers": ["example.com/x"]},
            "spec": {"peers": [{"name": "x"}, {"name": "y", "id": "7"}]},
        }
        code, made = await send(server, requests.apply(NET, KEY, body, field_manager="me"))
        assert code == 200, made
        assert made["metadata"]["generation"] == 2
        body["spec"] = {"peers": [{"name": "y"}]}
        code, made = await send(server, requests.apply(NET, KEY, body, field_manager="me"))
        assert made["spec"]["peers"] == [{"name": "y"}]
        code, made = await send(server, requests.delete(CRD, ObjectKey("", "nets.example.com")))
        assert code == 200
        code, found = await send(server, requests.get(NET, KEY))
        assert found["metadata"]["deletionTimestamp"]
        code, found = await send(server, requests.patch(NET, KEY, MergePatch({"metadata": {"finalizers": None}})))
        assert code == 200
        code, found = await send(server, requests.get(NET, KEY))
        assert (code, found) == (404, b"404 page not found\n")
        code, found = await send(server, requests.get(CRD, ObjectKey("", "nets.example.com")))
        assert code == 404
