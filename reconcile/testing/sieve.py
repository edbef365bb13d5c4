"""What can happen to a program in the middle of its story: disturbers that strike once, each at a given place.

They are the patterns of Sieve (Sun et al., OSDI 2022), namely a crash around a write, a view of the past, transitions
that are never seen; and what a network adds: a reply that is lost, a write that lands after the death of its sender.
How long it lasts is ``Until``: just then, for some seconds, or past the next thing that anybody else does, so that the
program has to catch up with a story that went on without it.
"""

import asyncio
import enum
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import attrs
import orjson

from reconcile.core.clock import Seconds
from reconcile.kube.errors import ConnectionFailed
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.transport import Stream
from reconcile.testing.apiserver.failure import expired
from reconcile.testing.apiserver.watching import INITIAL_EVENTS_END, line
from reconcile.testing.streams import ByEvent, Gated, Scripted
from reconcile.testing.traffic import PROGRAM, Call, Disturber, Open, Sent
from reconcile.testing.world import World

SOON: Final[Seconds] = 20.0
"""Shorter than any cache waits for its watch to show an own write."""


class Until(enum.StrEnum):
    """When a disturbance is over."""

    NOW = "now"
    SOON = "soon"
    LATE = "late"
    """After the next act of somebody else; at the end of the story if there is none."""


@attrs.define(eq=False)
class Strike(Disturber):
    """A disturbance at one place of the story. Subclasses say where it begins."""

    world: World
    until: Until = Until.NOW
    over: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    has_struck: bool = attrs.field(default=False, init=False)

    @property
    def is_active(self) -> bool:
        """Whether it goes on."""
        return self.has_struck and not self.over.is_set()

    def begin(self) -> None:
        """It strikes."""
        self.has_struck = True
        if self.until is Until.NOW:
            self.relent()
        elif self.until is Until.SOON:
            self.world.later(SOON, self.relent)

    def relent(self) -> None:
        """It is over, if it had begun."""
        if self.is_active:
            self.over.set()
            self.end()

    def end(self) -> None:
        """What has to be done then."""


class Moment(enum.StrEnum):
    """Of a write: when the program dies."""

    BEFORE = "before"
    AFTER = "after"
    UNDERWAY = "underway"
    """The write is on its way, and lands when the disturbance is over."""


@attrs.define(eq=False)
class Crash(Strike):
    """The program dies around its write number ``at``, and lives again when that is over.

    ``UNDERWAY`` it lives again at once, and the write of the old life lands when that is over.
    """

    at: int = 1
    moment: Moment = Moment.BEFORE
    _straggler: Sent | None = attrs.field(default=None, init=False)

    async def call(self, sent: Sent, send: Call) -> HttpResponse:
        if sent.number != self.at:
            return await send(sent.request)
        if self.moment is Moment.AFTER:
            await send(sent.request)
        self.world.kill()
        if self.moment is Moment.UNDERWAY:
            self._straggler = sent
            self.world.later(0, self.world.start)
        self.begin()
        return await self.world.die()

    def end(self) -> None:
        if self._straggler is None:
            self.world.later(0, self.world.start)
        else:
            self.world.join(self._land)

    async def _land(self, world: World) -> None:
        assert self._straggler is not None
        way = world.traffic.way(self._straggler.cluster, PROGRAM)
        await way.call(self._straggler.request, timeout=30.0)


@attrs.define(eq=False)
class LostReply(Strike):
    """The write number ``at`` is done, and the program never learns of it."""

    at: int = 1

    async def call(self, sent: Sent, send: Call) -> HttpResponse:
        response = await send(sent.request)
        if sent.number == self.at:
            self.begin()
            raise ConnectionFailed("the connection broke before the answer came", sent=True)
        return response


@attrs.define(eq=False)
class Frozen(Strike):
    """From the write number ``at`` on the program's caches of ``clusters`` stand still: nothing is told to it."""

    at: int = 1
    clusters: frozenset[str] = frozenset()

    async def call(self, sent: Sent, send: Call) -> HttpResponse:
        if sent.number == self.at:
            self.begin()
        return await send(sent.request)

    async def open(self, sent: Sent, send: Open) -> Stream:
        stream = await send(sent.request)
        return Gated(stream.status, stream.headers, stream, self._pass) if sent.cluster in self.clusters else stream

    async def _pass(self) -> None:
        if self.is_active:
            await self.over.wait()


@attrs.define(eq=False)
class Lagging(Strike):
    """The program dies after its write number ``at``; the next life sees the clusters as before the write ``past``.

    0 is the time before the program first lived.

    The first list of each resource shows that past, also where the API promises the present: replicas that lost touch
    have broken that promise. What happened since is told once it is over.
    """

    at: int = 1
    past: int = 0
    _versions: list[Mapping[str, int]] = attrs.field(factory=list, init=False)
    """Of the clusters: at the start, and before each write of the program."""
    _shown: set[tuple[str, str]] = attrs.field(factory=set, init=False)
    """Clusters and resources whose past was listed."""

    async def call(self, sent: Sent, send: Call) -> HttpResponse:
        self._note(sent)
        if sent.number == self.at:
            await send(sent.request)
            self.world.kill()
            self.world.later(0, self.world.start)
            self.begin()
            return await self.world.die()
        return await send(self._back_then(sent) if sent.verb == "list" and self._is_first(sent) else sent.request)

    async def open(self, sent: Sent, send: Open) -> Stream:
        self._note(sent)
        if not self.is_active:
            return await send(sent.request)
        request = sent.request
        if request.get("sendInitialEvents") == "true" and not self._is_first(sent):
            return await send(request)
        if request.get("sendInitialEvents") != "true":
            return Scripted([], self._resumed(request, send))
        stream = await send(self._back_then(sent))
        body = b""
        while chunk := await stream.read():
            body += chunk
        items, version = orjson.loads(body)["items"], self._versions[self.past][sent.cluster]
        assert sent.info is not None
        bookmark = {"metadata": {"resourceVersion": str(version), "annotations": {INITIAL_EVENTS_END: "true"}}}
        lines = [*(line("ADDED", orjson.dumps(item)) for item in items), line("BOOKMARK", orjson.dumps(bookmark))]
        watch = _asking(request, resourceVersion=str(version), sendInitialEvents=None, resourceVersionMatch=None)
        return Scripted(lines, self._resumed(watch, send))

    def _note(self, sent: Sent) -> None:
        now = {cluster: server.storage.version for cluster, server in self.world.servers.items()}
        if not self._versions:
            self._versions.append(now)
        if sent.number:
            self._versions.append(now)

    def _is_first(self, sent: Sent) -> bool:
        place = sent.cluster, sent.resource
        if not self.is_active or place in self._shown:
            return False
        self._shown.add(place)
        return True

    def _back_then(self, sent: Sent) -> HttpRequest:
        version = str(self._versions[self.past][sent.cluster])
        plain = _asking(sent.request, sendInitialEvents=None, watch=None, allowWatchBookmarks=None, timeoutSeconds=None)
        return _asking(plain, resourceVersion=version, resourceVersionMatch="Exact")

    def _resumed(self, request: HttpRequest, send: Open) -> Callable[[], Awaitable[Stream]]:
        async def resume() -> Stream:
            await self.over.wait()
            return await send(request)

        return resume


@attrs.define(eq=False)
class Gap(Strike):
    """The watch breaks before the event number ``event`` of ``cluster``, and is forgotten: only a list tells the rest.

    Until it is over the program does not reach that resource by list or watch. Events are numbered from 1; ``seen``
    counts them by cluster, so that one that never strikes tells how many there are.
    """

    cluster: str = ""
    event: int = 0
    seen: Counter[str] = attrs.field(factory=Counter, init=False)
    _place: str = attrs.field(default="", init=False)
    """The resource whose watch broke."""
    _is_forgotten: bool = attrs.field(default=False, init=False)

    async def call(self, sent: Sent, send: Call) -> HttpResponse:
        if sent.verb == "list":
            self._refuse(sent)
        return await send(sent.request)

    async def open(self, sent: Sent, send: Open) -> Stream:
        self._refuse(sent)
        if self._is_forgotten and self._concerns(sent) and sent.request.get("resourceVersion"):
            self._is_forgotten = False
            gone = expired("too old resource version")
            return Scripted([line("ERROR", orjson.dumps(gone.status))])
        stream = await send(sent.request)
        return ByEvent(stream.status, stream.headers, stream, lambda: self._see(sent))

    def _concerns(self, sent: Sent) -> bool:
        return sent.cluster == self.cluster and sent.resource == self._place

    def _refuse(self, sent: Sent) -> None:
        if self.is_active and self._concerns(sent):
            raise ConnectionFailed("connection refused", sent=False)

    def _see(self, sent: Sent) -> None:
        self.seen[sent.cluster] += 1
        if self.cluster == sent.cluster and self.event == self.seen[sent.cluster]:
            self._place, self._is_forgotten = sent.resource, True
            self.begin()
            raise ConnectionFailed("the connection broke", sent=True)


def _asking(request: HttpRequest, **parameters: str | None) -> HttpRequest:
    """The request with other parameters; ``None`` takes one away."""
    kept = [pair for pair in request.query if pair[0] not in parameters]
    added = [(name, value) for name, value in parameters.items() if value is not None]
    return attrs.evolve(request, query=(*kept, *added))
