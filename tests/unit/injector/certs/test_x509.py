"""Strict clients accept issued certificates, and invalid certificates and keys are rejected with a message."""

import ssl
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from injector.certs.loading import parse_certificates, parse_key_pair
from injector.certs.tls import build_context
from injector.certs.x509 import (
    BACKDATED_SECONDS,
    DAY_SECONDS,
    Lifetimes,
    build_names,
    issue_ca,
    issue_serving_cert,
)
from injector.errors import CertificateError
from testing.handshake import shake_hands

NOW = 1_795_000_000.0
NAMES = build_names("podrole-injector", "podrole-system", "cluster.local")
LIFETIMES = Lifetimes()


def build_client(bundle: str) -> ssl.SSLContext:
    client = ssl.create_default_context(cadata=bundle)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    return client


@pytest.mark.parametrize(
    "text",
    ["", "rubbish", "-----BEGIN CERTIFICATE-----\nMIIB\n", "\N{SNOWMAN}"],
    ids=["empty", "text", "truncated", "not-ascii"],
)
def test_text_without_certificate_is_rejected(text: str) -> None:
    with pytest.raises(CertificateError, match="no PEM certificate"):
        parse_certificates(text)


def test_truncated_certificate_is_rejected() -> None:
    pem = issue_ca(NOW, LIFETIMES).certificate.pem

    with pytest.raises(CertificateError, match="no PEM certificate, or a damaged one"):
        parse_certificates(pem + pem[: len(pem) // 2])


def test_key_of_another_certificate_is_rejected() -> None:
    one, other = issue_ca(NOW, LIFETIMES), issue_ca(NOW, LIFETIMES)

    with pytest.raises(CertificateError, match="belongs to another certificate"):
        parse_key_pair(one.certificate.pem, other.key_pem)


def test_unsupported_key_is_rejected() -> None:
    pair = issue_ca(NOW, LIFETIMES)
    encryption = BestAvailableEncryption(b"secret")
    encrypted = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
    other = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    for key, message in (
        (encrypted, "damaged, encrypted, or not PEM"),
        (other.decode(), "only ECDSA keys are supported"),
        ("", "damaged, encrypted, or not PEM"),
    ):
        with pytest.raises(CertificateError, match=message):
            parse_key_pair(pair.certificate.pem, key)


def test_strict_client_accepts_serving_cert_for_service_names_only() -> None:
    ca = issue_ca(time.time(), LIFETIMES)
    leaf = issue_serving_cert(ca, NAMES, time.time(), LIFETIMES)
    client = build_client(issue_ca(time.time(), LIFETIMES).certificate.pem + ca.certificate.pem)

    server = build_context(leaf.certificate.pem.encode(), leaf.key_pem.encode())

    assert sorted(NAMES) == [
        "podrole-injector",
        "podrole-injector.podrole-system",
        "podrole-injector.podrole-system.svc",
        "podrole-injector.podrole-system.svc.cluster.local",
    ]
    assert {shake_hands(client, server, name) for name in NAMES} == {"TLSv1.3"}
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'podrole-injector.other.svc'"):
        shake_hands(client, server, "podrole-injector.other.svc")


def test_client_with_another_ca_rejects_serving_cert() -> None:
    leaf = issue_serving_cert(issue_ca(time.time(), LIFETIMES), NAMES, time.time(), LIFETIMES)
    server = build_context(leaf.certificate.pem.encode(), leaf.key_pem.encode())

    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        shake_hands(build_client(issue_ca(time.time(), LIFETIMES).certificate.pem), server, next(iter(NAMES)))


def test_longest_service_names_fit() -> None:
    names = build_names("s" * 63, "n" * 63, "cluster.local")

    leaf = issue_serving_cert(issue_ca(NOW, LIFETIMES), names, NOW, LIFETIMES)

    assert leaf.certificate.names == names


def test_validity_is_ten_years_and_ninety_days_and_backdated() -> None:
    ca = issue_ca(NOW, LIFETIMES)

    leaf = issue_serving_cert(ca, NAMES, NOW, LIFETIMES)

    assert ca.certificate.not_after == NOW + 3650 * DAY_SECONDS
    assert leaf.certificate.not_after == NOW + 90 * DAY_SECONDS
    assert leaf.certificate.issued == ca.certificate.issued == NOW
    assert BACKDATED_SECONDS == 300
    for certificate in (ca.certificate, leaf.certificate):
        assert [certificate.is_valid(NOW + delta) for delta in (-301, -300, 0)] == [False, True, True]
        assert not certificate.is_valid(certificate.not_after)


@pytest.mark.parametrize(
    ("days", "is_due"),
    [(0, False), (59.9, False), (60, True), (90, True)],
    ids=["day-0", "before-day-60", "day-60", "day-90"],
)
def test_serving_cert_needs_renewal_after_two_thirds(days: float, is_due: bool) -> None:  # noqa: FBT001 - a table
    leaf = issue_serving_cert(issue_ca(NOW, LIFETIMES), NAMES, NOW, LIFETIMES)

    assert leaf.certificate.needs_renewal(NOW + days * DAY_SECONDS) is is_due


def test_serving_cert_expires_no_later_than_its_ca() -> None:
    ca = issue_ca(NOW, Lifetimes(ca_seconds=DAY_SECONDS))

    leaf = issue_serving_cert(ca, NAMES, NOW, LIFETIMES)

    assert leaf.certificate.not_after == ca.certificate.not_after


def test_key_pair_round_trips_and_its_repr_has_no_key() -> None:
    pair = issue_serving_cert(issue_ca(NOW, LIFETIMES), NAMES, NOW, LIFETIMES)

    read = parse_key_pair(pair.certificate.pem, pair.key_pem)

    assert read == pair
    assert read.key_pem == pair.key_pem
    assert "PRIVATE" not in repr(pair)
    assert "key_pem" not in repr(pair)
