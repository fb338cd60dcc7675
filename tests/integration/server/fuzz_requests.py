"""Requests of the fuzz test, with the responses that they must get."""

from typing import NamedTuple

from hypothesis import strategies as st

from tests.integration.server.fuzz_client import Expected, build_body
from tests.unit.server.hostile_handler import LARGE
from tests.unit.server.running import build

OK, BUSY, FAILED, INVALID = frozenset({200}), frozenset({200, 429}), frozenset({500}), frozenset({400, 413, 431})
UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
GARBAGE = (
    b"\0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
)
MAX_CHUNKS = 2000
"""Fewer than the server refuses."""


class Action(NamedTuple):
    """A path of the handler, and the statuses that it can return."""

    path: str
    statuses: frozenset[int]


ACTIONS = (
    *[Action("/echo", OK)] * 4,
    Action("/wait/0", BUSY),
    Action("/wait/0.01", BUSY),
    Action("/wait/0.2", BUSY),
    Action("/large", OK),
    Action("/thread-large", BUSY),
    Action("/after/RuntimeError", OK),
    Action("/thread-after/KeyError", BUSY),
)
FAILING = tuple(
    Action(f"/{action}/{name}", FAILED if action == "raise" else FAILED | {429})
    for action in ("raise", "thread-raise")
    for name in ("KeyError", "BlockingIOError", "SystemExit", "MemoryError")
)
"""The connection closes after it."""


class Shape(NamedTuple):
    """A request without its id."""

    action: Action
    size: int
    chunk: int
    """Bytes per chunk; 0 for a Content-Length."""

    headers: bytes

    def build(self, request_id: str) -> tuple[bytes, Expected]:
        """Return its bytes and its response."""
        body = build_body(request_id, 0 if self.headers == UPGRADE else self.size)
        if self.chunk and body:
            length = max(self.chunk, len(body) // MAX_CHUNKS)
            chunks = [body[start : start + length] for start in range(0, len(body), length)]
            coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
            head = f"PUT {self.action.path} HTTP/1.1\r\nHost: a\r\nX-Id: {request_id}\r\n".encode()
            data = head + self.headers + b"Transfer-Encoding: chunked\r\n\r\n" + coded
        else:
            data = build(self.action.path, request_id, body, self.headers)
            if self.headers == UPGRADE:  # a body would close the connection
                data = data.replace(b"Content-Length: 0\r\n", b"")
        expected = b"x" * LARGE if "large" in self.action.path else body
        return data, Expected(request_id, self.action.statuses, expected)


SIZES = st.sampled_from([0, 0, 1, 100, 5000, 20_000])
CHUNKS = st.sampled_from([0, 0, 1, 100, 5000])
HEADERS = st.sampled_from([b"", b"", b"Expect: 100-continue\r\n", UPGRADE, b"X: " + b"y" * 8000 + b"\r\n"])
SHAPES = st.builds(Shape, st.sampled_from(ACTIONS), SIZES, CHUNKS, HEADERS)
FAILING_SHAPES = st.builds(Shape, st.sampled_from(FAILING), SIZES, CHUNKS, HEADERS)
