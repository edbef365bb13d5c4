"""What a server of pages shows to those who connect over TLS: a certificate from files, or one made at each start."""

import datetime as dt
import os
import ssl
from pathlib import Path
from typing import Any

from attrs import frozen

from reconcile.kube import tls

LIFE, SLACK = dt.timedelta(days=3650), dt.timedelta(hours=1)
"""Of a self-signed certificate; readers who check nothing look at no date either."""


@frozen
class Certificate:
    """What a TLS server shows: a certificate (with its chain) and its key, PEM. Read again when the files change."""

    certificate: Path
    key: Path

    def __str__(self) -> str:  # of what went wrong with it
        return f"{self.certificate} and {self.key} are unusable"

    def stamp(self) -> tuple[Any, ...]:
        """Changes when a file does. Reads the disk."""
        return tuple(
            (stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in map(os.stat, (self.certificate, self.key))
        )

    def load(self, into: ssl.SSLContext, at: dt.datetime) -> None:
        """Use what is in the files for the connections to come. Reads the disk.

        Raises:
            OSError: a file cannot be read, or the two do not fit together (``ssl.SSLError``); ``into`` is as it was.
        """
        with tls.private_file(self.certificate.read_bytes()) as chain, tls.private_file(self.key.read_bytes()) as key:
            # a context that is given a certificate lets go of a key that does not fit, so try another one first;
            # and both take the same copies, for the files may change in between
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), into):
                context.load_cert_chain(chain, key, password=lambda: "")  # never ask on a terminal


@frozen
class SelfSigned:
    """A certificate that nobody vouches for, for a reader who checks none: still nobody else reads along.

    Made anew at each start, and kept in memory only. Needs the extra ``bootstrap``.
    """

    name: str = "localhost"

    def __str__(self) -> str:  # likewise
        return "no self-signed certificate"

    def stamp(self) -> tuple[Any, ...]:
        """Never changes."""
        return ()

    def load(self, into: ssl.SSLContext, at: dt.datetime) -> None:
        """Make one that is good from ``at`` on.

        Raises:
            OSError: the extra is missing.
        """
        try:
            from cryptography import x509
            from cryptography.hazmat.primitives import hashes, serialization
            from cryptography.hazmat.primitives.asymmetric import ec
        except ImportError as missing:
            raise OSError("a self-signed certificate needs the extra 'bootstrap'") from missing
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.name)])
        draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        names = x509.SubjectAlternativeName([x509.DNSName(self.name)])
        signed = (
            draft.serial_number(x509.random_serial_number())
            .not_valid_before(at - SLACK)
            .not_valid_after(at + LIFE)
            .add_extension(names, critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        with tls.private_file(signed.public_bytes(pem) + secret) as path:
            into.load_cert_chain(path)
