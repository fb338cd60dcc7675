"""Replicas of the injector that stop and start while pods are created."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, RefusedError, wait_for
from testing.cluster.balancer import balance
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import OURS, build_pod, names_of, store
from tests.integration.api_server.webhooks import ADDRESS, Injector, build_configuration, run_injector

PODS = 40
LABEL = {"example.com/podrole-replicas": "yes"}


@dataclass(frozen=True)
class Replicas:
    injectors: list[Injector]
    namespace: str

    def find_arbiter(self, number: int) -> psutil.Process:
        """Find the replica's arbiter. psutil names one of the processes that listen: the arbiter or its worker."""
        listening = {
            connection.laddr[1]: connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr
        }
        process = psutil.Process(listening[int(self.injectors[number].port)])
        parent = process.parent()
        is_worker = parent is not None and parent.cmdline() == process.cmdline()  # it was forked, without exec
        return parent if parent and is_worker else process

    def kill(self, number: int) -> None:
        """Kill the replica with SIGKILL: the arbiter first, which would start another worker."""
        arbiter = self.find_arbiter(number)
        processes = [arbiter, *arbiter.children()]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, 10)


@pytest.fixture
def replicas(api: ApiServer, namespaces: Namespaces, tmp_path: Path) -> Iterator[Replicas]:
    settings = {**ENVIRON, "KUBECONFIG": api.kubeconfig}
    name = f"replicas-{uuid.uuid4().hex[:8]}"
    with ExitStack() as stack:
        for number in range(2):
            (tmp_path / str(number)).mkdir()
        first = stack.enter_context(run_injector(tmp_path / "0", settings))
        second = Injector(tmp_path / "1", settings, first.certificates)
        second.start()
        stack.callback(second.stop)
        port = stack.enter_context(balance([int(first.port), int(second.port)]))
        webhook = {"name": "pods.podrole.io", "namespaceSelector": {"matchLabels": LABEL}}
        url = f"https://{ADDRESS}:{port}/mutate"
        api.create(build_configuration(name, webhook, url, first.certificates.ca))
        stack.callback(api.delete, "MutatingWebhookConfiguration", name)
        namespace = namespaces.make(labels=LABEL | {"podrole.io/injection": "enabled"})
        wait_for("the API server calls the webhook", lambda: is_injected(api, namespace))
        yield Replicas([first, second], namespace)


def is_injected(api: ApiServer, namespace: str) -> bool:
    return names_of(store(api, build_pod(), namespace, dry_run=True), "initContainers") == OURS


def create_pods(api: ApiServer, replicas: Replicas, after_a_quarter: Callable[[], None]) -> list[bool]:
    injected = []
    for number in range(PODS):
        if number == PODS // 4:
            after_a_quarter()
        try:
            injected.append(is_injected(api, replicas.namespace))
        except RefusedError:
            injected.append(False)
    return injected


def test_killed_replica_fails_at_most_the_request_in_progress(api: ApiServer, replicas: Replicas) -> None:
    injected = create_pods(api, replicas, lambda: replicas.kill(0))

    assert injected.count(False) <= 1
    assert all(injected[PODS // 4 + 1 :])


def test_terminated_replica_fails_no_request(api: ApiServer, replicas: Replicas) -> None:
    injected = create_pods(api, replicas, replicas.find_arbiter(0).terminate)

    assert injected == [True] * PODS


def test_outage_of_all_replicas_stops_only_labelled_namespaces(
    api: ApiServer, replicas: Replicas, namespaces: Namespaces
) -> None:
    plain = namespaces.make(labels={})
    for number in range(2):
        replicas.kill(number)

    with pytest.raises(RefusedError, match=r'failed calling webhook "pods\.podrole\.io"'):
        store(api, build_pod(), replicas.namespace, dry_run=True)
    assert names_of(store(api, build_pod(), plain, dry_run=True), "initContainers") == []

    replicas.injectors[1].stop()
    replicas.injectors[1].start()
    wait_for("pods are injected again", lambda: is_injected(api, replicas.namespace))
