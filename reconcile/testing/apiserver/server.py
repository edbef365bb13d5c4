"""An API server in the process: requests come in as values, answers go out as values.

``ApiServer`` is the shell around the pure parts: it knows the time and the watchers, takes one write at a time from
request to commit in one step without waiting, and tells watchers and its own caretakers what changed. ``memory.py`` is
a way in.
"""

import datetime as dt
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

from reconcile.core.clock import Clock, Seconds, now, utc
from reconcile.kube.objects import ObjectKey
from reconcile.kube.request import HttpRequest, HttpResponse, RequestInfo, parse
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import actions, admitting, answering, content, impersonation, reading, reviews, verbs
from reconcile.testing.apiserver.admission import ADMIN, Authorizer, Rules, User
from reconcile.testing.apiserver.admitting import Admission
from reconcile.testing.apiserver.asking import ROUNDS, Answers, Pending, Question
from reconcile.testing.apiserver.calling import Caller
from reconcile.testing.apiserver.caretakers import Caretakers
from reconcile.testing.apiserver.content import Form, warned
from reconcile.testing.apiserver.converting import asks
from reconcile.testing.apiserver.failure import (
    Failure,
    expired,
    internal,
    version_too_large,
)
from reconcile.testing.apiserver.kinds import built_in
from reconcile.testing.apiserver.managers import timestamp
from reconcile.testing.apiserver.memory import MemoryTransport
from reconcile.testing.apiserver.metrics import CONTENT_TYPE as METRICS
from reconcile.testing.apiserver.metrics import Metrics
from reconcile.testing.apiserver.options import (
    ListOptions,
    list_options,
    parse_version,
)
from reconcile.testing.apiserver.reach import Reach
from reconcile.testing.apiserver.registry import Registry
from reconcile.testing.apiserver.routes import Call, OwnPage, route
from reconcile.testing.apiserver.session import Session
from reconcile.testing.apiserver.settings import Audited, Settings
from reconcile.testing.apiserver.storage import Event, Snapshot, Storage
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.tokens import Tokens
from reconcile.testing.apiserver.verbs import Order
from reconcile.testing.apiserver.watching import Watcher, Watchers
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


@attrs.frozen
class Answer:
    """What a request leads to: a whole answer, or the head of a watch with its ``watcher``."""

    response: HttpResponse
    watcher: Watcher | None = None


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
    _watchers: Watchers = attrs.field(factory=Watchers, init=False)
    _caretakers: Caretakers = attrs.field(init=False)
    _changed: anyio.Event | None = attrs.field(default=None, init=False)
    """Set at the next change; there while somebody waits for one."""
    _tasks: TaskGroup | None = attrs.field(default=None, init=False)
    _clock: Clock = attrs.field(factory=Clock, init=False)

    def __attrs_post_init__(self) -> None:
        self.storage = Storage(self.settings.history)
        self.audit = deque(maxlen=self.settings.audit)
        self.registry.add(*built_in(), *self.kinds)
        self._caretakers = Caretakers(self)

    # -- life ------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self.journal is not None:
            self.journal.show = self._show
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
                    response, stored = await self._write(call, request, user)
                    answer = Answer(response)
                else:
                    answer = await self._shown(call, request)
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
        return len(self._watchers)

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
        self._watchers.end(resource.name if resource is not None else None)

    def collect_garbage(self) -> int:
        """Let the garbage collector work until it has nothing more to do; the answer counts its writes."""
        return self._caretakers.collect()

    # -- reads -----------------------------------------------------------------------------------------------------

    async def _shown(self, call: Call, request: HttpRequest) -> Answer:
        """Answer a read; where somebody else converts, as soon as all is converted."""
        for _ in range(ROUNDS):
            try:
                return await self._read(call, request)
            except Pending as pending:
                await self._ask(pending, Answers())
        raise internal("conversion webhooks keep changing their minds")

    async def _read(self, call: Call, request: HttpRequest) -> Answer:
        kind, info = call.kind, call.info
        form = content.form(request, custom=kind.custom, streams=not info.name)
        content.check_form(request, kind, of_list=not info.name)
        if info.verb == "get":
            await self._reach(parse_version(request.get("resourceVersion"), of_list=False))
            if info.subresource == "log":
                return Answer(actions.log(self.storage, kind, info.key))
            read = reading.scale if info.subresource == verbs.SCALE else reading.get
            body = read(self.storage, kind, info.key, form)
            return Answer(HttpResponse(200, _JSON, body))
        options = list_options(request, kind, info.namespace, watch_list=self.settings.watch_list)
        if info.verb == "watch":
            return await self._watch(kind, options, form)
        await self._reach(reading.at_least(options))
        return Answer(HttpResponse(200, _JSON, reading.list_(self.storage, kind, options, form)))

    async def _reach(self, version: int) -> None:
        """Wait for a version, for a while."""
        if self.storage.version >= version:
            return
        with anyio.move_on_after(_FRESH_WITHIN):
            while self.storage.version < version:
                self._changed = self._changed or anyio.Event()
                await self._changed.wait()
        if self.storage.version < version:
            raise version_too_large(version, self.storage.version)

    async def _watch(self, kind: Kind, options: ListOptions, form: Form) -> Answer:
        asked = parse_version(options.version, of_list=False)
        seconds = options.timeout or self.settings.watch_seconds * (1 + self.rng.random())
        watcher = Watcher(
            kind,
            options.selection,
            form,
            asked,
            deadline=now() + seconds,
            bookmarks=options.bookmarks,
            current=lambda: self.shown,
            limit=self.settings.watch_buffer,
        )
        try:
            await self._start(watcher, kind, options, asked)
        except Failure as failure:
            # once a watch is accepted, what goes wrong is an event of it
            watcher.fail(failure)
        return Answer(HttpResponse(200, _JSON), watcher)

    async def _start(self, watcher: Watcher, kind: Kind, options: ListOptions, asked: int) -> None:
        table = self.storage.table(kind.table)
        wants_state = options.initial_events or (options.initial_events is None and asked == 0)
        if options.initial_events is not None:
            await self._reach(asked)
        if wants_state:
            keys = self.storage.keys(kind.table, options.selection.namespace)
            found = (kind.seen(table.objects[key]) for key in keys)
            state = [one for one in found if options.selection.matches(one)]
            mark_end = bool(options.initial_events) and options.bookmarks
            watcher.begin(state, self.storage.version, mark_end=mark_end)
        elif asked == 0:
            watcher.after = self.storage.version
        else:
            events = table.since(asked)
            if events is None:
                raise expired(f"too old resource version: {asked} ({table.floor})")
            watcher.replay(events)
        self._watchers.add(kind.table, watcher)

    # -- writes ----------------------------------------------------------------------------------------------------

    def write(self, change: Callable[[Session], T], *, user: User = ADMIN) -> T:
        """Run a change in a transaction of its own and make it real; whatever it raises undoes it."""
        return self._commit(self._session(user), change)

    def _session(self, user: User, *, rng: random.Random | None = None, time: str = "", **options: Any) -> Session:
        time = time or timestamp(utc() + dt.timedelta(seconds=self.skew) if self.skew else utc())
        needs_namespace = self.settings.needs_namespace
        return Session(
            self.registry,
            self.storage.begin(),
            user,
            time,
            rng or self.rng,
            Reach,
            gate=self.rules.gate,
            needs_namespace=needs_namespace,
            **options,
        )

    def _commit(self, session: Session, change: Callable[[Session], T]) -> T:
        result = change(session)
        if not session.dry_run:
            self._publish(session.transaction.commit())
            for write in session.done:
                hook = write.kind.hooks.after_commit
                assert hook is not None
                try:
                    hook(write)
                except Exception:
                    _log.exception("after_commit hook failed kind=%s", write.kind.resource)
        return result

    def _publish(self, events: list[tuple[str, Event]]) -> None:
        if not events:
            return
        if self.journal is None:
            self._show(events)
        else:
            self.journal.append(events)
        self._caretakers.observe(events)

    def _show(self, events: list[tuple[str, Event]]) -> None:
        """Let everybody see what was committed."""
        self._watchers.feed(events)
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def _write(self, call: Call, request: HttpRequest, user: User) -> tuple[HttpResponse, bool]:
        """Answer a write; whether it changed something for good."""
        session = self._session(user)
        if (review := reviews.review(call.kind, self.rules, user, self.authenticate, time=session.time)) is not None:
            return verbs.reviewed(call, request, session, review), False
        if not (admitting.is_needed(self.storage) or asks(call.kind)):
            # the whole of it in one step
            order = self._ordered(call, request)
            session.dry_run, session.strictness = order.dry_run, order.strictness
            outcome = self._commit(session, order.run)
            return outcome.response, outcome.changed and not order.dry_run
        answers, seed = Answers(), self.rng.getrandbits(64)
        for _ in range(ROUNDS):
            order = self._ordered(call, request)
            # whatever is made up is the same in each round, so that questions are
            attempt = self._session(user, rng=random.Random(seed), time=session.time)
            attempt.dry_run, attempt.strictness = order.dry_run, order.strictness
            attempt.admission = Admission(self.storage, self.registry, answers)
            try:
                outcome = self._commit(attempt, order.run)
            except Pending as pending:
                await self._ask(pending, answers)
            else:
                return outcome.response, outcome.changed and not order.dry_run
        raise internal("webhooks keep changing their minds")

    def _ordered(self, call: Call, request: HttpRequest) -> Order:
        """What a request wants to be done; anew each time, for doing it uses it up."""
        action = actions.find(call)
        if action is not None:
            return actions.ordered(action, call, request, self.tokens)
        return verbs.ordered(call, request, watch_list=self.settings.watch_list)

    async def _ask(self, pending: Pending, answers: Answers) -> None:
        """Get the answers that a step lacks, all at once."""

        async def one(question: Question) -> None:
            answer = await self.webhooks.ask(question)
            (question.keep or answers.add)(question, answer)

        async with anyio.create_task_group() as tasks:
            for question in pending.questions:
                tasks.start_soon(one, question)

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
