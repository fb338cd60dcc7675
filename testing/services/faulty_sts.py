"""A fake STS whose responses and failures a test configures: a small HTTP server.

Its wire format is that of https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html.
"""

import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"
DEFAULT_DURATION_SECONDS = "3600"

Form = dict[str, str]
"""The parameters of a request, such as Action, RoleArn and WebIdentityToken, and the headers SIGNATURE if it is signed.
"""

SIGNATURE = ("Authorization", "X-Amz-Security-Token")


@dataclass(frozen=True)
class Grant:
    """A successful response."""

    expiration: str | None = None
    """As on the wire. None: after the requested duration."""

    delay_seconds: float = 0


@dataclass(frozen=True)
class Fault:
    """Any other response."""

    status: int
    body: str
    delay_seconds: float = 0


def build_error(status: int, code: str, message: str) -> Fault:
    """Build an error response of STS."""
    kind = "Sender" if status < 500 else "Receiver"
    error = f"<Error><Type>{kind}</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    body = f'<ErrorResponse xmlns="{NAMESPACE}">{error}<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>'
    return Fault(status, body)


GRANTED = Grant()
DENIED = build_error(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
THROTTLED = build_error(400, "Throttling", "Rate exceeded")
TOO_MANY_REQUESTS = build_error(429, "TooManyRequestsException", "Rate exceeded")
TOKEN_EXPIRED = build_error(
    400, "ExpiredTokenException", "Token expired: current date/time must be before the expiration"
)
TOKEN_INVALID = build_error(400, "InvalidIdentityToken", "Incorrect token audience")
KEYS_UNFETCHED = build_error(
    400,
    "InvalidIdentityToken",
    "Couldn't retrieve verification key from your identity provider, "
    "please reference AssumeRoleWithWebIdentity documentation for requirements",
)
ISSUER_UNREACHABLE = build_error(400, "IDPCommunicationError", "Error communicating with the identity provider")
DURATION_TOO_LONG = build_error(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration")
BROKEN = build_error(500, "InternalFailure", "We encountered an internal error. Please try again.")
GARBAGE = Fault(200, "<html><title>Welcome to the hotel's network</title>")
EMPTY = Fault(200, "")
HANGING = replace(BROKEN, delay_seconds=600)
"""Longer than any client waits. Shutdown interrupts it."""


class FaultySts:
    """The test's interface to the server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stopped = threading.Event()
        self._requests: list[Form] = []
        self._script: deque[Grant | Fault] = deque()
        self._afterwards: Grant | Fault = GRANTED
        self._changed = threading.Condition()

    @property
    def requests(self) -> list[Form]:
        """All requests so far, in order."""
        with self._changed:
            return list(self._requests)

    def will(self, *answers: Grant | Fault, afterwards: Grant | Fault = GRANTED) -> None:
        """Set the responses to the next requests, one each; all later ones get `afterwards`."""
        with self._changed:
            self._script = deque(answers)
            self._afterwards = afterwards

    def await_requests(self, count: int, within_seconds: float = 10) -> list[Form]:
        """Wait until this many requests have arrived; raise TimeoutError otherwise."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._requests) >= count, within_seconds):
                raise TimeoutError(f"{len(self._requests)} of {count} requests came within {within_seconds:g} s")
            return list(self._requests)

    def take(self, form: Form) -> tuple[int, str]:
        """Record a request; return the status and body of its response after the delay."""
        with self._changed:
            self._requests.append(form)
            number = len(self._requests)
            answer = self._script.popleft() if self._script else self._afterwards
            self._changed.notify_all()
        self.stopped.wait(answer.delay_seconds)
        return (answer.status, answer.body) if isinstance(answer, Fault) else (200, build_grant(form, answer, number))


def build_grant(form: Form, grant: Grant, number: int) -> str:
    """Build credentials that contain the number of the request, so that tests can distinguish them."""
    duration = timedelta(seconds=int(form.get("DurationSeconds", DEFAULT_DURATION_SECONDS)))
    expiration = grant.expiration or (datetime.now(UTC) + duration).strftime("%Y-%m-%dT%H:%M:%SZ")
    action, role, session = (escape(form.get(name, "")) for name in ("Action", "RoleArn", "RoleSessionName"))
    user_arn = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + f"/{session}"
    return f"""\
<{action}Response xmlns="{NAMESPACE}"><{action}Result>
<Credentials><AccessKeyId>ASIA{number:016}</AccessKeyId><SecretAccessKey>secret-{number}</SecretAccessKey>
<SessionToken>token-{number}</SessionToken><Expiration>{expiration}</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>AROA0000000000000000:{session}</AssumedRoleId><Arn>{user_arn}</Arn></AssumedRoleUser>
</{action}Result><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{action}Response>"""


class StsRequest(BaseHTTPRequestHandler):
    """Reads a form, sends a response and closes: no connection outlives the server."""

    timeout = 5
    server: "StsServer"

    def do_POST(self) -> None:
        """Send the next configured response."""
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        signature = {name: self.headers[name] for name in SIGNATURE if name in self.headers}
        status, body = self.server.script.take(dict(parse_qsl(form)) | signature)
        try:
            self._answer(status, body.encode())
        except OSError:
            return  # a client that had to wait has disconnected, as the test expects

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Do not log: tests read `requests`."""


class StsServer(ThreadingHTTPServer):
    """Listens on a free port on loopback. Closing it waits for the threads of all requests."""

    daemon_threads = False

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), StsRequest)
        self.script = FaultySts(f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}")
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)


@contextmanager
def faulty_sts(tls: ssl.SSLContext | None = None) -> Iterator[FaultySts]:
    """Run an STS that grants every request until the test sets other responses; over TLS if a context is given."""
    with StsServer(tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.script
        finally:
            server.script.stopped.set()
            server.shutdown()
            thread.join()
