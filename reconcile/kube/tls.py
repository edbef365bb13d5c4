"""TLS towards one API server: the authority we trust and the certificate we show.

``ssl`` takes a private key only from a file, so it goes through one that nobody else can read and that is gone before
the call returns. Reads files: not for the event loop. Anything unusable is a ``LoginError``.
"""

import datetime as dt
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import field, frozen

from reconcile.kube.access import ClusterAccess, Pem
from reconcile.kube.kubeconfig import LoginError


@frozen
class Material:
    """The PEM texts a context is made of. Equal texts need no new context, and so no new connections."""

    ca: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)


def read(access: ClusterAccess, *, certificate: bytes | None = None, key: bytes | None = None) -> Material:
    """Read what is in files. ``certificate`` and ``key``, if a plugin made them, take the place of the access' own.

    Raises:
        LoginError: a file is missing or may not be read.
    """
    return Material(
        _text(access.ca, "certificate-authority", access),
        _text(certificate or access.certificate, "client-certificate", access),
        _text(key or access.key, "client-key", access),
    )


def context(material: Material, access: ClusterAccess, at: dt.datetime) -> ssl.SSLContext:
    """A client's context for connections made at ``at``.

    Raises:
        LoginError: no PEM, a key that does not fit or has a password, a certificate that ended before ``at``.
    """
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    result.set_alpn_protocols(["http/1.1"])
    # kubectl trusts whatever the file lists, be it a root or not
    result.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if access.is_insecure:
        result.check_hostname = False
        result.verify_mode = ssl.CERT_NONE
    elif material.ca is None:
        result.load_default_certs()
    else:
        _trust(result, material.ca, access)
    if material.certificate is not None and material.key is not None:
        _show(result, material.certificate, material.key, access, at)
    return result


def ends_at(certificate: bytes) -> dt.datetime | None:
    """When the first certificate of a PEM text ends. None if that cannot be told: the extra ``bootstrap`` reads it."""
    try:
        from cryptography import x509
    except ImportError:
        return None
    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except (ValueError, x509.InvalidVersion):
        return None


def _trust(result: ssl.SSLContext, ca: bytes, access: ClusterAccess) -> None:
    try:
        result.load_verify_locations(cadata=ca.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        problem = f"certificate-authority{_named(access.ca)} is unusable"
        raise LoginError(problem, where=access.origin, remedy="it has to be certificates in PEM") from error


def _show(result: ssl.SSLContext, certificate: bytes, key: bytes, access: ClusterAccess, at: dt.datetime) -> None:
    ends = ends_at(certificate)
    if ends is not None and ends <= at:
        problem = f"client-certificate{_named(access.certificate)} expired at {ends:%Y-%m-%dT%H:%M:%SZ}"
        raise LoginError(problem, where=access.origin, remedy="renew it, or log in again")
    try:
        with private_file(certificate.rstrip() + b"\n" + key) as path:
            # without a password function OpenSSL asks for one on the terminal
            result.load_cert_chain(path, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        names = f"client-certificate{_named(access.certificate)} and client-key{_named(access.key)}"
        remedy = "both have to be PEM, of one key pair, without a password"
        raise LoginError(f"{names} do not work together", where=access.origin, remedy=remedy) from error
    except OSError as error:
        problem = f"no place for a temporary file: {error.strerror}"
        raise LoginError(problem, where=access.origin, remedy="make room, or set TMPDIR") from error


@contextmanager
def private_file(content: bytes) -> Iterator[str]:
    """A file in memory where the system has such (a pod's disk is often read-only), else one with mode 0600."""
    in_memory = hasattr(os, "memfd_create")
    with os.fdopen(os.memfd_create("key"), "wb") if in_memory else tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}" if in_memory else file.name


def _text(pem: Pem | None, name: str, access: ClusterAccess) -> bytes | None:
    if pem is None or isinstance(pem, bytes):
        return pem
    try:
        return pem.read_bytes()
    except OSError as error:
        problem = f"{name} {pem} cannot be read: {error.strerror}"
        raise LoginError(problem, where=access.origin, remedy="correct the path or its rights") from error


def _named(pem: Pem | None) -> str:
    return f" {pem}" if isinstance(pem, Path) else ""
