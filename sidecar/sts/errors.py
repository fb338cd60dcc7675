"""Decides whether an error of STS is transient or permanent. Pure functions."""

from contract.text import quote
from sidecar.credentials.schedule import Failure
from sidecar.sts.codes import TRANSIENT_CODES

MESSAGE_LENGTH = 1024
"""Characters of STS's message that are kept: it goes into the log, the status and the clients' responses."""

CODE_LENGTH = 128

UNREADABLE = Failure("InvalidResponse", "the response is not from STS, or it was truncated", is_permanent=False)

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
