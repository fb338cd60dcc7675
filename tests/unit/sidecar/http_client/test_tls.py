"""TLS: versions, CAs, ends."""

import socket
import ssl
import time
from pathlib import Path

import pytest

from images.ca_directory import split_bundle
from sidecar.http_client.errors import RequestError
from testing.raw_server import Connection, Respond, raw_server
from testing.services.certificates import CertificateFiles, write_certificates
from tests.unit.sidecar.http_client.requests import LIMITS, OK, TLS_RECORD, post


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return write_certificates(tmp_path_factory.mktemp("tls"), ["127.0.0.1", "::1", "localhost"])


@pytest.fixture
def tls(certificates: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


@pytest.fixture
def ca(certificates: CertificateFiles) -> str:
    return certificates.ca.read_text()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_tls_response_is_returned(tls: ssl.SSLContext, ca: str, version: ssl.TLSVersion, host: str) -> None:
    tls.minimum_version = tls.maximum_version = version

    with raw_server(OK, tls, host=host) as server:
        assert post(server.url("https"), ca_pem=ca).body == b"ok"


def test_response_without_a_length_ends_with_tls(tls: ssl.SSLContext, ca: str) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\n\r\nok", tls) as server:
        assert post(server.url("https"), ca_pem=ca).body == b"ok"


def test_response_without_a_length_is_truncated_if_only_the_connection_ends(tls: ssl.SSLContext, ca: str) -> None:
    def truncate(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\n\r\no")
        connection.socket.shutdown(socket.SHUT_RDWR)

    with raw_server(truncate, tls) as server, pytest.raises(RequestError, match="without an end of TLS") as caught:
        post(server.url("https"), ca_pem=ca)

    assert caught.value.code == "ConnectionClosedError"


def test_server_that_does_not_use_tls_is_an_error(ca: str) -> None:
    response = b"HTTP/1.1 400 Bad Request\r\n\r\n"

    with raw_server(response, reads_first=False) as server, pytest.raises(RequestError) as caught:
        post(server.url("https"), ca_pem=ca)

    assert caught.value.code == "SSLError"


@pytest.mark.parametrize(
    "respond",
    [
        pytest.param(lambda one: one.wait(), id="silent"),
        pytest.param(lambda one: one.drip(TLS_RECORD, 0.02), id="byte-by-byte"),
    ],
)
def test_handshake_that_does_not_end_is_an_error_at_the_deadline(respond: Respond, ca: str) -> None:
    started = time.monotonic()

    with raw_server(respond, reads_first=False) as server, pytest.raises(RequestError) as caught:
        post(server.url("https"), ca_pem=ca, limits=LIMITS._replace(total_seconds=0.3))

    assert caught.value.code == "ReadTimeoutError"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param("", id="empty"),
        pytest.param("AAAA", id="not-pem"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="not-a-certificate"),
        pytest.param("\u00e4", id="not-ascii"),
    ],
)
def test_invalid_ca_is_an_error(tls: ssl.SSLContext, pem: str) -> None:
    with raw_server(OK, tls) as server, pytest.raises(RequestError) as caught:
        post(server.url("https"), ca_pem=pem)

    assert caught.value.code == "SSLError"
    assert server.requests == []


def test_only_the_given_ca_is_trusted(tls: ssl.SSLContext, tmp_path: Path) -> None:
    other = write_certificates(tmp_path, ["127.0.0.1"])

    with raw_server(OK, tls) as server:
        for ca_pem in (other.ca.read_text(), None):
            with pytest.raises(RequestError, match="certificate verify failed"):
                post(server.url("https"), ca_pem=ca_pem)

    assert server.requests == []


def test_ca_in_the_default_hashed_directory_is_trusted(
    tls: ssl.SSLContext, certificates: CertificateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [(name, ca)] = split_bundle(certificates.ca.read_text()).items()
    (tmp_path / name).write_text(ca)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    with raw_server(OK, tls) as server:
        assert post(server.url("https")).body == b"ok"
