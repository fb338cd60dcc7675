"""The sidecar's routes: a request in, an answer out of what is known. Nothing here asks STS or waits for anything."""

import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import ClosingIterator

import contract
from sidecar import container, guard, metadata, tokens
from sidecar.answer import Answer
from sidecar.config import Config
from sidecar.events import emit
from sidecar.refresh import State

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROLES = "/latest/meta-data/iam/security-credentials"
TOKEN_HEADER = "X-Aws-Ec2-Metadata-Token"  # noqa: S105 - the name of a header
TTL_HEADER = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"


@dataclass(frozen=True)
class Served:
    """What the routes answer from."""

    config: Config
    read_state: Callable[[], State]
    token_key: bytes = field(repr=False)
    boot_id: str
    """Tells the self-dial that it reached this process and no other. Not a secret."""

    clock: Callable[[], float] = time.time


def create_app(served: Served) -> Flask:
    """Wire the routes to what is served."""
    app = Flask("podrole", static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.wsgi_app = Edge(app.wsgi_app)  # type: ignore[method-assign] # Flask documents wrapping it so
    app.register_error_handler(HTTPException, _answer_plainly)
    app.before_request(lambda: _check_token(served))
    app.after_request(_forbid_storing)
    _add_metadata_routes(app, served)
    _add_container_routes(app, served)
    app.add_url_rule(contract.BOOT_PATH, "boot", lambda: Answer(served.boot_id))
    return app


def _add_metadata_routes(app: Flask, served: Served) -> None:
    config = served.config

    @app.put("/latest/api/token")
    def make_token() -> Answer:
        ttl_seconds = tokens.parse_ttl(request.headers.get(TTL_HEADER))
        if ttl_seconds is None:
            return Answer(status=400)
        token = tokens.build_token(served.token_key, ttl_seconds, served.clock())
        return Answer(token, headers={"Content-Type": "text/plain", TTL_HEADER: str(ttl_seconds)})

    @app.get(ROLES)
    def list_roles() -> Answer:
        return metadata.build_role_list(config, served.read_state().find_answer(served.clock()))

    @app.get(f"{ROLES}/<role_name>")
    def show_role(role_name: str) -> Answer:
        return metadata.build_role_document(config, role_name, served.read_state().find_answer(served.clock()))

    app.add_url_rule("/latest/meta-data/placement/region", "region", lambda: metadata.build_region(config))
    identity = "/latest/dynamic/instance-identity/document"
    app.add_url_rule(identity, "identity", lambda: metadata.build_identity_document(config))


def _add_container_routes(app: Flask, served: Served) -> None:
    @app.get(contract.CREDENTIALS_PATH)
    @app.get("/v1/credentials")
    def show_credentials() -> Answer:
        state = served.read_state()
        return container.build_credentials(state.find_answer(served.clock()), state.failure)


def _check_token(served: Served) -> Answer | None:
    """Ask for a token under /latest as EC2 does: a wrong one is refused even where none is needed."""
    if request.method not in {"GET", "HEAD"} or not request.path.startswith("/latest"):
        return None
    token = request.headers.get(TOKEN_HEADER)
    if token is None:
        return None if served.config.imds_v1 else Answer(status=401)
    return None if tokens.is_valid(served.token_key, token, served.clock()) else Answer(status=401)


def _answer_plainly(error: HTTPException) -> Response:
    """Keep an error's status and its Allow header; clients read no page."""
    headers = [header for header in error.get_headers() if header[0] == "Allow"]
    return Response(status=error.code, headers=headers, content_type="text/plain")


def _forbid_storing(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


class Edge:
    """Between gunicorn and Flask: refuses what the guard refuses, names the path, sends an answer in one segment."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve one request, as WSGI has it."""
        connection = environ.get("gunicorn.socket")
        if connection is not None:
            _cork(connection, hold=True)
        answer = self._serve(environ, start_response)
        return answer if connection is None else ClosingIterator(answer, lambda: _cork(connection, hold=False))

    def _serve(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # Only gunicorn has the target as it came; Flask's own test client goes without its encoded characters.
        target: str = environ.get("RAW_URI") or environ["PATH_INFO"]
        path = guard.inspect(environ["REQUEST_METHOD"], target, environ)
        if isinstance(path, guard.Refusal):
            emit("refused", status=path.status, reason=path.reason)
            return _forbid_storing(Response(status=path.status, content_type="text/plain"))(environ, start_response)
        environ["PATH_INFO"] = path
        return self._app(environ, start_response)


def _cork(connection: socket.socket, *, hold: bool) -> None:
    """Hold the head back until the body is there: gunicorn writes them apart, and Go's SDK of 2021 fails with that."""
    with suppress(OSError):  # the client is gone: gunicorn finds out by itself
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, hold)
