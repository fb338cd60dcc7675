"""Turns a response of STS into credentials, a transient failure or a permanent failure. Pure functions.

Responses are dicts, as botocore parses them from STS's XML.
"""

from email.utils import parsedate_to_datetime
from typing import Any

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure

CLOCK_TOLERANCE_SECONDS = 30
"""Network delay and the Date header's whole seconds. Credentials are withdrawn a minute early in any case."""

TRANSIENT_CODES = frozenset(
    {
        "ExpiredTokenException",  # the next attempt reads the file again, which the kubelet replaces
        "IDPCommunicationError",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "SlowDown",
        "TooManyRequests",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""A retry may succeed after these codes; any other 4xx is a permanent error.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html, Errors, and the codes that
botocore's standard retry mode retries.
"""

UNREADABLE = Failure("InvalidResponse", "the response is not from STS, or it was truncated", is_permanent=False)

RETRY_ONCE_CODES = frozenset({"InvalidIdentityToken"})
"""Permanent, but one more attempt reads the token file again: the kubelet may just have replaced it.

STS also returns this code for some seconds after an OIDC provider or a signing key was added.
"""


def classify(response: dict[str, Any]) -> Failure:
    """Decide by STS's error code and the HTTP status whether an error is transient or permanent."""
    error = response.get("Error") or {}
    code, message = error.get("Code", ""), error.get("Message", "")
    if not code:  # a proxy's 403 or 407, with an HTML page
        return UNREADABLE
    status = response["ResponseMetadata"].get("HTTPStatusCode", 0)
    is_transient = code in TRANSIENT_CODES or status >= 500 or status == 429  # noqa: PLR2004 - HTTP status codes
    return Failure(code, message, is_permanent=not is_transient)


def parse_response(response: dict[str, Any], role_arn: str, now: float) -> Credentials | Failure:
    """Build a role's credentials; a response without one of their fields is a failure."""
    document = response.get("Credentials") or {}
    required = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    if missing := [name for name in required if not document.get(name)]:
        return Failure("IncompleteResponse", f"STS responded without {', '.join(missing)}", is_permanent=False)
    return Credentials(
        role_arn=role_arn,
        access_key_id=document["AccessKeyId"],
        secret_access_key=document["SecretAccessKey"],
        session_token=document["SessionToken"],
        obtained_at=int(now),
        expires_at=int(document["Expiration"].timestamp()),
        clock_ahead_seconds=measure_clock(response["ResponseMetadata"]["HTTPHeaders"].get("date"), now),
    )


def measure_clock(date: str | None, now: float) -> int:
    """By how many seconds this machine's clock is ahead of STS's Date header; 0 if there is no valid header.

    Expiration is a time by STS's clock: with a local clock that is wrong by hours, new credentials would look expired,
    or expired ones valid.
    """
    try:
        ahead = round(now - parsedate_to_datetime(date or "").timestamp())
    except (ValueError, OverflowError):
        return 0
    return ahead if abs(ahead) > CLOCK_TOLERANCE_SECONDS else 0
