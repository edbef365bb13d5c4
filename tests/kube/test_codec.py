"""Objects of a class are read strictly, written sparingly and updated without loss."""

import copy
import datetime as dt
import enum
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from typing import Any, Literal

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.codec import Codec, wire
from reconcile.kube.objects import BadObject, Object, ObjectMeta, OwnerReference
from reconcile.kube.patch import same
from reconcile.kube.quantity import Quantity
from reconcile.kube.resource import Resource
from reconcile.kube.views import View


class Phase(enum.Enum):
    READY = "Ready"
    FAILED = "Failed"


@attrs.frozen
class Port:
    name: str
    number: int | str = 0
    child: "Port | None" = None


@attrs.frozen
class Template:
    metadata: ObjectMeta = attrs.field(factory=ObjectMeta)
    note: str = ""


@attrs.frozen
class Spec:
    provider_id: str = attrs.field(default="", metadata=wire("providerID"))
    class_: str = ""
    replicas: int = 1
    ratio: float = 0.0
    paused: bool = False
    protocol: Literal["TCP", "UDP"] = "TCP"
    ports: tuple[Port, ...] = ()
    ips: tuple[IPv4Address | IPv6Address, ...] = ()
    gateway: IPv6Address | None = None
    prefix: IPv4Interface | IPv6Interface | None = None
    limits: Mapping[str, Quantity] = {}
    nested: Mapping[str, tuple[int, ...]] = {}
    free: Mapping[str, Any] = {}
    anything: Any = None
    template: Template | None = None


@attrs.frozen
class Status:
    phase: Phase | None = None
    since: dt.datetime | None = None
    owners: tuple[OwnerReference, ...] = ()


@attrs.frozen
class Thing:
    metadata: ObjectMeta
    spec: Spec = Spec()
    status: Status = Status()


THING = Resource("g.io", "v1", "Thing", "things", type=Thing)
CODEC = THING.codec
DOCUMENT: dict[str, Any] = {
    "apiVersion": "g.io/v1",
    "kind": "Thing",
    "metadata": {"name": "blue", "namespace": "shop", "labels": {"a": "b"}, "managedFields": [{"manager": "x"}]},
    "spec": {
        "providerID": "x://y",
        "class": "fast",
        "replicas": 3,
        "ratio": 2,
        "paused": True,
        "protocol": "UDP",
        "ports": [{"name": "web", "number": 80, "child": {"name": "c", "number": "http"}}, {"name": "z"}],
        "ips": ["10.0.0.1", "fe80::1"],
        "gateway": "2001:DB8::1",
        "prefix": "10.0.0.5/24",
        "limits": {"cpu": "1500m", "memory": "1024Mi", "count": 2},
        "nested": {"a": [1, 2]},
        "free": {"x": [{"y": 1}]},
        "anything": {"z": [1]},
        "template": {"metadata": {"labels": {"t": "1"}, "creationTimestamp": None}, "note": "n"},
        "unknown": {"field": 1},
    },
    "status": {
        "phase": "Ready",
        "since": "2026-01-02T03:04:05+01:00",
        "owners": [{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1"}],
    },
    "extra": True,
}


def read(**spec: Any) -> Thing:
    return CODEC.decode(orjson.dumps({"metadata": {"name": "blue"}, "spec": spec}))


def test_a_document_becomes_an_object_with_types() -> None:
    raw = orjson.dumps(DOCUMENT)
    thing = CODEC.decode(raw)
    assert thing.metadata.raw is raw
    assert thing.metadata.labels == {"a": "b"}
    spec = thing.spec
    assert (spec.provider_id, spec.class_, spec.replicas, spec.paused, spec.protocol) == (
        "x://y",
        "fast",
        3,
        True,
        "UDP",
    )
    assert type(spec.ratio) is float
    assert spec.ports == (Port("web", 80, Port("c", "http")), Port("z"))
    assert spec.ips == (ip_address("10.0.0.1"), ip_address("fe80::1"))
    assert spec.gateway == ip_address("2001:db8::1")
    assert spec.prefix == ip_interface("10.0.0.5/24")
    assert spec.limits == {"cpu": Quantity("1.5"), "memory": Quantity("1Gi"), "count": Quantity("2")}
    assert spec.nested == {"a": (1, 2)}
    assert spec.anything == {"z": [1]}
    assert spec.template == Template(ObjectMeta(labels={"t": "1"}), "n")
    assert thing.status.phase is Phase.READY
    assert thing.status.since == dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=dt.UTC)
    assert thing.status.owners == (OwnerReference(api_version="v1", kind="A", name="a", uid="1"),)


def test_parsed_json_becomes_the_same_object_without_a_document() -> None:
    value = copy.deepcopy(DOCUMENT)
    made = CODEC.structure(View(value))
    value["spec"]["free"]["x"].clear()
    assert made == CODEC.decode(orjson.dumps(DOCUMENT))
    assert made.metadata.raw == b""


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(Spec)])
def test_null_and_absent_read_as_the_default(name: str) -> None:
    wired = {"provider_id": "providerID", "class_": "class"}.get(name, name)
    assert read(**{wired: None}) == read() == Thing(ObjectMeta(name="blue"))


def test_null_in_a_list_of_objects_is_refused_where_it_stands() -> None:
    with pytest.raises(BadObject) as caught:
        read(ports=[{"name": "a"}, None])
    assert (caught.value.where, caught.value.what) == ("spec.ports[1]", "expected object, got null")


@pytest.mark.parametrize(
    ("spec", "where", "what"),
    [
        ({"replicas": "3"}, "spec.replicas", "expected integer, got string"),
        ({"replicas": True}, "spec.replicas", "expected integer, got boolean"),
        ({"replicas": 1.5}, "spec.replicas", "expected integer, got number"),
        ({"ratio": "1"}, "spec.ratio", "expected number, got string"),
        ({"paused": 1}, "spec.paused", "expected boolean, got integer"),
        ({"providerID": 5}, "spec.providerID", "expected string, got integer"),
        ({"protocol": "SCTP"}, "spec.protocol", "expected one of 'TCP', 'UDP', got 'SCTP'"),
        ({"protocol": []}, "spec.protocol", "expected one of"),
        ({"ports": {}}, "spec.ports", "expected array, got object"),
        ({"ports": "web"}, "spec.ports", "expected array, got string"),
        ({"ports": [{"name": "a"}, {}]}, "spec.ports[1].name", "required, but missing"),
        ({"ports": [{"name": None}]}, "spec.ports[0].name", "required, but missing"),
        ({"ports": [{"name": "a", "number": []}]}, "spec.ports[0].number", "expected integer, got array"),
        ({"ports": [{"name": "a", "child": {"name": 1}}]}, "spec.ports[0].child.name", "expected string, got integer"),
        ({"ips": ["10.0.0.1", "10.0.0.256"]}, "spec.ips[1]", "expected IPv4Address"),
        ({"ips": ["::1", 5]}, "spec.ips[1]", "got integer"),
        ({"gateway": "10.0.0.1"}, "spec.gateway", "expected IPv6Address"),
        ({"prefix": "10.0.0.0/33"}, "spec.prefix", "expected IPv4Interface"),
        ({"limits": {"cpu": "many"}}, "spec.limits.cpu", "no quantity"),
        ({"limits": {"cpu": True}}, "spec.limits.cpu", "expected quantity, got boolean"),
        ({"limits": ["1"]}, "spec.limits", "expected object, got array"),
        ({"nested": {"a": [1], "b": [1, "1"]}}, "spec.nested.b[1]", "expected integer, got string"),
        ({"free": []}, "spec.free", "expected object, got array"),
        (
            {"template": {"metadata": {"labels": {"a": 1}}}},
            "spec.template.metadata.labels[...]",
            "expected str, got int",
        ),
        ({"template": {"metadata": 5}}, "spec.template.metadata", "got int"),
    ],
)
def test_a_wrong_field_is_named_with_its_path(spec: dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(BadObject) as caught:
        read(**spec)
    assert caught.value.where == where
    assert what in caught.value.what
    assert caught.value.excerpt.startswith('{"metadata"')
    with pytest.raises(BadObject) as again:
        CODEC.structure({"metadata": {"name": "blue"}, "spec": spec})
    assert (again.value.where, again.value.what) == (caught.value.where, caught.value.what)


def test_of_two_equal_values_the_wrong_one_is_named() -> None:
    for wrong in ("providerID", "protocol"):
        with pytest.raises(BadObject) as caught:
            read(**{"replicas": 3, wrong: 3})
        assert caught.value.where == f"spec.{wrong}"


@pytest.mark.parametrize(
    ("status", "where"),
    [
        ({"phase": "Unheard"}, "status.phase"),
        ({"since": "2026-01-02"}, "status.since"),
        ({"since": 5}, "status.since"),
        ({"owners": [{"kind": "A"}]}, "status.owners[0]"),
    ],
)
def test_a_wrong_status_is_named_with_its_path(status: dict[str, Any], where: str) -> None:
    with pytest.raises(BadObject) as caught:
        CODEC.structure({"metadata": {"name": "blue"}, "status": status})
    assert caught.value.where == where


def test_a_wrong_field_is_found_however_deep_it_lies() -> None:
    child: dict[str, Any] = {"name": 5}
    for _ in range(40):  # trying every level again from every level would never end
        child = {"name": "a", "child": child}
    with pytest.raises(BadObject) as caught:
        read(ports=[child])
    assert caught.value.where == "spec.ports[0]" + ".child" * 40 + ".name"


def test_an_objection_of_the_class_itself_is_named_with_its_path() -> None:
    with pytest.raises(BadObject) as caught:
        Codec(Picky).structure({"metadata": {"name": "x"}, "even": {"number": 3}})
    assert (caught.value.where, caught.value.what) == ("even", "3 is odd")


@attrs.frozen
class Even:
    number: int = 0

    def __attrs_post_init__(self) -> None:
        if self.number % 2:
            raise ValueError(f"{self.number} is odd")


@attrs.frozen
class Picky:
    metadata: ObjectMeta
    even: Even = Even()


def test_what_was_read_is_written_as_the_api_spells_it() -> None:
    written = CODEC.encode(CODEC.decode(orjson.dumps(DOCUMENT)))
    expected: dict[str, Any] = copy.deepcopy(DOCUMENT)
    del expected["metadata"]["managedFields"], expected["spec"]["unknown"], expected["extra"]
    del expected["spec"]["template"]["metadata"]["creationTimestamp"]
    expected["spec"].update(gateway="2001:db8::1", limits={"cpu": "1500m", "memory": "1Gi", "count": "2"})
    expected["status"].update(since="2026-01-02T02:04:05Z")
    assert written == expected
    assert list(written)[:2] == ["apiVersion", "kind"]
    assert orjson.loads(orjson.dumps(written)) == written  # plain all the way down


@pytest.mark.parametrize(
    ("spec", "written"),
    [
        (Spec(), {"replicas": 1, "protocol": "TCP"}),
        (Spec(replicas=0), {"replicas": 0, "protocol": "TCP"}),
        (Spec(template=Template()), {"replicas": 1, "protocol": "TCP", "template": {}}),
        (Spec(ports=(Port(""),)), {"replicas": 1, "protocol": "TCP", "ports": [{"name": ""}]}),
        (Spec(ports=(Port("a", 0),)), {"replicas": 1, "protocol": "TCP", "ports": [{"name": "a"}]}),
        (Spec(free={"a": None, "b": {}}), {"replicas": 1, "protocol": "TCP", "free": {"a": None, "b": {}}}),
    ],
)
def test_a_field_is_left_out_when_its_absence_reads_the_same(spec: Spec, written: dict[str, Any]) -> None:
    thing = Thing(ObjectMeta(name="blue"), spec)
    head = {"apiVersion": "g.io/v1", "kind": "Thing", "metadata": {"name": "blue"}}
    assert CODEC.encode(thing) == {**head, "spec": written}
    assert CODEC.structure(CODEC.encode(thing)) == thing


def test_a_mapping_is_written_as_it_is_under_the_name_of_its_kind() -> None:
    body = {"metadata": {"name": "x"}, "spec": {"a": None, "at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}}
    written = CODEC.encode(View(body))
    assert written == {
        "apiVersion": "g.io/v1",
        "kind": "Thing",
        "metadata": {"name": "x"},
        "spec": {"a": None, "at": "2026-01-01T00:00:00Z"},
    }
    assert CODEC.encode({"kind": "Other"})["kind"] == "Other"
    with pytest.raises(TypeError):
        CODEC.encode({"spec": object()})


def test_without_a_class_an_object_is_itself() -> None:
    codec = Resource.untyped("v1", "Pod", "pods").codec
    raw = b'{"metadata":{"name":"x"},"spec":{"a":[1]}}'
    obj = codec.decode(raw)
    assert type(obj) is Object
    assert obj.metadata.raw is raw
    assert codec.structure({"metadata": {"name": "x"}}).metadata.name == "x"
    written = codec.encode(obj)
    assert written == codec.document(obj) == {"apiVersion": "v1", "kind": "Pod", **orjson.loads(raw)}
    written["spec"]["a"].append(2)
    assert obj["spec"]["a"] == [1]


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
unknown = st.dictionaries(st.sampled_from(["u1", "u2"]), json_values)
ports = st.recursive(
    st.builds(
        lambda name, number, rest: {"name": name, **number, **rest},
        st.sampled_from("abc"),
        st.sampled_from([{}, {"number": 0}, {"number": 8}, {"number": "h"}, {"number": None}]),
        unknown,
    ),
    lambda inner: st.builds(lambda port, child: {**port, "child": child}, inner, inner | st.none()),
    max_leaves=3,
)
known = st.fixed_dictionaries(
    {},
    optional={
        "providerID": st.none() | st.text(max_size=3),
        "replicas": st.none() | st.integers(0, 3),
        "paused": st.booleans(),
        "ports": st.none() | st.lists(ports, max_size=3),
        "ips": st.lists(st.sampled_from(["1.2.3.4", "::1", "FE80::1"]), max_size=2),
        "limits": st.dictionaries(st.text(max_size=2), st.sampled_from(["1", "1.0", "1024Ki", 5])),
        "free": st.dictionaries(st.text(max_size=2), json_values, max_size=2),
        "anything": json_values,
        "template": st.none() | st.just({"metadata": {"creationTimestamp": None}}),
    },
)
documents = st.builds(
    lambda spec, more, top, head: {**top, "metadata": {**head, "name": "x"}, "spec": {**spec, **more}},
    known,
    unknown,
    unknown,
    unknown | st.just({"labels": None}) | st.just({"finalizers": []}),
)


@given(documents)
def test_an_update_that_changes_nothing_sends_the_document_that_was_read(document: dict[str, Any]) -> None:
    thing = CODEC.decode(orjson.dumps(document))
    assert same(CODEC.document(thing), {"apiVersion": "g.io/v1", "kind": "Thing", **document})
    assert CODEC.patch(thing) is None or CODEC.patch(thing).paths == ("apiVersion", "kind")  # type: ignore[union-attr]


@given(documents, known.map(lambda spec: read(**spec)))
def test_an_update_changes_what_is_known_and_keeps_what_is_not(document: dict[str, Any], other: Thing) -> None:
    thing = CODEC.decode(orjson.dumps(document))
    sent = CODEC.document(attrs.evolve(thing, spec=other.spec))
    assert CODEC.structure(sent).spec == other.spec
    assert {name: sent.get(name) for name in ("u1", "u2")} == {name: document.get(name) for name in ("u1", "u2")}
    assert sent["metadata"] == document["metadata"]
    for name in ("u1", "u2"):
        assert sent["spec"].get(name) == document["spec"].get(name)


@pytest.mark.parametrize(
    ("change", "sent"),
    [
        (lambda a, b: (a, b), [{"name": "a", "number": 1, "u": 1}, {"name": "b", "v": 2}]),
        (lambda a, b: (b, a), [{"name": "b", "v": 2}, {"name": "a", "number": 1, "u": 1}]),
        (lambda a, b: (b,), [{"name": "b", "v": 2}]),
        (
            lambda a, b: (Port("new"), a, b),
            [{"name": "new"}, {"name": "a", "number": 1, "u": 1}, {"name": "b", "v": 2}],
        ),
        (lambda a, b: (attrs.evolve(a, number=9), b), [{"name": "a", "number": 9, "u": 1}, {"name": "b", "v": 2}]),
        (lambda a, b: (attrs.evolve(b, number=9),), [{"name": "b", "number": 9, "v": 2}]),
        (lambda a, b: (attrs.evolve(a, name="c"), b), [{"name": "c", "number": 1}, {"name": "b", "v": 2}]),
        (lambda a, b: (a, a), [{"name": "a", "number": 1, "u": 1}, {"name": "a", "number": 1}]),
        (lambda a, b: (), None),
    ],
)
def test_what_is_not_known_of_an_item_stays_with_that_item(
    change: Callable[[Port, Port], tuple[Port, ...]], sent: list[Any] | None
) -> None:
    thing = read(ports=[{"name": "a", "number": 1, "u": 1}, {"name": "b", "v": 2}])
    changed = attrs.evolve(thing, spec=attrs.evolve(thing.spec, ports=change(*thing.spec.ports)))
    assert CODEC.document(changed)["spec"].get("ports") == sent


def test_items_of_one_name_are_told_apart_by_what_they_hold() -> None:
    thing = read(ports=[{"name": "a", "number": 1, "u": 1}, {"name": "a", "number": 2, "v": 2}])
    changed = attrs.evolve(thing, spec=attrs.evolve(thing.spec, ports=thing.spec.ports[::-1]))
    assert CODEC.document(changed)["spec"]["ports"] == [
        {"name": "a", "number": 2, "v": 2},
        {"name": "a", "number": 1, "u": 1},
    ]


def test_an_update_writes_no_default_that_was_not_there() -> None:
    thing = read(providerID="x")
    changed = attrs.evolve(thing, spec=attrs.evolve(thing.spec, paused=True))
    assert CODEC.document(changed)["spec"] == {"providerID": "x", "paused": True}


def test_the_patch_of_an_object_is_what_has_changed_since_it_was_read() -> None:
    thing = CODEC.decode(orjson.dumps(DOCUMENT))
    assert CODEC.patch(thing) is None
    changed = attrs.evolve(thing, spec=attrs.evolve(thing.spec, replicas=4, gateway=None))
    patch = CODEC.patch(changed)
    assert patch is not None
    assert patch.value == {"spec": {"replicas": 4, "gateway": None}}
    with pytest.raises(ValueError, match="not read"):
        CODEC.patch(Thing(ObjectMeta(name="x")))


def test_a_change_of_the_head_is_sent_too() -> None:
    thing = CODEC.decode(orjson.dumps(DOCUMENT))
    changed = attrs.evolve(thing, metadata=thing.metadata.evolve(labels={}, annotations={"n": "1"}))
    sent = CODEC.document(changed)
    assert sent["metadata"] == {
        "name": "blue",
        "namespace": "shop",
        "annotations": {"n": "1"},
        "managedFields": [{"manager": "x"}],
    }


def test_an_object_made_by_hand_is_sent_as_it_is() -> None:
    thing = Thing(ObjectMeta(name="x"), Spec(provider_id="p"))
    assert CODEC.document(thing) == CODEC.encode(thing)


@pytest.mark.pain(34)
@pytest.mark.parametrize(
    "change",
    [
        lambda thing: thing.spec.limits.update(cpu=1),
        lambda thing: thing.spec.limits.__setitem__("cpu", 1),
        lambda thing: thing.spec.nested["a"].append(3),
        lambda thing: thing.spec.free["x"].append(1),
        lambda thing: thing.spec.free["x"][0].update(y=2),
        lambda thing: thing.spec.anything["z"].append(1),
        lambda thing: thing.spec.ports.append(1),
        lambda thing: setattr(thing.spec, "replicas", 5),
        lambda thing: setattr(thing.spec.ports[0], "name", "x"),
    ],
)
def test_a_typed_object_that_was_handed_out_cannot_be_changed(change: Callable[[Any], object]) -> None:
    thing = CODEC.decode(orjson.dumps(DOCUMENT))
    with pytest.raises((TypeError, AttributeError)):
        change(thing)
    assert thing == CODEC.decode(orjson.dumps(DOCUMENT))


@attrs.define
class Changeable:
    metadata: ObjectMeta


@attrs.frozen
class WithList:
    metadata: ObjectMeta
    items: list[str] = attrs.field(factory=list)


@attrs.frozen
class WithDict:
    metadata: ObjectMeta
    items: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen
class WithPair:
    metadata: ObjectMeta
    pair: tuple[int, str] = (0, "")


@pytest.mark.pain(34)
@pytest.mark.parametrize("kind", [Changeable, WithList, WithDict, WithPair])
def test_a_class_whose_objects_could_be_changed_is_refused(kind: type[Any]) -> None:
    with pytest.raises(TypeError):
        Codec(kind).decode(b'{"metadata":{"name":"x"}}')


@pytest.mark.parametrize("kind", [int, Spec, dict])
def test_a_class_without_a_head_is_no_kind(kind: type[Any]) -> None:
    with pytest.raises(TypeError, match="no class of a kind"):
        Codec(kind)


@given(st.binary(max_size=50).map(lambda tail: b'{"metadata":{"name":"a"},"spec":' + tail))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    try:
        assert CODEC.decode(raw).metadata.raw is raw
    except BadObject as error:
        assert error.what  # noqa: PT017 - either way is fine, but nothing else may be raised


@pytest.mark.parametrize("raw", [b'{"metadata":{"name":"a"},"x":NaN}', b'{"metadata":{"name":"a"},"x":"\\ud800"}'])
def test_a_body_that_cannot_be_parsed_is_a_bad_object(raw: bytes) -> None:
    with pytest.raises(BadObject):
        CODEC.decode(raw)
