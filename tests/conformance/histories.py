"""Stories of several writers about few objects, drawn at random as the steps of a case.

Whatever two servers answer differently is a case already: its steps can be kept as they were printed. ``mark-N``
objects stand between the moves; from the version of one of them a watch is told the rest of the story at its end.
"""

import itertools
from typing import Any, Final

import attrs
from hypothesis import strategies as st

from tests.conformance.definitions import THING_LIST
from tests.conformance.steps import (
    DEPLOYMENTS,
    MAPS,
    Case,
    Live,
    Step,
    apply,
    delete,
    get,
    json_patch,
    merge,
    post,
    put,
    strategic,
    watch_until,
)
from tests.testing import histories
from tests.testing.callers import a_map, a_thing

NAMES: Final = ("a", "b")
_numbers = itertools.count()
_managers = st.sampled_from(histories.MANAGERS)
_force: st.SearchStrategy[dict[str, str]] = st.sampled_from([{}, {"force": "true"}])
_dry = st.sampled_from([{}, {}, {}, {}, {"dryRun": "All"}])
_validation = st.sampled_from([{}, {}, {}, {"fieldValidation": "Strict"}, {"fieldValidation": "Ignore"}])
_names = st.sampled_from(NAMES)
_labels = st.sampled_from(["j=p", "j!=p", "k", "!k", "j in (p,q)", "k notin (p)", "j=p,k=q"])
_fields = st.sampled_from(["metadata.name=a", "metadata.name!=a"])
_policies = st.sampled_from(
    [None, {"propagationPolicy": "Background"}, {"propagationPolicy": "Orphan"}, {"propagationPolicy": "Foreground"}]
)


@st.composite
def _options(draw: st.DrawFn) -> dict[str, Any]:
    return {"fieldManager": draw(_managers), **draw(_dry), **draw(_validation)}


@st.composite
def _json_operations(draw: st.DrawFn) -> list[dict[str, Any]]:
    paths = st.sampled_from(
        [
            "/spec/text",
            "/spec/list/0",
            "/spec/list/-",
            "/spec/parts/0",
            "/spec/leaf/a",
            "/spec/free/u",
            "/spec/set/1",
            "/metadata/labels/j",
            "/metadata/labels",
            "/spec/labels",
            "/spec/nothing/x",
        ]
    )
    values = histories.texts | histories.counts | histories.leaves | st.none() | st.just(["a"])
    one = st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "test", "copy", "move"]),
            "path": paths,
            "value": values,
            "from": paths,
        }
    )
    return draw(st.lists(one, min_size=1, max_size=3))


@st.composite
def _of_things(draw: st.DrawFn) -> list[Step]:
    name, options, force = draw(_names), draw(_options()), draw(_force)
    path = f"{THING_LIST}/{name}"
    body = a_thing(name, draw(histories.specs), **draw(histories.metadata))
    status = {**a_thing(name), "status": draw(histories.status)}
    removed = dict.fromkeys(draw(st.lists(st.sampled_from(sorted(histories.SPEC)), max_size=2)))
    match draw(st.sampled_from("AAAAAsscmmMjjprddglDG")):
        case "A":
            return [apply(path, body, **{**options, **force})]
        case "s":
            return [apply(f"{path}/status", status, **{**options, **force})]
        case "c":
            return [post(THING_LIST, body, **options)]
        case "m":
            return [merge(path, {"metadata": body["metadata"], "spec": {**body["spec"], **removed}}, **options)]
        case "M":
            return [merge(f"{path}/status", {"status": status["status"]}, **options)]
        case "j":
            return [json_patch(path, draw(_json_operations()), **options)]
        case "p":
            return [put(path, body, **options)]
        case "r":
            return [get(path), put(path, Live(-1, {"spec": body["spec"]}), **options)]
        case "d":
            return [delete(path, draw(_policies))]
        case "D":
            return [delete(THING_LIST, labelSelector=draw(_labels))]
        case "G":
            return [get(THING_LIST, fieldSelector=draw(_fields), **({"limit": 1} if draw(st.booleans()) else {}))]
        case "l":
            return [get(THING_LIST, labelSelector=draw(_labels))]
    return [get(path)]


@st.composite
def _of_maps(draw: st.DrawFn) -> list[Step]:
    name, options, force = draw(_names), draw(_options()), draw(_force)
    path = f"{MAPS}/{name}"
    body = a_map(name, draw(histories.text_maps), **draw(histories.metadata))
    if draw(st.booleans()):
        body["binaryData"] = draw(st.dictionaries(st.sampled_from("mn"), st.sampled_from(["eA==", "eQ=="])))
    patch = {"data": {**body["data"], **draw(st.dictionaries(st.sampled_from("jkl"), st.none(), max_size=1))}}
    metadata = dict(body["metadata"])
    directives: dict[str, Any] = draw(
        st.sampled_from(
            [
                {},
                {},
                {"$patch": "replace"},
                {"$patch": "delete"},
                {"$retainKeys": ["j"]},
                {"$retainKeys": ["j", "k", "l"]},
            ]
        )
    )
    if draw(st.booleans()):
        metadata["$deleteFromPrimitiveList/finalizers"] = ["a.b/c"]
        metadata.pop("finalizers", None)  # which of the two comes first is left to the order of a map in Go
    if draw(st.booleans()):
        metadata["$setElementOrder/finalizers"] = draw(st.permutations(["a.b/c", "d.e/f"]))
    match draw(st.sampled_from("AAAcsssmpdlD")):
        case "A":
            return [apply(path, body, **{**options, **force})]
        case "c":
            return [post(MAPS, body, **options)]
        case "s":
            return [strategic(path, {"metadata": metadata, "data": {**patch["data"], **directives}}, **options)]
        case "m":
            return [merge(path, {"metadata": body["metadata"], **patch}, **options)]
        case "p":
            return [put(path, body, **options)]
        case "d":
            return [delete(path, draw(_policies))]
        case "D":
            return [delete(MAPS, labelSelector=draw(_labels))]
    return [get(MAPS, labelSelector=draw(_labels))]


_env = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("EFG")}, optional={"value": histories.texts}),
    max_size=3,
    unique_by=lambda one: one["name"],
)
_ports = st.lists(
    st.fixed_dictionaries(
        {"containerPort": st.integers(80, 82)}, optional={"protocol": st.sampled_from(["TCP", "UDP"])}
    ),
    max_size=2,
    unique_by=lambda one: (one["containerPort"], one.get("protocol", "TCP")),
)
_containers = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("xyz"), "image": st.sampled_from(["i", "i:1"])},
        optional={"env": _env, "ports": _ports, "args": st.lists(histories.texts, max_size=2)},
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda one: one["name"],
)


def _deployment(name: str, containers: Any, more: Any, labels: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"l": "m", **labels}}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"l": "m"}}, "template": template, **more},
    }


@st.composite
def _of_deployments(draw: st.DrawFn) -> list[Step]:
    name, options, force = draw(_names), draw(_options()), draw(_force)
    path = f"{DEPLOYMENTS}/{name}"
    more = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "replicas": histories.counts,
                "paused": st.booleans(),
                "strategy": st.sampled_from([{"type": "Recreate"}, {"type": "RollingUpdate"}, {}]),
                "minReadySeconds": st.integers(0, 2),
            },
        )
    )
    containers = draw(_containers)
    for other in containers[1:]:
        other.pop("ports", None)  # of a port that two of them have the real server warns
    body = _deployment(name, containers, more, draw(histories.text_maps))
    patched = [
        draw(st.sampled_from([one, {"name": one["name"], "$patch": "delete"}]))
        for one in body["spec"]["template"]["spec"]["containers"]
    ]
    match draw(st.sampled_from("AAAAcssmpdS")):
        case "A":
            return [apply(path, body, **{**options, **force})]
        case "c":
            return [post(DEPLOYMENTS, body, **options)]
        case "s":
            return [strategic(path, {"spec": {**more, "template": {"spec": {"containers": patched}}}}, **options)]
        case "m":
            return [merge(path, {"spec": {**more, "template": body["spec"]["template"]}}, **options)]
        case "p":
            return [put(path, body, **options)]
        case "S":
            return [merge(f"{path}/status", {"status": {"replicas": 1, "observedGeneration": 1}}, **options)]
    return [delete(path, draw(_policies))]


_SORTS: Final = {"things": (_of_things, THING_LIST, a_thing), "maps": (_of_maps, MAPS, a_map)}


@st.composite
def stories(draw: st.DrawFn) -> Case:
    """Up to ten moves about objects of one kind, and what a watch from some moment on tells of them."""
    sort = draw(st.sampled_from(["things", "things", "maps", "deployments"]))
    steps: list[Step] = []
    if sort == "deployments":
        for moves in draw(st.lists(_of_deployments(), min_size=1, max_size=6)):
            steps += moves
        return Case("random", f"story {next(_numbers)}", tuple(steps))
    moving, path, an_object = _SORTS[sort]
    marks: list[int] = []

    def mark() -> None:
        marks.append(len(steps))
        steps.append(post(path, an_object(f"mark-{len(marks)}", labels={"j": "p", "k": "q"})))

    mark()
    for moves in draw(st.lists(moving(), min_size=1, max_size=10)):
        # what refers to the step before it learns its number here
        for step in moves:
            if isinstance(step.body, Live):
                step = _referring(step, len(steps) - 1)
            steps.append(step)
        if draw(st.integers(0, 5)) == 0:
            mark()
    since = draw(st.sampled_from(marks))
    mark()
    selected = draw(
        st.sampled_from(
            [{}, {}, {"labelSelector": "j=p"}, {"labelSelector": "k"}, {"fieldSelector": "metadata.name!=a"}]
        )
    )
    version = f"${{{since}.metadata.resourceVersion}}"
    steps.append(watch_until(path, f"mark-{len(marks)}", resourceVersion=version, **selected))
    return Case("random", f"story {next(_numbers)}", tuple(steps))


def _referring(step: Step, number: int) -> Step:
    return attrs.evolve(step, body=attrs.evolve(step.body, step=number))
