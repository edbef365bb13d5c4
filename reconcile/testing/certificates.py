"""A certificate authority for one test: who a server is and who its clients are.

Keys are EC P-256, certificates run for two days from an hour before ``now``. Everything is PEM text; where it is
written and with which mode is the caller's. Needs the extra ``bootstrap``.
"""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from typing import Self

from attrs import frozen

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as missing:
    raise ImportError(
        "making certificates needs the extra 'bootstrap': pip install 'apinetlet[bootstrap]'"
    ) from missing


@frozen
class KeyPair:
    """A certificate and its private key, both PEM (the key PKCS#8, not encrypted)."""

    certificate: str
    key: str


@frozen
class Authority:
    """Signs for one control plane. ``pair`` is its own certificate and key."""

    pair: KeyPair
    _name: x509.Name
    _key: ec.EllipticCurvePrivateKey
    _now: dt.datetime

    @classmethod
    def create(cls, name: str, now: dt.datetime) -> Self:
        """A new authority called ``name``; ``now`` (aware) dates all its certificates, in the past for expired ones."""
        key, subject = ec.generate_private_key(ec.SECP256R1()), _subject(name, ())
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=False, content_commitment=False, key_agreement=False,
            key_encipherment=False, data_encipherment=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        draft = (
            _draft(subject, subject, key.public_key(), key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        return cls(_pair(draft.sign(key, hashes.SHA256()), key), subject, key, now)

    def server(self, addresses: Iterable[str]) -> KeyPair:
        """For a server reached under ``addresses``: IP addresses and host names."""
        names = x509.SubjectAlternativeName([_general_name(address) for address in addresses])
        return self._sign(_subject("server", ()), ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, user: str, groups: Iterable[str] = ()) -> KeyPair:
        """For a client. Kubernetes reads the user from the common name and the groups from the organizations."""
        return self._sign(_subject(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH)

    def sign_request(
        self, pem: str, usages: Iterable[str], *, validity: tuple[dt.datetime, dt.datetime] | None = None
    ) -> str:
        """A certificate for a signing request, as PEM; ``usages`` in the words of Kubernetes: client auth, server auth.

        ``validity``: from when to when, if not like all others.

        Raises:
            ValueError: it is no request.
        """
        asked = x509.load_pem_x509_csr(pem.encode())
        purposes = [purpose for name, purpose in _PURPOSES.items() if name in set(usages)]
        draft = _draft(asked.subject, self._name, asked.public_key(), self._key.public_key(), self._now, validity)
        if purposes:
            draft = draft.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        for extension in asked.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                draft = draft.add_extension(extension.value, critical=False)
        certificate = draft.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _sign(self, subject: x509.Name, purpose: x509.ObjectIdentifier, *extensions: x509.ExtensionType) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        draft = _draft(subject, self._name, key.public_key(), self._key.public_key(), self._now)
        for extension in (x509.ExtendedKeyUsage([purpose]), *extensions):
            draft = draft.add_extension(extension, critical=False)
        return _pair(draft.sign(self._key, hashes.SHA256()), key)


_PURPOSES = {"client auth": ExtendedKeyUsageOID.CLIENT_AUTH, "server auth": ExtendedKeyUsageOID.SERVER_AUTH}


def _draft(
    subject: x509.Name,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
    issuer_key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    validity: tuple[dt.datetime, dt.datetime] | None = None,
) -> x509.CertificateBuilder:
    # another machine's clock may be behind
    starts, ends = validity or (now - dt.timedelta(hours=1), now + dt.timedelta(days=2))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
        # both identifiers: Python 3.13 verifies strictly by RFC 5280 and refuses a chain without them
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _subject(name: str, organizations: Iterable[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    plain = serialization.NoEncryption()
    return KeyPair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key=key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode(),
    )
