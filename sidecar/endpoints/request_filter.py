"""Decides from a request's head whether it is answered, and normalizes its path: pure functions.

It protects against two attacks. With DNS rebinding a web page resolves its own name to a metadata address and reaches
this server through a browser in the pod: its Host header and browser headers give it away. With SSRF a proxy in the
pod forwards a request from outside: the headers that proxies add give it away.
https://aws.amazon.com/blogs/security/defense-in-depth-open-firewalls-reverse-proxies-ssrf-vulnerabilities-ec2-instance-metadata-service/
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import contract

HOST_NAMES = (*contract.METADATA_ADDRESSES, "127.0.0.1", "::1", "localhost")
HOSTS = frozenset(HOST_NAMES) | {f"[{name}]" for name in HOST_NAMES if ":" in name}
"""IPv6 addresses without brackets too: awscrt writes none."""

FORWARDING_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA")
BROWSER_HEADERS = ("HTTP_ORIGIN", "HTTP_REFERER", "HTTP_SEC_FETCH_SITE")
"""WSGI's names of the headers. Not Sec-Fetch-Mode: the fetch() of Node.js, which is not a browser, sends it too."""

_ABSOLUTE_URI = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)
_PORT = re.compile(r":\d{1,5}$")
_DATED_VERSION = re.compile(r"^/(?:\d{4}-\d{2}-\d{2}|1\.0)(?=/|$)")
_AMBIGUOUS = re.compile("%(?:2f|5c|25)", re.IGNORECASE)
_SLASHES = re.compile("/+")
_FORBIDDEN = re.compile(rb"[\x00-\x20\x7f-\xff\\%]|(?:^|/)\.{1,2}(?:/|$)")
"""Not allowed in a decoded path: control characters, spaces, non-ASCII bytes, backslashes, dot segments, and percent
signs, which remain after an invalid encoding."""


class Rejection(NamedTuple):
    """Why a request is rejected, and with which HTTP status."""

    status: int
    reason: str


def filter_request(method: str, raw_uri: str, headers: Mapping[str, str]) -> str | Rejection:
    """Return the request's canonical path, or why it is rejected.

    `raw_uri` is the request line's unmodified target, `headers` are WSGI's HTTP_ variables.
    """
    absolute = _ABSOLUTE_URI.fullmatch(raw_uri)
    # A client that is configured with a proxy sends an absolute URI. Its host and the Host header must both be allowed.
    uri_host, target = absolute.groups() if absolute else (None, raw_uri)
    if not all(host is None or is_allowed_host(host) for host in (uri_host, headers.get("HTTP_HOST"))):
        return Rejection(403, "host")
    if any(header in headers for header in FORWARDING_HEADERS):
        return Rejection(403, "forwarded")
    if any(header in headers for header in BROWSER_HEADERS):
        return Rejection(403, "browser")
    return canonicalize(method, target.partition("?")[0])


def is_allowed_host(host: str) -> bool:
    """Whether a Host value is a metadata address or loopback, with or without a port."""
    name = host.lower()
    return name in HOSTS or _PORT.sub("", name) in HOSTS


def canonicalize(method: str, path: str) -> str | Rejection:
    """Normalize a path: no duplicate or trailing slashes, `latest` for a dated version.

    It is decoded once; encoded slashes, backslashes and percent signs are rejected, as other parsers could read
    another path.
    """
    if _AMBIGUOUS.search(path):
        return Rejection(404, "path")
    decoded = unquote_to_bytes(path)
    if _FORBIDDEN.search(decoded) or not decoded.startswith(b"/"):
        return Rejection(404, "path")
    clean = _SLASHES.sub("/", decoded.decode("ascii")).rstrip("/") or "/"
    latest = _DATED_VERSION.sub("/latest", clean)
    if method == "PUT" and latest != clean:  # EC2 issues tokens under /latest only, by design
        return Rejection(403, "version")
    return latest
