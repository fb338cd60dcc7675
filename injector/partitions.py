"""The AWS partition of a region, which is a part of every ARN, and which names regions can have."""

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

_AREAS = ("af", "ap", "ca", "eu", "il", "me", "mx", "sa", "us")
"""Of regions of the partition `aws`."""

_PREFIXES = (
    *(f"{area}-" for area in _AREAS),
    *(prefix for prefix in PARTITIONS if prefix != "eusc-"),
    "eusc-[a-z]{2}-",
)
_PLACES = r"(?:north|south)?(?:east|west)|north|south|central"
REGION_PATTERN = rf"(?:{'|'.join(_PREFIXES)})(?:{_PLACES})-[1-9]"
"""Of every region so far, and of later ones within the same areas."""

KNOWN_REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "ca-west-1", "mx-central-1"),
    *("sa-east-1", "sa-west-1", "af-south-1", "il-central-1", "me-central-1", "me-south-1", "me-west-1"),
    *("eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2"),
    *(f"ap-southeast-{number}" for number in range(1, 8)),
    *("cn-north-1", "cn-northwest-1", "us-gov-east-1", "us-gov-west-1", "us-iso-east-1", "us-iso-west-1"),
    *("us-isob-east-1", "us-isob-west-1", "us-isof-east-1", "us-isof-south-1", "eu-isoe-west-1", "eusc-de-east-1"),
)
"""The regions that AWS's SDKs know, to suggest one; other names of REGION_PATTERN are accepted too."""


@lru_cache(maxsize=16)
def partition_of(region: str) -> str:
    """Return the partition of a region."""
    return next((partition for prefix, partition in PARTITIONS.items() if region.startswith(prefix)), "aws")


def build_role_arn_prefix(region: str, account_id: str) -> str:
    """Build what a role's name is appended to."""
    return f"arn:{partition_of(region)}:iam::{account_id}:role/"
