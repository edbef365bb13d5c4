"""Who may write: what a candidate for a Lease of coordination.k8s.io/v1 does next.

Nobody believes a timestamp in a Lease, for other machines have clocks of their own. A candidate remembers what it saw
and since when, and takes over once that has stood unchanged for the ``leaseDurationSeconds`` in it. A holder counts its
validity from before it sent the renewal that was accepted. So whatever is late, lost or repeated, the time of one is
over before the time of the next begins, as long as their clocks run at about the same rate.

Records are read and written as client-go's leader election does, so either honours the other and hands over to it.
Pure: ``now`` is boot time, which runs on in suspend; ``utc`` is only written down for people. ``election.py`` asks
what to do, does it, and says what came of it.
"""

import datetime as dt
import math
from collections.abc import Mapping
from random import Random
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from reconcile.core.clock import Seconds
from reconcile.kube.kinds import LEASE
from reconcile.kube.objects import Object, ObjectKey

JITTER: Final = 1.2
"""A candidate looks every ``retry_period`` and up to this share of it more; the same number as client-go's."""


@frozen(kw_only=True)
class LeaderElection:
    """Which Lease, as whom, and how it is kept. ``identity`` must be another one in every process.

    ``lease_duration``: others wait that long after the last renewal they saw.
    ``renew_deadline``: a holder that could not renew for that long stops leading.
    ``retry_period``: between two renewals, and between two looks of a candidate.
    ``request_timeout``: for each request about the Lease; and what a write of the work may still take after the fence
    has let it pass.
    ``clock_drift``: how much faster other clocks may run, as a ratio.
    ``own_thread``: renew from a thread with its own loop and connection, so that a blocked loop does not cost the
    lease. Not on virtual time.

    Raises:
        ValueError: times that could leave two holders at once, or none for long; or a name is missing.
    """

    namespace: str
    name: str
    identity: str
    lease_duration: Seconds = 15.0
    renew_deadline: Seconds = 10.0
    retry_period: Seconds = 2.0
    request_timeout: Seconds = 3.0
    clock_drift: float = 0.05
    own_thread: bool = True

    def __attrs_post_init__(self) -> None:
        if not (self.namespace and self.name and self.identity):
            raise ValueError("a leader election needs namespace and name of its Lease, and an identity")
        if self.lease_duration < 1 or self.retry_period <= 0 or self.request_timeout <= 0 or self.clock_drift < 0:
            raise ValueError(
                "lease_duration must be at least 1 s, retry_period and request_timeout positive, "
                f"clock_drift not negative: {self}"
            )
        if self.renew_deadline <= self.retry_period * JITTER:
            raise ValueError(
                f"renew_deadline ({self.renew_deadline:g} s) must be more than {JITTER} x retry_period "
                f"({self.retry_period:g} s): one failed renewal must not cost the lease"
            )
        if self.renew_deadline + self.margin >= self.lease_duration:
            raise ValueError(
                f"renew_deadline ({self.renew_deadline:g} s) and the margin for requests in flight and clock drift "
                f"({self.margin:g} s) must together be less than lease_duration ({self.lease_duration:g} s): "
                "what was sent at the end must be over before another holder begins"
            )

    @property
    def key(self) -> ObjectKey:
        """Which Lease."""
        return ObjectKey(self.namespace, self.name)

    @property
    def margin(self) -> Seconds:
        """How long before the end of validity the last write may begin."""
        return self.request_timeout + self.clock_drift * self.lease_duration


@frozen
class Look:
    """Read the Lease, then tell ``saw``."""


@frozen
class Write:
    """Create the Lease, or update it if it ``exists``; then tell ``wrote`` or ``failed``."""

    body: Mapping[str, Any]
    exists: bool


@frozen
class Wait:
    """Nothing to do before that time."""

    until: Seconds


@frozen
class Lost:
    """We led and no longer do."""

    reason: str


Step: TypeAlias = Look | Write | Wait | Lost


@define(eq=False)
class Candidacy:
    """What one candidate knows of the Lease, from the first look to the release. After ``Lost`` comes a new one."""

    election: LeaderElection
    _rng: Random
    _lease: Object | None = field(default=None, init=False)
    _record: Mapping[str, Any] = field(factory=dict, init=False)
    _record_since: Seconds = field(default=-math.inf, init=False)
    _is_fresh: bool = field(default=False, init=False)
    _next: Seconds = field(default=-math.inf, init=False)
    _renewed: Seconds | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _is_unconfirmed: bool = field(default=False, init=False)

    @property
    def holder(self) -> str:
        """Whose name the Lease carried when last seen; "" if nobody's."""
        return str(self._record.get("holderIdentity") or "")

    @property
    def is_holding(self) -> bool:
        """Whether a write of ours was accepted, and nothing seen since that says otherwise. May have run out."""
        return self._renewed is not None and self.holder == self.election.identity

    @property
    def may_hold(self) -> bool:
        """Whether the Lease carries our name, or a write of ours may still have put it there."""
        return self.holder == self.election.identity or self._is_unconfirmed

    @property
    def valid_until(self) -> Seconds:
        """Nobody who plays by the rules takes over before that time; in the past for who does not hold the Lease."""
        if self._renewed is None or not self.is_holding:
            return -math.inf
        return self._renewed + self.election.lease_duration

    @property
    def leads_until(self) -> Seconds:
        """When a holder that cannot renew gives up, before its validity ends; never for who does not hold."""
        return math.inf if self._renewed is None else self._renewed + self.election.renew_deadline

    def step(self, now: Seconds, utc: dt.datetime) -> Step:
        """What to do next."""
        if self._renewed is not None:
            if not self.is_holding:
                return Lost(f"{self.holder or 'nobody'} holds the Lease")
            if now >= self.leads_until:
                return Lost(f"the Lease was last renewed {now - self._renewed:.1f} s ago")
            if now < self._next:
                return Wait(min(self._next, self.leads_until))
        elif now < self._next:
            return Wait(self._next)
        if not self._is_fresh:
            return Look()
        self._is_unconfirmed = True
        return Write(self._document(self._claim(utc)), exists=self._lease is not None)

    def saw(self, lease: Object | None, now: Seconds) -> None:
        """A look that ended at ``now`` found this, or that there is no Lease.

        A Lease that was deleted under its holder leaves the holder its time: it may not know yet.
        """
        self._lease = lease
        self._is_fresh = True
        self._is_unconfirmed = False
        record = {} if lease is None else lease.at("spec", default={})
        if lease is not None and record != self._record:
            self._record, self._record_since = record, now
        if self._renewed is None and (taken_until := self._taken_until()) > now:
            self._is_fresh = False
            self._next = min(taken_until, now + self._pause())

    def wrote(self, lease: Object, sent: Seconds) -> None:
        """The server accepted what ``step`` said; ``sent`` is a time before the request left."""
        self._lease, self._record, self._record_since = lease, lease.at("spec", default={}), sent
        self._renewed = sent
        self._next = sent + self.election.retry_period
        self._is_fresh, self._is_unconfirmed, self._failures = True, False, 0

    def failed(self, began: Seconds) -> None:
        """A request that began then did not succeed; whether a write was carried out may be unknown.

        A holder looks at once the first time, since only its knowledge may be out of date.
        """
        self._is_fresh = False
        self._failures += 1
        if self._renewed is None:
            self._next = began + self._pause()
        elif self._failures > 1:
            self._next = began + self.election.retry_period

    def nudge(self) -> None:
        """Somebody saw the Lease become free: look now. Means nothing to a holder."""
        if self._renewed is None:
            self._is_fresh, self._next = False, -math.inf

    def resign(self, utc: dt.datetime) -> Write | None:
        """Stop holding, at once, and say what to write so that others need not wait; None if it is not ours.

        Source: client-go's release, which sets a duration of one second because the API refuses zero.
        """
        self._renewed = None
        if self._lease is None or self.holder != self.election.identity:
            return None
        moment = micro_time(utc)
        record = {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "acquireTime": moment,
            "renewTime": moment,
            "leaseTransitions": self._transitions(),
        }
        return Write(self._document(record), exists=True)

    def _taken_until(self) -> Seconds:
        """When the time of another holder ends, as far as we have seen; in the past if there is none."""
        if self.holder in ("", self.election.identity):
            return -math.inf
        seconds = self._record.get("leaseDurationSeconds")
        # client-go takes over at once from a holder who says no duration; ours of all candidates is the safe guess
        return self._record_since + (float(seconds) if seconds else self.election.lease_duration)

    def _claim(self, utc: dt.datetime) -> Mapping[str, Any]:
        moment, is_ours = micro_time(utc), self.holder == self.election.identity
        kept = self._lease is not None and is_ours
        return {
            "holderIdentity": self.election.identity,
            "leaseDurationSeconds": math.ceil(self.election.lease_duration),
            "acquireTime": self._record.get("acquireTime") or moment if kept else moment,
            "renewTime": moment,
            "leaseTransitions": 0 if self._lease is None else self._transitions() + (not is_ours),
        }

    def _transitions(self) -> int:
        return int(self._record.get("leaseTransitions") or 0)

    def _document(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """What was seen with another spec: its resourceVersion makes the write fail if anybody wrote since."""
        if self._lease is None:
            namespace, name = self.election.key
            meta = {"namespace": namespace, "name": name}
            return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": meta, "spec": record}
        return {**self._lease.thaw(), "spec": record}

    def _pause(self) -> Seconds:
        return self.election.retry_period * (1 + JITTER * self._rng.random())


def micro_time(moment: dt.datetime) -> str:
    """As the API writes a MicroTime: UTC, always six digits of a second."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
