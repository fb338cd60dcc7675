"""CachedReader when a list or watch fails, in every way that it can. Over real sockets."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from injector.k8s import list_watch
from injector.k8s.objects import Metadata
from injector.k8s.watch_cache import CachedReader
from injector.k8s.watch_timeouts import WatchTimeouts
from testing.api_status import build_status
from testing.fake_list_watch_server import (
    ACCOUNTS,
    GONE,
    META,
    NAMESPACES,
    ListWatchServer,
    Request,
    RequestHandler,
    list_watch_server,
)
from testing.protobuf import encode_event
from tests.unit.injector.k8s.watched_cluster import WITHIN_SECONDS, Callbacks, build_reader, run_reader, wait_until

REASONS = {410: "Expired"}
ROLE = {"iam.amazonaws.com/role": "reader"}
READER = Metadata({}, ROLE)
BOOKMARK = encode_event("BOOKMARK", {**META, "metadata": {"resourceVersion": "900"}})


@pytest.fixture
def api() -> Iterator[ListWatchServer]:
    with list_watch_server() as server:
        server.put(NAMESPACES, "team-a", labels={"podrole.io/injection": "enabled"})
        server.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
        server.put(ACCOUNTS, "old", "team-a", annotations=ROLE)
        yield server


def is_account_watch(request: Request) -> bool:
    return request.path == ACCOUNTS and request.is_watch


def is_account_list(request: Request) -> bool:
    return request.path == ACCOUNTS and request.is_first_page


def is_cached_as(reader: CachedReader, callbacks: Callbacks, name: str) -> bool:
    """Whether the cache has the account."""
    callbacks.live_reads.clear()
    return reader.service_account("team-a", name) == READER and callbacks.live_reads == []


def end_stream(handler: RequestHandler) -> None:
    handler.open_stream()
    handler.end_stream()


def cut_watches_and_fail_lists(request: Request) -> Callable[[RequestHandler], None] | None:
    if request.path != ACCOUNTS:
        return None
    return RequestHandler.open_stream if request.is_watch else fail_with(503)


def fail_with(status: int) -> Callable[[RequestHandler], None]:
    return lambda handler: handler.send_document(status, build_status(status, REASONS.get(status, "")))


def send_html(status: int) -> Callable[[RequestHandler], None]:
    """What a proxy or load balancer answers instead of the API server."""

    def fault(handler: RequestHandler) -> None:
        body = b"<html>"
        handler.send_response(status)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return fault


def send_and_cut(data: bytes) -> Callable[[RequestHandler], None]:
    """A watch that sends this and is then cut."""

    def fault(handler: RequestHandler) -> None:
        handler.open_stream()
        handler.send_chunk(data)

    return fault


def test_ended_watch_resumes_at_its_last_resource_version(api: ListWatchServer, callbacks: Callbacks) -> None:
    with run_reader(api.configuration, callbacks, watch_seconds=2) as reader:
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)
        api.bookmark(ACCOUNTS)
        bookmark = str(api.version)

        second = api.wait_for_requests("the second watch", 2, is_account_watch)[1]

        assert second.query["resourceVersion"] == bookmark
        assert second.query["timeoutSeconds"] == "2"
        assert is_cached_as(reader, callbacks, "new")
        assert set(callbacks.restarts) <= {("ServiceAccount", "ended"), ("Namespace", "ended")}
        assert len([request for request in api.requests if is_account_list(request)]) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fail_with(410), id="http-status"),
        pytest.param(send_html(410), id="http-status-without-a-status-object"),
        pytest.param(send_and_cut(encode_event("ERROR", GONE)), id="error-event"),
    ],
)
def test_410_causes_a_new_list_while_the_old_cache_still_answers(
    api: ListWatchServer, callbacks: Callbacks, fault: Callable[[RequestHandler], None]
) -> None:
    expires, lists, resumes = threading.Event(), threading.Event(), threading.Event()

    def expire(handler: RequestHandler) -> None:
        expires.wait(WITHIN_SECONDS)
        fault(handler)

    def list_slowly(handler: RequestHandler) -> None:
        lists.set()
        resumes.wait(WITHIN_SECONDS)
        handler.send_document(200, api.build_page(Request(ACCOUNTS, {"limit": "500"}, "")))

    api.fail_next(ACCOUNTS, expire)
    with run_reader(api.configuration, callbacks) as reader:
        api.delete(ACCOUNTS, "old", "team-a")
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)
        api.fail_next(ACCOUNTS, list_slowly, watch=False)
        expires.set()
        assert lists.wait(WITHIN_SECONDS)

        assert is_cached_as(reader, callbacks, "worker")
        assert is_cached_as(reader, callbacks, "old")
        resumes.set()
        wait_until("the new account is cached", lambda: is_cached_as(reader, callbacks, "new"))
        assert not is_cached_as(reader, callbacks, "old")
        assert is_cached_as(reader, callbacks, "worker")
        assert callbacks.count("ServiceAccount", "expired") == 1


def test_list_that_expires_between_pages_comes_in_one_page(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.page_objects = 1
    api.fail_next(ACCOUNTS, lambda handler: handler.send_document(200, api.build_page(first)), watch=False)
    first = Request(ACCOUNTS, {"limit": "1"}, "")
    api.fail_next(ACCOUNTS, fail_with(410), watch=False)

    with run_reader(api.configuration, callbacks) as reader:
        assert is_cached_as(reader, callbacks, "worker")
        assert is_cached_as(reader, callbacks, "old")
    assert callbacks.restarts == []


def test_watch_cut_within_an_event_resumes_without_loss(api: ListWatchServer, callbacks: Callbacks) -> None:
    cut = encode_event("ADDED", {**META, "metadata": {"name": "new", "namespace": "team-a", "resourceVersion": "900"}})
    api.fail_next(ACCOUNTS, send_and_cut(cut[:-10]))
    with run_reader(api.configuration, callbacks) as reader:
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)

        wait_until("the new account is cached", lambda: is_cached_as(reader, callbacks, "new"))
        assert callbacks.count("ServiceAccount", "unreachable") == 1
        assert len([request for request in api.requests if is_account_list(request)]) == 1


def test_events_split_across_chunks_are_joined(api: ListWatchServer, callbacks: Callbacks) -> None:
    first, second = (
        encode_event(
            "ADDED",
            {**META, "metadata": {"name": name, "namespace": "team-a", "annotations": ROLE, "resourceVersion": "900"}},
        )
        for name in ("first", "second")
    )

    def send_in_pieces(handler: RequestHandler) -> None:
        handler.open_stream()
        for piece in (first[:10], first[10:-1], first[-1:] + second[:20], second[20:]):
            handler.send_chunk(piece)
        handler.hang()

    api.fail_next(ACCOUNTS, send_in_pieces)
    with run_reader(api.configuration, callbacks) as reader:
        wait_until("the first is cached", lambda: is_cached_as(reader, callbacks, "first"))
        wait_until("the second is cached", lambda: is_cached_as(reader, callbacks, "second"))
        assert callbacks.restarts == []
        api.stop()


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(b"<html>\n", id="html"),
        pytest.param(b'{"type": "BOOKMARK", "object": {}}\n', id="json"),
        pytest.param(bytes([0, 0, 0, 2, 0xFF, 0xFF]), id="no-end"),
        pytest.param(bytes([0, 0, 0, 0]), id="empty"),
        pytest.param(bytes([0, 0, 0, 12]) + b"\x80" * 12, id="long-number"),
        pytest.param(bytes([0, 0, 0, 2, 0x0B, 0]), id="unknown-wire-type"),
        pytest.param(encode_event("ADDED", {**META, "metadata": {}}), id="no-resource-version"),
        pytest.param(encode_event("ADDED", {**META, "metadata": {"resourceVersion": "1"}}), id="no-name"),
        pytest.param(
            encode_event("RENAMED", {**META, "metadata": {"name": "a", "resourceVersion": "1"}}), id="unknown-type"
        ),
        pytest.param(encode_event("ERROR", build_status(403, "Forbidden")), id="forbidden-error-event"),
    ],
)
def test_invalid_event_causes_a_new_list(api: ListWatchServer, callbacks: Callbacks, event: bytes) -> None:
    api.fail_next(ACCOUNTS, send_and_cut(event))
    with run_reader(api.configuration, callbacks) as reader:
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)

        wait_until("the new account is cached", lambda: is_cached_as(reader, callbacks, "new"))
        assert callbacks.count("ServiceAccount", "failed") == 1
        assert len([request for request in api.requests if is_account_list(request)]) == 2


def test_silent_watch_times_out_and_resumes(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.fail_next(ACCOUNTS, RequestHandler.open_stream_and_hang)
    with run_reader(api.configuration, callbacks, read_timeout_seconds=0.3) as reader:
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)

        wait_until("the new account is cached", lambda: is_cached_as(reader, callbacks, "new"))
        assert callbacks.count("ServiceAccount", "unreachable") >= 1
        assert len([request for request in api.requests if is_account_list(request)]) == 1
        api.stop()


def test_list_without_an_answer_times_out_and_is_retried(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.fail_next(ACCOUNTS, RequestHandler.hang, watch=False)

    with run_reader(api.configuration, callbacks, list_timeout_seconds=0.3) as reader:
        assert is_cached_as(reader, callbacks, "worker")
        api.stop()
    assert callbacks.count("ServiceAccount", "unreachable") >= 1


def test_cache_answers_during_an_outage_and_catches_up_after_it(api: ListWatchServer, callbacks: Callbacks) -> None:
    with run_reader(api.configuration, callbacks) as reader:
        api.wait_for_requests("accounts are watched", 1, is_account_watch)
        api.stop()
        wait_until("three attempts have failed", lambda: callbacks.count("ServiceAccount", "unreachable") >= 3)
        assert is_cached_as(reader, callbacks, "worker")

        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)
        api.delete(ACCOUNTS, "old", "team-a")
        api.start()

        wait_until("the new account is cached", lambda: is_cached_as(reader, callbacks, "new"))
        assert not is_cached_as(reader, callbacks, "old")
        assert is_cached_as(reader, callbacks, "worker")
        assert len([request for request in api.requests if is_account_list(request)]) == 1


def test_server_that_lost_its_events_is_listed_again(api: ListWatchServer, callbacks: Callbacks) -> None:
    with run_reader(api.configuration, callbacks) as reader:
        api.stop()
        api.delete(ACCOUNTS, "old", "team-a")
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)
        api.compact_events()
        api.start()

        wait_until("the new account is cached", lambda: is_cached_as(reader, callbacks, "new"))
        assert not is_cached_as(reader, callbacks, "old")
        assert callbacks.count("ServiceAccount", "expired") == 1


@pytest.mark.parametrize(
    ("status", "reason", "lists"),
    [(429, "unreachable", 1), (503, "unreachable", 1), (401, "failed", 2), (403, "failed", 2)],
)
def test_failed_watch_request_is_retried(
    api: ListWatchServer, callbacks: Callbacks, status: int, reason: str, lists: int
) -> None:
    api.fail_next(ACCOUNTS, fail_with(status))
    with run_reader(api.configuration, callbacks) as reader:
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)

        wait_until("the new account is cached", lambda: is_cached_as(reader, callbacks, "new"))
        assert callbacks.count("ServiceAccount", reason) == 1
        assert len([request for request in api.requests if is_account_list(request)]) == lists


@pytest.mark.parametrize(
    "fault", [fail_with(403), fail_with(500), end_stream], ids=["forbidden", "server-error", "empty-answer"]
)
def test_failed_first_list_is_retried(
    api: ListWatchServer,
    callbacks: Callbacks,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[[RequestHandler], None],
) -> None:
    api.fail_next(NAMESPACES, fault, watch=False)

    with run_reader(api.configuration, callbacks) as reader:
        assert reader.is_synced
    assert len([reason for kind, reason in callbacks.restarts if kind == "Namespace"]) == 1
    assert "cannot list Namespaces: " in caplog.text


def test_watches_that_end_at_once_are_restarted_with_a_pause(
    api: ListWatchServer, callbacks: Callbacks, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        api.fail_next(ACCOUNTS, end_stream)

    with run_reader(api.configuration, callbacks) as reader:
        api.wait_for_requests("the fourth watch", 4, is_account_watch)
        assert is_cached_as(reader, callbacks, "worker")
    assert caplog.text.count("ended the watch of the ServiceAccounts at once; ") == 3


@pytest.fixture
def failures_in_a_row(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of failures before each pause. All pauses are short."""
    seen: list[int] = []

    def pause_shortly(_timeouts: WatchTimeouts, failures: int) -> float:
        seen.append(failures)
        return 0.01

    monkeypatch.setattr(WatchTimeouts, "next_backoff", pause_shortly)
    return seen


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(RequestHandler.open_stream, id="cut"),
        pytest.param(end_stream, id="ended"),
        pytest.param(send_and_cut(BOOKMARK), id="cut-after-an-event"),
    ],
)
def test_pauses_do_not_grow_while_watches_open_and_are_cut(
    api: ListWatchServer, callbacks: Callbacks, failures_in_a_row: list[int], fault: Callable[[RequestHandler], None]
) -> None:
    for _ in range(6):
        api.fail_next(ACCOUNTS, fault)

    with run_reader(api.configuration, callbacks):
        api.wait_for_requests("the seventh watch", 7, is_account_watch)
    assert failures_in_a_row == [0] * 6


def test_pauses_start_again_after_a_watch_that_opened(
    api: ListWatchServer, callbacks: Callbacks, failures_in_a_row: list[int]
) -> None:
    for fault in (fail_with(503), fail_with(503), RequestHandler.open_stream, fail_with(503)):
        api.fail_next(ACCOUNTS, fault)

    with run_reader(api.configuration, callbacks):
        api.wait_for_requests("the fifth watch", 5, is_account_watch)
    assert failures_in_a_row == [1, 2, 0, 1]


def test_watches_that_are_cut_at_once_do_not_make_the_cache_fresh(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.always_fail = lambda request: RequestHandler.open_stream if is_account_watch(request) else None

    with run_reader(api.configuration, callbacks, max_staleness_seconds=0.5) as reader:
        wait_until("reads are live", lambda: not is_cached_as(reader, callbacks, "worker"))
        seen = len(api.requests)
        api.wait_for_requests("more watches", seen + 20, lambda _request: True)
        assert not is_cached_as(reader, callbacks, "worker")
        assert reader.is_synced


def test_cache_whose_watches_are_always_cut_is_listed_again_and_stays_fresh(
    api: ListWatchServer, callbacks: Callbacks
) -> None:
    api.always_fail = lambda request: RequestHandler.open_stream if is_account_watch(request) else None

    with run_reader(api.configuration, callbacks, relist_seconds=0.2) as reader:
        first = reader.last_event_timestamps()["ServiceAccount"] or 0
        api.wait_for_requests("the third list", 3, is_account_list)

        assert (reader.last_event_timestamps()["ServiceAccount"] or 0) > first
        assert len([request for request in api.requests if is_account_watch(request)]) > 3


def test_old_cache_that_cannot_be_listed_again_is_watched_meanwhile(api: ListWatchServer, callbacks: Callbacks) -> None:
    with run_reader(api.configuration, callbacks, relist_seconds=0.2):
        api.always_fail = cut_watches_and_fail_lists
        api.drop_connections()
        api.wait_for_requests("a list that fails", 2, is_account_list)
        seen = len([request for request in api.requests if is_account_watch(request)])
        api.wait_for_requests("the next watch", seen + 1, is_account_watch)


def test_watch_that_ends_after_its_full_time_makes_the_cache_fresh(api: ListWatchServer, callbacks: Callbacks) -> None:
    with run_reader(api.configuration, callbacks, watch_seconds=1) as reader:
        first = reader.last_event_timestamps()["ServiceAccount"] or 0
        api.wait_for_requests("the second watch", 2, is_account_watch)

        assert (reader.last_event_timestamps()["ServiceAccount"] or 0) > first


class SuspendedClock:
    """A boot-time clock whose node a test suspends."""

    def __init__(self) -> None:
        self.suspended = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.suspended


def test_age_of_the_cache_counts_the_time_of_a_suspended_node(
    api: ListWatchServer, callbacks: Callbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SuspendedClock()
    monkeypatch.setattr(time, "clock_gettime", lambda _clock: clock())
    with run_reader(api.configuration, callbacks) as reader:
        api.wait_for_requests("accounts are watched", 1, is_account_watch)
        assert is_cached_as(reader, callbacks, "worker")

        clock.suspended = 299 - (reader.seconds_since_last_event()["ServiceAccount"] or 0)
        assert is_cached_as(reader, callbacks, "worker")
        clock.suspended = 301
        assert not is_cached_as(reader, callbacks, "worker")
        assert reader.seconds_since_last_event()["ServiceAccount"] == pytest.approx(301, abs=20)

        api.bookmark(ACCOUNTS)
        wait_until("the cache is fresh after the next event", lambda: is_cached_as(reader, callbacks, "worker"))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(send_and_cut(encode_event("ERROR", GONE)), id="expired"),
        pytest.param(send_html(410), id="expired-without-a-status-object"),
        pytest.param(send_and_cut(b"<html>"), id="invalid"),
    ],
)
def test_pauses_grow_while_every_watch_needs_a_new_list(
    api: ListWatchServer,
    callbacks: Callbacks,
    failures_in_a_row: list[int],
    fault: Callable[[RequestHandler], None],
) -> None:
    for _ in range(4):
        api.fail_next(ACCOUNTS, fault)

    with run_reader(api.configuration, callbacks):
        api.wait_for_requests("the fifth watch", 5, is_account_watch)
    assert failures_in_a_row == [1, 2, 3, 4]
    assert len([request for request in api.requests if is_account_list(request)]) == 5


def test_watch_thread_survives_an_unexpected_error(
    api: ListWatchServer, callbacks: Callbacks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_kind: str, _reason: str) -> None:
        monkeypatch.undo()
        raise RuntimeError("unexpected")

    monkeypatch.setattr(callbacks, "add_restart", fail)
    api.fail_next(ACCOUNTS, send_and_cut(b"<html>\n"))
    with run_reader(api.configuration, callbacks) as reader:
        monkeypatch.undo()
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)

        wait_until("the new account is cached", lambda: is_cached_as(reader, callbacks, "new"))
    assert "RuntimeError: unexpected" in caplog.text
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]


def test_bug_in_a_parser_is_logged_with_its_traceback(
    api: ListWatchServer, callbacks: Callbacks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_kind: str, _metadata: object) -> bool:
        monkeypatch.undo()
        raise TypeError("a bug")

    monkeypatch.setattr(list_watch, "fits_cache", fail)

    with run_reader(api.configuration, callbacks) as reader:
        assert is_cached_as(reader, callbacks, "worker")
    assert "TypeError: a bug" in caplog.text
    assert callbacks.restarts == []


def test_backoff_doubles_up_to_a_limit_with_jitter() -> None:
    pauses = [[WatchTimeouts().next_backoff(failures) for _ in range(100)] for failures in (0, 1, 3, 5, 1000)]

    bounds = [(min(of_one), max(of_one)) for of_one in pauses]
    assert all(low >= least / 2 and high <= least for (low, high), least in zip(bounds, (1, 2, 8, 30, 30), strict=True))
    assert all(low < high for low, high in bounds)


def test_stop_ends_all_threads(api: ListWatchServer, callbacks: Callbacks) -> None:
    reader = build_reader(api.configuration, callbacks)
    reader.start()
    api.wait_for_requests("both are watched", 2, lambda request: request.is_watch)

    reader.stop()

    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("watch-")] == []
