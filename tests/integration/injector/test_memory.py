"""The worker's memory."""

from contextlib import ExitStack, closing
from pathlib import Path

from bench.soak.usage import read_usage
from testing.fake_api_server import build_environ, writable_api_server
from testing.ports import find_free_ports
from tests.integration.injector.injector_process import open_connection, run_injector
from tests.unit.injector.k8s.watched_cluster import wait_until

CONNECTIONS = 300


def test_worker_releases_free_memory_when_a_watch_ends(tmp_path: Path) -> None:
    with (
        writable_api_server() as api,
        run_injector(tmp_path, build_environ(tmp_path, api.port, find_free_ports(2))) as injector,
    ):
        wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)
        with ExitStack() as stack:
            for _ in range(CONNECTIONS):
                stack.enter_context(closing(open_connection(injector))).connect()
        before = read_usage(injector.worker.pid).anonymous_mib

        api.drop_connections()

        wait_until("memory is released", lambda: read_usage(injector.worker.pid).anonymous_mib < before - 1.5)
