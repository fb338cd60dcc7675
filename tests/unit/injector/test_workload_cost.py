"""A review of a workload costs no more than one of its pods, whatever a user writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from injector.decision import allowed_roles
from injector.webhook.app import MAX_BODY_BYTES, WORKLOAD_PATH
from injector.webhook.messages import MAX_WARNINGS_BYTES
from tests.unit.injector.hostile_pods import HOSTILE
from tests.unit.injector.reviewing import MemoryProbe, build_reviewer, build_workload_body, review_workload
from tests.unit.injector.test_cost import MAX_CPU_SECONDS, MAX_MEMORY_BYTES, each_case, measure_shortest


@each_case
def test_review_of_a_workload_takes_bounded_cpu_time(name: str) -> None:
    body = build_workload_body(HOSTILE[name])

    def answer() -> None:
        allowed_roles.build_matchers.cache_clear()
        review_workload(build_reviewer(HOSTILE[name]), body)

    assert measure_shortest(answer) < MAX_CPU_SECONDS


@each_case
def test_review_of_a_workload_is_never_denied_and_its_warnings_are_bounded(name: str) -> None:
    answer, sent = review_workload(build_reviewer(HOSTILE[name]), build_workload_body(HOSTILE[name]))

    assert len(sent) < 2 * MAX_WARNINGS_BYTES
    if answer is not None:
        response = answer["response"]
        assert response["allowed"]
        assert "patch" not in response
        assert sum(len(one.encode()) for one in response.get("warnings", [])) <= MAX_WARNINGS_BYTES


@pytest.fixture(scope="module")
def probe() -> Iterator[MemoryProbe]:
    with MemoryProbe() as running:
        yield running


@each_case
def test_review_of_a_workload_takes_bounded_memory(name: str, probe: MemoryProbe, tmp_path: Path) -> None:
    body = build_workload_body(HOSTILE[name])
    if len(body) > MAX_BODY_BYTES:  # the server refuses it: keys that are in both metadata are twice in it
        return
    (tmp_path / "body").write_bytes(body)

    assert probe.measure(name, tmp_path / "body", WORKLOAD_PATH) < MAX_MEMORY_BYTES
