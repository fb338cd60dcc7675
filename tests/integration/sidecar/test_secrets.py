"""Runs sidecars through all their states, then searches everything they wrote for secrets."""

import base64
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testing.repository import ROOT
from testing.services import faulty_sts as answers
from testing.services.faulty_sts import FaultySts
from testing.sidecars import CREDENTIALS_PATH, POD_UID, Sidecar, build_environ, running_sidecar

TTL = "X_Aws_Ec2_Metadata_Token_Ttl_Seconds"
ROLE = "/latest/meta-data/iam/security-credentials/reader"
TOKENS = ("header.firstpayload.firstsignature", "header.secondpayload.secondsignature")


@pytest.fixture
def environ(faulty_sts: FaultySts, tmp_path: Path) -> dict[str, str]:
    environ = build_environ(tmp_path, faulty_sts.url)
    return environ | {"PODROLE_RUN_DIRECTORY": f"{tmp_path}/podrole-{POD_UID}"}


def send_requests(sidecar: Sidecar) -> set[str]:
    """Send valid and invalid requests to all paths; return the secrets in the responses."""
    token = sidecar.request("/latest/api/token", "PUT", **{TTL: "60"}).body
    documents = [
        sidecar.request(ROLE, X_Aws_Ec2_Metadata_Token=token),
        sidecar.request(CREDENTIALS_PATH, Authorization="a-secret-of-the-app"),
    ]
    sidecar.request(ROLE, X_Aws_Ec2_Metadata_Token=token + "x")
    sidecar.request(ROLE, X_Aws_Ec2_Metadata_Token=token, Host="evil.example.com")
    sidecar.request(ROLE, X_Aws_Ec2_Metadata_Token=token, X_Forwarded_For="10.0.0.1")
    sidecar.request(f"{ROLE}?token={token}")
    sidecar.request(f"/latest/%2e%2e/{token}")
    sidecar.exchange(f"GET /{token} HTTP/9.9\r\nX-Aws-Ec2-Metadata-Token: {token}\r\n\r\n".encode())
    sidecar.exchange(f"BREW {ROLE} HTTP/1.1\r\nX-Aws-Ec2-Metadata-Token: {token}\r\nbad header\r\n\r\n".encode())
    found = {token, "a-secret-of-the-app"}
    for document in (json.loads(reply.body) for reply in documents if reply.status == 200):
        found |= {document["SecretAccessKey"], document["Token"]}
    return found


def run_status(environ: dict[str, str]) -> bytes:
    results = [
        subprocess.run(
            [sys.executable, "-m", "sidecar.status", *arguments],
            cwd=ROOT,
            env=environ,
            check=False,
            capture_output=True,
        )
        for arguments in ([], ["--output", "json"])
    ]
    return b"".join(result.stdout + result.stderr for result in results)


class SidecarRuns:
    """Consecutive sidecars of one pod, their secrets and their output."""

    def __init__(self, environ: dict[str, str], directory: Path) -> None:
        self.secrets = {*TOKENS, POD_UID}
        self.written = b""
        self._environ = environ
        self._directory = directory
        self._run_directory = Path(environ["PODROLE_RUN_DIRECTORY"])

    def run(self, ends_by: signal.Signals) -> None:
        """Run one sidecar from start to end."""
        with running_sidecar(self._environ, self._directory) as sidecar:
            assert sidecar.wait_until_started() == 0
            self.secrets |= send_requests(sidecar)
            self.written += run_status(self._environ)
            key = json.loads((self._run_directory / "state.json").read_bytes())["token_key"]
            self.secrets |= {key, base64.b64encode(bytes.fromhex(key)).decode()}
            sidecar.process.send_signal(ends_by)
            sidecar.process.wait(10)

    def fail_to_start(self) -> None:
        """Run a sidecar with an invalid environment."""
        command = [sys.executable, "-m", "sidecar"]
        environ = self._environ | {"PODROLE_REGION": "no region"}
        ended = subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, timeout=60)
        self.written += ended.stdout + ended.stderr

    @property
    def log(self) -> bytes:
        """Everything they wrote to standard output and standard error."""
        return (self._directory / "sidecar.log").read_bytes()

    def read_all(self) -> bytes:
        """Everything that was written, except the state file."""
        files = [file for file in self._run_directory.iterdir() if file.name != "state.json"]
        return self.written + self.log + b"".join(file.read_bytes() for file in files)


def test_no_output_of_a_sidecar_contains_a_secret(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    runs = SidecarRuns(environ, tmp_path)
    token_file, state_file = Path(environ["PODROLE_TOKEN_FILE"]), Path(environ["PODROLE_RUN_DIRECTORY"]) / "state.json"

    token_file.write_text(TOKENS[0])
    faulty_sts.will(answers.BROKEN, answers.GARBAGE, answers.GRANTED, afterwards=answers.DENIED)
    runs.run(signal.SIGKILL)
    runs.run(signal.SIGTERM)  # with the saved state
    state_file.write_bytes(b'{"token_key": "half')
    runs.run(signal.SIGTERM)  # without a saved state, and STS returns AccessDenied
    token_file.write_text(TOKENS[1])
    faulty_sts.will()
    runs.run(signal.SIGTERM)
    runs.fail_to_start()

    # Two web identity tokens, two keys in two forms, two sets of two credentials, up to four IMDS tokens (those of one
    # second are equal), one of the app, the pod's uid (the end of the credential path).
    assert len(runs.secrets) > 2 + 4 + 4 + 1 + 1
    written = runs.read_all()
    for secret in runs.secrets:
        assert secret.encode() not in written
        assert secret[:20].encode() not in written
    for event in ("started", "refreshed", "refresh-failed", "restored", "state-file-ignored"):
        assert f'"event": "{event}"'.encode() in runs.log
    assert all(json.loads(line)["event"] for line in runs.log.splitlines())
