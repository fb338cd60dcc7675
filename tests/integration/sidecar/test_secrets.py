"""A whole life of a sidecar, and then a search of all that it wrote for every secret of that life."""

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
from testing.sidecars import Sidecar, build_environ, running_sidecar

TTL = "X_Aws_Ec2_Metadata_Token_Ttl_Seconds"
ROLE = "/latest/meta-data/iam/security-credentials/reader"
TOKENS = ("header.firstpayload.firstsignature", "header.secondpayload.secondsignature")


@pytest.fixture
def environ(faulty_sts: FaultySts, tmp_path: Path) -> dict[str, str]:
    return build_environ(tmp_path, faulty_sts.url, PODROLE_POD_UID="0c7c5f4e-1")


def use(sidecar: Sidecar) -> set[str]:
    """Ask for all that there is, rightly and wrongly; return the secrets that came back."""
    token = sidecar.request("/latest/api/token", "PUT", **{TTL: "60"}).body
    documents = [
        sidecar.request(ROLE, X_Aws_Ec2_Metadata_Token=token),
        sidecar.request("/v2/credentials", Authorization="a-secret-of-the-app"),
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


def ask_status(environ: dict[str, str]) -> bytes:
    asked = [
        subprocess.run(
            [sys.executable, "-m", "sidecar.status", *arguments],
            cwd=ROOT,
            env=environ,
            check=False,
            capture_output=True,
        )
        for arguments in ([], ["--output", "json"])
    ]
    return b"".join(one.stdout + one.stderr for one in asked)


class Life:
    """Sidecars of one pod, one after the other, and what is collected of them."""

    def __init__(self, environ: dict[str, str], directory: Path) -> None:
        self.secrets = set(TOKENS)
        self.written = b""
        self._environ = environ
        self._directory = directory
        self._run_directory = Path(environ["PODROLE_RUN_DIRECTORY"])

    def run(self, ends_by: signal.Signals) -> None:
        """From a start to an end."""
        with running_sidecar(self._environ, self._directory) as sidecar:
            assert sidecar.wait_until_started() == 0
            self.secrets |= use(sidecar)
            self.written += ask_status(self._environ)
            key = json.loads((self._run_directory / "state.json").read_bytes())["token_key"]
            self.secrets |= {key, base64.b64encode(bytes.fromhex(key)).decode()}
            sidecar.process.send_signal(ends_by)
            sidecar.process.wait(10)

    def fail_to_start(self) -> None:
        """With a message for the kubelet."""
        command = [sys.executable, "-m", "sidecar"]
        environ = self._environ | {"PODROLE_REGION": "nowhere"}
        ended = subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True)
        self.written += ended.stdout + ended.stderr

    @property
    def log(self) -> bytes:
        """What all of them wrote to standard output and standard error."""
        return (self._directory / "sidecar.log").read_bytes()

    def read_all(self) -> bytes:
        """All that was written anywhere but into the file that is there for the secrets."""
        files = [file for file in self._run_directory.iterdir() if file.name != "state.json"]
        return self.written + self.log + b"".join(file.read_bytes() for file in files)


def test_no_output_of_a_sidecar_contains_a_secret(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    life = Life(environ, tmp_path)
    token_file, state_file = Path(environ["PODROLE_TOKEN_FILE"]), Path(environ["PODROLE_RUN_DIRECTORY"]) / "state.json"

    token_file.write_text(TOKENS[0])
    faulty_sts.will(answers.BROKEN, answers.GARBAGE, answers.GRANTED, afterwards=answers.DENIED)
    life.run(signal.SIGKILL)
    life.run(signal.SIGTERM)  # with what the first one left
    state_file.write_bytes(b'{"token_key": "half')
    life.run(signal.SIGTERM)  # with nothing, and refused
    token_file.write_text(TOKENS[1])
    faulty_sts.will()
    life.run(signal.SIGTERM)
    life.fail_to_start()

    # Of pods two, of keys two in two forms, of credentials two sets of two, of clients up to four tokens (those of one
    # second are the same), of the app one.
    assert len(life.secrets) > 2 + 4 + 4 + 1
    written = life.read_all()
    for secret in life.secrets:
        assert secret.encode() not in written
        assert secret[:20].encode() not in written
    for event in ("started", "refreshed", "refresh-failed", "restored", "state-file-ignored"):
        assert f'"event": "{event}"'.encode() in life.log
    assert all(json.loads(line)["event"] for line in life.log.splitlines())
