"""What the servers of the source clusters default and refuse, kind by kind."""

from typing import Any

import pytest

from apinetlet.api import ONMETAL
from reconcile import ApiError
from tests.apinetlet.demo.servers import Server

REF = {"networkRef": {"name": "n"}}
NIC = {**REF, "ips": [{"value": "10.0.0.1"}]}
PUBLIC = {"type": "Public", **REF, "ipFamilies": ["IPv4"]}
INTERNAL = {"type": "Internal", **REF, "ips": [{"value": "10.0.0.1"}]}
GATEWAY = {"type": "Public", **REF, "ipFamily": "IPv4"}
VIP = {"type": "Public", "ipFamily": "IPv4"}
PARENT = {"parentRef": {"name": "root"}}


def ephemeral(**spec: Any) -> dict[str, Any]:
    return {"ephemeral": {"prefixTemplate": {"spec": {**PARENT, **spec}}}}


# -- defaults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("plural", "spec"), [("networkinterfaces", NIC), ("loadbalancers", INTERNAL)])
async def test_families_are_those_of_the_addresses_in_their_order(
    source: Server, plural: str, spec: dict[str, Any]
) -> None:
    ips = [{"value": "2001:db8::1"}, ephemeral(ipFamily="IPv4")]
    made = await source.create(plural, "one", {**spec, "ips": ips})
    assert made["spec"]["ipFamilies"] == ["IPv6", "IPv4"]


async def test_a_template_without_a_family_gets_that_of_its_place_and_the_length_of_one_address(source: Server) -> None:
    spec = {**REF, "ipFamilies": ["IPv4", "IPv6"], "ips": [ephemeral(), ephemeral()]}
    made = await source.create("networkinterfaces", "one", spec)
    found = [one["ephemeral"]["prefixTemplate"]["spec"] for one in made["spec"]["ips"]]
    assert [(one["ipFamily"], one["prefixLength"]) for one in found] == [("IPv4", 32), ("IPv6", 128)]


async def test_a_template_with_a_prefix_has_its_family(source: Server) -> None:
    made = await source.create("networkinterfaces", "one", {**NIC, "prefixes": [ephemeral(prefix="2001:db8::/64")]})
    assert made["spec"]["prefixes"][0]["ephemeral"]["prefixTemplate"]["spec"]["ipFamily"] == "IPv6"


async def test_states_begin_as_pending_and_ports_as_2048(source: Server) -> None:
    assert (await source.create("networkinterfaces", "one", NIC))["status"]["state"] == "Pending"
    prefix = await source.create("prefixes", "one", {"prefix": "10.0.0.0/8"})
    assert prefix["status"]["phase"] == "Pending"
    assert prefix["spec"]["ipFamily"] == "IPv4"
    assert (await source.create("natgateways", "one", GATEWAY))["spec"]["portsPerNetworkInterface"] == 2048


async def test_policies_have_the_types_of_their_rules(source: Server) -> None:
    spec = {**REF, "networkInterfaceSelector": {}, "policyTypes": ["Ingress"], "egress": [{}]}
    assert (await source.create("networkpolicies", "one", spec))["spec"]["policyTypes"] == ["Egress", "Ingress"]


async def test_a_public_load_balancer_does_not_keep_addresses_it_is_given(source: Server) -> None:
    made = await source.create("loadbalancers", "one", {**PUBLIC, "ips": [{"value": "10.0.0.1"}]})
    assert "ips" not in made["spec"]
    assert "ips" in (await source.create("loadbalancers", "two", INTERNAL))["spec"]
    after = await source.patch("loadbalancers", "two", {"spec": {"type": "Public"}})
    assert "ips" not in after["spec"]


# -- what may change ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["other", "", None])
async def test_the_provider_id_of_a_network_is_set_once(source: Server, change: str | None) -> None:
    await source.create("networks", "one", {})
    await source.patch("networks", "one", {"spec": {"providerID": "x"}})
    with pytest.raises(ApiError, match="field is immutable") as caught:
        await source.patch("networks", "one", {"spec": {"providerID": change}})
    assert caught.value.code == 422


async def test_the_provider_id_of_an_interface_comes_and_goes(source: Server) -> None:
    await source.create("networkinterfaces", "one", NIC)
    for value in ("x", "", "y", None):
        made = await source.patch("networkinterfaces", "one", {"spec": {"providerID": value}})
        assert made["spec"].get("providerID") == value


@pytest.mark.parametrize(
    ("plural", "spec", "field", "change"),
    [
        ("networkinterfaces", NIC, "spec.networkRef", {"networkRef": {"name": "other"}}),
        ("networkinterfaces", NIC, "spec.ipFamilies", {"ipFamilies": ["IPv6"], "ips": [{"value": "::1"}]}),
        ("networkinterfaces", NIC, "spec.attributes", {"attributes": {"a": "b"}}),
        ("loadbalancers", PUBLIC, "spec.networkRef", {"networkRef": {"name": "other"}}),
        ("natgateways", GATEWAY, "spec.networkRef", {"networkRef": {"name": "other"}}),
        ("virtualips", VIP, "spec.ipFamily", {"ipFamily": "IPv6"}),
        ("virtualips", VIP, "spec.type", {"type": "Private"}),
        ("prefixes", {**PARENT, "prefix": "10.0.0.0/24"}, "spec.prefix", {"prefix": "10.0.1.0/24"}),
        ("prefixes", {**PARENT, "prefixLength": 24, "ipFamily": "IPv4"}, "spec.prefixLength", {"prefixLength": 25}),
        ("prefixes", {**PARENT, "prefix": "10.0.0.0/24"}, "spec.parentRef", {"parentRef": {"name": "other"}}),
    ],
)
async def test_what_is_immutable_stays(
    source: Server, plural: str, spec: dict[str, Any], field: str, change: dict[str, Any]
) -> None:
    await source.create(plural, "one", spec)
    with pytest.raises(ApiError, match=f"{field}: .*field is immutable") as caught:
        await source.patch(plural, "one", {"spec": change})
    assert caught.value.code == 422


@pytest.mark.parametrize(
    ("plural", "spec", "change"),
    [
        ("loadbalancers", PUBLIC, {"type": "Internal"}),
        ("loadbalancers", PUBLIC, {"ipFamilies": ["IPv4", "IPv6"]}),
        ("natgateways", GATEWAY, {"ipFamily": "IPv6"}),
        ("natgateways", GATEWAY, {"portsPerNetworkInterface": 64}),
        ("virtualips", VIP, {"targetRef": {"name": "a", "uid": "b"}}),
        ("networkinterfaces", NIC, {"machineRef": {"name": "a", "uid": "b"}}),
        ("networkinterfaces", NIC, {"virtualIP": {"virtualIPRef": {"name": "a"}}}),
        ("networkinterfaces", NIC, {"prefixes": [{"value": "10.0.0.0/24"}]}),
        ("prefixes", {**PARENT, "prefixLength": 24, "ipFamily": "IPv4"}, {"prefix": "10.0.0.0/24"}),
    ],
)
async def test_what_is_mutable_may_change(
    source: Server, plural: str, spec: dict[str, Any], change: dict[str, Any]
) -> None:
    await source.create(plural, "one", spec)
    assert (await source.patch(plural, "one", {"spec": change}))["spec"].items() >= change.items()


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plural", "spec", "says"),
    [
        ("networkinterfaces", {"ips": NIC["ips"]}, "spec.networkRef.name: Required value"),
        ("networkinterfaces", {**NIC, "ipFamilies": ["IPv4", "IPv4"]}, "spec.ipFamilies[1]: Duplicate value"),
        ("networkinterfaces", {**NIC, "ipFamilies": ["IPv6"]}, "expected IP family IPv6 but got IPv4"),
        ("networkinterfaces", {**NIC, "ipFamilies": ["IPv4", "IPv6"]}, "must have as many IPs"),
        ("networkinterfaces", {**NIC, "ips": [{}], "ipFamilies": ["IPv4"]}, "must specify value or ephemeral"),
        ("networkinterfaces", {**NIC, "ips": [{"value": "10.0.0.1", **ephemeral()}]}, "multiple sources"),
        ("networkinterfaces", {**NIC, "prefixes": [{}]}, "spec.prefixes[0]: Required value"),
        ("networkinterfaces", {**NIC, "virtualIP": {}}, "spec.virtualIP: Required value"),
        (
            "networkinterfaces",
            {**NIC, "ips": [ephemeral(ipFamily="IPv4", prefixLength=24)]},
            "must request a single IP",
        ),
        ("loadbalancers", {**REF, "ipFamilies": ["IPv4"]}, "spec.type: Required value"),
        ("loadbalancers", {**PUBLIC, "type": "Other"}, "spec.type: Unsupported value"),
        ("loadbalancers", {"type": "Public", **REF}, "spec.ipFamilies: Required value"),
        ("loadbalancers", {**INTERNAL, "ipFamilies": ["IPv6"]}, "expected IP family IPv6 but got IPv4"),
        ("loadbalancers", {**PUBLIC, "ports": [{"port": 80, "endPort": 90}, {"port": 85}]}, "overlaps"),
        ("loadbalancers", {**PUBLIC, "ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}, "overlaps"),
        ("natgateways", {**REF, "ipFamily": "IPv4"}, "spec.type: Required value"),
        ("natgateways", {"type": "Public", **REF}, "spec.ipFamily: Required value"),
        ("natgateways", {**GATEWAY, "portsPerNetworkInterface": 63}, "must be a power of 2"),
        ("natgateways", {**GATEWAY, "portsPerNetworkInterface": 0}, "must be a power of 2"),
        ("virtualips", {"ipFamily": "IPv4"}, "spec.type: Required value"),
        ("virtualips", {"type": "Public"}, "spec.ipFamily: Required value"),
        ("virtualips", {**VIP, "targetRef": {"name": "a"}}, "spec.targetRef.uid: Required value"),
        ("prefixes", {"ipFamily": "IPv4"}, "spec.prefix: Required value"),
        ("prefixes", {"prefix": "10.0.0.0/8", "prefixLength": 8}, "spec.prefixLength: Forbidden"),
        ("prefixes", {**PARENT, "prefix": "10.0.0.0/8", "prefixLength": 9}, "spec.prefixLength: Invalid value"),
        ("networks", {"peerings": [{"name": "a", "networkRef": {"name": "one"}}]}, "must not peer with itself"),
        (
            "networks",
            {"peerings": [{"name": name, "networkRef": {"name": "other"}} for name in "ab"]},
            "spec.peerings[1].networkRef: Duplicate value",
        ),
        ("networks", {"peerings": [{"name": "A!", "networkRef": {"name": "other"}}]}, "spec.peerings[0].name"),
    ],
)
async def test_what_is_wrong_is_refused(source: Server, plural: str, spec: dict[str, Any], says: str) -> None:
    with pytest.raises(ApiError) as caught:
        await source.create(plural, "one", spec)
    assert caught.value.code == 422
    assert says in caught.value.message
    assert not source.all(plural)


async def test_ports_of_two_protocols_do_not_overlap_and_a_lone_port_is_not_looked_at(source: Server) -> None:
    ports = [{"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP"}]
    await source.create("loadbalancers", "one", {**PUBLIC, "ports": ports})
    await source.create("loadbalancers", "two", {**PUBLIC, "ports": [{"port": 70_000}]})


async def test_the_name_of_a_prefix_that_will_be_made_must_be_good(source: Server) -> None:
    name = "a" * 62 if source.generation is ONMETAL else "a" * 252
    with pytest.raises(ApiError, match="resulting prefix name is invalid"):
        await source.create("networkinterfaces", name, {**NIC, "ips": [ephemeral(ipFamily="IPv4")]})


async def test_a_prefix_that_is_allocated_stays_so_and_needs_its_prefix_first(source: Server) -> None:
    await source.create("prefixes", "one", {**PARENT, "ipFamily": "IPv4", "prefixLength": 24})
    allocated = {"status": {"phase": "Allocated"}}
    with pytest.raises(ApiError, match=r"spec\.prefix: Required value"):
        await source.patch("prefixes", "one", allocated, subresource="status")
    await source.patch("prefixes", "one", {"spec": {"prefix": "10.0.0.0/24"}})
    await source.patch("prefixes", "one", allocated, subresource="status")
    with pytest.raises(ApiError, match="must not go back from Allocated"):
        await source.patch("prefixes", "one", {"status": {"phase": "Pending"}}, subresource="status")
