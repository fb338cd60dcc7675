"""What a watched cluster answers, and from where: memory or a live read. Over real sockets."""

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
from tests.unit.injector.cases import CONFIG, PODS, Case, load_case
from tests.unit.injector.k8s.fake_list_watch_server import (
    ACCOUNTS,
    NAMESPACES,
    Exchange,
    ListWatchServer,
    list_watch_server,
)
from tests.unit.injector.k8s.watched_cluster import Told, build, eventually, watching

ROLE = {"iam.amazonaws.com/role": "reader"}
OTHER_ROLE = {"iam.amazonaws.com/role": "writer"}
ENABLED = {"podrole.io/injection": "enabled"}


@pytest.fixture
def api() -> Iterator[ListWatchServer]:
    with list_watch_server() as server:
        yield server


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.mark.parametrize("path", [NAMESPACES, ACCOUNTS])
def test_nothing_is_answered_before_both_lists_are_in(api: ListWatchServer, told: Told, path: str) -> None:
    api.put(NAMESPACES, "team-a", labels=ENABLED)
    api.fail_next(path, Exchange.hold, watch=False)
    cluster = build(api.configuration, told)
    cluster.start()
    try:
        other = ACCOUNTS if path == NAMESPACES else NAMESPACES
        api.wait_for("the other one is watched", 1, lambda request: request.path == other and request.is_watch)

        assert not cluster.wait_until_synced(0)
        assert not cluster.is_synced
        with pytest.raises(ClusterError, match="has not read all"):
            cluster.namespace("team-a") and cluster.service_account("team-a", "worker")
        assert told.live_reads == []
    finally:
        api.stop()
        cluster.stop()


def test_no_connection_is_made_before_the_start(api: ListWatchServer, told: Told) -> None:
    cluster = build(api.configuration, told)

    with pytest.raises(ClusterError):
        cluster.namespace("team-a")
    assert api.connections == []
    assert cluster.seconds_since_last_event() == {"Namespace": None, "ServiceAccount": None}
    assert cluster.last_event_timestamps() == {"Namespace": None, "ServiceAccount": None}


def test_last_event_timestamps_are_wall_clock_time_and_grow_with_events(api: ListWatchServer, told: Told) -> None:
    before = time.time()
    with watching(api.configuration, told) as cluster:
        api.wait_for("accounts are watched", 1, lambda request: request.path == ACCOUNTS and request.is_watch)
        first = cluster.last_event_timestamps()["ServiceAccount"]
        assert first is not None
        assert before <= first <= time.time()

        api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)

        eventually("a later event", lambda: (cluster.last_event_timestamps()["ServiceAccount"] or 0) > first)


def test_what_is_known_costs_no_question(api: ListWatchServer, told: Told) -> None:
    api.put(NAMESPACES, "team-a", labels=ENABLED)
    api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
    api.put(ACCOUNTS, "default", "team-a")
    with watching(api.configuration, told) as cluster:
        asked = len(api.requests)

        assert cluster.namespace("team-a") == Metadata(ENABLED, {})
        assert cluster.service_account("team-a", "worker") == Metadata({}, ROLE)
        assert cluster.service_account("team-a", "default") == Metadata({}, {})
        assert (told.live_reads, [r for r in api.requests[asked:] if not r.is_watch]) == ([], [])
        assert all(age is not None and age < 20 for age in cluster.seconds_since_last_event().values())


def test_what_can_be_answered_at_once_is_told_from_what_has_to_wait(api: ListWatchServer, told: Told) -> None:
    api.put(NAMESPACES, "team-a", labels=ENABLED)
    api.put(NAMESPACES, "team-b")
    for namespace in ("team-a", "team-b"):
        api.put(ACCOUNTS, "default", namespace)
    cluster = build(api.configuration, told)
    assert cluster.is_cached("team-a", "default")  # an error comes at once, too
    with watching(api.configuration, told) as cluster:
        assert not cluster.is_cached("team-a", "default")
        cluster.version()

        assert cluster.is_cached("team-a", "default")
        assert not cluster.is_cached("team-a", "worker")
        assert not cluster.is_cached("team-b", "default")
        assert told.live_reads == []


def test_a_large_cluster_is_listed_in_pages(api: ListWatchServer, told: Told) -> None:
    for number in range(1203):
        api.put(ACCOUNTS, f"worker-{number}", "team-a", annotations=ROLE)

    with watching(api.configuration, told) as cluster:
        assert all(cluster.service_account("team-a", f"worker-{number}") for number in range(1203))
    pages = [request for request in api.requests if request.path == ACCOUNTS and not request.is_watch]
    assert [page.query.get("continue") for page in pages] == [None, "500", "1000"]
    assert {page.query["limit"] for page in pages} == {"500"}
    assert told.live_reads == []


def test_only_metadata_is_asked_for(api: ListWatchServer, told: Told) -> None:
    with watching(api.configuration, told):
        api.wait_for("both are watched", 2, lambda request: request.is_watch)

    for request in api.requests:
        form = "PartialObjectMetadata" if request.is_watch else "PartialObjectMetadataList"
        assert request.accept == f"application/json;as={form};g=meta.k8s.io;v=v1"
        assert not request.is_watch or request.query["allowWatchBookmarks"] == "true"


def test_an_account_that_the_watch_has_not_brought_is_read_live(api: ListWatchServer, told: Told) -> None:
    api.fail_next(ACCOUNTS, Exchange.open_and_hold)
    with watching(api.configuration, told) as cluster:
        api.wait_for("accounts are watched", 1, lambda request: request.path == ACCOUNTS and request.is_watch)

        assert cluster.service_account("team-a", "worker") is None
        api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
        assert cluster.service_account("team-a", "worker") == Metadata({}, ROLE)
        api.put(ACCOUNTS, "worker", "team-a", annotations=OTHER_ROLE)
        assert cluster.service_account("team-a", "worker") == Metadata({}, OTHER_ROLE)
        assert told.live_reads == ["ServiceAccount"] * 3
        api.stop()


def test_a_namespace_that_was_labelled_a_moment_ago_is_not_taken_for_an_unlabelled_one(
    api: ListWatchServer, told: Told
) -> None:
    api.put(NAMESPACES, "team-a", labels={"podrole.io/injection": "disabled"})
    api.fail_next(NAMESPACES, Exchange.open_and_hold)
    with watching(api.configuration, told) as cluster:
        api.wait_for("namespaces are watched", 1, lambda request: request.path == NAMESPACES and request.is_watch)
        api.put(NAMESPACES, "team-a", labels=ENABLED)

        assert cluster.namespace("team-a") == Metadata(ENABLED, {})
        assert told.live_reads == ["Namespace"]
        api.stop()


def test_a_live_read_that_fails_is_an_error(api: ListWatchServer, told: Told) -> None:
    with watching(api.configuration, told) as cluster:
        api.stop()

        with pytest.raises(ClusterError, match="ServiceAccount team-a/worker"):
            cluster.service_account("team-a", "worker")


def test_changes_are_followed(api: ListWatchServer, told: Told) -> None:
    with watching(api.configuration, told) as cluster:
        api.put(NAMESPACES, "team-a", labels=ENABLED)
        api.put(ACCOUNTS, "worker", "team-a", annotations=ROLE)
        eventually("both are known", lambda: remembers(cluster, told, Metadata({}, ROLE)))

        api.put(ACCOUNTS, "worker", "team-a", annotations=OTHER_ROLE)
        eventually("the change is known", lambda: remembers(cluster, told, Metadata({}, OTHER_ROLE)))
        api.put(ACCOUNTS, "worker", "team-a")
        eventually("the annotation is gone", lambda: remembers(cluster, told, EMPTY_METADATA))

        api.delete(ACCOUNTS, "worker", "team-a")
        eventually("the account is gone", lambda: cluster.service_account("team-a", "worker") is None)
        assert told.restarts == []


def remembers(cluster: MetadataReader, told: Told, expected: Metadata) -> bool:
    """Whether memory has it."""
    told.live_reads.clear()
    found = cluster.service_account("team-a", "worker")
    return found == expected and told.live_reads == []


def test_nobody_is_judged_by_what_was_known_long_ago(api: ListWatchServer, told: Told) -> None:
    api.put(NAMESPACES, "team-a", labels=ENABLED)
    api.fail_next(NAMESPACES, Exchange.open_and_hold)
    with watching(api.configuration, told, max_staleness_seconds=0.05) as cluster:
        api.put(NAMESPACES, "team-a", labels=ENABLED, annotations={"iam.amazonaws.com/permitted": "nothing"})

        def is_read_live() -> bool:
            namespace = cluster.namespace("team-a")
            return namespace is not None and "iam.amazonaws.com/permitted" in namespace.annotations

        eventually("memory is not believed any more", is_read_live)
        assert "Namespace" in told.live_reads
        api.stop()


def test_what_nobody_reads_is_not_kept() -> None:
    last_applied = {"kubectl.kubernetes.io/last-applied-configuration": "x" * 100_000}
    labels = {"kubernetes.io/metadata.name": "team-a", **ENABLED}

    entry = parse_cached_metadata({"metadata": {"labels": labels, "annotations": {**last_applied, **ROLE}}})

    assert entry == Metadata(ENABLED, ROLE)


def test_an_object_without_our_keys_shares_one_entry() -> None:
    assert parse_cached_metadata({"metadata": {"labels": {"a": "b"}, "annotations": None}}) is EMPTY_METADATA


def test_nobody_can_fill_the_memory_with_one_annotation(api: ListWatchServer, told: Told) -> None:
    value = "x" * MAX_CHARACTERS
    api.put(NAMESPACES, "team-a", labels=ENABLED, annotations={"podrole.io/default-role": value})
    with watching(api.configuration, told) as cluster:
        assert cluster.namespace("team-a") == Metadata(ENABLED, {"podrole.io/default-role": value})
        assert told.live_reads == ["Namespace"]


class Recording(dict[str, str]):
    """Labels or annotations that remember what was looked for."""

    def __init__(self, strings: dict[str, str], asked: set[str]) -> None:
        super().__init__(strings)
        self._asked = asked

    def __contains__(self, key: object) -> bool:
        self._asked.add(str(key))
        return super().__contains__(key)

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override] # of strings only
        self._asked.add(key)
        return super().get(key, default)


def test_every_key_that_a_decision_looks_for_is_kept() -> None:
    asked: set[str] = set()

    for case in (load_case(path.stem) for path in PODS.glob("*.yaml")):
        namespace, account = (
            metadata and Metadata(*(Recording(dict(strings), asked) for strings in metadata))
            for metadata in (case.namespace, case.service_account)
        )
        Case(case.pod, namespace, account, case.version).decide(CONFIG)

    assert {"podrole.io/injection", "iam.amazonaws.com/permitted", "eks.amazonaws.com/role-arn"} <= asked
    assert [key for key in asked if not key.startswith(CACHED_PREFIXES)] == []


def test_ten_thousand_accounts_without_a_role_cost_less_than_three_megabytes() -> None:
    gc.collect()
    tracemalloc.start()
    try:
        entries = dict(build_entry(number) for number in range(10_000))
        bytes_kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(entries) == 10_000
    assert bytes_kept < 3_000_000


def build_entry(number: int) -> tuple[str, Metadata | None]:
    metadata = {"name": "default", "namespace": f"team-with-a-long-name-{number}", "annotations": {"a": "b"}}
    thing = json.loads(json.dumps({"metadata": metadata}))
    return build_key(thing), parse_cached_metadata(thing)
