"""Decides from a request's head whether it is answered, and normalizes its path: pure functions.

It protects against three attacks. With DNS rebinding a web page resolves its own name to a metadata address and reaches
this server through a browser in the pod: its Host header and browser headers give it away. With SSRF a proxy in the
pod forwards a request from outside: the headers that proxies add give it away. And a port-forward reaches the
sidecar's port without the redirect, through which the requests of the pod's SDKs come.
https://aws.amazon.com/blogs/security/defense-in-depth-open-firewalls-reverse-proxies-ssrf-vulnerabilities-ec2-instance-metadata-service/
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import contract
from contract.modes import Mode
from sidecar.config import Config


def _list_hosts(*names: str) -> frozenset[str]:
    """IPv6 addresses without brackets too: awscrt writes none."""
    return frozenset((*names, *(f"[{name}]" for name in names if ":" in name)))


HOSTS = _list_hosts(*contract.METADATA_ADDRESSES, "127.0.0.1", "::1", "localhost")
"""What the Host header of a request can be that the redirect did not lead here."""


def list_redirected_hosts(region: str) -> frozenset[str]:
    """Return what it can be in a redirected request: EC2's names of 169.254.169.254 too, as the client resolved them.

    A VPC's resolver knows the name `instance-data` in the domain of the region.
    https://docs.aws.amazon.com/vpc/latest/userguide/DHCPOptionSet.html
    """
    aliases = (f"instance-data{domain}" for domain in ("", ".ec2.internal", f".{region}.compute.internal"))
    return _list_hosts(*contract.METADATA_ADDRESSES, *aliases)


FORWARDING_HEADERS = frozenset({"x-forwarded-for", "forwarded", "via"})
BROWSER_HEADERS = frozenset({"origin", "referer", "sec-fetch-site"})
"""Not Sec-Fetch-Mode: the fetch() of Node.js, which is not a browser, sends it too."""

AUTHORIZATION = re.compile(r"[!-+\--~]+")
"""One value, not two joined by a comma, and without a scheme, as SDKs send it to EKS's agent.

With SSRF an attacker can choose a URL with a user name, which clients send as `Basic ...`, and an app may add its own
`Bearer ...`.
"""

_ABSOLUTE_URI = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)
_PORT = re.compile(r":\d{1,5}$", re.ASCII)
_DATED_VERSION = re.compile(r"^/(?:\d{4}-\d{2}-\d{2}|1\.0)(?=/|$)", re.ASCII)
_AMBIGUOUS = re.compile("%(?:2f|5c|25)", re.IGNORECASE)
_ESCAPE = re.compile("%([0-9a-f]{2})", re.IGNORECASE)
_SLASHES = re.compile("//+")
_FORBIDDEN = re.compile(r"[^!-$&-\[\]-~]|/\.\.?(?:/|$)")
"""Not allowed in a decoded path: control characters, spaces, non-ASCII bytes, backslashes, dot segments, and percent
signs, which remain after an invalid encoding."""


class Rejection(NamedTuple):
    """Why a request is rejected, and with which HTTP status."""

    status: int
    reason: str


NOT_REDIRECTED = Rejection(403, "destination")
NOT_AUTHORIZED = Rejection(403, "authorization")


def list_direct_paths(config: Config) -> frozenset[str] | None:
    """Return the paths for requests that the redirect did not lead here; None if all paths are for them (env mode)."""
    if config.mode == Mode.ENV:
        return None
    return frozenset((contract.STATUS_PATH, *((config.credentials_path,) if config.serve_loopback else ())))


def filter_request(
    method: str, target: str, headers: Mapping[str, str], hosts: frozenset[str] = HOSTS
) -> str | Rejection:
    """Return the request's canonical path, or why it is rejected.

    `target` is the unmodified target of the request line, `headers` are by lower-case name.
    """
    absolute = _ABSOLUTE_URI.fullmatch(target)
    # A client that is configured with a proxy sends an absolute URI. Its host and the Host header must both be allowed.
    uri_host, relative = absolute.groups() if absolute else (None, target)
    if not (is_allowed_host(uri_host, hosts) and is_allowed_host(headers.get("host"), hosts)):
        return Rejection(403, "host")
    if not FORWARDING_HEADERS.isdisjoint(headers):
        return Rejection(403, "forwarded")
    if not BROWSER_HEADERS.isdisjoint(headers):
        return Rejection(403, "browser")
    return canonicalize(method, relative.partition("?")[0])


def is_allowed_host(host: str | None, hosts: frozenset[str]) -> bool:
    """Whether a Host value is one of these hosts, with or without a port. None is a missing one."""
    if host is None:
        return True
    name = host.lower()
    return name in hosts or _PORT.sub("", name) in hosts


def canonicalize(method: str, path: str) -> str | Rejection:
    """Normalize a path: no duplicate or trailing slashes, `latest` for a dated version.

    It is decoded once; encoded slashes, backslashes and percent signs are rejected, as other parsers could read
    another path.
    """
    decoded = _ESCAPE.sub(_decode, path)
    if not decoded.startswith("/") or _AMBIGUOUS.search(path) or _FORBIDDEN.search(decoded):
        return Rejection(404, "path")
    clean = _SLASHES.sub("/", decoded).rstrip("/") or "/"
    latest = _DATED_VERSION.sub("/latest", clean)
    if method == "PUT" and latest != clean:  # EC2 issues tokens under /latest only, by design
        return Rejection(403, "version")
    return latest


def _decode(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))
