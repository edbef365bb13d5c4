"""The verbs: what they send, what they make of answers, and how they are tried again, paced and fenced."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from attrs import define, field

from reconcile.core.clock import now
from reconcile.kube import request as requests
from reconcile.kube.client import Client, ClientSettings, Version
from reconcile.kube.errors import (
    AlreadyExists,
    BadAnswer,
    Conflict,
    ConnectionFailed,
    Fenced,
    Forbidden,
    Gone,
    InternalError,
    KubeError,
    NotFound,
    TooManyRequests,
    Unavailable,
)
from reconcile.kube.kinds import CONFIG_MAP, NAMESPACE, POD
from reconcile.kube.objects import Object, ObjectKey, ObjectMeta
from reconcile.kube.patch import JsonPatch, MergePatch
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.resource import Resource
from reconcile.kube.retry import RetryPolicy

BLUE = ObjectKey("ns", "blue")
DOCUMENT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "blue", "namespace": "ns"},
    "data": {"a": "b"},
}


def ok(document: object = DOCUMENT, status: int = 200) -> HttpResponse:
    return HttpResponse(status, {"content-type": "application/json"}, json.dumps(document).encode())


def refusal(code: int, reason: str = "", *, retry_after: int | None = None, **details: Any) -> HttpResponse:
    status = {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": "no",
        "details": details,
    }
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return HttpResponse(code, headers, json.dumps(status).encode())


Step = HttpResponse | KubeError | Callable[[HttpRequest], HttpResponse]


@define
class FakeStream:
    status: int
    headers: Mapping[str, str]
    parts: list[bytes]
    is_closed: bool = False

    async def read(self) -> bytes:
        if not self.parts:
            return b""
        part = self.parts.pop(0)
        if part == b"hang":
            await anyio.sleep_forever()
        return part

    async def aclose(self) -> None:
        self.is_closed = True


@define
class FakeTransport:
    """Answers from a list, its last step for ever."""

    steps: list[Step]
    host: str = "one:6443"
    sent: list[HttpRequest] = field(factory=list)
    at: list[float] = field(factory=list)
    timeouts: list[float] = field(factory=list)
    streams: list[FakeStream] = field(factory=list)
    is_closed: bool = False

    async def call(
        self, request: HttpRequest, *, timeout: float, guard: Callable[[], None] | None = None
    ) -> HttpResponse:
        await anyio.lowlevel.checkpoint()
        if guard is not None:
            guard()
        self.sent.append(request)
        self.at.append(now())
        self.timeouts.append(timeout)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, KubeError):
            raise step
        return step(request) if callable(step) else step

    async def open(
        self, request: HttpRequest, *, timeout: float, guard: Callable[[], None] | None = None
    ) -> FakeStream:
        response = await self.call(request, timeout=timeout)
        self.streams.append(FakeStream(response.status, response.headers, [response.body]))
        return self.streams[-1]

    async def aclose(self) -> None:
        self.is_closed = True

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.target}" for request in self.sent]

    def body(self, number: int = -1) -> Any:
        return json.loads(self.sent[number].body)


def client(*steps: Step, **options: Any) -> tuple[Client, FakeTransport]:
    transport = FakeTransport(list(steps) or [ok()])
    return Client(transport, rng=random.Random(1), **options), transport


@attrs.frozen
class Spec:
    size: int = 0


@attrs.frozen
class Thing:
    metadata: ObjectMeta
    spec: Spec = Spec()


THING = Resource("example.com", "v1", "Thing", "things", type=Thing)
A_THING = {
    "apiVersion": "example.com/v1",
    "kind": "Thing",
    "metadata": {"name": "blue", "namespace": "ns", "resourceVersion": "7"},
    "spec": {"size": 3, "foreign": True},
}


# verbs


async def test_an_object_is_read_as_the_class_of_its_resource() -> None:
    ours, transport = client(ok(A_THING))
    thing = await ours.get(THING, BLUE)
    assert thing.spec == Spec(3)
    assert thing.metadata.key == BLUE
    assert transport.lines == ["GET /apis/example.com/v1/namespaces/ns/things/blue"]
    untyped, _ = client()
    assert (await untyped.get(CONFIG_MAP, BLUE))["data"]["a"] == "b"


async def test_an_update_sends_back_what_its_class_does_not_know() -> None:
    ours, transport = client(ok(A_THING))
    thing = await ours.get(THING, BLUE)
    await ours.update(THING, attrs.evolve(thing, spec=Spec(4)), subresource="status")
    assert transport.lines[-1] == "PUT /apis/example.com/v1/namespaces/ns/things/blue/status?fieldManager=reconcile"
    assert transport.body()["spec"] == {"size": 4, "foreign": True}
    assert transport.body()["metadata"]["resourceVersion"] == "7"


async def test_a_create_takes_its_namespace_from_the_body() -> None:
    ours, transport = client(ok(status=201))
    made = await ours.create(CONFIG_MAP, DOCUMENT, dry_run=True, field_manager="other", field_validation="Strict")
    assert isinstance(made, Object)
    expected = "POST /api/v1/namespaces/ns/configmaps?dryRun=All&fieldManager=other&fieldValidation=Strict"
    assert transport.lines == [expected]
    await ours.create(CONFIG_MAP, {"metadata": {"generateName": "x-"}}, namespace="other")
    assert transport.lines[-1] == "POST /api/v1/namespaces/other/configmaps?fieldManager=reconcile"
    assert transport.body() == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
    await ours.create(THING, Thing(ObjectMeta(name="blue", namespace="ns"), Spec(1)))
    assert transport.body()["spec"] == {"size": 1}


async def test_a_create_below_an_object_names_it() -> None:
    ours, transport = client(ok(status=201))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "blue", "namespace": "ns"}}
    await ours.create(POD, eviction, subresource="eviction")
    assert transport.lines == ["POST /api/v1/namespaces/ns/pods/blue/eviction?fieldManager=reconcile"]
    assert transport.body()["kind"] == "Eviction"


async def test_a_patch_carries_its_content_type() -> None:
    ours, transport = client()
    await ours.patch(CONFIG_MAP, BLUE, MergePatch({"data": None}), dry_run=True)
    assert transport.lines == ["PATCH /api/v1/namespaces/ns/configmaps/blue?dryRun=All&fieldManager=reconcile"]
    assert transport.sent[0].headers["content-type"] == "application/merge-patch+json"
    assert transport.sent[0].body == b'{"data":null}'


async def test_an_apply_is_forced_and_signed_by_our_manager() -> None:
    ours, transport = client(field_manager="me")
    await ours.apply(CONFIG_MAP, {"metadata": {"name": "blue", "namespace": "ns"}, "data": {}})
    assert transport.lines == ["PATCH /api/v1/namespaces/ns/configmaps/blue?fieldManager=me&force=true"]
    assert transport.sent[0].headers["content-type"] == "application/apply-patch+yaml"
    assert transport.body()["apiVersion"] == "v1"
    await ours.apply(NAMESPACE, {"metadata": {"name": "blue"}}, force=False, field_manager="you", subresource="status")
    assert transport.lines[-1] == "PATCH /api/v1/namespaces/blue/status?fieldManager=you"


@pytest.mark.parametrize("verb", ["apply", "update"])
async def test_a_body_without_a_name_is_not_sent(verb: str) -> None:
    ours, transport = client()
    bodies: tuple[Any, ...] = ({}, {"metadata": {}}, {"metadata": "x"})
    for body in bodies:
        with pytest.raises(ValueError, match="body without metadata"):
            await getattr(ours, verb)(CONFIG_MAP, body)
    assert transport.sent == []


async def test_a_delete_tells_what_is_left() -> None:
    held = {**DOCUMENT, "metadata": {"name": "blue", "namespace": "ns", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    ours, transport = client(ok({"kind": "Status", "status": "Success"}), ok(), ok(held))
    assert await ours.delete(CONFIG_MAP, BLUE) is None
    assert await ours.delete(CONFIG_MAP, BLUE, uid="u", resource_version="7") is None
    left = await ours.delete(CONFIG_MAP, BLUE, propagation="Foreground", grace_period_seconds=0, dry_run=True)
    assert left is not None
    assert left.metadata.is_deleting
    assert transport.sent[0].body == b""
    assert transport.body(1)["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    assert transport.body(2)["propagationPolicy"] == "Foreground"


async def test_a_collection_is_deleted_by_selector() -> None:
    ours, transport = client(ok({"kind": "ConfigMapList", "items": []}))
    await ours.delete_collection(CONFIG_MAP, namespace="ns", labels="a=b")
    assert transport.lines == ["DELETE /api/v1/namespaces/ns/configmaps?labelSelector=a%3Db"]


# lists


def page(number: int, *, continue_: str = "", kind: str = "ConfigMapList") -> HttpResponse:
    items = [{"metadata": {"name": f"n{number}-{i}", "namespace": "ns"}} for i in range(2)]
    meta = {"resourceVersion": "70", "continue": continue_, "remainingItemCount": 2 if continue_ else None}
    return ok({"kind": kind, "metadata": meta, "items": items})


async def test_a_list_is_read_page_by_page_and_whole() -> None:
    ours, transport = client(page(1, continue_="c1"), page(2, continue_="c2"), page(3))
    found = await ours.list(CONFIG_MAP, namespace="ns", labels="a", resource_version="5", limit=2)
    assert [one.metadata.name for one in found.items] == [f"n{page}-{i}" for page in (1, 2, 3) for i in range(2)]
    assert found.resource_version == "70"
    assert transport.lines == [
        "GET /api/v1/namespaces/ns/configmaps?labelSelector=a&limit=2&resourceVersion=5",
        "GET /api/v1/namespaces/ns/configmaps?labelSelector=a&limit=2&continue=c1",
        "GET /api/v1/namespaces/ns/configmaps?labelSelector=a&limit=2&continue=c2",
    ]


async def test_pages_are_handed_out_as_bytes_of_their_own() -> None:
    ours, _ = client(page(1, continue_="c1"), page(2))
    pages = [one async for one in ours.pages(CONFIG_MAP, metadata_only=True)]
    assert [one.remaining for one in pages] == [2, None]
    assert pages[0].items[0] == b'{"metadata": {"name": "n1-0", "namespace": "ns"}}'


async def test_a_list_whose_version_is_forgotten_on_the_way_is_read_once_more_in_one_page() -> None:
    ours, transport = client(page(1, continue_="c1"), refusal(410, "Expired"), page(9))
    found = await ours.list(CONFIG_MAP)
    assert [one.metadata.name for one in found.items] == ["n9-0", "n9-1"]
    assert transport.lines[-1] == "GET /api/v1/configmaps"
    first, _ = client(refusal(410, "Expired"))
    with pytest.raises(Gone):
        await first.list(CONFIG_MAP, resource_version="5", resource_version_match="Exact")


async def test_a_list_without_items_is_empty() -> None:
    ours, _ = client(ok({"kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": None}))
    assert (await ours.list(CONFIG_MAP)).items == []


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"[]", b'{"items": 5, "metadata": {}}', b'{"kind": "Status", "metadata": {}}', b"\xff"]
)
async def test_an_answer_that_is_no_list_is_told(body: bytes) -> None:
    ours, _ = client(HttpResponse(200, {}, body))
    with pytest.raises(BadAnswer, match="configmaps: no list of objects"):
        await ours.list(CONFIG_MAP)


# answers


@pytest.mark.parametrize("body", [b"<html>login</html>", b"", b"[]", b"null", b'{"metadata": {"name": 5}}', b"\xff"])
async def test_a_success_that_makes_no_sense_is_told(body: bytes) -> None:
    ours, transport = client(HttpResponse(200, {}, body))
    for call in (ours.get(CONFIG_MAP, BLUE), ours.apply(CONFIG_MAP, DOCUMENT), ours.delete(CONFIG_MAP, BLUE)):
        with pytest.raises(BadAnswer, match="configmaps"):
            await call
    assert len(transport.sent) == 3  # asking again would not help


async def test_a_refusal_is_raised_with_what_the_server_said() -> None:
    ours, _ = client(refusal(404, "NotFound", kind="configmaps", name="blue"))
    with pytest.raises(NotFound) as caught:
        await ours.get(CONFIG_MAP, BLUE)
    assert caught.value.details.name == "blue"
    existing, _ = client(refusal(409, "AlreadyExists"))
    with pytest.raises(AlreadyExists):
        await existing.create(CONFIG_MAP, DOCUMENT)


@pytest.mark.pain(8)
async def test_a_conflict_is_quiet_a_class_of_its_own_and_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    ours, transport = client(refusal(409, "Conflict"))
    with caplog.at_level(0), pytest.raises(Conflict):
        await ours.update(CONFIG_MAP, DOCUMENT)
    assert len(transport.sent) == 1
    assert caplog.records == []


# tries


async def test_what_may_pass_is_tried_again_and_told() -> None:
    told = Told()
    ours, transport = client(refusal(503), ConnectionFailed("cut", sent=True), ok(), observer=told)
    assert await ours.get(CONFIG_MAP, BLUE)
    assert len(transport.sent) == 3
    assert [line[:3] for line in told.lines] == [
        ("request", "GET", "503"),
        ("retried", "GET", "Unavailable"),
        ("request", "GET", "<error>"),
        ("retried", "GET", "ConnectionFailed"),
        ("request", "GET", "200"),
    ]


@pytest.mark.parametrize(
    ("step", "harmless"),
    [
        (ConnectionFailed("refused", sent=False), True),
        (ConnectionFailed("cut", sent=True), False),
        (refusal(429, retry_after=1), True),
        (refusal(503), False),
        (refusal(500, retry_after=1), False),
    ],
)
async def test_a_create_is_only_repeated_if_it_was_surely_not_done(step: Step, harmless: bool) -> None:
    ours, transport = client(step, ok())
    try:
        await ours.create(CONFIG_MAP, DOCUMENT)
    except KubeError:
        assert not harmless
    assert len(transport.sent) == 1 + harmless


@pytest.mark.parametrize("cut", [ConnectionFailed("cut", sent=True), refusal(504)])
async def test_what_can_be_done_twice_is_repeated_after_an_unknown_outcome(cut: Step) -> None:
    sends: list[Callable[[Client], Awaitable[Any]]] = [
        lambda ours: ours.apply(CONFIG_MAP, DOCUMENT),
        lambda ours: ours.update(CONFIG_MAP, DOCUMENT),
        lambda ours: ours.patch(CONFIG_MAP, BLUE, MergePatch({})),
        lambda ours: ours.delete(CONFIG_MAP, BLUE),
    ]
    for send in sends:
        ours, transport = client(cut, ok())
        await send(ours)
        assert len(transport.sent) == 2
    ours, transport = client(cut, ok())
    with pytest.raises((ConnectionFailed, KubeError)):
        await ours.patch(CONFIG_MAP, BLUE, JsonPatch([]))
    assert len(transport.sent) == 1


@pytest.mark.parametrize("answer", [refusal(500), refusal(501, retry_after=1), refusal(403), refusal(422)])
async def test_what_will_not_pass_is_not_repeated(answer: HttpResponse) -> None:
    ours, transport = client(answer)
    with pytest.raises(KubeError):
        await ours.get(CONFIG_MAP, BLUE)
    assert len(transport.sent) == 1


async def test_tries_are_bounded_by_the_settings() -> None:
    ours, transport = client(refusal(503), settings=ClientSettings(call_timeout=7, retry=RetryPolicy(attempts=3)))
    with pytest.raises(Unavailable):
        await ours.get(CONFIG_MAP, BLUE)
    assert transport.timeouts == [7, 7, 7]


# the fence


async def test_no_write_starts_after_the_fence_is_down() -> None:
    up = True

    def fence() -> None:
        if not up:
            raise Fenced("the lease is over")

    ours, transport = client(fence=fence)
    await ours.apply(CONFIG_MAP, DOCUMENT)
    up = False
    for write in (
        ours.apply(CONFIG_MAP, DOCUMENT),
        ours.create(CONFIG_MAP, DOCUMENT),
        ours.update(CONFIG_MAP, DOCUMENT),
        ours.patch(CONFIG_MAP, BLUE, MergePatch({})),
        ours.delete(CONFIG_MAP, BLUE),
        ours.delete_collection(CONFIG_MAP),
    ):
        with pytest.raises(Fenced):
            await write
    assert len(transport.sent) == 1
    await ours.get(CONFIG_MAP, BLUE)
    await ours.apply(CONFIG_MAP, DOCUMENT, dry_run=True)
    review = Resource.untyped("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False)
    await ours.create(review, {"spec": {}})
    assert len(transport.sent) == 4


async def test_the_fence_is_asked_again_for_each_try() -> None:
    answers = iter([None, Fenced("the lease is over")])

    def fence() -> None:
        if (error := next(answers)) is not None:
            raise error

    ours, transport = client(refusal(503), fence=fence)
    with pytest.raises(Fenced):
        await ours.apply(CONFIG_MAP, DOCUMENT)
    assert len(transport.sent) == 1


# the pace


@define
class Told:
    lines: list[tuple[str, str, Any]] = field(factory=list)

    def request(self, method: str, host: str, code: str, seconds: float) -> None:
        assert host == "one:6443"
        assert seconds >= 0
        self.lines.append(("request", method, code))

    def retried(self, method: str, host: str, error: KubeError) -> None:
        self.lines.append(("retried", method, type(error).__name__))

    def paused(self, host: str, seconds: float) -> None:
        self.lines.append(("paused", "", seconds))


@pytest.mark.pain(32)
async def test_after_a_429_everybody_waits_and_it_shows() -> None:
    told = Told()
    ours, transport = client(refusal(429, retry_after=5), ok(), observer=told)
    first = asyncio.ensure_future(ours.get(CONFIG_MAP, BLUE))
    await anyio.sleep(0.5)
    await asyncio.gather(*(ours.get(CONFIG_MAP, BLUE) for _ in range(20)))
    await first
    later = transport.at[1:]
    assert min(later) >= 5
    assert len(set(later)) >= 20  # not all at the same moment
    assert sum(line[0] == "paused" for line in told.lines) >= 20


@pytest.mark.pain(32)
async def test_an_overloaded_server_gets_no_more_than_it_can_bear_and_loses_nothing() -> None:
    capacity, served = 20, list[float]()

    def bear(request: HttpRequest) -> HttpResponse:
        recent = sum(now() - at < 1 for at in served)
        if recent >= capacity:
            return refusal(429, retry_after=1)
        served.append(now())
        return ok()

    ours, transport = client(bear, settings=ClientSettings(retry=RetryPolicy(attempts=60, total=300)))

    async def worker() -> None:
        for _ in range(20):
            await ours.get(CONFIG_MAP, BLUE)

    await asyncio.gather(*(worker() for _ in range(40)))
    assert len(served) == 800
    assert len(transport.sent) < 1.2 * 800  # 1.5 by those who just come again when they were told to
    assert now() < 60  # 40 at the very least


@pytest.mark.pain(32)
async def test_a_disruption_budget_slows_nobody_down_and_is_not_asked_again() -> None:
    budget = refusal(429, "TooManyRequests", retry_after=10, causes=[{"reason": "DisruptionBudget"}])
    ours, transport = client(budget, ok())
    with pytest.raises(TooManyRequests):
        await ours.create(POD, DOCUMENT, subresource="eviction")
    await ours.get(CONFIG_MAP, BLUE)
    assert transport.at == [0, 0]


async def test_another_client_on_the_same_transport_has_its_own_pace() -> None:
    ours, transport = client(refusal(429, retry_after=50), ok(), settings=ClientSettings(retry=RetryPolicy(attempts=1)))
    with pytest.raises(TooManyRequests):
        await ours.get(CONFIG_MAP, BLUE)
    await Client(transport).get(CONFIG_MAP, BLUE)
    assert transport.at == [0, 0]


# streams


async def test_a_stream_is_opened_once_or_refused_with_what_the_server_said() -> None:
    ours, transport = client(HttpResponse(200, {}, b"line\n"), refusal(410, "Expired"), refusal(403), refusal(503))
    watch = requests.watch(CONFIG_MAP)
    stream = await ours.open(watch)
    assert await stream.read() == b"line\n"
    for expected in (Gone, Forbidden, Unavailable):
        with pytest.raises(expected, match="no"):
            await ours.open(watch)
    assert len(transport.sent) == 4
    assert [one.is_closed for one in transport.streams] == [False, True, True, True]


async def test_a_refusal_that_never_ends_is_given_up() -> None:
    ours, transport = client(HttpResponse(500, {}, b"hang"), settings=ClientSettings(call_timeout=3))
    with pytest.raises(InternalError):
        await ours.open(requests.watch(CONFIG_MAP))
    assert now() == 3
    assert transport.streams[0].is_closed


async def test_a_429_on_a_stream_slows_everybody_down() -> None:
    ours, transport = client(refusal(429, retry_after=5), ok())
    with pytest.raises(TooManyRequests):
        await ours.open(requests.watch(CONFIG_MAP))
    await ours.get(CONFIG_MAP, BLUE)
    assert transport.at == [0, 5]


# what a server has


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b"null", b"\xff"])
async def test_a_document_that_makes_no_sense_is_told_with_its_path(body: bytes) -> None:
    ours, _ = client(HttpResponse(200, {}, body))
    with pytest.raises(BadAnswer, match="/version: not"):
        await ours.version()


async def test_the_version_is_read_as_numbers() -> None:
    ours, _ = client(ok({"major": "1", "minor": "28+", "gitVersion": "v1.28.3-gke.1"}))
    assert await ours.version() == Version(1, 28, "v1.28.3-gke.1")


def kinds(*names: str) -> dict[str, Any]:
    resources = [{"resource": name.lower(), "responseKind": {"kind": name}, "scope": "Cluster"} for name in names]
    versions = [{"version": "v1", "resources": resources}]
    return {"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "g"}, "versions": versions}]}


async def test_kinds_are_asked_for_once_and_again_when_one_is_missing_but_not_too_often() -> None:
    served = ["A"]
    ours, transport = client(lambda request: ok(kinds(*served) if request.path == "/apis" else kinds()))
    assert await ours.find("g", "A")
    assert await ours.find("g", "B") is None
    assert len(transport.sent) == 2
    served.append("B")
    await anyio.sleep(10)
    found = await asyncio.gather(*(ours.find("g", "B") for _ in range(5)))
    assert all(found)
    assert len(transport.sent) == 4
    assert transport.sent[0].headers["accept"].startswith("application/json;g=apidiscovery.k8s.io;v=v2;")
    assert (await ours.discover()).find("g", "B")
    await ours.discover(fresh=True)
    assert len(transport.sent) == 6


async def test_an_older_server_is_asked_version_by_version_and_a_broken_one_of_them_is_named() -> None:
    groups = [{"name": name, "versions": [{"groupVersion": f"{name}/v1"}]} for name in ("good", "bad")]
    answers = {
        "/api": ok({"kind": "APIVersions", "versions": ["v1"]}),
        "/apis": ok({"kind": "APIGroupList", "groups": groups}),
        "/api/v1": ok({"groupVersion": "v1", "resources": [{"name": "pods", "kind": "Pod", "namespaced": True}]}),
        "/apis/good/v1": ok({"groupVersion": "good/v1", "resources": [{"name": "as", "kind": "A"}]}),
        "/apis/bad/v1": refusal(503),
    }
    ours, _ = client(lambda request: answers[request.path])
    found = await ours.discover()
    assert [resource.kind for resource in found.resources] == ["Pod", "A"]
    assert found.missing == ("bad/v1",)


async def test_a_client_closes_its_transport() -> None:
    ours, transport = client()
    async with ours:
        pass
    assert transport.is_closed
