"""Which key runs next and why, and what the end of a run means for its next one.

News from outside is run at once and ends a backoff; what a run of the same key wrote itself does neither, for else a
failing reconcile that writes would never rest. Which of both it is can be told only when the run is over, since the
event of a write may come before its answer: until then, what arrives for a key in work waits here. No event is dropped;
at most it waits for the end of a backoff. Nothing here awaits: ``intake.py`` brings changes, ``worker.py`` runs keys.
"""

import datetime as dt
import logging
import math
import random
from collections.abc import Hashable
from typing import Any, Final, Generic, TypeVar

import attrs

from reconcile.cache.change import Change
from reconcile.controller.cause import Cause, Kind, Pending, cause_of
from reconcile.controller.context import running_pass
from reconcile.controller.history import History, Pass, Why
from reconcile.controller.observer import ControllerObserver
from reconcile.controller.outcome import BackOff, Forget, Later, Next, Outcome, Soon, WaitForChange
from reconcile.controller.selftrigger import SelfTrigger
from reconcile.controller.settings import ControllerSettings
from reconcile.core.backoff import TokenBucket
from reconcile.core.clock import Clock, Seconds, utc
from reconcile.core.queue import WorkQueue
from reconcile.core.schedule import NORMAL, Schedule

logger = logging.getLogger(__name__)
_NO_TIME: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
K = TypeVar("K", bound=Hashable)


@attrs.define
class _Running(Generic[K]):
    run: Pass[K]
    since: Seconds
    priority: int
    deferred: int | None = None
    """The priority of what arrived since the start; ``None`` if nothing did."""


@attrs.define
class _Trouble:
    """A key that waits to be tried again."""

    failures: int = 0
    conflicts: int = 0
    due: Seconds = 0.0


@attrs.frozen
class _Timer:
    """What the last result asked for."""

    due: Seconds
    priority: int


@attrs.define(eq=False)
class Backlog(Generic[K]):
    """The queue of one controller, with what it knows beside the keys."""

    name: str
    settings: ControllerSettings
    observer: ControllerObserver
    rng: random.Random
    clock: Clock = attrs.field(init=False, factory=Clock, repr=False)
    queue: WorkQueue[K] = attrs.field(init=False)
    history: History[K] = attrs.field(init=False)
    self_trigger: SelfTrigger[K] = attrs.field(init=False)
    _pending: Pending[K] = attrs.field(init=False, factory=Pending)
    _running: dict[K, _Running[K]] = attrs.field(init=False, factory=dict)
    _trouble: dict[K, _Trouble] = attrs.field(init=False, factory=dict)
    _timers: dict[K, _Timer] = attrs.field(init=False, factory=dict)
    _bucket: TokenBucket | None = attrs.field(init=False, default=None)
    _series: str = attrs.field(init=False)
    _count: int = attrs.field(init=False, default=0)
    _looked: tuple[Seconds, dt.datetime] = attrs.field(init=False, default=(-math.inf, _NO_TIME))

    def __attrs_post_init__(self) -> None:
        settings = self.settings
        self.queue = WorkQueue(
            self.name,
            schedule=Schedule(settings.max_wait, settings.min_interval, settings.fair_key),
            rng=self.rng,
            clock=self.clock,
        )
        if settings.retry_rate is not None:
            self._bucket = TokenBucket(settings.retry_rate, settings.retry_burst)
        self.history = History(settings.history_keys, settings.history_passes, settings.history_bytes)
        self.self_trigger = SelfTrigger(
            settings.self_trigger_limit, settings.self_trigger_delay, settings.self_trigger_cap
        )
        self._series = f"{self.rng.getrandbits(24):06x}"

    # what asks for a run

    def changed(self, key: K, change: Change[Any], priority: int | None = None) -> None:
        """An object changed that ``key`` depends on."""
        if change.is_own and (run := running_pass.get()) is not None and run.controller == self.name:
            # it comes on the way of the write's answer, before the journal tells the write
            version = change.new.meta.resource_version if change.new is not None else ""
            self.self_trigger.written.note(run.key, change.cluster, change.resource.name, change.key, version)
        time = self.clock.now()
        self._note(key, cause_of(change, at=time, priority=priority), time)

    def ask(self, key: K, kind: Kind, reason: str = "", priority: int = NORMAL) -> None:
        """Something else than a change asks for a run."""
        time = self.clock.now()
        self._note(key, Cause(kind, time, priority, reason=reason), time)

    def _note(self, key: K, cause: Cause, time: Seconds) -> None:
        running = self._running.get(key)
        if running is None and key in self._trouble and cause.is_news(self.self_trigger.written.by(key)):
            del self._trouble[key]
        self._pending.note(key, cause)
        if running is not None:
            running.deferred = cause.priority if running.deferred is None else max(running.deferred, cause.priority)
        elif key not in self._trouble:
            self.queue.add(key, after=self._patience(key, (cause,), time), priority=cause.priority)

    def _patience(self, key: K, causes: tuple[Cause, ...], time: Seconds) -> Seconds:
        """How long these causes leave a key alone that triggers itself."""
        rest = self.self_trigger.rest(key, time)
        if not rest or any(cause.is_order for cause in causes):
            return 0.0
        # a write of another key, whose answer is still on its way, looks like news: a moment later it does not
        return min(rest, self.self_trigger.base) if self.self_trigger.is_news(causes) else rest

    def put_back(self, key: K, after: Seconds = 0.0) -> None:
        """A key was taken but is not run now."""
        work = self.queue.schedule.work(key)
        self.queue.add(key, after=after, priority=NORMAL if work is None else work.priority)
        self.queue.done(key)

    # the life of a run

    def begin(self, key: K) -> Pass[K] | None:
        """A worker has taken the key; ``end`` or ``abandon`` must follow. ``None``: not yet, and it is put back."""
        time = self.clock.now()
        if (rest := self.self_trigger.rest(key, time)) and self._is_only_ours(key, time):
            self.put_back(key, after=rest)
            return None
        causes = self._pending.take(key)
        if (trouble := self._trouble.get(key)) is not None and trouble.due <= time + _CLOSE:
            causes += (Cause("retry", trouble.due, reason=f"{trouble.failures} failures"),)
        if (timer := self._timers.get(key)) is not None and timer.due <= time + _CLOSE:
            del self._timers[key]
            causes += (Cause("timer", timer.due, timer.priority),)
        self._count += 1
        run = Pass(self._series, self._count, self.name, key, self._wall(time), causes)
        self._running[key] = _Running(run, time, max([cause.priority for cause in causes], default=NORMAL))
        if changes := [cause.at for cause in causes if cause.kind == "change"]:
            self.observer.waited(self.name, time - min(changes))
        self.observer.active(self.name, len(self._running))
        return run

    def _wall(self, time: Seconds) -> dt.datetime:
        """The wall clock at that time; it is looked at once a second."""
        looked, then = self._looked
        if not 0.0 <= time - looked < 1.0:
            self._looked = looked, then = time, utc()
        return then + dt.timedelta(seconds=time - looked)

    def end(self, run: Pass[K], outcome: Outcome) -> None:
        """The run is over; decides about the next one."""
        key = run.key
        running = self._running.pop(key)
        time = self.clock.now()
        run.seconds = time - running.since
        run.result = outcome.label
        if outcome.error is not None:
            run.error = f"{type(outcome.error).__name__}: {outcome.error}"
        for write in run.writes:
            self.self_trigger.written.note_write(key, write)
        self._warn_of_loops(run, time)
        is_news, slow = False, 0.0
        if pending := self._pending.of(key):
            is_news = any(cause.is_news(self.self_trigger.written.by(key)) for cause in pending)
            slow = self._patience(key, pending, time)
        elif isinstance(outcome.then, BackOff | Soon):
            slow = self._patience(key, (), time)
        run.then = self._plan(running, outcome.then, is_news=is_news, slow=slow)
        self.queue.done(key)
        if logger.isEnabledFor(outcome.level):
            self._log(run, outcome)
        self.history.remember(run)
        self.observer.reconciled(self.name, outcome.label, run.seconds)
        self.observer.active(self.name, len(self._running))

    def abandon(self, run: Pass[K]) -> None:
        """The run was cut off, because the worker stops."""
        del self._running[run.key]
        self.queue.done(run.key)

    def _plan(self, running: _Running[K], then: Next, *, is_news: bool, slow: Seconds) -> str:
        """Give the key the next run it should have, and tell in words which."""
        key, deferred = running.run.key, running.deferred
        is_well = isinstance(then, (Forget, Later))
        runs_again = deferred is not None and (is_well or is_news)
        if not (is_well or runs_again or (isinstance(then, WaitForChange) and deferred is None)):
            return self._retry(running, then, slow)
        trouble = self._trouble.pop(key, None)
        if is_well or isinstance(then, WaitForChange):
            if trouble is not None and trouble.due > self.clock.now():
                self.queue.discard(key)  # a timer came before the retry that is planned
            self._set_timer(key, then)
        if deferred is None:
            return str(then)
        self.queue.add(key, after=slow, priority=deferred)
        return f"again in {slow:.3g} s" if slow else "again at once"

    def _set_timer(self, key: K, then: Next) -> None:
        """One timer a key: the last result that was one decides."""
        if isinstance(then, Later):
            priority = NORMAL if then.priority is None else then.priority
            self._timers[key] = _Timer(self.clock.now() + then.after, priority)
            self.queue.set_timer(key, then.after, priority=priority)
        elif self._timers.pop(key, None) is not None:
            self.queue.set_timer(key, None)

    def _retry(self, running: _Running[K], then: Next, slow: Seconds) -> str:
        """What is our own doing waits along: a run that writes and fails would never rest else."""
        key = running.run.key
        trouble = self._trouble.setdefault(key, _Trouble())
        if isinstance(then, Soon):
            trouble.conflicts += 1
            delay = self.settings.conflict_backoff.delay(trouble.conflicts, self.rng)
        else:
            trouble.failures += 1
            delay = self.settings.backoff.delay(trouble.failures, self.rng)
        delay = max(delay, slow, then.at_least if isinstance(then, BackOff) else 0.0)
        if self._bucket is not None:
            delay = max(delay, self._bucket.reserve(self.clock.now()))
        trouble.due = self.clock.now() + delay
        self.queue.add(key, after=delay, priority=running.priority)
        if self.queue.observer is not None:
            self.queue.observer.retried(delay)
        return f"again in {delay:.3g} s" + (f" after {trouble.failures} failures" if trouble.failures else "")

    def _warn_of_loops(self, run: Pass[K], time: Seconds) -> None:
        flapping = self.self_trigger.passed(run.key, run.causes, run.writes, time)
        if flapping is not None and flapping.is_new:
            self.observer.flapping(self.name)
            logger.warning(
                "a controller keeps answering its own writes: controller=%s key=%s reconciles=%d paths=%s",
                self.name,
                run.key,
                flapping.passes,
                "; ".join(flapping.paths),
            )

    def _is_only_ours(self, key: K, time: Seconds) -> bool:
        """Whether nothing but own writes asks for a key."""
        causes, timer = self._pending.of(key), self._timers.get(key)
        return (
            (timer is None or timer.due > time + _CLOSE)
            and key not in self._trouble
            and bool(causes)
            and all(cause.is_change for cause in causes)
            and not self.self_trigger.is_news(causes)
        )

    def _log(self, run: Pass[K], outcome: Outcome) -> None:
        before = self.history.of(run.key)[-1:]
        is_new = not any(earlier.error == run.error for earlier in before)
        logger.log(
            outcome.level,
            "%s: %s result=%s seconds=%.3f then=%r%s",
            "could not reconcile" if run.error else "reconciled",
            run.name,
            run.result,
            run.seconds,
            run.then,
            f" error={run.error!r}" if run.error else "",
            exc_info=outcome.error if outcome.with_traceback and is_new else None,
        )

    # what is asked by people

    def running(self) -> tuple[Pass[K], ...]:
        """The runs going on."""
        return tuple(running.run for running in self._running.values())

    def since(self, run: Pass[K]) -> Seconds:
        """When a run that goes on began, on the loop's clock."""
        return self._running[run.key].since

    def failing(self) -> dict[Hashable, int]:
        """Keys that wait to be tried again, with their failures in a row."""
        return {key: trouble.failures for key, trouble in self._trouble.items()}

    def why(self, key: K) -> Why[K]:
        """Everything known about the runs of a key."""
        running, trouble = self._running.get(key), self._trouble.get(key)
        due_at = self.queue.schedule.due_at(key)
        return Why(
            self.name,
            key,
            self.history.of(key),
            running.run if running is not None else None,
            self._pending.of(key),
            due_at - self.clock.now() if math.isfinite(due_at) else None,
            trouble.failures if trouble is not None else 0,
        )


_CLOSE: Final = 0.001
"""A timer may fire that much early, in seconds."""
