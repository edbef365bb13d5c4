"""The brake on cleaning up: what it counts, when it holds, and what the daemon does then, in both generations."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apinetlet.api import GENERATIONS, Generation
from apinetlet.assembly import assemble
from apinetlet.brake import Limits
from apinetlet.demo.definitions import source_kinds
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE
from apinetlet.settings import Settings
from reconcile import Client, Manager, ObjectMeta
from reconcile.kube.kinds import EVENT
from reconcile.testing.apiserver import ApiServer
from tests.scenarios.desk import HOME, Desk, desk

BOTH = pytest.mark.parametrize("generation", list(GENERATIONS.values()), ids=list(GENERATIONS))
MANY = 12


@pytest.mark.parametrize(
    ("dangling", "mapped", "limits", "held"),
    [
        (0, 0, Limits(), False),
        (10, 10, Limits(), False),
        (11, 11, Limits(), True),
        (11, 22, Limits(), False),
        (12, 22, Limits(), True),
        (1000, 2000, Limits(), False),
        (1001, 2000, Limits(), True),
        (1001, 2000, Limits(is_off=True), False),
        (1, 1, Limits(number=0, percent=0), True),
        (11, 100, Limits(percent=10), True),
    ],
)
def test_it_holds_beyond_a_number_and_a_share(dangling: int, mapped: int, limits: Limits, held: bool) -> None:
    assert limits.forbid(dangling, mapped) is held


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 100), st.integers(0, 100))
def test_more_that_is_dangling_never_releases_it(dangling: int, healthy: int, number: int, percent: int) -> None:
    limits = Limits(number, percent)
    if limits.forbid(dangling, dangling + healthy):
        assert limits.forbid(dangling + 1, dangling + 1 + healthy)


async def lost(at: Desk, kind: str, number: int) -> None:
    """So many counterparts of a kind in the api-net cluster whose sources do not exist."""
    kinds = at.world.kinds
    for place in range(number):
        meta = ObjectMeta(namespace=HOME, name=f"lost-{place}", uid=f"uid-{place}")
        origin, name = at.origin(kind, meta), f"left-over-{place}"
        match kind:
            case "Network":
                await at.create(kinds.apinet_network, name, metadata=origin)
            case "LoadBalancer":
                selector = {"matchLabels": origin["labels"]}
                spec = {"type": "Internal", "networkRef": {"name": "n"}, "selector": selector}
                template = {"template": {"metadata": origin}}
                await at.create(kinds.apinet_load_balancer, name, metadata=origin, spec={**spec, **template})
                await at.create(kinds.apinet_load_balancer_routing, name, metadata=origin)
            case "NATGateway":
                gateway = {"ipFamily": "IPv4", "networkRef": {"name": "n"}, "portsPerNetworkInterface": 64}
                await at.create(kinds.apinet_nat_gateway, name, metadata=origin, spec=gateway)
            case "VirtualIP":
                await at.create(kinds.apinet_ip, name, metadata=origin, spec={"type": "Public", "ipFamily": "IPv4"})
            case _:
                node = {"nodeRef": {"name": "n"}, "networkRef": {"name": "n"}, "ips": [f"10.0.0.{place}"]}
                await at.create(kinds.apinet_network_interface, name, metadata=origin, spec=node)


KINDS = ["Network", "LoadBalancer", "NATGateway", "VirtualIP", "NetworkInterface"]


def left(at: Desk, kind: str) -> int:
    """How many counterparts of a kind still record their source."""
    plural = {"VirtualIP": "ips"}.get(kind, f"{kind.lower()}s")
    label = f"{at.generation.origins}/{kind.lower()}-uid"
    return sum(label in one["metadata"].get("labels", {}) for one in at.all(at.world.at_apinet[plural]))


@pytest.mark.parametrize("kind", KINDS)
@BOTH
async def test_most_of_a_kind_is_never_cleaned_up_unless_a_flag_says_so(generation: Generation, kind: str) -> None:
    async with desk(generation, collects=False) as at:
        await lost(at, kind, MANY)
        async with at.daemon() as daemon:
            await at.rest()
            assert left(at, kind) == MANY
            wrong = daemon.probes.report("readyz").results["clean-up"]
            assert f"{MANY} of {MANY} counterparts of kind {kind} have lost their source" in wrong
            assert "--dangling-unlimited" in wrong
            [event] = [one for one in at.world.source.objects(EVENT) if one["reason"] == "CleanUpHeld"]
            assert event["involvedObject"]["kind"] == kind
            assert wrong == event["message"]
            assert daemon.probes.report("livez").is_well
        async with at.daemon(dangling_unlimited=True) as daemon:
            await at.rest()
            assert left(at, kind) == 0
            assert daemon.probes.report("readyz").is_well


@BOTH
async def test_a_few_are_cleaned_up_and_so_are_many_among_more(generation: Generation) -> None:
    async with desk(generation) as at:
        await lost(at, "Network", 10)
        async with at.daemon():
            await at.rest()
            assert left(at, "Network") == 0
            for place in range(15):
                await at.declare_network(f"net-{place}")
            await at.rest()
        await lost(at, "Network", MANY)
        async with at.daemon():
            await at.rest()
        assert left(at, "Network") == 15


@BOTH
async def test_it_lets_go_by_itself_when_sources_are_found_again(generation: Generation) -> None:
    async with desk(generation) as at:
        await lost(at, "Network", MANY)
        async with at.daemon() as daemon:
            await at.rest()
            assert left(at, "Network") == MANY
            for place in range(MANY + 1):
                await at.declare_network(f"net-{place}")
            await at.rest(1)  # no poll and no resync
            assert left(at, "Network") == MANY + 1
            assert daemon.probes.report("readyz").is_well


@BOTH
async def test_what_is_held_of_one_kind_holds_up_no_other(generation: Generation) -> None:
    async with desk(generation) as at:
        await lost(at, "Network", MANY)
        await lost(at, "VirtualIP", 2)
        async with at.daemon():
            network = await at.declare_network()
            await at.rest()
            assert left(at, "VirtualIP") == 0
            assert left(at, "Network") == MANY + 1
            assert at.live(at.world.kinds.network, network)["status"]["state"] == "Available"
            await at.delete(at.world.kinds.network, network)
            await at.rest(1)  # whose end somebody asked for goes all the same
            assert left(at, "Network") == MANY


def daemon_of(at: Desk, source: ApiServer) -> Manager:
    """A daemon for another source cluster, into the same api-net namespace."""
    manager = at.generation.field_manager
    source_client, apinet = (one.client(field_manager=manager, user_agent=DAEMON) for one in (source, at.world.apinet))
    return assemble(Settings(api_net_namespace=TARGET_NAMESPACE), at.generation, source_client, apinet)


@pytest.mark.parametrize("names", ["others", "the same"])
@BOTH
async def test_two_source_clusters_in_one_namespace_do_not_destroy_each_other(
    generation: Generation, names: str
) -> None:
    async with desk(generation) as at:
        async with at.daemon():
            for place in range(MANY):
                await at.declare_network(f"net-{place}")
            await at.rest()
        before = {one["metadata"]["name"]: one["spec"]["id"] for one in at.all(at.world.kinds.apinet_network)}
        async with ApiServer(source_kinds(generation), rng=random.Random("another")) as other:
            client: Client = other.client()
            for place in range(3):
                name = f"net-{place}" if names == "the same" else f"other-{place}"
                body: dict[str, Any] = {"metadata": {"name": name}, "spec": {}}
                await client.create(at.world.kinds.network, body, namespace=HOME)
            async with daemon_of(at, other) as daemon:
                await at.rest()
                now = {one["metadata"]["name"]: one["spec"]["id"] for one in at.all(at.world.kinds.apinet_network)}
                assert {name: now.get(name) for name in before} == before
                assert len(now) == MANY + 3
                assert "lost their source" in daemon.probes.report("readyz").results["clean-up"]
                states = [one.status.state for one in other.objects(at.world.kinds.network)]
                assert [one is not None and one.value for one in states] == ["Available"] * 3
