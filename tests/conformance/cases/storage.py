"""Storage: what the server gives an object, its versions, its names, optimistic locking, what only it may set."""

from typing import Any, Final

from tests.conformance.definitions import THING_LIST
from tests.conformance.steps import (
    ACCOUNTS,
    DEPLOYMENTS,
    LEASES,
    MAPS,
    NAMESPACES,
    PODS,
    SECRETS,
    Case,
    Live,
    Step,
    apply,
    case,
    delete,
    get,
    json_patch,
    merge,
    post,
    put,
    strategic,
)
from tests.testing.callers import a_map, a_thing

A: Final = f"{MAPS}/a"
THING: Final = f"{THING_LIST}/a"


def _of(name: str, *steps: Step) -> Case:
    return case("storage", name, *steps)


def _named(name: str, *steps: Step) -> Case:
    return case("names", name, *steps)


def a_pod(name: str, **spec: Any) -> dict[str, Any]:
    """A pod that any server takes."""
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


CASES = [
    _of("a created object has what the server gives it", post(MAPS, a_map("a", {"k": "v"}, labels={"x": "y"})), get(A)),
    _of("a created custom object has a generation", post(THING_LIST, a_thing("a", {"text": "x"})), get(THING)),
    _of("a body needs no kind", post(MAPS, {"metadata": {"name": "a"}})),
    _of("an object may be nearly empty", post(MAPS, {"metadata": {"name": "a"}}), get(A)),
    _of("a custom object needs its kind", post(THING_LIST, {"metadata": {"name": "a"}})),
    _of(
        "what only the server may set is not taken from a creation",
        post(
            THING_LIST,
            a_thing(
                "a",
                uid="mine",
                creationTimestamp="2000-01-01T00:00:00Z",
                generation=7,
                selfLink="/x",
                deletionTimestamp="2000-01-01T00:00:00Z",
                deletionGracePeriodSeconds=3,
            ),
        ),
    ),
    _of(
        "the same of a built-in kind",
        post(
            MAPS,
            a_map(
                "a",
                uid="mine",
                creationTimestamp="2000-01-01T00:00:00Z",
                generation=7,
                selfLink="/x",
                deletionTimestamp="2000-01-01T00:00:00Z",
                deletionGracePeriodSeconds=3,
            ),
        ),
    ),
    _of("a creation brings no version", post(MAPS, a_map("a", resourceVersion="5"))),
    _of("a creation may bring the version 0", post(MAPS, a_map("a", resourceVersion="0"))),
    _of("a creation of a custom object brings no version", post(THING_LIST, a_thing("a", resourceVersion="5"))),
    _of("versions only grow", post(MAPS, a_map("a")), post(THING_LIST, a_thing("b")), merge(A, {"data": {"x": "1"}})),
    _of("a name is taken once", post(MAPS, a_map("a")), post(MAPS, a_map("a"))),
    _of("a custom name is taken once", post(THING_LIST, a_thing("a")), post(THING_LIST, a_thing("a"))),
    _of(
        "a name of an object that is going is taken",
        post(MAPS, a_map("a", finalizers=["a.b/c"])),
        delete(A),
        post(MAPS, a_map("a")),
        merge(A, {"metadata": {"finalizers": None}}),
        post(MAPS, a_map("a")),
    ),
    _of("an object that is not there", get(A), get(THING), delete(A), delete(THING)),
    _of("an update of what is not there", put(A, a_map("a")), put(THING, a_thing("a", resourceVersion="1"))),
    _of("a patch of what is not there", merge(A, {"data": {}}), merge(THING, {}), json_patch(A, [])),
    _of(
        "an update of an older version is a conflict",
        post(MAPS, a_map("a", {"x": "1"})),
        put(A, Live(0, {"data": {"x": "2"}})),
        put(A, Live(0, {"data": {"x": "3"}})),
        get(A),
    ),
    _of(
        "an update of an older version of a custom object is a conflict",
        post(THING_LIST, a_thing("a")),
        put(THING, Live(0, {"spec": {"text": "2"}})),
        put(THING, Live(0, {"spec": {"text": "3"}})),
    ),
    _of(
        "a merge patch with an older version is a conflict",
        post(MAPS, a_map("a")),
        merge(A, {"data": {"x": "1"}}),
        merge(A, {"metadata": {"resourceVersion": "${0.metadata.resourceVersion}"}, "data": {"x": "2"}}),
        merge(A, {"metadata": {"resourceVersion": "${1.metadata.resourceVersion}"}, "data": {"x": "2"}}),
    ),
    _of(
        "a merge patch that takes the version away is taken",
        post(MAPS, a_map("a")),
        merge(A, {"metadata": {"resourceVersion": None}, "data": {"x": "1"}}),
        post(THING_LIST, a_thing("a")),
        merge(THING, {"metadata": {"resourceVersion": None}, "spec": {"text": "1"}}),
    ),
    _of(
        "a version that is no number",
        post(MAPS, a_map("a")),
        put(A, a_map("a", resourceVersion="x")),
        merge(A, {"metadata": {"resourceVersion": "-1"}}),
        put(A, a_map("a", resourceVersion="0")),
    ),
    _of("an update without a version is taken of a map", post(MAPS, a_map("a")), put(A, a_map("a", {"x": "2"}))),
    _of(
        "an update without a version is refused of a custom object",
        post(THING_LIST, a_thing("a")),
        put(THING, a_thing("a")),
    ),
    _of(
        "an update without a version is refused of a lease",
        post(LEASES, {"metadata": {"name": "a"}, "spec": {}}),
        put(f"{LEASES}/a", {"metadata": {"name": "a"}, "spec": {"holderIdentity": "x"}}),
    ),
    _of("an update creates a lease", put(f"{LEASES}/a", {"metadata": {"name": "a"}, "spec": {"holderIdentity": "x"}})),
    _of(
        "an update that changes nothing keeps the version",
        post(THING_LIST, a_thing("a", {"text": "x"})),
        put(THING, Live(0)),
        merge(THING, {"spec": {"text": "x"}}),
        merge(THING, {"spec": {"none": None}}),
        merge(THING, {}),
        json_patch(THING, []),
    ),
    _of(
        "an update that brings nothing but another manager keeps the version",
        post(MAPS, a_map("a", {"x": "1"})),
        put(A, a_map("a", {"x": "1"}), fieldManager="other"),
        merge(A, {"data": {"x": "1"}}, fieldManager="third"),
    ),
    _of(
        "an update keeps what only the server may set",
        post(THING_LIST, a_thing("a")),
        merge(THING, {"metadata": {"creationTimestamp": "2000-01-01T00:00:00Z"}}),
        merge(THING, {"metadata": {"generation": 9, "selfLink": "/x"}}),
        merge(THING, {"metadata": {"creationTimestamp": None, "uid": None, "generation": None}}),
    ),
    _of("the uid is immutable", post(THING_LIST, a_thing("a")), merge(THING, {"metadata": {"uid": "another"}})),
    _of(
        "the time of deletion is immutable",
        post(THING_LIST, a_thing("a")),
        merge(THING, {"metadata": {"deletionTimestamp": "2000-01-01T00:00:00Z"}}),
        merge(THING, {"metadata": {"deletionGracePeriodSeconds": 5}}),
    ),
    _of("an update with the uid of another object", post(MAPS, a_map("a")), put(A, a_map("a", uid="another"))),
    _of(
        "an update with the uid of another custom object",
        post(THING_LIST, a_thing("a")),
        put(THING, Live(0, {"metadata": {"uid": "another"}})),
    ),
    _of("an update with its own uid", post(MAPS, a_map("a")), put(A, Live(0, {"data": {"x": "1"}}))),
    _of("an update must name the object of its path", post(MAPS, a_map("a")), put(A, a_map("b"))),
    _of("a patch cannot rename", post(MAPS, a_map("a")), merge(A, {"metadata": {"name": "b"}})),
    _of("a patch cannot move", post(MAPS, a_map("a")), merge(A, {"metadata": {"namespace": "elsewhere"}})),
    _of("an update without a name", post(MAPS, a_map("a")), put(A, {"data": {}}), merge(A, {"metadata": None})),
    _of(
        "a body of another namespace", post(MAPS, a_map("a", namespace="elsewhere")), put(A, a_map("a", namespace="b"))
    ),
    _of("a custom body of another namespace", post(THING_LIST, a_thing("a", namespace="elsewhere"))),
    _of("a body of another kind", post(MAPS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})),
    _of("a body of another version", post(MAPS, {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "a"}})),
    _of(
        "a body of a kind nobody knows",
        post(MAPS, {"apiVersion": "a.b/v1", "kind": "Nothing", "metadata": {"name": "a"}}),
    ),
    _of("a custom body of another kind", post(THING_LIST, {**a_thing("a"), "kind": "Other"})),
    _of("a custom body of another version", post(THING_LIST, {**a_thing("a"), "apiVersion": "shop.example.com/v9"})),
    _of("a namespace that is not there", post("/api/v1/namespaces/nowhere/configmaps", a_map("a"))),
    _of("a custom object in no namespace", post("/apis/shop.example.com/v1/namespaces/nowhere/things", a_thing("a"))),
    _of("a list of a namespace that is not there", get("/api/v1/namespaces/nowhere/configmaps", pick="kind,items")),
    _of(
        "the generation counts changes of what is wanted",
        post(THING_LIST, a_thing("a", {"text": "x"})),
        merge(THING, {"metadata": {"labels": {"x": "y"}}}),
        merge(f"{THING}/status", {"status": {"phase": "x"}}),
        merge(THING, {"spec": {"text": "y"}}),
        merge(THING, {"spec": {"text": "y"}}),
        json_patch(THING, [{"op": "remove", "path": "/spec/text"}]),
    ),
    _of(
        "a pod has a generation",
        post(PODS, a_pod("a"), pick="metadata.generation,status.observedGeneration"),
        merge(f"{PODS}/a", {"metadata": {"labels": {"x": "y"}}}, pick="metadata.generation"),
        merge(f"{PODS}/a", {"spec": {"activeDeadlineSeconds": 5}}, pick="metadata.generation"),
    ),
    _of(
        "owner references are kept and checked",
        post(MAPS, a_map("a", ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}])),
        post(MAPS, a_map("b", ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "p"}])),
        post(MAPS, a_map("b", ownerReferences=[{"apiVersion": "", "kind": "", "name": "", "uid": ""}])),
        post(MAPS, a_map("b", ownerReferences=[{"apiVersion": "v1", "kind": "Event", "name": "p", "uid": "u"}])),
    ),
    _of(
        "only one owner controls",
        post(
            MAPS,
            a_map(
                "a",
                ownerReferences=[
                    {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True} for name in "pq"
                ],
            ),
        ),
    ),
    _of(
        "an owner is named once",
        post(
            MAPS,
            a_map("a", ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}] * 2),
        ),
    ),
    _of(
        "annotations have a limit",
        post(MAPS, a_map("a", annotations={"x": "y" * (256 * 1024)})),
        post(MAPS, a_map("a", annotations={"X/Y/Z": "y", "-a": "b"})),
    ),
    _of("a map has a limit", post(MAPS, a_map("a", {"x": "y" * (1024 * 1024 + 1)}), fieldValidation="Ignore")),
    _of(
        "empty metadata is put in order",
        post(MAPS, a_map("a", labels={}, annotations={}, finalizers=[], ownerReferences=[])),
    ),
    _of("null metadata is put in order", post(MAPS, a_map("a", labels=None, annotations=None, finalizers=None))),
    _of(
        "no metadata at all",
        post(MAPS, {"data": {}}),
        post(THING_LIST, {k: v for k, v in a_thing("a").items() if k != "metadata"}),
    ),
    _of("metadata of a wrong form", post(MAPS, {"metadata": []}), post(THING_LIST, {**a_thing("a"), "metadata": "x"})),
    _of(
        "labels of a wrong form",
        post(MAPS, {"metadata": {"name": "a", "labels": {"x": 1}}}),
        post(THING_LIST, a_thing("a", labels={"x": 1})),
    ),
    _of(
        "a secret is encoded",
        post(SECRETS, {"metadata": {"name": "a"}, "stringData": {"x": "y"}, "data": {"z": "eA=="}}),
    ),
    _of("a secret that is not encoded", post(SECRETS, {"metadata": {"name": "a"}, "data": {"z": "#"}})),
    _of(
        "a map that is immutable",
        post(MAPS, {**a_map("a", {"x": "1"}), "immutable": True}),
        merge(A, {"data": {"x": "2"}}),
        merge(A, {"immutable": None}),
        merge(A, {"metadata": {"labels": {"x": "y"}}}),
        delete(A),
    ),
    _of(
        "data and binary data share their keys",
        post(MAPS, {**a_map("a", {"x": "1"}), "binaryData": {"x": "eA=="}}),
        post(MAPS, {**a_map("b", {"x": "1"}), "binaryData": {"y": "eA=="}}),
        post(MAPS, {**a_map("c"), "binaryData": {"y": "#"}}),
    ),
    _of(
        "a service account",
        post(ACCOUNTS, {"metadata": {"name": "a"}, "secrets": [{"name": "s"}]}),
        delete(f"{ACCOUNTS}/a"),
    ),
    # -- names
    _named("a name is made up after a prefix", post(MAPS, {"metadata": {"generateName": "job-"}})),
    _named(
        "a name that is given wins over a prefix", post(MAPS, {"metadata": {"generateName": "job-", "name": "given"}})
    ),
    _named("a long prefix is cut", post(MAPS, {"metadata": {"generateName": "a" * 253}}, pick="kind")),
    _named("a custom name is made up", post(THING_LIST, {**a_thing(""), "metadata": {"generateName": "x-"}})),
    _named("a prefix that cannot lead to a name", post(MAPS, {"metadata": {"generateName": "A_"}})),
    _named("every fault is named", post(MAPS, {"metadata": {"labels": {"a b": "x"}}, "data": {"in valid": "x"}})),
    _named("a name is needed", post(MAPS, {"metadata": {}}), post(THING_LIST, {**a_thing(""), "metadata": {}})),
    _named(
        "no label key is bad",
        post(MAPS, a_map("a", labels=dict.fromkeys(("/", "a/", "/a", "a/b/c", "-", "A.b/c"), "x"))),
    ),
]
"""What the API's documents say of objects and their metadata."""

_NAMES = {
    "a dot": "a.b",
    "upper case": "A",
    "an underscore": "a_b",
    "a dash at the end": "a-",
    "a dot at the start": ".a",
    "two dots": "a..b",
    "a number": "1",
    "253 characters": "a" * 253,
    "254 characters": "a" * 254,
    "a space": "a b",
    "a percent sign": "a%b",
    "a word of another script": "é",
}
CASES += [_named(f"a map with {what}", post(MAPS, a_map(name), pick="kind")) for what, name in _NAMES.items()]
CASES += [_named(f"a thing with {what}", post(THING_LIST, a_thing(name), pick="kind")) for what, name in _NAMES.items()]
CASES += [
    _named(f"a namespace with {what}", post(NAMESPACES, {"metadata": {"name": name}}, dryRun="All", pick="kind"))
    for what, name in (*_NAMES.items(), ("64 characters", "a" * 64))
]
CASES += [
    _named(f"a key of data with {what}", post(MAPS, a_map("a", {key: "x"}), pick="data"))
    for what, key in (
        ("a dot", "."),
        ("two dots", ".."),
        ("two dots at the start", "..a"),
        ("an underscore", "_"),
        ("a slash", "a/b"),
        ("254 characters", "a" * 254),
        ("nothing", ""),
    )
]
CASES += [
    _named(f"a label value with {what}", post(MAPS, a_map("a", labels={"x": value}), pick="metadata.labels"))
    for what, value in (
        ("nothing", ""),
        ("64 characters", "a" * 64),
        ("a dot", "."),
        ("a slash", "a/b"),
        ("a-_.b", "a-_.b"),
    )
]
CASES += [
    _named(
        f"a finalizer {name!r}",
        post(MAPS, a_map("a", finalizers=[name])),
        post(THING_LIST, a_thing("a", finalizers=[name])),
    )
    for name in ("nodomain", "kubernetes", "orphan", "foregroundDeletion", "a.b/c", "A_/b", "", "a/b/c")
]
CASES += [
    case(
        "storage",
        f"a deletion with the {what}",
        post(MAPS, a_map("a")),
        delete(A, {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": given}),
        get(A),
    )
    for what, given in (
        ("right uid", {"uid": "${0.metadata.uid}"}),
        ("wrong uid", {"uid": "another"}),
        ("right version", {"resourceVersion": "${0.metadata.resourceVersion}"}),
        ("wrong version", {"resourceVersion": "1"}),
        ("right uid and wrong version", {"uid": "${0.metadata.uid}", "resourceVersion": "1"}),
    )
]
CASES += [
    case(
        "storage",
        "a deployment has a generation that its status knows of",
        post(
            DEPLOYMENTS,
            {
                "metadata": {"name": "a"},
                "spec": {
                    "selector": {"matchLabels": {"a": "b"}},
                    "template": {
                        "metadata": {"labels": {"a": "b"}},
                        "spec": {"containers": [{"name": "c", "image": "i"}]},
                    },
                },
            },
            pick="metadata.generation,spec.replicas,status",
        ),
        merge(f"{DEPLOYMENTS}/a", {"spec": {"replicas": 3}}, pick="metadata.generation,spec.replicas"),
        merge(f"{DEPLOYMENTS}/a/status", {"status": {"observedGeneration": 2}}, pick="metadata.generation,status"),
    )
]
_EMPTY: Final[dict[str, Any]] = {"labels": {}, "annotations": {}}
CASES += [
    _of(
        "empty metadata of a map is no change",
        apply(A, {**a_map("a", {}), "metadata": {"name": "a", **_EMPTY}}, "me"),
        merge(A, {"data": {}}),
        merge(A, {"metadata": _EMPTY}),
        strategic(A, {"metadata": _EMPTY}),
        put(A, Live(0, {"metadata": _EMPTY})),
    ),
    _of(
        "empty metadata of a created map is no change",
        post(MAPS, a_map("a", {}, **_EMPTY)),
        merge(A, {"data": {}}),
        put(A, Live(0, {"metadata": _EMPTY})),
    ),
    _of(
        "empty metadata of a custom object is one",
        apply(THING, {**a_thing("a", {}), "metadata": {"name": "a", **_EMPTY}}, "me"),
        merge(THING, {"spec": {}}),
        merge(THING, {"metadata": _EMPTY}),
        merge(THING, {"spec": {}}),
    ),
]
