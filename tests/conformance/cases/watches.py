"""Watches: from every version, with every option, at the edge of a selection, to their end."""

from itertools import product
from typing import Any, Final

from tests.conformance.cases.lists import FAR, METADATA, TABLE, maps
from tests.conformance.definitions import THING_LIST
from tests.conformance.steps import (
    MAPS,
    PODS,
    Case,
    Step,
    case,
    delete,
    follow,
    forget,
    get,
    json_patch,
    merge,
    post,
    told,
    watch,
)
from tests.testing.callers import a_map, a_thing

FIRST: Final = "${0.metadata.resourceVersion}"


def _of(name: str, *steps: Step) -> Case:
    return case("watches", name, *steps)


CASES = [
    _of(
        "every change after a version, in order",
        *maps("a"),
        merge(f"{MAPS}/a", {"data": {"n": "2"}}),
        post(MAPS, a_map("b")),
        delete(f"{MAPS}/a"),
        watch(MAPS, 3, resourceVersion=FIRST),
    ),
    _of(
        "a watch that goes on",
        *maps("a"),
        follow("w", MAPS, resourceVersion=FIRST),
        merge(f"{MAPS}/a", {"data": {"n": "2"}}),
        told("w", 1),
        delete(f"{MAPS}/a"),
        post(MAPS, a_map("a")),
        told("w", 2),
    ),
    _of(
        "custom objects",
        post(THING_LIST, a_thing("a")),
        merge(f"{THING_LIST}/a", {"spec": {"text": "2"}}),
        merge(f"{THING_LIST}/a/status", {"status": {"phase": "x"}}),
        delete(f"{THING_LIST}/a"),
        watch(THING_LIST, 3, resourceVersion=FIRST),
    ),
    _of(
        "a write that changes nothing is no event",
        *maps("a"),
        merge(f"{MAPS}/a", {"data": {"n": "a"}}),
        post(MAPS, a_map("b")),
        watch(MAPS, 1, resourceVersion=FIRST),
    ),
    _of(
        "a dry run is no event",
        *maps("a"),
        merge(f"{MAPS}/a", {"data": {"n": "b"}}, dryRun="All"),
        post(MAPS, a_map("b")),
        watch(MAPS, 1, resourceVersion=FIRST),
    ),
    _of(
        "a finalizer makes a deletion two events",
        post(MAPS, a_map("a", finalizers=["a.b/c"])),
        delete(f"{MAPS}/a"),
        merge(f"{MAPS}/a", {"metadata": {"finalizers": None}}),
        watch(MAPS, 2, resourceVersion=FIRST),
    ),
    _of(
        "an object comes and goes at the edge of a selection",
        post(MAPS, a_map("a", labels={"l": "in"})),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        merge(f"{MAPS}/a", {"metadata": {"labels": {"l": "out"}}}),
        merge(f"{MAPS}/a", {"data": {"x": "2"}}),
        merge(f"{MAPS}/a", {"metadata": {"labels": {"l": "in"}}}),
        delete(f"{MAPS}/a"),
        watch(MAPS, 4, resourceVersion=FIRST, labelSelector="l=in"),
    ),
    _of(
        "the edge of a field",
        post(THING_LIST, a_thing("a", {"text": "in"})),
        merge(f"{THING_LIST}/a", {"spec": {"text": "out"}}),
        merge(f"{THING_LIST}/a", {"spec": {"text": "in"}}),
        watch(THING_LIST, 2, resourceVersion=FIRST, fieldSelector="spec.text=in"),
    ),
    _of(
        "one object among others",
        *maps("a", "b"),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        merge(f"{MAPS}/b", {"data": {"x": "1"}}),
        watch(MAPS, 2, resourceVersion=FIRST, fieldSelector="metadata.name=b"),
    ),
    _of(
        "one object, watched under its own path",
        *maps("a", "b"),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        get(f"{MAPS}/a", watch="true", pick="kind,data"),
    ),
    _of(
        "another kind is not told of",
        *maps("a"),
        post(THING_LIST, a_thing("b")),
        post(MAPS, a_map("c")),
        watch(MAPS, 1, resourceVersion=FIRST),
    ),
    _of(
        "across namespaces",
        *maps("a"),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        watch("/api/v1/configmaps", 1, resourceVersion=FIRST, fieldSelector="metadata.namespace=${ns}"),
    ),
    _of("the end comes in time", *maps("a"), watch(MAPS, resourceVersion=FIRST)),
    _of("nothing happened", *maps("a"), watch(MAPS, resourceVersion=FIRST, fieldSelector="metadata.name=nobody")),
    _of(
        "the old path of watches",
        *maps("a"),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        watch("/api/v1/watch/namespaces/${ns}/configmaps", 1, resourceVersion=FIRST, watch=""),
    ),
    _of("a version that is long gone", forget(), watch(THING_LIST, 1, resourceVersion="1")),
    _of("a version that is none", watch(MAPS, 1, resourceVersion="x"), watch(MAPS, 1, resourceVersion="-5")),
    _of("a version yet to come", watch(MAPS, resourceVersion=FAR)),
    _of(
        "a list as events at a version yet to come",
        watch(
            MAPS,
            1,
            resourceVersion=FAR,
            sendInitialEvents="true",
            resourceVersionMatch="NotOlderThan",
            allowWatchBookmarks="true",
        ),
    ),
    _of(
        "a list as events",
        *maps("a", "b"),
        watch(
            MAPS,
            3,
            resourceVersion="${1.metadata.resourceVersion}",
            sendInitialEvents="true",
            resourceVersionMatch="NotOlderThan",
            allowWatchBookmarks="true",
        ),
    ),
    _of(
        "a list as events of nothing",
        watch(MAPS, 1, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true"),
    ),
    _of(
        "a list as events without bookmarks",
        *maps("a"),
        watch(MAPS, 1, resourceVersion=FIRST, sendInitialEvents="true", resourceVersionMatch="NotOlderThan"),
    ),
    _of(
        "a list as events of custom objects",
        post(THING_LIST, a_thing("a")),
        watch(
            THING_LIST,
            2,
            resourceVersion=FIRST,
            sendInitialEvents="true",
            resourceVersionMatch="NotOlderThan",
            allowWatchBookmarks="true",
        ),
    ),
    _of(
        "a list as events of metadata",
        *maps("a"),
        watch(
            MAPS,
            2,
            resourceVersion=FIRST,
            sendInitialEvents="true",
            resourceVersionMatch="NotOlderThan",
            allowWatchBookmarks="true",
            accept=METADATA,
        ),
    ),
    _of(
        "a list as events of a selection",
        *maps("a", "b"),
        watch(
            MAPS,
            2,
            resourceVersion="${1.metadata.resourceVersion}",
            sendInitialEvents="true",
            resourceVersionMatch="NotOlderThan",
            allowWatchBookmarks="true",
            fieldSelector="metadata.name=b",
        ),
    ),
    _of(
        "a list as events, and then what changes",
        *maps("a"),
        follow(
            "w",
            MAPS,
            resourceVersion=FIRST,
            sendInitialEvents="true",
            resourceVersionMatch="NotOlderThan",
            allowWatchBookmarks="true",
        ),
        told("w", 2),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        told("w", 1),
    ),
    _of(
        "no list as events",
        *maps("a"),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        watch(MAPS, 1, resourceVersion=FIRST, sendInitialEvents="false", resourceVersionMatch="NotOlderThan"),
    ),
    _of(
        "a bookmark before the end",
        *maps("a"),
        follow(
            "w",
            MAPS,
            resourceVersion=FIRST,
            allowWatchBookmarks="true",
            timeoutSeconds="3",
            fieldSelector="metadata.name=nobody",
        ),
        post(MAPS, a_map("b")),
        told("w", 1),
    ),
    _of(
        "metadata only",
        *maps("a"),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        delete(f"{MAPS}/a"),
        watch(MAPS, 2, resourceVersion=FIRST, accept=METADATA),
    ),
    _of(
        "metadata of custom objects",
        post(THING_LIST, a_thing("a")),
        delete(f"{THING_LIST}/a"),
        watch(THING_LIST, 1, resourceVersion=FIRST, accept=METADATA),
    ),
    _of(
        "a table of changes",
        *maps("a"),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        delete(f"{MAPS}/a"),
        watch(MAPS, 2, resourceVersion=FIRST, accept=TABLE),
    ),
    _of("a form nobody has", watch(MAPS, 1, accept="text/plain")),
    _of("yaml is no stream", watch(MAPS, 1, accept="application/yaml")),
    _of(
        "selectors that cannot be read",
        watch(MAPS, 1, labelSelector="-x"),
        watch(MAPS, 1, fieldSelector="data.x=1"),
        watch(THING_LIST, 1, fieldSelector="spec.count=1"),
    ),
    _of("a collection that goes", *maps("a", "b"), delete(MAPS), watch(MAPS, 3, resourceVersion=FIRST)),
    _of(
        "a patch of nothing between",
        *maps("a"),
        json_patch(f"{MAPS}/a", []),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        watch(MAPS, 1, resourceVersion=FIRST),
    ),
    _of(
        "a limit is passed over",
        *maps("a"),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        watch(MAPS, 1, resourceVersion=FIRST, limit=1),
    ),
    _of("a namespace that is not there", watch("/api/v1/namespaces/nowhere/configmaps", resourceVersion="0")),
    _of("a kind that is not there", watch("/apis/shop.example.com/v1/namespaces/${ns}/nothings", 1)),
    _of(
        "pods, which end in two steps",
        post(PODS, {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}}),
        delete(f"{PODS}/a", pick="metadata.deletionGracePeriodSeconds"),
        delete(f"{PODS}/a", {"gracePeriodSeconds": 0}, pick="metadata.name"),
        watch(PODS, 2, resourceVersion=FIRST, accept=METADATA),
    ),
]
_FLAGS: Final = ("true", "1", "True", "yes", "", "false", "0", "False", "FALSE")
CASES += [
    _of(
        f"the word {flag!r}",
        *maps("a"),
        merge(f"{MAPS}/a", {"data": {"x": "1"}}),
        watch(MAPS, 1, resourceVersion=FIRST, watch=flag),
    )
    for flag in _FLAGS
    if flag.lower() not in ("false", "0", "")
]
CASES += [
    _of(f"the word {flag!r} is a list", *maps("a"), get(MAPS, watch=flag, pick="kind"))
    for flag in _FLAGS
    if flag.lower() in ("false", "0")
]
CASES += [
    _of(
        f"sendInitialEvents {flag!r}",
        *maps("a"),
        watch(MAPS, 1, resourceVersion="0", sendInitialEvents=flag, resourceVersionMatch="NotOlderThan"),
    )
    for flag in ("1", "yes")
]


def _options(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value != ""}


CASES += [
    _of(
        f"illegal: sendInitialEvents {initial or 'unset'}, match {match or 'unset'}, version {version or 'unset'}",
        watch(MAPS, 1, **_options(sendInitialEvents=initial, resourceVersionMatch=match, resourceVersion=version)),
    )
    for initial, match, version in product(("", "true", "false"), ("", "Exact", "NotOlderThan", "Other"), ("", "0"))
    if (match or initial) and (match, bool(initial)) != ("NotOlderThan", True)
]
CASES += [
    _of(
        "a token for a watch",
        *maps("a", "b"),
        get(MAPS, limit=1, pick="kind"),
        watch(MAPS, resourceVersion=FIRST, continue_="${2.metadata.continue}"),
        watch(
            MAPS, 1, resourceVersionMatch="NotOlderThan", sendInitialEvents="true", continue_="${2.metadata.continue}"
        ),
    ),
    _of(
        "a list may not ask for events",
        get(MAPS, sendInitialEvents="true"),
        get(MAPS, sendInitialEvents="false", resourceVersionMatch="NotOlderThan", resourceVersion="0"),
    ),
]
