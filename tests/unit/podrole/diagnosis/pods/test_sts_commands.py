"""The command that a refusal of STS leads to."""

import pytest

from podrole.diagnosis.pods.sts_commands import find_command
from testing.cases import Pod, find_container
from tests.unit.podrole.diagnosis.states import build_running_pod

READER = "arn:aws:iam::111122223333:role/reader"
NO_PROVIDER = "No OpenIDConnect provider found in your account for https://oidc.example.com/a"
ADD = (
    "aws iam add-client-id-to-open-id-connect-provider --client-id sts.amazonaws.com "
    "--open-id-connect-provider-arn arn:aws:iam::111122223333:oidc-provider/ISSUER"
)


def set_audience(pod: Pod, audience: str) -> Pod:
    volume = next(one for one in pod["spec"]["volumes"] if one["name"] == "podrole-token")
    volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] = audience
    return pod


@pytest.mark.parametrize(
    ("code", "message", "command"),
    [
        pytest.param("Throttling", "Rate exceeded", "", id="no-command"),
        pytest.param("InvalidIdentityToken", "Token is malformed", "", id="other-token"),
        pytest.param("InvalidIdentityToken", "", "", id="no-message"),
        pytest.param(
            "InvalidIdentityToken", NO_PROVIDER.replace("https", "file"), "", id="issuer-that-is-no-https-url"
        ),
        pytest.param(
            "AccessDenied", "Not authorized", f"podrole trust-policy {READER} -n team-a -s default", id="trust-policy"
        ),
        pytest.param("InvalidIdentityToken", "Incorrect token audience", ADD, id="audience"),
        pytest.param(
            "InvalidIdentityToken",
            NO_PROVIDER,
            "aws iam create-open-id-connect-provider --url https://oidc.example.com/a --client-id-list "
            "sts.amazonaws.com",
            id="no-provider",
        ),
    ],
)
def test_command_follows_from_the_message(code: str, message: str, command: str) -> None:
    assert find_command(build_running_pod(), READER, {"code": code, "message": message}) == command


def test_audience_is_that_of_the_pods_token() -> None:
    pod = set_audience(build_running_pod(), "kops; rm")

    command = find_command(pod, READER, {"code": "InvalidIdentityToken", "message": "Incorrect token audience"})

    assert "--client-id 'kops; rm' " in command


@pytest.mark.parametrize("role", ["arn:minio:iam:::role/x", "its role", ""], ids=["minio", "unknown", "empty"])
def test_role_outside_aws_has_no_command(role: str) -> None:
    assert find_command(build_running_pod(), role, {"code": "AccessDenied"}) == ""


def test_own_sts_has_no_command() -> None:
    pod = build_running_pod()
    env = find_container(pod, "podrole-sidecar")["env"]
    env.append({"name": "PODROLE_STS_ENDPOINT", "value": "https://sts.example.com"})

    assert find_command(pod, READER, {"code": "AccessDenied"}) == ""


def test_issuer_of_a_hostile_message_cannot_add_a_command() -> None:
    message = f"{NO_PROVIDER};curl${{IFS}}evil"

    command = find_command(build_running_pod(), READER, {"code": "InvalidIdentityToken", "message": message})

    assert "--url 'https://oidc.example.com/a;curl${IFS}evil' " in command
