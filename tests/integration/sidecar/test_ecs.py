"""The container endpoint's contract, over real sockets: the ECS way, and that of EKS Pod Identity."""

import json

import pytest

from testing.raw_http import ask, build_request
from testing.sidecars import ROLE_ARN, Sidecar

FIELDS = ["AccessKeyId", "SecretAccessKey", "Token", "Expiration"]
METADATA_DOCUMENT = build_request("/latest/meta-data/iam/security-credentials/reader")


@pytest.mark.parametrize("host", ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "127.0.0.1:16925"])
@pytest.mark.parametrize(
    "path", ["/v2/credentials", "/v2/credentials/", "/v1/credentials", "//v2/credentials", "/v2//credentials/?id=1"]
)
def test_the_same_credentials_come_as_json_with_role_and_account(sidecar: Sidecar, path: str, host: str) -> None:
    answer = ask(sidecar.port, build_request(path, host=host, headers=[("Accept", "application/json")]))

    document = json.loads(answer.body)
    metadata = json.loads(ask(sidecar.port, METADATA_DOCUMENT).body)
    assert answer.status == 200
    assert answer.find("Content-Type") == "application/json"
    assert document.pop("RoleArn") == ROLE_ARN
    assert document.pop("AccountId") == "111122223333"
    assert document == {key: metadata[key] for key in FIELDS}


@pytest.mark.parametrize("authorization", [None, "", "anything", "Bearer x.y.z"])
def test_any_authorization_will_do_as_the_pod_has_one_role(sidecar: Sidecar, authorization: str | None) -> None:
    headers = [("Authorization", authorization)] if authorization is not None else []

    assert ask(sidecar.port, build_request("/v2/credentials", headers=headers)).status == 200


def test_no_request_chooses_its_role(sidecar: Sidecar) -> None:
    paths = ["/v2/credentials?role=admin", "/v2/credentials?RoleArn=arn:aws:iam::111122223333:role/admin"]

    arns = {json.loads(ask(sidecar.port, build_request(path)).body)["RoleArn"] for path in paths}

    assert arns == {ROLE_ARN}


@pytest.mark.parametrize(
    "path", ["/v2/credentials/other", "/v2", "/v3/credentials", "/v2/credentialsx", "/v2/metadata"]
)
def test_no_other_path_is_a_container_endpoint(sidecar: Sidecar, path: str) -> None:
    answer = ask(sidecar.port, build_request(path))

    assert (answer.status, answer.body) == (404, b"")
