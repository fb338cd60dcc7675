"""The injector's two processes: an arbiter, and a worker that is replaced when it ends."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from testing.cases import ENVIRON, load_review
from testing.fake_api_server import WritableApiServer
from testing.ports import find_free_ports
from testing.repository import ROOT
from testing.services.certificates import write_certificates
from tests.integration.injector.injector_process import Injector, run_injector, running
from tests.unit.injector.k8s.watched_cluster import wait_until

REVIEW = json.dumps(load_review("pod-create-generate-name")).encode()
TIMEOUT_SECONDS = 2
SHORT_SECONDS = 0.5
CHANGED = "from injector import __main__, arbiter, services; {change}; __main__.main()"
"""A program that changes something before it starts."""


def build_environ(directory: Path) -> dict[str, str]:
    """The environment of an injector without a cluster, whose certificate is in files."""
    files = write_certificates(directory, ["127.0.0.1"])
    port = find_free_ports(2)
    return {
        **ENVIRON,
        "PATH": os.environ["PATH"],
        "PODROLE_MANIFESTS": str(ROOT / "testing/manifests"),
        "PODROLE_TLS_CERT": str(files.certificate),
        "PODROLE_TLS_KEY": str(files.key),
        "PODROLE_WEBHOOK_HOST": "127.0.0.1",
        "PODROLE_WEBHOOK_PORT": str(port),
        "PODROLE_HEALTH_PORT": str(port + 1),
    }


@pytest.fixture
def injector(tmp_path: Path) -> Iterator[Injector]:
    with run_injector(tmp_path, build_environ(tmp_path)) as one:
        one.wait_for_worker()
        yield one


def open_connection(injector: Injector) -> http.client.HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", injector.port, timeout=10, context=context)


def send_review(connection: http.client.HTTPSConnection) -> http.client.HTTPResponse:
    connection.request("POST", "/mutate?timeout=5s", REVIEW, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    return response


def review(injector: Injector) -> int:
    """The status of a review on a new connection."""
    with closing(open_connection(injector)) as connection:
        return send_review(connection).status


def test_killed_worker_is_replaced(injector: Injector) -> None:
    arbiter, killed = injector.process.pid, injector.worker

    killed.kill()

    worker = injector.wait_for_worker(other_than=killed.pid)
    assert review(injector) == 200
    assert worker.ppid() == arbiter
    assert injector.process.poll() is None
    assert f"(pid:{killed.pid}) was sent SIGKILL" in injector.log


def test_worker_that_hangs_is_replaced_after_the_timeout(tmp_path: Path) -> None:
    program = ["-c", CHANGED.format(change=f"arbiter.SETTINGS['timeout'] = {TIMEOUT_SECONDS}")]
    with run_injector(tmp_path, build_environ(tmp_path), program) as injector:
        stopped = injector.wait_for_worker()
        began = time.monotonic()

        stopped.suspend()
        wait_until("another worker starts", lambda: injector.worker.pid != stopped.pid)
        seconds = time.monotonic() - began

        injector.wait_for_worker(other_than=stopped.pid)
        assert review(injector) == 200
    assert seconds > TIMEOUT_SECONDS - 1.5
    assert f"WORKER TIMEOUT (pid:{stopped.pid})" in injector.log


def test_worker_ends_after_its_arbiter_was_killed(tmp_path: Path) -> None:
    with run_injector(tmp_path, build_environ(tmp_path)) as injector:
        worker = injector.wait_for_worker()

        injector.process.kill()

        worker.wait(timeout=10)
    with closing(open_connection(injector)) as connection, pytest.raises(ConnectionRefusedError):
        connection.connect()


def test_new_worker_is_unready_until_its_cache_is_synced(tmp_path: Path) -> None:
    api = WritableApiServer(port=find_free_ports(1))
    api.start()
    with running(tmp_path, api.port) as injector:
        wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)
        killed = injector.worker
        api.stop()

        killed.kill()
        injector.wait_for_worker(other_than=killed.pid)
        status, pending = injector.get("/readyz")
        restarted = WritableApiServer(port=api.port, stored=api.stored)
        restarted.start()
        try:
            wait_until("it is ready again", lambda: injector.get("/readyz")[0] == 200)
        finally:
            restarted.stop()

    assert status == 503
    assert "waiting for the first list of namespaces and ServiceAccounts" in pending


def test_new_worker_serves_renewed_certificates(tmp_path: Path, injector: Injector) -> None:
    first = injector.shake_hands()
    killed = injector.worker

    second_files = write_certificates(tmp_path, ["127.0.0.1"])
    second = second_files.certificate.read_text()
    killed.kill()
    injector.wait_for_worker(other_than=killed.pid)
    served_second = injector.shake_hands()
    third = write_certificates(tmp_path, ["127.0.0.1"]).certificate.read_text()
    served_third = injector.shake_hands()

    assert first != served_second
    assert second.startswith(served_second.strip())
    assert third.startswith(served_third.strip())
    assert served_third != served_second


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=["term", "int", "quit"])
def test_signal_while_the_worker_starts_ends_both_processes_with_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with run_injector(tmp_path, build_environ(tmp_path)) as injector:
        worker = injector.worker  # it imports for half a second before it answers
        injector.process.send_signal(number)

        code = injector.process.wait(timeout=10)

    assert code == 0
    assert not worker.is_running()
    assert "Traceback" not in injector.log


def test_sigterm_before_the_arbiter_runs_ends_it_with_code_0(tmp_path: Path) -> None:
    wait = "arbiter.bind = lambda *_: (sys.stderr.write('binding'), sys.stderr.flush(), time.sleep(60))"
    program = ["-c", f"import sys, time; {CHANGED.format(change=wait)}"]
    with run_injector(tmp_path, build_environ(tmp_path), program) as injector:
        wait_until("it binds", lambda: "binding" in injector.log)
        injector.process.send_signal(signal.SIGTERM)

        assert injector.process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    "death", ["os._exit(1)", "os.kill(os.getpid(), 9)", "1 / 0"], ids=["exit", "killed", "unexpected-error"]
)
def test_workers_that_die_at_once_are_started_ever_more_slowly(tmp_path: Path, death: str) -> None:
    program = ["-c", f"import os; {CHANGED.format(change=f'services.build_services = lambda _: {death}')}"]
    with run_injector(tmp_path, build_environ(tmp_path), program) as injector:

        def count_deaths() -> int:
            return injector.log.count("exited with code") + injector.log.count("was sent SIGKILL")

        wait_until("three workers have died", lambda: count_deaths() >= 3)
        time.sleep(SHORT_SECONDS)
        deaths = count_deaths()
        injector.process.send_signal(signal.SIGTERM)
        code = injector.process.wait(timeout=10)

    assert deaths == 3  # after 0, 0 and 1 s; the next one after 2 s more
    assert code == 0
    assert len(injector.log.splitlines()) <= 3 * deaths


def test_invalid_setting_that_only_a_worker_finds_ends_the_arbiter_with_one_line(tmp_path: Path) -> None:
    environ = build_environ(tmp_path) | {"PODROLE_TLS_KEY": "/nowhere/tls.key"}
    with run_injector(tmp_path, environ) as injector:
        code = injector.process.wait(timeout=20)

    assert code == 2
    assert len(injector.log.splitlines()) == 1
    assert injector.log.startswith("podrole-injector: PODROLE_TLS_CERT and PODROLE_TLS_KEY: ")


def test_port_in_use_ends_the_arbiter_with_one_line(tmp_path: Path, injector: Injector) -> None:
    (tmp_path / "second").mkdir()
    environ = build_environ(tmp_path / "second") | {"PODROLE_WEBHOOK_PORT": str(injector.port)}
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
