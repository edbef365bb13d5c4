"""The storage by itself: what was ever true at a version stays to be told, until it is forgotten."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reconcile.testing.apiserver.storage import Snapshot, Storage, Stored

TABLES = ("cats", "dogs")
KEYS = ("a/x", "a/y", "b/x", "b.c/x", "a-b/x")
LIMIT = 12

State = dict[tuple[str, str], int]
"""Table and key to the number that an object holds."""


def a_document(key: str, number: int) -> dict[str, Any]:
    namespace, name = key.split("/")
    metadata = {"name": name, "namespace": namespace, "uid": f"{key}-{number}", "labels": {"n": str(number)}}
    return {"apiVersion": "v1", "kind": "Pet", "metadata": metadata, "number": number}


def state_of(table: str, objects: Any) -> State:
    return {(table, key): stored.value["number"] for key, stored in objects.items()}


def text_of(stored: Stored | None) -> int | None:
    return None if stored is None else int(stored.value["number"])


class StorageMachine(RuleBasedStateMachine):
    """Against a model that keeps every state there ever was."""

    def __init__(self) -> None:
        super().__init__()
        self.storage = Storage(history=LIMIT)
        self.past: dict[int, State] = {self.storage.version: {}}
        self.number = 0
        self.backup: tuple[Snapshot, State] | None = None

    @property
    def now(self) -> State:
        return self.past[self.storage.version]

    @rule(
        changes=st.lists(st.tuples(st.sampled_from(TABLES), st.sampled_from(KEYS), st.booleans()), max_size=4),
        undone=st.integers(0, 4),
        commits=st.booleans(),
    )
    def write(self, changes: list[tuple[str, str, bool]], undone: int, commits: bool) -> None:
        transaction = self.storage.begin()
        state = dict(self.now)
        states = [(self.storage.version, state)]
        for table, key, removes in changes:
            state = dict(state)
            if not removes:
                self.number += 1
                stored = transaction.put(table, a_document(key, self.number))
                state[table, key] = self.number
                states.append((stored.version, state))
            elif (table, key) in state:
                states.append((transaction.remove(table, key), state))
                del state[table, key]
        kept = max(len(states) - 1 - undone, 0)
        transaction.undo(kept)
        states = states[: kept + 1]
        for table in TABLES:
            seen = {(table, stored.key): stored.value["number"] for stored in transaction.all(table)}
            assert seen == {where: number for where, number in states[-1][1].items() if where[0] == table}
            for key in KEYS:
                assert text_of(transaction.get(table, key)) == states[-1][1].get((table, key))
        if not commits:
            return  # dropped: the invariants see that nothing happened
        versions = [event.version for _, event in transaction.commit()]
        assert versions == [version for version, _ in states[1:]]
        self.past |= dict(states)

    @rule()
    def compact(self) -> None:
        self.storage.compact()
        self.past = {self.storage.version: self.now}

    @rule()
    def back_up(self) -> None:
        self.backup = self.storage.snapshot(), self.now

    @precondition(lambda self: self.backup is not None)
    @rule()
    def restore(self) -> None:
        assert self.backup is not None
        snapshot, state = self.backup
        self.storage.restore(snapshot)
        self.past = {snapshot.version: state}

    @invariant()
    def every_version_is_told_truly_or_not_at_all(self) -> None:
        for name in TABLES:
            table = self.storage.table(name)
            for version, state in self.past.items():
                told = table.at(version)
                truth = {where: number for where, number in state.items() if where[0] == name}
                if told is not None:
                    objects, order = told
                    assert state_of(name, objects) == truth
                    assert order == sorted(key for _, key in truth)

    @invariant()
    def a_watch_from_any_remembered_version_leads_to_the_present(self) -> None:
        for name in TABLES:
            table = self.storage.table(name)
            for version, state in self.past.items():
                events = table.since(version)
                if events is None:
                    assert version < table.floor
                    continue
                seen = {where: number for where, number in state.items() if where[0] == name}
                last = version
                for event in events:
                    assert event.version > last
                    last = event.version
                    assert text_of(event.old) == seen.pop((name, event.key), None)
                    if event.new is not None:
                        seen[name, event.key] = event.new.value["number"]
                assert seen == state_of(name, table.objects)

    @invariant()
    def the_newest_changes_are_remembered(self) -> None:
        for name in TABLES:
            table = self.storage.table(name)
            assert len(table.history) <= LIMIT
            assert table.since(self.storage.version) == []

    @invariant()
    def objects_carry_the_version_they_were_stored_at(self) -> None:
        for name in TABLES:
            for stored in self.storage.table(name).objects.values():
                assert stored.value["metadata"]["resourceVersion"] == str(stored.version)
                assert stored.version <= self.storage.version

    @invariant()
    def a_namespace_is_a_part_of_the_order(self) -> None:
        keys = {key for table, key in self.now if table == "cats"}
        for namespace in ("a", "b", "b.c", "a-b"):
            assert self.storage.keys("cats", namespace) == sorted(
                key for key in keys if key.startswith(f"{namespace}/")
            )


TestStorage = StorageMachine.TestCase
