"""The environment variables that the injector reads, what each must match, and what is wrong with an environment."""

import re
from collections.abc import Iterator, Mapping

from injector.partitions import partition_of

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
    "PODROLE_CREDENTIAL_SOURCE": (r"web-identity|node", "web-identity or node (unsafe)"),
    "PODROLE_STS_ENDPOINT": ENDPOINT,
    "PODROLE_STS_CA": ABSOLUTE_PATH,
    "PODROLE_STS_PROXY": PROXY,
    "PODROLE_USE_FIPS": BOOLEAN,
    "PODROLE_AWS_ENDPOINT_URL": (r"https?://\S+", "a URL with http:// or https://"),
    "PODROLE_REDIRECT_BACKEND": (r"nftables|iptables", "nftables or iptables"),
    "PODROLE_PODS_WITHOUT_ROLE": (r"block|ignore", "block or ignore"),
    "PODROLE_MODE": (r"auto|redirect|env", "auto, redirect or env"),
    "PODROLE_ALLOW_OVERRIDES": (
        r"(inject|mode|metadata-passthrough)(,(inject|mode|metadata-passthrough))*",
        "a list of inject, mode and metadata-passthrough, with a comma between them",
    ),
    "PODROLE_ALLOWED_ROLES_FORMAT": (r"glob|regexp", "glob or regexp"),
    "PODROLE_NATIVE_SIDECARS_CONFIRMED": BOOLEAN,
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


def find_problems(environ: Mapping[str, str], required: dict[str, tuple[str, str]]) -> Iterator[str]:
    """All that is wrong, each a sentence that names the variable and what it must be."""
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
