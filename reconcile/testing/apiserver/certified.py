"""How a port proves who it is, and learns who its clients are: certificates made at the start, or given as files.

Making them needs the extra ``bootstrap``; files need nothing.
"""

import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path

import attrs

from reconcile.core.clock import utc
from reconcile.testing.apiserver.kubeconfig import Login


class BadCertificate(ValueError):
    """A certificate, key or authority that cannot be used; the message names the file."""


@attrs.frozen
class Certified:
    """What a port needs for TLS. ``ca`` is what clients are to trust, ``login`` the certificate of a client."""

    context: ssl.SSLContext
    ca: str
    login: Login | None = None


def made(hosts: Iterable[str], client_ca: Path | None = None) -> Certified:
    """With an authority that lives as long as the process and signs the server and its administrator.

    Raises:
        BadCertificate: ``client_ca``, which may sign further clients, cannot be used.
        ImportError: the extra ``bootstrap`` is missing.
    """
    from reconcile.testing.certificates import Authority

    authority = Authority.create("reconcile-apiserver", utc())
    server = authority.server(dict.fromkeys([*hosts, "localhost", "127.0.0.1", "::1"]))
    admin = authority.client("admin", ["system:masters"])
    with tempfile.TemporaryDirectory() as folder:  # mode 0700
        certificate, key = Path(folder) / "tls.crt", Path(folder) / "tls.key"
        certificate.write_text(server.certificate)
        key.write_text(server.key)
        context = _context(certificate, key)
    context.load_verify_locations(cadata=authority.pair.certificate)
    _let_clients_show(context, client_ca)
    return Certified(context, authority.pair.certificate, Login("admin", "", admin.certificate, admin.key))


def given(certificate: Path, key: Path, client_ca: Path | None = None) -> Certified:
    """With a certificate and its key from files; clients show theirs if ``client_ca`` can tell.

    Raises:
        BadCertificate: one of the files cannot be used.
    """
    context = _context(certificate, key)
    if client_ca is not None:
        _let_clients_show(context, client_ca)
    return Certified(context, certificate.read_text())


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    for file in (certificate, key):
        try:
            file.read_bytes()
        except OSError as error:
            raise BadCertificate(f"{file}: {error.strerror}") from error
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise BadCertificate(f"{certificate} and {key} are no certificate and its key: {error.reason}") from error
    return context


def _let_clients_show(context: ssl.SSLContext, client_ca: Path | None) -> None:
    context.verify_mode = ssl.CERT_OPTIONAL
    if client_ca is None:
        return
    try:
        context.load_verify_locations(client_ca)
    except ssl.SSLError as error:
        raise BadCertificate(f"{client_ca} is no certificate authority: {error.reason}") from error
    except OSError as error:
        raise BadCertificate(f"{client_ca}: {error.strerror}") from error
