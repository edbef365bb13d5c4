"""The bridge to kubernetes_asyncio: its configuration as credentials, its API on our client, the same kubeconfigs."""

import asyncio
import base64
import json
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes_asyncio.client import (
    ApiClient,
    ApiException,
    Configuration,
    CoreV1Api,
    CustomObjectsApi,
    V1ConfigMap,
    V1ObjectMeta,
    V1Pod,
)
from kubernetes_asyncio.config import load_kube_config

from reconcile.kube import login
from reconcile.kube.access import Pem
from reconcile.kube.client import Client
from reconcile.kube.compat import api_client, credentials_of, resource_of
from reconcile.kube.credentials import Grant
from reconcile.kube.errors import Fenced, KubeError
from reconcile.kube.kubeconfig import LoginError
from reconcile.kube.objects import ObjectKey
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.testing import loop
from reconcile.testing.certificates import Authority
from reconcile.testing.loop import EPOCH

AUTHORITY = Authority.create("ca", EPOCH)
PAIR = AUTHORITY.client("me")


# the same kubeconfigs


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(user: Mapping[str, Any] | None, cluster: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}] if user is not None else [],
        "contexts": [
            {"name": "dev", "context": {"cluster": "c", "user": "u"} if user is not None else {"cluster": "c"}}
        ],
        "current-context": "dev",
        **changes,
    }


@define
class Loaded:
    """What a request to the server would be made with."""

    server: str
    authorization: str
    ca: str
    certificate: str
    key: str
    verifies: bool
    tls_server_name: str
    proxy: str
    others: tuple[str, ...] = ()
    """The names of further headers."""


async def ours(paths: str) -> Loaded:
    credentials = login.load(environment={"KUBECONFIG": paths, "PATH": "/bin:/usr/bin"})
    access = credentials.access
    headers = dict((await credentials.grant()).headers)

    def read(pem: Pem | None) -> str:
        return (pem.read_bytes() if isinstance(pem, Path) else pem or b"").decode()

    is_tls = access.server.startswith("https")
    return Loaded(
        access.server,
        headers.pop("authorization", ""),
        read(access.ca) if is_tls else "",
        read(access.certificate) if is_tls else "",
        read(access.key) if is_tls else "",
        not access.is_insecure,
        access.tls_server_name,
        access.proxy_url,
        tuple(headers),
    )


async def theirs(paths: str, folder: str) -> Loaded:
    made = Configuration()
    await load_kube_config(paths, client_configuration=made, persist_config=False, temp_file_path=folder)

    def read(path: str | None) -> str:
        return Path(path).read_text() if path else ""

    return Loaded(
        made.host or "",
        made.api_key.get("BearerToken") or "",
        read(made.ssl_ca_cert),
        read(made.cert_file),
        read(made.key_file),
        made.verify_ssl,
        made.tls_server_name or "",
        made.proxy or "",
    )


PEMS = {
    "certificate-authority": AUTHORITY.pair.certificate,
    "client-certificate": PAIR.certificate,
    "client-key": PAIR.key,
}
WAYS = ["file", "data", "both"]


@st.composite
def kubeconfigs(draw: st.DrawFn) -> Callable[[Path], dict[str, Any]]:
    """One that both sides should read alike, made when the folder for its files is known."""
    server = draw(st.sampled_from(["https://one:6443", "https://one/path/", "http://one:8080"]))
    trust = draw(st.sampled_from(["none", "insecure", *WAYS]))
    identity = draw(st.sampled_from(["none", *WAYS]))
    token = draw(st.sampled_from(["none", "token", "file", "basic"]))
    extra = draw(
        st.fixed_dictionaries({}, optional={"tls-server-name": st.just("n"), "proxy-url": st.just("http://p:1")})
    )

    def make(folder: Path) -> dict[str, Any]:
        def named(name: str, way: str) -> dict[str, str]:
            (folder / name).write_text(PEMS[name])
            as_file, as_data = {name: name}, {f"{name}-data": b64(PEMS[name])}
            return {"file": as_file, "data": as_data, "both": {name: "absent", **as_data}}[way]

        cluster: dict[str, Any] = {"server": server, **extra}
        user: dict[str, Any] = {}
        if trust == "insecure":
            cluster["insecure-skip-tls-verify"] = True
        elif trust != "none":
            cluster |= named("certificate-authority", trust)
        if identity != "none":
            user |= named("client-certificate", identity) | named("client-key", identity)
        if token == "file":
            (folder / "token").write_text("t")
            user["tokenFile"] = "token"
        elif token != "none":
            user |= {"token": "t"} if token == "token" else {"username": "me", "password": "pw"}
        return config(user, cluster)

    return make


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> str:
    """For their files; they remember where they wrote which, so it stays the same."""
    return str(tmp_path_factory.mktemp("theirs"))


@settings(max_examples=50)
@given(make=kubeconfigs())
def test_kubeconfigs_of_many_shapes_load_alike_in_both(scratch: str, make: Callable[[Path], dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "config"
        path.write_text(yaml.safe_dump(make(folder)))

        async def main() -> None:
            assert await ours(str(path)) == await theirs(str(path), scratch)

        loop.run(main())


SERVER = {"server": "https://one:6443"}
EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "command": "plugin"}
FLAWS: dict[str, tuple[list[dict[str, Any]], Callable[[Any, Any], bool]]] = {
    "they drop impersonation": (
        [config({"token": "t", "as": "admin"}, SERVER)],
        lambda our, their: our.others == ("impersonate-user",) and their.others == (),
    ),
    "they send the line break of a token file": (
        [config({"tokenFile": "broken"}, SERVER)],
        lambda our, their: our.authorization == "Bearer t" and their.authorization == "Bearer t\n",
    ),
    "they prefer a token to its file": (
        [config({"token": "spare", "tokenFile": "token"}, SERVER)],
        lambda our, their: our.authorization == "Bearer t" and their.authorization == "Bearer spare",
    ),
    "they take the last file's context": (
        [config({"token": "t"}, SERVER), {**config({"token": "t"}, SERVER), "current-context": "other"}],
        lambda our, their: our.server == "https://one:6443" and "other" in their,
    ),
    "they let a certificate start at the cluster's file": (
        [{**config({}, SERVER), "users": []}, {"users": [{"name": "u", "user": {"tokenFile": "sub/token"}}]}],
        lambda our, their: our.authorization == "Bearer t",
    ),
    "they fail to say that a user is missing": (
        [config({"token": "t"}, SERVER, users=[{"name": "v", "user": {}}])],
        lambda our, their: "no user 'u'" in our and "NoneType" in their,
    ),
    "they fail without any user": (
        [config(None, SERVER)],
        lambda our, their: our.authorization == "" and "NoneType" in their,
    ),
    "they take auth providers that clients dropped": (
        [config({"auth-provider": {"name": "azure"}}, SERVER)],
        lambda our, their: "auth-provider is not supported" in our and their.authorization == "",
    ),
    "they take an authority that is not used": (
        [config({}, {**SERVER, "insecure-skip-tls-verify": True, "certificate-authority": "ca"})],
        lambda our, their: "would not be used" in our and not their.verifies,
    ),
    "they take a server without a scheme": (
        [config({}, {"server": "one:6443"})],
        lambda our, their: "is no URL" in our and their.server == "one:6443",
    ),
    "they ignore a username without a password": (
        [config({"username": "me"}, SERVER)],
        lambda our, their: our.authorization == f"Basic {b64('me:')}" and their.authorization == "",
    ),
    "they run a plugin though there is a token": (
        [config({"token": "t", "exec": {**EXEC, "command": "/bin/false"}}, SERVER)],
        lambda our, their: our.authorization == "Bearer t" and "exec" in their,
    ),
}


@pytest.mark.parametrize("flaw", FLAWS)
async def test_where_they_differ_it_is_a_flaw_of_theirs(flaw: str, tmp_path: Path, scratch: str) -> None:
    documents, is_so = FLAWS[flaw]
    (tmp_path / "sub").mkdir()
    for name, text in {"token": "t", "broken": "t\n", "sub/token": "t", "ca": AUTHORITY.pair.certificate}.items():
        (tmp_path / name).write_text(text)
    paths = []
    for number, document in enumerate(documents):
        paths.append(tmp_path / f"config{number}")
        paths[-1].write_text(yaml.safe_dump(document))
    named = ":".join(map(str, paths))

    async def outcome(loading: Awaitable[Loaded]) -> Loaded | str:
        try:
            return await loading
        except Exception as error:
            return f"{error}"

    assert is_so(await outcome(ours(named)), await outcome(theirs(named, scratch)))


# their configuration as our credentials


async def test_a_configuration_is_a_way_in(tmp_path: Path) -> None:
    for name, text in {"ca": AUTHORITY.pair.certificate, "crt": PAIR.certificate, "key": PAIR.key}.items():
        (tmp_path / name).write_text(text)
    made = Configuration(host="https://one:6443/")
    made.api_key["BearerToken"] = "Bearer t\n"
    made.ssl_ca_cert, made.cert_file, made.key_file = (str(tmp_path / name) for name in ("ca", "crt", "key"))
    made.tls_server_name, made.proxy = "n", "http://p"
    credentials = credentials_of(made)
    grant = await credentials.grant()
    assert grant.headers == (("authorization", "Bearer t"),)
    assert grant.tls is not None
    assert len(grant.tls.get_ca_certs()) == 1
    access = credentials.access
    assert (access.server, access.tls_server_name, access.proxy_url) == ("https://one:6443", "n", "http://p")
    assert await credentials.grant() is grant
    assert "Bearer" not in repr(credentials)


async def test_a_token_that_they_refresh_is_taken_at_the_next_request() -> None:
    made, tokens = Configuration(host="http://one"), iter(["a", "a", "b", "b", "b"])
    made.api_key["BearerToken"] = "old"

    async def refresh(configuration: Any) -> None:
        configuration.api_key["BearerToken"] = next(tokens)

    made.refresh_api_key_hook = refresh
    credentials = credentials_of(made)
    first = await credentials.grant()
    assert await credentials.renew(first) is None
    second = await credentials.renew(first)
    assert second is not None
    assert second.headers == (("authorization", "b"),)
    assert await credentials.grant() is second
    assert isinstance(second, Grant)


async def test_an_api_client_lends_its_headers_too() -> None:
    made = ApiClient(Configuration(host="http://one"))
    made.set_default_header("Impersonate-User", "admin")
    async with made:
        assert (await credentials_of(made).grant()).headers == (("impersonate-user", "admin"),)


# their API on our client


@define
class FakeTransport:
    answer: Callable[[HttpRequest], HttpResponse]
    host: str = "one"
    sent: list[HttpRequest] = field(factory=list)
    is_closed: bool = False

    async def call(
        self, request: HttpRequest, *, timeout: float, guard: Callable[[], None] | None = None
    ) -> HttpResponse:
        if guard is not None:
            guard()
        self.sent.append(request)
        return self.answer(request)

    async def open(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        self.is_closed = True


POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "blue", "namespace": "ns", "labels": {"a": "b"}}}


def ok(document: Any) -> HttpResponse:
    return HttpResponse(200, {"content-type": "application/json"}, json.dumps(document).encode())


def refused(code: int, reason: str, message: str = "no") -> HttpResponse:
    status = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": {"name": "blue"}}
    return HttpResponse(code, {}, json.dumps(status).encode())


async def test_their_typed_api_reads_and_writes_through_our_client() -> None:
    transport = FakeTransport(lambda request: ok(POD if request.method == "GET" else json.loads(request.body)))
    async with api_client(Client(transport)) as bridged:
        api = CoreV1Api(bridged)
        pod = await api.read_namespaced_pod("blue", "ns")
        assert type(pod) is V1Pod
        assert type(pod.metadata) is V1ObjectMeta
        assert pod.metadata.labels == {"a": "b"}
        made = V1ConfigMap(metadata=V1ObjectMeta(name="c", namespace="ns"), data={"a": "b"})
        written = await api.create_namespaced_config_map("ns", made, dry_run="All")
        assert written.data == {"a": "b"}
        ours = resource_of(V1Pod).codec.decode(json.dumps(POD).encode())
        await api.replace_namespaced_pod("blue", "ns", ours)
        listed = await CustomObjectsApi(bridged).list_namespaced_custom_object(
            "g", "v1", "ns", "things", label_selector="x=y"
        )
        assert listed["kind"] == "Pod"
    lines = [f"{request.method} {request.target}" for request in transport.sent]
    assert lines == [
        "GET /api/v1/namespaces/ns/pods/blue",
        "POST /api/v1/namespaces/ns/configmaps?dryRun=All",
        "PUT /api/v1/namespaces/ns/pods/blue",
        "GET /apis/g/v1/namespaces/ns/things?labelSelector=x%3Dy",
    ]
    assert json.loads(transport.sent[1].body)["data"] == {"a": "b"}
    assert json.loads(transport.sent[2].body)["metadata"]["labels"] == {"a": "b"}
    assert transport.sent[1].headers["content-type"] == "application/json"
    assert not transport.is_closed


async def test_a_patch_of_theirs_keeps_its_type() -> None:
    transport = FakeTransport(lambda request: ok(POD))
    api: Any = CoreV1Api(api_client(Client(transport)))
    await api.patch_namespaced_pod("blue", "ns", {"metadata": {}}, _content_type="application/merge-patch+json")
    await api.patch_namespaced_pod("blue", "ns", [{"op": "remove", "path": "/x"}])
    assert [request.headers["content-type"] for request in transport.sent] == [
        "application/merge-patch+json",
        "application/json-patch+json",
    ]


@pytest.mark.parametrize("preload", [True, False])
async def test_a_refusal_is_raised_as_their_exception_preloaded_or_not(preload: bool) -> None:
    api = CoreV1Api(api_client(Client(FakeTransport(lambda request: refused(404, "NotFound")))))
    with pytest.raises(ApiException) as caught:
        await api.read_namespaced_pod("blue", "ns", _preload_content=preload)
    assert (caught.value.status, caught.value.reason) == (404, "Not Found")
    body: Any = caught.value.body
    assert json.loads(body)["details"]["name"] == "blue"
    assert isinstance(caught.value.__cause__, KubeError)


async def test_an_answer_that_is_not_preloaded_is_read_by_the_caller() -> None:
    api = CoreV1Api(api_client(Client(FakeTransport(lambda request: ok(POD)))))
    answer: Any = await api.read_namespaced_pod("blue", "ns", _preload_content=False)
    assert answer.status == 200
    assert await answer.json() == json.loads(await answer.text()) == json.loads(await answer.read()) == POD
    assert answer.getheader("Content-Type") == "application/json"
    with pytest.raises(ValueError, match="streams are not bridged"):
        await api.list_namespaced_pod("ns", watch=True, _preload_content=False)


async def test_their_writes_are_tried_again_and_fenced_like_ours() -> None:
    answers = iter([HttpResponse(503, {}, b""), ok(POD)])
    transport = FakeTransport(lambda request: next(answers))

    def fence() -> None:
        raise Fenced("the lease is over")

    client = Client(transport)
    api = CoreV1Api(api_client(client))
    await api.read_namespaced_pod("blue", "ns")
    assert len(transport.sent) == 2
    client.fence = fence
    with pytest.raises(Fenced):
        await api.delete_namespaced_pod("blue", "ns")


async def test_the_models_are_typed_objects_of_our_client() -> None:
    transport = FakeTransport(lambda request: ok(POD))
    client, pods = Client(transport), resource_of(V1Pod)
    pod = await client.get(pods, ObjectKey("ns", "blue"))
    assert type(pod) is V1Pod
    await client.update(pods, pod)
    await client.apply(pods, pod)
    await asyncio.gather(client.create(pods, pod))
    assert [request.path for request in transport.sent] == [
        *["/api/v1/namespaces/ns/pods/blue"] * 3,
        "/api/v1/namespaces/ns/pods",
    ]


def test_login_errors_are_ours() -> None:
    assert issubclass(LoginError, KubeError)
