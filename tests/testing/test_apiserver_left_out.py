"""What the embedded API server knowingly does otherwise than a real one: the list of docs/testing.md, shown."""

import copy
from typing import Any

import orjson
import pytest

from reconcile.testing.apiserver import ApiServer
from tests.testing.callers import Api

SPEC = {"containers": [{"name": "a", "image": "a:1"}]}


def a_pod(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {**copy.deepcopy(SPEC), **spec}}


@pytest.mark.parametrize("below", ["exec", "attach", "portforward", "proxy", "ephemeralcontainers", "resize"])
async def test_nothing_runs_in_a_pod(api: Api, below: str) -> None:
    await api.made(api.path("pods"), a_pod("p"))
    code, reason, says = (await api.get(f"{api.path('pods')}/p/{below}")).says
    assert (code, reason) == (501, "NotImplemented")
    assert says.endswith(f"pods/{below}")


async def test_no_controller_makes_anything_of_a_deployment(api: Api) -> None:
    labels = {"app": "web"}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": SPEC}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
    made = await api.made(f"/apis/apps/v1/namespaces/{api.namespace}/deployments", body)
    assert made["status"] == {}
    assert (await api.get(f"/apis/apps/v1/namespaces/{api.namespace}/replicasets"))["items"] == []


async def test_limit_ranges_and_quotas_are_objects_and_no_more(api: Api) -> None:
    limits = {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}
    await api.made(api.path("limitranges"), {"metadata": {"name": "l"}, "spec": limits})
    await api.made(api.path("resourcequotas"), {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}})
    made = await api.made(api.path("pods"), a_pod("p"))
    assert made["spec"]["containers"][0]["resources"] == {}


async def test_a_pod_is_given_no_service_account(api: Api) -> None:
    made = await api.made(api.path("pods"), a_pod("p"))
    assert not made["spec"].keys() & {"serviceAccountName", "volumes"}


async def test_what_is_unwise_in_a_pod_is_not_warned_of(api: Api) -> None:
    made = await api.made(api.path("pods"), a_pod("p", containers=[{**SPEC["containers"][0], "env": [{"name": "1"}]}]))
    assert "warning" not in made.headers


async def test_the_server_has_no_service_of_its_own(api: Api) -> None:
    assert (await api.get("/api/v1/services"))["items"] == []


async def test_addresses_are_given_in_order_and_stand_nowhere_else(api: Api) -> None:
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    assert (await api.made(api.path("services"), body))["spec"]["clusterIP"] == "10.0.0.2"
    assert (await api.get("/apis/networking.k8s.io/v1/ipaddresses"))["items"] == []


async def test_metrics_but_those_of_the_processor_are_not_told_in_the_old_version(api: Api) -> None:
    old, new = (f"/apis/autoscaling/{v}/namespaces/{api.namespace}/horizontalpodautoscalers" for v in ("v1", "v2"))
    metric = {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 9}},
    }
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3, "metrics": [metric]}
    await api.made(new, {"metadata": {"name": "h"}, "spec": spec})
    assert "annotations" not in (await api.get(f"{old}/h")).meta


async def test_published_documents_have_no_sentences() -> None:
    async with ApiServer() as server:
        api = Api(server.transport(), "default")
        page = (await api.get("/openapi/v3/api/v1")).body
        assert "description" not in page["components"]["schemas"]["io.k8s.api.core.v1.Pod"]
        assert not any("/watch/" in path for path in page["paths"])
        packed = await api.get(
            "/openapi/v3/api/v1", accept="application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
        )
        assert packed.code == 501


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
async def test_a_body_that_is_nested_deeper_than_anybody_needs_is_a_bad_request(
    api: Api, opening: bytes, closing: bytes
) -> None:
    deep = opening * 5000 + b"1" + closing * 5000
    body = b'{"metadata":{"name":"a"},"revision":1,"data":' + deep + b"}"
    refused = await api.post(f"/apis/apps/v1/namespaces/{api.namespace}/controllerrevisions", body)
    assert refused.code == 400


async def test_a_patch_that_puts_something_deep_into_something_deep_is_refused(api: Api) -> None:
    deep = orjson.loads(b'{"a":' * 100 + b"1" + b"}" * 100)
    path = f"/apis/apps/v1/namespaces/{api.namespace}/controllerrevisions"
    await api.made(path, {"metadata": {"name": "a"}, "revision": 1, "data": deep})
    reply = await api.patch(f"{path}/a", [{"op": "add", "path": "/data" + "/a" * 99 + "/b", "value": deep}])
    assert reply.code == 422
    assert (await api.get(f"{path}/a"))["data"] == deep
