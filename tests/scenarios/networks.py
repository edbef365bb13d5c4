"""The words of ``network_stories.py``: the daemon between two servers, what people do, and what is there then."""

import functools
import random
from collections.abc import Callable
from typing import Any

from apinetlet.api import Generation, Kinds, apinet, networking
from apinetlet.api.networking import NetworkState
from apinetlet.assembly import assemble
from apinetlet.demo import apinet as server
from apinetlet.demo.definitions import source_kinds
from apinetlet.origin import Origins
from apinetlet.settings import Settings
from provider import ProviderID
from reconcile import Client, Conflict, Manager, ObjectKey
from reconcile.kube import MergePatch, finalizers
from reconcile.kube.kinds import NAMESPACE
from reconcile.testing.apiserver import ApiServer, Kind
from reconcile.testing.faultplan import FaultPlan
from reconcile.testing.scenario import Act, Look
from reconcile.testing.state import Allocated
from reconcile.testing.world import Build, World

SOURCE, APINET, HOME, TARGET = "source", "apinet", "default", "apinet"
FOREIGN = "example.org/protection"
"""Somebody else's finalizer."""


# -- the world ---------------------------------------------------------------------------------------------------------


@functools.cache
def _kinds(generation: Generation, highest_id: int) -> tuple[tuple[Kind, ...], tuple[Kind, ...], random.Random]:
    """Reading the definitions takes longer than a story; the generator is what the allocator draws from."""
    rng = random.Random()
    return source_kinds(generation), server.kinds(generation, rng, server.Supply(highest_id=highest_id)), rng


def a_world(generation: Generation, *, highest_id: int = 16_777_215, **settings: Any) -> World:
    """Two servers, and apinetlet between them."""
    sources, targets, rng = _kinds(generation, highest_id)
    rng.seed(0)
    return World(
        {
            SOURCE: ApiServer(sources, rng=random.Random("source")),
            APINET: ApiServer(targets, rng=random.Random("apinet")),
        },
        apinetlet(generation, Settings(api_net_namespace=TARGET, **settings)),
        always=functools.partial(never_gone_before_its_counterpart, Kinds.of(generation)),
        allocated=(Allocated(Kinds.of(generation).apinet_network.name, ("spec", "id")),),
    )


def apinetlet(generation: Generation, settings: Settings) -> Build:
    """The daemon as it is."""

    def build(transports: Any, rng: random.Random) -> Manager:
        manager = generation.field_manager
        source, target = (Client(transports[name], field_manager=manager, rng=rng) for name in (SOURCE, APINET))
        return assemble(settings, generation, source, target, rng=rng)

    return build


def never_gone_before_its_counterpart(kinds: Kinds, world: World) -> None:
    """The write that lets go of a Network comes when its counterpart is gone, and a provider ID never changes."""
    last = world.writes[-1]
    if last.agent != "program" or (last.cluster, last.resource) != (SOURCE, kinds.network.name):
        return
    event = world.servers[SOURCE].storage.table(kinds.network.name).history[-1]
    assert event.old is not None
    if event.new is None:
        uids = {one.metadata.name for one in world.objects(APINET, kinds.apinet_network)}
        assert event.old.uid not in uids, "a Network was let go of before its counterpart was gone"
    elif before := event.old.value["spec"].get("providerID"):
        assert event.new.value["spec"]["providerID"] == before, "a provider ID was changed"


# -- what people do ----------------------------------------------------------------------------------------------------


def create(kinds: Kinds, name: str, namespace: str = HOME, **metadata: Any) -> Act:
    async def act(world: World) -> None:
        body = {"metadata": {"name": name, **metadata}, "spec": {}}
        await world.client(SOURCE).create(kinds.network, body, namespace=namespace)

    return act


def change(kinds: Kinds, name: str, patch: dict[str, Any]) -> Act:
    async def act(world: World) -> None:
        await world.client(SOURCE).patch(kinds.network, ObjectKey(HOME, name), MergePatch(patch))

    return act


def delete(kinds: Kinds, name: str, namespace: str = HOME) -> Act:
    async def act(world: World) -> None:
        await world.client(SOURCE).delete(kinds.network, ObjectKey(namespace, name))

    return act


def create_counterpart(kinds: Kinds, metadata: dict[str, Any]) -> Act:
    async def act(world: World) -> None:
        body = {"metadata": {"name": "somebody", **metadata}, "spec": {}}
        await world.client(APINET).create(kinds.apinet_network, body, namespace=TARGET)

    return act


def change_counterpart(kinds: Kinds, name: str, patch: dict[str, Any]) -> Act:
    async def act(world: World) -> None:
        await world.client(APINET).patch(kinds.apinet_network, counterpart(kinds, world, name), MergePatch(patch))

    return act


def delete_counterpart(kinds: Kinds, name: str) -> Act:
    async def act(world: World) -> None:
        await world.client(APINET).delete(kinds.apinet_network, counterpart(kinds, world, name))

    return act


def protect(kinds: Kinds, name: str) -> Act:
    """Another controller adds its finalizer as soon as it sees the Network."""

    async def act(world: World) -> None:
        client = world.client(SOURCE, agent="protection")
        while True:
            seen = await client.get(kinds.network, ObjectKey(HOME, name))
            patch = finalizers.add(seen, FOREIGN)
            if patch is None:
                return
            try:
                await client.patch(kinds.network, seen.metadata.key, patch)
            except Conflict:
                continue

    return act


def create_protected(kinds: Kinds, name: str) -> Act:
    async def act(world: World) -> None:
        await create(kinds, name)(world)
        await protect(kinds, name)(world)

    return act


def replace_while_down(kinds: Kinds, name: str) -> Act:
    """The daemon is down; the Network is removed by force, and made anew."""

    async def act(world: World) -> None:
        await world.crash()
        await delete(kinds, name)(world)
        await change(kinds, name, {"metadata": {"finalizers": None}})(world)
        await create(kinds, name)(world)
        world.start()

    return act


def fail(plan: FaultPlan) -> Act:
    """From now on the daemon does not get through to the api-net cluster."""

    async def act(world: World) -> None:
        world.fail(APINET, plan)

    return act


async def heal(world: World) -> None:
    world.fail(APINET, FaultPlan())


def namespaces(*names: str) -> Act:
    async def act(world: World) -> None:
        await world.client(APINET).create(NAMESPACE, {"metadata": {"name": TARGET}})
        for name in names:
            await world.client(SOURCE).create(NAMESPACE, {"metadata": {"name": name}})

    return act


async def look_a_hundred_times(world: World) -> None:
    """Every key is reconciled again and again."""
    for _ in range(100 if world.is_running else 0):
        world.enqueue_all()
        await world.settle()


# -- what is there -----------------------------------------------------------------------------------------------------


def networks(kinds: Kinds, world: World) -> dict[str, networking.Network]:
    return {one.metadata.name: one for one in world.objects(SOURCE, kinds.network)}


def counterparts(kinds: Kinds, world: World) -> dict[str, apinet.Network]:
    return {one.metadata.name: one for one in world.objects(APINET, kinds.apinet_network)}


def counterpart(kinds: Kinds, world: World, name: str) -> ObjectKey:
    return ObjectKey(TARGET, networks(kinds, world)[name].metadata.uid)


def is_available(kinds: Kinds, name: str) -> Callable[[World], bool]:
    return lambda world: networks(kinds, world)[name].status.state is NetworkState.AVAILABLE


def has_counterpart(kinds: Kinds, name: str) -> Callable[[World], bool]:
    return lambda world: networks(kinds, world)[name].metadata.uid in counterparts(kinds, world)


def mapped(generation: Generation, *names: str, finalizers: tuple[str, ...] = ()) -> Look:
    """These are Available under the IDs of their counterparts, which carry their origin only; there are no others."""
    kinds = Kinds.of(generation)

    def look(world: World) -> None:
        sources = [one for one in world.objects(SOURCE, kinds.network) if one.metadata.name in names]
        targets = counterparts(kinds, world)
        assert {one.metadata.name for one in sources} == set(names)
        assert {one.metadata.uid for one in sources} == set(targets)
        for source in sources:
            target = targets[source.metadata.uid]
            origin = Origins(generation, "Network").metadata(source.metadata)
            assert dict(target.metadata.labels) == origin["labels"]
            assert dict(target.metadata.annotations) == origin.get("annotations", {})
            assert set(source.metadata.finalizers) == {generation.finalizer("Network"), *finalizers}
            assert target.spec.id
            assert source.spec.provider_id == str(
                ProviderID.network(
                    generation.scheme,
                    namespace=TARGET,
                    name=source.metadata.uid,
                    id=target.spec.id,
                    uid=target.metadata.uid,
                )
            )
            assert source.status.state is NetworkState.AVAILABLE

    return look


def nothing_left(kinds: Kinds) -> Look:
    """No Network on either side, no ID taken."""

    def look(world: World) -> None:
        assert not networks(kinds, world)
        assert not counterparts(kinds, world)
        assert not world.servers[APINET].storage.keys(f"networkids.{kinds.apinet_network.group}")

    return look


def state_is(kinds: Kinds, name: str, state: NetworkState) -> Look:
    def look(world: World) -> None:
        assert networks(kinds, world)[name].status.state is state

    return look


def tells_of_the_mismatch(kinds: Kinds, name: str) -> Look:
    """There is a counterpart again, under another ID; the Network keeps the provider ID it has, and says Error."""

    def look(world: World) -> None:
        source = networks(kinds, world)[name]
        [target] = counterparts(kinds, world).values()
        assert target.metadata.name == source.metadata.uid
        assert source.spec.provider_id
        assert not source.spec.provider_id.endswith(target.metadata.uid)
        assert source.status.state is NetworkState.ERROR

    return look


def held_by_the_counterpart(generation: Generation, name: str) -> Look:
    """The Network waits with our finalizer while somebody holds its counterpart."""
    kinds = Kinds.of(generation)

    def look(world: World) -> None:
        source = networks(kinds, world)[name]
        [target] = counterparts(kinds, world).values()
        assert source.metadata.is_deleting
        assert target.metadata.is_deleting
        assert source.metadata.finalizers == (generation.finalizer("Network"),)

    return look


def tried(writes: int) -> Look:
    """So many writes were all that the daemon tried so far."""

    def look(world: World) -> None:
        assert len(world.tried) == writes

    return look


untouched = tried(0)


def only_one_counterpart_ever(generation: Generation) -> Look:
    """However often the daemon died: it is mapped, and there never was a second counterpart."""
    table = Kinds.of(generation).apinet_network.name

    def look(world: World) -> None:
        mapped(generation, "blue")(world)
        history = world.servers[APINET].storage.table(table).history
        assert len({event.new.uid for event in history if event.new is not None}) == 1

    return look
