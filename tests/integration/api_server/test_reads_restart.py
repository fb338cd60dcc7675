"""CachedReader while its API server is stopped and started again: a private one, which keeps its etcd."""

import uuid
from collections.abc import Iterator

import pytest

from injector.errors import ClusterError
from injector.k8s.direct_reader import DirectReader
from injector.k8s.objects import Metadata
from injector.k8s.watch_cache import CachedReader
from testing.cluster.api import ApiServer, connect, load_configuration
from testing.cluster.namespaces import ENABLED
from testing.cluster.private import PrivateCluster
from tests.unit.injector.k8s.watched_cluster import Callbacks, run_reader, wait_until

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


def is_cached_as(reader: CachedReader, callbacks: Callbacks, namespace: str, name: str) -> bool:
    """Whether the cache has the account."""
    callbacks.live_reads.clear()
    try:
        return reader.service_account(namespace, name) == READER and callbacks.live_reads == []
    except ClusterError:
        return False


@pytest.mark.parametrize("is_compacted", [False, True], ids=["etcd-kept", "etcd-compacted"])
def test_cache_answers_during_an_outage_and_catches_up_after_it(
    own_cluster: PrivateCluster, server: ApiServer, namespace: str, *, is_compacted: bool
) -> None:
    callbacks = Callbacks()
    configuration = load_configuration(str(own_cluster.kubeconfig))
    live = DirectReader(configuration)
    create_account(server, namespace, "before")
    with run_reader(configuration, callbacks, max_backoff_seconds=1) as reader:
        assert live.service_account(namespace, "before") == READER

        own_cluster.stop_api_server()
        wait_until("three attempts have failed", lambda: callbacks.count("ServiceAccount", "unreachable") >= 3)
        assert reader.namespace(namespace) == Metadata(ENABLED, {})
        assert is_cached_as(reader, callbacks, namespace, "before")
        with pytest.raises(ClusterError, match=f"ServiceAccount {namespace}/after"):
            reader.service_account(namespace, "after")

        if is_compacted:
            own_cluster.compact_etcd()
        own_cluster.start()
        assert live.service_account(namespace, "before") == READER
        create_account(server, namespace, "after")
        server.delete("ServiceAccount", "before", namespace)

        wait_until("the new account is cached", lambda: is_cached_as(reader, callbacks, namespace, "after"))
        wait_until("the old account is gone", lambda: reader.service_account(namespace, "before") is None)
        assert not is_compacted or callbacks.count("ServiceAccount", "expired") >= 1
