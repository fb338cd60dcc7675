"""The error codes of STS that the sidecar knows, and the codes that metrics name."""

from sidecar.sts.hints import HINTS

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

SERVER_ERRORS = frozenset({"500", "502", "503", "504"})
"""The code of a load balancer's page is its status."""

NAMED_CODES = TRANSIENT_CODES | HINTS.keys() | SERVER_ERRORS | {"InternalFailure", "ServiceUnavailable"}
"""Values of the label `code`. Any server can send any other code, which counts as OTHER."""

OTHER = "other"


def name_code(code: str) -> str:
    """Return a failure's code for a metric's label."""
    return code if code in NAMED_CODES else OTHER
