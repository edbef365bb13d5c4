"""What is asked of a signer, and what its answer means.

A request stands in the cluster until somebody approves it and the signer signs. It is answered when it is approved and
has a certificate; a denial, a failure, a deletion or another request under its name mean that none will come. Pure.

Source: the page on certificate signing requests of the Kubernetes documentation; client-go, ``util/certificate/csr``.
"""

import base64
import binascii
import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from reconcile.kube.certificates import pairs
from reconcile.kube.certificates.pairs import KeyKind, Pair, Subject
from reconcile.kube.errors import KubeError

SIGNER: Final = "kubernetes.io/kube-apiserver-client"


class CertificateRefused(KubeError):
    """No certificate will come of a request. ``name`` is that of the request; ``is_denied``: somebody said no."""

    def __init__(self, name: str, problem: str, remedy: str, *, is_denied: bool = False) -> None:
        super().__init__(f"certificate request {name} {problem}; {remedy}")
        self.name = name
        self.is_denied = is_denied


@frozen
class Wanted:
    """The certificate to ask for.

    Without ``usages`` those that go with the kind of key: approvers compare them, and only RSA can encipher keys.
    """

    subject: Subject
    signer: str = SIGNER
    key: KeyKind = "ecdsa"
    usages: tuple[str, ...] = ()

    def body(self, request: bytes) -> dict[str, Any]:
        """The object to create for a request in PEM."""
        return {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "csr-"},
            "spec": {
                "request": base64.b64encode(request).decode(),
                "signerName": self.signer,
                "usages": list(self.usages or _USAGES[self.key]),
            },
        }


_USAGES: Final[Mapping[KeyKind, tuple[str, ...]]] = {
    "ecdsa": ("digital signature", "client auth"),
    "rsa": ("digital signature", "key encipherment", "client auth"),
}


def issued(found: Mapping[str, Any], *, uid: str, key: bytes, at: dt.datetime) -> Pair | None:
    """The certificate that a request object holds for ``key``; None while it is not answered.

    Raises:
        CertificateRefused: denied, failed, another object than that of ``uid``, or a certificate that is of no use.
    """
    name = str(found["metadata"].get("name", ""))
    if found["metadata"].get("uid") != uid:
        raise CertificateRefused(name, "was deleted, and another one has its name", "try again")
    status = found.get("status") or {}
    conditions = {one.get("type"): one for one in status.get("conditions") or []}
    for kind, remedy in (("Denied", "have the request allowed"), ("Failed", "look at the signer")):
        if (said := conditions.get(kind)) is not None:
            why = ": ".join(" ".join(str(said[part]).split()) for part in ("reason", "message") if said.get(part))
            problem = f"was denied ({why})" if kind == "Denied" else f"failed ({why})"
            raise CertificateRefused(name, problem.replace(" ()", ""), remedy, is_denied=kind == "Denied")
    if "Approved" not in conditions or not status.get("certificate"):
        return None
    try:
        pair = Pair(base64.b64decode(status["certificate"], validate=True), key)
    except (binascii.Error, ValueError):
        raise CertificateRefused(name, "was answered with what is not base64", "look at the signer") from None
    if problem := pairs.unusable(pair, at):
        problem = "it is for another key than ours" if problem.startswith("the key") else problem
        raise CertificateRefused(name, f"was signed, but {problem}", "look at the signer, and at both clocks")
    return pair


def unanswered(name: str, approved: bool, seconds: float) -> CertificateRefused:
    """Nobody answered in time."""
    if approved:
        return CertificateRefused(name, f"was approved, but not signed within {seconds:g} s", "look at the signer")
    problem = f"was neither approved nor denied within {seconds:g} s"
    return CertificateRefused(name, problem, f"kubectl certificate approve {name}, or look at the approver")


def is_approved(found: Mapping[str, Any]) -> bool:
    """Whether somebody said yes."""
    return any(one.get("type") == "Approved" for one in (found.get("status") or {}).get("conditions") or [])
