"""The requests of `podrole check -A`: how sidecars are read, and what ends that."""

import threading
from typing import Any, cast

import pytest

from injector.errors import ClusterError, ForbiddenError
from injector.k8s.client import ApiClient
from injector.k8s.pod_exec import RunningContainer
from podrole import overview
from podrole.diagnosis.overview.workloads import OverviewResult
from podrole.diagnosis.state.cluster import ReadResult
from podrole.diagnosis.state.workload import WorkloadState
from podrole.findings import Section
from tests.unit.podrole.diagnosis.workload_objects import build_state, build_workload

CLIENT = cast("ApiClient", None)


def build_pods(count: int) -> list[dict[str, Any]]:
    return [{"metadata": {"namespace": "team-a", "name": f"web-{one}", "uid": str(one)}} for one in range(count)]


class Sidecars:
    """Answers an exec in a sidecar, and counts them."""

    def __init__(self, error: ClusterError | None = None) -> None:
        self.error = error
        self.asked: list[str] = []
        self.lock = threading.Lock()
        self.running = self.most = 0

    def exec(self, _client: ApiClient, container: RunningContainer, _command: object) -> str:
        with self.lock:
            self.asked.append(container.pod)
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            if self.error:
                raise self.error
            return f"status of {container.pod}"
        finally:
            with self.lock:
                self.running -= 1


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        pytest.param({}, "2 of 3 workloads are ok (pods: 4, namespaces: 1)", id="all"),
        pytest.param(
            {"not_checked": 2}, "2 of 3 workloads are ok (pods: 4, namespaces: 1); not checked: 2", id="skipped"
        ),
        pytest.param(
            {"kinds_not_read": 1}, "2 of 3 workloads are ok (pods: 4, namespaces: 1); kinds not read: 1", id="unread"
        ),
        pytest.param(
            {"workloads": 0, "not_checked": 2, "kinds_not_read": 1},
            "No workload was checked; not checked: 2; kinds not read: 1",
            id="nothing",
        ),
    ],
)
def test_summary_says_what_was_not_read(capsys: pytest.CaptureFixture[str], counts: dict[str, int], line: str) -> None:
    every = {"workloads": 3, "pods": 4, "namespaces": 1, "ok": 2, "not_checked": 0, "kinds_not_read": 0}

    overview.write_overview(OverviewResult(Section("Cluster", ()), [], {**every, **counts}), "text")

    assert capsys.readouterr().out == f"{line}\n0 problems, 0 warnings\n"


def read(monkeypatch: pytest.MonkeyPatch, sidecars: Sidecars, count: int) -> dict[str, ReadResult[str | None]]:
    monkeypatch.setattr(overview, "exec_command", sidecars.exec)
    return dict(overview.fetch_statuses(CLIENT, build_pods(count)))


@pytest.mark.parametrize("count", [0, 1, 39, 40, 41, 200])
def test_each_sidecar_is_read_once_by_a_bounded_number_of_threads(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    sidecars = Sidecars()

    statuses = read(monkeypatch, sidecars, count)

    assert statuses == {str(one): ReadResult(f"status of web-{one}") for one in range(count)}
    assert sorted(sidecars.asked) == sorted(f"web-{one}" for one in range(count))
    assert sidecars.most <= overview.EXEC_THREADS


def test_user_without_permission_asks_for_few_sidecars(monkeypatch: pytest.MonkeyPatch) -> None:
    sidecars = Sidecars(ForbiddenError("forbidden", 403))

    statuses = read(monkeypatch, sidecars, 200)

    assert len(sidecars.asked) <= overview.EXEC_THREADS
    assert len(statuses) == 200
    assert all(one.error for one in statuses.values())


def test_sidecar_that_does_not_answer_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sidecars = Sidecars(ClusterError("timed out"))

    statuses = read(monkeypatch, sidecars, 50)

    assert len(sidecars.asked) == 50
    assert {one.error for one in statuses.values()} == {"timed out"}


def test_dry_runs_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [build_state(build_workload("Deployment", {}, replicas=1)) for _ in range(30)]
    healthy = build_state(build_workload("Deployment", {}, replicas=0))
    asked: list[WorkloadState] = []

    def add(_client: ApiClient, state: WorkloadState) -> WorkloadState:
        asked.append(state)
        return state

    monkeypatch.setattr(overview, "add_dry_run", add)

    assert overview.add_dry_runs(CLIENT, [healthy, *states]) == [healthy, *states]
    assert asked == states[: overview.MAX_DRY_RUNS]
