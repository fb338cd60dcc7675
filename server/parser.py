"""Parses requests with llhttp, strictly. No other code decides where a request ends.

https://www.rfc-editor.org/rfc/rfc9112
"""

from collections import deque
from typing import NamedTuple

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from server.messages import Address, Request

MAX_TARGET_BYTES = 4 * 1024
MAX_HEAD_BYTES = 16 * 1024
"""AWS SDKs and API servers send less than a quarter of it."""

MAX_HEADERS = 50
"""Trailers count, too."""

MAX_PIPELINED = 32
"""Requests that one client sent without waiting for a response. The connection closes after so many."""

OTHER_PROTOCOLS = frozenset(
    {"ANNOUNCE", "DESCRIBE", "FLUSH", "GET_PARAMETER", "PAUSE", "PLAY", "RECORD", "REDIRECT", "SETUP", "SET_PARAMETER"}
    | {"SOURCE", "TEARDOWN"}
)
"""Methods of RTSP and ICE, which llhttp parses, too."""

HEADER_COST = 128
"""Bytes of memory that a header takes beside its text."""


class RequestError(Exception):
    """The request is rejected with this HTTP status, and the connection closes."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Endpoints(NamedTuple):
    """Where a connection comes from and where it arrived."""

    client: Address
    server: Address
    is_tls: bool


class RequestParser:
    """Turns what one client sends into requests. Everything that it keeps is bounded."""

    def __init__(self, endpoints: Endpoints, max_body_bytes: int) -> None:
        self.error: int | None = None
        """The status of an invalid request. It comes after the complete requests; nothing can be parsed after it."""

        self.has_surplus = False
        """Whether the client has sent more after the last request of the connection."""

        self._endpoints = endpoints
        self._max_body_bytes = max_body_bytes
        self._complete: deque[tuple[Request, bool, int]] = deque()
        self._complete_bytes = 0
        self._is_ended = False
        self._llhttp: HttpRequestParser | None = HttpRequestParser(self)
        self._reset()

    def _reset(self) -> None:
        self._is_begun = self._has_head = self._awaits_continue = self._is_framed = False
        self._fed_bytes = self._head_bytes = 0
        self._target = b""
        self._headers: dict[str, str] = {}
        self._header_count = 0
        self._body = bytearray()

    @property
    def is_begun(self) -> bool:
        """Whether a request has begun and is not complete."""
        return self._is_begun

    @property
    def buffered_bytes(self) -> int:
        """About how much memory its requests take."""
        head = self._head_bytes if self._has_head else self._fed_bytes
        return head + len(self._body) + self._header_count * HEADER_COST + self._complete_bytes

    def feed(self, data: bytes) -> None:
        """Parse what a client sent. Nothing is kept after an error or a request that closes the connection."""
        if self._is_ended or self._llhttp is None:
            self.has_surplus = True
            return
        completed = len(self._complete)
        try:
            self._llhttp.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._continue_after_upgrade(data[upgrade.args[0] :])
        except HttpParserCallbackError as error:
            if not isinstance(error.__context__, RequestError):
                raise
            self._fail(error.__context__.status)
        except HttpParserError:
            self._fail(400)
        else:
            if self._is_begun and len(self._complete) == completed:
                self._count(len(data))

    @property
    def has_work(self) -> bool:
        """Whether there is a complete request, or an invalid one, or the client waits for 100 Continue."""
        return bool(self._complete) or self.error is not None or self._awaits_continue

    def take_request(self) -> tuple[Request, bool] | None:
        """Remove and return the oldest complete request, and whether the connection stays open after it."""
        if not self._complete:
            return None
        request, keeps_alive, size = self._complete.popleft()
        self._complete_bytes -= size
        return request, keeps_alive

    def take_continue(self) -> bool:
        """Whether the client waits for 100 Continue. True only once per request."""
        awaits, self._awaits_continue = self._awaits_continue, False
        return awaits

    def close(self) -> None:
        """Release the parser: it refers to this object, and only a garbage collection would free both."""
        self._llhttp = None

    def _count(self, size: int) -> None:
        """Bound what the callbacks do not see: headers and trailers that llhttp still holds, and the frames of chunks.

        The frames may take as many bytes as the chunks do, beside MAX_HEAD_BYTES for trailers.
        """
        self._fed_bytes += size
        if not self._has_head and self._fed_bytes > MAX_HEAD_BYTES:
            self._fail(431)
        elif self._fed_bytes > 2 * (MAX_HEAD_BYTES + len(self._body)):
            self._fail(413)

    def _fail(self, status: int) -> None:
        """Keep the status for after the complete requests. After the last request of a connection nothing is wrong."""
        if self._is_ended:
            self.has_surplus = True
        else:
            self.error = status
        self._is_ended = True
        self._reset()

    def _continue_after_upgrade(self, rest: bytes) -> None:
        """Ignore an upgrade: the next request follows the head.

        https://www.rfc-editor.org/rfc/rfc9110#section-7.8
        """
        self._llhttp = HttpRequestParser(self)
        if rest:
            self.feed(rest)

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        """Begin a request, unless the connection closes after the one before."""
        if self._is_ended:
            raise RequestError(400)
        self._is_begun = True

    def on_url(self, part: bytes) -> None:
        """Append a part of the target."""
        self._target += part
        if len(self._target) > MAX_TARGET_BYTES:
            raise RequestError(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header or a trailer, which is dropped."""
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            raise RequestError(431)
        if self._has_head:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")
        if key in self._headers:
            if key == "host":
                raise RequestError(400)
            text = f"{self._headers[key]},{text}"
        self._headers[key] = text

    def on_headers_complete(self) -> None:
        """Reject a head that no handler should see."""
        headers = self._headers
        self._has_head = True
        self._method = self._parser.get_method().decode("ascii")
        self._head_bytes = len(self._target) + sum(len(name) + len(value) for name, value in headers.items())
        if self._head_bytes > MAX_HEAD_BYTES:
            raise RequestError(431)
        self._version = self._parser.get_http_version()
        if self._version not in {"1.0", "1.1"}:
            raise RequestError(400 if self._version == "0.9" else 505)
        if self._method in OTHER_PROTOCOLS:
            raise RequestError(400)
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        if coding is not None and (self._version == "1.0" or length is not None):
            raise RequestError(400)
        if coding is not None and coding.lower() != "chunked":
            raise RequestError(501)
        if length is not None and int(length) > self._max_body_bytes:
            raise RequestError(413)
        self._is_framed = coding is not None or length is not None
        if expectation := headers.get("expect"):
            if expectation.lower() != "100-continue":
                raise RequestError(417)
            self._awaits_continue = self._version == "1.1"
        if self._version == "1.1" and "host" not in headers:
            raise RequestError(400)

    def on_body(self, part: bytes) -> None:
        """Append a part of the body."""
        self._body += part
        if len(self._body) > self._max_body_bytes:
            raise RequestError(413)

    def on_message_complete(self) -> None:
        """Keep the request until it is taken."""
        request = Request(
            self._method,
            self._target.decode("latin-1"),
            self._headers,
            bytes(self._body),
            self._version,
            *self._endpoints,
            may_block=False,
        )
        keeps_alive = (
            self._parser.should_keep_alive()
            and len(self._complete) + 1 < MAX_PIPELINED
            # llhttp skips the body of an upgrade, so the next request would begin inside of it.
            and not (self._parser.should_upgrade() and (self._is_framed or self._method == "CONNECT"))
        )
        size = self.buffered_bytes - self._complete_bytes
        self._complete.append((request, keeps_alive, size))
        self._complete_bytes += size
        self._is_ended = not keeps_alive
        self._reset()

    @property
    def _parser(self) -> HttpRequestParser:
        if self._llhttp is None:  # callbacks come only while it is fed
            raise AssertionError
        return self._llhttp
