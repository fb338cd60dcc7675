"""The parser without a socket: framing, limits, what handlers see."""

import gc
import weakref

import pytest

from server.messages import Request
from server.parser import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_PIPELINED,
    MAX_TARGET_BYTES,
    Endpoints,
    RequestParser,
)

ENDPOINTS = Endpoints(("10.0.0.1", 40000), ("127.0.0.1", 80), is_tls=False)
MAX_BODY_BYTES = 1024
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n"
TRAILED = b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nDigest: x\r\n\r\n"
INNER = b"GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED_HEAD = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
UPGRADE = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
EXPECTING = PUT.replace(b"Content", b"Expect: 100-Continue\r\nContent")


def build_parser(*pieces: bytes, max_body_bytes: int = MAX_BODY_BYTES) -> RequestParser:
    parser = RequestParser(ENDPOINTS, max_body_bytes)
    for piece in pieces:
        parser.feed(piece)
    return parser


def take_all(parser: RequestParser) -> list[Request]:
    return [taken[0] for taken in iter(parser.take_request, None)]


def list_targets(parser: RequestParser) -> list[str]:
    return [request.target for request in take_all(parser)]


REQUESTS = pytest.mark.parametrize("sent", [GET, PUT, CHUNKED, TRAILED], ids=["get", "put", "chunked", "trailers"])


@REQUESTS
def test_request_is_complete_only_with_its_last_byte(sent: bytes) -> None:
    parser = build_parser()
    taken = []
    for position in range(len(sent)):
        parser.feed(sent[position : position + 1])
        taken.append(parser.take_request())

    *before, last = taken
    assert not any(before)
    assert last is not None
    assert last[1], "the connection stays open"
    assert parser.buffered_bytes == 0


@REQUESTS
def test_requests_in_one_segment_are_taken_in_order(sent: bytes) -> None:
    parser = build_parser(sent + PUT + GET[:5])

    first, second = take_all(parser)

    assert first.body in {b"", b"hello"}
    assert (second.target, second.body) == ("/x", b"hello")
    assert parser.is_begun


def test_request_has_the_parts_that_the_client_sent() -> None:
    head = b"POST //a%2Fb?c=%64#e HTTP/1.1\r\nHost: A\r\nX-One: 1\r\nx-one: 2\r\nX_Two: \xe4 \r\n"

    [request] = take_all(build_parser(head + b"Content-Length: 2\r\n\r\nok"))

    assert request == Request(
        "POST",
        "//a%2Fb?c=%64#e",
        {"host": "A", "x-one": "1,2", "x_two": "ä", "content-length": "2"},
        b"ok",
        "1.1",
        ("10.0.0.1", 40000),
        ("127.0.0.1", 80),
        is_tls=False,
        may_block=False,
    )


def test_trailers_are_not_headers() -> None:
    [request] = take_all(build_parser(TRAILED))

    assert request.headers == {"host": "a", "transfer-encoding": "chunked"}


@pytest.mark.parametrize(
    ("sent", "keeps_alive"),
    [
        pytest.param(GET, True, id="http-1.1"),
        pytest.param(GET.replace(b"1.1", b"1.0"), False, id="http-1.0"),
        pytest.param(GET.replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n"), True, id="http-1.0-keep-alive"),
        pytest.param(GET.replace(b"Host", b"Connection: close\r\nHost"), False, id="close"),
        pytest.param(GET.replace(b"Host", b"Connection: x, CLOSE\r\nHost"), False, id="close-among-others"),
    ],
)
def test_connection_stays_open_as_the_client_asks(sent: bytes, *, keeps_alive: bool) -> None:
    assert build_parser(sent).take_request() == (take_all(build_parser(sent))[0], keeps_alive)


def test_what_follows_the_last_request_is_discarded() -> None:
    parser = build_parser(GET.replace(b"Host", b"Connection: close\r\nHost") + GET, GET)

    assert len(take_all(parser)) == 1
    assert parser.error is None
    assert parser.has_surplus


@pytest.mark.parametrize(
    "length",
    [
        pytest.param(b"Content-Length: %d", id="plain"),
        pytest.param(b"Content-Length: 00000000000000000000%d", id="twenty-zeros"),
        pytest.param(b"Content-Length:%d", id="no-space"),
        pytest.param(b"cOnTeNt-lEnGtH: \t %d \t", id="spaces-around-and-odd-case"),
    ],
)
def test_request_in_a_body_is_never_taken_as_a_request(length: bytes) -> None:
    head = b"POST /outer HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.9\r\n" + length % len(INNER) + b"\r\n\r\n"

    parser = build_parser(head + INNER + GET)

    assert list_targets(parser) == ["/outer", "/"]


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +%d\r\n\r\n", id="plus"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -%d\r\n\r\n", id="minus"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d,%d\r\n\r\n", id="list"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nContent-Length: %d\r\n\r\n", id="twice-the-same"
        ),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: %d\r\n\r\n", id="two-values"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x%d\r\n\r\n", id="hexadecimal"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d.0\r\n\r\n", id="decimal-point"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 %d\r\n\r\n", id="space-inside"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", id="empty"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : %d\r\n\r\n", id="space-before-colon"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \x0b%d\r\n\r\n", id="vertical-tab"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999%d\r\n\r\n", id="overflow"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n", id="both"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n",
            id="both-reversed",
        ),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", id="xchunked"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", id="chunked-not-last"
        ),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="gzip"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", id="identity"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", id="chunked-after-vertical-tab"
        ),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", id="empty-coding"),
        pytest.param(CHUNKED_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunked-twice"),
        pytest.param(CHUNKED_HEAD + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", id="chunked-and-identity"),
        pytest.param(CHUNKED_HEAD.replace(b"1.1", b"1.0") + b"\r\n0\r\n\r\n", id="http-1.0-chunked"),
        pytest.param(CHUNKED_HEAD + b"\r\n11111111111111111\r\n", id="chunk-size-of-17-digits"),
        pytest.param(CHUNKED_HEAD + b"\r\n-1\r\n\r\n", id="negative-chunk-size"),
        pytest.param(CHUNKED_HEAD + b"\r\n0x1\r\nx\r\n0\r\n\r\n", id="chunk-size-with-0x"),
        pytest.param(CHUNKED_HEAD + b"\r\nzz\r\n", id="chunk-size-not-hexadecimal"),
        pytest.param(CHUNKED_HEAD + b"\r\n\r\n", id="no-chunk-size"),
        pytest.param(CHUNKED_HEAD + b"\r\n1\r\nxy\r\n0\r\n\r\n", id="chunk-longer-than-its-size"),
        pytest.param(CHUNKED_HEAD + b"\r\n1\nx\n0\n\n", id="chunk-with-bare-line-feeds"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", id="bare-line-feeds"),
        pytest.param(b"GET / HTTP/1.1\rHost: a\r\r", id="bare-carriage-returns"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", id="host-with-space-before-colon"),
        pytest.param(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", id="space-before-the-first-header"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", id="folded-header"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", id="nul-in-value"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: a\r\n\r\n", id="nul-in-name"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", id="no-name"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", id="no-colon"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", id="two-hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nX: a\r\n\r\n", id="no-host"),
        pytest.param(b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", id="space-in-target"),
        pytest.param(b"GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n", id="byte-in-target"),
        pytest.param(b"GET /\r\n\r\n", id="http-0.9"),
        pytest.param(b"GET / HTTP/2.0\r\n\r\n", id="http-2"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http-2-preface"),
        pytest.param(b"GET / HTTP/11.1\r\n\r\n", id="version-of-two-digits"),
        pytest.param(b"get / HTTP/1.1\r\nHost: a\r\n\r\n", id="lower-case-method"),
        pytest.param(b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", id="unknown-method"),
        pytest.param(b"PLAY / RTSP/1.0\r\n\r\n", id="rtsp"),
        pytest.param(b"SOURCE / ICE/1.0\r\n\r\n", id="ice"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="tls-hello"),
    ],
)
def test_ambiguous_or_invalid_request_ends_the_connection(head: bytes) -> None:
    sent = head % ((len(INNER),) * head.count(b"%d"))

    parser = build_parser(GET + sent + INNER, INNER)

    assert list_targets(parser) == ["/"], "only the valid request before it"
    assert parser.error in {400, 501, 505}
    assert parser.buffered_bytes == 0


@pytest.mark.parametrize("target", ["/", "*"])
def test_upgrade_is_ignored(target: str) -> None:
    head = (
        f"OPTIONS {target} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n".encode()
    )

    parser = build_parser(head + head + INNER, INNER)

    assert list_targets(parser) == [target, target, "/inner", "/inner"]
    assert parser.error is None


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(UPGRADE + b"Content-Length: %d\r\n\r\n", id="length"),
        pytest.param(
            UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n",
            id="chunked",
        ),
        pytest.param(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", id="connect"),
        pytest.param(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n", id="connect-without-body"),
    ],
)
def test_request_in_the_body_of_an_upgrade_is_never_taken_as_a_request(head: bytes) -> None:
    parser = build_parser(head % len(INNER) + INNER, INNER)

    assert "/inner" not in list_targets(parser)
    assert parser.has_surplus


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"GET /" + b"x" * MAX_TARGET_BYTES, 414, id="target"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * MAX_HEAD_BYTES, 431, id="unfinished-value"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431, id="value"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x" * MAX_HEAD_BYTES + b": x\r\n\r\n", 431, id="name"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * (MAX_HEADERS + 1) + b"\r\n", 431, id="headers"),
        pytest.param(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n", 413, id="announced-body"),
        pytest.param(
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999\r\n\r\n", 413, id="announced-huge-body"
        ),
        pytest.param(CHUNKED_HEAD + b"\r\n401\r\n" + b"x" * 1025, 413, id="chunk"),
        pytest.param(CHUNKED_HEAD + b"\r\n200\r\n" + b"x" * 512 + b"\r\n201\r\n" + b"x" * 513, 413, id="chunks"),
        pytest.param(CHUNKED_HEAD + b"\r\n0\r\n" + b"Digest: x\r\n" * (MAX_HEADERS + 1), 431, id="trailers"),
        pytest.param(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417, id="expectation"),
    ],
)
def test_oversized_request_is_rejected_before_it_is_complete(sent: bytes, status: int) -> None:
    assert build_parser(sent).error == status
    assert build_parser(*(sent[position : position + 100] for position in range(0, len(sent), 100))).error == status


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"0\r\nX: " + b"x" * 1000, id="trailer-without-end"),
        pytest.param(b"1;" + b"x" * 1000, id="extension-without-end"),
        pytest.param(b"1;" + b"x" * 990 + b"\r\nx\r\n", id="long-extensions"),
        pytest.param(b"1\r\nx\r\n" * 170, id="one-byte-chunks"),
    ],
)
def test_frames_of_chunks_are_bounded(piece: bytes) -> None:
    parser = RequestParser(ENDPOINTS, 8 * 1024 * 1024)
    parser.feed(CHUNKED_HEAD + b"\r\n" + piece)
    continued = piece if piece.endswith(b"\n") else b"x" * 1000

    sent = 0
    while parser.error is None and sent < 100 * MAX_HEAD_BYTES:
        parser.feed(continued)
        sent += len(continued)

    assert parser.error == 413
    assert sent < 4 * MAX_HEAD_BYTES


def test_chunks_of_a_common_size_are_accepted() -> None:
    body = b"".join(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(1024))
    pieces = [body[position : position + 1000] for position in range(0, len(body), 1000)]

    [request] = take_all(build_parser(CHUNKED_HEAD + b"\r\n", *pieces, b"0\r\n\r\n", max_body_bytes=1024 * 1024))

    assert len(request.body) == 1024 * 1024


def test_head_of_nearly_the_maximum_size_is_accepted() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (MAX_HEAD_BYTES - 19) + b"\r\n\r\n"

    assert len(take_all(build_parser(head, max_body_bytes=0))) == 1


def test_empty_lines_before_a_request_are_ignored() -> None:
    parser = build_parser(b"\r\n" * 1000)

    assert not parser.is_begun
    assert parser.buffered_bytes == 0
    parser.feed(GET)
    assert list_targets(parser) == ["/"]


def test_pipelined_requests_beyond_the_limit_are_dropped_and_the_connection_closes() -> None:
    parser = build_parser(GET * (MAX_PIPELINED + 10), GET)

    taken = list(iter(parser.take_request, None))

    assert [keeps_alive for _, keeps_alive in taken] == [True] * (MAX_PIPELINED - 1) + [False]
    assert parser.error is None


def test_requests_beyond_the_limit_are_parsed_when_the_client_waits_for_responses() -> None:
    parser = build_parser()

    for _ in range(3 * MAX_PIPELINED):
        parser.feed(GET)
        assert list_targets(parser) == ["/"]


def test_buffered_bytes_count_everything_that_is_kept() -> None:
    body = b"x" * 1000
    parser = build_parser(PUT.replace(b"5", b"1000").replace(b"hello", body) + GET[:10])
    with_complete = parser.buffered_bytes
    parser.take_request()
    parser.feed(GET[10:20])

    assert with_complete > 1000
    assert 10 <= parser.buffered_bytes < 200
    assert build_parser(PUT.replace(b"5", b"1000").replace(b"hello", body[:500])).buffered_bytes > 500


def test_continue_is_wanted_once() -> None:
    parser = build_parser(EXPECTING[:-5])

    wanted = [parser.take_continue(), parser.take_continue()]
    parser.feed(b"hello")

    assert wanted == [True, False]
    assert take_all(parser)[0].body == b"hello"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(EXPECTING + PUT[:-1], id="next-request"),
        pytest.param(EXPECTING, id="complete-request"),
        pytest.param(EXPECTING.replace(b"1.1", b"1.0")[:-1], id="1.0"),
        pytest.param(EXPECTING[:-9], id="unfinished-head"),
    ],
)
def test_continue_is_not_wanted(sent: bytes) -> None:
    assert not build_parser(sent).take_continue()


def test_closed_parser_is_freed_without_a_garbage_collection() -> None:
    parser = build_parser(GET[:10])
    reference = weakref.ref(parser)
    gc.disable()
    try:
        parser.close()
        del parser

        assert reference() is None
    finally:
        gc.enable()


def test_exception_in_a_callback_is_raised() -> None:
    parser = build_parser()
    parser._body = None  # type: ignore[assignment]  # noqa: SLF001 - breaks the parser

    with pytest.raises(Exception, match="callback"):
        parser.feed(PUT)
