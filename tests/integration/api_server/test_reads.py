"""The watched cluster at a real API server: what is created, changed and deleted."""

import pytest

from injector.k8s import client
from injector.k8s.objects import Metadata
from injector.k8s.watch_cache import CachedReader
from tests.integration.api_server.api import ApiServer, load_configuration
from tests.integration.api_server.namespaces import ENABLED, Namespaces
from tests.unit.injector.k8s.watched_cluster import Told, eventually, watching

ROLE = {"iam.amazonaws.com/role": "reader"}
OTHER_ROLE = {"iam.amazonaws.com/role": "writer"}


@pytest.fixture
def told() -> Told:
    return Told()


def create_account(api: ApiServer, namespace: str, name: str = "worker") -> None:
    metadata = {"name": name, "annotations": {**ROLE, "example.com/note": "not ours"}}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, namespace)


def remembers(cluster: CachedReader, told: Told, namespace: str, expected: Metadata) -> bool:
    """Whether memory has the account so."""
    told.live_reads.clear()
    return cluster.service_account(namespace, "worker") == expected and told.live_reads == []


def test_an_account_created_in_the_same_second_is_found(api: ApiServer, namespace: str, told: Told) -> None:
    with watching(load_configuration(api.kubeconfig), told) as cluster:
        for number in range(20):
            create_account(api, namespace, f"worker-{number}")

            found = cluster.service_account(namespace, f"worker-{number}")
            assert found is not None
            assert found.annotations["iam.amazonaws.com/role"] == "reader"


def test_a_namespace_created_in_the_same_second_is_found(api: ApiServer, namespaces: Namespaces, told: Told) -> None:
    with watching(load_configuration(api.kubeconfig), told) as cluster:
        namespace = cluster.namespace(namespaces.make())

        assert namespace is not None
        assert (cluster.version() or (0, 0)) >= (1, 29)
        assert namespace.labels["podrole.io/injection"] == "enabled"


def test_an_account_is_followed_from_its_creation_to_its_deletion(api: ApiServer, namespace: str, told: Told) -> None:
    with watching(load_configuration(api.kubeconfig), told) as cluster:
        create_account(api, namespace)
        eventually("the account is known", lambda: remembers(cluster, told, namespace, Metadata({}, ROLE)))

        api.patch(("ServiceAccount", "worker"), {"metadata": {"annotations": OTHER_ROLE}}, namespace)
        eventually("the change is known", lambda: remembers(cluster, told, namespace, Metadata({}, OTHER_ROLE)))

        api.delete("ServiceAccount", "worker", namespace)
        eventually("the deletion is known", lambda: cluster.service_account(namespace, "worker") is None)
        assert told.restarts == []


def test_labels_and_annotations_of_a_namespace_are_followed(api: ApiServer, namespaces: Namespaces, told: Told) -> None:
    permitted = {"iam.amazonaws.com/permitted": ".*"}
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = namespaces.make()
    with watching(load_configuration(api.kubeconfig), told) as cluster:
        assert cluster.namespace(namespace) == Metadata(ENABLED, {})

        api.patch(("Namespace", namespace), {"metadata": {"labels": restricted, "annotations": permitted}})

        expected = Metadata({**ENABLED, **restricted}, permitted)
        eventually("the change is known", lambda: cluster.namespace(namespace) == expected)
        assert told.live_reads == []


def test_the_list_is_read_to_its_last_page(
    api: ApiServer, namespace: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        create_account(api, namespace, f"worker-{number}")
    monkeypatch.setattr(client, "PAGE_SIZE", 3)

    with watching(load_configuration(api.kubeconfig), told) as cluster:
        found = [cluster.service_account(namespace, f"worker-{number}") for number in range(7)]

    assert found == [Metadata({}, ROLE)] * 7
    assert told.live_reads == []


def test_a_watch_that_the_server_ends_in_time_goes_on(api: ApiServer, namespace: str, told: Told) -> None:
    with watching(load_configuration(api.kubeconfig), told, watch_seconds=2, read_timeout_seconds=10) as cluster:
        eventually("a watch has ended", lambda: told.count("ServiceAccount", "ended"))

        create_account(api, namespace)

        eventually("the account is known", lambda: remembers(cluster, told, namespace, Metadata({}, ROLE)))
        assert {reason for _, reason in told.restarts} == {"ended"}
