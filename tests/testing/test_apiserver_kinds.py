"""Every built-in kind: what it is made of, and the forms in which it comes and goes."""

import copy
import time
from typing import Any

import orjson
import pytest
import yaml

from reconcile.kube.request import HttpRequest
from reconcile.testing.apiserver import ApiServer, published, wire
from reconcile.testing.apiserver.content import PROTOBUF, YAML
from reconcile.testing.apiserver.kinds import built_in
from tests.testing.callers import Api
from tests.testing.samples import CLUSTER_SAMPLES, SAMPLES, collection

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
EVERY = [(resource, body, True) for resource, bodies in SAMPLES.items() for body in bodies]
EVERY += [(resource, body, False) for resource, bodies in CLUSTER_SAMPLES.items() for body in bodies]
every_sample = pytest.mark.parametrize(
    ("resource", "body", "namespaced"), EVERY, ids=[f"{one[0]} {one[1]['metadata']['name']}" for one in EVERY]
)


async def raw(api: Api, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str, bytes]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await api.transport.call(HttpRequest(method, path, (), names, body), timeout=30)
    return response.status, response.headers["content-type"], response.body


@every_sample
async def test_a_kind_comes_and_goes_in_every_form_alike(
    api: Api, resource: str, body: dict[str, Any], namespaced: bool
) -> None:
    path = collection(resource, body, api.namespace if namespaced else "")
    made = (await api.made(path, copy.deepcopy(body))).body
    one = f"{path}/{body['metadata']['name']}"
    code, media, packed = await raw(api, "GET", one, accept=PROTOBUF)
    assert (code, media) == (200, PROTOBUF)
    _, media, text = await raw(api, "GET", one, accept=YAML)
    assert (media, yaml.safe_load(text)) == (YAML, made)
    table = await api.get(one, accept=TABLE)
    assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"])
    assert table["rows"][0]["object"]["metadata"] == made["metadata"]
    # what was packed is taken back as the same: it changes nothing
    code, _, again = await raw(api, "PUT", one, packed, accept="application/json", content_type=PROTOBUF)
    assert (code, orjson.loads(again)) == (200, made)


async def test_a_watch_in_protobuf_is_framed_events(api: Api) -> None:
    definition = published.definition("v1", "ConfigMap")
    await api.map("a", {"x": "1"})
    request = api.request("GET", api.maps, None, media="", accept=f"{PROTOBUF};stream=watch", watch="1")
    stream = await api.transport.open(request, timeout=30)
    assert stream.headers["content-type"] == f"{PROTOBUF};stream=watch"
    chunk = await stream.read()
    assert len(chunk) == 4 + int.from_bytes(chunk[:4], "big")
    document = wire.opened(chunk[chunk.index(wire.MAGIC) :], lambda version, kind: definition)
    assert document["data"] == {"x": "1"}
    await stream.aclose()


async def test_a_watch_as_a_table_has_its_columns_once(api: Api) -> None:
    await api.map("a")
    await api.map("b")
    watch = await api.watch(api.maps, accept=TABLE)
    (_, first), (_, second) = await watch.take(2)
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert (second["columnDefinitions"], second["rows"][0]["cells"][0]) == (None, "b")


async def test_protobuf_is_refused_for_custom_resources(api: Api) -> None:
    code, _, _ = await raw(api, "GET", api.things, accept=PROTOBUF)
    assert code == 406
    code, _, _ = await raw(api, "POST", api.things, b"k8s\0", content_type=PROTOBUF, accept="application/json")
    assert code == 415


@pytest.mark.parametrize("packed", [b"", b"k8s", b"k8s\0\xff\xff", b"{}", b"k8s\0" + b"\x0a\x00"])
async def test_what_is_no_protobuf_is_a_bad_request(api: Api, packed: bytes) -> None:
    code, _, _ = await raw(api, "POST", api.maps, packed, content_type=PROTOBUF, accept="application/json")
    assert code == 400


def test_every_published_resource_is_a_kind_with_a_schema() -> None:
    served = {(kind.resource.group, kind.resource.plural) for kind in built_in()}
    assert len(built_in()) == sum(len(v["resources"]) for g in published.groups() for v in g["versions"])
    assert {("", "pods"), ("apps", "deployments"), ("flowcontrol.apiserver.k8s.io", "flowschemas")} <= served
    assert all(kind.schema.fields["metadata"] is not None for kind in built_in())


async def test_a_service_is_given_an_address_that_nobody_else_has(api: Api) -> None:
    spec = {"ports": [{"port": 80}]}
    path = api.path("services")
    given = set()
    for name in ("a", "b", "c"):
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        given.add((await api.made(path, body))["spec"]["clusterIP"])
    assert len(given) == 3
    taken = sorted(given)[0]
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "d"}, "spec": {**spec, "clusterIP": taken}}
    refused = await api.post(path, body)
    says = f'Invalid value: ["{taken}"]: failed to allocate IP {taken}: provided IP is already allocated'
    assert refused.causes == [("spec.clusterIPs", "FieldValueInvalid", says)]
    changed = await api.merge(f"{path}/a", {"spec": {"clusterIP": "10.0.0.77"}})
    assert changed.code == 422
    kept = await api.put(f"{path}/a", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec})
    assert kept["spec"]["clusterIP"] in given


async def test_a_server_that_uses_a_config_map_answers_at_once() -> None:
    began = time.perf_counter()
    async with ApiServer() as server:
        api = Api(server.transport(), "default")
        await api.map("a")
    assert time.perf_counter() - began < 0.5  # a tenth of it on a quiet machine


async def test_an_event_is_one_in_both_of_its_groups(api: Api) -> None:
    about = {"kind": "Pod", "name": "p", "namespace": api.namespace}
    body = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": about, "message": "hello"}
    await api.made(api.path("events"), {**body, "reason": "Told", "count": 2})
    events = f"/apis/events.k8s.io/v1/namespaces/{api.namespace}/events"
    found = await api.get(f"{events}/e")
    assert (found["apiVersion"], found["note"], found["deprecatedCount"]) == ("events.k8s.io/v1", "hello", 2)
    assert found["regarding"] == about
    chosen = await api.get(events, fieldSelector="regarding.name=p")
    assert [one["note"] for one in chosen["items"]] == ["hello"]
    assert (await api.merge(f"{events}/e", {"note": "bye"})).code == 200
    assert (await api.get(f"{api.path('events')}/e"))["message"] == "bye"
    watch = await api.watch(events)
    await api.delete(f"{api.path('events')}/e")
    assert await watch.names(2) == [("ADDED", "e"), ("DELETED", "e")]


async def test_an_autoscaler_is_one_in_both_of_its_versions(api: Api) -> None:
    old, new = (f"/apis/autoscaling/{v}/namespaces/{api.namespace}/horizontalpodautoscalers" for v in ("v1", "v2"))
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3}
    body = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": spec}
    await api.made(old, {**body, "spec": {**spec, "targetCPUUtilizationPercentage": 50}})
    [metric] = (await api.get(f"{new}/h"))["spec"]["metrics"]
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    metric["resource"]["target"]["averageUtilization"] = 60
    assert (await api.merge(f"{new}/h", {"spec": {"metrics": [metric]}})).code == 200
    assert (await api.get(f"{old}/h"))["spec"]["targetCPUUtilizationPercentage"] == 60
    assert (await api.get(old))["items"][0]["spec"]["minReplicas"] == 1


async def test_a_definition_is_published_with_its_own_words(server: ApiServer) -> None:
    api = Api(server.transport(), "default")
    field = {"type": "string", "description": "How it is called.", "maxLength": 5}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"title": field}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Book", "plural": "books"}
    spec = {"group": "library.example.com", "names": names, "scope": "Namespaced", "versions": [version]}
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    before = (await api.get("/openapi/v3")).body["paths"]
    await api.made(definitions, {**body, "metadata": {"name": "books.library.example.com"}})
    index = (await api.get("/openapi/v3")).body["paths"]
    assert index.keys() - before.keys() == {"apis/library.example.com/v1"}
    page = (await api.get("/openapi/v3/apis/library.example.com/v1")).body
    published = page["components"]["schemas"]["com.example.library.v1.Book"]
    assert published["properties"]["spec"]["properties"]["title"] == field
    assert published["x-kubernetes-group-version-kind"] == [
        {"group": "library.example.com", "version": "v1", "kind": "Book"}
    ]
    path = "/apis/library.example.com/v1/namespaces/{namespace}/books/{name}"
    assert {"get", "put", "patch", "delete"} <= page["paths"][path].keys()
    old = (await api.get("/openapi/v2")).body
    assert old["definitions"]["com.example.library.v1.Book"]["properties"]["metadata"] == {
        "$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    }


async def test_a_page_of_openapi_that_is_known_is_not_sent_again(api: Api) -> None:
    url = (await api.get("/openapi/v3")).body["paths"]["apis/batch/v1"]["serverRelativeURL"]
    path, _, asked = url.partition("?hash=")
    first = await api.get(path, hash=asked)
    assert (first.code, first.headers["cache-control"]) == (200, "public, immutable")
    etag = first.headers["etag"]
    again = await api.transport.call(HttpRequest("GET", path, (), {"if-none-match": etag}), timeout=30)
    assert (again.status, again.body) == (304, b"")
    elsewhere = await api.transport.call(HttpRequest("GET", path, (("hash", "old"),), {}), timeout=30)
    assert (elsewhere.status, elsewhere.headers["location"]) == (301, url)


async def test_metadata_of_custom_resources_comes_in_protobuf(api: Api) -> None:
    await api.thing("a")
    form = "g=meta.k8s.io;v=v1"
    code, media, packed = await raw(api, "GET", api.things, accept=f"{PROTOBUF};as=PartialObjectMetadataList;{form}")
    assert (code, media) == (200, PROTOBUF)
    found = wire.opened(packed, published.definition)
    assert [one["metadata"]["name"] for one in found["items"]] == ["a"]
    accept = f"{PROTOBUF};stream=watch;as=PartialObjectMetadata;{form}"
    stream = await api.transport.open(
        api.request("GET", api.things, None, media="", accept=accept, watch="1"), timeout=9
    )
    chunk = await stream.read()
    seen = wire.opened(chunk[chunk.index(wire.MAGIC) :], published.definition)
    assert (seen["kind"], seen["metadata"]["name"]) == ("PartialObjectMetadata", "a")
    await stream.aclose()
