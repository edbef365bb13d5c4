"""What a request has to be: validation of fields, dry runs, media types, sizes, paths and verbs; what is found out."""

import json
from typing import Any, Final

from tests.conformance.definitions import CHECK_LIST, THING_LIST
from tests.conformance.steps import (
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    MAPS,
    MERGE,
    PODS,
    SECRETS,
    SERVICES,
    YAML,
    Case,
    Step,
    apply,
    case,
    get,
    json_patch,
    merge,
    post,
    put,
    send,
    strategic,
)
from tests.testing.callers import GROUP, a_check, a_map, a_thing

A: Final = f"{MAPS}/a"
THING: Final = f"{THING_LIST}/a"
_TWICE: Final = '{"metadata":{"name":"a"},"data":{"x":"1","x":"2"}}'
_THING_TWICE: Final = (
    '{"apiVersion":"shop.example.com/v1","kind":"Thing","metadata":{"name":"a"},"spec":{"text":"1","text":"2"}}'
)


def _checked(name: str, *steps: Step) -> Case:
    return case("validation", name, *steps)


CASES: list[Case] = []
for _mode in ("", "Strict", "Warn", "Ignore"):
    _asked: dict[str, Any] = {"fieldValidation": _mode} if _mode else {}
    _title = _mode or "unset"
    CASES += [
        _checked(
            f"unknown fields, {_title}: create",
            post(MAPS, {**a_map("a", {"x": "1"}), "none": 1, "metadata": {"name": "a", "other": 2}}, **_asked),
        ),
        _checked(
            f"unknown fields, {_title}: create a custom object",
            post(
                THING_LIST,
                {**a_thing("a", {"none": 1, "leaf": {"z": 1}, "parts": [{"name": "x", "y": 1}]}), "top": 1},
                **_asked,
            ),
        ),
        _checked(
            f"unknown fields, {_title}: unknown metadata of a custom object",
            post(THING_LIST, a_thing("a", other=1), **_asked),
        ),
        _checked(
            f"unknown fields, {_title}: update", post(MAPS, a_map("a")), put(A, {**a_map("a"), "none": 1}, **_asked)
        ),
        _checked(f"unknown fields, {_title}: merge patch", post(MAPS, a_map("a")), merge(A, {"none": 1}, **_asked)),
        _checked(
            f"unknown fields, {_title}: merge patch of a custom object",
            post(THING_LIST, a_thing("a")),
            merge(THING, {"spec": {"none": 1}}, **_asked),
        ),
        _checked(
            f"unknown fields, {_title}: json patch",
            post(THING_LIST, a_thing("a", {})),
            json_patch(THING, [{"op": "add", "path": "/spec/none", "value": 1}], **_asked),
        ),
        _checked(
            f"unknown fields, {_title}: strategic patch", post(MAPS, a_map("a")), strategic(A, {"none": 1}, **_asked)
        ),
        _checked(f"a field twice, {_title}: create", send("POST", MAPS, _TWICE, **_asked)),
        _checked(f"a field twice, {_title}: create a custom object", send("POST", THING_LIST, _THING_TWICE, **_asked)),
        _checked(
            f"a field twice, {_title}: merge patch",
            post(MAPS, a_map("a")),
            send("PATCH", A, '{"data":{"x":"1","x":"2"}}', media=MERGE, **_asked),
        ),
        _checked(
            f"a field twice, {_title}: yaml",
            send("POST", MAPS, "metadata: {name: a}\ndata:\n  x: '1'\n  x: '2'\n", media=YAML, **_asked),
        ),
    ]
CASES += [
    _checked(
        "a mode nobody has",
        post(MAPS, a_map("a"), fieldValidation="Other"),
        post(MAPS, a_map("a"), fieldValidation="strict"),
    ),
    _checked(
        "a known field in another case",
        post(MAPS, {"Metadata": {"name": "a"}, "metadata": {"name": "a"}, "Data": {"x": "1"}}),
        post(MAPS, {"metadata": {"name": "b"}, "Data": {"x": "1"}}, fieldValidation="Strict"),
    ),
    _checked(
        "several faults at once, strictly",
        send("POST", MAPS, '{"metadata":{"name":"a"},"data":{"x":"1","x":"2"},"none":1}', fieldValidation="Strict"),
    ),
    _checked(
        "dry runs",
        *(
            step
            for value in ("All", "", "Some", "all")
            for step in (post(MAPS, a_map("a"), dryRun=value, pick="metadata.name"),)
        ),
    ),
    _checked(
        "dry runs of all verbs",
        post(MAPS, a_map("a")),
        put(A, a_map("a", {"x": "1"}), dryRun="All"),
        merge(A, {"data": {"x": "1"}}, dryRun="All"),
        json_patch(A, [], dryRun="All"),
        strategic(A, {"data": {"x": "1"}}, dryRun="All"),
        get(A),
    ),
    _checked("a dry run with a generated name", post(MAPS, {"metadata": {"generateName": "g-"}}, dryRun="All")),
    _checked(
        "a dry run that fails",
        post(MAPS, a_map("A"), dryRun="All"),
        post("/api/v1/namespaces/nowhere/configmaps", a_map("a"), dryRun="All"),
    ),
    _checked(
        "a manager",
        post(MAPS, a_map("a", {"x": "1"}), fieldManager="me"),
        post(MAPS, a_map("b"), fieldManager="a" * 129),
        post(MAPS, a_map("b"), fieldManager="a\nb"),
    ),
]
_VALUES: Final[dict[str, Any]] = {
    "a text that is none": {"text": 1},
    "a number that is none": {"count": "1"},
    "a number with a fraction": {"count": 1.5},
    "a number that is whole": {"count": 2.0},
    "a flag that is none": {"flag": "true"},
    "a map that is none": {"strict": []},
    "null": {"text": None},
    "too long": {"short": "abcd"},
    "too short": {"short": ""},
    "a pattern": {"letters": "A1"},
    "a value among others": {"mode": "C"},
    "too large": {"small": 11},
    "too small": {"small": 0},
    "at an open end": {"open": 0},
    "a multiple": {"even": 3},
    "too few": {"pair": ["a"]},
    "too many": {"pair": ["a", "b", "c"]},
    "too few fields": {"few": {}},
    "too many fields": {"few": {"a": "1", "b": "2"}},
    "an address": {"address": "1.2.3"},
    "a network": {"network": "1.2.3.4"},
    "a moment": {"moment": "yesterday"},
    "a missing field": {"strict": {"a": 1}},
    "a port by name": {"port": "http"},
    "a port that is none": {"port": 1.5},
    "anything": {"any": {"x": [1, {"y": None}]}},
    "one of two": {"either": {"a": "1"}},
    "both of two": {"either": {"a": "1", "b": "1"}},
    "none of two": {"either": {}},
    "several faults": {"text": 1, "small": 11, "mode": "C"},
}
CASES += [
    case("validation", f"custom values: {what}", post(CHECK_LIST, a_check("a", spec))) for what, spec in _VALUES.items()
]


_WORDS: Final = (
    *("yes", "on", "n", "Null", "~", "010", "0o7", "0x1F", "1_000", "1e3", "1.50", ".5", "12:30:45", "2001-01-01"),
    *("!!str 5", "'5'", "-0", "+1", "0b1", ".inf", "TRUE", "''"),
)


def _wrong(name: str, *steps: Step) -> Case:
    return case("errors", name, *steps)


CASES += [
    _wrong(
        "a path that leads nowhere",
        get("/nowhere"),
        get("/api/v1/nowhere"),
        get("/api/v2"),
        get("/apis/nowhere.io/v1"),
        get("/apis/nowhere.io/v1/things"),
    ),
    _wrong(
        "a version nobody has", get("/apis/apps/v9"), get("/apis/apps/v9/deployments"), get(f"/apis/{GROUP}/v9/things")
    ),
    _wrong(
        "a kind nobody has",
        get(f"/apis/{GROUP}/v1/namespaces/${{ns}}/nothings"),
        get("/api/v1/namespaces/${ns}/nothings"),
        get("/apis/apps/v1/namespaces/${ns}/nothings"),
    ),
    _wrong(
        "a subresource nobody has",
        post(MAPS, a_map("a"), pick="kind"),
        get(f"{A}/nothing"),
        put(f"{A}/status", a_map("a")),
        post(THING_LIST, a_thing("a"), pick="kind"),
        get(f"{THING}/nothing"),
        get(f"{THING}/scale"),
    ),
    _wrong(
        "a verb nobody has",
        send("PUT", MAPS, a_map("a")),
        send("PATCH", MAPS, {}, media=MERGE),
        send("POST", A, a_map("a")),
        send("PUT", THING_LIST, a_thing("a")),
        send("PATCH", THING_LIST, {}, media=MERGE),
        send("POST", THING, a_thing("a")),
    ),
    _wrong("a method nobody has", send("OPTIONS", MAPS), send("TRACE", MAPS)),
    _wrong("a method that is none", send("FOO", MAPS)),
    _wrong(
        "a creation across namespaces",
        post("/api/v1/configmaps", a_map("a")),
        post(f"/apis/{GROUP}/v1/things", a_thing("a")),
    ),
    _wrong(
        "a creation in a namespace of what has none",
        post("/api/v1/namespaces/${ns}/namespaces", {"metadata": {"name": "x"}}),
    ),
    _wrong("no body", send("POST", MAPS, ""), send("PUT", A, ""), send("POST", THING_LIST, "")),
    _wrong(
        "a body that is no JSON",
        send("POST", MAPS, "{"),
        send("POST", MAPS, "x"),
        send("POST", MAPS, "[]"),
        send("POST", MAPS, '"x"'),
        send("POST", MAPS, "null"),
    ),
    _wrong(
        "a custom body that is no JSON",
        send("POST", THING_LIST, "{"),
        send("POST", THING_LIST, "[]"),
        send("POST", THING_LIST, "null"),
    ),
    _wrong(
        "a body with more behind it",
        send("POST", MAPS, '{"metadata":{"name":"a"}} {}'),
        send("POST", MAPS, '{"metadata":{"name":"b"}},'),
    ),
    _wrong(
        "a number that is none",
        send(
            "POST",
            THING_LIST,
            '{"apiVersion":"shop.example.com/v1","kind":"Thing","metadata":{"name":"a"},"spec":{"count":NaN}}',
        ),
    ),
    _wrong("yaml where JSON is said", send("POST", MAPS, "metadata:\n  name: a\n")),
    _wrong("JSON where yaml is said", send("POST", MAPS, '{"metadata":{"name":"a"}}', media=YAML)),
    _wrong(
        "a body in yaml",
        send("POST", MAPS, "metadata:\n  name: a\ndata:\n  x: 'yes'\n", media=YAML),
        send("POST", THING_LIST, "apiVersion: shop.example.com/v1\nkind: Thing\nmetadata:\n  name: a\n", media=YAML),
    ),
    _wrong(
        "yaml with a value of another type",
        send("POST", MAPS, "metadata:\n  name: a\ndata:\n  x: yes\n  y: 1\n", media=YAML),
    ),
    *(
        _wrong(
            f"yaml for {word}",
            send(
                "POST",
                THING_LIST,
                f"apiVersion: {GROUP}/v1\nkind: Thing\nmetadata: {{name: a}}\nspec:\n  free:\n    x: {word}\n",
                media=YAML,
                pick="spec",
            ),
        )
        for word in _WORDS
    ),
    _wrong(
        "yaml with anchors and several documents",
        send("POST", MAPS, "metadata: &m {name: a}\ndata: {x: 'y'}\nnone: *m\n", media=YAML),
        send("POST", MAPS, "metadata: {name: b}\n---\nmetadata: {name: c}\n", media=YAML),
        send("POST", MAPS, "metadata: {name: d}\ndata: *nothing\n", media=YAML),
        send("POST", MAPS, "metadata: {name: e}\n data: x\n", media=YAML),
        send("POST", MAPS, "metadata: {name: f}\ndata: {1: 'x'}\n", media=YAML),
    ),
    _wrong("yaml that is none", send("POST", MAPS, "a: b: c", media=YAML), send("POST", MAPS, "\t", media=YAML)),
    _wrong(
        "a media type nobody reads",
        send("POST", MAPS, "x", media="text/plain"),
        send("POST", THING_LIST, "x", media="text/plain"),
        send("PUT", A, "x", media="application/xml"),
    ),
    _wrong("no media type", send("POST", MAPS, json.dumps({"metadata": {"name": "a"}}), media="")),
    _wrong(
        "a media type with parameters",
        send("POST", MAPS, {"metadata": {"name": "a"}}, media="application/json; charset=utf-8", pick="metadata.name"),
    ),
    _wrong(
        "a body that is not UTF-8", send("POST", MAPS, b'{"metadata":{"name":"a"},"data":{"x":"\xff"}}', pick="data")
    ),
    _wrong(
        "a body that is too large",
        send("POST", MAPS, '{"metadata":{"name":"a"},"data":{"x":"' + "y" * (3 * 1024 * 1024) + '"}}'),
    ),
    _wrong(
        "a field of a wrong type",
        post(MAPS, {"metadata": {"name": "a"}, "data": {"x": 1}}),
        post(MAPS, {"metadata": {"name": "a"}, "immutable": "x"}),
        post(SECRETS, {"metadata": {"name": "a"}, "data": []}),
        post(LEASES, {"metadata": {"name": "a"}, "spec": {"leaseDurationSeconds": "x"}}),
    ),
    _wrong(
        "a lease against its rules",
        post(LEASES, {"metadata": {"name": "a"}, "spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}),
        post(LEASES, {"metadata": {"name": "a"}, "spec": {"renewTime": "x"}}),
        post(LEASES, {"metadata": {"name": "a"}, "spec": {"renewTime": "2001-01-01T00:00:00Z"}}),
    ),
    _wrong(
        "an event against its rules",
        post(EVENTS, {"metadata": {"name": "a"}, "involvedObject": {}}),
        post(EVENTS, {"metadata": {"name": "a"}, "involvedObject": {"namespace": "elsewhere"}}),
        post(
            EVENTS,
            {
                "metadata": {"name": "a"},
                "involvedObject": {"namespace": "${ns}"},
                "eventTime": "2001-01-01T00:00:00.000000Z",
            },
        ),
    ),
    _wrong(
        "a service against its rules",
        post(SERVICES, {"metadata": {"name": "1a"}, "spec": {}}),
        post(SERVICES, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 0}]}}),
        post(SERVICES, {"metadata": {"name": "a"}, "spec": {"type": "Other", "ports": [{"port": 80}]}}),
    ),
    _wrong(
        "a pod against its rules",
        post(PODS, {"metadata": {"name": "a"}, "spec": {}}),
        post(PODS, {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "A"}]}}),
    ),
    _wrong(
        "a deployment against its rules",
        post(DEPLOYMENTS, {"metadata": {"name": "a"}, "spec": {}}),
        post(
            DEPLOYMENTS,
            {
                "metadata": {"name": "a"},
                "spec": {
                    "selector": {"matchLabels": {"a": "b"}},
                    "template": {
                        "metadata": {"labels": {"a": "c"}},
                        "spec": {"containers": [{"name": "c", "image": "i"}]},
                    },
                },
            },
        ),
    ),
]


def _found(name: str, *steps: Step) -> Case:
    return case("discovery", name, *steps)


_RESOURCES: Final = (
    "configmaps",
    "namespaces",
    "namespaces/status",
    "namespaces/finalize",
    "pods",
    "pods/status",
    "pods/eviction",
    "pods/binding",
    "secrets",
    "serviceaccounts",
    "serviceaccounts/token",
    "services",
    "services/status",
    "events",
    "nodes",
    "endpoints",
    "persistentvolumeclaims",
    "replicationcontrollers/scale",
    "resourcequotas",
    "limitranges",
    "podtemplates",
    "bindings",
)
CASES += [
    _found(
        "the server",
        get("/version", pick="major,minor"),
        get("/livez"),
        get("/readyz"),
        get("/healthz"),
        get("/livez/ping"),
    ),
    _found("the version of the server", get("/version", pick="gitVersion")),
    _found("the core", get("/api", pick="kind,versions")),
    _found(
        "what the core has",
        get("/api/v1", pick="kind,groupVersion," + ",".join(f"resources[name={name}]" for name in _RESOURCES)),
    ),
    _found(
        "groups",
        get(
            "/apis",
            pick="kind,apiVersion,"
            + ",".join(
                f"groups[name={name}]"
                for name in (
                    "apps",
                    "batch",
                    "coordination.k8s.io",
                    "apiextensions.k8s.io",
                    "rbac.authorization.k8s.io",
                    "policy",
                    "autoscaling",
                    "events.k8s.io",
                    "networking.k8s.io",
                )
            ),
        ),
    ),
    _found("one group", get("/apis/apps"), get("/apis/coordination.k8s.io"), get(f"/apis/{GROUP}")),
    _found(
        "what a group has",
        get("/apis/coordination.k8s.io/v1"),
        get(f"/apis/{GROUP}/v1", pick="kind,apiVersion,groupVersion,resources"),
    ),
    _found(
        "deployments",
        get(
            "/apis/apps/v1",
            pick="resources[name=deployments],resources[name=deployments/scale],resources[name=deployments/status]",
        ),
    ),
    _found("a group nobody has", get("/apis/nowhere.io"), get("/apis/apps/v9")),
    _found("openapi for a group", get("/openapi/v3", pick="paths.api/v1.x")),
]
_AGGREGATED: Final = "application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList"
CASES += [
    _found("everything at once, the core", get("/api", accept=_AGGREGATED, pick="kind,apiVersion,metadata")),
    _found("everything at once, maps", get("/api", accept=_AGGREGATED, pick="items[]")),
]

# -- what is refused is warned of all the same -------------------------------------------------------------------------

_OWNER: Final = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "00000000-0000-4000-8000-000000000001"}
_BAD_THING: Final = {**a_thing("a", {"text": {"a": "p"}, "none": 1}), "none": 1}
_BAD_MAP: Final = {**a_map("a", {"a b": "x"}), "none": 1}
_MAP: Final = post(MAPS, a_map("a"))
_A_THING: Final = post(THING_LIST, a_thing("a", {"text": "x"}))
for _mode in ("", "Strict"):
    _asked = {"fieldValidation": _mode} if _mode else {}
    _refused: dict[str, tuple[Step, ...]] = {
        "a custom object with a wrong field": (post(THING_LIST, _BAD_THING, **_asked),),
        "a merge patch of a custom object": (_A_THING, merge(THING, {"spec": {"text": {"a": "p"}}}, **_asked)),
        "a json patch of a custom object": (
            _A_THING,
            json_patch(THING, [{"op": "add", "path": "/spec/text", "value": {"a": "p"}}], **_asked),
        ),
        "a status": (_A_THING, merge(f"{THING}/status", {"status": {"phase": 3, "none": 1}}, **_asked)),
        "an update of what is not there": (put(A, {**a_map("a"), "none": 1}, **_asked),),
        "a patch of what is not there": (merge(THING, {"none": 1}, **_asked),),
        "a name that is taken": (_MAP, post(MAPS, {**a_map("a"), "none": 1}, **_asked)),
        "an old version": (_MAP, put(A, {**a_map("a", resourceVersion="1"), "none": 1}, **_asked)),
        "another name": (_MAP, put(A, {**a_map("b"), "none": 1}, **_asked)),
        "another namespace": (post(MAPS, {**a_map("a", namespace="other"), "none": 1}, **_asked),),
        "a version on create": (post(THING_LIST, {**a_thing("a", resourceVersion="7"), "none": 1}, **_asked),),
        "a bad key": (post(MAPS, _BAD_MAP, **_asked),),
        "a merge patch to a bad key": (_MAP, merge(A, {"none": 1, "data": {"a b": "x"}}, **_asked)),
        "a strategic patch to a bad key": (_MAP, strategic(A, {"none": 1, "data": {"a b": "x"}}, **_asked)),
        "a wrong type": (post(MAPS, {**a_map("a"), "none": 1, "data": {"a": 1}}, **_asked),),
        "a field that is set twice": (post(MAPS, '{"metadata":{"name":"a"},"data":{"a b":"1","a b":"2"}}', **_asked),),
        "owners that are named twice": (
            post(MAPS, a_map("a", {"a b": "x"}, ownerReferences=[_OWNER, _OWNER]), **_asked),
        ),
        "an unwise finalizer": (post(THING_LIST, a_thing("a", {"text": 1}, finalizers=["nodomain"]), **_asked),),
        "an apply of what is unknown": (apply(A, _BAD_MAP, "m", **_asked),),
        "an apply to a bad key": (
            apply(A, "{apiVersion: v1, kind: ConfigMap, data: {a b: x}, metadata: {name: a, name: a}}", "m", **_asked),
        ),
    }
    CASES += [_checked(f"refused and warned, {_mode or 'unset'}: {name}", *told) for name, told in _refused.items()]
