"""CachedReader with a real API server: objects that are created, changed and deleted."""

import pytest

from injector.k8s import list_limits
from injector.k8s.objects import Metadata
from injector.k8s.watch_cache import CachedReader
from testing.cluster.api import ApiServer, load_configuration
from testing.cluster.namespaces import ENABLED, Namespaces
from tests.unit.injector.k8s.watched_cluster import Callbacks, run_reader, wait_until

ROLE = {"iam.amazonaws.com/role": "reader"}
OTHER_ROLE = {"iam.amazonaws.com/role": "writer"}


@pytest.fixture
def callbacks() -> Callbacks:
    return Callbacks()


def create_account(api: ApiServer, namespace: str, name: str = "worker") -> None:
    metadata = {"name": name, "annotations": {**ROLE, "example.com/note": "other"}}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, namespace)


def is_cached_as(reader: CachedReader, callbacks: Callbacks, namespace: str, expected: Metadata) -> bool:
    """Whether the cache has the account with this metadata."""
    callbacks.live_reads.clear()
    return reader.service_account(namespace, "worker") == expected and callbacks.live_reads == []


def test_account_created_a_moment_ago_is_found(api: ApiServer, namespace: str, callbacks: Callbacks) -> None:
    with run_reader(load_configuration(api.kubeconfig), callbacks) as reader:
        for number in range(20):
            create_account(api, namespace, f"worker-{number}")

            found = reader.service_account(namespace, f"worker-{number}")
            assert found is not None
            assert found.annotations["iam.amazonaws.com/role"] == "reader"


def test_namespace_created_a_moment_ago_is_found(api: ApiServer, namespaces: Namespaces, callbacks: Callbacks) -> None:
    with run_reader(load_configuration(api.kubeconfig), callbacks) as reader:
        namespace = reader.namespace(namespaces.make())

        assert namespace is not None
        assert (reader.version() or (0, 0)) >= (1, 29)
        assert namespace.labels["podrole.io/injection"] == "enabled"


def test_cache_follows_an_account_from_creation_to_deletion(
    api: ApiServer, namespace: str, callbacks: Callbacks
) -> None:
    with run_reader(load_configuration(api.kubeconfig), callbacks) as reader:
        create_account(api, namespace)
        wait_until("the account is cached", lambda: is_cached_as(reader, callbacks, namespace, Metadata({}, ROLE)))

        api.patch(("ServiceAccount", "worker"), {"metadata": {"annotations": OTHER_ROLE}}, namespace)
        wait_until("the change is cached", lambda: is_cached_as(reader, callbacks, namespace, Metadata({}, OTHER_ROLE)))

        api.delete("ServiceAccount", "worker", namespace)
        wait_until("the account is gone", lambda: reader.service_account(namespace, "worker") is None)
        assert callbacks.restarts == []


def test_cache_follows_labels_and_annotations_of_a_namespace(
    api: ApiServer, namespaces: Namespaces, callbacks: Callbacks
) -> None:
    permitted = {"iam.amazonaws.com/permitted": ".*"}
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = namespaces.make()
    with run_reader(load_configuration(api.kubeconfig), callbacks) as reader:
        assert reader.namespace(namespace) == Metadata(ENABLED, {})

        api.patch(("Namespace", namespace), {"metadata": {"labels": restricted, "annotations": permitted}})

        expected = Metadata({**ENABLED, **restricted}, permitted)
        wait_until("the change is cached", lambda: reader.namespace(namespace) == expected)
        assert callbacks.live_reads == []


def test_list_is_read_to_its_last_page(
    api: ApiServer, namespace: str, callbacks: Callbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        create_account(api, namespace, f"worker-{number}")
    monkeypatch.setattr(list_limits, "PAGE_SIZE", 3)

    with run_reader(load_configuration(api.kubeconfig), callbacks) as reader:
        found = [reader.service_account(namespace, f"worker-{number}") for number in range(7)]

    assert found == [Metadata({}, ROLE)] * 7
    assert callbacks.live_reads == []


def test_watch_that_the_server_ends_is_restarted(api: ApiServer, namespace: str, callbacks: Callbacks) -> None:
    with run_reader(load_configuration(api.kubeconfig), callbacks, watch_seconds=2, read_timeout_seconds=10) as reader:
        wait_until("a watch has ended", lambda: callbacks.count("ServiceAccount", "ended"))

        create_account(api, namespace)

        wait_until("the account is cached", lambda: is_cached_as(reader, callbacks, namespace, Metadata({}, ROLE)))
        assert {reason for _, reason in callbacks.restarts} == {"ended"}
