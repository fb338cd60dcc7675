"""The sidecar's routes. Responses are built from the current state: no request waits for STS."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

import contract
from server.wsgi import MAY_BLOCK
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State
from sidecar.endpoints import ecs, imds, imds_tokens, node_metadata, request_filter
from sidecar.endpoints.counters import Counters, create_counters
from sidecar.endpoints.rejection_log import RejectionLog
from sidecar.endpoints.responses import JSON, NOT_FOUND, PLAIN, UNAUTHORIZED, build_response
from sidecar.log import emit
from sidecar.status import build_status

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EC2 = "/latest"
METADATA = f"{EC2}/meta-data"
ROLES = f"{METADATA}/iam/security-credentials"
TOKEN_HEADER = "HTTP_X_AWS_EC2_METADATA_TOKEN"  # noqa: S105 - WSGI's name of a header
TTL_HEADER = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
UNKNOWN_ROUTE = "unknown"
"""In the counters: unknown paths and wrong methods."""


@dataclass(frozen=True)
class AppState:
    """What the routes read and count."""

    config: Config
    read_state: Callable[[], State]
    token_key: bytes = field(repr=False)
    boot_id: str
    """Random for each process: the redirect's self-check verifies that it reached this process. Not a secret."""

    clock: Callable[[], float] = time.time
    counters: Counters = field(default_factory=create_counters)
    rejection_log: RejectionLog = field(default_factory=RejectionLog)

    def servable(self) -> Credentials | Failure | None:
        """Return what clients get at this moment."""
        return self.read_state().servable(self.clock())

    def expires_at(self) -> float:
        """When the credentials expire, by this machine's clock; 0 without credentials."""
        credentials = self.read_state().credentials
        return credentials.ends_at if credentials else 0


class Route(NamedTuple):
    """Canonical paths and the function that builds their response."""

    name: str
    """Also the label of these paths in the counters."""

    paths: tuple[str, ...]
    respond: Callable[..., Response]
    method: str = "GET"
    requires_token: bool = True


def create_app(state: AppState) -> Flask:
    """Create the Flask app with its routes and the request filter."""
    app = Flask("podrole", static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["PROPAGATE_EXCEPTIONS"] = True  # to the server, which handles WouldBlock and logs the rest
    app.wsgi_app = RequestFilterMiddleware(app.wsgi_app, state)  # type: ignore[method-assign] # the way that Flask documents
    app.register_error_handler(HTTPException, lambda error: _build_error(state, error))
    for route in build_routes(state):
        view = _build_view(state, route)
        for path in route.paths:  # Flask adds HEAD to GET
            app.add_url_rule(path, route.name, view, methods=[route.method])
    return app


def build_routes(state: AppState) -> tuple[Route, ...]:
    """Return all routes; responses that depend on the configuration only are built here, once."""
    from_node = _create_node_lookup(state.config)
    routes = (*_build_imds_routes(state, from_node), *_build_other_routes(state))
    if not state.config.metadata_passthrough:
        return routes
    rest = node_metadata.PATHS.difference(*(route.paths for route in routes))
    return (*routes, Route("passthrough", tuple(sorted(rest)), lambda: from_node(NOT_FOUND)))


def _build_imds_routes(state: AppState, from_node: Callable[[Response], Response]) -> tuple[Route, ...]:
    config, servable = state.config, state.servable
    region, zone, instance_id = map(imds.build_text, (config.region, config.zone, config.instance_id))
    identity = imds.build_identity_document(config)
    zone_path, id_path = f"{METADATA}/placement/availability-zone", f"{METADATA}/instance-id"
    return (
        Route("token", (f"{EC2}/api/token",), lambda: _build_token(state), method="PUT", requires_token=False),
        Route("roles", (ROLES,), lambda: imds.build_role_list(config, servable())),
        Route("role", (f"{ROLES}/<name>",), lambda name: imds.build_role_document(config, name, servable())),
        Route("region", (f"{METADATA}/placement/region",), lambda: region),
        Route("zone", (zone_path,), lambda: zone if config.zone else from_node(zone)),
        Route("instance-id", (id_path,), lambda: instance_id if config.instance_id else from_node(instance_id)),
        Route("identity", (node_metadata.IDENTITY,), lambda: from_node(identity)),
    )


def _build_other_routes(state: AppState) -> tuple[Route, ...]:
    boot = build_response(state.boot_id)
    return (
        Route(
            "credentials",
            (contract.CREDENTIALS_PATH, "/v1/credentials"),
            lambda: ecs.build_credentials(state.servable(), state.read_state().failure),
            requires_token=False,
        ),
        Route("boot", (contract.BOOT_PATH,), lambda: boot, requires_token=False),
        Route("status", (contract.STATUS_PATH,), lambda: _build_status(state), requires_token=False),
    )


def _create_node_lookup(config: Config) -> Callable[[Response], Response]:
    """Return a function that gets the request's path from the node, with pass-through, or returns the fallback."""
    if not config.metadata_passthrough:
        return lambda fallback: fallback
    node = node_metadata.NodeMetadata(config.node_metadata_endpoint)

    def from_node(fallback: Response) -> Response:
        response = node.get(request.path, may_block=request.environ.get(MAY_BLOCK, True))
        return fallback if response is None else response

    return from_node


def _build_status(state: AppState) -> Response:
    status = build_status(state.config, state.read_state(), state.clock())
    return build_response(json.dumps(status), headers=JSON)


def _build_view(state: AppState, route: Route) -> Callable[..., Response]:
    def view(**parts: str) -> Response:
        is_allowed = not route.requires_token or _is_token_accepted(state)
        response = route.respond(**parts) if is_allowed else UNAUTHORIZED
        state.counters.requests[route.name, response.status_code] += 1
        return response

    return view


def _is_token_accepted(state: AppState) -> bool:
    """Check the token as EC2 does: an invalid one is rejected even if none is required."""
    token = request.environ.get(TOKEN_HEADER)
    if token is None:
        return not state.config.requires_imds_token
    return imds_tokens.is_valid(state.token_key, token, state.clock())


def _build_token(state: AppState) -> Response:
    ttl_seconds = imds_tokens.parse_ttl(request.headers.get(TTL_HEADER))
    if ttl_seconds is None:
        return build_response(status=400)
    token = imds_tokens.build_token(state.token_key, ttl_seconds, state.clock())
    return build_response(token, headers={**PLAIN, TTL_HEADER: str(ttl_seconds)})


def _build_error(state: AppState, error: HTTPException) -> Response:
    """Return an error's status and Allow header without Flask's HTML page.

    Under EC2's path the token is checked first, also for unknown paths.
    """
    allowed = {name: value for name, value in error.get_headers() if name == "Allow"}
    is_unknown_metadata = error.code == NOT_FOUND.status_code and request.path.startswith(EC2)
    is_unauthorized = is_unknown_metadata and not _is_token_accepted(state)
    status = UNAUTHORIZED.status_code if is_unauthorized else error.code or 500
    state.counters.requests[UNKNOWN_ROUTE, status] += 1
    return build_response(status=status, headers={**PLAIN, **allowed})


class RequestFilterMiddleware:
    """Applies the request filter before Flask and passes on the canonical path."""

    def __init__(self, app: "WSGIApplication", state: AppState) -> None:
        self._app = app
        self._state = state

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Filter one WSGI request."""
        # RAW_URI is gunicorn's: the unmodified target. Flask's test client sets only PATH_INFO, which is decoded.
        target: str = environ.get("RAW_URI") or environ["PATH_INFO"]
        path = request_filter.filter_request(environ["REQUEST_METHOD"], target, environ)
        if isinstance(path, request_filter.Rejection):
            return self._reject(path)(environ, start_response)
        environ["PATH_INFO"] = path
        return self._app(environ, start_response)

    def _reject(self, rejection: request_filter.Rejection) -> Response:
        self._state.counters.rejections[(rejection.reason,)] += 1
        count = self._state.rejection_log.count(rejection.reason, self._state.clock())
        if count is not None:
            emit("request-rejected", status=rejection.status, reason=rejection.reason, count=count)
        return build_response(status=rejection.status)
