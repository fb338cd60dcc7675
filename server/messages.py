"""What a handler gets and returns. A handler is a plain function: `handle(request) -> response`."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

Address = tuple[str, int]
"""IP address and port."""


class Request(NamedTuple):
    """One complete request."""

    method: str
    target: str
    """The target of the request line as the client sent it, such as `/path?query`. Bytes are decoded as Latin-1."""

    headers: Mapping[str, str]
    """By lower-case name. Values of a repeated header are joined by a comma, as RFC 9110 section 5.3 allows."""

    body: bytes = b""
    version: str = "1.1"
    client: Address = ("", 0)
    server: Address = ("", 0)
    """The local address of the connection, or the one that `Service.find_destination` returned."""

    is_tls: bool = False
    may_block: bool = True
    """Whether the handler runs in a thread of its own. If not, it must raise WouldBlock instead of waiting."""


class Response(NamedTuple):
    """What the server sends. It adds Content-Length, Date and Connection, and leaves out the body for HEAD."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    after: Callable[[], object] | None = None
    """Called once after the response was sent, or sending failed: work that no client waits for."""


class WouldBlock(Exception):  # noqa: N818 - a signal, not an error
    """Raised by a handler that would block: the server calls it again in a thread, with `may_block`.

    Most responses come from memory, where a thread would cost more than the response itself.
    """

    def __init__(
        self, resume: "Callable[[], Response] | None" = None, cancel: Callable[[], object] = lambda: None
    ) -> None:
        """With `resume`, that is called in the thread instead; `cancel`, if there is no thread for it."""
        super().__init__()
        self.resume = resume
        self.cancel = cancel


Handler = Callable[[Request], Response]
