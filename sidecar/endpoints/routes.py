"""The sidecar's routes. Responses are built from the current state: no request waits for STS."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import contract
from server.messages import Request, Response
from sidecar.config import Config
from sidecar.endpoints import ecs, imds, imds_tokens
from sidecar.endpoints.listings import build_listings
from sidecar.endpoints.responses import BAD_REQUEST, JSON, NOT_FOUND, PLAIN, build_response
from sidecar.endpoints.state import EndpointState
from sidecar.status import build_status

if TYPE_CHECKING:
    import re

TTL_HEADER = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"

Responder = Callable[[Request], Response]


class NodeLookup(Protocol):
    """Builds a responder from a path of the node and the response if the node has none."""

    def __call__(self, path: str, fallback: Response) -> Responder:
        """Return the responder."""
        ...


class Route(NamedTuple):
    """Canonical paths and the function that builds their response. In a path, `*` stands for one segment."""

    name: str
    """Also the label of these paths in the counters."""

    paths: tuple[str, ...]
    respond: Responder
    methods: tuple[str, ...] = ("GET", "HEAD")
    requires_token: bool = True
    requires_authorization: bool = False
    is_listed: bool = True
    """Whether EC2's listings name it, by its first path."""

    bind: Callable[[str], Responder] | None = None
    """Builds `respond` for the path that `*` matched."""


def build_routes(state: EndpointState) -> tuple[Route, ...]:
    """Return all routes; responses that depend on the configuration only are built here, once."""
    node_paths = _list_node_paths(state.config)
    from_node = _create_node_lookup(state.config)
    routes = [*_build_imds_routes(state, from_node, node_paths), *_build_other_routes(state)]
    own_paths = {path for route in [*routes, *_build_listing_routes(routes)] for path in route.paths}
    for path in node_paths:
        if path not in own_paths:
            bind = partial(from_node, fallback=NOT_FOUND)
            is_listed = f"{path}/*" not in node_paths and not any(one.startswith(f"{path}/*/") for one in node_paths)
            routes.append(Route("passthrough", (path,), bind(path), is_listed=is_listed, bind=bind))
    return (*routes, *_build_listing_routes(routes))


def create_lookup(routes: tuple[Route, ...]) -> Callable[[str], Route | None]:
    """Return a function that finds the route of a canonical path. Any role's name has a route, only one is found."""
    table = {path: route for route in routes for path in route.paths if "*" not in path}
    patterns = _compile_patterns([route for route in routes if "*" in route.paths[0]])
    prefix = f"{imds.ROLES}/"
    other_role = Route("role", (), _always(NOT_FOUND))

    def find(path: str) -> Route | None:
        if route := table.get(path):
            return route
        if path.startswith(prefix) and "/" not in path[len(prefix) :]:
            return other_role
        found = next((route for pattern, route in patterns if pattern.fullmatch(path)), None)
        return found._replace(respond=found.bind(path)) if found and found.bind else found

    return find


def _compile_patterns(routes: list[Route]) -> "list[tuple[re.Pattern[str], Route]]":
    if not routes:
        return []
    from sidecar.endpoints.node_paths import compile_pattern  # noqa: PLC0415 - only for pass-through with patterns

    return [(compile_pattern(route.paths[0]), route) for route in routes]


def _always(response: Response) -> Responder:
    return lambda _request: response


def _build_imds_routes(state: EndpointState, from_node: NodeLookup, node_paths: tuple[str, ...]) -> tuple[Route, ...]:
    config, servable = state.config, state.servable
    region, zone, instance_id = map(imds.build_text, (config.region, config.zone, config.instance_id))
    identity = imds.build_identity_document(config)
    return (
        Route(
            "token",
            (imds.TOKEN,),
            lambda request: _build_token(state, request),
            ("PUT",),
            requires_token=False,
            is_listed=False,
        ),
        # The document's path lists it, as a directory.
        Route("roles", (imds.ROLES,), lambda _: imds.build_role_list(config, servable()), is_listed=False),
        Route("role", imds.list_role_paths(config), lambda _: imds.build_role_document(servable())),
        Route("region", (imds.REGION,), _always(region)),
        Route(
            "zone",
            (imds.ZONE,),
            _always(zone) if config.zone else from_node(imds.ZONE, zone),
            is_listed=bool(config.zone) or imds.ZONE in node_paths,
        ),
        Route(
            "instance-id",
            (imds.INSTANCE_ID,),
            _always(instance_id) if config.instance_id else from_node(imds.INSTANCE_ID, instance_id),
            is_listed=bool(config.instance_id) or imds.INSTANCE_ID in node_paths,
        ),
        Route("identity", (imds.IDENTITY,), from_node(imds.IDENTITY, identity)),
    )


def _build_other_routes(state: EndpointState) -> tuple[Route, ...]:
    boot = build_response(state.boot_id)

    def build_credentials(_request: Request) -> Response:
        return ecs.build_credentials(state.servable(), state.read_state().failure)

    return (
        # One comparison in a table of hashes, whose key is random in each process: its time tells nothing of the path.
        Route("credentials", (state.config.credentials_path,), build_credentials, requires_token=False),
        Route("pod-identity", (ecs.EKS_PATH,), build_credentials, requires_token=False, requires_authorization=True),
        Route("boot", (contract.BOOT_PATH,), _always(boot), requires_token=False),
        Route("status", (contract.STATUS_PATH,), lambda _: _build_status(state), requires_token=False),
    )


def _build_listing_routes(routes: list[Route]) -> Iterator[Route]:
    own_paths = {path for route in routes for path in route.paths}
    for path, names in build_listings(route.paths[0] for route in routes if route.is_listed).items():
        if path not in own_paths:
            yield Route("listing", (path,), _always(build_response(names)))


def _list_node_paths(config: Config) -> tuple[str, ...]:
    if not config.metadata_passthrough:
        return ()
    from sidecar.endpoints.node_paths import DEFAULT, list_node_paths  # noqa: PLC0415 - only for this setting

    return list_node_paths(config.metadata_passthrough_paths or DEFAULT)


def _create_node_lookup(config: Config) -> NodeLookup:
    if not config.metadata_passthrough:
        return lambda path, fallback: _always(fallback)  # noqa: ARG005 - the names of NodeLookup
    from sidecar.endpoints.node_metadata import NodeMetadata  # noqa: PLC0415 - only for this setting

    node = NodeMetadata(config.node_metadata_endpoint, _list_node_paths(config))
    return lambda path, fallback: lambda request: node.get(path, may_block=request.may_block) or fallback


def _build_status(state: EndpointState) -> Response:
    status = build_status(
        state.config, state.read_state(), state.clock(), state.read_measurement(), state.read_state_file_error()
    )
    return build_response(json.dumps(status), headers=JSON)


def _build_token(state: EndpointState, request: Request) -> Response:
    ttl_seconds = imds_tokens.parse_ttl(request.headers.get(TTL_HEADER.lower()))
    if ttl_seconds is None:
        return BAD_REQUEST
    token = imds_tokens.build_token(state.token_key, ttl_seconds, state.token_clock())
    return build_response(token, headers=(*PLAIN, (TTL_HEADER, str(ttl_seconds))))
