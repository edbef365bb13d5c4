"""Programs that print credentials: what they are asked, and what happens when they misbehave."""

import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

from reconcile.kube import exec_plugin
from reconcile.kube.access import ClusterAccess
from reconcile.kube.exec_plugin import PluginLogin
from reconcile.kube.kubeconfig import EnvVar, ExecPlugin, LoginError

V1 = "client.authentication.k8s.io/v1"
SECRET = "s3cr3t-that-nobody-may-see"
ACCESS = ClusterAccess("https://one:6443", origin="config, user 'u'", tls_server_name="name", plugin_config={"a": 1})


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {})  # real processes


def program(code: str, **changes: Any) -> ExecPlugin:
    """A plugin that runs Python code."""
    return ExecPlugin(V1, sys.executable, ("-c", code), install_hint="get it there", **changes)


def printing(status: object, **changes: Any) -> ExecPlugin:
    answer = {"apiVersion": V1, "kind": "ExecCredential", "status": status}
    return program(f"print({json.dumps(answer)!r})", **changes)


async def run(plugin: ExecPlugin, *, timeout: float = 20.0) -> PluginLogin:
    return await exec_plugin.run(plugin, ACCESS, ca=b"ca", environment={"PATH": os.environ["PATH"]}, timeout=timeout)


async def test_a_token_with_its_end_arrives() -> None:
    login = await run(printing({"token": "t\n", "expirationTimestamp": "2026-01-01T12:00:00Z"}))
    assert login == PluginLogin("t", expires=dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC))


async def test_a_certificate_arrives_with_its_key() -> None:
    login = await run(printing({"clientCertificateData": "c", "clientKeyData": "k"}))
    assert login == PluginLogin(certificate=b"c", key=b"k")


async def test_it_is_asked_in_its_own_environment_for_this_cluster() -> None:
    code = (
        "import json, os; status = {'token': os.environ['KUBERNETES_EXEC_INFO'] + os.environ['MINE']};"
        f"print(json.dumps({{'apiVersion': {V1!r}, 'kind': 'ExecCredential', 'status': status}}))"
    )
    plugin = program(code, env=(EnvVar("MINE", "!"),))
    question = json.loads((await run(plugin)).token.removesuffix("!"))
    assert question == {"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": False}}
    asked = json.loads((await run(evolve(plugin, provide_cluster_info=True))).token.removesuffix("!"))
    assert asked["spec"]["cluster"] == {
        "server": "https://one:6443",
        "tls-server-name": "name",
        "certificate-authority-data": "Y2E=",
        "config": {"a": 1},
    }


async def test_a_relative_command_starts_at_its_kubeconfig(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "plugin"
    script.parent.mkdir()
    answer = {"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "t"}}
    script.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    script.chmod(0o755)
    assert (await run(ExecPlugin(V1, "bin/plugin", directory=tmp_path))).token == "t"


@pytest.mark.parametrize(
    ("plugin", "expected"),
    [
        (ExecPlugin(V1, "no-such-plugin", install_hint="get it there"), "cannot be started: No such file"),
        (ExecPlugin(V1, "/", install_hint="get it there"), "cannot be started: Permission denied"),
        (program("import sys; sys.exit('no ticket')"), "failed with code 1: no ticket"),
        (program("raise SystemExit(3)"), "failed with code 3: it said nothing"),
        (program(f"print({SECRET!r})"), "printed no ExecCredential"),
        (program("print('null')"), "printed no ExecCredential"),
        (program(f"""print('{{"kind": "ExecCredential", "apiVersion": "x", "token": "{SECRET}"}}')"""), "printed no"),
        (printing(None), "printed no ExecCredential"),
        (printing({"token": SECRET, "expirationTimestamp": "soon"}), "printed no ExecCredential"),
        (printing({}), "neither a token nor a certificate"),
        (printing({"token": SECRET, "clientKeyData": SECRET}), "neither a token nor a certificate with its key"),
    ],
)
async def test_a_failure_names_the_command_and_what_to_do(plugin: ExecPlugin, expected: str) -> None:
    with pytest.raises(LoginError) as caught:
        await run(plugin)
    assert expected in str(caught.value)
    assert repr(plugin.command) in str(caught.value)
    assert "user 'u'" in str(caught.value)
    assert caught.value.remedy
    assert SECRET not in str(caught.value)


@pytest.mark.pain(6)
async def test_one_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = (
        f"import subprocess, time; child = subprocess.Popen(['sleep', '60']);"
        f"open({str(mark)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    with anyio.fail_after(20), pytest.raises(LoginError, match="did not end within 1 s"):
        await run(program(code), timeout=1.0)
    await _gone(int(mark.read_text()))


async def test_one_that_talks_a_lot_is_read_to_its_end() -> None:
    code = f"import sys; sys.stderr.write('x' * 500_000 + 'the end'); print('y' * 500_000); sys.exit({SECRET!r})"
    with pytest.raises(LoginError, match=r"failed with code 1: x+the end") as caught:
        await run(program(code))
    assert len(str(caught.value)) < 3000


async def test_cancelling_kills_it(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with anyio.fail_after(20):
        await _cancelled_once_there(program(code), anyio.Path(mark))
    await _gone(int(mark.read_text()))


async def _cancelled_once_there(plugin: ExecPlugin, mark: anyio.Path) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, plugin)
        while not (await mark.exists() and await mark.read_text()):
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()


async def _gone(pid: int) -> None:
    for _ in range(500):
        try:
            state = (await anyio.Path(f"/proc/{pid}/stat").read_text()).rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":  # dead, and not yet collected by whoever adopted it
            return
        await anyio.sleep(0.01)
    pytest.fail(f"process {pid} still runs")
