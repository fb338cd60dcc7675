"""What a watched cluster does when its watch breaks, in every way that a watch can break. Over real sockets."""

import json
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from injector.k8s.list_watch import WatchTimeouts
from injector.k8s.objects import Metadata
from injector.k8s.watch_cache import CachedReader
from tests.unit.injector.k8s.fake_list_watch_server import (
    ACCOUNTS,
    GONE,
    META,
    NAMESPACES,
    Exchange,
    ListWatchServer,
    Request,
    list_watch_server,
)
from tests.unit.injector.k8s.watched_cluster import WITHIN_SECONDS, Told, build, eventually, watching

ROLE = {"iam.amazonaws.com/role": "reader"}
READER = Metadata({}, ROLE)


@pytest.fixture
def told() -> Told:
    return Told()


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


def remembers(cluster: CachedReader, told: Told, name: str) -> bool:
    """Whether memory has the account."""
    told.live_reads.clear()
    return cluster.service_account("team-a", name) == READER and told.live_reads == []


def end(exchange: Exchange) -> None:
    exchange.open_stream()
    exchange.end_stream()


def refuse(status: int) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.send_document(status, {"kind": "Status", "code": status, "message": "no"})


def send(data: bytes) -> Callable[[Exchange], None]:
    """A watch that brings this and is then cut."""

    def fault(exchange: Exchange) -> None:
        exchange.open_stream()
        exchange.send_chunk(data)

    return fault


def event(kind: str, thing: object) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def test_a_watch_that_ends_goes_on_where_it_was(api: ListWatchServer, told: Told) -> None:
    with watching(api.configuration, told, watch_seconds=2) as cluster:
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)
        api.bookmark(ACCOUNTS)
        bookmark = str(api.version)

        again = api.wait_for("the second watch", 2, is_account_watch)[1]

        assert again.query["resourceVersion"] == bookmark
        assert again.query["timeoutSeconds"] == "2"
        assert remembers(cluster, told, "new")
        assert set(told.restarts) <= {("ServiceAccount", "ended"), ("Namespace", "ended")}
        assert len([request for request in api.requests if is_account_list(request)]) == 1


@pytest.mark.parametrize("fault", [refuse(410), send(event("ERROR", GONE))], ids=["status", "event"])
def test_after_410_all_is_listed_again_and_memory_is_never_empty(
    api: ListWatchServer, told: Told, fault: Callable[[Exchange], None]
) -> None:
    expires, lists, goes_on = threading.Event(), threading.Event(), threading.Event()

    def expire(exchange: Exchange) -> None:
        expires.wait(WITHIN_SECONDS)
        fault(exchange)

    def list_slowly(exchange: Exchange) -> None:
        lists.set()
        goes_on.wait(WITHIN_SECONDS)
        exchange.send_document(200, api.build_page(Request(ACCOUNTS, {"limit": "500"}, "")))

    api.fail_next(ACCOUNTS, expire)
    with watching(api.configuration, told) as cluster:
        api.delete(ACCOUNTS, "old", "team-a")
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)
        api.fail_next(ACCOUNTS, list_slowly, watch=False)
        expires.set()
        assert lists.wait(WITHIN_SECONDS)

        assert remembers(cluster, told, "worker")
        assert remembers(cluster, told, "old")
        goes_on.set()
        eventually("what is new is known", lambda: remembers(cluster, told, "new"))
        assert not remembers(cluster, told, "old")
        assert remembers(cluster, told, "worker")
        assert told.count("ServiceAccount", "expired") == 1


def test_a_list_that_expires_between_two_pages_begins_anew(api: ListWatchServer, told: Told) -> None:
    api.page_objects = 1
    api.fail_next(ACCOUNTS, lambda exchange: exchange.send_document(200, api.build_page(first)), watch=False)
    first = Request(ACCOUNTS, {"limit": "1"}, "")
    api.fail_next(ACCOUNTS, refuse(410), watch=False)

    with watching(api.configuration, told) as cluster:
        assert remembers(cluster, told, "worker")
        assert remembers(cluster, told, "old")
    assert told.count("ServiceAccount", "expired") == 1


def test_a_watch_that_is_cut_in_the_middle_of_a_line_loses_nothing(api: ListWatchServer, told: Told) -> None:
    api.fail_next(ACCOUNTS, send(b'{"type": "ADDED", "object": {"metadata": {"name": "ne'))
    with watching(api.configuration, told) as cluster:
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)

        eventually("what is new is known", lambda: remembers(cluster, told, "new"))
        assert told.count("ServiceAccount", "unreachable") == 1
        assert len([request for request in api.requests if is_account_list(request)]) == 1


def test_lines_arrive_in_whatever_pieces_the_network_makes(api: ListWatchServer, told: Told) -> None:
    first, second = (
        event(
            "ADDED",
            {**META, "metadata": {"name": name, "namespace": "team-a", "annotations": ROLE, "resourceVersion": "900"}},
        )
        for name in ("first", "second")
    )

    def send_in_pieces(exchange: Exchange) -> None:
        exchange.open_stream()
        for piece in (first[:10], first[10:-1], first[-1:] + second[:20], second[20:]):
            exchange.send_chunk(piece)
        exchange.hold()

    api.fail_next(ACCOUNTS, send_in_pieces)
    with watching(api.configuration, told) as cluster:
        eventually("the first is known", lambda: remembers(cluster, told, "first"))
        eventually("the second is known", lambda: remembers(cluster, told, "second"))
        assert told.restarts == []
        api.stop()


@pytest.mark.parametrize(
    "line",
    [
        b"<html>\n",
        b"[]\n",
        event("ADDED", {**META, "metadata": {}}),
        event("RENAMED", {**META, "metadata": {"name": "worker"}}),
        event("ADDED", {**META, "metadata": {"name": "a", "annotations": {"podrole.io/a": 1}, "resourceVersion": "1"}}),
        event("ERROR", {"kind": "Status", "code": 403, "message": "no"}),
    ],
    ids=["html", "list", "nameless", "unknown type", "number", "forbidden"],
)
def test_after_a_line_that_cannot_be_used_all_is_listed_again(api: ListWatchServer, told: Told, line: bytes) -> None:
    api.fail_next(ACCOUNTS, send(line))
    with watching(api.configuration, told) as cluster:
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)

        eventually("what is new is known", lambda: remembers(cluster, told, "new"))
        assert told.count("ServiceAccount", "failed") == 1
        assert len([request for request in api.requests if is_account_list(request)]) == 2


def test_a_watch_that_went_silent_without_a_close_is_noticed(api: ListWatchServer, told: Told) -> None:
    api.fail_next(ACCOUNTS, Exchange.open_and_hold)
    with watching(api.configuration, told, read_timeout_seconds=0.3) as cluster:
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)

        eventually("what is new is known", lambda: remembers(cluster, told, "new"))
        assert told.count("ServiceAccount", "unreachable") >= 1
        assert len([request for request in api.requests if is_account_list(request)]) == 1
        api.stop()


def test_a_list_that_never_ends_is_given_up(api: ListWatchServer, told: Told) -> None:
    api.fail_next(ACCOUNTS, Exchange.hold, watch=False)

    with watching(api.configuration, told, list_timeout_seconds=0.3) as cluster:
        assert remembers(cluster, told, "worker")
        api.stop()
    assert told.count("ServiceAccount", "unreachable") >= 1


def test_while_the_server_is_away_memory_answers_and_then_it_catches_up(api: ListWatchServer, told: Told) -> None:
    with watching(api.configuration, told) as cluster:
        api.wait_for("accounts are watched", 1, is_account_watch)
        api.stop()
        eventually("it was tried in vain", lambda: told.count("ServiceAccount", "unreachable") >= 3)
        assert remembers(cluster, told, "worker")

        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)
        api.delete(ACCOUNTS, "old", "team-a")
        api.start()

        eventually("what is new is known", lambda: remembers(cluster, told, "new"))
        assert not remembers(cluster, told, "old")
        assert remembers(cluster, told, "worker")
        assert len([request for request in api.requests if is_account_list(request)]) == 1


def test_a_server_that_comes_back_without_its_events_is_listed_again(api: ListWatchServer, told: Told) -> None:
    with watching(api.configuration, told) as cluster:
        api.stop()
        api.delete(ACCOUNTS, "old", "team-a")
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)
        api.forget_events()
        api.start()

        eventually("what is new is known", lambda: remembers(cluster, told, "new"))
        assert not remembers(cluster, told, "old")
        assert told.count("ServiceAccount", "expired") == 1


@pytest.mark.parametrize(
    ("status", "reason", "lists"),
    [(429, "unreachable", 1), (503, "unreachable", 1), (401, "failed", 2), (403, "failed", 2)],
)
def test_a_watch_that_is_refused_is_tried_again(
    api: ListWatchServer, told: Told, status: int, reason: str, lists: int
) -> None:
    api.fail_next(ACCOUNTS, refuse(status))
    with watching(api.configuration, told) as cluster:
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)

        eventually("what is new is known", lambda: remembers(cluster, told, "new"))
        assert told.count("ServiceAccount", reason) == 1
        assert len([request for request in api.requests if is_account_list(request)]) == lists


@pytest.mark.parametrize("fault", [refuse(403), refuse(500), end], ids=["forbidden", "error", "no list"])
def test_a_list_that_fails_at_first_is_had_later(
    api: ListWatchServer, told: Told, caplog: pytest.LogCaptureFixture, fault: Callable[[Exchange], None]
) -> None:
    api.fail_next(NAMESPACES, fault, watch=False)

    with watching(api.configuration, told) as cluster:
        assert cluster.is_synced
    assert len([reason for kind, reason in told.restarts if kind == "Namespace"]) == 1
    assert "cannot list Namespaces: " in caplog.text


def test_a_watch_that_ends_at_once_again_and_again_is_no_loop_without_a_pause(
    api: ListWatchServer, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        api.fail_next(ACCOUNTS, end)

    with watching(api.configuration, told) as cluster:
        api.wait_for("the fourth watch", 4, is_account_watch)
        assert remembers(cluster, told, "worker")
    assert caplog.text.count("ended the watch of the ServiceAccounts at once; ") == 3


def test_the_thread_outlives_an_error_that_nobody_thought_of(
    api: ListWatchServer, told: Told, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_kind: str, _reason: str) -> None:
        monkeypatch.undo()
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(told, "add_restart", fail)
    api.fail_next(ACCOUNTS, send(b"<html>\n"))
    with watching(api.configuration, told) as cluster:
        monkeypatch.undo()
        api.put(ACCOUNTS, "new", "team-a", annotations=ROLE)

        eventually("what is new is known", lambda: remembers(cluster, told, "new"))
    assert "RuntimeError: nobody thought of this" in caplog.text
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]


def test_pauses_grow_and_stay_below_a_bound_and_are_left_to_chance() -> None:
    pauses = [[WatchTimeouts().next_backoff(failures) for _ in range(100)] for failures in (0, 1, 3, 5, 1000)]

    bounds = [(min(of_one), max(of_one)) for of_one in pauses]
    assert all(low >= least / 2 and high <= least for (low, high), least in zip(bounds, (1, 2, 8, 30, 30), strict=True))
    assert all(low < high for low, high in bounds)


def test_no_thread_is_left_after_the_stop(api: ListWatchServer, told: Told) -> None:
    cluster = build(api.configuration, told)
    cluster.start()
    api.wait_for("both are watched", 2, lambda request: request.is_watch)

    cluster.stop()

    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("watch-")] == []
