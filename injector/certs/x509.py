"""Certificates as values: issue, parse, verify. Nothing is read, written or decided here, and the time is passed in.

The only importer of cryptography.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from injector.errors import CertificateError

BACKDATED_SECONDS = 300
"""A certificate is valid from before its issue on: the API server's clock may be behind ours."""

CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "podrole-injector CA")])
SERVING_CERT_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "podrole-injector")])
"""Not the host name, which a subject has no room for beyond 64 characters; clients look at the alternative names."""

BEGIN = "-----BEGIN CERTIFICATE-----"

DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long what we issue lives, in seconds. Both kinds are renewed when two thirds of that have passed."""

    ca_seconds: float = 3650 * DAY_SECONDS
    serving_cert_seconds: float = 90 * DAY_SECONDS
    propagation_seconds: float = 300
    """How long a bundle must have been in the webhook configuration before a new authority's leaf is served:
    each API server learns of it by itself."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate; equal where its bytes are."""

    x509: x509.Certificate
    names: frozenset[str] = field(compare=False)
    """The DNS names that it is for."""

    @property
    def pem(self) -> str:
        """As text."""
        return self.x509.public_bytes(Encoding.PEM).decode()

    @property
    def not_after(self) -> float:
        """Its end, in seconds since the epoch."""
        return self.x509.not_valid_after_utc.timestamp()

    @property
    def issued(self) -> float:
        """When we issued it, in seconds since the epoch."""
        return self.x509.not_valid_before_utc.timestamp() + BACKDATED_SECONDS

    @property
    def is_self_managed(self) -> bool:
        """Whether it bears the name of our authorities."""
        return self.x509.subject == CA_NAME

    def is_valid(self, now: float) -> bool:
        """Whether a client with this clock accepts its dates."""
        return self.x509.not_valid_before_utc.timestamp() <= now < self.not_after

    def is_due(self, now: float) -> bool:
        """Whether two thirds of its life have passed: the rest is time to find out why nobody renewed it."""
        return now >= self.issued + (self.not_after - self.issued) * 2 / 3

    def is_signed_by(self, ca: Self) -> bool:
        """Whether this authority issued it."""
        return _is_signed_by(self.x509, ca.x509)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and the key that belongs to it."""

    certificate: Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    @property
    def key_pem(self) -> str:
        """The key as text, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def build_names(service: str, namespace: str, cluster_domain: str) -> frozenset[str]:
    """Every name of a Service. The API server uses `service.namespace.svc`; people and probes use the others.

    https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#service-reference
    """
    name = f"{service}.{namespace}"
    return frozenset({service, name, f"{name}.svc", f"{name}.svc.{cluster_domain}"})


def issue_ca(now: float, lifetimes: Lifetimes) -> KeyPair:
    """A new authority with a key of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _start(CA_NAME, key, now, now + lifetimes.ca_seconds).issuer_name(CA_NAME)
    extensions = [x509.BasicConstraints(ca=True, path_length=0), _build_key_usage(is_ca=True)]
    return KeyPair(_sign(builder, extensions, key), key)


def issue_serving_cert(ca: KeyPair, names: Collection[str], now: float, lifetimes: Lifetimes) -> KeyPair:
    """A new server certificate for these DNS names, which does not outlive its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    not_after = min(now + lifetimes.serving_cert_seconds, ca.certificate.not_after)
    builder = _start(SERVING_CERT_NAME, key, now, not_after).issuer_name(ca.certificate.x509.subject)
    extensions = [
        x509.BasicConstraints(ca=False, path_length=None),
        _build_key_usage(is_ca=False),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.SubjectAlternativeName([x509.DNSName(name) for name in sorted(names)]),
    ]
    return KeyPair(_sign(builder, extensions, ca.key), key)


@lru_cache(maxsize=64)
def parse_certificates(pem: str) -> tuple[Certificate, ...]:
    """All certificates of a text, in its order; raise CertificateError where one is damaged or none is there."""
    try:
        found = tuple(_wrap(certificate) for certificate in x509.load_pem_x509_certificates(pem.encode()))
    except ValueError as error:
        raise CertificateError("there is no certificate in PEM in it, or a damaged one") from error
    if len(found) != pem.count(BEGIN):  # a damaged one behind a good one is passed over without an error
        raise CertificateError("there is no certificate in PEM in it, or a damaged one")
    return found


def parse_key_pair(certificate_pem: str, key_pem: str) -> KeyPair:
    """The first certificate of a text and its key; raise CertificateError where they do not belong together."""
    certificate = parse_certificates(certificate_pem)[0]
    try:
        key = load_pem_private_key(key_pem.encode(), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        raise CertificateError("the key is not one in PEM without a password, or it is damaged") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"the key is {type(key).__name__}, not one for ECDSA as we issue them")
    if key.public_key() != certificate.x509.public_key():
        raise CertificateError("the key belongs to another certificate")
    return KeyPair(certificate, key)


@lru_cache(maxsize=64)  # the same few are looked at again every few seconds
def _is_signed_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _wrap(certificate: x509.Certificate) -> Certificate:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return Certificate(certificate, frozenset())
    return Certificate(certificate, frozenset(found.value.get_values_for_type(x509.DNSName)))


def _start(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: float, not_after: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(now - BACKDATED_SECONDS, UTC))
        .not_valid_after(datetime.fromtimestamp(not_after, UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _sign(
    builder: x509.CertificateBuilder, extensions: list[x509.ExtensionType], key: ec.EllipticCurvePrivateKey
) -> Certificate:
    ca = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    for extension in (ca, *extensions):
        # RFC 5280, sections 4.2.1.3 and 4.2.1.9: these two are critical
        is_critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
        builder = builder.add_extension(extension, critical=is_critical)
    return _wrap(builder.sign(key, hashes.SHA256()))


def _build_key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
