"""Sends one request on one new connection, directly or through a proxy."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import contract
from sidecar.http_client.connect import connect
from sidecar.http_client.errors import CONNECT, EXCHANGE, MESSAGES, PROXY, RequestError, Stage, explain
from sidecar.http_client.response import OK, Response, read_response, read_status
from sidecar.http_client.stream import Deadline, SocketStream, Stream
from sidecar.http_client.url import Url

if TYPE_CHECKING:
    from ssl import SSLContext

USER_AGENT = f"podrole/{contract.VERSION}"
MAX_OVERHEAD_BYTES = 64 * 1024
"""What may be received besides the body: the head, sizes of chunks, TLS, and a proxy's response to CONNECT."""

END_OF_HEAD = b"\r\n\r\n"
REDIRECTION = 300


class Request(NamedTuple):
    """A request without its connection."""

    method: str
    url: Url
    headers: Mapping[str, str]
    body: bytes = b""


class Limits(NamedTuple):
    """How long a request may take, and how much may be received."""

    total_seconds: float
    """For everything, from the resolution of the name on. A response that arrives byte by byte does not extend it."""

    connect_seconds: float
    """For the connection, to all addresses of the name together."""

    max_body_bytes: int


class Route(NamedTuple):
    """The way to the server."""

    proxy: Url | None = None
    ca_pem: str | None = None
    """The only CAs that are trusted, for the server and a proxy with TLS; None: OpenSSL's default ones."""


def send(request: Request, route: Route, limits: Limits, deadline: Deadline | None = None) -> Response:
    """Send a request and return the response, whatever its status; raise RequestError if there is none.

    `deadline`: of several requests together, instead of the total of this one.
    """
    deadline = deadline or Deadline(limits.total_seconds)
    first, stage = (route.proxy, PROXY) if route.proxy else (request.url, CONNECT)
    with _naming(stage, request, route):
        connection = connect(first, deadline, limits.connect_seconds)
    with connection:
        stream: Stream = SocketStream(connection, deadline, limits.max_body_bytes + MAX_OVERHEAD_BYTES)
        if route.proxy:
            with _naming(PROXY, request, route):
                stream = _pass_proxy(stream, route.proxy, request.url, route.ca_pem)
        with _naming(EXCHANGE, request, route):
            if request.url.scheme == "https":
                stream = _start_tls(stream, request.url, route.ca_pem)
            is_forwarded = bool(route.proxy) and request.url.scheme == "http"
            stream.send(format_request(request, str(request.url) if is_forwarded else request.url.path))
            return read_response(stream, limits.max_body_bytes)


def format_request(request: Request, target: str) -> bytes:
    """Format the bytes of a request."""
    headers = {
        "Host": request.url.authority,
        "User-Agent": USER_AGENT,
        "Accept-Encoding": "identity",
        "Connection": "close",
        **request.headers,
    }
    if request.body or request.method in {"POST", "PUT"}:
        headers["Content-Length"] = str(len(request.body))
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("ascii") + END_OF_HEAD + request.body


def _pass_proxy(stream: Stream, proxy: Url, url: Url, ca_pem: str | None) -> Stream:
    """Start TLS with a proxy that uses it, and open a tunnel to a server that does."""
    if proxy.scheme == "https":
        stream = _start_tls(stream, proxy, ca_pem)
    if url.scheme == "https":
        _open_tunnel(stream, url)
    return stream


def _open_tunnel(stream: Stream, url: Url) -> None:
    target = url.host_and_port
    stream.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n\r\n".encode("ascii"))
    received = b""
    while END_OF_HEAD not in received:
        data = stream.receive()
        if not data:
            raise ConnectionError("it closed the connection")
        received += data
    head, end, rest = received.partition(END_OF_HEAD)
    status = read_status(head + end)
    if not OK <= status < REDIRECTION:
        raise ConnectionError(f"it responded to CONNECT with status {status}")
    if rest:  # a server sends nothing before the client's first bytes of TLS
        raise ConnectionError("it sent data before TLS")


def _start_tls(stream: Stream, url: Url, ca_pem: str | None) -> Stream:
    from sidecar.http_client.tls import TlsStream, create_context  # noqa: PLC0415 - http needs no TLS

    context: SSLContext = create_context(ca_pem)
    return TlsStream(stream, context, url.host)


@contextmanager
def _naming(stage: Stage, request: Request, route: Route) -> Iterator[None]:
    """Turn an OSError into a RequestError with the stage's code and the URL."""
    try:
        yield
    except OSError as error:
        code = stage.find_code(error)
        message = MESSAGES[code].format(url=request.url, proxy=route.proxy)
        raise RequestError(code, message, explain(error)) from error
