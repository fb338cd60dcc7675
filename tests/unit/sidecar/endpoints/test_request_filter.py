"""The request filter: rejected requests and canonical paths."""

import pytest

from sidecar.endpoints.request_filter import Rejection, filter_request, list_redirected_hosts


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "169.254.169.254.evil.example.com",
        "10.0.0.1",
        "",
        "127.0.0.1:80:80",
        "[::1",
        "[169.254.169.254]",
        "169.254.169.254]",
        "localhost.",
        "instance-data",
        "instance-data.ec2.internal",
        "@",
    ],
)
def test_foreign_host_is_rejected(host: str) -> None:
    result = filter_request("GET", "/latest/meta-data", {"host": host})

    assert result == Rejection(403, "host")


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via"])
def test_proxy_headers_are_rejected(header: str) -> None:
    assert filter_request("GET", "/v2/credentials", {header: "10.1.2.3"}) == Rejection(403, "forwarded")


@pytest.mark.parametrize("header", ["origin", "referer", "sec-fetch-site"])
def test_browser_headers_are_rejected(header: str) -> None:
    assert filter_request("GET", "/v2/credentials", {header: "http://evil.example.com"}) == Rejection(403, "browser")


@pytest.mark.parametrize(
    ("uri_host", "header"), [("evil.example.com", "169.254.170.2"), ("169.254.170.2", "evil.example.com")]
)
def test_foreign_host_in_absolute_uri_or_header_is_rejected(uri_host: str, header: str) -> None:
    assert filter_request("GET", f"http://{uri_host}/v2/credentials", {"host": header}) == Rejection(403, "host")


def test_fetch_of_node_js_is_accepted() -> None:
    assert filter_request("GET", "/v2/credentials", {"sec-fetch-mode": "cors"}) == "/v2/credentials"


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/../user-data",
        "/latest/./meta-data",
        "/..",
        "/latest/%2e%2e/user-data",
        "/latest%2fmeta-data",
        "/latest%5cmeta-data",
        "/latest%252fmeta-data",
        "/latest\\meta-data",
        "/latest/%00",
        "/latest/%0d%0aX",
        "/latest/meta-data%",
        "/latest/%2",
        "/latest/%zz",
        "/latest/ü",
        "/latest/%c3%bc",
        "latest",
        "*",
        "",
    ],
)
def test_ambiguous_path_is_rejected(path: str) -> None:
    assert filter_request("GET", path, {}) == Rejection(404, "path")


def test_token_request_under_dated_version_is_rejected() -> None:
    assert filter_request("PUT", "/2021-03-23/api/token", {}) == Rejection(403, "version")


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.169.254:80",
        "169.254.170.2",
        "169.254.170.23",
        "[fd00:ec2::254]",
        "[fd00:ec2::254]:80",
        "fd00:ec2::254",
        "FD00:EC2::23",
        "127.0.0.1:16925",
        "127.0.0.1",
        "[::1]:16925",
        "localhost",
        "LOCALHOST:16925",
    ],
)
def test_every_spelling_of_a_service_address_is_accepted(host: str) -> None:
    assert filter_request("GET", "/v2/credentials", {"host": host}) == "/v2/credentials"


@pytest.mark.parametrize(
    "host",
    [
        "instance-data",
        "Instance-Data:80",
        "instance-data.ec2.internal",
        "instance-data.eu-west-1.compute.internal",
        "169.254.169.254",
    ],
)
def test_redirected_request_can_name_an_alias_of_ec2(host: str) -> None:
    hosts = list_redirected_hosts("eu-west-1")

    assert filter_request("GET", "/latest", {"host": host}, hosts) == "/latest"
    assert filter_request("GET", f"http://{host}/latest", {"host": host}, hosts) == "/latest"


@pytest.mark.parametrize(
    "host",
    [
        "instance-data.eu-west-2.compute.internal",
        "instance-data.eu-west-1.compute.internal.evil.example.com",
        "instance-data.shop.svc.cluster.local",
        "instance-data.example.com",
        "xinstance-data",
        "instance-data.",
        "localhost",
    ],
)
def test_redirected_request_for_another_name_is_rejected(host: str) -> None:
    result = filter_request("GET", "/latest", {"host": host}, list_redirected_hosts("eu-west-1"))

    assert result == Rejection(403, "host")


def test_request_without_host_is_accepted() -> None:
    assert filter_request("GET", "/v2/credentials", {}) == "/v2/credentials"


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/v2/credentials", "/v2/credentials"),
        ("/v2/credentials/", "/v2/credentials"),
        ("//v2//credentials//", "/v2/credentials"),
        ("/v2/credentials?x=y", "/v2/credentials"),
        ("http://169.254.170.2/v2/credentials", "/v2/credentials"),
        ("/2009-04-04/meta-data/placement/region", "/latest/meta-data/placement/region"),
        ("/1.0/meta-data/", "/latest/meta-data"),
        ("/latest/meta-data/iam/security-credentials/a%2Bb", "/latest/meta-data/iam/security-credentials/a+b"),
        ("/latest/meta-data/iam/security-credentials/a+b", "/latest/meta-data/iam/security-credentials/a+b"),
        ("/latest/meta-data/iam/security-credentials/a%40b%3Dc", "/latest/meta-data/iam/security-credentials/a@b=c"),
        ("/", "/"),
        ("//", "/"),
    ],
)
def test_path_is_normalized(path: str, canonical: str) -> None:
    assert filter_request("GET", path, {}) == canonical
