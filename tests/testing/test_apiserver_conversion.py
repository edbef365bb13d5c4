"""Custom resources whose versions a webhook converts into each other."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.calling import Caller
from reconcile.testing.apiserver.failure import Document
from tests.testing.callers import DEFINITIONS, Api
from tests.testing.stories_definitions import TEXT, definition, version

GROUP = "turn.example.com"
URL = "https://convert.example.com/"
V1, V2 = (f"/apis/{GROUP}/{name}/namespaces/default/cases" for name in ("v1", "v2"))


def _schema(**fields: Any) -> Document:
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}


def defined() -> Document:
    """In v1 a name is one text, in v2 it is two."""
    versions = [
        version("v1", _schema(name=TEXT)),
        version("v2", _schema(first=TEXT, last={**TEXT, "default": "Doe"}), storage=False),
    ]
    webhook = {"clientConfig": {"url": URL}, "conversionReviewVersions": ["v1"]}
    return definition(GROUP, versions=versions, conversion={"strategy": "Webhook", "webhook": webhook})


class Converter:
    """Turns one into the other, and remembers how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[Document] = []
        self.fails = ""

    def __call__(self, review: Document) -> Document:
        request = review["request"]
        self.asked.append(request)
        result = {"status": "Failure", "message": self.fails} if self.fails else {"status": "Success"}
        found = [] if self.fails else [self.turned(one, request["desiredAPIVersion"]) for one in request["objects"]]
        response = {"uid": request["uid"], "result": result, "convertedObjects": found}
        return {"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response}

    def turned(self, document: Document, api_version: str) -> Document:
        spec = document.get("spec") or {}
        if api_version.endswith("v2"):
            first, _, last = spec.get("name", "").partition(" ")
            new = {"first": first, **({"last": last} if last else {})}
        else:
            new = {"name": f"{spec.get('first', '')} {spec.get('last', '')}".strip()}
        return {**document, "apiVersion": api_version, "spec": new}


@pytest.fixture
def converter() -> Converter:
    return Converter()


@pytest.fixture
async def api(converter: Converter) -> AsyncIterator[Api]:
    async with ApiServer(webhooks=Caller({URL: converter})) as server:
        api = Api(server.transport(), "default")
        await api.made(DEFINITIONS, defined())
        yield api


def a_case(own: str, number: str, **spec: str) -> Document:
    return {"apiVersion": f"{GROUP}/{number}", "kind": "Case", "metadata": {"name": own}, "spec": spec}


async def test_an_object_is_seen_through_each_version(api: Api) -> None:
    made = await api.made(V2, a_case("a", "v2", first="Ada", last="Lovelace"))
    assert made["spec"] == {"first": "Ada", "last": "Lovelace"}
    assert (await api.get(f"{V1}/a"))["spec"] == {"name": "Ada Lovelace"}
    changed = await api.merge(f"{V1}/a", {"spec": {"name": "Ada Byron"}})
    assert changed["spec"] == {"name": "Ada Byron"}
    assert (await api.get(f"{V2}/a"))["spec"] == {"first": "Ada", "last": "Byron"}
    assert (await api.get(f"{V2}/a")).meta["uid"] == made.meta["uid"]


async def test_what_was_converted_is_not_asked_for_again(api: Api, converter: Converter) -> None:
    await api.made(V1, a_case("a", "v1", name="Ada L"))
    count = len(converter.asked)
    for _ in range(3):
        await api.get(f"{V2}/a")
        await api.get(V2)
    assert len(converter.asked) == count


async def test_a_watch_tells_its_own_version(api: Api) -> None:
    watch = await api.watch(V2)
    await api.made(V1, a_case("a", "v1", name="Ada L"))
    await api.merge(f"{V1}/a", {"spec": {"name": "Ada B"}})
    await api.delete(f"{V1}/a")
    events = await watch.take(3)
    assert [(kind, found["apiVersion"], found["spec"]["last"]) for kind, found in events] == [
        ("ADDED", f"{GROUP}/v2", "L"),
        ("MODIFIED", f"{GROUP}/v2", "B"),
        ("DELETED", f"{GROUP}/v2", "B"),
    ]


async def test_a_list_is_converted_in_one_go(api: Api, converter: Converter) -> None:
    for name in "abc":
        await api.made(V1, a_case(name, "v1", name=f"{name} x"))
    found = await api.get(f"{DEFINITIONS}/cases.{GROUP}")
    await api.merge(
        f"{DEFINITIONS}/cases.{GROUP}",
        {"spec": {"versions": [*found["spec"]["versions"][:1], {**found["spec"]["versions"][1], "deprecated": True}]}},
    )
    converter.asked.clear()
    assert [one["spec"]["first"] for one in (await api.get(V2))["items"]] == ["a", "b", "c"]
    assert [len(request["objects"]) for request in converter.asked] in ([3], [])


async def test_a_conversion_that_fails_is_told_and_tried_again(api: Api, converter: Converter) -> None:
    converter.fails = "not today"
    refused = await api.post(V2, a_case("a", "v2", first="Ada"))
    why = f"conversion webhook for {GROUP}/v2, Kind=Case failed: not today"
    assert (refused.code, refused["message"]) == (500, why)
    converter.fails = ""
    assert (await api.post(V2, a_case("a", "v2", first="Ada"))).code == 201
    assert (await api.get(f"{V1}/a"))["spec"] == {"name": "Ada Doe"}


async def test_labels_may_be_converted_and_the_rest_of_the_metadata_may_not(api: Api, converter: Converter) -> None:
    turned = converter.turned

    def odd(document: Document, api_version: str) -> Document:
        found = turned(document, api_version)
        return {**found, "metadata": {"name": "other", "labels": {"in": api_version.rpartition("/")[2]}}}

    converter.turned = odd  # type: ignore[method-assign]
    await api.made(V1, a_case("a", "v1", name="Ada L"))
    found = await api.get(f"{V2}/a")
    assert (found.meta["name"], found.meta["labels"]) == ("a", {"in": "v2"})
