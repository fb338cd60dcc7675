"""Lists that never end, restart or expire, of CachedReader and of ApiClient. Over real sockets."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from urllib3.exceptions import ConnectTimeoutError, ProtocolError, ReadTimeoutError

from injector.errors import ClusterError, InvalidResponseError, UnavailableError, UnreachableError
from injector.k8s import list_limits
from injector.k8s.list_limits import MIN_FAILED_PAGE, PageLimit
from injector.k8s.objects import Metadata
from injector.k8s.paging import PAGE_SIZE, ListPage, ListProgress, iterate_pages
from testing.api_status import build_status
from testing.fake_list_watch_server import (
    ACCOUNTS,
    GONE,
    META,
    NAMESPACES,
    Fault,
    ListWatchServer,
    Request,
    RequestHandler,
    list_watch_server,
)
from tests.unit.injector.k8s.watched_cluster import Callbacks, build_reader, run_reader, wait_until

ROLE = {"iam.amazonaws.com/role": "reader"}
NAMES = ("first", "second", "third")


@pytest.fixture
def api() -> Iterator[ListWatchServer]:
    with list_watch_server() as server:
        server.put(NAMESPACES, "team-a", labels={"podrole.io/injection": "enabled"})
        for name in NAMES:
            server.put(ACCOUNTS, name, "team-a", annotations=ROLE)
        server.page_objects = 1
        yield server


def is_account_list(request: Request) -> bool:
    return request.path == ACCOUNTS and request.is_list


def send_gone(handler: RequestHandler) -> None:
    handler.send_document(410, GONE)


def find_lists(api: ListWatchServer) -> list[dict[str, str]]:
    return [request.query for request in api.requests if is_account_list(request)]


def expire_tokens(request: Request) -> Fault | None:
    return send_gone if "continue" in request.query else None


def test_continue_token_that_always_expires_leads_to_one_list_without_a_limit(
    api: ListWatchServer, callbacks: Callbacks
) -> None:
    api.always_fail = expire_tokens

    with run_reader(api.configuration, callbacks) as reader:
        assert [reader.service_account("team-a", name) for name in NAMES] == [Metadata({}, ROLE)] * 3
    assert find_lists(api) == [{"limit": "500"}, {"limit": "500", "continue": "1"}, {}]
    assert (callbacks.live_reads, callbacks.restarts) == ([], [])


def test_list_without_a_limit_has_no_object_that_was_deleted_after_the_first_page(
    api: ListWatchServer, callbacks: Callbacks
) -> None:
    def delete_and_expire(request: Request) -> Fault | None:
        if "continue" not in request.query:
            return None
        api.delete(ACCOUNTS, "first", "team-a")
        return send_gone

    api.always_fail = delete_and_expire
    with run_reader(api.configuration, callbacks) as reader:
        assert reader.service_account("team-a", "first") is None
        assert callbacks.live_reads == ["ServiceAccount"]


def test_list_without_a_limit_that_takes_too_long_starts_again(api: ListWatchServer, callbacks: Callbacks) -> None:
    hangs = iter([RequestHandler.hang])

    def expire_and_hang(request: Request) -> Fault | None:
        if is_account_list(request) and "limit" not in request.query:
            return next(hangs, None)
        return expire_tokens(request)

    api.always_fail = expire_and_hang
    with run_reader(api.configuration, callbacks, full_list_seconds=0.3):
        assert callbacks.restarts == [("ServiceAccount", "unreachable")]
        api.stop()
    assert [sorted(query) for query in find_lists(api)] == [["limit"], ["continue", "limit"], []] * 2


@pytest.mark.parametrize("status", [500, 504])
def test_second_page_that_is_too_slow_is_asked_for_with_the_smaller_limit_after_the_restart(
    api: ListWatchServer, callbacks: Callbacks, status: int
) -> None:
    def fail_large_second_page(request: Request) -> Fault | None:
        is_too_large = "continue" in request.query and int(request.query["limit"]) > 100
        return (lambda handler: handler.send_document(status, build_status(status, ""))) if is_too_large else None

    api.always_fail = fail_large_second_page
    with run_reader(api.configuration, callbacks):
        limits = [query["limit"] for query in find_lists(api)]

    assert limits == ["500", "500", "125", "125", "31", "31", "31"]


def send_endless_page(handler: RequestHandler, token: str) -> None:
    metadata = {"resourceVersion": "900", "continue": token}
    thing = {**META, "metadata": {"name": "one", "namespace": "team-a", "resourceVersion": "900"}}
    handler.send_document(200, {"kind": "PartialObjectMetadataList", "metadata": metadata, "items": [thing]})


def build_endless(next_token: Callable[[], str]) -> Callable[[Request], Fault | None]:
    """A list of ServiceAccounts that always has another page."""
    return lambda request: (
        (lambda handler: send_endless_page(handler, next_token())) if is_account_list(request) else None
    )


def run_until_given_up(api: ListWatchServer, callbacks: Callbacks, **timeouts: Any) -> None:
    """Run a reader until a list of ServiceAccounts has failed; it has not synced."""
    reader = build_reader(api.configuration, callbacks, **timeouts)
    reader.start()
    try:
        wait_until("it is given up", lambda: callbacks.count("ServiceAccount", "failed"))
        assert not reader.is_synced
    finally:
        reader.stop()


def test_endless_list_is_given_up_after_its_time(
    api: ListWatchServer, callbacks: Callbacks, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = count()
    api.always_fail = build_endless(lambda: str(next(numbers)))
    run_until_given_up(api, callbacks, all_pages_seconds=0.3)
    assert "cannot list ServiceAccounts: there are more pages after 0.3 s" in caplog.text


def test_page_that_names_itself_as_the_next_one_is_an_error(
    api: ListWatchServer, callbacks: Callbacks, caplog: pytest.LogCaptureFixture
) -> None:
    api.always_fail = build_endless(lambda: "the same")
    run_until_given_up(api, callbacks)
    assert "cannot list ServiceAccounts: a page names itself as the next one" in caplog.text


def test_list_of_too_many_objects_is_given_up(
    api: ListWatchServer, callbacks: Callbacks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_limits, "MAX_OBJECTS", 2)
    run_until_given_up(api, callbacks)
    assert "there are more than 2 ServiceAccounts" in caplog.text


def test_watch_that_adds_too_many_objects_is_given_up(
    api: ListWatchServer, callbacks: Callbacks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_limits, "MAX_OBJECTS", len(NAMES))
    with run_reader(api.configuration, callbacks) as reader:
        api.put(ACCOUNTS, NAMES[0], "team-a", annotations={})  # it is there already
        api.put(ACCOUNTS, "one-more", "team-a", annotations=ROLE)
        wait_until("the list is given up, too", lambda: callbacks.count("ServiceAccount", "failed") > 1)

        assert not reader.is_cached("team-a", "one-more")
        assert reader.service_account("team-a", NAMES[0]) == Metadata({}, {})
        assert callbacks.live_reads == []
        api.stop()
    reasons = [line for line in caplog.messages if "there are more than 3 ServiceAccounts" in line]
    assert reasons[0].startswith("cannot watch ServiceAccounts: ")
    assert reasons[1].startswith("cannot list ServiceAccounts: ")


def test_pages_of_a_list_that_never_completes_do_not_make_the_old_cache_fresh(
    api: ListWatchServer, callbacks: Callbacks
) -> None:
    with run_reader(api.configuration, callbacks, max_staleness_seconds=0.5) as reader:
        numbers = count()
        api.always_fail = build_endless(lambda: str(next(numbers)))
        api.fail_next(ACCOUNTS, send_gone)
        api.drop_connections()

        wait_until("twenty pages are read", lambda: next(numbers) > 20)
        wait_until("the account is read live", lambda: is_read_live(reader, callbacks))
        pages = next(numbers)
        wait_until("more pages are read", lambda: next(numbers) > pages + 20)
        assert is_read_live(reader, callbacks)
        api.stop()


def is_read_live(reader: Any, callbacks: Callbacks) -> bool:
    callbacks.live_reads.clear()
    assert reader.service_account("team-a", "first") == Metadata({}, ROLE)
    return callbacks.live_reads == ["ServiceAccount"]


def build_caused(cause: Exception) -> ClusterError:
    error = UnreachableError("cannot list")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(build_caused(ReadTimeoutError(Any, "", "")), 125, id="too-slow"),  # type: ignore[arg-type] # no pool
        pytest.param(build_caused(ProtocolError("cut off")), 125, id="cut-off"),
        pytest.param(UnavailableError("", 504), 125, id="gateway-timeout"),
        pytest.param(build_caused(ConnectTimeoutError()), 500, id="no-connection"),
        pytest.param(build_caused(OSError("no token")), 500, id="no-token"),
        pytest.param(UnavailableError("", 429), 500, id="too-many-requests"),
        pytest.param(InvalidResponseError(""), 500, id="invalid"),
    ],
)
def test_limit_becomes_smaller_only_after_a_page_that_was_perhaps_too_large(error: ClusterError, expected: int) -> None:
    limit = PageLimit()

    limit.page_failed(error)

    assert limit.value == expected


def test_limit_stays_small_until_a_list_is_complete_and_failures_do_not_make_it_one() -> None:
    limit, seen = PageLimit(), []
    for _ in range(5):
        limit.page_failed(UnavailableError("", 504))
        limit.page_read(count=10, page_bytes=1000)
        seen.append(limit.value)
    limit.list_completed()

    assert seen == [125, 31, MIN_FAILED_PAGE, MIN_FAILED_PAGE, MIN_FAILED_PAGE]
    assert limit.value == PAGE_SIZE


def test_pages_of_huge_objects_can_have_fewer_than_a_failure_asks_for() -> None:
    limit = PageLimit()
    limit.page_read(count=1, page_bytes=64 * 1024 * 1024)

    limit.page_failed(UnavailableError("", 504))

    assert limit.value == 1


def test_list_of_a_command_that_repeats_a_page_is_an_error() -> None:
    pages = {"": ListPage([], "two", 0), "two": ListPage([], "two", 0)}

    with pytest.raises(InvalidResponseError, match="cannot list pods: a page names itself as the next one"):
        [*iterate_pages(pages.__getitem__, "pods", max_bytes=1000)]


def test_list_of_a_command_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("injector.k8s.paging.API_LIST_SECONDS", 0)

    with pytest.raises(ClusterError, match="cannot list pods: there are more pages after 0 s"):
        [*iterate_pages(lambda token: ListPage([], token + "x", 0), "pods", max_bytes=1000)]


def test_time_of_a_list_is_for_all_of_its_pages() -> None:
    now = [100.0]
    progress = ListProgress("list pods", 60, lambda: now[0])

    now[0] = 145.0
    assert progress.left_seconds() == 15
    now[0] = 160.0
    with pytest.raises(ClusterError, match="cannot list pods: there are more pages after 60 s"):
        progress.left_seconds()
