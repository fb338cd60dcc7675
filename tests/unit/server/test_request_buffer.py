import pytest

from server.request_buffer import MAX_HEAD_BYTES, RequestBuffer, TooLargeError, find_end_of_chunks

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n"
TRAILED = b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nDigest: x\r\n\r\n"


def add_byte_by_byte(request: bytes, buffer: RequestBuffer) -> list[bytes | None]:
    taken = []
    for position in range(len(request)):
        buffer.add(request[position : position + 1])
        taken.append(buffer.take_request())
    return taken


@pytest.mark.parametrize("request_", [GET, PUT, CHUNKED, TRAILED], ids=["get", "put", "chunked", "trailers"])
def test_request_is_complete_only_with_its_last_byte(request_: bytes) -> None:
    *before, last = add_byte_by_byte(request_, RequestBuffer(1024))

    assert not any(before)
    assert last == request_


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(GET, id="get"),
        pytest.param(PUT, id="put"),
        pytest.param(CHUNKED, id="chunked"),
        pytest.param(TRAILED, id="trailers"),
    ],
)
def test_following_requests_stay_in_the_buffer(first: bytes) -> None:
    buffer = RequestBuffer(1024)
    buffer.add(first + PUT + GET[:5])

    taken = [buffer.take_request(), buffer.take_request(), buffer.take_request()]

    assert taken == [first, PUT, None]
    assert len(buffer) == 5


def test_content_length_header_is_case_insensitive() -> None:
    buffer = RequestBuffer(1024)
    buffer.add(PUT.replace(b"Content-Length: ", b"cOnTeNt-lEnGtH:\t "))

    assert buffer.take_request() is not None
    assert len(buffer) == 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"G" * (MAX_HEAD_BYTES + 1), 431),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (PUT.replace(b"5\r\n", b"1025\r\n"), 413),
        (PUT.replace(b"5\r\n", b"99999999999999999\r\n"), 413),
        (CHUNKED.replace(b"5;a=b", b"400") + b"x" * 1024, 413),
        (CHUNKED[:-5] + b"0\r\n" + b"Digest: x\r\n" * 200, 413),
    ],
    ids=["line", "head", "body", "absurd-body", "chunk", "trailers"],
)
def test_oversized_request_is_rejected_before_it_is_complete(sent: bytes, status: int) -> None:
    buffer = RequestBuffer(1024)
    buffer.add(sent)

    with pytest.raises(TooLargeError) as raised:
        buffer.take_request()

    assert raised.value.status == status


def test_head_of_maximum_size_is_accepted() -> None:
    head = b"GET / HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD_BYTES - 19)
    buffer = RequestBuffer(0)
    buffer.add(head + b"\r\n\r\n")

    assert buffer.take_request() == head + b"\r\n\r\n"


def test_expect_continue_is_reported_once() -> None:
    buffer = RequestBuffer(1024)
    buffer.add(PUT.replace(b"Content", b"Expect: 100-continue\r\nContent")[:-5])

    results = [buffer.expects_continue(), buffer.take_request(), buffer.expects_continue(), buffer.expects_continue()]
    buffer.add(b"hello")

    assert results == [False, None, True, False]
    assert buffer.take_request() is not None


def test_expect_continue_does_not_carry_over_to_the_next_request() -> None:
    buffer = RequestBuffer(1024)
    buffer.add(PUT.replace(b"Content", b"Expect: 100-continue\r\nContent") + PUT[:-1])

    buffer.take_request()
    buffer.take_request()

    assert not buffer.expects_continue()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zz\r\n", id="not-hexadecimal"),
        pytest.param(b"\r\n", id="no-size"),
        pytest.param(b"-1\r\nx", id="negative-size"),
        pytest.param(b"123456789\r\n", id="size-too-long"),
    ],
)
def test_malformed_chunk_ends_the_request(body: bytes) -> None:
    assert find_end_of_chunks(body, 0) == len(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="no-data"),
        pytest.param(b"5", id="size-only"),
        pytest.param(b"5\r\nhel", id="part-of-the-chunk"),
        pytest.param(b"0\r\n", id="no-trailers"),
        pytest.param(b"0\r\n\r", id="part-of-the-end"),
        pytest.param(b"0\r\nA: b\r\n", id="trailer-without-end"),
    ],
)
def test_incomplete_chunk_has_no_end(body: bytes) -> None:
    assert find_end_of_chunks(body, 0) is None
