"""A small HTTP server for what a program says about itself: probes, metrics, debug pages.

It knows paths and texts, nothing else: GET and HEAD, HTTP/1.1, TLS if given a certificate. Handlers are functions from
a ``Call`` to a ``Reply``, so that nobody else sees the HTTP library, which is loaded when the first server starts.
"""

import asyncio
import errno
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio
import anyio.abc
import anyio.to_thread
from attrs import define, field, frozen

from reconcile.core.clock import Seconds, utc
from reconcile.manager.certificate import Certificate, SelfSigned

if TYPE_CHECKING:
    from aiohttp import web

log = logging.getLogger(__name__)

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
CLOSING: Final[Seconds] = 1.0
"""How long an answer under way may still take when the server stops."""
LOOKING: Final[Seconds] = 10.0
"""How often the certificate's files are looked at."""


@frozen
class Address:
    """Where to listen. ``host`` "" means every interface, IPv4 and IPv6; ``port`` 0 any free port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address | None":
        """Read ``:8081``, ``host:8081`` or ``[::]:8081``. ``0`` and "" mean: do not listen.

        Raises:
            ValueError: anything else, with the text.
        """
        if text in ("", "0"):
            return None
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found["port"]) > 65535:
            raise ValueError(
                f"{text!r} is no address to listen on: write :port, host:port or [ipv6]:port, or 0 for none"
            )
        return cls(found["ipv6"] or found["host"] or "", int(found["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_ADDRESS: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:\[\]/]*)):(?P<port>[0-9]{1,5})")


class CannotListen(OSError):
    """A server could not start. ``server`` is its name, ``address`` where, ``setting`` what to change."""

    def __init__(self, server: str, address: Address, setting: str, reason: str) -> None:
        super().__init__(f"{server}: cannot listen on {address}: {reason}; change {setting}")
        self.server = server
        self.address = address
        self.setting = setting


@frozen
class Call:
    """One request. ``rest`` is what follows the route in the path; values of a repeated parameter come with commas."""

    rest: str = ""
    query: Mapping[str, str] = field(factory=dict)
    method: str = "GET"
    path: str = ""
    """All of it; ``rest`` is its end."""
    token: str = field(default="", repr=False)
    """What the caller shows as a bearer; "" for nothing."""


@frozen
class Reply:
    body: bytes
    status: int = 200
    content_type: str = TEXT


Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]
"""Must not block the loop. What it raises is logged and answered with 500."""


@define(eq=False)
class WebServer:
    """A service that answers under some paths. ``setting`` is named when the address cannot be used."""

    name: str
    address: Address
    routes: Mapping[str, Handler]
    setting: str = "the address"
    tls: Certificate | SelfSigned | None = None
    bound: Address | None = field(default=None, init=False)
    """Where it listens, once it does: with the port that was free."""

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; started when connections are accepted.

        Raises:
            CannotListen: the address is in use, unknown or not allowed, or the certificate is unusable.
        """
        from aiohttp import web

        stamp: tuple[Any, ...] = ()
        context: ssl.SSLContext | None = None
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols(["http/1.1"])
            try:
                stamp = await anyio.to_thread.run_sync(self.tls.stamp)
                await anyio.to_thread.run_sync(self.tls.load, context, utc())
            except OSError as error:
                reason = f"{self.tls}: {error.strerror or error}"
                raise CannotListen(self.name, self.address, self.setting, reason) from error
        runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=CLOSING)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.address.host or None, self.address.port, ssl_context=context)
            try:
                await site.start()
            except OSError as error:
                raise CannotListen(self.name, self.address, self.setting, _why(error)) from error
            self.bound = Address(self.address.host, runner.addresses[0][1])
            log.info("%s: listening address=%s tls=%s", self.name, self.bound, context is not None)
            task_status.started()
            if isinstance(self.tls, Certificate) and context is not None:
                await self._follow(self.tls, context, stamp)
            else:
                await anyio.sleep_forever()
        finally:
            self.bound = None
            with anyio.CancelScope(shield=True):
                await runner.cleanup()

    async def _answer(self, request: "web.BaseRequest") -> "web.Response":
        from aiohttp import web

        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"}, text="only GET and HEAD\n")
        handler, rest = self._route(request.path)
        if handler is None:
            return web.Response(status=404, text="there are: " + ", ".join(sorted(self.routes)) + "\n")
        try:
            query = {name: ",".join(request.query.getall(name)) for name in request.query}
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            shown = token.strip() if scheme.lower() == "bearer" else ""
            reply = await handler(Call(rest, query, request.method, request.path, shown))
        except Exception:
            log.exception("%s: a page failed path=%s", self.name, request.path)
            reply = Reply(b"this page failed; the log says why\n", status=500)
        headers = {"Content-Type": reply.content_type, "X-Content-Type-Options": "nosniff"}
        return web.Response(body=reply.body, status=reply.status, headers=headers)

    def _route(self, path: str) -> tuple[Handler | None, str]:
        route, rest = path.rstrip("/") or "/", ""
        while route and route not in self.routes:
            route, _, last = route.rpartition("/")
            rest = f"{last}/{rest}" if rest else last
        return self.routes.get(route), rest

    async def _follow(self, shown: Certificate, context: ssl.SSLContext, stamp: tuple[Any, ...]) -> None:
        """Take up a renewed certificate; keep the old one while the new one cannot be used."""
        while True:
            await asyncio.sleep(LOOKING)
            try:
                seen = await anyio.to_thread.run_sync(shown.stamp)
                if seen != stamp:
                    await anyio.to_thread.run_sync(shown.load, context, utc())
                    log.info("%s: certificate read again file=%s", self.name, shown.certificate)
                    stamp = seen
            except OSError as error:
                log.warning("%s: certificate not read again file=%s error=%s", self.name, shown.certificate, error)


def sharing(servers: Iterable[WebServer]) -> tuple[WebServer, ...]:
    """Servers with one address become one, with the routes of all; the first gives name and certificate."""
    by_address: dict[Address, WebServer] = {}
    for server in servers:
        first = by_address.setdefault(server.address, server)
        first.routes = {**server.routes, **first.routes}
    return tuple(by_address.values())


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use"
    return error.strerror or str(error)
