"""What a running sidecar answers over real sockets: the metadata service and the container endpoint."""

import json
import re
import socket
import time
from datetime import UTC, datetime

import pytest

from tests.sidecars import ROLE_ARN, Sidecar

ROLES = "/latest/meta-data/iam/security-credentials"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"


def make_token(sidecar: Sidecar, ttl: str = "300") -> str:
    reply = sidecar.request("/latest/api/token", "PUT", **{TTL: ttl})
    assert reply.status == 200
    return reply.body


@pytest.mark.parametrize("ttl", ["0", "21601", "six hours"])
def test_a_token_for_a_bad_lifetime_is_a_bad_request(sidecar: Sidecar, ttl: str) -> None:
    assert sidecar.request("/latest/api/token", "PUT", **{TTL: ttl}).status == 400


def test_a_token_without_a_lifetime_is_a_bad_request(sidecar: Sidecar) -> None:
    assert sidecar.request("/latest/api/token", "PUT").status == 400


def test_a_token_asked_for_by_a_proxy_is_forbidden(sidecar: Sidecar) -> None:
    reply = sidecar.request("/latest/api/token", "PUT", **{TTL: "60", "X-Forwarded-For": "10.1.2.3"})

    assert (reply.status, reply.body) == (403, "")


def test_a_page_that_rebinds_its_name_gets_nothing(sidecar: Sidecar) -> None:
    reply = sidecar.request("/v2/credentials", Host="evil.example.com")

    assert (reply.status, reply.body) == (403, "")


@pytest.mark.parametrize("token", ["", "x", "A" * 56])
@pytest.mark.parametrize("path", [f"{ROLES}/", f"{ROLES}/reader", "/latest/meta-data/placement/region"])
def test_a_wrong_token_is_unauthorized_though_none_is_needed(sidecar: Sidecar, token: str, path: str) -> None:
    reply = sidecar.request(path, **{TOKEN: token})

    assert (reply.status, reply.body) == (401, "")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/latest/api/token", {"PUT"}),
        ("POST", "/latest/api/token", {"PUT"}),
        ("PUT", f"{ROLES}/reader", {"GET", "HEAD"}),
        ("POST", "/v2/credentials", {"GET", "HEAD"}),
        ("DELETE", "/v2/credentials", {"GET", "HEAD"}),
        ("OPTIONS", "/v2/credentials", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_told_the_right_one(sidecar: Sidecar, method: str, path: str, allowed: set[str]) -> None:
    reply = sidecar.request(path, method)

    assert (reply.status, reply.body) == (405, "")
    assert set(re.split(", *", reply.headers["Allow"])) == allowed


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/latest",
        "/latest/user-data",
        "/latest/meta-data/iam",
        "/latest/meta-data/instance-id",
        "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
        f"{ROLES}/other",
        f"{ROLES}/team/reader",
        f"{ROLES}/READER",
        f"{ROLES}-extended/reader",
        "/v3/credentials",
        "/latest/meta-data/../api/token",
    ],
)
def test_what_is_not_served_is_not_found_and_empty(sidecar: Sidecar, path: str) -> None:
    reply = sidecar.request(path)

    assert (reply.status, reply.body) == (404, "")


def test_the_token_is_plain_text_with_its_lifetime(sidecar: Sidecar) -> None:
    reply = sidecar.request("/latest/api/token", "PUT", **{TTL: "21600"})

    assert reply.status == 200
    assert reply.headers[TTL.title()] == "21600"
    assert reply.headers["Content-Type"] == "text/plain"
    assert re.fullmatch(r"[\w=-]{56}", reply.body)


@pytest.mark.parametrize("path", [ROLES, f"{ROLES}/", "//latest//meta-data/iam/security-credentials//"])
def test_the_role_list_is_the_name_and_not_a_byte_more(sidecar: Sidecar, path: str) -> None:
    reply = sidecar.request(path, **{TOKEN: make_token(sidecar)})

    assert (reply.status, reply.body) == (200, "reader")
    assert reply.headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize(
    "path", [f"{ROLES}/reader", f"{ROLES}/reader/", "/2009-04-04/meta-data/iam/security-credentials/reader"]
)
def test_the_roles_document_has_living_credentials(sidecar: Sidecar, path: str) -> None:
    reply = sidecar.request(path)

    document = json.loads(reply.body)
    assert reply.headers["Content-Type"] == "text/plain"
    assert list(document) == [
        *("Code", "LastUpdated", "Type", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"),
    ]
    assert document["Code"] == "Success"
    assert seconds_until(document["Expiration"]) > 3500


@pytest.mark.parametrize("path", ["/v2/credentials", "/v2/credentials/", "/v1/credentials", "//v2/credentials"])
def test_the_container_endpoint_gives_the_same_credentials_as_json(sidecar: Sidecar, path: str) -> None:
    reply = sidecar.request(path, Authorization="anything")

    document = json.loads(reply.body)
    same = json.loads(sidecar.request(f"{ROLES}/reader").body)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert document["RoleArn"] == ROLE_ARN
    assert document["AccountId"] == "111122223333"
    for key in ("AccessKeyId", "SecretAccessKey", "Token", "Expiration"):
        assert document[key] == same[key]


def test_the_region_is_known(sidecar: Sidecar) -> None:
    assert sidecar.request("/latest/meta-data/placement/region").body == "eu-west-1"
    identity = json.loads(sidecar.request("/latest/dynamic/instance-identity/document").body)
    assert (identity["region"], identity["accountId"]) == ("eu-west-1", "111122223333")


@pytest.mark.parametrize("path", [ROLES, f"{ROLES}/reader", "/v2/credentials"])
def test_a_head_request_has_the_headers_of_a_get(sidecar: Sidecar, path: str) -> None:
    got, headed = sidecar.request(path), sidecar.request(path, "HEAD")

    assert (headed.status, headed.body) == (200, "")
    assert headed.headers["Content-Length"] == got.headers["Content-Length"] == str(len(got.body))


@pytest.mark.parametrize("path", [ROLES, f"{ROLES}/reader", "/v2/credentials", "/nothing", "/latest/../.."])
def test_no_cache_may_keep_an_answer(sidecar: Sidecar, path: str) -> None:
    assert sidecar.request(path).headers["Cache-Control"] == "no-store"


def test_ipv6_clients_are_served_as_well(sidecar: Sidecar) -> None:
    if not socket.has_ipv6:
        pytest.skip("this kernel has no IPv6")

    received = sidecar.exchange(
        b"GET /v2/credentials HTTP/1.1\r\nHost: [fd00:ec2::23]\r\nConnection: close\r\n\r\n", "::1"
    )

    assert received.startswith(b"HTTP/1.1 200 OK")


def test_a_shell_script_without_a_host_header_is_served(sidecar: Sidecar) -> None:
    received = sidecar.exchange(f"GET {ROLES}/ HTTP/1.0\r\n\r\n".encode())

    head, _, body = received.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] 200 ", head)
    assert body == b"reader"


def test_curls_upload_form_of_a_put_gets_its_token(sidecar: Sidecar) -> None:
    received = sidecar.exchange(
        f"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n{TTL}: 60\r\n"
        "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n0\r\n\r\n".encode()
    )

    continued, _, answer = received.partition(b"\r\n\r\n")
    assert continued == b"HTTP/1.1 100 Continue"
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_request_through_a_proxy_uri_is_served(sidecar: Sidecar) -> None:
    received = sidecar.exchange(
        b"GET http://169.254.170.2/v2/credentials HTTP/1.1\r\nHost: 169.254.170.2\r\nConnection: close\r\n\r\n"
    )

    assert received.startswith(b"HTTP/1.1 200 OK")


def test_head_and_body_leave_in_one_segment(sidecar: Sidecar) -> None:
    """Go's SDK of 2021 gives up when they come apart. Loopback keeps segments: one recv sees one."""
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", sidecar.port), timeout=5) as connection:
            connection.sendall(b"GET /v2/credentials HTTP/1.1\r\nHost: 169.254.170.2\r\n\r\n")
            first = connection.recv(65536)

        head, _, body = first.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        assert len(body) == int(length[1])


def test_a_connection_is_kept_for_the_next_request(sidecar: Sidecar) -> None:
    with socket.create_connection(("127.0.0.1", sidecar.port), timeout=5) as connection:
        for _ in range(3):
            connection.sendall(f"GET {ROLES} HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n".encode())

            assert connection.recv(65536).endswith(b"reader")


def test_with_nothing_valid_the_role_list_is_unavailable_and_empty(empty_sidecar: Sidecar) -> None:
    assert (empty_sidecar.request(ROLES).status, empty_sidecar.request(ROLES).body) == (503, "")


def test_with_nothing_valid_the_roles_document_is_unauthorized_and_empty(empty_sidecar: Sidecar) -> None:
    reply = empty_sidecar.request(f"{ROLES}/reader")

    assert (reply.status, reply.body) == (401, "")


def test_with_nothing_valid_another_roles_document_is_not_found(empty_sidecar: Sidecar) -> None:
    assert empty_sidecar.request(f"{ROLES}/other").status == 404


def test_with_nothing_valid_tokens_are_made_all_the_same(empty_sidecar: Sidecar) -> None:
    assert make_token(empty_sidecar)


def test_with_nothing_valid_the_container_endpoint_says_why(empty_sidecar: Sidecar) -> None:
    reply = empty_sidecar.request("/v2/credentials")

    document = json.loads(reply.body)
    assert reply.status == 503
    assert document["Code"] == document["code"] == "EndpointConnectionError"
    assert document["Message"] == document["message"]
    assert "127.0.0.1:1" in document["Message"]


def seconds_until(expiration: str) -> float:
    return datetime.strptime(expiration, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() - time.time()
