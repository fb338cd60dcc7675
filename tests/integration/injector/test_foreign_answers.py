"""The injector while something else than the API server answers its reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.cases import build_review
from testing.fake_api_server import WritableApiServer, build_environ, writable_api_server
from testing.fake_list_watch_server import NAMESPACES, Fault, RequestHandler
from testing.ports import find_free_ports
from tests.integration.injector.injector_process import Injector, ask, run_injector
from tests.unit.injector.k8s.watched_cluster import wait_until

ACCOUNT = f"{NAMESPACES}/team-a/serviceaccounts/worker"
HTML = b"<html>404 Not Found</html>"


def send_negative_chunk(handler: RequestHandler) -> None:
    handler.send_response(404)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"-5\r\n{}")


def send_line_that_is_no_header(handler: RequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 404 Not Found\r\nno header\r\n\r\n{}")


def send_html(handler: RequestHandler) -> None:
    handler.send_response(404)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(len(HTML)))
    handler.end_headers()
    handler.wfile.write(HTML)


@pytest.fixture
def api() -> Iterator[WritableApiServer]:
    with writable_api_server() as server:
        server.put(NAMESPACES, "team-a", labels={"podrole.io/injection": "enabled"})
        yield server


def review(injector: Injector) -> Any:
    """The response to the review of a pod of team-a/worker, which the cache does not have."""
    return ask(injector, build_review("team-a", "worker"))


@pytest.fixture(params=["block", "ignore"])
def injector(request: pytest.FixtureRequest, tmp_path: Path, api: WritableApiServer) -> Iterator[Injector]:
    """With either treatment of pods without a role."""
    environ = build_environ(tmp_path, api.port, find_free_ports(2))
    with run_injector(tmp_path, {**environ, "PODROLE_PODS_WITHOUT_ROLE": request.param}) as running:
        wait_until("it is ready", lambda: running.get("/readyz")[0] == 200)
        yield running


def test_load_balancers_404_denies_the_pod(api: WritableApiServer, injector: Injector) -> None:
    api.fail_next(ACCOUNT, send_html, watch=False)

    denied = review(injector)

    assert denied["allowed"] is False
    assert "[ClusterReadFailed] cannot get ServiceAccount team-a/worker: Not Found (404)" in denied["status"]["message"]


def test_absent_service_account_denies_the_pod(injector: Injector) -> None:
    denied = review(injector)

    assert denied["allowed"] is False
    assert '[ServiceAccountNotFound] The pod\'s ServiceAccount "worker" does not exist' in denied["status"]["message"]


@pytest.mark.parametrize("send", [send_negative_chunk, send_line_that_is_no_header], ids=["chunk", "header"])
def test_answer_that_is_not_http_denies_the_pod_without_a_traceback(
    api: WritableApiServer, injector: Injector, send: Fault
) -> None:
    for _ in range(2):  # what is no answer is asked for once more
        api.fail_next(ACCOUNT, send, watch=False)

    denied = review(injector)

    assert denied["allowed"] is False
    assert "[ClusterReadFailed] cannot get ServiceAccount team-a/worker: " in denied["status"]["message"]
    assert "raceback" not in injector.log


def test_version_with_a_huge_number_does_not_end_the_worker(tmp_path: Path, api: WritableApiServer) -> None:
    document = {"major": "1", "minor": "9" * 5000}
    api.fail_next("/version/", lambda handler: handler.send_document(200, document), watch=False)
    with run_injector(tmp_path, build_environ(tmp_path, api.port, find_free_ports(2))) as injector:
        wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)

        assert "is not a Kubernetes version" in injector.log
        assert "raceback" not in injector.log
