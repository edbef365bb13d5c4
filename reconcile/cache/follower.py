"""Runs one reflector: asks what it says, reads what comes, and puts it into the store.

From a line of the wire to the handlers there is no await, so nothing is buffered and nobody sees half of a change. The
awaits are: for the server, in a pause, and after a slice of work, for a list of any length must not hold up the loop.
A list is put together aside and changes the store in one step, when it is whole.

What is bad in a stream is counted, logged with the kind, and got over: a line that is no event, or too long, ends the
stream, and when it comes again from the same version, the collection is listed; half a line at the end of a stream is
dropped, for it will be sent again; an object that cannot be read is left out, what is known of it stays, and its end,
if that cannot be read, makes the collection be listed.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar

import anyio
import attrs
import msgspec
import orjson

from reconcile.cache.change import Change
from reconcile.cache.entry import EntryReader
from reconcile.cache.reflector import Reflector
from reconcile.cache.staging import Staging
from reconcile.cache.steps import AskKind, Effect, List, Pause, State, Watch
from reconcile.cache.store import Store
from reconcile.cache.watched import Watched, rule_for
from reconcile.core.clock import Clock, Seconds
from reconcile.kube import request as requests
from reconcile.kube.client import Client
from reconcile.kube.errors import BadAnswer, Forbidden, KubeError, NotFound
from reconcile.kube.objects import BadObject, ObjectKey, ObjectMeta, decode_meta, excerpt
from reconcile.kube.pages import read_page
from reconcile.kube.request import HttpRequest
from reconcile.kube.transport import Stream
from reconcile.kube.watch import LINE_LIMIT_BYTES, Lines, WatchEvent, decode_event

logger = logging.getLogger(__name__)
T = TypeVar("T")


@attrs.frozen
class FollowerSettings:
    """Limits of reading. Times in seconds, sizes in bytes."""

    list_timeout: Seconds = 60.0
    """For one page of a list."""
    open_timeout: Seconds = 30.0
    """Until the server accepts a watch."""
    close_timeout: Seconds = 5.0
    """For closing a stream."""
    line_limit_bytes: int = LINE_LIMIT_BYTES
    slice_bytes: int = 256 * 1024
    """How much of documents is read before others get their turn: a few milliseconds of work."""
    slice_changes: int = 200
    """How many changes of a list are told before others get their turn."""


@attrs.define(eq=False)
class Follower(Generic[T]):
    """Keeps one namespace of a store current, or all (""). ``deliver`` tells the handlers, ``moved`` how it goes."""

    client: Client
    watched: Watched[T]
    namespace: str
    reflector: Reflector
    reader: EntryReader
    store: Store[T]
    settings: FollowerSettings
    deliver: Callable[[Iterable[Change[T]]], None]
    moved: Callable[[], None]
    is_synced: bool = attrs.field(init=False, default=False)
    """Whether a whole list has been taken and told."""
    has_copy: bool = attrs.field(init=False, default=False)
    """Whether the store holds what such a list said: not if the kind has gone since."""
    heard_at: Seconds = attrs.field(init=False, default=-math.inf)
    """When the server last said anything that shows the copy to be current."""
    refusals: int = attrs.field(init=False, default=0)
    """How often in a row the server would not let us see."""
    events: int = attrs.field(init=False, default=0)
    bad: Counter[str] = attrs.field(init=False, factory=Counter)
    """What could not be read: line, cut, object."""
    _staging: Staging | None = attrs.field(init=False, default=None)
    _reading: anyio.CancelScope | None = attrs.field(init=False, default=None)
    _left: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)
    _work_bytes: int = attrs.field(init=False, default=0)
    _shown: State | None = attrs.field(init=False, default=None)
    _verb: str = attrs.field(init=False, default="list")
    _clock: Clock = attrs.field(init=False, factory=Clock)

    async def run(self) -> None:
        """Ask, for ever."""
        while True:
            try:
                await self._do()
            except KubeError as error:
                if isinstance(error, BadAnswer):
                    self.bad["answer"] += 1
                self.reflector.failed(error, self._clock.now())
                self.refusals = self.refusals + 1 if self.reflector.state in REFUSED else 0
            self._show()

    def relist(self, reason: str, at_least: int = 0) -> None:
        """The copy is in doubt: list again, now."""
        if self.reflector.relist(reason, at_least) is Effect.STOP:
            self._left.set()
            if self._reading is not None:
                self._reading.cancel()

    @property
    def problem(self) -> str:
        """Why the copy is not live; "" if it is. Of a refusal it says what to do."""
        error = self.reflector.error
        if not isinstance(error, Forbidden):
            return "" if error is None else str(error)
        resource, namespace = self.watched.resource, self.namespace
        where = f" in namespace {namespace}" if namespace else " in all namespaces" if resource.namespaced else ""
        return f"no right to {self._verb} {resource.name}{where} ({error}); {rule_for(resource, namespace, _VERBS)}"

    async def _do(self) -> None:
        match self.reflector.next_step():
            case Pause(seconds):
                await asyncio.sleep(seconds)
                self.reflector.rested()
            case List() as step:
                self._verb = "list"
                await self._page(step)
            case Watch() as step:
                self._verb = "watch"
                await self._watch(step)
            case AskKind():
                await self._ask_kind()

    # asking

    async def _page(self, step: List) -> None:
        request = requests.list_(
            self.watched.resource,
            self.namespace,
            **self._selection(),
            limit=step.limit,
            continue_=step.continue_,
            resource_version=step.resource_version,
            resource_version_match="NotOlderThan" if step.resource_version else "",
        )
        if not step.continue_ or self._staging is None:
            self._staging = self.store.stage(self.namespace)
        page = read_page(await self._body(request), self.watched.resource.name)
        self.refusals = 0
        page.items.reverse()
        while page.items:  # what has been read is let go of
            raw = page.items.pop()
            self._stage(raw)
            await self._pace(len(raw))
        await self._act(self.reflector.page(page.resource_version, page.continue_, self._clock.now()))

    async def _watch(self, step: Watch) -> None:
        request = requests.watch(
            self.watched.resource,
            self.namespace,
            **self._selection(),
            resource_version=step.resource_version,
            timeout_seconds=step.timeout_seconds,
            send_initial_events=step.lists,
        )
        stream = await self.client.open(request, timeout=self.settings.open_timeout)
        try:
            if self.reflector.step is not step:  # meanwhile a list was asked for
                return
            self.reflector.opened(self._clock.now())
            self.refusals = 0
            if step.lists:
                self._staging = self.store.stage(self.namespace)
            else:
                self._heard()
            self._show()
            await self._read(stream)
        finally:
            self._staging = None  # what was not taken is of no use
            with anyio.move_on_after(self.settings.close_timeout, shield=True):
                await stream.aclose()

    async def _read(self, stream: Stream) -> None:
        """Until the stream is over, or of no more use."""
        self._left.clear()
        with anyio.CancelScope() as limit:
            await self._read_on(stream, limit)
        if limit.cancelled_caught and not self._left.is_set():
            self.reflector.silent(self._clock.now())

    async def _read_on(self, stream: Stream, limit: anyio.CancelScope) -> None:
        """The same, within a scope whose deadline goes along."""
        reflector, opened = self.reflector, self._clock.now()
        name = self.watched.resource.name
        lines = Lines(self.settings.line_limit_bytes, about=name)
        while not self._left.is_set() and isinstance(step := reflector.step, Watch):
            deadline = min(self._clock.now() + step.idle, opened + step.limit)
            if not 0.0 <= deadline - limit.deadline < _LATE:
                limit.deadline = deadline
            self._reading = limit
            try:
                data = await stream.read()
            finally:
                self._reading = None
            if not data:
                if lines.held_bytes:
                    self._bad("cut", "the watch ended within a line", bytes=lines.held_bytes)
                reflector.closed(self._clock.now())
                return
            if not step.lists:
                self._heard()
            for line in lines.feed(data):
                effect = self._event(decode_event(line, about=name))
                if effect is Effect.STOP:
                    return
                if effect in _OF_ALL:
                    limit.deadline = math.inf  # what has come is told to its end
                    await self._act(effect)
                self._work_bytes += len(line) + _WORK_PER_DOCUMENT
                if self._work_bytes >= self.settings.slice_bytes:
                    await self._rest()
                if self._left.is_set():
                    return

    async def _ask_kind(self) -> None:
        resource = self.watched.resource
        path = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        try:
            served = _serves(await self._body(HttpRequest("GET", path)), resource.plural)
        except NotFound:
            served = False
        self.refusals = 0
        self._heard()
        await self._act(self.reflector.kind_is(served, self._clock.now()))

    def _selection(self) -> dict[str, Any]:
        watched = self.watched
        return {"labels": watched.labels, "fields": watched.fields, "metadata_only": watched.metadata_only}

    async def _body(self, request: HttpRequest) -> bytes:
        return (await self.client.request(request, timeout=self.settings.list_timeout)).body

    # what came

    def _stage(self, raw: bytes) -> None:
        """One object of a list."""
        assert self._staging is not None
        try:
            self._staging.add(self.reader.read(raw))
        except BadObject as error:
            self._unreadable(raw, error)

    def _event(self, event: WatchEvent) -> Effect:
        """One event of a stream, up to the handlers."""
        self.events += 1
        match event.type:
            case "BOOKMARK":
                effect = self.reflector.bookmark(
                    event.resource_version, ends_list=event.ends_initial_events, now=self._clock.now()
                )
                if effect is Effect.NOTHING and self._staging is None:
                    self.store.reached(event.resource_version, self.namespace)
                return effect
            case "ERROR":
                assert event.error is not None
                raise event.error
            case "DELETED":
                return self._end(event.raw)
            case _:
                return self._object(event.raw)

    def _object(self, raw: bytes) -> Effect:
        if self.store.awaits_own and (own := self._own(raw)) is not None:
            effect = self.reflector.event(own.resource_version, now=self._clock.now())
            if effect is Effect.COMMIT:
                self.store.confirm(own)
            if effect is not Effect.STAGE:
                return effect
        try:
            entry = self.reader.read(raw)
        except BadObject as error:
            self._unreadable(raw, error)
            return Effect.NOTHING
        effect = self.reflector.event(entry.meta.resource_version, now=self._clock.now())
        if effect is Effect.COMMIT:
            self.deliver(self.store.commit(entry))
        elif effect is Effect.STAGE and self._staging is not None:
            self._staging.add(entry)
        return effect

    def _own(self, raw: bytes) -> ObjectMeta | None:
        """The head of an object that the answer to our own write has shown in this very version already.

        Half of what a controller sees is that: it need not be read again.
        """
        try:
            seen = _DOCUMENT.decode(raw).metadata
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        known = self.store.meta(ObjectKey(seen.namespace, seen.name))
        is_it = known is not None and known.resource_version == seen.resource_version and known.uid == seen.uid
        return known if is_it else None

    def _end(self, raw: bytes) -> Effect:
        try:
            meta = decode_meta(raw)
        except BadObject as error:
            self._bad("object", "the end of an object cannot be read, so all are listed", error=error)
            return self.reflector.relist("bad object")
        effect = self.reflector.event(meta.resource_version, is_end=True, now=self._clock.now())
        if effect is Effect.COMMIT:
            self.deliver(self.store.remove(meta, self._clock.now()))
        elif effect is Effect.STAGE and self._staging is not None:
            self._staging.remove(meta.key)
        return effect

    def _unreadable(self, raw: bytes, error: BadObject) -> None:
        self._bad("object", "an object cannot be read, and what is known of it stays", error=error)
        if self._staging is not None and (key := _key(raw)) is not None:
            self._staging.keep(key)

    async def _act(self, effect: Effect) -> None:
        """What concerns all objects at once."""
        if effect not in _OF_ALL:
            return
        staging, self._staging = self._staging, None
        if effect is Effect.EMPTY or staging is None:
            staging = self.store.stage(self.namespace)
        version, is_reset = self.reflector.version, self.reflector.is_reset or effect is Effect.EMPTY
        initial = not self.is_synced
        changes = self.store.swap(
            staging, version, self.namespace, now=self._clock.now(), initial=initial, reset=is_reset
        )
        self.has_copy = effect is Effect.TAKE  # before anyone is told, who may look at once
        if self.reflector.is_reset and effect is Effect.TAKE:
            logger.warning("the server's history is another one, so all it has is taken as it is:%s", self._facts())
        for number, change in enumerate(changes, 1):
            self.deliver((change,))
            if number % self.settings.slice_changes == 0:
                await asyncio.sleep(0)
        if effect is Effect.TAKE:
            self.is_synced = True
            self._heard()
            self._show()  # a stream may go on for minutes after its list

    # how it goes

    async def _pace(self, work_bytes: int) -> None:
        """Let others have their turn after a slice of work."""
        self._work_bytes += work_bytes + _WORK_PER_DOCUMENT
        if self._work_bytes >= self.settings.slice_bytes:
            await self._rest()

    async def _rest(self) -> None:
        self._work_bytes = 0
        await asyncio.sleep(0)

    def _heard(self) -> None:
        self.heard_at = self._clock.now()

    def _show(self) -> None:
        """Say it once when the state has changed."""
        state, problem = self.reflector.state, self.problem
        if state is not self._shown:
            level = logging.INFO if state in (State.LIVE, State.SYNCING) else logging.WARNING
            why = f" problem={problem!r}" if problem else ""
            logger.log(level, "the copy of a kind is now %s:%s%s", state, self._facts(), why)
            self._shown = state
        self.moved()

    def _facts(self) -> str:
        return (
            f" cluster={self.store.cluster} resource={self.watched.resource.name}"
            f" namespace={self.namespace or '*'} version={self.reflector.version}"
        )

    def _bad(self, kind: str, what: str, **facts: object) -> None:
        self.bad[kind] += 1
        text = "".join(f" {name}={value}" for name, value in facts.items())
        logger.warning("%s:%s%s", what, self._facts(), text)


_VERBS: Final = ("list", "watch")
_OF_ALL: Final = (Effect.TAKE, Effect.EMPTY)
REFUSED: Final = (State.FORBIDDEN, State.UNAUTHORIZED)
_WORK_PER_DOCUMENT: Final = 512
"""Reading a document costs as much as this many bytes of it, whatever its length."""


_LATE: Final[Seconds] = 1.0
"""So much before its time a silent stream may be given up: a timer for each read would cost more than the read."""


class _Named(msgspec.Struct, gc=False, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Document(msgspec.Struct, gc=False):
    metadata: _Named


_DOCUMENT: Final = msgspec.json.Decoder(_Document)


def _key(raw: bytes) -> ObjectKey | None:
    """The key of a document whose head cannot be read, if that much of it can."""
    try:
        found = _DOCUMENT.decode(raw).metadata
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return ObjectKey(found.namespace, found.name)


def _serves(body: bytes, plural: str) -> bool:
    """Whether a group and version, as discovery describes it, has the resource."""
    try:
        document = orjson.loads(body)
        if document["kind"] == "APIResourceList":
            return any(item["name"] == plural for item in document["resources"])
    except (orjson.JSONDecodeError, LookupError, TypeError):
        pass
    raise BadAnswer("no list of resources", excerpt=excerpt(body))
