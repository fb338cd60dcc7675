"""Which requests are looked at at all, and which path they mean: pure functions over one request's head.

Two threats decide. A web page that resolves its own name to a metadata address (DNS rebinding) reaches this server
through a browser in the pod: it is known by its Host and by a browser's headers. A proxy in the pod that forwards
requests of strangers (SSRF) is known by what proxies add.
https://aws.amazon.com/blogs/security/defense-in-depth-open-firewalls-reverse-proxies-ssrf-vulnerabilities-ec2-instance-metadata-service/
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import contract

NAMES = (*contract.METADATA_ADDRESSES, "127.0.0.1", "::1", "localhost")
HOSTS = frozenset(NAMES) | {f"[{name}]" for name in NAMES if ":" in name}
"""Without brackets as well: awscrt writes none."""

FORWARDING_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA")
BROWSER_HEADERS = ("HTTP_ORIGIN", "HTTP_REFERER", "HTTP_SEC_FETCH_SITE")
"""WSGI's names of headers. Not Sec-Fetch-Mode: the fetch() of Node.js sends it, too, and is no browser."""

_ABSOLUTE_URI = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)
_PORT = re.compile(r":\d{1,5}$")
_DATED_VERSION = re.compile(r"^/(?:\d{4}-\d{2}-\d{2}|1\.0)(?=/|$)")
_AMBIGUOUS = re.compile("%(?:2f|5c|25)", re.IGNORECASE)
_SLASHES = re.compile("/+")
_FORBIDDEN = re.compile(rb"[\x00-\x20\x7f-\xff\\%]|(?:^|/)\.{1,2}(?:/|$)")
"""What no metadata path holds once it is decoded: control characters, blanks, 8-bit, backslashes, dot segments,
and percent signs, which are what a broken encoding leaves."""


class Rejection(NamedTuple):
    """A request that gets no answer of substance."""

    status: int
    reason: str


def filter_request(method: str, raw_uri: str, headers: Mapping[str, str]) -> str | Rejection:
    """Return the path that a request means, in its one canonical form, or why it is rejected.

    `raw_uri` is the request line's target as it came, `headers` are WSGI's HTTP_ variables.
    """
    absolute = _ABSOLUTE_URI.fullmatch(raw_uri)
    # A client that believes in a proxy sends the whole URI. Where header and URI differ, neither may be a stranger.
    named, target = absolute.groups() if absolute else (None, raw_uri)
    if not all(host is None or is_allowed_host(host) for host in (named, headers.get("HTTP_HOST"))):
        return Rejection(403, "host")
    if any(header in headers for header in FORWARDING_HEADERS):
        return Rejection(403, "forwarded")
    if any(header in headers for header in BROWSER_HEADERS):
        return Rejection(403, "browser")
    return canonicalize(method, target.partition("?")[0])


def is_allowed_host(host: str) -> bool:
    """Whether a Host names a metadata address or loopback, with a port or without."""
    name = host.lower()
    return name in HOSTS or _PORT.sub("", name) in HOSTS


def canonicalize(method: str, path: str) -> str | Rejection:
    """Fold the many spellings of a path into one: no runs of slashes, none at the end, `latest` for a dated version.

    Decoded once; an encoded slash or percent sign is rejected, as a second reader could take it for another path.
    """
    if _AMBIGUOUS.search(path):
        return Rejection(404, "path")
    decoded = unquote_to_bytes(path)
    if _FORBIDDEN.search(decoded) or not decoded.startswith(b"/"):
        return Rejection(404, "path")
    clean = _SLASHES.sub("/", decoded.decode("ascii")).rstrip("/") or "/"
    latest = _DATED_VERSION.sub("/latest", clean)
    if method == "PUT" and latest != clean:  # EC2 makes tokens under /latest alone, by design
        return Rejection(403, "version")
    return latest
