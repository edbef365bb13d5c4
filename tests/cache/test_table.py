"""Objects and their indexes, changed together."""

from typing import Any

import pytest

from reconcile.cache.table import Index, Table
from reconcile.kube.objects import ObjectKey
from tests.cache.things import an_entry

A, B = ObjectKey("default", "a"), ObjectKey("default", "b")


def test_a_value_that_nothing_has_any_more_leaves_nothing_behind() -> None:
    table = Table(2)
    table.put(an_entry("a"), (("x", "y"), ()))
    table.put(an_entry("b"), (("x",), ("z",)))
    table.put(an_entry("a"), (("x",), ()))
    assert list(table.keys_by(0, "x")) == [A, B]
    assert table.values(A) == (("x",), ())
    table.pop(A)
    assert list(table.keys_by(0, "x")) == [B]
    assert table.pop(B) is not None
    assert table.pop(B) is None
    assert (len(table), table.bytes, list(table.entries()), table._objects) == (0, 0, [], {})
    assert (table._keys, table._values) == (({}, {}), {})


def test_objects_are_found_by_namespace_in_the_order_they_came() -> None:
    table = Table()
    for name, namespace in (("b", "one"), ("a", "two"), ("a", "one")):
        table.put(an_entry(name, namespace=namespace), ())
    assert [entry.key.name for entry in table.entries("one")] == ["b", "a"]
    assert [str(entry.key) for entry in table.entries()] == ["one/b", "one/a", "two/a"]
    assert table.get(ObjectKey("two", "b")) is None
    assert list(table.entries("three")) == []


@pytest.mark.parametrize(("said", "values"), [(None, ()), ("text", ("text",)), (["a", "a", 1], ("a", 1)), ((), ())])
def test_an_index_function_may_say_nothing_one_text_or_many_values(said: Any, values: tuple[Any, ...]) -> None:
    assert Index("i", lambda about: said).values(None) == values
