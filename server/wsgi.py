"""One whole request in, one whole answer out: gunicorn's parser and WSGI, without a socket in between."""

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
"""What the parser raises, and the status that says it. Everything else that it raises is a 400."""

REASONS = {
    400: "Bad Request",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
}


MAY_BLOCK = "podrole.may_wait"
"""In the WSGI environment: whether this request is answered in a thread, so that the app may wait for something."""


class WouldBlock(Exception):  # noqa: N818 - named for what the app asks for
    """Raised by an app that would have to wait: it is asked once more, in a thread.

    Most requests are answered from memory, and handing one to a thread costs more than to answer it.
    """


class Response(NamedTuple):
    """An answer's bytes, and whether the client may send another request behind it."""

    data: bytes
    keeps_alive: bool
    close: Callable[[], object] = lambda: None
    """To be called once it was sent, or could not be.

    https://peps.python.org/pep-3333/#specification-details
    """


class ResponseBuffer:
    """Takes a socket's place while an answer is made: gunicorn writes head and body apart, and they must not leave so.

    With the head alone in a segment a client waits for the body until its own delayed acknowledgement, 40 ms.
    """

    def __init__(self) -> None:
        self.data = b""

    def sendall(self, data: bytes) -> None:
        """Keep it."""
        self.data += data

    def send(self, data: bytes) -> int:
        """Keep it."""
        self.data += data
        return len(data)


class RequestOptions(NamedTuple):
    """Under which a request is answered."""

    may_block: bool
    closes: bool
    """Whether it is the connection's last answer."""


def answer(request: bytes, connection: Connection, config: Config, log: Logger, how: RequestOptions) -> Response:
    """Let the app answer; raise MustWait if it does.

    A request that is none, and an app that fails, are answered with their status alone.
    """
    try:
        message = next(get_parser(config, iter([request]), connection.client))
    except errors.NoMoreData:
        return build_refusal(400)
    except (errors.ParseException, StopIteration) as error:
        return build_refusal(STATUSES.get(type(error), 400))
    try:
        return _call(message, connection, config, how)
    except WouldBlock:
        raise
    except errors.ParseException:  # in a chunked body, which is parsed as it is read
        return build_refusal(400)
    except Exception:
        log.exception("The app failed")
        return build_refusal(500)


def build_refusal(status: int) -> Response:
    """An answer without a body, behind which the connection ends: where the next request would begin is not known."""
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nDate: {http_date()}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    return Response(head.encode("ascii"), keeps_alive=False)


def _call(message: Any, connection: Connection, config: Config, how: RequestOptions) -> Response:
    outbox = ResponseBuffer()
    response, environ = wsgi.create(message, outbox, connection.client, connection.server, config)
    outbox.data = b""  # a 100 Continue: the body has come, with or without one
    environ["wsgi.input"] = BytesIO(message.body.read())  # read at once: it is all there, and a chunked one judged
    environ["wsgi.multithread"] = True
    environ[MAY_BLOCK] = how.may_block
    environ["wsgi.url_scheme"] = "https" if connection.service.tls else "http"
    if how.closes:
        response.force_close()
    pieces = connection.service.app(environ, response.start_response)
    close = getattr(pieces, "close", lambda: None)
    try:
        for piece in pieces:
            response.write(piece)
        response.close()
    except BaseException:
        close()
        raise
    return Response(outbox.data, keeps_alive=not response.should_close(), close=close)
