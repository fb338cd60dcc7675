"""The fake metadata service responds as EC2's does."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.services import programs
from testing.services.programs import ServiceError

ROLES = "/latest/meta-data/iam/security-credentials/"
TOKEN_PATH = "/latest/api/token"
TOKEN = "X-aws-ec2-metadata-token"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"


def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Send a request; return the status and body of the response."""
    request = urllib.request.Request(url, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a metadata service that also listens on IPv6."""
    directory = tmp_path_factory.mktemp("node")
    file = directory / "node.json"
    file.write_text(json.dumps(build_node_credentials()))
    with programs.imds(directory, file, ("127.0.0.1:0", "[::1]:0")) as endpoints:
        yield f"http://{endpoints[0]}"


def build_node_credentials() -> dict[str, Any]:
    """Build the output of `aws sts assume-role`."""
    keys = {"AccessKeyId": "ASIANODE", "SecretAccessKey": "s3cr3t", "SessionToken": "t0k3n"}
    return {
        "Credentials": keys | {"Expiration": "2040-01-02T05:04:05.678901+02:00"},
        "AssumedRoleUser": {"Arn": "arn:aws:sts::111122223333:assumed-role/node/i-0abc"},
    }


@pytest.mark.parametrize("ttl", ["", "0", "21601", "an hour"], ids=["empty", "zero", "too-long", "text"])
def test_token_request_with_invalid_ttl_is_rejected(node: str, ttl: str) -> None:
    assert ask(f"{node}{TOKEN_PATH}", "PUT", **{TTL: ttl})[0] == 400


def test_token_request_from_a_proxy_is_rejected(node: str) -> None:
    assert ask(f"{node}{TOKEN_PATH}", "PUT", **{TTL: "60", "X-Forwarded-For": "10.0.0.1"})[0] == 403


def test_wrong_token_and_unknown_path_are_rejected(node: str) -> None:
    assert ask(f"{node}{ROLES}", **{TOKEN: "wrong"}) == (401, "")
    assert ask(f"{node}/latest/user-data") == (404, "")


def test_role_is_served_with_and_without_a_token(node: str) -> None:
    _, token = ask(f"{node}{TOKEN_PATH}", "PUT", **{TTL: "60"})

    assert ask(f"{node}{ROLES}", **{TOKEN: token}) == ask(f"{node}{ROLES}") == (200, "node")
    assert json.loads(ask(f"{node}{ROLES}node", **{TOKEN: token})[1]) | {"LastUpdated": ""} == {
        "Code": "Success",
        "LastUpdated": "",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIANODE",
        "SecretAccessKey": "s3cr3t",
        "Token": "t0k3n",
        "Expiration": "2040-01-02T03:04:05Z",
    }


def test_every_address_is_served_and_each_request_is_logged(tmp_path: Path) -> None:
    file = tmp_path / "node.json"
    file.write_text(json.dumps(build_node_credentials()))

    with programs.imds(tmp_path, file, ("127.0.0.1:0", "127.0.0.1:0", "[::1]:0")) as endpoints:
        names = [ask(f"http://{endpoint}{ROLES}") for endpoint in endpoints]
        log = (tmp_path / "imds.log").read_text().splitlines()

    assert names == [(200, "node")] * 3
    client = [line.split()[0] for line in log[1:]]
    assert client == ["127.0.0.1", "127.0.0.1", "::1"]
    assert log[1].endswith(f'"GET {ROLES} HTTP/1.1" 200 -')


@pytest.mark.parametrize("endpoint", ["192.0.2.1:80", "127.0.0.1", "localhost:0", "127.0.0.1:http"])
def test_unusable_address_is_named_in_the_error(tmp_path: Path, endpoint: str) -> None:
    file = tmp_path / "node.json"
    file.write_text(json.dumps(build_node_credentials()))

    with pytest.raises(ServiceError, match=rf"give each address to an interface(?s:.*)cannot listen on {endpoint}: "):
        programs.imds(tmp_path, file, (endpoint,)).__enter__()
