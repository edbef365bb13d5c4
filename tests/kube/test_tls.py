"""What a TLS context is made of, and what is said when it cannot be."""

import datetime as dt
import os
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from reconcile.kube import tls
from reconcile.kube.access import ClusterAccess
from reconcile.kube.kubeconfig import LoginError

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
WHERE = "config, user 'u'"
AUTHORITY = trustme.CA(key_type=trustme.KeyType.ECDSA)


def leaf(*, ends: dt.datetime = NOON + dt.timedelta(days=1)) -> tuple[bytes, bytes]:
    """A certificate and its key."""
    issued = AUTHORITY.issue_cert("me@example.com", not_after=ends, key_type=trustme.KeyType.ECDSA)
    return issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()


def locked(key: bytes) -> bytes:
    """The same key behind a password."""
    lock = serialization.BestAvailableEncryption(b"password")
    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def context(certificate: bytes | None = None, key: bytes | None = None, **access: Any) -> ssl.SSLContext:
    reached = ClusterAccess("https://one", origin=WHERE, **access)
    ca = access.get("ca")
    return tls.context(tls.Material(ca, certificate, key), reached, NOON)


def test_only_the_named_authority_is_trusted() -> None:
    made = context(ca=AUTHORITY.cert_pem.bytes())
    [trusted] = made.get_ca_certs()
    assert trusted["subject"]
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert made.check_hostname


def test_without_an_authority_the_machines_own_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Path(os.environ.get("TMPDIR", "/tmp")) / f"bundle-{os.getpid()}.pem"
    bundle.write_bytes(AUTHORITY.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    try:
        assert len(context().get_ca_certs()) == 1
    finally:
        bundle.unlink()


def test_verification_is_skipped_only_when_asked() -> None:
    assert context(is_insecure=True).verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_key_is_never_in_a_file_that_others_can_read(
    in_memory: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[int] = []

    def load(_: ssl.SSLContext, path: str, password: Any) -> None:
        seen.append(stat.S_IMODE(os.stat(path).st_mode))
        assert b"PRIVATE KEY" in Path(path).read_bytes()

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    context(*leaf())
    assert in_memory or seen == [0o600]
    assert len(seen) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.pain(6)
def test_an_expired_certificate_is_named_with_its_end() -> None:
    with pytest.raises(LoginError, match=r"expired at 2026-01-01T11:59:59Z .*renew"):
        context(*leaf(ends=NOON - dt.timedelta(seconds=1)))


def test_a_certificate_is_good_until_its_last_second() -> None:
    context(*leaf(ends=NOON + dt.timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("certificate", "key"),
    [(leaf()[0], leaf()[1]), (leaf()[0], b"nonsense"), (leaf()[0], b""), (leaf()[0], locked(leaf()[1]))],
    ids=["of another pair", "nonsense", "empty", "locked"],
)
def test_a_key_that_does_not_fit_is_told_without_showing_it(certificate: bytes, key: bytes) -> None:
    with pytest.raises(LoginError, match=r"do not work together \(config, user 'u'\); both have to be PEM") as caught:
        context(certificate, key)
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("ca", [b"nonsense", b"", "\N{SNOWMAN}".encode()])
def test_an_authority_that_is_no_pem_is_told(ca: bytes) -> None:
    with pytest.raises(LoginError, match="certificate-authority is unusable"):
        context(ca=ca)


def test_no_place_for_the_key_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(LoginError, match="no place for a temporary file"):
        context(*leaf())


def test_expiry_is_not_checked_without_the_extra() -> None:
    script = "import sys; sys.modules['cryptography'] = None; from reconcile.kube import tls; print(tls.ends_at(b''))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "None"
