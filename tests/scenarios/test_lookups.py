"""What a change costs: the keys that it concerns, found by indexes. No pass lists, however many objects there are."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from apinetlet.api import Generation
from apinetlet.demo.world import TARGET_NAMESPACE
from reconcile import ObjectMeta, Seconds
from reconcile.cache.store import Store
from reconcile.controller.observer import ControllerObserver
from reconcile.controller.outcome import Label
from reconcile.testing.loop import run
from tests.scenarios.desk import Desk, desk

LISTING = ("list", "entries", "keys")
LOOKING = ("get", "meta", "entry", "by", "keys_by")


class Passes(ControllerObserver):
    """Counts reconciles."""

    number = 0

    def reconciled(self, controller: str, result: Label, seconds: Seconds) -> None:
        self.number += 1


@asynccontextmanager
async def counted() -> AsyncIterator[Counter[str]]:
    """The reads of all stores while the block lasts, by method."""
    calls: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patched:
        for name in (*LISTING, *LOOKING):
            method = getattr(Store, name)

            def read(self: Any, *args: Any, name: str = name, method: Any = method, **options: Any) -> Any:
                calls[name] += 1
                return method(self, *args, **options)

            patched.setattr(Store, name, read)
        yield calls


async def crowd(at: Desk, number: int) -> None:
    """So many load balancers and NAT gateways in one network, each with all that it needs."""
    kinds = at.world.kinds
    await at.declare_network("crowded")
    blue = {"networkRef": {"name": "crowded"}}
    ephemeral = {"ephemeral": {"prefixTemplate": {"spec": {"ipFamily": "IPv4", "parentRef": {"name": "parent"}}}}}
    inner = {"type": "Internal", "ipFamilies": ["IPv4"], "ips": [ephemeral], **blue}
    for place in range(number):
        await at.create(kinds.load_balancer, f"web-{place}", spec=inner)
        await at.create(kinds.nat_gateway, f"out-{place}", spec={"type": "Public", "ipFamily": "IPv4", **blue})
        await at.create(kinds.load_balancer_routing, f"web-{place}", networkRef={}, destinations=[])


async def costs(generation: Generation, change: str, number: int) -> tuple[Counter[str], int]:
    """The reads and the passes that one change causes among so many."""
    async with desk(generation) as at:
        kinds = at.world.kinds
        await crowd(at, number)
        lonely = await at.declare_network()
        blue = {"networkRef": {"name": "blue"}}
        ips = [{"ephemeral": {"prefixTemplate": {"spec": {"ipFamily": "IPv4", "parentRef": {"name": "parent"}}}}}]
        spec = {"type": "Internal", "ipFamilies": ["IPv4"], "ips": ips, **blue}
        web = await at.create(kinds.load_balancer, "web", spec=spec)
        out = await at.create(kinds.nat_gateway, "out", spec={"type": "Public", "ipFamily": "IPv4", **blue})
        async with at.daemon() as daemon:
            await at.rest()
            seen = Passes()
            for controller in daemon.controllers:
                controller.observer = seen
            async with counted() as calls:
                await CHANGES[change](at, web, out, lonely)
                await at.rest(10)
            return calls, seen.number


async def routing(at: Desk, web: ObjectMeta, out: ObjectMeta, network: ObjectMeta) -> None:
    await at.create(at.world.kinds.load_balancer_routing, "web", networkRef={}, destinations=[{"ip": "10.0.0.1"}])


async def prefix(at: Desk, web: ObjectMeta, out: ObjectMeta, network: ObjectMeta) -> None:
    reference = {"apiVersion": at.world.kinds.load_balancer.api_version, "kind": "LoadBalancer", "controller": True}
    head = {"ownerReferences": [{**reference, "name": web.name, "uid": web.uid}]}
    spec = {"ipFamily": "IPv4", "prefix": "10.0.0.1/32", "parentRef": {"name": "parent"}}
    await at.create(at.world.kinds.prefix, "web-0", metadata=head, spec=spec, status={"phase": "Allocated"})


async def network(at: Desk, web: ObjectMeta, out: ObjectMeta, network: ObjectMeta) -> None:
    await at.change(at.world.kinds.network, network, {"metadata": {"finalizers": None}})
    await at.delete(at.world.kinds.network, network)


async def scale(at: Desk, web: ObjectMeta, out: ObjectMeta, network: ObjectMeta) -> None:
    there = ObjectMeta(namespace=TARGET_NAMESPACE, name=out.uid)
    await at.change(at.world.kinds.apinet_nat_gateway, there, {"spec": {"ips": [{"name": "a"}]}})


async def deletion(at: Desk, web: ObjectMeta, out: ObjectMeta, network: ObjectMeta) -> None:
    await at.delete(at.world.kinds.load_balancer, web)
    await at.delete(at.world.kinds.nat_gateway, out)


CHANGES = {"routing": routing, "prefix": prefix, "network": network, "scale": scale, "deletion": deletion}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_change_costs_the_same_among_few_and_among_many_and_lists_nothing(
    generation: Generation, change: str
) -> None:
    few, many = (run(costs(generation, change, number)) for number in (1, 40))
    assert few == many
    assert few[0].total() > 0
    assert not any(many[0][name] for name in LISTING)
