"""A sidecar that is killed and restarted, as by the kubelet, with and without STS."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from testing.processes import is_running
from testing.services import faulty_sts as answers
from testing.services.faulty_sts import FaultySts
from testing.sidecars import CREDENTIALS_PATH, Sidecar, build_environ, running_sidecar

TTL = "X_Aws_Ec2_Metadata_Token_Ttl_Seconds"
ROLE = "/latest/meta-data/iam/security-credentials/reader"


@pytest.fixture
def environ(faulty_sts: FaultySts, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("to.ke.n")
    return build_environ(tmp_path, faulty_sts.url, PODROLE_IMDS_TOKENS="required")


def kill(sidecar: Sidecar) -> None:
    sidecar.process.kill()
    sidecar.process.wait(10)


def take_token(sidecar: Sidecar) -> str:
    return sidecar.request("/latest/api/token", "PUT", **{TTL: "21600"}).body


def read_role(sidecar: Sidecar, token: str) -> int:
    return sidecar.request(ROLE, X_Aws_Ec2_Metadata_Token=token).status


def test_restart_while_sts_is_down_serves_saved_credentials_and_tokens(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()
        token, before = take_token(sidecar), sidecar.request(CREDENTIALS_PATH).body
        kill(sidecar)
    faulty_sts.will(afterwards=answers.HANGING)

    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0
        sidecar.wait_for_log('"sts_responded": true')  # without credentials it would be false, after ten seconds
        assert sidecar.request(CREDENTIALS_PATH).body == before
        assert read_role(sidecar, token) == 200
        assert '"restored"' in sidecar.log


def test_restart_does_not_call_sts_before_the_refresh_is_due(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    for _ in range(3):
        with running_sidecar(environ, tmp_path) as sidecar:
            sidecar.wait_until_started()
            assert sidecar.request(CREDENTIALS_PATH).status == 200
            kill(sidecar)

    assert len(faulty_sts.requests) == 1


def test_tokens_survive_a_restart_before_the_first_credentials(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    faulty_sts.will(answers.DENIED)
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()
        token = take_token(sidecar)
        assert read_role(sidecar, token) == 401
        kill(sidecar)

    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()
        assert read_role(sidecar, token) == 200


def test_old_started_file_is_deleted_at_start(environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path) -> None:
    started = Path(environ["PODROLE_RUN_DIRECTORY"]) / "started"
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()
        kill(sidecar)
    (started.parent / "state.json").unlink()
    faulty_sts.will(afterwards=answers.HANGING)
    assert started.exists()

    with running_sidecar(environ, tmp_path):
        faulty_sts.await_requests(2)
        assert not started.exists()


def test_saved_state_of_another_role_is_ignored(environ: dict[str, str], tmp_path: Path) -> None:
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()
        token = take_token(sidecar)
        kill(sidecar)

    with running_sidecar(environ | {"PODROLE_ROLE_ARN": "arn:aws:iam::111122223333:role/writer"}, tmp_path) as sidecar:
        sidecar.wait_until_started()
        document = json.loads(sidecar.request(CREDENTIALS_PATH).body)

        assert document["RoleArn"].endswith("/writer")
        assert document["AccessKeyId"] == "ASIA0000000000000002"
        assert sidecar.request("/latest/meta-data/placement/region", X_Aws_Ec2_Metadata_Token=token).status == 401
        assert sidecar.log.count('"state-file-ignored"') == 1


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"", id="empty"), pytest.param(b"{", id="truncated"), pytest.param(b"\0" * 100_000, id="too-large")],
)
def test_damaged_state_file_is_ignored_and_replaced(environ: dict[str, str], tmp_path: Path, content: bytes) -> None:
    directory = Path(environ["PODROLE_RUN_DIRECTORY"])
    directory.mkdir(mode=0o700)
    (directory / "state.json").touch(mode=0o600)
    (directory / "state.json").write_bytes(content)

    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()

        assert sidecar.request(CREDENTIALS_PATH).status == 200
        assert sidecar.log.count('"state-file-ignored"') == 1
        assert b"ASIA0000000000000001" in (directory / "state.json").read_bytes()


def test_killed_child_costs_one_attempt(environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path) -> None:
    faulty_sts.will(answers.HANGING)

    with running_sidecar(environ, tmp_path) as sidecar:
        faulty_sts.await_requests(1)
        [child] = find_children(sidecar)

        os.kill(child, signal.SIGKILL)

        assert sidecar.wait_until_started() == 0
        sidecar.wait_for_log('"refreshed"', 20)
        assert '"ChildFailed"' in sidecar.log
        assert sidecar.request(CREDENTIALS_PATH).status == 200


def test_child_exits_when_the_sidecar_is_killed(environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path) -> None:
    faulty_sts.will(afterwards=answers.HANGING)

    with running_sidecar(environ, tmp_path) as sidecar:
        faulty_sts.await_requests(1)
        [child] = find_children(sidecar)

        kill(sidecar)

        deadline = time.monotonic() + 10
        while is_running(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_running(child)


def find_children(sidecar: Sidecar) -> list[int]:
    """Return the child processes of all threads."""
    tasks = Path(f"/proc/{sidecar.process.pid}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
