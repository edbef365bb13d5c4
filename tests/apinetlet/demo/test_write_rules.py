"""Which write may change what, and how lists merge: as the aggregated servers of both clusters do it."""

from contextlib import nullcontext
from typing import Any

import pytest

from apinetlet.api import IRONCORE, ONMETAL
from reconcile import ApiError, NotFound
from reconcile.kube import MergePatch, ObjectKey
from reconcile.kube.patch import StrategicPatch
from tests.apinetlet.demo.servers import HOME, Server, a_gateway, a_load_balancer, an_interface, plain

WITHOUT_STATUS = {
    "ips",
    "loadbalancerroutings",
    "nattables",
    "networkids",
    "ipaddresses",
    "networkpolicies",
    "networkpolicyrules",
}
CLUSTER_SCOPED = {"nodes", "networkids", "ipaddresses"}
A_NETWORK = {"networkRef": {"name": "n"}}
SOURCES: dict[str, dict[str, Any]] = {
    "networks": {},
    "networkinterfaces": {**A_NETWORK, "ips": [{"value": "10.0.0.1"}]},
    "loadbalancers": {"type": "Public", **A_NETWORK, "ipFamilies": ["IPv4"]},
    "natgateways": {"type": "Public", **A_NETWORK, "ipFamily": "IPv4"},
    "virtualips": {"type": "Public", "ipFamily": "IPv4"},
    "prefixes": {"prefix": "10.0.0.0/8"},
}
STATUS: dict[str, dict[str, Any]] = {
    "networks": {"state": "Available"},
    "networkinterfaces": {"state": "Available"},
    "loadbalancers": {"ips": ["10.0.0.1"]},
    "natgateways": {"ips": ["10.0.0.1"]},
    "virtualips": {"ip": "10.0.0.1"},
    "prefixes": {"phase": "Allocated"},
}


async def test_every_kind_of_the_api_net_cluster_is_served_with_its_scope_and_subresources(apinet: Server) -> None:
    for plural, kind in apinet.kinds.items():
        assert kind.resource.namespaced is (plural not in CLUSTER_SCOPED)
        assert bool(kind.strategy.subresources) is (plural not in WITHOUT_STATUS)


async def test_every_kind_of_the_source_cluster_is_served_with_its_scope_and_subresources(source: Server) -> None:
    expected = {*SOURCES, "loadbalancerroutings", "networkpolicies", "prefixallocations"}
    assert set(source.kinds) == expected
    for plural, kind in source.kinds.items():
        assert kind.resource.namespaced
        assert bool(kind.strategy.subresources) is (plural != "loadbalancerroutings")
    assert source.kinds["networkinterfaces"].short_names == ("nic",)
    assert source.kinds["loadbalancerroutings"].short_names == ("lbr", "lbrt")


@pytest.mark.parametrize("plural", SOURCES)
async def test_a_write_of_a_source_object_sets_its_status_but_where_the_server_keeps_it(
    source: Server, plural: str
) -> None:
    is_kept = plural in ("networks", "loadbalancers")
    made = await source.create(plural, "one", SOURCES[plural], status=STATUS[plural])
    assert (made.get("status", {}).items() >= STATUS[plural].items()) is not is_kept
    after = await source.patch(plural, "one", {"status": STATUS[plural]})
    assert (after.get("status", {}).items() >= STATUS[plural].items()) is not is_kept
    again = await source.patch(plural, "one", {"status": STATUS[plural]}, subresource="status")
    assert again["status"].items() >= STATUS[plural].items()


async def test_any_write_of_an_api_net_object_may_set_its_status(apinet: Server) -> None:
    made = await apinet.create("networkinterfaces", "one", an_interface(), status={"state": "Ready"})
    assert made["status"] == {"state": "Ready"}
    assert (await apinet.patch("networkinterfaces", "one", {"status": {"state": "Error"}}))["status"][
        "state"
    ] == "Error"


async def test_a_new_api_net_interface_has_no_state(apinet: Server) -> None:
    assert "state" not in (await apinet.create("networkinterfaces", "one", an_interface())).get("status", {})


@pytest.mark.parametrize(
    ("plural", "change", "goes_through"),
    [
        ("networks", {"providerID": "x"}, False),
        ("networkinterfaces", {"providerID": "x"}, False),
        ("virtualips", {"targetRef": {"name": "a", "uid": "b"}}, False),
        ("loadbalancers", {"ports": [{"port": 80}]}, True),
        ("natgateways", {"portsPerNetworkInterface": 64}, True),
    ],
)
async def test_a_write_of_a_status_leaves_the_spec_alone_but_where_the_server_does_not(
    source: Server, plural: str, change: dict[str, object], goes_through: bool
) -> None:
    await source.create(plural, "one", SOURCES[plural])
    after = await source.patch(plural, "one", {"spec": change}, subresource="status")
    assert (after["spec"].items() >= change.items()) is goes_through


async def test_a_write_of_an_api_net_status_leaves_the_spec_alone_and_is_not_judged(apinet: Server) -> None:
    await apinet.create("networkinterfaces", "one", an_interface())
    patch = {"spec": {"networkRef": {"name": "other"}, "prefixes": ["10.0.0.0/24"]}, "status": {"state": "Ready"}}
    after = await apinet.patch("networkinterfaces", "one", patch, subresource="status")
    assert (after["spec"]["networkRef"]["name"], after["status"]["state"]) == ("some-network", "Ready")
    assert "prefixes" not in after["spec"]


async def test_only_source_networks_have_a_generation(source: Server, apinet: Server) -> None:
    made = await source.create("networks", "one", {})
    assert made["metadata"]["generation"] == 1
    changed = await source.patch("networks", "one", {"spec": {"providerID": "x"}})
    assert changed["metadata"]["generation"] == 2
    after = await source.patch("networks", "one", {"status": {"state": "Pending"}}, subresource="status")
    assert after["metadata"]["generation"] == 2
    for made in (
        await source.create("virtualips", "one", SOURCES["virtualips"]),
        await apinet.create("networks", "n", {}),
    ):
        assert "generation" not in made["metadata"]


async def test_a_put_without_a_version_is_refused_and_one_to_nothing_is_not_found(apinet: Server) -> None:
    made = await apinet.create("networks", "one", {})
    body = {**made, "metadata": {name: made["metadata"][name] for name in ("name", "namespace")}}
    with pytest.raises(ApiError, match=r"metadata\.resourceVersion") as caught:
        await apinet.client.update(apinet["networks"], body)
    assert caught.value.code == 422
    with pytest.raises(NotFound):
        await apinet.client.update(apinet["networks"], {**made, "metadata": {**made["metadata"], "name": "none"}})


async def test_a_stale_version_and_a_name_that_is_taken_are_409(apinet: Server) -> None:
    made = await apinet.create("networks", "one", {})
    await apinet.patch("networks", "one", {"metadata": {"labels": {"a": "b"}}})
    for attempt in (apinet.client.update(apinet["networks"], made), apinet.create("networks", "one", {})):
        with pytest.raises(ApiError) as caught:
            await attempt
        assert caught.value.code == 409
    assert len(apinet.all("networkids")) == 1


@pytest.mark.parametrize("plural", [*SOURCES, "loadbalancerroutings"])
async def test_names_of_source_objects_are_labels_and_some_subdomains_in_the_second_generation(
    source: Server, plural: str
) -> None:
    is_label = source.generation is ONMETAL or plural in ("loadbalancers", "natgateways", "virtualips")
    with pytest.raises(ApiError) if is_label else nullcontext() as caught:
        await source.create(plural, "with.dots", SOURCES.get(plural, {}))
    assert caught is None or caught.value.code == 422


async def test_names_of_api_net_objects_are_labels_but_those_of_nodes(apinet: Server) -> None:
    await apinet.create("nodes", "partition.node", {})
    for plural, spec in (("networks", {}), ("networkinterfaces", an_interface()), ("nattables", {})):
        with pytest.raises(ApiError) as caught:
            await apinet.create(plural, "with.dots", spec)
        assert caught.value.code == 422


# -- lists -------------------------------------------------------------------------------------------------------------


async def test_strategic_patches_merge_addresses_by_name_and_replace_everything_else(apinet: Server) -> None:
    await apinet.create("natgateways", "one", a_gateway("a"))
    await apinet.create(
        "networkinterfaces", "nic", an_interface({"name": "a", "ipFamily": "IPv4"}, prefixes=["10.1.0.0/24"])
    )
    key = ObjectKey(HOME, "one")
    after = await apinet.client.patch(apinet["natgateways"], key, StrategicPatch({"spec": {"ips": [{"name": "b"}]}}))
    assert {one["name"] for one in after["spec"]["ips"]} == {"a", "b"}
    patch = {"spec": {"publicIPs": [{"name": "b", "ipFamily": "IPv6"}], "prefixes": ["10.2.0.0/24"]}}
    nic = await apinet.client.patch(apinet["networkinterfaces"], ObjectKey(HOME, "nic"), StrategicPatch(patch))
    assert {one["name"] for one in nic["spec"]["publicIPs"]} == {"a", "b"}
    assert plain(nic["spec"]["prefixes"]) == ["10.2.0.0/24"]


async def test_other_lists_belong_to_who_applied_them_last_as_one_value(apinet: Server) -> None:
    spec = {**a_load_balancer("IPv4"), "ports": [{"port": 80}, {"port": 443}]}
    await apinet.apply("loadbalancers", "lb", spec)
    after = await apinet.apply("loadbalancers", "lb", {"ports": [{"port": 81}]}, field_manager="somebody")
    assert after["spec"]["ports"] == [{"port": 81}]


async def test_peerings_of_source_networks_merge_by_name(source: Server) -> None:
    def peering(name: str) -> dict[str, object]:
        return {"name": name, "networkRef": {"name": f"other-{name}"}}

    await source.apply("networks", "one", {"peerings": [peering("a")]})
    after = await source.apply("networks", "one", {"peerings": [peering("b")]}, field_manager="somebody")
    assert [one["name"] for one in after["spec"]["peerings"]] == ["a", "b"]


async def test_an_apply_may_create_any_kind_and_conflicts_unless_forced(apinet: Server) -> None:
    await apinet.apply("networkinterfaces", "nic", an_interface(prefixes=["10.1.0.0/24"]))
    again = an_interface(prefixes=["10.2.0.0/24"])
    with pytest.raises(ApiError) as caught:
        await apinet.apply("networkinterfaces", "nic", again, field_manager="somebody", force=False)
    assert caught.value.code == 409


async def test_nulls_count_as_absent_and_unknown_fields_go(apinet: Server) -> None:
    made = await apinet.create("networkinterfaces", "one", an_interface(prefixes=None, natGateways=None, colour="red"))
    assert not {"prefixes", "natGateways", "colour"} & made["spec"].keys()
    gateway = await apinet.create("natgateways", "one", {**a_gateway(), "ips": [{"name": "a", "ip": None}]})
    assert gateway["spec"]["ips"][0]["ip"].startswith("10.0.0.")


async def test_host_bits_of_prefixes_are_kept(apinet: Server) -> None:
    made = await apinet.create("networkinterfaces", "one", an_interface(prefixes=["10.0.0.1/24"]))
    assert made["spec"]["prefixes"] == ["10.0.0.1/24"]


async def test_the_second_generation_has_kinds_and_fields_of_its_own(apinet: Server) -> None:
    assert ("networkpolicyrules" in apinet.kinds) is (apinet.generation is IRONCORE)
    made = await apinet.create("networks", "one", {"peerings": [{"name": "a", "id": "1"}]})
    assert ("peerings" in made["spec"]) is (apinet.generation is IRONCORE)


async def test_a_table_without_a_spec_keeps_its_own_fields(apinet: Server) -> None:
    key = ObjectKey(HOME, "one")
    body = {"metadata": {"name": key.name}, "destinations": [{"ip": "10.0.0.1"}]}
    made = await apinet.client.create(apinet["loadbalancerroutings"], body, namespace=HOME)
    assert plain(made["destinations"]) == [{"ip": "10.0.0.1"}]
    patch = MergePatch({"destinations": [{"ip": "10.0.0.2"}]})
    assert plain((await apinet.client.patch(apinet["loadbalancerroutings"], key, patch))["destinations"]) == [
        {"ip": "10.0.0.2"}
    ]
