"""``top``: what a running daemon does, asked over its debug pages."""

import contextlib
import io
import json
import os
import pty
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import orjson
import pytest

from apinetlet import cli
from apinetlet.api import IRONCORE
from apinetlet.assembly import assemble
from apinetlet.demo.world import TARGET_NAMESPACE, World
from apinetlet.settings import Settings
from apinetlet.tools import shell, top
from apinetlet.tools.answer import FINDING, OK
from apinetlet.tools.top import View
from reconcile import ManagerSettings

QUEUE = {
    "controller": "network",
    "paused": False,
    "problems": [],
    "inWork": [{"key": "source/a/slow", "id": "1", "seconds": 7.0}],
    "depth": {"0": 2},
    "oldestWait": 9.0,
    "waiting": [{"key": "source/a/late", "seconds": 9.0}, {"key": "source/a/b", "seconds": 1.0}],
    "plannedCount": 3,
    "failingCount": 1,
}
COPY = {"cluster": "source", "resource": "networks", "state": "live", "staleness": 2.0, "objects": 5, "lastError": ""}


def text(view: View, keys: int = 10) -> str:
    return shell.drawn(top.answer(view, keys).parts, io.StringIO())


def test_the_slowest_keys_come_first_whether_they_work_or_wait() -> None:
    assert [one["key"] for one in top.slowest([QUEUE], 2)] == ["source/a/late", "source/a/slow"]
    [_, _, _, first, second] = [line.split() for line in text(View([QUEUE], [])).splitlines() if line][:5]
    assert first[1:3] == ["source/a/late", "waits"]
    assert second[1:4] == ["source/a/slow", "in", "flight"]


@pytest.mark.parametrize(
    ("queue", "copy", "status"),
    [
        ({}, {}, OK),
        ({"problems": ["stuck"]}, {}, FINDING),
        ({"inWork": [{"key": "k", "seconds": 61.0}]}, {}, FINDING),
        ({}, {"staleness": 130.0}, FINDING),
        ({}, {"staleness": None}, FINDING),
    ],
)
def test_what_is_late_is_a_finding(queue: dict[str, Any], copy: dict[str, Any], status: int) -> None:
    assert top.answer(View([{**QUEUE, **queue}], [{**COPY, **copy}]), 10).status == status


@pytest.mark.parametrize("word", ["--keys=-1", "--interval=0s"])
@pytest.mark.parametrize("more", [["--once"], []], ids=["once", "again and again"])
def test_a_number_that_makes_no_sense_is_a_usage_error(
    word: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["top", word, *more]) == 2
    assert word.partition("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [("127.0.0.1:1", 1, "no debug pages at 127.0.0.1:1"), ("nowhere", 2, "must be host:port")],
)
@pytest.mark.parametrize("once", [["--once"], []])
def test_a_daemon_that_is_not_there_is_one_line(
    address: str, status: int, says: str, once: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["top", *once, f"--debug-bind-address={address}"]) == status
    [line] = capsys.readouterr().err.splitlines()
    assert says in line


@contextmanager
def answering(said: bytes) -> Iterator[str]:
    """Whoever connects is told ``said``, whatever they want; its address."""

    class Same(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(said)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Same) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def page(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        page(b"")[:-2] + b"cut",
        page(b"x")[:-1],
        page(b"5"),
        page(b"null"),
        page(b'{"a": 1}'),
        page(b'[{"a": 1}]'),
    ],
)
@pytest.mark.parametrize("once", [["--once"], []])
def test_another_program_at_that_address_is_one_line(
    said: bytes, once: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(said) as address:
        assert cli.main(["top", *once, f"--debug-bind-address={address}"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"apinetlet: no debug pages at {address}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("address", ["foo bar:80", ":²", ":99999", "a/b:80"])
def test_an_address_that_is_none_is_a_usage_error(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["top", "--once", f"--debug-bind-address={address}"]) == 2
    assert capsys.readouterr().err.startswith("apinetlet: --debug-bind-address must be host:port, not ")


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering(page(b"[]")) as address:
        assert cli.main(["top", "--once", "-o=json", f"--debug-bind-address={address}"]) == 0
    assert json.loads(capsys.readouterr().out) == {"queues": [], "slowest": [], "informers": []}


def test_the_live_view_without_rich_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    with answering(page(orjson.dumps([{**QUEUE, **COPY}]))) as address:
        assert cli.main(["top", f"--debug-bind-address={address}"]) == 1
    assert "tables need rich" in capsys.readouterr().err


class TestRunning:
    """On the real clock: the pages are served over a socket."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        return "asyncio", {}

    @pytest.fixture
    async def address(self) -> AsyncIterator[str]:
        settings = ManagerSettings(preflight="off", debug="127.0.0.1:0")
        async with World(IRONCORE) as world:
            await world.declare("networks", "blue", {})
            clients = (server.client() for server in (world.source, world.apinet))
            daemon = assemble(Settings(api_net_namespace=TARGET_NAMESPACE), IRONCORE, *clients, manager=settings)
            async with daemon:
                await daemon.ready()
                [found] = [one.bound for one in daemon.servers if one.bound is not None]
                yield f"{found.host}:{found.port}"

    async def test_one_look_shows_every_controller_and_every_copy(
        self, address: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["top", "--once", "-o=json", f"--debug-bind-address={address}"]
        assert await anyio.to_thread.run_sync(cli.main, words) == OK
        found = json.loads(capsys.readouterr().out)
        assert {one["controller"] for one in found["queues"]} >= {"network", "loadbalancer", "virtualip"}
        assert {one["cluster"] for one in found["informers"]} == {"source", "apinet"}

    async def test_in_a_pipe_it_goes_on_until_nobody_reads(self, address: str) -> None:
        words = [sys.executable, "-m", "apinetlet", "top", f"--debug-bind-address={address}", "--interval=10ms"]

        def watch() -> tuple[str, int, str]:
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ})
            assert process.stdout is not None
            assert process.stderr is not None
            seen = b""
            while seen.count(b"CONTROLLER") < 3:
                seen += os.read(process.stdout.fileno(), 4096)
            process.stdout.close()
            with process.stderr:
                return seen.decode(), process.wait(120), process.stderr.read().decode()

        seen, status, errors = await anyio.to_thread.run_sync(watch)
        assert (status, errors) == (0, "")
        assert "\x1b" not in seen

    @pytest.mark.proof
    async def test_on_a_terminal_it_draws_over_itself_until_it_is_interrupted(self, address: str) -> None:
        words = [sys.executable, "-m", "apinetlet", "top", f"--debug-bind-address={address}", "--interval=10ms"]

        def watch() -> tuple[str, int]:
            ours, its = pty.openpty()
            environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
            process = subprocess.Popen(
                words, stdout=its, stderr=its, stdin=its, env=environment, start_new_session=True
            )
            os.close(its)
            seen = b""
            while seen.count(b"CONTROLLER") < 3:
                seen += os.read(ours, 4096)
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):  # the terminal is gone with its last user
                while os.read(ours, 4096):
                    pass
            os.close(ours)
            return seen.decode(), process.wait(120)

        seen, status = await anyio.to_thread.run_sync(watch)
        assert status == 0
        assert seen.count(top.CLEAR) >= 3
        assert "Traceback" not in seen
