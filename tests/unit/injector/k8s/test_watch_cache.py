"""Where CachedReader reads from: its cache or the API server. Over real sockets."""

import gc
import json
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from injector.errors import ClusterError
from injector.k8s.cached_metadata import (
    CACHED_PREFIXES,
    EMPTY_METADATA,
    MAX_CHARACTERS,
    build_key,
    parse_cached_metadata,
)
from injector.k8s.objects import Metadata
from injector.k8s.reader import MetadataReader
from testing.cases import CONFIG, PODS, Case, load_case
from testing.fake_list_watch_server import (
    ACCOUNTS,
    NAMESPACES,
    ListWatchServer,
    RequestHandler,
    list_watch_server,
)
from tests.unit.injector.k8s.watched_cluster import Callbacks, build_reader, run_reader, wait_until

ROLE = {"iam.amazonaws.com/role": "reader"}
OTHER_ROLE = {"iam.amazonaws.com/role": "writer"}
ENABLED = {"podrole.io/injection": "enabled"}


@pytest.fixture
def api() -> Iterator[ListWatchServer]:
    with list_watch_server() as server:
        yield server


@pytest.fixture
def callbacks() -> Callbacks:
    return Callbacks()


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
        assert request.accept == f"application/json;as={form};g=meta.k8s.io;v=v1"
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


def test_only_keys_that_decisions_read_are_cached() -> None:
    last_applied = {"kubectl.kubernetes.io/last-applied-configuration": "x" * 100_000}
    labels = {"kubernetes.io/metadata.name": "team-a", **ENABLED}

    metadata = parse_cached_metadata({"metadata": {"labels": labels, "annotations": {**last_applied, **ROLE}}})

    assert metadata == Metadata(ENABLED, ROLE)


def test_objects_without_our_keys_share_one_empty_metadata() -> None:
    assert parse_cached_metadata({"metadata": {"labels": {"a": "b"}, "annotations": None}}) is EMPTY_METADATA


def test_object_with_too_many_characters_is_not_cached(api: ListWatchServer, callbacks: Callbacks) -> None:
    value = "x" * MAX_CHARACTERS
    api.put(NAMESPACES, "team-a", labels=ENABLED, annotations={"podrole.io/default-role": value})
    with run_reader(api.configuration, callbacks) as reader:
        assert reader.namespace("team-a") == Metadata(ENABLED, {"podrole.io/default-role": value})
        assert callbacks.live_reads == ["Namespace"]


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
    keys: set[str] = set()

    for case in (load_case(path.stem) for path in PODS.glob("*.yaml")):
        namespace, account = (
            metadata and Metadata(*(RecordingDict(dict(strings), keys) for strings in metadata))
            for metadata in (case.namespace, case.service_account)
        )
        Case(case.pod, namespace, account, case.version).decide(CONFIG)

    assert {"podrole.io/injection", "iam.amazonaws.com/permitted", "eks.amazonaws.com/role-arn"} <= keys
    assert [key for key in keys if not key.startswith(CACHED_PREFIXES)] == []


def test_ten_thousand_accounts_without_a_role_take_less_than_3_mb() -> None:
    gc.collect()
    tracemalloc.start()
    try:
        objects = dict(build_object(number) for number in range(10_000))
        bytes_used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(objects) == 10_000
    assert bytes_used < 3_000_000


def build_object(number: int) -> tuple[str, Metadata | None]:
    metadata = {"name": "default", "namespace": f"team-with-a-long-name-{number}", "annotations": {"a": "b"}}
    thing = json.loads(json.dumps({"metadata": metadata}))
    return build_key(thing), parse_cached_metadata(thing)
