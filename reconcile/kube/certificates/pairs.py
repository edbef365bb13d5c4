"""A client certificate and its key: what it says, and whether it can be used.

Nothing here ever shows a key: not in a repr, not in an error. Pure, but that making a key draws randomness. Needs the
extra ``bootstrap``, and says so.
"""

import datetime as dt
import random
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from attrs import field, frozen

from reconcile.kube.kubeconfig import LoginError

if TYPE_CHECKING:
    from cryptography import x509

KeyKind: TypeAlias = Literal["ecdsa", "rsa"]
EARLIEST, LATEST = 0.7, 0.9
"""Parts of a certificate's life between which it is renewed. Source: client-go, ``util/certificate``."""
RSA_BITS: Final = 2048


@frozen
class Pair:
    """A certificate, maybe with its chain, and its key, both PEM."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


@frozen
class Validity:
    """From when to when a certificate is good, in UTC. ``ends`` is that of the first in the text that ends."""

    starts: dt.datetime
    ends: dt.datetime


@frozen
class Subject:
    """Whom a certificate is for: the user's name and its groups, as an API server reads them."""

    name: str
    groups: tuple[str, ...] = ()


@frozen
class NewKey:
    """A new key, PEM, and the request for a certificate that goes with it."""

    key: bytes = field(repr=False)
    request: bytes = field(repr=False)


def validity(certificate: bytes) -> Validity:
    """What a PEM text says.

    Raises:
        LoginError: it holds no certificate, or one that cannot be read.
    """
    found = _certificates(certificate)
    return Validity(found[0].not_valid_before_utc, min(one.not_valid_after_utc for one in found))


def deadline(known: Validity, rng: random.Random) -> dt.datetime:
    """When to renew a certificate: somewhere between 70 and 90 percent of its life, so that not all do so at once."""
    part = EARLIEST + (LATEST - EARLIEST) * rng.random()
    return known.starts + (known.ends - known.starts) * part


def unusable(pair: Pair, at: dt.datetime) -> str:
    """Why a certificate cannot be used at that time, in a few words; "" if it can.

    Source: ``isClientConfigStillValid`` of the kubelet's bootstrap, which does not ask whether the key fits.
    """
    try:
        ends = validity(pair.certificate).ends
    except LoginError as error:
        return error.problem
    if ends <= at:
        return f"the certificate expired at {ends:%Y-%m-%dT%H:%M:%SZ}"
    return "" if fits(pair.certificate, pair.key) else "the key is not that of the certificate"


def fits(certificate: bytes, key: bytes) -> bool:
    """Whether a key is that of a certificate. A text that is no key fits none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        own = serialization.load_pem_private_key(key, None).public_key()
        return own == _certificates(certificate)[0].public_key()
    except (LoginError, ValueError, TypeError, UnsupportedAlgorithm):
        return False


def make(subject: Subject, kind: KeyKind = "ecdsa") -> NewKey:
    """A new key, and a request for ``subject`` without other names.

    Raises:
        LoginError: the extra is missing.
    """
    _library()
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import NameOID

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else rsa.generate_private_key(65537, RSA_BITS)
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in subject.groups]
    named = x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, subject.name)])
    pem = serialization.Encoding.PEM
    return NewKey(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        x509.CertificateSigningRequestBuilder().subject_name(named).sign(key, hashes.SHA256()).public_bytes(pem),
    )


def _certificates(text: bytes) -> "list[x509.Certificate]":
    _library()
    from cryptography import x509

    if b"-----BEGIN CERTIFICATE-----" not in text:
        raise LoginError("there is no certificate in it")
    try:
        return x509.load_pem_x509_certificates(text)
    except (ValueError, x509.InvalidVersion):
        raise LoginError("the certificate cannot be read") from None  # the cause may quote it


def _library() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as missing:
        problem = "requesting certificates needs the extra 'bootstrap'"
        raise LoginError(problem, remedy="pip install 'apinetlet[bootstrap]'") from missing
