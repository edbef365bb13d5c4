"""What is not as the daemon needs it: it says what, where and what to do, goes on where it can, and loses nothing."""

import random
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from apinetlet.api import ONMETAL, Kinds
from apinetlet.api.networking import NetworkState
from apinetlet.assembly import assemble
from apinetlet.demo.apinet import kinds as apinet_kinds
from apinetlet.demo.definitions import crds
from apinetlet.demo.world import TARGET_NAMESPACE
from apinetlet.settings import Settings
from reconcile import Client, ManagerSettings
from reconcile.kube.kinds import CRD, NAMESPACE
from reconcile.manager.manager import PartEnded
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.admission import Rule as Grant
from reconcile.testing.apiserver.admission import Rules, User
from reconcile.testing.faults import FaultPlan, Refused, Rule
from tests.scenarios.daemon import Lab, lab

LIMITED = User("limited", ())


@pytest.fixture
async def world() -> AsyncIterator[Lab]:
    async with lab(ONMETAL) as both:
        yield both


@pytest.mark.parametrize("side", ["source", "apinet"])
async def test_a_server_that_is_down_at_the_start_is_waited_for_and_readyz_says_so(world: Lab, side: str) -> None:
    transport = world.to_source if side == "source" else world.to_apinet
    transport.plan = FaultPlan((Rule(Refused()),))
    await world.world.create_network("blue")
    async with world.daemon() as daemon:
        await world.rest(60)
        report = daemon.probes.report("readyz")
        assert "cannot be reached" in report.results[f"cluster-{side}"]
        assert daemon.probes.report("livez").is_well
        assert world.world.counterparts == []
        transport.plan = FaultPlan()
        await world.rest()
        assert daemon.probes.report("readyz").is_well
        assert world.state("blue") is NetworkState.AVAILABLE


async def test_a_server_that_goes_down_later_costs_nothing_but_time(world: Lab) -> None:
    async with world.daemon() as daemon:
        await world.rest(1)
        world.to_apinet.plan = FaultPlan((Rule(Refused()),))
        await world.world.create_network("blue")
        await world.rest()
        assert world.state("blue") is NetworkState.PENDING
        world.to_apinet.plan = FaultPlan()
        await world.rest()
        assert world.state("blue") is NetworkState.AVAILABLE
        assert daemon.probes.report("readyz").is_well


async def test_a_watch_that_is_not_allowed_ends_the_start_and_names_the_rule_to_add(world: Lab) -> None:
    world.world.apinet.rules = Rules({"limited": (Grant(("*",), ("authorization.k8s.io",)),)})
    daemon = assemble(
        world.settings,
        ONMETAL,
        world.world.source.client(),
        world.world.apinet.client(user=LIMITED),
    )
    with pytest.raises(PartEnded) as caught, anyio.fail_after(30):
        async with daemon:
            await daemon.ready()
    said = str(caught.value)
    refused = re.search(rf"no right to watch (\w+).{ONMETAL.apinet} in namespace {TARGET_NAMESPACE}", said)
    assert refused is not None
    rule = f'{{apiGroups: ["{ONMETAL.apinet}"], resources: [{refused[1]}], verbs: [list, watch]}}'
    assert f"add the rule {rule} to a Role in namespace {TARGET_NAMESPACE}" in said


async def test_kinds_that_are_missing_at_the_start_are_served_as_soon_as_they_are_installed() -> None:
    rng = random.Random(1)
    async with ApiServer() as source, ApiServer(apinet_kinds(ONMETAL, rng), rng=rng) as apinet:
        await apinet.client().create(NAMESPACE, {"metadata": {"name": TARGET_NAMESPACE}})
        settings = Settings(api_net_namespace=TARGET_NAMESPACE)
        network = Kinds.of(ONMETAL).network
        async with assemble(settings, ONMETAL, source.client(), apinet.client()) as daemon:
            await anyio.sleep(30)
            wrong = daemon.probes.report("readyz").results["kinds"]
            assert f"source/networks.{ONMETAL.networking} is not served: GET networks.{ONMETAL.networking}" in wrong
            assert "404 NotFound" in wrong
            for definition in (*crds(ONMETAL.name, ONMETAL.networking), *crds(ONMETAL.name, ONMETAL.ipam)):
                await source.client().create(CRD, definition)
            await source.client().create(network, {"metadata": {"name": "blue"}, "spec": {}}, namespace="default")
            await anyio.sleep(120)
            [found] = source.objects(network)
            assert found.status.state is NetworkState.AVAILABLE
            assert daemon.probes.report("readyz").is_well


class TestAddress:
    """On the real clock: something listens."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        return "asyncio", {}

    async def test_an_address_in_use_ends_the_start_and_is_named(self, world: Lab) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            daemon = assemble(
                world.settings,
                ONMETAL,
                Client(world.to_source),
                Client(world.to_apinet),
                manager=ManagerSettings(probes=address, preflight="off"),
            )
            with pytest.raises(PartEnded, match="probes") as caught:
                async with daemon:
                    await daemon.ready()
            assert address in str(caught.value)
            assert "in use" in str(caught.value)
