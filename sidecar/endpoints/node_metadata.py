"""Metadata pass-through: gets some of the node's own metadata for a pod that is allowed to read it.

The node's metadata service also returns the node's role. So only paths that match the operator's patterns are
requested, which `contract.value_types.METADATA_PATHS` limits; no client header is passed on, and no redirect is
followed.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from server.clocks import read_boottime
from server.messages import Response, WouldBlock
from sidecar.deadlines import NODE_METADATA_BACKOFF_SECONDS, NODE_METADATA_CONNECT_SECONDS, NODE_METADATA_SECONDS
from sidecar.endpoints.node_paths import CONSTANT, compile_pattern
from sidecar.endpoints.responses import NO_STORE_HEADERS, NOT_FOUND, UNAVAILABLE
from sidecar.http_client.client import Limits, Request, Route, send
from sidecar.http_client.errors import RequestError
from sidecar.http_client.stream import Deadline
from sidecar.http_client.url import parse_url
from sidecar.log import emit

TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path
TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 - the name of a header
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TTL_SECONDS = 60

LIMITS = Limits(NODE_METADATA_SECONDS, NODE_METADATA_CONNECT_SECONDS, max_body_bytes=64 * 1024)
"""For both requests together."""

CACHE_TTL_SECONDS = 3600
"""For the paths of `node_paths.CONSTANT`, whose values do not change while an instance runs."""

CHANGING_TTL_SECONDS = 1
"""For all others, such as spot/instance-action: programs ask for it every few seconds, in many threads."""

MAX_CACHED = 256
"""Paths; a wildcard matches any number. With more, all are forgotten."""

MAX_REQUESTS = 100
REQUESTS_SECONDS = 10
"""At most so many paths are requested in this time: the node's other pods share its metadata service."""

_TOKEN = re.compile(rb"[!-~]{1,1024}")
_CONTENT_TYPE = re.compile(r"[ -~]{1,200}")


class NodeError(Exception):
    """The node's service returned no usable response. The message quotes nothing of it."""


class NodeResponse(NamedTuple):
    """A response of the node's metadata service."""

    status: int
    content_type: str
    body: bytes


class CacheEntry(NamedTuple):
    """The response at a path, None for a 404, and until when it is valid."""

    response: Response | None
    expires_at: float


class NodeMetadata:
    """Gets paths from the node and caches the responses."""

    def __init__(
        self, endpoint: str, paths: Iterable[str] = CONSTANT, clock: Callable[[], float] = read_boottime
    ) -> None:
        """`paths`: what is allowed, as `node_paths.list_node_paths` returns it."""
        self._endpoint = endpoint
        self._clock = clock
        self._patterns = [compile_pattern(path) for path in paths]
        self._cache: dict[str, CacheEntry] = {}
        self._retry_at = 0.0
        self._window_ends_at = 0.0
        self._requests_left = 0

    def get(self, path: str, *, may_block: bool) -> Response | None:
        """Return the node's response at an allowed path; None if that is a 404.

        If the node cannot be asked, it is None too where a value does not change, and a client can go on without it.
        At other paths it is a 503, as a 404 would mean that nothing is planned, such as an interruption.
        Raise WouldBlock if a request to the node is needed and `may_block` is false.
        """
        if not any(pattern.fullmatch(path) for pattern in self._patterns):
            return None
        cached, now = self._cache.get(path), self._clock()
        if cached and now < cached.expires_at:
            return cached.response
        if now < self._retry_at:
            return _answer_without_node(path)
        if not may_block:
            raise WouldBlock
        return self._fetch(path) if self._may_request(now) else _answer_without_node(path)

    def _may_request(self, now: float) -> bool:
        if now >= self._window_ends_at:
            self._window_ends_at, self._requests_left = now + REQUESTS_SECONDS, MAX_REQUESTS
        self._requests_left -= 1
        return self._requests_left >= 0

    def _fetch(self, path: str) -> Response | None:
        try:
            response = fetch(self._endpoint, path)
        except NodeError as error:
            self._retry_at = self._clock() + NODE_METADATA_BACKOFF_SECONDS
            emit("passthrough-failed", endpoint=self._endpoint, reason=str(error))
            return _answer_without_node(path)
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        ttl_seconds = CACHE_TTL_SECONDS if path in CONSTANT else CHANGING_TTL_SECONDS
        self._cache[path] = CacheEntry(response, self._clock() + ttl_seconds)
        return response


def _answer_without_node(path: str) -> Response | None:
    return None if path in CONSTANT else UNAVAILABLE


def fetch(endpoint: str, path: str) -> Response | None:
    """Get a path from the node, with a new token; None if it is a 404. Raise NodeError for anything else."""
    deadline = Deadline(LIMITS.total_seconds)
    token = send_request(endpoint, "PUT", TOKEN_PATH, {TTL_HEADER: str(TTL_SECONDS)}, deadline)
    if token.status != 200 or not _TOKEN.fullmatch(token.body):  # noqa: PLR2004 - HTTP's own number
        raise NodeError(f"PUT {TOKEN_PATH}: status {token.status}")
    document = send_request(endpoint, "GET", path, {TOKEN_HEADER: token.body.decode("ascii")}, deadline)
    if document.status == NOT_FOUND.status:
        return None
    if document.status != 200:  # noqa: PLR2004 - as above
        raise NodeError(f"GET {path}: status {document.status}")
    return Response(200, document.body, (("Content-Type", document.content_type), *NO_STORE_HEADERS))


def send_request(endpoint: str, method: str, path: str, headers: Mapping[str, str], deadline: Deadline) -> NodeResponse:
    """Send one request on a new connection; raise NodeError if there is no complete response in time."""
    request = Request(method, parse_url(endpoint)._replace(path=path), headers)
    try:
        response = send(request, Route(), LIMITS, deadline)
    except RequestError as error:
        raise NodeError(f"{method} {path}: {error.reason}") from error
    content_type = response.headers.get("content-type", "")
    is_plain = _CONTENT_TYPE.fullmatch(content_type)
    return NodeResponse(response.status, content_type if is_plain else "text/plain", response.body)
