"""Whatever happens in whatever order: what came last is looked at after it came, and then there is rest."""

from collections.abc import Callable
from typing import Any, TypeAlias

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.controller.reconciler import Request, Result, TerminalError
from reconcile.controller.settings import ControllerSettings
from reconcile.core.clock import Seconds, now
from reconcile.core.schedule import LOW
from reconcile.kube.errors import Conflict, TooManyRequests
from reconcile.testing.loop import run
from tests.controller.shop import Shop, wrote
from tests.controller.things import entry, write

KEYS = [Request("home", "ns", name) for name in "ab"]


@attrs.frozen
class Does:
    """What one call of the reconciler does: it may take time and write, and ends somehow."""

    seconds: Seconds
    writes: bool
    answer: Result | None = None
    error: Exception | None = None


@attrs.frozen
class Happens:
    """Something that happens to a key, a while after what happened before."""

    after: Seconds
    key: Request
    what: str


ERRORS: list[Callable[[], Exception]] = [
    lambda: ValueError("oops"),
    lambda: TerminalError("never"),
    lambda: Conflict("changed", code=409, reason="Conflict"),
    lambda: TooManyRequests("slow down", code=429, retry_after=5.0),
]
Script: TypeAlias = tuple[list[Happens], list[Does]]


def scripts() -> st.SearchStrategy[Script]:
    seconds = st.sampled_from([0.0, 0.0, 0.5, 3.0, 70.0])
    answers = st.builds(Does, seconds, st.booleans(), st.sampled_from([None, Result(requeue_after=2.0)]))
    errors = st.builds(Does, seconds, st.booleans(), error=st.sampled_from(ERRORS).map(lambda make: make()))
    what = st.sampled_from(["change", "change", "deletion", "own", "order", "resync", "pause", "resume"])
    events = st.builds(Happens, seconds, st.sampled_from(KEYS), what)
    return st.tuples(st.lists(events, max_size=25), st.lists(answers | errors, max_size=25))


@pytest.mark.pain(22)
@pytest.mark.pain(12)
@settings(max_examples=150)
@given(scripts(), st.integers(1, 2), st.sampled_from([0.0, 4.0]))
def test_what_came_last_is_reconciled_after_it_came_and_then_there_is_rest(
    script: Script, workers: int, min_interval: Seconds
) -> None:
    run(_play(*script, ControllerSettings(workers=workers, min_interval=min_interval, deadline=60.0, max_wait=30.0)))


async def _play(events: list[Happens], doings: list[Does], chosen: ControllerSettings) -> None:
    versions = dict.fromkeys(KEYS, 1)
    last: dict[Request, Seconds] = {}
    running: set[Request] = set()

    def tell(key: Request, *, is_own: bool, is_gone: bool = False) -> None:
        versions[key] += 1
        old, new = (entry(key.name, versions[key] + step) for step in (-1, 0))
        if is_own:
            wrote(write(key.name, versions[key]))
        shop.sees(old, None if is_gone else new, key, is_own=is_own)
        last[key] = now()

    async def reconcile(key: Request) -> Any:
        assert key not in running
        running.add(key)
        try:
            doing = doings.pop() if doings else Does(0.0, writes=False)
            await anyio.sleep(doing.seconds)
            if doing.writes:
                tell(key, is_own=True)
            if doing.error is not None:
                raise doing.error
            return doing.answer
        finally:
            running.discard(key)

    shop = Shop(reconcile, chosen)
    async with shop.working():
        for event in events:
            await anyio.sleep(event.after)
            match event.what:
                case "change" | "deletion":
                    tell(event.key, is_own=False, is_gone=event.what == "deletion")
                case "own":
                    tell(event.key, is_own=True)
                case "order":
                    shop.backlog.ask(event.key, "requested", "by hand")
                    last[event.key] = now()
                case "resync":
                    shop.backlog.ask(event.key, "resync", priority=LOW)
                    last[event.key] = now()
                case "pause":
                    shop.is_open.clear()
                case _:
                    shop.is_open.set()
        shop.is_open.set()
        await anyio.sleep(3600.0)
        doings.clear()
        began = {key: max((at for at, ran in shop.runs if ran == key), default=-1.0) for key in KEYS}
        assert all(began[key] >= at for key, at in last.items())
        assert shop.backlog.queue.snapshot().keys == ()
        assert [shop.backlog.why(key).pending for key in KEYS] == [(), ()]
        assert shop.backlog.failing() == {}
        runs = len(shop.runs)
        await anyio.sleep(3600.0)
        assert len(shop.runs) == runs
