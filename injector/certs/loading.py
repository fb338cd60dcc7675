"""Parses certificates and keys that others stored. Whatever cannot be loaded in full is a CertificateError."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from injector.certs.x509 import Certificate, KeyPair, read_certificate
from injector.errors import CertificateError

BEGIN = "-----BEGIN CERTIFICATE-----"

MAX_PEM_CHARACTERS = 1024 * 1024
"""Of certificates. A Secret has at most as many bytes."""

MAX_CERTIFICATES = 512
"""In one text. The CAs of all browsers are about 150."""

MAX_KEY_CHARACTERS = 4096
"""Ours have 240. Keys of other types can be so large that checking one takes minutes."""

CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""What API servers accept: https://pkg.go.dev/crypto/tls#CurveID."""


@lru_cache(maxsize=64)
def parse_certificates(pem: str) -> tuple[Certificate, ...]:
    """All certificates of a PEM text, in order; raise CertificateError if there is none or one is damaged."""
    if len(pem) > MAX_PEM_CHARACTERS or pem.count(BEGIN) > MAX_CERTIFICATES:
        raise CertificateError(
            f"it is too large: at most {MAX_CERTIFICATES} certificates and {MAX_PEM_CHARACTERS} characters"
        )
    with _loading("it contains no PEM certificate, or a damaged one"):
        found = tuple(map(read_certificate, x509.load_pem_x509_certificates(pem.encode())))
    if len(found) != pem.count(BEGIN):  # the library ignores a damaged one after a good one
        raise CertificateError("it contains no PEM certificate, or a damaged one")
    return found


@lru_cache(maxsize=64)
def parse_key_pair(certificate_pem: str, key_pem: str) -> KeyPair:
    """The first certificate of a PEM text and its key; raise CertificateError if they do not work together."""
    certificate = parse_certificates(certificate_pem)[0]
    key = _parse_key(key_pem)
    with _loading("the public key of the certificate is damaged, or of an unknown type"):
        public = certificate.x509.public_key()
    if public != key.public_key():
        raise CertificateError("the key belongs to another certificate")
    with _loading("the key does not sign"):
        key.public_key().verify(key.sign(b"podrole", ALGORITHM), b"podrole", ALGORITHM)
    return KeyPair(certificate, key)


ALGORITHM = ec.ECDSA(hashes.SHA256())


def _parse_key(pem: str) -> ec.EllipticCurvePrivateKey:
    if len(pem) > MAX_KEY_CHARACTERS:
        raise CertificateError(f"the key has more than {MAX_KEY_CHARACTERS} characters")
    with _loading("the key is damaged, encrypted, or not PEM"):
        key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"the key is of type {type(key).__name__}: only ECDSA keys are supported")
    if key.curve.name not in CURVES:
        raise CertificateError(f"the key is on the curve {key.curve.name}: supported are {', '.join(CURVES)}")
    return key


@contextmanager
def _loading(message: str) -> Iterator[None]:
    """Raise CertificateError for every error of the library, which has no common class, and for panics in its Rust."""
    try:
        yield
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise CertificateError(message) from error
