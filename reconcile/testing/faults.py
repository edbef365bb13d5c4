"""What goes wrong on the way to a server and back, by name and by seed.

``FaultyTransport`` stands between a client and any transport and plays a ``FaultPlan``: rules that say which fault
strikes which requests, how likely, how often and when. Faults are what a network, a proxy, an overloaded or a restarted
server do; nothing here lies about order within a watch. Same plan, same seed, same loop: same faults.
"""

import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import anyio
import attrs
import orjson

from reconcile.core.clock import Seconds, now
from reconcile.kube.errors import ConnectionFailed, RequestTimeout
from reconcile.kube.request import HttpRequest, HttpResponse, parse
from reconcile.kube.transport import Guard, Stream, Transport
from reconcile.testing.apiserver.failure import Failure, expired
from reconcile.testing.faultplan import (
    OF_SERVERS,
    OF_STORAGE,
    OF_WATCHES,
    WRITES,
    Cut,
    Delayed,
    Fault,
    FaultPlan,
    Full,
    Latency,
    LostReply,
    LostRequest,
    NoBookmarks,
    NoReply,
    ReadOnly,
    Refused,
    Replayed,
    Reset,
    Rule,
    Silent,
    StaleList,
    Status,
    lost_lease,
    name_of,
)

_JSON: Final = {"content-type": "application/json"}
_NO_FAULTS: Final = FaultPlan()


@attrs.define(eq=False)
class Faults:
    """Plays a plan on whatever goes to one server. ``plan`` may be changed at any time; ``heal`` ends it."""

    plan: FaultPlan = _NO_FAULTS
    rng: random.Random = attrs.field(factory=lambda: random.Random(0), kw_only=True)
    struck: Counter[str] = attrs.field(factory=Counter, init=False)
    """How often each fault struck, by name: so that a test can see that it was one."""
    _used: Counter[Rule] = attrs.field(factory=Counter, init=False)
    _versions: list[int] = attrs.field(factory=list, init=False)
    """Versions of the server that were seen, oldest first."""

    def heal(self) -> None:
        """Let everything through from now on."""
        self.plan = _NO_FAULTS

    async def play_call(
        self, inner: Transport, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None
    ) -> HttpResponse:
        """What ``inner`` answers, unless a fault strikes."""
        faults = self._faults(request)
        started = now()
        answered = await self._before(faults, timeout, guard)
        if answered is not None:
            return answered
        left = max(0.0, timeout - (now() - started))
        response = await inner.call(self._changed(request, faults), timeout=left, guard=guard)
        if any(isinstance(fault, LostReply | Reset) for fault in faults):
            raise ConnectionFailed("the connection broke before the answer came", sent=True)
        self._remember(request, response)
        return response

    async def play_open(
        self, inner: Transport, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None
    ) -> Stream:
        """What ``inner`` answers, unless a fault strikes; faults of watches strike what is read."""
        faults = self._faults(request)
        started = now()
        answered = await self._before(faults, timeout, guard)
        if answered is not None:
            return _Whole(answered.status, answered.headers, answered.body)
        left = max(0.0, timeout - (now() - started))
        stream = await inner.open(self._changed(request, faults), timeout=left, guard=guard)
        if any(isinstance(fault, LostReply) for fault in faults):
            await stream.aclose()
            raise ConnectionFailed("the connection broke before the answer came", sent=True)
        for fault in faults:
            if isinstance(fault, Reset):
                stream = _Torn(stream.status, stream.headers, stream, fault.after_bytes)
        of_watch = [fault for fault in faults if isinstance(fault, OF_WATCHES)]
        return _Faulty(stream.status, stream.headers, stream, of_watch, self.rng) if of_watch else stream

    def on_server(self, fault: Fault) -> None:
        """Play a fault of a server. Raises ``TypeError``: this is only the way to one."""
        raise TypeError(f"{name_of(fault)} is a fault of an embedded server, not of the way to one")

    # ------------------------------------------------------------------------------------------------------------------

    def _faults(self, request: HttpRequest) -> list[Fault]:
        """What strikes this request."""
        info = parse(request)
        verb, plural = (info.verb, info.plural) if info is not None else (request.method.lower(), request.path)
        moment = now()
        faults: list[Fault] = []
        for rule in self.plan.rules:
            if not rule.concerns(verb, plural, moment) or (rule.times is not None and self._used[rule] >= rule.times):
                continue
            if self.rng.random() < rule.probability:
                if rule.times is not None:
                    self._used[rule] += 1
                faults.append(rule.fault)
                self.struck[name_of(rule.fault)] += 1
                if isinstance(rule.fault, OF_SERVERS):
                    self.on_server(rule.fault)
        return faults

    async def _before(self, faults: list[Fault], timeout: Seconds, guard: Guard | None) -> HttpResponse | None:
        """Play what strikes before the server sees anything; an answer if that is all there will be."""
        for fault in faults:
            if isinstance(fault, Latency):
                delay = self.rng.uniform(fault.least, fault.most)
                await anyio.sleep(min(delay, timeout))
                if delay >= timeout:
                    raise RequestTimeout(f"no answer within {timeout:g} s", sent=True)
        for fault in faults:
            if isinstance(fault, Refused):
                raise ConnectionFailed("connection refused", sent=False)
            if isinstance(fault, LostRequest | NoReply | Status) and guard is not None:
                guard()
            if isinstance(fault, LostRequest):
                raise ConnectionFailed("the connection broke before the answer came", sent=True)
            if isinstance(fault, NoReply):
                await anyio.sleep(timeout)
                raise RequestTimeout(f"no answer within {timeout:g} s", sent=True)
            if isinstance(fault, Status):
                return _status(fault)
            if isinstance(fault, OF_STORAGE):
                failure = Failure(500, "", _STORAGE_SAYS[type(fault)])
                return HttpResponse(failure.code, failure.headers, failure.body)
        return None

    def _changed(self, request: HttpRequest, faults: Iterable[Fault]) -> HttpRequest:
        """The request that leads to an older state."""
        asked = request.get("resourceVersion")
        for fault in faults:
            if isinstance(fault, Replayed) and asked.isdigit() and asked != "0":
                older = [version for version in self._versions if version < int(asked)]
                return _with(request, resourceVersion=str(self.rng.choice(older))) if older else request
            if not isinstance(fault, StaleList) or request.get("continue") or request.get("limit"):
                continue
            if not asked and not fault.consistent_too:
                continue
            allowed = [version for version in self._versions if version >= int(asked or 0)]
            if request.get("resourceVersionMatch") != "Exact" and allowed:
                old = str(self.rng.choice(allowed))
                return _with(request, resourceVersion=old, resourceVersionMatch="Exact")
        return request

    def _remember(self, request: HttpRequest, response: HttpResponse) -> None:
        if response.status >= 300 or parse(request) is None:
            return
        version = (orjson.loads(response.body).get("metadata") or {}).get("resourceVersion") or ""
        if version.isdigit():
            self.saw(int(version))

    def saw(self, version: int) -> None:
        """Take note of a version that the server has had: what is stale, or told again, begins at one of these."""
        if version not in self._versions:
            self._versions.append(version)
            del self._versions[:-_REMEMBERED]


@attrs.define(eq=False)
class FaultyTransport(Faults):
    """``Transport`` that plays a plan in front of another one."""

    inner: Transport
    plan: FaultPlan = _NO_FAULTS

    @property
    def host(self) -> str:
        """The inner transport's."""
        return self.inner.host

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        """As the inner transport, unless a fault strikes."""
        return await self.play_call(self.inner, request, timeout=timeout, guard=guard)

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> Stream:
        """As the inner transport, unless a fault strikes; faults of watches strike what is read."""
        return await self.play_open(self.inner, request, timeout=timeout, guard=guard)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self.inner.aclose()


_REMEMBERED: Final = 100
_STORAGE_SAYS: Final = {
    Full: "etcdserver: mvcc: database space exceeded",
    ReadOnly: "etcdserver: no leader",
}


def _with(request: HttpRequest, **parameters: str) -> HttpRequest:
    kept = tuple(pair for pair in request.query if pair[0] not in parameters)
    return attrs.evolve(request, query=(*kept, *parameters.items()))


def _status(fault: Status) -> HttpResponse:
    """The answer as a real server, or the proxy before it, words it."""
    retry = {"retry-after": str(fault.retry_after)} if fault.retry_after is not None else {}
    if fault.code == 429:
        # priority and fairness answers in plain text
        headers = {"content-type": "text/plain; charset=utf-8", **retry}
        return HttpResponse(429, headers, b"Too many requests, please try again later.\n")
    failure = _FAILURES.get(fault.code) or Failure(fault.code, "", f"injected fault {fault.code}")
    return HttpResponse(fault.code, {**failure.headers, **retry}, failure.body)


_FAILURES: Final = {
    409: Failure(
        409,
        "Conflict",
        "Operation cannot be fulfilled: the object has been modified; "
        "please apply your changes to the latest version and try again",
    ),
    410: expired("The resourceVersion for the provided list is too old."),
    500: Failure(500, "InternalError", "Internal error occurred: etcdserver: request timed out"),
    503: Failure(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
    504: Failure(504, "Timeout", "Timeout: request did not complete within requested timeout"),
}


@attrs.define(eq=False)
class _Whole:
    """A body that is all there, read as a stream."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    async def read(self) -> bytes:
        body, self.body = self.body, b""
        return body

    async def aclose(self) -> None:
        self.body = b""


@attrs.define(eq=False)
class _Torn:
    """A body that breaks off."""

    status: int
    headers: Mapping[str, str]
    inner: Stream
    left: int

    async def read(self) -> bytes:
        if self.left <= 0:
            raise ConnectionFailed("the connection broke in the middle of the answer", sent=True)
        data = (await self.inner.read())[: self.left]
        self.left -= len(data)
        return data

    async def aclose(self) -> None:
        await self.inner.aclose()


@attrs.define(eq=False)
class _Faulty:
    """A watch that suffers."""

    status: int
    headers: Mapping[str, str]
    inner: Stream
    faults: Sequence[Fault]
    rng: random.Random
    _lines: int = 0
    """Whole lines that were let through."""
    _rest: bytes = b""
    """The start of a line whose end is still to come."""
    _out: deque[bytes] = attrs.field(factory=deque)
    _fate: Fault | None = None
    """What became of the connection once ``_out`` is read."""

    async def read(self) -> bytes:
        """The next chunk, as far as the faults let it through."""
        while not self._out:
            if self._fate is None:
                self._strike(())
            if isinstance(self._fate, Silent):
                await anyio.sleep_forever()
            if isinstance(self._fate, Cut):
                raise ConnectionFailed("the connection broke in the middle of a line", sent=True)
            chunk = await self.inner.read()
            if not chunk:
                rest, self._rest = self._rest, b""
                return rest
            whole, _, self._rest = (self._rest + chunk).rpartition(b"\n")
            self._strike(whole.split(b"\n") if whole else ())
            for fault in self.faults:
                if isinstance(fault, Delayed):
                    await anyio.sleep(self.rng.uniform(fault.least, fault.most))
        return self._out.popleft()

    def _strike(self, lines: Sequence[bytes]) -> None:
        """Let lines through, or what the faults leave of them."""
        torn = b""
        for fault in self.faults:
            if isinstance(fault, NoBookmarks):
                lines = [line for line in lines if not _is_bookmark(line)]
            elif isinstance(fault, Silent | Cut):
                left = fault.after_lines - self._lines
                if len(lines) > left or (isinstance(fault, Silent) and left <= 0):
                    torn = lines[left] if isinstance(fault, Cut) else b""
                    lines, self._fate = lines[:left], fault
        self._lines += len(lines)
        if lines:
            self._out.append(b"".join(line + b"\n" for line in lines))
        if torn:
            self._out.append(torn[: self.rng.randint(1, len(torn))])

    async def aclose(self) -> None:
        await self.inner.aclose()


def _is_bookmark(line: bytes) -> bool:
    return line.startswith(b'{"type":"BOOKMARK"') and b"initial-events-end" not in line


__all__ = [
    "WRITES",
    "Cut",
    "Delayed",
    "Fault",
    "FaultPlan",
    "Faults",
    "FaultyTransport",
    "Full",
    "Latency",
    "LostReply",
    "LostRequest",
    "NoBookmarks",
    "NoReply",
    "ReadOnly",
    "Refused",
    "Replayed",
    "Reset",
    "Rule",
    "Silent",
    "StaleList",
    "Status",
    "lost_lease",
    "name_of",
]
