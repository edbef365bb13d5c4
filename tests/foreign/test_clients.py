"""The client libraries of Python talk to the embedded server as to any other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import kubernetes_asyncio
import pytest
from kubernetes.dynamic import DynamicClient

from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.threads import in_thread
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.plugin import AnyioBackend
from tests.foreign.story import GROUP, Site, a_garden

pytestmark = [pytest.mark.pain(25)]


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # sockets


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with in_thread(ApiServer()) as thread:
        site = Site(thread.url, "clients")
        site.prepare()
        yield site


@pytest.fixture
def kubeconfig(site: Site, tmp_path: Path) -> str:
    path = tmp_path / "kubeconfig"
    path.write_text(site.kubeconfig())
    return str(path)


def a_map(name: str, **data: str) -> Any:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"of": "client"}},
        "data": data,
    }


def official(kubeconfig: str) -> list[Any]:
    """What the official client sees, step by step."""
    api = kubernetes.config.new_client_from_config(kubeconfig)
    core, custom = kubernetes.client.CoreV1Api(api), kubernetes.client.CustomObjectsApi(api)
    seen: list[Any] = []
    made = core.create_namespaced_config_map("clients", a_map("a", x="1"))
    seen.append(made.data)
    try:
        core.create_namespaced_config_map("clients", a_map("a"))
    except kubernetes.client.ApiException as error:
        seen.append((error.status, error.reason))
    stream = kubernetes.watch.Watch().stream(
        core.list_namespaced_config_map,
        "clients",
        resource_version=made.metadata.resource_version,
        timeout_seconds=2,
    )
    core.patch_namespaced_config_map("a", "clients", {"data": {"y": "2"}})
    core.delete_namespaced_config_map("a", "clients")
    seen += [(event["type"], event["object"].data) for event in stream]
    page = core.list_namespaced_config_map("clients", label_selector="of=client", limit=1)
    seen.append([one.metadata.name for one in page.items])
    custom.create_namespaced_custom_object(GROUP, "v1", "clients", "gardens", a_garden("g", "rose"))
    custom.patch_namespaced_custom_object_status(GROUP, "v1", "clients", "gardens", "g", {"status": {"planted": 1}})
    seen.append(custom.get_namespaced_custom_object(GROUP, "v1", "clients", "gardens", "g")["status"])
    dynamic = DynamicClient(api)
    gardens = dynamic.resources.get(api_version=f"{GROUP}/v1", kind="Garden")
    applied = dynamic.server_side_apply(
        gardens, body=a_garden("h", "oak"), name="h", namespace="clients", field_manager="me", force_conflicts=True
    )
    seen.append(applied.spec.plants)
    seen.append(kubernetes.client.VersionApi(api).get_code().major)
    kubernetes.utils.create_from_dict(api, a_map("b", z="1"), namespace="clients")
    seen.append(core.read_namespaced_config_map("b", "clients").data)
    return seen


SEEN = [
    {"x": "1"},
    (409, "Conflict"),
    ("MODIFIED", {"x": "1", "y": "2"}),
    ("DELETED", {"x": "1", "y": "2"}),
    [],
    {"planted": 1},
    ["oak"],
    "1",
    {"z": "1"},
]


def test_the_official_client_sees_what_it_should(kubeconfig: str) -> None:
    assert official(kubeconfig) == SEEN


@pytest.mark.real
def test_the_official_client_sees_the_same_of_a_real_server(control_plane: ControlPlane, tmp_path: Path) -> None:
    site = Site(control_plane.url, "clients", control_plane.token, control_plane.ca.pair.certificate)
    site.prepare()
    path = tmp_path / "kubeconfig"
    path.write_text(site.kubeconfig())
    assert official(str(path)) == SEEN


async def test_kubernetes_asyncio_sees_what_it_should(kubeconfig: str) -> None:
    await kubernetes_asyncio.config.load_kube_config(kubeconfig)
    async with kubernetes_asyncio.client.ApiClient() as api:
        core = kubernetes_asyncio.client.CoreV1Api(api)
        made = await core.create_namespaced_config_map("clients", a_map("a", x="1"))
        await core.patch_namespaced_config_map("a", "clients", {"data": {"y": "2"}})
        await core.delete_namespaced_config_map("a", "clients")
        async with kubernetes_asyncio.watch.Watch() as watch:
            version = made.metadata.resource_version
            listing = core.list_namespaced_config_map
            events = watch.stream(listing, "clients", resource_version=version, timeout_seconds=1)
            seen = [(event["type"], event["object"].data) async for event in events]
        assert seen == [("MODIFIED", {"x": "1", "y": "2"}), ("DELETED", {"x": "1", "y": "2"})]
        custom = kubernetes_asyncio.client.CustomObjectsApi(api)
        await custom.create_namespaced_custom_object(GROUP, "v1", "clients", "gardens", a_garden("g", "rose"))
        found = await custom.list_namespaced_custom_object(GROUP, "v1", "clients", "gardens")
        assert [one["spec"] for one in found["items"]] == [{"plants": ["rose"], "beds": 1}]
        pods = await core.list_pod_for_all_namespaces(limit=5)
        assert pods.items == []
        with pytest.raises(kubernetes_asyncio.client.ApiException) as refused:
            await core.read_namespaced_secret("nothing", "clients")
        assert refused.value.status == 404
