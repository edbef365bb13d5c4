"""The local copy: always some true past, in one step, with our own writes in it."""

import gc
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reconcile.cache.change import Change
from reconcile.cache.entry import Entry
from reconcile.cache.overlay import Lost
from reconcile.cache.scope import Scope
from reconcile.cache.store import Store, UnknownIndex
from reconcile.cache.table import Index
from reconcile.kube.objects import BadObject, Object, ObjectKey, ObjectMeta, decode_meta
from tests.cache.things import READER, THING, a_thing, an_entry, raw

A, B = ObjectKey("default", "a"), ObjectKey("default", "b")
COLOR = Index("color", lambda thing: [thing["spec"]["color"]])
APP = Index("app", lambda meta: meta.labels.get("app"), needs="meta")


def a_store(**settings: Any) -> Store[Object]:
    return Store(THING, cluster="c", **settings)


def named(name: str, uid: str = "") -> ObjectMeta:
    return ObjectMeta(namespace="default", name=name, uid=uid)


def told(changes: Any) -> list[tuple[str | None, str | None]]:
    """Versions before and after."""
    return [(c.old and c.old.meta.resource_version, c.new and c.new.meta.resource_version) for c in changes]


def test_a_commit_tells_what_was_and_what_is() -> None:
    store = a_store()
    [new] = store.commit(an_entry(version=1))
    [changed] = store.commit(an_entry(version=2, spec={"color": "red", "size": 1}))
    assert (new.key, new.old, new.cluster, new.is_own, new.initial) == (A, None, "c", False, False)
    assert changed.old is new.new
    assert changed.changed_paths() == ("spec.color", "spec.size")
    assert changed.object["spec"]["color"] == "red"
    assert changed.old_object is not None
    assert changed.old_object["spec"]["color"] == "blue"
    assert (len(store), A in store, store.keys(), store.meta(A)) == (1, True, [A], changed.newest.meta)


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_not_newer_than_what_is_known_changes_nothing(version: int) -> None:
    store = a_store()
    store.commit(an_entry(version=2))
    assert store.commit(an_entry(version=version, spec={"color": "old"})) == []
    assert store.remove(decode_meta(raw(version=1)), 0.0) == []
    thing = store.get(A)
    assert thing is not None
    assert thing["spec"]["color"] == "blue"


def test_versions_that_are_no_numbers_are_only_told_apart() -> None:
    store = a_store()
    store.commit(an_entry(version="x"))
    assert store.commit(an_entry(version="x")) == []
    assert told(store.commit(an_entry(version="a"))) == [("x", "a")]


@pytest.mark.pain(4)
def test_an_end_carries_the_last_known_state_and_leaves_no_index_behind() -> None:
    store = a_store(indexes=[COLOR, APP])
    store.commit(an_entry(version=1, labels={"app": "x"}))
    [gone] = store.remove(decode_meta(raw(version=2)), 0.0)
    assert (gone.new, gone.object["spec"]["color"]) == (None, "blue")
    assert (store.by("color", "blue"), store.keys_by("app", "x"), len(store), store.bytes) == ([], [], 0, 0)


@pytest.mark.pain(4)
def test_a_list_ends_what_it_lacks_with_its_last_state() -> None:
    store = a_store(indexes=[COLOR])
    for name in "abc":
        store.commit(an_entry(name, version=1))
    entries = [an_entry("a", version=1), an_entry("b", version=5), an_entry("d", version=6)]
    changes = store.replace(entries, "7", now=0.0)
    assert told(changes) == [("1", None), ("1", "5"), (None, "6")]
    assert changes[0].key.name == "c"
    assert changes[0].old_object == a_thing("c")
    assert [key.name for key in store.keys_by("color", "blue")] == ["a", "b", "d"]


@pytest.mark.pain(23)
def test_another_object_of_the_same_name_is_an_end_and_a_start() -> None:
    store = a_store(indexes=[COLOR])
    store.commit(an_entry(uid="one", version=1))
    assert told(store.commit(an_entry(uid="two", version=5))) == [("1", None), (None, "5")]
    assert told(store.replace([an_entry(uid="three", version=9)], "9", now=0.0)) == [("5", None), (None, "9")]
    assert store.commit(an_entry(uid="two", version=6)) == []
    assert store.remove(decode_meta(raw(uid="two", version=7)), 0.0) == []
    [thing] = store.by("color", "blue")
    assert thing.metadata.uid == "three"


def test_an_index_over_heads_never_decodes_a_body() -> None:
    store = a_store(indexes=[APP])
    store.commit(READER.read(b'{"metadata": {"name": "a", "namespace": "default", "labels": {"app": "x"}}, "spec": 1}'))
    store._decode = None  # type: ignore[method-assign,assignment]
    assert store.keys_by("app", "x") == [A]


def test_an_index_function_that_fails_is_named_with_the_object_and_blocks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unhashable = Index("bad", lambda thing: [thing["spec"]])
    store = a_store(indexes=[COLOR, unhashable])
    store.commit(an_entry("a", spec={}))
    store.commit(an_entry("b"))
    assert store.keys() == [A, B]
    assert store.keys_by("color", "blue") == [B]
    assert store.faults == {"color": 1, "bad": 2}
    assert "name=color times=1 cluster=c resource=things.example.dev object=default/a" in caplog.text


def test_an_object_that_stops_to_fit_an_index_leaves_it() -> None:
    store = a_store(indexes=[COLOR])
    store.commit(an_entry(version=1))
    store.commit(an_entry(version=2, spec={}))
    assert store.keys_by("color", "blue") == []


def test_an_unknown_index_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownIndex, match=r"things.example.dev has no index 'size'; declared: color"):
        a_store(indexes=[COLOR]).by("size", 1)
    with pytest.raises(ValueError, match="one name"):
        a_store(indexes=[COLOR, COLOR])


def test_a_document_that_does_not_fit_the_type_is_named_when_it_is_read() -> None:
    store = a_store()
    store.commit(an_entry())
    store._codec = type("Refuses", (), {"complete": lambda self, meta: (_ for _ in ()).throw(BadObject("no"))})()
    with pytest.raises(BadObject, match=r"things.example.dev default/a: no"):
        store.get(A)


@pytest.mark.pain(9)
def test_what_is_past_is_let_go_of() -> None:
    """All states are looked at, before and after; only the newest few are held, though many could be remembered."""
    store = a_store(typed_limit=10_000)
    store.commit(an_entry())
    known = store.get(A)
    for version in range(2, 500):
        [change] = store.commit(an_entry(version=version))
        assert change.old_object is known
        known = change.new_object
        assert store.get(A) is known
        del change
    gc.collect()
    held = [one for one in gc.get_objects() if isinstance(one, Object) and one.metadata.name == "a"]
    assert known in held
    assert len(held) < 100


def test_typed_objects_are_remembered_up_to_a_limit() -> None:
    store = a_store(typed_limit=2)
    for name in "abc":
        store.commit(an_entry(name))
    a, b = store.get(A), store.get(B)
    assert store.get(A) is a
    store.get(ObjectKey("default", "c"))
    assert store.get(A) is a
    assert store.get(B) is not b
    assert len(store._typed) == 2


@pytest.mark.pain(34)
def test_what_is_handed_out_cannot_be_changed() -> None:
    store = a_store()
    store.commit(an_entry(labels={"a": "b"}, spec={"list": [{}]}))
    thing = store.get(A)
    assert thing is not None
    writes: list[Callable[[Any], Any]] = [
        lambda thing: thing.__setitem__("spec", {}),
        lambda thing: thing["spec"].__setitem__("x", 1),
        lambda thing: thing["spec"]["list"].append(1),
        lambda thing: thing["spec"]["list"][0].update(x=1),
        lambda thing: setattr(thing.metadata, "name", "b"),
        lambda thing: thing.metadata.labels.__setitem__("a", "c"),
    ]
    for write in writes:
        with pytest.raises((TypeError, AttributeError)):
            write(thing)
    copy = thing.thaw()
    copy["spec"]["list"].append(1)
    assert store.get(A) == a_thing(labels={"a": "b"}, spec={"list": [{}]})


def test_each_namespace_has_a_list_of_its_own() -> None:
    store = a_store(namespaces=("one", "two"), indexes=[COLOR])
    for namespace in ("one", "two"):
        store.replace([an_entry(namespace=namespace)], "5", namespace, now=0.0)
    assert store.commit(an_entry(namespace="three")) == []
    assert store.own(an_entry(namespace="three"), 0.0) == []
    assert told(store.replace([], "6", "one", now=0.0)) == [("1", None)]
    assert store.keys() == store.keys("two") == store.keys_by("color", "blue") == [ObjectKey("two", "a")]
    assert store.keys("one") == []


# read your writes


@pytest.mark.pain(7)
def test_an_own_write_is_there_at_once_and_older_events_do_not_undo_it() -> None:
    store = a_store()
    store.commit(an_entry(version=1))
    [own] = store.own(an_entry(version=5, spec={"color": "mine"}), 0.0)
    assert own.is_own
    assert store.unconfirmed == 1
    assert store.commit(an_entry(version=3)) == []
    assert store.commit(an_entry(version=5)) == []
    assert store.unconfirmed == 0
    assert told(store.commit(an_entry(version=6))) == [("5", "6")]


@pytest.mark.pain(7)
def test_an_answer_that_comes_after_its_event_changes_nothing() -> None:
    store = a_store()
    store.commit(an_entry(version=6))
    assert store.own(an_entry(version=5), 0.0) == []
    assert store.own(an_entry(version=6), 0.0) == []
    assert store.unconfirmed == 0


@pytest.mark.pain(7)
def test_a_list_made_before_an_own_write_does_not_undo_it() -> None:
    store = a_store()
    store.commit(an_entry("a", version=1))
    store.own(an_entry("a", version=5), 0.0)
    store.own(an_entry("b", version=6), 0.0)
    assert store.replace([an_entry("a", version=1)], "4", now=0.0) == []
    assert told(store.replace([an_entry("a", version=5)], "9", now=0.0)) == [("6", None)]


@pytest.mark.pain(7)
def test_an_own_deletion_is_not_undone_by_late_events_nor_by_an_older_list() -> None:
    store = a_store()
    store.commit(an_entry(version=1))
    [gone] = store.own_delete(named("a"), 0.0)
    assert (gone.new, gone.is_own) == (None, True)
    assert store.commit(an_entry(version=2)) == []
    assert store.replace([an_entry(version=2)], "2", now=0.0) == []
    assert store.remove(decode_meta(raw(version=3)), 0.0) == []
    assert store.unconfirmed == 0
    assert told(store.commit(an_entry(version=4, uid="next"))) == [(None, "4")]


@pytest.mark.pain(7)
def test_late_events_of_a_deleted_object_do_not_touch_the_one_we_made_in_its_place() -> None:
    store = a_store()
    store.commit(an_entry(uid="one", version=1))
    store.own_delete(named("a", uid="one"), 0.0)
    store.own(an_entry(uid="two", version=8), 0.0)
    assert store.commit(an_entry(uid="one", version=2)) == []
    assert store.remove(decode_meta(raw(uid="one", version=3)), 0.0) == []
    assert store.meta(A) is not None
    assert store.commit(an_entry(uid="two", version=8)) == []
    assert store.unconfirmed == 0


@pytest.mark.pain(7)
def test_an_object_that_left_our_sight_for_a_while_before_we_deleted_it_stays_deleted() -> None:
    store = a_store()
    store.commit(an_entry(version=1))
    store.own_delete(decode_meta(raw(version=3)), 0.0)
    assert store.remove(decode_meta(raw(version=2)), 0.0) == []
    assert store.commit(an_entry(version=3)) == []
    assert store.remove(decode_meta(raw(version=4)), 0.0) == []
    assert (len(store), store.unconfirmed) == (0, 0)


@pytest.mark.pain(7)
@pytest.mark.parametrize(("until", "is_alive"), [(29.0, False), (31.0, True)])
def test_an_end_is_remembered_as_long_as_an_answer_may_be_on_its_way(until: float, is_alive: bool) -> None:
    store = a_store(overlay_ttl=30.0)
    for name, moment in (("a", 0.0), ("b", until)):  # what has to be forgotten is, at the next end
        store.commit(an_entry(name, version=1))
        store.remove(decode_meta(raw(name, version=2)), moment)
    store.own(an_entry("a", version=1), until, is_own=False)
    assert (A in store) is is_alive


def test_of_thousands_of_ends_at_once_the_last_thousand_are_remembered() -> None:
    store = a_store()
    store.replace([an_entry(f"{n}", version=1, uid=f"{n}") for n in range(1_500)], "1", now=0.0)
    store.replace([], "2", now=0.0)
    for n in range(1_500):
        store.own(an_entry(f"{n}", version=1, uid=f"{n}"), 0.0, is_own=False)
    assert len(store) == 500


def test_the_write_that_takes_the_last_finalizer_away_ends_the_object() -> None:
    store = a_store()
    store.commit(an_entry(version=1, finalizers=["f"]))
    dying = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0}
    assert told(store.own(an_entry(version=2, finalizers=["f"], **dying), 0.0)) == [("1", "2")]
    assert told(store.own(an_entry(version=3, **dying), 0.0)) == [("2", None)]
    assert store.commit(an_entry(version=2, finalizers=["f"], **dying)) == []
    store.commit(an_entry("pod", version=4))
    graceful = {**dying, "deletionGracePeriodSeconds": 30}
    assert told(store.own(an_entry("pod", version=5, **graceful), 0.0)) == [("4", "5")]


def test_an_own_write_that_moves_an_object_out_of_sight_removes_it() -> None:
    store = a_store(in_scope=Scope.of("app=x").has)
    store.commit(an_entry(version=1, labels={"app": "x"}))
    assert told(store.own(an_entry(version=5, labels={"app": "y"}), 0.0)) == [("1", None)]
    assert store.commit(an_entry(version=3, labels={"app": "x"})) == []
    assert store.replace([an_entry(version=3, labels={"app": "x"})], "4", now=0.0) == []
    assert store.remove(decode_meta(raw(version=5)), 0.0) == []
    assert store.unconfirmed == 0
    assert store.own(an_entry("b", version=6), 0.0) == []
    assert told(store.own(an_entry("c", version=7, labels={"app": "x"}), 0.0)) == [(None, "7")]


def test_what_a_field_selector_cannot_tell_is_left_to_the_watch() -> None:
    store = a_store(in_scope=Scope.of(fields="spec.color=blue,status.phase!=Done").has)
    assert store.own(an_entry("new", version=5), 0.0) == []
    store.commit(an_entry(version=1))
    assert told(store.own(an_entry(version=5), 0.0)) == [("1", "5")]
    assert told(store.own(an_entry(version=6, spec={"color": "red"}), 0.0)) == [("5", None)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("metadata.name=a", True),
        ("metadata.name!=a", False),
        ("metadata.namespace=default", True),
        ("spec.flag=true,spec.count=3", True),
        ("spec.flag=false", False),
        ("spec.other=x", None),
        ("spec.other=x,metadata.name=b", False),
    ],
)
def test_a_field_selector_is_told_by_what_stands_in_the_document(fields: str, expected: bool | None) -> None:
    entry = an_entry(spec={"flag": True, "count": 3})
    assert Scope.of(fields=fields).has(entry) is expected


def test_own_writes_are_held_for_a_time_and_what_was_never_confirmed_is_told() -> None:
    store = a_store(overlay_ttl=30.0)
    store.commit(an_entry("a", version=1))
    store.commit(an_entry("b", version=2))
    store.own(an_entry("a", version=5), 0.0)
    store.own_delete(named("b", uid="uid-of-b"), 10.0)
    store.own_delete(named("never", uid="seen"), 10.0)
    assert store.next_expiry() == 30.0
    assert store.expire(29.9) is None
    assert store.expire(30.0) == Lost(notes=1, version=5)
    assert store.expire(40.0) == Lost(notes=1, version=2)
    assert store.next_expiry() is None
    assert told(store.commit(an_entry("b", version=9))) == [(None, "9")]


@pytest.mark.pain(30)
def test_after_a_reset_of_history_the_list_alone_counts() -> None:
    store = a_store()
    store.commit(an_entry("a", version=100))
    store.own(an_entry("b", version=101), 0.0)
    store.own_delete(named("c", uid="uid-of-c"), 0.0)
    staging = store.stage()
    for entry in (an_entry("a", version=50), an_entry("c", version=51)):
        staging.add(entry)
    assert told(store.swap(staging, "60", reset=True, now=0.0)) == [("101", None), ("100", "50"), (None, "51")]
    assert store.unconfirmed == 0


def test_an_unreadable_object_of_a_list_keeps_its_last_good_state() -> None:
    store = a_store(indexes=[COLOR])
    store.commit(an_entry(version=1))
    staging = store.stage()
    staging.keep(A)
    staging.keep(B)
    assert list(store.swap(staging, "5", now=0.0)) == []
    assert store.keys_by("color", "blue") == [A]


def test_a_list_does_not_show_before_it_is_whole() -> None:
    store = a_store(indexes=[COLOR])
    store.commit(an_entry("a", version=1))
    staging = store.stage()
    staging.add(an_entry("b", version=2))
    staging.add(an_entry("c", version=2))
    staging.remove(ObjectKey("default", "c"))
    assert store.keys() == store.keys_by("color", "blue") == [A]
    changes = store.swap(staging, "3", initial=True, now=0.0)
    assert store.keys() == store.keys_by("color", "blue") == [B]
    assert all(change.initial for change in changes)


class StoreIsATruePast(RuleBasedStateMachine):
    """A server with a history, a watch that lags behind, lists of any moment, and writes of ours answered at once."""

    def __init__(self) -> None:
        super().__init__()
        self.scope = Scope.of("in=yes")
        self.store = a_store(indexes=[COLOR, APP], in_scope=self.scope.has)
        self.version = 0
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[str, dict[str, Any]]] = []  # what the watch will show, in order
        self.shown = 0
        self.snapshots: list[tuple[int, dict[str, dict[str, Any]]]] = [(0, {})]
        self.seen_from_changes: dict[ObjectKey, Entry] = {}
        self.answered: dict[str, int] = {}  # the version that our last write of a name was answered with

    def write(self, name: str, new: dict[str, Any] | None) -> dict[str, Any]:
        """The server's side of a write, and what the watch makes of it."""
        self.version += 1
        old = self.objects.get(name)
        state: dict[str, Any] = orjson.loads(orjson.dumps(new if new is not None else old))
        state["metadata"]["resourceVersion"] = str(self.version)
        if new is None:
            del self.objects[name]
        else:
            self.objects[name] = state
        was, now = old is not None and visible(old), new is not None and visible(state)
        if was and old is not None and new is not None and old["metadata"]["uid"] != state["metadata"]["uid"]:
            raise AssertionError("a name is freed before it is taken again")
        if was or now:
            self.history.append(("DELETED" if not now else "MODIFIED", state))
        else:
            self.history.append(("BOOKMARK", state))
        listed = {name: item for name, item in self.objects.items() if visible(item)}
        self.snapshots.append((self.version, listed))
        return state

    @rule(name=st.sampled_from("ab"), color=st.sampled_from(["red", "blue"]), inside=st.booleans(), own=st.booleans())
    def put(self, name: str, color: str, inside: bool, own: bool) -> None:
        old = self.objects.get(name)
        uid = old["metadata"]["uid"] if old else f"{name}{self.version}"
        labels = {"in": "yes" if inside else "no", "app": color}
        state = self.write(name, a_thing(name, uid=uid, spec={"color": color}, labels=labels))
        if own:
            self.follow(self.store.own(READER.read(orjson.dumps(state)), 0.0))
            self.answered[name] = self.version

    @rule(name=st.sampled_from("ab"), own=st.booleans())
    def delete(self, name: str, own: bool) -> None:
        if (old := self.objects.get(name)) is None:
            return
        self.write(name, None)
        if own:
            self.follow(self.store.own_delete(decode_meta(orjson.dumps(old)), 0.0))
            self.answered[name] = self.version

    @precondition(lambda self: self.shown < len(self.history))
    @rule()
    def watch(self) -> None:
        kind, state = self.history[self.shown]
        self.shown += 1
        text = orjson.dumps(state)
        if kind == "MODIFIED":
            self.follow(self.store.commit(READER.read(text)))
        elif kind == "DELETED":
            self.follow(self.store.remove(decode_meta(text), 0.0))
        else:
            self.store.reached(state["metadata"]["resourceVersion"])

    @rule(data=st.data())
    def relist(self, data: st.DataObject) -> None:
        """A list of any moment not older than what the watch has shown."""
        moment = data.draw(st.integers(self.shown, len(self.snapshots) - 1))
        version, objects = self.snapshots[moment]
        entries = [READER.read(orjson.dumps(item)) for item in objects.values()]
        self.follow(self.store.replace(entries, str(version), now=0.0))
        self.shown = moment

    def follow(self, changes: list[Change[Object]]) -> None:
        for change in changes:
            assert self.seen_from_changes.get(change.key) is change.old
            if change.new is None:
                del self.seen_from_changes[change.key]
            else:
                self.seen_from_changes[change.key] = change.new

    @invariant()
    def changes_lead_from_each_state_to_the_next(self) -> None:
        assert self.seen_from_changes == {entry.key: entry for entry in self.store.entries()}

    @invariant()
    def own_writes_are_read_or_something_newer(self) -> None:
        for name, version in self.answered.items():
            past = [objects.get(name) for at, objects in self.snapshots if at >= version]
            known = self.store.entry(ObjectKey("default", name))
            assert (orjson.loads(known.raw) if known else None) in past

    @invariant()
    def indexes_and_size_are_those_of_the_objects(self) -> None:
        for color in ("red", "blue"):
            keys = {e.key for e in self.store.entries() if orjson.loads(e.raw)["spec"]["color"] == color}
            assert set(self.store.keys_by("color", color)) == set(self.store.keys_by("app", color)) == keys
        assert self.store.bytes == sum(len(entry.raw) for entry in self.store.entries())
        assert len(self.store) == len(list(self.store.entries()))

    @invariant()
    def once_the_watch_has_caught_up_the_copy_is_the_servers_state(self) -> None:
        if self.shown == len(self.history):
            assert {entry.key.name: orjson.loads(entry.raw) for entry in self.store.entries()} == self.snapshots[-1][1]
            assert self.store.unconfirmed == 0


def visible(state: dict[str, Any]) -> bool:
    return bool(state["metadata"]["labels"]["in"] == "yes")


TestStoreIsATruePast = pytest.mark.pain(7)(StoreIsATruePast.TestCase)
