import math
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from injector.decision.outcomes import Outcome
from injector.webhook.metrics import Metrics
from injector.webhook.workload_warnings import WorkloadOutcome
from tests.unit.injector.test_log import ENTRY


def read(metrics: Metrics) -> dict[str, float]:
    samples = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sample.labels.items())
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        ("Inject", "podrole_pods_injected_total{mode=redirect}"),
        ("Block", "podrole_pods_blocked_total"),
        ("Skip", "podrole_pods_skipped_total{reason=RoleFromPod}"),
        ("Deny", "podrole_pods_denied_total{reason=RoleFromPod}"),
        ("Fail", "podrole_admission_errors_total{reason=RoleFromPod}"),
    ],
)
def test_each_outcome_increments_its_own_counter(outcome: str, counted: str) -> None:
    metrics = Metrics()

    metrics.count(replace(ENTRY, outcome=Outcome(outcome)))

    samples = read(metrics)
    assert samples[counted] == 1
    assert samples["podrole_admission_requests_total"] == 1
    assert samples["podrole_admission_duration_seconds_bucket{le=0.002}"] == 1
    assert samples["podrole_admission_duration_seconds_bucket{le=0.001}"] == 0


def test_review_of_a_workload_is_counted_by_its_outcome_only() -> None:
    metrics = Metrics()
    before = read(metrics)

    metrics.count_workload(WorkloadOutcome.WOULD_DENY)

    changed = {name: value for name, value in read(metrics).items() if before[name] != value}
    assert changed == {"podrole_workload_reviews_total{outcome=would-deny}": 1}
    assert [before[f"podrole_workload_reviews_total{{outcome={one}}}"] for one in WorkloadOutcome] == [0] * 5


def test_labels_contain_no_name_of_a_pod_namespace_or_request() -> None:
    metrics = Metrics()
    metrics.count(ENTRY)

    text = metrics.render().decode()

    assert not any(name in text for name in ("shop", "web", "u-1", "arn:"))


def test_denial_is_counted_by_namespace_and_reason() -> None:
    metrics = Metrics()
    metrics.denials.knows_namespace = lambda name: name == "shop"

    metrics.count(replace(ENTRY, outcome=Outcome.DENY))
    metrics.count(replace(ENTRY, outcome=Outcome.DENY, namespace="unknown"))

    samples = read(metrics)
    assert samples["podrole_admission_denials_total{pod_namespace=shop,reason=RoleFromPod}"] == 1
    assert samples["podrole_admission_denials_total{pod_namespace=(other),reason=RoleFromPod}"] == 1


@pytest.mark.parametrize("outcome", [each for each in Outcome if each != Outcome.DENY])
def test_other_outcome_is_no_denial_of_a_namespace(outcome: Outcome) -> None:
    """An error concerns no namespace in particular: it has an alert of its own."""
    metrics = Metrics()
    metrics.denials.knows_namespace = lambda _name: True

    metrics.count(replace(ENTRY, outcome=outcome))

    assert metrics.denials.copy() == {}


def test_gauge_is_read_at_each_scrape() -> None:
    values = [1.0]
    metrics = Metrics()
    metrics.gauge("podrole_ca_bundle_in_sync", "Whether.", lambda: values[0])
    values[0] = 0.0

    assert read(metrics)["podrole_ca_bundle_in_sync"] == 0


def test_gauge_by_kind_has_one_series_for_each_kind_and_nan_for_none() -> None:
    values = {"Namespace": 1.0, "ServiceAccount": None}
    metrics = Metrics()
    metrics.gauge_by_kind("podrole_watch_last_event_timestamp_seconds", "When.", lambda: values)
    values["Namespace"] = 2.0

    samples = read(metrics)

    assert samples["podrole_watch_last_event_timestamp_seconds{kind=Namespace}"] == 2
    assert math.isnan(samples["podrole_watch_last_event_timestamp_seconds{kind=ServiceAccount}"])


def test_counter_is_read_at_each_scrape_and_its_name_ends_in_total() -> None:
    values = [1.0]
    metrics = Metrics()
    metrics.counter("podrole_certificate_rotations", "Updates.", lambda: values[0])
    values[0] = 2.0

    assert read(metrics)["podrole_certificate_rotations_total"] == 2
    assert "# TYPE podrole_certificate_rotations_total counter" in metrics.render().decode()


def test_live_reads_are_counted_by_kind() -> None:
    metrics = Metrics()

    metrics.count_live_read("ServiceAccount")

    assert read(metrics)["podrole_live_reads_total{kind=ServiceAccount}"] == 1
    assert read(metrics)["podrole_live_reads_total{kind=Namespace}"] == 0
