"""Errors that nothing expects in the threads of an injector: each thread goes on."""

import re
import time
from pathlib import Path

import pytest

from testing.fake_api_server import CONFIGURATIONS, writable_api_server
from testing.fake_api_server import build_environ as build_cluster_environ
from testing.fake_list_watch_server import RequestHandler
from testing.ports import find_free_ports
from tests.integration.injector.injector_process import Injector, run_injector
from tests.unit.injector.k8s.watched_cluster import wait_until

NESTED = b'{"a":' * 100_000
THREADS = {
    "certificates": ("injector.certs.manager.CertManager", "_wait_for_change"),
    "watch-Namespace": ("injector.k8s.reflector.Reflector", "_list_and_watch"),
}
PROGRAM = """
import functools
from injector import __main__
from server import background
from injector.k8s import watch_cache
background.RESTART_SECONDS = 0.2
watch_cache.WatchTimeouts = functools.partial(watch_cache.WatchTimeouts, max_backoff_seconds=0.2, watch_seconds=2)
{change}
__main__.main()
"""


def build_program(change: str) -> list[str]:
    return ["-c", PROGRAM.format(change=change)]


def read_thread(injector: Injector, metric: str, thread: str) -> float:
    found = re.search(rf'^{metric}{{thread="{thread}"}} (\S+)', injector.get("/metrics")[1], re.MULTILINE)
    assert found, f"{metric} of {thread}"
    return float(found[1])


def count_failures(injector: Injector, thread: str) -> float:
    return read_thread(injector, "podrole_thread_failures_total", thread)


def wait_for_pass(injector: Injector, thread: str) -> None:
    """Wait until the thread completes a pass after now."""
    began = time.monotonic()

    def has_passed() -> bool:
        age = read_thread(injector, "podrole_thread_last_pass_age_seconds", thread)
        return age < time.monotonic() - began

    wait_until(f"{thread} completes a pass", has_passed)


@pytest.mark.parametrize("error", ["RuntimeError", "SystemExit", "MemoryError", "RecursionError"])
@pytest.mark.parametrize("thread", THREADS)
def test_thread_of_the_injector_goes_on_after_an_error(tmp_path: Path, thread: str, error: str) -> None:
    owner, method = THREADS[thread]
    module, _, name = owner.rpartition(".")
    change = (
        f"from testing.failing_calls import fail_calls; from {module} import {name}; "
        f"fail_calls({name}, {method!r}, {error})"
    )
    with writable_api_server() as api:
        environ = build_cluster_environ(tmp_path, api.port, find_free_ports(2))
        with run_injector(tmp_path, environ, build_program(change)) as injector:
            worker = injector.wait_for_worker()
            wait_until("the error is counted", lambda: count_failures(injector, thread) == 1)
            wait_for_pass(injector, thread)
            wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)

            assert injector.worker.pid == worker.pid
            assert injector.log.count(f"thread {thread} failed and starts again") == 1
            assert f"{error}: on purpose" in injector.log


def test_certificates_are_still_reconciled_after_a_502_with_a_deeply_nested_body(tmp_path: Path) -> None:
    def answer(handler: RequestHandler) -> None:
        handler.send_response(502)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(NESTED)))
        handler.end_headers()
        handler.wfile.write(NESTED)

    with writable_api_server() as api:
        api.fail_next(CONFIGURATIONS, answer)
        environ = build_cluster_environ(tmp_path, api.port, find_free_ports(2))
        with run_injector(tmp_path, environ, build_program("")) as injector:
            injector.wait_for_worker()
            watches = api.wait_for_requests(
                "watches of the configuration", 2, lambda one: one.is_watch and one.path == CONFIGURATIONS
            )
            wait_for_pass(injector, "certificates")

    assert len(watches) >= 2
