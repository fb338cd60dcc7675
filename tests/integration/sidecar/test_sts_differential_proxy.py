"""The sidecar's own client of STS beside boto3: proxies."""

from contextlib import ExitStack

import pytest

from testing.ports import find_free_port
from testing.proxy import running_proxy
from testing.raw_server import raw_server
from tests.integration.sidecar.sts_answers.answer import CLOSED, GRANT, GRANTED, build_response
from tests.integration.sidecar.sts_authority import Authority, create_authority
from tests.integration.sidecar.sts_clients import BothClients, name_outcome

PROXY = "ProxyConnectionError"
ANSWER = build_response(200, GRANT)


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


def test_proxy_that_speaks_before_tls_is_an_error_of_the_proxy(both_clients: BothClients, authority: Authority) -> None:
    """boto3 reads it as TLS: the error depends on which side is faster."""
    with raw_server(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n") as proxy:
        ours, _ = both_clients.ask(
            "https://127.0.0.1:1", PODROLE_STS_PROXY=proxy.url(), PODROLE_STS_CA_PEM=authority.pem
        )

    assert name_outcome(ours) == PROXY


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
