"""Load balancers in translation: tables of what is asked for and what comes of it, in both generations."""

import random
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from apinetlet.api import GENERATIONS, IRONCORE, ONMETAL, Generation, Kinds, apinet, ipam, networking
from apinetlet.api.apinet import Address, Selector
from apinetlet.api.networking import Destination, DestinationRef, IPSource, LoadBalancerPort, LoadBalancerSpec
from apinetlet.api.references import LocalRef
from apinetlet.translate import loadbalancer as translate
from apinetlet.translate.addresses import addresses, lost, status
from apinetlet.translate.loadbalancer import View
from apinetlet.translate.refused import Refused
from reconcile import ObjectMeta
from reconcile.kube.objects import OwnerReference

BOTH = pytest.mark.parametrize("generation", GENERATIONS.values(), ids=GENERATIONS)
META = ObjectMeta(namespace="home", name="web", uid="u-web")
NODE = "apinetlet.ironcore.dev"
THREE = {
    f"{NODE}/loadbalancer-{part}": value for part, value in (("namespace", "home"), ("name", "web"), ("uid", "u-web"))
}
TWO = {key: value for key, value in THREE.items() if not key.endswith("-name")}
OWNER = OwnerReference(
    api_version="core/v1", kind="LoadBalancer", name="u-web", uid="t", controller=True, block_owner_deletion=True
)


def a_view(generation: Generation = IRONCORE, **changes: Any) -> View:
    """A public load balancer of one family; ``changes`` are of its spec, or of the view where that has the name."""
    of_view = {name: changes.pop(name) for name in ("target", "nodes", "prefixes", "network") if name in changes}
    spec = LoadBalancerSpec(type="Public", ip_families=("IPv4",), network_ref=LocalRef("blue"))
    view = View(
        networking.LoadBalancer(META, spec=evolve(spec, **changes)),
        network="u-blue",
        prefixes={},
        nodes=(),
        target=None,
        namespace="apinet",
        kinds=Kinds.of(generation),
        generation=generation,
    )
    return evolve(view, **of_view)


def a_target(labels: dict[str, str], **changes: Any) -> apinet.LoadBalancer:
    spec = apinet.LoadBalancerSpec(
        type="Public", network_ref=LocalRef("u-blue"), selector=Selector(match_labels=labels)
    )
    return apinet.LoadBalancer(ObjectMeta(namespace="apinet", name="u-web", uid="t"), spec=evolve(spec, **changes))


def a_prefix(
    place: int, prefix: str, *, owner: str = META.uid, phase: str = ipam.ALLOCATED, **spec: Any
) -> ipam.Prefix:
    owners = (OwnerReference(api_version="n/v1", kind="LoadBalancer", name="web", uid=owner, controller=True),)
    head = ObjectMeta(namespace="home", name=f"web-{place}", uid=f"p-{place}", owner_references=owners)
    return ipam.Prefix(head, spec=ipam.PrefixSpec(prefix=prefix, **spec), status=ipam.PrefixStatus(phase))


def test_a_public_one_of_ironcore_as_a_whole() -> None:
    selector = {"matchLabels": TWO}
    assert translate.load_balancer(a_view(ports=(LoadBalancerPort("TCP", 80, 90), LoadBalancerPort(port=443)))) == {
        "apiVersion": "core.apinet.ironcore.dev/v1alpha1",
        "kind": "LoadBalancer",
        "metadata": {
            "namespace": "apinet",
            "name": "u-web",
            "labels": TWO,
            "annotations": {f"{NODE}/loadbalancer-name": "web"},
        },
        "spec": {
            "type": "Public",
            "networkRef": {"name": "u-blue"},
            "ips": [{"name": "ipv4", "ipFamily": "IPv4"}],
            "ports": [{"protocol": "TCP", "port": 80, "endPort": 90}, {"port": 443}],
            "selector": selector,
            "template": {
                "metadata": {"labels": TWO, "annotations": {f"{NODE}/loadbalancer-name": "web"}},
                "spec": {
                    "affinity": {
                        "instanceAntiAffinity": {
                            "requiredDuringSchedulingIgnoredDuringExecution": [
                                {"topologyKey": "topology.core.apinet.ironcore.dev/zone", "labelSelector": selector}
                            ]
                        }
                    }
                },
            },
        },
    }


def test_one_of_onmetal_is_selected_by_three_labels_and_has_no_annotation() -> None:
    body = translate.load_balancer(a_view(ONMETAL))
    labels = body["metadata"]["labels"]
    assert set(labels) == {f"apinetlet.api.onmetal.de/loadbalancer-{part}" for part in ("name", "namespace", "uid")}
    assert body["spec"]["selector"] == {"matchLabels": labels}
    assert body["spec"]["template"]["metadata"] == {"labels": labels}
    [term] = body["spec"]["template"]["spec"]["affinity"]["instanceAntiAffinity"].values()
    assert term[0]["topologyKey"] == "topology.core.apinet.api.onmetal.de/zone"
    assert "annotations" not in body["metadata"]
    assert "ports" not in body["spec"]


@BOTH
@pytest.mark.parametrize(
    ("families", "names"),
    [(("IPv4",), ["ipv4"]), (("IPv4", "IPv6"), ["ipv4", "ipv6"]), (("IPv6", "IPv4"), ["ipv6", "ipv4"])],
)
def test_a_public_one_asks_for_an_address_a_family_and_never_says_which(
    generation: Generation, families: tuple[str, ...], names: list[str]
) -> None:
    entries = translate.ips(a_view(generation, ip_families=families, ips=(IPSource("10.0.0.1"),)))
    assert [entry["name"] for entry in entries] == names
    assert [entry["ipFamily"] for entry in entries] == list(families)
    assert not any("ip" in entry for entry in entries)


EPHEMERAL = IPSource(ephemeral={"prefixTemplate": {}})
FIRST = {"name": "ip-0", "ipFamily": "IPv4", "ip": "10.0.0.1"}
SECOND = {"name": "ip-1", "ipFamily": "IPv6", "ip": "2001:db8::1"}


@BOTH
@pytest.mark.parametrize(
    ("sources", "prefixes", "expected"),
    [
        ((IPSource("10.0.0.1"),), [], [FIRST]),
        ((IPSource("10.0.0.1"), IPSource("2001:db8::1")), [], [FIRST, SECOND]),
        ((EPHEMERAL, IPSource("2001:db8::1")), [], [SECOND]),
        ((EPHEMERAL, IPSource("2001:db8::1")), [a_prefix(0, "10.0.0.1/32")], [FIRST, SECOND]),
        ((EPHEMERAL,), [a_prefix(0, "10.0.0.1/32", ip_family="IPv4")], [FIRST]),
        ((EPHEMERAL,), [a_prefix(0, "10.0.0.1/32", phase="Pending")], []),
        ((EPHEMERAL,), [a_prefix(0, "10.0.0.1/32", owner="somebody")], []),
        ((EPHEMERAL,), [a_prefix(1, "10.0.0.1/32")], []),
        ((), [], []),
    ],
)
def test_an_internal_one_has_the_addresses_that_are_known_named_by_their_place(
    generation: Generation, sources: tuple[IPSource, ...], prefixes: list[ipam.Prefix], expected: list[dict[str, str]]
) -> None:
    known = {one.metadata.name: one for one in prefixes}
    assert translate.ips(a_view(generation, type="Internal", ips=sources, prefixes=known)) == expected


@BOTH
@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"type": "Other"}, "UnknownType", "spec.type"),
        ({"type": ""}, "UnknownType", "spec.type"),
        ({"ip_families": ()}, "InvalidSpec", "spec.ipFamilies"),
        ({"ip_families": ("IPv4", "IPv5")}, "InvalidSpec", "spec.ipFamilies[1]"),
        ({"ip_families": ("IPv4", "IPv4")}, "InvalidSpec", "spec.ipFamilies[1]"),
        ({"ports": (LoadBalancerPort(port=1), LoadBalancerPort("TCP"))}, "InvalidSpec", "spec.ports[1].port"),
        ({"type": "Internal", "ips": (IPSource("here"),)}, "InvalidSpec", "spec.ips[0].value"),
        ({"type": "Internal", "ips": (IPSource("10.0.0.1/24"),)}, "InvalidSpec", "spec.ips[0].value"),
        ({"type": "Internal", "ips": (IPSource(),)}, "InvalidSpec", "spec.ips[0]"),
        (
            {"type": "Internal", "ips": (EPHEMERAL,), "prefixes": {"web-0": a_prefix(0, "here")}},
            "InvalidPrefix",
            "spec.ips[0]",
        ),
        (
            {
                "type": "Internal",
                "ips": (EPHEMERAL,),
                "prefixes": {"web-0": a_prefix(0, "10.0.0.1/32", ip_family="IPv6")},
            },
            "InvalidPrefix",
            "spec.ips[0]",
        ),
    ],
)
def test_what_no_valid_one_says_is_refused_by_its_field(
    generation: Generation, changes: dict[str, Any], reason: str, field: str
) -> None:
    with pytest.raises(Refused) as caught:
        translate.load_balancer(a_view(generation, **changes))
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert str(caught.value).startswith(field)


@pytest.mark.parametrize("selector", [TWO, THREE], ids=["two labels", "three labels"])
def test_a_selector_that_some_daemon_wrote_stays_with_all_that_must_match_it(selector: dict[str, str]) -> None:
    view = a_view(target=a_target(selector))
    assert translate.differences(view) == ()
    body = translate.load_balancer(view)
    assert body["metadata"]["labels"] == TWO  # the origin itself is in the new layout
    assert body["spec"]["selector"] == {"matchLabels": selector}
    assert body["spec"]["template"]["metadata"]["labels"] == selector
    [[term]] = body["spec"]["template"]["spec"]["affinity"]["instanceAntiAffinity"].values()
    assert term["labelSelector"] == {"matchLabels": selector}


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({}, ()),
        ({"type": "Internal"}, ("type",)),
        ({"network_ref": LocalRef("other")}, ("networkRef",)),
        ({"selector": Selector(match_labels={"a": "b"})}, ("selector",)),
        (
            {"selector": Selector(match_labels=THREE, match_expressions=({"key": "a", "operator": "Exists"},))},
            ("selector",),
        ),
        ({"selector": Selector()}, ("selector",)),
        ({"type": "Internal", "network_ref": LocalRef("")}, ("type", "networkRef")),
        ({"ips": (Address("ipv4", "IPv4", "1.2.3.4"),)}, ()),
    ],
)
def test_what_cannot_be_changed_is_named(changes: dict[str, Any], differing: tuple[str, ...]) -> None:
    assert translate.differences(a_view(target=a_target(TWO, **changes))) == differing


# -- destinations ------------------------------------------------------------------------------------------------------


def at(ip: str, provider_id: str | None = None) -> Destination:
    return Destination(ip, None if provider_id is None else DestinationRef(provider_id))


def nic(name: str, generation: Generation = IRONCORE, *, node: str = "a.node") -> str:
    return f"{generation.scheme.value}://anywhere/{name}/{node}/uid-of-{name}"


def known(ip: str, name: str, node: str = "a.node") -> dict[str, Any]:
    return {"ip": ip, "targetRef": {"uid": f"uid-of-{name}", "name": name, "nodeRef": {"name": node}}}


DESTINATIONS = [
    ([], []),
    ([at("10.0.0.1", nic("a"))], [known("10.0.0.1", "a")]),
    ([at("10.0.0.1")], [{"ip": "10.0.0.1"}]),
    ([at("10.0.0.1", "")], [{"ip": "10.0.0.1"}]),
    ([at("10.0.0.1", nic("a", ONMETAL))], [{"ip": "10.0.0.1"}]),
    ([at("10.0.0.1", nic("a") + "/more")], [{"ip": "10.0.0.1"}]),
    ([at("10.0.0.10"), at("10.0.0.9"), at("10.0.0.9")], [{"ip": "10.0.0.9"}, {"ip": "10.0.0.10"}]),
    ([at("2001:db8::1"), at("10.0.0.1")], [{"ip": "10.0.0.1"}, {"ip": "2001:db8::1"}]),
    ([at("10.0.0.1", nic("b")), at("10.0.0.1", nic("a"))], [known("10.0.0.1", "a"), known("10.0.0.1", "b")]),
    ([at("nowhere", nic("a")), at("10.0.0.1")], [{"ip": "10.0.0.1"}]),
]


@pytest.mark.parametrize(("given", "expected"), DESTINATIONS)
def test_destinations_come_once_in_order_with_whom_they_reach(
    given: list[Destination], expected: list[dict[str, Any]]
) -> None:
    body = translate.routing(a_view(), given, OWNER)
    assert body.get("destinations", []) == expected
    assert ("destinations" in body) == bool(expected)
    assert body["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "core/v1",
            "kind": "LoadBalancer",
            "name": "u-web",
            "uid": "t",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert body["metadata"]["labels"] == TWO


@given(st.lists(st.sampled_from([one for given, _ in DESTINATIONS for one in given]), max_size=8), st.randoms())
def test_neither_order_nor_repetition_of_destinations_matters(given: list[Destination], rng: random.Random) -> None:
    shuffled = rng.sample(given + given, 2 * len(given))
    assert translate.routing(a_view(), given, OWNER) == translate.routing(a_view(), shuffled, OWNER)


def test_a_destination_that_is_no_address_is_named() -> None:
    assert translate.faults([at("10.0.0.1"), at("nowhere"), at("")]) == (
        "destinations[1].ip is 'nowhere', no IP address",
        "destinations[2].ip is '', no IP address",
    )


def test_only_nodes_that_are_known_count_and_each_once_in_order() -> None:
    given = [
        at("10.0.0.2", nic("b", node="z")),
        at("10.0.0.1", nic("a", node="b")),
        at("10.0.0.3"),
        at("10.0.0.4", "?"),
    ]
    assert translate.nodes([*given, given[0]], IRONCORE) == ("b", "z")
    assert translate.nodes(given[2:], IRONCORE) == ()


def test_an_affinity_to_nodes_is_one_term_a_node_and_absent_without_nodes() -> None:
    affinity = translate.load_balancer(a_view(nodes=("a", "b")))["spec"]["template"]["spec"]["affinity"]
    assert affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] == {
        "nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]} for node in ("a", "b")
        ]
    }
    assert set(translate.load_balancer(a_view())["spec"]["template"]["spec"]["affinity"]) == {"instanceAntiAffinity"}


# -- status ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "before", "expected"),
    [
        ([], (), None),
        ([Address("ipv4", "IPv4")], (), None),
        ([Address("ipv4", "IPv4", "1.2.3.4")], (), ["1.2.3.4"]),
        ([Address("ipv4", "IPv4", "1.2.3.4")], ("1.2.3.4",), None),
        (
            [Address("b", "", "1.2.3.5"), Address("c"), Address("a", "", "1.2.3.4")],
            ("1.2.3.4",),
            ["1.2.3.5", "1.2.3.4"],
        ),
        ([], ("1.2.3.4",), []),
        ([], (None,), []),
    ],
)
def test_the_status_lists_the_addresses_there_are_in_order(
    entries: list[Address], before: tuple[str | None, ...], expected: list[str] | None
) -> None:
    source = networking.LoadBalancer(META, status=networking.AddressStatus(before))
    patch = status(source, addresses(entries))
    assert (None if patch is None else patch.value) == (None if expected is None else {"status": {"ips": expected}})


def test_the_addresses_that_an_apply_would_give_back_are_known_before() -> None:
    live = [Address("ipv4", "IPv4", "1.2.3.4"), Address("ipv6", "IPv6", "::1"), Address("new", "IPv4")]
    assert lost(live, ["ipv4", "ipv6", "new"]) == ()
    assert lost(live, ["ipv4"]) == ("::1",)
