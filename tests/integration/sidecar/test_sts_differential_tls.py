"""The sidecar's own client of STS beside boto3: TLS."""

import socket
import ssl
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from testing.raw_server import Respond, raw_server
from tests.integration.sidecar.sts_answers.answer import GRANT, GRANTED, build_response
from tests.integration.sidecar.sts_authority import DAY, Authority, create_authority
from tests.integration.sidecar.sts_clients import BothClients, name_outcome

ANSWER = build_response(200, GRANT)


def limit_version(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    return context


def use_certificate_of_its_own(directory: Path, *names: str) -> ssl.SSLContext:
    files = ["-keyout", str(directory / "key"), "-out", str(directory / "crt")]
    names = names or ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run(["openssl", "req", "-x509", *curve, *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "crt", directory / "key")
    return context


SERVERS: dict[str, Callable[[Authority, Path], ssl.SSLContext]] = {
    "expired": lambda authority, _: authority.serve("127.0.0.1", valid=-DAY),
    "wrong-host": lambda authority, _: authority.serve("sts.example.com"),
    "wrong-address": lambda authority, _: authority.serve("127.0.0.2"),
    "address-as-a-name": lambda authority, _: authority.serve("localhost", common_name="127.0.0.1"),
    "unknown-ca": lambda _, __: create_authority().serve("127.0.0.1"),
    "self-signed": lambda _, directory: use_certificate_of_its_own(directory),
    "tls-1.0-only": lambda authority, _: limit_version(authority.serve("127.0.0.1"), ssl.TLSVersion.TLSv1),
    "tls-1.1-only": lambda authority, _: limit_version(authority.serve("127.0.0.1"), ssl.TLSVersion.TLSv1_1),
}


@pytest.mark.parametrize("kind", SERVERS)
def test_untrusted_server_gets_no_token(
    both_clients: BothClients, authority: Authority, tmp_path: Path, kind: str
) -> None:
    with raw_server(ANSWER, SERVERS[kind](authority, tmp_path)) as server:
        ours, reference = both_clients.ask(server.url("https"), PODROLE_STS_CA_PEM=authority.pem)

    assert name_outcome(ours) == name_outcome(reference) == "SSLError"
    assert server.requests == []


def test_private_ca_is_not_trusted_unless_configured(both_clients: BothClients, authority: Authority) -> None:
    with raw_server(ANSWER, authority.serve("127.0.0.1")) as server:
        ours, reference = both_clients.ask(server.url("https"))

    assert name_outcome(ours) == name_outcome(reference) == "SSLError"
    assert server.requests == []


@pytest.mark.parametrize(
    "respond",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="ssh"),
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x28", id="alert"),
        pytest.param(lambda one: one.socket.recv(65536), id="closes"),
    ],
)
def test_server_without_tls_is_an_ssl_error(
    both_clients: BothClients, authority: Authority, respond: Respond | bytes
) -> None:
    with raw_server(respond, reads_first=False) as server:
        ours, reference = both_clients.ask(server.url("https"), PODROLE_STS_CA_PEM=authority.pem)

    assert name_outcome(ours) == name_outcome(reference) == "SSLError"


def test_silent_handshake_is_a_read_timeout(both_clients: BothClients, authority: Authority) -> None:
    with raw_server(lambda one: one.wait(), reads_first=False) as server:
        ours, reference = both_clients.ask(server.url("https"), 0.3, PODROLE_STS_CA_PEM=authority.pem)

    assert name_outcome(ours) == "ReadTimeoutError"
    assert name_outcome(reference) == "ReadTimeoutError"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_trusted_server_is_called(both_clients: BothClients, authority: Authority, version: ssl.TLSVersion) -> None:
    context = authority.serve("127.0.0.1")
    context.minimum_version = context.maximum_version = version

    with raw_server(ANSWER, context) as server:
        ours, reference = both_clients.ask(server.url("https"), PODROLE_STS_CA_PEM=authority.pem)

    assert name_outcome(ours) == GRANTED
    assert ours == reference


def test_self_signed_certificate_of_the_server_can_be_the_configured_ca(
    both_clients: BothClients, tmp_path: Path
) -> None:
    context = use_certificate_of_its_own(tmp_path)

    with raw_server(ANSWER, context) as server:
        ours, reference = both_clients.ask(server.url("https"), PODROLE_STS_CA_PEM=(tmp_path / "crt").read_text())

    assert name_outcome(ours) == GRANTED
    assert ours == reference


def test_name_in_the_subject_only_is_not_the_servers(both_clients: BothClients, tmp_path: Path) -> None:
    """Stricter: RFC 9525 forbids it, and Go's clients and browsers refuse it. botocore still accepts it."""
    context = use_certificate_of_its_own(tmp_path, "-subj", "/CN=localhost")

    with raw_server(ANSWER, context) as server:
        url = server.url("https").replace("127.0.0.1", "localhost")
        ours, reference = both_clients.ask(url, PODROLE_STS_CA_PEM=(tmp_path / "crt").read_text())

    assert (name_outcome(ours), name_outcome(reference)) == ("SSLError", GRANTED)


def test_dot_at_the_end_of_the_name_is_not_part_of_the_certificates_name(
    both_clients: BothClients, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *more, **named: resolve("127.0.0.1", *more, **named))

    with raw_server(ANSWER, authority.serve("sts.example.com")) as server:
        url = server.url("https").replace("127.0.0.1", "sts.example.com.")
        ours, reference = both_clients.ask(url, PODROLE_STS_CA_PEM=authority.pem)

    assert name_outcome(ours) == GRANTED
    assert ours == reference


def test_several_configured_cas_are_trusted(both_clients: BothClients, authority: Authority) -> None:
    bundle = f"# old\n{create_authority().pem}\n# new\n{authority.pem}".partition("\n")[2]

    with raw_server(ANSWER, authority.serve("127.0.0.1")) as server:
        ours, reference = both_clients.ask(server.url("https"), PODROLE_STS_CA_PEM=bundle)

    assert name_outcome(ours) == GRANTED
    assert ours == reference
