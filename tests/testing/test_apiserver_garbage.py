"""What goes because something else went: dependents without owners, the contents of namespaces."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.kinds import CONFIG_MAP, NAMESPACE, SECRET
from reconcile.testing.apiserver import ApiServer, Settings
from reconcile.testing.loop import run, settled
from tests.testing.callers import Api, Reply

FOREGROUND = {"propagationPolicy": "Foreground"}
ORPHAN = {"propagationPolicy": "Orphan"}


def owned_by(*owners: Reply, blocking: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": one["apiVersion"],
            "kind": one["kind"],
            "name": one.meta["name"],
            "uid": one.meta["uid"],
            **({"blockOwnerDeletion": True} if blocking else {}),
        }
        for one in owners
    ]


def left(server: ApiServer) -> list[str]:
    return [one.metadata.name for one in server.objects(CONFIG_MAP)]


def entering(server: ApiServer) -> Api:
    return Api(server.transport(), "default")


# -- in the background ---------------------------------------------------------------------------------------------


async def test_a_dependent_follows_its_owner_and_so_does_what_depends_on_it() -> None:
    async with ApiServer() as server:
        api = entering(server)
        owner = await api.map("owner")
        child = await api.map("child", ownerReferences=owned_by(owner))
        await api.map("grandchild", ownerReferences=owned_by(child))
        await api.map("other")
        await settled()
        assert left(server) == ["child", "grandchild", "other", "owner"]
        await api.delete(f"{api.maps}/owner")
        await settled()
        assert left(server) == ["other"]


async def test_a_dependent_stays_while_one_owner_is_left() -> None:
    async with ApiServer() as server:
        api = entering(server)
        one, two = await api.map("one"), await api.map("two")
        await api.map("child", ownerReferences=owned_by(one, two))
        await api.delete(f"{api.maps}/one")
        await settled()
        child = await api.get(f"{api.maps}/child")
        assert child.meta["ownerReferences"] == owned_by(two)
        await api.delete(f"{api.maps}/two")
        await settled()
        assert left(server) == []


async def test_nothing_is_remembered_of_what_has_gone() -> None:
    def remembered(server: ApiServer) -> list[int]:
        graph = server._caretakers.graph
        return [len(one) for one in (graph._nodes, graph._by_place, graph._dependents, graph._due)]

    async with ApiServer() as server:
        api = entering(server)
        before = remembered(server)
        for _ in range(3):
            owner = await api.map("owner")
            child = await api.map("child", ownerReferences=owned_by(owner))
            await api.map("grandchild", ownerReferences=owned_by(child))
            await api.patch(f"{api.maps}/grandchild", {"metadata": {"ownerReferences": owned_by(owner)}})
            await api.delete(f"{api.maps}/owner")
            await settled()
        assert left(server) == []
        assert remembered(server) == before


async def test_an_owner_is_who_it_is_by_uid() -> None:
    async with ApiServer() as server:
        api = entering(server)
        owner = await api.map("owner")
        [reference] = owned_by(owner)
        await api.map("stranger", ownerReferences=[{**reference, "uid": "another"}])
        await api.map("nobody", ownerReferences=[{**reference, "name": "missing"}])
        await settled()
        assert left(server) == ["owner"]


async def test_an_owner_of_a_kind_that_nobody_knows_is_left_alone() -> None:
    async with ApiServer() as server:
        api = entering(server)
        reference = {"apiVersion": "unknown.example.com/v1", "kind": "Boss", "name": "boss", "uid": "u"}
        await api.map("child", ownerReferences=[reference])
        await settled()
        assert left(server) == ["child"]


async def test_a_finalizer_of_a_dependent_is_respected() -> None:
    async with ApiServer() as server:
        api = entering(server)
        owner = await api.map("owner")
        await api.map("child", ownerReferences=owned_by(owner), finalizers=["example.com/keep"])
        await api.delete(f"{api.maps}/owner")
        await settled()
        child = await api.get(f"{api.maps}/child")
        assert "deletionTimestamp" in child.meta
        await api.merge(f"{api.maps}/child", {"metadata": {"finalizers": None}})
        assert left(server) == []


# -- in the foreground, and not at all -----------------------------------------------------------------------------


async def test_in_the_foreground_an_owner_waits_for_those_who_block_it() -> None:
    async with ApiServer() as server:
        api = entering(server)
        owner = await api.map("owner")
        keep = ["example.com/keep"]
        await api.map("blocks", ownerReferences=owned_by(owner, blocking=True), finalizers=keep)
        await api.map("runs", ownerReferences=owned_by(owner), finalizers=keep)
        await api.map("goes", ownerReferences=owned_by(owner, blocking=True))
        await api.delete(f"{api.maps}/owner", FOREGROUND)
        await settled()
        assert left(server) == ["blocks", "owner", "runs"]
        assert (await api.get(f"{api.maps}/owner")).meta["finalizers"] == ["foregroundDeletion"]
        await api.merge(f"{api.maps}/blocks", {"metadata": {"finalizers": None}})
        await settled()
        assert left(server) == ["runs"]


async def test_orphans_stay_and_forget_their_owner() -> None:
    async with ApiServer() as server:
        api = entering(server)
        owner, other = await api.map("owner"), await api.map("other")
        await api.map("child", ownerReferences=owned_by(owner))
        await api.map("both", ownerReferences=owned_by(owner, other))
        await api.delete(f"{api.maps}/owner", ORPHAN)
        await settled()
        assert left(server) == ["both", "child", "other"]
        assert "ownerReferences" not in (await api.get(f"{api.maps}/child")).meta
        assert (await api.get(f"{api.maps}/both")).meta["ownerReferences"] == owned_by(other)


@pytest.mark.parametrize("options", [None, FOREGROUND], ids=["background", "foreground"])
async def test_a_circle_of_owners_is_no_reason_to_stay(options: dict[str, str] | None) -> None:
    async with ApiServer() as server:
        api = entering(server)
        first = await api.map("first")
        second = await api.map("second", ownerReferences=owned_by(first, blocking=True))
        circle = {"metadata": {"ownerReferences": owned_by(second, blocking=True)}}
        await api.merge(f"{api.maps}/first", circle)
        await api.delete(f"{api.maps}/first", options)
        await settled()
        assert left(server) == []


async def test_the_collector_can_be_kept_away_and_called_in() -> None:
    async with ApiServer(settings=Settings(garbage_collection=False)) as server:
        api = entering(server)
        owner = await api.map("owner")
        await api.map("child", ownerReferences=owned_by(owner))
        await api.delete(f"{api.maps}/owner")
        await settled()
        assert left(server) == ["child"]
        assert server.collect_garbage() == 1
        assert left(server) == []
        assert server.collect_garbage() == 0


@given(st.randoms(use_true_random=False), st.integers(2, 8))
def test_what_has_owners_outlives_them_only_while_one_is_left(rng: random.Random, count: int) -> None:
    """Any graph of owners, any of them deleted in any way: what is left is what still has one, or never had."""

    async def story() -> None:
        async with ApiServer() as server:
            api = entering(server)
            made: list[Reply] = []
            owners: dict[str, set[str]] = {}
            for number in range(count):
                chosen = rng.sample(made, rng.randint(0, min(len(made), 2)))
                metadata: dict[str, Any] = (
                    {"ownerReferences": owned_by(*chosen, blocking=rng.random() < 0.5)} if chosen else {}
                )
                owners[str(number)] = {one.meta["name"] for one in chosen}
                made.append(await api.map(str(number), **metadata))
            expected = set(owners)
            for name in rng.sample(sorted(owners), rng.randint(1, count)):
                if name not in expected:
                    continue
                how = rng.choice([None, FOREGROUND, ORPHAN])
                await api.delete(f"{api.maps}/{name}", how)
                await settled()
                expected.discard(name)
                if how is ORPHAN:
                    for mine in owners.values():
                        mine.discard(name)
                else:
                    while lost := {one for one in expected if owners[one] and not owners[one] & expected}:
                        expected -= lost
                # who has another owner forgets the one that is gone
                for one in expected:
                    owners[one] &= expected
            assert set(left(server)) == expected

    run(story())


# -- namespaces ----------------------------------------------------------------------------------------------------


async def test_a_namespace_goes_when_it_is_empty() -> None:
    async with ApiServer() as server:
        made = await entering(server).made("/api/v1/namespaces", {"metadata": {"name": "home"}})
        assert (made["spec"], made["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
        assert made.meta["labels"] == {"kubernetes.io/metadata.name": "home"}
        api = Api(server.transport(), "home")
        await api.map("a")
        await api.map("b", finalizers=["example.com/keep"])
        going = await api.delete("/api/v1/namespaces/home")
        assert going["status"]["phase"] == "Terminating"
        refused = await api.post(api.maps, {"metadata": {"name": "c"}})
        text = (
            'configmaps "c" is forbidden: unable to create new content in namespace home because it is being terminated'
        )
        assert refused.says == (403, "Forbidden", text)
        assert refused.causes == [
            ("metadata.namespace", "NamespaceTerminating", "namespace home is being terminated"),
        ]
        await settled()
        assert [one.metadata.name for one in server.objects(CONFIG_MAP, "home")] == ["b"]
        assert (await api.get("/api/v1/namespaces/home")).code == 200
        await api.merge(f"{api.maps}/b", {"metadata": {"finalizers": None}})
        await settled()
        assert (await api.get("/api/v1/namespaces/home")).code == 404


async def test_the_first_namespaces_are_there_and_some_of_them_for_ever() -> None:
    async with ApiServer() as server:
        names = [one.metadata.name for one in server.objects(NAMESPACE)]
        assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
        refused = await entering(server).delete("/api/v1/namespaces/default")
        assert refused.says == (
            403,
            "Forbidden",
            'namespaces "default" is forbidden: this namespace may not be deleted',
        )


async def test_objects_need_no_namespace_where_none_is_asked_for() -> None:
    async with ApiServer(settings=Settings(needs_namespace=False)) as server:
        await Api(server.transport(), "anywhere").map("a")
        assert [one.metadata.namespace for one in server.objects(CONFIG_MAP)] == ["anywhere"]


async def test_nobody_empties_a_namespace_where_that_is_switched_off() -> None:
    async with ApiServer(settings=Settings(namespace_lifecycle=False)) as server:
        api = Api(server.transport(), "default")
        await api.made("/api/v1/namespaces", {"metadata": {"name": "home"}})
        await api.made("/api/v1/namespaces/home/secrets", {"metadata": {"name": "a"}})
        await api.delete("/api/v1/namespaces/home")
        await settled()
        assert [one.metadata.name for one in server.objects(SECRET)] == ["a"]
