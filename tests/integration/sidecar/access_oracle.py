"""The fuzz test's oracle: which requests may get credentials, as strictly as docs/wire.md allows.

It is a second implementation of the request filter and the token check, as regular expressions over raw bytes.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from testing.sidecars import POD_UID

HEAD = re.compile(
    rb"(?P<method>[A-Z]+) (?P<target>[^ \r\n]+) HTTP/1\.[0-9]\r\n(?P<headers>(?:[^\r\n:]+:[^\r\n]*\r\n)*)\r\n"
)
HOST = re.compile(
    rb"(?:169\.254\.169\.254|169\.254\.170\.2|169\.254\.170\.23|127\.0\.0\.1|localhost"
    rb"|\[?fd00:ec2::254\]?|\[?fd00:ec2::23\]?|\[?::1\]?)(?::[0-9]{1,5})?",
    re.IGNORECASE,
)
ABSOLUTE_URI = re.compile(rb"https?://([^/?#]+)(/.*)", re.IGNORECASE)
ROLE_DOCUMENT = re.compile(rb"/+(?:latest|1\.0|\d{4}-\d\d-\d\d)/+meta-data/+iam/+security-credentials/+reader/*")
ECS_ENDPOINT = re.compile(rb"/+v2/+credentials/+" + POD_UID.encode() + rb"/*")
EKS_ENDPOINT = re.compile(rb"/+v1/+credentials/*")
AUTHORIZATION = re.compile(rb"[^ ,\x00-\x1f\x7f-\xff]+")
AMBIGUOUS = re.compile(rb"%(2f|5c|25)|\\", re.IGNORECASE)
FORBIDDEN_HEADERS = {b"x-forwarded-for", b"forwarded", b"via", b"origin", b"referer", b"sec-fetch-site"}
TOKEN_HEADER = b"x-aws-ec2-metadata-token"


class TokenPolicy(NamedTuple):
    """The valid token of a sidecar, and whether its metadata paths require one."""

    valid_token: bytes
    is_required: bool


class Request(NamedTuple):
    """One request head, parsed."""

    method: bytes
    hosts: list[bytes]
    """Of the absolute URI and of all Host headers."""

    path: bytes
    headers: list[tuple[bytes, bytes]]
    """Lower-case names and stripped values."""

    def values(self, name: bytes) -> list[bytes]:
        """Return all values of a header."""
        return [value for header, value in self.headers if header == name]


def parse_heads(sent: bytes) -> list[Request]:
    """Parse every request head in `sent`: at its start and after each line end, as a body may contain one.

    A server ignores line feeds before a request line: https://www.rfc-editor.org/rfc/rfc9112#section-2.2
    """
    starts = {match.end() for match in re.finditer(rb"(?:\A|\r\n)[\r\n]*", sent)}
    starts |= {match.end() for match in re.finditer(rb"\r\n", sent)}
    return [_parse_head(head) for start in starts if (head := HEAD.match(sent, start))]


def _parse_head(head: re.Match[bytes]) -> Request:
    lines = (line.split(b":", 1) for line in head["headers"].split(b"\r\n") if line)
    headers = [(name.lower(), value.strip(b" \t")) for name, value in lines]
    absolute = ABSOLUTE_URI.fullmatch(head["target"])
    uri_hosts, target = ([absolute[1]], absolute[2]) if absolute else ([], head["target"])
    hosts = [value for name, value in headers if name == b"host"]
    return Request(head["method"], uri_hosts + hosts, target.split(b"?", 1)[0], headers)


def may_get_credentials(request: Request, policy: TokenPolicy) -> bool:
    """Whether the response to this request may contain credentials."""
    return (
        request.method == b"GET"
        and len(request.values(b"host")) <= 1
        and all(HOST.fullmatch(host) for host in request.hosts)
        and not FORBIDDEN_HEADERS & {name for name, _ in request.headers}
        and not AMBIGUOUS.search(request.path)
        and _is_allowed_path(request, policy)
    )


def _is_allowed_path(request: Request, policy: TokenPolicy) -> bool:
    path = unquote_to_bytes(request.path)
    if ECS_ENDPOINT.fullmatch(path):
        return True
    if EKS_ENDPOINT.fullmatch(path):
        values = request.values(b"authorization")
        return len(values) == 1 and AUTHORIZATION.fullmatch(values[0]) is not None
    tokens = request.values(TOKEN_HEADER)
    has_access = tokens == [policy.valid_token] or (not tokens and not policy.is_required)
    return has_access and ROLE_DOCUMENT.fullmatch(path) is not None


def count_allowed(sent: bytes, policy: TokenPolicy) -> int:
    """Return how many responses to `sent` may contain credentials."""
    return sum(may_get_credentials(request, policy) for request in parse_heads(sent))
