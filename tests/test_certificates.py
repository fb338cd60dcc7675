"""The certificates of the demo and the tests are good enough for a strict client."""

import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from demo.services.certificates import write_certificates


def test_a_strict_client_trusts_the_certificate_for_its_names_only(tmp_path: Path) -> None:
    files = write_certificates(tmp_path, ["localhost", "127.0.0.1", "::1"])
    client = ssl.create_default_context(cafile=files.ca)
    client.verify_flags |= ssl.VERIFY_X509_STRICT

    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)

    assert [shake_hands(client, server, name) for name in ("localhost", "127.0.0.1", "::1")] == ["TLSv1.3"] * 3
    with pytest.raises(ssl.SSLCertVerificationError, match=r"certificate is not valid for 'example.com'"):
        shake_hands(client, server, "example.com")
    assert files.key.stat().st_mode & 0o777 == 0o600


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> str | None:
    """Join a client and a server in memory; return the version that they agreed on."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (client_side, server_side, client_side, server_side):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client_side.version()
