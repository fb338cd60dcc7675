"""Responses as bytes."""

import time
from functools import lru_cache

from server.messages import Request, Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

REASONS = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
"""https://www.iana.org/assignments/http-status-codes"""

WITHOUT_BODY = frozenset({204, 304})


def serialize(response: Response, request: Request, *, keeps_alive: bool, now: float) -> bytes:
    """Format a response; raise ValueError if a header has a line break. `now` is in seconds since the epoch."""
    status, body = response.status, response.body
    lines = [
        f"HTTP/{request.version} {status} {REASONS.get(status, '')}",
        f"Date: {format_date(int(now))}",
        f"Connection: {'keep-alive' if keeps_alive else 'close'}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    # A WSGI app sends no body for HEAD, but the length that it would have.
    has_length = request.method == "HEAD" and any(name.lower() == "content-length" for name, _ in response.headers)
    if status not in WITHOUT_BODY and not has_length:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        raise ValueError("a header of the response has a line break")
    is_empty = request.method == "HEAD" or status in WITHOUT_BODY
    return f"{head}\r\n\r\n".encode("latin-1") + (b"" if is_empty else body)


def serialize_error(status: int, now: float) -> bytes:
    """Format a response without a body that closes the connection."""
    return serialize(Response(status), Request("GET", "", {}), keeps_alive=False, now=now)


@lru_cache(maxsize=1)
def format_date(now: int) -> str:
    """Format an HTTP date.

    https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    """
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
