"""A proof that an apply changes nothing holds both ways, or is none."""

import copy
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.fieldset import covers
from reconcile.kube.objects import Object

Step: TypeAlias = tuple[str, Any]
Path: TypeAlias = tuple[Step, ...]


# A reference: values together with the paths that structured-merge-diff puts into the set of who applies them, and a
# live value that has it all and more. It knows of every list and map whether it is atomic; the proof does not.


@attrs.frozen
class Node:
    body: Any
    live: Any
    members: list[Path]


atoms: st.SearchStrategy[Any] = st.sampled_from(
    [True, 0, 1, "", "x", {}, {"p": 1}, {"p": {"q": [0]}}, [], ["x", {"q": 2}]]
)
names = st.sampled_from(["a", "b.c/d", "f:x", "."])


def leaf(value: Any) -> Node:
    return Node(value, copy.deepcopy(value), [()])


@st.composite
def sets(draw: st.DrawFn) -> Node:
    mine = draw(st.lists(st.sampled_from(["a", "b", "c", 1, 2]), unique=True, min_size=1, max_size=3))
    live = list(mine)
    for other in draw(st.lists(st.sampled_from(["o1", "o2", 7]), unique=True, max_size=2)):
        live.insert(draw(st.integers(0, len(live))), other)
    return Node(mine, live, [(("v", value),) for value in mine])


@st.composite
def maps(draw: st.DrawFn, inner: st.SearchStrategy[Node]) -> Node:
    """With the fields of a schema, or with free names: of those the parents are members too."""
    free = draw(st.booleans())
    fields = draw(st.dictionaries(names, inner, min_size=1, max_size=3))
    members: list[Path] = []
    for name, node in fields.items():
        step = ("f", name)
        members += [(step, *member) for member in node.members]
        if free and () not in node.members:
            members.append((step,))
    live = {name: node.live for name, node in fields.items()}
    if draw(st.booleans()):
        live["of another manager"] = draw(atoms)
    return Node({name: node.body for name, node in fields.items()}, live, members)


@st.composite
def items(draw: st.DrawFn, inner: st.SearchStrategy[Node]) -> Node:
    """A list by keys; its items have fields of their own or are atomic."""
    mine: list[Any] = []
    live: list[Any] = []
    members: list[Path] = []
    atomic = draw(st.booleans())
    for key in draw(st.lists(st.integers(0, 4), unique=True, min_size=1, max_size=3)):
        keys = {"name": f"n{key}", "port": key % 2}
        node = draw(maps(inner)) if not atomic else leaf({"more": draw(atoms)})
        step = ("k", orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode())
        mine.append({**keys, **node.body})
        live.append({**keys, **node.live})
        members.append((step,))
        if not atomic:
            members += [(step, ("f", name)) for name in keys]
            members += [(step, *member) for member in node.members]
    for other in draw(st.lists(st.sampled_from(["o1", "o2"]), unique=True, max_size=2)):
        live.insert(draw(st.integers(0, len(live))), {"name": other, "port": 0})
    return Node(mine, live, members)


nodes: st.SearchStrategy[Node] = st.recursive(
    atoms.map(leaf) | sets(), lambda inner: maps(inner) | items(inner), max_leaves=4
)


@st.composite
def applied(draw: st.DrawFn) -> Node:
    """A whole object that was applied, and what has become of it."""
    head = {"apiVersion": "g/v1", "kind": "Thing"}
    name = {"name": "blue", "namespace": "shop"}
    stored = {**name, "uid": "u", "resourceVersion": "7", "managedFields": []}
    spec = draw(nodes)
    members = [(("f", "spec"), *member) for member in spec.members]
    body, live = {**head, "spec": spec.body}, {**head, "spec": spec.live, "status": {"ready": True}}
    if draw(st.booleans()):
        labels = draw(st.dictionaries(st.sampled_from(["app", "x.io/y"]), st.sampled_from(["", "1"]), min_size=1))
        members += [(("f", "metadata"), ("f", "labels"), ("f", label)) for label in labels]
        return Node(
            {**body, "metadata": {**name, "labels": labels}},
            {**live, "metadata": {**stored, "labels": {**labels, "other": "1"}}},
            members,
        )
    return Node({**body, "metadata": name}, {**live, "metadata": stored}, members)


def tree(members: list[Path]) -> dict[str, Any]:
    """``fieldsV1`` of a set of paths: a member that has others below it is marked by a dot."""
    root: dict[str, Any] = {}
    for member in members:
        node = root
        for kind, value in member:
            text = orjson.dumps(value).decode() if kind == "v" else value
            node = node.setdefault(f"{kind}:{text}", {})
    for member in members:
        node = root
        for kind, value in member:
            node = node[f"{kind}:{orjson.dumps(value).decode() if kind == 'v' else value}"]
        if node:
            node["."] = {}
    return root


def lookup(value: Any, path: Path) -> tuple[Any, Any]:
    """The container of what lies at a path, and its place there."""
    container, place = None, None
    for kind, step in path:
        container = value
        if kind == "f":
            place = step
        elif kind == "v":
            place = next(index for index, item in enumerate(value) if item == step and type(item) is type(step))
        else:
            keys = orjson.loads(step)
            place = next(i for i, item in enumerate(value) if all(item.get(key) == keys[key] for key in keys))
        value = container[place]
    return container, place


@pytest.mark.pain(15)
@given(applied())
def test_an_apply_that_was_stored_is_proven_to_change_nothing(node: Node) -> None:
    assert covers(tree(node.members), node.body, node.live)
    assert covers(tree(node.members), node.body, Object(node.live))


@pytest.mark.pain(15)
@given(applied(), st.data())
def test_one_live_value_that_differs_is_no_proof(node: Node, data: st.DataObject) -> None:
    container, place = lookup(node.live, data.draw(st.sampled_from(node.members)))
    is_kept = not isinstance(container[place], (dict, list)) or container[place]  # what is empty may be dropped
    changed = data.draw(st.sampled_from(["other", "null", *(["gone"] if is_kept else [])]))
    if changed == "gone":
        del container[place]
    else:
        container[place] = "another value" if changed == "other" else None
    assert not covers(tree(node.members), node.body, node.live)


@pytest.mark.pain(15)
@given(applied(), st.data())
def test_one_field_of_the_body_more_is_no_proof(node: Node, data: st.DataObject) -> None:
    member = data.draw(st.sampled_from(node.members))
    container, _ = lookup(node.body, member)
    live, _ = lookup(node.live, member)
    value = data.draw(atoms)
    if isinstance(container, dict):
        container["new"] = live["new"] = value
    else:
        container.append("new")
        live.append("new")
    assert not covers(tree(node.members), node.body, node.live)


@pytest.mark.pain(15)
@given(applied(), st.data())
def test_one_field_of_the_body_less_is_no_proof(node: Node, data: st.DataObject) -> None:
    container, place = lookup(node.body, data.draw(st.sampled_from(node.members)))
    del container[place]
    assert not covers(tree(node.members), node.body, node.live)


@pytest.mark.pain(15)
@given(applied(), st.data())
def test_one_owned_field_more_is_no_proof(node: Node, data: st.DataObject) -> None:
    *parents, (kind, _) = data.draw(st.sampled_from(node.members))
    step = {"f": ("f", "mine before"), "v": ("v", "mine before"), "k": ("k", '{"name":"mine before","port":0}')}[kind]
    assert not covers(tree([*node.members, (*parents, step)]), node.body, node.live)


@pytest.mark.pain(15)
@given(applied(), st.data())
def test_one_owned_field_less_is_no_proof(node: Node, data: st.DataObject) -> None:
    def below_another(member: Path) -> bool:  # what is left would be a leaf that stands for all of it
        return any(member[:end] in node.members for end in range(1, len(member)))

    parts = [member for member in node.members if not below_another(member)]
    lost = data.draw(st.sampled_from(parts))
    left = [member for member in node.members if member[: len(lost)] != lost]
    assert not covers(tree(left), node.body, node.live)


@pytest.mark.pain(15)
@given(applied(), st.data())
def test_another_order_of_our_items_is_no_proof(node: Node, data: st.DataObject) -> None:
    lists = {member[:-1] for member in node.members if member[-1][0] in "vk"}
    for path in sorted(lists, key=repr):
        container, place = lookup(node.live, path)
        mine = lookup(node.body, path)
        ordered = mine[0][mine[1]]
        if len(ordered) > 1:
            container[place].reverse()
            assert not covers(tree(node.members), node.body, node.live)
            container[place].reverse()


DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]},
        },
    },
}
DEPLOYMENT_FIELDS: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:selector": {},
        "f:template": {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {
                "f:containers": {
                    'k:{"name":"c"}': {
                        ".": {},
                        "f:image": {},
                        "f:name": {},
                        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                    }
                }
            },
        },
    },
}


def stored_deployment() -> dict[str, Any]:
    """As a server stores it: with defaults everywhere."""
    live: dict[str, Any] = copy.deepcopy(DEPLOYMENT)
    live["metadata"].update(uid="u", resourceVersion="7", generation=1)
    live["spec"].update(replicas=1)
    container = live["spec"]["template"]["spec"]["containers"][0]
    container.update(imagePullPolicy="Always")
    container["ports"][0].update(protocol="TCP")
    return live


def test_key_fields_that_the_body_leaves_to_their_default_do_not_stand_in_the_way() -> None:
    assert covers(DEPLOYMENT_FIELDS, DEPLOYMENT, stored_deployment())


@pytest.mark.pain(15)
@pytest.mark.parametrize(
    "change",
    [
        lambda live: live["spec"]["template"]["spec"]["containers"][0]["ports"][0].update(protocol="UDP"),
        lambda live: live["spec"]["template"]["spec"]["containers"][0].update(image="other"),
        lambda live: live["spec"]["template"]["spec"].update(containers=[]),
        lambda live: live["spec"]["selector"]["matchLabels"].update(more="x"),
        lambda live: live["metadata"]["labels"].update(app="other"),
        lambda live: live["metadata"].update(name="other"),
        lambda live: live["metadata"].update(namespace="other"),
        lambda live: live.update(apiVersion="apps/v2"),
        lambda live: live.update(kind="Other"),
        lambda live: live.update(metadata=[]),
        lambda live: live.update(spec=None),
    ],
)
def test_a_foreign_change_of_what_we_own_is_no_proof(change: Callable[[Any], object]) -> None:
    live = stored_deployment()
    change(live)
    assert not covers(DEPLOYMENT_FIELDS, DEPLOYMENT, live)


@pytest.mark.parametrize("name", ["apiVersion", "kind"])
def test_an_item_of_a_list_need_not_say_what_it_is(name: str) -> None:
    live = stored_deployment()
    del live[name]
    assert covers(DEPLOYMENT_FIELDS, DEPLOYMENT, live)


@pytest.mark.pain(15)
@pytest.mark.parametrize(
    ("fields", "body", "live", "proven"),
    [
        ({}, {}, {}, True),
        ({}, {"a": 1}, {"a": 1}, False),
        ({"f:a": {}}, {}, {"a": 1}, False),
        ({"f:a": {}}, {"a": 1}, {"a": 1}, True),
        ({"f:a": {}}, {"a": 1}, {"a": True}, False),
        ({"f:a": {}}, {"a": None}, {"a": None}, False),
        ({"f:a": {}}, {"a": {"b": [None]}}, {"a": {"b": [None]}}, False),
        ({"f:a": {}}, {"a": {}}, {"a": {}}, True),
        ({"f:a": {}}, {"a": {}}, {"a": {"b": 1}}, False),
        ({"f:a": {}}, {"a": []}, {"a": []}, True),
        ({"f:a": {}}, {"a": {}}, {}, True),
        ({"f:a": {}}, {"a": []}, {}, True),
        ({"f:a": {}}, {"a": ()}, {}, True),
        ({"f:a": {"f:b": {}}}, {"a": {"b": {}}}, {"a": {}}, True),
        ({"f:a": {"f:b": {}}}, {"a": {"b": {}}}, {}, False),
        ({"f:a": {}}, {"a": {}}, {"a": None}, False),
        ({"f:a": {}}, {"a": ""}, {}, False),
        ({"f:a": {}}, {"a": 0}, {}, False),
        ({"f:a": {}}, {"a": {"b": 1}}, {}, False),
        ({"f:a": {}}, {"a": [0]}, {}, False),
        ({"f:a": {"f:b": {}}}, {"a": {}}, {}, False),
        ({}, {"a": {}}, {}, False),
        ({}, {"a": []}, {}, False),
        ({"f:b": {}}, {"a": [], "b": 1}, {"a": [], "b": 1}, False),
        ({"f:metadata": {"f:labels": {}}}, {"metadata": {"labels": {}}}, {"metadata": {"name": "x"}}, True),
        ({"f:metadata": {"f:labels": {}}}, {"metadata": {"labels": {}}}, {"metadata": {"labels": {"b": "1"}}}, False),
        ({"f:b": {}}, {"b": 1, "metadata": {"finalizers": []}}, {"b": 1, "metadata": {}}, True),
        ({"f:b": {}}, {"b": 1, "metadata": {"ownerReferences": []}}, {"b": 1, "metadata": {"finalizers": ["x"]}}, True),
        ({"f:b": {}}, {"b": 1, "metadata": {"finalizers": None}}, {"b": 1, "metadata": {}}, False),
        (
            {"f:b": {}, "f:metadata": {"f:finalizers": {'v:"x"': {}}}},
            {"b": 1, "metadata": {"finalizers": []}},
            {"b": 1, "metadata": {"finalizers": ["x"]}},
            False,
        ),
        ({"f:a": {".": {}}}, {"a": 1}, {"a": 1}, True),
        ({"f:a": {".": {"f:b": {}}}}, {"a": {"b": 1}}, {"a": {"b": 1}}, False),
        ({"f:a": {".": {}, "f:b": {}}}, {"a": {"b": 1}}, {"a": {"b": 1}}, True),
        ({"f:a": {"f:b": {}}}, {"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"f:a": {"f:b": {}}}, {"a": [1]}, {"a": {"b": 1}}, False),
        ({"f:a": {"f:b": {}}}, {"a": {"b": 1}}, {"a": [1]}, False),
        ({"f:a": {"i:0": {}, "i:1": {}}}, {"a": [5, 6]}, {"a": [5, 6]}, True),
        ({"f:a": {"i:0": {}, "i:1": {}}}, {"a": [5, 6]}, {"a": [5, 6, 7]}, False),
        ({"f:a": {"i:0": {}, "i:2": {}}}, {"a": [5, 6]}, {"a": [5, 6]}, False),
        ({"f:a": {"v:1": {}, "v:2": {}}}, {"a": [1, 2]}, {"a": [1, 3, 2]}, True),
        ({"f:a": {"v:1": {}, "v:2": {}}}, {"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"f:a": {"v:1": {}}}, {"a": [1]}, {"a": [1, 1]}, False),
        ({"f:a": {"v:1": {}}}, {"a": [True]}, {"a": [True]}, False),
        ({"f:a": {"v:1": {}, 'v:"x"': {}}}, {"a": [1, 1]}, {"a": [1, "x"]}, False),
        ({"f:a": {"v:1": {}, "f:b": {}}}, {"a": [1, 2]}, {"a": [1, 2]}, False),
        ({"f:a": {"v:{": {}}}, {"a": [1]}, {"a": [1]}, False),
        ({"f:a": {"k:[1]": {}}}, {"a": [1]}, {"a": [1]}, False),
        ({"f:a": {"k:{}": {}}}, {"a": [{"b": 1}]}, {"a": [{"b": 1}]}, False),
        ({"f:a": {'k:{"b":1}': {}}}, {"a": [5]}, {"a": [5]}, False),
        ({"f:a": {'k:{"b":1}': {}}}, {"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": 1}]}, False),
        ({"f:a": {'k:{"b":1}': {}, 'k:{"b":1,"c":2}': {}}}, {"a": [{"b": 1}, {"d": 1}]}, {"a": [{"b": 1}]}, False),
        ({"f:a": {'k:{"b":1}': {}, 'k:{"b":1,"c":2}': {}}}, {"a": [{"b": 1}, {}]}, {"a": [{"b": 1, "c": 2}]}, False),
        ({"f:a": {'k:{"b":1,"c":2}': {}}}, {"a": [{"b": 1}]}, {"a": [{"b": 1}]}, False),
        ({"f:a": {'k:{"b":1}': {}}}, {"a": [{"b": 1}, {"b": 1}]}, {"a": [{"b": 1}]}, False),
        ({"f:a": {'k:{"b":1}': {}}}, {"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 2}]}, False),
        ({"f:a": {"i:0": {}}}, {"a": [5, 6]}, {"a": [5, 6]}, False),
        ({"f:a": {"x:1": {}}}, {"a": [1]}, {"a": [1]}, False),
        ({"f:a": {"strange": {}}}, {"a": [1]}, {"a": [1]}, False),
        ({"f:a": 5}, {"a": 1}, {"a": 1}, False),
        ({"f:a": None}, {"a": 1}, {"a": 1}, False),
        ({"a": {}}, {"a": 1}, {"a": 1}, False),
        ({"f:metadata": {"f:labels": {"f:a": {}}}}, {"metadata": {"labels": {"a": "1"}}}, {"metadata": None}, False),
        ({"f:metadata": {}}, {"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"a": "1"}}}, True),
        ({"f:spec": {}}, {"spec": {}}, {"spec": {"id": "7"}}, True),
        ({"f:spec": {}}, {"spec": {}}, {}, True),
        ({"f:spec": {}}, {}, {"spec": {"id": "7"}}, False),
        ({"f:spec": {"f:a": {}}}, {"spec": {}}, {"spec": {"a": 1}}, False),
        ({}, {"spec": {}}, {"spec": {"id": "7"}}, False),
    ],
)
def test_what_is_unclear_is_no_proof(
    fields: dict[str, Any], body: dict[str, Any], live: dict[str, Any], proven: bool
) -> None:
    assert covers(fields, body, live) is proven


@pytest.mark.parametrize(
    ("metadata", "proven"),
    [
        ({"uid": "u"}, True),
        ({"uid": "another"}, False),
        ({"resourceVersion": "7"}, True),
        ({"resourceVersion": "6"}, False),
        ({"generation": 1, "creationTimestamp": None}, False),
        ({"managedFields": []}, False),
        ({"finalizers": ["x"]}, False),
    ],
)
def test_guards_have_to_hold_and_are_no_fields(metadata: dict[str, Any], proven: bool) -> None:
    body = {**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], **metadata}}
    live = stored_deployment()
    live["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    assert covers(DEPLOYMENT_FIELDS, body, live) is proven
