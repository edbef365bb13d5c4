"""Two worlds are the same if what people wanted is; what nobody chose does not count."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from reconcile import Client, ObjectKey
from reconcile.kube import MergePatch
from reconcile.kube.kinds import CONFIG_MAP, SECRET
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.state import Allocated, State, differences, end_state

NUMBERS = (Allocated("configmaps", ("data", "number")),)


@asynccontextmanager
async def a_server(seed: int) -> AsyncIterator[tuple[ApiServer, Client]]:
    async with ApiServer(rng=random.Random(seed)) as server:
        yield server, server.client()


async def create(client: Client, name: str, data: dict[str, str] | None = None, **metadata: Any) -> str:
    body = {"metadata": {"name": name, **metadata}, "data": data or {}}
    return (await client.create(CONFIG_MAP, body, namespace="default")).metadata.uid


async def pair(client: Client, number: str, *, touched: bool = False) -> None:
    """An object with a number, and one that is named after its uid and refers to both."""
    uid = await create(client, "first", {"number": number})
    await create(client, f"of-{uid}", {"ref": f"number://{number}/{uid}"}, labels={"for": uid})
    await create(client, number)
    if touched:
        for size in ("1", None):
            await client.patch(CONFIG_MAP, ObjectKey("default", "first"), MergePatch({"data": {"size": size}}))


def state(*servers: ApiServer) -> State:
    return end_state({f"c{place}": one.storage for place, one in enumerate(servers)}, allocated=NUMBERS)


async def test_uids_versions_and_allocated_numbers_make_no_difference_also_where_others_mention_them() -> None:
    async with a_server(1) as (one, client), a_server(2) as (other, another):
        await pair(client, "4711")
        await pair(another, "12", touched=True)
        assert one.storage.version != other.storage.version
        assert state(one) == state(other)
        assert differences(state(one), state(other)) == []


async def test_a_reference_across_clusters_is_known_for_what_it_is() -> None:
    async with a_server(1) as (one, client), a_server(2) as (other, another):
        uid = await create(client, "home")
        await create(another, f"of-{uid}")
        assert "c1 configmaps default/of-<uid of c0 configmaps default/home>" in state(one, other)


@pytest.mark.parametrize(
    ("patch", "line"),
    [
        ({"data": {"ref": "nothing"}}, 'data.ref is "nothing", not "number://'),
        ({"metadata": {"labels": {"for": None}}}, "metadata.labels is absent, not"),
        ({"metadata": {"finalizers": ["example.org/b", "example.org/a"]}}, "metadata.finalizers is"),
    ],
)
async def test_what_somebody_wanted_makes_a_difference_and_is_told(patch: dict[str, Any], line: str) -> None:
    async with a_server(1) as (one, client), a_server(2) as (other, another):
        await pair(client, "4711")
        await pair(another, "4711")
        uid = other.objects(CONFIG_MAP)[1].metadata.uid
        [mine] = [key for key in other.storage.keys("configmaps") if "of-" in key]
        await another.patch(CONFIG_MAP, ObjectKey("default", mine.split("/")[1]), MergePatch(patch))
        [told] = differences(state(one), state(other))
        assert line in told
        assert "of-<uid of c0 configmaps default/first>" in told
        assert uid not in told


async def test_the_order_of_finalizers_makes_no_difference() -> None:
    async with a_server(1) as (one, client), a_server(2) as (other, another):
        await create(client, "x", finalizers=["example.org/a", "example.org/b"])
        await create(another, "x", finalizers=["example.org/b", "example.org/a"])
        assert state(one) == state(other)


async def test_what_is_missing_and_what_is_too_much_is_told() -> None:
    async with a_server(1) as (one, client), a_server(2) as (other, another):
        await create(client, "x")
        await another.create(SECRET, {"metadata": {"name": "y"}}, namespace="default")
        assert differences(state(one), state(other)) == [
            "missing: c0 configmaps default/x",
            "too much: c0 secrets default/y",
        ]


async def test_what_is_gone_is_not_taken_for_what_is_there() -> None:
    async with a_server(1) as (one, client), a_server(2) as (other, another):
        for cluster, number in ((client, "7"), (another, "8")):
            uid = await create(cluster, "first", {"number": number})
            await create(cluster, "second", {"ref": f"{number}/{uid}"})
        await another.delete(CONFIG_MAP, ObjectKey("default", "first"))
        await create(another, "first", {"number": "9"})
        [told] = differences(state(one), state(other))
        assert '"<number of what is gone>/<uid of what is gone>"' in told


def test_an_allocated_value_may_stand_in_a_list_and_is_called_by_its_place() -> None:
    field = Allocated("loadbalancers.example.org", ("spec", "ips", 1, "ip"))
    assert field.name == "ips.1.ip"
    assert field.value({"spec": {"ips": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}}) == "10.0.0.2"
    lacking: list[dict[str, object]] = [
        {},
        {"spec": {}},
        {"spec": {"ips": [{"ip": "a"}]}},
        {"spec": {"ips": {"1": {}}}},
    ]
    for document in lacking:
        assert field.value(document) == ""
