"""Peerings of networks: every acceptance scenario under its id; only the generation ``ironcore`` has them."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from apinetlet.api import IRONCORE, ONMETAL, Kinds
from apinetlet.demo.world import TARGET_NAMESPACE
from reconcile import ObjectKey, ObjectMeta
from reconcile.kube import MergePatch
from reconcile.kube.errors import Invalid
from tests.apinetlet.test_bad_objects import careless_desk
from tests.apinetlet.test_missing_kinds import REST, daemon_of, declare, servers
from tests.scenarios.desk import HOME, Desk, desk

AWAY = "kube-public"


@pytest.fixture(name="at")
async def _at() -> AsyncIterator[Desk]:
    async with desk(IRONCORE) as both:
        yield both


# -- what people do ----------------------------------------------------------------------------------------------------


def peering(name: str, peer: str, *, namespace: str = "", prefixes: Any = ()) -> dict[str, Any]:
    shown = {"prefixes": list(prefixes)} if prefixes else {}
    return {"name": name, "networkRef": {"name": peer, **({"namespace": namespace} if namespace else {})}, **shown}


def claim(peer: ObjectMeta, **changes: Any) -> dict[str, Any]:
    """What the API's controllers leave on a network for one that wants a peering."""
    return {"namespace": peer.namespace, "name": peer.name, "uid": peer.uid, **changes}


async def network(at: Desk, name: str, *peerings: Any, namespace: str = HOME) -> ObjectMeta:
    spec = {"peerings": list(peerings)} if peerings else {}
    return await at.create(at.world.kinds.network, name, namespace=namespace, spec=spec)


async def let_in(at: Desk, meta: ObjectMeta, *claims: dict[str, Any]) -> None:
    await at.change(at.world.kinds.network, meta, {"spec": {"incomingPeerings": list(claims) or None}})


async def pair(
    at: Desk, *, one: tuple[Any, ...] = (), two: tuple[Any, ...] = (), claimed: bool = True
) -> tuple[ObjectMeta, ObjectMeta]:
    """Two networks in two namespaces that want each other."""
    first = await network(at, "network-1", peering("peering-1", "network-2", namespace=AWAY, prefixes=one))
    second = await network(
        at, "network-2", peering("peering-2", "network-1", namespace=HOME, prefixes=two), namespace=AWAY
    )
    if claimed:
        await let_in(at, first, claim(second))
        await let_in(at, second, claim(first))
    return first, second


async def prefix(at: Desk, name: str, value: str, phase: str = "Allocated", *, namespace: str = HOME) -> ObjectMeta:
    made = await at.create(at.world.kinds.prefix, name, namespace=namespace, spec={"prefix": value})
    if phase:
        await at.change(at.world.kinds.prefix, made, {"status": {"phase": phase}}, subresource="status")
    return made


async def says(at: Desk, meta: ObjectMeta, **partitions: list[dict[str, Any]] | None) -> None:
    """The data plane reports the peerings of a network, by partition."""
    key = ObjectMeta(namespace=TARGET_NAMESPACE, name=meta.uid)
    patch = {"status": {"peerings": partitions}}
    await at.change(at.world.kinds.apinet_network, key, patch, subresource="status")


# -- what is there -----------------------------------------------------------------------------------------------------


def vni(at: Desk, meta: ObjectMeta) -> str:
    return str(at.made_for(at.world.kinds.apinet_network, meta)["spec"]["id"])


def peered(at: Desk, meta: ObjectMeta) -> list[dict[str, Any]]:
    """What the counterpart has."""
    return at.made_for(at.world.kinds.apinet_network, meta)["spec"].get("peerings") or []


def reported(at: Desk, meta: ObjectMeta) -> list[dict[str, Any]]:
    """What the user sees."""
    return at.live(at.world.kinds.network, meta)["status"].get("peerings") or []


def state(at: Desk, meta: ObjectMeta) -> str:
    return str(at.live(at.world.kinds.network, meta)["status"]["state"])


def report(at: Desk, peer: ObjectMeta, state: str = "Ready") -> dict[str, Any]:
    return {"id": int(vni(at, peer)), "state": state}


ONE = {"name": "prefix-1", "prefixRef": {"name": "prefix-1"}}
TWO = {"name": "prefix-2", "prefix": "192.168.178.20/32"}
SHOWN_ONE = {"name": "prefix-1", "prefix": "10.0.0.0/24"}
SHOWN_TWO = {"name": "prefix-2", "prefix": "192.168.178.20/32"}


async def test_peer_1_networks_that_want_each_other_are_peered(at: Desk) -> None:
    async with at.daemon():
        first, second = await pair(at, claimed=False)
        await at.rest()
        assert (peered(at, first), peered(at, second)) == ([], [])
        await let_in(at, first, claim(second))
        await let_in(at, second, claim(first))
        await at.rest(5)
        assert peered(at, first) == [{"name": "peering-1", "id": vni(at, second)}]
        assert peered(at, second) == [{"name": "peering-2", "id": vni(at, first)}]


async def test_peer_2_a_peering_that_the_data_plane_has_is_reported(at: Desk) -> None:
    async with at.daemon():
        first, second = await pair(at)
        await at.rest()
        await says(at, first, partition1=[report(at, second)])
        await says(at, second, partition1=[report(at, first)])
        await at.rest(5)
        assert reported(at, first) == [{"name": "peering-1", "state": "Ready"}]
        assert reported(at, second) == [{"name": "peering-2", "state": "Ready"}]
        assert {state(at, first), state(at, second)} == {"Available"}


async def test_peer_3_what_a_network_shows_its_peer_is_written_out(at: Desk) -> None:
    async with at.daemon():
        await prefix(at, "prefix-1", "10.0.0.0/24")
        first, second = await pair(at, one=(ONE,), two=(TWO,))
        await at.rest()
        assert peered(at, first) == [{"name": "peering-1", "id": vni(at, second), "prefixes": [SHOWN_ONE]}]
        assert peered(at, second) == [{"name": "peering-2", "id": vni(at, first), "prefixes": [SHOWN_TWO]}]


async def test_peer_4_what_is_shown_is_reported_once_the_peering_is_ready(at: Desk) -> None:
    async with at.daemon():
        await prefix(at, "prefix-1", "10.0.0.0/24")
        first, second = await pair(at, one=(ONE,), two=(TWO,))
        await at.rest()
        await says(at, first, partition1=[report(at, second, "Pending")])
        await at.rest(5)
        assert reported(at, first) == [{"name": "peering-1", "state": "Pending"}]
        await says(at, first, partition1=[report(at, second)])
        await says(at, second, partition1=[report(at, first)])
        await at.rest(5)
        assert reported(at, first) == [{"name": "peering-1", "state": "Ready", "prefixes": [SHOWN_ONE]}]
        assert reported(at, second) == [{"name": "peering-2", "state": "Ready", "prefixes": [SHOWN_TWO]}]


async def test_peer_5_where_states_are_disabled_networks_are_peered_all_the_same(at: Desk) -> None:
    async with at.daemon(disable_network_peering=True):
        first, second = await pair(at)
        await at.rest()
        await says(at, first, partition1=[report(at, second)])
        await at.rest(5)
        assert peered(at, first) == [{"name": "peering-1", "id": vni(at, second)}]
        assert reported(at, first) == []
        assert state(at, first) == "Available"


@pytest.mark.parametrize("settings", [{}, {"disable_network_peering": True}], ids=["reported", "disabled"])
async def test_peer_6_networks_with_peerings_go_like_all_others(at: Desk, settings: dict[str, Any]) -> None:
    async with at.daemon(**settings):
        first, second = await pair(at, two=(TWO,))
        await at.rest()
        await says(at, first, partition1=[report(at, second)])
        for meta in (first, second):
            await at.delete(at.world.kinds.network, meta)
        await at.rest(5)
        assert at.all(at.world.kinds.network) == at.all(at.world.kinds.apinet_network) == []


async def test_peer_7_a_peer_without_a_counterpart_keeps_back_only_itself(at: Desk) -> None:
    unmapped = {"annotations": {IRONCORE.managed_by_annotation: "somebody"}}
    async with at.daemon():
        late = await at.create(at.world.kinds.network, "late", metadata=unmapped, spec={})
        there = await network(at, "there")
        first = await network(at, "network-1", peering("to-late", "late"), peering("to-there", "there"))
        await let_in(at, first, claim(late), claim(there))
        await at.rest()
        assert peered(at, first) == [{"name": "to-there", "id": vni(at, there)}]
        before = at.live(at.world.kinds.network, first)["metadata"]["resourceVersion"]
        made = {"metadata": {"name": late.uid}, "spec": {}}
        await at.world.apinet.client().create(at.world.kinds.apinet_network, made, namespace=TARGET_NAMESPACE)
        await at.rest(5)
        assert [one["name"] for one in peered(at, first)] == ["to-late", "to-there"]
        assert at.live(at.world.kinds.network, first)["metadata"]["resourceVersion"] == before


async def test_peer_8_a_peering_is_never_there_without_the_prefixes_that_it_names(at: Desk) -> None:
    async with at.daemon():
        waiting = await at.create(
            at.world.kinds.prefix, "prefix-1", spec={"ipFamily": "IPv4", "parentRef": {"name": "pool"}}
        )
        first, second = await pair(at, one=(ONE,))
        await at.rest()
        assert peered(at, first) == []
        await at.change(at.world.kinds.prefix, waiting, {"spec": {"prefix": "10.0.0.0/24"}})
        await at.rest(5)
        assert peered(at, first) == []  # not before the phase says so
        await at.change(at.world.kinds.prefix, waiting, {"status": {"phase": "Allocated"}}, subresource="status")
        await at.rest(5)
        assert peered(at, first) == [{"name": "peering-1", "id": vni(at, second), "prefixes": [SHOWN_ONE]}]
        table = at.world.apinet.storage.table(at.world.kinds.apinet_network.name)
        written = [one.new.value["spec"].get("peerings") for one in table.history if one.new is not None]
        assert all(one.get("prefixes") for found in written for one in found or () if one["name"] == "peering-1")


async def test_peer_9_several_partitions_make_one_state(at: Desk) -> None:
    async with at.daemon() as daemon:
        first, second = await pair(at)
        await at.rest()
        for p1, p2, expected in (
            ("Ready", "Pending", "Pending"),
            ("Ready", "Ready", "Ready"),
            ("Error", "Ready", "Error"),
        ):
            await says(at, first, p1=[report(at, second, p1)], p2=[report(at, second, p2)])
            await at.rest(5)
            assert reported(at, first) == [{"name": "peering-1", "state": expected}]
            writes = at.world.writes
            daemon.controller("network").enqueue_all()
            await says(at, first, p1=[report(at, second, p1)], p2=[report(at, second, p2), {"id": 1, "state": "Error"}])
            await at.rest(5)
            assert at.world.writes == writes


async def test_peer_10_without_a_claim_there_is_no_peering_and_no_state(at: Desk) -> None:
    async with at.daemon():
        first, second = await pair(at)
        await at.rest()
        await says(at, first, partition1=[report(at, second)])
        await at.rest(5)
        assert reported(at, first) != []
        await let_in(at, first)
        await at.rest(5)
        assert (peered(at, first), reported(at, first)) == ([], [])
        assert state(at, first) == "Available"


async def test_peer_11_a_peer_that_is_made_anew_is_peered_by_its_new_id(at: Desk) -> None:
    async with at.daemon():
        first, second = await pair(at)
        await at.rest()
        before = vni(at, second)
        await at.delete(at.world.kinds.network, second)
        await at.rest(5)
        assert peered(at, first) == []
        again = await network(at, "network-2", peering("peering-2", "network-1", namespace=HOME), namespace=AWAY)
        await let_in(at, first, claim(again))
        await at.rest(5)
        assert again.uid != second.uid
        assert vni(at, again) != before
        assert peered(at, first) == [{"name": "peering-1", "id": vni(at, again)}]


async def test_peer_12_who_names_no_namespace_means_the_own(at: Desk) -> None:
    async with at.daemon():
        first = await network(at, "network-1", peering("peering-1", "network-2"))
        second = await network(at, "network-2", peering("peering-2", "network-1", namespace=HOME))
        await let_in(at, first, claim(second, namespace=""))
        await let_in(at, second, {"name": first.name, "uid": first.uid})
        await at.rest()
        assert peered(at, first) == [{"name": "peering-1", "id": vni(at, second)}]
        assert peered(at, second) == [{"name": "peering-2", "id": vni(at, first)}]


async def test_peer_13_where_states_are_disabled_those_of_somebody_else_stay(at: Desk) -> None:
    theirs = [{"name": "peering-1", "state": "Pending"}]
    async with at.daemon(disable_network_peering=True):
        first, second = await pair(at)
        await at.rest()
        status = {"status": {"state": "Pending", "peerings": theirs}}
        await at.change(at.world.kinds.network, first, status, subresource="status")
        await says(at, first, partition1=[report(at, second)])
        await at.rest(5)
        assert state(at, first) == "Available"
        assert reported(at, first) == theirs


# -- beyond the scenarios ----------------------------------------------------------------------------------------------


async def test_a_claim_without_a_uid_is_told_and_keeps_back_only_its_peering(at: Desk) -> None:
    async with at.daemon():
        first, second = await pair(at)
        await let_in(at, first, {"namespace": AWAY, "name": second.name})
        await at.rest()
        assert peered(at, first) == []
        assert state(at, first) == "Available"
        assert "spec.peerings[0]" in at.told("PeeringClaimWithoutUID")[0]


async def test_what_somebody_else_writes_into_the_peerings_of_a_counterpart_is_put_right(at: Desk) -> None:
    async with at.daemon():
        first, second = await pair(at)
        lonely = await network(at, "lonely")
        await at.rest()
        expected = peered(at, first)
        for meta in (first, lonely):
            key = ObjectMeta(namespace=TARGET_NAMESPACE, name=meta.uid)
            foreign = {"spec": {"peerings": [{"name": "theirs", "id": vni(at, second)}]}}
            await at.change(at.world.kinds.apinet_network, key, foreign)
        await at.rest(5)
        assert peered(at, first) == expected
        assert peered(at, lonely) == []


async def test_a_pass_over_a_peered_network_writes_nothing(at: Desk) -> None:
    await prefix(at, "prefix-1", "10.0.0.0/24")
    async with at.daemon():
        first, second = await pair(at, one=(ONE,), two=(TWO,))
        await at.rest()
        await says(at, first, partition1=[report(at, second)])
        await at.rest(5)
    before = at.everything()
    async with at.daemon() as daemon:
        daemon.controller("network").enqueue_all()
        await at.rest()
        assert at.everything() == before


async def test_a_prefix_is_one_of_the_namespace_of_the_network_that_shows_it(at: Desk) -> None:
    async with at.daemon():
        first, second = await pair(at, one=(ONE,), two=(ONE,))
        await at.rest()
        assert (peered(at, first), peered(at, second)) == ([], [])
        away = await prefix(at, "prefix-1", "10.9.0.0/24", namespace=AWAY)
        await at.rest(5)
        assert peered(at, first) == []
        [found] = peered(at, second)
        assert found["prefixes"] == [{"name": "prefix-1", "prefix": "10.9.0.0/24"}]
        await prefix(at, "prefix-1", "10.0.0.0/24")
        await at.delete(at.world.kinds.prefix, away)
        await at.rest(5)
        assert [one["prefixes"] for one in peered(at, first)] == [[SHOWN_ONE]]
        assert peered(at, second) == []


async def test_a_peer_whose_counterpart_has_no_id_yet_is_peered_once_it_has_one() -> None:
    kinds = Kinds.of(IRONCORE)
    async with servers(IRONCORE) as (source, target, _):  # nobody allocates IDs here
        await declare(source, kinds.network, "late", {})
        [late] = [one.metadata for one in source.objects(kinds.network)]
        spec = {"peerings": [peering("to-late", "late")], "incomingPeerings": [claim(late)]}
        await declare(source, kinds.network, "blue", spec)
        async with daemon_of(IRONCORE, source, target):
            await anyio.sleep(REST)
            assert [one.spec.peerings for one in target.objects(kinds.apinet_network)] == [(), ()]
            key, given = ObjectKey(TARGET_NAMESPACE, late.uid), MergePatch({"spec": {"id": "7"}})
            await target.client().patch(kinds.apinet_network, key, given)
            await anyio.sleep(REST)
            [found] = [one for each in target.objects(kinds.apinet_network) for one in each.spec.peerings]
            assert (found.name, found.id) == ("to-late", "7")


async def test_a_prefix_that_cannot_be_read_is_told_and_takes_no_peering_away() -> None:
    async with careless_desk(IRONCORE) as at, at.daemon():
        part = await prefix(at, "prefix-1", "10.0.0.0/24")
        first, _ = await pair(at, one=(ONE,))
        await at.rest()
        before = peered(at, first)
        assert before[0]["prefixes"] == [SHOWN_ONE]
        await at.change(at.world.at_source["prefixes"], part, {"spec": {"prefix": ["10.0.0.0/24"]}})
        await at.rest(5)
        assert peered(at, first) == before
        assert "spec.prefix" in at.told("Unreadable")[0]
        await at.change(at.world.at_source["prefixes"], part, {"spec": {"prefix": "10.7.0.0/24"}})
        await at.rest(5)
        assert peered(at, first) == [{**before[0], "prefixes": [{"name": "prefix-1", "prefix": "10.7.0.0/24"}]}]


async def test_states_that_were_reported_stay_when_that_is_disabled_and_follow_again_when_it_is_not(at: Desk) -> None:
    async with at.daemon():
        first, second = await pair(at)
        await at.rest()
        await says(at, first, partition1=[report(at, second, "Pending")])
        await at.rest(5)
    async with at.daemon(disable_network_peering=True):
        await says(at, first, partition1=[report(at, second)])
        await at.rest()
        assert reported(at, first) == [{"name": "peering-1", "state": "Pending"}]
    async with at.daemon():
        await at.rest()
        assert reported(at, first) == [{"name": "peering-1", "state": "Ready"}]


async def test_the_first_generation_knows_no_peerings_of_counterparts() -> None:
    async with desk(ONMETAL) as at, at.daemon():
        first = await network(at, "network-1", peering("peering-1", "network-2"))
        second = await network(at, "network-2", peering("peering-2", "network-1"))
        await let_in(at, first, claim(second))
        await let_in(at, second, claim(first))
        await at.rest()
        assert "peerings" not in at.made_for(at.world.kinds.apinet_network, first)["spec"]
        assert state(at, first) == "Available"
        theirs = {"status": {"state": "Pending", "peerings": [{"name": "peering-1"}]}}
        await at.change(at.world.kinds.network, first, theirs, subresource="status")
        await at.rest(5)
        assert (state(at, first), reported(at, first)) == ("Available", [{"name": "peering-1"}])


async def test_two_prefixes_of_a_network_cannot_have_one_name_nor_both_be_literal(at: Desk) -> None:
    client = at.world.source.client()
    for prefixes in (
        (ONE, {**TWO, "name": "prefix-1"}),
        (TWO, {**TWO, "name": "another"}),
        (ONE, {**ONE, "name": "x"}),
    ):
        body = {"metadata": {"name": "blue"}, "spec": {"peerings": [peering("a", "b", prefixes=prefixes)]}}
        with pytest.raises(Invalid, match="Duplicate value"):
            await client.create(at.world.kinds.network, body, namespace=HOME)
