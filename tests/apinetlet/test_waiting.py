"""While something is waited for, probes are answered, and a stop is heeded. On the real clock: something listens."""

import os
import signal
import socket
import urllib.error
import urllib.request
from typing import Any

import anyio
import anyio.to_thread
import pytest

from apinetlet.waiting import Say, waiting


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {}


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def page(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}/{path}", timeout=30) as answer:
            return answer.status, str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_it_lives_and_is_not_ready_for_what_was_said_last() -> None:
    address, seen = free_address(), []

    async def work(say: Say) -> str:
        for text in ("", "the second"):
            if text:
                say(text)
            seen.append(await anyio.to_thread.run_sync(page, address, "readyz"))
        seen.append(await anyio.to_thread.run_sync(page, address, "livez"))
        return "found"

    async def listening(say: Say) -> str:
        while True:  # the pages come up beside the work
            try:
                await anyio.to_thread.run_sync(page, address, "livez")
            except OSError:
                await anyio.sleep(0.01)
            else:
                return await work(say)

    with anyio.fail_after(60):
        assert await waiting("thing", listening, first="the first", probes=address) == "found"
    assert [code for code, _ in seen] == [500, 500, 200]
    assert "[-]thing failed: the first" in seen[0][1]
    assert "[-]thing failed: the second" in seen[1][1]


async def test_what_goes_wrong_is_raised_alone() -> None:
    async def work(_: Say) -> None:
        raise LookupError("nothing there")

    with anyio.fail_after(60), pytest.raises(LookupError, match="nothing there"):
        await waiting("thing", work, first="", probes="0")


async def test_a_signal_ends_the_wait() -> None:
    ended = []

    async def work(_: Say) -> str:
        try:
            while True:
                os.kill(os.getpid(), signal.SIGTERM)
                await anyio.sleep(0.01)
        finally:
            ended.append("work")

    before = signal.signal(signal.SIGTERM, lambda *_: None)  # the first may come before anybody listens
    try:
        with anyio.fail_after(60):
            found = await waiting("thing", work, first="", probes="0")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (found, ended) == (None, ["work"])
