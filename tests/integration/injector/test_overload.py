"""More reviews that need a live read than there are threads."""

import json
from pathlib import Path
from threading import Thread

from testing.cases import load_review
from testing.fake_api_server import build_environ, writable_api_server
from testing.fake_list_watch_server import ACCOUNTS, NAMESPACES, RequestHandler
from testing.ports import find_free_ports
from tests.integration.injector.injector_process import CHANGED, review, run_injector
from tests.unit.injector.k8s.watched_cluster import wait_until

ONE_THREAD = CHANGED.format(change="worker.LIMITS = worker.LIMITS._replace(max_threads=1, max_waiting=0)")


def build_review(namespace: str) -> bytes:
    recorded = load_review("pod-create-generate-name")
    return json.dumps({**recorded, "request": {**recorded["request"], "namespace": namespace}}).encode()


def test_reviews_beyond_the_threads_get_429_while_cached_ones_are_answered(tmp_path: Path) -> None:
    with writable_api_server() as api:
        api.put(NAMESPACES, "cached", labels={"podrole.io/injection": "enabled"})
        api.put(ACCOUNTS, "default", "cached")
        environ = build_environ(tmp_path, api.port, find_free_ports(2))
        with run_injector(tmp_path, environ, ["-c", ONE_THREAD]) as injector:
            wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)
            stalled = f"{NAMESPACES}/stalled"
            api.fail_next(stalled, RequestHandler.hang, watch=False)
            statuses: list[int] = []
            first = Thread(target=lambda: statuses.append(review(injector, build_review("stalled"))))
            first.start()
            api.wait_for_requests("the read of the first review", 1, lambda request: request.path == stalled)

            beyond = review(injector, build_review("unknown"))
            cached = review(injector, build_review("cached"))
            first.join()

    assert (beyond, cached) == (429, 200)
    assert statuses == [200]
    assert injector.log.count("too-many-requests") == 1
