"""Load for an API server over HTTP/1.1, from a process of its own: ``python -m benchmarks.hammer``, told what by stdin.

Requests are bytes made beforehand and answers are only counted, so that little of what is measured is the client. Each
connection has one request under way. The answer on stdout is one JSON object.
"""

import asyncio
import json
import ssl
import sys
import time
from typing import Any, cast

import attrs

from benchmarks.servers import has_uvloop

MEDIA = {"merge": "application/merge-patch+json", "apply": "application/apply-patch+yaml", "create": "application/json"}
PATH = "/api/v1/namespaces/default/configmaps"


def document(number: int, turn: int, size: int = 700) -> dict[str, Any]:
    """A ConfigMap that is about 1 KB with its metadata."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"m{number:05}", "labels": {"app": "bench"}},
        "data": {"payload": "y" * size, "turn": str(turn)},
    }


def request(verb: str, number: int, turn: int, host: str, token: str) -> bytes:
    """One request, ready to be sent."""
    method, path, body = "GET", f"{PATH}/m{number:05}", b""
    if verb == "create":
        method, path, body = "POST", PATH, json.dumps(document(number, 0)).encode()
    elif verb == "merge":
        method, body = "PATCH", json.dumps({"data": {"turn": str(turn)}}).encode()
    elif verb == "apply":
        applied = {**document(number, turn), "data": {"applied": str(turn)}}
        method, path, body = "PATCH", f"{path}?fieldManager=bench&force=true", json.dumps(applied).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Accept: application/json", "User-Agent: bench/1"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += [f"Content-Type: {MEDIA[verb]}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


@attrs.define(eq=False)
class Line(asyncio.Protocol):
    """One connection that works through its requests."""

    requests: list[bytes]
    done: asyncio.Future[None]
    latencies: list[float] = attrs.field(factory=list)
    bad: int = 0
    _transport: Any = None
    _buffer: bytes = b""
    _sent: float = 0.0
    _next: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        if self._next == len(self.requests):
            self._transport.close()
            self.done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(self.requests[self._next])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        place = head.lower().find(b"content-length: ")
        if place < 0:  # in chunks: only the last one is looked for
            if not body.endswith(b"0\r\n\r\n"):
                return
        elif len(body) < int(head[place + 16 :].split(b"\r\n", 1)[0]):
            return
        self.latencies.append(time.perf_counter() - self._sent)
        self.bad += head[9:12] not in (b"200", b"201")
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))


async def hammer(told: dict[str, Any]) -> dict[str, float]:
    """Make ``count`` requests of a ``verb`` over so many ``connections``, spread over ``objects``."""
    host, port = told["host"], told["port"]
    tls = ssl.create_default_context(cadata=told["ca"]) if told.get("ca") else None
    loop, lines = asyncio.get_running_loop(), []
    for number in range(told["connections"]):
        mine = range(number, told["count"], told["connections"])
        # objects of one connection are its own, so that no write meets another
        at = [told.get("first", 0) + (one % told["objects"]) for one in mine]
        requests = [
            request(told["verb"], object_, told.get("turn", 0) + turn, f"{host}:{port}", told.get("token", ""))
            for turn, object_ in enumerate(at)
        ]
        lines.append(Line(requests, loop.create_future()))
    started = time.perf_counter()
    for line in lines:
        await loop.create_connection(lambda line=line: line, host, port, ssl=tls)
    await asyncio.gather(*(line.done for line in lines))
    seconds = time.perf_counter() - started
    latencies = sorted(one for line in lines for one in line.latencies)
    return {
        "rate": len(latencies) / seconds,
        "p50": latencies[len(latencies) // 2] * 1e3,
        "p99": latencies[int(len(latencies) * 0.99)] * 1e3,
        "bad": sum(line.bad for line in lines),
    }


def main() -> None:
    told = json.loads(sys.stdin.read())
    factory = None
    if has_uvloop():
        import uvloop

        factory = uvloop.Loop
    with asyncio.Runner(loop_factory=factory) as runner:
        print(json.dumps(runner.run(hammer(told))))


if __name__ == "__main__":
    main()
