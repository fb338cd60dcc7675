import pytest

from server.messages import Request, Response
from server.responses import serialize, serialize_error

NOW = 1764451281.9
GET = Request("GET", "/", {})
HEADERS = (("Content-Type", "text/plain"), ("Allow", "GET"))


def test_response_has_status_headers_and_body() -> None:
    data = serialize(Response(405, b"body", HEADERS), GET, keeps_alive=True, now=NOW)

    assert data == (
        b"HTTP/1.1 405 Method Not Allowed\r\n"
        b"Date: Sat, 29 Nov 2025 21:21:21 GMT\r\n"
        b"Connection: keep-alive\r\n"
        b"Content-Type: text/plain\r\n"
        b"Allow: GET\r\n"
        b"Content-Length: 4\r\n\r\nbody"
    )


@pytest.mark.parametrize(
    ("request_", "response", "start", "end"),
    [
        pytest.param(
            GET._replace(method="HEAD"), Response(200, b"body"), b"HTTP/1.1 200", b"Length: 4\r\n\r\n", id="head"
        ),
        pytest.param(
            GET._replace(version="1.0"), Response(200), b"HTTP/1.0 200 OK", b"Length: 0\r\n\r\n", id="http-1.0"
        ),
        pytest.param(GET, Response(204, b"body"), b"HTTP/1.1 204 No Content", b"close\r\n\r\n", id="no-content"),
        pytest.param(GET, Response(304), b"HTTP/1.1 304 ", b"close\r\n\r\n", id="not-modified"),
        pytest.param(GET, Response(299), b"HTTP/1.1 299 \r\n", b"Length: 0\r\n\r\n", id="unknown-status"),
    ],
)
def test_body_and_length_follow_method_and_status(
    request_: Request, response: Response, start: bytes, end: bytes
) -> None:
    data = serialize(response, request_, keeps_alive=False, now=NOW)

    assert data.startswith(start)
    assert data.endswith(end)


def test_length_of_a_wsgi_app_is_kept_for_head() -> None:
    response = Response(200, b"", (("content-length", "7"),))

    data = serialize(response, GET._replace(method="HEAD"), keeps_alive=False, now=NOW)

    assert data.lower().count(b"content-length: ") == 1
    assert b"content-length: 7\r\n" in data


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nX: b", "a\rX: b", "a\r\n"])
def test_header_with_a_line_break_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        serialize(Response(200, b"", (("X", value),)), GET, keeps_alive=True, now=NOW)


def test_error_closes_the_connection() -> None:
    data = serialize_error(431, NOW)

    assert data.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"\r\nConnection: close\r\n" in data
    assert data.endswith(b"\r\nContent-Length: 0\r\n\r\n")
