"""HTTP: which requests of real clients are accepted, and the form of the responses."""

import re
import socket
import time
from pathlib import Path

import pytest

from testing.raw_http import METADATA, TIMEOUT_SECONDS, ask, build_request, connect, take_answers
from testing.sidecars import CREDENTIALS_PATH, Sidecar

ROLES = "/latest/meta-data/iam/security-credentials"
LIST = build_request(ROLES)
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
ALL = {
    "token": build_request("/latest/api/token", "PUT", [(TTL, "60")]),
    "bad-token-request": build_request("/latest/api/token", "PUT"),
    "list": LIST,
    "document": build_request(f"{ROLES}/reader"),
    "container": build_request(CREDENTIALS_PATH),
    "region": build_request("/latest/meta-data/placement/region"),
    "not-found": build_request("/nothing"),
    "wrong-method": build_request(ROLES, "POST"),
    "rejected": build_request(ROLES, host="evil.example.com"),
    "unauthorized": build_request(ROLES, headers=[("X-aws-ec2-metadata-token", "x")]),
}
EVERY_RESPONSE = pytest.mark.parametrize("request_name", ALL)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        pytest.param("/latest/api/token", {"PUT"}, id="token"),
        pytest.param(f"{ROLES}/", {"GET", "HEAD"}, id="role-list"),
        pytest.param(f"{ROLES}/reader", {"GET", "HEAD"}, id="role-document"),
        pytest.param(CREDENTIALS_PATH, {"GET", "HEAD"}, id="container"),
        pytest.param("/latest/meta-data/placement/region", {"GET", "HEAD"}, id="region"),
    ],
)
def test_wrong_method_gets_405_with_allow_header(sidecar: Sidecar, path: str, allowed: set[str]) -> None:
    for method in {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} - allowed:
        answer = ask(sidecar.port, build_request(path, method, [(TTL, "60")]))

        assert (answer.status, answer.body) == (405, b"")
        assert set(re.split(", *", answer.find("Allow") or "")) == allowed


@pytest.mark.parametrize("path", [ROLES, f"{ROLES}/reader", CREDENTIALS_PATH, "/latest/meta-data/placement/region"])
def test_head_response_has_headers_of_get_and_no_body(sidecar: Sidecar, path: str) -> None:
    got = ask(sidecar.port, build_request(path))
    with connect(sidecar.port) as wire:
        wire.send(build_request(path, "HEAD", [("Connection", "close")]))
        head, _, rest = wire.read_rest().partition(b"\r\n\r\n")

    assert rest == b""
    assert f"Content-Length: {len(got.body)}".encode() in head


@EVERY_RESPONSE
def test_response_is_sent_in_one_segment(sidecar: Sidecar, request_name: str) -> None:
    """The kernel counts the segments: a slow reader would see two as one."""
    with connect(sidecar.port) as wire:
        for number in range(1, 6):
            wire.send(ALL[request_name])
            wire.read_answer()

            assert wire.count_segments() == number


@EVERY_RESPONSE
def test_every_response_has_content_length_and_no_store(sidecar: Sidecar, request_name: str) -> None:
    with connect(sidecar.port) as wire:
        wire.send(ALL[request_name].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        [answer] = take_answers(wire.read_rest())

    assert answer.find("Content-Length") == str(len(answer.body))
    assert answer.find("Transfer-Encoding") is None
    assert answer.find("Cache-Control") == "no-store"
    assert answer.find("X-Content-Type-Options") == "nosniff"
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]
    assert not 300 <= answer.status < 400


@pytest.mark.parametrize("path", [f"{ROLES}/", f"//{ROLES}"])
def test_http_1_0_request_without_host_is_answered_and_closed(sidecar: Sidecar, path: str) -> None:
    with connect(sidecar.port) as wire:
        wire.send(build_request(path, version="1.0", host=None))
        [answer] = take_answers(wire.read_rest())

    assert (answer.status, answer.body) == (200, b"reader")


def test_http_1_0_keep_alive_is_honored(sidecar: Sidecar) -> None:
    with connect(sidecar.port) as wire:
        for _ in range(3):
            wire.send(build_request(ROLES, version="1.0", headers=[("Connection", "keep-alive")]))

            assert wire.read_answer().body == b"reader"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="no-length"),
        pytest.param([("Content-Length", "0")], id="length-0"),
        pytest.param(
            [("Content-Length", "0"), ("Content-Type", "application/x-www-form-urlencoded")], id="length-0-form"
        ),
        pytest.param([("Content-Type", "application/x-www-form-urlencoded")], id="form-without-length"),
    ],
)
def test_token_request_works_with_and_without_content_length(sidecar: Sidecar, headers: list[tuple[str, str]]) -> None:
    with connect(sidecar.port) as wire:
        wire.send(build_request("/latest/api/token", "PUT", [(TTL, "60"), *headers]) + LIST)

        assert wire.read_answer().status == 200
        assert wire.read_answer().body == b"reader"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"0\r\n\r\n", id="empty-body"),
        pytest.param(b"3\r\nabc\r\n0\r\n\r\n", id="one-chunk"),
        pytest.param(b"3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n", id="extension-and-trailer"),
    ],
)
def test_chunked_token_request_of_curl_gets_a_token(sidecar: Sidecar, body: bytes) -> None:
    headers = [(TTL, "60"), ("Transfer-Encoding", "chunked"), ("Expect", "100-continue")]
    with connect(sidecar.port) as wire:
        wire.send(build_request("/latest/api/token", "PUT", headers))
        interim = wire.read_answer()
        wire.send(body + LIST)
        token, following = wire.read_answer(), wire.read_answer()

    assert (interim.status, token.status) == (100, 200)
    assert following.body == b"reader", "the rest of the body was read as a request"


def test_expect_continue_without_waiting_gets_a_token(sidecar: Sidecar) -> None:
    headers = [(TTL, "60"), ("Transfer-Encoding", "chunked"), ("Expect", "100-continue")]
    with connect(sidecar.port) as wire:
        wire.send(build_request("/latest/api/token", "PUT", headers) + b"0\r\n\r\n" + LIST)
        answers = [wire.read_answer()]
        if answers[0].status == 100:
            answers = [wire.read_answer()]

        assert answers[0].status == 200
        assert wire.read_answer().body == b"reader"


def test_request_body_is_not_read_as_a_request(sidecar: Sidecar) -> None:
    body = build_request(f"{ROLES}/reader")
    with connect(sidecar.port) as wire:
        wire.send(build_request("/nothing", "POST", [("Content-Length", str(len(body)))]) + body + LIST)

        assert wire.read_answer().status == 404
        assert wire.read_answer().body == b"reader"


@pytest.mark.parametrize(
    "host", ["169.254.170.2", "169.254.169.254:80", "[fd00:ec2::254]", "127.0.0.1:16925", "LOCALHOST"]
)
def test_absolute_uri_of_proxy_client_is_accepted(sidecar: Sidecar, host: str) -> None:
    assert ask(sidecar.port, build_request(f"http://{host}{ROLES}", host=host)).body == b"reader"


@pytest.mark.parametrize(
    ("uri_host", "header"),
    [
        pytest.param("evil.example.com", METADATA, id="foreign-uri"),
        pytest.param(METADATA, "evil.example.com", id="foreign-header"),
        pytest.param("evil.example.com", None, id="foreign-uri-without-header"),
        pytest.param(f"x@{METADATA}", METADATA, id="userinfo-in-uri"),
        pytest.param("", METADATA, id="empty-uri-host"),
    ],
)
def test_foreign_host_in_uri_or_header_is_rejected(sidecar: Sidecar, uri_host: str, header: str | None) -> None:
    answer = ask(sidecar.port, build_request(f"http://{uri_host}{ROLES}", host=header))

    assert answer.status in {400, 403}
    assert answer.body == b""


@pytest.mark.parametrize("port", ["", ":80", ":16925"])
@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "169.254.170.2", "169.254.170.23", "127.0.0.1", "localhost", "LocalHost"),
        *("[fd00:ec2::254]", "[fd00:ec2::23]", "[::1]", "[FD00:EC2::254]"),
    ],
)
def test_every_service_address_is_a_valid_host(sidecar: Sidecar, host: str, port: str) -> None:
    assert ask(sidecar.port, build_request(ROLES, host=host + port)).body == b"reader"


@pytest.mark.parametrize("host", ["fd00:ec2::254", "fd00:ec2::23", "::1"])
def test_ipv6_host_without_brackets_is_accepted(sidecar: Sidecar, host: str) -> None:
    assert ask(sidecar.port, build_request(ROLES, host=host)).body == b"reader"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example.com", "169.254.169.254.evil.example.com", "evil.example.com:80", "localhost.evil.example.com"),
        *(
            "10.1.2.3",
            "169.254.169.253",
            "0.0.0.0",
            "2852039166",
            "0xA9FEA9FE",
            "localhost.",
            "[::ffff:169.254.169.254]",
        ),
        *("", "169.254.169.254:80:80", "169.254.169.254:", "[169.254.169.254", "169.254.169.254, evil.example.com"),
    ],
)
@pytest.mark.parametrize("path", [f"{ROLES}/reader", CREDENTIALS_PATH])
def test_dns_rebinding_host_is_rejected(sidecar: Sidecar, path: str, host: str) -> None:
    answer = ask(sidecar.port, build_request(path, host=host))

    assert answer.status in {400, 403}
    assert answer.body == b""


@pytest.mark.parametrize(
    "second", [pytest.param("evil.example.com", id="foreign-second-host"), pytest.param(METADATA, id="same-host-twice")]
)
def test_duplicate_host_header_is_rejected(sidecar: Sidecar, second: str) -> None:
    answer = ask(sidecar.port, build_request(CREDENTIALS_PATH, headers=[("Host", second)]))

    assert answer.status in {400, 403}
    assert answer.body == b""


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "http://evil.example.com"),
        ("Origin", "null"),
        ("Referer", "http://evil.example.com/"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "none"),
        ("X-Forwarded-For", "10.1.2.3"),
        ("X-Forwarded-For", ""),
        ("x-FORWARDED-for", "127.0.0.1"),
        ("Forwarded", "for=10.1.2.3"),
        ("Via", "1.1 proxy"),
    ],
    ids=": ".join,
)
@pytest.mark.parametrize("path", [ROLES, f"{ROLES}/reader", CREDENTIALS_PATH, "/nothing"])
def test_browser_and_proxy_headers_are_rejected(sidecar: Sidecar, path: str, header: tuple[str, str]) -> None:
    answer = ask(sidecar.port, build_request(path, headers=[header]))

    assert (answer.status, answer.body) == (403, b"")


def test_fetch_of_node_js_is_accepted(sidecar: Sidecar) -> None:
    headers = [("accept", "*/*"), ("accept-language", "*"), ("sec-fetch-mode", "cors"), ("user-agent", "node")]

    assert ask(sidecar.port, build_request(ROLES, headers=headers)).body == b"reader"


def test_cors_preflight_is_rejected(sidecar: Sidecar) -> None:
    headers = [("Origin", "http://evil.example.com"), ("Access-Control-Request-Method", "PUT")]

    answer = ask(sidecar.port, build_request("/latest/api/token", "OPTIONS", headers))

    assert answer.status == 403
    assert answer.find("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize(
    "name", ["X_Forwarded_For", "SCRIPT_NAME", "PATH_INFO", "X_aws_ec2_metadata_token", "HTTP_HOST"]
)
def test_header_with_underscores_is_ignored(sidecar: Sidecar, name: str) -> None:
    """WSGI cannot distinguish underscores from dashes, and some such names are WSGI variables."""
    answer = ask(sidecar.port, build_request(ROLES, headers=[(name, CREDENTIALS_PATH)]))

    assert answer.status in {200, 400}
    assert answer.body in {b"reader", b""}


def test_large_head_is_accepted(sidecar: Sidecar) -> None:
    """SDKs send long User-Agent headers, and cookies can be longer."""
    headers = [("Cookie", "c" * 7000), ("User-Agent", "u" * 7000)]

    assert ask(sidecar.port, build_request(ROLES, headers=headers)).body == b"reader"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([("Cookie", "c" * 20_000)], id="one-long-header"),
        pytest.param([(f"X-{number}", "x" * 500) for number in range(40)], id="many-long-headers"),
        pytest.param([(f"X-{number}", "") for number in range(200)], id="too-many-headers"),
    ],
)
def test_oversized_head_gets_431(sidecar: Sidecar, headers: list[tuple[str, str]]) -> None:
    answer = ask(sidecar.port, build_request(ROLES, headers=headers))

    assert (answer.status, answer.body) == (431, b"")


def test_oversized_path_gets_414(sidecar: Sidecar) -> None:
    answer = ask(sidecar.port, build_request("/" + "a" * 10_000))

    assert answer.status in {400, 414}
    assert answer.body == b""


def test_pipelined_requests_of_a_client_are_answered_in_order(sidecar: Sidecar) -> None:
    put = ALL["token"]
    with connect(sidecar.port) as wire:
        wire.send(LIST + put + ALL["not-found"] + LIST + build_request(ROLES, headers=[("Connection", "close")]))
        answers = list(take_answers(wire.read_rest()))

    assert [answer.status for answer in answers] == [200, 200, 404, 200, 200]
    assert answers[0].body == answers[3].body == answers[4].body == b"reader"


def test_request_sent_byte_by_byte_is_answered(sidecar: Sidecar) -> None:
    with connect(sidecar.port) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in LIST:
            wire.send(bytes([byte]))

        assert wire.read_answer().body == b"reader"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\r\n\r\n", id="no-request-line"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls-handshake"),
        pytest.param(b"GET\r\n\r\n", id="method-only"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", id="unknown-version"),
        pytest.param(f"GET {CREDENTIALS_PATH}\r\n\r\n".encode(), id="no-version"),
        pytest.param(f"get {CREDENTIALS_PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), id="lower-case-method"),
        pytest.param(f"GET {CREDENTIALS_PATH} HTTP/1.1\nHost: localhost\n\n".encode(), id="bare-line-feeds"),
        pytest.param(b"GET \x00 HTTP/1.1\r\n\r\n", id="nul-in-target"),
        pytest.param(b"\xff" * 100, id="binary"),
        pytest.param(LIST.replace(b"\r\n\r\n", b"\r\n folded: yes\r\n\r\n"), id="folded-header"),
        pytest.param(LIST.replace(b"Host:", b"Host :"), id="space-before-colon"),
        pytest.param(LIST.replace(b"\r\n\r\n", b"\r\nContent-Length: -1\r\n\r\n"), id="negative-length"),
        pytest.param(LIST.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: gzip\r\n\r\n"), id="unknown-transfer-coding"),
        pytest.param(
            LIST.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx"),
            id="length-and-chunked",
        ),
        pytest.param(LIST[:20], id="incomplete-head"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_invalid_http_gets_an_error_and_no_credentials(sidecar: Sidecar, sent: bytes) -> None:
    with connect(sidecar.port) as wire:
        wire.send(sent)
        wire.socket.shutdown(socket.SHUT_WR)
        received = wire.read_rest()

    assert received == b"" or re.match(rb"HTTP/1\.1 (400|404|405|501|505) ", received)
    assert b"AccessKeyId" not in received


def test_500_concurrent_clients_are_answered(sidecar: Sidecar) -> None:
    connections = [socket.create_connection(("127.0.0.1", sidecar.port), TIMEOUT_SECONDS) for _ in range(500)]
    started = time.monotonic()
    try:
        for connection in connections:
            connection.sendall(ALL["token"])
        firsts = [connection.recv(12) for connection in connections]
    finally:
        for connection in connections:
            connection.close()

    assert set(firsts) == {b"HTTP/1.1 200"}
    assert time.monotonic() - started < TIMEOUT_SECONDS


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_server_listens_on_both_loopback_addresses(sidecar: Sidecar, host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this kernel has no IPv6")

    assert ask(sidecar.port, LIST, host).body == b"reader"


def test_server_listens_on_loopback_only(sidecar: Sidecar) -> None:
    """/proc/PID/net/tcp and tcp6: the local address and port are in the second column; the state 0A is LISTEN."""
    tables = [Path(f"/proc/{sidecar.process.pid}/net/{table}") for table in ("tcp", "tcp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]

    listening = {row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{sidecar.port:04X}")}

    assert listening <= {f"0100007F:{sidecar.port:04X}", f"00000000000000000000000001000000:{sidecar.port:04X}"}
    assert listening


def test_any_client_address_is_accepted(sidecar: Sidecar) -> None:
    """With the redirect it is the pod's address, not loopback."""
    with socket.create_connection(("127.0.0.1", sidecar.port), 5, ("127.8.9.10", 0)) as connection:
        connection.sendall(LIST)

        assert connection.recv(65536).endswith(b"reader")
