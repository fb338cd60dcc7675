"""The call AssumeRoleWithWebIdentity: one POST, which is not signed.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

import os
import time
from collections.abc import Callable, Mapping

from contract.text import quote
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.deadlines import STS_CONNECT_SECONDS, STS_REQUEST_SECONDS
from sidecar.http_client.client import Limits, Request, Route, send
from sidecar.http_client.errors import RequestError
from sidecar.http_client.url import parse_url
from sidecar.sts.endpoints import find_sts_url
from sidecar.sts.errors import MESSAGE_LENGTH
from sidecar.sts.response import Requested, parse_response

LIMITS = Limits(total_seconds=STS_REQUEST_SECONDS, connect_seconds=STS_CONNECT_SECONDS, max_body_bytes=64 * 1024)
"""Three attempts and their waits end before the child's deadline, STS_CHILD_SECONDS."""

MAX_TOKEN_BYTES = 64 * 1024
"""STS accepts 20 000 characters."""

ACTION = "AssumeRoleWithWebIdentity"
HEADERS = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""https://www.rfc-editor.org/rfc/rfc3986#section-2.3"""


def assume_role(
    config: Config, role_arn: str, duration_seconds: int, clock: Callable[[], float] = time.time
) -> Credentials | Failure:
    """Read the token file and call STS once."""
    token = load_token(config.token_file)
    if isinstance(token, Failure):
        return token
    form = {
        "Action": ACTION,
        "Version": "2011-06-15",
        "RoleArn": role_arn,
        "RoleSessionName": config.role_session_name,
        "WebIdentityToken": token,
        "DurationSeconds": str(duration_seconds),
    }
    request = Request("POST", parse_url(find_sts_url(config)), HEADERS, encode_form(form))
    return call_sts(config, request, Requested(ACTION, role_arn, duration_seconds), clock)


def call_sts(
    config: Config, request: Request, requested: Requested, clock: Callable[[], float] = time.time
) -> Credentials | Failure:
    """Send one request to STS, within LIMITS, and read the response."""
    proxy = parse_url(config.sts_proxy) if config.sts_proxy else None
    try:
        response = send(request, Route(proxy, config.sts_ca_pem), LIMITS)
    except RequestError as error:
        return Failure(error.code, quote(str(error), MESSAGE_LENGTH), is_permanent=False)
    return parse_response(response, requested, clock())


def load_token(path: str) -> str | Failure:
    """Read the token file. The kubelet replaces it before the token expires."""
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            token = file.read(MAX_TOKEN_BYTES + 1) or b""  # None if a pipe has nothing
        if len(token) > MAX_TOKEN_BYTES:
            return Failure("TokenUnreadable", f"{path} has more than {MAX_TOKEN_BYTES} bytes", is_permanent=False)
        text = token.decode("ascii").strip()
    except (OSError, UnicodeError) as error:
        return Failure("TokenUnreadable", f"{path}: {error}", is_permanent=False)
    return text or Failure("TokenEmpty", f"{path} is empty", is_permanent=False)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe without a writer would block until the child's deadline


def encode_form(fields: Mapping[str, str]) -> bytes:
    """Encode a form as HTML does, without its `+` for a blank. urllib.parse would cost 5 ms."""
    return "&".join(f"{name}={_quote(value)}" for name, value in fields.items()).encode("ascii")


def _quote(text: str) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
