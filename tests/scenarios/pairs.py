"""The words of the stories of load balancers and NAT gateways: a source object, and its pair in the other cluster.

Acts speak of any kind; the kind says which cluster is meant. What must never be is asked at each write: a source object
goes last, an address that somebody was told stays, and no counterpart that is right is ended.
"""

import functools
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson
from attrs import frozen

from apinetlet.api import Generation, Kinds
from apinetlet.demo import apinet as server
from apinetlet.demo.definitions import source_kinds
from apinetlet.origin import Origins
from apinetlet.settings import Settings
from reconcile import NotFound, ObjectKey, ObjectMeta, Resource
from reconcile.kube import MergePatch
from reconcile.testing.apiserver import ApiServer, Kind
from reconcile.testing.scenario import Act, Look
from reconcile.testing.state import BOOKKEEPING, Allocated
from reconcile.testing.world import World
from tests.scenarios.networks import APINET, HOME, SOURCE, TARGET, apinetlet

Document = Mapping[str, Any]


@frozen
class Pair:
    """One source kind and the two kinds made for it, in one generation."""

    generation: Generation
    source: Resource[Any]
    target: Resource[Any]
    dependent: Resource[Any]

    @property
    def counterparts(self) -> tuple[Resource[Any], ...]:
        return self.target, self.dependent

    def origin(self, namespace: str, name: str, uid: str) -> dict[str, Any]:
        """The metadata by which a counterpart says whose it is."""
        meta = ObjectMeta(namespace=namespace, name=name, uid=uid)
        return {
            where: dict(values) for where, values in Origins(self.generation, self.source.kind).metadata(meta).items()
        }


def load_balancers(generation: Generation) -> Pair:
    kinds = Kinds.of(generation)
    return Pair(generation, kinds.load_balancer, kinds.apinet_load_balancer, kinds.apinet_load_balancer_routing)


def nat_gateways(generation: Generation) -> Pair:
    kinds = Kinds.of(generation)
    return Pair(generation, kinds.nat_gateway, kinds.apinet_nat_gateway, kinds.apinet_nat_gateway_autoscaler)


# -- the world ---------------------------------------------------------------------------------------------------------


@functools.cache
def _kinds(
    generation: Generation, prefixes: tuple[str, ...]
) -> tuple[tuple[Kind, ...], tuple[Kind, ...], random.Random]:
    """Reading the definitions takes longer than a story; the generator is what the allocator draws from."""
    rng = random.Random()
    return source_kinds(generation), server.kinds(generation, rng, server.Supply(prefixes=prefixes)), rng


def a_world(pair: Pair, *, prefixes: tuple[str, ...] = server.Supply().prefixes, **settings: Any) -> World:
    """Two servers, and apinetlet between them."""
    sources, targets, rng = _kinds(pair.generation, prefixes)
    rng.seed(0)
    group = pair.generation.apinet
    return World(
        {
            SOURCE: ApiServer(sources, rng=random.Random("source")),
            APINET: ApiServer(targets, rng=random.Random("apinet")),
        },
        apinetlet(pair.generation, Settings(api_net_namespace=TARGET, **settings)),
        always=functools.partial(_always, pair),
        allocated=(
            Allocated(Kinds.of(pair.generation).apinet_network.name, ("spec", "id")),
            *(Allocated(pair.target.name, ("spec", "ips", place, "ip")) for place in range(3)),
        ),
        # one object an address, named by chance; that none is left behind is seen at the end
        ignored=BOOKKEEPING | {f"ips.{group}", f"ipaddresses.{group}"},
    )


def _always(pair: Pair, world: World) -> None:
    last = world.writes[-1]
    if last.agent != "program":
        return
    if (last.cluster, last.resource) == (SOURCE, pair.source.name):
        event = world.servers[SOURCE].storage.table(pair.source.name).history[-1]
        assert event.old is not None
        if event.new is None:
            left = [one for kind in pair.counterparts for one in objects(world, kind)]
            assert event.old.uid not in {name_of(one) for one in left}, "a source was let go of before its counterparts"
    if (last.cluster, last.resource) == (APINET, pair.target.name):
        event = world.servers[APINET].storage.table(pair.target.name).history[-1]
        if event.old is not None and event.new is not None:
            before, after = (_addresses(one.value) for one in (event.old, event.new))
            for name in before.keys() & after.keys():
                assert before[name] in ("", after[name]), f"the address of {name} was taken away"
        elif event.old is not None:
            _see_wrong(pair, world, event.old.value)


def _see_wrong(pair: Pair, world: World, counterpart: Document) -> None:
    """What was ended belonged to nobody, to somebody who is going, or could not be changed to what is wanted."""
    spec = counterpart["spec"]
    networks = {name_of(one): one["metadata"]["uid"] for one in objects(world, Kinds.of(pair.generation).network)}
    for one in objects(world, pair.source):
        if one["metadata"]["uid"] == name_of(counterpart) and "deletionTimestamp" not in one["metadata"]:
            wanted = one["spec"]
            same = wanted.get("type") == spec.get("type", wanted.get("type")) and (
                wanted.get("ipFamily") == spec.get("ipFamily", wanted.get("ipFamily"))
            )
            network = networks.get(wanted["networkRef"]["name"])
            assert not same or spec["networkRef"]["name"] != network, "a counterpart that was right was ended"


def _addresses(document: Document) -> dict[str, str]:
    return {one["name"]: one.get("ip") or "" for one in (document["spec"].get("ips") or ())}


# -- what people do ----------------------------------------------------------------------------------------------------


def objects(world: World, kind: Resource[Any]) -> list[Document]:
    """The objects of a kind as they are stored."""
    return [orjson.loads(one.metadata.raw) for one in world.objects(side(kind), kind)]


def side(kind: Resource[Any]) -> str:
    """The cluster that serves a kind."""
    return APINET if "apinet" in kind.group else SOURCE


def name_of(document: Document) -> str:
    return str(document["metadata"]["name"])


def source(world: World, kind: Resource[Any], name: str) -> Document:
    [found] = [one for one in objects(world, kind) if name_of(one) == name]
    return found


def create(kind: Resource[Any], name: str, *, metadata: Any = (), **parts: Any) -> Act:
    async def act(world: World) -> None:
        body = {"metadata": {"name": name, **dict(metadata)}, **parts}
        home = TARGET if side(kind) == APINET else HOME
        await world.client(side(kind)).create(kind, body, namespace=home)

    return act


def change(kind: Resource[Any], name: str, patch: Document, *, subresource: str = "") -> Act:
    async def act(world: World) -> None:
        key = ObjectKey(HOME, name)
        await world.client(SOURCE).patch(kind, key, MergePatch(patch), subresource=subresource)

    return act


def delete(kind: Resource[Any], name: str) -> Act:
    async def act(world: World) -> None:
        await world.client(SOURCE).delete(kind, ObjectKey(HOME, name))

    return act


def change_counterpart(pair: Pair, kind: Resource[Any], name: str, patch: Document) -> Act:
    async def act(world: World) -> None:
        await world.client(APINET).patch(kind, counterpart(pair, world, name), MergePatch(patch))

    return act


def delete_counterpart(pair: Pair, kind: Resource[Any], name: str) -> Act:
    async def act(world: World) -> None:
        with suppress(NotFound):  # what hangs on another goes with it
            await world.client(APINET).delete(kind, counterpart(pair, world, name))

    return act


def replace_while_down(pair: Pair, name: str, spec: Document) -> Act:
    """The daemon is down; a source object is removed by force, and made anew."""

    async def act(world: World) -> None:
        await world.crash()
        await delete(pair.source, name)(world)
        await change(pair.source, name, {"metadata": {"finalizers": None}})(world)
        await create(pair.source, name, spec=spec)(world)
        world.start()

    return act


# -- what is there -----------------------------------------------------------------------------------------------------


def counterpart(pair: Pair, world: World, name: str) -> ObjectKey:
    return ObjectKey(TARGET, source(world, pair.source, name)["metadata"]["uid"])


def has_counterparts(pair: Pair, name: str) -> Callable[[World], bool]:
    def has(world: World) -> bool:
        uid = source(world, pair.source, name)["metadata"]["uid"]
        return all(uid in map(name_of, objects(world, kind)) for kind in pair.counterparts)

    return has


def is_reported(pair: Pair, name: str) -> Callable[[World], bool]:
    return lambda world: bool(source(world, pair.source, name).get("status", {}).get("ips"))


def has_gone(kind: Resource[Any]) -> Callable[[World], bool]:
    return lambda world: not objects(world, kind)


def mapped(pair: Pair, *names: str) -> Look:
    """These have their pairs, of one owner and their origin only, and report their addresses; there are no others."""

    def look(world: World) -> None:
        sources = {name_of(one): one for one in objects(world, pair.source)}
        uids = {one["metadata"]["uid"] for name, one in sources.items() if name in names}
        assert set(names) <= set(sources)
        for kind in pair.counterparts:
            assert {name_of(one) for one in objects(world, kind)} == uids
        targets = {name_of(one): one for one in objects(world, pair.target)}
        dependents = {name_of(one): one for one in objects(world, pair.dependent)}
        networks = {name_of(one): one["metadata"]["uid"] for one in objects(world, Kinds.of(pair.generation).network)}
        for name in names:
            one = sources[name]
            meta = one["metadata"]
            target, dependent = targets[meta["uid"]], dependents[meta["uid"]]
            for made in (target, dependent):
                kept = {
                    where: made["metadata"][where] for where in ("labels", "annotations") if where in made["metadata"]
                }
                assert kept == pair.origin(HOME, name, meta["uid"])
            assert [owner["uid"] for owner in dependent["metadata"]["ownerReferences"]] == [target["metadata"]["uid"]]
            assert pair.generation.finalizer(pair.source.kind) in meta["finalizers"]
            assert target["spec"]["networkRef"]["name"] == networks[one["spec"]["networkRef"]["name"]]
            ips = [address for address in _addresses(target).values() if address]
            assert one.get("status", {}).get("ips", []) == ips
        assert len(_public(pair, world)) == sum(
            len(_addresses(one)) for one in targets.values() if one["spec"].get("type") != "Internal"
        )

    return look


def nothing_left(pair: Pair) -> Look:
    """Nothing of the kind on either side, no address taken."""

    def look(world: World) -> None:
        for kind in (pair.source, *pair.counterparts):
            assert not objects(world, kind)
        assert not _public(pair, world)

    return look


def no_counterparts(pair: Pair) -> Look:
    def look(world: World) -> None:
        for kind in pair.counterparts:
            assert not objects(world, kind)

    return look


def both(*looks: Look) -> Look:
    def look(world: World) -> None:
        for one in looks:
            one(world)

    return look


def _public(pair: Pair, world: World) -> list[str]:
    """The addresses that are taken."""
    return list(world.servers[APINET].storage.keys(f"ips.{pair.generation.apinet}"))
