"""Sets of field paths obey the laws of sets, in the form that objects carry them in."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconcile.testing.apiserver import fields
from reconcile.testing.apiserver.fields import FieldSet, Path

ELEMENTS = ("f:a", "f:b", 'k:{"n":"x"}', 'v:"x"', "v:1", "i:0", "i:12")
paths = st.lists(st.sampled_from(ELEMENTS), min_size=1, max_size=4).map(tuple)
sets = st.frozensets(paths, max_size=8)


def of(members: frozenset[Path]) -> FieldSet:
    return fields.of_paths(*members)


def members(fieldset: FieldSet) -> frozenset[Path]:
    found = list(fields.paths(fieldset))
    assert len(found) == len(set(found))
    return frozenset(found)


@given(sets)
def test_a_set_has_the_paths_it_was_made_of(one: frozenset[Path]) -> None:
    assert members(of(one)) == one
    assert all(fields.has(of(one), path) for path in one)
    assert bool(of(one)) == bool(one)


@given(sets, sets)
def test_union_intersection_and_difference_are_those_of_sets(one: frozenset[Path], other: frozenset[Path]) -> None:
    laws: list[tuple[Callable[[Any, Any], FieldSet], frozenset[Path]]] = [
        (fields.union, one | other),
        (fields.intersection, one & other),
        (fields.difference, one - other),
        (
            fields.recursive_difference,
            frozenset(path for path in one if not any(path[:length] in other for length in range(1, len(path) + 1))),
        ),
    ]
    for operation, expected in laws:
        left, right = of(one), of(other)
        assert members(operation(left, right)) == expected
        assert (members(left), members(right)) == (one, other)


@given(sets, sets)
def test_a_set_has_one_form(one: frozenset[Path], other: frozenset[Path]) -> None:
    assert fields.union(of(one), of(other)) == of(one | other)
    assert fields.difference(of(one), of(other)) == of(one - other)
    assert fields.intersection(of(one), of(other)) == of(one & other)


def test_a_path_is_said_as_the_real_server_says_it() -> None:
    path = ("f:spec", 'k:{"port":80,"protocol":"TCP"}', "f:names", 'v:"x"')
    assert fields.say(path) == '.spec[port=80,protocol="TCP"].names[="x"]'
    assert fields.say(("f:list", "i:3")) == ".list[3]"


def test_elements_are_written_as_the_real_server_writes_them() -> None:
    assert fields.key_element({"protocol": "TCP", "port": 80}) == 'k:{"port":80,"protocol":"TCP"}'
    assert fields.value_element("a<b>&c") == 'v:"a\\u003cb\\u003e\\u0026c"'
    assert fields.value_element(True) == "v:true"
