"""The node's metadata service answers as EC2's does."""

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
    """Status and body of an answer, whatever the status."""
    request = urllib.request.Request(url, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a node's metadata service that also listens on a port of IPv6."""
    directory = tmp_path_factory.mktemp("node")
    file = directory / "node.json"
    file.write_text(json.dumps(build_node_credentials()))
    with programs.imds(directory, file, ("127.0.0.1:0", "[::1]:0")) as endpoints:
        yield f"http://{endpoints[0]}"


def build_node_credentials() -> dict[str, Any]:
    """As `aws sts assume-role` prints them."""
    keys = {"AccessKeyId": "ASIANODE", "SecretAccessKey": "s3cr3t", "SessionToken": "t0k3n"}
    return {
        "Credentials": keys | {"Expiration": "2040-01-02T05:04:05.678901+02:00"},
        "AssumedRoleUser": {"Arn": "arn:aws:sts::111122223333:assumed-role/node/i-0abc"},
    }


@pytest.mark.parametrize("ttl", ["", "0", "21601", "an hour"])
def test_the_node_refuses_a_token_for_a_bad_lifetime(node: str, ttl: str) -> None:
    assert ask(f"{node}{TOKEN_PATH}", "PUT", **{TTL: ttl})[0] == 400


def test_the_node_refuses_a_token_to_a_proxy(node: str) -> None:
    assert ask(f"{node}{TOKEN_PATH}", "PUT", **{TTL: "60", "X-Forwarded-For": "10.0.0.1"})[0] == 403


def test_the_node_refuses_a_wrong_token_and_knows_no_other_path(node: str) -> None:
    assert ask(f"{node}{ROLES}", **{TOKEN: "wrong"}) == (401, "")
    assert ask(f"{node}/latest/user-data") == (404, "")


def test_the_node_serves_its_role_with_a_token_and_without(node: str) -> None:
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


def test_the_node_serves_on_every_address_and_logs_a_line_for_each_request(tmp_path: Path) -> None:
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
def test_an_address_that_the_node_can_not_have_is_named(tmp_path: Path, endpoint: str) -> None:
    file = tmp_path / "node.json"
    file.write_text(json.dumps(build_node_credentials()))

    with pytest.raises(ServiceError, match=rf"give each address to an interface(?s:.*)cannot listen on {endpoint}: "):
        programs.imds(tmp_path, file, (endpoint,)).__enter__()
