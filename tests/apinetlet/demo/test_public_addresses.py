"""What the api-net server does with public addresses when IPs are created and deleted."""

import pytest

from apinetlet.api import IRONCORE, Generation
from reconcile import ApiError
from tests.apinetlet.demo.servers import HOME, NARROW, Server, an_ip, apinet_server, said

FOUR = {"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"}
"""Everything in the prefix, the first and the last included."""


async def test_an_ip_is_created_with_an_address_two_labels_and_an_object_that_locks_it(apinet: Server) -> None:
    ip = await apinet.create("ips", "a", an_ip())
    address = ip["spec"]["ip"]
    assert address in FOUR
    domain = apinet.generation.finalizers
    assert ip["metadata"]["labels"] == {f"{domain}/ip-family": "IPv4", f"{domain}/ip": address}
    [(name, lock)] = apinet.all("ipaddresses").items()
    assert name == address
    assert lock["spec"]["claimRef"] == {
        "group": apinet.generation.apinet,
        "resource": "ips",
        "namespace": HOME,
        "name": "a",
        "uid": ip["metadata"]["uid"],
    }
    assert lock["spec"].get("ip") == (address if apinet.generation is IRONCORE else None)


async def test_the_label_of_an_ipv6_address_has_dashes_for_colons(apinet: Server) -> None:
    ip = await apinet.create("ips", "a", an_ip("2001:DB8:0::5", "IPv6"))
    assert ip["spec"]["ip"] == "2001:db8::5"
    assert ip["metadata"]["labels"][f"{apinet.generation.finalizers}/ip"] == "2001-db8--5"


async def test_an_address_that_ends_in_colons_is_no_label_value_and_refused_for_it(generation: Generation) -> None:
    async with apinet_server(generation, prefixes=("2001:db8::/126",)) as apinet:
        with pytest.raises(ApiError, match=r"metadata\.labels") as caught:
            await apinet.create("ips", "a", an_ip("2001:db8::", "IPv6"))
        assert caught.value.code == 422
        assert not apinet.all("ipaddresses")


async def test_the_family_is_that_of_the_address_unless_given(apinet: Server) -> None:
    ip = await apinet.create("ips", "a", {"type": "Public", "ip": "10.0.0.2"})
    assert ip["spec"] == {"type": "Public", "ip": "10.0.0.2", "ipFamily": "IPv4"}


async def test_the_whole_prefix_is_handed_out_and_then_there_is_no_more(apinet: Server) -> None:
    names = ["a", "b", "c", "d"]
    assert {(await apinet.create("ips", name, an_ip()))["spec"]["ip"] for name in names} == FOUR
    with pytest.raises(ApiError) as caught:
        await apinet.create("ips", "e", an_ip())
    code, message = said(caught.value)
    if apinet.generation is IRONCORE:
        assert (code, caught.value.reason) == (409, "Conflict")
        assert message.endswith(": all IP addresses are already allocated")
    else:
        assert (code, message) == (500, "all IPs are allocated")
    freed = apinet.read("ips", "b")["spec"]["ip"]
    await apinet.delete("ips", "b")
    assert (await apinet.create("ips", "e", an_ip()))["spec"]["ip"] == freed


@pytest.mark.parametrize(
    ("asked", "says"),
    [("10.0.0.1", "provided IP is already allocated"), ("10.0.0.4", "the provided IP is not in range")],
)
async def test_an_address_that_cannot_be_had_is_a_500_with_plain_text(apinet: Server, asked: str, says: str) -> None:
    await apinet.create("ips", "a", an_ip("10.0.0.1"))
    with pytest.raises(ApiError) as caught:
        await apinet.create("ips", "b", an_ip(asked))
    code, message = said(caught.value)
    assert code == 500
    assert message.endswith(says)


async def test_a_family_without_a_prefix_is_a_500(generation: Generation) -> None:
    async with apinet_server(generation, prefixes=NARROW[:1]) as apinet:
        with pytest.raises(ApiError) as caught:
            await apinet.create("ips", "a", an_ip(family="IPv6"))
        assert said(caught.value) == (500, "cannot allocate IPs of family IPv6")


async def test_the_host_bits_of_a_prefix_do_not_count(generation: Generation) -> None:
    async with apinet_server(generation, prefixes=("10.0.0.2/30",)) as apinet:
        assert (await apinet.create("ips", "a", an_ip(), dry_run=True))["spec"]["ip"] == "10.0.0.0"


async def test_a_second_prefix_serves_when_the_first_is_used_up(generation: Generation) -> None:
    async with apinet_server(generation, prefixes=("10.0.0.0/30", "10.1.0.0/30")) as apinet:
        found = [(await apinet.create("ips", f"a{index}", an_ip()))["spec"]["ip"] for index in range(8)]
    assert set(found[:4]) == FOUR
    assert all(ip.startswith("10.1.") for ip in found[4:])


@pytest.mark.parametrize("prefix", ["10.0.0.0/31", "10.0.0.0/32", "2001:db8::/127", "2001:db8::1/128"])
async def test_a_prefix_that_the_real_server_could_not_draw_from_is_refused_at_the_start(
    generation: Generation, prefix: str
) -> None:
    with pytest.raises(ValueError, match="no prefix to allocate from"):
        async with apinet_server(generation, prefixes=(prefix,)):
            pass


async def test_deleting_an_ip_frees_its_address_though_somebody_claims_it(apinet: Server) -> None:
    claim = {"group": "x", "resource": "y", "name": "z", "uid": "u"}
    await apinet.create("ips", "a", {**an_ip(), "claimRef": claim})
    await apinet.delete("ips", "a")
    assert not apinet.all("ipaddresses")


async def test_an_address_is_locked_for_as_long_as_somebody_holds_its_ip(apinet: Server) -> None:
    await apinet.create("ips", "a", an_ip("10.0.0.1"), metadata={"finalizers": ["example.org/hold"]})
    await apinet.delete("ips", "a")
    assert set(apinet.all("ipaddresses")) == {"10.0.0.1"}
    await apinet.patch("ips", "a", {"metadata": {"finalizers": None}})
    assert not apinet.all("ipaddresses")


async def test_a_lock_that_is_deleted_by_hand_stays_while_its_ip_lives_in_the_second_generation(apinet: Server) -> None:
    await apinet.create("ips", "a", an_ip("10.0.0.1"))
    await apinet.delete("ipaddresses", "10.0.0.1")
    assert bool(apinet.all("ipaddresses")) is (apinet.generation is IRONCORE)
    await apinet.delete("ips", "a")
    assert not apinet.all("ipaddresses")


async def test_a_dry_run_takes_nothing_and_answers_with_the_first_address(apinet: Server) -> None:
    assert (await apinet.create("ips", "a", an_ip(), dry_run=True))["spec"]["ip"] == "10.0.0.0"
    assert not apinet.all("ipaddresses")
    assert not apinet.all("ips")


@pytest.mark.parametrize("change", [{"type": "Other"}, {"ipFamily": "IPv6"}, {"ip": "10.0.0.2"}, {"ip": None}])
async def test_an_ip_never_changes_but_for_its_claim(apinet: Server, change: dict[str, str]) -> None:
    await apinet.create("ips", "a", an_ip("10.0.0.1"))
    with pytest.raises(ApiError, match="field is immutable") as caught:
        await apinet.patch("ips", "a", {"spec": change})
    assert caught.value.code == 422
    claim = {"group": "x", "resource": "y", "name": "z", "uid": "u"}
    assert (await apinet.patch("ips", "a", {"spec": {"claimRef": claim}}))["spec"]["claimRef"] == claim


async def test_an_ip_must_be_public_and_of_a_family(apinet: Server) -> None:
    for spec in ({"ipFamily": "IPv4"}, {"type": "Private", "ipFamily": "IPv4"}):
        with pytest.raises(ApiError, match=r"spec\.type") as caught:
            await apinet.create("ips", "a", spec)
        assert caught.value.code == 422


async def test_ips_are_found_by_their_address(apinet: Server) -> None:
    await apinet.create("ips", "a", an_ip("10.0.0.1"))
    await apinet.create("ips", "b", an_ip("10.0.0.2"))
    found = await apinet.client.list(apinet["ips"], namespace=HOME, fields="spec.ip=10.0.0.2")
    assert [one["metadata"]["name"] for one in found.items] == ["b"]


@pytest.mark.parametrize("name", ["10.0.0.01", "a", "2001:DB8::1"])
async def test_the_name_of_an_ip_address_is_the_address_as_it_is_written(apinet: Server, name: str) -> None:
    with pytest.raises(ApiError) as caught:
        await apinet.create("ipaddresses", name, {})
    assert caught.value.code == 422
