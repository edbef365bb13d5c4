"""The stories of a Network, told with the installed daemon as a process between two real API servers."""

import itertools
import signal
from pathlib import Path

import anyio
import pytest

from apinetlet.api import IRONCORE, ONMETAL
from apinetlet.api.networking import NetworkState
from apinetlet.origin import Origins
from reconcile.kube import MergePatch, ObjectKey
from reconcile.kube.kinds import EVENT
from reconcile.testing.processes import Processes
from tests.real.daemon import Daemon, Place, lines, made, readable, run_apinetlet
from tests.real.relay import Relay, Tripwire
from tests.real.waiting import until

pytestmark = pytest.mark.real

FOREIGN = "example.org/protection"
"""Somebody else's finalizer."""


async def mapped(world: Place, name: str) -> None:
    """It is Available under the ID of its one counterpart, which carries its origin and nothing else."""
    source = await world.network(name)
    assert source is not None
    [target] = await world.counterparts()
    assert target.metadata.name == source.metadata.uid
    origin = Origins(world.generation, "Network").metadata(source.metadata)
    assert dict(target.metadata.labels) == origin["labels"]
    assert dict(target.metadata.annotations) == origin.get("annotations", {})
    assert not target.metadata.finalizers
    assert source.metadata.finalizers == (world.generation.finalizer("Network"),)
    assert target.spec.id
    assert source.spec.provider_id == world.provider_id(target)
    assert source.status.state is NetworkState.AVAILABLE


# -- one Network from beginning to end ---------------------------------------------------------------------------------


async def test_a_network_lives_with_its_counterpart_and_goes_after_it(world: Place) -> None:
    daemon = world.start(generation="auto")
    async with world.allocating():
        await world.create("blue")
        await world.available("blue")
        await mapped(world, "blue")
        await world.delete("blue")
        await world.gone("blue")
    assert await world.counterparts() == []
    *_, deleted, released = world.writes()
    assert (deleted.verb, deleted.group, deleted.code) == ("delete", world.generation.apinet, 200)
    assert (released.verb, released.group, released.code) == ("patch", world.generation.networking, 200)
    assert deleted.completed <= released.received, "it was let go of before its counterpart was gone"
    assert await daemon.stop() == 0


async def test_an_id_that_comes_later_is_reported_when_it_comes(world: Place) -> None:
    daemon = world.start()
    await world.create("blue")

    async def is_pending() -> bool:
        found = await world.network("blue")
        return found is not None and found.status.state is NetworkState.PENDING

    await until(is_pending, "blue is Pending")
    before = len(world.writes())
    async with world.allocating():
        await world.available("blue")
    await mapped(world, "blue")
    assert [one.subresource for one in world.writes()[before:]] == ["", "status"]
    assert await daemon.stop() == 0


async def test_a_counterpart_of_nobody_is_deleted_and_one_without_origin_stays(world: Place) -> None:
    network = await world.create("short")
    await world.delete("short")
    origin = Origins(world.generation, "Network").metadata(network.metadata)
    for name, metadata in (("dangling", origin), ("foreign", {"labels": dict(list(origin["labels"].items())[:1])})):
        body = {"metadata": {"name": name, **metadata}, "spec": {}}
        await world.apinet.create(world.kinds.apinet_network, body, namespace=world.target)
    daemon = world.start()

    async def is_deleted() -> bool:
        return await world.counterpart("dangling") is None

    await until(is_deleted, "the dangling counterpart is deleted")
    assert await daemon.stop() == 0
    assert await world.counterpart("foreign") is not None
    assert [(one.verb, one.name) for one in world.writes()] == [("delete", "dangling")]


async def test_stopped_before_the_provider_id_it_goes_on_with_the_same_counterpart(world: Place) -> None:
    first = world.start()
    network = await world.create("blue")

    async def is_applied() -> bool:
        return await world.counterpart(network.metadata.uid) is not None

    await until(is_applied, "blue has a counterpart")
    assert await first.stop() == 0
    [made] = await world.counterparts()
    async with world.allocating():
        second = world.start()
        await world.available("blue")
    await mapped(world, "blue")
    [found] = await world.counterparts()
    assert found.metadata.uid == made.metadata.uid
    assert await second.stop() == 0


async def test_somebody_elses_finalizer_on_the_counterpart_holds_the_network_until_it_goes(world: Place) -> None:
    daemon = world.start()
    async with world.allocating():
        network = await world.create("blue")
        await world.available("blue")
        key = ObjectKey(world.target, network.metadata.uid)
        protect = MergePatch({"metadata": {"finalizers": [FOREIGN]}})
        await world.apinet.patch(world.kinds.apinet_network, key, protect)
        await world.delete("blue")

        async def is_held() -> bool:
            found = await world.counterpart(network.metadata.uid)
            return found is not None and found.metadata.is_deleting

        await until(is_held, "the counterpart is being deleted")
        await anyio.sleep(1)
        kept = await world.network("blue")
        assert kept is not None
        assert kept.metadata.finalizers == (world.generation.finalizer("Network"),)
        await world.apinet.patch(world.kinds.apinet_network, key, MergePatch({"metadata": {"finalizers": None}}))
        await world.gone("blue")
    assert await world.counterparts() == []
    assert await daemon.stop() == 0


async def test_an_outage_of_the_api_net_cluster_is_waited_out_without_taking_back_what_was_reached(
    world: Place,
) -> None:
    async with Relay(world.apinet_plane) as relay, world.allocating():
        daemon = world.start(apinet=relay.kubeconfig(world.apinet_plane.kubeconfig()))
        await world.create("old")
        await world.available("old")
        relay.is_refusing = True
        relay.cut()
        network = await world.create("new")
        touched = MergePatch({"metadata": {"annotations": {"example.org/touched": "yes"}}})
        await world.source.patch(world.kinds.network, ObjectKey(world.home, "old"), touched)

        async def is_pending() -> bool:
            found = await world.network("new")
            return found is not None and found.status.state is NetworkState.PENDING

        await until(is_pending, "new is Pending")
        assert await world.is_available("old")
        assert await world.counterpart(network.metadata.uid) is None
        relay.is_refusing = False
        await world.available("new")
        assert len(await world.counterparts()) == 2
    assert await daemon.stop() == 0


async def test_a_counterpart_that_was_deleted_by_hand_is_made_anew_and_the_network_says_error(world: Place) -> None:
    daemon = world.start()
    async with world.allocating():
        network = await world.create("blue")
        await world.available("blue")
        available = await world.network("blue")
        assert available is not None
        await world.apinet.delete(world.kinds.apinet_network, ObjectKey(world.target, network.metadata.uid))

        async def says_error() -> bool:
            found = await world.network("blue")
            return found is not None and found.status.state is NetworkState.ERROR

        await until(says_error, "blue says Error")
        [anew] = await world.counterparts()
        found = await world.network("blue")
        assert found is not None
        assert anew.metadata.name == network.metadata.uid
        assert found.spec.provider_id == available.spec.provider_id != world.provider_id(anew)

        async def is_told() -> bool:
            events = (await world.source.list(EVENT, namespace=world.home)).items
            return "ProviderIDMismatch" in {one["reason"] for one in events}

        await until(is_told, "an event tells of the mismatch")
    assert await daemon.stop() == 0


# -- death at any moment -----------------------------------------------------------------------------------------------


@pytest.mark.pain(22)
async def test_killed_after_any_of_its_writes_it_ends_where_it_would_have_without(world: Place) -> None:
    """Before it hears the answer, so what it knew of the write dies with it. One run for each write of a whole life."""
    for nth in itertools.count(1):
        before = len(world.writes())
        tripped = anyio.Event()
        tripwire = Tripwire(nth, "networks", tripped.set)
        async with (
            Relay(world.source_plane, tripwire) as source,
            Relay(world.apinet_plane, tripwire) as apinet,
            world.allocating(),
            anyio.create_task_group() as killing,
        ):
            doomed = world.start(
                source=source.kubeconfig(world.source_plane.kubeconfig()),
                apinet=apinet.kubeconfig(world.apinet_plane.kubeconfig()),
            )

            async def kill_and_restart(tripped: anyio.Event = tripped, doomed: Daemon = doomed) -> None:
                await tripped.wait()
                doomed.process.kill()
                world.start()

            killing.start_soon(kill_and_restart)
            await world.create("blue")
            await world.available("blue")
            await mapped(world, "blue")
            await world.delete("blue")
            await world.gone("blue")
            assert await world.counterparts() == []
            killing.cancel_scope.cancel()
        world.kill()
        writes = world.writes()[before:]
        assert made(writes) == {"networks": 1}, f"after write {nth}: {[readable(one) for one in writes]}"
        if not tripwire.has_tripped:
            assert nth > 5, "a life has more writes"
            return


# -- nothing to do -----------------------------------------------------------------------------------------------------


@pytest.mark.pain(14)
async def test_a_mapped_world_is_written_to_by_nobody_not_even_after_a_restart(world: Place) -> None:
    """With leader election, as it is deployed: the Lease is handed over by the orderly stop."""
    flags = "--leader-elect", f"--leader-election-namespace={world.home}"
    first = world.start(*flags)
    async with world.allocating():
        for name in ("blue", "red", "green"):
            await world.create(name)
        for name in ("blue", "red", "green"):
            await world.available(name)
        await anyio.sleep(0.5)
        before = world.writes()
        await anyio.sleep(4)
        assert await first.stop() == 0
        second = world.start(*flags)
        await second.ready()
        await anyio.sleep(2)
        assert await second.stop() == 0
    assert [readable(one) for one in world.writes()[len(before) :]] == []
    assert len(before) <= 3 * 5


# -- how it ends -------------------------------------------------------------------------------------------------------


@pytest.mark.pain(27)
@pytest.mark.parametrize("generation", [IRONCORE], indirect=True, ids=lambda one: one.name)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_before_there_is_anything_to_do_ends_it_well(world: Place, number: signal.Signals) -> None:
    daemon = world.start()
    await daemon.ready()
    daemon.process.signal(number)
    assert await anyio.to_thread.run_sync(daemon.process.wait, 20.0) == 0


@pytest.mark.parametrize("generation", [ONMETAL], indirect=True, ids=lambda one: one.name)
async def test_told_to_stop_while_no_server_answers_it_ends_well(world: Place) -> None:
    async with Relay(world.source_plane, is_refusing=True) as relay:
        daemon = world.start(generation="auto", source=relay.kubeconfig(world.source_plane.kubeconfig()))

        def has_complained() -> bool:
            return any("Cannot tell the generation yet" in line for line in lines(daemon.process))

        await until(has_complained, "it says that the server does not answer")
        assert daemon.process.code is None
        assert await daemon.stop() == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "kubeconfig-that-is-not-there"),
        ("{", "broken"),
        ('{"apiVersion": "v1", "kind": "Config", "current-context": "none"}', "none"),
    ],
    ids=["missing", "unreadable", "without its context"],
)
def test_a_kubeconfig_that_cannot_be_used_ends_it_with_one_line_that_says_why(
    tmp_path: Path, content: str | None, said: str
) -> None:
    path = tmp_path / ("kubeconfig-that-is-not-there" if content is None else "broken")
    if content is not None:
        path.write_text(content)
    with Processes() as processes:
        daemon = run_apinetlet(
            processes, tmp_path / "log", f"--kubeconfig={path}", f"--api-net-kubeconfig={path}", "--api-net-namespace=x"
        )
        assert daemon.process.wait(20.0) == 1
    [line] = lines(daemon.process)
    assert str(path) in line
    assert said in line
