"""The injector's memory in a cluster whose users have filled their objects."""

from pathlib import Path

import pytest

from testing.cases import build_review
from testing.fake_api_server import WritableApiServer, build_environ, writable_api_server
from testing.fake_list_watch_server import ACCOUNTS, NAMESPACES
from testing.ports import find_free_ports
from tests.integration.injector.injector_process import Injector, review, run_injector
from tests.unit.injector.k8s.watched_cluster import wait_until

LARGEST_ANNOTATIONS = "x" * 255 * 1024


def put_account(api: WritableApiServer, number: int, **metadata: object) -> None:
    """Without its event: the fake server keeps each one as bytes."""
    api.put(ACCOUNTS, f"worker-{number}", "team-a", **metadata)
    api.events.clear()


def read_peak_mib(injector: Injector) -> float:
    """The most memory that the worker has had since its start. https://man7.org/linux/man-pages/man5/proc_pid_status.5.html."""
    status = Path(f"/proc/{injector.worker.pid}/status").read_text()
    [line] = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"annotations": {"example.com/note": LARGEST_ANNOTATIONS}}, id="annotations"),
        pytest.param({"annotations": {"iam.amazonaws.com/role": LARGEST_ANNOTATIONS}}, id="roles"),
        pytest.param({"annotations": {"iam.amazonaws.com/role": "\N{GRINNING FACE}" * 1000}}, id="emoji"),
        pytest.param({"annotations": {"example.com/note": "<" * 255 * 1024}}, id="six-bytes-each-in-json"),
        pytest.param({"finalizers": ["a/b"] * 20_000}, id="finalizers"),
    ],
)
def test_memory_depends_on_the_number_of_objects_not_on_their_size(tmp_path: Path, metadata: dict[str, object]) -> None:
    with writable_api_server() as api:
        api.put(NAMESPACES, "team-a", labels={"podrole.io/injection": "enabled"})
        for number in range(1000):
            put_account(api, number, **metadata)
        put_account(api, 1000)
        with run_injector(tmp_path, build_environ(tmp_path, api.port, find_free_ports(2))) as injector:
            wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)

            assert review(injector, build_review("team-a", "worker-1000")) == 200
            assert read_peak_mib(injector) < 100
            assert injector.log.count("cached") == 2
