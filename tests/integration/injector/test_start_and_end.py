"""How both processes start and end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from contract.settings import list_settings
from injector.config import Config
from testing.repository import ROOT
from testing.signals import UNSUPPORTED
from tests.integration.injector.injector_process import (
    CHANGED,
    Injector,
    build_file_environ,
    open_connection,
    run_injector,
    send_review,
)
from tests.unit.contract.test_service_links import build_links
from tests.unit.injector.k8s.watched_cluster import wait_until

SERVICES = ("podrole", "podrole-injector", "podrole-webhook", "podrole-health")

EFFECT_SECONDS = 0.2
"""The arbiter acts on a signal in milliseconds."""


@pytest.fixture
def injector(tmp_path: Path) -> Iterator[Injector]:
    with run_injector(tmp_path, build_file_environ(tmp_path)) as one:
        one.wait_for_worker()
        yield one


def test_review_on_a_kept_connection_is_answered_after_sigterm_and_the_code_is_0(injector: Injector) -> None:
    with closing(open_connection(injector)) as connection:
        assert send_review(connection).status == 200

        injector.process.send_signal(signal.SIGTERM)
        wait_until("the ports are closed", lambda: not accepts(injector.port))
        response = send_review(connection)
    code = injector.process.wait(timeout=10)

    assert (response.status, response.getheader("Connection")) == (200, "close")
    assert code == 0
    assert "Traceback" not in injector.log


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("to", ["arbiter", "worker"])
def test_signals_that_the_injector_does_not_support_change_nothing(injector: Injector, to: str) -> None:
    worker = injector.worker
    with closing(open_connection(injector)) as connection:
        for number in UNSUPPORTED:
            os.kill(injector.process.pid if to == "arbiter" else worker.pid, number)
            deadline = time.monotonic() + EFFECT_SECONDS
            while time.monotonic() < deadline:
                assert send_review(connection).status == 200, number
                assert [child.pid for child in injector.workers] == [worker.pid], number

    injector.process.send_signal(signal.SIGTERM)
    assert injector.process.wait(timeout=10) == 0
    assert "Traceback" not in injector.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=["term", "int", "quit"])
def test_signal_while_the_worker_starts_ends_both_processes_with_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with run_injector(tmp_path, build_file_environ(tmp_path)) as injector:
        worker = injector.worker  # it imports for half a second before it answers
        injector.process.send_signal(number)

        code = injector.process.wait(timeout=10)

    assert code == 0
    assert not worker.is_running()
    assert "Traceback" not in injector.log


def test_sigterm_before_the_arbiter_runs_ends_it_with_code_0(tmp_path: Path) -> None:
    wait = "arbiter.bind = lambda *_: (sys.stderr.write('binding'), sys.stderr.flush(), time.sleep(60))"
    program = ["-c", f"import sys, time; {CHANGED.format(change=wait)}"]
    with run_injector(tmp_path, build_file_environ(tmp_path), program) as injector:
        wait_until("it binds", lambda: "binding" in injector.log)
        injector.process.send_signal(signal.SIGTERM)

        assert injector.process.wait(timeout=10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=["term", "int", "quit"])
def test_signal_to_a_worker_right_after_the_fork_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    """Before it has handlers of its own: the arbiter's, which it inherits, would keep the signal for the arbiter."""
    send = f"os.register_at_fork(after_in_child=lambda: (os.write(2, b'forked '), os.kill(os.getpid(), {int(number)})))"
    program = ["-c", f"import os; {CHANGED.format(change=send)}"]
    with run_injector(tmp_path, build_file_environ(tmp_path), program) as injector:
        wait_until("its worker ended and was replaced", lambda: injector.log.count("forked ") >= 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=["term", "int", "quit"])
def test_signal_while_the_worker_builds_its_services_ends_both_processes_at_once(
    tmp_path: Path, number: signal.Signals
) -> None:
    wait = "services.build_services = lambda *_: (os.write(2, b'building'), time.sleep(60))"
    program = ["-c", f"import os, time; {CHANGED.format(change=wait)}"]
    with run_injector(tmp_path, build_file_environ(tmp_path), program) as injector:
        wait_until("it builds", lambda: "building" in injector.log)
        worker = injector.worker
        injector.process.send_signal(number)

        code = injector.process.wait(timeout=10)  # less than the time after which the arbiter kills a worker

    assert code == 0
    assert not worker.is_running()
    assert "Traceback" not in injector.log


def test_invalid_setting_that_only_a_worker_finds_ends_the_arbiter_with_one_line(tmp_path: Path) -> None:
    environ = build_file_environ(tmp_path) | {"PODROLE_TLS_KEY": "/nowhere/tls.key"}
    with run_injector(tmp_path, environ) as injector:
        code = injector.process.wait(timeout=20)

    assert code == 2
    assert len(injector.log.splitlines()) == 1
    assert injector.log.startswith("podrole-injector: PODROLE_TLS_CERT and PODROLE_TLS_KEY: ")


def test_without_a_configured_address_both_ports_accept_ipv4_and_ipv6(tmp_path: Path) -> None:
    host, addresses = ("[::]", ("127.0.0.1", "::1")) if socket.has_dualstack_ipv6() else ("0.0.0.0", ("127.0.0.1",))
    environ = build_file_environ(tmp_path) | {"PODROLE_WEBHOOK_HOST": ""}
    with run_injector(tmp_path, environ) as injector:
        injector.wait_for_worker()

        for address in addresses:
            for port in (injector.port, injector.port + 1):
                socket.create_connection((address, port), timeout=5).close()
    assert f"Listening at: https://{host}:{injector.port}" in injector.log


def test_port_in_use_ends_the_arbiter_with_one_line(tmp_path: Path, injector: Injector) -> None:
    (tmp_path / "second").mkdir()
    environ = build_file_environ(tmp_path / "second") | {"PODROLE_WEBHOOK_PORT": str(injector.port)}
    with run_injector(tmp_path / "second", environ) as second:
        code = second.process.wait(timeout=20)

    assert code == 2
    assert len(second.log.splitlines()) == 1
    assert f"podrole-injector: cannot listen on 127.0.0.1 port {injector.port}: Address already in use" in second.log


def test_arbiter_imports_nothing_that_only_a_worker_needs() -> None:
    program = "import sys, injector.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    imported = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)

    assert {"gunicorn", "injector"} <= set(imported.stdout.split())
    assert not {"cryptography", "flask", "kubernetes", "prometheus_client", "werkzeug", "yaml"} & set(
        imported.stdout.split()
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"PODROLE_ACOUNT_ID": "111122223333", "PODROLE_MODE": "x"},
            [
                "podrole-injector: invalid environment:",
                "  PODROLE_ACOUNT_ID is not a setting; did you mean PODROLE_ACCOUNT_ID?",
                "  PODROLE_MODE is 'x': it must be auto, redirect or env",
            ],
            id="misspelt-beside-another-problem",
        ),
        pytest.param(
            {"PODROLE_ALLOWED_ROLES_FORMATS": ""},
            [
                "podrole-injector: invalid environment:",
                "  PODROLE_ALLOWED_ROLES_FORMATS is not a setting; did you mean PODROLE_ALLOWED_ROLES_FORMAT?",
            ],
            id="misspelt-and-empty",
        ),
        pytest.param(
            {"PODROLE_REGION": "eu-wst-1"},
            [
                "podrole-injector: invalid environment:",
                (
                    "  PODROLE_REGION is 'eu-wst-1': it must be an AWS region, such as eu-west-1; another name needs "
                    "PODROLE_STS_ENDPOINT; did you mean eu-west-1?"
                ),
            ],
            id="misspelt-region",
        ),
        pytest.param(
            {"PODROLE_REQUIRE_STS_ENDPOINT": "true"},
            [
                "podrole-injector: invalid environment:",
                (
                    "  PODROLE_REQUIRE_STS_ENDPOINT is true: set PODROLE_STS_ENDPOINT to the URL of the store's STS, "
                    "or sidecars would send pods' tokens to AWS"
                ),
            ],
            id="outside-aws-without-sts",
        ),
    ],
)
def test_setting_that_is_not_what_somebody_meant_ends_the_start(
    tmp_path: Path, changes: dict[str, str], said: list[str]
) -> None:
    code, lines = run_to_its_end(tmp_path, changes)

    assert (code, lines) == (2, said)


def test_hundreds_of_wrong_settings_fit_into_the_containers_last_message(tmp_path: Path) -> None:
    wrong = dict.fromkeys((one.variable for one in list_settings(Config).values()), "\u202e wrong " * 50)
    unknown = {f"PODROLE_UNKNOWN_{'X' * 200}_{number}": "x" for number in range(300)}

    code, lines = run_to_its_end(tmp_path, wrong | unknown)

    assert code == 2
    assert lines[0] == "podrole-injector: invalid environment:"
    assert "  and 292 more that are not settings" in lines
    assert lines[-1].endswith(" (truncated)")
    assert 1900 < len("\n".join(lines).encode()) < 2048


def run_to_its_end(directory: Path, changes: dict[str, str]) -> tuple[int, list[str]]:
    """Start the injector; return its exit code and the lines of its log."""
    done = subprocess.run(
        [sys.executable, "-m", "injector"],
        cwd=ROOT,
        env=build_file_environ(directory) | changes,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


def test_injector_starts_beside_services_that_are_called_like_its_settings(tmp_path: Path) -> None:
    links = {k: v for name in SERVICES for k, v in build_links(name, "10.96.0.10", port_name="webhook").items()}
    environ = links | build_file_environ(tmp_path)
    with run_injector(tmp_path, environ) as injector:
        injector.wait_for_worker()

        assert injector.get("/healthz")[0] == 200
