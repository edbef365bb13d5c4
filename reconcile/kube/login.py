"""Where the way in to an API server is found: in the places and the order in which kubectl looks.

A kubeconfig that was named; those of ``$KUBECONFIG``, merged; the files of a pod; ``~/.kube/config``. What was found is
checked at once as far as files go, so that a mistake is told at start. ``credentials.py`` keeps it current.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from reconcile.kube import kubeconfig as files
from reconcile.kube import tls
from reconcile.kube.access import ClusterAccess, access, unreachable
from reconcile.kube.credentials import (
    Credentials,
    CredentialSettings,
    Grant,
    RenewedCredentials,
    read_token,
)
from reconcile.kube.exec_plugin import find_program
from reconcile.kube.kubeconfig import Kubeconfig, LoginError
from reconcile.kube.proxies import proxy_for

__all__ = [
    "ClusterAccess",
    "CredentialSettings",
    "Credentials",
    "Grant",
    "LoginError",
    "RenewedCredentials",
    "find",
    "load",
    "parse",
]

log = logging.getLogger(__name__)
DEFAULTS = CredentialSettings()
POD_FILES = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def load(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    settings: CredentialSettings = DEFAULTS,
) -> RenewedCredentials:
    """Find the way in and check its files. Reads files, so call it at start; a plugin is run by the first request.

    ``context`` chooses one of a kubeconfig (by default its current one), and so rules out the files of a pod.
    ``environment`` is the process' own if not given.

    Raises:
        LoginError: nothing was found, or what was found is unusable; says what, where and what to do.
    """
    environment = os.environ if environment is None else environment
    found = find(kubeconfig, context, environment=environment)
    tls.read(found)
    read_token(found)
    proxy = proxy_for(found.server, environment)
    if not found.proxy_url and proxy and (problem := unreachable(proxy)):
        variable = f"${found.server.partition(':')[0].upper()}_PROXY"
        remedy = "write it as http://host:port, or name the server in $NO_PROXY"
        raise LoginError(f"the proxy for {found.server} {problem}", where=variable, remedy=remedy)
    if found.plugin is not None and find_program(found.plugin, environment) is None:
        remedy = found.plugin.install_hint or "install it, or correct exec.command"
        raise LoginError(f"exec plugin {found.plugin.command!r} is not installed", where=found.origin, remedy=remedy)
    if found.is_insecure:
        log.warning("the server's certificate is not checked: insecure-skip-tls-verify is set (%s)", found.origin)
    return RenewedCredentials(found, settings, environment)


def find(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    environment: Mapping[str, str],
    pod_files: Path = POD_FILES,
) -> ClusterAccess:
    """What ``load`` would use, not yet checked against the files it names."""
    if kubeconfig is not None:
        return access(_read([kubeconfig]), context)
    if named := environment.get("KUBECONFIG", ""):
        paths = [Path(part) for part in named.split(os.pathsep) if part]
        there = [path for path in paths if path.exists()]
        if not there:
            raise LoginError(f"$KUBECONFIG names no file that exists: {named}", remedy="correct or unset it")
        return access(_read(there), context)
    host = environment.get("KUBERNETES_SERVICE_HOST", "")
    if host and context is None and (pod_files / "token").exists():
        return _in_pod(host, environment.get("KUBERNETES_SERVICE_PORT", "443"), pod_files)
    home = Path(environment.get("HOME") or Path.home()) / ".kube" / "config"
    if home.exists():
        return access(_read([home]), context)
    tried = f"no $KUBECONFIG, no {home}, no {pod_files}"
    raise LoginError("no kubeconfig was found", where=tried, remedy="name one, or run in a pod with a service account")


def _read(paths: Sequence[Path]) -> Kubeconfig:
    return files.merge([_read_one(path.absolute()) for path in paths])


def _read_one(path: Path) -> Kubeconfig:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise LoginError("no such kubeconfig", where=str(path), remedy="correct the path") from None
    except OSError as error:
        problem = f"kubeconfig cannot be read: {error.strerror}"
        raise LoginError(problem, where=str(path), remedy="correct the path or its rights") from error
    return parse(text, path)


def parse(text: bytes, path: Path) -> Kubeconfig:
    """Read a kubeconfig's text. ``path`` is where it stands: relative names in it start at its folder.

    Raises:
        LoginError: it is none; says where it goes wrong, never with what.
    """
    if text.startswith(b"{"):  # what programs write is often JSON, for which there is no need of more
        with suppress(orjson.JSONDecodeError):
            return files.read(orjson.loads(text), path)
    import yaml

    try:
        document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (both are safe)
    except (yaml.YAMLError, ValueError) as error:  # a number or date that is none
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        # `from None`: the cause may quote the file
        raise LoginError("kubeconfig is not YAML", where=f"{path}{line}", remedy="correct the file") from None
    return files.read(document, path)


def _in_pod(host: str, port: str, folder: Path) -> ClusterAccess:
    try:
        namespace = (folder / "namespace").read_text().strip()
    except OSError:
        namespace = ""
    return ClusterAccess(
        f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        origin=f"service account of the pod, {folder}",
        namespace=namespace,
        ca=folder / "ca.crt",
        token_file=folder / "token",
    )
