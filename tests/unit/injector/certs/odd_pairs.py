"""Certificates and keys that are valid in some way, but that the webhook cannot serve or API servers do not accept."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from injector.certs.x509 import CA_NAME, KeyPair
from tests.unit.injector.certs.rotation_examples import NOW, OLD, OLD_CA, OLD_LEAF

AnyKey = (
    dsa.DSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | rsa.RSAPrivateKey
)
Pair = tuple[str, str]
"""A certificate and its key in PEM format."""

ECDSA_SHA256 = bytes.fromhex("2a8648ce3d040302")
EC_PUBLIC_KEY = bytes.fromhex("2a8648ce3d0201")
PRIME256V1 = bytes.fromhex("2a8648ce3d030107")


def issue(key: AnyKey, signer: KeyPair | None = None) -> Pair:
    """A CA with this key, or a serving certificate that the signer issued."""
    builder = x509.CertificateBuilder(
        subject_name=CA_NAME,
        issuer_name=CA_NAME,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime.fromtimestamp(NOW - 300, UTC),
        not_valid_after=datetime.fromtimestamp(NOW + 10**7, UTC),
    )
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in sorted(OLD_LEAF.certificate.names)])
    extension = names if signer else x509.BasicConstraints(ca=True, path_length=0)
    is_edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    algorithm = None if is_edwards and not signer else hashes.SHA256()
    signed = builder.add_extension(extension, critical=False).sign(signer.key if signer else key, algorithm)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return signed.public_bytes(Encoding.PEM).decode(), pem.decode()


def decode(pem: str) -> bytes:
    """The DER of the first block."""
    return b64decode("".join(pem.partition("-----END")[0].splitlines()[1:]))


def encode(label: str, der: bytes) -> str:
    """PEM."""
    text = b64encode(der).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def change(pair: KeyPair, old: bytes, new: bytes, count: int = -1) -> Pair:
    """The pair with other bytes in its certificate, and a signature that no longer fits."""
    der = decode(pair.certificate.pem)
    assert old in der
    assert len(old) == len(new)
    return encode("CERTIFICATE", der.replace(old, new, count)), pair.key_pem


def build_huge_rsa_key(bits: int) -> str:
    """A key whose numbers are large and not prime."""
    number = _der(0x02, b"\x00" + b"\xff" * (bits // 8))
    return encode("RSA PRIVATE KEY", _der(0x30, _der(0x02, b"\x00") + number * 8))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (size if len(content) < 0x80 else bytes([0x80 | len(size)]) + size) + content


def _explicit_parameters(pair: KeyPair) -> Pair:
    """The key with the numbers of its curve instead of the curve's name, as RFC 5480 forbids."""
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    gx = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
    gy = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
    n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    field = _der(0x30, _der(0x06, bytes.fromhex("2a8648ce3d0101")) + _number(p))
    curve = _der(0x30, _octets(p - 3) + _octets(b))
    base = _der(0x04, b"\x04" + gx.to_bytes(32, "big") + gy.to_bytes(32, "big"))
    parameters = _der(0x30, _der(0x02, b"\x01") + field + curve + base + _number(n) + _der(0x02, b"\x01"))
    scalar = _octets(pair.key.private_numbers().private_value)
    key = _der(0x30, _der(0x02, b"\x01") + scalar + _der(0xA0, parameters))
    return pair.certificate.pem, encode("EC PRIVATE KEY", key)


def _number(value: int) -> bytes:
    return _der(0x02, b"\x00" + value.to_bytes(32, "big"))


def _octets(value: int) -> bytes:
    return _der(0x04, value.to_bytes(32, "big"))


def _on(curve: ec.EllipticCurve) -> Callable[[], AnyKey]:
    return lambda: ec.generate_private_key(curve)


KEYS: dict[str, Callable[[], AnyKey]] = {
    "secp224r1": _on(ec.SECP224R1()),
    "secp256k1": _on(ec.SECP256K1()),
    "brainpool": _on(ec.BrainpoolP256R1()),
    "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
    "dsa": lambda: dsa.generate_private_key(1024),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
}


def _build_changed(pair: KeyPair) -> dict[str, Pair]:
    pem, key_pem = pair.certificate.pem, pair.key_pem
    key = decode(key_pem)
    year = datetime.fromtimestamp(NOW - 300, UTC).strftime("%y%m").encode()
    return {
        "unknown-signature-algorithm": change(pair, ECDSA_SHA256, ECDSA_SHA256[:-1] + b"\x7f"),
        "unknown-public-key-type": change(pair, EC_PUBLIC_KEY, EC_PUBLIC_KEY[:-1] + b"\x7f"),
        "unknown-curve": change(pair, PRIME256V1, PRIME256V1[:-1] + b"\x7f"),
        "month-13": change(pair, year, year[:2] + b"13", 1),
        "unknown-curve-of-key": (pem, encode("PRIVATE KEY", key.replace(PRIME256V1, PRIME256V1[:-1] + b"\x7f"))),
        "unknown-type-of-key": (pem, encode("PRIVATE KEY", key.replace(EC_PUBLIC_KEY, EC_PUBLIC_KEY[:-1] + b"\x7f"))),
        "explicit-parameters": _explicit_parameters(pair),
        "key-of-another": (pem, (OLD_LEAF if pair is OLD else OLD).key_pem),
        "rsa-of-100000-bits": (pem, build_huge_rsa_key(100_000)),
        "huge-certificate": (encode("CERTIFICATE", bytes(2**20)), key_pem),
        "many-certificates": (pem * 513, key_pem),
        "certificate-without-end": (pem + "-----BEGIN CERTIFICATE-----\n", key_pem),
        "not-ascii": (pem.replace("\n", "\N{SNOWMAN}", 1), key_pem.replace("\n", "\N{SNOWMAN}", 1)),
        "nul": ("\x00", "\x00"),
        "key-of-zeros": (pem, encode("PRIVATE KEY", bytes(138))),
        "base64-in-base64": (b64encode(pem.encode()).decode(), b64encode(key_pem.encode()).decode()),
    }


@cache
def build_cas() -> dict[str, Pair]:
    """CAs that cannot be used."""
    found = {name: issue(build()) for name, build in KEYS.items()}
    return found | {"no-ca": (OLD_LEAF.certificate.pem, OLD_LEAF.key_pem)} | _build_changed(OLD)


@cache
def build_serving_pairs() -> dict[str, Pair]:
    """Serving certificates of a good CA that cannot be served."""
    found = {name: issue(build(), OLD) for name, build in KEYS.items()}
    return found | _build_changed(OLD_LEAF)


NO_TEXT: dict[str, object] = {"null": None, "number": 7, "list": ["x"], "mapping": {"x": 1}, "bool": True, "empty": ""}
"""Values of a Secret or a caBundle that are no text."""

UNREADABLE_BUNDLES = {
    "no-base64": "%%%",
    "no-pem": b64encode(b"rubbish").decode(),
    "not-utf-8": b64encode(b"\xff\xfe").decode(),
    "damaged": b64encode(OLD_CA.pem[:-60].encode()).decode(),
    **{
        name: b64encode(pair[0].encode()).decode()
        for name, pair in _build_changed(OLD).items()
        if pair[0] != OLD_CA.pem
    },
}
