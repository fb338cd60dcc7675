"""Some of the node's own metadata, for a pod that may have it: what there is to ask for, and the asking.

The node's service hands out the node's role as well. So what is asked there is one of the paths below and never a path
that a client sent; no header of a client goes along, and no redirect is followed. Nothing here is a secret of the node:
no iam/, user-data, identity-credentials, public-keys or tags.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple
from urllib.parse import urlsplit

from flask import Response

from server.wsgi import WouldBlock
from sidecar.endpoints.responses import NOT_FOUND, PLAIN
from sidecar.log import emit

_NAMES = (
    *("hostname", "instance-id", "instance-type", "local-hostname", "local-ipv4", "mac"),
    *("placement/availability-zone", "placement/availability-zone-id", "placement/group-name", "placement/host-id"),
    *("placement/partition-number", "placement/region", "services/domain", "services/partition"),
)
IDENTITY = "/latest/dynamic/instance-identity/document"
PATHS = frozenset({IDENTITY, *(f"/latest/meta-data/{name}" for name in _NAMES)})
"""In their canonical form.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html
"""

TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path
TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 - the name of a header
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TTL_SECONDS = 60

TIMEOUT_SECONDS = 1
"""For a connection and each piece of an answer. The answer with a token is lost where the hop limit is 1."""

DEADLINE_SECONDS = 2
"""For a whole answer."""

MAX_RESPONSE_BYTES = 64 * 1024
CACHE_TTL_SECONDS = 3600
"""None of it changes while an instance runs."""

BACKOFF_SECONDS = 30
"""After a failure the node is left alone for so long, and nobody waits for it."""

_TOKEN = re.compile(rb"[!-~]{1,1024}")
_CONTENT_TYPE = re.compile(r"[ -~]{1,200}")


class NodeError(Exception):
    """The node's service gave no answer that could be passed on. The message holds nothing that it sent."""


class Answer(NamedTuple):
    """What the service answered."""

    status: int
    content_type: str
    body: bytes


class CacheEntry(NamedTuple):
    """What was found at a path, and until when that holds."""

    response: Response | None
    until: float


class NodeMetadata:
    """Asks once, and answers from memory."""

    def __init__(self, endpoint: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._kept: dict[str, CacheEntry] = {}
        self._silent_until = 0.0

    def answer(self, path: str, *, may_block: bool) -> Response | None:
        """What the node has at one of PATHS; None if it has nothing there, or cannot be asked.

        Raises MustWait if it has to be asked first and the caller has no time for that.
        """
        if path not in PATHS:
            return None
        kept, now = self._kept.get(path), self._clock()
        if kept and now < kept.until:
            return kept.response
        if now < self._silent_until:
            return None
        if not may_block:
            raise WouldBlock
        return self._fetch(path)

    def _fetch(self, path: str) -> Response | None:
        try:
            response = fetch(self._endpoint, path)
        except NodeError as error:
            self._silent_until = self._clock() + BACKOFF_SECONDS
            emit("passthrough-failed", endpoint=self._endpoint, reason=str(error))
            return None
        self._kept[path] = CacheEntry(response, self._clock() + CACHE_TTL_SECONDS)
        return response


def fetch(endpoint: str, path: str) -> Response | None:
    """Ask the node, with a token of our own; None if it has nothing there. Raises NodeError."""
    token = send_request(endpoint, "PUT", TOKEN_PATH, {TTL_HEADER: str(TTL_SECONDS)})
    if token.status != 200 or not _TOKEN.fullmatch(token.body):  # noqa: PLR2004 - HTTP's own number
        raise NodeError(f"asked for a token it answers with status {token.status}")
    found = send_request(endpoint, "GET", path, {TOKEN_HEADER: token.body.decode("ascii")})
    if found.status == NOT_FOUND.status_code:
        return None
    if found.status != 200:  # noqa: PLR2004 - as above
        raise NodeError(f"asked for {path} it answers with status {found.status}")
    return Response(found.body, 200, {**PLAIN, "Content-Type": found.content_type})


def send_request(endpoint: str, method: str, path: str, headers: Mapping[str, str]) -> Answer:
    """Send one request on a connection of its own, and read its answer; raise NodeError if there is none in time."""
    parts = urlsplit(endpoint)
    host, port = parts.hostname or "", parts.port or 80
    try:
        with socket.create_connection((host, port), TIMEOUT_SECONDS) as connected, _ended_in_time(connected):
            connection = HTTPConnection(host, port)
            connection.sock = connected
            connection.request(method, path, headers=dict(headers))
            response = connection.getresponse()
            with response:
                body = response.read(MAX_RESPONSE_BYTES + 1)
                missing = response.length
    except OSError as error:
        raise NodeError(f"{method} {path}: {error.strerror or error}") from error
    except (HTTPException, ValueError) as error:  # their texts quote the answer
        raise NodeError(f"{method} {path}: no answer that is HTTP ({type(error).__name__})") from error
    if len(body) > MAX_RESPONSE_BYTES:
        raise NodeError(f"{method} {path}: an answer of more than {MAX_RESPONSE_BYTES} bytes")
    if missing:
        raise NodeError(f"{method} {path}: an answer that was cut short")
    content_type = response.getheader("Content-Type", "")
    return Answer(response.status, content_type if _CONTENT_TYPE.fullmatch(content_type) else "text/plain", body)


@contextmanager
def _ended_in_time(connected: socket.socket) -> Iterator[None]:
    """Hang up at the deadline: an answer that comes byte by byte would keep the thread for as long as it likes.

    Raises TimeoutError then, however the end shows itself: as a reset, or as an answer that looks whole and is not.
    """
    can_close = threading.Event()

    def hang_up() -> None:
        can_close.set()
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(DEADLINE_SECONDS, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, HTTPException):
        if not can_close.is_set():
            raise
    finally:
        timer.cancel()
        timer.join()
    if can_close.is_set():
        raise TimeoutError("timed out")
