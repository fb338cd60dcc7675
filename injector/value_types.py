"""What the values of the injector's settings must be, besides the types of `contract.value_types`."""

from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from contract.modes import Mode
from contract.outside_aws import ROLE_PREFIX
from contract.value_types import ABSOLUTE_PATH, AWS_REGION, ValueType
from contract.value_types import REGION as REGION_OF_SIDECAR
from injector.edit_distance import find_nearest
from injector.partitions import KNOWN_REGIONS, REGION_PATTERN
from injector.quantity import parse_quantity


class ModePolicy(StrEnum):
    """How the mode of a pod is chosen."""

    AUTO = "auto"
    """Env mode where PodSecurity forbids the redirect, redirect mode elsewhere."""

    REDIRECT = Mode.REDIRECT
    ENV = Mode.ENV


class RedirectBackend(StrEnum):
    """What loads the redirect rules."""

    NFTABLES = "nftables"
    IPTABLES = "iptables"


class PodsWithoutRole(StrEnum):
    """What happens to pods without a role."""

    BLOCK = "block"
    IGNORE = "ignore"


class AllowedRolesFormat(StrEnum):
    """How the patterns of iam.amazonaws.com/allowed-roles are read, as kube2iam's option of this name."""

    GLOB = "glob"
    REGEXP = "regexp"


class OverrideName(StrEnum):
    """What pods can ask for although it weakens the protection of the node's role."""

    INJECT = "inject"
    MODE = "mode"
    METADATA_PASSTHROUGH = "metadata-passthrough"


def _parse_overrides(text: str) -> frozenset[OverrideName]:
    return frozenset(map(OverrideName, filter(None, text.split(","))))


LEAST_MEMORY = "32Mi"
"""A limit that is surely enough for the sidecar: its peak is 16 MiB (docs/performance.md)."""


class ResourceRange(NamedTuple):
    """The least and most of each resource, as quantities."""

    cpu: tuple[str, ...]
    memory: tuple[str, ...]


def _parse_ranges(text: str) -> ResourceRange:
    cpu, memory = (tuple(entry.partition("=")[2].split("..")) for entry in text.split(","))
    return ResourceRange(cpu, memory)


def _is_possible_range(text: str) -> bool:
    """Whether an annotation can be within it, and the sidecar can then start."""
    needed = ResourceRange(cpu=("1m",), memory=(LEAST_MEMORY,))
    return all(
        _read(low) <= _read(high) and _read(high) >= _read(least)
        for (low, high), (least,) in zip(_parse_ranges(text), needed, strict=True)
    )


def _read(quantity: str) -> Fraction:
    return parse_quantity(quantity) or Fraction()


def _parse_rewrites(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (pair.partition("=") for pair in filter(None, text.split(",")))
    return tuple((prefix, replacement) for prefix, _, replacement in pairs)


MAX_EDITS_OF_A_REGION = 2
MAX_REGION = 64


def _suggest_region(text: str) -> str | None:
    name = text[:MAX_REGION].strip().lower().replace("_", "-")
    return find_nearest(name, KNOWN_REGIONS, MAX_EDITS_OF_A_REGION)


PARTITION_REGION = ValueType(
    "REGION",
    REGION_PATTERN,
    f"{AWS_REGION.expected}; another name needs PODROLE_STS_ENDPOINT",
    suggest=_suggest_region,
)
REGION = REGION_OF_SIDECAR._replace(within_aws=AWS_REGION._replace(without_endpoint=PARTITION_REGION))
"""The sidecar accepts more: a later injector can know a region that an earlier sidecar does not."""

PATH = ABSOLUTE_PATH._replace(parse=Path)
IMAGE = ValueType("IMAGE", r"[^\s$]+", "an image reference")
AWS_ACCOUNT_ID = ValueType("ID", r"\d{12}", "the 12 digits of an AWS account, quoted in YAML")
ACCOUNT_ID = ValueType(
    "ID",
    r"[\w.-]{1,64}",
    f"{AWS_ACCOUNT_ID.expected}; if STS is outside AWS, what ARNs have there",
    within_aws=AWS_ACCOUNT_ID,
)
AWS_ROLE_ARN_PREFIX = ValueType(
    "ARN",
    r"arn:aws[a-z-]*:iam::\d{12}:role/(?:[!-~]*/)?",
    "the prefix of role ARNs, such as arn:aws:iam::111122223333:role/",
)
ROLE_ARN_PREFIX = ValueType(
    "ARN",
    rf"{ROLE_PREFIX}(?:[!-~]*/)?",
    f"{AWS_ROLE_ARN_PREFIX.expected}; if STS is outside AWS, also such as arn:aws:iam:::role/",
    within_aws=AWS_ROLE_ARN_PREFIX,
)
URL = ValueType("URL", r"https?://\S+", "a URL that starts with http:// or https://")
OVERRIDES = ValueType(
    "LIST",
    "({0})(,({0}))*".format("|".join(OverrideName)),
    f"a list of {', '.join(OverrideName)}, separated by commas",
    parse=_parse_overrides,
)
AUDIENCE = ValueType(
    "AUDIENCE",
    r"(?!(https?://)?kubernetes(\.default(\.svc(\.[\w.-]+)?)?|\.svc\.default)?(:\d+)?/?$)[!-~]{1,255}",
    "1 to 255 printable ASCII characters without spaces, such as sts.amazonaws.com, and not the API server's audience",
)
"""STS gets the token: it must not be one for the API server. kOps's has the audience `kubernetes.svc.default`.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html, ClientIDList
"""

MAX_REWRITES = 8
_PREFIX = r"[a-z0-9][A-Za-z0-9._:/-]{0,254}/"
REWRITES = ValueType(
    "LIST",
    rf"{_PREFIX}={_PREFIX}(,{_PREFIX}={_PREFIX}){{0,{MAX_REWRITES - 1}}}",
    f"up to {MAX_REWRITES} pairs of prefixes that end with a slash, such as ghcr.io/=mirror.example.com/ghcr/",
    parse=_parse_rewrites,
)
_CPU, _MEMORY = r"\d{1,9}m?", r"\d{1,9}(?:k|M|G|Ki|Mi|Gi)?"
RESOURCE_RANGE = ValueType(
    "RANGE",
    rf"cpu={_CPU}\.\.{_CPU},memory={_MEMORY}\.\.{_MEMORY}",
    f"the least and most of CPU and memory, such as cpu=1m..1,memory=32Mi..256Mi; the most of memory is at least "
    f"{LEAST_MEMORY}",
    parse=_parse_ranges,
    is_possible=_is_possible_range,
)
ADDRESS = ValueType("ADDRESS", r"[0-9A-Fa-f.:]+", "an IP address")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DNS_LABEL = ValueType("NAME", _LABEL, "a DNS label, such as podrole-system")
DNS_SUBDOMAIN = ValueType("NAME", rf"{_LABEL}(\.{_LABEL})*", "a DNS subdomain, such as podrole.example.com")
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""
MAX_SECRETS = MAX_RUNTIME_CLASSES = 8
SECRETS = ValueType(
    "LIST",
    rf"{DNS_SUBDOMAIN.pattern}(,{DNS_SUBDOMAIN.pattern}){{0,{MAX_SECRETS - 1}}}",
    f"up to {MAX_SECRETS} names of Secrets, separated by commas",
    parse=lambda text: tuple(dict.fromkeys(filter(None, text.split(",")))),
)
RUNTIME_CLASSES = SECRETS._replace(expected=f"up to {MAX_RUNTIME_CLASSES} names of RuntimeClasses, separated by commas")
COMMON_NAME = ValueType("NAME", r"[ -~]{1,64}", "up to 64 printable ASCII characters")
