"""However a stream is cut into pieces, its lines and events are the same, and bounded."""

import gc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube import errors
from reconcile.kube.errors import BadAnswer
from reconcile.kube.watch import Lines, decode_event


def event(type: str, object: Any) -> bytes:
    return orjson.dumps({"type": type, "object": object})


@given(st.lists(st.binary(max_size=12)), st.data())
def test_any_cutting_gives_the_same_lines(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"\n".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    lines = Lines()
    found: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += lines.feed(stream[start:end])
    *whole, rest = stream.split(b"\n")
    assert found == [line for line in whole if line.strip()]
    assert lines.held_bytes == len(rest)


@given(st.lists(st.binary(max_size=12)), st.data())
def test_any_cutting_meets_the_limit_or_none_does(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"\n".join(pieces)
    limit_bytes = data.draw(st.integers(1, 12))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    lines = Lines(limit_bytes)
    refused = False
    try:
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            lines.feed(stream[start:end])
    except BadAnswer:
        refused = True
    assert refused is any(len(line) > limit_bytes for line in stream.split(b"\n"))


@pytest.mark.pain(5)
def test_a_line_larger_than_any_buffer_of_a_library_arrives_whole() -> None:
    lines = Lines()
    big = b"x" * (5 * 1024 * 1024)
    pieces = [big[start : start + 65536] for start in range(0, len(big), 65536)]
    assert [line for piece in [*pieces, b"\n"] for line in lines.feed(piece)] == [big]


@pytest.mark.pain(5)
@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 11 + b"\n"], [b"x" * 6, b"x" * 5], [b"a\n", b"x" * 11, b"\n"]])
def test_a_line_too_long_names_the_kind_and_the_limit(pieces: list[bytes]) -> None:
    lines = Lines(10, about="networks.networking.example.io")
    with pytest.raises(BadAnswer, match=r"^networks\.networking\.example\.io: .* limit of 10 bytes$") as caught:
        [lines.feed(piece) for piece in pieces]
    assert caught.value.limit_bytes == 10


@pytest.mark.parametrize("type", ["ADDED", "MODIFIED", "DELETED"])
def test_an_event_hands_on_its_object_untouched(type: str) -> None:
    raw = b'{"metadata": {"name":  "x"}, "n": 1.50}'
    read = decode_event(b'{"type": "%s", "object": %s}' % (type.encode(), raw))
    assert (read.type, read.raw) == (type, raw)


def test_an_object_does_not_keep_its_line_alive() -> None:
    read = decode_event(event("ADDED", {"a": 1}))
    assert type(read.raw) is bytes
    assert not [kept for kept in gc.get_referents(read.raw) if kept]


@pytest.mark.parametrize(
    ("annotations", "ends"),
    [
        (None, False),
        ({}, False),
        ({"k8s.io/initial-events-end": "true"}, True),
        ({"k8s.io/initial-events-end": "x"}, False),
    ],
)
def test_a_bookmark_tells_its_version_and_whether_the_list_is_complete(annotations: Any, ends: bool) -> None:
    head = {"resourceVersion": "9", "creationTimestamp": None, "annotations": annotations}
    read = decode_event(event("BOOKMARK", {"kind": "Pod", "metadata": head}))
    assert (read.resource_version, read.ends_initial_events) == ("9", ends)


def test_an_error_event_carries_the_error() -> None:
    read = decode_event(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}))
    assert type(read.error) is errors.Gone


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"{",
        b"[]",
        b"5",
        b"\xff\xff",
        b'{"type":"ADDED"}',
        b'{"object":{}}',
        b'{"type":"SOMETHING","object":{}}',
        b'{"type":5,"object":{}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"cut off',
        b'{"type":"ADDED","object":{}}{"type":"ADDED","object":{}}',
        b'{"type":"BOOKMARK","object":{"metadata":{}}}',
        b'{"type":"BOOKMARK","object":{}}',
        b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":7}}}',
        b'{"type":"ERROR","object":"\\ud800"}',
    ],
)
def test_a_line_that_is_no_event_is_quoted_with_its_kind(line: bytes) -> None:
    with pytest.raises(BadAnswer) as caught:
        decode_event(line, about="pods")
    assert str(caught.value).startswith("pods: no event of a watch")
    assert caught.value.excerpt
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: b'{"type":"ERROR","object":' + tail))
def test_no_line_raises_anything_else(line: bytes) -> None:
    try:
        assert decode_event(line).type
    except BadAnswer as error:
        assert error.what  # noqa: PT017 - either way is fine, but nothing else may be raised
