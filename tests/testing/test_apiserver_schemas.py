"""What a schema makes of a body: what is dropped, filled in, refused."""

from typing import Any, Final

import pytest

from tests.testing.callers import CHECKS, Api, a_check, a_thing

CAUSE: Final = {"value": "FieldValueInvalid", "type": "FieldValueTypeInvalid"}


def paths(api: Api) -> str:
    return api.things.replace("things", "checks")


# -- dropped and filled in -----------------------------------------------------------------------------------------


async def test_what_a_schema_does_not_list_is_dropped_and_so_is_a_null_that_it_does_not_allow(api: Api) -> None:
    spec = {
        "nothing": 1,
        "text": None,
        "leaf": {"a": "x", "c": 1},
        "leaves": {"k": {"a": "x", "c": 1}},
        "parts": [{"name": "p", "other": 1, "leaf": {"c": 1}}],
        "free": {"any": {"thing": [1, {"x": None}]}},
    }
    made = await api.made(api.things, {**a_thing("a", spec), "data": {"x": 1}}, fieldValidation="Ignore")
    assert made["spec"] == {
        "leaf": {"a": "x"},
        "leaves": {"k": {"a": "x"}},
        "parts": [{"name": "p", "leaf": {}}],
        "free": {"any": {"thing": [1, {"x": None}]}},
        "count": 5,
        "maybe": "sure",
    }
    assert "data" not in made.body


async def test_defaults_fill_what_is_missing_and_what_is_null_but_may_not_be(api: Api) -> None:
    spec = {
        "count": None,
        "maybe": None,
        "parts": [{"name": "p", "ports": [{"port": 1}, {"port": 2, "protocol": "UDP"}]}],
    }
    made = await api.thing("a", spec)
    assert made["spec"]["count"] == 5
    assert made["spec"]["maybe"] is None
    assert [one["protocol"] for one in made["spec"]["parts"][0]["ports"]] == ["TCP", "UDP"]
    assert "spec" not in (await api.thing("b")).body


async def test_an_empty_part_is_not_a_missing_one(api: Api) -> None:
    made = await api.thing("a", {"labels": {}, "list": [], "parts": [], "leaf": {}, "text": ""})
    empty = {"labels": {}, "list": [], "parts": [], "leaf": {}, "text": ""}
    assert made["spec"] == {**empty, "count": 5, "maybe": "sure"}


# -- refused -------------------------------------------------------------------------------------------------------

WRONG: Final[list[tuple[str, Any, str, str]]] = [
    ("text", 1, "type", 'Invalid value: "integer": spec.text in body must be of type string: "integer"'),
    ("text", [], "type", 'Invalid value: "array": spec.text in body must be of type string: "array"'),
    ("count", "1", "type", 'Invalid value: "string": spec.count in body must be of type integer: "string"'),
    ("count", 1.5, "type", 'Invalid value: "number": spec.count in body must be of type integer: "number"'),
    ("flag", "true", "type", 'Invalid value: "string": spec.flag in body must be of type boolean: "string"'),
    ("strict", {"a": 1}, "required", "Required value"),
    ("short", "abcd", "long", "Too long: may not be more than 3 bytes"),
    ("short", "", "value", 'Invalid value: "": spec.short in body should be at least 1 chars long'),
    ("letters", "a1", "value", "Invalid value: \"a1\": spec.letters in body should match '^[a-z]+$'"),
    ("mode", "C", "choice", 'Unsupported value: "C": supported values: "A", "B"'),
    ("small", 0, "value", "Invalid value: 0: spec.small in body should be greater than or equal to 1"),
    ("small", 11, "value", "Invalid value: 11: spec.small in body should be less than or equal to 10"),
    ("open", 0, "value", "Invalid value: 0: spec.open in body should be greater than 0"),
    ("even", 3, "value", "Invalid value: 3: spec.even in body should be a multiple of 2"),
    ("pair", ["a"], "value", "Invalid value: 1: spec.pair in body should have at least 2 items"),
    ("pair", ["a", "b", "c"], "many", "Too many: 3: must have at most 2 items"),
    ("few", {"a": "1", "b": "2"}, "many", "Too many: 2: must have at most 1 item"),
    ("few", {}, "value", "Invalid value: 0: spec.few in body should have at least 1 properties"),
    ("address", "x", "type", 'Invalid value: "x": spec.address in body must be of type ipv4: "x"'),
    ("network", "10.0.0.0", "type", 'Invalid value: "10.0.0.0": spec.network in body must be of type cidr: "10.0.0.0"'),
    ("moment", "x", "type", 'Invalid value: "x": spec.moment in body must be of type date-time: "x"'),
    ("port", 1.5, "type", 'Invalid value: "number": spec.port in body must be of type integer,string: "number"'),
]
REASONS: Final = {
    "value": "FieldValueInvalid",
    "type": "FieldValueTypeInvalid",
    "required": "FieldValueRequired",
    "long": "FieldValueTooLong",
    "many": "FieldValueTooMany",
    "choice": "FieldValueNotSupported",
}


@pytest.mark.parametrize(("name", "value", "reason", "message"), WRONG, ids=lambda value: str(value)[:20])
async def test_a_value_that_breaks_a_rule_is_refused_with_the_rule(
    api: Api, name: str, value: Any, reason: str, message: str
) -> None:
    reply = await api.post(paths(api), a_check("a", {name: value}))
    assert reply.code == 422, reply.body
    field = "spec.strict.b" if name == "strict" else f"spec.{name}"
    assert reply.causes[0] == (field, REASONS[reason], message)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", ""),
        ("count", 1),
        ("count", 3.0),
        ("short", "äöü"),
        ("letters", "abc"),
        ("mode", "A"),
        ("small", 10),
        ("even", 4),
        ("pair", ["a", "b"]),
        ("address", "10.0.0.1"),
        ("network", "10.0.0.0/8"),
        ("moment", "2026-01-01T00:00:00Z"),
        ("port", 80),
        ("port", "http"),
        ("any", {"a": 1}),
        ("any", "x"),
    ],
    ids=str,
)
async def test_a_value_that_keeps_the_rules_is_taken_as_it_is(api: Api, name: str, value: Any) -> None:
    made = await api.made(paths(api), a_check("a", {name: value}))
    assert made["spec"][name] == value


async def test_items_that_are_told_apart_may_not_be_there_twice(api: Api) -> None:
    spec = {"set": ["a", "b", "a"], "parts": [{"name": "p"}, {"name": "p", "size": 1}]}
    reply = await api.post(api.things, a_thing("a", spec))
    assert sorted(reply.causes) == [
        ("spec.parts[1]", "FieldValueDuplicate", 'Duplicate value: {"name":"p"}'),
        ("spec.set[2]", "FieldValueDuplicate", 'Duplicate value: "a"'),
    ]


async def test_a_combination_of_schemas_is_judged_as_one(api: Api) -> None:
    reply = await api.post(paths(api), a_check("a", {"either": {}}))
    assert reply.code == 422
    assert reply.causes[0] == (
        "<nil>",
        "FieldValueInvalid",
        'Invalid value: "": "spec.either" must validate one and only one schema (oneOf). Found none valid',
    )
    both = await api.post(paths(api), a_check("a", {"either": {"a": "1", "b": "2"}}))
    assert both.causes[0][2].endswith("Found 2 valid alternatives")
    assert (await api.post(paths(api), a_check("a", {"either": {"b": "2"}}))).code == 201


async def test_a_change_is_judged_by_what_it_changes(api: Api) -> None:
    await api.made(paths(api), a_check("a", {"text": "x"}))
    reply = await api.merge(f"{paths(api)}/a", {"spec": {"mode": "Z"}})
    assert reply.causes == [
        ("spec.mode", "FieldValueNotSupported", 'Unsupported value: "Z": supported values: "A", "B"')
    ]
    name = CHECKS["metadata"]["name"].removeprefix("checks.")
    assert reply["message"].startswith(f'Check.{name} "a" is invalid: spec.mode: Unsupported value')


async def test_a_status_is_judged_at_its_own_door(api: Api) -> None:
    await api.thing("a")
    reply = await api.merge(f"{api.things}/a/status", {"status": {"phase": 1}})
    assert reply.code == 422
    assert reply.causes[0][1] == "FieldValueTypeInvalid"
