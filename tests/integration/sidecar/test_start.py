"""Start and stop of the sidecar: errors, the started file, signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testing.repository import ROOT
from testing.services import faulty_sts as answers
from testing.services.faulty_sts import FaultySts
from testing.sidecars import CREDENTIALS_PATH, POD_UID, running_sidecar


def run_until_exit(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sidecar"]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True, timeout=60)


def test_invalid_environment_fails_the_start_with_one_message(environ: dict[str, str]) -> None:
    result = run_until_exit(environ | {"PODROLE_ROLE_ARN": "reader", "PODROLE_REGION": ""})

    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "podrole-sidecar: invalid environment:",
        (
            "  PODROLE_ROLE_ARN is 'reader': it must be the ARN of an IAM role, such as "
            "arn:aws:iam::111122223333:role/reader; if STS is outside AWS, also such as arn:aws:iam:::role/reader"
        ),
        (
            "  PODROLE_REGION is not set: it must be an AWS region, such as eu-west-1; "
            "if STS is outside AWS, any name of letters, digits and -, such as garage"
        ),
    ]


def test_unknown_setting_is_logged_and_the_sidecar_starts(environ: dict[str, str], tmp_path: Path) -> None:
    """An injector of another version can have written it."""
    unknown = {f"PODROLE_NEWER_{number:03}": "secret-value" for number in range(200)}
    links = {"PODROLE_SERVICE_HOST": "10.96.0.10", "PODROLE_PORT_443_TCP": "tcp://10.96.0.10:443"}

    with running_sidecar(environ | unknown | links, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0, sidecar.log
        [line] = [one for one in map(json.loads, sidecar.log.splitlines()) if one["event"] == "settings-ignored"]

    assert line["names"] == ", ".join([*unknown][:10])
    assert "secret-value" not in sidecar.log


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_used_port_fails_the_start(environ: dict[str, str], address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as taken:
        port = taken.getsockname()[1]

        result = run_until_exit(environ | {"PODROLE_PORT": str(port)})

    assert result.returncode == 1
    assert f"cannot listen on {address} port {port}: another process of the pod already listens on it" in result.stderr


def test_run_directory_with_wrong_mode_fails_the_start(environ: dict[str, str]) -> None:
    Path(environ["PODROLE_RUN_DIRECTORY"]).mkdir(mode=0o755)

    result = run_until_exit(environ)

    assert result.returncode == 1
    assert "must be a directory of user" in result.stderr


def test_run_directory_that_is_a_symlink_fails_the_start(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    Path(environ["PODROLE_RUN_DIRECTORY"]).symlink_to(tmp_path / "elsewhere")

    assert run_until_exit(environ).returncode == 1


def test_run_directory_without_parent_fails_the_start(environ: dict[str, str]) -> None:
    result = run_until_exit(environ | {"PODROLE_RUN_DIRECTORY": "/nowhere/at/all"})

    assert result.returncode == 1
    assert "PODROLE_RUN_DIRECTORY cannot be used: " in result.stderr
    assert "/nowhere/at/all" in result.stderr


def test_error_of_the_run_directory_does_not_contain_the_pods_uid(environ: dict[str, str]) -> None:
    result = run_until_exit(environ | {"PODROLE_RUN_DIRECTORY": f"/nowhere/podrole-{POD_UID}"})

    assert "/nowhere/podrole-<uid>: No such file or directory" in result.stderr
    assert POD_UID not in result.stderr


def test_start_without_the_pods_uid_fails(environ: dict[str, str]) -> None:
    result = run_until_exit(environ | {"PODROLE_POD_UID": ""})

    assert result.returncode == 2
    assert "PODROLE_POD_UID is not set: it must be the uid of a pod" in result.stderr


def test_start_without_the_redirect_fails(environ: dict[str, str]) -> None:
    result = run_until_exit(environ | {"PODROLE_MODE": "redirect"})

    assert result.returncode == 3
    assert "podrole-sidecar: the pod has no route" in result.stderr or "169.254.170.2" in result.stderr
    assert not (Path(environ["PODROLE_RUN_DIRECTORY"]) / "started").exists()


def test_hook_ignores_a_stale_started_file(environ: dict[str, str], tmp_path: Path) -> None:
    run_directory = Path(environ["PODROLE_RUN_DIRECTORY"])
    run_directory.mkdir(mode=0o700)
    (run_directory / "started").write_text(f"{os.getpid()} 1")
    hook = subprocess.Popen(
        [sys.executable, "-I", "-S", str(ROOT / "sidecar" / "post_start.py")], env=environ, cwd=tmp_path
    )

    with hook, running_sidecar(environ, tmp_path) as sidecar:
        assert hook.wait(20) == 0
        assert '"started"' in sidecar.log


def test_hook_returns_when_credentials_are_served(environ: dict[str, str], tmp_path: Path) -> None:
    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0
        assert sidecar.request(CREDENTIALS_PATH).status == 200


def test_sidecar_starts_with_a_permanent_error_and_serves_it(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    faulty_sts.will(afterwards=answers.DENIED)

    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0
        reply = sidecar.request(CREDENTIALS_PATH)

        document = json.loads(reply.body)
        assert reply.status == 403
        assert document["Code"] == "AccessDenied"
        assert document["Message"] == "Not authorized to perform sts:AssumeRoleWithWebIdentity"
        assert sidecar.request("/latest/meta-data/iam/security-credentials").status == 503
        assert sidecar.request("/latest/meta-data/iam/security-credentials/reader").status == 401
        assert '"code": "AccessDenied"' in sidecar.log


def test_hanging_sts_delays_the_start_by_10_s(environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path) -> None:
    faulty_sts.will(afterwards=answers.HANGING)
    began = time.monotonic()

    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0

        assert 10 <= time.monotonic() - began < 25
        assert sidecar.request(CREDENTIALS_PATH).status == 503


def test_log_contains_no_secret(environ: dict[str, str], tmp_path: Path) -> None:
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()
        sidecar.request(CREDENTIALS_PATH)
        sidecar.request(CREDENTIALS_PATH, Host="evil.example.com")

    log = (tmp_path / "sidecar.log").read_text()
    assert '"refreshed"' in log
    for secret in ("secret-1", "token-1", "to.ke.n"):
        assert secret not in log


def test_sigterm_ends_the_sidecar_within_a_second(environ: dict[str, str], tmp_path: Path) -> None:
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()
        sidecar.request(CREDENTIALS_PATH)

        # On an overloaded machine it gets more time, but less than the grace period.
        is_overloaded = os.getloadavg()[0] > 2 * len(os.sched_getaffinity(0))
        sidecar.process.send_signal(signal.SIGTERM)

        assert sidecar.process.wait(4 if is_overloaded else 1) == 0


def test_request_in_progress_at_sigterm_is_answered(environ: dict[str, str], tmp_path: Path) -> None:
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()
        with socket.create_connection(("127.0.0.1", sidecar.port), timeout=10) as client:
            client.sendall(f"GET {CREDENTIALS_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode())
            sidecar.request(CREDENTIALS_PATH)  # the server has read the partial request by then

            sidecar.process.send_signal(signal.SIGTERM)
            wait_until_refused(sidecar.port)
            client.sendall(b"\r\n")
            answer = b"".join(iter(lambda: client.recv(4096), b""))

        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b'"AccessKeyId"' in answer
        assert sidecar.process.wait(10) == 0


def test_incomplete_request_at_sigterm_is_dropped_after_the_grace_period(
    environ: dict[str, str], tmp_path: Path
) -> None:
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()
        with socket.create_connection(("127.0.0.1", sidecar.port), timeout=30) as client:
            client.sendall(f"GET {CREDENTIALS_PATH} HTTP/1.1\r\n".encode())
            sidecar.request(CREDENTIALS_PATH)

            sidecar.process.send_signal(signal.SIGTERM)

            # The kubelet's grace period is 30 s, and the app may have used most of it.
            assert sidecar.process.wait(15) == 0


def wait_until_refused(port: int) -> None:
    """Wait until the listener is closed: the process is shutting down."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.01)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * 5000, id="ascii"),
        pytest.param("\u00e9\U0001f600" * 2000, id="unicode"),
        pytest.param("two\nlines" * 500, id="many-lines"),
    ],
)
def test_config_errors_fit_into_the_termination_message(environ: dict[str, str], value: str) -> None:
    """The kubelet shows the last 2048 bytes or 80 lines: they must include the first error."""
    wrong = {name: value for name in environ if name.startswith("PODROLE_")}

    result = run_until_exit(environ | wrong)

    shown = result.stderr.encode()[-2048:].decode(errors="replace").splitlines()[-80:]
    assert result.returncode == 2
    assert shown[0] == "podrole-sidecar: invalid environment:"
    assert shown[1].startswith("  PODROLE_ROLE_ARN is '")
    assert sum(line.startswith("  PODROLE_") for line in shown) == len(result.stderr.splitlines()) - 1 > 5


def test_sigterm_before_the_start_exits_with_143(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    faulty_sts.will(afterwards=answers.HANGING)

    with running_sidecar(environ, tmp_path) as sidecar:
        faulty_sts.await_requests(1)

        sidecar.process.send_signal(signal.SIGTERM)

        assert sidecar.process.wait(3) == 128 + signal.SIGTERM
        assert not (Path(environ["PODROLE_RUN_DIRECTORY"]) / "started").exists()
