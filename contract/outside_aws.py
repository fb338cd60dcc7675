"""Whether STS is AWS's. Stores outside AWS have regions and ARNs of other forms.

| store                     | ARNs of roles                              |
|---------------------------|--------------------------------------------|
| Ceph with accounts        | `arn:aws:iam::RGW00889737169837717:role/x` |
| Ceph without or with them | `arn:aws:iam:::role/x`                     |
| Ceph with a tenant        | `arn:aws:iam::tenant:role/x`               |
| MinIO                     | `arn:minio:iam:::role/x`                   |
| SeaweedFS                 | `arn:aws:iam::role/x`                      |

https://docs.ceph.com/en/latest/radosgw/account/, https://github.com/minio/minio/blob/master/docs/sts/web-identity.md
"""

import re

AWS_DOMAINS = (
    "amazonaws.com",
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws.hci.ic.gov",
)
"""Of AWS's endpoints, VPC endpoints included. Those of `sidecar.sts.endpoints`, as a test shows."""


def is_outside_aws(endpoint: str | None) -> bool:
    """Whether this STS endpoint, None for the region's own, has a name that is not AWS's."""
    found = re.match(r"https?://([\w.-]+|\[[0-9A-Fa-f:]+\])", endpoint or "", re.ASCII)
    return found is not None and not found[1].lower().rstrip(".").endswith(tuple(f".{one}" for one in AWS_DOMAINS))


ROLE_PREFIX = r"arn:(?P<partition>[a-z][a-z0-9-]*):iam::(?:(?P<account>(?!\d{1,11}:)[\w.-]{0,64}):)?role/"
"""Of an ARN outside AWS, up to the role's path. It has no account where a store has none; fewer than twelve digits are
an AWS account with digits missing.
"""


def account_of(role_arn: str) -> str:
    """The account in a role's ARN: twelve digits, or what a store outside AWS has there, which can be nothing."""
    found = re.match(ROLE_PREFIX, role_arn, re.ASCII)
    return (found["account"] or "") if found else ""
