"""What a person does about each failure: one table, by STS's code or our own word for what kept us from asking it.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html, Errors
https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
"""

from sidecar.credentials.schedule import Failure

_NETWORK = (
    "Check the way to STS: a NetworkPolicy, a proxy, a VPC endpoint for sts in the region, or PODROLE_STS_ENDPOINT."
)
_SLOW = "Nothing at once: it is asked again by itself. If it lasts, ask AWS for a higher rate of STS calls."
_TOKEN = "Look at the volume podrole-token of the pod: the kubelet writes the token there."  # noqa: S105 - a sentence
_CHILD = "Look at the sidecar's log; if it was ended for want of memory, raise its limit."
_CLOCK = "No AWS key is used for this call, so check PODROLE_STS_ENDPOINT and the clock of the node."
_OURS = "Report it with the sidecar's log: podrole sends no such thing."

HINTS = {
    "AccessDenied": (
        "Let the role's trust policy name the cluster's issuer and this ServiceAccount, "
        "`podrole trust-policy` prints it; and see that the role exists."
    ),
    "InvalidIdentityToken": (
        "Make an IAM OIDC provider for the cluster's issuer in the role's account, "
        "with the audience sts.amazonaws.com and the issuer's present keys."
    ),
    "ExpiredTokenException": (
        "Check the clock of the node, and that the kubelet renews the token of the volume podrole-token."
    ),
    "IDPCommunicationError": (
        "Make the issuer's discovery document and its keys reachable from the internet, without a login, "
        "and look for a rate limit in front of it."
    ),
    "IDPRejectedClaim": "Compare the token's claims with the role's trust policy: `podrole trust-policy` prints it.",
    "RegionDisabledException": (
        "Activate STS for the region in the role's account, or configure a region that is active."
    ),
    "ValidationError": (
        "Compare podrole.io/session-duration with the role's MaxSessionDuration, and the role's ARN with IAM."
    ),
    "MalformedPolicyDocument": _OURS,
    "PackedPolicyTooLarge": "Shorten the session tags that the identity provider puts into the token.",
    "InvalidClientTokenId": _CLOCK,
    "SignatureDoesNotMatch": _CLOCK,
    "UnrecognizedClientException": _CLOCK,
    "Throttling": _SLOW,
    "TokenUnreadable": _TOKEN,
    "TokenEmpty": _TOKEN,
    "EndpointConnectionError": _NETWORK,
    "ConnectTimeoutError": _NETWORK,
    "ConnectionClosedError": _NETWORK,
    "ReadTimeoutError": _NETWORK,
    "Timeout": _NETWORK,
    "ProxyConnectionError": "Check PODROLE_STS_PROXY, and whether that proxy lets the pod ask STS.",
    "SSLError": (
        "Check what ends TLS on the way to STS: its certificate is not one that the sidecar trusts. "
        "A private authority is named by PODROLE_STS_CA."
    ),
    "NodeCredentialsMissing": (
        "See that the node has an instance profile, and that its metadata service answers pods: "
        "the response hop limit of its tokens must be 2 at least."
    ),
    "UnreadableAnswer": "Check PODROLE_STS_ENDPOINT, and for a proxy or a login page on the way: no STS answers there.",
    "IncompleteAnswer": "Check PODROLE_STS_ENDPOINT: what answers there is no complete STS.",
    "ChildFailed": _CHILD,
    "SpawnFailed": "Give the pod more processes, or the sidecar more memory.",
}

CHAINED_HINTS = {
    "AccessDenied": (
        "Allow the role that assumes sts:AssumeRole on the one that is assumed, whose trust policy must name it; "
        "an external id must be the one of that policy; session tags need sts:TagSession at both."
    ),
    "ValidationError": (
        "Compare the external id, the session tags and podrole.io/session-duration, one hour at most, with what IAM "
        "takes; and the role's ARN."
    ),
    "PackedPolicyTooLarge": "Shorten podrole.io/session-tags.",
    "ExpiredTokenException": "Nothing at once: the chain begins anew. If it lasts, check the clock of the node.",
    **dict.fromkeys(
        ("InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"),
        "Check the clock of the node and PODROLE_STS_ENDPOINT: all keys must be of the same STS.",
    ),
}
"""Where one role assumes another: the token and its issuer have no part in that."""

PERMANENT = "Look the code up in the errors of AssumeRoleWithWebIdentity: STS will not change its answer by itself."
TRANSIENT = "Nothing at once: it is asked again by itself. If it lasts, see whether AWS reports trouble with STS."


def find_hint(failure: Failure) -> str:
    """One or two sentences for a person; for a code that is not in the table, what its kind calls for."""
    if failure.is_chained and failure.code in CHAINED_HINTS:
        return CHAINED_HINTS[failure.code]
    return HINTS.get(failure.code) or (PERMANENT if failure.is_permanent else TRANSIENT)
