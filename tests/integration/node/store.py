"""SeaweedFS as an STS and S3 that pods reach and that verify the cluster's tokens.

It can be restarted on the same ports, to test an outage of STS.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from testing.services import seaweedfs
from testing.services.programs import Program, running

TEAM_A = seaweedfs.Role("team-a", subject="system:serviceaccount:team-a:web", bucket="team-a")
TEAM_B = seaweedfs.Role("team-b", subject="system:serviceaccount:team-b:web", bucket="team-b")
ANYBODY = seaweedfs.Role("anybody", subject="system:serviceaccount:test-*:*", bucket="anybody")
ROLES = (TEAM_A, TEAM_B, ANYBODY)


@dataclass
class Store:
    """A running SeaweedFS."""

    url: str
    program: Program
    directory: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        self.stack.enter_context(running(self.program, self.directory, within_seconds=120))

    def stop(self) -> None:
        """Stop it, so that its port refuses connections."""
        self.stack.close()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Stop it until the block ends."""
        self.stop()
        try:
            yield
        finally:
            self.start()


def build_iam(issuer: str, ca_file: Path, trust: Mapping[str, Any]) -> dict[str, Any]:
    """Build its configuration; `trust` maps role names to trust policies that override the default."""
    iam = seaweedfs.build_iam(issuer, ROLES)
    iam["providers"][0]["config"]["tlsCaCert"] = str(ca_file)
    for role in iam["roles"]:
        if role["roleName"] == ANYBODY.name:
            role["trustPolicy"]["Statement"][0]["Condition"] = {"StringLike": {"oidc:sub": ANYBODY.subject}}
        role["trustPolicy"] = trust.get(role["roleName"], role["trustPolicy"])
    return iam


@contextmanager
def run_store(
    directory: Path, address: str, issuer: str, ca_file: Path, trust: Mapping[str, Any] | None = None
) -> Iterator[Store]:
    """Run SeaweedFS until the block ends."""
    data, file = directory / "seaweedfs", directory / "iam.json"
    data.mkdir()
    file.write_text(json.dumps(build_iam(issuer, ca_file, trust or {})))
    buckets: Sequence[str] = [role.bucket for role in ROLES]
    with seaweedfs.claim_ports() as ports:
        program = seaweedfs.build_program(data, file, buckets, ports)
        argv = tuple(word.replace(seaweedfs.ADDRESS, address) for word in program.argv)
        store = Store(f"http://{address}:{ports['s3']}", replace(program, argv=argv), directory)
        store.start()
        try:
            yield store
        finally:
            store.stop()
            for server, port in ports.items():
                socket = seaweedfs.SOCKET.format(server=server, port=port + seaweedfs.GRPC_OFFSET)
                Path(socket).unlink(missing_ok=True)
