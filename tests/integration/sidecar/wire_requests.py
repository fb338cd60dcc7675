"""A hypothesis strategy: requests as real clients send them, with mutations. The fuzz test's input."""

from collections.abc import Callable

from hypothesis import strategies as st

from testing.raw_http import build_request
from testing.sidecars import CREDENTIALS_PATH

ROLES = "/latest/meta-data/iam/security-credentials"
TOKEN = "x-aws-ec2-metadata-token"
TTL = "x-aws-ec2-metadata-token-ttl-seconds"
VALID_TOKEN = b"VALID-TOKEN"
"""Placeholder for a valid token of the target."""

BOTO = [("Accept-Encoding", "identity"), ("User-Agent", "Boto3/1.44 md/Botocore#1.44 ua/2.1 os/linux lang/python#3.11")]
GO = [("User-Agent", "aws-sdk-go-v2/1.47 ua/2.1 os/linux lang/go#1.24"), ("Accept-Encoding", "gzip")]
JAVA = [("User-Agent", "aws-sdk-java/2.57"), ("Accept", "*/*"), ("Connection", "keep-alive")]
CURL = [("User-Agent", "curl/8.14"), ("Accept", "*/*")]
V2 = [(TOKEN, VALID_TOKEN.decode())]
UPLOAD = [("Transfer-Encoding", "chunked"), ("Expect", "100-continue")]
FORM = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "0")]

SEEDS = [
    build_request("/latest/api/token", "PUT", [(TTL, "21600"), *BOTO, ("Content-Length", "0")]),
    build_request("/latest/api/token", "PUT", [(TTL, "300"), *GO, ("Content-Length", "0")]),
    build_request("/latest/api/token", "PUT", [(TTL, "21600"), *CURL]),
    build_request("/latest/api/token", "PUT", [(TTL, "60"), *CURL, *FORM]),
    build_request("/latest/api/token", "PUT", [(TTL, "60"), *CURL, *UPLOAD]) + b"0\r\n\r\n",
    build_request("//latest/api/token", "PUT", [(TTL, "21600"), *JAVA]),
    build_request("/latest/api/token", "PUT", [(TTL, "21600")], host="fd00:ec2::254"),
    build_request(f"{ROLES}/", headers=[*V2, *BOTO]),
    build_request(f"{ROLES}/", headers=[*V2, *GO], host="[fd00:ec2::254]"),
    build_request(ROLES, headers=[*V2, *JAVA]),
    build_request(f"{ROLES}/", headers=[("Host", "")], host=None, version="1.0"),
    build_request(f"{ROLES}/", host=None, version="1.0"),
    build_request(f"{ROLES}/reader", headers=[*V2, *BOTO]),
    build_request(f"{ROLES}/reader", headers=[*V2, *GO]),
    build_request(f"{ROLES}/reader", headers=CURL),
    build_request(f"{ROLES}/reader", "HEAD", [*V2, *CURL]),
    build_request(f"{ROLES}/reade%72/", headers=[*V2, *JAVA]),
    build_request("//latest/meta-data//iam/security-credentials/reader", headers=V2),
    build_request("/2009-04-04/meta-data/iam/security-credentials/reader", headers=CURL),
    build_request(f"http://169.254.169.254{ROLES}/reader", headers=[*V2, *BOTO]),
    build_request(CREDENTIALS_PATH, headers=[("Accept", "application/json"), *BOTO], host="169.254.170.2"),
    build_request(f"/{CREDENTIALS_PATH}", headers=JAVA, host="169.254.170.2"),
    build_request("/v1/credentials", headers=[("Authorization", "x.y.z"), *GO], host="[fd00:ec2::23]"),
    build_request(f"{CREDENTIALS_PATH}/", headers=[("Accept", "application/json")], host="127.0.0.1:16925"),
    build_request(f"http://169.254.170.2{CREDENTIALS_PATH}", headers=GO, host="169.254.170.2"),
    build_request("/latest/meta-data/placement/region", headers=[*V2, *JAVA]),
    build_request("/latest/meta-data/placement/availability-zone/", headers=[*V2, *BOTO]),
    build_request("/latest/dynamic/instance-identity/document", headers=[*V2, *GO]),
    build_request("/latest/meta-data/iam/info", headers=V2),
    build_request(f"{ROLES}/reader", headers=[*V2, ("X-Forwarded-For", "10.1.2.3")]),
    build_request(CREDENTIALS_PATH, headers=[("Origin", "http://evil.example.com")]),
    build_request(CREDENTIALS_PATH, host="evil.example.com"),
    build_request("/v2/credentials", host="169.254.170.2"),
    build_request("/v1/credentials", headers=[("Authorization", "Basic eDp5"), *CURL], host="169.254.170.23"),
    build_request("/latest/meta-data/../meta-data/iam/security-credentials/reader", headers=V2),
]

TARGETS = [
    *(
        f"{ROLES}/reader",
        CREDENTIALS_PATH,
        "/v1/credentials",
        "/v2/credentials",
        f"{ROLES}/other",
        "/latest/api/token",
        "*",
        "/",
        "//",
        "..",
        f"/%2e%2e{CREDENTIALS_PATH}",
    ),
    *(
        "/latest%2fmeta-data",
        f"{ROLES}/reader%00",
        f"{ROLES}\\reader",
        f"http://evil.example.com{CREDENTIALS_PATH}",
        f"{CREDENTIALS_PATH}#x",
    ),
    *(
        f"http://{CREDENTIALS_PATH}",
        f"https://localhost{CREDENTIALS_PATH}",
        "evil.example.com:80",
        f"{CREDENTIALS_PATH};x",
        f"{CREDENTIALS_PATH}%20",
    ),
]
LINES = [
    *(
        "Host: evil.example.com",
        "Host: 169.254.169.254",
        "X-Forwarded-For: ",
        "Origin: null",
        "Via: x",
        "Referer: http://x/",
    ),
    *(
        "Forwarded: for=x",
        "Sec-Fetch-Site: none",
        "X_Forwarded_For: x",
        "SCRIPT_NAME: /v2",
        f"PATH_INFO: {CREDENTIALS_PATH}",
    ),
    *(
        "Content-Length: 5",
        "Content-Length: -1",
        "Content-Length: 99999999999",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
    ),
    *(
        "Connection: close",
        "Connection: Upgrade",
        "Upgrade: h2c",
        "X-Forwarded-Proto: https",
        f"{TOKEN}: x",
        f"{TOKEN}: VALID-TOKEN",
    ),
    *(
        " folded",
        "no-colon",
        ": no-name",
        "Host : localhost",
        "Content-Type: \xe9",
        "Authorization: ",
        "Authorization: x.y.z",
        "Authorization: Bearer x",
        f"{TTL}: 60",
        "X-Forwarded-Prefix: /x",
        "Proxy: x",
    ),
]
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get", "PRI", "G\x00T", ""]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.10", "http/1.1", ""]


def replace_part(request: bytes, at: int, part: str) -> bytes:
    """Replace the method (0), target (1) or version (2) of the request line."""
    line, end, rest = request.partition(b"\r\n")
    parts = line.split(b" ", 2)
    if len(parts) > at:
        parts[at] = part.encode("latin-1")
    return b" ".join(parts) + end + rest


def add_line(request: bytes, line: str) -> bytes:
    """Insert a line before the headers."""
    first, end, rest = request.partition(b"\r\n")
    return first + end + line.encode("latin-1") + b"\r\n" + rest


def repeat_line(request: bytes, at: int) -> bytes:
    """Duplicate one line."""
    lines = request.split(b"\r\n")
    lines.insert(at % len(lines), lines[at % len(lines)])
    return b"\r\n".join(lines)


def drop_line(request: bytes, at: int) -> bytes:
    """Remove one line."""
    lines = request.split(b"\r\n")
    del lines[at % len(lines)]
    return b"\r\n".join(lines)


def replace_bytes(request: bytes, at: int, new: bytes, replaced: int) -> bytes:
    """Replace some bytes."""
    at %= len(request) + 1
    return request[:at] + new + request[at + replaced :]


NUMBERS = st.integers(0, 8)
MUTATIONS: list[tuple[Callable[..., bytes], list[st.SearchStrategy[object]]]] = [
    (replace_part, [st.just(0), st.sampled_from(METHODS)]),
    (replace_part, [st.just(1), st.sampled_from(TARGETS)]),
    (replace_part, [st.just(2), st.sampled_from(VERSIONS)]),
    (add_line, [st.sampled_from(LINES)]),
    (repeat_line, [NUMBERS]),
    (drop_line, [NUMBERS]),
    (replace_bytes, [st.integers(0, 600), st.binary(max_size=8), NUMBERS]),
]
"""Functions that mutate a request, and the strategies for their arguments."""


@st.composite
def wire_requests(draw: st.DrawFn) -> bytes:
    """One client request or two; a third of the first ones unchanged, the others with up to four mutations."""
    request = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 4]))):
        mutate, arguments = draw(st.sampled_from(MUTATIONS))
        request = mutate(request, *(draw(argument) for argument in arguments))
    return request + draw(st.one_of(st.just(b""), st.just(b""), st.sampled_from(SEEDS)))
