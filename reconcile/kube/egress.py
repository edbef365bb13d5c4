"""Which proxy leads from a control plane to an API server, by the file that Kubernetes calls an egress selector.

One selection counts, that of the control plane; without one the way is direct. Read as strictly as kube-apiserver reads
it: an unknown field is a mistake, and one that stands twice; capitals in a name are not. Proxies that want gRPC are
refused.

Source: ``apiserver/pkg/server/egressselector/config.go``; the page "Set up Konnectivity service" of the documentation.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from reconcile.core.clock import utc
from reconcile.kube import tls
from reconcile.kube.access import ClusterAccess
from reconcile.kube.kubeconfig import LoginError
from reconcile.kube.strict_yaml import RepeatedKey, StrictLoader
from reconcile.kube.tunnel import Tunnel

VERSIONS: Final = ("apiserver.k8s.io/v1beta1", "apiserver.k8s.io/v1alpha1")
NAMES: Final = {
    "apiserver.k8s.io/v1beta1": ("controlplane", "cluster", "etcd"),
    "apiserver.k8s.io/v1alpha1": ("controlplane", "master", "cluster", "etcd"),
}
OURS: Final = ("controlplane", "master")


def load(file: Path) -> Tunnel | None:
    """The tunnel that a file names for the control plane; None for a direct way. Reads the files that it names.

    Raises:
        LoginError: it cannot be read, is no such file, contradicts itself, or wants gRPC; says where.
    """
    where = str(file)
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), StrictLoader)  # noqa: S506 (a safe one)
    except (OSError, UnicodeDecodeError) as error:
        problem = f"the egress selector cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}"
        raise LoginError(problem, where=where, remedy="correct the path or its rights") from None
    except RepeatedKey as error:
        problem = f"the egress selector is wrong: {error.problem}"
        raise LoginError(problem, where=where, remedy="correct the file") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise LoginError("the egress selector is not YAML", where=where, remedy="correct the file") from None
    tunnel = read(document, where)
    if tunnel is not None and find_spec("httptools") is None:
        raise LoginError(
            "an egress selector needs the extra 'fast'", where=where, remedy="pip install 'apinetlet[fast]'"
        )
    return tunnel


def read(document: object, where: str) -> Tunnel | None:
    """What a parsed file says; certificates that it names are read. Raises LoginError as ``load``."""
    top = _Place(document, where, "")
    top.only("apiVersion", "kind", "egressSelections")
    version = top.text("apiVersion")
    if version not in VERSIONS or top.text("kind") != "EgressSelectorConfiguration":
        raise top.wrong(f"it must be an EgressSelectorConfiguration of {' or '.join(VERSIONS)}")
    found: dict[str, Tunnel | None] = {}
    ours = 0
    for number, one in enumerate(top.list("egressSelections")):
        selection = _Place(one, where, f"egressSelections[{number}]")
        selection.only("name", "connection")
        name = selection.text("name").lower()
        if name not in NAMES[version]:
            raise selection.wrong(f"name must be one of {', '.join(NAMES[version])}")
        ours += name in OURS
        if name in found or ours > 1:
            raise selection.wrong(f"there is a selection for {name!r} already")
        found[name] = _connection(selection.child("connection"), is_ours=name in OURS)
    return next((found[name] for name in OURS if name in found), None)


def _connection(place: "_Place", *, is_ours: bool) -> Tunnel | None:
    place.only("proxyProtocol", "transport")
    protocol = place.text("proxyProtocol")
    if protocol == "Direct":
        if place.has("transport"):
            raise place.wrong("a direct connection has no transport")
        return None
    if protocol not in ("HTTPConnect", "GRPC"):
        raise place.wrong("proxyProtocol must be Direct, HTTPConnect or GRPC")
    transport = place.child("transport")
    transport.only("tcp", "uds")
    if transport.has("tcp") == transport.has("uds"):
        raise transport.wrong("either tcp or uds must be given")
    if protocol == "GRPC":
        if is_ours:
            raise place.wrong("proxyProtocol GRPC is not supported: let the proxy server speak HTTPConnect, too")
        return None
    if transport.has("uds"):
        socket = transport.child("uds")
        socket.only("udsName")
        return Tunnel(socket=socket.text("udsName"))
    return _tcp(transport.child("tcp"), is_ours=is_ours)


def _tcp(place: "_Place", *, is_ours: bool) -> Tunnel | None:
    place.only("url", "tlsConfig")
    try:
        url = urlsplit(place.text("url"))
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        raise place.wrong("url has no port that could be used") from None
    if url.scheme not in ("http", "https") or not host or url.path.strip("/") or url.query or url.username:
        raise place.wrong("url must be http://host:port or https://host:port")
    if url.scheme == "http":
        if place.has("tlsConfig"):
            raise place.wrong("tlsConfig goes with an https url only")
        return Tunnel((host, port))
    config = place.child("tlsConfig")
    config.only("caBundle", "clientKey", "clientCert")
    certificate, key = config.text("clientCert"), config.text("clientKey")
    ca = config.text("caBundle") if config.has("caBundle") else ""
    if not is_ours:
        return None
    shown = ClusterAccess(
        place.text("url"),
        origin=f"{place.where}, {config.path}",
        ca=Path(ca) if ca else None,
        certificate=Path(certificate),
        key=Path(key),
    )
    return Tunnel((host, port), tls=tls.context(tls.read(shown), shown, utc()))


class _Place:
    """One mapping of the document, and where it stands."""

    def __init__(self, value: object, where: str, path: str) -> None:
        self.where = where
        self.path = path
        if not isinstance(value, Mapping):
            raise self.wrong("a mapping is expected")
        self._value: Mapping[Any, Any] = value

    def wrong(self, problem: str) -> LoginError:
        at = f" at {self.path}" if self.path else ""
        return LoginError(f"the egress selector is wrong{at}: {problem}", where=self.where, remedy="correct the file")

    def only(self, *names: str) -> None:
        if others := sorted(str(name) for name in self._value if name not in names):
            raise self.wrong(f"unknown field {others[0]!r}")

    def has(self, name: str) -> bool:
        return self._value.get(name) is not None

    def text(self, name: str) -> str:
        value = self._value.get(name)
        if not isinstance(value, str) or not value:
            raise self.wrong(f"{name} is required" if value in (None, "") else f"{name} must be text")
        return value

    def list(self, name: str) -> list[Any]:
        value = self._value.get(name)
        if not isinstance(value, list):
            raise self.wrong(f"{name} must be a list")
        return value

    def child(self, name: str) -> "_Place":
        if not self.has(name):
            raise self.wrong(f"{name} is required")
        return _Place(self._value[name], self.where, f"{self.path}.{name}" if self.path else name)
