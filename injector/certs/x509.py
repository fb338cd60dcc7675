"""Certificates and keys: their types, how they are issued and verified. `injector.certs.loading` parses them."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATED_SECONDS = 300
"""`notBefore` is this long before the issue: the API server's clock can be behind ours."""

CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "podrole-injector CA")])
SERVING_CERT_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "podrole-injector")])
"""Not the host name: a common name has at most 64 characters, and clients check the subject alternative names."""

DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Lifetimes of issued certificates, in seconds. Both kinds are renewed after two thirds."""

    ca_seconds: float = 3650 * DAY_SECONDS
    serving_cert_seconds: float = 90 * DAY_SECONDS
    propagation_seconds: float = 300
    """How long a CA must have been in the caBundle before a certificate that it issued is served: each API server
    receives changes of the configuration on its own."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, compared by its bytes. Its fields were all read when it was loaded, so none of them can fail."""

    x509: x509.Certificate
    pem: str = field(compare=False, repr=False)
    names: frozenset[str] = field(compare=False)
    """The DNS names that it is valid for."""

    not_before: float = field(compare=False)
    not_after: float = field(compare=False)
    """When it expires. Both are seconds since the epoch."""

    has_our_name: bool = field(compare=False)
    """Whether its subject is that of the CAs that podrole issues."""

    is_ca: bool = field(compare=False)
    """Whether it can issue others."""

    @property
    def issued(self) -> float:
        """When we issued it, in seconds since the epoch."""
        return self.not_before + BACKDATED_SECONDS

    @property
    def is_root(self) -> bool:
        """Whether it is a CA that signed itself: then each of its bytes is what the owner of its key wrote."""
        return self.is_ca and self.is_signed_by(self)

    @property
    def is_self_managed(self) -> bool:
        """Whether it is a CA that podrole issued."""
        return self.has_our_name and self.is_root

    def is_valid(self, now: float) -> bool:
        """Whether this time is within its validity."""
        return self.not_before <= now < self.not_after

    def needs_renewal(self, now: float) -> bool:
        """Whether two thirds of its lifetime have passed. The rest is time to repair a renewal that fails."""
        return now >= self.issued + (self.not_after - self.issued) * 2 / 3

    def is_signed_by(self, ca: Self) -> bool:
        """Whether this CA issued it. A signature that cannot be verified is none."""
        return _is_signed_by(self.x509, ca.x509)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key."""

    certificate: Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    @property
    def key_pem(self) -> str:
        """The key as unencrypted PEM."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def build_names(service: str, namespace: str, cluster_domain: str) -> frozenset[str]:
    """Every DNS name of a Service. The API server uses `service.namespace.svc`; other clients use the others.

    https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#service-reference
    """
    name = f"{service}.{namespace}"
    return frozenset({service, name, f"{name}.svc", f"{name}.svc.{cluster_domain}"})


def issue_ca(now: float, lifetimes: Lifetimes) -> KeyPair:
    """Issue a self-signed CA with a new key."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _start_builder(CA_NAME, key, now, now + lifetimes.ca_seconds).issuer_name(CA_NAME)
    extensions = [x509.BasicConstraints(ca=True, path_length=0), _build_key_usage(is_ca=True)]
    return KeyPair(_sign(builder, extensions, key), key)


def issue_serving_cert(ca: KeyPair, names: Collection[str], now: float, lifetimes: Lifetimes) -> KeyPair:
    """Issue a server certificate for these DNS names, which expires no later than its CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    not_after = min(now + lifetimes.serving_cert_seconds, ca.certificate.not_after)
    builder = _start_builder(SERVING_CERT_NAME, key, now, not_after).issuer_name(ca.certificate.x509.subject)
    extensions = [
        x509.BasicConstraints(ca=False, path_length=None),
        _build_key_usage(is_ca=False),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.SubjectAlternativeName([x509.DNSName(name) for name in sorted(names)]),
    ]
    return KeyPair(_sign(builder, extensions, ca.key), key)


def read_certificate(certificate: x509.Certificate) -> Certificate:
    """Read everything that podrole uses of a certificate; raise whatever the library raises if a part is damaged."""
    return Certificate(
        certificate,
        pem=certificate.public_bytes(Encoding.PEM).decode(),
        names=_read_names(certificate),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        has_our_name=certificate.subject == CA_NAME,
        is_ca=_read_is_ca(certificate),
    )


@lru_cache(maxsize=64)  # the same few are verified every few seconds
def _is_signed_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - not only InvalidSignature: keys and algorithms are loaded here
        return False
    return True


def _read_names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(found.value.get_values_for_type(x509.DNSName))


def _read_is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _start_builder(
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
    key_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    for extension in (key_identifier, *extensions):
        # RFC 5280, sections 4.2.1.3 and 4.2.1.9: these two are critical
        is_critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
        builder = builder.add_extension(extension, critical=is_critical)
    return read_certificate(builder.sign(key, hashes.SHA256()))


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
