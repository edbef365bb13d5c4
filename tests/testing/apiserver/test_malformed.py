"""Whatever anybody sends, the server answers: no 500, no hang, no growth."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from reconcile.testing.apiserver import ApiServer, Settings, published, wire
from reconcile.testing.apiserver.content import PROTOBUF
from reconcile.testing.apiserver.crds import kind_of
from reconcile.testing.apiserver.messages import request as parsed
from tests.testing.apiserver.processes import program
from tests.testing.callers import THINGS
from tests.testing.samples import CLUSTER_SAMPLES, SAMPLES, collection

# -- what is sent ------------------------------------------------------------------------------------------------------

_WORDS: Final = [
    "",
    *[
        "api",
        "apis",
        "v1",
        "apps",
        "namespaces",
        "default",
        "configmaps",
        "pods",
        "secrets",
        "things",
        "a",
        "status",
        "scale",
        "finalize",
        "watch",
        "v2",
        "v3",
    ],
    *[
        "shop.example.com",
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "openapi",
        "version",
        "metrics",
        "livez",
        "deployments",
    ],
    *[
        "services",
        "events",
        "leases",
        "binding",
        "eviction",
        "token",
        "log",
        "exec",
        "proxy",
        "..",
        "%2e%2e",
        "%00",
        "%ff",
        "é",
        "*",
    ],
]
_THINGS: Final = "/apis/shop.example.com/v1/namespaces/default/things"
_GOOD: Final = [
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/configmaps/a",
    "/api/v1/namespaces/default/pods/a/status",
    "/api/v1/namespaces/default/services/a",
    "/api/v1/namespaces/x/finalize",
    "/api/v1/namespaces",
    "/api/v1/pods",
    _THINGS,
    f"{_THINGS}/a",
    f"{_THINGS}/a/status",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/apps/v1/namespaces/default/deployments",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/apis/coordination.k8s.io/v1/namespaces/default/leases/a",
]
paths = st.one_of(
    st.sampled_from(_GOOD),
    st.lists(st.sampled_from(_WORDS), max_size=9).map(lambda words: "/" + "/".join(words)),
    st.text(max_size=20).map(lambda text: "/" + quote(text)),
)
_PARAMETERS: Final = [
    "",
    *[
        "watch",
        "limit",
        "continue",
        "resourceVersion",
        "resourceVersionMatch",
        "labelSelector",
        "fieldSelector",
        "timeoutSeconds",
        "dryRun",
    ],
    *[
        "sendInitialEvents",
        "allowWatchBookmarks",
        "fieldManager",
        "force",
        "pretty",
        "fieldValidation",
        "propagationPolicy",
        "x",
    ],
    *["gracePeriodSeconds", "orphanDependents"],
]
_VALUES: Final = [
    *("", "a in (b", "\x00", "é", "a" * 300),
    *[
        "0",
        "1",
        "-1",
        "true",
        "All",
        "Exact",
        "NotOlderThan",
        "Background",
        "999999999999999999999",
        "NaN",
        "a=b",
        "!a",
        "metadata.name=a",
    ],
    *["metadata.name", "Strict", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", "=", ","],
]
values = st.one_of(st.sampled_from(_VALUES), st.integers().map(str), st.text(max_size=10))
queries = st.lists(st.tuples(st.sampled_from(_PARAMETERS), values), max_size=4)
_MEDIA: Final = [
    "",
    *[
        "application/json",
        "application/yaml",
        "application/merge-patch+json",
        "application/json-patch+json",
        "*/*",
        ";",
    ],
    *[
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
        "text/plain",
        "a/b;c",
        "application/cbor",
    ],
    *["application/vnd.kubernetes.protobuf", "application/json;as=Table;g=meta.k8s.io;v=v1"],
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
]
headers = st.fixed_dictionaries(
    {"content-type": st.sampled_from(_MEDIA)},
    optional={
        "accept": st.sampled_from(_MEDIA),
        "user-agent": st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=10),
        "impersonate-user": st.sampled_from(["", "jo", "system:serviceaccount:a", "system:serviceaccount:a:b"]),
        "impersonate-group": st.sampled_from(["", "g"]),
        "accept-encoding": st.sampled_from(["gzip", "br", ""]),
    },
)
_NAMES: Final = [
    *[
        "apiVersion",
        "kind",
        "metadata",
        "name",
        "namespace",
        "labels",
        "annotations",
        "finalizers",
        "data",
        "spec",
        "ownerReferences",
        "uid",
    ],
    *[
        "managedFields",
        "resourceVersion",
        "generateName",
        "creationTimestamp",
        "status",
        "op",
        "path",
        "value",
        "from",
        "$patch",
        "$retainKeys",
    ],
    *[
        "parts",
        "ports",
        "set",
        "text",
        "count",
        "containers",
        "template",
        "selector",
        "versions",
        "schema",
        "openAPIV3Schema",
        "names",
        "fieldsV1",
        "time",
    ],
]
_TEXTS: Final = [
    *[
        "v1",
        "ConfigMap",
        "a",
        "default",
        "add",
        "remove",
        "/metadata/labels/a",
        "/data",
        "1",
        "FieldsV1",
        "shop.example.com/v1",
        "Thing",
        "Apply",
    ],
    *["2020-01-01T00:00:00Z", "replace", "delete", "merge"],
]
_SCALARS: Final = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(_TEXTS)
)
anything = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)
_METADATA: Final = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "B", "", "x" * 300])}, optional=dict.fromkeys(_NAMES[4:16], anything)
)
nearly = st.fixed_dictionaries(
    {"metadata": anything | _METADATA},
    optional={
        "apiVersion": st.sampled_from(["v1", "shop.example.com/v1", ""]),
        "kind": st.sampled_from(["ConfigMap", "Thing"]),
        **dict.fromkeys(("data", "spec", "status"), anything),
    },
)
_DEEP: Final = [
    *(b"[" * 100_000, b'{"a":' * 50_000, b"a: " * 3 + b"[" * 5000, b"a: &a [" * 20, b"&a [*a]"),
    b'{"metadata":{"name":"a"},"data":' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    *(b'{"a":1,"a":2}', b'{"a":NaN}', b'{"metadata":{"name":"a","name":"b"}}', b"1e999"),
    *(b"", b"null", b"[]", b'"x"', b"\xff\xfe", b"k8s\x00\n\x05", b"k8s\x00"),
]
bodies = st.one_of(
    st.sampled_from(_DEEP),
    st.binary(max_size=30),
    (anything | nearly).map(lambda value: json.dumps(value).encode()),
    nearly.map(lambda value: json.dumps(value).encode()[:-3]),
)
methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", "FOO"])
requests = st.tuples(methods, paths, queries, headers, bodies)
Sent = tuple[str, str, list[tuple[str, str]], dict[str, str], bytes]

_PACKED: Final = [
    (collection(resource, body, "default"), body)
    for resource, bodies in (SAMPLES | CLUSTER_SAMPLES).items()
    for body in bodies
]


@st.composite
def torn(draw: st.DrawFn) -> Sent:
    """An object in protobuf, with some of its bytes changed and perhaps without its end."""
    path, body = draw(st.sampled_from(_PACKED))
    raw = bytearray(wire.sealed(body, published.definition(body["apiVersion"], body["kind"])))
    for place, value in draw(st.lists(st.tuples(st.integers(4, len(raw) - 1), st.integers(0, 255)), max_size=4)):
        raw[place] = value
    cut = draw(st.sampled_from([len(raw)] * 9 + [len(raw) * 2 // 3]))
    return "POST", path, [], {"content-type": PROTOBUF}, bytes(raw[:cut])


# -- what becomes of it ------------------------------------------------------------------------------------------------


def target(path: str, query: list[tuple[str, str]]) -> str:
    pairs = "&".join(f"{quote(name)}={quote(value)}" for name, value in query if name != "timeoutSeconds")
    return f"{path}?timeoutSeconds=1&{pairs}" if pairs else path


@contextmanager
def a_server() -> Iterator[Callable[[Sent], int]]:
    """One server in memory for many requests: from a request to the code of its answer."""
    kind = kind_of(THINGS)
    assert kind is not None
    server = ApiServer([kind], settings=Settings(history=50, audit=50))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(server):
        yield lambda sent: portal.call(answered, server, sent)


def is_ours(answer: bytes) -> bool:
    """Whether an answer shows a fault of ours; the real server has a few 500 of its own, in words of its own."""
    return b"Internal error occurred" in answer


async def answered(server: ApiServer, sent: Sent) -> int:
    method, path, query, headers, body = sent
    request = parsed(method, target(path, query).encode(), headers, body)
    if request is None:
        return 400
    async with asyncio.timeout(10):
        answer = await server.answer(request)
    if answer.watcher is not None:
        answer.watcher.end()
    status, body = answer.response.status, answer.response.body
    assert not is_ours(body), (sent, body)
    if status >= 400 and answer.response.headers["content-type"] == "application/json":
        assert json.loads(body)["code"] == status
    return status


_DRAWN: Final = settings(
    deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate], print_blob=False
)


def fuzz(examples: int, drawn: int, sent: st.SearchStrategy[Sent] = requests) -> Counter[int]:
    """Send so many; the answer counts the codes."""
    codes: Counter[int] = Counter()
    with a_server() as ask:

        @seed(drawn)
        @settings(_DRAWN, max_examples=examples)
        @given(sent)
        def send(one: Any) -> None:
            codes[ask(one)] += 1

        send()
    return codes


@pytest.mark.slow
def test_what_is_malformed_is_never_an_error_of_ours(world_seed: int) -> None:
    codes = fuzz(300, world_seed)
    assert len(codes) > 4, codes


@pytest.mark.slow
def test_torn_protobuf_is_never_an_error_of_ours(world_seed: int) -> None:
    codes = fuzz(150, world_seed, torn())
    assert codes[400] > 0, codes


@pytest.mark.proof
def test_ten_thousand_malformed_requests(world_seed: int) -> None:
    began = time.monotonic()
    codes = fuzz(10_000, world_seed) + fuzz(2_000, world_seed, torn())
    told = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items()))
    took = f"seed {world_seed}, {time.monotonic() - began:.0f} s"
    print(f"malformed: {sum(codes.values())} requests in memory, {told}; {took}")


# -- over the wire -----------------------------------------------------------------------------------------------------

_PIECES: Final = [
    *(b"GET / HTTP/1.1\r\n", b"POST /api HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"\r\n\r\n", b" ", b":", b"\0"),
    *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n", b"HTTP/9.9"),
    *(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"fffffffffffffffff\r\n"),
    *(b"Connection: close\r\n", b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"Expect: 100-continue\r\n"),
    *(b"GET http://a/b HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"),
    b"GET /api/v1/namespaces?watch=1&timeoutSeconds=1 HTTP/1.1\r\n",
]
pieces = st.lists(st.sampled_from(_PIECES) | st.binary(max_size=20), max_size=12).map(b"".join)


async def spoken(host: str, port: int, said: bytes) -> bytes:
    """Say something, and nothing more; what comes back until the server ends it."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(said)
            writer.write_eof()
            return await reader.read()
        except OSError:  # it has closed before we have said all
            return b""
        finally:
            writer.close()


def noise(host: str, port: int, examples: int, drawn: int) -> Counter[bytes]:
    codes: Counter[bytes] = Counter()
    with asyncio.Runner() as runner:

        @seed(drawn)
        @settings(_DRAWN, max_examples=examples)
        @given(st.one_of(pieces, requests.map(written)))
        def say(said: bytes) -> None:
            heard = runner.run(spoken(host, port, said))
            code = heard[9:12]
            assert not heard or heard.startswith(b"HTTP/1.1 "), heard
            assert not is_ours(heard), (said, heard)
            codes[code] += 1

        say()
    return codes


def written(sent: Sent) -> bytes:
    """A request as bytes."""
    method, path, query, headers, body = sent
    lines = [f"{method} {target(path, query)} HTTP/1.1", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


@pytest.mark.slow
def test_noise_on_a_connection_costs_that_connection_only(world_seed: int) -> None:
    with program() as served:
        host, port = served.url.removeprefix("http://").split(":")
        assert len(noise(host, int(port), 150, world_seed)) > 3


@pytest.mark.proof
def test_thousands_of_malformed_requests_over_http_leave_no_trace(world_seed: int) -> None:
    began, codes, memory = time.monotonic(), Counter[bytes](), list[float]()
    with program() as served:
        host, port = served.url.removeprefix("http://").split(":")
        for third in range(3):
            codes += noise(host, int(port), 5000, world_seed + third)
            memory.append(served.resident_mb)
    # the first third has loaded all parts; what is not malformed after all is stored
    assert memory[-1] <= memory[0] * 1.05, memory
    told = ", ".join(f"{code.decode() or 'none'}: {count}" for code, count in sorted(codes.items()))
    marks = ", ".join(f"{one:.1f}" for one in memory)
    print(f"malformed: {sum(codes.values())} requests over HTTP, {told}; {marks} MB after each third; "
          f"seed {world_seed}, {time.monotonic() - began:.0f} s")  # fmt: skip
