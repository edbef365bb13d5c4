"""How each of the two servers is logged in to, as the flags say.

Plain: what a kubeconfig says, from a file, a Secret or where kubectl looks. With a bootstrap kubeconfig or rotation,
the file or Secret is the place of a client certificate of our own, which we write. Pure.
"""

import re
from collections.abc import Iterator
from enum import Enum
from os.path import normpath
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from attrs import frozen

from apinetlet.api import Generation
from reconcile.kube.certificates.pairs import Subject

if TYPE_CHECKING:
    from apinetlet.settings import Settings

SideName: TypeAlias = Literal["source", "apinet"]
PREFIXES: Final[dict[SideName, str]] = {"source": "", "apinet": "api-net-"}


class Mode(Enum):
    """Where a connection's credentials come from, and who looks after them."""

    PLAIN = "plain"
    """A kubeconfig of somebody else; we only read."""
    BOOTSTRAP = "bootstrap"
    """Our own certificate, requested when there is no good one."""
    ROTATE = "rotate"
    """The same, and renewed before it ends."""


@frozen
class Side:
    """The flags of one connection. ``prefix`` is how they begin after the dashes."""

    name: SideName
    prefix: str
    kubeconfig: str
    secret_name: str
    secret_namespace: str
    bootstrap: str
    rotates: bool
    egress: str
    qps: float
    burst: int

    @classmethod
    def of(cls, settings: "Settings", name: SideName) -> "Side":
        prefix = PREFIXES[name]

        def told(flag: str) -> object:
            return getattr(settings, f"{prefix}{flag}".replace("-", "_"))

        return cls(
            name,
            prefix,
            str(told("kubeconfig")),
            str(told("kubeconfig-secret-name")),
            str(told("kubeconfig-secret-namespace")),
            str(told("bootstrap-kubeconfig")),
            bool(told("rotate-certificates")),
            str(told("egress-selector-config")),
            float(str(told("qps"))),
            int(str(told("burst"))),
        )

    @property
    def mode(self) -> Mode:
        return Mode.ROTATE if self.rotates else Mode.BOOTSTRAP if self.bootstrap else Mode.PLAIN

    @property
    def place(self) -> str:
        """Where its kubeconfig is, to be compared; "" if it is looked for."""
        if self.secret_name:
            return f"Secret {self.secret_namespace}/{self.secret_name}"
        return normpath(self.kubeconfig) if self.kubeconfig else ""


def problem(settings: "Settings") -> str:
    """What is wrong with the flags of both connections, in one line that names them; "" if nothing is."""
    return next(_problems(Side.of(settings, "source"), Side.of(settings, "apinet")), "")


def shared(source: Side, apinet: Side) -> str:
    """What is wrong with the places of both, which ``problem`` compares as they are spelled; "" if nothing is."""
    return next(_shared(source, apinet), "")


def subject(generation: Generation, side: SideName, namespace: str) -> Subject:
    """Whom a side's certificate is for. ``namespace`` receives the api-net objects.

    Source: the Go daemon; the approvers and roles of the API servers know these names.
    """
    if side == "source":
        group = f"{generation.networking}:system:networkplugin"
        return Subject(f"{group}:{generation.scheme.value}", (f"{group}s",))
    group = f"{generation.finalizers}:system:apinetlet"
    return Subject(f"{group}:{namespace}", (f"{group}s",))


def store_manager(generation: Generation) -> str:
    """The field manager of the kubeconfig in a Secret."""
    return f"{generation.field_manager.partition('/')[0]}/config-read-writer"


_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def _problems(source: Side, apinet: Side) -> Iterator[str]:
    for side in (source, apinet):
        yield from _own(side)
    yield from _shared(source, apinet)


def _shared(source: Side, apinet: Side) -> Iterator[str]:
    if source.place and source.place == apinet.place and not source.mode is apinet.mode is Mode.PLAIN:
        yield (
            f"--{_store(source)} and --{_store(apinet)} name one place, {source.place}: "
            "each connection keeps a certificate of its own, so give two"
        )
    bootstraps = {normpath(side.bootstrap): side for side in (source, apinet) if side.bootstrap}
    for side in (source, apinet):
        if side.mode is not Mode.PLAIN and not side.secret_name and (other := bootstraps.get(side.place)) is not None:
            yield (
                f"--{side.prefix}kubeconfig and --{other.prefix}bootstrap-kubeconfig name one file, {side.place}: "
                "the certificate would overwrite it, so give two"
            )


def _own(side: Side) -> Iterator[str]:
    prefix = f"--{side.prefix}"
    if side.kubeconfig and side.secret_name:
        yield f"{prefix}kubeconfig and {prefix}kubeconfig-secret-name exclude each other: give one"
    if side.mode is not Mode.PLAIN and not side.place:
        asked = "rotate-certificates" if side.rotates else "bootstrap-kubeconfig"
        yield (
            f"{prefix}{asked} needs a place to keep the certificate: "
            f"give {prefix}kubeconfig or {prefix}kubeconfig-secret-name"
        )
    for flag, name in (("name", side.secret_name), ("namespace", side.secret_namespace)):
        if name and (len(name) > 253 or not _NAME.fullmatch(name)):
            yield f"{prefix}kubeconfig-secret-{flag} must be a name (lower case, digits, '-'), not {name!r}"


def _store(side: Side) -> str:
    return f"{side.prefix}kubeconfig-secret-name" if side.secret_name else f"{side.prefix}kubeconfig"
