"""What is built is what the API knows, and is read back as what was meant."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube import kinds, request
from reconcile.kube.objects import Object, ObjectKey
from reconcile.kube.patch import JsonPatch, MergePatch, StrategicPatch
from reconcile.kube.request import HttpRequest, RequestInfo, parse
from reconcile.kube.resource import Resource
from reconcile.kube.views import View

KEY = ObjectKey("shop", "blue")
NETWORK = Resource.untyped("networking.example.io/v1", "Network", "networks")
POD = "/api/v1/namespaces/shop/pods"


@pytest.mark.parametrize(
    ("built", "method", "target"),
    [
        (request.get(kinds.POD, KEY), "GET", f"{POD}/blue"),
        (request.get(kinds.POD, KEY, resource_version="5"), "GET", f"{POD}/blue?resourceVersion=5"),
        (request.list_(kinds.POD), "GET", "/api/v1/pods"),
        (request.list_(kinds.POD, "shop", labels="a in (b,c)"), "GET", f"{POD}?labelSelector=a+in+%28b%2Cc%29"),
        (
            request.list_(kinds.POD, "shop", fields="metadata.name=x", limit=500, continue_="t/1"),
            "GET",
            f"{POD}?fieldSelector=metadata.name%3Dx&limit=500&continue=t%2F1",
        ),
        (
            request.list_(kinds.POD, "shop", resource_version="0", resource_version_match="Exact", timeout_seconds=9),
            "GET",
            f"{POD}?resourceVersion=0&resourceVersionMatch=Exact&timeoutSeconds=9",
        ),
        (
            request.watch(kinds.POD, "shop", resource_version="7", timeout_seconds=300),
            "GET",
            f"{POD}?watch=true&resourceVersion=7&allowWatchBookmarks=true&timeoutSeconds=300",
        ),
        (
            request.watch(kinds.POD, send_initial_events=True),
            "GET",
            "/api/v1/pods?watch=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&allowWatchBookmarks=true",
        ),
        (
            request.create(
                kinds.POD, {}, namespace="shop", dry_run=True, field_manager="me", field_validation="Strict"
            ),
            "POST",
            f"{POD}?dryRun=All&fieldManager=me&fieldValidation=Strict",
        ),
        (
            request.create(kinds.POD, {}, namespace="shop", name="blue", subresource="eviction"),
            "POST",
            f"{POD}/blue/eviction",
        ),
        (request.update(kinds.POD, KEY, {}, subresource="status"), "PUT", f"{POD}/blue/status"),
        (request.patch(kinds.POD, KEY, MergePatch({}), field_manager="me"), "PATCH", f"{POD}/blue?fieldManager=me"),
        (request.apply(kinds.POD, KEY, {}, field_manager="me"), "PATCH", f"{POD}/blue?fieldManager=me&force=true"),
        (request.apply(kinds.POD, KEY, {}, field_manager="me", force=False), "PATCH", f"{POD}/blue?fieldManager=me"),
        (request.delete(kinds.POD, KEY, uid="u"), "DELETE", f"{POD}/blue"),
        (request.delete_collection(kinds.POD, "shop", labels="a"), "DELETE", f"{POD}?labelSelector=a"),
    ],
)
def test_a_request_has_the_parameters_that_the_api_knows(built: HttpRequest, method: str, target: str) -> None:
    assert (built.method, built.target) == (method, target)


@pytest.mark.parametrize(
    ("built", "content_type", "body"),
    [
        (request.create(NETWORK, {"a": 1}, namespace="shop"), "application/json", {"a": 1}),
        (request.create(NETWORK, {}, namespace="shop"), "application/json", {}),
        (request.create(NETWORK, b'{"a":1}', namespace="shop"), "application/json", {"a": 1}),
        (request.update(NETWORK, KEY, View({"a": View({"b": [1]})})), "application/json", {"a": {"b": [1]}}),
        (request.update(NETWORK, KEY, Object({"a": 1})), "application/json", {"a": 1}),
        (request.apply(NETWORK, KEY, {"a": 1}, field_manager="m"), "application/apply-patch+yaml", {"a": 1}),
        (request.patch(NETWORK, KEY, MergePatch({"a": None})), "application/merge-patch+json", {"a": None}),
        (request.patch(NETWORK, KEY, StrategicPatch({"a": 1})), "application/strategic-merge-patch+json", {"a": 1}),
        (request.patch(NETWORK, KEY, JsonPatch([{"op": "x"}])), "application/json-patch+json", [{"op": "x"}]),
    ],
)
def test_a_body_says_what_it_is(built: HttpRequest, content_type: str, body: object) -> None:
    assert built.headers["content-type"] == content_type
    assert orjson.loads(built.body) == body


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"uid": "u"}, {"preconditions": {"uid": "u"}}),
        ({"uid": "u", "resource_version": "3"}, {"preconditions": {"uid": "u", "resourceVersion": "3"}}),
        ({"propagation": "Foreground"}, {"propagationPolicy": "Foreground"}),
        ({"grace_period_seconds": 0}, {"gracePeriodSeconds": 0}),
        ({"dry_run": True}, {"dryRun": ["All"]}),
    ],
)
def test_options_of_a_deletion_are_its_body(options: dict[str, Any], sent: dict[str, object]) -> None:
    built = request.delete(NETWORK, KEY, **options)
    assert orjson.loads(built.body) == {"apiVersion": "v1", "kind": "DeleteOptions", **sent}


def test_a_plain_deletion_has_no_body() -> None:
    built = request.delete(NETWORK, KEY)
    assert built.body == b""
    assert "content-type" not in built.headers


def test_only_metadata_is_asked_for_in_the_form_that_fits_the_verb() -> None:
    def accepted(built: HttpRequest) -> str:
        return built.headers["accept"]

    one = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
    many = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
    assert accepted(request.get(NETWORK, KEY, metadata_only=True)) == one
    assert accepted(request.watch(NETWORK, metadata_only=True)) == one
    assert accepted(request.list_(NETWORK, metadata_only=True)) == many
    assert accepted(request.list_(NETWORK)) == "application/json"


resources = st.sampled_from([kinds.POD, kinds.NODE, kinds.NAMESPACE, NETWORK, kinds.CLUSTER_ROLE])
names = st.text(st.sampled_from("abz-.09:% /?ü"), min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))
subresources = st.sampled_from(["", "status", "finalize"])


@given(resources, names, st.sampled_from(["shop", "a-b"]), subresources, st.data())
def test_what_was_built_is_read_back(
    resource: Resource[Object], name: str, namespace: str, subresource: str, data: st.DataObject
) -> None:
    key = ObjectKey(namespace if resource.namespaced else "", name)
    head: dict[str, Any] = {"group": resource.group, "version": resource.version, "plural": resource.plural}
    one = {**head, "namespace": key.namespace, "name": name, "subresource": subresource}
    many = {**head, "namespace": data.draw(st.sampled_from(["", key.namespace]))}
    for built, expected in (
        (request.get(resource, key, subresource=subresource), RequestInfo("get", **one)),
        (request.update(resource, key, {}, subresource=subresource), RequestInfo("update", **one)),
        (request.apply(resource, key, {}, subresource=subresource, field_manager="m"), RequestInfo("patch", **one)),
        (request.delete(resource, key), RequestInfo("delete", **{**one, "subresource": ""})),
        (request.list_(resource, many["namespace"]), RequestInfo("list", **many)),
        (request.watch(resource, many["namespace"]), RequestInfo("watch", **many)),
        (request.create(resource, {}, namespace=many["namespace"]), RequestInfo("create", **many)),
        (request.delete_collection(resource, many["namespace"]), RequestInfo("deletecollection", **many)),
    ):
        assert parse(built) == expected


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/v1/namespaces", "namespaces/*"),
        ("/api/v1/namespaces/shop", "namespaces/shop"),
        ("/api/v1/namespaces/shop/status", "namespaces/shop/status"),
        ("/api/v1/namespaces/shop/finalize", "namespaces/shop/finalize"),
        ("/api/v1/namespaces/shop/pods", "pods/shop/*"),
        ("/api/v1/namespaces/shop/pods/web/log", "pods/shop/web/log"),
        ("/api/v1/nodes/n1/", "nodes/n1"),
        ("/apis/apps/v1/deployments", "deployments.apps/*"),
        ("/apis/apps/v1/namespaces/shop/deployments/a/scale", "deployments.apps/shop/a/scale"),
        ("/api/v1/namespaces/shop/services/a/proxy/x/y", "services/shop/a/proxy/x/y"),
    ],
)
def test_a_path_is_read_as_the_api_server_reads_it(path: str, said: str) -> None:
    assert str(parse(HttpRequest("GET", path))) == said


@pytest.mark.parametrize(
    "path",
    ["", "/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/version", "/healthz/ping", "/api/v1//pods"],
)
def test_other_paths_are_no_resources(path: str) -> None:
    assert parse(HttpRequest("GET", path)) is None


def test_an_unknown_method_is_no_verb() -> None:
    assert parse(HttpRequest("OPTIONS", "/api/v1/pods")) is None


@pytest.mark.parametrize(
    ("query", "verb"),
    [
        ((), "list"),
        ((("watch", "true"),), "watch"),
        ((("watch", "1"),), "watch"),
        ((("watch", ""),), "watch"),
        ((("watch", "no"),), "watch"),
        ((("watch", "0"),), "list"),
        ((("watch", "false"),), "list"),
        ((("watch", "False"),), "list"),
        ((("watch", "0"), ("watch", "1")), "list"),
    ],
)
def test_a_flag_is_true_but_for_absent_zero_and_false(query: request.Query, verb: str) -> None:
    info = parse(HttpRequest("GET", "/api/v1/pods", query))
    assert info is not None
    assert info.verb == verb


def test_a_watch_of_one_object_by_its_name_is_a_get() -> None:
    info = parse(HttpRequest("GET", "/api/v1/nodes/n1", (("watch", "1"),)))
    assert info is not None
    assert (info.verb, info.key, info.api_version) == ("get", ("", "n1"), "v1")
