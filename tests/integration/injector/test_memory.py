"""The worker's free memory."""

from pathlib import Path

from testing.fake_api_server import build_environ, writable_api_server
from testing.ports import find_free_ports
from tests.integration.injector.injector_process import CHANGED, run_injector
from tests.unit.injector.k8s.watched_cluster import wait_until

REPORTING = CHANGED.format(change="services.release_free_memory = lambda: __import__('os').write(2, b'released\\n')")


def test_worker_releases_free_memory_when_a_watch_ends(tmp_path: Path) -> None:
    with writable_api_server() as api:
        environ = build_environ(tmp_path, api.port, find_free_ports(2))
        with run_injector(tmp_path, environ, ["-c", REPORTING]) as injector:
            wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)
            assert "released\n" not in injector.log

            api.drop_connections()

            wait_until("it releases its memory", lambda: "released\n" in injector.log)
