"""The container credentials endpoint of ECS and EKS Pod Identity, over real sockets."""

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
def test_container_document_matches_metadata_document(sidecar: Sidecar, path: str, host: str) -> None:
    answer = ask(sidecar.port, build_request(path, host=host, headers=[("Accept", "application/json")]))

    document = json.loads(answer.body)
    metadata = json.loads(ask(sidecar.port, METADATA_DOCUMENT).body)
    assert answer.status == 200
    assert answer.find("Content-Type") == "application/json"
    assert document.pop("RoleArn") == ROLE_ARN
    assert document.pop("AccountId") == "111122223333"
    assert document == {key: metadata[key] for key in FIELDS}


@pytest.mark.parametrize("authorization", [None, "", "anything", "Bearer x.y.z"])
def test_any_authorization_header_is_accepted(sidecar: Sidecar, authorization: str | None) -> None:
    headers = [("Authorization", authorization)] if authorization is not None else []

    assert ask(sidecar.port, build_request("/v2/credentials", headers=headers)).status == 200


def test_query_parameters_cannot_select_a_role(sidecar: Sidecar) -> None:
    paths = ["/v2/credentials?role=admin", "/v2/credentials?RoleArn=arn:aws:iam::111122223333:role/admin"]

    arns = {json.loads(ask(sidecar.port, build_request(path)).body)["RoleArn"] for path in paths}

    assert arns == {ROLE_ARN}


@pytest.mark.parametrize(
    "path", ["/v2/credentials/other", "/v2", "/v3/credentials", "/v2/credentialsx", "/v2/metadata"]
)
def test_similar_paths_are_not_found(sidecar: Sidecar, path: str) -> None:
    answer = ask(sidecar.port, build_request(path))

    assert (answer.status, answer.body) == (404, b"")
