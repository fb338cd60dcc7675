"""The injector's configuration: one frozen value from an environment. Nothing is read from anywhere else."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from injector.errors import ConfigError

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

BASE_ROLE_ARN = r"arn:(?P<partition>aws[a-z-]*):iam::\d{12}:role/(?:[!-~]*/)?"
ENDPOINT = (r"https?://[^\s/]+/?", "http:// or https://, a host, and nothing behind it")
PROXY = (r"https?://(?:[\w.-]+|\[[0-9A-Fa-f:]+\]):\d{1,5}/?", "http:// or https://, a host, and a port")
ABSOLUTE_PATH = (r"/[^\0]+", "an absolute path")
PORT = (r"\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]", "a port, or 0 for any free one")
BOOLEAN = (r"true|false", "true or false")
DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DNS_SUBDOMAIN = rf"{DNS_LABEL}(\.{DNS_LABEL})*"

REQUIRED = {
    "PODROLE_SIDECAR_IMAGE": (r"[^\s$]+", "the image that both injected containers run"),
    "PODROLE_REGION": (r"[a-z]{2,}(-[a-z]+)+-\d+", "an AWS region, such as eu-west-1"),
}
REQUIRED_FOR_TLS = {"PODROLE_TLS_CERT": ABSOLUTE_PATH, "PODROLE_TLS_KEY": ABSOLUTE_PATH}
OPTIONAL = {
    "PODROLE_ACCOUNT_ID": (r"\d{12}", "the 12 digits of an AWS account, quoted in YAML"),
    "PODROLE_BASE_ROLE_ARN": (BASE_ROLE_ARN, "the ARN in front of role names, such as arn:aws:iam::111122223333:role/"),
    "PODROLE_SOURCE": (r"web-identity|node", "web-identity or node (unsafe)"),
    "PODROLE_STS_ENDPOINT": ENDPOINT,
    "PODROLE_STS_CA": ABSOLUTE_PATH,
    "PODROLE_STS_PROXY": PROXY,
    "PODROLE_USE_FIPS": BOOLEAN,
    "PODROLE_AWS_ENDPOINT_URL": (r"https?://\S+", "a URL with http:// or https://"),
    "PODROLE_REDIRECT": (r"nftables|iptables", "nftables or iptables"),
    "PODROLE_NO_ROLE": (r"block|untouched", "block or untouched"),
    "PODROLE_MODE": (r"auto|redirect|env", "auto, redirect or env"),
    "PODROLE_ALLOW_OVERRIDES": (
        r"(inject|mode|metadata-passthrough)(,(inject|mode|metadata-passthrough))*",
        "a list of inject, mode and metadata-passthrough, with a comma between them",
    ),
    "PODROLE_ALLOWED_ROLES_FORMAT": (r"glob|regexp", "glob or regexp"),
    "PODROLE_KUBELETS_CONFIRMED": BOOLEAN,
    "PODROLE_IPV6_ONLY": BOOLEAN,
    "PODROLE_SIDECAR_METRICS": BOOLEAN,
    "PODROLE_MANIFESTS": ABSOLUTE_PATH,
    "PODROLE_TEMPLATE": ABSOLUTE_PATH,
    "PODROLE_TLS_CERT": ABSOLUTE_PATH,
    "PODROLE_TLS_KEY": ABSOLUTE_PATH,
    "PODROLE_NAMESPACE": (DNS_LABEL, "the namespace that the webhook runs in"),
    "PODROLE_SERVICE": (DNS_LABEL, "the name of the webhook's Service"),
    "PODROLE_CLUSTER_DOMAIN": (DNS_SUBDOMAIN, "a domain, such as cluster.local"),
    "PODROLE_CERTIFICATE_SECRET": (DNS_SUBDOMAIN, "the name of a Secret in PODROLE_NAMESPACE"),
    "PODROLE_WEBHOOK_CONFIGURATION": (DNS_SUBDOMAIN, "the name of a MutatingWebhookConfiguration"),
    "PODROLE_WEBHOOK_HOST": (r"[0-9A-Fa-f.:]+", "an IP address"),
    "PODROLE_WEBHOOK_PORT": PORT,
    "PODROLE_HEALTH_PORT": PORT,
}
"""Variable: what its value must match in full, and how that is said to a person."""


@dataclass(frozen=True, slots=True)
class Config:
    """What this injector adds to pods, and where it listens."""

    sidecar_image: str
    region: str
    base_role_arn: str | None = None
    """Stands before a role that is given by name. None: such a role cannot be resolved and its pod is denied."""

    source: str = "web-identity"
    """Who asks STS for a pod's role: `web-identity`, the pod itself, or `node`, the node's role, which is unsafe."""

    sts_endpoint: str | None = None
    """None: the regional endpoint of AWS."""

    sts_ca: Path | None = None
    """The authorities that STS is verified by, PEM. None: the usual ones."""

    sts_proxy: str | None = None
    """For STS alone, and without a password: every pod shows it."""

    use_fips: bool = False
    aws_endpoint_url: str | None = None
    """For stores outside AWS: the AWS_ENDPOINT_URL of app containers that set none."""

    redirect: str = "nftables"
    no_role: str = "block"
    """What becomes of a pod for which no role is named: `block` or `untouched`."""

    mode: str = "auto"
    """`auto`: env where PodSecurity forbids the redirect, redirect elsewhere. Or one of the two, everywhere."""

    allow_overrides: frozenset[str] = frozenset()
    """What pods may ask for although it opens the wall around the node's role, see `annotations.OVERRIDES`."""

    allowed_roles_format: str = "glob"
    """How the patterns of iam.amazonaws.com/allowed-roles are read: `glob` or `regexp`, as kube2iam has it."""

    kubelets_confirmed: bool = False
    """Whether the operator says that all kubelets know native sidecars, which a server below 1.32 cannot vouch for."""

    ipv6_only: bool = False
    """Whether pods have no IPv4 but on loopback: then nothing may depend on 169.254.170.2."""

    sidecar_metrics: bool = False
    """Whether each sidecar shows its metrics on a port of the pod."""

    manifests: Path | None = None
    """A folder of manifests to read namespaces and ServiceAccounts from. None: the live cluster."""

    template: Path | None = None
    """An edited template. None: the one beside this module."""

    tls_cert: Path | None = None
    tls_key: Path | None = None
    """Read, and never written. None: the webhook takes care of its certificates itself."""

    namespace: str = "podrole-system"
    service: str = "podrole-injector"
    cluster_domain: str = "cluster.local"
    """What the names in a certificate are made of."""

    certificate_secret: str = "podrole-injector-certs"  # noqa: S105 - the name of a Secret
    webhook_configuration: str = "podrole-injector"
    webhook_host: str | None = None
    """None: all addresses, of both families where the machine has both."""

    webhook_port: int = 9443
    health_port: int = 9080
    """Where /healthz, /readyz and /metrics are, without TLS."""

    @property
    def partition(self) -> str:
        """The partition that the region is in: roles of another one cannot be assumed from here."""
        return partition_of(self.region)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, with_tls: bool = False) -> Self:
        """Read the PODROLE_* variables; raise ConfigError with everything that is wrong, not with the first thing.

        `with_tls`: a certificate is needed, as it is for the webhook; manifests are no cluster that could keep one.
        """
        is_half_set = bool(environ.get("PODROLE_TLS_CERT")) != bool(environ.get("PODROLE_TLS_KEY"))
        needs_files = is_half_set or (with_tls and bool(environ.get("PODROLE_MANIFESTS")))
        if problems := list(_find_problems(environ, REQUIRED | (REQUIRED_FOR_TLS if needs_files else {}))):
            raise ConfigError("\n".join(["the environment is wrong:", *(f"  {problem}" for problem in problems)]))
        return cls(
            sidecar_image=environ["PODROLE_SIDECAR_IMAGE"],
            region=environ["PODROLE_REGION"],
            base_role_arn=_build_base_role_arn(environ),
            source=environ.get("PODROLE_SOURCE") or "web-identity",
            sts_endpoint=environ.get("PODROLE_STS_ENDPOINT") or None,
            sts_ca=_load_path(environ, "PODROLE_STS_CA"),
            sts_proxy=environ.get("PODROLE_STS_PROXY") or None,
            use_fips=environ.get("PODROLE_USE_FIPS") == "true",
            aws_endpoint_url=environ.get("PODROLE_AWS_ENDPOINT_URL") or None,
            redirect=environ.get("PODROLE_REDIRECT") or "nftables",
            no_role=environ.get("PODROLE_NO_ROLE") or "block",
            mode=environ.get("PODROLE_MODE") or "auto",
            allow_overrides=frozenset(filter(None, environ.get("PODROLE_ALLOW_OVERRIDES", "").split(","))),
            allowed_roles_format=environ.get("PODROLE_ALLOWED_ROLES_FORMAT") or "glob",
            kubelets_confirmed=environ.get("PODROLE_KUBELETS_CONFIRMED") == "true",
            ipv6_only=environ.get("PODROLE_IPV6_ONLY") == "true",
            sidecar_metrics=environ.get("PODROLE_SIDECAR_METRICS") == "true",
            manifests=_load_path(environ, "PODROLE_MANIFESTS"),
            template=_load_path(environ, "PODROLE_TEMPLATE"),
            tls_cert=_load_path(environ, "PODROLE_TLS_CERT"),
            tls_key=_load_path(environ, "PODROLE_TLS_KEY"),
            namespace=environ.get("PODROLE_NAMESPACE") or "podrole-system",
            service=environ.get("PODROLE_SERVICE") or "podrole-injector",
            cluster_domain=environ.get("PODROLE_CLUSTER_DOMAIN") or "cluster.local",
            certificate_secret=environ.get("PODROLE_CERTIFICATE_SECRET") or "podrole-injector-certs",
            webhook_configuration=environ.get("PODROLE_WEBHOOK_CONFIGURATION") or "podrole-injector",
            webhook_host=environ.get("PODROLE_WEBHOOK_HOST") or None,
            webhook_port=int(environ.get("PODROLE_WEBHOOK_PORT") or 9443),
            health_port=int(environ.get("PODROLE_HEALTH_PORT") or 9080),
        )


def partition_of(region: str) -> str:
    """The partition of a region, told by its prefix."""
    return next((partition for prefix, partition in PARTITIONS.items() if region.startswith(prefix)), "aws")


def _find_problems(environ: Mapping[str, str], required: dict[str, tuple[str, str]]) -> Iterator[str]:
    for key, (pattern, meaning) in (OPTIONAL | required).items():
        value = environ.get(key, "")
        if not value and key in required:
            yield f"{key} is not set: it must be {meaning}"
        elif value and key == "PODROLE_STS_PROXY" and "@" in value:  # not repeated: a log is no place for it either
            yield f"{key} has a user name or a password in it, which every pod would show: use a proxy without one"
        elif value and not re.fullmatch(pattern, value, re.ASCII):
            yield f"{key} is {value!r}: it must be {meaning}"
    if environ.get("PODROLE_USE_FIPS") == "true" and environ.get("PODROLE_STS_ENDPOINT"):
        yield "PODROLE_USE_FIPS and PODROLE_STS_ENDPOINT are both set: name the FIPS endpoint, or none"
    base = re.fullmatch(BASE_ROLE_ARN, environ.get("PODROLE_BASE_ROLE_ARN", ""), re.ASCII)
    if base and environ.get("PODROLE_ACCOUNT_ID"):
        yield "PODROLE_ACCOUNT_ID and PODROLE_BASE_ROLE_ARN are both set: the ARN has the account in it, keep one"
    expected = partition_of(environ.get("PODROLE_REGION", ""))
    if base and base["partition"] != expected:
        yield f"PODROLE_BASE_ROLE_ARN is of partition {base['partition']}, but PODROLE_REGION is in {expected}"


def _build_base_role_arn(environ: Mapping[str, str]) -> str | None:
    if account := environ.get("PODROLE_ACCOUNT_ID"):
        return f"arn:{partition_of(environ['PODROLE_REGION'])}:iam::{account}:role/"
    return environ.get("PODROLE_BASE_ROLE_ARN") or None


def _load_path(environ: Mapping[str, str], key: str) -> Path | None:
    value = environ.get(key)
    return Path(value) if value else None
