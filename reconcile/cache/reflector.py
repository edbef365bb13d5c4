"""What to ask the API server next, to keep a copy of a collection: list, watch, pause, or ask whether the kind exists.

``step`` is the one next thing to do; its answer, fed in, makes the next step and says what to do with what came. There
is no answer after which nothing is asked. The rules:

- The first list is consistent: no version is asked for, and "0" never is, for that is any past a replica still has.
- Later ones ask for "not older than" what was seen. A server that has to say for too long that this version is yet to
  come, or that shows a lower one, has another history: then a consistent list counts alone, and is marked ``is_reset``.
- 410, wherever it comes, leads to a consistent list, never to the same version again.
- A list comes as a stream of events where the server can do that (WatchList). One that refuses, ignores the wish, or
  does not get to its end in time is remembered, and asked for pages instead.
- A watch has the server's time limit, a limit on silence (bookmarks count as sound) and one on all of it. It goes on
  from the last version; after a failure, or when it closed almost at once, not before a growing pause.
- Only the server's word that the kind is gone empties the copy. Every other error leaves it as it is, and asks again.

Pure: time is an argument, randomness is passed in. ``informer.py`` does what ``step`` says.
"""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Final

import attrs

from reconcile.cache.steps import AskKind, Effect, List, Pause, ReflectorSettings, Request, State, Step, Watch
from reconcile.core.clock import Seconds
from reconcile.kube import errors

__all__ = ["Reflector", "ReflectorSettings", "State"]


@attrs.define(eq=False)
class Reflector:
    """``without_watch_list`` is what has been learned of the server, API group by API group; share it."""

    settings: ReflectorSettings
    rng: random.Random
    group: str = ""
    without_watch_list: set[str] = attrs.field(factory=set)
    step: Step = attrs.field(init=False)
    state: State = attrs.field(init=False, default=State.SYNCING)
    error: errors.KubeError | None = attrs.field(init=False, default=None)
    """Why it is not live; ``None`` when it is."""
    version: str = attrs.field(init=False, default="")
    """The last one seen; "" before the first list and when there is no copy."""
    is_reset: bool = attrs.field(init=False, default=False)
    """Whether the last list belongs to another history than what came before it."""
    relists: Counter[str] = attrs.field(init=False, factory=Counter)
    """Lists begun, by reason."""
    restarts: Counter[str] = attrs.field(init=False, factory=Counter)
    """Watches begun again, by reason."""
    resets: int = attrs.field(init=False, default=0)
    _number: int = attrs.field(init=False, default=0)
    """``version`` as a number, 0 if it is none."""
    _floor: int = attrs.field(init=False, default=0)
    _opened: Seconds = attrs.field(init=False, default=0.0)
    _failures: int = attrs.field(init=False, default=0)
    _failed_at: Seconds = attrs.field(init=False, default=0.0)
    _stuck: int = attrs.field(init=False, default=0)
    _unborn_since: Seconds | None = attrs.field(init=False, default=None)
    _mute: int = attrs.field(init=False, default=0)
    """Watches in a row through which nothing came."""
    _sends_bookmarks: bool = attrs.field(init=False, default=False)
    _was_listed: bool = attrs.field(init=False, default=False)
    """Whether the kind went after there was a copy."""

    def __attrs_post_init__(self) -> None:
        self.step = self._list("start")

    def next_step(self) -> Step:
        """``step``, in the light of what others have learned of the server meanwhile. Call it before doing the step."""
        step = self.step
        if isinstance(step, Watch) and step.lists and self.group in self.without_watch_list:
            self.step = self._begin_list(step.resource_version)
        return self.step

    # answers

    def rested(self) -> None:
        """The pause is over."""
        assert isinstance(self.step, Pause)
        self.step = self.step.then

    def page(self, resource_version: str, continue_: str, now: Seconds) -> Effect:
        """A page came, and was put to the others."""
        step = self.step
        assert isinstance(step, List)
        self._unborn_since = None
        self._heard()
        if continue_:
            self.step = List(continue_=continue_, limit=step.limit)
            return Effect.STAGE
        return self._whole(resource_version, now)

    def opened(self, now: Seconds) -> None:
        """The server accepted the watch."""
        assert isinstance(self.step, Watch)
        self._opened = now
        if not self.step.lists:
            self._heard()

    def event(self, resource_version: str, *, is_end: bool = False, now: Seconds) -> Effect:
        """The watch shows an object in this version; ``is_end``: its end."""
        step = self.step
        assert isinstance(step, Watch)
        if step.lists:
            return Effect.STAGE
        # the end of an object may carry the version of its last state
        if not self._advance(resource_version) and not is_end:
            return self._turn_back(now)
        return Effect.COMMIT

    def bookmark(self, resource_version: str, *, ends_list: bool = False, now: Seconds) -> Effect:
        """The watch says how far it is."""
        step = self.step
        assert isinstance(step, Watch)
        if step.lists:
            return self._whole(resource_version, now) if ends_list else Effect.NOTHING
        self._sends_bookmarks = True
        return Effect.NOTHING if self._advance(resource_version) else self._turn_back(now)

    def closed(self, now: Seconds) -> None:
        """The server ended the watch, or the connection did, between two lines."""
        step = self.step
        assert isinstance(step, Watch)
        if step.lists:
            self.step = self._retry_list(now)
        elif now - self._opened >= self.settings.short:
            self.restarts["closed"] += 1
            self.step = self._watch()
        else:
            self.restarts["closed at once"] += 1
            self.step = self._pause(self._go_on(), now)

    def silent(self, now: Seconds) -> None:
        """Nothing came for ``idle`` seconds, or the ``limit`` is over: the client ended the watch."""
        step = self.step
        assert isinstance(step, Watch)
        if step.lists:
            self.step = self._without_watch_list()
        else:
            # opening the next one shows whether anybody is there; a quiet server without bookmarks deserves no pause
            self.restarts["idle" if now - self._opened < step.limit else "overdue"] += 1
            self._mute += 1
            # a server whose history went back has nothing to say of a version that is yet to come
            is_suspect = self._sends_bookmarks and self._mute >= self.settings.stuck
            self.step = self._list("mute") if is_suspect else self._watch()

    def failed(self, error: errors.KubeError, now: Seconds) -> None:
        """The request failed, or the stream broke, or an ERROR event came."""
        step = self.step
        assert not isinstance(step, Pause)
        self.error = error
        self.state = _STATES.get(type(error), State.UNREACHABLE)
        if isinstance(step, Watch) and not step.lists:
            self.restarts[_reason(error)] += 1
        match error:
            case errors.Gone():
                self.step = self._pause(self._relist_after(step), now, free=True)
            case errors.NotFound():
                self.step = self._pause(AskKind(), now, free=True)
            case errors.ApiError() if _is_yet_to_come(error) and not isinstance(step, AskKind):
                self.step = self._pause(self._wait_for_version(step, now), now, error.retry_after)
            case errors.ApiError(code=400 | 405 | 406 | 415 | 422 | 501):
                self.step = self._pause(self._refused(step), now, free=True)
            case errors.ApiError(code=401 | 403 | 429):
                self.step = self._pause(self._same(step), now, error.retry_after)
            case errors.ApiError():
                self.step = self._pause(self._again(step), now, error.retry_after)
            case errors.BadAnswer() if isinstance(step, Watch) and step.lists:
                self.step = self._retry_list(now)
            case errors.ConnectionFailed(sent=True) if isinstance(step, Watch) and step.lists:
                self.step = self._retry_list(now)
            case errors.ConnectionFailed():
                self.step = self._pause(self._same(step), now)
            case _:
                self.step = self._pause(self._again(step), now)

    def kind_is(self, served: bool, now: Seconds) -> Effect:
        """Discovery says whether the server has the kind."""
        assert isinstance(self.step, AskKind)
        if served:
            self.state = State.SYNCING
            self.step = self._list("kind")
            return Effect.NOTHING
        had_copy, self.version, self._number, self._floor = self.version != "", "", 0, 0
        self._was_listed = self._was_listed or had_copy
        self.state = State.GONE if self._was_listed else State.WAITING_FOR_KIND
        self.step = self._pause(AskKind(), now)
        return Effect.EMPTY if had_copy else Effect.NOTHING

    def relist(self, reason: str, at_least: int = 0) -> Effect:
        """The copy is in doubt: list again, not older than ``at_least``. Nothing if a list is coming anyway."""
        then = self.step.then if isinstance(self.step, Pause) else self.step
        if not isinstance(then, Watch) or then.lists:
            return Effect.NOTHING
        version = str(at_least) if at_least > self._number else self.version
        list_ = self._list(reason, version, floor=at_least)
        self.step = attrs.evolve(self.step, then=list_) if isinstance(self.step, Pause) else list_
        return Effect.STOP

    # what comes of them

    def _whole(self, resource_version: str, now: Seconds) -> Effect:
        """A list is complete at this version."""
        if resource_version in ("", "0"):
            self.failed(errors.BadAnswer("a list without a resource version"), now)
            return Effect.STOP
        number = _number(resource_version)
        self.is_reset = 0 < number < self._floor
        self.resets += self.is_reset
        self.version, self._number, self._floor = resource_version, number, 0
        self._unborn_since = None
        self._stuck = 0
        self.step = self._watch_on(self.step) if isinstance(self.step, Watch) else self._watch()
        self._heard()
        return Effect.TAKE

    def _turn_back(self, now: Seconds) -> Effect:
        """A version below the last one seen: not the history we know."""
        self.step = self._pause(self._list("version went back"), now, free=True)
        return Effect.STOP

    def _advance(self, resource_version: str) -> bool:
        """Go on to the version, unless it is one that lies behind."""
        self._stuck = self._mute = 0
        self._unborn_since = None
        number = _number(resource_version)
        if number:
            if number < self._number:
                return False
            self._number = number
        if resource_version not in ("", "0"):
            self.version = resource_version
        return True

    def _heard(self) -> None:
        self.error = None
        self.state = State.LIVE if isinstance(self.step, Watch) and self.version else State.SYNCING

    # next steps

    def _list(self, reason: str, resource_version: str = "", *, floor: int = 0) -> Request:
        """Begin a list. One below ``floor``, or below what was seen, tells another history."""
        self.relists[reason] += 1
        self._stuck = self._mute = 0
        self._floor = max(self._number, self._floor, floor)
        return self._begin_list(resource_version)

    def _begin_list(self, resource_version: str = "") -> Request:
        settings = self.settings
        if not settings.watch_list or self.group in self.without_watch_list:
            return List(resource_version, limit=settings.page_limit)
        return attrs.evolve(
            self._watch(),
            resource_version=resource_version,
            idle=settings.initial_idle,
            limit=settings.initial_limit,
            lists=True,
        )

    def _watch(self) -> Watch:
        settings = self.settings
        seconds = self.rng.randint(*settings.watch_seconds)
        return Watch(self.version, seconds, idle=settings.idle, limit=seconds + settings.overdue)

    def _watch_on(self, stream: Watch) -> Watch:
        """The same stream, its list being over."""
        settings = self.settings
        limit = stream.timeout_seconds + settings.overdue
        return Watch(self.version, stream.timeout_seconds, idle=settings.idle, limit=limit)

    def _same(self, step: Request) -> Request:
        """The same once more; a watch from where it is by now."""
        return self._watch() if isinstance(step, Watch) and not step.lists else step

    def _again(self, step: Request) -> Request:
        """The same once more, unless that has failed too often without getting anywhere."""
        if not isinstance(step, Watch):
            return step
        if not step.lists:
            return self._go_on()
        self._stuck += 1
        return (
            step if self._stuck < self.settings.stuck else List(step.resource_version, limit=self.settings.page_limit)
        )

    def _go_on(self) -> Request:
        """Watch on, unless that has failed too often without getting anywhere."""
        self._stuck += 1
        return self._watch() if self._stuck < self.settings.stuck else self._list("stuck", self.version)

    def _relist_after(self, step: Request) -> Request:
        """The version, or the page, is history."""
        if isinstance(step, List) and step.continue_:
            self.relists["page expired"] += 1
            return List()  # all of it at once: pages take longer than the server remembers
        return self._list("expired")

    def _retry_list(self, now: Seconds) -> Step:
        """A stream that should bring a list ended early."""
        self._stuck += 1
        if self._stuck >= self.settings.stuck:
            return self._pause(self._without_watch_list(), now)
        return self._pause(self.step if isinstance(self.step, Watch) else self._begin_list(), now)

    def _without_watch_list(self) -> Request:
        self.without_watch_list.add(self.group)
        self._stuck = 0
        return self._begin_list(self.step.resource_version if isinstance(self.step, Watch) else "")

    def _wait_for_version(self, step: List | Watch, now: Seconds) -> Request:
        """The server says that the version asked for is yet to come."""
        if self._unborn_since is None:
            self._unborn_since = now
        if now - self._unborn_since < self.settings.version_patience:
            return self._same(step)
        return self._list("version too large")

    def _refused(self, step: Request) -> Request:
        """The server does not take this request; what is unusual in it goes first."""
        if isinstance(step, Watch) and step.lists:
            return self._without_watch_list()
        if isinstance(step, Watch):
            return self._list("watch refused")
        return List(limit=step.limit) if isinstance(step, List) else step

    def _pause(self, then: Request, now: Seconds, at_least: Seconds | None = None, *, free: bool = False) -> Step:
        """A growing pause before ``then``; with ``free`` none after a healthy time."""
        if now - self._failed_at > self.settings.healthy:
            self._failures = 0
        self._failures += 1
        self._failed_at = now
        if free and self._failures == 1:
            return then
        asked = min(at_least or 0.0, self.settings.retry_after_limit)
        return Pause(max(self.settings.backoff.delay(self._failures, self.rng), asked), then)


_STATES: Final[Mapping[type[errors.KubeError], State]] = {
    errors.Forbidden: State.FORBIDDEN,
    errors.Unauthorized: State.UNAUTHORIZED,
    errors.Gone: State.SYNCING,
    errors.NotFound: State.SYNCING,
}


def _reason(error: errors.KubeError) -> str:
    """Few words, for a counter."""
    return "expired" if isinstance(error, errors.Gone) else type(error).__name__


def _number(resource_version: str) -> int:
    """0 for what is none: then order cannot be told."""
    return int(resource_version) if resource_version.isdigit() else 0


def _is_yet_to_come(error: errors.ApiError) -> bool:
    """Whether the server has not reached the version asked for.

    Source: ``NewTooLargeResourceVersionError`` of k8s.io/apiserver; servers before the cause was added only said so.
    """
    return error.code == 504 and (
        any(cause.reason == "ResourceVersionTooLarge" for cause in error.details.causes)
        or "too large resource version" in error.message.lower()
    )
