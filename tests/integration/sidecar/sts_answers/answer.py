"""An answer of STS, or of what stands in its place, with the outcome that the sidecar's client must have."""

import re
from typing import NamedTuple

from testing.raw_server import Respond
from testing.services.faulty_sts import NAMESPACE, REQUEST_ID

EXPIRATION = "2026-11-29T22:56:40Z"
EXPIRES_AT = 1_795_993_000
"""Fifty minutes after the time at which the tests ask for an hour."""

GRANT = f"""\
<AssumeRoleWithWebIdentityResponse xmlns="{NAMESPACE}">
  <AssumeRoleWithWebIdentityResult>
    <Audience>sts.amazonaws.com</Audience>
    <AssumedRoleUser><AssumedRoleId>AROA:shop.web</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser>
    <Credentials>
      <SessionToken>token+/==</SessionToken>
      <SecretAccessKey>secret/key</SecretAccessKey>
      <Expiration>{EXPIRATION}</Expiration>
      <AccessKeyId>ASIAEXAMPLE</AccessKeyId>
    </Credentials>
    <Provider>arn:aws:iam::111122223333:oidc-provider/issuer</Provider>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>"""

GRANTED = "granted"
UNREADABLE = "InvalidResponse"
INCOMPLETE = "IncompleteResponse"
INVALID = "InvalidField"
PASSED = "ExpirationPassed"
CLOSED = "ConnectionClosedError"
CRASHED = "ChildFailed"
"""boto3 raises an exception that the child did not expect."""


class Answer(NamedTuple):
    """What a server sends, and what becomes of it."""

    name: str
    response: bytes | Respond
    code: str
    """Of the failure, or GRANTED."""

    is_permanent: bool = False
    message: str | None = None
    """Where it is STS's own."""

    boto3_code: str | None = None
    """Only if boto3's outcome is another one, for the reason below."""

    reason: str = ""


def build_response(status: int, body: str | bytes, *headers: str, reason: str = "Any") -> bytes:
    """Format a response with a length."""
    content = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status} {reason}", "Content-Type: text/xml", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def build_error(code: str, message: str = "as STS words it") -> str:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return f'<ErrorResponse xmlns="{NAMESPACE}">{error}<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>'


def grant_with(**changes: str | None) -> str:
    """The credentials with other fields; None leaves one out."""
    document = GRANT
    for name, value in changes.items():
        element = "" if value is None else f"<{name}>{value}</{name}>"
        document = re.sub(f"<{name}>.*</{name}>", element.replace("\\", r"\\"), document)
    return document
