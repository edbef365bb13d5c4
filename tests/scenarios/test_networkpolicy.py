"""NetworkPolicies between two clusters: every acceptance scenario under its id; only ``ironcore`` maps them."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import pytest

from apinetlet.api import IRONCORE, ONMETAL, PolicyKinds
from apinetlet.demo.world import TARGET_NAMESPACE
from provider import ProviderID
from reconcile import ObjectMeta, Resource
from reconcile.kube.errors import Invalid
from tests.scenarios.desk import HOME, Desk, desk

FOUND = PolicyKinds.of(IRONCORE)
assert FOUND is not None
POLICIES: PolicyKinds = FOUND
NETWORK = {"networkRef": {"name": "blue"}}


@pytest.fixture(name="at")
async def _at() -> AsyncIterator[Desk]:
    async with desk(IRONCORE) as both:
        yield both


# -- what people do ----------------------------------------------------------------------------------------------------


async def nic(at: Desk, name: str, ip: str, network: ObjectMeta, *, state: str = "Ready", **labels: str) -> ObjectMeta:
    """The provider of machines makes an interface, and the data plane says how it is."""
    spec = {"nodeRef": {"name": "node"}, "networkRef": {"name": network.uid}, "ips": [ip]}
    made = await at.create(at.world.kinds.apinet_network_interface, name, metadata={"labels": labels}, spec=spec)
    await program(at, made, state)
    return made


async def program(at: Desk, made: ObjectMeta, state: str) -> None:
    patch = {"status": {"state": state}}
    await at.change(at.world.kinds.apinet_network_interface, made, patch, subresource="status")


async def declared_nic(
    at: Desk, name: str, on: ObjectMeta | None, *, network: str = "blue", **labels: str
) -> ObjectMeta:
    """A user's interface, attached to one of the data plane."""
    provider_id = "" if on is None else _provider_id(on)
    spec = {"networkRef": {"name": network}, "ips": [{"value": "10.9.9.9"}], "providerID": provider_id}
    return await at.create(at.world.kinds.network_interface, name, metadata={"labels": labels}, spec=spec)


def _provider_id(on: ObjectMeta) -> str:
    parts = {"namespace": TARGET_NAMESPACE, "name": on.name, "node": "node", "uid": on.uid}
    return str(ProviderID.network_interface(IRONCORE.scheme, **parts))


async def vip(at: Desk, name: str, **labels: str) -> ObjectMeta:
    spec = {"type": "Public", "ipFamily": "IPv4"}
    return await at.create(at.world.kinds.virtual_ip, name, metadata={"labels": labels}, spec=spec)


def chosen(kind: str = "NetworkInterface", **labels: str) -> dict[str, Any]:
    return {"objectSelector": {"kind": kind, "matchLabels": labels}}


def block(cidr: str, *excepted: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr, **({"except": list(excepted)} if excepted else {})}}


async def policy(at: Desk, name: str = "guard", *, namespace: str = HOME, **spec: Any) -> ObjectMeta:
    wanted = {**NETWORK, "networkInterfaceSelector": {"matchLabels": {"app": "target"}}, **spec}
    return await at.create(POLICIES.source, name, namespace=namespace, spec=wanted)


BOTH_WAYS: dict[str, Any] = {
    "ingress": [
        {
            "ports": [{"protocol": "TCP", "port": 80}, {"protocol": "UDP", "port": 8080, "endPort": 8090}],
            "from": [chosen(rule="ingress"), block("192.168.1.0/24", "192.168.1.1/32", "192.168.1.2/32")],
        }
    ],
    "egress": [{"ports": [{"protocol": "TCP", "port": 443}], "to": [chosen(rule="egress"), block("10.0.0.0/16")]}],
    "policyTypes": ["Egress", "Ingress"],
}


async def told_of_two(at: Desk) -> tuple[ObjectMeta, ObjectMeta]:
    """A network with two interfaces that rules name, and the policy of the first scenarios."""
    network = await at.declare_network()
    await nic(at, "in", "192.168.178.50", network, rule="ingress")
    await nic(at, "out", "192.168.178.60", network, rule="egress")
    return network, await policy(at, **BOTH_WAYS)


# -- what is there -----------------------------------------------------------------------------------------------------


def copy(at: Desk, meta: ObjectMeta) -> dict[str, Any]:
    """The target policy."""
    return at.made_for(POLICIES.target, meta)


def rule(at: Desk, meta: ObjectMeta) -> dict[str, Any]:
    return at.made_for(POLICIES.rule, meta)


def targets(at: Desk, meta: ObjectMeta) -> list[str]:
    return [one["ip"] for one in rule(at, meta).get("targets") or ()]


def let_in(at: Desk, meta: ObjectMeta, place: int = 0) -> list[str]:
    """The addresses that a rule lets in."""
    return [one["prefix"] for one in rule(at, meta)["ingressRule"][place].get("ips") or ()]


def history(at: Desk, kind: Resource[Any]) -> list[dict[str, Any]]:
    """Every state that an object of a kind ever had."""
    table = at.world.apinet.storage.table(kind.name).history
    return [dict(one.new.value) for one in table if one.new is not None]


def blocks_ever(at: Desk) -> set[str]:
    """Every range that ever was let through."""
    return {
        one["cidr"]
        for document in history(at, POLICIES.rule)
        for entry in (*(document.get("ingressRule") or ()), *(document.get("egressRule") or ()))
        for one in entry.get("ipBlock") or ()
    }


# -- the scenarios -----------------------------------------------------------------------------------------------------


async def test_np_1_a_policy_is_copied_and_resolved_to_addresses(at: Desk) -> None:
    async with at.daemon():
        network, meta = await told_of_two(at)
        await at.rest()
        target = at.made_for(at.world.kinds.apinet_network, network)["metadata"]
        made = copy(at, meta)
        origin = at.origin("NetworkPolicy", meta)
        for document in (made, rule(at, meta)):
            head = document["metadata"]
            assert {"labels": head["labels"], "annotations": head["annotations"]} == origin
        assert made["spec"] == {
            "networkRef": {"name": network.uid},
            "networkInterfaceSelector": {"matchLabels": {"app": "target"}},
            "priority": 1000,
            **BOTH_WAYS,
        }
        found = rule(at, meta)
        assert found["networkRef"] == {"name": target["name"], "uid": target["uid"]}
        assert found["priority"] == 1000
        assert "targets" not in found
        assert found["ingressRule"] == [
            {
                "networkPolicyPorts": [
                    {"protocol": "TCP", "port": 80},
                    {"protocol": "UDP", "port": 8080, "endPort": 8090},
                ],
                "ipBlock": [{"cidr": "192.168.1.0/24", "except": ["192.168.1.1/32", "192.168.1.2/32"]}],
                "ips": [{"ipFamily": "IPv4", "prefix": "192.168.178.50/32"}],
            }
        ]
        assert found["egressRule"] == [
            {
                "networkPolicyPorts": [{"protocol": "TCP", "port": 443}],
                "ipBlock": [{"cidr": "10.0.0.0/16"}],
                "ips": [{"ipFamily": "IPv4", "prefix": "192.168.178.60/32"}],
            }
        ]
        [owner] = found["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("NetworkPolicy", meta.uid, made["metadata"]["uid"])
        assert owner["controller"] is owner["blockOwnerDeletion"] is True
        managers = [{one["manager"] for one in each["metadata"]["managedFields"]} for each in (made, found)]
        assert managers == [{"ironcore.dev/apinetlet"}, {"networkpolicies.networking.ironcore.dev"}]


async def test_np_2_an_interface_that_the_policy_is_for_is_a_target(at: Desk) -> None:
    async with at.daemon():
        network, meta = await told_of_two(at)
        found = await nic(at, "target", "192.168.178.1", network, app="target")
        await at.rest()
        assert rule(at, meta)["targets"] == [
            {"ip": "192.168.178.1", "targetRef": {"uid": found.uid, "name": found.name}}
        ]


async def test_np_3_another_selector_means_other_targets(at: Desk) -> None:
    async with at.daemon():
        network, meta = await told_of_two(at)
        await nic(at, "target", "192.168.178.1", network, app="target")
        await nic(at, "target-2", "192.168.178.15", network, app="target2")
        await at.rest()
        assert targets(at, meta) == ["192.168.178.1"]
        selector = {"networkInterfaceSelector": {"matchLabels": {"app": "target2"}}}
        await at.change(POLICIES.source, meta, {"spec": selector})
        await at.rest(5)
        assert targets(at, meta) == ["192.168.178.15"]


async def test_np_4_targets_follow_the_interfaces_and_nobody_touches_the_policy(at: Desk) -> None:
    async with at.daemon():
        network, meta = await told_of_two(at)
        found = await nic(at, "target", "192.168.178.1", network, state="", app="target")
        await at.rest()
        before = at.live(POLICIES.source, meta)["metadata"]["resourceVersion"]
        for state, expected in (("Ready", ["192.168.178.1"]), ("Pending", []), ("Ready", ["192.168.178.1"])):
            await program(at, found, state)
            await at.rest(5)
            assert targets(at, meta) == expected
        await at.change(at.world.kinds.apinet_network_interface, found, {"metadata": {"labels": {"app": "other"}}})
        await at.rest(5)
        assert targets(at, meta) == []
        await at.change(at.world.kinds.apinet_network_interface, found, {"metadata": {"labels": {"app": "target"}}})
        await at.rest(5)
        assert targets(at, meta) == ["192.168.178.1"]
        await at.delete(at.world.kinds.apinet_network_interface, found)
        await at.rest(5)
        assert targets(at, meta) == []
        assert at.live(POLICIES.source, meta)["metadata"]["resourceVersion"] == before


async def test_np_5_labels_of_a_users_interface_count_for_the_one_that_it_has_claimed(at: Desk) -> None:
    async with at.daemon():
        network, meta = await told_of_two(at)
        found = await nic(at, "machine-0", "192.168.178.1", network)
        user = await declared_nic(at, "nic", found, app="target")
        await declared_nic(at, "elsewhere", None, network="red", app="target")
        await at.rest()
        assert targets(at, meta) == ["192.168.178.1"]
        for labels, expected in (({"app": None}, []), ({"app": "target"}, ["192.168.178.1"])):
            await at.change(at.world.kinds.network_interface, user, {"metadata": {"labels": labels}})
            await at.rest(5)
            assert targets(at, meta) == expected
        await at.change(at.world.kinds.network_interface, user, {"spec": {"providerID": ""}})
        await at.rest(5)
        assert targets(at, meta) == []


async def test_np_6_a_policy_that_comes_before_its_network_is_mapped_when_that_comes(at: Desk) -> None:
    async with at.daemon():
        meta = await policy(at, **BOTH_WAYS)
        await at.rest()
        assert at.all(POLICIES.target) == []
        assert "spec.networkRef.name is 'blue'" in at.told("NetworkNotFound")[0]
        network = await at.declare_network()
        await at.rest(5)
        assert rule(at, meta)["networkRef"]["name"] == network.uid


async def test_np_7_a_virtual_ip_is_let_in_once_it_has_an_address_and_nobody_before(at: Desk) -> None:
    async with at.daemon():
        await at.declare_network()
        wanted = [{"ports": [{"protocol": "TCP", "port": 80}], "from": [chosen("VirtualIP", app="web")]}]
        meta = await policy(at, ingress=wanted, policyTypes=["Ingress"])
        await at.rest()
        assert let_in(at, meta) == []
        assert "ingress" not in copy(at, meta)["spec"]
        public = await vip(at, "public", app="web")
        await vip(at, "other", app="db")
        await at.rest(5)
        address = at.live(at.world.kinds.virtual_ip, public)["status"]["ip"]
        assert let_in(at, meta) == [f"{address}/32"]
        assert copy(at, meta)["spec"]["ingress"][0]["from"] == [block(f"{address}/32")]
        await at.change(at.world.kinds.virtual_ip, public, {"metadata": {"labels": {"app": "db"}}})
        await at.rest(5)
        assert let_in(at, meta) == []
        assert "ingress" not in copy(at, meta)["spec"]
        assert blocks_ever(at) == set()
        assert all(one.get("from") for each in history(at, POLICIES.target) for one in each["spec"].get("ingress", ()))


async def test_np_8_a_port_without_a_protocol_is_one_of_tcp(at: Desk) -> None:
    async with at.daemon():
        await at.declare_network()
        meta = await policy(at, ingress=[{"ports": [{"port": 80}], "from": [block("10.0.0.0/8")]}])
        await at.rest()
        assert rule(at, meta)["ingressRule"][0]["networkPolicyPorts"] == [{"protocol": "TCP", "port": 80}]
        assert copy(at, meta)["spec"]["ingress"][0]["ports"] == [{"port": 80}]


async def test_np_9_a_selector_that_means_nobody_lets_nobody_in(at: Desk) -> None:
    async with at.daemon():
        await at.declare_network()
        nobody = {"ports": [{"protocol": "TCP", "port": 80}], "from": [chosen(app="nobody")]}
        meta = await policy(at, ingress=[nobody, {"ports": [{"protocol": "TCP", "port": 443}]}])
        await at.rest()
        first, second = rule(at, meta)["ingressRule"]
        assert first == {"networkPolicyPorts": [{"protocol": "TCP", "port": 80}]}
        assert second["ipBlock"] == [{"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}]


async def test_np_10_a_deleted_policy_goes_after_its_rule(at: Desk) -> None:
    async with at.daemon():
        _, meta = await told_of_two(at)
        await at.rest()
        held = ObjectMeta(namespace=TARGET_NAMESPACE, name=meta.uid)
        await at.change(POLICIES.rule, held, {"metadata": {"finalizers": ["example.org/hold"]}})
        await at.delete(POLICIES.source, meta)
        await at.rest(5)
        assert at.live(POLICIES.source, meta)["metadata"]["finalizers"] == [IRONCORE.finalizer("NetworkPolicy")]
        assert at.all(POLICIES.target) == []
        await at.change(POLICIES.rule, held, {"metadata": {"finalizers": None}})
        await at.rest(5)
        assert at.all(POLICIES.source) == at.all(POLICIES.rule) == []


async def test_np_11_interfaces_that_come_in_another_order_change_no_rule(at: Desk) -> None:
    network = await at.declare_network()
    addresses = [f"10.0.{number // 250}.{number % 250}" for number in range(200)]  # more in translation
    async with at.daemon():
        await at.rest(1)
        spec = {"nodeRef": {"name": "node"}, "networkRef": {"name": network.uid}}
        labels = {"app": "target", "rule": "ingress"}
        for number, ip in reversed([*enumerate(addresses)]):
            head, status = {"name": f"nic-{number}", "labels": labels}, {"state": "Ready"}
            body = {"metadata": head, "spec": {**spec, "ips": [ip]}, "status": status}
            kind = at.world.kinds.apinet_network_interface
            await at.world.apinet.client().create(kind, body, namespace=TARGET_NAMESPACE)
        meta = await policy(at, **BOTH_WAYS)
        await at.rest(5)
        assert targets(at, meta) == addresses
        assert let_in(at, meta) == [f"{ip}/32" for ip in addresses]
    before = rule(at, meta)["metadata"]["resourceVersion"]
    async with at.daemon():  # now they come in the order of their names
        await at.rest(5)
        assert rule(at, meta)["metadata"]["resourceVersion"] == before


async def test_np_12_counterparts_of_no_policy_are_deleted(at: Desk) -> None:
    head = at.origin("NetworkPolicy", ObjectMeta(namespace=HOME, name="nobody", uid="no-such-uid"))
    spec = {"networkRef": {"name": "n"}, "networkInterfaceSelector": {}, "policyTypes": ["Ingress"]}
    await at.create(POLICIES.target, "left-over", metadata=head, spec=spec)
    await at.create(POLICIES.rule, "left-over-too", metadata=head, networkRef={"name": "n", "uid": "u"})
    await at.create(POLICIES.rule, "theirs", networkRef={"name": "n", "uid": "u"})
    async with at.daemon():
        await at.rest()
        assert at.all(POLICIES.target) == []
        assert [one["metadata"]["name"] for one in at.all(POLICIES.rule)] == ["theirs"]


# -- decisions and flaws beyond the scenarios --------------------------------------------------------------------------


async def test_a_rule_waits_for_the_network_of_the_data_plane_and_the_copy_does_not(at: Desk) -> None:
    theirs = {"annotations": {IRONCORE.managed_by_annotation: "somebody"}}
    async with at.daemon():
        network = await at.create(at.world.kinds.network, "blue", metadata=theirs, spec={})
        meta = await policy(at, **BOTH_WAYS)
        await at.rest()
        assert copy(at, meta)["spec"]["networkRef"] == {"name": network.uid}
        assert at.all(POLICIES.rule) == []
        made = await at.create(at.world.kinds.apinet_network, network.uid, spec={})
        await at.rest(5)
        assert rule(at, meta)["networkRef"] == {"name": network.uid, "uid": made.uid}


async def test_a_policy_whose_network_is_made_anew_is_made_anew_too_and_says_so(at: Desk) -> None:
    async with at.daemon():
        network, meta = await told_of_two(at)
        await at.rest()
        before = copy(at, meta)["metadata"]["uid"]
        await at.delete(at.world.kinds.network, network)
        await at.rest(5)
        assert copy(at, meta)["metadata"]["uid"] == before  # what is enforced stays while there is no network
        again = await at.declare_network()
        await at.rest()
        assert copy(at, meta)["metadata"]["uid"] != before
        assert copy(at, meta)["spec"]["networkRef"] == {"name": again.uid}
        assert rule(at, meta)["networkRef"]["name"] == again.uid
        assert "spec.networkRef of NetworkPolicy" in at.told("Recreating")[0]


async def test_one_interface_concerns_every_policy_that_selects_it_also_by_an_empty_selector(at: Desk) -> None:
    async with at.daemon():
        network = await at.declare_network()
        await at.declare_network("red")
        everybody = [
            await policy(at, f"all-{number}", networkInterfaceSelector={}, policyTypes=["Ingress"])
            for number in range(3)
        ]
        web = await policy(at, "web", policyTypes=["Ingress"])
        has_app = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
        named = await policy(at, "named", networkInterfaceSelector=has_app, policyTypes=["Ingress"])
        other = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["target"]}]}
        others = await policy(at, "others", networkInterfaceSelector=other, policyTypes=["Ingress"])
        red = await policy(at, "red", networkRef={"name": "red"}, policyTypes=["Ingress"])
        await at.rest()
        await nic(at, "late", "10.0.0.1", network, app="target")
        await at.rest(5)
        assert [targets(at, one) for one in (*everybody, web, named)] == [["10.0.0.1"]] * 5
        assert [targets(at, one) for one in (others, red)] == [[], []]


async def test_an_interface_counts_for_its_new_source_once_that_has_it_also_where_nobody_knows_its_network(
    at: Desk,
) -> None:
    lost = ObjectMeta(namespace=TARGET_NAMESPACE, name="lost", uid="no-such-network")
    found = await nic(at, "machine-0", "192.168.178.1", lost)
    async with at.daemon():
        await at.declare_network()
        user = await declared_nic(at, "nic", found, app="target")
        meta = await policy(at, policyTypes=["Ingress"])
        await at.rest(5)
        assert targets(at, meta) == ["192.168.178.1"]
    await at.delete_by_force(at.world.kinds.network_interface, user)
    await declared_nic(at, "nic", found, app="target")  # as a backup brings it back: of another uid
    async with at.daemon():
        await at.rest()
        assert targets(at, meta) == ["192.168.178.1"]


async def test_nobody_of_another_network_or_namespace_counts_though_labels_and_names_are_the_same(at: Desk) -> None:
    web = {"labels": {"app": "web"}}
    inner = {"type": "Internal", "ipFamilies": ["IPv4"]}

    async def everybody(name: str, network: ObjectMeta, place: int, *, namespace: str = HOME) -> None:
        """An interface that has labels itself, one whose user has labels, a balancer of each kind, and a virtual IP."""
        kinds = at.world.kinds
        await nic(at, f"{name}-own", f"10.{place}.0.1", network, app="web")
        bare = await nic(at, f"{name}-bare", f"10.{place}.0.2", network)
        common = {"networkRef": {"name": network.name}}
        spec = {**common, "ips": [{"value": "10.9.9.9"}], "providerID": _provider_id(bare)}
        await at.create(kinds.network_interface, name, namespace=namespace, metadata=web, spec=spec)
        given = [{"value": f"10.{place}.0.3"}]
        await at.create(
            kinds.load_balancer, name, namespace=namespace, metadata=web, spec={**inner, **common, "ips": given}
        )
        theirs = {
            "type": "Internal",
            "networkRef": {"name": network.uid},
            "selector": {"matchLabels": web["labels"]},
            "template": {"metadata": web},
            "ips": [{"name": "a", "ipFamily": "IPv4", "ip": f"10.{place}.0.4"}],
        }
        await at.create(kinds.apinet_load_balancer, name, metadata=web, spec=theirs)

    async with at.daemon():
        blue = await at.declare_network()
        red = await at.declare_network("red")
        away = await at.create(at.world.kinds.network, "blue", namespace="kube-public", spec={})
        chooses = [chosen(kind, app="web") for kind in ("NetworkInterface", "LoadBalancer", "VirtualIP")]
        rules: dict[str, Any] = {
            "ingress": [{"from": chooses}],
            "networkInterfaceSelector": {"matchLabels": web["labels"]},
        }
        meta = await policy(at, **rules)
        await everybody("here", blue, 1)
        await everybody("red", red, 2)
        await everybody("away", away, 3, namespace="kube-public")
        public = {"type": "Public", "ipFamily": "IPv4"}
        mine = await vip(at, "public", app="web")
        await at.create(at.world.kinds.virtual_ip, "public", namespace="kube-public", metadata=web, spec=public)
        await at.rest()
        address = at.live(at.world.kinds.virtual_ip, mine)["status"]["ip"]
        ours = [f"10.1.0.{number}" for number in (1, 2, 3, 4)]
        assert targets(at, meta) == ours[:2]
        assert set(let_in(at, meta)) == {f"{one}/32" for one in (*ours, address)}


async def test_load_balancers_are_let_in_by_their_own_labels_and_those_of_their_sources(at: Desk) -> None:
    async with at.daemon():
        network = await at.declare_network()
        meta = await policy(at, ingress=[{"ports": [{"port": 80}], "from": [chosen("LoadBalancer", app="web")]}])
        inner = {"type": "Internal", "ipFamilies": ["IPv4"], "ips": [{"value": "10.0.0.7"}], **NETWORK}
        user = await at.create(at.world.kinds.load_balancer, "web", metadata={"labels": {"app": "web"}}, spec=inner)
        own = {"labels": {"app": "web"}}
        spec = {"type": "Internal", "networkRef": {"name": network.uid}, "selector": {"matchLabels": own["labels"]}}
        ips = [{"name": "a", "ipFamily": "IPv4", "ip": "10.0.0.8"}, {"name": "b", "ipFamily": "IPv6"}]
        theirs = {**spec, "ips": ips, "template": {"metadata": own}}
        made = await at.create(at.world.kinds.apinet_load_balancer, "theirs", metadata=own, spec=theirs)
        await at.rest()
        assert let_in(at, meta) == ["10.0.0.7/32", "10.0.0.8/32"]
        await at.change(at.world.kinds.load_balancer, user, {"spec": {"ips": [{"value": "10.0.0.9"}]}})
        await at.rest(5)
        assert let_in(at, meta) == ["10.0.0.8/32", "10.0.0.9/32"]
        await at.change(at.world.kinds.load_balancer, user, {"metadata": {"labels": {"app": "db"}}})
        await at.rest(5)
        assert let_in(at, meta) == ["10.0.0.8/32"]
        for labels, expected in (({"app": "db"}, []), ({"app": "web"}, ["10.0.0.8/32"])):
            await at.change(at.world.kinds.apinet_load_balancer, made, {"metadata": {"labels": labels}})
            await at.rest(5)
            assert let_in(at, meta) == expected
        await at.delete(at.world.kinds.apinet_load_balancer, made)
        await at.rest(5)
        assert let_in(at, meta) == []


async def test_a_direction_that_nothing_may_pass_is_told_for_no_rule_can_say_it(at: Desk) -> None:
    async with at.daemon():
        await at.declare_network()
        meta = await policy(at, policyTypes=["Ingress"])
        await at.rest()
        assert copy(at, meta)["spec"]["policyTypes"] == ["Ingress"]
        assert "ingressRule" not in rule(at, meta)
        assert "spec.policyTypes names Ingress" in at.told("IsolationNotExpressible")[0]


@pytest.mark.parametrize("expands", [True, False])
async def test_empty_lists_are_written_out_unless_that_is_switched_off(at: Desk, expands: bool) -> None:
    async with at.daemon(expand_policy_rules=expands):
        await at.declare_network()
        meta = await policy(at, ingress=[{}])
        await at.rest()
        [entry] = rule(at, meta)["ingressRule"]
        assert sorted(entry) == (["ipBlock", "networkPolicyPorts"] if expands else [])
        assert copy(at, meta)["spec"]["ingress"] == [{}]


async def test_a_policy_of_somebody_else_is_not_written_and_one_outside_the_filter_neither(at: Desk) -> None:
    async with at.daemon(watch_filter="mine"):
        await at.create(
            at.world.kinds.network, "blue", metadata={"labels": {IRONCORE.watch_filter_label: "mine"}}, spec={}
        )
        await at.rest(5)
        before = at.world.writes
        meta = await policy(at, policyTypes=["Ingress"])
        await at.rest()
        assert at.world.writes == before
        labels = {"labels": {IRONCORE.watch_filter_label: "mine"}}
        await at.change(POLICIES.source, meta, {"metadata": labels})
        await at.rest(5)
        mapped = at.world.writes
        assert mapped > before
        theirs = {"annotations": {IRONCORE.managed_by_annotation: ""}}
        await at.change(POLICIES.source, meta, {"metadata": theirs, "spec": {"policyTypes": ["Egress"]}})
        await at.rest(5)
        assert at.world.writes == mapped
        await at.delete(POLICIES.source, meta)
        await at.rest(5)
        assert at.all(POLICIES.source) == at.all(POLICIES.target) == at.all(POLICIES.rule) == []


async def test_what_others_write_into_counterparts_is_put_right_and_theirs_stays(at: Desk) -> None:
    async with at.daemon():
        network, meta = await told_of_two(at)
        await nic(at, "target", "192.168.178.1", network, app="target")
        await at.rest()
        before = [{**one, "metadata": None} for one in (copy(at, meta), rule(at, meta))]
        there = ObjectMeta(namespace=TARGET_NAMESPACE, name=meta.uid)
        label = {"metadata": {"labels": {"example.org/theirs": "kept"}}}
        everybody = [{"ipBlock": [{"cidr": "0.0.0.0/0"}], "networkPolicyPorts": [{"protocol": "TCP"}]}]
        await at.change(POLICIES.rule, there, {**label, "ingressRule": everybody, "targets": None, "priority": 1})
        await at.change(POLICIES.target, there, {**label, "spec": {"egress": None, "policyTypes": ["Ingress"]}})
        await at.rest(5)
        assert [{**one, "metadata": None} for one in (copy(at, meta), rule(at, meta))] == before
        for document in (copy(at, meta), rule(at, meta)):
            assert document["metadata"]["labels"]["example.org/theirs"] == "kept"


async def test_what_others_add_where_a_policy_says_nothing_is_taken_away_each_by_itself(at: Desk) -> None:
    everybody = [{"ipBlock": [{"cidr": "0.0.0.0/0"}], "networkPolicyPorts": [{"protocol": "TCP"}]}]
    async with at.daemon():
        await at.declare_network()
        meta = await policy(at, policyTypes=["Egress", "Ingress"])
        await at.rest()
        before = [{**one, "metadata": None} for one in (copy(at, meta), rule(at, meta))]
        there = ObjectMeta(namespace=TARGET_NAMESPACE, name=meta.uid)
        for kind, patch in (
            (POLICIES.target, {"spec": {"ingress": [{"from": [block("10.0.0.0/8")]}]}}),
            (POLICIES.target, {"spec": {"egress": [{"to": [block("10.0.0.0/8")]}]}}),
            (POLICIES.target, {"spec": {"networkInterfaceSelector": {}}}),
            (POLICIES.rule, {"targets": [{"ip": "10.0.0.1"}]}),
            (POLICIES.rule, {"ingressRule": everybody}),
            (POLICIES.rule, {"egressRule": everybody}),
        ):
            await at.change(kind, there, patch)
            await at.rest(5)
            assert [{**one, "metadata": None} for one in (copy(at, meta), rule(at, meta))] == before


async def test_the_counterparts_of_a_policy_that_was_deleted_and_made_anew_go(at: Desk) -> None:
    async with at.daemon():
        _, meta = await told_of_two(at)
        await at.rest()
    await at.delete_by_force(POLICIES.source, meta)
    again = await policy(at, **BOTH_WAYS)
    async with at.daemon():
        await at.rest()
    assert again.uid != meta.uid
    for kind in (POLICIES.target, POLICIES.rule):
        assert [one["metadata"]["name"] for one in at.all(kind)] == [again.uid]


async def test_a_pass_over_a_mapped_policy_writes_nothing_nor_does_a_restart(at: Desk) -> None:
    async with at.daemon() as daemon:
        network, _ = await told_of_two(at)
        await nic(at, "target", "192.168.178.1", network, app="target")
        await policy(at, "open", ingress=[{}], egress=[{"to": [chosen("VirtualIP")]}], networkInterfaceSelector={})
        await at.rest()
        before = at.everything()
        daemon.controller("networkpolicy").enqueue_all()
        await at.rest()
        assert at.everything() == before
    async with at.daemon():
        await at.rest()
        assert at.everything() == before


async def test_counterparts_of_the_former_layout_are_moved_and_kept_and_a_second_start_moves_nothing(at: Desk) -> None:
    async with at.daemon():
        _, meta = await told_of_two(at)
        await at.rest(5)
    expected = at.origin("NetworkPolicy", meta)
    uids = [one["metadata"]["uid"] for one in (copy(at, meta), rule(at, meta))]
    there = ObjectMeta(namespace=TARGET_NAMESPACE, name=meta.uid)
    for kind in (POLICIES.target, POLICIES.rule):
        former = {"labels": expected["annotations"], "annotations": dict.fromkeys(expected["annotations"])}
        await at.change(kind, there, {"metadata": former})
    async with at.daemon():
        await at.rest(5)
    for document, uid in zip((copy(at, meta), rule(at, meta)), uids, strict=True):
        head = document["metadata"]
        assert (head["uid"], {where: head[where] for where in expected}) == (uid, expected)
    before = at.everything()
    async with at.daemon():
        await at.rest(5)
        assert at.everything() == before


async def test_the_servers_refuse_what_no_policy_of_theirs_may_say(at: Desk) -> None:
    network = await at.declare_network()
    for ports in ([{"endPort": 9}], [{"port": 9, "endPort": 8}]):
        with pytest.raises(Invalid, match=r"spec\.ingress\[0\]\.ports\[0\]"):
            await policy(at, ingress=[{"ports": ports}])
    with pytest.raises(Invalid, match=r"objectSelector\.kind: Unsupported value"):
        await policy(at, ingress=[{"from": [chosen("Machine", app="a")]}])
    spec = {"networkRef": {"name": network.uid}, "networkInterfaceSelector": {}, "policyTypes": ["Egress"]}
    for kind in ("NetworkInterface", "VirtualIP"):
        made = at.create(POLICIES.target, kind.lower(), spec={**spec, "egress": [{"to": [chosen(kind, app="a")]}]})
        with pytest.raises(Invalid) if kind == "VirtualIP" else nullcontext():
            await made


async def test_the_first_generation_maps_no_policies() -> None:
    async with desk(ONMETAL) as at, at.daemon() as daemon:
        await at.declare_network()
        await at.rest(5)
        before = at.world.writes
        spec = {**NETWORK, "networkInterfaceSelector": {}, "ingress": [{}]}
        await at.create(at.world.at_source["networkpolicies"], "guard", spec=spec)
        await at.rest()
        assert at.world.writes == before
        assert "networkpolicy" not in [controller.name for controller in daemon.controllers]
