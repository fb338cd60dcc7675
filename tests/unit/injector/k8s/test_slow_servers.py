"""Requests to API servers and proxies that send a byte now and then: each request has a deadline in all."""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import Configuration
from urllib3 import Timeout

from injector.errors import UnreachableError
from injector.k8s.client import ApiClient
from injector.k8s.deadline_connection import MAX_LINE_BYTES
from injector.k8s.request import METADATA
from testing.raw_server import Connection, Respond, raw_server
from testing.services.certificates import write_certificates

SECONDS = 0.4
TIMEOUT = Timeout(connect=SECONDS, read=SECONDS)
SLACK_SECONDS = 8
"""Of a loaded machine. The servers drip for 20 s."""

PATH = "/api/v1/namespaces/team-a"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PROTOBUF = CHUNKED.replace(b"application/json", METADATA.encode() + b";stream=watch")
FILLER = b"x" * 400


def drip_after(beginning: bytes, slow: bytes = FILLER) -> Respond:
    def respond(connection: Connection) -> None:
        connection.send(beginning)
        connection.drip(slow, 0.05)

    return respond


@contextmanager
def ends_in_time(expected: str = "cannot (get|update|watch) .*") -> Iterator[None]:
    """Expect an error of the API server, soon."""
    started = time.monotonic()
    with pytest.raises(UnreachableError, match=expected):
        yield
    assert time.monotonic() - started < SECONDS + SLACK_SECONDS


def get(configuration: Configuration) -> Any:
    with ApiClient(configuration, TIMEOUT) as client:
        return client.get(PATH)


ANSWERS = {
    "status-line": drip_after(b"", b"HTTP/1.1 2" + FILLER),
    "headers": drip_after(HEAD, b"X-Filler: a\r\n" * 40),
    "interim-answers": drip_after(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 20),
    "body": drip_after(HEAD + b"Content-Length: 1000\r\n\r\n"),
    "body-until-the-end": drip_after(HEAD + b"\r\n"),
    "chunk": drip_after(CHUNKED + b"fff\r\n"),
    "chunks": drip_after(CHUNKED, b"1\r\nx\r\n" * 70),
    "length-of-a-chunk": drip_after(CHUNKED, b"1;" + FILLER),
    "trailer": drip_after(CHUNKED + b"0\r\n", b"a: b\r\n" * 70),
    "failure": drip_after(HEAD.replace(b"200 OK", b"503 Busy") + b"Content-Length: 1000\r\n\r\n"),
}


@pytest.mark.parametrize("respond", ANSWERS.values(), ids=ANSWERS)
def test_answer_that_drips_ends_at_the_deadline(respond: Respond) -> None:
    with raw_server(respond) as server, ends_in_time():
        get(Configuration(host=server.url()))


@contextmanager
def trusted(directory: Path) -> Iterator[tuple[ssl.SSLContext, Configuration]]:
    """A server's TLS, and a configuration that trusts it."""
    certificates = write_certificates(directory, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    configuration = Configuration()
    configuration.ssl_ca_cert = str(certificates.ca)
    yield context, configuration


def test_answer_over_tls_that_drips_ends_at_the_deadline(tmp_path: Path) -> None:
    with trusted(tmp_path) as (context, configuration), raw_server(ANSWERS["body"], context) as server:
        configuration.host = server.url("https")
        with ends_in_time():
            get(configuration)


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x03\x0f\xff"], ids=["at-once", "within-a-record"])
def test_tls_handshake_that_drips_ends_at_the_deadline(beginning: bytes) -> None:
    record = b"\x16\x03\x03\x01\x00\x02" + FILLER  # a handshake message of 256 bytes
    with raw_server(drip_after(beginning, record), reads_first=False) as server, ends_in_time():
        get(Configuration(host=server.url("https")))


@pytest.mark.parametrize(
    "slow", [b"HTTP/1.1 2" + FILLER, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 60], ids=["line", "head"]
)
def test_proxy_whose_answer_drips_ends_at_the_deadline(slow: bytes) -> None:
    with raw_server(drip_after(b"", slow)) as proxy, ends_in_time():
        configuration = Configuration(host="https://127.0.0.1:1")
        configuration.proxy = proxy.url()
        get(configuration)


def test_request_that_the_server_does_not_read_ends_at_the_deadline() -> None:
    with (
        raw_server(Connection.wait, reads_first=False) as server,
        ApiClient(Configuration(host=server.url()), TIMEOUT) as client,
        ends_in_time(),
    ):
        client.update(PATH, {"data": "x" * 16 * 1024 * 1024})


def test_kept_connection_has_the_whole_time_for_the_next_request() -> None:
    body = b'{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "team-a"}}'

    def answer_twice(connection: Connection) -> None:
        for number in range(2):
            if number:
                connection.read_request()
            connection.stopped.wait(0.25)
            connection.send(HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    with raw_server(answer_twice) as server, ApiClient(Configuration(host=server.url()), Timeout(total=2)) as client:
        assert [client.get(PATH)["kind"] for _ in range(2)] == ["Namespace"] * 2
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(PROTOBUF, id="length-of-the-chunk"),
        pytest.param(PROTOBUF + b"fff\r\n\0\0\0\xff", id="event"),
        pytest.param(PROTOBUF + b"fff\r\n" + b"\x03\xff\xff\xff", id="large-event"),
    ],
)
def test_watch_whose_event_drips_ends_at_the_deadline(beginning: bytes) -> None:
    with (
        raw_server(drip_after(beginning, b"1" * 400)) as server,
        ApiClient(Configuration(host=server.url()), TIMEOUT) as client,
        ends_in_time(),
        client.watch(PATH, accept=METADATA) as opened,
    ):
        [*opened.read_events("Namespace")]


def test_wait_for_an_event_ends_with_its_first_byte() -> None:
    with (
        raw_server(drip_after(CHUNKED + b"fff\r\n")) as server,
        ApiClient(Configuration(host=server.url()), Timeout(connect=1, read=15)) as client,
        client.watch(PATH) as opened,
    ):
        started = time.monotonic()
        assert opened.wait_for_event() is True
        assert time.monotonic() - started < SLACK_SECONDS


def test_watch_that_ends_without_an_event_had_none() -> None:
    with (
        raw_server(CHUNKED + b"0\r\n\r\n") as server,
        ApiClient(Configuration(host=server.url()), TIMEOUT) as client,
        client.watch(PATH) as opened,
    ):
        assert opened.wait_for_event() is False


def test_page_of_a_command_has_more_time_than_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"kind": "NamespaceList", "apiVersion": "v1", "metadata": {}, "items": []}'
    monkeypatch.setattr("injector.k8s.client.PAGE_TIMEOUT", Timeout(connect=SECONDS, read=20))

    def answer_slowly(connection: Connection) -> None:
        connection.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        connection.drip(body, 1.5 * SECONDS / len(body))

    with raw_server(answer_slowly) as server, ApiClient(Configuration(host=server.url()), TIMEOUT) as client:
        assert client.list("/api/v1/namespaces") == []


@pytest.mark.parametrize("length", [b"-1", b"-5"], ids=["minus-one", "minus-five"])
def test_chunk_of_a_negative_length_is_an_error_at_once(length: bytes) -> None:
    """http.client takes -1 for all that follows, whose size nothing would limit."""

    def respond(connection: Connection) -> None:
        connection.send(CHUNKED + length + b"\r\n")
        connection.flood(FILLER)

    with raw_server(respond) as server, ends_in_time(".*a chunk has a negative length"):
        get(Configuration(host=server.url()))


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nNote: ", CHUNKED + b"0\r\nNote: "],
    ids=["status", "header", "trailer"],
)
def test_line_of_a_head_that_is_too_long_is_an_error(head: bytes) -> None:
    """http.client takes 64 KiB for each of 100 headers, which is much for some threads at once."""

    def respond(connection: Connection) -> None:
        connection.send(head + b"x" * MAX_LINE_BYTES + b"\r\n\r\n")

    with raw_server(respond) as server, ends_in_time(".*a line before the body has more than 16 KiB"):
        get(Configuration(host=server.url()))
