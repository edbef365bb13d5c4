"""The way into the server for everybody else: HTTP/1.1 on a port, plain or with TLS.

``async with listening(server) as endpoint`` serves until the block ends; then watches end, what is under way is
answered, and the rest is broken off. What a request means is the server's business and who sends it ``Security``'s; one
connection is ``connection.py``'s.
"""

import asyncio
import errno
import logging
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
import attrs
from anyio.abc import TaskGroup

from reconcile.core.clock import Clock, Seconds, now, utc
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.testing.apiserver.admission import ADMIN, User
from reconcile.testing.apiserver.auditing import COMPLETE, STARTED, Asked, AuditLog
from reconcile.testing.apiserver.connection import Connection, Peer, Reply
from reconcile.testing.apiserver.failure import Failure
from reconcile.testing.apiserver.settings import HttpSettings

if TYPE_CHECKING:
    from reconcile.testing.apiserver.server import ApiServer

Authenticate: TypeAlias = Callable[[Mapping[str, str], Peer], User]
"""From the headers of a request and who sends it to the user it is of. Raises ``Failure``: 401."""
_log = logging.getLogger(__name__)
_SWEEP: Final[Seconds] = 1.0
_DEFAULTS: Final = HttpSettings()


class CannotListen(OSError):
    """A port cannot be had; the message says which and why in one line."""


def anybody(headers: Mapping[str, str], peer: Peer) -> User:
    """Whoever can reach the port may do everything."""
    return ADMIN


@attrs.frozen
class Security:
    """How clients see who the server is, and the server who they are."""

    tls: ssl.SSLContext | None = None
    authenticate: Authenticate = anybody


NOBODY: Final = User("", ())
"""Who could not show who they are."""
OPEN: Final = Security()
"""No TLS, and everybody is the administrator: for loopback."""


@attrs.define(eq=False)
class Endpoint:
    """A port that is served. ``str()`` is its URL."""

    server: "ApiServer"
    host: str
    security: Security
    settings: HttpSettings
    port: int = 0
    audit_log: AuditLog | None = None
    connections: set[Connection] = attrs.field(factory=set, init=False)
    clock: Clock = attrs.field(factory=Clock, init=False)
    _tasks: TaskGroup = attrs.field(init=False)
    _listener: asyncio.Server | None = attrs.field(default=None, init=False)
    _ids: random.Random = attrs.field(factory=lambda: random.Random(os.urandom(16)), init=False)
    _date: tuple[int, str] = attrs.field(default=(-1, ""), init=False)

    @property
    def url(self) -> str:
        """Where clients find it; without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.security.tls is not None else ''}://{host}:{self.port}"

    def __str__(self) -> str:
        return self.url

    # -- what a connection asks ------------------------------------------------------------------------------------

    def admit(self, connection: Connection) -> bool:
        """Take a connection in, unless there are too many."""
        if len(self.connections) >= self.settings.connections:
            return False
        self.connections.add(connection)
        self._tasks.start_soon(connection.run, name="apiserver connection")
        return True

    async def reply(self, request: HttpRequest, peer: Peer) -> Reply:
        """Answer a request."""
        audit_id = self._new_id()
        received = utc() if self.audit_log is not None else None
        user = NOBODY
        try:
            user = self.security.authenticate(request.headers, peer)
        except Failure as failure:
            reply = Reply(HttpResponse(failure.code, failure.headers, failure.body))
        else:
            reply = await self._answered(request, user)
        response = reply.response
        headers = {"audit-id": audit_id, "cache-control": "no-cache, private", **response.headers}
        sent, done = HttpResponse(response.status, headers, response.body), None
        if self.audit_log is not None and received is not None:
            asked = Asked(audit_id, request, user, peer.address, received)
            self.audit_log.write(asked, STARTED if reply.stream is not None else COMPLETE, response, utc())
            if reply.stream is not None:
                log = self.audit_log
                done = lambda: log.write(asked, COMPLETE, response, utc())  # noqa: E731 - told once, at the end
        return Reply(sent, reply.stream, done, reply.reset_after)

    def _new_id(self) -> str:
        """A random UUID, by which answer and audit log name a request."""
        text = f"{self._ids.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    async def _answered(self, request: HttpRequest, user: User) -> Reply:
        if self.server.faults is not None:
            from reconcile.testing.apiserver import disturbing

            return await disturbing.reply(self.server, request, user)
        answer = await self.server.answer(request, user)
        return Reply(answer.response, answer.watcher)

    def date(self) -> str:
        """Now, as HTTP has it."""
        second = int(self.clock.now())
        if self._date[0] != second:
            self._date = second, utc().strftime("%a, %d %b %Y %H:%M:%S GMT")
        return self._date[1]

    # -- its life --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Listen, from now on or again, on the port it has had.

        Raises:
            CannotListen: somebody else has the port, or the host is none of this machine.
        """
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: Connection(self), self.host, self.port, ssl=self.security.tls, backlog=1024
            )
        except OSError as error:
            why = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
            raise CannotListen(f"cannot listen on {self.host}:{self.port}: {why}") from error
        self.port = self._listener.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Listen no more, until ``open``: new connections are refused, those that there are go on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def drop(self) -> None:
        """Break every connection."""
        for connection in list(self.connections):
            connection.abort()

    async def close(self) -> None:
        """End watches, answer what is under way, break off the rest."""
        self.refuse()
        for connection in list(self.connections):
            connection.finish()
        with anyio.move_on_after(self.settings.stop_seconds):
            while self.connections:
                await anyio.sleep(0.005)
        self.drop()

    async def sweep(self) -> None:
        """Break connections whose time is over, for ever. Time in which this process stood still does not count: what
        came in the meantime is still to be read."""
        before = now()
        while True:
            await anyio.sleep(_SWEEP)
            moment = now()
            stood = moment - before - _SWEEP
            before = moment
            for connection in list(self.connections):
                if stood > _SWEEP:
                    connection.deadline += stood
                elif connection.deadline < moment:
                    connection.abort()


@asynccontextmanager
async def listening(
    server: "ApiServer",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    security: Security = OPEN,
    settings: HttpSettings = _DEFAULTS,
    audit_log: AuditLog | None = None,
) -> AsyncIterator[Endpoint]:
    """Serve ``server``, which is entered already, on a port; 0 is any that is free. Needs a real loop and httptools.

    Raises:
        CannotListen: somebody else has the port, or the host is none of this machine.
    """
    endpoint = Endpoint(server, host, security, settings, port, audit_log)
    await endpoint.open()
    tasks = endpoint._tasks = anyio.create_task_group()
    await tasks.__aenter__()
    tasks.start_soon(endpoint.sweep, name="apiserver connections")
    try:
        yield endpoint
    finally:
        with anyio.CancelScope(shield=True):
            await endpoint.close()
        tasks.cancel_scope.cancel()
        # what the block raised is the caller's, and goes on as it is
        await tasks.__aexit__(None, None, None)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host. Raises ``OSError``: there is no such host."""
    found = socket.getaddrinfo(host, None)
    return all(address[4][0] == "::1" or str(address[4][0]).startswith("127.") for address in found)
