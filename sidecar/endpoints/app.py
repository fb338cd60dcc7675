"""The sidecar's routes: a request in, an answer out of what is known. Nothing here asks STS or waits for anything."""

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
from sidecar.endpoints.rejection_log import Rejections
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
UNROUTED = "unknown"
"""In the counters: what is not served, and methods that are not the path's."""


@dataclass(frozen=True)
class AppState:
    """What the routes answer from, and where they count."""

    config: Config
    read_state: Callable[[], State]
    token_key: bytes = field(repr=False)
    boot_id: str
    """Tells the self-dial that it reached this process and no other. Not a secret."""

    clock: Callable[[], float] = time.time
    counters: Counters = field(default_factory=create_counters)
    rejections: Rejections = field(default_factory=Rejections)

    def servable(self) -> Credentials | Failure | None:
        """What a client may be told at this moment."""
        return self.read_state().servable(self.clock())

    def seconds_left(self) -> float:
        """How long the credentials still live; 0 without any."""
        credentials = self.read_state().credentials
        return max(0, credentials.ends_at - self.clock()) if credentials else 0


class Route(NamedTuple):
    """Paths in their canonical form, and what they answer."""

    name: str
    """Also the family of these paths in the counters."""

    paths: tuple[str, ...]
    answer: Callable[..., Response]
    method: str = "GET"
    requires_token: bool = True


def create_app(served: AppState) -> Flask:
    """Wire the routes to what is served."""
    app = Flask("podrole", static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["PROPAGATE_EXCEPTIONS"] = True  # to the worker, which knows MustWait and logs the rest
    app.wsgi_app = RequestFilterMiddleware(app.wsgi_app, served)  # type: ignore[method-assign] # Flask documents wrapping it so
    app.register_error_handler(HTTPException, lambda error: _answer_plainly(served, error))
    for route in build_routes(served):
        view = _build_view(served, route)
        for path in route.paths:  # to GET Flask adds HEAD
            app.add_url_rule(path, route.name, view, methods=[route.method])
    return app


def build_routes(served: AppState) -> tuple[Route, ...]:
    """The table of all that is served; what depends on the configuration alone is made here, once."""
    config, find = served.config, served.servable
    region, zone, instance_id = map(imds.build_text, (config.region, config.zone, config.instance_id))
    identity, boot = imds.build_identity_document(config), build_response(served.boot_id)
    ask_node = _build_asking(config)
    routes = (
        Route("token", (f"{EC2}/api/token",), lambda: _build_token(served), method="PUT", requires_token=False),
        Route("roles", (ROLES,), lambda: imds.build_role_list(config, find())),
        Route("role", (f"{ROLES}/<name>",), lambda name: imds.build_role_document(config, name, find())),
        Route("region", (f"{METADATA}/placement/region",), lambda: region),
        Route("zone", (f"{METADATA}/placement/availability-zone",), lambda: zone if config.zone else ask_node(zone)),
        Route(
            "instance-id",
            (f"{METADATA}/instance-id",),
            lambda: instance_id if config.instance_id else ask_node(instance_id),
        ),
        Route("identity", (node_metadata.IDENTITY,), lambda: ask_node(identity)),
        Route(
            "credentials",
            (contract.CREDENTIALS_PATH, "/v1/credentials"),
            lambda: ecs.build_credentials(find(), served.read_state().failure),
            requires_token=False,
        ),
        Route("boot", (contract.BOOT_PATH,), lambda: boot, requires_token=False),
        Route("status", (contract.STATUS_PATH,), lambda: _build_status(served), requires_token=False),
    )
    if not config.metadata_passthrough:
        return routes
    rest = node_metadata.PATHS.difference(*(route.paths for route in routes))
    return (*routes, Route("passthrough", tuple(sorted(rest)), lambda: ask_node(NOT_FOUND)))


def _build_asking(config: Config) -> Callable[[Response], Response]:
    """What the node says at the path of the request, or else what is given, where a pod may know that."""
    if not config.metadata_passthrough:
        return lambda otherwise: otherwise
    node = node_metadata.NodeMetadata(config.node_metadata_endpoint)

    def ask_node(otherwise: Response) -> Response:
        found = node.answer(request.path, may_block=request.environ.get(MAY_BLOCK, True))
        return otherwise if found is None else found

    return ask_node


def _build_status(served: AppState) -> Response:
    status = build_status(served.config, served.read_state(), served.clock())
    return build_response(json.dumps(status), headers=JSON)


def _build_view(served: AppState, route: Route) -> Callable[..., Response]:
    def view(**parts: str) -> Response:
        is_refused = route.requires_token and not _may_read_metadata(served)
        answer = UNAUTHORIZED if is_refused else route.answer(**parts)
        served.counters.requests[route.name, answer.status_code] += 1
        return answer

    return view


def _may_read_metadata(served: AppState) -> bool:
    """Ask for a token as EC2 does: a wrong one is refused even where none is needed."""
    token = request.environ.get(TOKEN_HEADER)
    if token is None:
        return not served.config.requires_imds_token
    return imds_tokens.is_valid(served.token_key, token, served.clock())


def _build_token(served: AppState) -> Response:
    ttl_seconds = imds_tokens.parse_ttl(request.headers.get(TTL_HEADER))
    if ttl_seconds is None:
        return build_response(status=400)
    token = imds_tokens.build_token(served.token_key, ttl_seconds, served.clock())
    return build_response(token, headers={**PLAIN, TTL_HEADER: str(ttl_seconds)})


def _answer_plainly(served: AppState, error: HTTPException) -> Response:
    """Keep an error's status and its Allow header; clients read no page.

    Under EC2's path the token comes first, also for what is not there.
    """
    allowed = {name: value for name, value in error.get_headers() if name == "Allow"}
    is_refused = error.code == NOT_FOUND.status_code and request.path.startswith(EC2) and not _may_read_metadata(served)
    status = UNAUTHORIZED.status_code if is_refused else error.code or 500
    served.counters.requests[UNROUTED, status] += 1
    return build_response(status=status, headers={**PLAIN, **allowed})


class RequestFilterMiddleware:
    """Between the server and Flask: rejects what the guard rejects, and names the path."""

    def __init__(self, app: "WSGIApplication", served: AppState) -> None:
        self._app = app
        self._served = served

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve one request, as WSGI has it."""
        # Only gunicorn has the target as it came; Flask's own test client goes without its encoded characters.
        target: str = environ.get("RAW_URI") or environ["PATH_INFO"]
        path = request_filter.filter_request(environ["REQUEST_METHOD"], target, environ)
        if isinstance(path, request_filter.Rejection):
            return self._reject(path)(environ, start_response)
        environ["PATH_INFO"] = path
        return self._app(environ, start_response)

    def _reject(self, rejection: request_filter.Rejection) -> Response:
        self._served.counters.rejections[(rejection.reason,)] += 1
        count = self._served.rejections.note(rejection.reason, self._served.clock())
        if count is not None:
            emit("rejected", status=rejection.status, reason=rejection.reason, count=count)
        return build_response(status=rejection.status)
