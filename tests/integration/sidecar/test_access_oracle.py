"""The fuzz test's oracle, by examples: it must allow real clients' requests and no others."""

import pytest

from testing.raw_http import build_request
from testing.sidecars import CREDENTIALS_PATH
from tests.integration.sidecar.access_oracle import TokenPolicy, count_allowed

DOCUMENT = "/latest/meta-data/iam/security-credentials/reader"
TOKEN = "x-aws-ec2-metadata-token"
OPTIONAL, REQUIRED = TokenPolicy(b"valid", is_required=False), TokenPolicy(b"valid", is_required=True)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(build_request(DOCUMENT), id="role-document"),
        pytest.param(build_request(f"/{DOCUMENT}/?x=y"), id="extra-slashes-and-query"),
        pytest.param(build_request(DOCUMENT.replace("latest", "2009-04-04")), id="dated-version"),
        pytest.param(build_request(CREDENTIALS_PATH, host="[fd00:ec2::23]:80"), id="container-endpoint"),
        pytest.param(build_request(CREDENTIALS_PATH, host=None, version="1.0"), id="no-host"),
        pytest.param(build_request(f"http://169.254.170.2{CREDENTIALS_PATH}"), id="absolute-uri"),
        pytest.param(build_request("/v1/credentials", headers=[("Authorization", "x.y.z")]), id="eks-endpoint"),
        pytest.param(build_request(f"{DOCUMENT[:-1]}%72"), id="encoded-letter"),
        pytest.param(b"\r\n" + build_request(DOCUMENT), id="empty-line-before"),
        pytest.param(b"\n\r\n\n" + build_request(DOCUMENT), id="line-feeds-before"),
    ],
)
def test_request_of_a_real_client_is_allowed(request_: bytes) -> None:
    assert count_allowed(request_, OPTIONAL) == 1


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(build_request(DOCUMENT, "HEAD"), id="method"),
        pytest.param(build_request(f"{DOCUMENT}2"), id="another-role"),
        pytest.param(build_request("/v3/credentials"), id="another-path"),
        pytest.param(build_request("/v2/credentials"), id="path-without-uid"),
        pytest.param(build_request("/v1/credentials"), id="eks-without-authorization"),
        pytest.param(build_request("/v1/credentials", headers=[("Authorization", "Basic eDp5")]), id="eks-with-scheme"),
        pytest.param(build_request(DOCUMENT.replace("/iam", "%2fiam")), id="encoded-slash"),
        pytest.param(build_request(CREDENTIALS_PATH, host="evil.example.com"), id="foreign-host"),
        pytest.param(build_request(CREDENTIALS_PATH, headers=[("Host", "localhost")]), id="two-hosts"),
        pytest.param(build_request(f"http://evil.example.com{CREDENTIALS_PATH}"), id="foreign-absolute-uri"),
        pytest.param(build_request(CREDENTIALS_PATH, headers=[("Via", "x")]), id="proxy-header"),
        pytest.param(build_request(CREDENTIALS_PATH, headers=[("Origin", "null")]), id="browser-header"),
        pytest.param(build_request(DOCUMENT)[:-2], id="incomplete-head"),
        pytest.param(b"x\n" + build_request(DOCUMENT), id="after-a-line-feed"),
        pytest.param(b"\n \n" + build_request(DOCUMENT), id="after-a-space"),
    ],
)
def test_other_request_is_not_allowed(request_: bytes) -> None:
    assert count_allowed(request_, OPTIONAL) == 0


@pytest.mark.parametrize(
    ("tokens", "policy", "allowed"),
    [
        pytest.param(["valid"], REQUIRED, 1, id="valid-required"),
        pytest.param([], REQUIRED, 0, id="missing-required"),
        pytest.param([], OPTIONAL, 1, id="missing-optional"),
        pytest.param(["wrong"], OPTIONAL, 0, id="wrong-optional"),
        pytest.param(["valid", "valid"], OPTIONAL, 0, id="two-tokens"),
    ],
)
def test_role_document_depends_on_the_token(tokens: list[str], policy: TokenPolicy, allowed: int) -> None:
    sent = build_request(DOCUMENT, headers=[(TOKEN, token) for token in tokens])

    assert count_allowed(sent, policy) == allowed


def test_container_endpoint_needs_no_token() -> None:
    assert count_allowed(build_request(CREDENTIALS_PATH), REQUIRED) == 1


def test_every_request_in_the_data_is_counted() -> None:
    sent = build_request(CREDENTIALS_PATH) + b"garbage\r\n" + build_request(CREDENTIALS_PATH)

    assert count_allowed(sent, OPTIONAL) == 2
