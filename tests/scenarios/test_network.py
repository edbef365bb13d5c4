"""Networks between two clusters: every acceptance scenario under its id, in both generations, on virtual time."""

from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from apinetlet.api import IRONCORE, ONMETAL, Generation
from apinetlet.api.networking import NetworkState
from apinetlet.demo.world import TARGET_NAMESPACE
from apinetlet.origin import Origins
from reconcile.kube import MergePatch
from reconcile.testing.faults import WRITES, FaultPlan, Refused, Rule, Silent, Status
from tests.scenarios.daemon import Lab, lab


@pytest.fixture(params=[ONMETAL, IRONCORE], ids=lambda generation: generation.name)
def generation(request: pytest.FixtureRequest) -> Generation:
    found: Generation = request.param
    return found


@pytest.fixture
async def world(generation: Generation) -> AsyncIterator[Lab]:
    async with lab(generation) as both:
        yield both


async def test_net_1_a_network_gets_a_counterpart_with_its_origin_and_an_id(world: Lab) -> None:
    async with world.daemon():
        await world.world.create_network("blue")
        await world.rest()
        network = world.network("blue")
        target = world.counterpart(network)
        expected = Origins(world.generation, "Network").metadata(network.metadata)
        assert dict(target.metadata.labels) == expected["labels"]
        assert dict(target.metadata.annotations) == expected.get("annotations", {})
        assert target.metadata.namespace == TARGET_NAMESPACE
        assert target.metadata.owner_references == ()
        assert target.spec.id


async def test_net_2_a_network_reports_the_id_of_its_counterpart_and_is_available(world: Lab) -> None:
    async with world.daemon():
        await world.world.create_network("blue")
        await world.rest()
        network = world.network("blue")
        assert network.spec.provider_id == world.expected_provider_id(network)
        assert network.status.state is NetworkState.AVAILABLE


async def test_net_3_a_deleted_network_goes_after_its_counterpart(world: Lab) -> None:
    async with world.daemon():
        await world.world.create_network("blue")
        await world.rest()
        at_the_end: list[int] = []
        await world.world.delete_network("blue")
        with anyio.fail_after(10):
            while world.world.networks:
                at_the_end.append(len(world.world.counterparts))
                await anyio.lowlevel.checkpoint()
        assert world.world.counterparts == []
        assert at_the_end[0] == 1


async def test_net_4_a_counterpart_of_no_network_is_deleted(world: Lab) -> None:
    await world.dangling()
    async with world.daemon():
        await world.dangling(name="left-over-too")
        await world.rest()
        assert world.world.counterparts == []


async def test_net_4_a_source_that_came_and_went_while_the_watch_was_broken_leaves_nothing(world: Lab) -> None:
    silence, too_old = (
        FaultPlan((Rule(fault, verbs=("watch",), resources=("networks",), times=1),))
        for fault in (Silent(after_lines=1), Status(410))
    )
    world.to_source.plan = silence
    async with world.daemon():
        await world.rest(1)
        world.to_source.plan = too_old
        await world.world.create_network("nobody")
        await world.dangling()
        await world.rest(5)
        assert world.to_source.struck["Silent"] == 1
        await world.world.delete_network("nobody")
        await world.rest()
        assert world.to_source.struck["Status 410"] == 1
        assert (world.world.networks, world.world.counterparts) == ([], [])


@pytest.mark.parametrize("missing", ["namespace", "name", "uid", "everything"])
async def test_net_5_an_api_net_network_without_whole_origin_is_never_touched(world: Lab, missing: str) -> None:
    left_over = await world.dangling(name="template")
    labels, annotations = (
        {key: value for key, value in values.items() if missing != "everything" and not key.endswith(f"-{missing}")}
        for values in (left_over.metadata.labels, left_over.metadata.annotations)
    )
    foreign = await world.dangling(name="foreign", labels=labels, annotations=annotations)
    async with world.daemon():
        await world.rest()
        assert [one.metadata.name for one in world.world.counterparts] == ["foreign"]
        assert world.world.counterparts[0].metadata.resource_version == foreign.metadata.resource_version


async def test_net_6_networks_of_one_name_in_two_namespaces_have_counterparts_of_their_own(world: Lab) -> None:
    async with world.daemon():
        for namespace in ("default", "kube-public"):
            await world.world.create_network("blue", namespace=namespace)
        await world.rest()
        ids = {world.counterpart(network).spec.id for network in world.world.networks}
        assert len(ids) == len(world.world.counterparts) == 2


async def test_net_7_a_network_waits_for_an_api_net_cluster_that_is_down(world: Lab) -> None:
    async with world.daemon():
        await world.rest()
        world.to_apinet.plan = FaultPlan.of(Refused())
        await world.world.create_network("blue")
        await world.rest()
        assert world.state("blue") is NetworkState.PENDING
        assert not world.network("blue").spec.provider_id
        world.to_apinet.heal()
        await world.rest()
        assert world.state("blue") is NetworkState.AVAILABLE
        assert world.network("blue").spec.provider_id == world.expected_provider_id(world.network("blue"))


async def test_net_8_an_outage_of_the_api_net_cluster_does_not_take_availability_back(world: Lab) -> None:
    async with world.daemon() as daemon:
        await world.world.create_network("blue")
        await world.rest()
        world.to_apinet.plan = FaultPlan((Rule(Status(500), verbs=WRITES),))
        await world.set_finalizers("apinet", world.counterpart(world.network("blue")), [])
        key = world.network("blue").metadata.key
        stripped = MergePatch({"metadata": {"labels": None, "annotations": None}})
        target = world.counterpart(world.network("blue"))
        await world.world.apinet.client().patch(world.world.kinds.apinet_network, target.metadata.key, stripped)
        daemon.controller("network").enqueue_all("the apply has to be sent and fails")
        await world.rest()
        assert world.to_apinet.struck["Status 500"] > 1, key
        assert world.state("blue") is NetworkState.AVAILABLE


async def test_net_9_a_counterpart_deleted_by_hand_is_made_anew_and_the_mismatch_is_told(world: Lab) -> None:
    async with world.daemon():
        await world.world.create_network("blue")
        await world.rest()
        before = world.network("blue")
        await world.world.delete_counterpart(before)
        await world.rest()
        after = world.network("blue")
        assert world.counterpart(after).spec.id
        assert after.spec.provider_id == before.spec.provider_id != world.expected_provider_id(after)
        assert after.status.state is NetworkState.ERROR
        assert "ProviderIDMismatch" in world.events()


async def test_net_10_a_daemon_stopped_between_apply_and_report_goes_on_with_the_same_counterpart(world: Lab) -> None:
    world.to_source.plan = FaultPlan((Rule(Refused(), verbs=WRITES),))
    async with world.daemon():
        await world.world.create_network("blue", finalizers=[world.generation.finalizer("Network")])
        await world.rest(5)
    before = world.counterpart(world.network("blue"))
    assert not world.network("blue").spec.provider_id
    world.to_source.heal()
    async with world.daemon():
        await world.rest()
    network = world.network("blue")
    assert world.counterpart(network).metadata.uid == before.metadata.uid
    assert network.spec.provider_id == world.expected_provider_id(network)
    assert network.status.state is NetworkState.AVAILABLE


async def test_net_11_a_finalizer_that_somebody_else_adds_at_the_same_time_stays(world: Lab) -> None:
    async with world.daemon():
        await world.rest(1)
        created = await world.world.create_network("blue")
        # the daemon has seen the network without it and is about to write its own
        await world.set_finalizers("source", created, ["networking.example/network"])
        await world.rest()
        finalizers = world.network("blue").metadata.finalizers
        assert set(finalizers) == {"networking.example/network", world.generation.finalizer("Network")}


@pytest.mark.pain(20)
async def test_net_12_a_network_waits_for_a_foreign_finalizer_of_its_counterpart(world: Lab) -> None:
    async with world.daemon():
        await world.world.create_network("blue")
        await world.rest()
        await world.set_finalizers("apinet", world.counterpart(world.network("blue")), ["partition.example/a"])
        await world.world.delete_network("blue")
        await world.rest()
        assert world.network("blue").metadata.finalizers == (world.generation.finalizer("Network"),)
        target = world.counterpart(world.network("blue"))
        assert target.metadata.is_deleting
        await world.set_finalizers("apinet", target, [])
        await world.rest(1)  # the event of its end, no poll
        assert (world.world.networks, world.world.counterparts) == ([], [])


async def test_net_13_the_watch_filter_decides_who_is_mapped_and_never_hangs_a_deletion(world: Lab) -> None:
    label = world.generation.watch_filter_label
    async with world.daemon(watch_filter="mine"):
        await world.world.create_network("blue")
        await world.rest()
        assert world.world.counterparts == []
        assert not world.network("blue").metadata.finalizers

        await world.label("blue", {label: "mine"})
        await world.rest()
        assert world.state("blue") is NetworkState.AVAILABLE

        await world.label("blue", {label: None})
        versions = world.versions()
        await world.rest()
        assert world.versions() == versions

        await world.world.delete_network("blue")
        await world.rest()
        assert (world.world.networks, world.world.counterparts) == ([], [])


async def test_net_14_a_network_managed_by_somebody_else_is_never_written(world: Lab) -> None:
    annotations = {world.generation.managed_by_annotation: ""}
    async with world.daemon():
        created = await world.world.create_network("blue", annotations=annotations)
        origin = Origins(world.generation, "Network").metadata(created.metadata)
        await world.dangling(name="of-somebody-else", **{name: dict(values) for name, values in origin.items()})
        await world.rest()
        assert world.network("blue").metadata.resource_version == created.metadata.resource_version
        assert world.world.writes == 0


async def test_net_15_a_network_made_anew_while_nobody_looked_loses_its_old_counterpart(world: Lab) -> None:
    async with world.daemon():
        await world.world.create_network("blue")
        await world.rest()
    old = world.network("blue")
    await world.world.delete_network("blue")
    await world.set_finalizers("source", old, [])
    new = await world.world.create_network("blue")
    assert new.metadata.uid != old.metadata.uid
    async with world.daemon():
        await world.rest()
        [target] = world.world.counterparts
        assert target.metadata.name == new.metadata.uid
        assert world.state("blue") is NetworkState.AVAILABLE


async def test_net_16_looking_again_a_hundred_times_writes_nothing(world: Lab) -> None:
    async with world.daemon() as daemon:
        for name in ("blue", "green", "red"):
            await world.world.create_network(name)
        await world.rest()
        versions, writes = world.versions(), world.world.writes
        for number in range(100):
            daemon.controller("network").enqueue_all(f"pass {number}")
            await world.rest(1)
        assert world.versions() == versions
        assert world.world.writes == writes


async def test_a_new_network_costs_four_writes_and_its_deletion_two(world: Lab) -> None:
    async with world.daemon():
        await world.world.create_network("blue")
        await world.rest()
        assert world.world.writes == 4
        await world.world.delete_network("blue")
        await world.rest()
        assert world.world.writes == 6


@pytest.mark.pain(21)
async def test_nothing_of_a_users_object_is_written_but_our_finalizer_the_provider_id_and_the_status(
    world: Lab,
) -> None:
    async with world.daemon():
        before = await world.world.create_network("blue", labels={"mine": "1"}, annotations={"note": "kept"})
        await world.rest()
        after = world.network("blue")
        assert (after.metadata.labels, after.metadata.annotations) == (
            before.metadata.labels,
            before.metadata.annotations,
        )
        assert after.metadata.finalizers == (world.generation.finalizer("Network"),)
        assert after.metadata.owner_references == ()


async def test_a_restart_on_a_converged_world_writes_nothing(world: Lab) -> None:
    async with world.daemon():
        await world.world.create_network("blue")
        await world.rest()
    writes = world.world.writes
    async with world.daemon():
        await world.rest()
    assert world.world.writes == writes


async def test_an_api_net_cluster_without_ids_keeps_networks_pending_until_one_is_free(generation: Generation) -> None:
    async with lab(generation, highest_id=200) as world, world.daemon():
        await world.world.create_network("blue")
        await world.rest()
        await world.world.create_network("green")
        await world.rest()
        assert world.state("green") is NetworkState.PENDING
        assert "NetworkIDExhausted" in world.events()
        await world.world.delete_network("blue")
        await world.rest()
        assert world.state("green") is NetworkState.AVAILABLE


async def test_only_the_watched_namespace_is_mapped_and_foreign_counterparts_are_left_alone(world: Lab) -> None:
    async with world.daemon():
        await world.world.create_network("blue", namespace="kube-public")
        await world.rest()
    before = world.versions()
    async with world.daemon(namespace="default"):
        await world.world.create_network("green")
        await world.rest()
        assert world.state("green") is NetworkState.AVAILABLE
        assert {**world.versions(), **before} == world.versions()
