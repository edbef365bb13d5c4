"""Causes are kept while reasons fold into one run, and stay bounded."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.cache.entry import Entry
from reconcile.controller.cause import PATHS, Cause, Pending, cause_of
from reconcile.core.schedule import LOW, NORMAL
from reconcile.kube.objects import ObjectKey
from tests.controller.things import PART, change, entry


def taken(*causes: Cause, limit: int = 8) -> tuple[Cause, ...]:
    pending: Pending[str] = Pending(limit)
    for cause in causes:
        pending.note("k", cause)
    return pending.take("k")


@pytest.mark.pain(24)
def test_changes_of_one_object_become_one_cause_from_the_first_to_the_last_version() -> None:
    specs = {"size": 1, "same": 1}, {"size": 2, "same": 1}, {"size": 2, "same": 1, "later": 1}
    states = [entry("a", version, spec=spec) for version, spec in enumerate(specs, 1)]
    [cause] = taken(*(cause_of(change(*pair), at=0.0) for pair in pairwise(states)))
    assert (cause.old_version, cause.new_version, cause.count) == ("1", "3", 2)
    assert cause.changed_paths == ("spec.later", "spec.size")
    assert str(cause) == "change home widgets.example.com ns/a: 1 -> 3 spec.later spec.size x2"


@pytest.mark.pain(24)
def test_a_change_back_and_forth_shows_no_path_but_two_versions() -> None:
    one, two, three = (entry("a", version, spec={"size": version % 2}) for version in (1, 2, 3))
    [cause] = taken(cause_of(change(one, two), at=0.0), cause_of(change(two, three), at=0.0))
    assert cause.changed_paths == ()
    assert cause.versions == ("2", "3")


@pytest.mark.pain(24)
def test_different_objects_kinds_and_reasons_stay_apart() -> None:
    causes = taken(
        cause_of(change(None, entry("a", 1), initial=True), at=0.0),
        cause_of(change(entry("a", 1), entry("a", 2)), at=1.0),
        cause_of(change(entry("a", 1, resource=PART), None, resource=PART), at=2.0),
        Cause("requested", 3.0, reason="by hand"),
    )
    assert [str(cause) for cause in causes] == [
        "initial home widgets.example.com ns/a: new -> 1",
        "change home widgets.example.com ns/a: 1 -> 2",
        "change home configmaps ns/a: 1 -> gone",
        "requested (by hand)",
    ]


def test_what_was_taken_is_not_pending_any_more() -> None:
    pending: Pending[str] = Pending()
    pending.note("k", Cause("requested", 0.0))
    assert len(pending) == 1
    assert len(pending.take("k")) == 1
    assert pending.take("k") == pending.of("k") == ()
    assert len(pending) == 0


def test_what_was_there_already_comes_at_low_priority_unless_told_otherwise() -> None:
    first = change(None, entry("a", 1), initial=True)
    assert cause_of(first, at=0.0).priority == LOW
    assert cause_of(first, at=0.0, priority=7).priority == 7
    assert cause_of(change(None, entry("a", 1)), at=0.0).priority == NORMAL


def test_the_last_known_object_stays_with_its_deletion() -> None:
    first, last = entry("a", 1, spec={"size": 1}), entry("a", 2, spec={"size": 2})
    [cause] = taken(cause_of(change(first, last), at=0.0), cause_of(change(last, None), at=0.0))
    assert cause.last_known["spec"]["size"] == 2
    assert cause.changed_paths == ()
    cause.forget_change()
    assert cause.last_known is None


def test_an_object_that_came_shows_no_paths_however_it_changed_since() -> None:
    one, two = entry("a", 1, spec={"size": 1}), entry("a", 2, spec={"size": 2})
    [cause] = taken(cause_of(change(None, one), at=0.0), cause_of(change(one, two), at=0.0))
    assert (cause.old_version, cause.new_version, cause.changed_paths) == ("", "2", ())


def test_news_is_what_is_not_all_our_own_doing() -> None:
    def ours(cluster: str, resource: str, key: ObjectKey, version: str) -> bool:
        return (cluster, resource, key.name, version) == ("home", "widgets.example.com", "a", "2")

    own, foreign = change(entry("a", 1), entry("a", 2)), change(entry("a", 2), entry("a", 3))
    assert not taken(cause_of(own, at=0.0))[0].is_news(ours)
    assert taken(cause_of(foreign, at=0.0))[0].is_news(ours)
    assert taken(cause_of(own, at=0.0), cause_of(foreign, at=0.0))[0].is_news(ours)
    assert Cause("requested", 0.0).is_news(ours)
    assert not any(cause.is_news(ours) for cause in (Cause("timer", 0.0), Cause("retry", 0.0), Cause("resync", 0.0)))


def states() -> st.SearchStrategy[Entry]:
    return st.builds(lambda name, version: entry(name, version), st.sampled_from("abcdefghijkl"), st.integers(1, 99))


@given(st.lists(st.tuples(states(), states()), max_size=60))
def test_a_key_keeps_a_bounded_number_of_causes_and_counts_them_all(pairs: list[tuple[Entry, Entry]]) -> None:
    causes = taken(*(cause_of(change(old, new), at=0.0) for old, new in pairs), limit=4)
    assert len(causes) <= 5
    assert sum(cause.count for cause in causes) == len(pairs)
    assert all(len(cause.versions) <= PATHS for cause in causes)


def test_what_is_beyond_the_bound_counts_as_news() -> None:
    causes = taken(*(cause_of(change(None, entry(name, 1)), at=0.0) for name in "abc"), limit=2)
    assert [cause.key and cause.key.name for cause in causes] == ["a", "b", None]
    assert causes[-1].is_news(lambda *_: True)
