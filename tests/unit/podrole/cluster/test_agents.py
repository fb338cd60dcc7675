"""What is read about kube2iam and Kiam, and that nothing is where there is neither."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from injector.errors import ForbiddenError
from injector.k8s.client import ApiClient
from podrole.cluster.agents import MAX_CONFIG_MAPS, MAX_NAMESPACES, add_agent_pods, add_agents
from podrole.diagnosis.state.agent_groups import Group
from podrole.diagnosis.state.cluster import ClusterState, ReadResult
from testing.cases import ENVIRON
from tests.unit.podrole.diagnosis.agents.workloads import build_kiam, build_kube2iam, build_workload
from tests.unit.podrole.diagnosis.states import build_cluster_state

PODS = [{"metadata": {"namespace": "a", "name": f"web-{number}"}, "spec": {}} for number in range(3)]


class FakeClient:
    """Answers every request, and remembers its path."""

    def __init__(self, refused: str = "/nothing") -> None:
        self.paths: list[str] = []
        self.refused = refused

    @property
    def client(self) -> ApiClient:
        return cast("ApiClient", self)

    def _ask(self, path: str) -> None:
        self.paths.append(path)
        if path.startswith(self.refused):
            raise ForbiddenError("forbidden", 403, "forbidden")

    def get_or_none(self, path: str) -> dict[str, Any]:
        self._ask(path)
        return {"metadata": {"name": path.rpartition("/")[2]}}

    def list(self, path: str, **_: Any) -> list[dict[str, Any]]:
        self._ask(path)
        return []

    def iterate(self, path: str) -> Iterator[dict[str, Any]]:
        self._ask(path)
        yield from PODS


def read(cluster: ClusterState, client: FakeClient) -> ClusterState:
    return add_agent_pods(client.client, add_agents(client.client, cluster), ENVIRON)


def test_without_an_agent_nothing_is_read() -> None:
    client = FakeClient()

    cluster = read(build_cluster_state(daemon_sets=[build_workload("logs", {"name": "logs"})]), client)

    assert client.paths == []
    assert cluster.agent_pods == ReadResult(None)


def test_pods_of_the_whole_cluster_are_counted_page_by_page() -> None:
    client = FakeClient()

    cluster = read(build_cluster_state(daemon_sets=[build_kube2iam()]), client)

    assert client.paths == ["/api/v1/pods"]
    assert cluster.agent_pods.value is not None
    assert cluster.agent_pods.value[Group.UNLABELLED] == {"a": 3}


@pytest.mark.parametrize(
    ("argument", "count"),
    [
        pytest.param("--default-role=everyday", 3, id="named"),
        pytest.param("--default-role=$(UNKNOWN)", 3, id="named-by-an-unknown-variable"),
        pytest.param("--auto-discover-default-role", 3, id="discovered"),
        pytest.param("--auto-discover-default-role=$(UNKNOWN)", 3, id="discovered-by-an-unknown-variable"),
        pytest.param("--auto-discover-default-role=false", 0, id="discovered-is-off"),
        pytest.param("--default-role=", 0, id="empty"),
        pytest.param("--iptables", 0, id="none"),
    ],
)
def test_pods_that_ask_for_no_role_depend_on_the_agents_default_role(argument: str, count: int) -> None:
    cluster = read(build_cluster_state(daemon_sets=[build_kube2iam(argument)]), FakeClient())

    assert cluster.agent_pods.value is not None
    assert cluster.agent_pods.value[Group.NEEDS_AGENT].total() == count


def test_with_requested_namespaces_only_their_pods_are_counted() -> None:
    client = FakeClient()

    read(build_cluster_state(requested_namespaces=("a", "b"), daemon_sets=[build_kube2iam()]), client)

    assert client.paths == ["/api/v1/namespaces/a/pods", "/api/v1/namespaces/b/pods"]


def test_pods_that_cannot_be_read_are_an_error_of_this_read_only() -> None:
    cluster = read(build_cluster_state(daemon_sets=[build_kube2iam()]), FakeClient("/api/v1/pods"))

    assert cluster.agent_pods == ReadResult(None, "forbidden")


def test_config_map_that_cannot_be_read_is_left_out() -> None:
    source = [{"configMapRef": {"name": "settings"}}]
    client = FakeClient("/api/v1/namespaces/kube-system/configmaps")

    cluster = read(build_cluster_state(daemon_sets=[build_kube2iam(envFrom=source)]), client)

    assert client.paths == ["/api/v1/namespaces/kube-system/configmaps/settings", "/api/v1/pods"]
    assert cluster.agent_config_maps == ReadResult(())


def test_requests_for_many_agents_have_a_limit() -> None:
    agents = [build_kiam("agent", envFrom=[{"configMapRef": {"name": f"c{number}"}}]) for number in range(200)]
    for number, agent in enumerate(agents):
        agent["metadata"]["namespace"] = f"n{number}"
    client = FakeClient()

    read(build_cluster_state(daemon_sets=agents), client)

    assert len(client.paths) == MAX_NAMESPACES + MAX_CONFIG_MAPS + 1
