"""Strict TLS clients accept the certificates of demo and tests."""

import ssl
from pathlib import Path

import pytest

from testing.handshake import shake_hands
from testing.services.certificates import write_certificates


def test_strict_client_trusts_the_certificate_only_for_its_names(tmp_path: Path) -> None:
    files = write_certificates(tmp_path, ["localhost", "127.0.0.1", "::1"])
    client = ssl.create_default_context(cafile=files.ca)
    client.verify_flags |= ssl.VERIFY_X509_STRICT

    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)

    assert [shake_hands(client, server, name) for name in ("localhost", "127.0.0.1", "::1")] == ["TLSv1.3"] * 3
    with pytest.raises(ssl.SSLCertVerificationError, match=r"certificate is not valid for 'example.com'"):
        shake_hands(client, server, "example.com")
    assert files.key.stat().st_mode & 0o777 == 0o600
