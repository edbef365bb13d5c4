"""Paths and names are the API server's own."""

import pytest

from reconcile.kube import kinds
from reconcile.kube.objects import Object
from reconcile.kube.resource import Resource

NETWORK = Resource.untyped("networking.example.io/v1alpha1", "Network", "networks")


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (kinds.POD, (), "/api/v1/pods"),
        (kinds.POD, ("shop",), "/api/v1/namespaces/shop/pods"),
        (kinds.POD, ("shop", "web-0"), "/api/v1/namespaces/shop/pods/web-0"),
        (kinds.POD, ("shop", "web-0", "status"), "/api/v1/namespaces/shop/pods/web-0/status"),
        (kinds.NODE, ("", "n1"), "/api/v1/nodes/n1"),
        (kinds.NAMESPACE, ("", "shop", "finalize"), "/api/v1/namespaces/shop/finalize"),
        (NETWORK, ("shop", "blue"), "/apis/networking.example.io/v1alpha1/namespaces/shop/networks/blue"),
        (NETWORK, (), "/apis/networking.example.io/v1alpha1/networks"),
        (kinds.CLUSTER_ROLE, ("", "system:node"), "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"),
        (kinds.CLUSTER_ROLE, ("", "a/b?c%"), "/apis/rbac.authorization.k8s.io/v1/clusterroles/a%2Fb%3Fc%25"),
    ],
)
def test_objects_live_where_the_api_server_has_them(
    resource: Resource[Object], arguments: tuple[str, ...], path: str
) -> None:
    assert resource.path(*arguments) == path


@pytest.mark.parametrize(
    ("resource", "arguments"),
    [(kinds.NODE, ("shop", "n1")), (kinds.POD, ("", "web-0")), (kinds.POD, ("shop", "", "status"))],
)
def test_a_path_that_cannot_exist_is_refused(resource: Resource[Object], arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=resource.name):
        resource.path(*arguments)


def test_a_resource_is_named_as_rules_and_logs_name_it() -> None:
    assert (kinds.POD.name, kinds.POD.api_version, kinds.POD.group) == ("pods", "v1", "")
    assert (NETWORK.name, NETWORK.api_version) == ("networks.networking.example.io", "networking.example.io/v1alpha1")
    assert str(NETWORK) == NETWORK.name


def test_equal_resources_are_one_key_and_read_alike() -> None:
    again = Resource.untyped("networking.example.io/v1alpha1", "Network", "networks")
    assert {NETWORK: 1}[again] == 1
    assert again.codec == NETWORK.codec
    assert kinds.POD != NETWORK


def test_every_built_in_kind_is_listed_once() -> None:
    listed = [value for value in vars(kinds).values() if isinstance(value, Resource)]
    assert len({(kind.group, kind.plural) for kind in listed}) == len(listed)
    assert all(kind.plural == kind.plural.lower() and kind.type is Object for kind in listed)
