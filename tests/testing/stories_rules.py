"""Stories about rules of schemas: which ones a server takes, and what they make of objects."""

from typing import Any, Final

from tests.testing.callers import DEFINITIONS
from tests.testing.stories import Story, apply, merge, post
from tests.testing.stories_definitions import TEXT, definition, version, with_field, with_schema
from tests.testing.stories_kinds import answers, served

NUMBER: Final = {"type": "integer"}


def ruled(*rules: Any) -> dict[str, Any]:
    """These rules, as a schema has them."""
    return {"x-kubernetes-validations": [{"rule": one} if isinstance(one, str) else one for one in rules]}


_SPEC: Final = {
    "type": "object",
    "properties": {
        "text": {**TEXT, "maxLength": 10},
        "number": NUMBER,
        "list": {"type": "array", "items": {**TEXT, "maxLength": 5}, "maxItems": 5},
        "namespace": {**TEXT, "maxLength": 5},
        "either": {"x-kubernetes-int-or-string": True, "maxLength": 5},
    },
}

BAD: Final[dict[str, dict[str, Any]]] = {
    "no rule": with_field({**TEXT, **ruled("")}),
    "a message of blanks": with_field({**TEXT, **ruled({"rule": "true", "message": " "})}),
    "a message with a break": with_field({**TEXT, **ruled({"rule": "true", "message": "a\nb"})}),
    "a rule with a break": with_field({**TEXT, **ruled("true &&\ntrue")}),
    "an unknown reason": with_field({**TEXT, **ruled({"rule": "true", "reason": "Magic"})}),
    "an unknown field path": with_field({**_SPEC, **ruled({"rule": "true", "fieldPath": ".magic"})}),
    "a blank expression": with_field({**TEXT, **ruled({"rule": "true", "messageExpression": " "})}),
    "an unknown field": with_field({**_SPEC, **ruled("self.magic == 1")}),
    "an unknown variable": with_field({**_SPEC, **ruled("magic == 1")}),
    "an unknown function": with_field({**_SPEC, **ruled("self.text.magic()")}),
    "a text that is no expression": with_field({**_SPEC, **ruled("self.text ==")}),
    "an open bracket": with_field({**_SPEC, **ruled("(self.text == 'a'")}),
    "types that do not fit": with_field({**_SPEC, **ruled("self.text + 1 == 2")}),
    "a comparison of types": with_field({**_SPEC, **ruled("self.text == 1")}),
    "several errors": with_field({**_SPEC, **ruled("self.text == 1 && self.magic && foo(3)")}),
    "no boolean": with_field({**_SPEC, **ruled("self.text")}),
    "an expression that is no text": with_field({**_SPEC, **ruled({"rule": "true", "messageExpression": "1"})}),
    "a bad message expression": with_field({**_SPEC, **ruled({"rule": "true", "messageExpression": "self.magic"})}),
    "a mixed list": with_field({**TEXT, **ruled("[1, 'a'].size() == 2")}),
    "a bad duration": with_field({**TEXT, **ruled("duration('x') == duration('1s')")}),
    "a bad time": with_field({**TEXT, **ruled("timestamp('x') == timestamp('y')")}),
    "a bad pattern": with_field({**TEXT, **ruled("self.matches('(')")}),
    "a select of a scalar": with_field({**TEXT, **ruled("self.foo == 1")}),
    "the old value in a list": with_field(
        {"type": "array", "maxItems": 3, "items": {**TEXT, **ruled("self == oldSelf")}}
    ),
    "an optional that is not used": with_field({**TEXT, **ruled({"rule": "true", "optionalOldSelf": True})}),
    "an optional that is taken for a value": with_field(
        {**TEXT, **ruled({"rule": "self == oldSelf", "optionalOldSelf": True})}
    ),
    "rules in anyOf": with_field({**TEXT, "anyOf": [ruled("true")]}),
    "labels": with_schema({"type": "object", **ruled("self.metadata.labels.size() == 0")}),
    "bind is not there": with_field({**TEXT, **ruled("cel.bind(x, self, x == 'a')")}),
    "math is not there": with_field({**NUMBER, **ruled("math.greatest(self, 1) == 1")}),
    "reverse of a text": with_field({**TEXT, **ruled("self.reverse() == 'a'")}),
    "null for a number": with_field({**_SPEC, **ruled("self.number == null")}),
}
GOOD: Final[tuple[str, ...]] = (
    "has(self.text) && self.text.size() < 5",
    "self.list.all(x, x.startsWith('a')) || self.list.exists(x, x == 'b')",
    "self.list.map(x, x + 'b').filter(x, x.endsWith('b')).size() >= 0",
    "self.__namespace__ == 'x'",
    "type(self.either) == string ? self.either == 'a' : self.either > 3",
    "self.?text.orValue('x') == 'x'",
    "self.list.isSorted() && self.list.min() == 'a'",
    "quantity('1Gi').isGreaterThan(quantity('1Mi')) && isQuantity(self.text)",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3') && ip('::1').isLoopback()",
    "url('https://a.example/b?c=d').getHost() == 'a.example' && isURL(self.text)",
    "format.dns1123Label().validate(self.text).hasValue()",
    "semver('1.2.3').isLessThan(semver('1.3.0')) && isSemver('1.0.0')",
    "sets.contains(['a'], self.list) && self.text.find('a+') == 'aa'",
    "'%s %d'.format([self.text, self.number]) == 'a 1'",
    "[1, 2].sum() == 3",
    "1 < 1.5 && self.number < 2.5 && lists.range(3) == [0, 1, 2]",
    "self.metadata.name.size() > 0",
)
_RUNTIME: Final[tuple[tuple[str, Any], ...]] = (
    ("self.list[5] == 'x'", {"list": ["a"]}),
    ("self.text == 'x'", {}),
    ("self.number / (self.number - 1) == 1", {"number": 1}),
    ("self.number % (self.number - 1) == 1", {"number": 1}),
    ("self.number + 9223372036854775807 > 0", {"number": 1}),
    ("int(self.text) == 1", {"text": "x"}),
    ("self.either + 1 == 2", {"either": "a"}),
    ("self.text.matches(self.text)", {"text": "("}),
    ("self.text.substring(5) == 'x'", {"text": "a"}),
    ("self.text.charAt(5) == 'x'", {"text": "a"}),
    ("duration(self.text) > duration('1s')", {"text": "x"}),
    ("timestamp(self.text) > timestamp('2020-01-01T00:00:00Z')", {"text": "x"}),
    ("quantity(self.text).isInteger()", {"text": "x"}),
    ("ip(self.text).family() == 4", {"text": "x"}),
    ("cidr(self.text).prefixLength() == 4", {"text": "x"}),
    ("url(self.text).getHost() == 'x'", {"text": "x"}),
    ("semver(self.text).major() == 1", {"text": "x"}),
    ("bool(self.text)", {"text": "x"}),
    ("double(self.text) > 1.0", {"text": "x"}),
    ("[].min() == 1", {}),
    ("optional.none().value() == 1", {}),
    ("{'a': 1}['b'] == 1", {}),
    ("self.list.exists_one(x, x == 'a')", {"list": ["a", "a"]}),
    ("false && self.text == 'x'", {}),
    ("true || self.text == 'x'", {}),
    ("self.list.all(x, x.size() / 0 == 1)", {"list": ["a"]}),
    ("self.list.exists(x, x == 'b' || int(x) == 1)", {"list": ["a", "b"]}),
    ("string(self.number) == '1' && string(1.5) == '1.5' && string(duration('90s')) == '90s'", {"number": 1}),
    ("'abc'.indexOf('c') == 2 && 'abcabc'.lastIndexOf('a') == 3 && 'abc'.replace('b', 'x') == 'axc'", {}),
    ("timestamp('2020-02-03T04:05:06Z').getMonth() == 1 && duration('1h30m').getMinutes() == 90", {}),
    ("-7 / 2 == -3 && -7 % 2 == -1 && 7.0 / 2.0 == 3.5", {}),
    ("[1, 2, 3].slice(1, 3) == [2, 3] && [3, 1, 2].sort() == [1, 2, 3] && [1, 1].distinct() == [1]", {}),
    ("{'a': 1}.transformMap(k, v, v + 1) == {'a': 2} && [[1], [2]].flatten() == [1, 2]", {}),
)


def _faults() -> Story:
    group = "faults.example.com"
    spec = {
        "type": "object",
        "properties": {
            "min": NUMBER,
            "max": {**NUMBER, **ruled({"rule": "self < 100", "message": "too much"})},
            "name": {
                **TEXT,
                "maxLength": 10,
                **ruled(
                    {"rule": "self == oldSelf", "message": "never changes", "reason": "FieldValueForbidden"},
                    {"rule": "self != 'bad'", "messageExpression": "'not ' + self", "message": "unused"},
                ),
            },
            "parts": {
                "type": "array",
                "maxItems": 5,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["id"],
                "items": {
                    "type": "object",
                    "required": ["id"],
                    "properties": {
                        "id": {**TEXT, "maxLength": 5},
                        "size": {**NUMBER, **ruled({"rule": "self >= oldSelf", "message": "may only grow"})},
                    },
                },
            },
            "tags": {
                "type": "object",
                "maxProperties": 3,
                "additionalProperties": {**TEXT, "maxLength": 5, **ruled("self != ''")},
            },
            "set": {
                "type": "array",
                "maxItems": 5,
                "x-kubernetes-list-type": "set",
                "items": {**TEXT, "maxLength": 3},
                **ruled({"rule": "self == oldSelf", "message": "the set stays"}),
            },
            "once": {
                **NUMBER,
                **ruled({"rule": "!oldSelf.hasValue() || self == oldSelf.value()", "optionalOldSelf": True}),
            },
        },
        **ruled(
            {
                "rule": "!has(self.min) || !has(self.max) || self.min <= self.max",
                "fieldPath": ".min",
                "reason": "FieldValueRequired",
            },
            "!has(self.min) || self.min != 13",
            {"rule": "!has(self.min) || self.min != 14", "messageExpression": "'line\\nbreak'", "message": "fallback"},
            {"rule": "!has(self.min) || self.min != 15", "messageExpression": "string(1 / (self.min - 15))"},
            {"rule": "!has(self.min) || self.min != 16", "reason": "FieldValueDuplicate", "message": "again"},
        ),
    }
    schema = {
        "type": "object",
        "properties": {"spec": spec},
        **ruled({"rule": "self.metadata.name != 'evil'", "message": "a bad name"}),
    }
    path = f"/apis/{group}/v1/namespaces/default/cases"

    def case(own: str, **fields: Any) -> dict[str, Any]:
        return {"apiVersion": f"{group}/v1", "kind": "Case", "metadata": {"name": own}, "spec": fields}

    return Story(
        "rules at work",
        (
            post(DEFINITIONS, definition(group, versions=[version("v1", schema, subresources={"status": {}})])),
            served(group),
            answers(path),
            post(path, case("evil")),
            post(path, case("a", min=5, max=3)),
            post(path, case("a", max=100)),
            post(path, case("a", min=13)),
            post(path, case("a", min=14)),
            post(path, case("a", min=15)),
            post(path, case("a", min=16)),
            post(path, case("a", name="bad")),
            post(path, case("a", tags={"x": ""})),
            post(path, case("a", max="x", min=13)),
            post(path, case("a", name="n", parts=[{"id": "1", "size": 5}], once=1, set=["a", "b"])),
            merge(f"{path}/a", {"spec": {"name": "m"}}),
            merge(f"{path}/a", {"spec": {"parts": [{"id": "2", "size": 1}, {"id": "1", "size": 4}]}}),
            merge(f"{path}/a", {"spec": {"parts": [{"id": "2", "size": 1}, {"id": "1", "size": 6}]}}),
            merge(f"{path}/a", {"spec": {"set": ["b", "a"]}}),
            merge(f"{path}/a", {"spec": {"set": ["b", "c"]}}),
            merge(f"{path}/a", {"spec": {"once": 2}}),
            merge(f"{path}/a", {"spec": {"once": None}}),
            merge(f"{path}/a", {"spec": {"once": 2}}),
            apply(f"{path}/a", case("a", min=9, max=8), "applier", force="true"),
        ),
    )


def _ratcheting() -> Story:
    group = "ratchet.example.com"
    path = f"/apis/{group}/v1/namespaces/default/cases"

    def schema(*rules: Any) -> dict[str, Any]:
        part = {"type": "object", "properties": {"a": NUMBER}, **ruled(*rules)}
        return {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": {"x": part, "other": TEXT}}},
        }

    case = {"apiVersion": f"{group}/v1", "kind": "Case", "metadata": {"name": "a"}, "spec": {"x": {"a": 1}}}
    strict = [version("v1", schema({"rule": "self.a > 5", "message": "more than 5"}))]
    return Story(
        "a rule that came later",
        (
            post(DEFINITIONS, definition(group, versions=[version("v1", schema())])),
            served(group),
            answers(path),
            post(path, case),
            merge(f"{DEFINITIONS}/cases.{group}", {"spec": {"versions": strict}}),
            # a new object is refused as soon as the rule is in force
            post(
                path,
                {**case, "metadata": {"name": "b"}},
                query={"dryRun": "All"},
                until=lambda reply: reply.code == 422,
            ),
            merge(f"{path}/a", {"spec": {"other": "y"}}),
            merge(f"{path}/a", {"spec": {"x": {"a": 2}}}),
            merge(f"{path}/a", {"spec": {"x": {"a": 6}}}),
        ),
    )


def _runtime() -> Story:
    group = "runtime.example.com"
    path = f"/apis/{group}/v1/namespaces/default/cases"
    fields = {f"r{index}": {**_SPEC, **ruled(rule)} for index, (rule, _) in enumerate(_RUNTIME)}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}
    bodies = [
        {
            "apiVersion": f"{group}/v1",
            "kind": "Case",
            "metadata": {"name": f"r{index}"},
            "spec": {f"r{index}": value},
        }
        for index, (_, value) in enumerate(_RUNTIME)
    ]
    return Story(
        "what goes wrong while a rule runs",
        (
            post(DEFINITIONS, definition(group, versions=[version("v1", schema)])),
            served(group),
            answers(path),
            *(post(path, body, query={"dryRun": "All"}) for body in bodies),
        ),
    )


def stories() -> list[Story]:
    """What is refused, what is taken, what happens then."""
    good = {
        rule: with_schema({"type": "object", "properties": {"f": _SPEC}, **ruled(rule)})
        if "metadata" in rule
        else with_field({**_SPEC, **ruled(rule)})
        for rule in GOOD
    }
    return [
        *(Story(name, (post(DEFINITIONS, body, query={"dryRun": "All"}),)) for name, body in {**BAD, **good}.items()),
        _faults(),
        _ratcheting(),
        _runtime(),
    ]
