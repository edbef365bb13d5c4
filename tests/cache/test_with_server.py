"""The cache against a server that was not written for it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import orjson
import pytest

from reconcile.cache.cluster import Cluster
from reconcile.cache.table import Index
from reconcile.cache.watched import Watched
from reconcile.kube import finalizers
from reconcile.kube.errors import Conflict, NotFound
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.objects import Object, ObjectKey
from reconcile.kube.patch import MergePatch
from reconcile.testing.apiserver import ApiServer, Settings
from reconcile.testing.loop import settled

NAME = Index("name", lambda meta: [meta.name], needs="meta")


@asynccontextmanager
async def a_cluster(server: ApiServer, **watched: Any) -> AsyncIterator[Cluster]:
    declared = Watched(CONFIG_MAP, **watched)
    cluster = Cluster("c", server.client(field_manager="tester"), [declared], rng=random.Random(1))
    async with anyio.create_task_group() as tasks:
        await tasks.start(cluster.run)
        yield cluster
        tasks.cancel_scope.cancel()


def a_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    head = {"namespace": "default", "name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": data}


def kept(cluster: Cluster) -> dict[str, Any]:
    return {str(entry.key): orjson.loads(entry.raw) for entry in cluster.store(CONFIG_MAP).entries()}


def stored(server: ApiServer) -> dict[str, Any]:
    found = {}
    for thing in server.objects(CONFIG_MAP):
        document = thing.thaw()
        document["metadata"].pop("managedFields", None)
        found[str(thing.metadata.key)] = document
    return found


async def test_what_is_applied_is_read_at_once_and_not_applied_again() -> None:
    async with ApiServer() as server:
        for _ in range(2):
            async with a_cluster(server) as cluster:
                for _ in range(3):
                    body = a_map("a", labels={"app": "x"}, color="red")
                    body["metadata"]["ownerReferences"] = [
                        {"apiVersion": "e.io/v1", "kind": "Unserved", "name": "n", "uid": "u", "controller": True}
                    ]
                    applied = await cluster.apply(body)
                    assert cluster.store(CONFIG_MAP).get(applied.metadata.key) == applied_without(applied)
        assert cluster.writes == {("apply", "suppressed"): 3}
        assert sum(one.resource == "configmaps" for one in server.writes()) == 1


def applied_without(thing: Object) -> dict[str, Any]:
    """As it is kept."""
    document = thing.thaw()
    document["metadata"].pop("managedFields", None)
    return document


@pytest.mark.pain(4)
@pytest.mark.parametrize("trouble", ["none", "compacted", "ended", "restored"])
async def test_whatever_happens_to_the_watch_the_copy_becomes_the_servers_state(trouble: str) -> None:
    async with ApiServer(settings=Settings()) as server, a_cluster(server, indexes=(NAME,)) as cluster:
        other = server.client(field_manager="other")
        rng = random.Random(7)
        backup = None
        for round_ in range(60):
            name = f"n{rng.randrange(8)}"
            ours = rng.random() < 0.4
            if rng.random() < 0.3:
                try:
                    if ours:
                        await cluster.delete(CONFIG_MAP, ObjectKey("default", name))
                        assert ObjectKey("default", name) not in cluster.store(CONFIG_MAP)
                    else:
                        await other.delete(CONFIG_MAP, ObjectKey("default", name))
                except NotFound:
                    pass
            else:
                writer = cluster.apply(a_map(name, ours=str(round_))) if ours else None
                if writer is not None:
                    written = await writer
                    known = cluster.store(CONFIG_MAP).meta(written.metadata.key)
                    assert known is not None
                    assert known.version >= written.metadata.version
                else:
                    await other.apply(CONFIG_MAP, a_map(name, theirs=str(round_)))
            if round_ == 30:
                backup = server.snapshot()
            if round_ == 45 and trouble == "compacted":
                server.compact()
                server.end_watches()
            if round_ == 45 and trouble == "ended":
                server.end_watches()
            if round_ == 45 and trouble == "restored":
                assert backup is not None
                server.restore(backup)
        await asyncio.sleep(200)
        await settled()
        assert kept(cluster) == stored(server)
        for entry in cluster.store(CONFIG_MAP).entries():
            assert cluster.store(CONFIG_MAP).keys_by("name", entry.key.name) == [entry.key]
        assert (cluster.informer(CONFIG_MAP).resets > 0) == (trouble == "restored")


async def test_an_object_follows_its_labels_out_of_and_into_the_store() -> None:
    async with ApiServer() as server, a_cluster(server, labels="app=x") as cluster:
        store = cluster.store(CONFIG_MAP)
        thing = await cluster.apply(a_map("a", labels={"app": "x"}))
        thing = await cluster.patch(thing, MergePatch({"metadata": {"labels": {"app": "y"}}}))
        assert store.keys() == []
        await cluster.patch(thing, MergePatch({"metadata": {"labels": {"app": "x"}}}))
        assert len(store) == 1
        await asyncio.sleep(60)
        assert (len(store), store.unconfirmed, cluster.informer(CONFIG_MAP).relists) == (1, 0, {"start": 1})


async def test_the_last_finalizer_takes_the_object_out_of_the_store() -> None:
    async with ApiServer() as server, a_cluster(server) as cluster:
        thing = await cluster.apply(a_map("a"))
        thing = await cluster.patch(thing, finalizers.add(thing, "test/hold"))
        await cluster.delete(thing)
        dying = cluster.store(CONFIG_MAP).get(thing.metadata.key)
        assert dying is not None
        assert dying.metadata.is_deleting
        await cluster.patch(dying, finalizers.remove(dying, "test/hold"))
        assert cluster.store(CONFIG_MAP).keys() == []
        await asyncio.sleep(60)
        assert cluster.informer(CONFIG_MAP).relists == {"start": 1}


@pytest.mark.pain(23)
async def test_a_patch_for_an_object_does_not_change_the_next_one_of_its_name() -> None:
    async with ApiServer() as server, a_cluster(server) as cluster:
        old = await cluster.apply(a_map("a"))
        other = server.client()
        await other.delete(CONFIG_MAP, ObjectKey("default", "a"))
        await other.create(CONFIG_MAP, a_map("a"))
        with pytest.raises(Conflict):
            await cluster.patch(old, MergePatch({"data": {"x": "y"}}))
        assert stored(server)["default/a"].get("data", {}) == {}
        assert cluster.writes["patch", "conflict"] == 1


@pytest.mark.pain(9)
@pytest.mark.parametrize("watched", [{"metadata_only": True}, {"keep": ("data.a",)}], ids=["head", "paths"])
async def test_less_is_kept_where_less_is_asked_for(watched: dict[str, Any]) -> None:
    async with ApiServer() as server:
        await server.client().create(CONFIG_MAP, a_map("a", a="1", b="2" * 10_000))
        async with a_cluster(server, **watched) as cluster:
            [thing] = cluster.store(CONFIG_MAP).list("default")
            assert (thing.kind, thing.api_version) == ("ConfigMap", "v1")
            assert thing.get("data") == ({"a": "1"} if "keep" in watched else None)
            assert cluster.store(CONFIG_MAP).bytes < 1000
            await cluster.apply(a_map("a", a="2"))
            assert cluster.store(CONFIG_MAP).bytes < 1000


async def test_what_is_applied_under_the_manager_of_its_kind_is_not_applied_again() -> None:
    async with ApiServer() as server:
        for _ in range(2):
            async with a_cluster(server, manager="of the kind") as cluster:
                for _ in range(3):
                    await cluster.apply(a_map("a", color="red"))
        [found] = server.objects(CONFIG_MAP)
        assert [one["manager"] for one in found.thaw()["metadata"]["managedFields"]] == ["of the kind"]
        assert len(server.writes()) == 1
