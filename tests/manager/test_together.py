"""Services side by side: none waits for another, and one that ends, ends them all with its name."""

import anyio
import pytest
from anyio.abc import TaskStatus
from attrs import define, field

from reconcile.core.clock import Seconds, now
from reconcile.core.service import ServiceEnded, serving
from reconcile.manager.together import Together


@define(eq=False)
class Part:
    name: str
    starts_after: Seconds = 0.0
    drains_for: Seconds = 0.0
    ends_after: Seconds | None = None
    events: list[tuple[str, Seconds]] = field(factory=list)

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        await anyio.sleep(self.starts_after)
        self.events.append(("started", now()))
        task_status.started()
        if self.ends_after is not None:
            await anyio.sleep(self.ends_after)
            raise LookupError("no more")
        try:
            await anyio.sleep_forever()
        finally:
            self.events.append(("ended", now()))

    async def drain(self) -> None:
        await anyio.sleep(self.drains_for)
        self.events.append(("drained", now()))


async def test_parts_start_side_by_side_and_it_is_usable_when_the_last_one_is() -> None:
    parts = [Part("a", starts_after=5), Part("b", starts_after=3)]
    async with serving(Together("both", parts)):
        assert now() == 5
        assert [part.events for part in parts] == [[("started", 5)], [("started", 3)]]


async def test_parts_drain_side_by_side_before_any_is_cancelled() -> None:
    parts = [Part("a", drains_for=2), Part("b", drains_for=4)]
    async with serving(Together("both", parts)):
        pass
    assert parts[0].events[1:] == [("drained", 2), ("ended", 4)]
    assert parts[1].events[1:] == [("drained", 4), ("ended", 4)]


async def test_who_may_not_drain_is_cut_off() -> None:
    part = Part("a", drains_for=60)
    async with serving(Together("one", [part], may_drain=lambda: False)):
        pass
    assert now() == 0
    assert part.events[1:] == [("ended", 0)]


async def test_a_hurry_cuts_the_drain_short() -> None:
    part = Part("a", drains_for=60)
    together = Together("one", [part])
    async with anyio.create_task_group() as tasks, serving(together, budget=100):
        tasks.start_soon(anyio.sleep, 0)
        tasks.start_soon(_later, together)
    assert now() == 7
    assert part.events[1:] == [("ended", 7)]


async def _later(together: Together) -> None:
    await anyio.sleep(7)
    together.hurry()


@pytest.mark.pain(2)
async def test_a_part_that_ends_by_itself_ends_all_and_is_named() -> None:
    parts = [Part("a", ends_after=3), Part("b")]
    with pytest.raises(ServiceEnded) as caught:
        async with serving(Together("both", parts)):
            await anyio.sleep_forever()
    assert now() == 3
    assert caught.value.name == "both"
    assert isinstance(caught.value.__cause__, ServiceEnded)
    assert caught.value.__cause__.name == "a"
    assert isinstance(caught.value.__cause__.__cause__, LookupError)
    assert parts[1].events[-1] == ("ended", 3)


async def test_none_at_all_is_usable_at_once() -> None:
    async with serving(Together("none", [])):
        assert now() == 0
