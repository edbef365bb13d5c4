"""Lists: which options go together, pages over a pinned past, selectors, and the forms an answer may have."""

from itertools import product
from typing import Any, Final

from tests.conformance.definitions import THING_LIST
from tests.conformance.steps import (
    EVENTS,
    JSON,
    MAPS,
    NAMESPACES,
    PODS,
    SECRETS,
    YAML,
    Case,
    Step,
    case,
    delete,
    get,
    merge,
    post,
    until,
)
from tests.testing.callers import a_map, a_thing

FAR: Final = "99999999999"
METADATA: Final = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST: Final = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
TABLE: Final = f"{JSON};as=Table;g=meta.k8s.io;v=v1"
SHOWN: Final = "kind,apiVersion,metadata,items"


def _of(name: str, *steps: Step) -> Case:
    return case("lists", name, *steps)


def maps(*names: str) -> list[Step]:
    """Maps that are created one after the other."""
    return [post(MAPS, a_map(name, {"n": name}), pick="metadata.resourceVersion") for name in names]


def _known(count: int) -> Step:
    """Wait until the server's cache has so many maps."""
    return until(get(MAPS, resourceVersion=f"${{{count - 1}.metadata.resourceVersion}}", pick="kind"))


CASES = [
    _of("an empty list", get(MAPS), get(THING_LIST)),
    _of("a list is sorted by name", *maps("b", "a", "c"), get(MAPS)),
    _of("a custom list", post(THING_LIST, a_thing("b")), post(THING_LIST, a_thing("a")), get(THING_LIST)),
    _of("a list across namespaces", *maps("a"), get("/api/v1/configmaps", fieldSelector="metadata.namespace=${ns}")),
    _of(
        "a custom list across namespaces",
        post(THING_LIST, a_thing("a")),
        get("/apis/shop.example.com/v1/things", fieldSelector="metadata.namespace=${ns}"),
    ),
    _of(
        "a list in pages",
        *maps("a", "b", "c", "d", "e"),
        get(MAPS, limit=2),
        get(MAPS, limit=2, continue_="${5.metadata.continue}"),
        get(MAPS, limit=2, continue_="${6.metadata.continue}"),
    ),
    _of(
        "pages of a past that has gone on",
        *maps("a", "b", "c"),
        get(MAPS, limit=1),
        delete(f"{MAPS}/b"),
        post(MAPS, a_map("bb")),
        merge(f"{MAPS}/c", {"data": {"n": "new"}}),
        get(MAPS, limit=5, continue_="${3.metadata.continue}"),
        get(MAPS, limit=1, continue_="${3.metadata.continue}"),
    ),
    _of("a page as large as the list", *maps("a", "b"), get(MAPS, limit=2), get(MAPS, limit=3)),
    _of(
        "pages of a selection",
        post(MAPS, a_map("a", labels={"x": "y"})),
        post(MAPS, a_map("b")),
        post(MAPS, a_map("c", labels={"x": "y"})),
        post(MAPS, a_map("d", labels={"x": "y"})),
        get(MAPS, limit=1, labelSelector="x=y"),
        get(MAPS, limit=1, labelSelector="x=y", continue_="${4.metadata.continue}"),
        get(MAPS, limit=1, labelSelector="x=y", continue_="${5.metadata.continue}"),
    ),
    _of("the last page of a selection", *maps("a", "b", "c"), get(MAPS, limit=1, fieldSelector="metadata.name=a")),
    _of(
        "pages of custom objects",
        post(THING_LIST, a_thing("a")),
        post(THING_LIST, a_thing("b")),
        get(THING_LIST, limit=1),
        get(THING_LIST, limit=1, continue_="${2.metadata.continue}"),
    ),
    _of(
        "a token that is none", get(MAPS, continue_="x"), get(MAPS, continue_="e30"), get(MAPS, continue_="eyJ2IjoiIn0")
    ),
    _of(
        "a token with a version beside it",
        *maps("a", "b"),
        get(MAPS, limit=1),
        get(MAPS, limit=1, continue_="${2.metadata.continue}", resourceVersion="1"),
        get(MAPS, limit=1, continue_="${2.metadata.continue}", resourceVersion="0"),
    ),
    _of("numbers that are none", get(MAPS, limit="x"), get(MAPS, timeoutSeconds="x")),
    _of("a limit below nothing", *maps("a", "b"), get(MAPS, limit=-1, pick="items")),
    _of("a version that is none", get(MAPS, resourceVersion="x"), get(MAPS, resourceVersion="-1")),
    _of("an object at a version that is none", *maps("a"), get(f"{MAPS}/a", resourceVersion="x")),
    _of("an object at a version", *maps("a"), get(f"{MAPS}/a", resourceVersion="${0.metadata.resourceVersion}")),
    _of("an object at a version yet to come", *maps("a"), get(f"{MAPS}/a", resourceVersion=FAR)),
    _of("a list at a version yet to come", get(MAPS, resourceVersion=FAR)),
    _of("a list exactly at a version yet to come", get(MAPS, resourceVersion=FAR, resourceVersionMatch="Exact")),
    _of(
        "a list exactly as it was",
        *maps("a", "b"),
        delete(f"{MAPS}/a"),
        merge(f"{MAPS}/b", {"data": {"n": "new"}}),
        get(MAPS, resourceVersion="${1.metadata.resourceVersion}", resourceVersionMatch="Exact"),
        get(MAPS, resourceVersion="${0.metadata.resourceVersion}", resourceVersionMatch="Exact"),
    ),
    _of(
        "pages exactly as it was",
        *maps("a", "b", "c"),
        delete(f"{MAPS}/c"),
        get(MAPS, resourceVersion="${2.metadata.resourceVersion}", resourceVersionMatch="Exact", limit=2),
        get(MAPS, continue_="${4.metadata.continue}"),
    ),
    _of(
        "a page at a version without a match is exact",
        *maps("a", "b", "c"),
        delete(f"{MAPS}/a"),
        get(MAPS, resourceVersion="${2.metadata.resourceVersion}", limit=1),
    ),
    _of("unknown options are passed over", *maps("a"), get(MAPS, nothing="x", limit=0, pick="items")),
    _of(
        "an option twice is taken once",
        *maps("a"),
        get(MAPS, fieldSelector=["metadata.name=a", "metadata.name=b"], pick="items"),
    ),
    # -- forms
    _of("metadata of an object", *maps("a"), get(f"{MAPS}/a", accept=METADATA)),
    _of("metadata of a list", *maps("a", "b"), get(MAPS, accept=METADATA_LIST)),
    _of(
        "metadata of a custom object",
        post(THING_LIST, a_thing("a", {"text": "x"})),
        get(f"{THING_LIST}/a", accept=METADATA),
    ),
    _of(
        "metadata of a custom list",
        post(THING_LIST, a_thing("a", {"text": "x"})),
        get(THING_LIST, accept=METADATA_LIST),
    ),
    _of("the form of a list asked of an object", *maps("a"), get(f"{MAPS}/a", accept=METADATA_LIST)),
    _of("the form of an object asked of a list", *maps("a"), get(MAPS, accept=METADATA)),
    _of("metadata as the answer to a write", post(MAPS, a_map("a", {"x": "y"}), accept=METADATA)),
    _of("metadata as the answer to a deletion", *maps("a"), delete(f"{MAPS}/a", accept=METADATA)),
    _of("a form nobody has", get(MAPS, accept=f"{JSON};as=Nothing;g=meta.k8s.io;v=v1"), get(MAPS, accept="text/plain")),
    _of(
        "the same of a custom list",
        get(THING_LIST, accept=f"{JSON};as=Nothing;g=meta.k8s.io;v=v1"),
        get(THING_LIST, accept="text/plain"),
    ),
    _of("any form will do", *maps("a"), get(f"{MAPS}/a", accept="*/*"), get(f"{MAPS}/a", accept="text/plain, */*")),
    _of("the first form that is there", *maps("a"), get(f"{MAPS}/a", accept=f"text/plain,{METADATA},{JSON}")),
    _of("yaml goes out", *maps("a"), get(f"{MAPS}/a", accept=YAML), get(MAPS, accept=YAML)),
    _of("a custom object as yaml", post(THING_LIST, a_thing("a")), get(f"{THING_LIST}/a", accept=YAML)),
    _of("a refusal as yaml", get(f"{MAPS}/a", accept=YAML)),
    _of(
        "a custom object refuses protobuf",
        post(THING_LIST, a_thing("a")),
        get(f"{THING_LIST}/a", accept="application/vnd.kubernetes.protobuf"),
    ),
    _of("a table of maps", *maps("a", "b"), get(MAPS, accept=TABLE)),
    _of("a table of one map", *maps("a"), get(f"{MAPS}/a", accept=TABLE)),
    _of("a table with whole objects", *maps("a"), get(MAPS, accept=TABLE, includeObject="Object")),
    _of("a table with no objects", *maps("a"), get(MAPS, accept=TABLE, includeObject="None")),
    _of("a table with something else", *maps("a"), get(MAPS, accept=TABLE, includeObject="x")),
    _of("a table of custom objects", post(THING_LIST, a_thing("a")), get(THING_LIST, accept=TABLE)),
    _of("a table of nothing", get(MAPS, accept=TABLE)),
    _of("a table of namespaces", get(NAMESPACES, accept=TABLE, fieldSelector="metadata.name=${ns}")),
    _of(
        "a table of secrets",
        post(SECRETS, {"metadata": {"name": "a"}, "stringData": {"x": "y"}}),
        get(SECRETS, accept=TABLE),
    ),
    _of(
        "a table of pods",
        post(PODS, {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}, pick="kind"),
        get(PODS, accept=TABLE),
    ),
]

_VERSIONS: Final = {"no version": "", "version 0": "0", "a version": "${0.metadata.resourceVersion}"}
_MATCHES: Final = ("", "Exact", "NotOlderThan", "Other")


def _options(version: str, match: str, limit: str, **more: Any) -> dict[str, Any]:
    given = {"resourceVersion": version, "resourceVersionMatch": match, "limit": limit, **more}
    return {name: value for name, value in given.items() if value}


CASES += [
    _of(
        f"a list with {what}, match {match or 'unset'}, limit {limit or 'unset'}",
        *maps("a", "b"),
        _known(2),
        get(MAPS, **_options(version, match, limit), pick="kind,items"),
    )
    for (what, version), match, limit in product(_VERSIONS.items(), _MATCHES, ("", "1"))
]
CASES += [
    _of(
        f"a page that goes on with {what} and match {match}",
        *maps("a", "b"),
        get(MAPS, limit=1, pick="kind"),
        get(MAPS, **_options(version, match, "1", continue_="${2.metadata.continue}"), pick="kind,items"),
    )
    for (what, version), match in product(_VERSIONS.items(), ("Exact", "NotOlderThan"))
]

_LABELS: Final = {
    "equal": "x=1",
    "equal, written twice": "x==1",
    "not equal": "x!=1",
    "in": "x in (1,2)",
    "in nothing": "x in ()",
    "not in": "x notin (1,2)",
    "there": "x",
    "not there": "!x",
    "two terms": "x=1,y=1",
    "two terms of one key": "x in (1,2),x notin (2)",
    "greater": "x>1",
    "less": "x<2",
    "a key with a prefix": "a.b/c=1",
    "empty value": "y=",
    "empty text": "",
    "spaces": " x = 1 , y ",
    "a comma at the end": "x=1,",
    "a comma at the start": ",x=1",
    "no operator": "x 1",
    "a bad key": "-x=1",
    "a bad value": "x=a b",
    "a value too long": f"x={'a' * 64}",
    "an open bracket": "x in (1,2",
    "a bracket missing": "x in 1,2",
    "greater than a word": "x>a",
    "a sign alone": "!",
    "an unknown operator": "x~1",
    "the word in as key": "in in (in)",
}
CASES += [
    case(
        "selectors",
        f"labels: {what}",
        *(
            post(MAPS, a_map(name, labels=labels), pick="kind")
            for name, labels in (
                ("a", {"x": "1"}),
                ("b", {"x": "2", "y": ""}),
                ("c", {"y": "1"}),
                ("d", {"x": "1", "y": "1", "a.b/c": "1", "in": "in"}),
                ("e", {}),
            )
        ),
        get(MAPS, labelSelector=text, accept=METADATA_LIST, pick="items"),
    )
    for what, text in _LABELS.items()
]
_FIELDS: Final = {
    "a name": "metadata.name=a",
    "a name, written twice": "metadata.name==a",
    "not a name": "metadata.name!=a",
    "a name and a namespace": "metadata.name=a,metadata.namespace=${ns}",
    "another namespace": "metadata.namespace=x",
    "an unknown field": "data.x=1",
    "a label": "metadata.labels.x=1",
    "no operator": "metadata.name",
    "a comma at the end": "metadata.name=a,",
    "an escaped comma": "metadata.name=a\\,b",
    "a wrong escape": "metadata.name=a\\b",
    "in": "metadata.name in (a)",
    "an equals sign in the value": "metadata.name=a=b",
    "empty value": "metadata.name=",
    "empty text": "",
}
CASES += [
    case("selectors", f"fields: {what}", *maps("a", "b"), get(MAPS, fieldSelector=text, pick="items"))
    for what, text in _FIELDS.items()
]
CASES += [
    case(
        "selectors",
        f"fields of a thing: {what}",
        post(THING_LIST, a_thing("a", {"text": "x"}), pick="kind"),
        post(THING_LIST, a_thing("b"), pick="kind"),
        get(THING_LIST, fieldSelector=text, pick="items"),
    )
    for what, text in (
        ("a name", "metadata.name=a"),
        ("a selectable field", "spec.text=x"),
        ("a selectable field that is not there", "spec.text="),
        ("not a value", "spec.text!=x"),
        ("a field that is not selectable", "spec.count=5"),
        ("two fields", "spec.text=x,metadata.name=b"),
    )
]
_POD: Final = {"spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}}
CASES += [
    case(
        "selectors",
        f"fields of a pod: {text}",
        post(PODS, {"metadata": {"name": "a"}, **_POD}, pick="kind"),
        get(PODS, fieldSelector=text, accept=METADATA_LIST, pick="items"),
    )
    for text in (
        "spec.nodeName=n",
        "spec.restartPolicy=Always",
        "spec.schedulerName=default-scheduler",
        "status.phase=Pending",
        "status.phase!=Pending",
        "spec.hostNetwork=false",
        "spec.serviceAccountName=",
        "status.podIP=",
        "spec.image=i",
    )
]
CASES += [
    case(
        "selectors",
        f"fields of a secret: {text}",
        post(SECRETS, {"metadata": {"name": "a"}}, pick="type"),
        get(SECRETS, fieldSelector=text, accept=METADATA_LIST, pick="items"),
    )
    for text in ("type=Opaque", "type!=Opaque", "data=x")
]
CASES += [
    case(
        "selectors",
        f"fields of an event: {text}",
        post(
            EVENTS,
            {
                "metadata": {"name": "a"},
                "involvedObject": {"kind": "Pod", "name": "p", "namespace": "${ns}"},
                "reason": "R",
                "type": "Normal",
                "source": {"component": "me"},
            },
            pick="kind",
        ),
        get(EVENTS, fieldSelector=text, accept=METADATA_LIST, pick="items"),
    )
    for text in ("involvedObject.name=p", "involvedObject.kind!=Pod", "reason=R", "source=me", "type=Normal", "count=1")
]
CASES += [
    case(
        "selectors",
        f"namespaces by {text}",
        get(NAMESPACES, fieldSelector=f"metadata.name=${{ns}},{text}", pick="items"),
    )
    for text in ("status.phase=Active", "status.phase=Terminating", "spec.x=1")
]
CASES += [
    case(
        "selectors",
        "a collection is deleted by its labels",
        post(MAPS, a_map("a", labels={"x": "1"})),
        post(MAPS, a_map("b", labels={"x": "2"})),
        delete(MAPS, labelSelector="x=1"),
        get(MAPS, pick="items"),
    ),
    case(
        "selectors",
        "a collection is deleted by a name",
        *maps("a", "b"),
        delete(MAPS, fieldSelector="metadata.name=b"),
        get(MAPS, pick="items"),
    ),
]
