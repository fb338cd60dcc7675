"""The certificates that STS is to be verified by: read at start, and put into each pod, where anybody may read them."""

import re
import ssl
from pathlib import Path

from injector.errors import ConfigError

SETTING = "PODROLE_STS_CA"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
LONGEST_CHARACTERS = 32 * 1024
"""Each pod's object has them, and a variable cannot be longer than 128 KiB."""


def load_sts_ca(path: Path) -> str:
    """Read a PEM file and return its certificates alone, without what stands between them; raise ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{SETTING}: {path} cannot be read: {error}") from error
    return parse_sts_ca(text, path)


def parse_sts_ca(text: str, path: Path) -> str:
    """Take the certificates out of what is at this path; raise ConfigError, which names it."""
    if "PRIVATE KEY" in text:
        raise ConfigError(f"{SETTING}: {path} has a private key in it, which every pod would show: leave it out")
    pem = "".join(f"{found}\n" for found in CERTIFICATE.findall(text))
    if not pem or text.count("BEGIN CERTIFICATE") != pem.count("BEGIN CERTIFICATE"):
        raise ConfigError(f"{SETTING}: {path} is not a PEM file of certificates (-----BEGIN CERTIFICATE-----)")
    if len(pem) > LONGEST_CHARACTERS:
        raise ConfigError(
            f"{SETTING}: the certificates in {path} have {len(pem)} characters, and {LONGEST_CHARACTERS} are the "
            "most that goes into each pod: keep the authority of STS alone"
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ValueError, ssl.SSLError) as error:
        raise ConfigError(f"{SETTING}: {path} holds a certificate that cannot be read: {error}") from error
    return pem
