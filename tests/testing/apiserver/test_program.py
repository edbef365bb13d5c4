"""``reconcile-apiserver`` as its users see it: flags, files, signals, exit codes."""

import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any

import orjson
import pytest

from reconcile.kube import kinds, login
from reconcile.kube.client import Client
from reconcile.kube.connect import connect
from reconcile.kube.errors import ApiError
from reconcile.kube.request import HttpRequest
from reconcile.kube.resource import Resource
from reconcile.kube.transport import HttpTransport
from reconcile.testing import audit
from reconcile.testing.apiserver.__main__ import main
from reconcile.testing.apiserver.connection import Peer
from reconcile.testing.apiserver.flags import parse
from reconcile.testing.apiserver.http import Endpoint
from reconcile.testing.apiserver.program import serving
from reconcile.testing.certificates import Authority
from reconcile.testing.plugin import AnyioBackend
from tests.testing.apiserver.test_authentication import NOW
from tests.testing.callers import THINGS

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # sockets


@asynccontextmanager
async def served(*flags: str | Path) -> AsyncIterator[Endpoint]:
    async with serving(parse(["--port", "0", *map(str, flags)])) as endpoint:
        yield endpoint


@contextmanager
def program(*flags: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process that is ready, and its address."""
    command = [sys.executable, "-m", "reconcile.testing.apiserver", "--port", "0", *map(str, flags)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert isinstance(process.stdout, IO) or process.stdout is not None
            line = process.stdout.readline().decode()
            assert line.startswith("listening on "), line
            yield process, line.removeprefix("listening on ").strip()
        finally:
            process.kill()


def test_it_serves_until_it_is_told_to_stop_and_then_ends_watches_in_order(tmp_path: Path) -> None:
    config, ready = tmp_path / "config", tmp_path / "ready"
    with program("--kubeconfig-out", config, "--ready-file", ready) as (process, url):
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert orjson.loads(config.read_bytes())["clusters"][0]["cluster"] == {"server": url}
        assert ready.read_text().strip() == url
        for path in ("livez", "readyz", "version", "metrics"):
            with urllib.request.urlopen(f"{url}/{path}", timeout=10) as answer:
                assert answer.status == 200
        with urllib.request.urlopen(f"{url}{MAPS}?watch=1", timeout=10) as watch:
            process.send_signal(signal.SIGTERM)
            assert watch.read() == b""  # an incomplete chunk would raise
        assert process.wait(10) == 0
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_a_port_in_use_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert capsys.readouterr().err == f"reconcile-apiserver: cannot listen on 127.0.0.1:{port}: the port is in use\n"


BAD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec: {group: example.com, scope: Everywhere, names: {plural: gadgets, kind: Gadget}, versions: []}
"""


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--nonsense"], "unrecognized arguments: --nonsense; see --help"),
        (["--port", "many"], "argument --port: invalid int value: 'many'; see --help"),
        (["--port", "70000"], "--port 70000: a port is a number from 0 (any free one) to 65535"),
        (["--authorization", "none"], "argument --authorization: invalid choice: 'none'"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0 can be reached from other machines: give --tls, or --tls-cert and "),
        (["--host", "0.0.0.0", "--tls-cert", "a", "--tls-key", "b"], "--host 0.0.0.0 can be reached"),
        (["--tls-cert", "a"], "--tls-cert and --tls-key go together"),
        (["--tls", "--tls-cert", "a", "--tls-key", "b"], "--tls makes a certificate and --tls-cert names one"),
        (["--client-ca", "a"], "--client-ca needs TLS"),
        (["--token-file", "{dir}/none"], "--token-file {dir}/none: No such file or directory"),
        (["--token-file", "{dir}/tokens"], "--token-file {dir}/tokens: line 2: 2 columns where token, user and uid"),
        (["--crds", "{dir}/none"], "{dir}/none: No such file or directory"),
        (["--crds", "{dir}/broken.yaml"], "{dir}/broken.yaml: while parsing a flow mapping"),
        (["--crds", "{dir}/map.yaml"], "{dir}/map.yaml, document 2, apiVersion: it is 'v1' where "),
        (["--crds", "{dir}/bad.yaml"], "{dir}/bad.yaml, document 1, spec."),
        (["--tls-cert", "{dir}/none", "--tls-key", "{dir}/none"], "{dir}/none: No such file or directory"),
        (["--tls-cert", "{dir}/tokens", "--tls-key", "{dir}/tokens"], "{dir}/tokens and {dir}/tokens are no cert"),
        (["--kubeconfig-out", "{dir}/none/config"], "--kubeconfig-out {dir}/none/config: No such file or directory"),
        (["--audit-log", "{dir}"], "--audit-log {dir}: Is a directory"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_it(
    flags: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tokens").write_text("secret-1,jo,1\nsecret-2,al\n")
    (tmp_path / "broken.yaml").write_text("a: {b")
    (tmp_path / "map.yaml").write_text("---\n---\napiVersion: v1\nkind: ConfigMap\n")
    (tmp_path / "bad.yaml").write_text(BAD)
    assert main(["--port", "0", *(flag.format(dir=tmp_path) for flag in flags)]) in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith(f"reconcile-apiserver: {says.format(dir=tmp_path)}")
    assert said.count("\n") == 1
    assert "secret" not in said


async def test_definitions_in_files_are_served_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "things.json").write_bytes(orjson.dumps(THINGS))
    (tmp_path / "kustomization.yaml").write_text("kind: Kustomization\nresources: [things.json]\n")
    (tmp_path / "README.md").write_text("no definition")
    async with served("--crds", tmp_path) as endpoint:
        answer = await endpoint.server.answer(HttpRequest("GET", "/apis/shop.example.com/v1/things"))
        assert answer.response.status == 200


@asynccontextmanager
async def client(config: Path) -> AsyncIterator[Client]:
    async with connect(config) as client:
        yield client


async def test_the_kubeconfig_is_a_way_in_where_nobody_else_is_let_in(tmp_path: Path) -> None:
    config = tmp_path / "config"
    (tmp_path / "tokens").write_text('t-1,jo,u-1,"painters,cooks"\n')
    ways: tuple[tuple[str, ...], ...] = (("--tls",), ("--token-file", str(tmp_path / "tokens")))
    for flags in ways:
        async with served("--kubeconfig-out", config, *flags):
            async with client(config) as admin:
                assert len((await admin.list(kinds.NAMESPACE)).items) == 4
            document = orjson.loads(config.read_bytes())
            document["users"][0]["user"] = {}
            config.write_bytes(orjson.dumps(document))
            async with client(config) as nobody:
                with pytest.raises(ApiError) as refused:
                    await nobody.list(kinds.NAMESPACE)
                assert refused.value.code == 401


async def test_users_come_by_token_and_by_certificate_and_stand_in_the_audit_log(tmp_path: Path) -> None:
    authority = Authority.create("ours", NOW)
    server, cook = authority.server(["127.0.0.1"]), authority.client("al", ["cooks"])
    files = {"ca.crt": authority.pair.certificate, "tls.crt": server.certificate, "tls.key": server.key}
    files |= {"al.crt": cook.certificate, "al.key": cook.key, "tokens": 't-1,jo,u-1,"painters"\n'}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    tls: list[str | Path] = [
        "--tls-cert",
        tmp_path / "tls.crt",
        "--tls-key",
        tmp_path / "tls.key",
        "--client-ca",
        tmp_path / "ca.crt",
    ]
    log = tmp_path / "audit.log"
    async with served(*tls, "--token-file", tmp_path / "tokens", "--audit-log", log) as endpoint:
        for user in ({"token": "t-1"}, {"client-certificate": "al.crt", "client-key": "al.key"}, {"token": "t-2"}):
            config = tmp_path / "config"
            config.write_bytes(orjson.dumps(a_config(endpoint.url, user)))
            transport = HttpTransport(login.load(config))
            body = orjson.dumps({"metadata": {"name": f"m-{len(user)}"}})
            request = HttpRequest("POST", MAPS, (), {"content-type": "application/json"}, body)
            await transport.call(request, timeout=10)
            await transport.aclose()
    told = [(one.user, one.verb, one.resource, one.namespace, one.name, one.code) for one in audit.read(log)]
    assert (
        told
        == [
            ("jo", "create", "configmaps", "default", "m-1", 201),
            ("al", "create", "configmaps", "default", "m-2", 201),
            ("", "create", "configmaps", "default", "m-1", 401),
            ("", "create", "configmaps", "default", "m-1", 401),  # the client asks once more
        ][: len(told)]
    )
    lines = [orjson.loads(line) for line in log.read_bytes().splitlines()]
    assert [line["user"].get("groups") for line in lines[:2]] == [
        ["painters", "system:authenticated"],
        ["cooks", "system:authenticated"],
    ]
    assert stat.S_IMODE(os.stat(log).st_mode) == 0o600


def a_config(url: str, user: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }


async def test_where_roles_decide_nobody_has_more_than_they_were_given(tmp_path: Path) -> None:
    config = tmp_path / "config"
    (tmp_path / "tokens").write_text("t-1,jo,u-1\n")
    flags: list[str | Path] = [
        "--token-file",
        tmp_path / "tokens",
        "--authorization",
        "rbac",
        "--kubeconfig-out",
        config,
    ]
    async with served(*flags) as endpoint:
        jo, nobody = {"authorization": "Bearer t-1"}, dict[str, str]()

        async def code(path: str, headers: dict[str, str]) -> int:
            reply = await endpoint.reply(HttpRequest("GET", path, (), headers), Peer("127.0.0.1"))
            return reply.response.status

        assert [await code("/livez", one) for one in (jo, nobody)] == [200, 200]
        assert [await code(MAPS, one) for one in (jo, nobody)] == [403, 403]
        assert await code(MAPS, {"authorization": "Bearer t-2"}) == 401
        async with client(config) as admin:
            role = {
                "metadata": {"name": "reader"},
                "rules": [{"verbs": ["list"], "apiGroups": [""], "resources": ["configmaps"]}],
            }
            await admin.create(rbac("Role", "roles"), role, namespace="default")
            subject = {"kind": "User", "name": "jo", "apiGroup": "rbac.authorization.k8s.io"}
            reference = {"kind": "Role", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}
            binding = {"metadata": {"name": "jo-reads"}, "roleRef": reference, "subjects": [subject]}
            await admin.create(rbac("RoleBinding", "rolebindings"), binding, namespace="default")
        assert [await code(MAPS, one) for one in (jo, nobody)] == [200, 403]
        assert await code("/api/v1/secrets", jo) == 403


def rbac(kind: str, plural: str) -> Resource[Any]:
    return Resource.untyped("rbac.authorization.k8s.io/v1", kind, plural)
