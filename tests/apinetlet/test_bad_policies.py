"""Policies that no valid API server would have: each is told by object and field and waits, and all others go on.

The source cluster of these tests validates nothing, as one of plain definitions might.
"""

from typing import Any

from apinetlet.api import IRONCORE, PolicyKinds
from apinetlet.demo.world import TARGET_NAMESPACE
from reconcile import ObjectMeta
from tests.apinetlet.test_bad_objects import about, careless_desk
from tests.scenarios.desk import HOME
from tests.scenarios.test_networkpolicy import NETWORK, block, chosen, declared_nic, let_in, nic, program, targets

FOUND = PolicyKinds.of(IRONCORE)
assert FOUND is not None
POLICIES: PolicyKinds = FOUND
GOOD: dict[str, Any] = {
    "networkRef": {"name": "blue"},
    "networkInterfaceSelector": {"matchLabels": {"app": "web"}},
    "ingress": [{"ports": [{"port": 80}], "from": [block("10.0.0.0/8")]}],
    "policyTypes": ["Ingress"],
}


def ingress(**rule: Any) -> dict[str, Any]:
    return {**GOOD, "ingress": [rule]}


def port(**port: Any) -> dict[str, Any]:
    return ingress(ports=[port])


def peer(*peers: Any) -> dict[str, Any]:
    return ingress(**{"from": list(peers)})


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({**GOOD, "networkRef": None}, "NetworkNotFound", "spec.networkRef.name"),
    ({**GOOD, "networkRef": {"name": "nowhere"}}, "NetworkNotFound", "spec.networkRef.name"),
    ({**GOOD, "policyTypes": None}, "InvalidSpec", "spec.policyTypes"),
    ({**GOOD, "policyTypes": ["Ingress", "Sideways"]}, "InvalidSpec", "spec.policyTypes[1]"),
    ({**GOOD, "policyTypes": ["Ingress", "Ingress"]}, "InvalidSpec", "spec.policyTypes[1]"),
    (port(port=65536), "InvalidSpec", "spec.ingress[0].ports[0].port"),
    (port(port=-1), "InvalidSpec", "spec.ingress[0].ports[0].port"),
    (port(endPort=90), "InvalidSpec", "spec.ingress[0].ports[0].endPort"),
    (port(port=80, endPort=79), "InvalidSpec", "spec.ingress[0].ports[0].endPort"),
    (port(port=80, endPort=70000), "InvalidSpec", "spec.ingress[0].ports[0].endPort"),
    (port(protocol="ICMP"), "InvalidSpec", "spec.ingress[0].ports[0].protocol"),
    (port(port="http"), "Unreadable", "spec.ingress[0].ports[0].port"),
    (peer(block("everywhere")), "InvalidSpec", "spec.ingress[0].from[0].ipBlock.cidr"),
    (peer(block("10.0.0.1")), "InvalidSpec", "spec.ingress[0].from[0].ipBlock.cidr"),
    (peer(block("10.0.0.0/33")), "InvalidSpec", "spec.ingress[0].from[0].ipBlock.cidr"),
    (peer(block("10.0.0.0/255.0.0.0")), "InvalidSpec", "spec.ingress[0].from[0].ipBlock.cidr"),
    (peer(block("")), "InvalidSpec", "spec.ingress[0].from[0].ipBlock.cidr"),
    (peer(block("10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/16")), "InvalidSpec", "ipBlock.except[1]"),
    (peer(block("10.0.0.0/8", "2001:db8::/32")), "InvalidSpec", "ipBlock.except[0]"),
    (peer(block("10.0.0.0/8", "10.0.0.0/7")), "InvalidSpec", "ipBlock.except[0]"),
    (peer({**chosen(app="a"), **block("10.0.0.0/8")}), "InvalidSpec", "spec.ingress[0].from[0]"),
    (peer(chosen(**{"-": "a"})), "InvalidSpec", "spec.ingress[0].from[0].objectSelector"),
    (
        {**GOOD, "networkInterfaceSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}},
        "InvalidSpec",
        "spec.networkInterfaceSelector",
    ),
    (
        {**GOOD, "egress": [{"to": [{"objectSelector": {"kind": "LoadBalancer", "matchLabels": ["a"]}}]}]},
        "Unreadable",
        "spec.egress[0].to[0].objectSelector.matchLabels",
    ),
    ({**GOOD, "ingress": "everybody"}, "Unreadable", "spec.ingress"),
]


async def test_what_is_wrong_is_told_by_object_and_field_and_waits_for_a_change() -> None:
    async with careless_desk(IRONCORE) as at, at.daemon() as daemon:
        await at.declare_network()
        policies = at.world.at_source["networkpolicies"]
        bad = [await at.create(policies, f"bad-{place}", spec=spec) for place, (spec, _, _) in enumerate(REFUSED)]
        fine = await at.create(policies, "fine", spec=GOOD)
        await at.rest(30)
        for kind in (POLICIES.target, POLICIES.rule):
            assert [one["metadata"]["name"] for one in at.all(kind)] == [fine.uid]
        for meta, (_, reason, field) in zip(bad, REFUSED, strict=True):
            [(told, message)] = about(at, "NetworkPolicy", meta.name)
            assert (told, field in message) == (reason, True), message
        assert about(at, "NetworkPolicy", "fine") == []
        assert not daemon.controller("networkpolicy").snapshot().failing  # they wait; nothing is tried again
        for meta in bad:
            for wanted in (None, GOOD):
                await at.change(policies, meta, {"spec": wanted})
        await at.rest(5)
        before = at.all(POLICIES.rule)
        assert len(before) == 1 + len(bad)
        for meta, (spec, _, _) in zip(bad, REFUSED, strict=True):
            await at.change(policies, meta, {"spec": {**dict.fromkeys(GOOD), **spec}})
        await at.rest(5)
        assert at.all(POLICIES.rule) == before  # what is enforced stays


async def test_a_peer_that_nobody_knows_is_told_and_left_out_and_lets_nobody_in() -> None:
    unknown = [chosen("Machine", app="a"), chosen("", app="a"), {}]
    says = ["objectSelector.kind is 'Machine'", "objectSelector.kind is ''", "says neither"]
    async with careless_desk(IRONCORE) as at, at.daemon() as daemon:
        await at.declare_network()
        alone = [await at.create(POLICIES.source, f"alone-{at_}", spec=peer(one)) for at_, one in enumerate(unknown)]
        beside = await at.create(POLICIES.source, "beside", spec=peer(*unknown, block("10.0.0.0/8")))
        await at.rest(30)
        for meta, said in zip(alone, says, strict=True):
            assert "ingressRule" not in at.made_for(POLICIES.rule, meta)
            assert "ingress" not in at.made_for(POLICIES.target, meta)["spec"]
            reasons = dict(about(at, "NetworkPolicy", meta.name))
            assert f"spec.ingress[0].from[0]{'' if said[0] == 's' else '.'}" in reasons["UnsupportedPeer"]
            assert said in reasons["UnsupportedPeer"]
            assert "Ingress" in reasons["IsolationNotExpressible"]
        [entry] = at.made_for(POLICIES.rule, beside)["ingressRule"]
        assert entry["ipBlock"] == [{"cidr": "10.0.0.0/8"}]
        assert not daemon.controller("networkpolicy").snapshot().failing


async def test_an_interface_that_cannot_be_read_is_no_target_and_stops_no_policy() -> None:
    async with careless_desk(IRONCORE) as at, at.daemon():
        network = await at.declare_network()
        fine = await nic(at, "fine", "10.0.0.1", network, app="web")
        guard = await at.create(POLICIES.source, "guard", spec=GOOD)
        await declared_nic(at, "strange", None, app="web")
        strange = ObjectMeta(namespace=HOME, name="strange")
        await at.change(at.world.at_source["networkinterfaces"], strange, {"spec": {"prefixes": "all of them"}})
        await at.rest(30)
        targets = at.made_for(POLICIES.rule, guard)["targets"]
        assert targets == [{"ip": "10.0.0.1", "targetRef": {"uid": fine.uid, "name": fine.name}}]


async def test_a_source_that_cannot_be_read_hides_nothing_of_what_is_in_the_data_plane() -> None:
    app = {"labels": {"app": "web"}}
    async with careless_desk(IRONCORE) as at, at.daemon():
        network = await at.declare_network()
        guard = await at.create(POLICIES.source, "guard", spec=peer(chosen("LoadBalancer", app="web")))
        found = await nic(at, "fine", "10.0.0.1", network, **app["labels"])
        user = await declared_nic(at, "nic", found)
        inner = {"type": "Internal", "ipFamilies": ["IPv4"], "ips": [{"value": "10.0.0.7"}], **NETWORK}
        balancer = await at.create(at.world.kinds.load_balancer, "web", spec=inner)
        await at.rest()
        made = ObjectMeta(namespace=TARGET_NAMESPACE, name=balancer.uid)
        await at.change(at.world.kinds.apinet_load_balancer, made, {"metadata": app})
        for kind, meta, field in (("networkinterfaces", user, "prefixes"), ("loadbalancers", balancer, "ports")):
            await at.change(at.world.at_source[kind], meta, {"spec": {field: "all of them"}})
        await at.rest(5)
        assert (targets(at, guard), let_in(at, guard)) == (["10.0.0.1"], ["10.0.0.7/32"])
        await program(at, found, "Pending")
        await at.change(at.world.kinds.apinet_load_balancer, made, {"metadata": {"labels": {"app": None}}})
        await at.rest(5)
        assert (targets(at, guard), let_in(at, guard)) == ([], [])
