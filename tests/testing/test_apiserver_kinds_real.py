"""The built-in kinds of the embedded API server beside those of a real one: told the same, they say the same.

What is compared is whole answers; uids, versions, times, addresses and ports that nobody chose become a star.
"""

import copy
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import orjson
import pytest

from reconcile.kube.request import HttpRequest
from reconcile.testing.apiserver import ApiServer, discovery, gnostic, published, publishing, wire
from reconcile.testing.apiserver.content import PROTOBUF
from reconcile.testing.apiserver.kinds import built_in
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.plugin import AnyioBackend
from tests.testing.apiserver.test_gnostic import said
from tests.testing.callers import Api, Reply
from tests.testing.samples import CHANGES, CLUSTER_SAMPLES, REFUSED, SAMPLES, collection
from tests.testing.test_apiserver_kinds import EVERY, TABLE
from tests.testing.test_apiserver_real import control_plane as control_plane
from tests.testing.test_apiserver_real import real_transport

pytestmark = [pytest.mark.real]
_COUNT = itertools.count()
_CHOSEN = {
    "healthCheckNodePort",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "time",
    "clusterIP",
    "clusterIPs",
    "nodePort",
}
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AGE = re.compile(r"\d+s")


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}


@pytest.fixture
async def both(control_plane: ControlPlane) -> AsyncIterator[tuple[Api, Api]]:
    """A namespace of the test's own at the real server and at ours."""
    name = f"kinds-{next(_COUNT)}"
    transport = real_transport(control_plane)
    try:
        async with ApiServer() as server:
            apis = Api(transport, name), Api(server.transport(user_agent="tester/1.0"), name)
            for api in apis:
                await api.made("/api/v1/namespaces", {"metadata": {"name": name}})
            yield apis
    finally:
        await transport.aclose()


def plain(value: Any, key: str = "") -> Any:
    """An answer without what nobody chose."""
    if isinstance(value, dict):
        return {name: plain(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return "*" if key in _CHOSEN and value != ["None"] else [plain(one, key) for one in value]
    if key in _CHOSEN and value not in ("None", None, "", 0):
        return "*"
    if key in ("cells", "lastPhaseTransitionTime") and isinstance(value, str):
        value = re.sub(r"\b10\.0\.0\.\d+|:3\d{4}", "*", _AGE.sub("*", value))
        value = "*" if key != "cells" else value
    return _UID.sub("*", value) if isinstance(value, str) else value


def outcome(reply: Reply) -> Any:
    return reply.code, plain(reply.body)


_UNLIKE = {
    "nodes": "fieldsV1 of a status that is taken at creation",
    "flowschemas": "a controller writes its status",
    "csinodes": "an empty list has an owner, though it is stored as none",
}


@pytest.mark.parametrize(("resource", "body", "namespaced"), EVERY)
async def test_an_object_is_stored_and_shown_as_the_real_server_does(
    both: tuple[Api, Api], resource: str, body: dict[str, Any], namespaced: bool
) -> None:
    if resource.partition(".")[0] in _UNLIKE:
        pytest.skip(_UNLIKE[resource.partition(".")[0]])
    body = copy.deepcopy(body)
    if not namespaced:
        body["metadata"]["name"] += both[0].namespace.removeprefix("kinds")
    path = collection(resource, body, both[0].namespace if namespaced else "")
    real, ours = [await api.post(path, copy.deepcopy(body)) for api in both]
    assert outcome(ours) == outcome(real)
    real, ours = [await api.get(f"{path}/{body['metadata']['name']}", accept=TABLE) for api in both]
    if resource != "daemonsets.apps":  # whose annotation is no part of a row
        assert outcome(ours) == outcome(real)


@pytest.mark.parametrize(("resource", "body"), [(name, body) for name, found in REFUSED.items() for body in found])
async def test_an_object_is_refused_in_the_words_of_the_real_server(
    both: tuple[Api, Api], resource: str, body: dict[str, Any]
) -> None:
    path = collection(resource, body, both[0].namespace)
    real, ours = [await api.post(path, copy.deepcopy(body)) for api in both]
    assert outcome(ours) == outcome(real)


async def test_changes_are_taken_and_refused_as_by_the_real_server(both: tuple[Api, Api]) -> None:
    places = {}
    for resource, bodies in SAMPLES.items():
        for body in bodies:
            name = body["metadata"]["name"]
            path = collection(resource, body, both[0].namespace)
            places[resource, name] = f"{path}/{name}"
            for api in both:
                await api.made(path, copy.deepcopy(body))
    for resource, name, media, patch in CHANGES:
        base, _, below = name.partition("/")
        path = places[resource, base] + (f"/{below}" if below else "")
        real, ours = [outcome(await api.send("PATCH", path, patch, media=media)) for api in both]
        # how Go's structs differ is not told
        real = (real[0], _without_go_diff(real[1]))
        assert ours == real, (resource, name, patch)


def _without_go_diff(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_go_diff(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_go_diff(one) for one in value]
    return re.sub(r"\n@@(?s:.*)|\n\{(?s:.*)", "", value) if isinstance(value, str) else value


async def test_discovery_is_that_of_the_real_server(both: tuple[Api, Api]) -> None:
    paths = ["/apis", "/api/v1"] + [f"/apis/{one['name']}" for one in published.groups() if one["name"]]
    paths += [
        f"/apis/{one['name']}/{v['version']}" for one in published.groups() if one["name"] for v in one["versions"]
    ]
    for path in paths:
        real, ours = [await api.get(path) for api in both]
        assert ours.body == real.body, path
    for path in ("/api", "/apis"):
        real, ours = [await api.get(path, accept=discovery.AGGREGATED) for api in both]
        assert ours.body == real.body, path


async def test_openapi_says_what_the_real_server_says_but_for_sentences(both: tuple[Api, Api]) -> None:
    for name in publishing.group_versions(built_in()):
        real, ours = [bare((await api.get(f"/openapi/v3/{name}")).body) for api in both]
        assert _alike(ours["components"]["schemas"]) == _alike(real["components"]["schemas"]), name
        kept = {path: one for path, one in real["paths"].items() if not _OLD_PATH.search(path)}
        assert ours["paths"] == kept, name


async def definitions(api: Api) -> dict[str, Any]:
    """Those of OpenAPI version 2, as protobuf."""
    request = HttpRequest("GET", "/openapi/v2", (), {"accept": gnostic.ASKED[1]}, b"")
    answer = await api.transport.call(request, timeout=30)
    assert answer.headers["content-type"] == gnostic.MEDIA_TYPE
    return bare(said(gnostic.message_class("Document").FromString(answer.body).definitions))  # type: ignore[no-any-return]


async def test_openapi_as_protobuf_says_what_the_real_server_says_but_for_sentences(both: tuple[Api, Api]) -> None:
    real, ours = [_alike(await definitions(api)) for api in both]
    assert ours == {name: one for name, one in real.items() if name in ours}


WORDS: dict[str, Any] = {
    "text": {
        "type": "string",
        "nullable": True,
        "default": "x",
        "example": "x",
        "maxLength": 3,
        "enum": ["x"],
        "title": "t",
    },
    "number": {"type": "number", "minimum": 1, "exclusiveMinimum": True, "multipleOf": 2},
    "zero": {"type": "integer", "default": 0, "x-kubernetes-validations": [{"rule": "self < 5"}]},
    "port": {"x-kubernetes-int-or-string": True, "default": 3},
    "either": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "shown": {"type": "object", "properties": {"a": {"type": "string"}}, "example": {"default": 1, "nullable": True}},
    "embedded": {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "x-kubernetes-preserve-unknown-fields": True,
    },
    "map": {"type": "object", "additionalProperties": {"type": "integer", "nullable": True}},
    "any": {"type": "object", "additionalProperties": True},
    "list": {"type": "array", "nullable": True, "items": {"type": "string"}},
    "object": {"type": "object", "nullable": True, "properties": {"z": {"type": "string"}}, "required": ["z"]},
    "one": {"type": "object", "oneOf": [{"required": ["a"]}], "properties": {"a": {"type": "string"}}},
    "not": {"type": "string", "not": {"pattern": "a"}, "allOf": [{"pattern": "x"}]},
    "keyed": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
        "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}},
    },
}
"""Of every word that a definition's schema may have."""


async def test_a_definition_is_published_as_the_real_server_does_it(both: tuple[Api, Api]) -> None:
    spec = {"type": "object", "properties": {"spec": {"type": "object", "properties": WORDS}}}
    schemas: dict[str, dict[str, Any]] = {
        "Book": spec,
        "Free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
    names = {f"com.example.published.v1.{kind}{suffix}" for kind in schemas for suffix in ("", "List")}
    told = []
    for api in both:
        for kind, schema in schemas.items():
            await api.made(f"/apis/{EXTENSIONS}/v1/customresourcedefinitions", published_definition(kind, schema))
        old, new = dict[str, Any](), dict[str, Any]()
        with anyio.fail_after(60):
            while not (names <= old.keys() and names <= new.keys()):
                await anyio.sleep(0.5)
                page = await api.get(f"/openapi/v3/apis/{GROUP}/v1")
                new = page.body["components"]["schemas"] if page.code == 200 else {}
                old = await definitions(api)
        told.append([{name: bare(one[name]) for name in names} for one in (old, new)])
        for kind in schemas:
            await api.delete(f"/apis/{EXTENSIONS}/v1/customresourcedefinitions/{kind.lower()}s.{GROUP}")
        with anyio.fail_after(60):  # the real server serves other tests, too, which look at all it has
            while any(one["name"] == GROUP for one in (await api.get("/apis")).body["groups"]):
                await anyio.sleep(0.5)
    real, ours = told
    assert ours == real


EXTENSIONS, GROUP = "apiextensions.k8s.io", "published.example.com"


def published_definition(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A CustomResourceDefinition of ``kind``."""
    plural = f"{kind.lower()}s"
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural}
    spec = {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]}
    head = {"apiVersion": f"{EXTENSIONS}/v1", "kind": "CustomResourceDefinition"}
    return {**head, "metadata": {"name": f"{plural}.{GROUP}"}, "spec": spec}


_OLD_PATH = re.compile(r"/watch/|/$|/(attach|exec|log|portforward|proxy)(/|$)")
_ELSEWHERE = ("APIResource", "WatchEvent", "DeleteOptions", "runtime.RawExtension", "autoscaling.v1.Scale")


def _alike(schemas: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in schemas.items() if not any(part in name for part in _ELSEWHERE)}


def bare(value: Any) -> Any:
    """A document without its sentences."""
    if isinstance(value, dict):
        kept = {name: bare(one) for name, one in value.items() if name != "description" or not isinstance(one, str)}
        return kept
    return [bare(one) for one in value] if isinstance(value, list) else value


async def test_protobuf_is_that_of_the_real_server(both: tuple[Api, Api]) -> None:
    for resource, bodies in SAMPLES.items():
        body = copy.deepcopy(bodies[0])
        path = collection(resource, body, both[0].namespace)
        definition = published.definition(body["apiVersion"], body["kind"])
        packed = wire.sealed(body, definition) if _is_clean(body) else None
        answers = []
        for api in both:
            sent = orjson.dumps(body) if packed is None else packed
            media = "application/json" if packed is None else PROTOBUF
            headers = {"content-type": media, "accept": PROTOBUF, "user-agent": "tester/1.0"}
            response = await api.transport.call(HttpRequest("POST", path, (), headers, sent), timeout=30)
            assert response.status == 201, response.body
            answers.append(wire.opened(response.body, published.definition))
        real, ours = map(plain, answers)
        assert published_form(ours, definition) == published_form(real, definition), resource


def published_form(document: Any, definition: str) -> Any:
    from reconcile.testing.apiserver.going import as_go

    return as_go(published.schema(definition), {**document, "metadata": _full(document["metadata"])})


def _full(metadata: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in metadata.items() if value not in ("", 0, None, "*")}
    entries = [{name: value for name, value in one.items() if value} for one in found.get("managedFields", ())]
    return {**found, "managedFields": entries}


def _is_clean(value: Any) -> bool:
    """Whether a body can be packed as it is: no number in the place of a text."""
    if isinstance(value, dict):
        return all(_is_clean(one) for one in value.values())
    if isinstance(value, list):
        return all(map(_is_clean, value))
    return not isinstance(value, float)


def cluster_paths() -> Iterator[str]:
    for resource, bodies in CLUSTER_SAMPLES.items():
        yield collection(resource, bodies[0], "")


async def test_lists_of_every_kind_have_the_same_columns(both: tuple[Api, Api]) -> None:
    paths = [collection(resource, bodies[0], both[0].namespace) for resource, bodies in SAMPLES.items()]
    for path in (*paths, *cluster_paths()):
        real, ours = [await api.get(path, accept=TABLE) for api in both]
        assert ours["columnDefinitions"] == real["columnDefinitions"], path
