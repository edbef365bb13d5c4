"""What the api-net server refuses, kind by kind: a 422 that names the field."""

from typing import Any

import pytest

from apinetlet.api import IRONCORE
from reconcile import ApiError
from tests.apinetlet.demo.servers import Server, a_gateway, a_load_balancer, an_interface

A_POLICY = {
    "networkRef": {"name": "n"},
    "networkInterfaceSelector": {"matchLabels": {"a": "b"}},
    "policyTypes": ["Ingress"],
}
AN_INSTANCE = {"type": "LoadBalancer", "loadBalancerType": "Public", "networkRef": {"name": "n"}}
GOOD: dict[str, dict[str, Any]] = {
    "loadbalancers": a_load_balancer("IPv4"),
    "natgateways": a_gateway("first"),
    "networkinterfaces": an_interface(),
    "natgatewayautoscalers": {"natGatewayRef": {"name": "n"}, "minPublicIPs": 1, "maxPublicIPs": 10},
    "instances": AN_INSTANCE,
    "networks": {},
}
IMMUTABLE = [
    ("networks", "spec.id", {"id": "201"}),
    ("loadbalancers", "spec.type", {"type": "Internal"}),
    ("loadbalancers", "spec.networkRef", {"networkRef": {"name": "other"}}),
    ("loadbalancers", "spec.selector", {"selector": {"matchLabels": None, "matchExpressions": []}}),
    ("natgateways", "spec.ipFamily", {"ipFamily": "IPv6"}),
    ("natgateways", "spec.networkRef", {"networkRef": {"name": "other"}}),
    ("networkinterfaces", "spec.networkRef", {"networkRef": {"name": "other"}}),
    ("networkinterfaces", "spec.nodeRef", {"nodeRef": {"name": "other"}}),
    ("networkinterfaces", "spec.ips", {"ips": ["192.168.0.2"]}),
    ("instances", "spec.loadBalancerType", {"loadBalancerType": "Internal"}),
    ("instances", "spec.networkRef", {"networkRef": {"name": "other"}}),
]
MUTABLE = [
    ("loadbalancers", {"ports": [{"port": 80, "protocol": "TCP"}]}),
    ("natgateways", {"portsPerNetworkInterface": 63}),
    ("networkinterfaces", {"prefixes": ["10.0.0.1/24"]}),
    ("networkinterfaces", {"natGateways": [{"ipFamily": "IPv4", "claimRef": {"name": "g", "uid": "u"}}]}),
    ("natgatewayautoscalers", {"minPublicIPs": 0}),
    ("instances", {"ips": ["10.0.0.1"]}),
]


@pytest.mark.parametrize(("plural", "field", "change"), IMMUTABLE)
async def test_what_is_immutable_stays(apinet: Server, plural: str, field: str, change: dict[str, Any]) -> None:
    await apinet.create(plural, "one", {**GOOD[plural], **({"id": "200"} if plural == "networks" else {})})
    before = apinet.read(plural, "one")
    with pytest.raises(ApiError, match=rf"{field}: .*field is immutable") as caught:
        await apinet.patch(plural, "one", {"spec": change})
    assert caught.value.code == 422
    assert apinet.read(plural, "one") == before


@pytest.mark.parametrize(("plural", "change"), MUTABLE)
async def test_what_is_mutable_may_change(apinet: Server, plural: str, change: dict[str, Any]) -> None:
    await apinet.create(plural, "one", GOOD[plural])
    changed = await apinet.patch(plural, "one", {"spec": change})
    assert changed["spec"].items() >= change.items()


async def test_an_instance_is_put_on_a_node_once(apinet: Server) -> None:
    await apinet.create("instances", "one", AN_INSTANCE)
    await apinet.patch("instances", "one", {"spec": {"nodeRef": {"name": "a"}}})
    with pytest.raises(ApiError, match=r"spec\.nodeRef: .*field is immutable"):
        await apinet.patch("instances", "one", {"spec": {"nodeRef": {"name": "b"}}})


@pytest.mark.parametrize(
    ("plural", "changes", "says"),
    [
        ("loadbalancers", {"type": None}, "spec.type: Required value"),
        ("loadbalancers", {"type": "Other"}, "spec.type: Unsupported value"),
        ("loadbalancers", {"selector": None}, "`selector` does not match template `labels`"),
        ("loadbalancers", {"selector": {"matchLabels": {"app": "x"}}}, "`selector` does not match template `labels`"),
        ("loadbalancers", {"selector": {"matchLabels": {"app": "not ok"}}}, "spec.selector: Invalid value"),
        ("loadbalancers", {"template": {}}, "`selector` does not match template `labels`"),
        ("natgateways", {"ipFamily": None, "ips": []}, "spec.ipFamily: Required value"),
        ("natgatewayautoscalers", {"minPublicIPs": -1}, "spec.minPublicIPs: Invalid value: -1"),
        ("natgatewayautoscalers", {"maxPublicIPs": -1}, "spec.maxPublicIPs: Invalid value: -1"),
        ("natgatewayautoscalers", {"minPublicIPs": 3, "maxPublicIPs": 2}, "must >= minPublicIPs"),
        ("natgatewayautoscalers", {"minPublicIPs": 1, "maxPublicIPs": None}, "must >= minPublicIPs"),
        ("networkinterfaces", {"nodeRef": None}, "spec.nodeRef.name: Required value"),
        ("networkinterfaces", {"ips": ["10.0.0.1", "10.0.0.2"]}, "cannot have multiple internal IPs of family IPv4"),
        (
            "networkinterfaces",
            {"publicIPs": [{"name": "a", "ipFamily": "IPv4"}, {"name": "b", "ipFamily": "IPv4"}]},
            "cannot have multiple external IPs of family IPv4",
        ),
        (
            "networkinterfaces",
            {
                "publicIPs": [{"name": "a", "ipFamily": "IPv4"}],
                "natGateways": [{"ipFamily": "IPv4", "claimRef": {"name": "g", "uid": "u"}}],
            },
            "cannot have nat for already present external IP family IPv4",
        ),
        (
            "networkinterfaces",
            {"natGateways": [{"ipFamily": "IPv4", "claimRef": {"name": name, "uid": name}} for name in "gh"]},
            "cannot have nat for already present external IP family IPv4",
        ),
        ("instances", {"type": None}, "spec.type: Required value"),
        ("instances", {"type": "Other"}, "spec.type: Unsupported value"),
    ],
)
async def test_what_is_wrong_is_refused_and_nothing_is_stored(
    apinet: Server, plural: str, changes: dict[str, Any], says: str
) -> None:
    spec = {name: value for name, value in {**GOOD[plural], **changes}.items() if value is not None}
    with pytest.raises(ApiError) as caught:
        await apinet.create(plural, "one", spec)
    assert caught.value.code == 422
    assert says in caught.value.message
    assert not apinet.all(plural)
    assert not apinet.all("ipaddresses")


async def test_an_internal_load_balancer_names_the_family_of_each_address(apinet: Server) -> None:
    spec = a_load_balancer(type_="Internal")
    with pytest.raises(ApiError, match="must specify IP family"):
        await apinet.create("loadbalancers", "one", {**spec, "ips": [{"name": "a"}]})
    with pytest.raises(ApiError, match="IP should have family IPv6"):
        await apinet.create(
            "loadbalancers", "one", {**spec, "ips": [{"name": "a", "ipFamily": "IPv6", "ip": "10.0.0.1"}]}
        )
    made = await apinet.create("loadbalancers", "one", {**spec, "ips": [{"name": "a", "ip": "10.0.0.1"}]})
    assert made["spec"]["ips"] == [{"name": "a", "ip": "10.0.0.1", "ipFamily": "IPv4"}]


async def test_entries_of_one_name_are_refused(apinet: Server) -> None:
    for plural, spec in (("natgateways", a_gateway("a", "a")), ("loadbalancers", a_load_balancer("IPv4", "IPv4"))):
        with pytest.raises(ApiError) as caught:
            await apinet.create(plural, "one", spec)
        assert caught.value.code == 422


async def test_networks_that_are_not_there_may_be_named(apinet: Server) -> None:
    for plural in ("loadbalancers", "natgateways", "networkinterfaces"):
        await apinet.create(plural, "one", GOOD[plural])


async def test_an_empty_selector_matches_every_template(apinet: Server) -> None:
    await apinet.create("loadbalancers", "one", {**a_load_balancer("IPv4"), "selector": {}, "template": {}})


async def test_an_address_that_is_none_cannot_be_decoded(apinet: Server) -> None:
    for plural, spec in (
        ("ips", {"type": "Public", "ipFamily": "IPv4", "ip": "10.0.0"}),
        ("networkinterfaces", an_interface(ips=["nonsense"])),
        ("natgateways", {**a_gateway(), "ips": [{"name": "a", "ip": "1.2.3.4.5"}]}),
    ):
        with pytest.raises(ApiError, match="unable to parse IP") as caught:
            await apinet.create(plural, "one", spec)
        assert caught.value.code == 400


async def test_a_hostname_is_a_label_that_stays(apinet: Server) -> None:
    if apinet.generation is not IRONCORE:
        made = await apinet.create("networkinterfaces", "one", an_interface(hostname="host"))
        assert "hostname" not in made["spec"]
        return
    with pytest.raises(ApiError, match=r"spec\.hostname"):
        await apinet.create("networkinterfaces", "one", an_interface(hostname="not.a.label"))
    await apinet.create("networkinterfaces", "one", an_interface(hostname="host"))
    with pytest.raises(ApiError, match=r"spec\.hostname: .*immutable"):
        await apinet.patch("networkinterfaces", "one", {"spec": {"hostname": "other"}})


async def test_policies_belong_to_the_second_generation_and_need_types(apinet: Server) -> None:
    if apinet.generation is not IRONCORE:
        assert "networkpolicies" not in apinet.kinds
        return
    await apinet.create("networkpolicies", "one", A_POLICY)
    with pytest.raises(ApiError, match=r"spec\.policyTypes: Required value"):
        await apinet.create("networkpolicies", "two", {**A_POLICY, "policyTypes": []})
    with pytest.raises(ApiError, match=r"spec\.priority: Invalid value: -1"):
        await apinet.create("networkpolicies", "two", {**A_POLICY, "priority": -1})
