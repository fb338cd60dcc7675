"""The CA certificates that verify STS: read at start and put into each pod, where every reader of pods can see them."""

import re
import ssl
from pathlib import Path

from injector.errors import ConfigError

SETTING = "PODROLE_STS_CA"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
LONGEST_CHARACTERS = 32 * 1024
"""They are in each pod's object, and an environment variable has at most 128 KiB."""


def load_sts_ca(path: Path) -> str:
    """Read a PEM file and return its certificates without any other text. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{SETTING}: {path} cannot be read: {error}") from error
    return parse_sts_ca(text, path)


def parse_sts_ca(text: str, path: Path) -> str:
    """Extract the certificates from the content of this file. Raises ConfigError."""
    if "PRIVATE KEY" in text:
        raise ConfigError(f"{SETTING}: {path} has a private key in it, which would be visible in every pod: remove it")
    pem = "".join(f"{found}\n" for found in CERTIFICATE.findall(text))
    if not pem or text.count("BEGIN CERTIFICATE") != pem.count("BEGIN CERTIFICATE"):
        raise ConfigError(f"{SETTING}: {path} is not a PEM file of certificates (-----BEGIN CERTIFICATE-----)")
    if len(pem) > LONGEST_CHARACTERS:
        raise ConfigError(
            f"{SETTING}: the certificates in {path} have {len(pem)} characters, and the maximum is "
            f"{LONGEST_CHARACTERS}, as each pod contains them: keep only the CA of STS"
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ValueError, ssl.SSLError) as error:
        raise ConfigError(f"{SETTING}: {path} holds a certificate that cannot be read: {error}") from error
    return pem
