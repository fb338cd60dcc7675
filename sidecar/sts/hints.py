"""What an operator can do about each failure: one hint per error code, STS's or our own.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html, Errors
https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
"""

from sidecar.credentials.schedule import Failure

_NETWORK = (
    "Check the network path to STS: NetworkPolicies, a proxy, a VPC endpoint for sts in the region, "
    "PODROLE_STS_ENDPOINT, or PODROLE_USE_DUALSTACK for pods without IPv4."
)
_THROTTLED = "No action needed; the sidecar retries. If it persists, request a higher STS quota."
_TOKEN = "Check the volume podrole-token of the pod: the kubelet writes the token there."  # noqa: S105 - a sentence
_CLOCK = "This call is not signed with an AWS key, so check PODROLE_STS_ENDPOINT and the node's clock."
_BUG = "Report this as a bug, with the sidecar's log: podrole sends no policy."

HINTS = {
    "AccessDenied": (
        "Check that the role exists and that its trust policy allows the cluster's issuer and this ServiceAccount; "
        "`podrole trust-policy` prints that policy."
    ),
    "InvalidIdentityToken": (
        "Create an IAM OIDC provider for the cluster's issuer in the role's account, "
        "with the audience of the pod's token (by default sts.amazonaws.com) and the issuer's current keys."
    ),
    "ExpiredTokenException": (
        "Check the node's clock, and that the kubelet renews the token in the volume podrole-token."
    ),
    "IDPCommunicationError": (
        "Make the issuer's discovery document and keys reachable from the internet without authentication, "
        "and check for rate limits in front of them."
    ),
    "IDPRejectedClaim": (
        "Compare the token's claims with the role's trust policy; `podrole trust-policy` prints the expected one."
    ),
    "RegionDisabledException": "Activate STS for the region in the role's account, or configure another region.",
    "ValidationError": (
        "Compare podrole.io/session-duration with the role's MaxSessionDuration, and check the role's ARN in IAM."
    ),
    "MalformedPolicyDocument": _BUG,
    "PackedPolicyTooLarge": "Shorten the session tags that the identity provider adds to the token.",
    "InvalidClientTokenId": _CLOCK,
    "SignatureDoesNotMatch": _CLOCK,
    "UnrecognizedClientException": _CLOCK,
    "Throttling": _THROTTLED,
    "TokenUnreadable": _TOKEN,
    "TokenEmpty": _TOKEN,
    "EndpointConnectionError": _NETWORK,
    "ConnectTimeoutError": _NETWORK,
    "ConnectionClosedError": _NETWORK,
    "ReadTimeoutError": _NETWORK,
    "Timeout": _NETWORK,
    "ProxyConnectionError": "Check PODROLE_STS_PROXY, and whether that proxy allows the pod to connect to STS.",
    "SSLError": (
        "The sidecar does not trust the server's certificate: check what terminates TLS on the way to STS, and the "
        "node's clock. Configure a private CA with PODROLE_STS_CA."
    ),
    "NodeCredentialsMissing": (
        "Check that the node has an instance profile and that pods can reach its metadata service: "
        "HttpPutResponseHopLimit must be at least 2."
    ),
    "InvalidResponse": (
        "Check PODROLE_STS_ENDPOINT, and for a proxy or a login page on the way: the response is not from STS."
    ),
    "IncompleteResponse": "Check PODROLE_STS_ENDPOINT: the server's response is incomplete.",
    "InvalidField": "Check PODROLE_STS_ENDPOINT: the server's response has a field that is not STS's.",
    "ExpirationPassed": (
        "Check the node's clock, and the clock of the server at PODROLE_STS_ENDPOINT: its credentials have expired, or "
        "expire within two minutes."
    ),
    "ClockOutOfRange": "Set the node's clock: it shows a year before 1000 or after 9999.",
    "ChildFailed": "Read the sidecar's log. A process that was killed leaves nothing there: check the memory limit.",
    "OutOfMemory": "Report this as a bug, with the sidecar's log: no answer of STS needs so much memory.",
    "SpawnFailed": "Raise the pod's limit of processes, or the sidecar's memory limit.",
}

CHAINED_HINTS = {
    "AccessDenied": (
        "Check that the first role is allowed sts:AssumeRole on the second, that the second role's trust policy "
        "names the first, that the external id matches it, and that both allow sts:TagSession for session tags."
    ),
    "ValidationError": (
        "Check the external id, the session tags, podrole.io/session-duration (at most one hour) and the role's ARN."
    ),
    "PackedPolicyTooLarge": "Shorten podrole.io/session-tags.",
    "ExpiredTokenException": (
        "No action needed; the sidecar retries the whole chain. If it persists, check the node's clock."
    ),
    **dict.fromkeys(
        ("InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"),
        "Check the node's clock and PODROLE_STS_ENDPOINT: all keys must come from the same STS.",
    ),
}
"""For a role that assumes another one: the token and its issuer are not involved."""

UNFETCHED_KEYS = (
    "STS could not fetch the issuer's keys. Make its discovery document and keys reachable from the internet without "
    "authentication; the sidecar retries."
)
"""For an InvalidIdentityToken that is transient."""

OTHER_AUDIENCE = "Incorrect token audience"
"""STS's message of an InvalidIdentityToken whose audience is no client id of the provider."""

WRONG_AUDIENCE = (
    "The IAM OIDC provider does not have the audience of the pod's token as a client id: add it there, or set the "
    "audience with eks.amazonaws.com/audience on the ServiceAccount, or PODROLE_AUDIENCE on the injector."
)

PERMANENT = "Look up the code in the errors of AssumeRoleWithWebIdentity: retries fail until the cause is fixed."
TRANSIENT = "No action needed; the sidecar retries. If it persists, check whether AWS reports problems with STS."


def find_hint(failure: Failure) -> str:
    """Return one or two sentences for the operator; for an unknown code, a general one."""
    if failure.is_chained and failure.code in CHAINED_HINTS:
        return CHAINED_HINTS[failure.code]
    if failure.code == "InvalidIdentityToken" and not failure.is_permanent:
        return UNFETCHED_KEYS
    if failure.code == "InvalidIdentityToken" and failure.message.startswith(OTHER_AUDIENCE):
        return WRONG_AUDIENCE
    return HINTS.get(failure.code) or (PERMANENT if failure.is_permanent else TRANSIENT)
