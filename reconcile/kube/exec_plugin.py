"""Run a program that prints credentials (``client.authentication.k8s.io``, v1 and v1beta1).

The program gets no terminal, its own process group and a time limit; both its pipes are drained, and the whole group is
killed when time is up or the caller is cancelled. What it printed is a secret and never part of a message; the end of
what it complained about is.
"""

import base64
import datetime as dt
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteReceiveStream, Process
from attrs import field, frozen

from reconcile.core.clock import Seconds
from reconcile.kube.access import ClusterAccess
from reconcile.kube.kubeconfig import ExecPlugin, LoginError

OUTPUT_LIMIT_BYTES = 1 << 20
COMPLAINT_LIMIT_BYTES = 2 << 10


@frozen
class PluginLogin:
    """What a plugin printed. ``expires``: None means good until a server refuses it."""

    token: str = field(default="", repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    expires: dt.datetime | None = None


async def run(
    plugin: ExecPlugin, access: ClusterAccess, *, ca: bytes | None, environment: Mapping[str, str], timeout: Seconds
) -> PluginLogin:
    """Run the plugin once. ``ca``: the server's authority in PEM, for a plugin that asks for cluster information.

    Raises:
        LoginError: not found, failed, too slow, or printed something else; names the command and its install hint.
    """
    command = plugin.command
    if os.sep in command:
        command = str(plugin.directory / command)
    own = {variable.name: variable.value for variable in plugin.env}
    env = {**environment, **own, "KUBERNETES_EXEC_INFO": json.dumps(_question(plugin, access, ca))}
    try:
        process = await anyio.open_process(
            [command, *plugin.args], stdin=subprocess.DEVNULL, env=env, start_new_session=True
        )
    except OSError as error:
        problem = f"exec plugin {plugin.command!r} cannot be started: {error.strerror}"
        remedy = plugin.install_hint or "install it, or correct exec.command"
        raise LoginError(problem, where=access.origin, remedy=remedy) from error
    async with process:
        try:
            with anyio.fail_after(timeout):
                printed, complaint = await _outcome(process)
        except BaseException as error:
            # as long as one of its group lives, nobody else gets this number
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, TimeoutError):
                raise
            problem = f"exec plugin {plugin.command!r} did not end within {timeout:g} s"
            raise LoginError(problem, where=access.origin, remedy="run it by hand to see why") from None
    if process.returncode:
        problem = f"exec plugin {plugin.command!r} failed with code {process.returncode}: {_readable(complaint)}"
        raise LoginError(problem, where=access.origin, remedy=plugin.install_hint or "run it by hand to see why")
    return _answer(printed, plugin, access.origin)


def _question(plugin: ExecPlugin, access: ClusterAccess, ca: bytes | None) -> Mapping[str, Any]:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.provide_cluster_info:
        facts = {
            "server": access.server,
            "tls-server-name": access.tls_server_name,
            "insecure-skip-tls-verify": access.is_insecure,
            "certificate-authority-data": base64.b64encode(ca).decode() if ca else "",
            "proxy-url": access.proxy_url,
            "config": access.plugin_config,
        }
        spec["cluster"] = {name: fact for name, fact in facts.items() if fact}
    return {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}


async def _outcome(process: Process) -> tuple[bytes, bytes]:
    ends = [b"", b""]

    async def drain(place: int, pipe: ByteReceiveStream, limit_bytes: int) -> None:
        with suppress(anyio.EndOfStream):
            while True:
                ends[place] = (ends[place] + await pipe.receive())[-limit_bytes:]

    assert process.stdout is not None
    assert process.stderr is not None
    async with anyio.create_task_group() as both:
        both.start_soon(drain, 0, process.stdout, OUTPUT_LIMIT_BYTES)
        both.start_soon(drain, 1, process.stderr, COMPLAINT_LIMIT_BYTES)
    await process.wait()
    return ends[0], ends[1]


def _answer(printed: bytes, plugin: ExecPlugin, origin: str) -> PluginLogin:
    try:
        answer = json.loads(printed)
        if answer["kind"] != "ExecCredential" or answer["apiVersion"] != plugin.api_version:
            raise ValueError("of another kind or version")
        status = answer["status"]
        token = status.get("token") or ""
        certificate, key = status.get("clientCertificateData") or "", status.get("clientKeyData") or ""
        expires = status.get("expirationTimestamp")
        login = PluginLogin(
            token.strip(), certificate.encode() or None, key.encode() or None, _time(expires) if expires else None
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # `from None`: the cause would print the secret
        problem = f"exec plugin {plugin.command!r} printed no ExecCredential of {plugin.api_version}"
        raise LoginError(problem, where=origin, remedy=plugin.install_hint or "run it by hand to see why") from None
    if not (login.token or login.certificate) or (login.certificate is None) != (login.key is None):
        problem = f"exec plugin {plugin.command!r} printed neither a token nor a certificate with its key"
        raise LoginError(problem, where=origin, remedy="run it by hand to see why")
    return login


def _time(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _readable(complaint: bytes) -> str:
    return complaint.decode(errors="replace").strip() or "it said nothing"


def find_program(plugin: ExecPlugin, environment: Mapping[str, str]) -> Path | None:
    """Where the plugin's program is. None: not found. Asked at start, so that a missing one is told at once."""
    import shutil

    command = str(plugin.directory / plugin.command) if os.sep in plugin.command else plugin.command
    found = shutil.which(command, path=environment.get("PATH", os.defpath))
    return Path(found) if found else None
