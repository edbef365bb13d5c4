"""What stands in for an API server: a transport that answers from a script, and a process on the loopback."""

import asyncio
import itertools
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from benchmarks import samples
from reconcile.core.clock import Seconds
from reconcile.kube.access import ClusterAccess
from reconcile.kube.credentials import RenewedCredentials
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.transport import Guard, HttpTransport, TransportSettings

ACCEPTED = TransportSettings(proxy="")


class Script:
    """A ``Transport``: lists get ``pages`` in turn, watches the pieces of ``stream`` and then of ``send``, and writes
    the object ``samples.document(0, color=color)`` in a new version each time."""

    host = "script"

    def __init__(self, pages: Iterable[bytes] = (), stream: Iterable[bytes] = (), color: str = "blue") -> None:
        self._pages = deque(pages)
        self._stream = ScriptStream(stream)
        self._template = template(color)
        self._versions = itertools.count(100_001)

    def send(self, pieces: Iterable[bytes]) -> None:
        """Go on with the watch."""
        self._stream.send(pieces)

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        body = self._pages.popleft() if request.method == "GET" else self._template % next(self._versions)
        return HttpResponse(200, {}, body)

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> "ScriptStream":
        return self._stream

    async def aclose(self) -> None:
        pass


class ScriptStream:
    """A watch that is quiet when its script is over."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self._pieces = deque(pieces)
        self._more = asyncio.Event()

    def send(self, pieces: Iterable[bytes]) -> None:
        self._pieces.extend(pieces)
        self._more.set()

    async def read(self) -> bytes:
        while not self._pieces:
            self._more.clear()
            await self._more.wait()
        return self._pieces.popleft()

    async def aclose(self) -> None:
        pass


@contextmanager
def loopback() -> Iterator[HttpTransport]:
    """A transport to a process that answers as ``Script`` does. The transport is closed by who uses it."""
    command = (sys.executable, str(Path(__file__).with_name("loopback.py")))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(template("blue") + b"\n")
        server.stdin.flush()
        port = int(server.stdout.readline())
        yield HttpTransport(RenewedCredentials(ClusterAccess(f"http://127.0.0.1:{port}")), ACCEPTED)


def template(color: str) -> bytes:
    """An object with ``%d`` for its version."""
    document: dict[str, Any] = samples.document(0, color=color)
    document["metadata"]["resourceVersion"] = "%d"
    return orjson.dumps(document)


def has_uvloop() -> bool:
    """Whether the event loop measured on is that of the extra ``fast``."""
    return find_spec("uvloop") is not None
