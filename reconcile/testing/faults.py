"""What goes wrong on the way to a server and back, by name and by seed.

``FaultyTransport`` stands between a client and any transport and plays a ``FaultPlan``: rules that say which fault
strikes which requests, how likely, how often and when. Faults are what a network, a proxy, an overloaded or a restarted
server do; nothing here lies about order within a watch. Same plan, same seed, same loop: same faults.
"""

import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import anyio
import attrs
import orjson

from reconcile.core.clock import Seconds, now
from reconcile.kube.errors import ConnectionFailed, RequestTimeout
from reconcile.kube.request import HttpRequest, HttpResponse, parse
from reconcile.kube.transport import Guard, Stream, Transport
from reconcile.testing.apiserver.failure import Failure, expired

WRITES: Final = ("create", "update", "patch", "delete", "deletecollection")
_JSON: Final = {"content-type": "application/json"}


# -- faults of a call ----------------------------------------------------------------------------------------------


@attrs.frozen
class Latency:
    """The answer comes later, by a time between these (seconds); for a watch, its head."""

    least: Seconds = 0.0
    most: Seconds = 1.0


@attrs.frozen
class Refused:
    """No connection: the server never sees the request, and the client knows."""


@attrs.frozen
class LostRequest:
    """The request is lost on its way: the server never sees it, and the client cannot know."""


@attrs.frozen
class LostReply:
    """The server does what was asked and the answer is lost: the client cannot know."""


@attrs.frozen
class NoReply:
    """The request is lost without a sign: the client waits until its timeout."""


@attrs.frozen
class Status:
    """The answer is an error that no object caused; 409, 410, 429, 500, 503 or 504. The server does nothing."""

    code: int = 500
    retry_after: int | None = None
    """Seconds, sent as the header Retry-After."""


@attrs.frozen
class StaleList:
    """A list shows an older state, as a replica that lags behind answers: only where the request allows that.

    ``consistent_too`` strikes consistent reads as well, which no healthy server would do: a restored backup does.
    """

    consistent_too: bool = False


# -- faults of a watch ---------------------------------------------------------------------------------------------


@attrs.frozen
class Cut:
    """The connection breaks in the middle of a line, after so many whole ones."""

    after_lines: int = 1


@attrs.frozen
class Silent:
    """After so many lines nothing comes any more, no end either: a half-open connection."""

    after_lines: int = 1


@attrs.frozen
class Delayed:
    """Every line arrives later, by a time between these (seconds); the order stays."""

    least: Seconds = 0.0
    most: Seconds = 5.0


@attrs.frozen
class NoBookmarks:
    """Bookmarks are withheld, but for the one that ends the initial events."""


@attrs.frozen
class Replayed:
    """The watch starts from an older version than it was asked for: what was seen is told again, as after a restart."""


Fault: TypeAlias = (
    Latency
    | Refused
    | LostRequest
    | LostReply
    | NoReply
    | Status
    | StaleList
    | Cut
    | Silent
    | Delayed
    | NoBookmarks
    | Replayed
)
_OF_WATCHES: Final = (Cut, Silent, Delayed, NoBookmarks, Replayed)


def name_of(fault: Fault) -> str:
    """The name it is counted under: ``LostReply``, ``Status 429``."""
    return f"Status {fault.code}" if isinstance(fault, Status) else type(fault).__name__


# -- when they strike ----------------------------------------------------------------------------------------------


@attrs.frozen
class Rule:
    """One fault and the requests it may strike. Empty ``verbs`` or ``resources`` mean any."""

    fault: Fault
    verbs: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    """Plurals."""
    probability: float = 1.0
    times: int | None = None
    """At most so many strikes."""
    start: Seconds = 0.0
    """On the loop's clock."""
    end: Seconds = float("inf")

    def concerns(self, verb: str, plural: str, moment: Seconds) -> bool:
        """Whether it may strike such a request now."""
        if isinstance(self.fault, _OF_WATCHES) and verb != "watch":
            return False
        if isinstance(self.fault, StaleList) and verb != "list":
            return False
        return (
            self.start <= moment < self.end
            and (not self.verbs or verb in self.verbs)
            and (not self.resources or plural in self.resources)
        )


def lost_lease(start: Seconds = 0.0, end: Seconds = float("inf")) -> Rule:
    """Writes to leases fail for a while, so that a leader cannot stay one."""
    return Rule(Status(500), verbs=WRITES, resources=("leases",), start=start, end=end)


@attrs.frozen
class FaultPlan:
    """Rules, asked in order; several may strike one request."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, *faults: Fault, probability: float = 1.0, times: int | None = None) -> "FaultPlan":
        """Each of these faults, wherever it applies."""
        return cls(tuple(Rule(fault, probability=probability, times=times) for fault in faults))

    @classmethod
    def draw(cls, rng: random.Random, *, until: Seconds = float("inf"), strength: float = 0.2) -> "FaultPlan":
        """A plan at random: some of all faults, none likelier than ``strength``, over at the time ``until``."""
        chosen = rng.sample(_EVERYTHING, rng.randint(1, len(_EVERYTHING)))
        return cls(
            tuple(Rule(fault, verbs=verbs, probability=rng.uniform(0, strength), end=until) for fault, verbs in chosen)
        )


_EVERYTHING: Final[list[tuple[Fault, tuple[str, ...]]]] = [
    (Latency(0.0, 2.0), ()),
    (Refused(), ()),
    (LostRequest(), ()),
    (LostReply(), WRITES),
    (NoReply(), ()),
    (Status(409), ("update", "patch")),
    (Status(410), ("list",)),
    (Status(429, retry_after=1), ()),
    (Status(500), ()),
    (Status(503), ()),
    (Status(504), ()),
    (StaleList(), ()),
    (Cut(0), ()),
    (Cut(3), ()),
    (Silent(2), ()),
    (Delayed(0.0, 5.0), ()),
    (NoBookmarks(), ()),
    (Replayed(), ()),
]


@attrs.define(eq=False)
class FaultyTransport:
    """``Transport`` that plays a plan in front of another one.

    ``plan`` may be changed at any time; ``heal`` ends it.
    """

    inner: Transport
    plan: FaultPlan = FaultPlan()
    rng: random.Random = attrs.field(factory=lambda: random.Random(0), kw_only=True)
    struck: Counter[str] = attrs.field(factory=Counter, init=False)
    """How often each fault struck, by name: so that a test can see that it was one."""
    _used: Counter[Rule] = attrs.field(factory=Counter, init=False)
    _versions: list[int] = attrs.field(factory=list, init=False)
    """Versions of the server that were seen, oldest first."""

    @property
    def host(self) -> str:
        """The inner transport's."""
        return self.inner.host

    def heal(self) -> None:
        """Let everything through from now on."""
        self.plan = FaultPlan()

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        """As the inner transport, unless a fault strikes."""
        faults = self._faults(request)
        started = now()
        answered = await self._before(faults, timeout, guard)
        if answered is not None:
            return answered
        left = max(0.0, timeout - (now() - started))
        response = await self.inner.call(self._changed(request, faults), timeout=left, guard=guard)
        if any(isinstance(fault, LostReply) for fault in faults):
            raise ConnectionFailed("the connection broke before the answer came", sent=True)
        self._remember(request, response)
        return response

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> Stream:
        """As the inner transport, unless a fault strikes; faults of watches strike what is read."""
        faults = self._faults(request)
        started = now()
        answered = await self._before(faults, timeout, guard)
        if answered is not None:
            return _Whole(answered.status, answered.headers, answered.body)
        left = max(0.0, timeout - (now() - started))
        stream = await self.inner.open(self._changed(request, faults), timeout=left, guard=guard)
        if any(isinstance(fault, LostReply) for fault in faults):
            await stream.aclose()
            raise ConnectionFailed("the connection broke before the answer came", sent=True)
        of_watch = [fault for fault in faults if isinstance(fault, _OF_WATCHES)]
        return _Faulty(stream.status, stream.headers, stream, of_watch, self.rng) if of_watch else stream

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self.inner.aclose()

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
                self._used[rule] += 1
                faults.append(rule.fault)
                self.struck[name_of(rule.fault)] += 1
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
        if version.isdigit() and int(version) not in self._versions:
            self._versions.append(int(version))
            del self._versions[:-_REMEMBERED]


_REMEMBERED: Final = 100


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
