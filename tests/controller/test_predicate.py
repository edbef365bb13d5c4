"""Predicates tell changes apart, and never hide the end of an object unless told to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.cache.change import Change
from reconcile.cache.entry import Entry
from reconcile.controller.predicate import (
    Exactly,
    Predicate,
    all_of,
    annotations_changed,
    any_of,
    changed,
    exactly,
    generation_changed,
    is_end,
    label_selector,
    labels_changed,
    not_,
    resource_version_changed,
)
from reconcile.kube.selector import BadSelector
from tests.controller.things import DELETING, change, entry


def never(_change: Change[Any]) -> bool:
    return False


def always(_change: Change[Any]) -> bool:
    return True


LEAVES: list[Predicate] = [
    never,
    always,
    generation_changed,
    labels_changed,
    annotations_changed,
    resource_version_changed,
    changed("spec"),
    changed("spec.size", ("metadata", "labels", "example.com/a.b")),
    label_selector("app=web"),
]


def trees() -> st.SearchStrategy[Predicate]:
    def grow(inner: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
        some = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            some.map(lambda found: all_of(*found)), some.map(lambda found: any_of(*found)), inner.map(not_)
        )

    return st.recursive(st.sampled_from(LEAVES).map(lambda leaf: all_of(leaf)), grow, max_leaves=8)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    meta: dict[str, Any] = {
        "generation": draw(st.integers(0, 2)),
        "labels": draw(st.sampled_from([{}, {"app": "web"}, {"app": "db"}])),
    }
    if draw(st.booleans()):
        meta |= DELETING
    uid = draw(st.sampled_from(["u-1", "u-2"]))
    return entry("a", draw(st.integers(1, 3)), uid=uid, spec={"size": draw(st.integers(0, 1))}, **meta)


@st.composite
def changes(draw: st.DrawFn) -> Change[Any]:
    old, new = draw(st.none() | entries()), draw(st.none() | entries())
    return change(old, new or (draw(entries()) if old is None else None))


@pytest.mark.pain(23)
@pytest.mark.pain(22)
@given(trees(), changes())
def test_no_combination_hides_the_end_of_an_object(predicate: Predicate, seen: Change[Any]) -> None:
    old, new = seen.old, seen.new
    gone = new is None
    going = new is not None and new.meta.is_deleting and not (old is not None and old.meta.is_deleting)
    replaced = old is not None and new is not None and old.meta.uid != new.meta.uid
    assert is_end(seen) == (gone or going or replaced)
    if gone or going or replaced:
        assert predicate(seen)


@given(trees(), changes())
def test_exactly_is_what_the_functions_say(predicate: Any, seen: Change[Any]) -> None:
    assert exactly(predicate)(seen) == predicate.holds(seen)
    if not is_end(seen):
        assert exactly(predicate)(seen) == predicate(seen)


@given(trees(), trees(), changes())
def test_operators_mean_what_the_words_mean(one: Any, two: Any, seen: Change[Any]) -> None:
    assert (one & two).holds(seen) == (one.holds(seen) and two.holds(seen))
    assert (one | two).holds(seen) == (one.holds(seen) or two.holds(seen))
    assert (~one).holds(seen) != one.holds(seen)


@given(trees())
def test_exactly_hides_an_end_only_by_its_name(predicate: Any) -> None:
    gone = change(entry("a", 1), None)
    assert predicate(gone)
    assert not exactly(all_of(predicate, never))(gone)


def test_exactly_inside_another_predicate_is_refused() -> None:
    inner = exactly(never)
    assert isinstance(inner, Exactly)
    with pytest.raises(ValueError, match=r"exactly\(never\) stands around a whole predicate"):
        all_of(always, inner)
    with pytest.raises(ValueError, match="stands around"):
        not_(inner)
    with pytest.raises(ValueError, match="stands around"):
        inner & always
    with pytest.raises(ValueError, match="stands around"):
        labels_changed | inner
    with pytest.raises(ValueError, match="stands around"):
        not_(~inner)


def test_a_predicate_is_named_after_what_it_is_made_of() -> None:
    assert repr(any_of(generation_changed, ~label_selector("app=web"), never)) == (
        "any_of(generation_changed, not_(label_selector('app=web')), never)"
    )


def test_generation_tells_spec_from_status() -> None:
    one, two = entry("a", 1, generation=1), entry("a", 2, generation=2)
    assert generation_changed(change(one, two))
    assert not generation_changed(change(one, entry("a", 2, generation=1)))
    assert generation_changed(change(None, one))


def test_a_kind_without_generation_always_passes() -> None:
    assert generation_changed(change(entry("a", 1), entry("a", 2)))


def test_a_path_differs_when_something_below_it_does() -> None:
    one = entry("a", 1, spec={"size": 1, "deep": {"x": [1, 2]}})
    two = entry("a", 2, spec={"size": 1, "deep": {"x": [2, 1]}})
    seen = change(one, two)
    assert changed("spec")(seen)
    assert changed("spec.size", "spec.deep.x")(seen)
    assert not changed("spec.size", "metadata.labels", "spec.size.of.nothing")(seen)
    assert changed("spec.size")(change(None, two))


def test_a_name_with_dots_is_one_step() -> None:
    one, two = entry("a", 1), entry("a", 2, annotations={"example.com/a.b": "x"})
    assert changed(("metadata", "annotations", "example.com/a.b"))(change(one, two))
    assert not changed("metadata.annotations.example.com/a.b")(change(one, two))


def test_labels_and_annotations_are_told_apart() -> None:
    one = entry("a", 1)
    relabelled, annotated = entry("a", 2, labels={"a": "b"}), entry("a", 2, annotations={"a": "b"})
    assert labels_changed(change(one, relabelled))
    assert not labels_changed(change(one, annotated))
    assert annotations_changed(change(one, annotated))
    assert not annotations_changed(change(one, relabelled))


def test_what_is_shown_again_has_the_same_version() -> None:
    assert not resource_version_changed(change(entry("a", 1), entry("a", 1)))
    assert resource_version_changed(change(entry("a", 1), entry("a", 2)))


def test_an_object_that_leaves_a_selection_passes_once_more() -> None:
    web, db = entry("a", 1, labels={"app": "web"}), entry("a", 2, labels={"app": "db"})
    for selected in (label_selector("app in (web),!legacy"), label_selector({"app": "web"})):
        assert selected(change(web, db))
        assert not selected(change(db, db))
        assert selected(change(None, web))
        assert not selected(change(None, db))


def test_a_selector_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(BadSelector):
        label_selector("app in web")
