"""What the injector issues is good enough for a strict client, and what it cannot use is said in a sentence."""

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

from injector.certs.tls import build_context
from injector.certs.x509 import (
    BACKDATED_SECONDS,
    DAY_SECONDS,
    Lifetimes,
    build_names,
    issue_ca,
    issue_serving_cert,
    parse_certificates,
    parse_key_pair,
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


@pytest.mark.parametrize("text", ["", "rubbish", "-----BEGIN CERTIFICATE-----\nMIIB\n", "\N{SNOWMAN}"])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(CertificateError, match="no PEM certificate"):
        parse_certificates(text)


def test_a_certificate_that_was_half_written_is_refused() -> None:
    pem = issue_ca(NOW, LIFETIMES).certificate.pem

    with pytest.raises(CertificateError, match="no PEM certificate, or a damaged one"):
        parse_certificates(pem + pem[: len(pem) // 2])


def test_a_pair_that_does_not_belong_together_is_refused() -> None:
    one, other = issue_ca(NOW, LIFETIMES), issue_ca(NOW, LIFETIMES)

    with pytest.raises(CertificateError, match="belongs to another certificate"):
        parse_key_pair(one.certificate.pem, other.key_pem)


def test_keys_that_we_never_wrote_are_refused() -> None:
    pair = issue_ca(NOW, LIFETIMES)
    encryption = BestAvailableEncryption(b"secret")
    encrypted = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
    other = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    for key, said in (
        (encrypted, "damaged, encrypted, or not PEM"),
        (other.decode(), "only ECDSA keys are supported"),
        ("", "damaged, encrypted, or not PEM"),
    ):
        with pytest.raises(CertificateError, match=said):
            parse_key_pair(pair.certificate.pem, key)


def test_a_strict_client_with_the_bundle_trusts_the_leaf_for_each_name_of_the_service_only() -> None:
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


def test_a_client_with_another_bundle_refuses_the_leaf() -> None:
    leaf = issue_serving_cert(issue_ca(time.time(), LIFETIMES), NAMES, time.time(), LIFETIMES)
    server = build_context(leaf.certificate.pem.encode(), leaf.key_pem.encode())

    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        shake_hands(build_client(issue_ca(time.time(), LIFETIMES).certificate.pem), server, next(iter(NAMES)))


def test_the_longest_names_that_kubernetes_allows_fit() -> None:
    names = build_names("s" * 63, "n" * 63, "cluster.local")

    leaf = issue_serving_cert(issue_ca(NOW, LIFETIMES), names, NOW, LIFETIMES)

    assert leaf.certificate.names == names


def test_lifetimes_are_ten_years_and_ninety_days_and_begin_five_minutes_ago() -> None:
    ca = issue_ca(NOW, LIFETIMES)

    leaf = issue_serving_cert(ca, NAMES, NOW, LIFETIMES)

    assert ca.certificate.not_after == NOW + 3650 * DAY_SECONDS
    assert leaf.certificate.not_after == NOW + 90 * DAY_SECONDS
    assert leaf.certificate.issued == ca.certificate.issued == NOW
    assert BACKDATED_SECONDS == 300
    for certificate in (ca.certificate, leaf.certificate):
        assert [certificate.is_valid(NOW + delta) for delta in (-301, -300, 0)] == [False, True, True]
        assert not certificate.is_valid(certificate.not_after)


@pytest.mark.parametrize(("days", "is_due"), [(0, False), (59.9, False), (60, True), (90, True)])
def test_a_leaf_is_renewed_when_two_thirds_have_passed(days: float, is_due: bool) -> None:  # noqa: FBT001 - a table
    leaf = issue_serving_cert(issue_ca(NOW, LIFETIMES), NAMES, NOW, LIFETIMES)

    assert leaf.certificate.needs_renewal(NOW + days * DAY_SECONDS) is is_due


def test_a_leaf_does_not_outlive_its_authority() -> None:
    ca = issue_ca(NOW, Lifetimes(ca_seconds=DAY_SECONDS))

    leaf = issue_serving_cert(ca, NAMES, NOW, LIFETIMES)

    assert leaf.certificate.not_after == ca.certificate.not_after


def test_a_pair_reads_back_as_it_was_written_and_is_never_printed() -> None:
    pair = issue_serving_cert(issue_ca(NOW, LIFETIMES), NAMES, NOW, LIFETIMES)

    read = parse_key_pair(pair.certificate.pem, pair.key_pem)

    assert read == pair
    assert read.key_pem == pair.key_pem
    assert "PRIVATE" not in repr(pair)
    assert "key_pem" not in repr(pair)
