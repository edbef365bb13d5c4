"""How source objects stand, as the metrics tell it: mapped, waiting and for what, and never counted twice."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apinetlet.api import GENERATIONS, Generation
from apinetlet.assembly import assemble
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE
from apinetlet.settings import Settings
from apinetlet.standings import Stand, Standings
from reconcile import Manager, ManagerSettings, ObjectKey, ObjectMeta
from reconcile.manager.web import Call
from tests.scenarios.desk import HOME, Desk, desk

BOTH = pytest.mark.parametrize("generation", list(GENERATIONS.values()), ids=list(GENERATIONS))
STANDS = st.none() | st.tuples(st.sampled_from(Stand), st.sampled_from(["", "NetworkNotFound"]))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), STANDS), max_size=30))
def test_each_object_is_counted_once_where_it_stood_last(
    notes: list[tuple[str, str, tuple[Stand, str] | None]],
) -> None:
    standings, last = Standings(), {}
    for kind, name, stand in notes:
        standings.note(kind, ObjectKey("n", name), *(stand or (None,)))
        last[kind, name] = stand
    expected: dict[tuple[str, Stand, str], int] = {}
    for (kind, _), stand in last.items():
        if stand is not None:
            expected[kind, *stand] = expected.get((kind, *stand), 0) + 1
    assert dict(standings.counts) == expected


def measured(at: Desk) -> Manager:
    """The daemon with metrics, listening on a port of the system's choice."""
    manager = at.generation.field_manager
    clients = [one.client(field_manager=manager, user_agent=DAEMON) for one in (at.world.source, at.world.apinet)]
    settings = ManagerSettings(preflight="off", metrics="127.0.0.1:0")
    return assemble(Settings(api_net_namespace=TARGET_NAMESPACE), at.generation, *clients, manager=settings)


async def figures(daemon: Manager) -> set[str]:
    """Our own lines of the page."""
    assert daemon.metrics is not None
    page = (await daemon.metrics.figures.page(Call("/metrics"))).body.decode()
    return {line for line in page.splitlines() if line.startswith("apinetlet_")}


class TestFigures:
    """On the real clock: the page is put into words in a thread."""

    @pytest.fixture
    def anyio_backend(self) -> object:
        return "asyncio", {}

    @BOTH
    async def test_the_metrics_tell_how_many_are_mapped_and_what_the_others_wait_for(
        self, generation: Generation
    ) -> None:
        async with desk(generation) as at:
            meta = ObjectMeta(namespace=HOME, name="nobody", uid="no-such-uid")
            for place in range(12):
                origin = at.origin("Network", meta)
                await at.create(at.world.kinds.apinet_network, f"lost-{place}", metadata=origin)
            await self.look(at, generation)

    async def look(self, at: Desk, generation: Generation) -> None:
        async with measured(at) as daemon:
            kinds = at.world.kinds
            spec = {"type": "Public", "ipFamilies": ["IPv4"], "networkRef": {"name": "blue"}}
            await at.declare_network()
            await at.create(kinds.load_balancer, "one", spec=spec)
            await at.create(kinds.load_balancer, "two", spec=spec)
            await at.create(kinds.load_balancer, "lost", spec={**spec, "networkRef": {"name": "green"}})
            annotations = {"annotations": {generation.managed_by_annotation: ""}}
            await at.create(kinds.load_balancer, "theirs", metadata=annotations, spec=spec)
            expected = {
                'apinetlet_objects{kind="Network",reason="",state="mapped"} 1.0',
                'apinetlet_objects{kind="LoadBalancer",reason="",state="mapped"} 2.0',
                'apinetlet_objects{kind="LoadBalancer",reason="NetworkNotFound",state="waiting"} 1.0',
                'apinetlet_objects{kind="LoadBalancer",reason="",state="ignored"} 1.0',
                'apinetlet_counterparts{kind="LoadBalancer"} 2.0',
                'apinetlet_counterparts{kind="Network"} 13.0',
                'apinetlet_dangling{kind="Network"} 12.0',
                'apinetlet_clean_up_held{kind="Network"} 1.0',
                'apinetlet_clean_up_held{kind="LoadBalancer"} 0.0',
            }
            with anyio.move_on_after(20):
                while not expected <= await figures(daemon):
                    await anyio.sleep(0.05)
            assert await figures(daemon) >= expected
