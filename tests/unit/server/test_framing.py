"""Where one request ends: in doubt the server rejects it and closes the connection, so that nothing hides in a body."""

import pytest

from testing.raw_http import take_answers
from tests.unit.server.framing import build_attacks, build_closing
from tests.unit.server.running import Running, build

HEADERS = b"Host: a\r\nX-Id: outer\r\n"
INNER = b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Id: inner\r\n\r\n"
ATTACKS = build_attacks(INNER, HEADERS)
CLOSING = build_closing(INNER, HEADERS)
LAST = b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Id: last\r\nConnection: close\r\n\r\n"
VALID = {
    "length-with-spaces": (b"Content-Length:  \t5 \t\r\n\r\nhello", b"hello"),
    "length-leading-zeros": (b"Content-Length: 000000000000000000000005\r\n\r\nhello", b"hello"),
    "length-0": (b"Content-Length: 0\r\n\r\n", b""),
    "length-upper-case": (b"CONTENT-LENGTH: 5\r\n\r\nhello", b"hello"),
    "coding-upper-case": (b"TRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "coding-after-tab": (b"Transfer-Encoding:\tchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "one-byte-chunks": (b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500 + b"0\r\n\r\n", b"x" * 500),
    "chunk-size-upper-case": (b"Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "chunk-size-leading-zeros": (b"Transfer-Encoding: chunked\r\n\r\n005\r\nhello\r\n0\r\n\r\n", b"hello"),
    "chunk-extension": (b'Transfer-Encoding: chunked\r\n\r\n5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n', b"hello"),
    "trailers": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Id: z\r\nHost: b\r\n\r\n", b"hello"),
    "body-that-looks-like-chunks": (b"Content-Length: 5\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
    "upgrade-without-body": (b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b""),
    "empty-lines-before-next": (b"Content-Length: 0\r\n\r\n\r\n\r\n", b""),
}
"""Headers and body of a request, and the body that the handler gets."""


@pytest.mark.parametrize("name", ATTACKS)
def test_ambiguous_request_is_rejected_and_the_connection_closes(hostile: Running, name: str) -> None:
    received = hostile.exchange(ATTACKS[name])

    assert received.startswith(b"HTTP/1."), received
    assert 400 <= int(received[9:12]) < 506, received
    assert received.count(b"HTTP/1.") == 1
    assert b"X-Id" not in received
    assert b"Connection: close" in received


@pytest.mark.parametrize("name", CLOSING)
def test_bytes_after_the_last_request_of_a_connection_are_not_a_request(hostile: Running, name: str) -> None:
    answers = list(take_answers(hostile.exchange(CLOSING[name])))

    assert len(answers) == 1
    assert answers[0].find("X-Id") != "inner"


@pytest.mark.parametrize("cut", [1, 7, 4096], ids=["byte-by-byte", "7-bytes", "whole"])
@pytest.mark.parametrize("name", VALID)
def test_request_after_a_valid_one_is_answered(hostile: Running, name: str, cut: int) -> None:
    rest, body = VALID[name]
    sent = b"PUT /echo HTTP/1.1\r\n" + HEADERS + rest + LAST

    with hostile.connect() as connection:
        for start in range(0, len(sent), cut):
            connection.send(sent[start : start + cut])
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    answers = list(take_answers(received))
    assert [(answer.status, answer.find("X-Id")) for answer in answers] == [(200, "outer"), (200, "last")]
    assert answers[0].body == body


def test_header_names_with_underscores_do_not_replace_others(hostile: Running) -> None:
    """WSGI would give both names the same key."""
    answer = hostile.ask(build("/echo", "dash", headers=b"X_Id: underscore\r\n"))

    assert answer.find("X-Id") == "dash"
