"""Stories about what a definition makes of its kind: versions, names, scale, changes, the end."""

from typing import Any, Final

from tests.testing.callers import DEFINITIONS, Reply
from tests.testing.stories import Step, Story, apply, delete, get, merge, post, put
from tests.testing.stories_definitions import TEXT, definition, version

_SETTLED: Final = ("NamesAccepted", "Established")


def served(group: str) -> Step:
    """Wait until a definition is in force."""

    def is_so(reply: Reply) -> bool:
        conditions = ((reply.get("status") or {}).get("conditions") or []) if reply.code == 200 else []
        return {one["type"] for one in conditions if one["status"] == "True"} >= set(_SETTLED)

    return get(f"{DEFINITIONS}/cases.{group}", until=is_so)


def answers(path: str, code: int = 200) -> Step:
    """Wait until a path is answered so."""
    return get(path, until=lambda reply: reply.code == code)


def _case(group: str, name: str, version_: str = "v1", **parts: Any) -> dict[str, Any]:
    return {"apiVersion": f"{group}/{version_}", "kind": "Case", "metadata": {"name": name}, **parts}


def _cases(group: str, version_: str = "v1") -> str:
    return f"/apis/{group}/{version_}/namespaces/default/cases"


def _spec(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}


def _versions() -> Story:
    group = "versions.example.com"
    both = definition(
        group,
        versions=[
            version("v1beta1", _spec(a=TEXT, old={**TEXT, "default": "o"})),
            version("v1", _spec(a=TEXT, new={**TEXT, "default": "n"}), storage=False),
        ],
    )
    old, new = _cases(group, "v1beta1"), _cases(group)
    return Story(
        "several versions",
        (
            post(DEFINITIONS, both),
            served(group),
            answers(new),
            answers(old),
            get(f"/apis/{group}"),
            post(old, _case(group, "a", "v1beta1", spec={"a": "1"})),
            get(f"{new}/a"),
            get(new),
            post(new, _case(group, "b", spec={"a": "2"})),
            get(f"{old}/b"),
            get(f"{new}/b"),
            merge(f"{new}/a", {"spec": {"new": "mine"}}),
            get(f"{old}/a"),
            put(f"{new}/a", _case(group, "a", "v1beta1")),
            apply(f"{new}/b", _case(group, "b", spec={"a": "3"}), "one", force="true"),
            apply(f"{old}/b", _case(group, "b", "v1beta1", spec={"a": "4"}), "two"),
            apply(f"{old}/b", _case(group, "b", "v1beta1", spec={"a": "4"}), "one"),
            get(f"{DEFINITIONS}/cases.{group}"),
            delete(f"{new}/a"),
            get(f"{old}/a"),
        ),
    )


def _defaults_on_read() -> Story:
    group = "reads.example.com"
    path = _cases(group)
    name = f"{DEFINITIONS}/cases.{group}"
    wider = [version("v1", _spec(a=TEXT, b={**TEXT, "default": "later"}))]
    return Story(
        "defaults and pruning on read",
        (
            post(DEFINITIONS, definition(group, versions=[version("v1", _spec(a=TEXT, gone=TEXT))])),
            served(group),
            answers(path),
            post(path, _case(group, "a", spec={"a": "1", "gone": "x"})),
            merge(name, {"spec": {"versions": wider}}),
            get(f"{path}/a", until=lambda reply: "b" in reply["spec"]),
            get(f"{path}/a"),
            get(path),
            merge(f"{path}/a", {"metadata": {"labels": {"x": "y"}}}),
        ),
    )


def _storage() -> Story:
    group = "storage.example.com"
    name = f"{DEFINITIONS}/cases.{group}"
    schema = _spec(a=TEXT)
    moved = [version("v1", schema, storage=False), version("v2", schema)]
    return Story(
        "another storage version",
        (
            post(DEFINITIONS, definition(group, versions=[version("v1", schema)])),
            served(group),
            answers(_cases(group)),
            post(_cases(group), _case(group, "a", spec={"a": "1"})),
            merge(name, {"spec": {"versions": moved}}),
            answers(_cases(group, "v2")),
            get(f"{_cases(group, 'v2')}/a"),
            get(name),
            merge(name, {"spec": {"versions": moved[1:]}}),
            merge(f"{name}/status", {"status": {"storedVersions": ["v2"]}}),
            merge(name, {"spec": {"versions": moved[1:]}}),
            answers(_cases(group), 404),
            answers(f"{_cases(group, 'v2')}/a", 500),
            get(f"{_cases(group, 'v2')}/a"),
        ),
    )


def _scale() -> Story:
    group = "scale.example.com"
    number = {"type": "integer"}
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"n": number}},
            "status": {"type": "object", "properties": {"n": number, "s": TEXT}},
        },
    }
    paths = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n", "labelSelectorPath": ".status.s"}
    path = _cases(group)
    scale = f"{path}/a/scale"
    return Story(
        "scale",
        (
            post(
                DEFINITIONS,
                definition(group, versions=[version("v1", schema, subresources={"scale": paths, "status": {}})]),
            ),
            served(group),
            answers(path),
            get(f"/apis/{group}/v1"),
            post(path, _case(group, "a", spec={"n": 2})),
            get(scale),
            merge(f"{path}/a/status", {"status": {"n": 1, "s": "x=y"}}),
            get(scale),
            merge(scale, {"spec": {"replicas": 5}}),
            get(f"{path}/a"),
            put(
                scale,
                {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 7}},
            ),
            get(f"{path}/a"),
            merge(scale, {"spec": {"replicas": -1}}),
            merge(scale, {"spec": {"replicas": None}}),
            apply(
                scale,
                {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 9}},
            ),
            apply(scale, {"apiVersion": f"{group}/v1", "kind": "Case", "metadata": {"name": "a"}}),
            put(scale, {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "b"}}),
            post(path, _case(group, "none")),
            get(f"{path}/none/scale"),
            merge(f"{path}/none/scale", {"spec": {"replicas": 1}}),
            merge(f"{path}/none/scale", {"metadata": {"labels": {"a": "b"}}}),
            get(f"{path}/lost/scale"),
            delete(scale),
            post(path, _case(group, "bad", spec={"n": -1})),
            merge(f"{path}/a/status", {"status": {"n": -1}}),
        ),
    )


def _names() -> Story:
    group = "names.example.com"

    def named(plural: str, **names: Any) -> dict[str, Any]:
        body = definition(group, names={"plural": plural, **names})
        return {**body, "metadata": {"name": f"{plural}.{group}"}}

    def has(plural: str, type_: str, status: str, reason: str = "") -> Step:
        def is_so(reply: Reply) -> bool:
            conditions = (reply.get("status") or {}).get("conditions") or []
            found = [one for one in conditions if (one["type"], one["status"]) == (type_, status)]
            return any(not reason or one["reason"] == reason for one in found)

        return get(f"{DEFINITIONS}/{plural}.{group}", until=is_so)

    return Story(
        "names that are taken",
        (
            post(DEFINITIONS, named("firsts", kind="First", shortNames=["f"])),
            has("firsts", "Established", "True"),
            post(DEFINITIONS, named("seconds", kind="First", shortNames=["f", "s"])),
            has("seconds", "NamesAccepted", "False", "ListKindConflict"),
            get(f"{DEFINITIONS}/seconds.{group}"),
            get(f"/apis/{group}/v1/namespaces/default/seconds"),
            merge(
                f"{DEFINITIONS}/seconds.{group}",
                {"spec": {"names": {"kind": "Second", "singular": "second", "listKind": "SecondList"}}},
            ),
            has("seconds", "NamesAccepted", "False", "ShortNamesConflict"),
            merge(f"{DEFINITIONS}/seconds.{group}", {"spec": {"names": {"shortNames": ["s"]}}}),
            has("seconds", "Established", "True"),
            get(f"{DEFINITIONS}/seconds.{group}"),
            merge(f"{DEFINITIONS}/seconds.{group}", {"spec": {"names": {"shortNames": ["f"], "categories": ["all"]}}}),
            has("seconds", "NamesAccepted", "False"),
            get(f"{DEFINITIONS}/seconds.{group}"),
            delete(f"{DEFINITIONS}/firsts.{group}"),
            has("seconds", "NamesAccepted", "True"),
            get(f"{DEFINITIONS}/seconds.{group}"),
        ),
    )


def _changes() -> Story:
    group = "changes.example.com"
    name = f"{DEFINITIONS}/cases.{group}"
    return Story(
        "what cannot change",
        (
            post(DEFINITIONS, definition(group)),
            served(group),
            merge(name, {"spec": {"scope": "Cluster"}}),
            merge(name, {"spec": {"names": {"kind": "Other"}}}),
            merge(name, {"spec": {"names": {"plural": "others"}}}),
            merge(name, {"spec": {"group": "other.example.com"}}),
            merge(name, {"spec": {"preserveUnknownFields": True}}),
            merge(name, {"spec": {"versions": [version("v2")]}}),
            merge(name, {"spec": {"versions": [version("v1", {"type": "object", "properties": {"f": {}}})]}}),
            merge(name, {"metadata": {"labels": {"a": "b"}}}),
            merge(f"{name}/status", {"status": {"storedVersions": []}}),
            merge(f"{name}/status", {"status": {"acceptedNames": {"plural": "A B"}}}),
            delete(name),
            answers(name, 404),
        ),
    )


def _deprecated() -> Story:
    group = "old.example.com"
    path = _cases(group, "v1alpha1")
    old = version("v1alpha1", deprecated=True, storage=False)
    return Story(
        "deprecated versions",
        (
            post(
                DEFINITIONS,
                definition(
                    group,
                    versions=[old, version("v1", deprecated=True, deprecationWarning="no more"), {**old, "name": "v2"}],
                ),
            ),
            served(group),
            answers(path),
            get(path),
            post(path, _case(group, "a", "v1alpha1")),
            get(f"{_cases(group)}/a"),
            get(f"{_cases(group, 'v2')}/lost"),
        ),
    )


def _selectable() -> Story:
    group = "fields.example.com"
    schema = _spec(a=TEXT, n={"type": "integer"}, b={"type": "boolean"})
    fields = [{"jsonPath": f".spec.{name}"} for name in "anb"]
    path = _cases(group)
    return Story(
        "selectable fields",
        (
            post(DEFINITIONS, definition(group, versions=[version("v1", schema, selectableFields=fields)])),
            served(group),
            answers(path),
            post(path, _case(group, "a", spec={"a": "x", "n": 1, "b": True})),
            post(path, _case(group, "b", spec={"a": "y"})),
            *(
                get(path, query={"fieldSelector": text})
                for text in ("spec.a=x", "spec.n=1", "spec.b=true", "spec.b!=true", "spec.b=", "spec.c=1", "spec.a!=x")
            ),
        ),
    )


def stories() -> list[Story]:
    """Each with a group of its own."""
    return [
        _versions(),
        _defaults_on_read(),
        _storage(),
        _scale(),
        _names(),
        _changes(),
        _deprecated(),
        _selectable(),
    ]
