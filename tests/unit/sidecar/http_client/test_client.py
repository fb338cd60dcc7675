"""One request over a real connection: bad responses, limits, deadlines."""

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.http_client.client import Limits, Request, Route, format_request, send
from sidecar.http_client.errors import RequestError
from sidecar.http_client.stream import Deadline
from sidecar.http_client.url import Url, parse_url
from testing.ports import find_free_port
from testing.raw_server import Connection, Respond, raw_server
from tests.unit.sidecar.http_client.requests import LIMITS, OK, TLS_RECORD, post

SECRET = b"SECRET"


def fail(respond: Respond | bytes, limits: Limits = LIMITS) -> RequestError:
    with raw_server(respond) as server, pytest.raises(RequestError) as caught:
        post(server.url(), limits=limits)
    return caught.value


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200", id="in-the-status-line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Len", id="in-a-header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", id="before-the-empty-line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nSECRET", id="in-a-body-with-a-length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nSECRET", id="in-a-chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nSECRET\r\n", id="before-last-chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nSECRET", id="unknown-encoding"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="after-an-interim-response"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="not-http"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", id="line-feeds-only"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", id="negative-length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", id="two-lengths"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="length-and-chunks",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nSECRET", id="chunk-without-a-size"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="upgrade"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK, id="101-without-an-upgrade"),
    ],
)
def test_incomplete_or_malformed_response_is_an_error_that_quotes_nothing(response: bytes) -> None:
    error = fail(response)

    assert error.code == "ConnectionClosedError"
    assert SECRET.decode() not in str(error)
    assert SECRET.decode() not in str(error.__cause__)


@pytest.mark.parametrize(
    "respond",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001, id="body"),
        pytest.param(lambda one: start_and_flood(one, b"\r\n", b"x" * 4096), id="endless-body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100 + b"Content-Length: 0\r\n\r\n", id="headers"),
        pytest.param(b"HTTP/1.1 103 Early\r\n\r\n" * 11 + OK, id="interim-responses"),
        pytest.param(
            lambda one: start_and_flood(one, b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"e" * 500 + b"\r\nx\r\n"),
            id="endless-chunks",
        ),
        pytest.param(
            lambda one: start_and_flood(one, b"Transfer-Encoding: chunked\r\n\r\n1;", b"e" * 4096),
            id="endless-chunk-extension",
        ),
        pytest.param(lambda one: start_and_flood(one, b"Name: ", b"x" * 4096), id="endless-header"),
        pytest.param(lambda one: start_and_flood(one, b"", b"a: b\r\n" * 100), id="endless-headers"),
        pytest.param(lambda one: one.flood(b"HTTP/1.1 100 Continue\r\n\r\n"), id="endless-interim-responses"),
        pytest.param(lambda one: one.flood(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"), id="endless-early-hints"),
    ],
)
def test_response_over_a_limit_is_an_error_before_its_end(respond: Respond | bytes) -> None:
    started = time.monotonic()

    assert fail(respond).code == "InvalidResponse"
    assert time.monotonic() - started < 3


def start_and_flood(connection: Connection, start: bytes, endless: bytes) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n" + start)
    connection.flood(endless)


@pytest.mark.parametrize(
    "respond",
    [
        pytest.param(lambda one: one.wait(), id="silent"),
        pytest.param(lambda one: one.drip(OK * 100, 0.02), id="head-byte-by-byte"),
        pytest.param(
            lambda one: one.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + b"x" * 999, 0.02),
            id="body-byte-by-byte",
        ),
        pytest.param(lambda one: one.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 9, 0.02), id="interim-byte-by-byte"),
        pytest.param(
            lambda one: one.drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 99, 0.02),
            id="chunks-byte-by-byte",
        ),
    ],
)
def test_deadline_holds_for_the_whole_response(respond: Callable[[Connection], None]) -> None:
    started = time.monotonic()

    error = fail(respond, LIMITS._replace(total_seconds=0.3))

    assert error.code == "ReadTimeoutError"
    assert 0.25 < time.monotonic() - started < 2


def test_deadline_of_several_requests_is_not_each_ones() -> None:
    def answer_late(connection: Connection) -> None:
        time.sleep(1.2)
        connection.send(OK)

    deadline = Deadline(2)
    with raw_server(answer_late) as server:
        request = Request("GET", parse_url(server.url()), {})
        send(request, Route(), LIMITS, deadline)

        with pytest.raises(RequestError) as caught:
            send(request, Route(), LIMITS, deadline)

    assert caught.value.code == "ReadTimeoutError"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_answer_of_a_proxy_byte_by_byte_is_an_error_at_the_deadline(scheme: str) -> None:
    """To CONNECT, and to TLS."""
    started = time.monotonic()
    answer = b"HTTP/1.1 200 OK\r\n" + b"Name: value\r\n" * 99 if scheme == "http" else TLS_RECORD

    with (
        raw_server(lambda one: one.drip(answer, 0.02), reads_first=False) as proxy,
        pytest.raises(RequestError) as caught,
    ):
        post("https://sts.example/", proxy=proxy.url(scheme), limits=LIMITS._replace(total_seconds=0.3))

    assert caught.value.code == "ProxyConnectionError"
    assert 0.25 < time.monotonic() - started < 10


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_refused_connection_is_an_error(host: str) -> None:
    with pytest.raises(RequestError, match="refused") as caught:
        post(f"http://{host}:{find_free_port()}/")

    assert caught.value.code == "EndpointConnectionError"


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("sts.invalid", id="unknown"),
        pytest.param("a..b", id="empty-label"),
        pytest.param("x" * 70 + ".invalid", id="long-label"),
    ],
)
def test_name_without_an_address_is_an_error(host: str) -> None:
    with pytest.raises(RequestError) as caught:
        post(f"http://{host}/")

    assert caught.value.code == "EndpointConnectionError"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param(OK, (200, b"ok"), id="length"),
        pytest.param(OK + b"HTTP/1.1 500 More\r\n\r\n", (200, b"ok"), id="bytes-after-the-end"),
        pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", (200, b"ok"), id="until-the-end"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nok", (200, b"ok"), id="http-1.0"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", (204, b""), id="no-content"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n",
            (200, b"ok"),
            id="chunks",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 99 + b"Content-Length: 2\r\n\r\nok", (200, b"ok"), id="100-headers"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"ok"), id="continue"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 10 + OK, (200, b"ok"), id="early-hints"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            (302, b""),
            id="redirect",
        ),
        pytest.param(
            b"HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000, (500, b"x" * 1000), id="largest-body"
        ),
    ],
)
def test_complete_response_is_returned_whatever_its_status(response: bytes, expected: tuple[int, bytes]) -> None:
    with raw_server(response) as server:
        answer = post(server.url())

    assert (answer.status, answer.body) == expected
    assert len(server.requests) == 1


def test_response_in_single_bytes_is_parsed() -> None:
    with raw_server(lambda one: one.drip(b"HTTP/1.1 103 Early\r\n\r\n" + OK, 0)) as server:
        assert post(server.url()).body == b"ok"


def test_headers_have_lower_case_names_and_repeated_ones_are_joined() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nDATE: x\r\nVia: a\r\nvia: b\r\nContent-Length: 0\r\n\r\n") as server:
        headers = post(server.url()).headers

    assert headers == {"date": "x", "via": "a, b", "content-length": "0"}


def test_headers_of_an_interim_response_are_not_the_responses() -> None:
    with raw_server(b"HTTP/1.1 103 Early Hints\r\nDate: interim\r\n\r\n" + OK) as server:
        assert "date" not in post(server.url()).headers


def test_trailers_are_not_headers() -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1"""
    with raw_server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nDate: trailer\r\n\r\n") as server:
        assert post(server.url()).headers == {"transfer-encoding": "chunked"}


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        pytest.param("http://sts.example", b"sts.example", b"/", id="default-port"),
        pytest.param("https://sts.example:443/", b"sts.example", b"/", id="default-port-of-https"),
        pytest.param("https://sts.example:80/a/b", b"sts.example:80", b"/a/b", id="port-and-path"),
        pytest.param("http://[fd00::1]:8080/sts", b"[fd00::1]:8080", b"/sts", id="ipv6"),
    ],
)
def test_request_has_host_path_and_length(url: str, host: bytes, target: bytes) -> None:
    request = Request("POST", parse_url(url), {}, b"hello")

    formatted = format_request(request, request.url.path)

    assert formatted.startswith(b"POST " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n")
    assert formatted.endswith(b"\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")


def test_get_has_no_length() -> None:
    assert b"Content-Length" not in format_request(Request("GET", Url("http", "a", 80), {}), "/")


@pytest.mark.parametrize(
    "text",
    ["", "sts", "ftp://sts", "http://", "http://a b", "http://a/\n", "http://a:x", "http://user@a", "http://a:123456"],
)
def test_text_that_is_no_url_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a URL"):
        parse_url(text)


def test_address_that_refuses_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(OK) as server:
        refusing = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", find_free_port()))
        unsupported = (socket.AF_X25, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
        accepting = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [refusing, unsupported, accepting])

        assert post("http://sts.example").body == b"ok"


def test_address_that_does_not_answer_is_a_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        started = time.monotonic()

        with pytest.raises(RequestError) as caught:
            post(f"http://127.0.0.1:{full.getsockname()[1]}", limits=LIMITS._replace(connect_seconds=0.3))

    assert caught.value.code == "ConnectTimeoutError"
    assert 0.25 < time.monotonic() - started < 2


def test_name_whose_resolution_takes_all_the_time_is_a_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def resolve_slowly(*args: Any, **options: Any) -> Any:
        time.sleep(0.05)
        return real(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_slowly)
    with raw_server(OK) as server, pytest.raises(RequestError) as caught:
        post(server.url(), limits=LIMITS._replace(total_seconds=0.01))

    assert caught.value.code == "ConnectTimeoutError"
    assert server.requests == []
