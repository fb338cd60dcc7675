"""The URL of STS for a configuration. Pure functions.

A test compares it with botocore's resolver for every region of every partition, with FIPS and with dual-stack.
"""

from typing import NamedTuple

from sidecar.config import Config


class Domains(NamedTuple):
    """The domains of a partition's endpoints."""

    ipv4: str
    dual_stack: str
    """Of endpoints that have IPv4 and IPv6 addresses."""


DOMAINS = {
    "cn-": Domains("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    "us-iso-": Domains("c2s.ic.gov", "api.aws.ic.gov"),
    "us-isob-": Domains("sc2s.sgov.gov", "api.aws.scloud"),
    "eu-isoe-": Domains("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    "us-isof-": Domains("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    "eusc-": Domains("amazonaws.eu", "api.amazonwebservices.eu"),
}
"""A region's prefix and its partition's domains.

https://docs.aws.amazon.com/general/latest/gr/sts.html
"""

OTHER_DOMAINS = Domains("amazonaws.com", "api.aws")
"""Of the partitions aws and aws-us-gov."""

GOVCLOUD = "us-gov-"
"""Its usual IPv4 endpoint is its FIPS endpoint."""


def find_sts_url(config: Config) -> str:
    """Return the configured endpoint, else the region's. Never the global endpoint."""
    return config.sts_endpoint or build_sts_url(
        config.region, use_fips=config.use_fips, use_dual_stack=config.use_dualstack
    )


def build_sts_url(region: str, *, use_fips: bool, use_dual_stack: bool) -> str:
    """Build the URL of a region's STS. Not every region has one with FIPS: then its name has no address."""
    domains = next((domains for prefix, domains in DOMAINS.items() if region.startswith(prefix)), OTHER_DOMAINS)
    has_fips_name = use_fips and (use_dual_stack or not region.startswith(GOVCLOUD))
    host = "sts-fips" if has_fips_name else "sts"
    return f"https://{host}.{region}.{domains.dual_stack if use_dual_stack else domains.ipv4}"
