"""Bodies: what is taken, what is told, what is refused, and in which form an answer comes."""

import pytest

from reconcile.testing.apiserver import published, wire
from reconcile.testing.apiserver.content import PROTOBUF
from tests.testing.callers import DEFINITIONS, Api, a_map, a_thing, definition_in_protobuf

# -- strictness ----------------------------------------------------------------------------------------------------


async def test_surplus_fields_are_dropped_with_a_warning(api: Api) -> None:
    body = {**a_thing("a", {"text": "x", "foo": {"bar": 1}}), "extra": 1}
    made = await api.made(api.things, body)
    assert "foo" not in made["spec"]
    assert "extra" not in made.body
    assert made.headers["warning"] == '299 - "unknown field \\"extra\\"", 299 - "unknown field \\"spec.foo\\""'
    quiet = await api.made(api.things, {**a_thing("b"), "extra": 1}, fieldValidation="Ignore")
    assert "warning" not in quiet.headers


async def test_surplus_and_repeated_fields_are_refused_when_asked_so(api: Api) -> None:
    reply = await api.post(api.maps, {**a_map("a"), "extra": 1}, fieldValidation="Strict")
    assert reply.says == (
        400,
        "BadRequest",
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "extra"',
    )
    twice = b'{"metadata": {"name": "a", "name": "a"}, "data": {}}'
    reply = await api.post(api.maps, twice, fieldValidation="Strict")
    assert reply.code == 400
    assert 'duplicate field "metadata.name"' in reply["message"]
    assert (await api.get(f"{api.maps}/a")).code == 404


async def test_an_unwise_finalizer_is_warned_of(api: Api) -> None:
    made = await api.thing("a", finalizers=["nodomain", "example.com"])
    better = "prefer a domain-qualified finalizer name"
    why = "to avoid accidental conflicts with other finalizer writers"
    assert made.headers["warning"].split(", ") == [
        f'299 - "metadata.finalizers: \\"example.com\\": {better} including a path (/) {why}"',
        f'299 - "metadata.finalizers: \\"nodomain\\": {better} {why}"',
    ]


# -- bodies and requests that are none -----------------------------------------------------------------------------


async def test_a_body_that_is_no_json_is_refused_where_it_breaks(api: Api) -> None:
    reply = await api.post(api.maps, b'{"metadata": {"name": }}')
    assert reply.code == 400
    assert "invalid character '}' looking for beginning of value" in reply["message"]


async def test_a_body_in_a_foreign_format_is_refused(api: Api) -> None:
    reply = await api.send("POST", api.maps, b"hello", media="text/plain")
    assert reply.code == 415
    assert reply["reason"] == "UnsupportedMediaType"
    assert reply["message"].startswith("the body of the request was in an unknown format - accepted media types")


async def test_an_answer_in_a_foreign_format_is_refused(api: Api) -> None:
    reply = await api.get(api.maps, accept="text/html")
    assert reply.code == 406
    assert reply["reason"] == "NotAcceptable"


async def test_yaml_is_understood(api: Api) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: 'yes'\n"
    made = await api.made(api.maps, body, media="application/yaml")
    assert made["data"] == {"x": "yes"}


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- ", b"? "])
async def test_yaml_that_is_nested_without_end_is_refused_and_harms_nobody(api: Api, opening: bytes) -> None:
    reply = await api.send("POST", api.maps, opening * 100_000 + b"a", media="application/yaml")
    assert reply.code == 400
    assert "yaml: exceeded max depth" in reply["message"]


async def test_a_few_bytes_of_yaml_do_not_stand_for_gigabytes(api: Api) -> None:
    bomb = b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 60))
    reply = await api.send("POST", api.maps, bomb, media="application/yaml")
    assert reply.code == 400
    assert "yaml: document contains excessive aliasing" in reply["message"]


@pytest.mark.parametrize(
    ("body", "why"), [(b"a: &x [*x]", "anchor 'x' value contains itself"), (b"a: *x", "unknown anchor 'x' referenced")]
)
async def test_yaml_that_refers_to_nothing_or_to_itself_is_refused(api: Api, body: bytes, why: str) -> None:
    reply = await api.send("POST", api.maps, body, media="application/yaml")
    assert reply.code == 400
    assert f"yaml: {why}" in reply["message"]


async def test_what_is_no_text_in_protobuf_is_shown_as_a_sign_of_its_own(api: Api) -> None:
    """As Go shows it; and what should be JSON and is none is refused."""
    body = wire.sealed(a_map("a", {"x": "blue"}), published.definition("v1", "ConfigMap"))
    made = await api.send("POST", api.maps, body.replace(b"blue", b"bl\xffe"), media=PROTOBUF)
    assert (made.code, made["data"]) == (201, {"x": "bl\N{REPLACEMENT CHARACTER}e"})
    broken = definition_in_protobuf({"type": "string", "default": "blue"}).replace(b'"blue"', b'"blue,')
    assert (await api.send("POST", DEFINITIONS, broken, media=PROTOBUF)).code == 400


@pytest.mark.parametrize("number", [b"9" * 50, b"9" * 10_000, b"-9223372036854775809", b"0x" + b"f" * 17])
async def test_a_number_of_more_than_64_bits_is_none_for_a_field(api: Api, number: bytes) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, generation: " + number + b"}"
    reply = await api.send("POST", api.maps, body, media="application/yaml")
    assert reply.code == 400
    assert "Go struct field ObjectMeta.metadata.generation of type int64" in reply["message"]


async def test_metadata_alone_is_answered_when_asked_so(api: Api) -> None:
    made = await api.thing("a", {"text": "x"}, labels={"x": "y"})
    one = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    reply = await api.get(f"{api.things}/a", accept=one)
    assert reply.body == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made.meta}
    reply = await api.get(api.things, accept=one.replace("Metadata;", "MetadataList;"))
    assert reply["kind"] == "PartialObjectMetadataList"
    assert [item["metadata"] for item in reply["items"]] == [made.meta]
    assert {item["kind"] for item in reply["items"]} == {"PartialObjectMetadata"}
