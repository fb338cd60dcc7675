"""The arbiter replaces a worker that ends or hangs."""

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from testing.fake_api_server import WritableApiServer
from testing.ports import find_free_ports
from testing.services.certificates import write_certificates
from tests.integration.injector.injector_process import (
    CHANGED,
    Injector,
    build_file_environ,
    open_connection,
    review,
    run_injector,
    running,
)
from tests.unit.injector.k8s.watched_cluster import wait_until

TIMEOUT_SECONDS = 2
SHORT_SECONDS = 0.5


@pytest.fixture
def injector(tmp_path: Path) -> Iterator[Injector]:
    with run_injector(tmp_path, build_file_environ(tmp_path)) as one:
        one.wait_for_worker()
        yield one


def test_killed_worker_is_replaced(injector: Injector) -> None:
    arbiter, killed = injector.process.pid, injector.worker

    killed.kill()

    worker = injector.wait_for_worker(other_than=killed.pid)
    assert review(injector) == 200
    assert worker.ppid() == arbiter
    assert "podrole_worker_starts_total 2.0" in injector.get("/metrics")[1]
    assert injector.process.poll() is None
    assert f"(pid:{killed.pid}) was sent SIGKILL" in injector.log


def test_worker_that_hangs_is_replaced_after_the_timeout(tmp_path: Path) -> None:
    program = ["-c", CHANGED.format(change=f"arbiter.SETTINGS['timeout'] = {TIMEOUT_SECONDS}")]
    with run_injector(tmp_path, build_file_environ(tmp_path), program) as injector:
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
    with run_injector(tmp_path, build_file_environ(tmp_path)) as injector:
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


@pytest.mark.parametrize(
    "death", ["os._exit(1)", "os.kill(os.getpid(), 9)", "1 / 0"], ids=["exit", "killed", "unexpected-error"]
)
def test_workers_that_die_at_once_are_started_ever_more_slowly(tmp_path: Path, death: str) -> None:
    program = ["-c", f"import os; {CHANGED.format(change=f'services.build_services = lambda *_: {death}')}"]
    with run_injector(tmp_path, build_file_environ(tmp_path), program) as injector:

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
