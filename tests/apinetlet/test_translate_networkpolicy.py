"""Network policies in translation: tables of what is said and what comes of it."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from apinetlet.api import IRONCORE, PolicyKinds, apinet
from apinetlet.selection import facets, sought
from apinetlet.translate import networkpolicy as translate
from apinetlet.translate import policyrules
from apinetlet.translate.networkpolicy import Reachable, View
from reconcile import ObjectMeta
from reconcile.kube.objects import OwnerReference
from reconcile.kube.selector import LabelSelector, labels_from

FOUND = PolicyKinds.of(IRONCORE)
assert FOUND is not None
KINDS: PolicyKinds = FOUND
NETWORK = apinet.Network(ObjectMeta(namespace="apinet", name="u-blue", uid="there"))
OWNER = OwnerReference(api_version="core/v1", kind="NetworkPolicy", name="u", uid="t", controller=True)
EVERYBODY = [{"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}]
EVERY_PORT = [{"protocol": "TCP"}, {"protocol": "UDP"}, {"protocol": "SCTP"}]


def a_view(spec: Mapping[str, Any], addresses: Iterable[str] = (), *, expands: bool = True) -> View:
    """A policy of these rules, all of whose selectors mean these addresses."""
    known = tuple(addresses)
    document = {
        "metadata": {"namespace": "home", "name": "guard", "uid": "u"},
        "spec": {"networkRef": {"name": "blue"}, "policyTypes": ["Ingress", "Egress"], **spec},
    }
    source = KINDS.source.codec.structure(document)
    return View(
        source,
        policy=policyrules.read(source),
        network="u-blue",
        target=None,
        namespace="apinet",
        kinds=KINDS,
        generation=IRONCORE,
        find=lambda kind, selector: known,
        expands=expands,
    )


def a_rule(view: View, *regulated: Reachable) -> dict[str, Any]:
    return translate.network_policy_rule(view, NETWORK, regulated, OWNER)


def chosen(kind: str = "NetworkInterface") -> dict[str, Any]:
    return {"objectSelector": {"kind": kind}}


@pytest.mark.parametrize(
    ("rule", "addresses", "expands", "expected"),
    [
        ({}, (), True, {"networkPolicyPorts": EVERY_PORT, "ipBlock": EVERYBODY}),
        ({}, (), False, {}),
        ({"from": [chosen()]}, (), True, {"networkPolicyPorts": EVERY_PORT}),
        ({"from": [chosen()]}, (), False, {}),
        (
            {"ports": [{}, {"port": 0}, {"protocol": "UDP", "port": 5}], "from": [chosen()]},
            (),
            True,
            {"networkPolicyPorts": [{"protocol": "TCP"}, {"protocol": "TCP"}, {"protocol": "UDP", "port": 5}]},
        ),
        (
            {"ports": [{"port": 1}], "from": [chosen(), chosen("LoadBalancer")]},
            ("2001:db8::1", "10.0.0.10", "10.0.0.9", "10.0.0.9", "", "nowhere"),
            True,
            {
                "networkPolicyPorts": [{"protocol": "TCP", "port": 1}],
                "ips": [
                    {"ipFamily": "IPv4", "prefix": "10.0.0.9/32"},
                    {"ipFamily": "IPv4", "prefix": "10.0.0.10/32"},
                    {"ipFamily": "IPv6", "prefix": "2001:db8::1/128"},
                ],
            },
        ),
        (
            {
                "ports": [{"port": 1}],
                "from": [{"ipBlock": {"cidr": "10.0.0.1/8"}}, {"ipBlock": {"cidr": "10.0.0.1/8"}}],
            },
            (),
            True,
            {"networkPolicyPorts": [{"protocol": "TCP", "port": 1}], "ipBlock": [{"cidr": "10.0.0.1/8"}]},
        ),
    ],
)
def test_a_rule_lets_in_whom_it_names_and_everybody_only_if_it_names_nobody(
    rule: dict[str, Any], addresses: tuple[str, ...], expands: bool, expected: dict[str, Any]
) -> None:
    assert a_rule(a_view({"ingress": [rule]}, addresses, expands=expands))["ingressRule"] == [expected]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [{}]),
        ({"ports": [{"port": 80}]}, [{"ports": [{"port": 80}]}]),
        ({"to": [chosen("VirtualIP")]}, []),
        ({"to": [chosen("VirtualIP"), chosen()]}, [{"to": [chosen()]}]),
        ({"to": [{}]}, []),
    ],
)
def test_a_copy_names_nobody_only_where_its_source_does(rule: dict[str, Any], expected: list[Any]) -> None:
    assert translate.network_policy(a_view({"egress": [rule]}))["spec"].get("egress", []) == expected


@pytest.mark.parametrize(
    "rule",
    [
        {"ports": [{"protocol": "TCP", "port": 80, "endPort": 80}]},
        {"ports": [{"protocol": "UDP", "port": 1, "endPort": 65535}, {"protocol": "SCTP", "port": 65535}]},
        {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.0.0.0/8"]}}]},
        {"from": [{"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48", "2001:db8::/128"]}}]},
        {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0", "except": ["::1/128"]}}]},
    ],
)
def test_what_is_just_allowed_is_copied_and_resolved_as_it_is(rule: dict[str, Any]) -> None:
    view = a_view({"ingress": [rule]})
    assert translate.network_policy(view)["spec"]["ingress"] == [rule]
    [resolved] = a_rule(view)["ingressRule"]
    assert resolved["networkPolicyPorts"] == rule.get("ports", EVERY_PORT)
    assert resolved["ipBlock"] == [one["ipBlock"] for one in rule.get("from", ())] or EVERYBODY


def test_every_peer_of_a_rule_counts_whatever_it_is() -> None:
    known = {"NetworkInterface": "10.0.0.1", "LoadBalancer": "10.0.0.2", "VirtualIP": "10.0.0.3"}
    peers = [{"ipBlock": {"cidr": "192.0.2.0/24"}}, *map(chosen, known)]
    view = evolve(a_view({"ingress": [{"from": peers}]}), find=lambda kind, selector: (known[kind],))
    [resolved] = a_rule(view)["ingressRule"]
    assert [one["prefix"] for one in resolved["ips"]] == [f"{one}/32" for one in known.values()]
    assert resolved["ipBlock"] == [{"cidr": "192.0.2.0/24"}]
    [copied] = translate.network_policy(view)["spec"]["ingress"]
    assert copied["from"] == [*peers[:3], {"ipBlock": {"cidr": "10.0.0.3/32"}}]


def test_interfaces_of_one_address_are_targets_each_in_one_order() -> None:
    reached = [Reachable(f"nic-{uid}", uid, ("10.0.0.1", "10.0.0.1")) for uid in ("b", "a", "c")]
    found = [one["targetRef"] for one in a_rule(a_view({}), *reached)["targets"]]
    assert found == [{"uid": uid, "name": f"nic-{uid}"} for uid in ("a", "b", "c")]


def test_a_copy_of_an_empty_selector_has_an_empty_selector() -> None:
    assert translate.network_policy(a_view({}))["spec"]["networkInterfaceSelector"] == {}


def test_a_direction_without_rules_is_named() -> None:
    assert a_view({"ingress": [{}]}).policy.isolations == ("Egress",)


def test_targets_stand_in_one_order_each_once_whatever_order_they_come_in() -> None:
    reached = [Reachable(f"nic-{one}", f"uid-{one}", (f"10.0.{one // 250}.{one % 250}",)) for one in range(500)]
    reached += [Reachable("six", "uid-6", ("2001:db8::1", "nowhere"))]
    expected = a_rule(a_view({}), *reached)["targets"]
    assert [one["ip"] for one in expected] == [one.ips[0] for one in reached]
    for seed in range(3):
        shuffled = [*reached, *reached[:50]]
        random.Random(seed).shuffle(shuffled)
        assert a_rule(a_view({}), *shuffled)["targets"] == expected


# -- how selectors and objects find each other -------------------------------------------------------------------------

KEYS, VALUES = st.sampled_from(["app", "tier", "zone"]), st.sampled_from(["a", "b", "c"])
LABELS = st.dictionaries(KEYS, VALUES)
EXPRESSIONS = st.one_of(
    st.fixed_dictionaries(
        {"key": KEYS, "operator": st.sampled_from(["In", "NotIn"]), "values": st.lists(VALUES, min_size=1, unique=True)}
    ),
    st.fixed_dictionaries({"key": KEYS, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)
SELECTORS = st.fixed_dictionaries({"matchLabels": LABELS, "matchExpressions": st.lists(EXPRESSIONS, max_size=3)})


@given(selector=SELECTORS, labels=LABELS)
def test_whatever_a_selector_means_is_found_under_one_of_its_facets(
    selector: dict[str, Any], labels: dict[str, str]
) -> None:
    read = labels_from(selector)
    found = set(sought(read)) & set(facets(labels))
    assert found or not read.matches(labels)


def test_nobody_is_looked_for_where_nothing_is_meant() -> None:
    assert sought(LabelSelector(nothing=True)) == ()


def test_of_several_requirements_the_one_that_says_most_is_looked_up() -> None:
    read = labels_from(
        {
            "matchLabels": {"zone": "z"},
            "matchExpressions": [
                {"key": "app", "operator": "In", "values": ["a", "b"]},
                {"key": "tier", "operator": "Exists"},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        }
    )
    assert sought(read) == (("zone", "z"),)
    assert sought(labels_from({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]})) == ((),)
