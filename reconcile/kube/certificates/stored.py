"""The kubeconfig in which a client certificate is kept between two runs: its text, and what a text that is there means.

Compatible both ways with what the Go daemons keep. Nothing that somebody else may still need is taken for ours: a
kubeconfig of another server, or one that logs in by other means, is refused rather than written over. Pure.
"""

import base64
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from reconcile.kube import login
from reconcile.kube.access import ClusterAccess, access
from reconcile.kube.certificates.pairs import Pair
from reconcile.kube.kubeconfig import LoginError

CLUSTER, USER, CONTEXT = "default-cluster", "default-auth", "default-context"
"""As the kubelet calls them."""
REMEDY: Final = "remove it, and a certificate is requested anew; or name another place"


@frozen
class Stored:
    """What a store holds: a server, and a certificate for it, maybe of no use; ``pair`` is None if there is none."""

    access: ClusterAccess
    pair: Pair | None = None


def written(reached: ClusterAccess, ca: bytes | None, pair: Pair) -> bytes:
    """A kubeconfig for the server of ``reached``. ``ca`` is what to trust, None for what the system trusts."""
    import yaml

    cluster: dict[str, Any] = {"server": reached.server}
    if ca is not None:
        cluster["certificate-authority-data"] = _base64(ca)
    if reached.is_insecure:
        cluster["insecure-skip-tls-verify"] = True
    if reached.tls_server_name:
        cluster["tls-server-name"] = reached.tls_server_name
    if reached.proxy_url:
        cluster["proxy-url"] = reached.proxy_url
    user = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
    context = {"cluster": CLUSTER, "user": USER}
    if reached.namespace:
        context["namespace"] = reached.namespace
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CLUSTER, "cluster": cluster}],
        "users": [{"name": USER, "user": user}],
        "contexts": [{"name": CONTEXT, "context": context}],
        "current-context": CONTEXT,
    }
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(document, Dumper=dumper, sort_keys=False).encode()


def understood(text: bytes, path: Path, *, expected: ClusterAccess | None) -> Stored | None:
    """What a store's text means; None for an empty one. ``expected``: the server that the bootstrap way leads to.

    A certificate given as a file is read by who uses it; here only what the text itself holds is taken out.

    Raises:
        LoginError: no kubeconfig, another server's, or one that logs in by other means.
    """
    if not text.strip():
        return None
    try:
        found = access(login.parse(text, path))
    except LoginError as error:
        raise LoginError(error.problem, where=error.where or str(path), remedy=REMEDY) from None
    if found.token or found.token_file or found.username or found.plugin is not None:
        problem = "it logs in by other means than a client certificate, which a renewal would overwrite"
        raise LoginError(problem, where=found.origin, remedy="name another place for the certificate")
    if expected is not None and expected.server != found.server:
        problem = f"it is for the server {found.server}, and the bootstrap kubeconfig for {expected.server}"
        raise LoginError(problem, where=found.origin, remedy=REMEDY)
    reached = evolve(found, certificate=None, key=None)
    if isinstance(found.certificate, bytes) and isinstance(found.key, bytes):
        return Stored(reached, Pair(found.certificate, found.key))
    if found.certificate is not None or found.key is not None:
        problem = "its certificate stands in other files, which a renewal would not reach"
        raise LoginError(problem, where=found.origin, remedy="embed them (client-certificate-data, client-key-data)")
    return Stored(reached)


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode()
