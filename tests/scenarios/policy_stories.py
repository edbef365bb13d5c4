"""Every story of a NetworkPolicy: who does what to both clusters, and what must come of it.

The acceptance scenarios, restated. ``then`` of a story holds in every telling, however the daemon is disturbed; and at
no moment of any telling does a rule let everybody through.
"""

import functools
import random
from typing import Any

from apinetlet.api import IRONCORE, Kinds, PolicyKinds
from apinetlet.demo import apinet as server
from apinetlet.demo.definitions import source_kinds
from apinetlet.settings import Settings
from provider import ProviderID
from reconcile import ObjectKey
from reconcile.kube import MergePatch
from reconcile.testing.apiserver import ApiServer, Kind
from reconcile.testing.faultplan import FaultPlan, Refused
from reconcile.testing.scenario import Act, Look, Scenario, Step, in_turn, step
from reconcile.testing.state import Allocated
from reconcile.testing.world import World
from tests.scenarios.networks import (
    APINET,
    FOREIGN,
    HOME,
    SOURCE,
    TARGET,
    apinetlet,
    fail,
    heal,
    namespaces,
    untouched,
)
from tests.scenarios.pairs import (
    Pair,
    change,
    change_counterpart,
    create,
    delete,
    delete_counterpart,
    has_counterparts,
    name_of,
    objects,
    replace_while_down,
    source,
)

KINDS = Kinds.of(IRONCORE)
FOUND = PolicyKinds.of(IRONCORE)
assert FOUND is not None
POLICIES: PolicyKinds = FOUND
PAIR = Pair(IRONCORE, POLICIES.source, POLICIES.target, POLICIES.rule)


# -- the world ---------------------------------------------------------------------------------------------------------


@functools.cache
def _kinds() -> tuple[tuple[Kind, ...], tuple[Kind, ...], random.Random]:
    rng = random.Random()
    return source_kinds(IRONCORE), server.kinds(IRONCORE, rng), rng


def a_world() -> World:
    """Two servers, and apinetlet between them."""
    sources, targets, rng = _kinds()
    rng.seed(0)
    return World(
        {
            SOURCE: ApiServer(sources, rng=random.Random("source")),
            APINET: ApiServer(targets, rng=random.Random("apinet")),
        },
        apinetlet(IRONCORE, Settings(api_net_namespace=TARGET)),
        always=_always,
        allocated=(
            Allocated(KINDS.apinet_network.name, ("spec", "id")),
            Allocated(KINDS.apinet_ip.name, ("spec", "ip")),
        ),
    )


def _always(world: World) -> None:
    last = world.writes[-1]
    if last.agent != "program":
        return
    if (last.cluster, last.resource) == (SOURCE, POLICIES.source.name):
        event = world.servers[SOURCE].storage.table(last.resource).history[-1]
        if event.new is None:
            assert event.old is not None
            left = {name_of(one) for kind in PAIR.counterparts for one in objects(world, kind)}
            assert event.old.uid not in left, "a policy was let go of before its counterparts"
    if (last.cluster, last.resource) == (APINET, POLICIES.rule.name):
        for rule in objects(world, POLICIES.rule):
            entries = [*(rule.get("ingressRule") or ()), *(rule.get("egressRule") or ())]
            blocks = {one["cidr"] for entry in entries for one in entry.get("ipBlock") or ()}
            assert blocks <= {"192.0.2.0/24"}, "a rule lets through whom nobody named"


# -- what people do ----------------------------------------------------------------------------------------------------


def chosen(kind: str, **labels: str) -> dict[str, Any]:
    return {"objectSelector": {"kind": kind, "matchLabels": labels}}


SPEC: dict[str, Any] = {
    "networkRef": {"name": "blue"},
    "networkInterfaceSelector": {"matchLabels": {"app": "web"}},
    "ingress": [
        {
            "ports": [{"port": 443}],
            "from": [
                chosen("NetworkInterface", app="proxy"),
                chosen("LoadBalancer", app="front"),
                {"ipBlock": {"cidr": "192.0.2.0/24"}},
            ],
        },
        {"ports": [{"protocol": "UDP", "port": 53}], "from": [chosen("VirtualIP", app="dns")]},
    ],
}


def nic(name: str, ip: str, state: str = "Ready", **labels: str) -> Act:
    """The provider of machines makes an interface in the network that is there."""

    async def act(world: World) -> None:
        uid = source(world, KINDS.network, "blue")["metadata"]["uid"]
        spec = {"nodeRef": {"name": "node"}, "networkRef": {"name": uid}, "ips": [ip]}
        status = {"status": {"state": state}} if state else {}
        head = {"name": name, "labels": labels}
        body = {"metadata": head, "spec": spec, **status}
        await world.client(APINET).create(KINDS.apinet_network_interface, body, namespace=TARGET)

    return act


def edit_nic(name: str, patch: dict[str, Any], *, subresource: str = "") -> Act:
    async def act(world: World) -> None:
        key, kind = ObjectKey(TARGET, name), KINDS.apinet_network_interface
        await world.client(APINET).patch(kind, key, MergePatch(patch), subresource=subresource)

    return act


def program(name: str, state: str) -> Act:
    return edit_nic(name, {"status": {"state": state}}, subresource="status")


def remove_nic(name: str) -> Act:
    async def act(world: World) -> None:
        await world.client(APINET).delete(KINDS.apinet_network_interface, ObjectKey(TARGET, name))

    return act


def attached(name: str, to: str, **labels: str) -> Act:
    """A user's interface, on one of the data plane."""

    async def act(world: World) -> None:
        [uid] = [one["metadata"]["uid"] for one in objects(world, KINDS.apinet_network_interface) if name_of(one) == to]
        provider_id = str(
            ProviderID.network_interface(IRONCORE.scheme, namespace=TARGET, name=to, node="node", uid=uid)
        )
        spec = {"networkRef": {"name": "blue"}, "ips": [{"value": "10.9.9.9"}], "providerID": provider_id}
        body = {"metadata": {"name": name, "labels": labels}, "spec": spec}
        await world.client(SOURCE).create(KINDS.network_interface, body, namespace=HOME)

    return act


# -- what is there -----------------------------------------------------------------------------------------------------


def rule(world: World) -> dict[str, Any]:
    [found] = objects(world, POLICIES.rule)
    return dict(found)


def mapped(*targets: str, peers: tuple[str, ...] = ()) -> Look:
    """The policy has its counterparts, of their origin, owner and network; the rule has just these addresses."""

    def look(world: World) -> None:
        one = source(world, POLICIES.source, "guard")
        network = source(world, KINDS.network, "blue")["metadata"]["uid"]
        [copy] = objects(world, POLICIES.target)
        found, uid = rule(world), one["metadata"]["uid"]
        [there] = [made for made in objects(world, KINDS.apinet_network) if name_of(made) == network]
        for made in (copy, found):
            kept = {where: made["metadata"][where] for where in ("labels", "annotations")}
            assert (name_of(made), kept) == (uid, PAIR.origin(HOME, "guard", uid))
        assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [copy["metadata"]["uid"]]
        assert IRONCORE.finalizer("NetworkPolicy") in one["metadata"]["finalizers"]
        assert copy["spec"]["networkRef"] == {"name": network}
        assert found["networkRef"] == {"name": network, "uid": there["metadata"]["uid"]}
        assert [each["ip"] for each in found.get("targets") or ()] == list(targets)
        if len(found["ingressRule"]) == 2:
            assert [each["prefix"] for each in found["ingressRule"][0].get("ips") or ()] == list(peers)

    return look


def nothing_left(world: World) -> None:
    for kind in (POLICIES.source, *PAIR.counterparts):
        assert not objects(world, kind)


def lets_the_address_of_dns_in(world: World) -> None:
    """The one that the virtual IP has, in both counterparts."""
    address = source(world, KINDS.virtual_ip, "dns")["status"]["ip"]
    [copy] = objects(world, POLICIES.target)
    assert rule(world)["ingressRule"][1]["ips"] == [{"ipFamily": "IPv4", "prefix": f"{address}/32"}]
    assert copy["spec"]["ingress"][1]["from"] == [{"ipBlock": {"cidr": f"{address}/32"}}]


# -- the stories -------------------------------------------------------------------------------------------------------


def stories() -> list[Scenario]:
    """All of them."""
    network, guard = create(KINDS.network, "blue", spec={}), create(POLICIES.source, "guard", spec=SPEC)
    web, proxy = nic("web", "10.0.0.1", app="web"), nic("proxy", "10.0.0.2", app="proxy")
    is_there = has_counterparts(PAIR, "guard")
    dns = create(
        KINDS.virtual_ip, "dns", metadata={"labels": {"app": "dns"}}, spec={"type": "Public", "ipFamily": "IPv4"}
    )
    inner = {"type": "Internal", "ipFamilies": ["IPv4"], "ips": [{"value": "10.0.0.9"}], "networkRef": {"name": "blue"}}
    front = create(KINDS.load_balancer, "front", metadata={"labels": {"app": "front"}}, spec=inner)

    def story(name: str, *steps: Step, then: Look, setup: Act | None = None) -> Scenario:
        return Scenario(name, a_world, steps, setup=setup or in_turn(namespaces(), network, web, proxy), then=then)

    def dangling(world_name: str) -> Act:
        head = PAIR.origin(HOME, "nobody", "no-such-uid")
        spec = {"networkRef": {"name": "n"}, "networkInterfaceSelector": {}, "policyTypes": ["Ingress"]}
        return in_turn(
            create(POLICIES.target, world_name, metadata=head, spec=spec),
            create(POLICIES.rule, world_name, metadata=head, networkRef={"name": "n", "uid": "u"}),
        )

    return [
        story("mapped", step(guard), then=mapped("10.0.0.1", peers=("10.0.0.2/32",))),
        story(
            "network, policy and virtual IP in any order",
            step(network, guard, dns),
            setup=namespaces(),
            then=lets_the_address_of_dns_in,
        ),
        story(
            "interfaces come, are reached, are somebody else's, and go",
            step(guard, nic("late", "10.0.0.3", "", app="web")),
            step(program("late", "Ready"), edit_nic("proxy", {"metadata": {"labels": {"app": None}}})),
            step(program("web", "Error"), edit_nic("proxy", {"metadata": {"labels": {"app": "proxy"}}})),
            step(remove_nic("web")),
            then=mapped("10.0.0.3", peers=("10.0.0.2/32",)),
        ),
        story(
            "labels of users",
            step(guard, in_turn(nic("bare", "10.0.0.4"), attached("mine", "bare", app="web")), front),
            then=mapped("10.0.0.1", "10.0.0.4", peers=("10.0.0.2/32", "10.0.0.9/32")),
        ),
        story(
            "a user's interface goes",
            step(guard, in_turn(nic("bare", "10.0.0.4"), attached("mine", "bare", app="web"))),
            step(delete(KINDS.network_interface, "mine")),
            then=mapped("10.0.0.1", peers=("10.0.0.2/32",)),
        ),
        story(
            "another selector",
            step(guard),
            step(
                change(
                    POLICIES.source,
                    "guard",
                    {"spec": {"networkInterfaceSelector": {"matchLabels": {"app": "proxy"}}}},
                )
            ),
            then=mapped("10.0.0.2", peers=("10.0.0.2/32",)),
        ),
        story("deleted", step(guard), step(delete(POLICIES.source, "guard")), then=nothing_left),
        story("deleted at once", step(in_turn(guard, delete(POLICIES.source, "guard"))), then=nothing_left),
        story(
            "its network is made anew",
            step(guard),
            step(
                in_turn(
                    change(KINDS.network, "blue", {"metadata": {"finalizers": None}}), delete(KINDS.network, "blue")
                ),
                needs=is_there,
            ),
            step(network, needs=lambda world: not objects(world, KINDS.network)),
            then=mapped(),
        ),
        story(
            "counterparts changed and disowned by hand",
            step(guard),
            step(
                change_counterpart(PAIR, POLICIES.rule, "guard", {"metadata": {"ownerReferences": None}}),
                change_counterpart(PAIR, POLICIES.rule, "guard", {"targets": None, "egressRule": [{}]}),
                change_counterpart(PAIR, POLICIES.target, "guard", {"spec": {"egress": [{}], "priority": 1}}),
                needs=is_there,
            ),
            then=mapped("10.0.0.1", peers=("10.0.0.2/32",)),
        ),
        story(
            "rule deleted by hand",
            step(guard),
            step(delete_counterpart(PAIR, POLICIES.rule, "guard"), needs=is_there),
            then=mapped("10.0.0.1", peers=("10.0.0.2/32",)),
        ),
        story(
            "counterpart held by somebody",
            step(guard),
            step(
                change_counterpart(PAIR, POLICIES.target, "guard", {"metadata": {"finalizers": [FOREIGN]}}),
                needs=is_there,
            ),
            step(delete(POLICIES.source, "guard")),
            step(change_counterpart(PAIR, POLICIES.target, "guard", {"metadata": {"finalizers": None}})),
            then=nothing_left,
        ),
        story("counterparts of nobody", step(dangling("left-over")), then=nothing_left),
        story(
            "made anew while the daemon was down",
            step(guard),
            step(replace_while_down(PAIR, "guard", SPEC), needs=is_there),
            then=mapped("10.0.0.1", peers=("10.0.0.2/32",)),
        ),
        story(
            "managed by somebody",
            step(
                create(
                    POLICIES.source,
                    "guard",
                    metadata={"annotations": {IRONCORE.managed_by_annotation: "x"}},
                    spec=SPEC,
                )
            ),
            setup=namespaces(),
            then=untouched,
        ),
        story(
            "created while the other side is down",
            step(fail(FaultPlan.of(Refused()))),
            step(guard),
            step(heal),
            then=mapped("10.0.0.1", peers=("10.0.0.2/32",)),
        ),
    ]
