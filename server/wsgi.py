"""Runs the WSGI app for one complete request, with gunicorn's parser and without a socket."""

from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import errors, get_parser, wsgi
from gunicorn.util import http_date

from server.connection import Connection

STATUSES = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
}
"""The parser's errors and their HTTP status. All others are a 400."""

REASONS = {
    400: "Bad Request",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
}


MAY_BLOCK = "podrole.may_block"
"""WSGI environ key: whether the app runs in a thread and may block."""


class WouldBlock(Exception):  # noqa: N818 - a signal, not an error
    """Raised by an app that would block: the server calls it again, in a thread.

    Most responses come from memory, where a thread would cost more than the response itself.
    """


class Response(NamedTuple):
    """A response's bytes, and whether the connection stays open."""

    data: bytes
    keeps_alive: bool
    close: Callable[[], object] = lambda: None
    """Must be called after the response was sent, or sending failed.

    https://peps.python.org/pep-3333/#specification-details
    """


class ResponseBuffer:
    """Stands in for a socket: gunicorn writes head and body separately, and they must leave in one segment.

    With the head in its own segment a client would wait for the body until its delayed acknowledgement, 40 ms.
    """

    def __init__(self) -> None:
        self.data = b""

    def sendall(self, data: bytes) -> None:
        """Append the data."""
        self.data += data

    def send(self, data: bytes) -> int:
        """Append the data."""
        self.data += data
        return len(data)


class RequestOptions(NamedTuple):
    """How a request is handled."""

    may_block: bool
    is_last: bool
    """Whether the connection closes after this response."""


def handle_request(
    request: bytes, connection: Connection, config: Config, log: Logger, options: RequestOptions
) -> Response:
    """Call the app; raise WouldBlock if it does.

    An invalid request or an error of the app is a response with a status and no body.
    """
    try:
        message = next(get_parser(config, iter([request]), connection.client))
    except errors.NoMoreData:
        return build_error_response(400)
    except (errors.ParseException, StopIteration) as error:
        return build_error_response(STATUSES.get(type(error), 400))
    try:
        return _call(message, connection, config, options)
    except WouldBlock:
        raise
    except errors.ParseException:  # in a chunked body, which is parsed as it is read
        return build_error_response(400)
    except Exception:
        log.exception("The app failed")
        return build_error_response(500)


def build_error_response(status: int) -> Response:
    """Build a response without a body that closes the connection: where the next request begins is unknown."""
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nDate: {http_date()}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    return Response(head.encode("ascii"), keeps_alive=False)


def _call(message: Any, connection: Connection, config: Config, options: RequestOptions) -> Response:
    buffer = ResponseBuffer()
    response, environ = wsgi.create(message, buffer, connection.client, connection.server, config)
    buffer.data = b""  # drop a 100 Continue: the body has already arrived
    environ["wsgi.input"] = BytesIO(message.body.read())  # complete; reading it validates a chunked body
    environ["wsgi.multithread"] = True
    environ[MAY_BLOCK] = options.may_block
    environ["wsgi.url_scheme"] = "https" if connection.service.tls else "http"
    if options.is_last:
        response.force_close()
    chunks = connection.service.app(environ, response.start_response)
    close = getattr(chunks, "close", lambda: None)
    try:
        for chunk in chunks:
            response.write(chunk)
        response.close()
    except BaseException:
        close()
        raise
    return Response(buffer.data, keeps_alive=not response.should_close(), close=close)
