"""Which issuers of tokens AWS cannot use: it fetches their keys over https, from the internet."""

from collections.abc import Iterator
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

PRIVATE_SUFFIXES = (
    *(".svc", ".local", ".localhost", ".internal", ".lan", ".home", ".corp", ".intranet", ".private", ".test"),
    ".home.arpa",
)
"""https://www.rfc-editor.org/rfc/rfc6762#appendix-G and names that are reserved for private networks."""


class IssuerProblem(StrEnum):
    """Why AWS cannot use an issuer, or only with care."""

    NOT_HTTPS = "it is not an https:// URL"
    NOT_PUBLIC = "its host can be reached only from inside the cluster or a private network"
    HAS_PORT = "it has a port number, which IAM does not accept"
    HAS_QUERY = "it has a query or a fragment, which OpenID Connect does not allow"
    ENDS_WITH_SLASH = "it ends with a slash, which the provider's URL in IAM and the policies must then have, too"


def find_issuer_problems(url: str) -> Iterator[IssuerProblem]:
    """Find what AWS objects to.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield IssuerProblem.NOT_HTTPS
        return
    if parts.scheme != "https":
        yield IssuerProblem.NOT_HTTPS
    if not _is_public(parts):
        yield IssuerProblem.NOT_PUBLIC
    if port is not None:
        yield IssuerProblem.HAS_PORT
    if parts.query or parts.fragment:
        yield IssuerProblem.HAS_QUERY
    if parts.path.endswith("/"):
        yield IssuerProblem.ENDS_WITH_SLASH


def _is_public(parts: SplitResult) -> bool:
    host = (parts.hostname or "").rstrip(".")
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(PRIVATE_SUFFIXES)
