"""An STS that answers right, late, wrong, with too much, or not at all, at random."""

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from testing.services import faulty_sts
from testing.services.faulty_sts import Fault, Grant, build_error, build_grant

SESSION_SECONDS = 3600
MAX_ISSUED = 10_000
HUGE_PIECES, PIECE = 512, b"<x>" * 43_690
"""64 MiB in all, with a length that is said to be larger still."""

FORGED = build_error(400, "Evil\x1b[2J\u202e" + "x" * 500, "a\nrefreshed: 1 \x1b]0;title\x07" + "y" * 5000)
DATES = {"date 1970": "Thu, 01 Jan 1970 00:00:00 GMT", "date 2100": "Fri, 01 Jan 2100 00:00:00 GMT"}
ERRORS = {
    "500": faulty_sts.BROKEN,
    "throttled": faulty_sts.THROTTLED,
    "denied": faulty_sts.DENIED,
    "token expired": faulty_sts.TOKEN_EXPIRED,
    "not XML": faulty_sts.GARBAGE,
    "empty": faulty_sts.EMPTY,
    "deeply nested": Fault(200, "<a>" * 100_000),
    "hostile text": FORGED,
}
EXPIRATIONS = {"expired": "2020-01-01T00:00:00Z", "expires 2100": "2100-01-01T00:00:00Z", "no date": "tomorrow"}
OTHERS = ("late", "slow", "cut", "reset", "huge", "no secret", *DATES, *ERRORS, *EXPIRATIONS)
GOOD_SHARE = 0.6


class Script:
    """What the server does next, and what it has issued."""

    def __init__(self, seed: str) -> None:
        self.answers: Counter[str] = Counter()
        self.valid_until: dict[str, float] = {}
        """Access key id of valid credentials: when they expire, by the machine's clock."""

        self.called_at = time.monotonic()
        """When the newest request came."""

        self._number = 0
        self._random = random.Random(seed)  # noqa: S311 - nothing secret
        self._lock = threading.Lock()

    def choose(self) -> tuple[str, int, float]:
        """Return the kind of the next answer, its number, and seconds for a delay."""
        with self._lock:
            self._number += 1
            self.called_at = time.monotonic()
            is_good = self._random.random() < GOOD_SHARE
            kind = "good" if is_good else self._random.choice(OTHERS)
            self.answers[kind] += 1
            return kind, self._number, self._random.uniform(0.5, 4)

    def record(self, number: int, seconds: float) -> None:
        """Remember valid credentials."""
        with self._lock:
            self.valid_until[f"ASIA{number:016}"] = time.time() + seconds
            if len(self.valid_until) > MAX_ISSUED:
                del self.valid_until[next(iter(self.valid_until))]

    def is_valid(self, key_id: str) -> bool:
        """Whether credentials were issued here and have not expired."""
        with self._lock:
            return self.valid_until.get(key_id, 0) > time.time()


class StsRequest(BaseHTTPRequestHandler):
    """Answers one request."""

    timeout = 30
    server: "StsServer"

    def do_POST(self) -> None:
        """Answer as the script says."""
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        kind, number, seconds = self.server.script.choose()
        grant = Grant(EXPIRATIONS.get(kind))
        if kind not in {"expired", "no date", "no secret"}:
            self.server.script.record(number, int(form.get("DurationSeconds", SESSION_SECONDS)))
        body = build_grant(form, grant, number)
        if kind == "no secret":
            body = body.replace("SecretAccessKey", "Other")
        status = 200
        if kind in ERRORS:
            status, body = ERRORS[kind].status, ERRORS[kind].body
        with suppress(OSError):  # the client has gone
            special: dict[str, Callable[[bytes, float], None]] = {
                "late": self._late,
                "slow": self._slow,
                "cut": self._cut,
                "reset": self._reset,
                "huge": self._huge,
            }
            if kind in special:
                special[kind](body.encode(), seconds)
            else:
                self._answer(status, body.encode(), DATES.get(kind))

    def _answer(self, status: int, body: bytes, date: str | None = None, length: int = 0) -> None:
        self.send_response_only(status)
        self.send_header("Date", date or datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"))
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _late(self, body: bytes, seconds: float) -> None:
        time.sleep(seconds)
        self._answer(200, body)

    def _slow(self, body: bytes, seconds: float) -> None:
        self._answer(200, body[:1], length=len(body))
        ends = time.monotonic() + seconds
        for byte in body[1:]:
            if time.monotonic() > ends:
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.1)

    def _cut(self, body: bytes, _seconds: float) -> None:
        self._answer(200, body[: len(body) // 2], length=len(body))

    def _reset(self, _body: bytes, _seconds: float) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _huge(self, _body: bytes, _seconds: float) -> None:
        self._answer(200, b"", length=10**9)
        for _ in range(HUGE_PIECES):
            self.wfile.write(PIECE)

    def log_message(self, *_: Any) -> None:
        """Do not log."""


class StsServer(ThreadingHTTPServer):
    """Listens on a free port on loopback."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), StsRequest)
        self.script = script

    def handle_error(self, *_: Any) -> None:
        """A client that went away is expected."""


@contextmanager
def random_sts(seed: str) -> Iterator[tuple[str, Script]]:
    """Run the server until the block ends; yield its URL and its script."""
    script = Script(seed)
    with StsServer(script) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", script
        finally:
            server.shutdown()
