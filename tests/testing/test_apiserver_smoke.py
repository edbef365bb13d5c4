"""The first round trip through every verb."""

from typing import Any

import orjson

from reconcile.kube import request as requests
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.objects import ObjectKey
from reconcile.kube.patch import MergePatch
from reconcile.kube.request import HttpRequest
from reconcile.testing.apiserver import ApiServer

KEY = ObjectKey("default", "a")


async def send(server: ApiServer, request: HttpRequest) -> tuple[int, Any]:
    response = await server.transport().call(request, timeout=10)
    return response.status, orjson.loads(response.body)


async def test_an_object_is_created_read_listed_patched_applied_and_deleted() -> None:
    async with ApiServer() as server:
        code, made = await send(
            server, requests.create(CONFIG_MAP, {"metadata": {"name": "a"}, "data": {"x": "1"}}, namespace="default")
        )
        assert code == 201, made
        code, got = await send(server, requests.get(CONFIG_MAP, KEY))
        assert (code, got) == (200, made)
        code, listed = await send(server, requests.list_(CONFIG_MAP))
        assert listed["items"] == [made]
        code, patched = await send(server, requests.patch(CONFIG_MAP, KEY, MergePatch({"data": {"y": "2"}})))
        assert code == 200
        assert patched["data"] == {"x": "1", "y": "2"}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"y": "3"}}
        code, applied = await send(server, requests.apply(CONFIG_MAP, KEY, body, field_manager="me", force=False))
        assert code == 409, applied
        print(applied["message"])
        code, applied = await send(server, requests.apply(CONFIG_MAP, KEY, body, field_manager="me"))
        assert code == 200
        print(applied)
        code, again = await send(server, requests.apply(CONFIG_MAP, KEY, body, field_manager="me"))
        assert again == applied
        code, gone = await send(server, requests.delete(CONFIG_MAP, KEY))
        print(gone)
        assert code == 200
        code, gone = await send(server, requests.get(CONFIG_MAP, KEY))
        assert code == 404
        stream = await server.transport().open(
            requests.watch(CONFIG_MAP, resource_version=made["metadata"]["resourceVersion"], timeout_seconds=100),
            timeout=10,
        )
        while chunk := await stream.read():
            print(chunk.decode())
