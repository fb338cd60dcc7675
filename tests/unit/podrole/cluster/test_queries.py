"""What `check` and `preflight` make of the API server's answers and errors."""

from typing import Any, cast

import pytest

from injector.errors import ApiError, ClusterError
from injector.k8s.client import ApiClient
from podrole.cluster.queries import fetch_cluster_state, fetch_installation, fetch_pod_state, run_dry_runs
from podrole.diagnosis.state.cluster import DryRunResult, ReadResult
from tests.unit.podrole.diagnosis.states import build_configuration, build_webhook

POD = {"kind": "Pod"}
UNREACHABLE = 'failed calling webhook "pods.podrole.io": timeout'


class FakeClient:
    """Answers with nothing, or with the error of a path."""

    def __init__(self, errors: dict[str, ClusterError]) -> None:
        self.errors = errors

    def get_or_none(self, path: str) -> dict[str, Any] | None:
        if path in self.errors:
            raise self.errors[path]
        return {"gitVersion": "v1.34.4"} if path == "/version" else None

    def list(self, path: str, **_: Any) -> list[dict[str, Any]]:
        if path in self.errors:
            raise self.errors[path]
        return [build_configuration(build_webhook())] if "webhook" in path else []

    def create(self, path: str, thing: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
        assert dry_run
        if path in self.errors:
            raise self.errors[path]
        return thing


def build_client(**errors: ClusterError) -> ApiClient:
    """A client; `errors` are those of creating pods, by namespace."""
    return cast("ApiClient", FakeClient({f"/api/v1/namespaces/{name}/pods": error for name, error in errors.items()}))


def test_failed_read_is_kept_with_its_reason_and_the_others_continue() -> None:
    client = cast("ApiClient", FakeClient({"/api/v1/nodes": ClusterError("nodes is forbidden (403)")}))

    cluster = fetch_cluster_state(client, fetch_installation(client), [])

    assert cluster.nodes == ReadResult((), "nodes is forbidden (403)")
    assert cluster.daemon_sets == ReadResult(())
    assert cluster.installation.version == ReadResult({"gitVersion": "v1.34.4"})


def test_api_server_that_does_not_answer_the_first_request_is_an_error() -> None:
    client = cast("ApiClient", FakeClient({"/version": ClusterError("connection refused")}))

    with pytest.raises(ClusterError, match="connection refused"):
        fetch_installation(client)


def test_each_namespace_gets_a_dry_run() -> None:
    client = build_client(b=ApiError("rejected", 403, "exceeded quota: q"))

    assert run_dry_runs(client, ["a", "b", "c"], POD) == ReadResult(
        (DryRunResult("a", POD), DryRunResult("b", None, "exceeded quota: q (403)"), DryRunResult("c", POD))
    )


def test_dry_runs_stop_when_the_webhook_is_unreachable() -> None:
    client = build_client(a=ApiError("rejected", 500, UNREACHABLE))

    assert run_dry_runs(client, ["a", "b"], POD) == ReadResult((DryRunResult("a", None, f"{UNREACHABLE} (500)"),))


def test_dry_runs_stop_when_the_api_server_does_not_answer() -> None:
    client = build_client(b=ClusterError("connection reset"))

    assert run_dry_runs(client, ["a", "b", "c"], POD) == ReadResult((DryRunResult("a", POD),), "connection reset")


@pytest.mark.parametrize(
    ("owner", "path"),
    [
        pytest.param("apps/v1 ReplicaSet", "/apis/apps/v1/namespaces/team-a/replicasets/web", id="replica-set"),
        pytest.param("batch/v1 Job", "/apis/batch/v1/namespaces/team-a/jobs/web", id="job"),
        pytest.param("argoproj.io/v1alpha1 Rollout", None, id="custom-kind"),
        pytest.param(None, None, id="no-owner"),
    ],
)
def test_owner_of_a_pod_without_a_role_is_read(owner: str | None, path: str | None) -> None:
    client = FakeClient({path: ClusterError("forbidden (403)")} if path else {})
    version, kind = owner.split() if owner else ("", "")
    references = [{"apiVersion": version, "kind": kind, "name": "web", "controller": True}] if owner else []
    pod = {"metadata": {"name": "web-1", "namespace": "team-a", "ownerReferences": references}, "spec": {}}
    reader = cast("ApiClient", client)

    state = fetch_pod_state(reader, pod, fetch_installation(reader))

    assert state.owner == ReadResult(None, "forbidden (403)" if path else "")
