"""Peerings in translation: tables of what both sides say and what comes of it."""

from typing import Any

import pytest

from apinetlet.api import IRONCORE, Kinds, apinet, ipam, networking
from apinetlet.api.networking import NetworkState
from apinetlet.translate import peering as translate
from apinetlet.translate.network import network_status

KINDS = Kinds.of(IRONCORE)
PREFIXES = {
    "part": {"spec": {"prefix": "10.0.0.0/24"}, "status": {"phase": "Allocated"}},
    "waiting": {"spec": {"prefix": "10.1.0.0/24"}, "status": {"phase": "Pending"}},
}


def a_network(peerings: list[Any], claims: list[Any]) -> networking.Network:
    head = {"namespace": "home", "name": "blue", "uid": "u-blue"}
    return KINDS.network.codec.structure({"metadata": head, "spec": {"peerings": peerings, "incomingPeerings": claims}})


def counterpart(uid: str) -> apinet.Network | None:
    """Networks that are mapped have a number in their uids, which is their ID."""
    number = uid.removeprefix("u-")
    if uid == "u-new":
        number = ""
    elif not number.isdigit():
        return None
    return KINDS.apinet_network.codec.structure({"metadata": {"name": uid}, "spec": {"id": number}})


def prefix(name: str) -> ipam.Prefix | None:
    found = PREFIXES.get(name)
    return None if found is None else KINDS.prefix.codec.structure({"metadata": {"name": name}, **found})


def to(peer: str, *, namespace: str | None = None, **more: Any) -> dict[str, Any]:
    return {"name": f"to-{peer}", "networkRef": {"name": peer, "namespace": namespace}, **more}


def claim(peer: str, uid: str | None, namespace: str | None = "home") -> dict[str, Any]:
    return {"name": peer, "namespace": namespace, "uid": uid}


LITERAL, HELD = {"name": "a", "prefix": "10.2.0.0/24"}, {"name": "b", "prefixRef": {"name": "part"}}
WAITING, LOST = {"name": "c", "prefixRef": {"name": "waiting"}}, {"name": "d", "prefixRef": {"name": "nowhere"}}


@pytest.mark.parametrize(
    ("peerings", "claims", "expected"),
    [
        ([], [claim("green", "u-7")], []),
        ([to("green")], [], []),
        ([to("green")], [claim("green", "u-7")], [{"name": "to-green", "id": "7"}]),
        ([to("green")], [claim("green", "u-7", None)], [{"name": "to-green", "id": "7"}]),
        ([to("green", namespace="home")], [claim("green", "u-7", "")], [{"name": "to-green", "id": "7"}]),
        ([to("green", namespace="away")], [claim("green", "u-7")], []),
        ([to("green")], [claim("green", "u-7", "away")], []),
        ([to("green")], [claim("green", "")], []),
        ([to("green")], [claim("green", None)], []),
        ([to("green")], [claim("green", "u-nobody")], []),
        ([to("green")], [claim("green", "u-new")], []),
        (
            [to("red"), to("gone"), to("green")],
            [claim("gone", "u-nobody"), claim("green", "u-7"), claim("red", "u-8")],
            [{"name": "to-red", "id": "8"}, {"name": "to-green", "id": "7"}],
        ),
        (
            [to("green", prefixes=[LITERAL, WAITING, HELD, LOST])],
            [claim("green", "u-7")],
            [
                {
                    "name": "to-green",
                    "id": "7",
                    "prefixes": [{"name": "a", "prefix": "10.2.0.0/24"}, {"name": "b", "prefix": "10.0.0.0/24"}],
                }
            ],
        ),
        ([to("green", prefixes=[WAITING, LOST, {"name": "e"}])], [claim("green", "u-7")], []),
    ],
)
def test_a_peering_needs_a_claim_a_counterpart_with_an_id_and_something_to_show(
    peerings: list[Any], claims: list[Any], expected: list[Any]
) -> None:
    found = translate.peerings(a_network(peerings, claims), counterpart, prefix)
    assert found == expected


def test_a_claim_without_a_uid_is_named() -> None:
    network = a_network([to("red"), to("green"), to("blue")], [claim("green", ""), claim("red", "u-8")])
    assert list(translate.faults(network)) == [
        "spec.peerings[1]: the claim of green in spec.incomingPeerings has no uid"
    ]


SHOWN = [{"name": "a", "prefix": "10.2.0.0/24"}]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ({}, []),
        ({"p1": None, "p2": []}, []),
        ({"p1": [(7, "Ready")]}, [{"name": "to-green", "state": "Ready", "prefixes": SHOWN}]),
        ({"p1": [(7, "Ready")], "p2": [(7, "Pending")]}, [{"name": "to-green", "state": "Pending"}]),
        ({"p1": [(7, "Ready")], "p2": [(7, "Error")]}, [{"name": "to-green", "state": "Error"}]),
        ({"p1": [(7, "Pending")], "p2": [(7, "Error")]}, [{"name": "to-green", "state": "Error"}]),
        ({"p1": [(7, "")]}, [{"name": "to-green", "state": "Pending"}]),
        ({"p1": [(9, "Ready")]}, []),
        (
            {"p2": [(8, "Ready"), (7, "Ready")], "p1": [(7, "Ready")]},
            [{"name": "to-green", "state": "Ready", "prefixes": SHOWN}, {"name": "to-red", "state": "Ready"}],
        ),
    ],
)
def test_reports_of_all_partitions_make_one_state_in_the_order_of_the_peerings(
    reports: dict[str, Any], expected: list[Any]
) -> None:
    told = {
        partition: [{"id": number, "state": state} for number, state in found] if found is not None else None
        for partition, found in reports.items()
    }
    peerings = [{"name": "to-green", "id": "7", "prefixes": SHOWN}, {"name": "to-red", "id": "8"}]
    document = {"metadata": {"name": "u-blue"}, "spec": {"peerings": peerings}, "status": {"peerings": told}}
    target = KINDS.apinet_network.codec.structure(document)
    assert [translate.document(one) for one in translate.statuses(target)] == expected
    assert translate.present(target) == peerings


def test_the_states_of_a_network_and_of_its_peerings_are_one_patch_and_what_nobody_reports_is_removed() -> None:
    head = {"namespace": "home", "name": "blue", "uid": "u-blue"}
    status = {"state": "Pending", "peerings": [{"name": "to-green", "state": "Pending"}]}
    source = KINDS.network.codec.structure({"metadata": head, "status": status})
    ready = networking.PeeringStatus("to-green", "Ready")
    for reported, said in (((ready,), [{"name": "to-green", "state": "Ready"}]), ((), None)):
        patch = network_status(source, NetworkState.AVAILABLE, reported)
        assert patch is not None
        assert patch.value == {"status": {"state": "Available", "peerings": said}}
    assert network_status(source, NetworkState.PENDING, source.status.peerings) is None
    assert network_status(source, NetworkState.PENDING) is None  # not ours to say
