"""Paths that lead to no object: discovery, health, and all the ways to be lost."""

import pytest

from tests.testing.callers import GROUP, Api, a_map

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def test_resources_of_a_version_are_described(api: Api) -> None:
    found = await api.get("/api/v1")
    assert (found["kind"], found["groupVersion"]) == ("APIResourceList", "v1")
    by_name = {one["name"]: one for one in found["resources"]}
    assert {**by_name["configmaps"], "storageVersionHash": ""} == {
        "name": "configmaps",
        "singularName": "configmap",
        "namespaced": True,
        "kind": "ConfigMap",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["cm"],
        "storageVersionHash": "",
    }
    assert "deletecollection" not in by_name["namespaces"]["verbs"]
    assert by_name["namespaces/status"]["verbs"] == ["get", "patch", "update"]
    custom = await api.get(f"/apis/{GROUP}/v1")
    assert sorted(one["name"] for one in custom["resources"]) == ["checks", "things", "things/status"]


async def test_groups_are_listed(api: Api) -> None:
    found = await api.get("/apis")
    assert found["kind"] == "APIGroupList"
    groups = {group["name"]: group for group in found["groups"]}
    version = {"groupVersion": f"{GROUP}/v1", "version": "v1"}
    assert groups[GROUP] == {"name": GROUP, "versions": [version], "preferredVersion": version}
    assert (await api.get(f"/apis/{GROUP}"))["preferredVersion"] == version
    assert (await api.get("/api"))["versions"] == ["v1"]


async def test_everything_is_described_in_one_document_when_asked_so(api: Api) -> None:
    found = await api.get("/apis", accept=AGGREGATED)
    assert found["kind"] == "APIGroupDiscoveryList"
    assert found.headers["content-type"] == AGGREGATED
    [group] = [one for one in found["items"] if one["metadata"]["name"] == GROUP]
    [version] = group["versions"]
    assert version["freshness"] == "Current"
    [thing] = [one for one in version["resources"] if one["resource"] == "things"]
    assert thing["responseKind"] == {"group": GROUP, "version": "v1", "kind": "Thing"}
    assert (thing["scope"], thing["singularResource"]) == ("Namespaced", "thing")
    assert [one["subresource"] for one in thing["subresources"]] == ["status"]
    core = await api.get("/api", accept=AGGREGATED)
    assert [one["version"] for group in core["items"] for one in group["versions"]] == ["v1"]


async def test_a_server_says_how_it_is_and_which_one_it_is(api: Api) -> None:
    for page in ("livez", "readyz", "healthz"):
        reply = await api.get(f"/{page}")
        assert (reply.code, reply.body) == (200, "ok")
    version = await api.get("/version")
    assert (version["major"], version["minor"]) == ("1", "36")
    assert version["gitVersion"].startswith("v1.36.")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/nothing", None),
        ("/apis/nothing.example.com", None),
        ("/apis/nothing.example.com/v1", None),
        ("/apis/nothing.example.com/v1/things", None),
        (f"/apis/{GROUP}/v2/things", None),
        (f"/apis/{GROUP}/v1/nothings", None),
        ("/api/v1/nothings", "the server could not find the requested resource"),
        ("/api/v1/configmaps/a", "the server could not find the requested resource"),
    ],
)
async def test_a_path_that_leads_nowhere_is_a_404(api: Api, path: str, says: str | None) -> None:
    reply = await api.get(path)
    if says is None:
        assert (reply.code, reply.body) == (404, "404 page not found\n")
    else:
        assert reply.says == (404, "NotFound", says)


async def test_an_object_that_is_not_there_is_named(api: Api) -> None:
    reply = await api.get(f"{api.maps}/a")
    assert reply.says == (404, "NotFound", 'configmaps "a" not found')
    assert reply["details"] == {"name": "a", "kind": "configmaps"}
    reply = await api.get(f"{api.things}/a")
    assert reply.says == (404, "NotFound", f'things.{GROUP} "a" not found')
    assert reply["details"] == {"name": "a", "group": GROUP, "kind": "things"}


async def test_a_method_that_a_resource_has_not_is_a_405(api: Api) -> None:
    text = "the server does not allow this method on the requested resource"
    for method, path in (("PUT", api.maps), ("POST", f"{api.maps}/a"), ("DELETE", "/api/v1/configmaps")):
        reply = await api.send(method, path, a_map("a"))
        assert reply.says == (405, "MethodNotAllowed", text), (method, path)
    reply = await api.delete("/api/v1/namespaces")
    assert reply.says == (405, "MethodNotAllowed", text)
