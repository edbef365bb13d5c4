"""Which Events are written: few, with true counts, bounded whatever is noted."""

import datetime as dt
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.event_forms import CORE, NEW, key
from reconcile.kube.events import COMBINED, MESSAGE_LIMIT, Correlator, EventType, Limits, Series, Subject
from reconcile.testing.apiserver.names import subdomain

NOON = dt.datetime(2026, 1, 1, 12, 0, 0, 123456, dt.UTC)
POD = Subject("v1", "Pod", "ns", "blue", "u-1", "7")
NODE = Subject("v1", "Node", "", "green", "u-2")


def note(
    correlator: Correlator,
    message: str = "it broke",
    *,
    subject: Subject = POD,
    reason: str = "Broken",
    type: EventType = "Warning",
    now: float = 0.0,
) -> None:
    correlator.note(subject, type, reason, message, at=NOON + dt.timedelta(seconds=now), now=now)


def drain(correlator: Correlator, now: float = 0.0) -> list[Series]:
    """Everything that may be written now, written."""
    taken = []
    while (series := correlator.take(now)) is not None:
        correlator.written(series)
        taken.append(series)
    return taken


def test_a_repeated_note_is_one_event_with_a_count() -> None:
    correlator = Correlator("me")
    note(correlator)
    [first] = drain(correlator)
    assert (first.count, first.message) == (1, "it broke")
    for number in range(3):
        note(correlator, now=10.0 + number)
    [again] = drain(correlator, 20)
    assert again is first
    assert again.count == 4
    assert again.last == NOON + dt.timedelta(seconds=12)
    assert again.first == NOON


def test_another_type_reason_message_or_object_is_another_event() -> None:
    correlator = Correlator("me")
    note(correlator)
    note(correlator, "it broke again")
    note(correlator, reason="Other")
    note(correlator, type="Normal")
    note(correlator, subject=NODE)
    note(correlator, subject=Subject("v1", "Pod", "ns", "blue", "another uid"))
    names = [series.name for series in drain(correlator)]
    assert len(set(names)) == 6


def test_an_object_that_only_has_a_newer_version_is_the_same() -> None:
    correlator = Correlator("me")
    note(correlator)
    note(correlator, subject=Subject("v1", "Pod", "ns", "blue", "u-1", "8"))
    assert [series.count for series in drain(correlator)] == [2]


def test_after_ten_minutes_without_a_note_a_new_event_begins() -> None:
    correlator = Correlator("me")
    note(correlator)
    [first] = drain(correlator)
    note(correlator, now=600)
    assert drain(correlator, 600) == [first]
    note(correlator, now=1201)
    [second] = drain(correlator, 1201)
    assert second.name != first.name
    assert second.count == 1


def test_from_the_tenth_different_message_on_they_are_combined() -> None:
    correlator = Correlator("me")
    for number in range(14):
        note(correlator, f"try {number} failed")
    written = drain(correlator)
    assert [series.count for series in written] == [1] * 10 + [4]
    assert written[-1].message == f"{COMBINED}try 13 failed"
    note(correlator, "try 3 failed")
    assert drain(correlator)[0].count == 2  # known ones go on


def test_one_object_causes_a_burst_of_writes_and_then_few_with_the_full_count() -> None:
    correlator = Correlator("me")
    written = []
    for second in range(100):
        note(correlator, now=second)
        written += drain(correlator, second)
    assert len(written) == 25
    assert correlator.next_due() == 300.0
    note(correlator, subject=NODE, now=100)
    assert len(drain(correlator, 100)) == 1  # others are not held back
    [late] = drain(correlator, 300)
    assert late.count == 100


def test_one_that_vanished_from_the_server_begins_anew_with_its_count() -> None:
    correlator = Correlator("me")
    note(correlator)
    [series] = drain(correlator)
    name = series.name
    note(correlator, now=100)
    taken = correlator.take(100)
    assert taken is series
    correlator.lost(series, NOON + dt.timedelta(seconds=100))
    [again] = drain(correlator, 100)
    assert again.name != name
    assert again.count == 2


def test_one_that_could_not_be_written_comes_again_once() -> None:
    correlator = Correlator("me")
    note(correlator)
    taken = correlator.take(0)
    assert taken is not None
    correlator.again(taken)
    note(correlator)
    assert [series.count for series in drain(correlator)] == [2]
    assert not taken.is_pending


def test_a_long_message_is_cut() -> None:
    correlator = Correlator("me")
    note(correlator, "x" * 5000)
    [series] = drain(correlator)
    assert len(series.message) == MESSAGE_LIMIT


def test_the_oldest_object_is_forgotten_first() -> None:
    correlator = Correlator("me", Limits(objects=2))
    for name in "abc":
        note(correlator, subject=Subject("v1", "Pod", "ns", name))
    assert [series.subject.name for series in drain(correlator)] == ["b", "c"]
    assert correlator.dropped == 1


steps = st.tuples(
    st.floats(0, 400),
    st.sampled_from([POD, NODE, Subject("v1", "Pod", "ns", "red")]),
    st.sampled_from(["A", "B"]),
    st.integers(0, 14).map(str),
    st.integers(1, 30),
    st.booleans(),
)


@given(st.lists(steps, max_size=40))
def test_writes_are_few_and_no_count_is_ever_lost(history: list[tuple[float, Subject, str, str, int, bool]]) -> None:
    correlator, now = Correlator("me"), 0.0
    noted, writes = Counter[Subject](), Counter[Subject]()
    counts: dict[int, tuple[Series, int]] = {}

    def write() -> None:
        for series in drain(correlator, now):
            writes[series.subject] += 1
            counts[id(series)] = series, series.count

    for passed, subject, reason, message, times, is_written in history:
        now += passed
        for _ in range(times):
            note(correlator, message, subject=subject, reason=reason, now=now)
        noted[subject] += times
        if is_written:
            write()
        for one in writes:
            assert writes[one] <= 25 + now / 300 + 1e-6
    while (due := correlator.next_due()) < float("inf"):
        now = max(now, due)
        write()
    told = Counter[Subject]()
    for series, count in counts.values():
        told[series.subject] += count
    assert told == noted
    assert correlator.dropped == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.text(max_size=2), st.text(max_size=2)), max_size=60))
def test_what_is_remembered_is_bounded(history: list[tuple[int, str, str]]) -> None:
    correlator = Correlator("me", Limits(objects=3, stories=4))
    for number, (name, reason, message) in enumerate(history):
        note(correlator, message, subject=Subject("v1", "Pod", "ns", str(name)), reason=reason, now=float(number))
    pending = [*correlator._pending, *(series for *_, series in correlator._later)]
    assert len(pending) <= 12
    assert len({id(series) for series in pending}) == len(pending)


# forms


def series(count: int = 1, subject: Subject = POD) -> Series:
    correlator = Correlator("me")
    for number in range(count):
        note(correlator, subject=subject, now=float(number))
    [made] = drain(correlator)
    return made


def test_a_core_event_has_what_kubectl_shows() -> None:
    told = series(3)
    assert CORE.resource.path(*key(told)).startswith("/api/v1/namespaces/ns/events/blue.")
    assert CORE.new(told, "me", "host") == {
        "metadata": {"name": told.name, "namespace": "ns"},
        "type": "Warning",
        "reason": "Broken",
        "message": "it broke",
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "ns",
            "name": "blue",
            "uid": "u-1",
            "resourceVersion": "7",
        },
        "source": {"component": "me", "host": "host"},
        "reportingComponent": "me",
        "reportingInstance": "host",
        "firstTimestamp": "2026-01-01T12:00:00Z",
        "lastTimestamp": "2026-01-01T12:00:02Z",
        "count": 3,
    }
    assert CORE.change(told) == {"count": 3, "lastTimestamp": "2026-01-01T12:00:02Z", "message": "it broke"}


def test_a_new_event_has_what_its_validation_demands() -> None:
    told = series()
    event = NEW.new(told, "me", "host")
    assert NEW.resource.api_version == "events.k8s.io/v1"
    assert event["eventTime"] == "2026-01-01T12:00:00.123456Z"
    assert (event["reportingController"], event["reportingInstance"]) == ("me", "host")
    assert (event["action"], event["reason"], event["note"]) == ("Broken", "Broken", "it broke")
    assert event["regarding"]["name"] == "blue"
    assert "series" not in event
    again = NEW.change(series(2))
    assert again["series"] == {"count": 2, "lastObservedTime": "2026-01-01T12:00:01.123456Z"}


def test_events_of_cluster_scoped_objects_live_in_default() -> None:
    told = series(subject=NODE)
    assert key(told).namespace == "default"
    assert "namespace" not in CORE.new(told, "me", "host")["involvedObject"]


@given(st.text(max_size=300), st.integers(1, 300))
def test_every_event_has_a_name_that_servers_take_whatever_its_object_is_called(name: str, length: int) -> None:
    for called in (name, "a" * length, "a." * length):
        correlator = Correlator("me")
        note(correlator, subject=Subject("v1", "Pod", "ns", called, "u"))
        [series] = drain(correlator)
        assert not subdomain(series.name, False)
