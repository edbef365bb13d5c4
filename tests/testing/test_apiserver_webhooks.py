"""Webhooks: what they are shown, what they may change and refuse, and what becomes of a write meanwhile."""

import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import orjson
import pytest
import trustme
from aiohttp import web

from reconcile.core.clock import now
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.calling import Caller
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.plugin import AnyioBackend
from tests.testing.callers import Api, a_map

GROUP = "/apis/admissionregistration.k8s.io/v1"
MUTATING = f"{GROUP}/mutatingwebhookconfigurations"
VALIDATING = f"{GROUP}/validatingwebhookconfigurations"
URL = "https://hooks.example.com/ask"
MAPS_RULE = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE", "DELETE"],
    "resources": ["configmaps"],
}


def configuration(name: str, *hooks: Document, mutating: bool = False) -> Document:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{'Mutating' if mutating else 'Validating'}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": list(hooks),
    }


def hook(name: str = "ask.example.com", url: str = URL, **more: Any) -> Document:
    return {
        "name": name,
        "clientConfig": {"url": url},
        "rules": [MAPS_RULE],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **more,
    }


def answer(review: Document, **response: Any) -> Document:
    head = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    return {**head, "response": {"uid": review["request"]["uid"], "allowed": True, **response}}


def patch(review: Document, *operations: Document) -> Document:
    raw = base64.b64encode(orjson.dumps(list(operations))).decode()
    return answer(review, patch=raw, patchType="JSONPatch")


def label(review: Document, name: str, value: str) -> Document:
    has = "labels" in review["request"]["object"]["metadata"]
    add = {"op": "add", "path": f"/metadata/labels/{name}", "value": value}
    return patch(review, *([] if has else [{"op": "add", "path": "/metadata/labels", "value": {}}]), add)


class Hooks:
    """Functions of a test by path, and what they were shown."""

    def __init__(self) -> None:
        self.seen: list[Document] = []
        self.functions: dict[str, Any] = {}

    async def __call__(self, review: Document) -> Document:
        self.seen.append(review["request"])
        found = self.functions["/ask"](review)
        answered: Document = await found if hasattr(found, "__await__") else found
        return answered


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
async def server(hooks: Hooks) -> AsyncIterator[ApiServer]:
    async with ApiServer(webhooks=Caller({URL: hooks})) as server:
        yield server


@pytest.fixture
def api(server: ApiServer) -> Api:
    return Api(server.transport(user_agent="tester/1.0"), "default")


async def test_a_validating_webhook_sees_the_whole_request(api: Api, hooks: Hooks) -> None:
    hooks.functions["/ask"] = answer
    await api.made(VALIDATING, configuration("v", hook()))
    made = await api.map("a", {"x": "1"})
    await api.merge(f"{api.maps}/a", {"data": {"x": "2"}})
    await api.delete(f"{api.maps}/a")
    created, updated, deleted = hooks.seen
    assert (created["operation"], created["name"], created["namespace"]) == ("CREATE", "a", "default")
    assert created["kind"] == created["requestKind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert created["object"]["metadata"]["uid"] == made.meta["uid"]
    assert (created["oldObject"], created["dryRun"]) == (None, False)
    assert created["userInfo"]["username"] == "system:admin"
    assert (updated["oldObject"]["data"], updated["object"]["data"]) == ({"x": "1"}, {"x": "2"})
    assert (deleted["operation"], deleted["object"], deleted["oldObject"]["data"]) == ("DELETE", None, {"x": "2"})


async def test_a_refusal_is_told_in_its_own_words_and_changes_nothing(api: Api, hooks: Hooks) -> None:
    await api.made(VALIDATING, configuration("v", hook()))
    for status, says in (
        ({"message": "no", "code": 403, "reason": "Forbidden"}, (403, "Forbidden", ": no")),
        ({"reason": "Odd"}, (400, "Odd", ": Odd")),
        ({}, (400, "", " without explanation")),
    ):
        hooks.functions["/ask"] = lambda review, status=status: answer(review, allowed=False, status=status)
        code, reason, end = says
        text = f'admission webhook "ask.example.com" denied the request{end}'
        assert (await api.post(api.maps, a_map("a"))).says == (code, reason, text)
    assert (await api.get(f"{api.maps}/a")).code == 404


async def test_a_mutating_webhook_changes_what_is_stored(api: Api, hooks: Hooks) -> None:
    hooks.functions["/ask"] = lambda review: label(review, "by", "hook")
    await api.made(MUTATING, configuration("m", hook(), mutating=True))
    made = await api.map("a", {"x": "1"})
    assert made.meta["labels"] == {"by": "hook"}
    assert "uid" not in hooks.seen[0]["object"]["metadata"]
    assert list(made.owners["tester:Update"]) == ["f:data"]  # nobody owns what a webhook adds


async def test_webhooks_are_asked_in_order_and_again_if_a_later_one_changed_something(api: Api, hooks: Hooks) -> None:
    def by_name(review: Document) -> Document:
        labels = review["request"]["object"]["metadata"].get("labels") or {}
        return answer(review) if "late" in labels and "early" in labels else label(review, nexts[len(hooks.seen)], "x")

    nexts = {1: "early", 2: "late"}
    hooks.functions["/ask"] = by_name
    first = hook("a.example.com", reinvocationPolicy="IfNeeded")
    await api.made(MUTATING, configuration("m", first, hook("b.example.com"), mutating=True))
    made = await api.map("a")
    assert made.meta["labels"] == {"early": "x", "late": "x"}
    assert len(hooks.seen) == 3


async def test_what_happens_meanwhile_is_shown_to_the_webhook_before_it_counts(api: Api, hooks: Hooks) -> None:
    await api.map("a", {"x": "1"})
    waiting, go = anyio.Event(), anyio.Event()

    async def slow(review: Document) -> Document:
        waiting.set()
        await go.wait()
        return answer(review)

    hooks.functions["/ask"] = slow
    await api.made(VALIDATING, configuration("v", hook(objectSelector={"matchLabels": {"asked": "yes"}})))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(api.merge, f"{api.maps}/a", {"metadata": {"labels": {"asked": "yes"}}})
        await waiting.wait()
        await api.merge(f"{api.maps}/a", {"data": {"x": "2"}})
        go.set()
    assert [one["object"]["data"]["x"] for one in hooks.seen] == ["1", "2"]
    found = await api.get(f"{api.maps}/a")
    assert (found["data"], found.meta["labels"]) == ({"x": "2"}, {"asked": "yes"})


async def test_others_write_while_a_webhook_thinks(api: Api, hooks: Hooks) -> None:
    async def slow(review: Document) -> Document:
        await anyio.sleep(5)
        return answer(review)

    hooks.functions["/ask"] = slow
    await api.made(VALIDATING, configuration("v", hook()))
    start = now()
    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(api.map, name)
    assert now() - start == pytest.approx(5)


async def test_a_webhook_that_does_not_answer_fails_or_is_ignored(api: Api, hooks: Hooks) -> None:
    async def never(review: Document) -> Document:
        await anyio.sleep(3600)
        return answer(review)

    hooks.functions["/ask"] = never
    await api.made(VALIDATING, configuration("v", hook(timeoutSeconds=3)))
    start = now()
    refused = await api.post(api.maps, a_map("a"))
    assert now() - start == pytest.approx(3)
    why = f'failed calling webhook "ask.example.com": failed to call webhook: Post "{URL}?timeout=3s"'
    text = f"Internal error occurred: {why}: context deadline exceeded"
    assert refused.says == (500, "InternalError", text)
    await api.merge(f"{VALIDATING}/v", {"webhooks": [hook(timeoutSeconds=3, failurePolicy="Ignore")]})
    assert (await api.post(api.maps, a_map("a"))).code == 201


@pytest.mark.parametrize(
    ("response", "says"),
    [
        ({"response": None}, "webhook response was absent"),
        ({"uid": "x"}, 'expected response.uid="'),
        ({"patch": "W10="}, "validating webhook may not return response.patch"),
    ],
)
async def test_nonsense_is_told(api: Api, hooks: Hooks, response: Document, says: str) -> None:
    def odd(review: Document) -> Document:
        body = answer(review)
        if "response" in response:
            return {**body, **response}
        return {**body, "response": {**body["response"], **response}}

    hooks.functions["/ask"] = odd
    await api.made(VALIDATING, configuration("v", hook()))
    refused = await api.post(api.maps, a_map("a"))
    assert refused.code == 500
    assert f"received invalid webhook response: {says}" in refused["message"]


async def test_an_answer_that_is_no_review_is_told(api: Api, hooks: Hooks) -> None:
    hooks.functions["/ask"] = lambda review: {**answer(review), "kind": "Pod"}
    await api.made(VALIDATING, configuration("v", hook()))
    refused = await api.post(api.maps, a_map("a"))
    assert 'failed to call webhook: no kind "Pod" is registered' in refused["message"]


async def test_warnings_reach_the_client(api: Api, hooks: Hooks) -> None:
    hooks.functions["/ask"] = lambda review: answer(review, warnings=["careful"])
    await api.made(VALIDATING, configuration("v", hook()))
    assert (await api.map("a")).headers["warning"] == '299 - "careful"'


async def test_a_dry_run_needs_a_webhook_without_side_effects(api: Api, hooks: Hooks) -> None:
    hooks.functions["/ask"] = answer
    await api.made(VALIDATING, configuration("v", hook(sideEffects="NoneOnDryRun")))
    assert (await api.post(api.maps, a_map("a"), dryRun="All")).code == 201
    assert hooks.seen[0]["dryRun"] is True
    some = {**hook(), "sideEffects": "Some", "admissionReviewVersions": ["v1"]}
    await api.merge(f"{VALIDATING}/v", {"webhooks": [some]})
    if (await api.get(f"{VALIDATING}/v"))["webhooks"][0]["sideEffects"] == "Some":
        refused = await api.post(api.maps, a_map("a"), dryRun="All")
        assert refused.says[2] == 'admission webhook "ask.example.com" does not support dry run'


@pytest.mark.parametrize(
    ("narrowed", "asked"),
    [
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, False),
        ({"objectSelector": {"matchLabels": {"x": "y"}}}, False),
        ({"rules": [{**MAPS_RULE, "operations": ["UPDATE"]}]}, False),
        ({"rules": [{**MAPS_RULE, "resources": ["*"]}]}, True),
        ({"rules": [{**MAPS_RULE, "resources": ["*/*"]}]}, True),
        ({"rules": [{**MAPS_RULE, "resources": ["configmaps/status"]}]}, False),
        ({"rules": [{**MAPS_RULE, "scope": "Cluster"}]}, False),
        ({"matchConditions": [{"name": "n", "expression": "object.metadata.name == 'a'"}]}, True),
        ({"matchConditions": [{"name": "n", "expression": "request.operation == 'DELETE'"}]}, False),
    ],
    ids=str,
)
async def test_a_webhook_is_asked_about_what_it_wants_only(
    api: Api, hooks: Hooks, narrowed: Document, asked: bool
) -> None:
    hooks.functions["/ask"] = answer
    await api.made(VALIDATING, configuration("v", hook(**narrowed)))
    await api.map("a")
    assert bool(hooks.seen) is asked


async def test_configurations_themselves_are_nobodys_business(api: Api, hooks: Hooks) -> None:
    every = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
    hooks.functions["/ask"] = lambda review: answer(review, allowed=False)
    await api.made(VALIDATING, configuration("v", hook(rules=[every])))
    assert (await api.delete(f"{VALIDATING}/v")).code == 200
    assert hooks.seen == []


async def test_a_generated_name_and_uid_are_the_same_when_asked_and_when_stored(api: Api, hooks: Hooks) -> None:
    hooks.functions["/ask"] = answer
    await api.made(VALIDATING, configuration("v", hook()))
    made = await api.made(api.maps, {"metadata": {"generateName": "x-"}})
    assert (hooks.seen[-1]["name"], hooks.seen[-1]["object"]["metadata"]["uid"]) == (
        made.meta["name"],
        made.meta["uid"],
    )


class TestOverHttps:
    """A webhook of another process: a real socket, a certificate."""

    @pytest.fixture
    def anyio_backend(self) -> AnyioBackend:
        return "asyncio", {}

    async def test_a_webhook_is_asked_over_https_by_its_certificate(self, anyio_backend: AnyioBackend) -> None:
        async def handle(request: web.Request) -> web.Response:
            return web.json_response(label(await request.json(), "by", "https"))

        async with listening(handle) as config, ApiServer() as server:
            api = Api(server.transport(), "default")
            known = {**hook(), "clientConfig": config}
            await api.made(MUTATING, configuration("m", known, mutating=True))
            assert (await api.map("a")).meta["labels"] == {"by": "https"}
            await api.merge(f"{MUTATING}/m", {"webhooks": [{**hook(), "clientConfig": {"url": config["url"]}}]})
            refused = await api.post(api.maps, a_map("b"))
            assert "tls: failed to verify certificate" in refused["message"]

    async def test_one_that_listens_and_says_nothing_is_left_at_its_timeout(self, anyio_backend: AnyioBackend) -> None:
        asked, left = anyio.Event(), anyio.Event()

        async def handle(request: web.Request) -> web.Response:
            asked.set()
            try:
                await anyio.sleep_forever()
            finally:
                left.set()
            raise AssertionError

        async with listening(handle) as config, ApiServer() as server:
            api = Api(server.transport(), "default")
            await api.made(VALIDATING, configuration("v", {**hook(timeoutSeconds=1), "clientConfig": config}))
            refused = await api.post(api.maps, a_map("a"))
            assert asked.is_set()
            why = f'failed calling webhook "ask.example.com": failed to call webhook: Post "{config["url"]}?timeout=1s"'
            text = f"Internal error occurred: {why}: context deadline exceeded"
            assert refused.says == (500, "InternalError", text)
            with anyio.fail_after(30):
                await left.wait()  # the connection is broken off


@asynccontextmanager
async def listening(handle: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[Document]:
    """A webhook on a port of its own, as a ``clientConfig``."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    application = web.Application()
    application.router.add_post("/ask", handle)
    runner = web.AppRunner(application, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
    try:
        bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
        yield {"url": f"https://localhost:{runner.addresses[0][1]}/ask", "caBundle": bundle}
    finally:
        await runner.cleanup()
