"""The laws of server-side apply, for any configurations, managers and writes between them."""

import copy
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.testing.apiserver import fields, walks
from reconcile.testing.apiserver.apply import Writer, apply, track
from reconcile.testing.apiserver.crds import kind_of
from reconcile.testing.apiserver.failure import Failure
from reconcile.testing.apiserver.fields import FieldSet
from reconcile.testing.apiserver.schema import Schema
from tests.testing import histories
from tests.testing.callers import GROUP, THINGS
from tests.testing.histories import SPEC, managers, some

Document: TypeAlias = dict[str, Any]
KIND = kind_of(THINGS)
assert KIND is not None
SCHEMA = KIND.schema
VERSION = f"{GROUP}/v1"
EMPTY: Document = {}
HEAD: Document = {"apiVersion": VERSION, "kind": "Thing"}


def full(value: Any) -> Any:
    """A value without what is empty.

    To structured-merge-diff a map that lost its last field is null, so applying an empty one again is a change.
    """
    if isinstance(value, dict):
        kept = {name: full(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one not in ({}, [])}
    return [full(one) for one in value] if isinstance(value, list) else value


specs = histories.specs.map(full)
configs = st.builds(lambda spec, labels: a_config(spec, labels), specs, histories.text_maps)


def a_config(spec: Document, labels: Document = EMPTY) -> Document:
    config = {**HEAD, "metadata": {"name": "a", "labels": labels}, "spec": spec}
    return full(config)  # type: ignore[no-any-return]


def writer(name: str, schema: Schema = SCHEMA, time: str = "2026-01-01T00:00:00Z") -> Writer:
    return Writer(name, VERSION, schema, lambda document, version: (schema, document), time)


def applied(live: Document, config: Document, name: str, *, force: bool = True) -> Document:
    """What an apply leaves; the arguments are as before."""
    before = copy.deepcopy((live, config))
    result = apply(writer(name), live, config, force=force)
    assert (live, config) == before
    return result


def updated(live: Document, spec: Document, name: str) -> Document:
    """What an update of the spec leaves."""
    before = copy.deepcopy(live)
    result = track(writer(name), live, {**live, "spec": spec})
    assert live == before
    return result


@attrs.frozen
class Step:
    """One write of somebody."""

    manager: str
    config: Document
    applies: bool = True

    def on(self, live: Document) -> Document:
        if self.applies:
            return applied(live, self.config, self.manager)
        return updated(live, self.config.get("spec", {}), self.manager)


steps = st.lists(st.builds(Step, managers, configs, st.booleans()), max_size=4)


def after(history: list[Step]) -> Document:
    """An object of somebody else's, after these writes."""
    live = track(writer("creator"), None, a_config({}, {"made": "1"}))
    for step in history:
        live = step.on(live)
    return live


def bare(document: Document) -> Document:
    """A document without its owners."""
    metadata = {name: value for name, value in document["metadata"].items() if name != "managedFields"}
    return {**document, "metadata": metadata}


def owned(document: Document) -> dict[tuple[str, str], FieldSet]:
    entries = document["metadata"].get("managedFields", [])
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in entries}


def there(document: Document) -> set[fields.Path]:
    """Every path there is a value at, and every path on the way."""
    found = walks.with_named_fields(SCHEMA, walks.field_set(SCHEMA, bare(document)))
    all_paths = set(fields.paths(found))
    return {path[:length] for path in all_paths for length in range(1, len(path) + 1)}


def at(schema: Schema | None, value: Any, path: fields.Path) -> Any:
    """The value at a path of a typed document."""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            value = value[rest]
        else:
            assert kind in ("k", "v"), path
            keep = schema
            assert keep is not None
            value = next(item for item in value if walks.element_of(keep, item) == element)
        if schema is not None:
            schema = schema.child(rest) if kind == "f" else schema.items
    return value


@given(steps, managers, configs)
def test_applying_twice_is_applying_once(history: list[Step], manager: str, config: Document) -> None:
    once = applied(after(history), config, manager)
    late = apply(writer(manager, time="2027-01-01T00:00:00Z"), once, config)
    assert late == once


@given(steps, managers, configs)
def test_what_is_applied_is_there_and_owned(history: list[Step], manager: str, config: Document) -> None:
    result = applied(after(history), config, manager)
    wanted = walks.field_set(SCHEMA, config)
    named = {"f:apiVersion", "f:kind"}
    mine = owned(result).get((manager, "Apply"), {})
    for path in fields.paths(wanted):
        if path[0] in named or path == ("f:metadata", "f:name"):
            continue
        assert fields.has(mine, path), path
        assert walks.equal(at(SCHEMA, result, path), at(SCHEMA, config, path)) or isinstance(
            at(SCHEMA, config, path), dict | list
        )
    assert set(fields.paths(mine)) <= set(fields.paths(wanted))


@given(steps)
def test_nobody_owns_what_is_not_there(history: list[Step]) -> None:
    live = after(history)
    found = there(live)
    for fieldset in owned(live).values():
        assert set(fields.paths(fieldset)) <= found


@given(steps, managers, configs)
def test_what_only_one_applied_goes_when_it_is_no_longer_listed(
    history: list[Step], manager: str, config: Document
) -> None:
    history = [step for step in history if step.manager != manager]
    before = after(history)
    with_it = applied(before, config, manager)
    without = applied(with_it, a_config({}), manager)
    others = [fieldset for (name, _), fieldset in owned(with_it).items() if name != manager]
    kept = fields.EMPTY
    for fieldset in others:
        kept = fields.union(kept, fieldset)
    for path in fields.paths(walks.field_set(SCHEMA, config)):
        if path[0] == "f:spec" and len(path) > 1 and path in there(without):
            # something of others, or below it, keeps it alive
            below = [one for one in fields.paths(kept) if one[: len(path)] == path]
            default = path in (("f:spec", "f:count"), ("f:spec", "f:maybe"))
            assert below or default or path in there(before), path


@given(
    st.lists(st.sampled_from(sorted(SPEC)), unique=True, min_size=2, max_size=6).flatmap(
        lambda names: st.tuples(*(some(**{name: SPEC[name] for name in half}) for half in (names[::2], names[1::2])))
    )
)
def test_managers_of_different_fields_commute(pair: tuple[Document, Document]) -> None:
    one, two = a_config(pair[0]), a_config(pair[1])
    forth = applied(applied(after([]), one, "one", force=False), two, "two", force=False)
    back = applied(applied(after([]), two, "two", force=False), one, "one", force=False)
    assert walks.equal(bare(forth), bare(back))
    assert owned(forth) == owned(back)


@given(steps, managers, configs)
def test_an_apply_without_force_takes_nothing_from_others(history: list[Step], manager: str, config: Document) -> None:
    live = after(history)
    forced = applied(live, config, manager)
    lost = [
        (who, path)
        for who, fieldset in owned(live).items()
        for path in fields.paths(fieldset)
        if who != (manager, "Apply") and path in there(forced) and not fields.has(owned(forced).get(who, {}), path)
    ]
    if not lost:
        assert applied(live, config, manager, force=False) == forced
        return
    with pytest.raises(Failure, match="Apply failed with") as failure:
        applied(live, config, manager, force=False)
    causes = failure.value.status["details"]["causes"]
    assert {cause["field"] for cause in causes} == {fields.say(path) for _, path in lost}


@given(steps, managers, specs)
def test_an_update_makes_its_writer_the_owner_of_what_it_changed(
    history: list[Step], manager: str, spec: Document
) -> None:
    live = after(history)
    result = updated(live, spec, manager)
    assert result["spec"] == spec
    before = {who: fieldset for who, fieldset in owned(live).items() if who != (manager, "Update")}
    for who, fieldset in owned(result).items():
        if who != (manager, "Update"):
            assert set(fields.paths(fieldset)) <= set(fields.paths(before[who]))


@given(steps, managers)
def test_an_update_that_changes_nothing_changes_no_owner(history: list[Step], manager: str) -> None:
    live = after(history)
    assert track(writer(manager, time="2027-01-01T00:00:00Z"), live, live) == live


@given(steps, configs)
def test_a_configuration_that_does_not_fit_is_refused_and_changes_nothing(
    history: list[Step], config: Document
) -> None:
    live = after(history)
    wrong = {**config, "spec": {**config.get("spec", {}), "parts": [{"name": "x"}, {"name": "x"}]}}
    with pytest.raises(Failure, match="duplicate entries for key"):
        applied(live, wrong, "one")
