"""Who holds the Lease: as client-go does it, and never two at a time whatever the network does."""

import datetime as dt
import math
from random import Random
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from reconcile.kube.objects import Object
from reconcile.manager.lease import Candidacy, LeaderElection, Look, Lost, Step, Wait, Write, micro_time

UTC = dt.datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=dt.UTC)
STAMP = "2026-03-04T05:06:07.000089Z"
OURS = LeaderElection(namespace="prod", name="net", identity="us")


def a_candidate(election: LeaderElection = OURS) -> Candidacy:
    return Candidacy(election, Random(1))


def a_lease(
    holder: str | None, *, version: int = 7, seconds: int | None = 15, renewed: str = "t", **spec: Any
) -> Object:
    record = {"leaseDurationSeconds": seconds, "renewTime": renewed, "acquireTime": "a", "leaseTransitions": 3, **spec}
    if holder is not None:
        record["holderIdentity"] = holder
    meta = {"namespace": "prod", "name": "net", "resourceVersion": str(version), "labels": {"of": "others"}}
    return Object({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": record})


def a_leader(sent: float = 0.0) -> Candidacy:
    candidate = a_candidate()
    candidate.saw(None, sent)
    candidate.step(sent, UTC)
    candidate.wrote(a_lease("us"), sent)
    return candidate


def written(step: Step | None) -> Any:
    assert isinstance(step, Write)
    return step.body["spec"]


def creates(step: Step) -> bool:
    return isinstance(step, Write) and not step.exists


class TestSettings:
    def test_the_defaults_are_those_of_client_go(self) -> None:
        assert (OURS.lease_duration, OURS.renew_deadline, OURS.retry_period) == (15, 10, 2)

    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            ({"namespace": ""}, "needs namespace"),
            ({"identity": ""}, "identity"),
            ({"lease_duration": 0.5}, "at least 1 s"),
            ({"retry_period": 0}, "positive"),
            ({"clock_drift": -0.1}, "negative"),
            ({"retry_period": 9}, "renew_deadline .10 s. must be more than 1.2 x retry_period"),
            ({"renew_deadline": 12}, "must together be less than lease_duration .15 s."),
            ({"request_timeout": 5}, "must together be less"),
            ({"clock_drift": 0.2}, "must together be less"),
        ],
    )
    def test_times_that_do_not_fit_together_are_refused_with_their_figures(self, wrong: Any, reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            evolve(OURS, **wrong)


class TestCampaign:
    def test_the_first_thing_is_to_look(self) -> None:
        assert a_candidate().step(0.0, UTC) == Look()

    def test_where_there_is_no_lease_it_is_created_as_client_go_would(self) -> None:
        candidate = a_candidate()
        candidate.saw(None, 1.0)
        assert candidate.step(1.0, UTC) == Write(
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"namespace": "prod", "name": "net"},
                "spec": {
                    "holderIdentity": "us",
                    "leaseDurationSeconds": 15,
                    "acquireTime": STAMP,
                    "renewTime": STAMP,
                    "leaseTransitions": 0,
                },
            },
            exists=False,
        )

    @pytest.mark.parametrize("nobody", ["", None])
    def test_a_released_lease_is_taken_at_once_and_counted_as_a_transition(self, nobody: str | None) -> None:
        candidate = a_candidate()
        candidate.saw(a_lease(nobody, seconds=1), 0.0)
        step = candidate.step(0.0, UTC)
        assert written(step) == {
            "holderIdentity": "us",
            "leaseDurationSeconds": 15,
            "acquireTime": STAMP,
            "renewTime": STAMP,
            "leaseTransitions": 4,
        }
        assert isinstance(step, Write)
        assert step.exists
        assert step.body["metadata"]["resourceVersion"] == "7"
        assert step.body["metadata"]["labels"] == {"of": "others"}

    @pytest.mark.pain(19)
    def test_a_held_lease_is_left_alone_until_it_stood_unchanged_for_its_own_duration(self) -> None:
        candidate = a_candidate()
        for now in (100.0, 103.0, 108.0, 114.9):
            candidate.nudge()
            assert candidate.step(now, UTC) == Look()
            candidate.saw(a_lease("them", version=int(now)), now)
            assert isinstance(candidate.step(now, UTC), Wait)
        candidate.saw(a_lease("them"), 115.0)
        assert written(candidate.step(115.0, UTC))["holderIdentity"] == "us"

    def test_every_change_of_the_record_starts_the_wait_anew_and_a_change_of_metadata_does_not(self) -> None:
        candidate = a_candidate()
        candidate.saw(a_lease("them", renewed="once"), 0.0)
        candidate.saw(a_lease("them", renewed="again"), 10.0)
        candidate.saw(a_lease("them", renewed="again", version=99), 24.9)
        assert isinstance(candidate.step(24.9, UTC), Wait)
        candidate.saw(a_lease("them", renewed="again", version=100), 25.0)
        assert isinstance(candidate.step(25.0, UTC), Write)

    def test_timestamps_in_the_lease_are_not_believed(self) -> None:
        candidate = a_candidate()
        candidate.saw(a_lease("them", renewed="1970-01-01T00:00:00.000000Z"), 0.0)
        assert isinstance(candidate.step(0.0, UTC), Wait)

    def test_a_duration_that_is_not_said_counts_as_ours(self) -> None:
        candidate = a_candidate()
        candidate.saw(a_lease("them", seconds=None), 0.0)
        candidate.saw(a_lease("them", seconds=None), 14.9)
        assert isinstance(candidate.step(14.9, UTC), Wait)

    def test_the_next_look_is_no_later_than_the_end_of_the_holders_time(self) -> None:
        candidate = a_candidate()
        candidate.saw(a_lease("them"), 0.0)
        candidate.saw(a_lease("them"), 14.5)
        assert candidate.step(14.5, UTC) == Wait(15.0)

    def test_looks_are_spread_so_that_candidates_do_not_march_in_step(self) -> None:
        waits = set()
        for seed in range(20):
            candidate = Candidacy(OURS, Random(seed))
            candidate.saw(a_lease("them"), 0.0)
            step = candidate.step(0.0, UTC)
            assert isinstance(step, Wait)
            assert 2.0 <= step.until < 4.4
            waits.add(step.until)
        assert len(waits) == 20

    def test_a_lease_that_is_deleted_leaves_its_holder_the_rest_of_its_time(self) -> None:
        candidate = a_candidate()
        candidate.saw(a_lease("them"), 0.0)
        candidate.nudge()
        candidate.saw(None, 5.0)
        assert isinstance(candidate.step(5.0, UTC), Wait)
        candidate.saw(None, 15.0)
        assert creates(candidate.step(15.0, UTC))

    def test_a_lease_with_our_name_from_an_earlier_life_is_renewed_at_once_but_not_trusted_before(self) -> None:
        candidate = a_candidate()
        candidate.saw(a_lease("us"), 0.0)
        assert candidate.valid_until == -math.inf
        record = written(candidate.step(0.0, UTC))
        assert (record["acquireTime"], record["leaseTransitions"]) == ("a", 3)

    def test_a_lost_race_is_followed_by_a_pause(self) -> None:
        candidate = a_candidate()
        candidate.saw(a_lease(""), 0.0)
        candidate.step(0.0, UTC)
        candidate.failed(0.0)
        assert isinstance(candidate.step(0.1, UTC), Wait)
        assert candidate.step(4.4, UTC) == Look()


class TestKeeping:
    def test_validity_counts_from_before_the_renewal_was_sent(self) -> None:
        assert a_leader(sent=100.0).valid_until == 115.0

    def test_a_holder_renews_every_retry_period_and_keeps_what_it_acquired(self) -> None:
        leader = a_leader(sent=100.0)
        assert leader.step(100.1, UTC) == Wait(102.0)
        assert written(leader.step(102.0, UTC)) == {
            "holderIdentity": "us",
            "leaseDurationSeconds": 15,
            "acquireTime": "a",
            "renewTime": STAMP,
            "leaseTransitions": 3,
        }

    def test_the_first_failure_is_followed_by_a_look_at_once_and_the_next_by_a_pause(self) -> None:
        leader = a_leader()
        leader.step(2.0, UTC)
        leader.failed(2.0)
        assert leader.step(2.1, UTC) == Look()
        leader.failed(2.1)
        assert leader.step(2.2, UTC) == Wait(4.1)

    @pytest.mark.pain(19)
    def test_leading_ends_when_renewals_fail_up_to_the_deadline_while_the_lease_is_still_valid(self) -> None:
        leader = a_leader()
        leader.failed(2.0)
        leader.failed(9.0)
        assert leader.step(9.5, UTC) == Wait(10.0)
        assert leader.step(10.0, UTC) == Lost("the Lease was last renewed 10.0 s ago")
        assert leader.valid_until == 15.0

    def test_a_holder_that_slept_through_its_deadline_does_not_renew_as_if_nothing_had_been(self) -> None:
        assert isinstance(a_leader().step(3600.0, UTC), Lost)

    @pytest.mark.parametrize("holder", ["them", ""])
    def test_a_lease_with_another_name_ends_leading_and_validity_at_once(self, holder: str) -> None:
        leader = a_leader()
        leader.saw(a_lease(holder), 1.0)
        assert leader.step(1.0, UTC) == Lost(f"{holder or 'nobody'} holds the Lease")
        assert leader.valid_until == -math.inf

    def test_a_lease_deleted_under_its_holder_is_created_again(self) -> None:
        leader = a_leader()
        leader.failed(2.0)
        leader.saw(None, 2.0)
        assert creates(leader.step(2.0, UTC))

    def test_a_nudge_means_nothing_to_a_holder(self) -> None:
        leader = a_leader()
        leader.nudge()
        assert leader.step(0.0, UTC) == Wait(2.0)


class TestRelease:
    def test_it_writes_what_client_go_writes_and_ends_validity_before_it_is_sent(self) -> None:
        leader = a_leader()
        step = leader.resign(UTC)
        assert written(step) == {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "acquireTime": STAMP,
            "renewTime": STAMP,
            "leaseTransitions": 3,
        }
        assert isinstance(step, Write)
        assert step.body["metadata"]["resourceVersion"] == "7"
        assert leader.valid_until == -math.inf

    def test_there_is_nothing_to_release_for_who_does_not_hold(self) -> None:
        assert a_candidate().resign(UTC) is None
        candidate = a_candidate()
        candidate.saw(a_lease("them"), 0.0)
        assert candidate.resign(UTC) is None
        assert not candidate.may_hold

    def test_a_claim_of_unknown_outcome_may_have_to_be_released(self) -> None:
        candidate = a_candidate()
        candidate.saw(a_lease(""), 0.0)
        candidate.step(0.0, UTC)
        assert candidate.may_hold
        candidate.failed(0.0)
        candidate.saw(a_lease("us"), 1.0)
        assert written(candidate.resign(UTC))["holderIdentity"] == ""


def test_a_micro_time_has_six_digits_even_on_the_second() -> None:
    assert (
        micro_time(dt.datetime(2026, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))))
        == "2026-01-01T00:00:00.000000Z"
    )


# --- three candidates, one server, and a network that delays, repeats nothing, and loses what it likes ---


@define(eq=False)
class Process:
    """A candidate with a clock of its own, at most one request it waits for, and a name."""

    name: str
    rate: float
    offset: float
    candidacy: Candidacy = field(init=False)
    waits_for: "Call | None" = None
    lives: int = 0

    def __attrs_post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.lives += 1
        self.waits_for = None
        election = LeaderElection(namespace="prod", name="net", identity=f"{self.name}-{self.lives}")
        self.candidacy = Candidacy(election, Random(self.lives))

    def clock(self, world: float) -> float:
        return self.offset + world * self.rate

    def is_valid(self, world: float) -> bool:
        election = self.candidacy.election
        drift = election.clock_drift * election.lease_duration
        return self.clock(world) < self.candidacy.valid_until - drift


@define(eq=False)
class Call:
    of: Process
    step: Step
    began: float
    answer: Object | None = None
    is_answered: bool = False
    is_refused: bool = False


SECONDS = st.sampled_from([14.2, 15.0, 9.9, 0.5, 2.0, 4.5])


class NeverTwoHolders(RuleBasedStateMachine):
    """Requests reach the server late, in any order or never; so do answers. Clocks differ, and run up to 5 % apart."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.lease: Object | None = None
        self.version = 0
        rates = ((1.0, 0.0), (1.04, 5000.0), (0.995, 77.0))
        self.processes = [Process(f"p{number}", *clock) for number, clock in enumerate(rates)]
        self.on_the_way: list[Call] = []

    @rule(number=st.integers(0, 2))
    def act(self, number: int) -> None:
        process = self.processes[number]
        if process.waits_for is not None:
            return
        now = process.clock(self.now)
        match process.candidacy.step(now, UTC + dt.timedelta(seconds=self.now)):
            case Look() | Write() as step:
                process.waits_for = Call(process, step, now)
                self.on_the_way.append(process.waits_for)
            case Lost():
                process.restart()

    @rule(chosen=st.integers(0, 5))
    def something_arrives(self, chosen: int) -> None:
        if not self.on_the_way:
            return
        call = self.on_the_way.pop(chosen % len(self.on_the_way))
        if call.is_answered:
            self._reach_the_candidate(call)
        else:
            self._reach_the_server(call)
            self.on_the_way.append(call)

    def _reach_the_server(self, call: Call) -> None:
        call.is_answered = True
        if isinstance(call.step, Write):
            body = call.step.body
            current = self.lease.metadata.resource_version if self.lease is not None else None
            if body["metadata"].get("resourceVersion") != current or call.step.exists != (self.lease is not None):
                call.is_refused = True
                return
            self.version += 1
            self.lease = Object({**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}})
        call.answer = self.lease

    def _reach_the_candidate(self, call: Call) -> None:
        if call.of.waits_for is not call:
            return
        call.of.waits_for = None
        candidacy = call.of.candidacy
        if call.is_refused:
            candidacy.failed(call.began)
        elif isinstance(call.step, Write):
            assert call.answer is not None
            candidacy.wrote(call.answer, call.began)
        else:
            candidacy.saw(call.answer, call.of.clock(self.now))
        self.at_most_one_is_valid()

    @rule(order=st.permutations(range(3)), awake=st.integers(1, 3), seconds=SECONDS)
    def all_goes_well(self, order: list[int], awake: int, seconds: float) -> None:
        """After a while a look and a write without delay, so that leadership is won and passed on often enough."""
        self.now += seconds
        for number in order[:awake]:
            for _ in range(2):
                self.act(number)
                if (call := self.processes[number].waits_for) in self.on_the_way:
                    assert call is not None
                    self.on_the_way.remove(call)
                    if not call.is_answered:
                        self._reach_the_server(call)
                    self._reach_the_candidate(call)

    @rule(number=st.integers(0, 2), what=st.sampled_from(["time out", "release", "crash", "see it on the watch"]))
    def meanwhile(self, number: int, what: str) -> None:
        process = self.processes[number]
        match what:
            case "time out" if process.waits_for is not None:
                process.candidacy.failed(process.waits_for.began)
                process.waits_for = None
            case "release" if process.waits_for is None:
                if (step := process.candidacy.resign(UTC)) is not None:
                    self.on_the_way.append(Call(process, step, process.clock(self.now)))
                process.restart()
            case "crash":
                process.restart()
            case "see it on the watch":
                process.candidacy.nudge()

    @rule(chosen=st.integers(0, 5))
    def something_is_lost(self, chosen: int) -> None:
        if self.on_the_way:
            self.on_the_way.pop(chosen % len(self.on_the_way))

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def at_most_one_is_valid(self) -> None:
        valid = [process.name for process in self.processes if process.is_valid(self.now)]
        assert len(valid) <= 1, valid


TestNeverTwoHolders = pytest.mark.pain(19)(NeverTwoHolders.TestCase)
TestNeverTwoHolders.settings = settings(max_examples=70, stateful_step_count=40, deadline=None)
