"""Answers requests: the request filter, then the token, then the route. A plain function of one request."""

from server.messages import Handler, Request, Response
from sidecar.endpoints import ecs, imds, imds_tokens
from sidecar.endpoints.request_filter import (
    AUTHORIZATION,
    HOSTS,
    NOT_AUTHORIZED,
    NOT_REDIRECTED,
    Rejection,
    filter_request,
    list_direct_paths,
    list_redirected_hosts,
)
from sidecar.endpoints.responses import NOT_FOUND, PLAIN, UNAUTHORIZED, build_response
from sidecar.endpoints.routes import TTL_HEADER, Route, build_routes, create_lookup
from sidecar.endpoints.state import EndpointState
from sidecar.log import emit
from sidecar.original_destination import METADATA_DESTINATIONS

TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105 - the name of a header
UNKNOWN_ROUTE = "unknown"
"""In the counters: unknown paths and wrong methods."""


def create_handler(state: EndpointState) -> Handler:
    """Return the handler of all routes. It raises WouldBlock if a request must wait for the node."""
    find_route = create_lookup(build_routes(state))
    direct_paths = list_direct_paths(state.config)
    redirected_hosts = list_redirected_hosts(state.config.region)

    def handle(request: Request) -> Response:
        is_redirected = request.server in METADATA_DESTINATIONS
        hosts = redirected_hosts if is_redirected else HOSTS
        path = filter_request(request.method, request.target, request.headers, hosts)
        if isinstance(path, Rejection):
            return _reject(state, path)
        if not (is_redirected or direct_paths is None or path in direct_paths):
            return _reject(state, NOT_REDIRECTED)
        route = find_route(path)
        if route and request.method in route.methods:
            if route.requires_authorization and not AUTHORIZATION.fullmatch(request.headers.get("authorization", "")):
                return _reject(state, NOT_AUTHORIZED, ecs.AUTHORIZATION_REQUIRED)
            name, response = route.name, _respond(state, route, request)
        else:
            name, response = UNKNOWN_ROUTE, _build_error(state, route, path, request)
        state.counters.count_request(name, response.status)
        return response

    return handle


def _respond(state: EndpointState, route: Route, request: Request) -> Response:
    """EC2 adds to every response for how long the token is valid: aws-node-termination-handler renews it by that."""
    token = request.headers.get(TOKEN_HEADER)
    if token is None or not route.requires_token:
        is_missing = route.requires_token and state.config.requires_imds_token
        return UNAUTHORIZED if is_missing else route.respond(request)
    seconds_left = imds_tokens.read_seconds_left(state.token_key, token, state.token_clock())
    if not seconds_left:
        return UNAUTHORIZED
    response = route.respond(request)
    return response._replace(headers=(*response.headers, (TTL_HEADER, str(int(seconds_left)))))


def _is_token_accepted(state: EndpointState, request: Request, path: str) -> bool:
    """Check the token as EC2 does: an invalid one is rejected even if none is required.

    Only under EC2's path can one be required: clients of the container endpoint have none.
    """
    token = request.headers.get(TOKEN_HEADER)
    if token is None:
        return not (state.config.requires_imds_token and path.startswith(imds.EC2))
    return imds_tokens.is_valid(state.token_key, token, state.token_clock())


def _build_error(state: EndpointState, route: Route | None, path: str, request: Request) -> Response:
    """Answer a wrong method or an unknown path, for which the token is checked first."""
    if route:
        return build_response(status=405, headers=(*PLAIN, ("Allow", ", ".join(route.methods))))
    return NOT_FOUND if _is_token_accepted(state, request, path) else UNAUTHORIZED


def _reject(state: EndpointState, rejection: Rejection, response: Response | None = None) -> Response:
    """Count and log a rejection; return the response, or one with an empty body."""
    state.counters.rejections[(rejection.reason,)] += 1
    count = state.rejection_log.count(rejection.reason, state.clock())
    if count is not None:
        emit("request-rejected", status=rejection.status, reason=rejection.reason, count=count)
    return response or build_response(status=rejection.status)
