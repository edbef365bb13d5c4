"""NAT gateways in translation: tables of what is asked for and what comes of it, in both generations."""

from typing import Any

import pytest
from attrs import evolve

from apinetlet.api import GENERATIONS, IRONCORE, ONMETAL, Generation, Kinds, apinet, networking
from apinetlet.api.apinet import Address
from apinetlet.api.networking import NATGatewaySpec
from apinetlet.api.references import LocalRef
from apinetlet.origin import Origins
from apinetlet.translate import natgateway as translate
from apinetlet.translate.natgateway import Scale, View
from apinetlet.translate.network import counterpart_name
from apinetlet.translate.refused import Refused
from reconcile import ObjectMeta
from reconcile.kube.objects import OwnerReference

BOTH = pytest.mark.parametrize("generation", GENERATIONS.values(), ids=GENERATIONS)
META = ObjectMeta(namespace="home", name="out", uid="u-out")


def a_view(generation: Generation = IRONCORE, target: apinet.NATGateway | None = None, **changes: Any) -> View:
    spec = NATGatewaySpec(type="Public", ip_family="IPv4", network_ref=LocalRef("blue"))
    return View(
        networking.NATGateway(META, spec=evolve(spec, **changes)),
        network="u-blue",
        target=target,
        namespace="apinet",
        kinds=Kinds.of(generation),
        generation=generation,
    )


@BOTH
@pytest.mark.parametrize(
    ("changes", "family", "ports"),
    [
        ({}, "IPv4", 2048),
        ({"ip_family": "IPv6"}, "IPv6", 2048),
        ({"ports_per_network_interface": 64}, "IPv4", 64),
        ({"ports_per_network_interface": 64512}, "IPv4", 64512),
        ({"type": ""}, "IPv4", 2048),
    ],
)
def test_a_gateway_says_family_network_and_ports_and_never_an_address(
    generation: Generation, changes: dict[str, Any], family: str, ports: int
) -> None:
    target = apinet.NATGateway(ObjectMeta(), spec=apinet.NATGatewaySpec(ips=(Address("a", "", "1.2.3.4"),)))
    assert translate.nat_gateway(a_view(generation, target, **changes)) == {
        "apiVersion": f"{generation.apinet}/v1alpha1",
        "kind": "NATGateway",
        "metadata": {"namespace": "apinet", "name": "u-out", **Origins(generation, "NATGateway").metadata(META)},
        "spec": {"ipFamily": family, "networkRef": {"name": "u-blue"}, "portsPerNetworkInterface": ports},
    }


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"type": "Private"}, "UnknownType", "spec.type"),
        ({"ip_family": ""}, "InvalidSpec", "spec.ipFamily"),
        ({"ip_family": "IPv5"}, "InvalidSpec", "spec.ipFamily"),
        ({"ports_per_network_interface": 65536}, "InvalidPorts", "spec.portsPerNetworkInterface"),
        ({"ports_per_network_interface": 2**30}, "InvalidPorts", "spec.portsPerNetworkInterface"),
        ({"ports_per_network_interface": 0}, "InvalidPorts", "spec.portsPerNetworkInterface"),
        ({"ports_per_network_interface": -1}, "InvalidPorts", "spec.portsPerNetworkInterface"),
    ],
)
def test_what_nothing_can_be_made_of_is_refused_by_its_field(changes: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(Refused) as caught:
        translate.nat_gateway(a_view(**changes))
    assert (caught.value.reason, caught.value.field) == (reason, field)


@pytest.mark.parametrize(
    ("live", "differing"),
    [
        ({}, ()),
        ({"ip_family": "IPv6"}, ("ipFamily",)),
        ({"network_ref": LocalRef("u-old")}, ("networkRef",)),
        ({"ip_family": "IPv6", "network_ref": LocalRef()}, ("ipFamily", "networkRef")),
        ({"ips": (Address("a", "", "1.2.3.4"),)}, ()),
    ],
)
def test_what_cannot_be_changed_is_named(live: dict[str, Any], differing: tuple[str, ...]) -> None:
    spec = evolve(apinet.NATGatewaySpec(ip_family="IPv4", network_ref=LocalRef("u-blue")), **live)
    assert translate.differences(a_view(target=apinet.NATGateway(ObjectMeta(), spec=spec))) == differing
    assert translate.differences(a_view()) == ()


@BOTH
def test_an_autoscaler_belongs_to_its_gateway_and_says_how_many_addresses(generation: Generation) -> None:
    owner = OwnerReference(
        api_version="core/v1", kind="NATGateway", name="u-out", uid="t", controller=True, block_owner_deletion=True
    )
    body = translate.autoscaler(a_view(generation), Scale(2, 5), owner)
    assert body["spec"] == {"natGatewayRef": {"name": "u-out"}, "minPublicIPs": 2, "maxPublicIPs": 5}
    assert (body["kind"], body["metadata"]["name"]) == ("NATGatewayAutoscaler", "u-out")
    assert [one["uid"] for one in body["metadata"]["ownerReferences"]] == ["t"]
    assert body["metadata"]["labels"] == Origins(generation, "NATGateway").metadata(META)["labels"]


@pytest.mark.parametrize(
    ("managed", "provider_id", "name"),
    [
        (False, "onmetal-api-net://apinet/theirs/1/u", "u-blue"),
        (True, "onmetal-api-net://apinet/theirs/1/u", "theirs"),
        (True, "onmetal-api-net://elsewhere/theirs/1/u", "u-blue"),
        (True, "theirs", "u-blue"),
        (True, "", "u-blue"),
    ],
)
def test_a_network_of_somebody_else_stands_for_the_one_its_provider_id_names(
    managed: bool, provider_id: str, name: str
) -> None:
    annotations = {ONMETAL.managed_by_annotation: ""} if managed else {}
    network = networking.Network(
        ObjectMeta(namespace="home", name="blue", uid="u-blue", annotations=annotations),
        spec=networking.NetworkSpec(provider_id),
    )
    assert counterpart_name(network, ONMETAL, "apinet") == name
