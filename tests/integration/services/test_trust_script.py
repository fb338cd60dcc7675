"""The script of `podrole trust-policy --out`, run by sh with the real AWS CLI against moto's IAM."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from podrole.__main__ import main

ACCOUNT = "123456789012"
"""moto's."""

ISSUER = "https://oidc.example.com"
NODES = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
EXISTING = {"Version": "2012-10-17", "Statement": [NODES]}
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "x" * 40,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "HOME": "/nonexistent",
}
NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata: {name: team-a, labels: {podrole.io/injection: enabled}}
"""
USER = """\
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: user-%d, namespace: team-a, annotations: {iam.amazonaws.com/role: "%s"}}
"""


@dataclass
class Estate:
    """Three roles of moto's IAM, and manifests whose ServiceAccounts name them."""

    url: str
    directory: Path
    names: list[str]

    @property
    def out(self) -> Path:
        return self.directory / "trust"

    @property
    def client(self) -> Any:
        keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
        return boto3.client("iam", endpoint_url=self.url, region_name="us-east-1", **keys)

    def create(self, name: str, policy: Mapping[str, Any] = EXISTING) -> None:
        self.client.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy), Path="/team/")

    def read(self, name: str) -> Any:
        return self.client.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]

    def is_set(self, name: str) -> bool:
        policy = self.read(name)
        return [one.get("Sid") for one in policy["Statement"]] == [None, "Podrole"] and policy["Statement"][0] == NODES

    def aws(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self._run("aws", *arguments)

    def write(self, *options: str, account: str = ACCOUNT) -> Result:
        """Read the roles with the AWS CLI, as the documentation says, and write the directory."""
        manifests = NAMESPACE + "".join(
            USER % (number, f"arn:aws:iam::{account}:role/team/{name}") for number, name in enumerate(self.names)
        )
        (self.directory / "all.yaml").write_text(manifests)
        listed = self.aws("iam", "list-roles", "--output", "json")
        assert listed.returncode == 0, listed.stderr
        (self.directory / "roles.json").write_text(listed.stdout)
        files = ["-f", str(self.directory / "all.yaml"), "--out", str(self.out)]
        return CliRunner().invoke(main, ["trust-policy", "--all", "--issuer", ISSUER, *files, *options])

    def write_merged(self) -> None:
        result = self.write("--policies", str(self.directory / "roles.json"))
        assert result.exit_code == 0, result.output

    def script(self, *arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        return self._run("sh", str(self.out / "apply.sh"), *arguments, cwd=cwd)

    def _run(self, *argv: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environ = {**KEYS, "PATH": path, "AWS_ENDPOINT_URL": self.url}
        return subprocess.run(
            argv, env=environ, cwd=cwd or self.directory, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture
def estate(sts: str, tmp_path: Path) -> Estate:
    prefix = uuid.uuid4().hex[:8]
    estate = Estate(sts, tmp_path, [f"{prefix}-{name}" for name in ("a", "b", "c")])
    for name in estate.names:
        estate.create(name)
    return estate


def test_policies_are_set_once_and_restored(estate: Estate) -> None:
    estate.write_merged()
    before = [estate.read(name) for name in estate.names]

    first = estate.script(cwd=Path("/"))
    is_set = [estate.is_set(name) for name in estate.names]
    second = estate.script()
    restored = estate.script("--restore")

    assert (first.returncode, is_set) == (0, [True] * 3), first.stderr
    assert [line.split(":")[0] for line in first.stdout.splitlines()] == ["account", *["setting"] * 3, "done"]
    assert (second.returncode, second.stdout.count("already set: ")) == (0, 3), second.stderr
    assert (restored.returncode, [estate.read(name) for name in estate.names]) == (0, before), restored.stderr


def test_script_stops_at_a_role_that_fails_and_goes_on_when_run_again(estate: Estate) -> None:
    estate.write_merged()
    failing = estate.names[1]
    estate.client.delete_role(RoleName=failing)

    first = estate.script()
    states = [estate.is_set(estate.names[number]) for number in (0, 2)]
    estate.create(failing)
    second = estate.script()

    assert (first.returncode != 0, states) == (True, [True, False])
    assert "NoSuchEntity" in first.stderr
    assert "done" not in first.stdout
    assert second.returncode == 0, second.stderr
    assert [estate.is_set(name) for name in estate.names] == [True] * 3
    assert f"already set: {estate.names[0]}" in second.stdout


def test_policy_that_somebody_changed_meanwhile_is_not_replaced(estate: Estate) -> None:
    estate.write_merged()
    changed = {"Version": "2012-10-17", "Statement": [{**NODES, "Sid": "Changed"}]}
    estate.client.update_assume_role_policy(RoleName=estate.names[1], PolicyDocument=json.dumps(changed))

    result = estate.script()

    assert result.returncode == 1
    assert f"stopped: {estate.names[1]}: its policy is neither that of backup/" in result.stderr
    assert estate.read(estate.names[1]) == changed


def test_policy_in_another_order_of_keys_is_the_same(estate: Estate) -> None:
    estate.write_merged()
    reordered = {"Statement": [dict(reversed(NODES.items()))], "Version": "2012-10-17"}
    estate.client.update_assume_role_policy(RoleName=estate.names[0], PolicyDocument=json.dumps(reordered))

    assert estate.script().returncode == 0
    assert estate.is_set(estate.names[0])


def test_role_without_a_back_up_is_replaced_only_by_request_and_saved_first(estate: Estate) -> None:
    estate.write()

    refused = estate.script()
    untouched = estate.read(estate.names[0])
    replaced = estate.script("--replace")
    sids = [one.get("Sid") for one in estate.read(estate.names[0])["Statement"]]
    restored = estate.script("--restore")

    assert (refused.returncode, untouched) == (1, EXISTING)
    assert "there is no back-up of its policy, which this would replace" in refused.stderr
    assert (replaced.returncode, sids) == (0, ["Podrole"]), replaced.stderr
    assert (restored.returncode, estate.read(estate.names[0])) == (0, EXISTING), restored.stderr


def test_role_of_another_account_is_left_out(estate: Estate) -> None:
    result = estate.write(account="444455556666")

    ran = estate.script("--replace")

    assert result.exit_code == 0, result.output
    assert ran.returncode == 1
    assert f"left out: {estate.names[0]} is in account 444455556666" in ran.stdout
    assert estate.read(estate.names[0]) == EXISTING


def test_second_output_after_the_policies_were_set_has_the_back_ups_still(estate: Estate) -> None:
    estate.write_merged()
    assert estate.script().returncode == 0

    estate.write_merged()
    restored = estate.script("--restore")

    assert restored.returncode == 0, restored.stderr
    assert [estate.read(name) for name in estate.names] == [EXISTING] * 3


def test_unknown_option_changes_nothing(estate: Estate) -> None:
    estate.write_merged()

    result = estate.script("--help")

    assert result.returncode == 2
    assert "usage: sh apply.sh [--replace | --restore]" in result.stderr
    assert estate.read(estate.names[0]) == EXISTING


def test_credentials_that_are_refused_end_the_script_before_any_role(estate: Estate) -> None:
    estate.write_merged()
    stand_in = estate.directory / "aws"
    stand_in.write_text("#!/bin/sh\necho ExpiredToken >&2\nexit 255\n")
    stand_in.chmod(0o755)

    environ = {"PATH": f"{estate.directory}:/usr/bin:/bin"}
    result = subprocess.run(
        ["sh", str(estate.out / "apply.sh")], env=environ, capture_output=True, text=True, check=False
    )

    assert (result.returncode, result.stdout) == (255, "")
    assert "ExpiredToken" in result.stderr
