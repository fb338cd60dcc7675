"""The AWS partition of a region, which is a part of every ARN."""

from functools import lru_cache

PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
"""A region's prefix and its partition; every other region is in `aws`.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
"""


@lru_cache(maxsize=16)
def partition_of(region: str) -> str:
    """Return the partition of a region."""
    return next((partition for prefix, partition in PARTITIONS.items() if region.startswith(prefix)), "aws")


def build_role_arn_prefix(region: str, account_id: str) -> str:
    """Build what a role's name is appended to."""
    return f"arn:{partition_of(region)}:iam::{account_id}:role/"
