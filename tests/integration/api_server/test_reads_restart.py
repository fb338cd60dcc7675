"""The watched cluster when its API server goes away and comes back: one of these tests' own, on the same etcd."""

import uuid
from collections.abc import Iterator

import pytest

from injector.errors import ClusterError
from injector.k8s.direct_reader import DirectReader
from injector.k8s.objects import Metadata
from injector.k8s.watch_cache import CachedReader
from tests.integration.api_server.api import ApiServer, connect, load_configuration
from tests.integration.api_server.namespaces import ENABLED
from tests.integration.api_server.private import PrivateCluster
from tests.unit.injector.k8s.watched_cluster import Told, eventually, watching

ROLE = {"iam.amazonaws.com/role": "reader"}
READER = Metadata({}, ROLE)


@pytest.fixture
def server(own_cluster: PrivateCluster) -> Iterator[ApiServer]:
    with connect(str(own_cluster.kubeconfig)) as api:
        yield api


@pytest.fixture
def namespace(server: ApiServer) -> str:
    name = f"podrole-{uuid.uuid4().hex[:12]}"
    server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": ENABLED}})
    return name


def create_account(api: ApiServer, namespace: str, name: str) -> None:
    metadata = {"name": name, "annotations": ROLE}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, namespace)


def remembers(cluster: CachedReader, told: Told, namespace: str, name: str) -> bool:
    """Whether memory has the account."""
    told.live_reads.clear()
    try:
        return cluster.service_account(namespace, name) == READER and told.live_reads == []
    except ClusterError:
        return False


@pytest.mark.parametrize("is_compacted", [False, True], ids=["with its events", "after compaction"])
def test_memory_answers_while_the_server_is_away_and_catches_up_when_it_is_back(
    own_cluster: PrivateCluster, server: ApiServer, namespace: str, *, is_compacted: bool
) -> None:
    told = Told()
    configuration = load_configuration(str(own_cluster.kubeconfig))
    live = DirectReader(configuration)
    create_account(server, namespace, "before")
    with watching(configuration, told, max_backoff_seconds=1) as cluster:
        assert live.service_account(namespace, "before") == READER

        own_cluster.stop_api_server()
        eventually("it was tried in vain", lambda: told.count("ServiceAccount", "unreachable") >= 3)
        assert cluster.namespace(namespace) == Metadata(ENABLED, {})
        assert remembers(cluster, told, namespace, "before")
        with pytest.raises(ClusterError, match=f"ServiceAccount {namespace}/after"):
            cluster.service_account(namespace, "after")

        if is_compacted:
            own_cluster.compact_etcd()
        own_cluster.start()
        assert live.service_account(namespace, "before") == READER
        create_account(server, namespace, "after")
        server.delete("ServiceAccount", "before", namespace)

        eventually("the new account is known", lambda: remembers(cluster, told, namespace, "after"))
        eventually("the old account is gone", lambda: cluster.service_account(namespace, "before") is None)
        assert not is_compacted or told.count("ServiceAccount", "expired") >= 1
