"""What a source VirtualIP and its counterpart make each other say: tables of examples."""

from typing import Any

import pytest

from apinetlet.api import GENERATIONS, IRONCORE, Generation, Kinds, apinet, networking
from apinetlet.origin import Origins
from apinetlet.translate import virtualip as translate
from reconcile.kube import MergePatch, ObjectMeta

META = ObjectMeta(namespace="default", name="public", uid="u-1")


def vip(family: str = "IPv4", ip: str = "") -> networking.VirtualIP:
    return networking.VirtualIP(META, networking.VirtualIPSpec("Public", family), networking.VirtualIPStatus(ip))


def an_ip(family: str = "IPv4", ip: str = "") -> apinet.IP:
    return apinet.IP(ObjectMeta(namespace="apinet", name="u-1", uid="t-1"), apinet.IPSpec(family, ip))


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_the_body_holds_only_what_we_own(generation: Generation, family: str) -> None:
    body = translate.ip(
        vip(family, ip="198.18.0.1"),
        resource=Kinds.of(generation).apinet_ip,
        namespace="apinet",
        origins=Origins(generation, "VirtualIP"),
    )
    prefix = f"{generation.origins}/virtualip"
    named: dict[str, Any] = {f"{prefix}-name": "public"}
    labels = {f"{prefix}-namespace": "default", f"{prefix}-uid": "u-1"}
    placed = {"labels": labels, "annotations": named} if generation is IRONCORE else {"labels": {**labels, **named}}
    assert body == {
        "apiVersion": f"{generation.apinet}/v1alpha1",
        "kind": "IP",
        "metadata": {"namespace": "apinet", "name": "u-1", **placed},
        "spec": {"type": "Public", "ipFamily": family},
    }


@pytest.mark.parametrize(
    ("shown", "allocated", "expected"),
    [
        ("", "198.18.0.1", {"status": {"ip": "198.18.0.1"}}),
        ("198.18.0.9", "198.18.0.1", {"status": {"ip": "198.18.0.1"}}),
        ("198.18.0.1", "198.18.0.1", None),
        ("", "", None),
        ("198.18.0.1", "", None),
    ],
)
def test_the_status_follows_the_address(shown: str, allocated: str, expected: dict[str, Any] | None) -> None:
    patch = translate.status(vip(ip=shown), an_ip(ip=allocated))
    assert patch == (MergePatch(expected) if expected else None)


@pytest.mark.parametrize(("ours", "theirs", "field"), [("IPv4", "IPv4", ""), ("IPv6", "IPv4", "spec.ipFamily")])
def test_an_ip_of_another_family_cannot_become_the_right_one(ours: str, theirs: str, field: str) -> None:
    assert translate.immutable(vip(ours), an_ip(theirs)) == field
