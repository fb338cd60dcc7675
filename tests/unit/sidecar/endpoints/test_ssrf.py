"""Requests that an attacker can make an app send (SSRF) get no credentials if IMDSv2 tokens are required.

The attacker chooses the URL of a GET. He cannot choose headers, but the client makes some from the URL or adds its own.
"""

from urllib.parse import quote

import pytest

from contract.modes import Mode
from contract.value_types import ImdsTokens
from server.messages import Address, Handler
from sidecar.endpoints.handler import create_handler
from testing.handlers import REDIRECTED, call
from testing.sidecars import CREDENTIALS_PATH, POD_UID
from tests.unit.sidecar.endpoints.test_handler import ROLES, TTL, build_handler, build_state

METADATA = {"Host": "169.254.169.254"}
BASIC = {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}
BEARER = {"Authorization": "Bearer the-apps-own-token"}
EMPTY_TOKEN = {"X-aws-ec2-metadata-token": ""}

REQUESTS = {
    "ecs": "/v2/credentials",
    "ecs-with-slash": "/v2/credentials/",
    "ecs-slashes": "//v2//credentials//",
    "ecs-query": "/v2/credentials?id=1",
    "ecs-escape": "/v2/%63redentials",
    "ecs-another-pod": "/v2/credentials/4f0a3d6e-58b4-4d2c-8f0c-0d5f2a3b1c9e",
    "ecs-role": "/v2/credentials/reader",
    "ecs-unexpanded": "/v2/credentials/$(PODROLE_POD_UID)",
    "ecs-dots": "/v2/credentials/x/..",
    "ecs-prefix": f"/v2/credentials/{POD_UID[:-1]}",
    "ecs-dated": "/2009-04-04/v2/credentials",
    "ecs-absolute": "http://169.254.170.2/v2/credentials",
    "ecs-absolute-https": "https://169.254.170.2/v2/credentials",
    "ecs-v1": "/credential_provider_version/credentials",
    "ecs-v3": "/v3/credentials",
    "ecs-v4": "/v4/credentials",
    "ecs-metadata": "/v2/metadata",
    "eks": "/v1/credentials",
    "eks-with-slash": "/v1/credentials/",
    "eks-query": "/v1/credentials?Authorization=x",
    "eks-absolute": "http://169.254.170.23/v1/credentials",
    "eks-absolute-user": "http://user:password@169.254.170.23/v1/credentials",
    "eks-line-break": "/v1/credentials" + quote(" HTTP/1.1\r\nAuthorization: x\r\n"),
    "imds-list": ROLES,
    "imds-document": f"{ROLES}/reader",
    "imds-document-slash": f"{ROLES}/reader/",
    "imds-dated": "/2009-04-04/meta-data/iam/security-credentials/reader",
    "imds-1.0": "/1.0/meta-data/iam/security-credentials/reader",
    "imds-slashes": "//latest//meta-data/iam/security-credentials/reader",
    "imds-absolute": f"http://169.254.169.254{ROLES}/reader",
    "imds-extended": "/latest/meta-data/iam/security-credentials-extended/reader",
    "imds-identity-credentials": "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    "imds-info": "/latest/meta-data/iam/info",
    "imds-token": "/latest/api/token",
    "imds-token-query": f"/latest/api/token?{TTL}=60",
    "imds-identity": "/latest/dynamic/instance-identity/document",
    "podrole-status": "/podrole/status",
    "podrole-boot": "/podrole/boot",
    "podrole-state": "/podrole/state.json",
    "metrics": "/metrics",
    "root": "/",
}
CLIENTS = {
    "plain": METADATA,
    "eks-host": {"Host": "169.254.170.23"},
    "no-host": {},
    "loopback-host": {"Host": "127.0.0.1:16925"},
    "rebound-name": {"Host": "rebind.example.com"},
    "url-with-a-user": METADATA | BASIC,
    "token-of-the-app": METADATA | BEARER,
    "empty-authorization": METADATA | {"Authorization": ""},
    "empty-imds-token": METADATA | EMPTY_TOKEN,
}
SECRETS = (b"ASIAEXAMPLE", b"SecretAccessKey", POD_UID.encode(), b"kkkk")


SERVED_LOOPBACK = {"serve_loopback": True}
LOOPBACK = ("127.0.0.1", 16925)
PLACES = {"redirect": ({}, REDIRECTED), "env": ({"mode": Mode.ENV}, LOOPBACK), "ipv6-only": (SERVED_LOOPBACK, LOOPBACK)}
"""Settings of the sidecar, and where the app's client connects to."""


@pytest.fixture(scope="module", params=PLACES.values(), ids=list(PLACES))
def place(request: pytest.FixtureRequest) -> tuple[Handler, Address]:
    changes, server = request.param
    state = build_state(tokens=ImdsTokens.REQUIRED)
    state.config = state.config._replace(**changes)
    return create_handler(state), server


@pytest.mark.parametrize("headers", CLIENTS.values(), ids=list(CLIENTS))
@pytest.mark.parametrize("target", REQUESTS.values(), ids=list(REQUESTS))
def test_get_of_an_attacker_gets_no_credentials(
    target: str, headers: dict[str, str], place: tuple[Handler, Address]
) -> None:
    handler, server = place

    response = call(handler, target, headers, server=server)

    assert [secret for secret in SECRETS if secret in response.body] == []
    assert not [value for _, value in response.headers if POD_UID in value]


def test_same_handler_serves_the_sdks_of_the_pod() -> None:
    handler = build_handler(tokens=ImdsTokens.REQUIRED)
    token = call(handler, "/latest/api/token", {**METADATA, TTL: "60"}, "PUT").body.decode()
    requests = [
        (CREDENTIALS_PATH, METADATA),
        ("/v1/credentials", METADATA | {"Authorization": "header.payload.signature"}),
        (f"{ROLES}/reader", METADATA | {"X-aws-ec2-metadata-token": token}),
    ]

    bodies = [call(handler, target, headers).body for target, headers in requests]

    assert all(b"ASIAEXAMPLE" in body for body in bodies)


def test_state_has_the_secrets_that_the_table_looks_for() -> None:
    state = build_state()

    assert state.token_key.startswith(SECRETS[3])
    assert state.config.credentials_path == CREDENTIALS_PATH
