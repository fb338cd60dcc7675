"""Turns a parsed response of STS into credentials, a transient failure or a permanent failure. Pure functions."""

from collections.abc import Mapping

from contract.text import quote
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.sts.codes import TRANSIENT_CODES
from sidecar.sts.timestamps import parse_date

MESSAGE_LENGTH = 1024
"""Characters of STS's message that are kept: it goes into the log, the status and the clients' responses."""

CODE_LENGTH = 128

CLOCK_TOLERANCE_SECONDS = 30
"""Network delay and the Date header's whole seconds. Credentials are withdrawn a minute early in any case."""

UNREADABLE = Failure("InvalidResponse", "the response is not from STS, or it was truncated", is_permanent=False)

REQUIRED_FIELDS = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")

UNFETCHED_KEYS = "Couldn't retrieve verification key"
"""STS's message of an InvalidIdentityToken when it could not get the issuer's keys: the token was not judged."""

RETRY_ONCE_CODES = frozenset({"InvalidIdentityToken"})
"""Permanent, but one more attempt reads the token file again: the kubelet may just have replaced it.

STS also returns this code for some seconds after an OIDC provider or a signing key was added.
"""


def classify(code: str, message: str, status: int) -> Failure:
    """Decide by STS's error code and the HTTP status whether an error is transient or permanent."""
    if not code:  # a proxy's 403 or 407, with an HTML page
        return UNREADABLE
    is_transient = (
        code in TRANSIENT_CODES
        or (code == "InvalidIdentityToken" and message.startswith(UNFETCHED_KEYS))
        or status >= 500  # noqa: PLR2004 - HTTP status codes
        or status == 429  # noqa: PLR2004
    )
    shown = quote(message, MESSAGE_LENGTH)
    return Failure(quote(code, CODE_LENGTH), shown, is_permanent=not is_transient)


def find_missing(fields: Mapping[str, object]) -> Failure | None:
    """Return a failure if STS responded without one of the credentials' fields."""
    if missing := [name for name in REQUIRED_FIELDS if not fields.get(name)]:
        return Failure("IncompleteResponse", f"STS responded without {', '.join(missing)}", is_permanent=False)
    return None


def build_credentials(
    role_arn: str, fields: Mapping[str, str], expires_at: int, date: str | None, now: float
) -> Credentials:
    """Build a role's credentials from fields of which none is missing."""
    return Credentials(
        role_arn=role_arn,
        access_key_id=fields["AccessKeyId"],
        secret_access_key=fields["SecretAccessKey"],
        session_token=fields["SessionToken"],
        obtained_at=int(now),
        expires_at=expires_at,
        clock_ahead_seconds=measure_clock(date, now),
    )


def measure_clock(date: str | None, now: float) -> int:
    """By how many seconds this machine's clock is ahead of STS's Date header; 0 if there is no valid header.

    Expiration is a time by STS's clock: with a local clock that is wrong by hours, new credentials would look expired,
    or expired ones valid.
    """
    try:
        ahead = round(now - parse_date(date or ""))
    except ValueError:
        return 0
    return ahead if abs(ahead) > CLOCK_TOLERANCE_SECONDS else 0
