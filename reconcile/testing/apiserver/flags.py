"""What the command line of ``reconcile-apiserver`` says, checked as far as that goes without opening anything.

Pure. What cannot be is a ``BadFlags`` of one line that names the flag and says what to do.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import attrs

from reconcile.core.clock import Seconds

ALWAYS_ALLOW: Final = "always-allow"
RBAC: Final = "rbac"
_DESCRIPTION: Final = (
    "A Kubernetes API server for tests and demos. It runs no controllers but garbage collection and namespaces."
)


class BadFlags(ValueError):
    """A command line that makes no sense."""


@attrs.frozen(kw_only=True)
class Flags:
    """The command line as values. What was not given is empty."""

    host: str = "127.0.0.1"
    port: int = 8001
    data_dir: Path | None = None
    sync: str = "full"
    crds: tuple[Path, ...] = ()
    kubeconfig_out: Path | None = None
    tls: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    token_file: Path | None = None
    authorization: str = ""
    audit_log: Path | None = None
    ready_file: Path | None = None
    faults: str = ""
    seed: int = 0
    stop_seconds: Seconds = 5.0
    verbose: bool = False

    @property
    def has_tls(self) -> bool:
        """Whether the port speaks TLS."""
        return self.tls or self.tls_cert is not None

    @property
    def has_authentication(self) -> bool:
        """Whether clients have to show who they are."""
        return self.tls or self.token_file is not None or self.client_ca is not None


def parse(arguments: Sequence[str]) -> Flags:
    """Read a command line; ``--help`` prints and leaves.

    Raises:
        BadFlags: what it says is unknown, incomplete or contradicts itself.
    """
    given: dict[str, Any] = vars(_parser().parse_args(list(arguments)))
    flags = Flags(**{**given, "crds": tuple(given["crds"] or ())})
    if not 0 <= flags.port <= 65535:
        raise BadFlags(f"--port {flags.port}: a port is a number from 0 (any free one) to 65535")
    if (flags.tls_cert is None) is not (flags.tls_key is None):
        raise BadFlags("--tls-cert and --tls-key go together: give both, or --tls to have them made")
    if flags.tls and flags.tls_cert is not None:
        raise BadFlags("--tls makes a certificate and --tls-cert names one: give either")
    if flags.sync != "full" and flags.data_dir is None:
        raise BadFlags("--sync says how --data-dir is kept: give both")
    if flags.client_ca is not None and not flags.has_tls:
        raise BadFlags("--client-ca needs TLS: give --tls, or --tls-cert and --tls-key")
    return flags


def checked_reach(flags: Flags, *, loopback: bool) -> Flags:
    """With the authorization that goes without saying, now that it is known who can reach the port.

    Raises:
        BadFlags: others than this machine can, and the port is not safe for that.
    """
    if not loopback and not (flags.has_tls and flags.has_authentication):
        raise BadFlags(
            f"--host {flags.host} can be reached from other machines: give --tls, or --tls-cert and --tls-key "
            "with --token-file or --client-ca"
        )
    return flags if flags.authorization else attrs.evolve(flags, authorization=ALWAYS_ALLOW if loopback else RBAC)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadFlags(f"{message}; see --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="reconcile-apiserver", description=_DESCRIPTION, allow_abbrev=False)
    default = Flags()

    def add(name: str, says: str, **options: Any) -> None:
        key = name.lstrip("-").replace("-", "_")
        parser.add_argument(name, dest=key, help=says, **{"default": getattr(default, key), **options})

    def add_path(name: str, says: str, **options: Any) -> None:
        kind: Callable[[str], Path] = Path
        add(name, says, type=kind, metavar=options.pop("metavar", "FILE"), **options)

    add("--host", "where to listen (%(default)s); other than loopback needs TLS and authentication")
    add("--port", "the port (%(default)s); 0 is any that is free", type=int)
    add_path("--data-dir", "keep everything in this folder; without it, in memory", metavar="DIR")
    add("--sync", "what a power loss may cost: nothing, or the last writes (%(default)s)", choices=("full", "normal"))
    add_path(
        "--crds",
        "CustomResourceDefinitions to serve, from a file or a folder; may be repeated",
        metavar="FILE|DIR",
        action="append",
        default=None,
    )
    add_path("--kubeconfig-out", "write a kubeconfig of the administrator when ready")
    add("--tls", "serve HTTPS with certificates that are made at the start", action="store_true")
    add_path("--tls-cert", "serve HTTPS with this certificate")
    add_path("--tls-key", "and its key")
    add_path("--client-ca", "trust client certificates that this authority signed")
    add_path("--token-file", 'bearer tokens: token,user,uid,"group1,group2" a line')
    choices = (ALWAYS_ALLOW, RBAC)
    add("--authorization", "who may do what; by default always-allow on loopback, else rbac", choices=choices)
    add_path("--audit-log", "append a line of audit.k8s.io/v1 for each request")
    add_path("--ready-file", "write the address here when ready")
    add("--faults", "faults that strike one request in ten, by name, such as Latency,LostReply; or all")
    add("--seed", "draws the faults", type=int)
    add("--stop-seconds", "for what is under way when it is told to stop (%(default)s)", type=float)
    add("--verbose", "log more", action="store_true")
    return parser
