"""The estate on a real cluster, with the AWS CLI and an IAM whose trust policies the store's STS follows."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import yaml
from click.testing import CliRunner, Result

from podrole.__main__ import main
from testing.estate import build_namespace
from testing.repository import ROOT
from testing.services.programs import sts as moto
from testing.services.seaweedfs import ACCOUNT_ID
from tests.integration.node.cluster import Node
from tests.integration.node.conftest import await_rollout
from tests.integration.node.store import ANYBODY, Store

BASE = f"arn:aws:iam::{ACCOUNT_ID}:role/"
NODES = {"Effect": "Allow", "Principal": {"AWS": f"{BASE}node-role"}, "Action": "sts:AssumeRole"}
KUBE2IAM = {"Version": "2012-10-17", "Statement": [NODES]}
"""The trust policy that kube2iam needs."""

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "x" * 40,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_PAGER": "",
}
STOP_STS, START_STS = "stop-sts", "start-sts"
OVERLAY = "overlays/mine"
ROLLOUT = "rollout status deployment/podrole-injector"
WITHIN_SECONDS = 300


@dataclass
class NodeEstate:
    """A cluster with the estate, its IAM, and a folder for what the documentation's commands write."""

    node: Node
    store: Store
    iam_url: str
    folder: Path
    overlay: Path
    written: Any = field(default=None)
    """The roles that the store has."""

    @property
    def iam(self) -> Any:
        keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
        return boto3.client("iam", endpoint_url=self.iam_url, region_name="us-east-1", **keys)

    def run(self, command: str) -> Result:
        """Run a podrole command."""
        return CliRunner().invoke(main, command.split()[1:], env={"KUBECONFIG": self.node.kubectl.kubeconfig})

    def execute(self, lines: Sequence[str], codes: Sequence[int] = (0,)) -> str:
        """Execute lines of a shell; return their output. Then the store has the trust policies of IAM."""
        output = "".join(self._execute(line, codes) for line in lines)
        if STOP_STS not in lines:
            self.copy_policies()
        return output

    def _execute(self, line: str, codes: Sequence[int]) -> str:
        if action := {STOP_STS: self.store.stop, START_STS: self.store.start}.get(line):
            action()
            return ""
        environ = {
            **KEYS,
            "AWS_ENDPOINT_URL": self.iam_url,
            "KUBECONFIG": self.node.kubectl.kubeconfig,
            "HOME": str(self.node.kubectl.home),
            "PYTHONPATH": str(ROOT),
            "PATH": f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{Path(self.node.kubectl.program).parent}"
            f":{os.defpath}",
        }
        shell = ["bash", "-o", "pipefail", "-c", line.replace(OVERLAY, str(self.overlay))]
        done = subprocess.run(
            shell,
            env=environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=WITHIN_SECONDS,
            check=False,
        )
        if ROLLOUT in line:
            await_rollout(self.node)  # also the end of the old replicas, which serve until then
        assert done.returncode in codes, f"{line}: {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def create_roles(self) -> None:
        """Create the roles that the estate names, as they are for kube2iam."""
        rows = json.loads(self.run("podrole plan -A -o json").stdout)["workloads"]
        for arn in sorted({row["then"]["role"] for row in rows if row["then"]["role"]}):
            path, _, name = arn.removeprefix(BASE).rpartition("/")
            self.iam.create_role(
                RoleName=name, Path=f"/{path}/" if path else "/", AssumeRolePolicyDocument=json.dumps(KUBE2IAM)
            )

    def copy_policies(self) -> None:
        """Give the trust policies of IAM to the store, if they have changed."""
        pages = self.iam.get_paginator("list_roles").paginate()
        roles = [self._build_role(role) for page in pages for role in page["Roles"]]
        if roles == self.written:
            return
        file = self.store.directory / "iam.json"
        iam = json.loads(file.read_text())
        names = {role["roleName"] for role in [*roles, *(self.written or [])]}
        iam["roles"] = [role for role in iam["roles"] if role["roleName"] not in names] + roles
        with self.store.outage():
            file.write_text(json.dumps(iam))
        self.written = roles

    @staticmethod
    def _build_role(role: Any) -> Any:
        """Build a role of the store, which has another key for the subject and checks the audience itself."""
        policy = role["AssumeRolePolicyDocument"]
        for statement in policy["Statement"]:
            if equal := statement.get("Condition", {}).get("StringEquals"):
                subject = next(value for key, value in equal.items() if key.endswith(":sub"))
                statement["Condition"] = {"StringEquals": {"oidc:sub": subject}}
        return {
            "roleName": role["Arn"].partition(":role/")[2],
            "roleArn": role["Arn"],
            "attachedPolicies": [ANYBODY.name],
            "trustPolicy": policy,
        }


@contextmanager
def run_estate(node: Node, store: Store, folder: Path, overlay: Path) -> Iterator[NodeEstate]:
    """Run IAM, and write the programs and manifests that the documentation's commands need."""
    programs = folder / "bin"
    programs.mkdir()
    for name, words in {"podrole": f'{sys.executable} -m podrole "$@"', "less": 'cat "$@"'}.items():
        (programs / name).write_text(f"#!/bin/sh\nexec {words}\n")
        (programs / name).chmod(0o755)
    (folder / "shop").mkdir()
    (folder / "shop" / "all.yaml").write_text(yaml.safe_dump_all(build_namespace("shop")))
    start = partial(subprocess.Popen, env={**os.environ, "MOTO_ACCOUNT_ID": ACCOUNT_ID})
    before = (store.directory / "iam.json").read_text()
    with moto(folder, popen=start) as url:
        try:
            yield NodeEstate(node, store, url, folder, overlay)
        finally:
            with store.outage():
                (store.directory / "iam.json").write_text(before)
