"""A server that answers every request with one object, in a process of its own: its work is not the client's.

The first line of stdin is the object, JSON, with ``%d`` for a version that grows. The port goes to stdout; the server
ends when stdin does. Stands alone, so that it starts quickly.
"""

import asyncio
import itertools
import re
import sys

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
VERSIONS = itertools.count(100_001)


class Answers(asyncio.Protocol):
    """One connection."""

    def __init__(self, template: bytes) -> None:
        self._template = template
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, end, body = self._held.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if end and len(body) >= int(length[1] if length else 0):  # a client sends the next one after our answer
            self._held = b""
            answer = self._template % next(VERSIONS)
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
            self._transport.write(head + answer)


async def main() -> None:
    loop = asyncio.get_running_loop()
    template = sys.stdin.buffer.readline().strip()
    server = await loop.create_server(lambda: Answers(template), "127.0.0.1")
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
