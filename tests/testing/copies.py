"""Controllers that keep a copy in the cluster "away" of each ConfigMap in "home": a sound one, and some with one flaw.

Each is a function of both clusters, of what it remembers (lost with its process) and of the key. The flaws are those
that tests with one run and a warm cache never show.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from reconcile import (
    Change,
    Client,
    Cluster,
    Controller,
    ControllerSettings,
    For,
    Manager,
    NotFound,
    Object,
    ObjectKey,
    Request,
    Result,
    Watches,
)
from reconcile.kube import ConnectionFailed, MergePatch, finalizers
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.transport import Transport
from reconcile.testing.apiserver import ApiServer, Settings
from reconcile.testing.scenario import Act
from reconcile.testing.world import Build, World

HOME, AWAY, NAMESPACE = "home", "away", "default"
FINALIZER = "example.org/copy"
Memory: TypeAlias = dict[str, Any]
Keep: TypeAlias = Callable[[Cluster, Cluster, Memory, ObjectKey], Awaitable[Result | None]]


def program(keep: Keep) -> Build:
    """A manager with one controller, which is ``keep``."""

    def build(transports: Mapping[str, Transport], rng: random.Random) -> Manager:
        home, away = (
            Cluster(name, Client(transports[name], field_manager="copier", rng=rng), [CONFIG_MAP], rng=rng)
            for name in (HOME, AWAY)
        )
        memory: Memory = {}

        async def reconcile(request: Request) -> Result | None:
            return await keep(home, away, memory, request.key)

        controller = Controller(
            "copier",
            reconcile,
            [For(home, CONFIG_MAP), Watches(away, CONFIG_MAP, source_of)],
            ControllerSettings(workers=2),
            rng=rng,
        )
        return Manager([home, away], [controller], rng=rng)

    return build


def source_of(change: Change[Object]) -> list[Request]:
    """The source of a copy has its name."""
    return [Request(HOME, *change.key)]


def a_world(keep: Keep, *, watch_list: bool = True) -> World:
    settings = Settings(watch_list=watch_list)
    servers = {name: ApiServer(rng=random.Random(name), settings=settings) for name in (HOME, AWAY)}
    return World(servers, program(keep))


# -- sound -------------------------------------------------------------------------------------------------------------


async def sound(home: Cluster, away: Cluster, _memory: Memory, key: ObjectKey) -> None:
    """Finalizer, copy; and back: copy, finalizer. A copy whose source is really gone goes, too."""
    source = home.store(CONFIG_MAP).get(key)
    if source is None:
        if away.store(CONFIG_MAP).get(key) is not None and await is_gone(home, key):
            await remove_copy(away, key)
        return
    if source.metadata.is_deleting:
        if finalizers.has(source, FINALIZER):
            await remove_copy(away, key)
            await remove_finalizer(home, source)
        return
    source = await home.patch(source, finalizers.add(source, FINALIZER))
    await away.apply(copy(key, dict(source.get("data") or {})))


def copy(key: ObjectKey, data: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": key.name, "namespace": key.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def is_gone(home: Cluster, key: ObjectKey) -> bool:
    try:
        await home.get(CONFIG_MAP, key)
    except NotFound:
        return True
    return False


async def remove_copy(away: Cluster, key: ObjectKey) -> None:
    await away.delete(CONFIG_MAP, key)


async def remove_finalizer(home: Cluster, source: Object) -> None:
    with suppress(NotFound):
        await home.patch(source, finalizers.remove(source, FINALIZER))


async def nothing(home: Cluster, away: Cluster, _memory: Memory, key: ObjectKey) -> None:
    """Just watches."""


# -- with a flaw -------------------------------------------------------------------------------------------------------


async def writes_on_every_pass(home: Cluster, away: Cluster, memory: Memory, key: ObjectKey) -> None:
    """Says in each copy how often it was looked at."""
    source = home.store(CONFIG_MAP).get(key)
    if source is not None:
        memory[key.name] = memory.get(key.name, 0) + 1
        if memory[key.name] <= 50:  # even so it ends, or nothing could be said about the pass that follows
            await away.apply(copy(key, {"passes": str(memory[key.name])}))


async def asks_even_if_nothing_changes(home: Cluster, away: Cluster, _memory: Memory, key: ObjectKey) -> None:
    """Its writes change nothing, and yet it sends them each time."""
    source = home.store(CONFIG_MAP).get(key)
    if source is not None:
        await away.client.apply(CONFIG_MAP, copy(key, dict(source.get("data") or {})))


async def lets_go_before_it_cleans_up(home: Cluster, away: Cluster, memory: Memory, key: ObjectKey) -> None:
    """Removes its finalizer first: if it dies then, nobody removes the copy."""
    source = home.store(CONFIG_MAP).get(key)
    if source is not None and source.metadata.is_deleting:
        await remove_finalizer(home, source)
        await remove_copy(away, key)
    elif source is not None:
        await sound(home, away, memory, key)


async def acts_on_what_it_saw_happen(home: Cluster, away: Cluster, memory: Memory, key: ObjectKey) -> None:
    """Removes the copies of what it knew and saw go; what goes while it is down is never noticed."""
    source = home.store(CONFIG_MAP).get(key)
    if source is not None:
        memory[key.name] = True
        await away.apply(copy(key, dict(source.get("data") or {})))
    elif memory.pop(key.name, False):
        await remove_copy(away, key)


async def needs_to_see_each_phase(home: Cluster, away: Cluster, _memory: Memory, key: ObjectKey) -> None:
    """Remembers in the copy that it saw the phase "closing"; who closes faster than it looks is never marked."""
    source = home.store(CONFIG_MAP).get(key)
    if source is None or source.metadata.is_deleting:
        return
    before = away.store(CONFIG_MAP).get(key)
    phase = str(source.at("data", "phase", default=""))
    was_closing = phase == "closing" or (before is not None and before.at("data", "closing", default="") == "yes")
    await away.apply(copy(key, {"phase": phase, "closing": "yes" if was_closing else "no"}))


async def hands_out_tickets(home: Cluster, away: Cluster, _memory: Memory, key: ObjectKey) -> None:
    """Creates a ticket under a name of the server's choice when it sees none: if it sees it late, there are two."""
    if home.store(CONFIG_MAP).get(key) is None:
        return
    tickets = [one for one in away.store(CONFIG_MAP).list() if one.metadata.labels.get("for") == key.name]
    if not tickets:
        await away.create(ticket(key))


async def asks_again_without_an_answer(home: Cluster, away: Cluster, _memory: Memory, key: ObjectKey) -> None:
    """As before, and when no answer comes it takes the ticket for not created."""
    try:
        await hands_out_tickets(home, away, _memory, key)
    except ConnectionFailed:
        await away.create(ticket(key))


def ticket(key: ObjectKey) -> dict[str, Any]:
    metadata = {"generateName": "ticket-", "namespace": key.namespace, "labels": {"for": key.name}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


async def judges_by_its_cache(home: Cluster, away: Cluster, _memory: Memory, key: ObjectKey) -> None:
    """Answers each request in "away" once and for ever, by what its cache of the rules in "home" says."""
    await _judge(away, key, lambda: _rule(home.store(CONFIG_MAP).get(ObjectKey(NAMESPACE, "rules"))))


async def judges_by_what_is_true(home: Cluster, away: Cluster, _memory: Memory, key: ObjectKey) -> None:
    """As before, but asks the server before it answers."""
    rules = await home.get(CONFIG_MAP, ObjectKey(NAMESPACE, "rules"))
    await _judge(away, key, lambda: _rule(rules))


def _rule(rules: Object | None) -> str:
    return "unknown" if rules is None else str(rules.at("data", "answer", default=""))


async def _judge(away: Cluster, key: ObjectKey, rule: Callable[[], str]) -> None:
    request = away.store(CONFIG_MAP).get(key)
    if request is not None and key.name.startswith("request") and not request.at("data", "answer", default=""):
        await away.patch(request, MergePatch({"data": {"answer": rule()}}))


async def prefers_who_comes_first(home: Cluster, away: Cluster, _memory: Memory, key: ObjectKey) -> None:
    """Notes the first source it ever sees, and keeps to it."""
    if home.store(CONFIG_MAP).get(key) is not None and key.name.startswith("one"):
        winner = ObjectKey(NAMESPACE, "winner")
        if away.store(CONFIG_MAP).get(winner) is None:
            await away.create_if_absent(copy(winner, {"name": key.name}))


# -- what people do ----------------------------------------------------------------------------------------------------


def put(name: str, cluster: str = HOME, **data: str) -> Act:
    """Create a ConfigMap, or change its data."""

    async def act(world: World) -> None:
        client, key = world.client(cluster), ObjectKey(NAMESPACE, name)
        if is_there(name, world, cluster):
            await client.patch(CONFIG_MAP, key, MergePatch({"data": data}))
        else:
            await client.create(CONFIG_MAP, {"metadata": {"name": name}, "data": data}, namespace=NAMESPACE)

    return act


def drop(name: str) -> Act:
    async def act(world: World) -> None:
        await world.client(HOME).delete(CONFIG_MAP, ObjectKey(NAMESPACE, name))

    return act


def is_there(name: str, world: World, cluster: str = HOME) -> bool:
    return any(one.metadata.name == name for one in world.objects(cluster, CONFIG_MAP))
