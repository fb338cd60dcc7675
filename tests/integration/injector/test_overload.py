"""More reviews that need a live read than there are threads."""

import time
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Thread

from injector.k8s.live_reads import MAX_UNKNOWN
from testing.cases import build_review
from testing.fake_api_server import build_environ, writable_api_server
from testing.fake_list_watch_server import ACCOUNTS, NAMESPACES, RequestHandler
from testing.ports import find_free_ports
from tests.integration.injector.injector_process import CHANGED, open_connection, review, run_injector
from tests.unit.injector.k8s.watched_cluster import wait_until

STALL_SECONDS = 24
STALLING = f"""
import runpy
from injector import deadlines
deadlines.LIVE_READ_SECONDS = deadlines.REVIEW_READS_SECONDS = {STALL_SECONDS}
deadlines.QUEUE_SECONDS = {STALL_SECONDS / 2}
runpy.run_module("injector", run_name="__main__")
"""
"""An injector whose stalled reads last longer than what a busy machine needs for all requests of the test."""

ONE_THREAD = CHANGED.format(
    change="worker.LIMITS = worker.LIMITS._replace(max_threads=1, max_waiting=0, max_wait_seconds=60)"
)


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


def test_flood_of_unknown_namespaces_whose_reads_stall_does_not_delay_known_ones(tmp_path: Path) -> None:
    with writable_api_server() as api, ExitStack() as stack:
        api.put(NAMESPACES, "team-a", labels={"podrole.io/injection": "enabled"})
        api.put(ACCOUNTS, "default", "team-a")
        api.fail_next(ACCOUNTS, RequestHandler.open_stream_and_hang)  # so that the new account is not cached
        environ = build_environ(tmp_path, api.port, find_free_ports(2))
        injector = stack.enter_context(run_injector(tmp_path, environ, ["-c", STALLING]))
        wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)
        assert review(injector, build_review("team-a")) == 200
        for number in range(MAX_UNKNOWN):
            api.fail_next(f"{NAMESPACES}/unknown-{number}", RequestHandler.hang, watch=False)
        connections = [stack.enter_context(closing(open_connection(injector))) for _ in range(40)]
        for number, connection in enumerate(connections):
            connection.request("POST", "/mutate", build_review(f"unknown-{number}"))
        for connection in connections[MAX_UNKNOWN:]:
            response = connection.getresponse()
            assert response.status == 429
            assert b"4 pods of namespaces that podrole does not know yet wait" in response.read()

        api.put(ACCOUNTS, "new", "team-a", annotations={"iam.amazonaws.com/role": "reader"})
        began = time.monotonic()
        assert review(injector, build_review("team-a", "new")) == 200
        assert review(injector, build_review("team-a")) == 200
        assert time.monotonic() - began < STALL_SECONDS / 2

        api.drop_connections()
        assert [connection.getresponse().status for connection in connections[:MAX_UNKNOWN]] == [200] * MAX_UNKNOWN
        assert 'podrole_live_reads_refused_total{limit="unknown"} 36.0' in injector.get("/metrics")[1]
        assert review(injector, build_review("unknown")) == 200
        assert "too-many-requests" not in injector.log
        api.stop()
