"""The sidecar's own client of STS beside boto3: TLS, proxies, and answers without an end."""

import json
import ssl
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from sidecar.sts.process import PASSED_VARIABLES, SET_VARIABLES
from testing.ports import find_free_port
from testing.proxy import running_proxy
from testing.raw_server import Connection, Respond, raw_server
from testing.repository import ROOT
from testing.sidecars import build_environ
from tests.integration.sidecar.sts_answers.answer import CLOSED, GRANT, GRANTED, build_response
from tests.integration.sidecar.sts_clients import BothClients, name_outcome

PROXY = "ProxyConnectionError"
DAY = timedelta(days=1)
ANSWER = build_response(200, GRANT)


class Authority(NamedTuple):
    """A CA, its PEM, and contexts of servers with its certificates."""

    ca: trustme.CA
    pem: str

    def serve(self, *names: str, valid: timedelta = DAY, common_name: str | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        expires = datetime.now(UTC) + valid
        self.ca.issue_cert(*names, not_after=expires, common_name=common_name).configure_cert(context)
        return context


def create_authority() -> Authority:
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    return Authority(ca, ca.cert_pem.bytes().decode())


@pytest.fixture(scope="module")
def authority() -> Authority:
    return create_authority()


def limit_version(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    return context


def use_certificate_of_its_own(directory: Path) -> ssl.SSLContext:
    files = ["-keyout", str(directory / "key"), "-out", str(directory / "crt")]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
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


def test_several_configured_cas_are_trusted(both_clients: BothClients, authority: Authority) -> None:
    bundle = f"# old\n{create_authority().pem}\n# new\n{authority.pem}".partition("\n")[2]

    with raw_server(ANSWER, authority.serve("127.0.0.1")) as server:
        ours, reference = both_clients.ask(server.url("https"), PODROLE_STS_CA_PEM=bundle)

    assert name_outcome(ours) == GRANTED
    assert ours == reference


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("sts_scheme", ["http", "https"])
def test_proxy_forwards_http_and_tunnels_https(
    both_clients: BothClients, authority: Authority, sts_scheme: str, scheme: str
) -> None:
    tls = authority.serve("127.0.0.1")
    with ExitStack() as stack:
        sts = stack.enter_context(raw_server(ANSWER, tls if sts_scheme == "https" else None))
        proxy = stack.enter_context(running_proxy(authority.serve("127.0.0.1") if scheme == "https" else None))
        outcomes = both_clients.ask(
            sts.url(sts_scheme, "/sts"), PODROLE_STS_PROXY=proxy.url, PODROLE_STS_CA_PEM=authority.pem
        )

    expected = f"POST {sts.url('http', '/sts')}" if sts_scheme == "http" else f"CONNECT 127.0.0.1:{sts.port}"
    # botocore sets the CAs only for https URLs, so it cannot verify an https proxy for an http URL.
    is_supported_by_boto3 = (sts_scheme, scheme) != ("http", "https")
    assert [name_outcome(outcome) for outcome in outcomes] == [
        GRANTED,
        GRANTED if is_supported_by_boto3 else "HTTPClientError",
    ]
    assert proxy.requests == [expected] * (1 + is_supported_by_boto3)


@pytest.mark.parametrize(
    ("respond", "boto3_code"),
    [
        pytest.param(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", PROXY, id="407"),
        pytest.param(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", PROXY, id="403"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", PROXY, id="302"),
        pytest.param(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", PROXY, id="502"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tls\r\n\r\n", PROXY, id="101"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", CLOSED, id="not-http"),
        pytest.param(b"", CLOSED, id="closes"),
        pytest.param(b"HTTP/1.1 20", CLOSED, id="closes-in-the-head"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "SSLError", id="speaks-before-tls"),
    ],
)
def test_proxy_that_opens_no_tunnel_is_an_error_of_the_proxy(
    both_clients: BothClients, authority: Authority, respond: bytes, boto3_code: str
) -> None:
    """boto3 does not say that it was the proxy that closed the connection."""
    with raw_server(respond) as proxy:
        ours, reference = both_clients.ask(
            "https://127.0.0.1:1", PODROLE_STS_PROXY=proxy.url(), PODROLE_STS_CA_PEM=authority.pem
        )

    assert (name_outcome(ours), name_outcome(reference)) == (PROXY, boto3_code)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1"], ids=["http", "https"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_refuses_connections_is_an_error_of_the_proxy(
    both_clients: BothClients, url: str, scheme: str
) -> None:
    ours, reference = both_clients.ask(url, PODROLE_STS_PROXY=f"{scheme}://127.0.0.1:{find_free_port()}")

    assert name_outcome(ours) == name_outcome(reference) == "ProxyConnectionError"


def test_untrusted_proxy_is_an_error_of_the_proxy(both_clients: BothClients, authority: Authority) -> None:
    with raw_server(b"", create_authority().serve("127.0.0.1")) as proxy:
        ours, reference = both_clients.ask(
            "https://127.0.0.1:1", PODROLE_STS_PROXY=proxy.url("https"), PODROLE_STS_CA_PEM=authority.pem
        )

    assert name_outcome(ours) == name_outcome(reference) == "ProxyConnectionError"
    assert proxy.requests == []


def test_untrusted_server_behind_a_proxy_is_an_ssl_error(both_clients: BothClients, authority: Authority) -> None:
    with raw_server(ANSWER, create_authority().serve("127.0.0.1")) as sts, running_proxy() as proxy:
        ours, reference = both_clients.ask(
            sts.url("https"), PODROLE_STS_PROXY=proxy.url, PODROLE_STS_CA_PEM=authority.pem
        )

    assert name_outcome(ours) == name_outcome(reference) == "SSLError"
    assert sts.requests == []


def test_page_of_a_proxy_for_http_is_no_answer_of_sts(both_clients: BothClients) -> None:
    page = build_response(407, "<html>log in</html>")

    with raw_server(page) as proxy:
        ours, reference = both_clients.ask("http://sts.example.com", PODROLE_STS_PROXY=proxy.url())

    assert name_outcome(ours) == name_outcome(reference) == "InvalidResponse"


ENDLESS = {
    "body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    "header": (b"HTTP/1.1 200 OK\r\nName: ", b"x" * 65536),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"Name: value\r\n" * 5000),
    "interim-responses": (b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 3000),
}
"""The start, and what follows again and again."""

LARGEST_CHILD_KIB = 40 * 1024


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_answer_does_not_fill_the_childs_memory(tmp_path: Path, kind: str) -> None:
    """boto3 would read it until the memory limit ends the process."""
    start, endless = ENDLESS[kind]
    (tmp_path / "token").write_text("to.ke.n")

    def respond(connection: Connection) -> None:
        connection.send(start)
        connection.flood(endless)

    with raw_server(respond) as server:
        outcome, peak_kib = run_child(build_environ(tmp_path, server.url()))

    assert outcome["code"] == "InvalidResponse"
    assert peak_kib < LARGEST_CHILD_KIB


def run_child(environ: dict[str, str]) -> tuple[dict[str, str], int]:
    """Run the child process; return its outcome and its peak memory, which does not include this process's."""
    script = (
        "import resource, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'sidecar.sts', '1'], stdin=subprocess.PIPE)\n"
        "child.wait()\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    passed = {name: environ[name] for name in PASSED_VARIABLES if name in environ} | SET_VARIABLES
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, env=passed, cwd=ROOT, capture_output=True, text=True, check=True)
    line, peak = ran.stdout.splitlines()
    return json.loads(line), int(peak)
