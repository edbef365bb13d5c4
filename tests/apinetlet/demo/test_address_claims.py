"""How load balancers, NAT gateways and interfaces take public addresses, and what becomes of them."""

from typing import Any

import pytest

from apinetlet.api import IRONCORE
from reconcile import ApiError
from tests.apinetlet.demo.servers import (
    HOME,
    Server,
    a_gateway,
    a_load_balancer,
    an_interface,
    an_ip,
    plain,
    said,
)

ALL = {
    "loadbalancers": (a_load_balancer("IPv4"), "ips"),
    "natgateways": (a_gateway("first"), "ips"),
    "networkinterfaces": (an_interface({"name": "p", "ipFamily": "IPv4"}), "publicIPs"),
}
"""Each kind that takes public addresses, with one entry that has none yet, and the list it stands in."""

everyone = pytest.mark.parametrize("plural", ALL)


def addresses(document: dict[str, Any], plural: str) -> list[str]:
    return [one.get("ip", "") for one in document["spec"].get(ALL[plural][1]) or []]


def claimer(apinet: Server, plural: str, document: dict[str, Any]) -> dict[str, str]:
    metadata = document["metadata"]
    return {
        "group": apinet.generation.apinet,
        "resource": plural,
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def literal(plural: str, ip: str) -> dict[str, Any]:
    """The spec of an object of the kind, its one entry asking for this address."""
    spec, name = ALL[plural]
    return {**spec, name: [{**spec[name][0], "ip": ip}]}


# -- an entry without an address ---------------------------------------------------------------------------------------


@everyone
async def test_an_entry_without_an_address_gets_an_ip_of_its_own(apinet: Server, plural: str) -> None:
    made = await apinet.create(plural, "owner", ALL[plural][0])
    [(name, ip)] = apinet.all("ips").items()
    assert addresses(made, plural) == [ip["spec"]["ip"]]
    assert name.startswith("owner-")
    assert ip["metadata"]["namespace"] == HOME
    assert (ip["spec"]["type"], ip["spec"]["ipFamily"]) == ("Public", "IPv4")
    assert ip["metadata"]["ownerReferences"] == [
        {
            "apiVersion": f"{apinet.generation.apinet}/v1alpha1",
            "kind": apinet[plural].kind,
            "name": "owner",
            "uid": made["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    expected = claimer(apinet, plural, made) if apinet.generation is IRONCORE else None
    assert ip["spec"].get("claimRef") == expected


@everyone
async def test_an_ip_of_its_own_goes_with_the_object(apinet: Server, plural: str) -> None:
    await apinet.create(plural, "owner", ALL[plural][0])
    await apinet.delete(plural, "owner")
    assert not apinet.all("ips")
    assert not apinet.all("ipaddresses")


@everyone
async def test_an_ip_of_its_own_goes_with_the_entry(apinet: Server, plural: str) -> None:
    await apinet.create(plural, "owner", ALL[plural][0])
    await apinet.patch(plural, "owner", {"spec": {ALL[plural][1]: []}})
    assert not apinet.all("ips")
    assert not apinet.all("ipaddresses")


async def test_a_list_that_is_sent_again_without_addresses_asks_for_other_ones(apinet: Server) -> None:
    before = await apinet.create("natgateways", "owner", a_gateway("first"))
    after = await apinet.patch("natgateways", "owner", {"spec": {"ips": [{"name": "first"}]}})
    assert addresses(after, "natgateways") != addresses(before, "natgateways")
    assert len(apinet.all("ips")) == 1


@pytest.mark.parametrize("plural", ["loadbalancers", "natgateways"])
async def test_an_address_survives_being_applied_again_and_again(apinet: Server, plural: str) -> None:
    spec, _ = ALL[plural]
    first = await apinet.apply(plural, "owner", spec)
    change = {"ports": [{"port": 80}]} if plural == "loadbalancers" else {"portsPerNetworkInterface": 64}
    for wanted in (spec, {**spec, **change}, spec):
        assert addresses(await apinet.apply(plural, "owner", wanted), plural) == addresses(first, plural)
    assert len(apinet.all("ips")) == 1


async def test_an_entry_that_its_applier_leaves_out_goes_with_its_address_and_the_others_stay(apinet: Server) -> None:
    spec = a_load_balancer("IPv4", "IPv6")
    both = await apinet.apply("loadbalancers", "owner", spec)
    one = await apinet.apply("loadbalancers", "owner", {**spec, "ips": spec["ips"][:1]})
    assert addresses(one, "loadbalancers") == addresses(both, "loadbalancers")[:1]
    assert [ip["spec"]["ip"] for ip in apinet.all("ips").values()] == addresses(one, "loadbalancers")


async def test_entries_are_owned_by_who_applies_them(apinet: Server) -> None:
    await apinet.apply("natgateways", "owner", a_gateway("ours"))
    theirs = {"ipFamily": "IPv4", "ips": [{"name": "theirs"}]}
    await apinet.apply("natgateways", "owner", theirs, field_manager="somebody")
    again = await apinet.apply("natgateways", "owner", a_gateway("ours"))
    assert [one["name"] for one in again["spec"]["ips"]] == ["ours", "theirs"]
    gone = await apinet.apply("natgateways", "owner", {**a_gateway(), "ips": []})
    assert [one["name"] for one in gone["spec"]["ips"]] == ["theirs"]


async def test_an_address_is_kept_whatever_its_entry_is_called(apinet: Server) -> None:
    before = addresses(await apinet.create("natgateways", "owner", a_gateway("first")), "natgateways")
    renamed = [{"name": "other", "ip": before[0]}]
    after = await apinet.patch("natgateways", "owner", {"spec": {"ips": renamed}})
    assert plain(after["spec"]["ips"]) == renamed
    assert len(apinet.all("ips")) == 1


@everyone
async def test_a_family_without_a_prefix_is_a_500(apinet: Server, plural: str) -> None:
    spec = {
        "loadbalancers": a_load_balancer("IPvX"),
        "natgateways": a_gateway("first", family="IPvX"),
        "networkinterfaces": an_interface({"name": "p", "ipFamily": "IPvX"}),
    }[plural]
    with pytest.raises(ApiError) as caught:
        await apinet.create(plural, "owner", spec)
    assert said(caught.value) == (500, "no allocator for IPs of family IPvX")


@everyone
async def test_a_pool_that_is_used_up_refuses_the_object(apinet: Server, plural: str) -> None:
    for index in range(4):
        await apinet.create("ips", f"ip-{index}", an_ip())
    with pytest.raises(ApiError) as caught:
        await apinet.create(plural, "owner", ALL[plural][0])
    code, message = said(caught.value)
    assert code == (409 if apinet.generation is IRONCORE else 500)
    assert "allocated" in message
    assert not apinet.all(plural)
    assert len(apinet.all("ips")) == 4


async def test_an_object_whose_second_address_cannot_be_had_leaves_the_first_free(apinet: Server) -> None:
    for index in range(3):
        await apinet.create("ips", f"ip-{index}", an_ip())
    with pytest.raises(ApiError):
        await apinet.create("natgateways", "owner", a_gateway("first", "second"))
    assert len(apinet.all("ipaddresses")) == 3


@everyone
async def test_a_dry_run_takes_no_address_and_answers_with_the_first(apinet: Server, plural: str) -> None:
    made = await apinet.create(plural, "owner", ALL[plural][0], dry_run=True)
    assert addresses(made, plural) == ["10.0.0.0"]
    assert not apinet.all("ips")


# -- an entry with an address ------------------------------------------------------------------------------------------


@everyone
async def test_an_entry_with_an_address_claims_its_ip_and_lets_go_of_it(apinet: Server, plural: str) -> None:
    await apinet.create("ips", "mine", an_ip("10.0.0.1"))
    made = await apinet.create(plural, "owner", literal(plural, "10.0.0.1"))
    assert apinet.read("ips", "mine")["spec"]["claimRef"] == claimer(apinet, plural, made)
    await apinet.patch(plural, "owner", {"spec": {ALL[plural][1]: []}})
    assert "claimRef" not in apinet.read("ips", "mine")["spec"]


@everyone
async def test_an_ip_that_was_claimed_outlives_its_claimer(apinet: Server, plural: str) -> None:
    await apinet.create("ips", "mine", an_ip("10.0.0.1"))
    await apinet.create(plural, "owner", literal(plural, "10.0.0.1"))
    await apinet.delete(plural, "owner")
    assert "claimRef" not in apinet.read("ips", "mine")["spec"]


@everyone
async def test_an_address_that_no_ip_of_the_namespace_has_is_a_500(apinet: Server, plural: str) -> None:
    await apinet.client.create(
        apinet["ips"], {"metadata": {"name": "other"}, "spec": an_ip("10.0.0.1")}, namespace="default"
    )
    for ip in ("10.0.0.1", "10.0.0.2"):
        with pytest.raises(ApiError) as caught:
            await apinet.create(plural, "owner", literal(plural, ip))
        assert said(caught.value) == (500, "provided IP was not found")


@everyone
async def test_an_ip_that_somebody_claims_is_not_to_be_had(apinet: Server, plural: str) -> None:
    claim = {"group": "x", "resource": "y", "name": "z", "uid": "u"}
    await apinet.create("ips", "taken", {**an_ip("10.0.0.1"), "claimRef": claim})
    with pytest.raises(ApiError) as caught:
        await apinet.create(plural, "owner", literal(plural, "10.0.0.1"))
    assert said(caught.value) == (500, "provided IP is already allocated")


async def test_only_the_second_generation_keeps_an_address_that_it_made_from_others(apinet: Server) -> None:
    gateway = await apinet.create("natgateways", "owner", a_gateway("first"))
    [ip] = addresses(gateway, "natgateways")
    attempt = apinet.create("networkinterfaces", "nic", literal("networkinterfaces", ip))
    if apinet.generation is IRONCORE:
        with pytest.raises(ApiError, match="provided IP is already allocated"):
            await attempt
    else:
        assert addresses(await attempt, "networkinterfaces") == [ip]


async def test_one_object_may_list_an_address_twice_in_the_second_generation_and_keeps_it_by_either(
    apinet: Server,
) -> None:
    await apinet.create("ips", "mine", an_ip("10.0.0.1"))
    twice = [{"name": name, "ip": "10.0.0.1"} for name in "ab"]
    attempt = apinet.create("natgateways", "owner", {**a_gateway(), "ips": twice})
    if apinet.generation is not IRONCORE:
        with pytest.raises(ApiError, match="provided IP is already allocated"):
            await attempt
        return
    await attempt
    await apinet.patch("natgateways", "owner", {"spec": {"ips": twice[:1]}})
    assert "claimRef" in apinet.read("ips", "mine")["spec"]


async def test_one_address_gives_way_to_another_in_one_update(apinet: Server) -> None:
    for name, ip in (("a", "10.0.0.1"), ("b", "10.0.0.2")):
        await apinet.create("ips", name, an_ip(ip))
    await apinet.create("networkinterfaces", "nic", literal("networkinterfaces", "10.0.0.1"))
    await apinet.patch("networkinterfaces", "nic", {"spec": {"publicIPs": [{"name": "b", "ip": "10.0.0.2"}]}})
    claimed = {name: "claimRef" in ip["spec"] for name, ip in apinet.all("ips").items()}
    assert claimed == {"a": False, "b": True}


async def test_only_the_second_generation_looks_who_claims_what_it_releases(apinet: Server) -> None:
    await apinet.create("ips", "mine", an_ip("10.0.0.1"))
    await apinet.create("networkinterfaces", "nic", literal("networkinterfaces", "10.0.0.1"))
    claim = {"group": "x", "resource": "y", "name": "z", "uid": "u"}
    await apinet.patch("ips", "mine", {"spec": {"claimRef": claim}})
    await apinet.delete("networkinterfaces", "nic")
    left = apinet.read("ips", "mine")["spec"].get("claimRef")
    assert left == (claim if apinet.generation is IRONCORE else None)


@everyone
async def test_an_ip_that_was_deleted_under_its_claimer_keeps_nobody_from_going(apinet: Server, plural: str) -> None:
    await apinet.create("ips", "mine", an_ip("10.0.0.1"))
    await apinet.create(plural, "owner", literal(plural, "10.0.0.1"))
    await apinet.delete("ips", "mine")
    await apinet.create("ips", "next", an_ip("10.0.0.1"))
    await apinet.delete(plural, "owner")
    assert "claimRef" not in apinet.read("ips", "next")["spec"]


# -- what is undone, and what is no business of the pool ---------------------------------------------------------------


@everyone
async def test_a_refused_update_releases_nothing_and_takes_nothing(apinet: Server, plural: str) -> None:
    before = await apinet.create(plural, "owner", ALL[plural][0])
    state = {name: apinet.all(name) for name in (plural, "ips", "ipaddresses")}
    name = ALL[plural][1]
    with pytest.raises(ApiError, match="field is immutable"):
        await apinet.patch(plural, "owner", {"spec": {"networkRef": {"name": "other"}, name: []}})
    broken = [{"name": "broken", "ip": "10.0.0.3", "ipFamily": "IPv4"}]
    with pytest.raises(ApiError):
        await apinet.patch(plural, "owner", {"spec": {name: broken}})
    assert {name: apinet.all(name) for name in (plural, "ips", "ipaddresses")} == state
    assert addresses(before, plural) == addresses(apinet.read(plural, "owner"), plural)


async def test_the_addresses_of_an_internal_load_balancer_are_free_text(apinet: Server) -> None:
    spec = a_load_balancer("IPv4", type_="Internal")
    spec["ips"][0]["ip"] = "192.168.7.7"
    made = await apinet.create("loadbalancers", "lb", spec)
    assert addresses(made, "loadbalancers") == ["192.168.7.7"]
    await apinet.delete("loadbalancers", "lb")
    assert not apinet.all("ips")


@everyone
async def test_what_is_held_by_a_finalizer_keeps_its_address_to_the_end(apinet: Server, plural: str) -> None:
    await apinet.create(plural, "owner", ALL[plural][0], metadata={"finalizers": ["example.org/hold"]})
    await apinet.delete(plural, "owner")
    assert len(apinet.all("ips")) == 1
    await apinet.patch(plural, "owner", {"metadata": {"finalizers": None}})
    assert not apinet.all("ips")
