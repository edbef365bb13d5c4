"""Answers reads: an object, a list, or a watch, as soon as the version that is asked for is there.

A shell around ``reading.py`` and ``watching.py``.
"""

from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from reconcile.core.clock import Seconds, now
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import actions, content, reading, verbs
from reconcile.testing.apiserver.asking import ROUNDS, Answers, Pending
from reconcile.testing.apiserver.content import Form
from reconcile.testing.apiserver.failure import Failure, expired, internal, version_too_large
from reconcile.testing.apiserver.options import ListOptions, list_options, parse_version
from reconcile.testing.apiserver.routes import Call
from reconcile.testing.apiserver.storage import Event
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.watching import Watcher, Watchers

if TYPE_CHECKING:
    from reconcile.testing.apiserver.server import ApiServer

_JSON: Final = {"content-type": content.JSON}
_FRESH_WITHIN: Final[Seconds] = 3.0
"""How long a read waits for a version that is yet to come."""


@attrs.frozen
class Answer:
    """What a request leads to: a whole answer, or the head of a watch with its ``watcher``."""

    response: HttpResponse
    watcher: Watcher | None = None


@attrs.define(eq=False)
class Reader:
    """Of one server."""

    server: "ApiServer"
    watchers: Watchers = attrs.field(factory=Watchers, init=False)
    _changed: anyio.Event | None = attrs.field(default=None, init=False)
    """Set at the next change; there while somebody waits for one."""

    def show(self, events: list[tuple[str, Event]]) -> None:
        """Let everybody see what was committed."""
        self.watchers.feed(events)
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def end_watches(self, resource: Resource[Any] | None = None) -> None:
        """End the watches of a resource, or all."""
        self.watchers.end(resource.name if resource is not None else None)

    async def answer(self, call: Call, request: HttpRequest) -> Answer:
        """Answer a read; where somebody else converts, as soon as all is converted. Raises ``Failure``."""
        for _ in range(ROUNDS):
            try:
                return await self._read(call, request)
            except Pending as pending:
                await self.server.webhooks.settle(pending, Answers())
        raise internal("conversion webhooks keep changing their minds")

    async def _read(self, call: Call, request: HttpRequest) -> Answer:
        kind, info = call.kind, call.info
        form = content.form(request, custom=kind.custom, streams=not info.name)
        content.check_form(request, kind, of_list=not info.name)
        if info.verb == "get":
            await self._reach(parse_version(request.get("resourceVersion"), of_list=False))
            if info.subresource == "log":
                return Answer(actions.log(self.server.storage, kind, info.key))
            read = reading.scale if info.subresource == verbs.SCALE else reading.get
            body = read(self.server.storage, kind, info.key, form)
            return Answer(HttpResponse(200, _JSON, body))
        options = list_options(request, kind, info.namespace, watch_list=self.server.settings.watch_list)
        if info.verb == "watch":
            return await self._watch(kind, options, form)
        await self._reach(reading.at_least(options))
        return Answer(HttpResponse(200, _JSON, reading.list_(self.server.storage, kind, options, form)))

    async def _reach(self, version: int) -> None:
        """Wait for a version, for a while."""
        if self.server.storage.version >= version:
            return
        with anyio.move_on_after(_FRESH_WITHIN):
            while self.server.storage.version < version:
                self._changed = self._changed or anyio.Event()
                await self._changed.wait()
        if self.server.storage.version < version:
            raise version_too_large(version, self.server.storage.version)

    async def _watch(self, kind: Kind, options: ListOptions, form: Form) -> Answer:
        asked = parse_version(options.version, of_list=False)
        seconds = options.timeout or self.server.settings.watch_seconds * (1 + self.server.rng.random())
        watcher = Watcher(
            kind,
            options.selection,
            form,
            asked,
            deadline=now() + seconds,
            bookmarks=options.bookmarks,
            current=lambda: self.server.shown,
            limit=self.server.settings.watch_buffer,
        )
        try:
            await self._start(watcher, kind, options, asked)
        except Failure as failure:
            # once a watch is accepted, what goes wrong is an event of it
            watcher.fail(failure)
        return Answer(HttpResponse(200, _JSON), watcher)

    async def _start(self, watcher: Watcher, kind: Kind, options: ListOptions, asked: int) -> None:
        table = self.server.storage.table(kind.table)
        wants_state = options.initial_events or (options.initial_events is None and asked == 0)
        if options.initial_events is not None:
            await self._reach(asked)
        if wants_state:
            keys = self.server.storage.keys(kind.table, options.selection.namespace)
            found = (kind.seen(table.objects[key]) for key in keys)
            state = [one for one in found if options.selection.matches(one)]
            mark_end = bool(options.initial_events) and options.bookmarks
            watcher.begin(state, self.server.storage.version, mark_end=mark_end)
        elif asked == 0:
            watcher.after = self.server.storage.version
        else:
            events = table.since(asked)
            if events is None:
                raise expired(f"too old resource version: {asked} ({table.floor})")
            watcher.replay(events)
        self.watchers.add(kind.table, watcher)
