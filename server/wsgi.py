"""Adapts a WSGI app: a handler that calls it.

https://peps.python.org/pep-3333/
"""

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from server.messages import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

MAY_BLOCK = "podrole.may_block"
"""Environ key: whether the app runs in a thread and may block. If not, it can raise `server.messages.WouldBlock`."""


class WsgiHandler:
    """A handler. The app's iterable is closed after the response was sent."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, request: Request) -> Response:
        """Call the app and collect its response."""
        started = StartedResponse(sets_length=request.method == "HEAD")
        chunks = self._app(build_environ(request), started)
        close: Callable[[], object] | None = getattr(chunks, "close", None)
        try:
            started.write_all(chunks)
        except BaseException:
            if close:
                with suppress(Exception):  # the first error is the one to log
                    close()
            raise
        return Response(started.status, bytes(started.body), started.headers, close)


class StartedResponse:
    """The callable that a WSGI app gets, and what the app gave to it."""

    def __init__(self, *, sets_length: bool) -> None:
        self._sets_length = sets_length
        self.status = 0
        self.headers: tuple[tuple[str, str], ...] = ()
        self.body = bytearray()

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """Set status and headers. The server sets Content-Length itself, except for HEAD."""
        if self.status and not exc_info:
            raise AssertionError("the app started its response twice")
        self.status = int(status.partition(" ")[0])
        self.headers = tuple(
            (name, value) for name, value in headers if self._sets_length or name.lower() != "content-length"
        )
        return self.body.extend

    def write_all(self, chunks: Iterable[bytes]) -> None:
        """Collect the body; raise AssertionError if the app has not started its response."""
        for chunk in chunks:
            self.body += chunk
        if not self.status:
            raise AssertionError("the app did not start its response")


def build_environ(request: Request) -> "WSGIEnvironment":
    """Build the environ of PEP 3333.

    A header with an underscore is left out: it would look like another one with a dash.
    """
    path, _, query = request.target.partition("?")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": request.target,
        "REMOTE_ADDR": request.client[0],
        "REMOTE_PORT": str(request.client[1]),
        "SERVER_NAME": request.server[0],
        "SERVER_PORT": str(request.server[1]),
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if request.is_tls else "http",
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        MAY_BLOCK: request.may_block,
    }
    for name, value in request.headers.items():
        if "_" not in name:
            key = name.upper().replace("-", "_")
            environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
    if request.body:  # a chunked body has no length
        environ["CONTENT_LENGTH"] = str(len(request.body))
    return environ
