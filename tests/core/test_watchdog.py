"""A blocked loop is reported with the stack that blocks it. On a real loop and a real clock, for a short while."""

import asyncio
import logging
import threading
import time

import anyio
import pytest

from reconcile.core import LoopWatchdog, serving
from reconcile.testing.loop import run
from reconcile.testing.plugin import AnyioBackend

LIMIT = 0.1


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}


def grind() -> None:
    time.sleep(0.4)


def watching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "watchdog"]


@pytest.mark.pain(17)
async def test_a_blocked_loop_is_reported_once_with_the_stack_that_blocks_it_and_with_its_duration(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lags: list[float] = []
    watchdog = LoopWatchdog(limit=LIMIT, on_lag=lags.append)
    async with serving(watchdog):
        await asyncio.sleep(LIMIT)
        caplog.clear()
        grind()
        await asyncio.sleep(LIMIT)
    blocked = [text for text in map(logging.LogRecord.getMessage, caplog.records) if "in grind" in text]
    assert len(blocked) == 1
    assert blocked[0].startswith("Loop is blocked limit=0.100 stack=")
    assert "time.sleep(0.4)" in blocked[0]
    assert "Loop is free again seconds=0." in caplog.text
    assert watchdog.worst_lag == max(lags)
    assert 0.3 < watchdog.worst_lag < 5
    assert watchdog.lag == lags[-1] < 0.3


@pytest.mark.pain(17)
async def test_a_loop_that_only_waits_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    watchdog = LoopWatchdog(limit=5.0)
    with anyio.move_on_after(0.05):
        async with serving(watchdog):
            await anyio.sleep_forever()
    assert "blocked" not in caplog.text


async def test_its_thread_is_gone_once_it_has_stopped() -> None:
    async with serving(LoopWatchdog(limit=LIMIT)):
        await asyncio.sleep(0)
        assert len(watching()) == 1
    for thread in watching():
        thread.join(1)
    assert watching() == []


def test_on_virtual_time_it_does_nothing_at_all() -> None:
    async def main() -> tuple[list[threading.Thread], float]:
        watchdog = LoopWatchdog(limit=LIMIT)
        async with serving(watchdog):
            await asyncio.sleep(86400)
            return watching(), watchdog.worst_lag

    assert run(main()) == ([], 0.0)
