"""What an answer of STS means: the values of a session, a passing fault, or a refusal for good. Pure.

Answers are dicts as botocore makes them of STS's XML.
"""

from email.utils import parsedate_to_datetime
from typing import Any

from sidecar.credentials.schedule import Failure

CLOCK_AHEAD_IGNORED_SECONDS = 30
"""What an answer's way and its Date's whole seconds can amount to. Documents are withdrawn a minute early anyway."""

TRANSIENT_CODES = frozenset(
    {
        "ExpiredTokenException",  # the kubelet has replaced the file by the next attempt, which reads it anew
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
"""Codes after which the same question may get another answer; any other 4xx is STS's refusal for good.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html, Errors, and the codes that
botocore's standard retry mode repeats.
"""

UNREADABLE = Failure("UnreadableAnswer", "what answered is not STS, or its answer was cut short", is_permanent=False)

REREAD_CODES = frozenset({"InvalidIdentityToken"})
"""A refusal of this very token: one more attempt reads the file anew, in case the kubelet has just replaced it.

STS also answers so for some seconds after a provider or a signing key is new.
"""


def classify(response: dict[str, Any]) -> Failure:
    """Tell a refusal for good from a passing fault, by STS's code and the status it came with."""
    said = response.get("Error") or {}
    code, message = said.get("Code", ""), said.get("Message", "")
    if not code:  # a proxy's 403 or 407, with a page of its own
        return UNREADABLE
    status = response["ResponseMetadata"].get("HTTPStatusCode", 0)
    is_transient = code in TRANSIENT_CODES or status >= 500 or status == 429  # noqa: PLR2004 - HTTP's own numbers
    return Failure(code, message, is_permanent=not is_transient)


def parse_response(response: dict[str, Any], now: float) -> dict[str, Any] | Failure:
    """Take the four values out of STS's answer; an answer without one of them is a failure, never half a document."""
    credentials = response.get("Credentials") or {}
    wanted = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    if missing := [name for name in wanted if not credentials.get(name)]:
        return Failure("IncompleteAnswer", f"STS answered without {', '.join(missing)}", is_permanent=False)
    key_id, secret, session_token, expiration = (credentials[name] for name in wanted)
    return {
        "access_key_id": key_id,
        "secret_access_key": secret,
        "session_token": session_token,
        "expires_at": int(expiration.timestamp()),
        "clock_ahead_seconds": measure_clock(response["ResponseMetadata"]["HTTPHeaders"].get("date"), now),
    }


def measure_clock(date: str | None, now: float) -> int:
    """By how many seconds this machine's clock is ahead of STS's, which dates its answers; 0 if that cannot be told.

    Expiration is a time by STS's clock: held against a clock that is wrong by hours, credentials would look dead from
    the start, or alive long after their end.
    """
    try:
        ahead = round(now - parsedate_to_datetime(date or "").timestamp())
    except (ValueError, OverflowError):
        return 0
    return ahead if abs(ahead) > CLOCK_AHEAD_IGNORED_SECONDS else 0
