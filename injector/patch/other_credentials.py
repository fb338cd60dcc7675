"""Variables of app containers that lead AWS SDKs to other credentials than the pod's role.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

import re
from collections.abc import Collection, Iterator, Mapping

from contract import EKS_CREDENTIALS_PATH, METADATA_ADDRESSES
from injector.explanations import explain_each
from injector.k8s.objects import Object
from injector.patch.no_proxy import is_set
from injector.reasons import Explanation, Reason

FULL_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
METADATA_ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
AUTHORIZATION = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
"""What SDKs send to the URI, whichever it is."""

POD_IDENTITY_PREFIX = "AWS_CONTAINER_"
OVERRIDING_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCESS_KEY",  # the SDKs for Java v1 and Go v1
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    METADATA_ENDPOINT,
)
"""Static keys and IRSA: SDKs use these before container credentials (of which EKS Pod Identity is one kind)."""

PROFILE_CONSEQUENCE = "AWS SDKs use the credentials of this profile, or fail (ProfileNotFound) where no file has it"
FILE_CONSEQUENCE = "if the file has keys, AWS SDKs prefer them to the pod's role"
SHARED_CONFIG = {
    "AWS_PROFILE": PROFILE_CONSEQUENCE,
    "AWS_DEFAULT_PROFILE": PROFILE_CONSEQUENCE,
    "AWS_SHARED_CREDENTIALS_FILE": FILE_CONSEQUENCE,
    "AWS_CREDENTIAL_FILE": FILE_CONSEQUENCE,
    "AWS_CREDENTIAL_PROFILES_FILE": FILE_CONSEQUENCE,
    "BOTO_CONFIG": FILE_CONSEQUENCE,
    "AWS_CONFIG_FILE": "if the file's profile names keys, a role or a process, AWS SDKs prefer them to the pod's role",
}
"""Variables of the shared configuration, and what each does. AWS_CREDENTIAL_FILE and BOTO_CONFIG are botocore's,
AWS_CREDENTIAL_PROFILES_FILE is of the SDK for Java v1.

https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
https://docs.aws.amazon.com/boto3/latest/guide/credentials.html
"""


def list_redirected(present: Mapping[str, Object], *, ipv6_only: bool) -> Iterator[str]:
    """List the variables whose URLs the redirect leads to the sidecar, as that of EKS Pod Identity."""
    paths = {METADATA_ENDPOINT: "/?"}
    if any(is_set(name, present) for name in AUTHORIZATION):
        paths[FULL_URI] = EKS_CREDENTIALS_PATH
    for name, path in paths.items():
        value = present[name].get("value") if name in present else None
        if isinstance(value, str) and re.fullmatch(_build_prefix(ipv6_only=ipv6_only) + path, value, re.IGNORECASE):
            yield name


def _build_prefix(*, ipv6_only: bool) -> str:
    hosts = [re.escape(f"[{one}]" if ":" in one else one) for one in METADATA_ADDRESSES if ":" in one or not ipv6_only]
    return rf"http://({'|'.join(hosts)})(:80)?"


def warn_other_credentials(
    container: str, present: Mapping[str, Object], ours: Collection[str]
) -> Iterator[Explanation]:
    """Warn about each variable that has a value; `ours` are those that lead to the sidecar."""
    found = [name for name in present if name not in ours and is_set(name, present)]
    overriding = [name for name in found if name in OVERRIDING_VARIABLES or name.startswith(POD_IDENTITY_PREFIX)]
    if not any(name.startswith(POD_IDENTITY_PREFIX) and name not in AUTHORIZATION for name in overriding):
        overriding = [name for name in overriding if name not in AUTHORIZATION]  # only the sidecar gets the token
    yield from explain_each(
        overriding, lambda name: Reason.CREDENTIALS_OVERRIDDEN.explain(container=container, variable=name)
    )
    shared = [name for name in found if name in SHARED_CONFIG]
    yield from explain_each(
        shared,
        lambda name: Reason.SHARED_CONFIG_SET.explain(
            container=container, variable=name, consequence=SHARED_CONFIG[name]
        ),
    )
