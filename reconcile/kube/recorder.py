"""Events about objects, for people: told by a reconciler in passing, written by a service in its own time.

``event`` never waits and never raises; a story that cannot be told is not worth failing for. What was told is
correlated at once (``events.py``) and written one by one; what the server refuses is dropped and said in the log, what
may pass is tried again later. At the end the service gets a moment to write what is left.

Core Events by default, as the rights of existing deployments allow; those of ``events.k8s.io`` by setting.
"""

import asyncio
import logging
import socket
from collections.abc import Iterable
from typing import Any, Literal

import anyio
from anyio.abc import TaskStatus
from attrs import define, field, frozen

from reconcile.core.clock import Seconds, now, utc
from reconcile.kube.client import Client
from reconcile.kube.errors import AlreadyExists, Fenced, KubeError, NotFound, is_retryable
from reconcile.kube.event_forms import CORE, NEW, key
from reconcile.kube.events import Correlator, EventType, Limits, Series, Subject
from reconcile.kube.objects import KubeObject, Object
from reconcile.kube.patch import MergePatch
from reconcile.kube.resource import Resource

log = logging.getLogger(__name__)


@frozen
class RecorderSettings:
    api: Literal["v1", "events.k8s.io/v1"] = "v1"
    limits: Limits = field(factory=Limits)
    drain: Seconds = 2.0
    """For what is left when the service ends."""
    pause: Seconds = 10.0
    """After a failure that may pass."""


def _listed(resources: Iterable[Resource[Any]]) -> tuple[Resource[Any], ...]:
    return tuple(resources)


@define(eq=False)
class EventRecorder:
    """Tells of objects on behalf of ``component``. A service: nothing is written before and after it runs.

    ``resources`` name the kinds of classes; an ``Object`` knows its own.
    """

    client: Client
    component: str
    resources: tuple[Resource[Any], ...] = field(default=(), converter=_listed)
    settings: RecorderSettings = field(factory=RecorderSettings)
    instance: str = field(factory=socket.gethostname)
    name: str = "events"
    _correlator: Correlator = field(init=False)
    _told: asyncio.Event = field(factory=asyncio.Event, init=False)
    _complaints: set[str] = field(factory=set, init=False)

    @_correlator.default
    def _nothing_noted(self) -> Correlator:
        return Correlator(f"{self.component}/{self.instance}", self.settings.limits)

    def event(
        self,
        obj: KubeObject,
        type: EventType,
        reason: str,
        message: str,
        *,
        action: str = "",
        resource: Resource[Any] | None = None,
    ) -> None:
        """Tell that something happened to ``obj``. ``reason`` is one word in CamelCase, ``message`` a sentence.

        ``action`` is what was done or tried, for ``events.k8s.io``; the reason if not given. ``resource`` names the
        kind where neither the object nor the recorder knows it (an ``Object`` out of a list does not).
        """
        try:
            subject = self._subject(obj, resource)
            self._correlator.note(subject, type, reason, message, action=action, at=utc(), now=now())
            self._told.set()
        except Exception as error:
            self._complain(error, "an Event could not be told")

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled."""
        task_status.started()
        try:
            while True:
                if not await self._write_next():
                    await self._wait()
        finally:
            with anyio.move_on_after(self.settings.drain, shield=True):
                while await self._write_next():
                    pass

    async def _wait(self) -> None:
        """Until something was told, or something that had to wait is due."""
        self._told.clear()
        with anyio.move_on_after(max(0.0, self._correlator.next_due() - now())):
            await self._told.wait()

    async def _write_next(self) -> bool:
        """Write one Event; False if there is none to write now."""
        series = self._correlator.take(now())
        if series is None:
            return False
        try:
            await self._write(series)
        except NotFound:
            if series.is_created:  # Events live for an hour or so
                self._correlator.lost(series, utc())
        except asyncio.CancelledError:
            self._correlator.again(series)  # for the moment at the end
            raise
        except Fenced:
            pass  # another process tells the story from here on
        except KubeError as error:
            if not is_retryable(error, idempotent=True):
                self._complain(error, "Events are refused")
                return True
            self._correlator.again(series)
            await anyio.sleep(self.settings.pause)
        else:
            self._correlator.written(series)
        return True

    async def _write(self, series: Series) -> None:
        form = CORE if self.settings.api == "v1" else NEW
        if not series.is_created:
            try:
                await self.client.create(form.resource, form.new(series, self.component, self.instance))
                return
            except AlreadyExists:  # an earlier try did reach the server
                pass
        await self.client.patch(form.resource, key(series), MergePatch(form.change(series)))

    def _subject(self, obj: KubeObject, resource: Resource[Any] | None) -> Subject:
        kind = (obj.api_version, obj.kind) if isinstance(obj, Object) else ("", "")
        known = resource or next((one for one in self.resources if one.type is type(obj) is not Object), None)
        if known is not None:
            kind = known.api_version, known.kind
        if not all(kind):
            raise ValueError(
                f"nobody says what kind {obj.metadata.key} is: pass resource=, or resources= to the recorder"
            )
        meta = obj.metadata
        return Subject(*kind, meta.namespace, meta.name, meta.uid, meta.resource_version)

    def _complain(self, error: Exception, what: str) -> None:
        """Once for each class of failure: Events may be many."""
        if (kind := type(error).__name__) not in self._complaints:
            self._complaints.add(kind)
            log.warning("%s: %s", what, error)
