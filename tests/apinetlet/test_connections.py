"""How the two servers are reached by each mode: what is read at start, what is requested, and what tells of it."""

import datetime as dt
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import orjson
import pytest

from apinetlet import connections as module
from apinetlet import flags
from apinetlet.api import IRONCORE
from apinetlet.assembly import assemble
from apinetlet.connections import connections
from apinetlet.settings import Settings
from reconcile import ManagerSettings
from reconcile.core.clock import utc
from reconcile.kube import kinds
from reconcile.kube.access import ClusterAccess
from reconcile.kube.certificates import pairs
from reconcile.kube.certificates.pairs import Pair, Subject
from reconcile.kube.certificates.stored import written
from reconcile.kube.client import ClientSettings
from reconcile.kube.credentials import Credentials
from reconcile.kube.kubeconfig import LoginError
from reconcile.manager.web import Call
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.admission import User
from reconcile.testing.apiserver.signing import Signer
from reconcile.testing.certificates import Authority

DAY = dt.timedelta(days=1)
MEMORY = "http://memory"
Lead: TypeAlias = Callable[[ApiServer], None]


def settings(*words: str) -> Settings:
    read, _ = flags.parse(["--api-net-namespace=apinet", "--generation=ironcore", *words], Settings)
    return read.check()


def kubeconfig(path: Path, token: str = "t", server: str = MEMORY) -> Path:
    document = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_bytes(orjson.dumps(document))
    return path


def certified(ends: dt.datetime, server: str = MEMORY) -> bytes:
    new = pairs.make(Subject("x"))
    validity = (ends - 10 * DAY, ends)
    signed = Authority.create("a", utc()).sign_request(new.request.decode(), [], validity=validity)
    return written(ClusterAccess(server), None, Pair(signed.encode(), new.key))


@pytest.fixture
def lead(monkeypatch: pytest.MonkeyPatch) -> Lead:
    """Leads every connection, and the one to the cluster we run in, to an embedded server."""

    def lead(server: ApiServer) -> None:
        def reach(credentials: Credentials, settings: Any) -> Any:
            name = "certificate" if hasattr(credentials, "pair") else "token"
            return server.transport(user=User(name, ("system:masters",)))

        monkeypatch.setattr(module, "HttpTransport", reach)
        monkeypatch.setattr(module, "connect", lambda **_: server.client())

    return lead


# plain


async def test_without_flags_each_side_is_found_as_kubectl_finds_it(tmp_path: Path) -> None:
    named, own = kubeconfig(tmp_path / "named", server="http://named"), tmp_path / "home" / ".kube"
    own.mkdir(parents=True)
    kubeconfig(own / "config", server="http://own")
    flag = kubeconfig(tmp_path / "flag", server="http://flag")
    home = {"HOME": str(own.parent)}
    async with connections(settings(), environment={"KUBECONFIG": str(named), **home}) as both:
        assert both.source.credentials.access.server == both.apinet.credentials.access.server == "http://named"
        assert both.services == ()
    async with connections(settings(f"--kubeconfig={flag}"), environment=home) as both:
        assert both.source.credentials.access.server == "http://flag"
        assert both.apinet.credentials.access.server == "http://own"
    async with connections(settings(f"--api-net-kubeconfig={flag}"), environment=home) as both:
        assert both.source.credentials.access.server == "http://own"
        assert both.apinet.credentials.access.server == "http://flag"


async def test_a_plain_kubeconfig_from_a_secret_is_read_in_the_namespace_of_the_pod(lead: Lead, tmp_path: Path) -> None:
    flag = kubeconfig(tmp_path / "flag")
    words = (f"--kubeconfig={flag}", "--api-net-kubeconfig-secret-name=login")
    async with ApiServer() as server:
        lead(server)
        with pytest.raises(LoginError, match="there is no kubeconfig") as caught:
            async with connections(settings(*words), environment={"POD_NAMESPACE": "home"}):
                pass
        assert "Secret home/login/kubeconfig" in str(caught.value)
        text = kubeconfig(tmp_path / "kept", server="http://kept").read_bytes()
        body = {"metadata": {"name": "login"}, "stringData": {"kubeconfig": text.decode()}}
        await server.client().create(kinds.SECRET, body, namespace="default")
        namespace = "--api-net-kubeconfig-secret-namespace=default"
        async with connections(settings(*words, namespace), environment={"POD_NAMESPACE": "home"}) as both:
            assert both.apinet.credentials.access.server == "http://kept"
            assert both.source.credentials.access.server == MEMORY


async def test_a_plain_kubeconfig_in_a_secret_is_read_again_when_a_server_refuses_it(
    lead: Lead, tmp_path: Path
) -> None:
    async with ApiServer() as server:
        lead(server)

        async def put(token: str, where: str) -> None:
            text = kubeconfig(tmp_path / "kept", token, where).read_text()
            body = {"metadata": {"namespace": "default", "name": "login"}, "stringData": {"kubeconfig": text}}
            await server.client().apply(kinds.SECRET, body)

        await put("old", MEMORY)
        words = ("--kubeconfig-secret-name=login", f"--api-net-kubeconfig={kubeconfig(tmp_path / 'flag')}")
        async with connections(settings(*words), environment={"POD_NAMESPACE": "default"}) as both:
            shown = both.source.credentials
            first = await shown.grant()
            assert await shown.renew(first) is None
            await put("new", MEMORY)
            await anyio.sleep(20)
            renewed = await shown.renew(first)
            assert renewed is not None
            assert renewed.headers == (("authorization", "Bearer new"),)
            assert await shown.grant() == renewed
            await put("other", "http://another")
            await anyio.sleep(20)
            assert await shown.renew(renewed) is None
            assert await shown.grant() == renewed


# certificates of our own


@pytest.mark.parametrize("kept", ["file", "secret"])
async def test_both_sides_get_certificates_of_their_own_and_keep_them_apart(
    lead: Lead, kept: str, tmp_path: Path
) -> None:
    bootstrap = kubeconfig(tmp_path / "bootstrap")
    words = [f"--{side}bootstrap-kubeconfig={bootstrap}" for side in ("", "api-net-")] + ["--rotate-certificates"]
    flag = "kubeconfig-secret-name=" if kept == "secret" else f"kubeconfig={tmp_path}/"
    words += [f"--{flag}one", f"--api-net-{flag}two"]
    async with ApiServer() as server, Signer(server, approves=True, life=DAY):
        lead(server)
        given = settings(*words)
        for _ in range(2):
            async with connections(given, environment={"POD_NAMESPACE": "default"}) as both:
                async with both.source.scout(user_agent="scout") as scout:
                    await scout.list(kinds.NAMESPACE)
                await both.begin(IRONCORE, given)
                assert [one.problem() for one in both.rotations] == ["", ""]
        asked = server.objects(kinds.CSR)
        assert [one.at("spec", "username") for one in asked] == ["token"] * 2, "a second start asks for nothing"
        if kept == "secret":
            found = {one.metadata.name: one for one in server.objects(kinds.SECRET)}
            assert found.keys() == {"one", "two"}
            owners = {entry["manager"] for one in found.values() for entry in one["metadata"]["managedFields"]}
            assert owners == {"ironcore.dev/config-read-writer"}
        else:
            assert sorted(os.listdir(tmp_path)) == ["bootstrap", "one", "two"]
            assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("one", "two")} == {0o600}


async def test_cred_1_the_daemon_tells_of_each_certificate_under_a_name_of_its_own(lead: Lead, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(certified(utc() + 5 * DAY))
    (tmp_path / "two").write_bytes(certified(utc() + 6 * DAY))
    words = (f"--kubeconfig={tmp_path}/one", "--rotate-certificates", f"--api-net-kubeconfig={tmp_path}/two")
    given = settings(*words, "--api-net-rotate-certificates")
    async with ApiServer() as server, connections(given) as both:
        lead(server)
        await both.begin(IRONCORE, given)
        source, apinet = both.source.connect(user_agent="a"), both.apinet.connect(user_agent="b")
        listening = ManagerSettings(preflight="off", metrics="127.0.0.1:1")
        daemon = assemble(given, IRONCORE, source, apinet, manager=listening, services=both.services)
        assert daemon.services == both.rotations
        both.show(daemon)
        results = daemon.probes.report("healthz").results
        assert results["source-certificate"] == results["apinet-certificate"] == ""
        assert daemon.metrics is not None
        page = (await daemon.metrics.figures.page(Call())).body.decode()
        assert 'client_certificate_ttl_seconds{name="source-certificate"} 432000.0' in page
        assert 'client_certificate_ttl_seconds{name="apinet-certificate"} 518400.0' in page
        assert 'client_certificate_renewals_total{name="apinet-certificate",outcome="renewed"} 0.0' in page
        await anyio.sleep(5.5 * 86400)
        results = daemon.probes.report("healthz").results
        assert results["source-certificate"].startswith("the client certificate expired")
        assert results["apinet-certificate"] == ""


async def test_a_bootstrap_kubeconfig_may_be_taken_away_once_it_has_served(tmp_path: Path) -> None:
    flag = kubeconfig(tmp_path / "flag")
    words = (f"--kubeconfig={tmp_path}/one", f"--bootstrap-kubeconfig={tmp_path}/gone", f"--api-net-kubeconfig={flag}")
    with pytest.raises(LoginError, match="no such kubeconfig") as caught:
        async with connections(settings(*words)):
            pass
    assert str(tmp_path / "gone") in str(caught.value)
    (tmp_path / "one").write_bytes(certified(utc() + 5 * DAY))
    given = settings(*words)
    async with connections(given) as both:
        await both.begin(IRONCORE, given)
        assert [one.problem() for one in both.rotations] == [""]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"{", "not YAML"), (b"x: 1", "no context"), (None, "for the server http://another, and the bootstrap")],
)
async def test_a_store_with_something_else_in_it_ends_the_start_and_is_left_alone(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    flag, store = kubeconfig(tmp_path / "flag"), tmp_path / "one"
    store.write_bytes(content or certified(utc() + DAY, "http://another"))
    before = store.read_bytes()
    words = (f"--kubeconfig={store}", f"--bootstrap-kubeconfig={flag}", f"--api-net-kubeconfig={flag}")
    with pytest.raises(LoginError, match=says) as caught:
        async with connections(settings(*words)):
            pass
    assert str(store) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.read_bytes() == before


@pytest.mark.parametrize("how", ["a link", "from this folder", "the bootstrap kubeconfig"])
async def test_one_file_under_two_names_is_one_place(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    flag = kubeconfig(tmp_path / "flag")
    (tmp_path / "one").write_bytes(certified(utc() + 5 * DAY))
    other = {"a link": "link", "from this folder": "one", "the bootstrap kubeconfig": flag}[how]
    bootstrap = "link" if how == "the bootstrap kubeconfig" else flag
    words = (f"--kubeconfig={tmp_path}/one", f"--bootstrap-kubeconfig={bootstrap}", f"--api-net-kubeconfig={other}")
    with pytest.raises(LoginError, match="so give two") as caught:
        async with connections(settings(*words, *() if other == flag else ("--api-net-rotate-certificates",))):
            pass
    assert str(tmp_path / "one") in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_one_secret_is_one_place_whether_its_namespace_was_said_or_not(lead: Lead) -> None:
    lead(ApiServer())
    words = ("--kubeconfig-secret-name=a", "--api-net-kubeconfig-secret-name=a", "--rotate-certificates")
    given = settings(*words, "--kubeconfig-secret-namespace=pods")
    with pytest.raises(LoginError, match="name one place, Secret pods/a"):
        async with connections(given, environment={"POD_NAMESPACE": "pods"}):
            pass


async def test_the_scout_falls_back_to_the_bootstrap_way_where_the_stored_certificate_is_refused(
    tmp_path: Path,
) -> None:
    flag = kubeconfig(tmp_path / "flag")
    (tmp_path / "one").write_bytes(certified(utc() + 5 * DAY))
    words = (f"--kubeconfig={tmp_path}/one", f"--bootstrap-kubeconfig={flag}", f"--api-net-kubeconfig={flag}")
    async with connections(settings(*words)) as both:
        assert both.source.rotation is not None
        scouting: Any = both.source.scout(user_agent="scout").transport
        first = await scouting.credentials.grant()
        assert first.headers == ()
        second = await scouting.credentials.renew(first)
        assert second.headers == (("authorization", "Bearer t"),)
        assert await scouting.credentials.grant() == second
        assert both.source.rotation.identity.was_refused, "so a new one is requested at once"


async def test_each_side_has_its_own_limits_and_a_tool_that_is_in_a_hurry_keeps_them(tmp_path: Path) -> None:
    flag = kubeconfig(tmp_path / "flag")
    words = (f"--kubeconfig={flag}", f"--api-net-kubeconfig={flag}", "--qps=7", "--burst=3", "--api-net-qps=-1")
    async with connections(settings(*words)) as both:
        hurried = partial(both.source.connect, settings=ClientSettings(call_timeout=1))
        assert (hurried().settings.qps, hurried().settings.burst, hurried().settings.call_timeout) == (7, 3, 1)
        assert both.apinet.connect().settings.qps == -1


async def test_nothing_that_is_logged_at_start_has_a_key_in_it(
    lead: Lead, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bootstrap = kubeconfig(tmp_path / "bootstrap", "bootstrap-token")
    words = [f"--{side}bootstrap-kubeconfig={bootstrap}" for side in ("", "api-net-")]
    words += ["--kubeconfig-secret-name=one", "--api-net-kubeconfig-secret-name=two"]
    async with ApiServer() as server, Signer(server, approves=True, life=DAY):
        lead(server)
        given = settings(*words)
        async with connections(given, environment={"POD_NAMESPACE": "default"}) as both:
            await both.begin(IRONCORE, given)
            shown = caplog.text + repr(both)
    assert "new certificate in use" in shown
    assert "BEGIN" not in shown
    assert "bootstrap-token" not in shown


async def test_an_egress_selector_is_the_way_of_its_own_side_only(tmp_path: Path) -> None:
    flag, file = kubeconfig(tmp_path / "flag"), tmp_path / "egress"
    connection = "{proxyProtocol: HTTPConnect, transport: {uds: {udsName: /run/proxy}}}"
    text = (
        "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\n"
        f"egressSelections: [{{name: controlplane, connection: {connection}}}]\n"
    )
    file.write_text(text)
    plain = (f"--kubeconfig={flag}", f"--api-net-kubeconfig={flag}")
    async with connections(settings(*plain, f"--api-net-egress-selector-config={file}")) as both:
        assert both.source.transport.tunnel is None
        assert str(both.apinet.transport.tunnel) == "/run/proxy"
    file.write_text(text.replace("HTTPConnect", "GRPC"))
    with pytest.raises(LoginError, match="GRPC is not supported") as caught:
        async with connections(settings(*plain, f"--egress-selector-config={file}")):
            pass
    assert str(file) in str(caught.value)
