"""The programs of a control plane: where they are, and how each is told to run.

They are those that ``make envtest`` builds, or any other folder with kube-apiserver and etcd. Flags name files relative
to the folder a program runs in: a socket's path may have 108 bytes, and a temporary folder's can be longer.
``envtest.py`` writes those files and runs the programs.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CONTROLLERS: Final = (
    "garbage-collector-controller",
    "namespace-controller",
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-signing-controller",
)
"""What a test may expect of a cluster and no API server does alone; kube-controller-manager's names.

They come up after the server is ready. The garbage collector looks for new kinds every 30 s: what an object of a fresh
CRD owns may stay that long.
"""


class MissingAssets(Exception):
    """There is no folder with kube-apiserver and etcd; the text says how to get one."""


def find() -> Path | None:
    """The folder with the programs: ``KUBEBUILDER_ASSETS``, else what ``make envtest`` built last, else None."""
    if chosen := os.environ.get("KUBEBUILDER_ASSETS"):
        folder = Path(chosen)
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(cache, "apinetlet", "envtest", "current")
    return folder if all((folder / program).is_file() for program in ("kube-apiserver", "etcd")) else None


def require(folder: Path | None = None, *, controllers: bool = False) -> Path:
    """``folder`` or what ``find`` finds. Raises MissingAssets when it is none, or lacks kube-controller-manager."""
    if (folder := folder or find()) is None:
        raise MissingAssets(_how_to_get_assets())
    if controllers and not (folder / "kube-controller-manager").is_file():
        raise MissingAssets(f"{folder} has no kube-controller-manager: use the folder that `make envtest` prints")
    return folder


_ETCD_SOCKET: Final = "unix://etcd.sock:0"  # a file "etcd.sock:0": etcd insists on something like a port
_PEER_SOCKET: Final = "unix://peer.sock:0"
ETCD_FLAGS: Final = (
    "--name=envtest",
    "--data-dir=etcd",
    f"--listen-client-urls={_ETCD_SOCKET}",
    f"--advertise-client-urls={_ETCD_SOCKET}",
    f"--listen-peer-urls={_PEER_SOCKET}",
    f"--initial-advertise-peer-urls={_PEER_SOCKET}",
    f"--initial-cluster=envtest={_PEER_SOCKET}",
    "--unsafe-no-fsync",  # the data does not outlive the test
)


def server_flags(address: tuple[str, int], *, audited: bool) -> list[str]:
    """Of kube-apiserver, listening on ``address`` and nowhere else."""
    flags = [
        f"--etcd-servers={_ETCD_SOCKET}",
        f"--bind-address={address[0]}",
        f"--secure-port={address[1]}",
        f"--advertise-address={address[0]}",  # else it wants a default route: a machine may be offline
        "--endpoint-reconciler-type=none",  # others refuse a loopback address, and nobody dials the service
        "--permit-port-sharing",  # with the socket that keeps the port for us
        "--tls-cert-file=server.crt",
        "--tls-private-key-file=server.key",
        "--client-ca-file=ca.crt",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=service-accounts.crt",
        "--service-account-signing-key-file=service-accounts.key",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins=ServiceAccount",  # nobody makes the account a pod would be refused without
    ]
    if audited:
        flags += ["--audit-policy-file=audit-policy.json", "--audit-log-path=audit.log"]
        flags += ["--audit-log-maxsize=0"]  # in one file: rotated, the oldest events would be missed
    return flags


def manager_flags(kubeconfig: Path, controllers: Sequence[str]) -> list[str]:
    """Of kube-controller-manager, with these controllers and no others; signs with the authority of the server."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(controllers)}",
        "--leader-elect=false",
        "--secure-port=0",
        "--cluster-signing-cert-file=ca.crt",
        "--cluster-signing-key-file=ca.key",
    ]


def _how_to_get_assets() -> str:
    if chosen := os.environ.get("KUBEBUILDER_ASSETS"):
        return f"KUBEBUILDER_ASSETS={chosen} has no kube-apiserver and etcd: correct it, or unset it and `make envtest`"
    return "no kube-apiserver and etcd: run `make envtest` once (needs Go), or set KUBEBUILDER_ASSETS to their folder"
