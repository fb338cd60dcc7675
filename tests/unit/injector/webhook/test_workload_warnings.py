import json
import logging
from typing import Any

import pytest

from injector.errors import ClusterError, ObjectTooLargeError, ReviewError
from injector.k8s.objects import Metadata
from injector.k8s.reader import MetadataReader
from injector.patch.template import load_template
from injector.webhook.admission_review import AdmissionReview
from injector.webhook.cpu_budget import CpuBudget
from injector.webhook.workload_review import TEMPLATE_PATHS, WorkloadReview
from injector.webhook.workload_warnings import WorkloadOutcome, WorkloadReviewer
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Pod, load_case
from testing.hostile_text import STORED
from tests.unit.injector.webhook.test_handler import Lookups
from tests.unit.injector.webhook.workload_reviews import (
    PLAIN_TEMPLATE,
    ROLE,
    build_review,
    build_workload,
    with_annotations,
)

WITH_ROLE = with_annotations(PLAIN_TEMPLATE, ROLE)


class Reviews:
    """A reviewer, and the outcomes that it has counted."""

    def __init__(self, cluster: MetadataReader, **fields: Any) -> None:
        self.counted: list[WorkloadOutcome] = []
        self.reviewer = WorkloadReviewer(CONFIG, cluster, load_template(CONFIG), self.counted.append, **fields)

    def answer(self, body: bytes) -> AdmissionReview:
        review = self.reviewer.parse(body)
        return self.reviewer.answer(review) if isinstance(review, WorkloadReview) else review

    def warn(self, body: bytes) -> list[str]:
        response = self.answer(body)["response"]
        assert response["allowed"]
        assert "patch" not in response
        return list(response.get("warnings", []))


def read_template(name: str) -> tuple[Pod, Lookups]:
    case = load_case(name)
    return case.pod, Lookups(case.namespace, case.service_account)


@pytest.mark.parametrize("kind", [kind for _, kind in TEMPLATE_PATHS])
def test_denial_that_the_pods_would_meet_is_a_warning(kind: str) -> None:
    template, cluster = read_template("role-not-allowed")
    reviews = Reviews(cluster)

    [warning] = reviews.warn(build_review(build_workload(template, kind), kind=kind))

    assert warning.startswith(
        f"{kind} web: its pods would be denied: [RoleNotAllowed] The namespace does not allow the role "
        "arn:aws:iam::111122223333:role/reader: its annotation iam.amazonaws.com/allowed-roles is"
    )
    assert reviews.counted == [WorkloadOutcome.WOULD_DENY]


def test_all_denials_of_a_pod_are_warnings_in_their_order() -> None:
    template, cluster = read_template("everything-wrong")

    warnings = Reviews(cluster).warn(build_review(build_workload(template)))

    assert len(warnings) > 3
    assert all(one.startswith("Deployment web: its pods would be denied: [") for one in warnings[:3])


def test_warning_that_the_pods_would_meet_is_a_warning() -> None:
    reviews = Reviews(Lookups())

    [warning] = reviews.warn(build_review(build_workload(PLAIN_TEMPLATE)))

    assert warning.startswith("Deployment web: No role is configured for this pod")
    assert reviews.counted == [WorkloadOutcome.WARNINGS]


def test_warning_about_the_variables_of_a_container_is_one() -> None:
    container = {"name": "app", "image": "a", "env": [{"name": "AWS_ACCESS_KEY_ID", "value": "A"}]}
    template = with_annotations({"spec": {"containers": [container]}}, ROLE)

    [warning] = Reviews(Lookups()).warn(build_review(build_workload(template)))

    assert warning.startswith('Deployment web: Container "app" sets AWS_ACCESS_KEY_ID')


def test_workload_whose_pods_are_injected_without_warnings_gets_none() -> None:
    reviews = Reviews(Lookups())

    assert reviews.warn(build_review(build_workload(WITH_ROLE))) == []
    assert reviews.counted == [WorkloadOutcome.NO_WARNINGS]


def test_skipped_pods_have_the_warning_of_their_skip() -> None:
    template = {"spec": {**PLAIN_TEMPLATE["spec"], "hostNetwork": True}}

    [warning] = Reviews(Lookups()).warn(build_review(build_workload(template)))

    assert "The pod uses the node's network" in warning


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        pytest.param("Deployment", "spec.template.metadata", id="deployment"),
        pytest.param("CronJob", "spec.jobTemplate.spec.template.metadata", id="cron-job"),
    ],
)
def test_annotation_of_the_workload_that_belongs_to_its_pods_is_a_warning(kind: str, path: str) -> None:
    workload = build_workload(PLAIN_TEMPLATE, kind, annotations=ROLE)

    warnings = Reviews(Lookups()).warn(build_review(workload, kind=kind))

    assert warnings[-1] == (
        f"{kind} web: Annotation iam.amazonaws.com/role of the {kind} has no effect. "
        f"Set the annotation iam.amazonaws.com/role in its pod template ({path})."
    )


def test_annotation_that_is_added_to_the_workload_alone_is_a_warning_without_any_read() -> None:
    cluster = Lookups()
    reviews = Reviews(cluster)
    body = build_review(build_workload(PLAIN_TEMPLATE, annotations=ROLE), build_workload(PLAIN_TEMPLATE))

    [warning] = reviews.warn(body)

    assert "Annotation iam.amazonaws.com/role of the Deployment has no effect." in warning
    assert cluster.reads == []
    assert reviews.counted == [WorkloadOutcome.WARNINGS]


def test_update_without_a_change_of_the_template_gets_no_warning_and_needs_no_read() -> None:
    template, _ = read_template("role-not-allowed")
    cluster = Lookups(ClusterError("no connection"))
    reviews = Reviews(cluster)
    old = build_workload(template, annotations=ROLE)
    new = {**old, "spec": {**old["spec"], "replicas": 7}}

    assert reviews.warn(build_review(new, old)) == []
    assert (cluster.reads, reviews.counted) == ([], [WorkloadOutcome.UNCHANGED])


def test_update_of_the_template_gets_the_warnings_of_the_new_one() -> None:
    template, cluster = read_template("role-not-allowed")

    [warning] = Reviews(cluster).warn(build_review(build_workload(template), build_workload(PLAIN_TEMPLATE)))

    assert "[RoleNotAllowed]" in warning


@pytest.mark.parametrize(
    "cluster",
    [
        pytest.param(Lookups(account=None), id="no-account"),
        pytest.param(Lookups(None), id="no-namespace"),
        pytest.param(Lookups(ClusterError("no connection")), id="namespace-not-read"),
        pytest.param(Lookups(account=ClusterError("no connection")), id="account-not-read"),
        pytest.param(Lookups(account=LookupError("a bug")), id="bug"),
    ],
)
def test_workload_that_cannot_be_decided_about_is_allowed_without_a_warning(cluster: Lookups) -> None:
    """The ServiceAccount can follow in the same `kubectl apply`."""
    reviews = Reviews(cluster)

    assert reviews.warn(build_review(build_workload(PLAIN_TEMPLATE))) == []
    assert reviews.counted == [WorkloadOutcome.NOT_DECIDED]


def test_bug_is_logged_once_a_minute_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    reviews = Reviews(Lookups(LookupError("a bug")), clock=lambda: 0.0)

    for _ in range(100):
        reviews.warn(build_review(build_workload(PLAIN_TEMPLATE)))

    [record] = caplog.records
    assert record.exc_info
    assert "a workload's, failed (1 reviews" in record.message


def test_review_has_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    template, cluster = read_template("role-not-allowed")
    reviews = Reviews(cluster)

    reviews.warn(build_review(build_workload(template)))
    reviews.warn(build_review(build_workload(PLAIN_TEMPLATE)))
    Reviews(Lookups(ClusterError("no connection"))).warn(build_review(build_workload(template)))

    assert caplog.records == []


def test_account_that_is_too_large_would_deny_the_pods() -> None:
    cluster = Lookups(account=ObjectTooLargeError("ServiceAccount team-a/default has more than 1000 labels"))

    [warning] = Reviews(cluster).warn(build_review(build_workload(PLAIN_TEMPLATE)))

    assert "its pods would be denied: [ObjectTooLarge] ServiceAccount team-a/default has more" in warning


@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_pods_with_too_many_containers_would_be_denied(field: str) -> None:
    template = {"spec": {"containers": [], field: [{"name": "a"}] * 1001}}

    [warning] = Reviews(Lookups()).warn(build_review(build_workload(template)))

    assert "its pods would be denied: [TooManyContainers]" in warning


def test_pods_whose_variables_are_too_long_would_be_denied() -> None:
    variables = [{"name": "HTTPS_PROXY", "value": "http://a"}, {"name": "NO_PROXY", "value": "x" * 20_000}]
    template = with_annotations({"spec": {"containers": [{"name": "a", "image": "a", "env": variables}] * 20}}, ROLE)

    [warning] = Reviews(Lookups()).warn(build_review(build_workload(template)))

    assert "its pods would be denied: [NoProxyTooLong]" in warning


def test_review_that_takes_too_much_memory_is_answered_before_it_is_parsed() -> None:
    reviews = Reviews(Lookups())
    template: Pod = {"spec": {"containers": [], "values": [{}] * 400_000}}

    assert reviews.warn(build_review(build_workload(template))) == []
    assert reviews.counted == [WorkloadOutcome.NOT_DECIDED]


def test_review_beyond_the_cpu_budget_is_answered_before_it_is_parsed() -> None:
    budget = CpuBudget(lambda: 0.0)
    cluster = Lookups()
    reviews = Reviews(cluster, budget=budget)
    before = reviews.warn(build_review(build_workload(PLAIN_TEMPLATE)))
    budget.spend(1)

    after = reviews.answer(build_review(build_workload(PLAIN_TEMPLATE)))

    assert len(before) == 1
    assert after["response"] == {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "allowed": True}
    assert reviews.counted[1:] == [WorkloadOutcome.NOT_DECIDED]


def test_cpu_time_of_a_review_is_spent() -> None:
    budget = CpuBudget(lambda: 0.0)
    reviews = Reviews(Lookups(), budget=budget)
    env = [{"name": f"VARIABLE_{number}", "value": "x" * 30} for number in range(10_000)]
    body = build_review(build_workload({"spec": {"containers": [{"name": "a", "image": "a", "env": env}]}}))

    for _ in range(1000):
        reviews.warn(body)
        if reviews.counted[-1] == WorkloadOutcome.NOT_DECIDED:
            break

    assert reviews.counted[-1] == WorkloadOutcome.NOT_DECIDED
    assert not budget.is_left()


def test_cpu_time_of_a_review_that_is_too_large_is_spent() -> None:
    """It is counted before it is parsed."""
    budget = CpuBudget(lambda: 0.0)
    reviews = Reviews(Lookups(), budget=budget)
    template: Pod = {"spec": {"containers": [], "values": [{}] * 1_000_000}}
    body = build_review(build_workload(template))

    for _ in range(1000):
        reviews.warn(body)
        if not budget.is_left():
            break

    assert not budget.is_left()


def test_body_without_a_uid_that_is_not_parsed_is_rejected() -> None:
    with pytest.raises(ReviewError, match="no uid, or is too large"):
        Reviews(Lookups()).warn(b"{" * 4_000_000)


@pytest.mark.parametrize("name", ["x" * 5_000, STORED * 50], ids=["long-name", "hostile-name"])
def test_warnings_have_a_limit_and_are_printable(name: str) -> None:
    template, cluster = read_template("everything-wrong")
    metadata = {"name": name, "annotations": {f"podrole.io/{STORED[:40]}-{n}": STORED for n in range(100)}}

    warnings = Reviews(cluster).warn(build_review({**build_workload(template), "metadata": metadata}))

    assert warnings
    assert sum(len(one.encode()) for one in warnings) <= 3072
    assert all(one.isascii() and one.isprintable() for one in warnings)


def test_template_has_the_decision_of_its_pods() -> None:
    """A role that the ServiceAccount or the namespace sets is found as for a pod."""
    namespace = Metadata(ENABLED.labels, {"podrole.io/default-role": "writer"})
    by_account = Reviews(Lookups(account=Metadata({}, ROLE)))
    by_namespace = Reviews(Lookups(namespace, UNANNOTATED))
    body = build_review(build_workload(PLAIN_TEMPLATE))

    assert (by_account.warn(body), by_namespace.warn(body)) == ([], [])
    assert json.loads(body)["request"]["object"]["spec"]["template"] == PLAIN_TEMPLATE
