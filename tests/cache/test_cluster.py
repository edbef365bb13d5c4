"""Stores to read, a client to write, and the answers of writes in the stores before they return."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import attrs
import orjson
import pytest

from reconcile.cache.cluster import Cluster, UndeclaredKind
from reconcile.cache.entry import LAST_APPLIED
from reconcile.cache.informer import NotSynced
from reconcile.cache.watched import Watched
from reconcile.core.clock import now
from reconcile.kube import finalizers
from reconcile.kube.errors import AlreadyExists, Conflict, ConnectionFailed, Forbidden, NotFound
from reconcile.kube.journal import Write, journal
from reconcile.kube.kinds import CONFIG_MAP, SECRET
from reconcile.kube.objects import Object, ObjectKey, ObjectMeta
from reconcile.kube.patch import JsonPatch, MergePatch
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.resource import Resource
from reconcile.kube.selector import BadSelector
from reconcile.testing.loop import settled
from tests.cache.fakes import FakeServer, status
from tests.cache.things import THING

A = ObjectKey("default", "a")


@attrs.frozen
class Spec:
    color: str = ""
    size: int | None = None


@attrs.frozen
class Thing:
    metadata: ObjectMeta
    spec: Spec = Spec()
    status: Mapping[str, str] | None = None


TYPED: Resource[Thing] = Resource("example.dev", "v1", "Thing", "things", type=Thing)


@asynccontextmanager
async def a_cluster(server: FakeServer, *watched: Any, **more: Any) -> AsyncIterator[Cluster]:
    cluster = Cluster("c", server.client(), watched or (TYPED,), **more)
    async with anyio.create_task_group() as tasks:
        await tasks.start(cluster.run)
        yield cluster
        tasks.cancel_scope.cancel()


def desired(name: str = "a", color: str = "red", **more: Any) -> Thing:
    return Thing(ObjectMeta(namespace="default", name=name, **more), Spec(color))


def the(cluster: Cluster, name: str = "a") -> Thing:
    thing = cluster.store(Thing).get(ObjectKey("default", name))
    assert thing is not None
    return thing


@pytest.fixture
def written() -> Any:
    """What the journal was told: verb, outcome, paths."""
    writes: list[tuple[str, str, tuple[str, ...]]] = []

    def note(write: Write) -> None:
        assert write.cluster == "c"
        writes.append((write.verb, write.outcome, write.paths))

    token = journal.set(note)
    yield writes
    journal.reset(token)


# what is declared


async def test_a_cluster_that_is_only_written_to_runs_until_it_is_cancelled() -> None:
    cluster = Cluster("c", FakeServer().client(), kinds=[TYPED])
    with anyio.move_on_after(3600) as scope:
        await cluster.run()
    assert scope.cancelled_caught


async def test_started_means_that_all_stores_are_synced() -> None:
    server = FakeServer()
    server.put("a")
    async with a_cluster(server) as cluster:
        assert cluster.has_synced
        assert the(cluster).spec == Spec("blue")
        assert [informer.name for informer in cluster.informers] == ["c/things.example.dev"]


@pytest.mark.pain(10)
async def test_a_kind_that_was_not_declared_cannot_be_read_nor_written() -> None:
    async with a_cluster(FakeServer(), TYPED, kinds=(SECRET,)) as cluster:
        says = "cluster c does not declare configmaps for this; it watches: things.example.dev"
        with pytest.raises(UndeclaredKind, match=says):
            cluster.store(CONFIG_MAP)
        with pytest.raises(UndeclaredKind, match="declares without watching: secrets"):
            cluster.store(SECRET)
        with pytest.raises(UndeclaredKind, match="Spec"):
            cluster.resource(Spec)
        with pytest.raises(UndeclaredKind, match="v1 ConfigMap"):
            await cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        with pytest.raises(UndeclaredKind, match="does not say its kind"):
            await cluster.apply({"metadata": {"name": "a"}})
        assert (cluster.resource(SECRET), cluster.resource(Thing)) == (SECRET, TYPED)


def test_declarations_that_contradict_each_other_are_refused() -> None:
    client = FakeServer().client()
    with pytest.raises(ValueError, match=r"watches things\.example\.dev twice"):
        Cluster("c", client, [THING, Watched(THING)])
    with pytest.raises(ValueError, match="two declarations of Thing"):
        Cluster("c", client, [THING, TYPED])
    with pytest.raises(UndeclaredKind, match="several kinds as Object: configmaps, secrets"):
        Cluster("c", client, [CONFIG_MAP, SECRET]).store(Object)
    with pytest.raises(ValueError, match="cluster-scoped"):
        Watched(Resource.untyped("v1", "Node", "nodes", namespaced=False), namespaces=("a",))
    with pytest.raises(ValueError, match="without bodies"):
        Watched(THING, metadata_only=True, keep=("spec",))
    with pytest.raises(BadSelector):
        Watched(THING, labels="a in")


@pytest.mark.pain(10)
async def test_a_kind_that_may_not_be_watched_fails_the_start_in_plain_words() -> None:
    server = FakeServer()
    server.next("watch", *[status(403, "Forbidden", "no")] * 100)
    with pytest.raises(NotSynced, match=r"c/things\.example\.dev cannot be watched: no right to watch") as caught:
        await Cluster("c", server.client(), [TYPED]).run()
    assert now() < 10
    assert isinstance(caught.value.__cause__, Forbidden)


# read your writes


@pytest.mark.pain(7)
async def test_the_answer_of_a_write_is_in_the_store_before_it_returns(written: Any) -> None:
    server = FakeServer()
    async with a_cluster(server) as cluster:
        server.streams[0].is_dead = True
        created = await cluster.apply(desired())
        assert the(cluster) == created
        assert created.metadata.uid
        changed = await cluster.patch(created, MergePatch({"spec": {"size": 3}}))
        assert the(cluster) == changed
        assert (changed.spec, created.spec) == (Spec("red", 3), Spec("red"))
        changed = await cluster.patch_status(changed, MergePatch({"status": {"phase": "up"}}))
        assert the(cluster).status == {"phase": "up"}
        changed = await cluster.update(attrs.evolve(changed, spec=Spec("green")))
        assert the(cluster) == changed
        await cluster.create(desired("b"))
        assert the(cluster, "b").spec.color == "red"
        await cluster.delete(changed)
        assert A not in cluster.store(Thing)
    assert written == [
        ("apply", "changed", ()),
        ("patch", "changed", ("spec.size",)),
        ("patch", "changed", ("status.phase",)),
        ("update", "changed", ("spec.color", "spec.size")),
        ("create", "changed", ()),
        ("delete", "changed", ()),
    ]
    assert cluster.writes["patch", "changed"] == 2


@pytest.mark.pain(7)
async def test_an_object_that_is_held_by_finalizers_is_seen_dying_and_gone_with_the_last_one() -> None:
    server = FakeServer()
    async with a_cluster(server) as cluster:
        thing = await cluster.apply(desired())
        thing = await cluster.patch(thing, finalizers.add(thing, "test/hold"))
        server.streams[0].is_dead = True
        await cluster.delete(thing)
        dying = the(cluster)
        assert dying.metadata.is_deleting
        before = len(server.writes())
        await cluster.delete(dying)
        assert len(server.writes()) == before
        assert cluster.writes["delete", "suppressed"] == 1
        await cluster.patch(dying, finalizers.remove(dying, "test/hold"))
        assert A not in cluster.store(Thing)


@pytest.mark.pain(23)
async def test_only_the_object_that_was_meant_is_deleted() -> None:
    server = FakeServer()
    server.put("a", uid="one")
    async with a_cluster(server) as cluster:
        old = the(cluster)
        server.streams[0].is_dead = True
        server.drop("a")
        server.put("a", uid="two")
        with pytest.raises(Conflict):
            await cluster.delete(old)
        assert ("default", "a") in server.objects
        await cluster.delete(Thing, A)
        assert server.objects == {}
        await cluster.delete(Thing, A)
        await cluster.delete(old)
        assert cluster.writes["delete", "noop"] == 2


async def test_an_object_that_somebody_wrote_to_since_is_not_deleted_if_that_matters() -> None:
    server = FakeServer()
    server.put("a")
    async with a_cluster(server) as cluster:
        old = the(cluster)
        server.streams[0].is_dead = True
        server.put("a", spec={"color": "white"})
        with pytest.raises(Conflict):
            await cluster.delete(old, resource_version=old.metadata.resource_version)
        assert ("default", "a") in server.objects
        await cluster.delete(old)
        assert server.objects == {}


async def test_create_if_absent_leaves_what_is_there_as_it_is(written: Any) -> None:
    server = FakeServer()
    async with a_cluster(server) as cluster:
        server.streams[0].is_dead = True
        await cluster.create_if_absent(desired(color="red"))
        assert (await cluster.create_if_absent(desired(color="green"))).spec.color == "red"
        server.put("b")  # the store does not know yet
        there = await cluster.create_if_absent(desired("b"))
        assert there.spec.color == the(cluster, "b").spec.color == "blue"
        with pytest.raises(AlreadyExists):
            await cluster.create(desired("b"))
    assert [outcome for _, outcome, _ in written] == ["changed", "suppressed", "conflict", "conflict"]


async def test_a_conflict_is_counted_and_raised() -> None:
    server = FakeServer()
    server.put("a")
    async with a_cluster(server) as cluster:
        old = the(cluster)
        server.streams[0].is_dead = True
        server.put("a", spec={"color": "white"})
        for write in (
            cluster.update(attrs.evolve(old, spec=Spec("x"))),
            cluster.patch(old, finalizers.add(old, "a/b")),
        ):
            with pytest.raises(Conflict):
                await write
        assert (cluster.writes["update", "conflict"], cluster.writes["patch", "conflict"]) == (1, 1)


# what is not sent


@pytest.mark.pain(14)
async def test_an_apply_that_surely_changes_nothing_is_not_sent_also_after_a_restart() -> None:
    server = FakeServer()
    for round_ in range(2):
        async with a_cluster(server) as cluster:
            for _ in range(3):
                thing = await cluster.apply(desired())
                assert thing.spec == Spec("red")
            assert cluster.writes["apply", "suppressed"] == 2 + round_
    assert len(server.writes()) == 1


@pytest.mark.pain(14)
@pytest.mark.parametrize(
    "change",
    [
        lambda server: server.put("a", spec={"color": "theirs"}, managedFields=managed(server)),
        lambda server: server.put("a", spec={"color": "red"}),
        lambda server: server.drop("a"),
    ],
    ids=["another value", "no longer ours", "gone"],
)
async def test_an_apply_is_sent_when_somebody_undid_it(change: Callable[[FakeServer], Any]) -> None:
    server = FakeServer()
    async with a_cluster(server) as cluster:
        await cluster.apply(desired())
        change(server)
        await settled()
        await cluster.apply(desired())
        assert (len(server.writes()), the(cluster).spec.color) == (2, "red")
        await cluster.apply(desired())
        assert len(server.writes()) == 2


def managed(server: FakeServer) -> Any:
    return server.objects["default", "a"]["metadata"]["managedFields"]


@pytest.mark.pain(14)
async def test_an_apply_with_fewer_fields_or_to_another_subresource_is_sent() -> None:
    server = FakeServer()
    async with a_cluster(server, THING) as cluster:
        body = {"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"namespace": "default", "name": "a"}}
        await cluster.apply({**body, "spec": {"color": "red", "size": 1}})
        await cluster.apply({**body, "spec": {"color": "red"}})
        await cluster.apply_status({**body, "status": {"x": "y"}})
        await cluster.apply_status({**body, "status": {"x": "y"}})
        await cluster.apply({**body, "spec": {"color": "red"}})
        assert (len(server.writes()), cluster.writes["apply", "suppressed"]) == (3, 2)


@pytest.mark.pain(14)
async def test_a_patch_that_changes_nothing_is_not_sent(written: Any) -> None:
    server = FakeServer()
    server.put("a", labels={"x": "y"})
    async with a_cluster(server) as cluster:
        thing = the(cluster)
        for patch in (
            None,
            MergePatch({"spec": {"color": "blue"}}),
            MergePatch({"spec": {"size": None}, "metadata": {"labels": {"z": None}}}),
            finalizers.remove(thing, "test/hold"),
        ):
            assert await cluster.patch(thing, patch) is thing
        assert await cluster.update(thing) is thing
        assert server.writes() == []
        await cluster.patch(thing, JsonPatch([{"op": "test", "path": "/spec", "value": {}}]))
        assert len(server.writes()) == 1
    assert [outcome for _, outcome, _ in written] == ["suppressed"] * 3 + ["noop"]


@pytest.mark.pain(14)
async def test_whether_a_patch_changes_anything_is_told_from_the_newest_state() -> None:
    server = FakeServer()
    server.put("a")
    async with a_cluster(server) as cluster:
        old = the(cluster)
        await cluster.patch(old, MergePatch({"spec": {"color": "red"}}))
        await cluster.patch(old, MergePatch({"spec": {"color": "blue"}}))
        assert server.objects["default", "a"]["spec"]["color"] == "blue"


async def test_an_apply_to_a_kind_that_is_not_watched_is_always_sent() -> None:
    server = FakeServer()
    cluster = Cluster("c", server.client(), kinds=[TYPED])
    for _ in range(2):
        await cluster.apply(desired())
    assert len(server.writes()) == 2
    assert cluster.writes == {("apply", "changed"): 2}


@pytest.mark.parametrize("watched", [Watched(TYPED, keep=("spec.size",)), Watched(TYPED, metadata_only=True)])
async def test_of_what_is_not_kept_nothing_is_proved_and_nothing_is_lost(watched: Watched[Thing]) -> None:
    server = FakeServer()
    server.put("a", spec={"color": "blue", "size": 3})
    async with a_cluster(server, watched) as cluster:
        thing = the(cluster)
        assert thing.spec.color == ""
        await cluster.patch(thing, MergePatch({"spec": {"color": None}}))
        assert server.objects["default", "a"]["spec"] == {"size": 3}
        server.put("a", spec={"color": "blue", "size": 3})
        await settled()
        thing = the(cluster)
        await cluster.update(attrs.evolve(thing, metadata=thing.metadata.evolve(labels={"x": "y"})))
        await settled()
        assert server.objects["default", "a"]["spec"] == {"color": "blue", "size": 3}
        assert the(cluster).metadata.labels == {"x": "y"}
        await cluster.apply(desired("b"))
        await cluster.apply(desired("b"))
        assert cluster.writes["apply", "suppressed"] == 0


async def test_an_update_keeps_what_kubectl_wrote_of_itself() -> None:
    server = FakeServer()
    server.put("a", annotations={LAST_APPLIED: "{}"})
    async with a_cluster(server) as cluster:
        old = the(cluster)
        assert old.metadata.annotations == {}
        await cluster.update(attrs.evolve(old, spec=Spec("red")))
        assert server.objects["default", "a"]["metadata"]["annotations"] == {LAST_APPLIED: "{}"}
        assert the(cluster).spec.color == "red"
        with pytest.raises(Conflict):
            await cluster.update(attrs.evolve(old, spec=Spec("green")))
        body = {**server.objects["default", "a"], "spec": {"color": "white"}}
        await cluster.update(body)
        assert server.objects["default", "a"]["metadata"]["annotations"] == {LAST_APPLIED: "{}"}


# what is not known


def lost(server: FakeServer, *, done: bool) -> Callable[[HttpRequest], None]:
    """The server gets the next request, the client gets no answer."""

    def answer(request: HttpRequest) -> None:
        if done:
            info = server.requests[-1][0]
            assert info is not None
            server._one(info.verb, info, request)
        raise ConnectionFailed("reset", sent=True)

    return answer


@pytest.mark.pain(7)
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("verb", ["create", "patch", "delete"])
async def test_after_a_write_with_unknown_outcome_the_store_shows_what_it_did(verb: str, done: bool) -> None:
    server = FakeServer()
    server.put("a")
    async with a_cluster(server) as cluster:
        server.streams[0].is_dead = True
        old = the(cluster)
        writes: dict[str, Callable[[], Awaitable[Any]]] = {
            "create": lambda: cluster.create(desired("b")),
            "patch": lambda: cluster.patch(old, MergePatch({"spec": {"color": "red"}})),
            "delete": lambda: cluster.delete(old),
        }
        server.next(verb, lost(server, done=done))
        with pytest.raises(ConnectionFailed):
            await writes[verb]()
        assert {entry.key.name: orjson.loads(entry.raw) for entry in cluster.store(Thing).entries()} == {
            name: thing for (_, name), thing in server.objects.items()
        }
        assert cluster.writes[verb, "failed"] == 1
        with suppress(AlreadyExists, NotFound):
            await writes[verb]()
        assert ("default", "b") in server.objects or verb != "create"


@pytest.mark.pain(7)
async def test_an_outcome_that_cannot_be_found_out_is_raised_in_time_and_the_event_follows() -> None:
    server = FakeServer()
    server.put("a")
    async with a_cluster(server) as cluster:
        server.next("patch", lost(server, done=True))
        server.next("get", ConnectionFailed("refused", sent=False))
        old = the(cluster)
        with pytest.raises(ConnectionFailed, match="reset"):
            await cluster.patch(old, MergePatch({"spec": {"color": "red"}}))
        await settled()
        assert the(cluster).spec.color == "red"


async def hang(request: HttpRequest, **_: Any) -> HttpResponse:
    await asyncio.sleep(3600)
    raise AssertionError


async def test_a_cancelled_write_is_noted_as_one_that_may_have_happened(written: Any) -> None:
    server = FakeServer()
    async with a_cluster(server) as cluster:
        server.call = hang  # type: ignore[method-assign]
        task = asyncio.create_task(cluster.apply(desired()))
        await settled()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert written == [("apply", "failed", ())]


async def test_a_live_read_asks_the_server() -> None:
    server = FakeServer()
    server.put("a")
    async with a_cluster(server) as cluster:
        server.streams[0].is_dead = True
        server.put("a", spec={"color": "new"})
        assert (await cluster.get(Thing, A)).spec.color == "new"
        with pytest.raises(NotFound):
            await cluster.get(TYPED, ObjectKey("default", "none"))


@pytest.mark.pain(22)
@pytest.mark.parametrize("kind", [TYPED, THING])
async def test_of_what_a_live_read_showed_the_end_is_told_though_the_watch_never_showed_it(kind: Resource[Any]) -> None:
    server, b = FakeServer(), ObjectKey("default", "b")
    told: list[tuple[ObjectKey, bool, bool]] = []
    async with a_cluster(server, kind) as cluster:
        cluster.informer(kind).add_handler(lambda one: told.append((one.key, one.new is None, one.is_own)))
        watch = server.streams[0]
        watch.is_dead = True
        server.put("b")
        await cluster.get(kind, b)
        assert [entry.key for entry in cluster.store(kind).entries()] == [b]
        await cluster.get(kind, b)
        server.drop("b")
        server.compact()
        watch.is_dead = False
        watch.tear()
        await anyio.sleep(60)
        assert cluster.store(kind).get(b) is None
    assert told == [(b, False, False), (b, True, False)]


async def an_end_that_came_before_the_answer(server: FakeServer, cluster: Cluster) -> HttpResponse:
    """The answer, which is from before it."""
    then = HttpResponse(200, {}, orjson.dumps(server.put("a", spec={"color": "then"})))
    server.drop("a")
    await settled()
    assert cluster.store(Thing).get(A) is None
    return then


@pytest.mark.pain(7)
async def test_a_live_read_that_the_watch_has_overtaken_brings_nothing_back_to_life() -> None:
    server = FakeServer()
    server.put("a")
    async with a_cluster(server) as cluster:
        server.next("get", await an_end_that_came_before_the_answer(server, cluster))
        assert (await cluster.get(Thing, A)).spec.color == "then"
        assert cluster.store(Thing).get(A) is None
        assert not cluster.store(Thing).unconfirmed


@pytest.mark.pain(7)
async def test_a_write_whose_answer_the_watch_has_overtaken_stands_until_a_list_tells() -> None:
    server = FakeServer()
    server.put("a")
    async with a_cluster(server) as cluster:
        old = the(cluster)
        server.next("patch", await an_end_that_came_before_the_answer(server, cluster))
        await cluster.patch(old, MergePatch({"spec": {"color": "then"}}))
        assert the(cluster).spec.color == "then"
        server.streams[-1].bookmark(server.version + 1)
        await anyio.sleep(40)
        assert cluster.store(Thing).get(A) is None


@pytest.mark.pain(7)
@pytest.mark.parametrize("watch_list", [True, False])
async def test_a_watch_that_tells_an_own_write_anew_is_left_for_a_list(watch_list: bool) -> None:
    """As a server does that begins again from an older version than it was asked for."""
    server = FakeServer(watch_list=watch_list)
    server.put("a")
    async with a_cluster(server) as cluster:
        watch = server.streams[-1]
        watch.is_dead = True
        await cluster.patch(the(cluster), MergePatch({"spec": {"color": "own"}}))
        own = dict(server.objects["default", "a"])
        watch.is_dead = False
        server.put("b")
        watch.send("MODIFIED", own)
        await anyio.sleep(10)
        assert cluster.informer(Thing).relists == {"start": 1, "version went back": 1}
        assert the(cluster).spec.color == "own"
        assert not cluster.store(Thing).unconfirmed


async def test_a_live_read_of_what_is_not_selected_or_older_changes_nothing() -> None:
    server = FakeServer()
    server.put("a", labels={"color": "red"})
    async with a_cluster(server, Watched(TYPED, labels="color=red")) as cluster:
        server.streams[0].is_dead = True
        server.put("b")
        await cluster.get(TYPED, ObjectKey("default", "b"))
        assert [entry.key for entry in cluster.store(TYPED).entries()] == [A]
        old = dict(server.objects["default", "a"])
        await cluster.patch(the(cluster), MergePatch({"spec": {"color": "new"}}))
        server.next("get", HttpResponse(200, {}, orjson.dumps(old)))
        assert (await cluster.get(TYPED, A)).spec.color != "new"
        assert the(cluster).spec.color == "new"
