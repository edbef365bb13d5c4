"""Certificates as values: which is usable, when it is due, what a signer's answer means, what a store's text means."""

import base64
import datetime as dt
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube import login, tls
from reconcile.kube.access import ClusterAccess, access
from reconcile.kube.certificates import pairs
from reconcile.kube.certificates.pairs import Pair, Subject, Validity
from reconcile.kube.certificates.requests import CertificateRefused, Wanted, issued
from reconcile.kube.certificates.stored import understood, written
from reconcile.kube.kubeconfig import LoginError
from reconcile.testing.certificates import Authority

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
JANE = Subject("system:networkplugin:jane", ("system:networkplugins", "others"))
AUTHORITY = Authority.create("ours", NOW)
ASKED = pairs.make(JANE)
STORE = Path("/store/kubeconfig")
SERVER = ClusterAccess("https://one:6443")


def signed(ends: dt.datetime = NOW + DAY, *, request: bytes = ASKED.request) -> bytes:
    return AUTHORITY.sign_request(request.decode(), ["client auth"], validity=(NOW - DAY, ends)).encode()


def answer(*conditions: dict[str, str], certificate: bytes = b"", uid: str = "u-1") -> dict[str, Any]:
    status = {"conditions": list(conditions), "certificate": base64.b64encode(certificate).decode()}
    return {"metadata": {"name": "csr-abc", "uid": uid}, "status": status}


APPROVED, DENIED = {"type": "Approved"}, {"type": "Denied", "reason": "Policy", "message": "not\nhim"}


@given(
    starts=st.datetimes(min_value=dt.datetime(2000, 1, 1), max_value=dt.datetime(2100, 1, 1)),  # noqa: DTZ001
    life=st.timedeltas(min_value=dt.timedelta(seconds=1), max_value=dt.timedelta(days=3650)),
    seed=st.integers(),
)
def test_a_certificate_is_due_after_seven_and_before_nine_tenths_of_its_life(
    starts: dt.datetime, life: dt.timedelta, seed: int
) -> None:
    known = Validity(starts.replace(tzinfo=dt.UTC), starts.replace(tzinfo=dt.UTC) + life)
    due = pairs.deadline(known, random.Random(seed))
    assert known.starts + 0.7 * life <= due <= known.starts + 0.9 * life


def test_two_certificates_of_one_day_are_due_at_different_times() -> None:
    rng = random.Random(1)
    assert len({pairs.deadline(Validity(NOW, NOW + DAY), rng) for _ in range(50)}) == 50


def test_a_request_names_the_subject_and_nothing_else_and_is_signed_by_a_new_p256_key() -> None:
    request = x509.load_pem_x509_csr(ASKED.request)
    said = [(one.oid, one.value) for one in request.subject]
    groups = [(NameOID.ORGANIZATION_NAME, group) for group in JANE.groups]
    assert said == [*groups, (NameOID.COMMON_NAME, JANE.name)]
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert len(request.extensions) == 0
    assert request.is_signature_valid
    assert pairs.make(JANE).key != ASKED.key


def test_cred_3_usages_go_with_the_kind_of_key() -> None:
    body = Wanted(JANE).body(ASKED.request)
    assert body["metadata"] == {"generateName": "csr-"}
    assert body["spec"] == {
        "request": base64.b64encode(ASKED.request).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["digital signature", "client auth"],
    }
    of_rsa = Wanted(JANE, key="rsa")
    assert of_rsa.body(b"")["spec"]["usages"] == ["digital signature", "key encipherment", "client auth"]
    assert isinstance(x509.load_pem_x509_csr(pairs.make(JANE, "rsa").request).public_key(), rsa.RSAPublicKey)
    assert Wanted(JANE, usages=("client auth",)).body(b"")["spec"]["usages"] == ["client auth"]


def of_version_8(certificate: bytes) -> bytes:
    """The same certificate, as it would say that it is of a version that there is not."""
    der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
    version = b"\xa0\x03\x02\x01"
    text = base64.encodebytes(der.replace(version + b"\x02", version + b"\x07", 1))
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        (signed(), ASKED.key, ""),
        (of_version_8(signed()), ASKED.key, "the certificate cannot be read"),
        (signed(), pairs.make(JANE).key, "the key is not that of the certificate"),
        (signed(), b"rubbish", "the key is not that of the certificate"),
        (signed(NOW), ASKED.key, "the certificate expired at 2026-01-01T00:00:00Z"),
        (signed() + signed(NOW - DAY / 2), ASKED.key, "the certificate expired at 2025-12-31T12:00:00Z"),
        (b"", ASKED.key, "there is no certificate in it"),
        (
            b"-----BEGIN CERTIFICATE-----\ncnViYmlzaA==\n-----END CERTIFICATE-----\n",
            ASKED.key,
            "the certificate cannot be read",
        ),
    ],
)
def test_a_certificate_that_cannot_be_used_says_why(certificate: bytes, key: bytes, says: str) -> None:
    assert pairs.unusable(Pair(certificate, key), NOW) == says


def test_nobody_can_tell_when_a_certificate_ends_that_cannot_be_read() -> None:
    assert tls.ends_at(of_version_8(signed())) is None
    assert tls.ends_at(b"rubbish") is None


@pytest.mark.parametrize("found", [answer(), answer(APPROVED), answer(certificate=signed())])
def test_a_request_is_open_until_it_is_both_approved_and_signed(found: dict[str, Any]) -> None:
    assert issued(found, uid="u-1", key=ASKED.key, at=NOW) is None


def test_an_approved_and_signed_request_is_the_certificate_with_our_key() -> None:
    found = answer(APPROVED, certificate=signed())
    assert issued(found, uid="u-1", key=ASKED.key, at=NOW) == Pair(signed_of(found), ASKED.key)


def signed_of(found: dict[str, Any]) -> bytes:
    return base64.b64decode(found["status"]["certificate"])


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (answer(DENIED), "csr-abc was denied (Policy: not him)"),
        (answer(APPROVED, {"type": "Failed"}), "csr-abc failed;"),
        (answer(APPROVED, certificate=signed(), uid="u-2"), "was deleted, and another one has its name"),
        (answer(APPROVED, certificate=signed(request=pairs.make(JANE).request)), "it is for another key than ours"),
        (answer(APPROVED, certificate=signed(NOW)), "but the certificate expired at"),
        (answer(APPROVED, certificate=b"rubbish"), "but there is no certificate in it"),
        ({**answer(APPROVED), "status": {"conditions": [APPROVED], "certificate": "?"}}, "not base64"),
    ],
)
def test_an_answer_from_which_no_certificate_comes_says_why_in_one_line(found: dict[str, Any], says: str) -> None:
    with pytest.raises(CertificateRefused) as caught:
        issued(found, uid="u-1", key=ASKED.key, at=NOW)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.is_denied == ("denied" in says)


def test_what_is_stored_is_found_again_and_is_a_kubeconfig_for_everybody() -> None:
    reached = ClusterAccess(
        "https://one:6443", namespace="home", tls_server_name="name", proxy_url="http://p:1", is_insecure=False
    )
    pair = Pair(signed(), ASKED.key)
    text = written(reached, b"an authority", pair)
    found = understood(text, STORE, expected=SERVER)
    assert found is not None
    assert found.pair == pair
    read = access(login.parse(text, STORE))
    assert (read.server, read.ca, read.certificate, read.key) == (
        reached.server,
        b"an authority",
        pair.certificate,
        pair.key,
    )
    assert (read.namespace, read.tls_server_name, read.proxy_url) == ("home", "name", "http://p:1")


def kubeconfig(user: str, server: str = "https://one:6443") -> bytes:
    return (
        f"clusters: [{{name: a, cluster: {{server: '{server}'}}}}]\nusers: [{{name: b, user: {{{user}}}}}]\n"
        "contexts: [{name: c, context: {cluster: a, user: b}}]\ncurrent-context: c\n"
    ).encode()


@pytest.mark.parametrize("text", [b"", b" \n", kubeconfig("")])
def test_a_store_without_a_certificate_is_no_error(text: bytes) -> None:
    found = understood(text, STORE, expected=SERVER)
    assert found is None or found.pair is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"\x00\xff", "not YAML"),
        (b"[1, 2]", "not a kubeconfig"),
        (b"{}", "no context is chosen"),
        (b"port: 8080", "no context is chosen"),
        (kubeconfig("client-certificate-data: '?', client-key-data: aGk="), "not base64"),
        (kubeconfig("client-certificate-data: aGk="), "half a client certificate"),
        (kubeconfig("token: abc"), "logs in by other means"),
        (kubeconfig("client-certificate: a.crt, client-key: a.key"), "stands in other files"),
        (kubeconfig("", "https://two:6443"), "for the server https://two:6443, and the bootstrap"),
    ],
)
def test_a_store_that_holds_what_is_not_ours_is_refused_and_says_what_to_do(text: bytes, says: str) -> None:
    with pytest.raises(LoginError, match=says) as caught:
        understood(text, STORE, expected=SERVER)
    assert str(STORE) in str(caught.value)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_nothing_that_holds_a_key_shows_it() -> None:
    pair = Pair(signed(), ASKED.key)
    found = understood(written(SERVER, None, pair), STORE, expected=None)
    assert "BEGIN" not in f"{ASKED!r} {pair!r} {found!r} {found}"
    body = "".join(ASKED.key.decode().splitlines()[1:-1])
    assert body not in f"{ASKED!r} {pair!r} {found!r}"


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(LoginError, match="extra 'bootstrap'"):
        pairs.make(JANE)
