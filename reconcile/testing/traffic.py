"""Every request between the program under test and its clusters, numbered, and in reach of who wants to disturb.

From the program: ``Link`` (one life's way to one cluster, cut when that life is over), ``Disturber`` (loses, holds or
falsifies what a network or a dying process can), faults, and a way to the server that everybody has. There each write
that changes something is noted in the very step that commits it.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import attrs

from reconcile.core.clock import Seconds
from reconcile.kube.caller import is_write
from reconcile.kube.errors import ConnectionFailed
from reconcile.kube.objects import ObjectKey
from reconcile.kube.request import HttpRequest, HttpResponse, RequestInfo, parse
from reconcile.kube.transport import Guard, Stream, Transport
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.faultplan import FaultPlan
from reconcile.testing.faults import FaultyTransport

Call: TypeAlias = Callable[[HttpRequest], Awaitable[HttpResponse]]
Open: TypeAlias = Callable[[HttpRequest], Awaitable[Stream]]

PROGRAM = "program"
"""The user agent of the program under test."""


@attrs.frozen
class Sent:
    """A request of the program. ``number`` counts its writes from 1, over all clusters and lives; 0 for the rest."""

    cluster: str
    request: HttpRequest
    info: RequestInfo | None
    number: int = 0

    @property
    def verb(self) -> str:
        """As RBAC names it; "" for what is no resource."""
        return "" if self.info is None else self.info.verb

    @property
    def resource(self) -> str:
        """``plural.group``; "" for what is no resource."""
        return "" if self.info is None else _name(self.info)

    def __str__(self) -> str:
        return f"{self.request.method} {self.info or self.request.path} in {self.cluster} {self.request.body!r:.200}"


@attrs.frozen
class Written:
    """A write that changed something, and whose it was."""

    cluster: str
    verb: str
    resource: str
    key: ObjectKey
    subresource: str
    agent: str
    time: Seconds

    def __str__(self) -> str:
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{self.time:.1f} s: {self.agent}: {self.verb} {what} {self.key} in {self.cluster}"


class Disturber:
    """Sees all requests of the program, over all its lives. This one lets them pass."""

    @property
    def is_active(self) -> bool:
        """Whether it disturbs now. One of somebody's own may at any time, unless it says so."""
        return type(self) is not Disturber

    async def call(self, sent: Sent, send: Call) -> HttpResponse:
        """Answer a request, by ``send`` or otherwise."""
        return await send(sent.request)

    async def open(self, sent: Sent, send: Open) -> Stream:
        """Answer a watch, by ``send`` or otherwise."""
        return await send(sent.request)


@attrs.define(eq=False)
class Traffic:
    """All ways between the program, everybody else and the servers."""

    servers: Mapping[str, ApiServer]
    ignored: frozenset[str]
    """Resources whose writes are neither numbered nor noted."""
    committed: Callable[[Written], None]
    """Called in the step that made a write real."""
    faults: Mapping[str, FaultPlan] = attrs.field(factory=dict)
    seed: int = 0
    disturber: Disturber = attrs.field(factory=Disturber)
    tried: list[Sent] = attrs.field(factory=list, init=False)
    """The writes of the program, oldest first, whatever became of them."""
    accepted: list[int] = attrs.field(factory=list, init=False)
    """The numbers of those that a server took."""
    faulty: Mapping[str, FaultyTransport] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.faulty = {
            cluster: FaultyTransport(
                self.way(cluster, PROGRAM),
                self.faults.get(cluster, FaultPlan()),
                rng=random.Random(f"{cluster} {self.seed}"),
            )
            for cluster in self.servers
        }

    def way(self, cluster: str, agent: str) -> Transport:
        """Straight to a server, for anybody."""
        return _Way(self, cluster, agent)

    def links(self) -> "dict[str, Link]":
        """What a new life of the program gets."""
        return {cluster: Link(self, cluster) for cluster in self.servers}

    def number(self, cluster: str, request: HttpRequest) -> Sent:
        """A request of the program; counted if it is a write."""
        info = parse(request)
        if info is None or not is_write(request) or _name(info) in self.ignored:
            return Sent(cluster, request, info)
        self.tried.append(Sent(cluster, request, info, len(self.tried) + 1))
        return self.tried[-1]

    def answered(self, cluster: str) -> None:
        """A server has just answered; nobody else has had a turn since."""
        last = self.servers[cluster].audit[-1]
        if last.stored and last.resource not in self.ignored:
            key, sub = last.key, last.subresource
            self.committed(Written(cluster, last.verb, last.resource, key, sub, last.user_agent, last.time))


@attrs.define(eq=False)
class Link:
    """``Transport`` of one life to one cluster. Once that is over, nothing passes in either direction."""

    traffic: Traffic
    host: str
    is_cut: bool = False

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        """As the transports below, as far as the disturber lets it."""

        async def send(request: HttpRequest) -> HttpResponse:
            self._check()
            return await self.traffic.faulty[self.host].call(request, timeout=timeout, guard=guard)

        self._check()
        sent = self.traffic.number(self.host, request)
        response = await self.traffic.disturber.call(sent, send)
        self._check()
        if sent.number and response.status < 300:
            self.traffic.accepted.append(sent.number)
        return response

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> Stream:
        """As the transports below, as far as the disturber lets it."""

        async def send(request: HttpRequest) -> Stream:
            self._check()
            return await self.traffic.faulty[self.host].open(request, timeout=timeout, guard=guard)

        self._check()
        return await self.traffic.disturber.open(self.traffic.number(self.host, request), send)

    async def aclose(self) -> None:
        """Nothing to close: what is below belongs to the world."""

    def _check(self) -> None:
        if self.is_cut:
            raise ConnectionFailed("the process is dead", sent=False)


@attrs.define(eq=False)
class _Way:
    traffic: Traffic
    host: str
    agent: str

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        stream = await self.open(request, timeout=timeout, guard=guard)
        # no await stands between the commit and here
        self.traffic.answered(self.host)
        body = b""
        while chunk := await stream.read():
            body += chunk
        return HttpResponse(stream.status, stream.headers, body)

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> Stream:
        transport = self.traffic.servers[self.host].transport(user_agent=self.agent)
        return await transport.open(request, timeout=timeout, guard=guard)

    async def aclose(self) -> None:
        pass


def _name(info: RequestInfo) -> str:
    return f"{info.plural}.{info.group}" if info.group else info.plural
