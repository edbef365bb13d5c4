"""Definitions of custom resources: a kind comes, changes and goes with its definition."""

import copy
from typing import Any

from reconcile.kube.kinds import CRD
from reconcile.testing.apiserver import ApiServer
from tests.testing.callers import DEFINITIONS, Api

GROUP = "net.example.com"
NETS = f"/apis/{GROUP}/v1/namespaces/default/nets"
NAME = f"nets.{GROUP}"


def definition(**properties: Any) -> dict[str, Any]:
    """A definition of Nets whose spec has these properties."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": GROUP,
            "names": {"kind": "Net", "plural": "nets", "shortNames": ["n"], "categories": ["all"]},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def a_net(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v1", "kind": "Net", "metadata": {"name": name, **metadata}, "spec": {"id": "1"}}


def entering(server: ApiServer) -> Api:
    return Api(server.transport(user_agent="tester/1.0"), "default")


def condition(definition: Any, kind: str) -> tuple[str, str]:
    [found] = [one for one in definition["status"]["conditions"] if one["type"] == kind]
    return found["status"], found["reason"]


async def test_a_kind_is_served_as_soon_as_it_is_defined() -> None:
    async with ApiServer() as server:
        api = entering(server)
        assert (await api.get(NETS)).body == "404 page not found\n"
        await api.made(DEFINITIONS, definition(id={"type": "string"}))
        made = await api.made(NETS, a_net("a"))
        assert (made["spec"], made.meta["generation"]) == ({"id": "1"}, 1)
        assert (await api.get(NETS))["kind"] == "NetList"
        found = await api.get(f"{DEFINITIONS}/{NAME}")
        assert condition(found, "NamesAccepted") == ("True", "NoConflicts")
        assert condition(found, "Established") == ("True", "InitialNamesAccepted")
        assert found["status"]["acceptedNames"] == {
            "kind": "Net",
            "listKind": "NetList",
            "plural": "nets",
            "singular": "net",
            "shortNames": ["n"],
            "categories": ["all"],
        }
        assert found["status"]["storedVersions"] == ["v1"]
        [served] = (await api.get(f"/apis/{GROUP}/v1"))["resources"]
        assert (served["shortNames"], served["categories"], served["singularName"]) == (["n"], ["all"], "net")


async def test_a_definition_changes_how_its_objects_are_read_in() -> None:
    async with ApiServer() as server:
        api = entering(server)
        await api.made(DEFINITIONS, definition(id={"type": "string"}))
        await api.made(NETS, a_net("a"))
        assert "size" not in (await api.merge(f"{NETS}/a", {"spec": {"size": 1}}))["spec"]
        wider = definition(id={"type": "string"}, size={"type": "integer"}, mode={"type": "string", "default": "x"})
        found = await api.get(f"{DEFINITIONS}/{NAME}")
        changed = await api.put(f"{DEFINITIONS}/{NAME}", {**found.body, "spec": wider["spec"]})
        assert (changed.code, changed.meta["generation"]) == (200, 2)
        changed = await api.merge(f"{NETS}/a", {"spec": {"size": 1}})
        assert changed["spec"] == {"id": "1", "size": 1, "mode": "x"}


async def test_status_and_lists_are_as_the_definition_says() -> None:
    async with ApiServer() as server:
        api = entering(server)
        peers = {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        }
        await api.made(DEFINITIONS, definition(peers=peers))
        for manager in ("one", "two"):
            body = {**a_net("a"), "spec": {"peers": [{"name": manager}]}}
            applied = await api.apply(f"{NETS}/a", body, manager)
        assert applied["spec"]["peers"] == [{"name": "one"}, {"name": "two"}]
        assert (await api.get(f"{NETS}/a/status")).code == 404
        found = await api.get(f"{DEFINITIONS}/{NAME}")
        version = {**found["spec"]["versions"][0], "subresources": {"status": {}}}
        await api.merge(f"{DEFINITIONS}/{NAME}", {"spec": {"versions": [version]}})
        assert (await api.get(f"{NETS}/a/status")).code == 200


async def test_a_cluster_wide_kind_has_no_namespaces() -> None:
    async with ApiServer() as server:
        api = entering(server)
        wide = definition(id={"type": "string"})
        wide["spec"]["scope"] = "Cluster"
        await api.made(DEFINITIONS, wide)
        made = await api.made(f"/apis/{GROUP}/v1/nets", a_net("a"))
        assert "namespace" not in made.meta
        assert (await api.get(NETS)).code == 404


async def test_a_kind_goes_with_its_definition_objects_first() -> None:
    async with ApiServer() as server:
        api = entering(server)
        await api.made(DEFINITIONS, definition(id={"type": "string"}))
        await api.made(NETS, a_net("a"))
        await api.made(NETS, a_net("b", finalizers=["example.com/keep"]))
        watch = await api.watch(NETS)
        await watch.take(2)
        reply = await api.delete(f"{DEFINITIONS}/{NAME}")
        assert reply.meta["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
        assert await watch.names(2) == [("DELETED", "a"), ("MODIFIED", "b")]
        going = await api.get(f"{DEFINITIONS}/{NAME}")
        assert condition(going, "Terminating") == ("True", "InstanceDeletionInProgress")
        refused = await api.post(NETS, a_net("c"))
        assert refused.says[:2] == (403, "Forbidden")
        assert refused["message"].endswith("create not allowed while custom resource definition is terminating")
        await api.merge(f"{NETS}/b", {"metadata": {"finalizers": None}})
        assert [kind for kind, _ in await watch.to_end()] == ["DELETED"]
        assert (await api.get(f"{DEFINITIONS}/{NAME}")).code == 404
        assert (await api.get(NETS)).body == "404 page not found\n"
        assert (await api.get(f"/apis/{GROUP}")).code == 404


async def test_a_kind_may_come_again_empty() -> None:
    async with ApiServer() as server:
        api = entering(server)
        for _ in range(2):
            await api.made(DEFINITIONS, definition(id={"type": "string"}))
            assert (await api.get(NETS))["items"] == []
            await api.made(NETS, a_net("a"))
            await api.delete(f"{DEFINITIONS}/{NAME}")
        assert server.objects(CRD) == []


async def test_a_definition_survives_a_restore() -> None:
    async with ApiServer() as server:
        api = entering(server)
        await api.made(DEFINITIONS, definition(id={"type": "string"}))
        await api.made(NETS, a_net("a"))
        backup = copy.copy(server.snapshot())
        await api.delete(f"{DEFINITIONS}/{NAME}")
        assert (await api.get(NETS)).code == 404
        server.restore(backup)
        assert [item["metadata"]["name"] for item in (await api.get(NETS))["items"]] == ["a"]
        await api.delete(f"{DEFINITIONS}/{NAME}")
        assert (await api.get(NETS)).code == 404
