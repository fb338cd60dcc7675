"""The trust policy that `podrole trust-policy` prints, enforced by an STS that verifies tokens.

Two things are changed for SeaweedFS: its condition key is `oidc:sub` for every issuer, and it checks the audience
itself, because its conditions never match a list of audiences, as Kubernetes tokens have.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from podrole.__main__ import main
from testing.services.issuer import Issuer
from testing.services.programs import running
from testing.services.seaweedfs import (
    ACCOUNT_ID,
    ADDRESS,
    GRPC_OFFSET,
    SOCKET,
    Role,
    build_iam,
    build_program,
    claim_ports,
)
from testing.sts_client import assume, read_refusal

ONE = Role("one", subject="system:serviceaccount:team-a:web", bucket="one")
TWO = replace(ONE, name="two")
WHOLE = replace(ONE, name="whole")
MERGED = replace(ONE, name="merged")
SUBJECTS = {
    "one": ("-n", "team-a", "-s", "web"),
    "two": ("-n", "team-a", "-s", "web", "-s", "api"),
    "whole": ("-n", "team-a", "-s", "*"),
}
KUBE2IAM = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:role/nodes"}, "Action": "sts:AssumeRole"}
    ],
}


def print_policy(issuer: Issuer, *arguments: str, stdin: str | None = None) -> Any:
    result = CliRunner().invoke(main, ["trust-policy", *arguments, "--issuer", issuer.url], input=stdin)
    assert result.exit_code == 0, result.stderr
    host = issuer.url.partition("://")[2]
    policy = json.loads(result.stdout.replace(f"{host}:sub", "oidc:sub"))
    for statement in policy["Statement"]:
        if "Federated" in statement["Principal"]:
            assert statement["Condition"]["StringEquals"].pop(f"{host}:aud") == "sts.amazonaws.com"
    return policy


def print_all(issuer: Issuer) -> dict[str, Any]:
    policies = {role.name: print_policy(issuer, role.arn, *SUBJECTS[role.name]) for role in (ONE, TWO, WHOLE)}
    merge = (MERGED.arn, *SUBJECTS["one"], "--merge", "-")
    return policies | {"merged": print_policy(issuer, *merge, stdin=json.dumps(KUBE2IAM))}


@pytest.fixture(scope="module")
def sts(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An STS with a role for each printed policy."""
    directory = tmp_path_factory.mktemp("printed")
    configuration = build_iam(issuer.url, (ONE, TWO, WHOLE, MERGED))
    policies = print_all(issuer)
    for role in configuration["roles"]:
        role["trustPolicy"] = policies[role["roleName"]]
    (directory / "iam.json").write_text(json.dumps(configuration))
    data = directory / "data"
    data.mkdir()
    with claim_ports() as ports:
        try:
            program = build_program(data, directory / "iam.json", ["one"], ports)
            with running(program, directory, subprocess.Popen):
                yield f"http://{ADDRESS}:{ports['s3']}"
        finally:
            for server, port in ports.items():
                Path(SOCKET.format(server=server, port=port + GRPC_OFFSET)).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("role", "account"),
    [
        (ONE, "team-a:web"),
        (MERGED, "team-a:web"),
        (TWO, "team-a:web"),
        (TWO, "team-a:api"),
        (WHOLE, "team-a:web"),
        (WHOLE, "team-a:any"),
    ],
    ids=lambda value: value.name if isinstance(value, Role) else value,
)
def test_account_in_the_policy_gets_the_role(sts: str, issuer: Issuer, role: Role, account: str) -> None:
    token = issuer.token(f"system:serviceaccount:{account}")

    assert assume(sts, token, role.arn)["SessionToken"]


@pytest.mark.parametrize(
    ("role", "account"),
    [
        (ONE, "team-a:api"),
        (ONE, "team-b:web"),
        (MERGED, "team-a:api"),
        (TWO, "team-a:other"),
        (TWO, "team-b:web"),
        (WHOLE, "team-b:web"),
        (WHOLE, "team-a2:web"),
    ],
    ids=lambda value: value.name if isinstance(value, Role) else value,
)
def test_account_not_in_the_policy_is_denied(sts: str, issuer: Issuer, role: Role, account: str) -> None:
    token = issuer.token(f"system:serviceaccount:{account}")

    assert read_refusal(sts, token, role.arn) == (403, "AccessDenied")


@pytest.mark.parametrize("role", [ONE, WHOLE], ids=lambda role: role.name)
def test_token_for_another_audience_is_denied(sts: str, issuer: Issuer, role: Role) -> None:
    token = issuer.token(role.subject, audience="vault")

    assert read_refusal(sts, token, role.arn)[0] in {400, 403}
