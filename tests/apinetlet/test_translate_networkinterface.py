"""What a source NetworkInterface and the interface of the data plane make each other say: tables of examples."""

import datetime as dt
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from apinetlet.api import GENERATIONS, IRONCORE, ONMETAL, Generation, apinet, ipam, networking
from apinetlet.api.networking import IPSource, VirtualIPSource
from apinetlet.api.references import LocalRef, UIDRef
from apinetlet.origin import Origins
from apinetlet.translate import networkinterface as translate
from apinetlet.translate.networkinterface import Wants
from reconcile.kube import MergePatch, ObjectMeta
from reconcile.kube.objects import OwnerReference
from reconcile.kube.patch import apply_merge

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)
META = ObjectMeta(namespace="default", name="nic", uid="u-1")
ORIGIN = Origins(ONMETAL, "NetworkInterface")
CLAIMED = dict(ORIGIN.metadata(META)["labels"])
G, H = ({"ipFamily": family, "claimRef": {"name": "g", "uid": "u"}, "more": 1} for family in ("IPv4", "IPv6"))
EPHEMERAL = VirtualIPSource(ephemeral={"virtualIPTemplate": {}})
BY_NAME = VirtualIPSource(virtual_ip_ref=LocalRef("public"))


def nic(*prefixes: str, wants: VirtualIPSource | None = None, provider_id: str = "", **status: Any) -> Any:
    wanted = tuple(IPSource(one) if one else IPSource(ephemeral={}) for one in prefixes)
    spec = networking.NetworkInterfaceSpec(provider_id, virtual_ip=wants, prefixes=wanted)
    return networking.NetworkInterface(META, spec, networking.NetworkInterfaceStatus(**status))


def interface(labels: Any = None, *, state: str = "", shown: tuple[str | None, ...] = (), **spec: Any) -> Any:
    meta = ObjectMeta(namespace="apinet", name="m-0", uid="t-1", resource_version="7", labels=labels or {})
    return apinet.NetworkInterface(
        meta, apinet.NetworkInterfaceSpec(**spec), apinet.NetworkInterfaceStatus(state, shown)
    )


def public(ip: str) -> apinet.PublicIP:
    return apinet.PublicIP(ip, "IPv6" if ":" in ip else "IPv4", ip)


# -- what the source wants ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("rest", "uid"),
    [
        ("apinet/m-0/node/t-1", "t-1"),
        ("apinet/another-name/another.node/t-1", "t-1"),
        ("elsewhere/m-0/node/t-1", ""),
        ("apinet/m-0/t-1", ""),
        ("apinet/m-0/node/t-1/more", ""),
    ],
)
def test_only_the_namespace_and_the_uid_of_a_provider_id_count(generation: Generation, rest: str, uid: str) -> None:
    ours, theirs = (f"{scheme}://{rest}" for scheme in (generation.scheme.value, "other"))
    assert translate.named(nic(provider_id=ours), generation=generation, namespace="apinet") == uid
    assert translate.named(nic(provider_id=theirs), generation=generation, namespace="apinet") == ""


@given(st.text())
def test_no_text_is_a_provider_id_that_breaks_anything(text: str) -> None:
    translate.named(nic(provider_id=text), generation=ONMETAL, namespace="apinet")


@pytest.mark.parametrize(
    ("wanted", "name"),
    [(None, ""), (VirtualIPSource(), ""), (BY_NAME, "public"), (EPHEMERAL, "nic"), (VirtualIPSource(LocalRef()), "")],
)
def test_the_name_of_the_virtual_ip_that_is_wanted(wanted: VirtualIPSource | None, name: str) -> None:
    assert translate.virtual_ip(nic(wants=wanted)) == name


OWNED = (OwnerReference(api_version="a/v1", kind="NetworkInterface", name="nic", uid="u-1", controller=True),)
MINE, NOBODYS = UIDRef("nic", "u-1"), None


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("wanted", "owners", "maker", "target", "usable"),
    [
        (BY_NAME, (), "", NOBODYS, True),
        (EPHEMERAL, OWNED, "", NOBODYS, True),
        (EPHEMERAL, (), "", MINE, False),
        (EPHEMERAL, (), "ephemeral-manager", MINE, "ironcore"),
        (EPHEMERAL, (), "ephemeral-manager", UIDRef("nic", "u-2"), False),
        (EPHEMERAL, (), "ephemeral-manager", NOBODYS, False),
        (EPHEMERAL, (), "somebody", MINE, False),
        (None, OWNED, "", MINE, False),
    ],
)
def test_a_virtual_ip_that_has_to_be_ephemeral_was_made_for_the_interface(
    generation: Generation,
    wanted: VirtualIPSource | None,
    owners: tuple[OwnerReference, ...],
    maker: str,
    target: UIDRef | None,
    usable: bool | str,
) -> None:
    meta = ObjectMeta(name="v", owner_references=owners, annotations={generation.ephemeral_annotation: maker})
    vip = networking.VirtualIP(meta, networking.VirtualIPSpec("Public", "IPv4", target))
    expected = usable if isinstance(usable, bool) else generation.name == usable
    assert translate.is_usable(vip, nic(wants=wanted), generation) is expected
    dying = evolve(vip, metadata=ObjectMeta(name="v", owner_references=owners, deletion_timestamp=NOW))
    assert not translate.is_usable(dying, nic(wants=wanted), generation)


@pytest.mark.parametrize(
    ("ip", "expected"),
    [("198.18.0.1", ("198.18.0.1",)), ("2001:db8::1", ("2001:db8::1",)), ("", ()), ("no address", ())],
)
def test_an_address_is_used_once_it_is_one(ip: str, expected: tuple[str, ...]) -> None:
    vip = networking.VirtualIP(ObjectMeta(name="v"), status=networking.VirtualIPStatus(ip))
    assert translate.addresses(vip) == expected


@pytest.mark.parametrize(
    ("phase", "owners", "expected"),
    [
        ("Allocated", OWNED, ("10.1.0.0/24", "10.0.0.1/24", "10.3.0.0/24")),
        ("Pending", OWNED, ("10.1.0.0/24", "10.3.0.0/24")),
        ("Allocated", (), ("10.1.0.0/24", "10.3.0.0/24")),
        (None, (), ("10.1.0.0/24", "10.3.0.0/24")),
    ],
)
def test_prefixes_stand_in_their_order_without_those_that_are_not_there_yet(
    phase: str | None, owners: tuple[OwnerReference, ...], expected: tuple[str, ...]
) -> None:
    made = ipam.Prefix(
        ObjectMeta(name="nic-pf-1", owner_references=owners),
        ipam.PrefixSpec("IPv4", "10.0.0.1/24"),
        ipam.PrefixStatus(phase or ""),
    )
    there = {"nic-pf-1": made} if phase else {}
    source = nic("10.1.0.0/24", "", "10.3.0.0/24")
    assert translate.prefixes(source, there.get) == expected
    assert list(translate.ephemeral_prefixes(source)) == ["nic-pf-1"]


# -- the interface of the data plane -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "wants", "expected"),
    [
        (interface(CLAIMED), Wants(), None),
        (interface(CLAIMED, prefixes=("10.0.0.0/8",)), Wants(None, None), None),
        (interface(), Wants(), {"metadata": {"labels": CLAIMED, "resourceVersion": "7"}}),
        (interface({**CLAIMED, "x": "y"}), Wants(), None),
        (interface(CLAIMED, public_ips=(public("1.1.1.1"),)), Wants(), {"spec": {"publicIPs": None}}),
        (interface(CLAIMED, public_ips=(public("1.1.1.1"),)), Wants(("1.1.1.1",)), None),
        (
            interface(CLAIMED, public_ips=(public("1.1.1.1"),)),
            Wants(("1.1.1.2",)),
            {"spec": {"publicIPs": [{"name": "1.1.1.2", "ipFamily": "IPv4", "ip": "1.1.1.2"}]}},
        ),
        (
            interface(CLAIMED, nat_gateways=(G, H)),
            Wants(("2001:db8::1",)),
            {
                "spec": {
                    "publicIPs": [{"name": "2001:db8::1", "ipFamily": "IPv6", "ip": "2001:db8::1"}],
                    "natGateways": [G],
                }
            },
        ),
        (interface(CLAIMED, nat_gateways=(G, H)), Wants(), None),
        (interface(CLAIMED), Wants(prefixes=("10.0.0.0/8",)), {"spec": {"prefixes": ["10.0.0.0/8"]}}),
        (interface(CLAIMED, prefixes=("10.0.0.0/8",)), Wants(), {"spec": {"prefixes": None}}),
    ],
)
def test_one_patch_makes_the_interface_what_it_should_be(
    found: apinet.NetworkInterface, wants: Wants, expected: dict[str, Any] | None
) -> None:
    patch = translate.target(found, nic(), wants, ORIGIN)
    if expected is None:
        assert patch is None
    else:
        assert patch == MergePatch({"metadata": {"resourceVersion": "7"}, **expected})


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
def test_a_release_takes_away_what_a_claim_brought_and_nothing_else(generation: Generation) -> None:
    origins = Origins(generation, "NetworkInterface")
    before: dict[str, Any] = {
        "metadata": {"name": "m-0", "labels": {"x": "y"}, "annotations": {"z": "w"}},
        "spec": {"ips": ["10.0.0.1"]},
    }
    claim = translate.target(interface(), nic(), Wants(("1.1.1.1",), ("10.0.0.0/8",)), origins)
    assert claim is not None
    after = apply_merge(apply_merge(before, claim), translate.release(interface(), origins))
    assert after == {**before, "metadata": {**before["metadata"], "resourceVersion": "7"}}


def test_of_an_interface_that_is_being_deleted_only_the_claim_is_released() -> None:
    dying = ObjectMeta(namespace="apinet", name="m-0", uid="t-1", resource_version="7", deletion_timestamp=NOW)
    patch = translate.release(evolve(interface(), metadata=dying), ORIGIN)
    assert patch.value.keys() == {"metadata"}


# -- the status --------------------------------------------------------------------------------------------------------

SINCE = "2026-01-02T03:04:05Z"
EVERYTHING: dict[str, Any] = {"ips": ("10.0.0.1",), "prefixes": ("10.1.0.0/24",), "virtual_ip": "1.1.1.1"}
READY = interface(state="Ready", ips=("10.0.0.1",), prefixes=("10.1.0.0/24",), shown=("2001:db8::1", None, "1.1.1.1"))


@pytest.mark.parametrize(
    ("source", "found", "expected"),
    [
        (nic(state="Available", **EVERYTHING), READY, None),
        (nic(state="Pending"), None, None),
        (nic(), None, {"state": "Pending", "lastStateTransitionTime": SINCE}),
        (
            nic(state="Pending"),
            READY,
            {
                "state": "Available",
                "lastStateTransitionTime": SINCE,
                "ips": ["10.0.0.1"],
                "prefixes": ["10.1.0.0/24"],
                "virtualIP": "1.1.1.1",
            },
        ),
        (
            nic(state="Available", **EVERYTHING),
            None,
            {
                "state": "Pending",
                "lastStateTransitionTime": SINCE,
                "ips": None,
                "prefixes": None,
                "virtualIP": None,
            },
        ),
        (nic(state="Pending"), interface(state="Error"), {"state": "Error", "lastStateTransitionTime": SINCE}),
        (nic(state="Error"), interface(state=""), {"state": "Pending", "lastStateTransitionTime": SINCE}),
        (nic(state="Pending"), interface(state="Strange"), None),
        (nic(state="Pending", virtual_ip="1.1.1.1"), interface(shown=("2001:db8::1",)), {"virtualIP": None}),
    ],
)
def test_the_status_says_what_the_data_plane_does_and_when_the_state_changed(
    source: networking.NetworkInterface, found: apinet.NetworkInterface | None, expected: dict[str, Any] | None
) -> None:
    assert translate.status(source, found, NOW) == (MergePatch({"status": expected}) if expected else None)


def test_the_generation_that_may_retain_them_says_who_makes_ephemeral_virtual_ips() -> None:
    assert (ONMETAL.ephemeral_manager, IRONCORE.ephemeral_manager) == ("", "ephemeral-manager")
