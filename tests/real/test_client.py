"""The client over both engines against a real API server: every verb, discovery, Events, credentials of both kinds."""

import uuid
from collections.abc import AsyncIterator

import anyio
import pytest

from reconcile.kube import login, request
from reconcile.kube.client import Client
from reconcile.kube.errors import AlreadyExists, Conflict, Forbidden, NotFound, Unauthorized
from reconcile.kube.kinds import CONFIG_MAP, EVENT, NAMESPACE
from reconcile.kube.objects import ObjectKey
from reconcile.kube.patch import JsonPatch, MergePatch, StrategicPatch
from reconcile.kube.recorder import EventRecorder, RecorderSettings
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.testing.envtest import ControlPlane

pytestmark = pytest.mark.real


@pytest.fixture(params=["aiohttp", "wire"])
async def client(request: pytest.FixtureRequest, control_plane: ControlPlane) -> AsyncIterator[Client]:
    """The administrator's."""
    transport = HttpTransport(login.load(control_plane.kubeconfig()), TransportSettings(request.param))
    async with Client(transport, field_manager="client-test") as client:
        yield client


@pytest.fixture
async def namespace(client: Client) -> str:
    """One of its own."""
    made = await client.create(NAMESPACE, {"metadata": {"generateName": "client-"}})
    return made.metadata.name


async def test_every_verb_does_what_it_says(client: Client, namespace: str) -> None:
    key = ObjectKey(namespace, "blue")
    meta = {"name": "blue", "namespace": namespace}
    made = await client.create(CONFIG_MAP, {"metadata": meta, "data": {"a": "1"}})
    assert made.metadata.key == key
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAP, {"metadata": meta})
    applied = await client.apply(CONFIG_MAP, {"metadata": meta, "data": {"b": "2"}})
    assert applied["data"] == {"a": "1", "b": "2"}
    await client.patch(CONFIG_MAP, key, MergePatch({"data": {"a": None}}))
    await client.patch(CONFIG_MAP, key, StrategicPatch({"data": {"c": "3"}}))
    patched = await client.patch(CONFIG_MAP, key, JsonPatch([{"op": "add", "path": "/data/d", "value": "4"}]))
    assert patched["data"] == {"b": "2", "c": "3", "d": "4"}
    with pytest.raises(Conflict):
        await client.update(CONFIG_MAP, made)
    await client.patch(CONFIG_MAP, key, MergePatch({"data": None}), dry_run=True)
    assert (await client.get(CONFIG_MAP, key))["data"] == patched["data"]
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAP, key, uid="another")
    assert await client.delete(CONFIG_MAP, key, uid=made.metadata.uid) is None
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAP, key)


async def test_a_collection_is_listed_in_pages_watched_and_deleted(client: Client, namespace: str) -> None:
    stream = await client.open(request.watch(CONFIG_MAP, namespace, labels="mine", timeout_seconds=30))
    for number in range(5):
        meta = {"name": f"n{number}", "namespace": namespace, "labels": {"mine": ""}}
        await client.create(CONFIG_MAP, {"metadata": meta})
    pages = [page async for page in client.pages(CONFIG_MAP, namespace=namespace, labels="mine", limit=2)]
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert pages[0].remaining is None  # not told with a selector
    listed = await client.list(CONFIG_MAP, namespace=namespace, labels="mine", limit=2)
    assert [one.metadata.name for one in listed.items] == [f"n{number}" for number in range(5)]
    with anyio.fail_after(10):
        seen = b""
        while seen.count(b"\n") < 5:
            seen += await stream.read()
    await stream.aclose()
    assert seen.count(b'"ADDED"') == 5
    await client.delete_collection(CONFIG_MAP, namespace=namespace, labels="mine")
    assert (await client.list(CONFIG_MAP, namespace=namespace, labels="mine")).items == []


async def test_the_server_tells_its_version_and_its_kinds(client: Client) -> None:
    version = await client.version()
    assert version.major == 1
    assert version.minor >= 30
    deployment = await client.find("apps", "Deployment")
    assert deployment is not None
    assert deployment.resource.path("ns", "x") == "/apis/apps/v1/namespaces/ns/deployments/x"
    assert deployment.subresources.keys() == {"scale", "status"}


@pytest.mark.parametrize("api", ["v1", "events.k8s.io/v1"])
async def test_events_are_accepted_by_both_apis(client: Client, namespace: str, api: str) -> None:
    about = await client.create(CONFIG_MAP, {"metadata": {"name": "blue", "namespace": namespace}})
    settings = RecorderSettings(api="v1" if api == "v1" else "events.k8s.io/v1")
    recorder = EventRecorder(client, "client-test", settings=settings)
    async with anyio.create_task_group() as tasks:
        await tasks.start(lambda task_status: recorder.run(task_status=task_status))
        for _ in range(3):
            recorder.event(about, "Normal", "Made", "it was made")
            await anyio.sleep(0.2)
        tasks.cancel_scope.cancel()
    [event] = (await client.list(EVENT, namespace=namespace)).items
    assert event["message"] == "it was made"
    assert 3 in (event.get("count"), event.at("series", "count"))


@pytest.mark.pain(6)
async def test_a_client_certificate_and_a_refused_token_are_told_apart(
    client: Client, control_plane: ControlPlane
) -> None:
    nobody = HttpTransport(login.load(control_plane.kubeconfig("nobody")))
    async with Client(nobody) as limited:
        with pytest.raises(Forbidden, match='User "nobody" cannot list'):
            await limited.list(NAMESPACE)
    access = client.transport.credentials.access  # type: ignore[attr-defined]
    wrong = login.ClusterAccess(access.server, ca=access.ca, token=f"wrong-{uuid.uuid4()}")
    async with Client(HttpTransport(login.RenewedCredentials(wrong))) as stranger:
        with pytest.raises(Unauthorized):
            await stranger.version()
