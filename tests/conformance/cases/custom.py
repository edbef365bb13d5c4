"""CustomResourceDefinitions: what they have to say, what becomes of their objects, and what kubectl is told of them."""

from typing import Any, Final

from tests.conformance.cases.lists import TABLE
from tests.conformance.definitions import a_definition, a_version
from tests.conformance.steps import DEFINITIONS, Case, Step, apply, case, delete, get, merge, post, put, until

TEXT: Final = {"type": "string"}
COUNT: Final = {"type": "integer"}
PART: Final = "/apis/${ns}.example.com/v1/namespaces/${ns}/parts"
NAME: Final = "parts.${ns}.example.com"
_SHOWN: Final = "metadata.generation,metadata.finalizers,spec,status.acceptedNames,status.storedVersions"


def _of(name: str, *steps: Step) -> Case:
    return case("definitions", name, *steps)


def spec(**properties: Any) -> dict[str, Any]:
    """A version whose objects have a spec of these fields."""
    return a_version({"spec": {"type": "object", "properties": properties}})


def defined(*versions: dict[str, Any], path: str = PART, **rest: Any) -> list[Step]:
    """A definition of Parts, and the moment at which they are served."""
    return [
        post(DEFINITIONS, a_definition("parts", "Part", *versions, **rest), pick="kind"),
        until(get(path, pick="kind,apiVersion"), 200),
    ]


def part(name: str, spec: Any = None, **more: Any) -> dict[str, Any]:
    """One of its objects."""
    body: dict[str, Any] = {"apiVersion": "${ns}.example.com/v1", "kind": "Part", "metadata": {"name": name}, **more}
    return {**body, "spec": spec} if spec is not None else body


def judged(what: str, version: dict[str, Any] | None = None, **rest: Any) -> Case:
    """A definition that is looked at and not kept."""
    body = a_definition("parts", "Part", *([version] if version is not None else []), **rest)
    return _of(f"judged: {what}", post(DEFINITIONS, body, dryRun="All", pick="spec,status"))


CASES = [
    _of(
        "a new one",
        post(DEFINITIONS, a_definition("parts", "Part", spec(text=TEXT)), pick=_SHOWN),
        until(get(PART, pick="kind"), 200),
        get(f"{DEFINITIONS}/{NAME}", pick="status.conditions[type=Established],status.conditions[type=NamesAccepted]"),
    ),
    _of(
        "its objects go with it",
        *defined(spec(text=TEXT)),
        post(PART, part("a", {"text": "x"})),
        delete(f"{DEFINITIONS}/{NAME}", pick="metadata.finalizers"),
        until(get(f"{DEFINITIONS}/{NAME}"), 404),
        until(get(PART), 404),
    ),
    _of("fields are pruned", *defined(spec(text=TEXT)), post(PART, part("a", {"text": "x", "none": 1}, top=1))),
    _of(
        "fields are kept where it says so",
        *defined(
            spec(
                free={
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"known": {"type": "object", "properties": {"a": TEXT}}},
                }
            )
        ),
        post(PART, part("a", {"free": {"x": {"y": 1}, "known": {"a": "1", "b": "2"}}})),
    ),
    _of(
        "defaults",
        *defined(
            spec(
                text={**TEXT, "default": "x"},
                deep={"type": "object", "default": {}, "properties": {"count": {**COUNT, "default": 3}}},
                list={"type": "array", "items": {"type": "object", "properties": {"a": {**TEXT, "default": "d"}}}},
            )
        ),
        post(PART, part("a", {"list": [{}, {"a": "z"}]})),
        post(PART, part("b")),
    ),
    _of(
        "null and defaults",
        *defined(spec(text={**TEXT, "default": "x"}, maybe={**TEXT, "nullable": True, "default": "y"})),
        post(PART, part("a", {"text": None, "maybe": None})),
    ),
    _of(
        "embedded objects",
        *defined(
            spec(
                inner={
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "x-kubernetes-preserve-unknown-fields": True,
                }
            )
        ),
        post(
            PART,
            part("a", {"inner": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "none": 1}, "y": 1}}),
        ),
        post(PART, part("b", {"inner": {"x": 1}})),
    ),
    _of(
        "a status of its own",
        *defined(
            {
                **spec(text=TEXT),
                "schema": a_version(
                    {
                        "spec": {"type": "object", "properties": {"text": TEXT}},
                        "status": {"type": "object", "properties": {"phase": TEXT}},
                    }
                )["schema"],
                "subresources": {"status": {}},
            }
        ),
        post(PART, part("a", {"text": "x"}, status={"phase": "lost"})),
        merge(f"{PART}/a/status", {"status": {"phase": "x"}, "spec": {"text": "y"}}),
    ),
    _of(
        "no status of its own",
        *defined(
            a_version(
                {
                    "spec": {"type": "object", "properties": {"text": TEXT}},
                    "status": {"type": "object", "properties": {"phase": TEXT}},
                }
            )
        ),
        post(PART, part("a", {"text": "x"}, status={"phase": "kept"})),
        merge(f"{PART}/a", {"status": {"phase": "x"}}),
        get(f"{PART}/a/status"),
    ),
    _of(
        "a scale",
        *defined(
            a_version(
                {
                    "spec": {"type": "object", "properties": {"replicas": COUNT}},
                    "status": {"type": "object", "properties": {"replicas": COUNT, "selector": TEXT}},
                },
                subresources={
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector",
                    },
                },
            )
        ),
        post(PART, part("a", {"replicas": 2})),
        get(f"{PART}/a/scale"),
        merge(f"{PART}/a/scale", {"spec": {"replicas": 5}}),
        merge(f"{PART}/a/status", {"status": {"replicas": 3, "selector": "a=b"}}, pick="status"),
        get(f"{PART}/a/scale"),
        put(
            f"{PART}/a/scale",
            {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 7}},
        ),
        get(f"{PART}/a", pick="spec,metadata.generation,metadata.managedFields"),
        merge(f"{PART}/a/scale", {"spec": {"replicas": -1}}),
    ),
    _of(
        "columns",
        *defined(
            {
                **spec(text=TEXT, count=COUNT),
                "additionalPrinterColumns": [
                    {"name": "Text", "type": "string", "jsonPath": ".spec.text"},
                    {"name": "Count", "type": "integer", "jsonPath": ".spec.count", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
            }
        ),
        post(PART, part("a", {"text": "x", "count": 3}), pick="kind"),
        get(PART, accept=TABLE),
    ),
    _of(
        "short names and categories",
        *defined(
            spec(text=TEXT),
            names={
                "plural": "parts",
                "kind": "Part",
                "singular": "piece",
                "shortNames": ["pt"],
                "categories": ["all"],
                "listKind": "Pieces",
            },
        ),
        get("/apis/${ns}.example.com/v1"),
        get(PART),
    ),
    _of(
        "without namespaces",
        *defined(spec(text=TEXT), scope="Cluster", path="/apis/${ns}.example.com/v1/parts"),
        post("/apis/${ns}.example.com/v1/parts", part("a", {"text": "x"})),
        post(PART, part("a")),
    ),
    _of(
        "two versions",
        *defined({**spec(text=TEXT)}, {**spec(text=TEXT, more=TEXT), "name": "v2", "storage": False}),
        post(PART, part("a", {"text": "x"})),
        get("/apis/${ns}.example.com/v2/namespaces/${ns}/parts/a"),
        merge("/apis/${ns}.example.com/v2/namespaces/${ns}/parts/a", {"spec": {"text": "y"}}),
        get("/apis/${ns}.example.com"),
    ),
    _of(
        "a version that is not served",
        *defined(spec(text=TEXT), {**spec(text=TEXT), "name": "v2", "storage": False, "served": False}),
        get("/apis/${ns}.example.com/v2/namespaces/${ns}/parts"),
        get("/apis/${ns}.example.com"),
    ),
    _of(
        "versions are sorted",
        *defined(
            spec(text=TEXT),
            *(
                {**spec(text=TEXT), "name": name, "storage": False}
                for name in ("v1beta1", "v2alpha1", "v10", "v2", "other")
            ),
        ),
        get("/apis/${ns}.example.com"),
    ),
    _of(
        "a version that is deprecated",
        *defined({**spec(text=TEXT), "deprecated": True}),
        post(PART, part("a")),
        get(PART),
    ),
    _of(
        "a version that is deprecated with a word",
        *defined({**spec(text=TEXT), "deprecated": True, "deprecationWarning": "use another"}),
        get(PART),
    ),
    _of(
        "selectable fields",
        *defined(
            {
                **spec(text=TEXT, flag={"type": "boolean"}),
                "selectableFields": [{"jsonPath": ".spec.text"}, {"jsonPath": ".spec.flag"}],
            }
        ),
        post(PART, part("a", {"text": "x", "flag": True}), pick="kind"),
        post(PART, part("b", {"text": "y"}), pick="kind"),
        get(PART, fieldSelector="spec.text=x", pick="items"),
        get(PART, fieldSelector="spec.flag=true", pick="items"),
        get(PART, fieldSelector="spec.none=x"),
    ),
    _of(
        "another field later",
        *defined(spec(text=TEXT)),
        post(PART, part("a", {"text": "x", "more": "1"}), pick="spec"),
        merge(
            f"{DEFINITIONS}/{NAME}",
            {"spec": {"versions": [spec(text=TEXT, more={**TEXT, "default": "d"})]}},
            pick="metadata.generation",
        ),
        until(get(f"{PART}/a", pick="spec"), 200, spec={"text": "x", "more": "d"}),
    ),
    _of(
        "a field that is immutable",
        *defined(spec(text=TEXT)),
        merge(f"{DEFINITIONS}/{NAME}", {"spec": {"scope": "Cluster"}}),
        merge(f"{DEFINITIONS}/{NAME}", {"spec": {"group": "x.io"}}),
        merge(f"{DEFINITIONS}/{NAME}", {"spec": {"names": {"kind": "Other"}}}, pick="status.acceptedNames"),
    ),
    _of(
        "a stored version cannot go",
        *defined(spec(text=TEXT)),
        merge(f"{DEFINITIONS}/{NAME}", {"spec": {"versions": [{**spec(text=TEXT), "name": "v2"}]}}),
    ),
    _of(
        "list types",
        *defined(
            spec(
                set={"type": "array", "x-kubernetes-list-type": "set", "items": TEXT},
                map={
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["k"],
                    "items": {"type": "object", "required": ["k"], "properties": {"k": TEXT}},
                },
            )
        ),
        post(PART, part("a", {"set": ["a", "a"]})),
        post(PART, part("a", {"map": [{"k": "a"}, {"k": "a"}]})),
        post(PART, part("a", {"map": [{}]})),
    ),
    _of(
        "apply",
        *defined(spec(text=TEXT, count={**COUNT, "default": 1})),
        apply(f"{PART}/a", part("a", {"text": "x"}), "me"),
        apply(f"{PART}/a", part("a", {"text": "y"}), "you"),
    ),
    judged("no versions", versions=[]),
    judged("no storage", {**spec(text=TEXT), "storage": False}),
    judged("no schema", {"name": "v1", "served": True, "storage": True}),
    judged("a name of another group", group="other.io"),
    judged("no scope", scope="Other"),
    judged("bad names", names={"plural": "Parts", "kind": "part_"}),
    judged("a version's name", {**spec(text=TEXT), "name": "V1"}),
    judged("no type", spec(text={})),
    judged("an unknown type", spec(text={"type": "text"})),
    judged("items without a type", spec(list={"type": "array"})),
    judged("items of no type", spec(list={"type": "array", "items": {}})),
    judged(
        "a set of maps",
        spec(
            list={
                "type": "array",
                "x-kubernetes-list-type": "set",
                "items": {"type": "object", "properties": {"a": TEXT}},
            }
        ),
    ),
    judged(
        "a map without keys",
        spec(
            list={
                "type": "array",
                "x-kubernetes-list-type": "map",
                "items": {"type": "object", "properties": {"a": TEXT}},
            }
        ),
    ),
    judged(
        "a map with a key that is optional",
        spec(
            list={
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["a"],
                "items": {"type": "object", "properties": {"a": TEXT}},
            }
        ),
    ),
    judged(
        "properties and more of them",
        spec(map={"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT}),
    ),
    judged("a default against its rules", spec(text={**TEXT, "default": 1})),
    judged(
        "a default that would be pruned", spec(map={"type": "object", "default": {"x": 1}, "properties": {"a": TEXT}})
    ),
    judged("a type inside a rule", spec(text={**TEXT, "oneOf": [{"type": "string"}]})),
    judged("a rule with a pattern nobody reads", spec(text={**TEXT, "pattern": "["})),
    judged(
        "metadata with a rule",
        a_version({"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}),
    ),
    judged(
        "metadata with a name",
        a_version({"metadata": {"type": "object", "properties": {"name": {**TEXT, "maxLength": 3}}}}),
    ),
    judged("a reference", spec(text={"$ref": "#/x"})),
    judged("what no schema may have", spec(text={**TEXT, "uniqueItems": True})),
    judged(
        "a column with a bad path",
        {**spec(text=TEXT), "additionalPrinterColumns": [{"name": "x", "type": "string", "jsonPath": "spec.text"}]},
    ),
    judged(
        "a column of a bad type",
        {**spec(text=TEXT), "additionalPrinterColumns": [{"name": "x", "type": "text", "jsonPath": ".spec.text"}]},
    ),
    judged(
        "a scale with a bad path",
        {**spec(text=TEXT), "subresources": {"scale": {"specReplicasPath": ".x", "statusReplicasPath": "y"}}},
    ),
    judged("a selectable field that is none", {**spec(text=TEXT), "selectableFields": [{"jsonPath": ".spec.none"}]}),
    judged("a conversion nobody has", conversion={"strategy": "Other"}),
    judged("a conversion by webhook without one", conversion={"strategy": "Webhook"}),
    judged("fields kept everywhere", spec(text=TEXT), preserveUnknownFields=True),
    judged("a rule that cannot be read", spec(text={**TEXT, "x-kubernetes-validations": [{"rule": "self ="}]})),
    judged(
        "a rule of a field nobody has", spec(text={**TEXT, "x-kubernetes-validations": [{"rule": "self.none == 1"}]})
    ),
    judged("a rule that is no question", spec(text={**TEXT, "x-kubernetes-validations": [{"rule": "self"}]})),
    _of(
        "judged: an empty one",
        post(DEFINITIONS, {"metadata": {"name": "x"}}, dryRun="All"),
        post(DEFINITIONS, {"metadata": {"name": "x.y"}, "spec": {}}, dryRun="All"),
    ),
    _of(
        "a protected group",
        post(
            DEFINITIONS,
            {
                "metadata": {"name": "parts.x.k8s.io"},
                "spec": {
                    "group": "x.k8s.io",
                    "names": {"plural": "parts", "kind": "Part"},
                    "scope": "Namespaced",
                    "versions": [spec(text=TEXT)],
                },
            },
            dryRun="All",
        ),
    ),
]
_RULES: Final[dict[str, tuple[dict[str, Any], list[Any]]]] = {
    "a simple one": ({"rule": "self.count < 5"}, [{"count": 4}, {"count": 5}]),
    "with a message": ({"rule": "self.count < 5", "message": "too many"}, [{"count": 5}]),
    "with a message that is made": (
        {"rule": "self.count < 5", "messageExpression": "'at most 4 ' + self.text"},
        [{"count": 5, "text": "x"}],
    ),
    "with a reason": ({"rule": "self.count < 5", "reason": "FieldValueForbidden"}, [{"count": 5}]),
    "with a path": ({"rule": "self.count < 5", "fieldPath": ".count"}, [{"count": 5}]),
    "of a field that is not there": ({"rule": "self.count < 5"}, [{"text": "x"}]),
    "that asks whether it is there": ({"rule": "!has(self.count) || self.count < 5"}, [{"text": "x"}, {"count": 5}]),
    "with texts": (
        {"rule": "self.text.startsWith('a') && self.text.matches('^[a-z]+$')"},
        [{"text": "abc"}, {"text": "bc"}, {"text": "aB"}],
    ),
    "with all of a list": ({"rule": "self.list.all(x, x.size() < 3)"}, [{"list": ["a", "bb"]}, {"list": ["abc"]}]),
    "with one of a list": ({"rule": "self.list.exists(x, x == 'a')"}, [{"list": ["a", "bb"]}, {"list": []}]),
    "with a map": ({"rule": "self.map.all(k, self.map[k] != '')"}, [{"map": {"a": "b"}}, {"map": {"a": ""}}]),
    "with a quantity": (
        {"rule": "quantity(self.text).isGreaterThan(quantity('1Gi'))"},
        [{"text": "2Gi"}, {"text": "1Mi"}, {"text": "x"}],
    ),
    "with an address": (
        {"rule": "isIP(self.text) && ip(self.text).family() == 4"},
        [{"text": "1.2.3.4"}, {"text": "::1"}, {"text": "x"}],
    ),
    "with a network": (
        {"rule": "cidr(self.text).containsIP('10.0.0.1')"},
        [{"text": "10.0.0.0/8"}, {"text": "192.168.0.0/16"}],
    ),
    "with a url": (
        {"rule": "isURL(self.text) && url(self.text).getScheme() == 'https'"},
        [{"text": "https://a.b/c"}, {"text": "http://a.b"}],
    ),
    "with the lists' own functions": (
        {"rule": "self.list.isSorted() && self.list.indexOf('b') == 1"},
        [{"list": ["a", "b"]}, {"list": ["b", "a"]}],
    ),
    "with words": (
        {"rule": "self.text.split(',').size() == 2 && self.text.lowerAscii() == self.text"},
        [{"text": "a,b"}, {"text": "A,b"}],
    ),
    "with find": ({"rule": "self.text.find('[0-9]+') == '12'"}, [{"text": "a12b"}, {"text": "ab"}]),
    "with an optional": ({"rule": "self.?text.orValue('x') == 'x'"}, [{}, {"text": "x"}, {"text": "y"}]),
}
_FIELDS: Final = {
    "text": TEXT,
    "count": COUNT,
    "list": {"type": "array", "maxItems": 10, "items": {**TEXT, "maxLength": 10}},
    "map": {"type": "object", "maxProperties": 5, "additionalProperties": {**TEXT, "maxLength": 10}},
}


def _ruled(*rules: dict[str, Any]) -> dict[str, Any]:
    fields = {name: ({**one, "maxLength": 100} if one is TEXT else one) for name, one in _FIELDS.items()}
    return a_version({"spec": {"type": "object", "properties": fields, "x-kubernetes-validations": list(rules)}})


CASES += [
    case(
        "rules",
        what,
        *defined(_ruled(rule)),
        *(post(PART, part(f"p{number}", value), pick="spec") for number, value in enumerate(values)),
    )
    for what, (rule, values) in _RULES.items()
]
CASES += [
    case(
        "rules",
        "that compare with before",
        *defined(_ruled({"rule": "self.count >= oldSelf.count", "message": "never less"})),
        post(PART, part("a", {"count": 3}), pick="spec"),
        merge(f"{PART}/a", {"spec": {"count": 4}}, pick="spec"),
        merge(f"{PART}/a", {"spec": {"count": 2}}),
        apply(f"{PART}/a", part("a", {"count": 1}), "me", force="true"),
    ),
    case(
        "rules",
        "that compare with what may not have been",
        *defined(
            _ruled({"rule": "!oldSelf.hasValue() || self.count >= oldSelf.value().count", "optionalOldSelf": True})
        ),
        post(PART, part("a", {"count": 3}), pick="spec"),
        merge(f"{PART}/a", {"spec": {"count": 2}}),
    ),
    case(
        "rules",
        "a value that is immutable",
        *defined(
            spec(text={**TEXT, "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "immutable"}]})
        ),
        post(PART, part("a", {"text": "x"}), pick="spec"),
        merge(f"{PART}/a", {"spec": {"text": "y"}}),
        merge(f"{PART}/a", {"metadata": {"labels": {"x": "y"}}}, pick="metadata.labels"),
    ),
    case(
        "rules",
        "two of them",
        *defined(
            _ruled({"rule": "self.count < 5", "message": "first"}, {"rule": "self.count < 4", "message": "second"})
        ),
        post(PART, part("a", {"count": 5})),
    ),
    case(
        "rules",
        "what was wrong before may stay",
        *defined(spec(text=TEXT, count=COUNT)),
        post(PART, part("a", {"text": "long", "count": 1}), pick="spec"),
        merge(
            f"{DEFINITIONS}/{NAME}",
            {
                "spec": {
                    "versions": [
                        spec(text={**TEXT, "x-kubernetes-validations": [{"rule": "size(self) < 3"}]}, count=COUNT)
                    ]
                }
            },
            pick="metadata.generation",
        ),
        until(post(PART, part("probe", {"text": "long"}), dryRun="All"), 422),
        merge(f"{PART}/a", {"spec": {"count": 2}}, pick="spec"),
        merge(f"{PART}/a", {"spec": {"text": "other"}}),
    ),
]
