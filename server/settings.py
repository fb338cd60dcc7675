"""The limits of a server."""

from typing import NamedTuple

from server.deadlines import GRACEFUL_SECONDS, KEEPALIVE_SECONDS, LINGER_SECONDS, QUEUE_SECONDS


class Settings(NamedTuple):
    """Limits of all services of one process together."""

    keepalive_seconds: float = KEEPALIVE_SECONDS
    """How long a connection stays open between two requests."""

    graceful_seconds: float = GRACEFUL_SECONDS
    """How long requests that have begun can take after `Loop.stop`."""

    linger_seconds: float = LINGER_SECONDS
    """How long clients can still use kept-alive connections after `Loop.stop`."""

    max_threads: int = 1
    max_waiting: int = 64
    """Requests that wait for a thread. Further ones get 429."""

    max_wait_seconds: float = QUEUE_SECONDS
    """How long they wait. Then they get 429."""

    max_buffered_bytes: int = 4 * 1024 * 1024
    """Unanswered requests and unsent responses of all connections. Beyond it the connection with the most is closed."""
