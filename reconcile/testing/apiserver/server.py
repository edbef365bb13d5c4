"""An API server in the process: requests come in as values, answers go out as values.

``ApiServer`` lets a request pass or not, has its ``Reader`` or its ``Writer`` answer it, and tells watchers and its own
caretakers what changed. ``memory.py`` is a way in.
"""

import logging
import os
import random
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import anyio
import attrs
import orjson
from anyio.abc import TaskGroup

from reconcile.core.clock import Clock, Seconds, utc
from reconcile.kube.objects import ObjectKey
from reconcile.kube.request import HttpRequest, HttpResponse, RequestInfo, parse
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import answering, content, impersonation, reviews
from reconcile.testing.apiserver.admission import ADMIN, Authorizer, Rules, User
from reconcile.testing.apiserver.calling import Caller
from reconcile.testing.apiserver.caretakers import Caretakers
from reconcile.testing.apiserver.content import warned
from reconcile.testing.apiserver.failure import (
    Failure,
    internal,
)
from reconcile.testing.apiserver.kinds import built_in
from reconcile.testing.apiserver.memory import MemoryTransport
from reconcile.testing.apiserver.metrics import CONTENT_TYPE as METRICS
from reconcile.testing.apiserver.metrics import Metrics
from reconcile.testing.apiserver.reader import Answer, Reader
from reconcile.testing.apiserver.registry import Registry
from reconcile.testing.apiserver.routes import Call, OwnPage, route
from reconcile.testing.apiserver.session import Session
from reconcile.testing.apiserver.settings import Audited, Settings
from reconcile.testing.apiserver.storage import Event, Snapshot, Storage
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.tokens import Tokens
from reconcile.testing.apiserver.writer import Writer
from reconcile.testing.apiserver.writing import Result, create

if TYPE_CHECKING:
    from reconcile.kube.client import Client
    from reconcile.testing.apiserver.disturbing import ServerFaults
    from reconcile.testing.apiserver.journal import Journal
    from reconcile.testing.faultplan import FaultPlan

T = TypeVar("T")
_log = logging.getLogger(__name__)

_JSON: Final = {"content-type": content.JSON}
_FRESH_WITHIN: Final[Seconds] = 3.0
"""How long a read waits for a version that is yet to come."""
_WRITES: Final = ("create", "update", "patch", "delete", "deletecollection")
FIRST_NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")


@attrs.define(eq=False)
class ApiServer:
    """A whole API server, empty but for the first namespaces. Enter it with ``async with``.

    ``kinds`` are served besides the built-in ones; ``rules`` say what each user may do (everything, unless listed).
    """

    kinds: Iterable[Kind] = ()
    rng: random.Random = attrs.field(factory=lambda: random.Random(0), kw_only=True)
    settings: Settings = attrs.field(default=Settings(), kw_only=True)
    rules: Authorizer = attrs.field(default=Rules(), kw_only=True)
    authenticate: reviews.Authenticate = attrs.field(default=lambda token: None, kw_only=True)
    """Whom a token is of, for those who ask by a TokenReview."""
    webhooks: Caller = attrs.field(factory=Caller, kw_only=True)
    """The way to webhooks; functions may stand for some of them."""
    tokens: Tokens = attrs.field(factory=lambda: Tokens(os.urandom(32)), kw_only=True)
    """Issues and reads the tokens of service accounts."""
    journal: "Journal | None" = attrs.field(default=None, kw_only=True)
    """Where everything is kept; ``None``: only in memory. It is closed with the server."""
    skew: Seconds = attrs.field(default=0.0, kw_only=True)
    """By how much its wall clock is wrong."""
    faults: "ServerFaults | None" = attrs.field(default=None, init=False)
    """What strikes those who come in; ``disturb`` begins it."""
    storage: Storage = attrs.field(init=False)
    registry: Registry = attrs.field(factory=Registry, init=False)
    audit: deque[Audited] = attrs.field(init=False)
    """The last requests, oldest first."""
    metrics: Metrics = attrs.field(factory=Metrics, init=False)
    _reader: Reader = attrs.field(init=False)
    _writer: Writer = attrs.field(init=False)
    _caretakers: Caretakers = attrs.field(init=False)
    _tasks: TaskGroup | None = attrs.field(default=None, init=False)
    _clock: Clock = attrs.field(factory=Clock, init=False)

    def __attrs_post_init__(self) -> None:
        self.storage = Storage(self.settings.history)
        self.audit = deque(maxlen=self.settings.audit)
        self.registry.add(*built_in(), *self.kinds)
        self._reader, self._writer = Reader(self), Writer(self, self._publish)
        self._caretakers = Caretakers(self)

    # -- life ------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self.journal is not None:
            self.journal.show = self._reader.show
            self.journal.fill(self.storage)
            self._caretakers.reset()
        namespaces = self.registry.find("", "v1", "namespaces")
        assert namespaces is not None
        for name in FIRST_NAMESPACES:
            if self.storage.get("namespaces", name) is None:
                self.write(partial(_create_namespace, namespaces, name))
        self._caretakers.begin_roles()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._caretakers.run, name="apiserver caretakers")
        self._tasks.start_soon(self._caretakers.expire, name="apiserver events")
        if self.journal is not None:
            self._tasks.start_soon(self.journal.run, name="apiserver journal")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        self.end_watches()
        self._tasks.cancel_scope.cancel()
        try:
            if isinstance(error, anyio.get_cancelled_exc_class()):
                return await self._tasks.__aexit__(kind, error, trace)
            # what the caller raised is the caller's, and goes on as it is
            await self._tasks.__aexit__(None, None, None)
            return None
        finally:
            if self.journal is not None:
                self.journal.close()

    # -- ways in ---------------------------------------------------------------------------------------------------

    def transport(self, *, user: User = ADMIN, user_agent: str = "reconcile") -> MemoryTransport:
        """A way in for one client."""
        return MemoryTransport(self, user=user, user_agent=user_agent)

    def client(self, *, user: User = ADMIN, user_agent: str = "reconcile", **options: Any) -> "Client":
        """A client on a transport of its own; ``options`` are those of ``Client``."""
        from reconcile.kube.client import Client

        return Client(self.transport(user=user, user_agent=user_agent), **options)

    async def answer(self, request: HttpRequest, user: User = ADMIN) -> Answer:
        """Answer a request; never raises for what a client did."""
        call: Call | None = None
        stored, started = False, self._clock.now()
        try:
            user = impersonation.impersonated(request.headers, user, self.rules, request.path)
            asked = parse(request)
            self._authorize(request, asked, user)
            found = route(request, asked, self.registry)
            if isinstance(found, OwnPage):
                answer = Answer(self._page(found))
            else:
                call = found
                if call.info.verb in _WRITES:
                    response, stored = await self._writer.answer(call, request, user)
                    answer = Answer(response)
                else:
                    answer = await self._reader.answer(call, request)
        except Failure as failure:
            answer = Answer(HttpResponse(failure.code, failure.headers, failure.body))
        except Exception as error:
            _log.exception("request failed method=%s path=%s", request.method, request.path)
            bug = internal(str(error) or type(error).__name__)
            answer = Answer(HttpResponse(bug.code, bug.headers, bug.body))
        if call is not None:
            answer = self._formed(answer, request, call.kind)
        if self.journal is not None:
            answer = await self._kept(answer, self.journal)
        if call is not None and call.kind.deprecation:
            answer = attrs.evolve(answer, response=warned(answer.response, call.kind.deprecation))
        info = call.info if call is not None else None
        ended = self._clock.now()
        self._note(request, info, user, answer.response.status, stored, ended)
        self.metrics.note(info, answer.response.status, ended - started)
        return answer

    def _authorize(self, request: HttpRequest, asked: RequestInfo | None, user: User) -> None:
        """Let a request pass, or not, whether or not there is what it asks for. Raises ``Failure``: 403."""
        if asked is not None:
            self.rules.check(user, asked)
        else:
            self.rules.check_path(user, request.method.lower(), request.path)

    def _formed(self, answer: Answer, request: HttpRequest, kind: Kind) -> Answer:
        """An answer in the form that the client asked for."""
        shape = answering.shape(request, kind, utc)
        if shape is None:
            return answer
        if answer.watcher is not None:
            answer.watcher.recode = shape.lines
            return Answer(attrs.evolve(answer.response, headers=shape.stream_headers), answer.watcher)
        return Answer(shape.whole(answer.response))

    async def _kept(self, answer: Answer, journal: "Journal") -> Answer:
        """Hold an answer back until all that it shows, or says no for, is where it is kept."""
        try:
            await journal.reached(self.storage.version)
        except BaseException as error:
            if answer.watcher is not None:
                answer.watcher.end()
            if not isinstance(error, Failure):
                raise
            return Answer(HttpResponse(error.code, error.headers, error.body))
        return answer

    def _page(self, page: OwnPage) -> HttpResponse:
        value = page.value
        if page.content_type == METRICS:
            objects = {name: len(table.objects) for name, table in self.storage.tables.items()}
            value = self.metrics.text(watches=self.watching, objects=objects, version=self.storage.version)
        body = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else orjson.dumps(value)
        return HttpResponse(page.status, {"content-type": page.content_type, **page.headers}, body)

    # -- what tests ask and do -------------------------------------------------------------------------------------

    def objects(self, resource: Resource[T], namespace: str = "") -> list[T]:
        """The objects of a resource as they are stored, in the order of their names."""
        keys = self.storage.keys(resource.name, namespace)
        found = [self.storage.get(resource.name, key) for key in keys]
        return [resource.codec.decode(one.raw) for one in found if one is not None]

    def writes(self) -> list[Audited]:
        """The requests that changed something."""
        return [one for one in self.audit if one.stored]

    @property
    def shown(self) -> int:
        """The newest version that anybody may see: all of it is where it is kept."""
        return self.storage.version if self.journal is None else self.journal.safe

    @property
    def watching(self) -> int:
        """How many watches are open."""
        return len(self._reader.watchers)

    def compact(self) -> None:
        """Forget all history: whoever asks for a past version is told 410."""
        self.storage.compact()

    def expire_continue(self) -> None:
        """Forget past lists only: continue tokens given so far are told 410, watches are not."""
        self.storage.compacted = self.storage.version + 1

    def snapshot(self) -> Snapshot:
        """A backup, for ``restore``."""
        return self.storage.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a backup, as an etcd restore does: versions go back, watches end."""
        self.end_watches()
        self.storage.restore(snapshot)
        if self.journal is not None:
            self.journal.replace(snapshot)
        self._caretakers.reset()

    def disturb(self, plan: "FaultPlan", *, seed: int = 0) -> "ServerFaults":
        """Let faults strike whatever comes in from now on, in memory and over HTTP; the seed draws them.

        The answer counts what ``struck``, takes another ``plan`` at any time, and can ``heal``.
        """
        from reconcile.testing.apiserver.disturbing import disturbed

        self.faults = disturbed(self, plan, seed)
        return self.faults

    def end_watches(self, resource: Resource[Any] | None = None) -> None:
        """End the watches of a resource, or all, as a restart of the server does."""
        self._reader.end_watches(resource)

    def collect_garbage(self) -> int:
        """Let the garbage collector work until it has nothing more to do; the answer counts its writes."""
        return self._caretakers.collect()

    # -- writes ----------------------------------------------------------------------------------------------------

    def write(self, change: Callable[[Session], T], *, user: User = ADMIN) -> T:
        """Run a change in a transaction of its own and make it real; whatever it raises undoes it."""
        return self._writer.write(change, user)

    def _publish(self, events: list[tuple[str, Event]]) -> None:
        if not events:
            return
        if self.journal is None:
            self._reader.show(events)
        else:
            self.journal.append(events)
        self._caretakers.observe(events)

    def _note(
        self, request: HttpRequest, info: RequestInfo | None, user: User, code: int, stored: bool, at: Seconds
    ) -> None:
        if info is None:
            verb, resource, key, subresource = request.method.lower(), request.path, ObjectKey("", ""), ""
        else:
            verb, key, subresource = info.verb, info.key, info.subresource
            resource = f"{info.plural}.{info.group}" if info.group else info.plural
        agent = request.headers.get("user-agent", "")
        self.audit.append(Audited(verb, resource, key, subresource, agent, user.name, code, stored, at))


def _create_namespace(kind: Kind, name: str, session: Session) -> Result:
    return create(session, kind, "", {"metadata": {"name": name}}, "kube-apiserver")


__all__ = ["Answer", "ApiServer", "Audited", "Settings"]
