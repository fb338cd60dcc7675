"""The container credentials endpoint of ECS and EKS Pod Identity, over real sockets."""

import json

import pytest

from testing.raw_http import ask, build_request
from testing.sidecars import CREDENTIALS_PATH, POD_UID, ROLE_ARN, Sidecar

FIELDS = ["AccessKeyId", "SecretAccessKey", "Token", "Expiration"]
METADATA_DOCUMENT = build_request("/latest/meta-data/iam/security-credentials/reader")


@pytest.mark.parametrize("host", ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "127.0.0.1:16925"])
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(CREDENTIALS_PATH, id="as-the-variable-says"),
        pytest.param(f"{CREDENTIALS_PATH}/", id="slash-at-the-end"),
        pytest.param("/v1/credentials", id="eks"),
        pytest.param(f"/{CREDENTIALS_PATH}", id="two-slashes"),
        pytest.param(f"/v2//credentials/{POD_UID}/?id=1", id="query"),
        pytest.param(f"/v2/credentials/%30{POD_UID[1:]}", id="escape"),
    ],
)
def test_container_document_matches_metadata_document(sidecar: Sidecar, path: str, host: str) -> None:
    headers = [("Accept", "application/json"), ("Authorization", "x.y.z")]

    answer = ask(sidecar.port, build_request(path, host=host, headers=headers))

    document = json.loads(answer.body)
    metadata = json.loads(ask(sidecar.port, METADATA_DOCUMENT).body)
    assert answer.status == 200
    assert answer.find("Content-Type") == "application/json"
    assert document.pop("RoleArn") == ROLE_ARN
    assert document.pop("AccountId") == "111122223333"
    assert document == {key: metadata[key] for key in FIELDS}


@pytest.mark.parametrize("authorization", [None, "", "anything", "Bearer x.y.z"])
def test_ecs_path_accepts_any_authorization_header(sidecar: Sidecar, authorization: str | None) -> None:
    headers = [("Authorization", authorization)] if authorization is not None else []

    assert ask(sidecar.port, build_request(CREDENTIALS_PATH, headers=headers)).status == 200


@pytest.mark.parametrize("authorization", ["x", "header.payload.signature", "=~!"])
def test_eks_path_accepts_a_token_without_scheme(sidecar: Sidecar, authorization: str) -> None:
    answer = ask(sidecar.port, build_request("/v1/credentials", headers=[("Authorization", authorization)]))

    assert (answer.status, json.loads(answer.body)["RoleArn"]) == (200, ROLE_ARN)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([], id="missing"),
        pytest.param([""], id="empty"),
        pytest.param(["  "], id="spaces"),
        pytest.param(["Basic dXNlcjpwYXNzd29yZA=="], id="user-name-of-the-url"),
        pytest.param(["Bearer x.y.z"], id="token-of-the-app"),
        pytest.param(["x", "y"], id="two-headers"),
    ],
)
def test_eks_path_without_a_token_gets_403_and_the_reason(sidecar: Sidecar, values: list[str]) -> None:
    sent = build_request("/v1/credentials", headers=[("Authorization", value) for value in values])

    answer = ask(sidecar.port, sent)

    document = json.loads(answer.body)
    assert (answer.status, answer.find("Content-Type"), answer.find("WWW-Authenticate")) == (
        403,
        "application/json",
        None,
    )
    assert document["code"] == document["Code"] == "AuthorizationRequired"
    assert document["message"] == document["Message"]
    assert "AWS_CONTAINER_AUTHORIZATION_TOKEN" in document["message"]


def test_query_parameters_cannot_select_a_role(sidecar: Sidecar) -> None:
    queries = ["role=admin", "RoleArn=arn:aws:iam::111122223333:role/admin"]

    arns = {
        json.loads(ask(sidecar.port, build_request(f"{CREDENTIALS_PATH}?{one}")).body)["RoleArn"] for one in queries
    }

    assert arns == {ROLE_ARN}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/v2/credentials", id="no-uid"),
        pytest.param("/v2/credentials/", id="no-uid-and-a-slash"),
        pytest.param("/v2/credentials/other", id="another-uid"),
        pytest.param(CREDENTIALS_PATH[:-1], id="uid-without-its-end"),
        pytest.param(f"{CREDENTIALS_PATH}0", id="uid-and-more"),
        pytest.param(CREDENTIALS_PATH.upper().replace("/V2/CREDENTIALS", "/v2/credentials"), id="uid-in-capitals"),
        pytest.param(f"{CREDENTIALS_PATH}/reader", id="path-below"),
        pytest.param("/v2/credentials/$(PODROLE_POD_UID)", id="reference-that-was-not-expanded"),
        pytest.param("/v2/credentials?PODROLE_POD_UID", id="query"),
        pytest.param(CREDENTIALS_PATH.replace("v2", "v1"), id="v1-and-uid"),
        pytest.param(f"/2009-04-04/credentials/{POD_UID}", id="dated-version"),
        pytest.param(f"/{POD_UID}", id="uid-only"),
        pytest.param("/v2", id="v2"),
        pytest.param("/v3/credentials", id="v3"),
        pytest.param("/v2/credentialsx", id="longer-name"),
        pytest.param("/v2/metadata", id="ecs-metadata"),
    ],
)
def test_similar_paths_are_not_found(sidecar: Sidecar, path: str) -> None:
    answer = ask(sidecar.port, build_request(path))

    assert (answer.status, answer.body) == (404, b"")
