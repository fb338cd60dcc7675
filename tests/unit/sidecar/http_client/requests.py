"""Sends a request as the tests of the client need it."""

from sidecar.http_client.client import Limits, Request, Route, send
from sidecar.http_client.response import Response
from sidecar.http_client.url import parse_url

LIMITS = Limits(total_seconds=5, connect_seconds=1, max_body_bytes=1000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TLS_RECORD = b"\x16\x03\x03\x40\x00" + bytes(0x4000)
"""The longest one of a handshake: https://www.rfc-editor.org/rfc/rfc8446#section-5.1"""


def post(url: str, *, limits: Limits = LIMITS, proxy: str | None = None, ca_pem: str | None = None) -> Response:
    request = Request("POST", parse_url(url), {"Content-Type": "text/plain"}, b"hello")
    return send(request, Route(parse_url(proxy) if proxy else None, ca_pem), limits)
