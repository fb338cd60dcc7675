"""The access keys of the node's role, from its metadata service by IMDSv2 only.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from sidecar.credentials.credentials import is_printable
from sidecar.credentials.schedule import Failure
from sidecar.deadlines import NODE_KEYS_SECONDS
from sidecar.http_client.client import Limits, Request, Route, send
from sidecar.http_client.errors import RequestError
from sidecar.http_client.url import parse_url
from sidecar.sts.client import AccessKeys
from sidecar.sts.fields import MAX_LENGTHS

TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path
ROLES_PATH = "/latest/meta-data/iam/security-credentials/"
LIMITS = Limits(total_seconds=NODE_KEYS_SECONDS, connect_seconds=NODE_KEYS_SECONDS, max_body_bytes=64 * 1024)
"""For each of the three requests."""

FIELDS = {"AccessKeyId": "AccessKeyId", "SecretAccessKey": "SecretAccessKey", "Token": "SessionToken"}
"""Field of the node's document -> the same field of STS. Expiration is not read: the keys are used once, at once."""

_TOKEN = re.compile(rb"[!-~]{1,1024}")
_ROLE = re.compile(rb"[A-Za-z0-9_+=,.@-]{1,64}")
OK = 200


class NodeKeysError(Exception):
    """The node returned no usable keys. The message quotes nothing of them."""


def fetch_node_keys(endpoint: str) -> AccessKeys | Failure:
    """Return the keys, or a failure that names the request, or the field."""
    try:
        token = ask(endpoint, "PUT", TOKEN_PATH, {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        headers = {"X-aws-ec2-metadata-token": decode(token, _TOKEN, "its token")}
        role = decode(ask(endpoint, "GET", ROLES_PATH, headers).strip(), _ROLE, "the name of its role")
        return parse_keys(role, ask(endpoint, "GET", ROLES_PATH + role, headers))
    except NodeKeysError as error:
        problem = f"the node's metadata service at {endpoint} returned no credentials of a role: {error}"
        return Failure("NodeCredentialsMissing", problem, is_permanent=False)


def ask(endpoint: str, method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """Send one request; return the body of a response with status 200."""
    try:
        response = send(Request(method, parse_url(endpoint)._replace(path=path), headers), Route(), LIMITS)
    except RequestError as error:
        raise NodeKeysError(f"{method} {path}: {error.reason}") from error
    if response.status != OK:
        raise NodeKeysError(f"{method} {path}: status {response.status}")
    return response.body


def decode(body: bytes, expected: re.Pattern[bytes], what: str) -> str:
    """Return a body as text."""
    if not expected.fullmatch(body):
        raise NodeKeysError(f"{what} is malformed")
    return body.decode("ascii")


def parse_keys(role: str, body: bytes) -> AccessKeys:
    """Check each field of the credential document."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NodeKeysError("its credential document is not JSON") from error
    if not isinstance(document, dict):
        raise NodeKeysError("its credential document is not an object")
    for name, same in FIELDS.items():
        value = document.get(name)
        if not isinstance(value, str) or len(value) > MAX_LENGTHS[same] or not is_printable(value):
            raise NodeKeysError(f"{name} is missing or malformed")
    return AccessKeys(f"the node's role {role}", *(document[name] for name in FIELDS))
