"""Where CachedReader reads from: its cache or the API server. Over real sockets."""

import gc
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from injector.errors import ClusterError, ObjectTooLargeError, TooManyReadsError
from injector.k8s.cached_metadata import (
    ANNOTATIONS,
    KEPT_KEYS,
    LABELS,
    MAX_CACHED_BYTES,
    MAX_FIELDS,
    read_object,
)
from injector.k8s.list_limits import choose_limit
from injector.k8s.live_reads import MAX_UNKNOWN
from injector.k8s.metadata_stream import MAX_OBJECT_BYTES
from injector.k8s.objects import EMPTY_METADATA, Metadata
from injector.k8s.reader import MetadataReader
from testing.cases import CONFIG, PODS, Case, load_case
from testing.fake_list_watch_server import (
    ACCOUNTS,
    NAMESPACES,
    ListWatchServer,
    RequestHandler,
    list_watch_server,
)
from testing.protobuf import encode_object
from tests.unit.injector.k8s.watched_cluster import Callbacks, build_reader, run_reader, wait_until

ROLE = {"iam.amazonaws.com/role": "reader"}
OTHER_ROLE = {"iam.amazonaws.com/role": "writer"}
ENABLED = {"podrole.io/injection": "enabled"}


@pytest.fixture
def api() -> Iterator[ListWatchServer]:
    with list_watch_server() as server:
        yield server


@pytest.mark.parametrize("path", [NAMESPACES, ACCOUNTS])
def test_reads_fail_until_both_first_lists_are_complete(api: ListWatchServer, callbacks: Callbacks, path: str) -> None:
    api.put(NAMESPACES, "team-a", labels=ENABLED)
    api.fail_next(path, RequestHandler.hang, watch=False)
    reader = build_reader(api.configuration, callbacks)
    reader.start()
    try:
        other = ACCOUNTS if path == NAMESPACES else NAMESPACES
        api.wait_for_requests(
            "the other kind is watched", 1, lambda request: request.path == other and request.is_watch
        )

        assert not reader.wait_until_synced(0)
        assert not reader.is_synced
        with pytest.raises(ClusterError, match="has not read all"):
            reader.namespace("team-a") and reader.service_account("team-a", "worker")
        assert callbacks.live_reads == []
    finally:
        api.stop()
        reader.stop()


def test_no_connection_is_made_before_start(api: ListWatchServer, callbacks: Callbacks) -> None:
    reader = build_reader(api.configuration, callbacks)

    with pytest.raises(ClusterError):
        reader.namespace("team-a")
    assert api.connections == []
    assert reader.seconds_since_last_event() == {"Namespace": None, "ServiceAccount": None}
    assert reader.last_event_timestamps() == {"Namespace": None, "ServiceAccount": None}


def test_last_event_timestamps_are_wall_clock_time_and_grow(api: ListWatchServer, callbacks: Callbacks) -> None:
    before = time.time()
    with run_reader(api.configuration, callbacks) as reader:
        api.wait_for_requests("accounts are watched", 1, lambda request: request.path == ACCOUNTS and request.is_watch)
        first = reader.last_event_timestamps()["ServiceAccount"]
        assert first is not None
        assert before <= first <= time.time()

        api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)

        wait_until("a later event", lambda: (reader.last_event_timestamps()["ServiceAccount"] or 0) > first)


def test_cached_objects_are_read_without_a_request(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.put(NAMESPACES, "team-a", labels=ENABLED)
    api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
    api.put(ACCOUNTS, "default", "team-a")
    with run_reader(api.configuration, callbacks) as reader:
        first = len(api.requests)

        assert reader.namespace("team-a") == Metadata(ENABLED, {})
        assert reader.service_account("team-a", "worker") == Metadata({}, ROLE)
        assert reader.service_account("team-a", "default") == Metadata({}, {})
        assert (callbacks.live_reads, [r for r in api.requests[first:] if not r.is_watch]) == ([], [])
        assert all(age is not None and age < 20 for age in reader.seconds_since_last_event().values())


def test_is_cached_only_if_no_read_needs_a_request(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.put(NAMESPACES, "team-a", labels=ENABLED)
    api.put(NAMESPACES, "team-b")
    for namespace in ("team-a", "team-b"):
        api.put(ACCOUNTS, "default", namespace)
    reader = build_reader(api.configuration, callbacks)
    assert reader.is_cached("team-a", "default")  # the error also needs no request
    with run_reader(api.configuration, callbacks) as reader:
        assert not reader.is_cached("team-a", "default")
        reader.version()

        assert reader.is_cached("team-a", "default")
        assert not reader.is_cached("team-a", "worker")
        assert not reader.is_cached("team-b", "default")
        assert callbacks.live_reads == []


def test_large_list_is_read_in_pages(api: ListWatchServer, callbacks: Callbacks) -> None:
    for number in range(1203):
        api.put(ACCOUNTS, f"worker-{number}", "team-a", annotations=ROLE)

    with run_reader(api.configuration, callbacks) as reader:
        assert all(reader.service_account("team-a", f"worker-{number}") for number in range(1203))
    pages = [request for request in api.requests if request.path == ACCOUNTS and not request.is_watch]
    assert [page.query.get("continue") for page in pages] == [None, "500", "1000"]
    assert {page.query["limit"] for page in pages} == {"500"}
    assert callbacks.live_reads == []


def test_lists_and_watches_request_metadata_only(api: ListWatchServer, callbacks: Callbacks) -> None:
    with run_reader(api.configuration, callbacks):
        api.wait_for_requests("both are watched", 2, lambda request: request.is_watch)

    for request in api.requests:
        form = "PartialObjectMetadata" if request.is_watch else "PartialObjectMetadataList"
        assert request.accept == f"application/vnd.kubernetes.protobuf;as={form};g=meta.k8s.io;v=v1"
        assert not request.is_watch or request.query["allowWatchBookmarks"] == "true"


def test_account_that_is_not_cached_yet_is_read_live(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.fail_next(ACCOUNTS, RequestHandler.open_stream_and_hang)
    with run_reader(api.configuration, callbacks) as reader:
        api.wait_for_requests("accounts are watched", 1, lambda request: request.path == ACCOUNTS and request.is_watch)

        assert reader.service_account("team-a", "worker") is None
        api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
        assert reader.service_account("team-a", "worker") == Metadata({}, ROLE)
        api.put(ACCOUNTS, "worker", "team-a", annotations=OTHER_ROLE)
        assert reader.service_account("team-a", "worker") == Metadata({}, OTHER_ROLE)
        assert callbacks.live_reads == ["ServiceAccount"] * 3
        api.stop()


def test_namespace_without_the_label_in_the_cache_is_read_live(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.put(NAMESPACES, "team-a", labels={"podrole.io/injection": "disabled"})
    api.fail_next(NAMESPACES, RequestHandler.open_stream_and_hang)
    with run_reader(api.configuration, callbacks) as reader:
        api.wait_for_requests(
            "namespaces are watched", 1, lambda request: request.path == NAMESPACES and request.is_watch
        )
        api.put(NAMESPACES, "team-a", labels=ENABLED)

        assert reader.namespace("team-a") == Metadata(ENABLED, {})
        assert callbacks.live_reads == ["Namespace"]
        api.stop()


def test_failed_live_read_raises_cluster_error(api: ListWatchServer, callbacks: Callbacks) -> None:
    with run_reader(api.configuration, callbacks) as reader:
        api.stop()

        with pytest.raises(ClusterError, match="ServiceAccount team-a/worker"):
            reader.service_account("team-a", "worker")


def test_third_read_of_a_review_has_only_what_is_left_of_its_time(api: ListWatchServer, callbacks: Callbacks) -> None:
    with run_reader(api.configuration, callbacks) as reader:
        api.always_fail = lambda request: None if request.is_watch else RequestHandler.hang
        started = time.monotonic()
        reading = reader.reserve("team-a").reader
        with pytest.raises(ClusterError, match="timed out"):
            reading.namespace("team-a")
        with pytest.raises(ClusterError, match="timed out"):
            reading.service_account("team-a", "worker")

        with pytest.raises(ClusterError, match=r"cannot get the API server's version: .*timed out"):
            reading.version()
        assert time.monotonic() - started < 5  # the webhook's timeout
        with pytest.raises(ClusterError, match="cannot get namespace team-b: the reads before took all of the time"):
            reading.namespace("team-b")
        api.stop()


def test_reads_of_a_workload_end_within_a_second(api: ListWatchServer, callbacks: Callbacks) -> None:
    """Whoever applies it waits for them."""
    with run_reader(api.configuration, callbacks) as reader:
        api.always_fail = lambda request: None if request.is_watch else RequestHandler.hang
        started = time.monotonic()
        reservation = reader.reserve_workload("team-a")
        assert reservation
        with pytest.raises(ClusterError, match="timed out"):
            reservation.reader.namespace("team-a")
        with pytest.raises(ClusterError, match="the reads before took all of the time"):
            reservation.reader.service_account("team-a", "worker")

        assert time.monotonic() - started < 2  # the webhook's timeout
        api.stop()


def test_review_of_a_pod_never_shares_the_read_of_a_workload(api: ListWatchServer, callbacks: Callbacks) -> None:
    """That one ends sooner, and the pod would be denied."""
    api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
    with run_reader(api.configuration, callbacks) as reader:
        reader.version()
        api.always_fail = lambda request: None if request.is_watch else RequestHandler.hang
        of_pod, of_workload = reader.reserve("team-b").reader, reader.reserve_workload("team-b")
        assert of_workload
        with pytest.raises(ClusterError):
            of_workload.reader.service_account("team-b", "worker")
        api.always_fail = lambda _request: None
        api.put(ACCOUNTS, "worker", "team-b", annotations=ROLE)

        assert of_pod.service_account("team-b", "worker") == Metadata({}, ROLE)


def test_watch_events_update_the_cache(api: ListWatchServer, callbacks: Callbacks) -> None:
    with run_reader(api.configuration, callbacks) as reader:
        api.put(NAMESPACES, "team-a", labels=ENABLED)
        api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
        wait_until("both are cached", lambda: is_cached_as(reader, callbacks, Metadata({}, ROLE)))

        api.put(ACCOUNTS, "worker", "team-a", annotations=OTHER_ROLE)
        wait_until("the change is cached", lambda: is_cached_as(reader, callbacks, Metadata({}, OTHER_ROLE)))
        api.put(ACCOUNTS, "worker", "team-a")
        wait_until("the annotation is gone", lambda: is_cached_as(reader, callbacks, EMPTY_METADATA))

        api.delete(ACCOUNTS, "worker", "team-a")
        wait_until("the account is gone", lambda: reader.service_account("team-a", "worker") is None)
        assert callbacks.restarts == []


def is_cached_as(reader: MetadataReader, callbacks: Callbacks, expected: Metadata) -> bool:
    """Whether the cache has the account with this metadata."""
    callbacks.live_reads.clear()
    found = reader.service_account("team-a", "worker")
    return found == expected and callbacks.live_reads == []


def test_stale_cache_is_not_used(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.put(NAMESPACES, "team-a", labels=ENABLED)
    api.fail_next(NAMESPACES, RequestHandler.open_stream_and_hang)
    with run_reader(api.configuration, callbacks, max_staleness_seconds=0.05) as reader:
        api.put(NAMESPACES, "team-a", labels=ENABLED, annotations={"iam.amazonaws.com/permitted": "nothing"})

        def is_read_live() -> bool:
            namespace = reader.namespace("team-a")
            return namespace is not None and "iam.amazonaws.com/permitted" in namespace.annotations

        wait_until("the namespace is read live", is_read_live)
        assert "Namespace" in callbacks.live_reads
        api.stop()


def test_object_that_would_take_much_memory_is_not_cached(api: ListWatchServer, callbacks: Callbacks) -> None:
    role = {"iam.amazonaws.com/role": "\N{GRINNING FACE}" + "x" * (MAX_CACHED_BYTES["ServiceAccount"] // 4)}
    api.put(NAMESPACES, "team-a", labels=ENABLED)
    api.put(ACCOUNTS, "worker", "team-a", annotations=role)
    with run_reader(api.configuration, callbacks) as reader:
        assert reader.service_account("team-a", "worker") == Metadata({}, role)
        assert callbacks.live_reads == ["ServiceAccount"]


def test_object_that_becomes_too_large_is_no_longer_cached(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
    with run_reader(api.configuration, callbacks) as reader:
        for annotations in ({"a": "x" * MAX_OBJECT_BYTES}, {str(number): "" for number in range(MAX_FIELDS)}):
            api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
            wait_until("it is cached", lambda: is_cached_as(reader, callbacks, Metadata({}, ROLE)))
            api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE | annotations)

            def is_refused() -> bool:
                try:
                    return reader.service_account("team-a", "worker") is None
                except ObjectTooLargeError:
                    return True

            wait_until("it is refused", is_refused)
        assert callbacks.restarts == []


def test_objects_that_are_too_large_do_not_stop_a_list(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.put(ACCOUNTS, "large", "team-a", annotations={**ROLE, "a": "x" * MAX_OBJECT_BYTES})
    api.put(ACCOUNTS, "crowded", "team-a", labels={str(number): "" for number in range(MAX_FIELDS)}, annotations=ROLE)
    api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
    with run_reader(api.configuration, callbacks) as reader:
        assert is_cached_as(reader, callbacks, Metadata({}, ROLE))
        for name, problem in (("large", "more than 2 MiB of metadata"), ("crowded", "more than 1000 labels")):
            with pytest.raises(ObjectTooLargeError, match=f"ServiceAccount team-a/{name} has {problem}"):
                reader.service_account("team-a", name)
    assert callbacks.restarts == []


def test_page_that_fails_is_asked_again_with_a_smaller_limit(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
    for _ in range(2):
        api.fail_next(
            ACCOUNTS, lambda handler: handler.send_document(504, {"kind": "Status", "code": 504}), watch=False
        )
    with run_reader(api.configuration, callbacks):
        lists = [request for request in api.requests if request.path == ACCOUNTS and not request.is_watch]

    assert [request.query["limit"] for request in lists] == ["500", "125", "31"]


def test_pages_of_large_objects_become_smaller(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.page_objects = 20
    for number in range(60):
        api.put(ACCOUNTS, f"worker-{number}", "team-a", annotations={**ROLE, "a": "x" * 1024 * 1024})
    with run_reader(api.configuration, callbacks) as reader:
        assert all(reader.service_account("team-a", f"worker-{number}") for number in range(60))
    limits = [int(request.query["limit"]) for request in api.requests if "limit" in request.query]

    assert min(limits) <= 8


@pytest.mark.parametrize(
    ("count", "page_bytes", "expected"),
    [
        pytest.param(500, 100_000, 500, id="small-page"),
        pytest.param(0, 30, 500, id="empty-page"),
        pytest.param(500, 128 * 1024 * 1024, 31, id="large-page"),
        pytest.param(1, 9 * 1024 * 1024, 1, id="one-large-object"),
        pytest.param(1, 1500, 500, id="small-page-after-large-ones"),
    ],
)
def test_limit_of_the_next_page_follows_the_size_of_this_one(count: int, page_bytes: int, expected: int) -> None:
    assert choose_limit(count, page_bytes) == expected


def test_large_namespace_is_known_although_it_is_read_live(api: ListWatchServer, callbacks: Callbacks) -> None:
    api.put(NAMESPACES, "large", labels=ENABLED, annotations={"iam.amazonaws.com/permitted": "x" * 8000})
    with run_reader(api.configuration, callbacks) as reader:
        for number in range(MAX_UNKNOWN):
            reader.reserve(f"unknown-{number}")
        with pytest.raises(TooManyReadsError):
            reader.reserve("unknown")

        for name in ("large", "new"):
            if name == "new":
                api.put(NAMESPACES, "new", labels=ENABLED, annotations={"iam.amazonaws.com/permitted": "x" * 8000})
                wait_until("it is watched", lambda: reader.knows_namespace("new"))
            reader.reserve(name).release()
        api.delete(NAMESPACES, "new")
        wait_until("it is gone", lambda: not reader.knows_namespace("new"))


def test_reviews_that_wait_share_reads_and_find_accounts_created_before_them(
    api: ListWatchServer, callbacks: Callbacks
) -> None:
    api.put(NAMESPACES, "team-a", labels=ENABLED)
    api.fail_next(ACCOUNTS, RequestHandler.open_stream_and_hang)
    with run_reader(api.configuration, callbacks) as reader:
        early = [reader.reserve("team-a").reader for _ in range(3)]
        assert [each.service_account("team-a", "worker") for each in early] == [None] * 3
        assert callbacks.live_reads == ["ServiceAccount"]

        api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
        late = [reader.reserve("team-a").reader for _ in range(3)]

        assert [each.service_account("team-a", "worker") for each in late] == [Metadata({}, ROLE)] * 3
        assert callbacks.live_reads == ["ServiceAccount"] * 2
        api.stop()


class RecordingDict(dict[str, str]):
    """Labels or annotations that record which keys are read."""

    def __init__(self, strings: dict[str, str], keys: set[str]) -> None:
        super().__init__(strings)
        self._keys = keys

    def __contains__(self, key: object) -> bool:
        self._keys.add(str(key))
        return super().__contains__(key)

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override] # of strings only
        self._keys.add(key)
        return super().get(key, default)


def test_every_key_that_a_decision_reads_is_cached() -> None:
    keys: dict[tuple[str, int], set[str]] = {(kind, field): set() for kind in KEPT_KEYS for field in KEPT_KEYS[kind]}

    def record(kind: str, metadata: Metadata | None) -> Metadata | None:
        fields = (LABELS, ANNOTATIONS)
        return metadata and Metadata(
            *(RecordingDict(dict(each), keys[kind, field]) for field, each in zip(fields, metadata, strict=True))
        )

    for case in (load_case(path.stem) for path in PODS.glob("*.yaml")):
        namespace, account = record("Namespace", case.namespace), record("ServiceAccount", case.service_account)
        Case(case.pod, namespace, account, case.version).decide(CONFIG)

    assert {"podrole.io/injection"} <= keys["Namespace", LABELS]
    assert {"iam.amazonaws.com/permitted"} <= keys["Namespace", ANNOTATIONS]
    assert {"eks.amazonaws.com/role-arn"} <= keys["ServiceAccount", ANNOTATIONS]
    for (kind, field), read in keys.items():
        assert read <= {key.name for key in KEPT_KEYS[kind][field].values()}


def test_ten_thousand_accounts_without_a_role_take_less_than_3_mb() -> None:
    encoded = [encode_object({"metadata": build_metadata(number)}) for number in range(10_000)]
    gc.collect()
    tracemalloc.start()
    try:
        objects = {found.key: found.metadata for found in (read_object("ServiceAccount", data) for data in encoded)}
        bytes_used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(objects) == 10_000
    assert bytes_used < 3_000_000


def build_metadata(number: int) -> dict[str, Any]:
    return {"name": "default", "namespace": f"team-with-a-long-name-{number}", "annotations": {"a": "b"}}
