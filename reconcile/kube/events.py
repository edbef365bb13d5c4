"""Which Events to write for what was noted, so that a repeated story costs few writes and tells its full count.

Notes of one object with the same type, reason and message are one series: the first creates an Event, later ones raise
its count. From the tenth different message of one reason within ten minutes on, further ones share one combined series.
Each object may cause a burst of writes and then one every few minutes; what has to wait keeps counting, so a count is
never wrong, only late. Everything is bounded, the oldest goes first. Pure: ``recorder.py`` writes.

Source: the limits are those of client-go's event correlator, which drops notes where this one delays writes.
"""

import datetime as dt
import hashlib
import heapq
import math
import re
from collections import OrderedDict, deque
from itertools import count
from typing import Any, Literal, TypeAlias

from attrs import define, field, frozen

from reconcile.core.clock import Seconds

EventType: TypeAlias = Literal["Normal", "Warning"]
Story: TypeAlias = tuple[str, str, str, str]
"""Type, reason, action, message; the message is "" for a combined series."""
COMBINED = "(combined from similar events): "
MESSAGE_LIMIT = 1024
"""Characters; longer ones are cut, for servers refuse them."""
_SUBDOMAIN = re.compile(r"[a-z0-9]+(?:-+[a-z0-9]+)*(?:\.[a-z0-9]+(?:-+[a-z0-9]+)*)*")


@frozen
class Subject:
    """The object that an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = field(default="", eq=False)

    def reference(self) -> dict[str, str]:
        """As Events carry it."""
        fields = {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "resourceVersion": self.resource_version,
        }
        return {name: value for name, value in fields.items() if value}


@frozen
class Limits:
    similar: int = 10
    """Different messages of one reason before they are combined."""
    window: Seconds = 600.0
    """A series that nothing was added to for so long is over; the next note begins a new Event."""
    burst: int = 25
    """Writes about one object at once."""
    refill: Seconds = 300.0
    """One more write about it each time this has passed."""
    objects: int = 1000
    """Objects that are remembered."""
    stories: int = 100
    """Series that are remembered for one object."""


@define(eq=False)
class Series:
    """One Event as it should be. ``count`` runs ahead of what the server knows until it is written."""

    subject: Subject
    story: Story
    name: str
    first: dt.datetime
    last: dt.datetime
    message: str
    count: int = 0
    is_created: bool = False
    seen: Seconds = 0.0
    is_pending: bool = False


@define(eq=False)
class _Object:
    series: OrderedDict[Story, Series] = field(factory=OrderedDict)
    full_at: Seconds = -math.inf


@define(eq=False)
class Correlator:
    """What was noted and is not yet written."""

    component: str
    limits: Limits = Limits()
    dropped: int = 0
    """Series that were forgotten before they were ever written."""
    _objects: OrderedDict[Subject, _Object] = field(factory=OrderedDict)
    _pending: deque[Series] = field(factory=deque)
    _later: list[tuple[Seconds, int, Series]] = field(factory=list)
    _order: Any = field(factory=count)

    def note(
        self,
        subject: Subject,
        type: EventType,
        reason: str,
        message: str,
        *,
        action: str = "",
        at: dt.datetime,
        now: Seconds,
    ) -> None:
        """Something happened to ``subject``, at ``at`` on the wall and ``now`` on the caller's clock."""
        known = self._known(subject)
        for over in [one.story for one in known.series.values() if now - one.seen > self.limits.window]:
            del known.series[over]
        text = message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 3] + "..."
        story: Story = (type, reason, action, text)
        similar = sum(other[:3] == story[:3] and other[3] != "" for other in known.series)
        if story not in known.series and similar >= self.limits.similar:
            story = (*story[:3], "")
            text = (COMBINED + message)[:MESSAGE_LIMIT]
        series = known.series.get(story)
        if series is None:
            series = Series(subject, story, self._name(subject, story, at), at, at, text)
            known.series[story] = series
            if len(known.series) > self.limits.stories:
                self._forget(known.series.popitem(last=False)[1])
        series.count += 1
        series.last, series.seen, series.message = at, now, text
        self._want(series)

    def take(self, now: Seconds) -> Series | None:
        """The next series to write, its count as it is now; None if there is none that may be written yet."""
        while self._later and self._later[0][0] <= now:
            self._pending.append(heapq.heappop(self._later)[2])
        while self._pending:
            series = self._pending.popleft()
            if (wait := self._reserve(series.subject, now)) > 0:
                heapq.heappush(self._later, (now + wait, next(self._order), series))
                continue
            series.is_pending = False
            return series
        return None

    def next_due(self) -> Seconds:
        """When ``take`` has something to give again if nothing is noted until then."""
        return -math.inf if self._pending else self._later[0][0] if self._later else math.inf

    def written(self, series: Series) -> None:
        """It is on the server."""
        series.is_created = True

    def lost(self, series: Series, at: dt.datetime) -> None:
        """The server no longer has it: it begins anew, as of ``at``."""
        series.is_created = False
        series.name = self._name(series.subject, series.story, at)
        self._want(series)

    def again(self, series: Series) -> None:
        """It could not be written now; it stays in front."""
        if not series.is_pending:
            series.is_pending = True
            self._pending.appendleft(series)

    def _known(self, subject: Subject) -> _Object:
        if (known := self._objects.get(subject)) is None:
            known = self._objects[subject] = _Object()
            if len(self._objects) > self.limits.objects:
                for series in self._objects.popitem(last=False)[1].series.values():
                    self._forget(series)
        else:
            self._objects.move_to_end(subject)
        return known

    def _forget(self, series: Series) -> None:
        if series.is_pending:
            self.dropped += not series.is_created
            self._pending = deque(one for one in self._pending if one is not series)
            self._later = [one for one in self._later if one[2] is not series]
            heapq.heapify(self._later)

    def _want(self, series: Series) -> None:
        if not series.is_pending:
            series.is_pending = True
            self._pending.append(series)

    def _reserve(self, subject: Subject, now: Seconds) -> Seconds:
        """Take one of the object's writes, or tell how long until there is one."""
        known = self._objects.get(subject)
        if known is None:
            return 0.0
        full_at = max(known.full_at, now)
        wait = full_at - now - (self.limits.burst - 1) * self.limits.refill
        if wait > 0:
            return wait
        known.full_at = full_at + self.limits.refill
        return 0.0

    def _name(self, subject: Subject, story: Story, at: dt.datetime) -> str:
        """After the object, unless no Event can be named so: a careless server may have let any name through.

        Source: ``GenerateEventName`` of client-go, which takes a uid then.
        """
        told = "\0".join((self.component, subject.name, subject.uid, *story, at.isoformat()))
        head = subject.name[:236].rstrip("-.")
        head = head if _SUBDOMAIN.fullmatch(head) else "object"
        return f"{head}.{hashlib.blake2s(told.encode(), digest_size=8).hexdigest()}"
