"""Creates a CA and a server certificate for TLS servers of demo and tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

VALID = timedelta(days=1)


@dataclass(frozen=True)
class CertificateFiles:
    """PEM files."""

    ca: Path
    certificate: Path
    key: Path


def write_certificates(directory: Path, names: Sequence[str]) -> CertificateFiles:
    """Create a CA and a server certificate (ECDSA P-256) for these host names and addresses.

    The CA's key is discarded.
    """
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    server = ca.issue_cert(*names, not_after=datetime.now(UTC) + VALID)
    files = CertificateFiles(directory / "ca.crt", directory / "tls.crt", directory / "tls.key")
    ca.cert_pem.write_to_path(files.ca)
    server.cert_chain_pems[0].write_to_path(files.certificate)
    files.key.touch(mode=0o600)
    server.private_key_pem.write_to_path(files.key)
    return files
