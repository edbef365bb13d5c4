"""How to reach one API server and log in to it: what one context of a kubeconfig comes to.

Pure: answers with checked values or a ``LoginError`` that names file, context and user. Paths are absolute. What can
only be known by reading another file (a key that does not fit, an expired certificate) is found by ``tls.py``.
"""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from reconcile.kube.kubeconfig import ExecPlugin, Kubeconfig, LoginError, User

T = TypeVar("T")
Pem: TypeAlias = Path | bytes
"""A certificate or key: the file it is in, or its text."""


@frozen
class Impersonation:
    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(factory=dict)


@frozen
class ClusterAccess:
    """One API server and one way to log in to it, checked as far as that goes without reading another file.

    ``server`` has a scheme, maybe a path, and no slash at its end. ``origin`` names file, context and user in messages.
    A ``token_file`` that can be read wins over ``token``; both win over ``plugin``.
    """

    server: str
    origin: str = ""
    namespace: str = ""
    ca: Pem | None = field(default=None, repr=False)
    tls_server_name: str = ""
    is_insecure: bool = False
    proxy_url: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    certificate: Pem | None = field(default=None, repr=False)
    key: Pem | None = field(default=None, repr=False)
    impersonation: Impersonation | None = None
    plugin: ExecPlugin | None = None
    plugin_config: Any = field(default=None, repr=False)
    """The cluster extension that is meant for the plugin (``client.authentication.k8s.io/exec``)."""


def access(config: Kubeconfig, context: str | None = None) -> ClusterAccess:
    """What ``context`` (by default the current one) says.

    Raises:
        LoginError: context, cluster or user are missing, contradict themselves, or need what is not supported.
    """
    where = ", ".join(map(str, config.files))
    name = context or config.current_context
    if not name:
        remedy = f"set current-context or name one of: {_choices(config.contexts)}"
        raise LoginError("no context is chosen", where=where, remedy=remedy)
    chosen, file = _find(config.contexts, "context", name, where)
    where = f"{file}, context {name!r}"
    cluster, cluster_file = _find(config.clusters, "cluster", chosen.cluster, where)
    user, user_file = User(), file
    if chosen.user:
        user, user_file = _find(config.users, "user", chosen.user, where)
    cluster_where = f"{cluster_file}, context {name!r}, cluster {chosen.cluster!r}"
    user_where = f"{user_file}, context {name!r}, user {chosen.user!r}"
    ca = _pem(cluster.certificate_authority, cluster.certificate_authority_data, cluster_file, cluster_where)
    if ca is not None and cluster.insecure_skip_tls_verify:
        remedy = "remove insecure-skip-tls-verify, or the authority"
        raise LoginError("a certificate authority that would not be used", where=cluster_where, remedy=remedy)
    result = ClusterAccess(
        _server(cluster.server, cluster_where),
        origin=user_where if chosen.user else cluster_where,
        namespace=chosen.namespace,
        ca=ca,
        tls_server_name=cluster.tls_server_name,
        is_insecure=cluster.insecure_skip_tls_verify,
        proxy_url=_proxy(cluster.proxy_url, cluster_where),
        plugin_config=next((e.extension for e in cluster.extensions if e.name == EXEC_EXTENSION), None),
    )
    return _with_user(result, user, user_file, user_where)


EXEC_EXTENSION = "client.authentication.k8s.io/exec"
EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


def _with_user(result: ClusterAccess, user: User, file: Path, where: str) -> ClusterAccess:
    if user.auth_provider is not None:
        remedy = "clients dropped these; use an exec plugin (user.exec) instead"
        raise LoginError("auth-provider is not supported", where=where, remedy=remedy)
    certificate = _pem(user.client_certificate, user.client_certificate_data, file, where)
    key = _pem(user.client_key, user.client_key_data, file, where)
    if (certificate is None) != (key is None):
        missing = "client-key" if key is None else "client-certificate"
        raise LoginError(f"half a client certificate: no {missing}", where=where, remedy=f"add {missing}")
    if user.username and (user.token or user.token_file):
        raise LoginError("both a token and a username", where=where, remedy="remove one of them")
    if not user.as_user and (user.as_uid or user.as_groups or user.as_user_extra):
        raise LoginError("impersonates groups, a uid or extras of nobody", where=where, remedy="add user.as")
    return evolve(
        result,
        token=user.token,
        token_file=file.parent / user.token_file if user.token_file else None,
        username=user.username,
        password=user.password,
        certificate=certificate,
        key=key,
        impersonation=Impersonation(user.as_user, user.as_uid, user.as_groups, user.as_user_extra)
        if user.as_user
        else None,
        plugin=_checked(user.exec, where) if user.exec else None,
    )


def _checked(plugin: ExecPlugin, where: str) -> ExecPlugin:
    if plugin.api_version not in EXEC_VERSIONS:
        remedy = f"use {' or '.join(EXEC_VERSIONS)}; a newer release of the plugin may be needed"
        raise LoginError(f"unknown exec plugin version {plugin.api_version!r}", where=where, remedy=remedy)
    if not plugin.command:
        raise LoginError("an exec plugin without a command", where=where, remedy="add exec.command")
    if plugin.interactive_mode not in ("", "Never", "IfAvailable", "Always"):
        remedy = "use Never, IfAvailable or Always"
        raise LoginError(f"unknown interactiveMode {plugin.interactive_mode!r}", where=where, remedy=remedy)
    if plugin.interactive_mode == "Always":
        remedy = "a controller cannot answer questions: log in by another way"
        raise LoginError("the exec plugin wants a terminal", where=where, remedy=remedy)
    return plugin


def _server(server: str, where: str) -> str:
    remedy = "write cluster.server as https://host:port"
    if not server.startswith(("https://", "http://")):
        shown = "" if "@" in server else f"{server!r} "  # what stands before it may be a password
        raise LoginError(f"server {shown}is no URL" if server else "no server", where=where, remedy=remedy)
    if problem := unreachable(server):
        raise LoginError(f"server {problem}", where=where, remedy=remedy)
    parts = urlsplit(server)
    if parts.query or parts.fragment:
        raise LoginError("server has a query or fragment", where=where, remedy=remedy)
    if parts.username is not None:
        remedy = "write them as user.username and user.password"
        raise LoginError("server has a login in it", where=where, remedy=remedy)
    return server.rstrip("/")


def _proxy(url: str, where: str) -> str:
    if url and (problem := unreachable(url)):
        raise LoginError(f"proxy-url {problem}", where=where, remedy="write cluster.proxy-url as http://host:port")
    return url


def unreachable(url: str) -> str:
    """Why nobody can go to a server or proxy of that URL; "" if one can. Does not quote it: it may hold a login."""
    if not url.startswith(("https://", "http://")):
        return "is for neither http nor https"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")  # as looking it up does
    except ValueError:
        return "has a host or port that can be none"
    if not host:
        return "has no host"
    return "has a host or port that can be none" if port == 0 else ""


def _pem(path: str, data: str, file: Path, where: str) -> Pem | None:
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            # `from None`: the cause would print the secret
            raise LoginError("a *-data field is not base64", where=where, remedy="encode the PEM text once") from None
    return file.parent / path if path else None


def _find(entries: Mapping[str, T], kind: str, name: str, where: str) -> T:
    if name not in entries:
        raise LoginError(f"no {kind} {name!r}", where=where, remedy=f"there are: {_choices(entries)}")
    return entries[name]


def _choices(entries: Mapping[str, Any]) -> str:
    return ", ".join(sorted(entries)) or "none"
