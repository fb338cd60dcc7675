"""Collects one response. httptools decides where it ends."""

from collections.abc import Mapping
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from sidecar.http_client.errors import TooLargeError
from sidecar.http_client.stream import Stream

MAX_HEADERS = 100
MAX_INTERIM_RESPONSES = 10
"""Such as `103 Early Hints`, before the response itself."""

INTERIM = 100
OK = 200


class Response(NamedTuple):
    """A complete response."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name. Values of a repeated header are joined by a comma."""

    body: bytes


class ResponseReader:
    """A parser's callbacks. They raise nothing: httptools would wrap it."""

    def __init__(self, max_body_bytes: int) -> None:
        self._parser = HttpResponseParser(self)
        self._max_body_bytes = max_body_bytes
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._has_head = False
        self._interim = 0
        self._problem: OSError | None = None
        self.response: Response | None = None
        """The response, once it is complete."""

    def feed(self, data: bytes) -> None:
        """Parse received bytes; raise OSError if they are not HTTP or too large."""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):  # their messages may quote the response
            if not self.response:  # bytes after it do not matter
                self._problem = self._problem or ConnectionError("not a valid HTTP response")
        if self._problem:
            raise self._problem

    def end(self) -> None:
        """Handle the end of the connection: it ends a response that has no length, and truncates any other."""
        names = {name.lower() for name, _ in self._headers}
        if not self._has_head or names & {b"content-length", b"transfer-encoding"}:
            raise ConnectionError("the response was truncated" if self._has_head else "there was no response")
        self._complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, but no trailer: a Date there would change the lifetime of the credentials."""
        if self.response or self._has_head:
            return
        self._headers.append((name, value))
        if len(self._headers) > MAX_HEADERS:
            self._problem = TooLargeError(f"the response has more than {MAX_HEADERS} headers")
            self._headers.clear()

    def on_headers_complete(self) -> None:
        """Remember that only the body is missing. llhttp takes any three digits for a status."""
        self._has_head = True
        if self._parser.get_status_code() < INTERIM:
            self._problem = self._problem or ConnectionError("not a valid HTTP response")

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body."""
        if self.response or self._problem:
            return
        self._body += data
        if len(self._body) > self._max_body_bytes:
            self._problem = TooLargeError(f"the response is larger than {self._max_body_bytes} bytes")

    def on_message_complete(self) -> None:
        """Complete the response, or skip an interim one."""
        status = self._parser.get_status_code()
        if status >= OK:
            self._complete()
            return
        self._interim += 1
        self._has_head = False
        self._headers.clear()
        if self._interim > MAX_INTERIM_RESPONSES:
            self._problem = TooLargeError(f"there are more than {MAX_INTERIM_RESPONSES} interim responses")

    def _complete(self) -> None:
        if self.response:
            return
        headers: dict[str, str] = {}
        for raw_name, raw_value in self._headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.response = Response(self._parser.get_status_code(), headers, bytes(self._body))


def read_response(stream: Stream, max_body_bytes: int) -> Response:
    """Read until the response is complete; raise OSError otherwise."""
    reader = ResponseReader(max_body_bytes)
    while not reader.response:
        if data := stream.receive():
            reader.feed(data)
        else:
            reader.end()
    return reader.response


def read_status(head: bytes) -> int:
    """Return the status of a response of which only the head matters; raise OSError if it is not HTTP."""
    parser = HttpResponseParser(None)
    try:
        parser.feed_data(head)
    except (HttpParserError, HttpParserUpgrade) as error:
        raise ConnectionError("not a valid HTTP response") from error
    return parser.get_status_code()
