"""What a certificate of the test's own authority lets its holder do."""

import datetime as dt
import importlib
import re
import socket
import ssl
import sys
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from reconcile.testing.certificates import Authority, KeyPair

NOW = dt.datetime.now(dt.UTC)


def test_a_server_and_a_client_of_one_authority_trust_each_other(tmp_path: Path) -> None:
    authority = Authority.create("ours", NOW)
    peer = handshake(authority, authority.server(["127.0.0.1"]), authority.client("jane", ["team"]), tmp_path)
    assert peer == {"commonName": "jane", "organizationName": "team"}


def test_a_server_is_refused_under_another_address(tmp_path: Path) -> None:
    authority = Authority.create("ours", NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        handshake(authority, authority.server(["127.0.0.2", "localhost"]), authority.client("jane"), tmp_path)


def test_a_server_of_another_authority_is_refused(tmp_path: Path) -> None:
    ours, theirs = Authority.create("ours", NOW), Authority.create("theirs", NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(ours, theirs.server(["127.0.0.1"]), ours.client("jane"), tmp_path)


def test_an_authority_of_the_past_makes_expired_certificates(tmp_path: Path) -> None:
    authority = Authority.create("ours", NOW - dt.timedelta(days=3))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(authority, authority.server(["127.0.0.1"]), authority.client("jane"), tmp_path)


def test_every_group_of_a_client_is_an_organization() -> None:
    pair = Authority.create("ours", NOW).client("jane", ["one", "two"])
    subject = x509.load_pem_x509_certificate(pair.certificate.encode()).subject
    groups = [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert groups == ["one", "two"]


def test_without_its_library_the_error_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.delitem(sys.modules, "reconcile.testing.certificates")
    with pytest.raises(ImportError, match=re.escape("apinetlet[bootstrap]")):
        importlib.import_module("reconcile.testing.certificates")


def handshake(authority: Authority, server: KeyPair, client: KeyPair, folder: Path) -> dict[str, str]:
    """Connect once, both sides verifying strictly; the subject the server saw."""
    ours, theirs = socket.socketpair()
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context, pair in ((listening, server), (calling, client)):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cadata=authority.pair.certificate)
        chain = folder / f"{id(context)}.pem"
        chain.write_text(pair.certificate + pair.key)
        context.load_cert_chain(chain)
    seen: dict[str, str] = {}

    def serve() -> None:
        try:
            with theirs, listening.wrap_socket(theirs, server_side=True) as connection:
                certificate = connection.getpeercert()
                assert certificate is not None
                subject: tuple[tuple[tuple[str, str], ...], ...] = certificate["subject"]  # type: ignore[assignment]
                seen.update(name for names in subject for name in names)
        except OSError:
            pass  # the client hung up, and says why

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours, calling.wrap_socket(ours, server_hostname="127.0.0.1") as connection:
            connection.read()
    finally:
        ours.close()
        thread.join()
    return seen
