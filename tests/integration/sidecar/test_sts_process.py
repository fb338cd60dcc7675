"""The STS child process: its requests, and the outcome for each response of STS."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.sts import process
from sidecar.sts.outcome import NO_OUTCOME
from sidecar.time_format import format_time
from testing.processes import is_running
from testing.repository import ROOT
from testing.services import faulty_sts as answers
from testing.services.faulty_sts import Fault, FaultySts, Grant
from testing.sidecars import ROLE_ARN

NOW = 1_700_000_000


def fetch(environ: dict[str, str], deadline_seconds: float = 30) -> Credentials | Failure:
    return process.wait_for_result(process.spawn(environ), deadline_seconds)


def test_missing_token_file_is_reported_without_calling_sts(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    Path(environ["PODROLE_TOKEN_FILE"]).unlink()

    outcome = fetch(environ)

    assert isinstance(outcome, Failure)
    assert outcome.code == "TokenUnreadable"
    assert environ["PODROLE_TOKEN_FILE"] in outcome.message
    assert not outcome.is_permanent
    assert faulty_sts.requests == []


@pytest.mark.parametrize("content", ["", "\n"], ids=["empty", "line-feed"])
def test_empty_token_file_is_reported_without_calling_sts(
    environ: dict[str, str], faulty_sts: FaultySts, content: str
) -> None:
    Path(environ["PODROLE_TOKEN_FILE"]).write_text(content)

    outcome = fetch(environ)

    assert outcome == Failure("TokenEmpty", f"{environ['PODROLE_TOKEN_FILE']} is empty", is_permanent=False)
    assert faulty_sts.requests == []


def test_binary_token_file_is_a_failure(environ: dict[str, str]) -> None:
    Path(environ["PODROLE_TOKEN_FILE"]).write_bytes(b"\xff\xfe")

    outcome = fetch(environ)

    assert isinstance(outcome, Failure)
    assert outcome.code == "TokenUnreadable"


@pytest.mark.parametrize(
    "fault",
    [pytest.param(answers.DENIED, id="access-denied"), pytest.param(answers.DURATION_TOO_LONG, id="duration-too-long")],
)
def test_permanent_error_is_returned_after_one_call(
    environ: dict[str, str], faulty_sts: FaultySts, fault: Fault
) -> None:
    faulty_sts.will(afterwards=fault)

    outcome = fetch(environ)

    assert isinstance(outcome, Failure)
    assert outcome.is_permanent
    assert f"<Code>{outcome.code}</Code>" in fault.body
    assert outcome.message in fault.body
    assert len(faulty_sts.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answers.THROTTLED, id="throttled"),
        pytest.param(answers.TOO_MANY_REQUESTS, id="too-many-requests"),
        pytest.param(answers.BROKEN, id="internal-error"),
        pytest.param(answers.TOKEN_EXPIRED, id="token-expired"),
        pytest.param(answers.ISSUER_UNREACHABLE, id="issuer-unreachable"),
        pytest.param(answers.GARBAGE, id="not-xml"),
        pytest.param(answers.EMPTY, id="empty-response"),
    ],
)
def test_transient_error_is_retried_at_once(environ: dict[str, str], faulty_sts: FaultySts, fault: Fault) -> None:
    faulty_sts.will(fault, fault)

    outcome = fetch(environ)

    assert isinstance(outcome, Credentials)
    assert len(faulty_sts.requests) == 3


def test_attempts_argument_limits_the_calls(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(afterwards=answers.THROTTLED)

    outcome = process.wait_for_result(process.spawn(environ, attempts=1))

    assert outcome == Failure("Throttling", "Rate exceeded", is_permanent=False)
    assert len(faulty_sts.requests) == 1


def test_token_file_is_read_again_after_invalid_identity_token(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(Fault(400, answers.TOKEN_INVALID.body, delay_seconds=0.5))
    child = process.spawn(environ)
    faulty_sts.await_requests(1)
    Path(environ["PODROLE_TOKEN_FILE"]).write_text("ne.xt.one")

    outcome = process.wait_for_result(child)

    assert isinstance(outcome, Credentials)
    assert [request["WebIdentityToken"] for request in faulty_sts.requests] == ["to.ke.n", "ne.xt.one"]


def test_persistent_transient_error_is_returned_after_three_calls(
    environ: dict[str, str], faulty_sts: FaultySts
) -> None:
    faulty_sts.will(afterwards=answers.THROTTLED)

    outcome = fetch(environ)

    assert outcome == Failure("Throttling", "Rate exceeded", is_permanent=False)
    assert len(faulty_sts.requests) == 3


def test_unreachable_sts_is_a_transient_failure(environ: dict[str, str]) -> None:
    outcome = fetch(environ | {"PODROLE_STS_ENDPOINT": "http://127.0.0.1:1"})

    assert isinstance(outcome, Failure)
    assert outcome.code == "EndpointConnectionError"
    assert not outcome.is_permanent


def test_hanging_child_is_killed_at_its_deadline(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(afterwards=answers.HANGING)
    child = process.spawn(environ)
    faulty_sts.await_requests(1)
    started_at = time.monotonic()

    outcome = process.wait_for_result(child, deadline_seconds=0.2)

    assert outcome == Failure(
        "Timeout", "STS did not respond within 0.2 s; the attempt was aborted.", is_permanent=False
    )
    assert time.monotonic() - started_at < 2
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_current_token_is_sent(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    fetch(environ)
    Path(environ["PODROLE_TOKEN_FILE"]).write_text("ne.xt.one\n")

    fetch(environ)

    assert [request["WebIdentityToken"] for request in faulty_sts.requests] == ["to.ke.n", "ne.xt.one"]


def test_token_file_is_read_again_after_expired_token(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(Fault(400, answers.TOKEN_EXPIRED.body, delay_seconds=0.5))
    child = process.spawn(environ)
    faulty_sts.await_requests(1)
    Path(environ["PODROLE_TOKEN_FILE"]).write_text("ne.xt.one")

    outcome = process.wait_for_result(child)

    assert isinstance(outcome, Credentials)
    assert [request["WebIdentityToken"] for request in faulty_sts.requests] == ["to.ke.n", "ne.xt.one"]


def test_request_has_role_session_name_and_duration(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    fetch(environ | {"PODROLE_SESSION_DURATION": "7200"})

    [request] = faulty_sts.requests
    assert request["Action"] == "AssumeRoleWithWebIdentity"
    assert request["RoleArn"] == ROLE_ARN
    assert request["RoleSessionName"] == "shop.web-5d9c7"
    assert request["DurationSeconds"] == "7200"


def test_aws_variables_do_not_reach_the_child(environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nregion = us-east-1\nendpoint_url = http://127.0.0.1:1\n")
    misleading = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}

    outcome = fetch(environ | misleading)

    assert isinstance(outcome, Credentials)
    assert len(faulty_sts.requests) == 1


def test_fractional_expiration_is_rounded_down(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    expiration = format_time(time.time() + 1800)
    faulty_sts.will(Grant(expiration=expiration.replace("Z", ".999Z")))

    outcome = fetch(environ)

    assert isinstance(outcome, Credentials)
    assert f'"{expiration}"' in outcome.to_container_document()


@contextmanager
def running_python(program: str, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends."""
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            running.kill()


@contextmanager
def running_parent(environ: dict[str, str], how: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a process that listens on a port and then starts a child; yield it and the child's pid."""
    program = f"""
import os, socket, time
from sidecar.sts import process
listener = socket.create_server(("127.0.0.1", 0))
child = process.{how}(os.environ)
print(child.pid, flush=True)
time.sleep(60)
"""
    with running_python(program, environ) as parent:
        assert parent.stdout
        yield parent, int(parent.stdout.readline())


@pytest.mark.parametrize("how", ["spawn", "fork"])
def test_child_exits_when_its_parent_is_killed(environ: dict[str, str], faulty_sts: FaultySts, how: str) -> None:
    faulty_sts.will(afterwards=answers.HANGING)
    with running_parent(environ, how) as (parent, child):
        faulty_sts.await_requests(1)
        assert is_running(child)

        parent.kill()

    deadline = time.monotonic() + 10
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(child)


@pytest.mark.parametrize("how", ["spawn", "fork"])
def test_child_inherits_no_socket_of_its_parent(environ: dict[str, str], faulty_sts: FaultySts, how: str) -> None:
    faulty_sts.will(afterwards=answers.HANGING)
    with running_parent(environ, how) as (parent, child):
        faulty_sts.await_requests(1)

        shared = list_sockets(parent.pid) & list_sockets(child)
        count = len(list_sockets(parent.pid))

    assert count == 2, "the listener and the connection to the child"
    assert shared == set()


def test_forked_child_returns_credentials_and_sees_no_aws_variables(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = us-east-1\nendpoint_url = http://127.0.0.1:1\n")
    misleading = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    chained = {"PODROLE_INTERMEDIATE_ROLE": ROLE_ARN}

    outcome = prefetch(environ | misleading | chained)

    assert outcome.startswith(f"Credentials({ROLE_ARN}")
    assert len(faulty_sts.requests) == 2


def test_forked_child_that_fails_is_a_failure_with_a_traceback(
    environ: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = prefetch(environ | {"PODROLE_ROLE_ARN": "x"})

    assert outcome == str(NO_OUTCOME)
    assert "ConfigError" in capfd.readouterr().err


@pytest.mark.parametrize(("threads", "is_copy"), [(0, True), (1, False)], ids=["no-other-thread", "another-thread"])
def test_first_child_is_a_copy_only_without_other_threads(
    environ: dict[str, str],
    faulty_sts: FaultySts,
    threads: int,
    is_copy: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    faulty_sts.will(afterwards=answers.HANGING)
    program = f"""
import os, threading, time
from sidecar.sts.process import StsProcess
for _ in range({threads}):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
sts_process = StsProcess(os.environ)
sts_process.prefetch()
time.sleep(60)
"""
    with running_python(program, environ) as parent:
        faulty_sts.await_requests(1)
        [child] = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")

    assert (b"sidecar.sts" not in command) is is_copy


def prefetch(environ: dict[str, str]) -> str:
    """Run a process that prefetches; return its outcome as text."""
    program = """
import os
from sidecar.sts.process import StsProcess
sts_process = StsProcess(os.environ)
sts_process.prefetch()
print(sts_process(1))
"""
    argv = [sys.executable, "-c", program]
    return subprocess.run(argv, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def test_killed_child_is_a_failure(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(afterwards=answers.HANGING)
    child = process.spawn(environ)
    faulty_sts.await_requests(1)

    os.kill(child.pid, signal.SIGKILL)

    assert process.wait_for_result(child) == NO_OUTCOME


def test_child_that_cannot_start_is_a_failure(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    descriptors_before = list(map(str, Path("/proc/self/fd").iterdir()))

    outcome = process.StsProcess(environ)(attempts=3)

    assert list(map(str, Path("/proc/self/fd").iterdir())) == descriptors_before
    assert outcome == Failure(
        "SpawnFailed", "The attempt could not be started: No such file or directory.", is_permanent=False
    )


def test_wait_works_with_more_than_1024_open_files(environ: dict[str, str]) -> None:
    """select() supports no descriptor above 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("the limit of open files is too low")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        outcome = fetch(environ)
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert isinstance(outcome, Credentials)


def list_sockets(pid: int) -> set[str]:
    targets = (str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir())
    return {target for target in targets if target.startswith("socket:")}
