"""A kind's own code inside its writes: what it sees, may change, and undoes."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.objects import ObjectKey
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import ApiServer, Fault, Hooks, Kind, Strategy, User, Write, custom
from reconcile.testing.apiserver.failure import Document, Failure, invalid_value
from tests.testing.callers import Api

DISK = Resource.untyped("example.com/v1", "Disk", "disks")
DISKS = "/apis/example.com/v1/namespaces/default/disks"
POOL = ObjectKey("default", "pool")
ANNA = User("anna", ())


def a_disk(name: str, **spec: object) -> Document:
    return {"apiVersion": "example.com/v1", "kind": "Disk", "metadata": {"name": name}, "spec": spec}


def serving(hooks: Hooks, strategy: Strategy | None = None) -> ApiServer:
    return ApiServer([Kind(DISK, strategy=strategy or custom(status=True), hooks=hooks)])


def pool(server: ApiServer) -> dict[str, str]:
    """Who holds which number, as it is stored."""
    [found] = [one for one in server.objects(CONFIG_MAP) if one.metadata.name == "pool"]
    return dict(found.get("data") or {})


def allocate(write: Write) -> None:
    """Number disks from a pool that is a ConfigMap, and give numbers back."""
    held = write.world.get(CONFIG_MAP, POOL)
    assert held is not None
    numbers = held.setdefault("data", {})
    name = write.object["metadata"].get("name") or "?"
    if write.new is None:
        numbers.pop(name, None)
    elif name not in numbers:
        numbers[name] = str(1 + max(map(int, numbers.values()), default=0))
        write.new["spec"]["number"] = int(numbers[name])
    write.world.update(CONFIG_MAP, held)


async def with_pool(server: ApiServer) -> Api:
    api = Api(server.transport(user=ANNA, user_agent="tester/1.0"), "default")
    await api.map("pool")
    return api


# -- allocate ------------------------------------------------------------------------------------------------------


async def test_an_allocation_is_stored_with_its_object_and_goes_with_it() -> None:
    async with serving(Hooks(allocate=allocate)) as server:
        api = await with_pool(server)
        made = await api.made(DISKS, a_disk("a"))
        assert made["spec"] == {"number": 1}
        assert (await api.made(DISKS, a_disk("b")))["spec"] == {"number": 2}
        assert pool(server) == {"a": "1", "b": "2"}
        await api.delete(f"{DISKS}/a")
        assert pool(server) == {"b": "2"}


async def test_both_changes_show_in_watches_in_the_order_they_were_made() -> None:
    async with serving(Hooks(allocate=allocate)) as server:
        api = await with_pool(server)
        maps, disks = await api.watch(api.maps), await api.watch(DISKS)
        await maps.take(1)
        made = await api.made(DISKS, a_disk("a"))
        [(_, held)] = await maps.take(1)
        [(_, disk)] = await disks.take(1)
        assert held["data"] == {"a": "1"}
        assert disk == made.body
        assert int(held["metadata"]["resourceVersion"]) < int(disk["metadata"]["resourceVersion"])


async def test_what_was_taken_is_given_back_when_the_write_fails() -> None:
    async with serving(Hooks(allocate=allocate)) as server:
        api = await with_pool(server)
        await api.made(DISKS, a_disk("a"))
        version = server.storage.version
        assert (await api.post(DISKS, a_disk("A_"))).code == 422
        assert (await api.post(DISKS, a_disk("a"))).code == 409
        assert (pool(server), server.storage.version) == ({"a": "1"}, version)


async def test_a_dry_run_takes_nothing() -> None:
    async with serving(Hooks(allocate=allocate)) as server:
        api = await with_pool(server)
        tried = await api.made(DISKS, a_disk("a"), dryRun="All")
        assert tried["spec"] == {"number": 1}
        assert pool(server) == {}


async def test_an_attempt_at_a_name_that_is_taken_leaves_nothing_behind() -> None:
    def number(write: Write) -> None:
        held = write.world.get(CONFIG_MAP, POOL)
        assert held is not None
        data = held.setdefault("data", {})
        data[str(len(data))] = write.object["metadata"]["name"]
        write.world.update(CONFIG_MAP, held)

    async with serving(Hooks(allocate=number)) as server:
        api = await with_pool(server)
        body = {**a_disk(""), "metadata": {"generateName": "d-"}}
        state = server.rng.getstate()
        first = await api.made(DISKS, body)
        server.rng.setstate(state)  # the server makes up the same name again
        second = await api.made(DISKS, body)
        assert first.meta["name"] != second.meta["name"]
        assert pool(server) == {"0": first.meta["name"], "1": second.meta["name"]}


async def test_a_release_waits_for_the_last_finalizer() -> None:
    async with serving(Hooks(allocate=allocate)) as server:
        api = await with_pool(server)
        await api.made(DISKS, {**a_disk("a"), "metadata": {"name": "a", "finalizers": ["example.com/x"]}})
        await api.delete(f"{DISKS}/a")
        assert pool(server) == {"a": "1"}
        await api.merge(f"{DISKS}/a", {"metadata": {"finalizers": None}})
        assert pool(server) == {}


async def test_a_hook_may_go_on_after_a_refusal_and_what_was_refused_leaves_nothing() -> None:
    part = Resource.untyped("example.com/v1", "Part", "parts")

    def label(write: Write) -> None:
        write.world.create(CONFIG_MAP, {"metadata": {**write.object["metadata"], "uid": ""}})

    def judge(write: Write) -> Iterator[Fault]:
        if write.object["metadata"]["name"] == "bad":
            yield invalid_value("metadata.name", "bad", "is bad")

    def build(write: Write) -> None:
        for name in ("one", "bad", "two"):
            body = {**a_disk(name), "kind": "Part", "metadata": {"name": name, "namespace": "default"}}
            with contextlib.suppress(Failure):
                write.world.create(part, body)

    kinds = [Kind(part, hooks=Hooks(allocate=label, validate=judge)), Kind(DISK, hooks=Hooks(allocate=build))]
    async with ApiServer(kinds) as server:
        api = Api(server.transport(), "default")
        await api.made(DISKS, a_disk("a"))
        assert [one.metadata.name for one in server.objects(part)] == ["one", "two"]
        assert [one.metadata.name for one in server.objects(CONFIG_MAP)] == ["one", "two"]


async def test_a_hook_sees_user_and_both_objects() -> None:
    seen: list[tuple[str, str, object, object, bool]] = []

    def note(write: Write) -> None:
        old, new = [one["spec"].get("size") if one else None for one in (write.old, write.new)]
        seen.append((write.user.name, write.subresource, old, new, write.dry_run))

    async with serving(Hooks(allocate=note)) as server:
        api = Api(server.transport(user=ANNA), "default")
        await api.made(DISKS, a_disk("a", size=1))
        await api.merge(f"{DISKS}/a", {"spec": {"size": 2}})
        await api.merge(f"{DISKS}/a/status", {"status": {"ok": True}}, dryRun="All")
        await api.delete(f"{DISKS}/a")
    assert seen == [
        ("anna", "", None, 1, False),
        ("anna", "", 1, 2, False),
        ("anna", "status", 2, 2, True),
        ("anna", "", 2, None, False),
    ]


async def test_a_hook_reads_what_it_wrote() -> None:
    def chain(write: Write) -> None:
        if write.new is None:
            return
        world = write.world
        world.create(CONFIG_MAP, {"metadata": {"name": "x", "namespace": "default"}, "data": {"n": "1"}})
        found = world.get(CONFIG_MAP, ObjectKey("default", "x"))
        assert found is not None
        world.update(CONFIG_MAP, {**found, "data": {"n": "2"}})
        assert [one["data"] for one in world.list(CONFIG_MAP, "default")] == [{"n": "2"}]
        world.delete(CONFIG_MAP, ObjectKey("default", "x"))
        assert world.get(CONFIG_MAP, ObjectKey("default", "x")) is None

    async with serving(Hooks(allocate=chain)) as server:
        api = Api(server.transport(), "default")
        await api.made(DISKS, a_disk("a"))
        assert server.objects(CONFIG_MAP) == []


# -- the others ----------------------------------------------------------------------------------------------------


async def test_a_default_is_there_before_anyone_looks_and_nobody_owns_it() -> None:
    async with serving(Hooks(default=lambda document: document["spec"].setdefault("size", 5))) as server:
        api = Api(server.transport(user_agent="tester/1.0"), "default")
        applied = await api.apply(f"{DISKS}/a", a_disk("a", label="x"), "me")
        assert applied["spec"] == {"label": "x", "size": 5}
        assert applied.owners == {"me": {"f:spec": {".": {}, "f:label": {}}}}


async def test_faults_of_a_kind_are_told_like_those_of_its_schema() -> None:
    def judge(write: Write) -> Iterator[Fault]:
        size = write.object["spec"].get("size", 0)
        if write.old is not None and size < write.old["spec"].get("size", 0):
            yield invalid_value("spec.size", size, "must not shrink")

    async with serving(Hooks(validate=judge)) as server:
        api = Api(server.transport(), "default")
        await api.made(DISKS, a_disk("a", size=2))
        reply = await api.merge(f"{DISKS}/a", {"spec": {"size": 1}})
        text = 'Disk.example.com "a" is invalid: spec.size: Invalid value: 1: must not shrink'
        assert reply.says == (422, "Invalid", text)
        assert (await api.merge(f"{DISKS}/a", {"spec": {"size": 3}})).code == 200


async def test_a_deletion_can_be_refused_before_it_begins() -> None:
    def protect(write: Write) -> None:
        assert write.old is not None
        if write.old["spec"].get("locked"):
            raise Failure(403, "Forbidden", "it is locked")

    async with serving(Hooks(before_delete=protect)) as server:
        api = Api(server.transport(), "default")
        await api.made(DISKS, a_disk("a", locked=True))
        assert (await api.delete(f"{DISKS}/a")).says == (403, "Forbidden", "it is locked")
        await api.merge(f"{DISKS}/a", {"spec": {"locked": None}})
        assert (await api.delete(f"{DISKS}/a")).code == 200


async def test_what_is_stored_is_told_once_it_is_real_and_only_then() -> None:
    told: list[tuple[str, str]] = []

    def tell(write: Write) -> None:
        old, new = [one["metadata"]["resourceVersion"] if one else "" for one in (write.old, write.new)]
        told.append((old, new))

    async with serving(Hooks(after_commit=tell)) as server:
        api = Api(server.transport(), "default")
        made = await api.made(DISKS, a_disk("a", size=1))
        await api.merge(f"{DISKS}/a", {"spec": {"size": 1}})
        await api.merge(f"{DISKS}/a", {"spec": {"size": 2}}, dryRun="All")
        await api.post(DISKS, a_disk("a"))
        changed = await api.merge(f"{DISKS}/a", {"spec": {"size": 2}})
        await api.delete(f"{DISKS}/a")
    assert told == [("", made.version), (made.version, changed.version), (changed.version, "")]


@pytest.mark.parametrize("hook", ["default", "allocate", "validate", "before_delete"])
async def test_a_hook_that_breaks_is_a_500_and_changes_nothing(hook: str) -> None:
    def fail(_: object) -> list[Fault]:
        if broken:
            raise RuntimeError("no more numbers")
        return []

    broken = False
    hooks: dict[str, Any] = {hook: fail}
    async with serving(Hooks(**hooks)) as server:
        api = Api(server.transport(), "default")
        made = await api.made(DISKS, a_disk("a", size=1))
        broken = True
        if hook == "before_delete":
            reply = await api.delete(f"{DISKS}/a")
        else:
            reply = await api.merge(f"{DISKS}/a", {"spec": {"size": 2}})
        assert reply.code == 500
        assert "no more numbers" in reply["message"]
        broken = False
        assert (await api.get(f"{DISKS}/a")).body == made.body


async def test_code_that_only_looks_on_cannot_undo(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Write) -> None:
        raise RuntimeError("too late")

    async with serving(Hooks(after_commit=fail)) as server:
        api = Api(server.transport(), "default")
        assert (await api.made(DISKS, a_disk("a"))).code == 201
    assert "after_commit hook failed" in caplog.text
