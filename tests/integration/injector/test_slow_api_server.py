"""The injector while the API server sends a byte now and then, or a proxy cuts its watches."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from injector.deadlines import LIVE_READ_SECONDS
from testing.fake_api_server import WritableApiServer, build_environ, writable_api_server
from testing.fake_list_watch_server import ACCOUNTS, NAMESPACES, Fault, Request, RequestHandler
from testing.ports import find_free_ports
from tests.integration.injector.injector_process import Injector, run_injector
from tests.integration.injector.test_foreign_answers import ACCOUNT, review
from tests.unit.injector.k8s.watched_cluster import wait_until


@pytest.fixture
def api() -> Iterator[WritableApiServer]:
    with writable_api_server() as server:
        server.put(NAMESPACES, "team-a", labels={"podrole.io/injection": "enabled"})
        yield server


@pytest.fixture
def injector(tmp_path: Path, api: WritableApiServer) -> Iterator[Injector]:
    with run_injector(tmp_path, build_environ(tmp_path, api.port, find_free_ports(2))) as running:
        wait_until("it is ready", lambda: running.get("/readyz")[0] == 200)
        yield running


def drip(handler: RequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", handler.headers["Accept"])
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"k")
        handler.wfile.flush()
        time.sleep(0.1)


def test_review_is_denied_in_time_while_the_api_server_drips(api: WritableApiServer, injector: Injector) -> None:
    api.always_fail = lambda request: drip if request.path == ACCOUNT else None
    started = time.monotonic()

    denied = review(injector)

    assert LIVE_READ_SECONDS <= time.monotonic() - started < 5  # the webhook's timeout
    assert denied["allowed"] is False
    assert "[ClusterReadFailed] cannot get ServiceAccount team-a/worker" in denied["status"]["message"]


def test_pauses_of_the_injector_stay_short_while_watches_are_cut(api: WritableApiServer, injector: Injector) -> None:
    def cut_at_once(request: Request) -> Fault | None:
        return RequestHandler.open_stream if request.path == ACCOUNTS and request.is_watch else None

    api.always_fail = cut_at_once
    api.drop_connections()
    wait_until("eight watches were cut", lambda: injector.log.count("cannot watch ServiceAccounts") >= 8)

    pauses = [
        float(pause) for pause in re.findall(r"cannot watch ServiceAccounts.* next try in ([\d.]+) s", injector.log)
    ]
    assert max(pauses[1:]) <= 1
